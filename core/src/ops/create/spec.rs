//! Which kernel to create.

use std::collections::BTreeSet;
use std::time::Duration;

use super::options::SessionOptions;
use crate::error::BuildError;
use crate::version::{ApiVersion, Dialect};

/// What a new kernel may use. Limits that are not set are up to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    max_memory: Option<u64>,
    exec_timeout: Option<Duration>,
    max_output: Option<u64>,
}

impl Limits {
    /// The server's defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// At most this much memory, in bytes. Sorna v2 has it in whole KiB, rounded up. In Backend.AI it is the amount
    /// of the resource `mem`, unless that is [given](KernelSpec::with_resource).
    #[must_use]
    pub fn with_max_memory(mut self, bytes: u64) -> Self {
        self.max_memory = Some(bytes);
        self
    }

    /// At most this much time for one execution; sent in whole ms, and at least 1. Backend.AI has no such limit.
    #[must_use]
    pub fn with_exec_timeout(mut self, timeout: Duration) -> Self {
        self.exec_timeout = Some(timeout);
        self
    }

    /// At most this much output of one execution, in bytes: what it writes to standard output and standard error together. What it
    /// writes beyond that is dropped, and it is killed; its result [names](crate::ExecutionResult::exceeded)
    /// [`Limit::Output`](crate::Limit::Output). In a batch, each step may write so much.
    ///
    /// The gateway does not learn this limit when it creates the kernel. Each execution by a kernel's handle or by a plan sends it, in
    /// both dialects. Gateways that do not offer [`Execute::MAX_OUTPUT`](crate::Execute::MAX_OUTPUT) do not enforce it.
    #[must_use]
    pub fn with_max_output(mut self, bytes: u64) -> Self {
        self.max_output = Some(bytes);
        self
    }

    /// The most memory, in bytes; `None` for the server's default.
    #[must_use]
    pub fn max_memory(&self) -> Option<u64> {
        self.max_memory
    }

    /// The most time for one execution; `None` for the server's default.
    #[must_use]
    pub fn exec_timeout(&self) -> Option<Duration> {
        self.exec_timeout
    }

    /// The most output of one execution, in bytes; `None` for no limit.
    #[must_use]
    pub fn max_output(&self) -> Option<u64> {
        self.max_output
    }
}

/// Which kernel to create: its language, limits and mounts, and for Backend.AI much more. The name of a
/// language converts into a specification with the server's limits and no mounts.
///
/// ```
/// use sorna_core::{KernelSpec, Limits};
///
/// let spec = KernelSpec::new("python3")
///     .with_limits(Limits::new().with_max_memory(256 << 20))
///     .with_mounts(["data"]);
/// assert_eq!(spec.mounts(), ["data"]);
/// assert_eq!(KernelSpec::from("python3"), KernelSpec::new("python3"));
/// ```
///
/// What a version lacks is an error, and never left out in silence:
///
/// ```
/// use sorna_core::{ApiVersion, KernelSpec};
///
/// let spec = KernelSpec::new("python").with_resource("cpu", "2").with_scaling_group("gpu");
/// spec.check(ApiVersion::V7_20230615)?;
/// assert_eq!(
///     spec.check(ApiVersion::V2_20170315).unwrap_err().to_string(),
///     "version v2.20170315 of the API does not support resources of kernels"
/// );
/// # Ok::<(), sorna_core::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelSpec {
    language: String,
    limits: Limits,
    mounts: Vec<String>,
    /// In a box, so that a specification stays small for enums and futures that hold one.
    pub(super) session: Box<SessionOptions>,
}

impl KernelSpec {
    /// A kernel of this language or runtime, such as `python3`. In Backend.AI it is an image, by a full reference or an
    /// alias: `cr.backend.ai/stable/python:3.9-ubuntu20.04`, `python`.
    #[must_use]
    pub fn new(language: impl Into<String>) -> Self {
        Self {
            language: language.into(),
            limits: Limits::default(),
            mounts: Vec::new(),
            session: Box::default(),
        }
    }

    /// With these limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// With these folders mounted, each `name` or `name:alias`: at most 5 in Sorna v2. In Backend.AI the alias is a
    /// path, absolute or below `/home/work`, and a folder can be mounted once only.
    #[must_use]
    pub fn with_mounts<M: Into<String>>(mut self, mounts: impl IntoIterator<Item = M>) -> Self {
        self.mounts = mounts.into_iter().map(Into::into).collect();
        self
    }

    /// The language or runtime.
    #[must_use]
    pub fn language(&self) -> &str {
        &self.language
    }

    /// What the kernel may use.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The folders to mount.
    #[must_use]
    pub fn mounts(&self) -> &[String] {
        &self.mounts
    }

    /// Checks what this version requires, before anything is sent. Making the request checks it as well.
    ///
    /// # Errors
    ///
    /// [`BuildError::Language`] for an empty language, [`BuildError::TooManyMounts`], [`BuildError::EmptyVariable`], and
    /// [`BuildError::Unsupported`] for a setting that the version lacks.
    pub fn check(&self, version: ApiVersion) -> Result<(), BuildError> {
        if self.language.trim().is_empty() {
            return Err(BuildError::Language);
        }
        match version.dialect() {
            Dialect::SornaV2 => {
                const MOST: usize = 5;
                if self.mounts.len() > MOST {
                    return Err(BuildError::TooManyMounts {
                        given: self.mounts.len(),
                        most: MOST,
                    });
                }
            }
            Dialect::BackendAi if version < ApiVersion::V9_20250722 => {
                // Manager 23.09.10 responds with 500, and 26.9.6 sets it (observed).
                let mut env = self.session.env.iter();
                if let Some((name, _)) = env.find(|(_, value)| value.is_empty()) {
                    let name = name.clone();
                    return Err(BuildError::EmptyVariable { name, version });
                }
            }
            Dialect::BackendAi => {}
        }
        match self.first_unsupported(version.dialect()) {
            Some(what) => Err(BuildError::Unsupported { what, version }),
            None => Ok(()),
        }
    }

    /// The first setting that the dialect lacks, as an error names it.
    fn first_unsupported(&self, dialect: Dialect) -> Option<&'static str> {
        match dialect {
            Dialect::SornaV2 => self.session.first_set(),
            Dialect::BackendAi => {
                let has_timeout = self.limits.exec_timeout.is_some();
                let repeats_mounts = has_repeated_mounts(&self.mounts);
                has_timeout
                    .then_some("time limits of executions")
                    .or(repeats_mounts.then_some("mounting a folder twice"))
            }
        }
    }
}

impl From<&str> for KernelSpec {
    fn from(language: &str) -> Self {
        Self::new(language)
    }
}

impl From<String> for KernelSpec {
    fn from(language: String) -> Self {
        Self::new(language)
    }
}

/// The folder of a mount, and where it is mounted if that is given.
pub(super) fn split_mount(mount: &str) -> (&str, Option<&str>) {
    match mount.split_once(':') {
        Some((name, alias)) => (name, Some(alias)),
        None => (mount, None),
    }
}

/// Whether a folder is mounted more than once, which a request of Backend.AI cannot say.
fn has_repeated_mounts(mounts: &[String]) -> bool {
    let mut seen = BTreeSet::new();
    !mounts.iter().all(|mount| seen.insert(split_mount(mount).0))
}

#[cfg(test)]
mod tests {
    use super::super::options::ClusterMode;
    use super::*;

    const BACKEND_AI: ApiVersion = ApiVersion::V7_20230615;

    fn python() -> KernelSpec {
        KernelSpec::new("python")
    }

    fn unsupported(spec: &KernelSpec, version: ApiVersion) -> &'static str {
        match spec.check(version) {
            Err(BuildError::Unsupported { what, version: of }) if of == version => what,
            other => panic!("{other:?} for {spec:?}"),
        }
    }

    #[test]
    fn empty_variables_are_refused_for_managers_that_fail_on_them() {
        let spec = python().with_env("A", "1").with_env("B", "");
        assert_eq!(
            spec.check(ApiVersion::V7_20230615),
            Err(BuildError::EmptyVariable {
                name: "B".to_owned(),
                version: ApiVersion::V7_20230615
            })
        );
        assert_eq!(spec.check(ApiVersion::V9_20250722), Ok(()));
        let spec = python().with_env("A", "1");
        assert_eq!(spec.check(ApiVersion::V7_20230615), Ok(()));
    }

    #[test]
    fn sorna_v2_has_no_settings_of_sessions() {
        let version = ApiVersion::V2_20170315;
        let specs = [
            python().with_env("A", "1"),
            python().with_resource("cpu", "1"),
            python().with_resource_option("shmem", "1g"),
            python().with_scaling_group("x"),
            python().with_architecture("x"),
            python().with_cluster_size(1),
            python().with_cluster_mode(ClusterMode::MultiNode),
            python().with_bootstrap_script("x"),
            python().with_startup_command("x"),
            python().with_tag("x"),
            python().with_callback_url("x"),
            python().with_preopen_ports([8080]),
            python().with_domain("x"),
            python().with_group("x"),
            python().with_enqueue_only(true),
            python().with_max_wait(Duration::from_secs(1)),
            python().with_reuse(false),
        ];
        for spec in &specs {
            unsupported(spec, version);
            assert_eq!(spec.check(BACKEND_AI), Ok(()), "{spec:?}");
        }
        let defaults = python().with_enqueue_only(false).with_reuse(true);
        assert_eq!(defaults.check(version), Ok(()));
        assert_eq!(defaults, python());
    }

    #[test]
    fn backend_ai_has_no_time_limit_and_mounts_a_folder_once() {
        let limited = python().with_limits(Limits::new().with_exec_timeout(Duration::ZERO));
        assert_eq!(
            unsupported(&limited, BACKEND_AI),
            "time limits of executions"
        );
        for mounts in [["a", "a"], ["a", "a:b"], ["a:b", "a:c"]] {
            let what = unsupported(&python().with_mounts(mounts), BACKEND_AI);
            assert_eq!(what, "mounting a folder twice", "{mounts:?}");
        }
        let many = python().with_mounts(["a", "b", "c", "d", "e", "f:a"]);
        assert_eq!(many.check(BACKEND_AI), Ok(()));
    }
}

//! Which kernel to create.

use std::time::Duration;

use crate::error::BuildError;
use crate::version::{ApiVersion, Dialect};

/// What a new kernel may use. Limits that are not set are up to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    max_memory: Option<u64>,
    exec_timeout: Option<Duration>,
}

impl Limits {
    /// The server's defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// At most this much memory, in bytes; sent in whole KiB, rounded up.
    #[must_use]
    pub fn with_max_memory(mut self, bytes: u64) -> Self {
        self.max_memory = Some(bytes);
        self
    }

    /// At most this much time for one execution; sent in whole ms, and at least 1.
    #[must_use]
    pub fn with_exec_timeout(mut self, timeout: Duration) -> Self {
        self.exec_timeout = Some(timeout);
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
}

/// Which kernel to create: its language, limits and mounts. The name of a language converts into a
/// specification with the server's limits and no mounts.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelSpec {
    language: String,
    limits: Limits,
    mounts: Vec<String>,
}

impl KernelSpec {
    /// A kernel of this language or runtime, such as `python3`.
    #[must_use]
    pub fn new(language: impl Into<String>) -> Self {
        Self {
            language: language.into(),
            limits: Limits::default(),
            mounts: Vec::new(),
        }
    }

    /// With these limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// With these folders mounted, each `name` or `name:alias`: at most 5 in Sorna v2.
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
    /// [`BuildError::Language`] for an empty language, and [`BuildError::TooManyMounts`].
    pub fn check(&self, version: ApiVersion) -> Result<(), BuildError> {
        if self.language.is_empty() {
            return Err(BuildError::Language);
        }
        let most = match version.dialect() {
            Dialect::SornaV2 => 5,
            Dialect::BackendAi => usize::MAX,
        };
        if self.mounts.len() > most {
            return Err(BuildError::TooManyMounts {
                given: self.mounts.len(),
                most,
            });
        }
        Ok(())
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

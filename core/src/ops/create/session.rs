//! What only Backend.AI lets a new kernel have.

use std::collections::BTreeMap;
use std::time::Duration;

use super::options::ClusterMode;
use super::spec::KernelSpec;
use crate::config::Config;

/// # Settings of Backend.AI
///
/// Sorna v2 has none of them: [`check`](Self::check) rejects a specification that uses one.
impl KernelSpec {
    /// With this environment variable. Its value is not shown by `Debug`, but [`Info`](crate::Info) of managers
    /// returns it.
    ///
    /// ```
    /// use sorna_core::KernelSpec;
    ///
    /// let spec = KernelSpec::new("python")
    ///     .with_env("LANG", "C.UTF-8")
    ///     .with_env("API_KEY", "hunter2");
    /// assert!(spec.env().eq([("API_KEY", "hunter2"), ("LANG", "C.UTF-8")]));
    /// assert!(!format!("{spec:?}").contains("hunter2"));
    /// ```
    #[must_use]
    pub fn with_env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.session.env.insert(name.into(), value.into());
        self
    }

    /// With this much of a resource slot: `cpu` (`"2"`), `mem` (`"4g"`), `cuda.device`, …. A `mem` takes precedence
    /// over [`Limits::max_memory`](crate::Limits::max_memory).
    ///
    /// Observed on manager 26.9.6: less memory than the image needs is 400 `invalid-api-params`, and a session
    /// that needs more than there is stays `PENDING`.
    #[must_use]
    pub fn with_resource(mut self, slot: impl Into<String>, amount: impl Into<String>) -> Self {
        self.session.resources.insert(slot.into(), amount.into());
        self
    }

    /// With this option of its resources, such as the size of its shared memory: `shmem` (`"256m"`), which is part of
    /// `mem`.
    #[must_use]
    pub fn with_resource_option(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        let options = &mut self.session.resource_options;
        options.insert(name.into(), value.into());
        self
    }

    /// In this scaling group (resource group) of machines.
    #[must_use]
    pub fn with_scaling_group(mut self, name: impl Into<String>) -> Self {
        self.session.scaling_group = Some(name.into());
        self
    }

    /// With an image for this architecture, such as `aarch64`; without it, for that of the manager's machine.
    #[must_use]
    pub fn with_architecture(mut self, name: impl Into<String>) -> Self {
        self.session.architecture = Some(name.into());
        self
    }

    /// With this many containers, at least 1. Code runs in the first, `main1`.
    #[must_use]
    pub fn with_cluster_size(mut self, containers: u32) -> Self {
        self.session.cluster_size = Some(containers);
        self
    }

    /// With its containers placed so; without it, on one machine.
    #[must_use]
    pub fn with_cluster_mode(mut self, mode: ClusterMode) -> Self {
        self.session.cluster_mode = Some(mode);
        self
    }

    /// With this shell script run in the container before the kernel starts. `Debug` does not show it.
    #[must_use]
    pub fn with_bootstrap_script(mut self, script: impl Into<String>) -> Self {
        self.session.bootstrap_script = Some(script.into());
        self
    }

    /// Runs this shell command, and ends with it: the session is one of type `batch`. (Managers ignore startup commands
    /// of interactive sessions.) `Debug` does not show it.
    #[must_use]
    pub fn with_startup_command(mut self, command: impl Into<String>) -> Self {
        self.session.startup_command = Some(command.into());
        self
    }

    /// With this note, which lists of sessions show.
    #[must_use]
    pub fn with_tag(mut self, tag: impl Into<String>) -> Self {
        self.session.tag = Some(tag.into());
        self
    }

    /// With this URL, to which the manager posts what happens to the session. `Debug` does not show it.
    #[must_use]
    pub fn with_callback_url(mut self, url: impl Into<String>) -> Self {
        self.session.callback_url = Some(url.into());
        self
    }

    /// With these ports of the container open to services of the user's own, from 1024 up.
    #[must_use]
    pub fn with_preopen_ports(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.session.preopen_ports = ports.into_iter().collect();
        self
    }

    /// In the domain and the group of the configuration, where it names none.
    pub(super) fn within(mut self, config: &Config) -> Self {
        let of_config = |name: Option<&str>| name.map(str::to_owned);
        let session = &mut self.session;
        session.domain = session.domain.take().or_else(|| of_config(config.domain()));
        session.group = session.group.take().or_else(|| of_config(config.group()));
        self
    }

    /// In this domain; without it, in that of the [configuration](Config::with_domain), else `default`.
    #[must_use]
    pub fn with_domain(mut self, name: impl Into<String>) -> Self {
        self.session.domain = Some(name.into());
        self
    }

    /// In this group (project); without it, in that of the [configuration](Config::with_group), else `default`.
    #[must_use]
    pub fn with_group(mut self, name: impl Into<String>) -> Self {
        self.session.group = Some(name.into());
        self
    }

    /// Whether the manager responds as soon as the session is queued, with status `PENDING`. Otherwise it responds when the
    /// session runs: observed after 3 s on manager 23.09.10, and after 9 to 12 s on 26.9.6.
    #[must_use]
    pub fn with_enqueue_only(mut self, enqueue_only: bool) -> Self {
        self.session.enqueue_only = enqueue_only;
        self
    }

    /// The manager waits this long for the session to run, then responds with status `TIMEOUT`; the session continues to
    /// start. Sent in whole seconds, rounded up, and at least 1. Without it, the manager waits for as long as it takes.
    #[must_use]
    pub fn with_max_wait(mut self, time: Duration) -> Self {
        self.session.max_wait = Some(time);
        self
    }

    /// Whether a living session of the same name and image is returned in place of a new one, which is the default.
    /// Otherwise it is an error response: [`is_name_taken`](crate::GatewayError::is_name_taken). Then the request is
    /// not retried if an earlier try may have reached the gateway.
    #[must_use]
    pub fn with_reuse(mut self, reuse: bool) -> Self {
        self.session.never_reuse = !reuse;
        self
    }

    /// The environment variables, by name.
    pub fn env(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        pairs(&self.session.env)
    }

    /// How much it has of which resource slots, by name.
    pub fn resources(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        pairs(&self.session.resources)
    }

    /// The options of its resources, by name.
    pub fn resource_options(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        pairs(&self.session.resource_options)
    }

    /// The scaling group; `None` for one that the manager chooses.
    #[must_use]
    pub fn scaling_group(&self) -> Option<&str> {
        self.session.scaling_group.as_deref()
    }

    /// The architecture of the image; `None` for the manager's default.
    #[must_use]
    pub fn architecture(&self) -> Option<&str> {
        self.session.architecture.as_deref()
    }

    /// The number of containers; `None` for the manager's default, 1.
    #[must_use]
    pub fn cluster_size(&self) -> Option<u32> {
        self.session.cluster_size
    }

    /// How the containers are placed; `None` for the manager's default.
    #[must_use]
    pub fn cluster_mode(&self) -> Option<ClusterMode> {
        self.session.cluster_mode
    }

    /// The script that is run before the kernel starts.
    #[must_use]
    pub fn bootstrap_script(&self) -> Option<&str> {
        self.session.bootstrap_script.as_deref()
    }

    /// The command that the session runs.
    #[must_use]
    pub fn startup_command(&self) -> Option<&str> {
        self.session.startup_command.as_deref()
    }

    /// The note.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.session.tag.as_deref()
    }

    /// The URL to which the manager posts what happens to the session.
    #[must_use]
    pub fn callback_url(&self) -> Option<&str> {
        self.session.callback_url.as_deref()
    }

    /// The ports that are open to services of the user's own.
    #[must_use]
    pub fn preopen_ports(&self) -> &[u16] {
        &self.session.preopen_ports
    }

    /// The domain; `None` for the manager's default.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.session.domain.as_deref()
    }

    /// The group; `None` for the manager's default.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.session.group.as_deref()
    }

    /// Whether the manager responds as soon as the session is queued.
    #[must_use]
    pub fn enqueue_only(&self) -> bool {
        self.session.enqueue_only
    }

    /// The most time that the manager waits for the session to run; `None` for as long as it takes.
    #[must_use]
    pub fn max_wait(&self) -> Option<Duration> {
        self.session.max_wait
    }

    /// Whether a living session of the same name is returned in place of a new one.
    #[must_use]
    pub fn reuse(&self) -> bool {
        !self.session.never_reuse
    }
}

fn pairs(map: &BTreeMap<String, String>) -> impl ExactSizeIterator<Item = (&str, &str)> {
    map.iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let spec = KernelSpec::new("python")
            .with_env("TOKEN", "hunter2")
            .with_bootstrap_script("export TOKEN=hunter2")
            .with_startup_command("login hunter2")
            .with_callback_url("https://example.com/?token=hunter2")
            .with_tag("nightly")
            .with_reuse(false);
        let shown = format!("{spec:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        for part in [
            r#"env: ["TOKEN"]"#,
            "bootstrap_script: [20 bytes]",
            r#"tag: "nightly""#,
            "reuse: false",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let plain = format!("{:?}", KernelSpec::new("python"));
        assert!(plain.contains("session: SessionOptions"), "{plain}");
        assert!(!plain.contains("env"), "{plain}");
    }
}

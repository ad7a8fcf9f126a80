//! The values of what only Backend.AI lets a new kernel have: `session.rs` sets them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How the containers of a cluster are placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClusterMode {
    /// All on one machine.
    #[default]
    SingleNode,
    /// On several machines.
    MultiNode,
}

impl ClusterMode {
    /// The mode's name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SingleNode => "single-node",
            Self::MultiNode => "multi-node",
        }
    }
}

/// The settings of a `KernelSpec` that Sorna v2 lacks. What is not set is left to the manager.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct SessionOptions {
    pub(super) env: BTreeMap<String, String>,
    pub(super) resources: BTreeMap<String, String>,
    pub(super) resource_options: BTreeMap<String, String>,
    pub(super) scaling_group: Option<String>,
    pub(super) architecture: Option<String>,
    pub(super) cluster_size: Option<u32>,
    pub(super) cluster_mode: Option<ClusterMode>,
    pub(super) bootstrap_script: Option<String>,
    pub(super) startup_command: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) callback_url: Option<String>,
    pub(super) preopen_ports: Vec<u16>,
    pub(super) domain: Option<String>,
    pub(super) group: Option<String>,
    pub(super) enqueue_only: bool,
    pub(super) max_wait: Option<Duration>,
    pub(super) never_reuse: bool,
}

impl SessionOptions {
    /// The first setting that is set, as an error names it.
    pub(super) fn first_set(&self) -> Option<&'static str> {
        // Without `..`: a new setting cannot be forgotten here.
        let Self {
            env,
            resources,
            resource_options,
            scaling_group,
            architecture,
            cluster_size,
            cluster_mode,
            bootstrap_script,
            startup_command,
            tag,
            callback_url,
            preopen_ports,
            domain,
            group,
            enqueue_only,
            max_wait,
            never_reuse,
        } = self;
        [
            (!env.is_empty(), "environment variables"),
            (!resources.is_empty(), "resources of kernels"),
            (!resource_options.is_empty(), "options of resources"),
            (scaling_group.is_some(), "scaling groups"),
            (architecture.is_some(), "architectures of images"),
            (
                cluster_size.is_some() || cluster_mode.is_some(),
                "clusters of kernels",
            ),
            (bootstrap_script.is_some(), "bootstrap scripts"),
            (startup_command.is_some(), "startup commands"),
            (tag.is_some(), "tags of kernels"),
            (callback_url.is_some(), "callback URLs"),
            (!preopen_ports.is_empty(), "open ports of kernels"),
            (domain.is_some(), "domains"),
            (group.is_some(), "groups"),
            (*enqueue_only, "queueing the creation of a kernel"),
            (
                max_wait.is_some(),
                "a limit on the wait for a kernel's start",
            ),
            (*never_reuse, "creating a kernel only if its name is free"),
        ]
        .into_iter()
        .find_map(|(is_set, what)| is_set.then_some(what))
    }
}

/// Only what is set. Variables, scripts, commands and URLs may hold secrets, so that of those only names and lengths are
/// shown.
impl fmt::Debug for SessionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// A text that may hold a secret.
        struct Hidden<'a>(&'a str);

        impl fmt::Debug for Hidden<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "[{} bytes]", self.0.len())
            }
        }

        let mut shown = f.debug_struct("SessionOptions");
        if !self.env.is_empty() {
            shown.field("env", &self.env.keys());
        }
        for (name, map) in [
            ("resources", &self.resources),
            ("resource_options", &self.resource_options),
        ] {
            if !map.is_empty() {
                shown.field(name, map);
            }
        }
        for (name, text) in [
            ("scaling_group", &self.scaling_group),
            ("architecture", &self.architecture),
            ("tag", &self.tag),
            ("domain", &self.domain),
            ("group", &self.group),
        ] {
            if let Some(text) = text {
                shown.field(name, text);
            }
        }
        for (name, text) in [
            ("bootstrap_script", &self.bootstrap_script),
            ("startup_command", &self.startup_command),
            ("callback_url", &self.callback_url),
        ] {
            if let Some(text) = text {
                shown.field(name, &Hidden(text));
            }
        }
        if let Some(size) = self.cluster_size {
            shown.field("cluster_size", &size);
        }
        if let Some(mode) = self.cluster_mode {
            shown.field("cluster_mode", &mode);
        }
        if !self.preopen_ports.is_empty() {
            shown.field("preopen_ports", &self.preopen_ports);
        }
        if self.enqueue_only {
            shown.field("enqueue_only", &true);
        }
        if let Some(wait) = self.max_wait {
            shown.field("max_wait", &wait);
        }
        if self.never_reuse {
            shown.field("reuse", &false);
        }
        shown.finish()
    }
}

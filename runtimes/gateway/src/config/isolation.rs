//! The part of the configuration that isolates kernels.

use std::ffi::OsString;
use std::path::PathBuf;

use super::GatewayConfig;
use super::level::{IsolationLevel, NetworkAccess};
use crate::kernel::BoxProgram;

/// The isolation of kernels.
impl GatewayConfig {
    /// Sets how to isolate kernels: by [namespaces](IsolationLevel::Namespaces) by default. Where the system does not offer
    /// the level, or [no program](Self::with_box_program) makes namespaces, the next lower one is used, with a line in the
    /// log. [`Gateway::isolation`](crate::Gateway::isolation) says what is in force, and
    /// [`Gateway::isolation_shortfall`](crate::Gateway::isolation_shortfall) why that is less.
    #[must_use]
    pub fn with_isolation(mut self, level: IsolationLevel) -> Self {
        self.isolation = level;
        self
    }

    /// How to isolate kernels.
    #[must_use]
    pub fn isolation(&self) -> IsolationLevel {
        self.isolation
    }

    /// Sets whether to fail at the start, by [`StartError::Isolation`](crate::StartError::Isolation), where the system does
    /// not offer the level of isolation: no by default.
    #[must_use]
    pub fn with_require_isolation(mut self, require: bool) -> Self {
        self.require_isolation = require;
        self
    }

    /// Whether to fail where the system does not offer the level of isolation.
    #[must_use]
    pub fn require_isolation(&self) -> bool {
        self.require_isolation
    }

    /// Sets the network of kernels that have [namespaces](IsolationLevel::Namespaces): none by default. Other levels do not
    /// isolate it.
    #[must_use]
    pub fn with_network(mut self, network: NetworkAccess) -> Self {
        self.network = network;
        self
    }

    /// The network of kernels that have namespaces.
    #[must_use]
    pub fn network(&self) -> NetworkAccess {
        self.network
    }

    /// Sets the program that makes namespaces: one that calls [`box_main`](crate::box_main) when it is started with these
    /// arguments, and passes those that follow. That may be the program of the gateway itself,
    /// `/proc/self/exe`; this crate has one that does nothing else, `sorna-box`. Without it,
    /// there is no isolation by [namespaces](IsolationLevel::Namespaces).
    #[must_use]
    pub fn with_box_program<A: Into<OsString>>(
        mut self,
        path: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        self.box_program = Some(BoxProgram {
            path: path.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
        });
        self
    }

    pub(crate) fn box_program(&self) -> Option<&BoxProgram> {
        self.box_program.as_ref()
    }

    /// Sets whether to keep kernels, where the system can, from reading and writing files that are
    /// neither their own nor the system's: yes by default. `false` is the same as
    /// [`IsolationLevel::None`]; `true` changes only that level, to the default.
    #[must_use]
    pub fn with_isolate_files(mut self, isolate: bool) -> Self {
        if !isolate {
            self.isolation = IsolationLevel::None;
        } else if self.isolation == IsolationLevel::None {
            self.isolation = IsolationLevel::default();
        }
        self
    }

    /// Whether to limit which files kernels may open.
    #[must_use]
    pub fn isolate_files(&self) -> bool {
        self.isolation != IsolationLevel::None
    }
}

//! What runs the programs: a gateway, or another tool.

use std::time::Duration;

use sorna_gateway::{Gateway, GatewayConfig, IsolationLevel};
use sorna_test_tools::has;

use crate::gateway::{BOX, Served};
use crate::outside::User;
use crate::peers::{self, Boxes};

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Namespaces,
    Landlock,
    None,
    Bubblewrap,
    Firejail,
    /// No column: what nothing isolates, so that all attempts must work.
    Nothing,
}

/// In the order of the table.
pub(crate) const KINDS: [Kind; 5] = [
    Kind::Namespaces,
    Kind::Landlock,
    Kind::None,
    Kind::Bubblewrap,
    Kind::Firejail,
];

impl Kind {
    /// The head of its column.
    pub(crate) fn head(self) -> &'static str {
        match self {
            Self::Namespaces => "`namespaces`",
            Self::Landlock => "`landlock`",
            Self::None => "`none`",
            Self::Bubblewrap => "bubblewrap",
            Self::Firejail => "firejail",
            Self::Nothing => "",
        }
    }

    /// The level of isolation of a gateway.
    pub(crate) fn level(self) -> Option<IsolationLevel> {
        match self {
            Self::Namespaces => Some(IsolationLevel::Namespaces),
            Self::Landlock => Some(IsolationLevel::Landlock),
            Self::None => Some(IsolationLevel::None),
            Self::Bubblewrap | Self::Firejail | Self::Nothing => None,
        }
    }

    /// What this machine lacks for it.
    pub(crate) fn missing(self, user: &User) -> Option<String> {
        let isolation = |level| {
            let config = GatewayConfig::new()
                .with_isolation(level)
                .with_box_program(BOX, [""; 0]);
            Gateway::bind(config).unwrap().isolation()
        };
        match self {
            Self::Namespaces => {
                let found = isolation(IsolationLevel::Namespaces);
                let is_whole = found.network.is_some() && found.filters_calls;
                (!is_whole).then(|| "user namespaces, and a filter of system calls".to_owned())
            }
            Self::Landlock => {
                let found = isolation(IsolationLevel::Landlock);
                // That of Linux 6.12.
                let is_whole = found.landlock.is_some_and(|it| it >= 6) && found.filters_calls;
                (!is_whole).then(|| "Landlock 6, and a filter of system calls".to_owned())
            }
            Self::None | Self::Nothing => None,
            Self::Bubblewrap => (!has("bwrap")).then(|| "bwrap (package bubblewrap)".to_owned()),
            Self::Firejail if !has("firejail") => Some("firejail".to_owned()),
            Self::Firejail => peers::refusal_of_firejail(user),
        }
    }

    /// Whether it is another tool than a gateway.
    pub(crate) fn is_peer(self) -> bool {
        matches!(self, Self::Bubblewrap | Self::Firejail)
    }

    pub(crate) fn start(self, world: &Setting<'_>) -> Box<dyn System> {
        match self.level() {
            Some(level) => Box::new(Served::start(level, world)),
            None => Box::new(Boxes::start(self, world)),
        }
    }
}

/// Where a system is started.
pub(crate) struct Setting<'w> {
    pub(crate) user: &'w User,
    /// A directory of the user.
    pub(crate) directory: &'w str,
}

/// Whose kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Attacker,
    Victim,
}

/// Two kernels, or boxes, of a hostile program and of its victim. Both have an interpreter that goes on.
pub(crate) trait System {
    /// Runs code as the hostile program, and returns its output, and that its kernel was ended.
    fn attack(&mut self, code: &str) -> String;

    /// Runs code as the victim.
    fn victim(&mut self, code: &str) -> String;

    /// Ends the hostile program's kernel, with all that is in it, and makes a new one.
    fn renew(&mut self);

    /// Kills the gateway, or what has started the boxes.
    fn kill(&mut self);

    fn gateway(&self) -> u32;

    fn watchdog(&self) -> Option<u32>;

    /// Where a path in a kernel is outside.
    fn place(&self, whose: Whose, path: &str) -> String;

    /// How long to wait before something counts as not prevented.
    fn time_to_judge(&self) -> Duration;
}

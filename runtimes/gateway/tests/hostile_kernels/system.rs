//! What runs the programs: a gateway, or another tool.

use std::time::Duration;

use sorna_gateway::IsolationLevel;

use crate::user::User;

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

    /// Whether it is another tool than a gateway.
    pub(crate) fn is_peer(self) -> bool {
        matches!(self, Self::Bubblewrap | Self::Firejail)
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

/// Two kernels, or boxes, of a hostile program and of its victim. Both have an interpreter that keeps running.
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

//! Starting what runs the programs.

use sorna_gateway::{Gateway, GatewayConfig, IsolationLevel};
use sorna_test_tools::has;

use crate::gateway::Served;
use crate::peers::{self, Boxes};
use crate::system::{Kind, Setting, System};
use crate::user::{BOX, User};

pub(crate) fn start(kind: Kind, setting: &Setting<'_>) -> Box<dyn System> {
    match kind.level() {
        Some(level) => Box::new(Served::start(level, setting)),
        None => Box::new(Boxes::start(kind, setting)),
    }
}

/// What this machine lacks for it.
pub(crate) fn missing(kind: Kind, user: &User) -> Option<String> {
    let isolation = |level| {
        let config = GatewayConfig::new()
            .with_isolation(level)
            .with_box_program(BOX, [""; 0]);
        Gateway::bind(config).unwrap().isolation()
    };
    match kind {
        Kind::Namespaces => {
            let found = isolation(IsolationLevel::Namespaces);
            let is_whole = found.network.is_some() && found.filters_calls;
            (!is_whole).then(|| "user namespaces, and a filter of system calls".to_owned())
        }
        Kind::Landlock => {
            let found = isolation(IsolationLevel::Landlock);
            // That of Linux 6.12.
            let is_whole = found.landlock.is_some_and(|it| it >= 6) && found.filters_calls;
            (!is_whole).then(|| "Landlock 6, and a filter of system calls".to_owned())
        }
        Kind::None | Kind::Nothing => None,
        Kind::Bubblewrap => (!has("bwrap")).then(|| "bwrap (package bubblewrap)".to_owned()),
        Kind::Firejail if !has("firejail") => Some("firejail".to_owned()),
        Kind::Firejail => peers::refusal_of_firejail(user),
    }
}

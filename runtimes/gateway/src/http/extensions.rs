//! What this gateway understands besides the protocols.

use sorna_core::{
    Execute, FollowLogs, Interrupt, KeepAlive, ListFiles, MatchSessions, UploadFiles,
    terminal::OpenTerminal,
};

use super::context::Context;

/// The names of the extensions, for clients that use them.
pub(super) const EXTENSIONS: &[&str] = &[
    Execute::FINAL,
    Execute::RUNS,
    Execute::BYTES,
    UploadFiles::MODES,
    UploadFiles::ANY_SIZE,
    ListFiles::FILES,
    Execute::ECHO,
    Interrupt::EXTENSION,
    KeepAlive::EXTENSION,
    FollowLogs::EXTENSION,
    MatchSessions::EXTENSION,
    Execute::ATTACH,
    OpenTerminal::DIRECTORY,
    Execute::REFUSALS,
    Execute::BETWEEN,
    Execute::USAGE,
    Execute::MAX_OUTPUT,
];

/// Those that have an effect in kernels of a language.
pub(super) fn extensions(context: &Context, language: &str) -> Vec<&'static str> {
    let has_values = context.kernels.echoes(language);
    let all = EXTENSIONS.iter().copied();
    all.filter(|name| has_values || *name != Execute::ECHO)
        .collect()
}

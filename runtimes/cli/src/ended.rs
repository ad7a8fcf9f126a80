//! Why a session has ended.

use sorna::Error;
use sorna::blocking::Kernel;

use crate::harmless::safe;

/// Why a session has ended, if a gateway of `sorna serve` says so in its error response.
pub(crate) fn end_reason(error: &Error) -> Option<String> {
    const WORDS: &str = "the kernel was destroyed";
    let message = error.gateway()?.message()?;
    let at = message.find(WORDS)?;
    let mut reason = message[at..].trim_end_matches(['.', '"']);
    if message[..at].ends_with('(') {
        reason = reason.strip_suffix(')').unwrap_or(reason);
    }
    Some(safe(reason))
}

/// Why a session has ended of which there is nothing else to know: as [`end_reason`], or as managers say it.
pub(crate) fn end_reason_of(kernel: &Kernel) -> Option<String> {
    match kernel.info() {
        Ok(info) => {
            let reason = info.status_info().filter(|reason| !reason.is_empty());
            reason.map(safe)
        }
        Err(error) => end_reason(&error),
    }
}

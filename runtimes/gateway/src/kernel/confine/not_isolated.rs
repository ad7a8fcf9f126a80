//! Why a program could not enter the box of its kernel.

use std::error::Error as StdError;
use std::fmt;
use std::io;

/// Keeps the system's error as its source, so that it can be told if the system has run out of something.
#[derive(Debug)]
pub(super) struct NotIsolated(pub(super) io::Error);

impl fmt::Display for NotIsolated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the kernel cannot be isolated: {}", self.0)
    }
}

impl StdError for NotIsolated {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rustix::io::Errno;

    use super::*;
    use crate::shortage::shortage;

    #[test]
    fn a_shortage_is_told_and_all_else_is_named() {
        let place = Path::new("/x");
        let wrapped = |error: io::Error| io::Error::new(error.kind(), NotIsolated(error));
        let no_files = wrapped(Errno::MFILE.into());
        assert_eq!(
            shortage(&no_files, place),
            shortage(&Errno::MFILE.into(), place)
        );
        let other = wrapped(io::Error::other("setns: no"));
        assert_eq!(shortage(&other, place), None);
        assert_eq!(
            other.to_string(),
            "the kernel cannot be isolated: setns: no"
        );
    }
}

//! What went wrong in a helper.

use std::io;
use std::path::Path;

/// What a helper could not do.
#[derive(Debug)]
pub(super) struct Failure(pub(super) String);

/// Says at which step an error happened.
pub(super) trait At<T> {
    fn at(self, step: &str) -> Result<T, Failure>;
    fn at_path(self, step: &str, path: &Path) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, step: &str) -> Result<T, Failure> {
        self.map_err(|error| failure(step, None, &error.into()))
    }

    fn at_path(self, step: &str, path: &Path) -> Result<T, Failure> {
        self.map_err(|error| failure(step, Some(path), &error.into()))
    }
}

/// Apart, so that it is not repeated for each kind of error.
#[cold]
#[inline(never)]
fn failure(step: &str, path: Option<&Path>, error: &io::Error) -> Failure {
    Failure(match path {
        Some(path) => format!("{step} {}: {error}", path.display()),
        None => format!("{step}: {error}"),
    })
}

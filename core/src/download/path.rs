//! Paths of files: as they are requested, and as archives name them.

use crate::error::BuildError;

/// Where files are, on the kernel's side.
const WORK_DIRECTORY: &str = "/home/work";

/// The longest path of an entry, in bytes: that of Linux.
const MAX_PATH: usize = 4096;

/// A path without empty and `.` parts, if it stays below the directory that it is put into, on the system that this is
/// compiled for. It is empty for that directory itself.
pub(super) fn below(path: &str) -> Result<String, &'static str> {
    below_on(path, cfg!(windows))
}

/// On Unix, backslashes and colons are parts of names.
fn below_on(path: &str, is_windows: bool) -> Result<String, &'static str> {
    if path.len() > MAX_PATH {
        return Err("is too long");
    }
    if path.contains('\0') {
        return Err("has a NUL character");
    }
    if is_windows && path.contains('\\') {
        return Err("has a backslash");
    }
    if path.starts_with('/') {
        return Err("is absolute");
    }
    let parts = || path.split('/').filter(|part| !matches!(*part, "" | "."));
    if parts().any(|part| part == "..") {
        return Err("leaves the directory");
    }
    // `C:` and `C:name` are somewhere else, and `name:x` is a hidden stream of `name`.
    if is_windows && path.contains(':') {
        return Err("has a colon");
    }
    Ok(parts().collect::<Vec<_>>().join("/"))
}

/// A file that is requested, by its path below the work directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Requested {
    /// The directory below the work directory; empty for that itself.
    pub(crate) directory: String,
    /// The last part, which is what an archive calls it.
    pub(crate) name: String,
}

impl Requested {
    /// Takes apart a path as the caller gave it: below the work directory, or absolute and in it.
    pub(crate) fn new(given: &str) -> Result<Self, BuildError> {
        let error = |reason| BuildError::FileName {
            name: given.to_owned(),
            reason,
        };
        let path = given
            .strip_prefix(WORK_DIRECTORY)
            .filter(|rest| rest.starts_with('/'))
            .map_or(given, |rest| rest.trim_start_matches('/'));
        let path = below(path).map_err(error)?;
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if name.is_empty() {
            return Err(error(match given {
                "" => "is empty",
                _ => "is the work directory itself: name files and directories in it",
            }));
        }
        Ok(Self {
            directory: directory.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The path of this entry of the file's archive; `None` if the entry is not of this file.
    pub(super) fn path_of(&self, entry: &str) -> Option<String> {
        let rest = entry.strip_prefix(&self.name)?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        Some(match self.directory.as_str() {
            "" => entry.to_owned(),
            directory => format!("{directory}/{entry}"),
        })
    }

    /// The whole path below the work directory.
    pub(super) fn path(&self) -> String {
        self.path_of(&self.name).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_below_is_kept_without_idle_parts() {
        for (path, expected) in [
            ("a", "a"),
            ("./a//b/./c/", "a/b/c"),
            ("", ""),
            ("./", ""),
            ("..a/b..", "..a/b.."),
            ("é/한", "é/한"),
        ] {
            for is_windows in [false, true] {
                assert_eq!(
                    below_on(path, is_windows).as_deref(),
                    Ok(expected),
                    "{path}"
                );
            }
        }
    }

    #[test]
    fn what_is_only_a_name_on_unix_is_rejected_on_windows() {
        for path in [
            "2026-01-01T10:00",
            "C:",
            "c:a",
            "a/C:b",
            "C:/a",
            "a\\b",
            "..\\a",
            "\\\\host\\share",
        ] {
            assert_eq!(below_on(path, false).as_deref(), Ok(path));
            assert!(below_on(path, true).is_err(), "{path}");
        }
        for path in ["C:/../..", "a\\b/../../c", "..\\/../.."] {
            assert!(below_on(path, false).is_err(), "{path}");
        }
    }

    #[test]
    fn what_may_leave_is_rejected() {
        let long = "a/".repeat(3000);
        for path in [
            "/",
            "/a",
            "//a",
            "..",
            "../a",
            "a/..",
            "a/../../b",
            "a/./../..",
            "a\0b",
            &long,
        ] {
            for is_windows in [false, true] {
                assert!(below_on(path, is_windows).is_err(), "{path}");
            }
        }
    }

    #[test]
    fn an_archive_holds_what_was_requested_under_its_last_part() {
        for given in [
            "a/b/c.txt",
            "/home/work/a/b/c.txt",
            "./a//b/./c.txt",
            "a/b/c.txt/",
        ] {
            let requested = Requested::new(given).unwrap();
            assert_eq!(requested.path(), "a/b/c.txt", "{given}");
            assert_eq!(requested.path_of("c.txt").unwrap(), "a/b/c.txt");
            assert_eq!(requested.path_of("c.txt/x").unwrap(), "a/b/c.txt/x");
            assert_eq!(requested.path_of("c.txt.bak"), None);
            assert_eq!(requested.path_of("d"), None);
            assert_eq!(requested.path_of("a/b/c.txt"), None);
        }
        assert_eq!(Requested::new("main.py").unwrap().path(), "main.py");
        for given in [
            "",
            ".",
            "/home/work",
            "/home/work/",
            "/etc/passwd",
            "../a",
            "/home/worker",
            "a/..",
        ] {
            let error = Requested::new(given).unwrap_err();
            assert!(matches!(error, BuildError::FileName { .. }), "{given}");
        }
    }
}

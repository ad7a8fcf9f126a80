//! Where this program is, for others that are to start it later.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{self, Path, PathBuf};

/// The path by which it was called, which may be a link that later releases keep; that of its file if this cannot be told.
pub(crate) fn own_path() -> io::Result<PathBuf> {
    let this = env::current_exe()?;
    let called = called(env::args_os().next(), env::var_os("PATH").as_deref(), &this);
    Ok(called.unwrap_or(this))
}

/// The path that a name stands for, if `this` is there. Who calls a program may give it any name.
fn called(name: Option<OsString>, path: Option<&OsStr>, this: &Path) -> Option<PathBuf> {
    let name = PathBuf::from(name?);
    let this = fs::canonicalize(this).ok()?;
    let is_this = |path: &PathBuf| fs::canonicalize(path).is_ok_and(|it| it == this);
    let given = if name.components().count() > 1 || name.is_absolute() {
        vec![name]
    } else {
        let places = env::split_paths(path?);
        places.map(|place| place.join(&name)).collect()
    };
    let absolute = |path: PathBuf| path::absolute(path).ok();
    given.into_iter().filter_map(absolute).find(is_this)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_is_kept_and_a_wrong_name_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        for made in ["opt", "bin", "other"] {
            fs::create_dir(at(made)).unwrap();
        }
        fs::write(at("opt/sorna"), "").unwrap();
        fs::write(at("other/sorna"), "").unwrap();
        symlink(at("opt/sorna"), at("bin/sorna")).unwrap();
        let this = at("opt/sorna");
        let search = env::join_paths([at("none"), at("other"), at("bin")]).unwrap();
        let found = |name: &OsStr| called(Some(name.to_owned()), Some(&search), &this);

        assert_eq!(found("sorna".as_ref()), Some(at("bin/sorna")));
        for path in ["bin/sorna", "opt/sorna"] {
            assert_eq!(found(at(path).as_os_str()), Some(at(path)));
        }
        for wrong in ["another", "", "/no/such"] {
            assert_eq!(found(wrong.as_ref()), None, "{wrong}");
        }
        assert_eq!(found(at("other/sorna").as_os_str()), None);
        assert_eq!(called(None, Some(&search), &this), None);
        assert_eq!(called(Some("sorna".into()), None, &this), None);
    }
}

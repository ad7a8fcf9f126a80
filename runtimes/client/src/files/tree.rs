//! Whole directories.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use ignore::WalkBuilder;
use sorna_core::UploadFile;

use super::{Base, FilesError};

/// Which files of a directory are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Skip {
    /// Hidden ones (whose name, or a directory's on the way, starts with a dot), and those that
    /// `.gitignore`, `.ignore` or `.sornaignore` names, in the directory, below or above it. All three
    /// have git's rules, whether or not there is a repository; what `.sornaignore` says counts most.
    #[default]
    HiddenAndIgnored,
    /// None.
    Nothing,
}

/// As [`relative_to`](super::relative_to), with all files below it in place of a directory, sorted by
/// name. A file that is named itself is always taken, and each file once, however often it is named.
///
/// Symbolic links are followed, unless they lead out of the base directory.
///
/// ```
/// use std::path::Path;
/// use sorna::files::{Skip, collect};
///
/// # let dir = tempfile::tempdir()?;
/// # let project = dir.path();
/// std::fs::write(project.join("main.c"), "int main(void) {}")?;
/// std::fs::write(project.join("main.o"), "...")?;
/// std::fs::write(project.join(".gitignore"), "*.o")?;
/// let files = collect(project, [project], Skip::HiddenAndIgnored)?;
/// assert_eq!(files.len(), 1);
/// assert_eq!(files[0].name(), "main.c");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// As there; [`FilesError::Empty`] for a directory in which all is left out,
/// [`FilesError::LinkOutside`] and [`FilesError::Loop`] for links that cannot be followed.
pub fn collect<P: AsRef<Path>>(
    base: &Path,
    paths: impl IntoIterator<Item = P>,
    skip: Skip,
) -> Result<Vec<UploadFile>, FilesError> {
    let base = Base::new(base)?;
    let mut files = Vec::new();
    let mut names = HashSet::new();
    let mut add = |file: UploadFile| {
        if names.insert(file.name().to_owned()) {
            files.push(file);
        }
    };
    for path in paths {
        let path = path.as_ref();
        if path.is_dir() {
            directory(&base, path, skip, &mut add)?;
        } else {
            add(base.file(path)?);
        }
    }
    Ok(files)
}

fn directory(
    base: &Base<'_>,
    path: &Path,
    skip: Skip,
    add: &mut impl FnMut(UploadFile),
) -> Result<(), FilesError> {
    // Where it leads out, that is better told of the directory than of each of its files.
    base.relative(path)?;
    let mut is_empty = true;
    for entry in walk(path, skip) {
        let entry = entry.map_err(|error| unreadable(path, error))?;
        let is_directory = entry.file_type().is_some_and(|kind| kind.is_dir());
        if is_directory && entry.path_is_symlink() {
            base.relative(entry.path())?;
        } else if !is_directory {
            add(base.file(entry.path())?);
            is_empty = false;
        }
    }
    if is_empty {
        return Err(FilesError::Empty(path.to_owned()));
    }
    Ok(())
}

fn walk(path: &Path, skip: Skip) -> ignore::Walk {
    let ignoring = skip == Skip::HiddenAndIgnored;
    let mut walk = WalkBuilder::new(path);
    walk.standard_filters(false)
        .hidden(ignoring)
        .parents(ignoring)
        .ignore(ignoring)
        .git_ignore(ignoring)
        .require_git(false)
        .follow_links(true)
        .sort_by_file_name(Ord::cmp);
    if ignoring {
        walk.add_custom_ignore_filename(".sornaignore");
    }
    walk.build()
}

fn unreadable(path: &Path, error: ignore::Error) -> FilesError {
    match error {
        ignore::Error::WithPath { path, err } => unreadable(&path, *err),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            unreadable(path, *err)
        }
        ignore::Error::Loop { child, .. } => FilesError::Loop(child),
        ignore::Error::Io(error) => FilesError::Unreadable(path.to_owned(), error),
        other => FilesError::Unreadable(path.to_owned(), io::Error::other(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        dir
    }

    fn names(base: &Path, paths: &[&str], skip: Skip) -> Vec<String> {
        let paths = paths.iter().map(|path| base.join(path));
        let files = collect(base, paths, skip).unwrap();
        files.iter().map(|file| file.name().to_owned()).collect()
    }

    #[test]
    fn hidden_and_ignored_files_are_left_out() {
        let tree = tree(&[
            (".gitignore", "*.o\n/build/\n!keep.o\n"),
            (".sornaignore", "data/*\n!data/small.csv\n"),
            (".hidden/a", ""),
            ("build/out", ""),
            ("data/big.csv", ""),
            ("data/small.csv", ""),
            ("src/.ignore", "notes.txt\n"),
            ("src/notes.txt", ""),
            ("src/b.c", ""),
            ("src/b.o", ""),
            ("src/build/x", ""),
            ("keep.o", ""),
        ]);
        let base = tree.path();
        let expected = ["data/small.csv", "keep.o", "src/b.c", "src/build/x"];
        assert_eq!(names(base, &["."], Skip::default()), expected);
        // The rules of the directories above count in those below, too.
        assert_eq!(
            names(base, &["src"], Skip::default()),
            ["src/b.c", "src/build/x"]
        );
        assert_eq!(names(base, &["."], Skip::Nothing).len(), 12);
        let error = collect(base, [base.join("build")], Skip::default());
        // What is named itself is taken, but what is in it is judged.
        assert_eq!(error.unwrap().len(), 1);
    }

    #[test]
    fn what_is_named_is_taken_whatever_is_ignored_and_once() {
        let tree = tree(&[(".gitignore", "*"), (".env", "x"), ("a/b.c", "")]);
        let base = tree.path();
        assert_eq!(
            names(base, &[".env", "a/b.c", "a/../a/b.c"], Skip::default()),
            [".env", "a/b.c"]
        );
        let error = collect(base, [base], Skip::default()).unwrap_err();
        assert!(matches!(&error, FilesError::Empty(_)), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_inside_the_base_alone() {
        use std::os::unix::fs::symlink;

        let tree = tree(&[("base/src/a.c", ""), ("outside/secret", "")]);
        let base = tree.path().join("base");
        symlink("src", base.join("alias")).unwrap();
        assert_eq!(
            names(&base, &["."], Skip::default()),
            ["alias/a.c", "src/a.c"]
        );
        for target in ["../outside", "../outside/secret"] {
            let link = base.join("out");
            symlink(target, &link).unwrap();
            let error = collect(&base, [&base], Skip::default()).unwrap_err();
            assert!(matches!(&error, FilesError::LinkOutside { .. }), "{error}");
            let error = collect(&base, [&link], Skip::default()).unwrap_err();
            assert!(matches!(&error, FilesError::LinkOutside { .. }), "{error}");
            std::fs::remove_file(link).unwrap();
        }
        symlink("..", base.join("src/up")).unwrap();
        let error = collect(&base, [&base], Skip::default()).unwrap_err();
        assert!(matches!(&error, FilesError::Loop(_)), "{error}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let tree = tree(&[]);
        let error = collect(tree.path(), [tree.path().join("no")], Skip::default()).unwrap_err();
        assert!(matches!(error, FilesError::Unreadable(..)));
    }
}

//! Whole directories.

use std::collections::HashSet;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

use sorna_core::UploadFile;

use super::ignored::Ignored;
use super::{Base, FilesError};

/// Which files of a directory are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Skip {
    /// Hidden ones (their name or that of a directory in their path starts with a dot), and those
    /// that a `.gitignore`, `.ignore` or `.sornaignore` names, in the directory, below or above it.
    /// All three follow git's rules, whether or not there is a repository; `.sornaignore` takes
    /// precedence.
    #[default]
    HiddenAndIgnored,
    /// None.
    Nothing,
}

/// As [`relative_to`](super::relative_to), but a directory stands for all files below it. Sorted by
/// name. A file that is named explicitly is never left out, and each file is listed once, however
/// often it is named.
///
/// Symbolic links are followed, unless they lead out of the base directory. Those in directories that lead to nothing are left
/// out, since there is nothing to upload: [`collect_noting`] tells which. Directories of which no file is listed are
/// [listed themselves](UploadFile::directory); on Unix, those of the others come after all files, for their modes.
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
/// As there; [`FilesError::Empty`] for a directory whose files are all left out,
/// [`FilesError::LinkOutside`] and [`FilesError::Loop`] for links that cannot be followed.
pub fn collect<P: AsRef<Path>>(
    base: &Path,
    paths: impl IntoIterator<Item = P>,
    skip: Skip,
) -> Result<Vec<UploadFile>, FilesError> {
    collect_noting(base, paths, skip, |_| {})
}

/// As [`collect`], and tells which symbolic links were left out since they lead to nothing.
///
/// # Errors
///
/// As [`collect`].
pub fn collect_noting<P: AsRef<Path>>(
    base: &Path,
    paths: impl IntoIterator<Item = P>,
    skip: Skip,
    mut left_out: impl FnMut(&Path),
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
            directory(&base, path, skip, &mut add, &mut left_out)?;
        } else {
            add(base.file(path)?);
        }
    }
    #[cfg(unix)]
    base.add_directories(&mut files);
    Ok(files)
}

fn directory(
    base: &Base<'_>,
    path: &Path,
    skip: Skip,
    add: &mut impl FnMut(UploadFile),
    left_out: &mut impl FnMut(&Path),
) -> Result<(), FilesError> {
    // A link that leads out is reported once for the directory, not for each of its files.
    base.relative(path)?;
    let unreadable = |error| FilesError::Unreadable(path.to_owned(), error);
    let real = path.canonicalize().map_err(unreadable)?;
    let ignored = match skip {
        Skip::HiddenAndIgnored => Some(Ignored::of(&real)?),
        Skip::Nothing => None,
    };
    let mut walk = Walk {
        base,
        ignored,
        way: vec![real],
        add,
        left_out,
        is_empty: true,
    };
    walk.through(path)?;
    if !walk.is_empty {
        return Ok(());
    }
    let is_left_out = has_entries(path).map_err(unreadable)?;
    match base.directory(path)?.filter(|_| !is_left_out) {
        Some(directory) => add(directory),
        None => return Err(FilesError::Empty(path.to_owned())),
    }
    Ok(())
}

fn leads_to_nothing(link: &Path) -> bool {
    let target = link.metadata();
    target.is_err_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        )
    })
}

fn has_entries(directory: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(directory)?.next().is_some())
}

/// The traversal of a directory.
struct Walk<'w, 'b, A, L> {
    base: &'w Base<'b>,
    /// The rules, unless nothing is left out.
    ignored: Option<Ignored>,
    /// The directories on the path to the current one, without links.
    way: Vec<PathBuf>,
    add: &'w mut A,
    /// Told of links that lead to nothing.
    left_out: &'w mut L,
    /// Whether nothing of the current directory was listed.
    is_empty: bool,
}

impl<A: FnMut(UploadFile), L: FnMut(&Path)> Walk<'_, '_, A, L> {
    fn through(&mut self, directory: &Path) -> Result<(), FilesError> {
        let unreadable = |error| FilesError::Unreadable(directory.to_owned(), error);
        let entries: io::Result<Vec<_>> = fs::read_dir(directory).map_err(unreadable)?.collect();
        let mut entries = entries.map_err(unreadable)?;
        entries.sort_by_cached_key(DirEntry::file_name);
        for entry in entries {
            self.entry(&entry)?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &DirEntry) -> Result<(), FilesError> {
        let (name, path) = (entry.file_name(), entry.path());
        let unreadable = |error| FilesError::Unreadable(path.clone(), error);
        let kind = entry.file_type().map_err(unreadable)?;
        let is_directory = kind.is_dir() || (kind.is_symlink() && path.is_dir());
        if let Some(ignored) = &self.ignored
            && ignored.has(&name, is_directory)
        {
            return Ok(());
        }
        if kind.is_symlink() && leads_to_nothing(&path) {
            (self.left_out)(&path);
            return Ok(());
        }
        if !is_directory {
            (self.add)(self.base.file(&path)?);
            self.is_empty = false;
            return Ok(());
        }
        let real = if kind.is_symlink() {
            self.base.relative(&path)?;
            path.canonicalize().map_err(unreadable)?
        } else {
            self.way
                .last()
                .map_or_else(|| path.clone(), |parent| parent.join(&name))
        };
        // Also where it leads above the directory in which the traversal began.
        if self.way.iter().any(|around| around.starts_with(&real)) {
            return Err(FilesError::Loop(path));
        }
        if let Some(ignored) = &mut self.ignored {
            ignored.enter(&name, &path)?;
        }
        self.way.push(real);
        self.is_empty = true;
        self.through(&path)?;
        if self.is_empty
            && let Some(directory) = self.base.directory(&path)?
        {
            (self.add)(directory);
        }
        self.is_empty = false;
        self.way.pop();
        if let Some(ignored) = &mut self.ignored {
            ignored.leave();
        }
        Ok(())
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

    /// The names without those of directories of which something else is listed.
    fn names(base: &Path, paths: &[&str], skip: Skip) -> Vec<String> {
        let paths = paths.iter().map(|path| base.join(path));
        let files = collect(base, paths, skip).unwrap();
        let has_more = |name: &str| {
            let below = format!("{name}/");
            files.iter().any(|file| file.name().starts_with(&below))
        };
        let names = files.iter().map(UploadFile::name);
        let names = names.filter(|name| !has_more(name));
        names.map(str::to_owned).collect()
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
        // The rules of a directory also apply in those below.
        assert_eq!(
            names(base, &["src"], Skip::default()),
            ["src/b.c", "src/build/x"]
        );
        assert_eq!(names(base, &["."], Skip::Nothing).len(), 12);
        // A directory that is named is taken, but the rules apply to its content.
        assert_eq!(names(base, &["build"], Skip::default()), ["build/out"]);
    }

    #[test]
    fn nearer_rules_and_sornaignore_win() {
        let tree = tree(&[
            (".gitignore", "*.far\n*.log\n"),
            (".ignore", "*.tmp\n"),
            ("project/.git/HEAD", ""),
            ("project/.gitignore", "*.o\n!.keep\n!a.tmp\n"),
            ("project/.sornaignore", "!src/b.o\n"),
            ("project/src/.gitignore", "!a.o\n*.o\n*.far\n!c.far"),
            ("project/.keep", ""),
            ("project/a.log", ""),
            ("project/a.tmp", ""),
            ("project/a.far", ""),
            ("project/src/a.o", ""),
            ("project/src/b.o", ""),
            ("project/src/c.far", ""),
            ("project/src/d.far", ""),
        ]);
        let project = tree.path().join("project");
        // Above the repository, `.ignore` applies and `.gitignore` does not.
        let expected = [".keep", "a.far", "a.log", "src/b.o", "src/c.far"];
        assert_eq!(names(&project, &["."], Skip::default()), expected);
    }

    #[cfg(unix)]
    #[test]
    fn modes_and_empty_directories_are_taken() {
        use std::os::unix::fs::PermissionsExt;

        let tree = tree(&[
            ("run.sh", ""),
            ("only/.keep", ""),
            (".gitignore", "ignored\n*.o"),
            ("objects/a.o", ""),
            ("ignored/x", ""),
            ("plain", ""),
            ("src/deep/a", ""),
        ]);
        let base = tree.path();
        for name in ["empty/deep", "private"] {
            std::fs::create_dir_all(base.join(name)).unwrap();
        }
        for (name, mode) in [
            ("run.sh", 0o755),
            ("plain", 0o640),
            ("private", 0o700),
            ("src/deep", 0o500),
            ("src", 0o775),
        ] {
            let permissions = PermissionsExt::from_mode(mode);
            std::fs::set_permissions(base.join(name), permissions).unwrap();
        }
        let files = collect(base, [base], Skip::default()).unwrap();
        let found: Vec<_> = files
            .iter()
            .map(|it| (it.name(), it.is_directory()))
            .collect();
        let expected = [
            ("empty/deep", true),
            ("objects", true),
            ("only", true),
            ("plain", false),
            ("private", true),
            ("run.sh", false),
            ("src/deep/a", false),
            ("empty", true),
            ("src", true),
            ("src/deep", true),
        ];
        assert_eq!(found, expected);
        let modes: Vec<_> = files.iter().filter_map(UploadFile::mode).collect();
        assert_eq!(modes[3..6], [0o640, 0o700, 0o755]);
        assert_eq!(modes[8..], [0o775, 0o500]);
        // Also those of a file that is named.
        let files = collect(base, [base.join("src/deep/a")], Skip::default()).unwrap();
        let found = files.iter().map(|it| (it.name(), it.is_directory()));
        let expected = [("src/deep/a", false), ("src", true), ("src/deep", true)];
        assert!(found.eq(expected), "{files:?}");
        // One that is named is taken as well, unless everything in it was left out.
        assert_eq!(names(base, &["private"], Skip::default()), ["private"]);
        let error = collect(base, [base.join("objects")], Skip::default()).unwrap_err();
        assert!(matches!(&error, FilesError::Empty(_)), "{error}");
        // The base itself has no name.
        let empty = base.join("empty/deep");
        let error = collect(&empty, [&empty], Skip::default()).unwrap_err();
        assert!(matches!(&error, FilesError::Empty(_)), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn unreadable_rules_are_reported() {
        let tree = tree(&[("src/a.c", "")]);
        let rules = tree.path().join("src/.gitignore");
        // Not even root can read a link to itself.
        std::os::unix::fs::symlink(".gitignore", &rules).unwrap();
        let error = collect(tree.path(), [tree.path()], Skip::default()).unwrap_err();
        assert!(
            matches!(&error, FilesError::Unreadable(path, _) if path.ends_with("src/.gitignore")),
            "{error}"
        );
    }

    #[test]
    fn named_files_are_taken_once_even_if_ignored() {
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
    fn links_are_followed_only_inside_the_base() {
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
        symlink("nowhere", base.join("dangling")).unwrap();
        symlink("../gone/too", base.join("src/gone")).unwrap();
        let left_out = |skip| {
            let mut left_out = Vec::new();
            let note = |link: &Path| left_out.push(link.strip_prefix(&base).unwrap().to_owned());
            let files = collect_noting(&base, [&base], skip, note).unwrap();
            assert_eq!(
                files
                    .iter()
                    .filter(|it| it.name().ends_with("/a.c"))
                    .count(),
                2
            );
            left_out
        };
        let all = ["alias/gone", "dangling", "src/gone"].map(PathBuf::from);
        assert_eq!(left_out(Skip::default()), all);
        // One that is named was meant.
        let error = collect(&base, [base.join("dangling")], Skip::default()).unwrap_err();
        assert!(matches!(&error, FilesError::Unreadable(..)), "{error}");
        std::fs::write(base.join(".ignore"), "dangling\ngone").unwrap();
        assert!(left_out(Skip::default()).is_empty());
        std::fs::remove_file(base.join(".ignore")).unwrap();
        std::fs::remove_file(base.join("src/gone")).unwrap();
        std::fs::remove_file(base.join("dangling")).unwrap();
        for target in ["..", "."] {
            let link = base.join("src/up");
            symlink(target, &link).unwrap();
            let error = collect(&base, [&base], Skip::default()).unwrap_err();
            assert!(matches!(&error, FilesError::Loop(_)), "{error}");
            std::fs::remove_file(link).unwrap();
        }
    }

    #[test]
    fn missing_files_are_named() {
        let tree = tree(&[]);
        let error = collect(tree.path(), [tree.path().join("no")], Skip::default()).unwrap_err();
        assert!(matches!(error, FilesError::Unreadable(..)));
    }
}

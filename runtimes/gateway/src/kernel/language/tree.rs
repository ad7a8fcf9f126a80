//! The tree of files that belongs to a program.

use std::path::{Path, PathBuf};

/// The tree that a program is installed in, with its libraries; only the program's own directory
/// where the tree would be a user's home.
pub(super) fn around(program: &Path) -> Vec<PathBuf> {
    let links_to = program.canonicalize().ok();
    let mut places: Vec<PathBuf> = [Some(program), links_to.as_deref()]
        .into_iter()
        .flatten()
        .filter_map(|program| {
            let bin = program.parent()?;
            let wide_first = [bin.parent(), Some(bin), Some(program)];
            let narrow = |place: &&Path| !is_personal(place);
            Some(wide_first.into_iter().flatten().find(narrow)?.to_owned())
        })
        .collect();
    places.dedup();
    places
}

/// Whether a directory is a user's home, holds homes, or is a large part of one.
pub(crate) fn is_personal(directory: &Path) -> bool {
    let own = std::env::home_dir();
    let homes = ["/", "/home", "/root"].map(Path::new);
    homes.contains(&directory)
        || directory.parent() == Some(Path::new("/home"))
        || directory.ends_with(".local")
        || own.is_some_and(|home| home.starts_with(directory))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn the_tree_of_a_program_never_includes_a_home() {
        assert_eq!(
            around(Path::new("/opt/tool/bin/x")),
            [Path::new("/opt/tool")]
        );
        assert_eq!(around(Path::new("/x/y")), [Path::new("/x")]);
        let home = std::env::home_dir().unwrap();
        assert_eq!(around(&home.join("bin/x")), [home.join("bin")]);
        assert_eq!(
            around(&home.join(".local/bin/x")),
            [home.join(".local/bin")]
        );
        assert_eq!(around(&home.join("x")), [home.join("x")]);
        assert_eq!(around(&home.join("venv/bin/x")), [home.join("venv")]);
        assert_eq!(
            around(Path::new("/home/al/bin/x")),
            [Path::new("/home/al/bin")]
        );
    }
}

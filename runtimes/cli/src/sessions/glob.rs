//! Patterns of files in a session, such as `*.png` and `out/**`.
//!
//! They are those of shells: `*` and `?` stand for characters of a name, `[a-z]` and `[!a-z]` for one of them, and `**` for
//! any number of directories. A name that begins with a dot is meant only by a pattern that does, too.

use sorna::{Error, FileInfo};

use crate::fetch::special;

/// How deep `**` looks.
const MAX_DEPTH: usize = 64;

/// What matches a pattern.
#[derive(Debug, Default)]
pub(super) struct Matches {
    /// Files and directories.
    pub(super) paths: Vec<String>,
    /// Symbolic links, named pipes and the like, and what they are. They are left out as those in directories are.
    pub(super) special: Vec<(String, &'static str)>,
}

/// Whether a path is a pattern.
pub(super) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// Finds what matches a pattern, by lists of directories.
///
/// # Errors
///
/// A list that cannot be had, other than because there is no such directory.
pub(super) fn find(
    pattern: &str,
    list: &mut impl FnMut(&str) -> Result<Vec<FileInfo>, Error>,
) -> Result<Matches, Error> {
    let parts: Vec<&str> = pattern
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let root = if pattern.starts_with('/') { "/" } else { "" };
    let mut found = Matches::default();
    walk(root, &parts, 0, list, &mut found)?;
    found.paths.sort();
    found.paths.dedup();
    Ok(found)
}

fn walk(
    directory: &str,
    parts: &[&str],
    depth: usize,
    list: &mut impl FnMut(&str) -> Result<Vec<FileInfo>, Error>,
    found: &mut Matches,
) -> Result<(), Error> {
    let Some((part, rest)) = parts.split_first() else {
        return Ok(());
    };
    if *part != "**" && !is_pattern(part) && !rest.is_empty() {
        return walk(&join(directory, part), rest, depth, list, found);
    }
    let place = if directory.is_empty() { "." } else { directory };
    let files = match list(place) {
        Ok(files) => files,
        // There is no such directory, or it is none.
        Err(error)
            if error
                .gateway()
                .is_some_and(|error| error.status().is_success()) =>
        {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    // What a last `**` means is all that is there; before others, it may also be no directory.
    if *part == "**" && !rest.is_empty() {
        pick(directory, &files, rest, depth, list, found)?;
        for file in files.iter().filter(|file| file.is_directory()) {
            if depth < MAX_DEPTH && !file.name.starts_with('.') {
                walk(&join(directory, &file.name), parts, depth + 1, list, found)?;
            }
        }
        return Ok(());
    }
    pick(directory, &files, parts, depth, list, found)
}

/// Goes on with those of a directory's files that match the first part.
fn pick(
    directory: &str,
    files: &[FileInfo],
    parts: &[&str],
    depth: usize,
    list: &mut impl FnMut(&str) -> Result<Vec<FileInfo>, Error>,
    found: &mut Matches,
) -> Result<(), Error> {
    let Some((part, rest)) = parts.split_first() else {
        return Ok(());
    };
    if *part == "**" && !rest.is_empty() {
        return walk(directory, parts, depth, list, found);
    }
    for file in files {
        // A name may have such characters itself.
        let is_meant = file.name == *part || *part == "**" || matches(part, &file.name);
        if !is_meant {
            continue;
        }
        let path = join(directory, &file.name);
        if !rest.is_empty() {
            if file.is_directory() {
                walk(&path, rest, depth, list, found)?;
            }
        } else if let Some(kind) = special(&file.mode) {
            found.special.push((path, kind));
        } else {
            found.paths.push(path);
        }
    }
    Ok(())
}

fn join(directory: &str, name: &str) -> String {
    match directory {
        "" => name.to_owned(),
        "/" => format!("/{name}"),
        directory => format!("{directory}/{name}"),
    }
}

/// Whether a name matches a part of a pattern.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut of) = (0, 0);
    // Where the last `*` is, and what it would stand for next.
    let mut star = None;
    while of < name.len() {
        let (is_one, length) = match pattern.get(at) {
            Some('*') => {
                star = Some((at, of));
                at += 1;
                continue;
            }
            Some('?') => (true, 1),
            Some('[') => class(&pattern[at..], name[of]).unwrap_or((name[of] == '[', 1)),
            Some(char) => (*char == name[of], 1),
            None => (false, 0),
        };
        if is_one {
            (at, of) = (at + length, of + 1);
        } else if let Some((before, stood)) = star {
            star = Some((before, stood + 1));
            (at, of) = (before + 1, stood + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|char| *char == '*')
}

/// Whether a character is one of those in brackets, and how long these are; `None` if they are not closed.
fn class(pattern: &[char], char: char) -> Option<(bool, usize)> {
    let is_other = matches!(pattern.get(1), Some('!' | '^'));
    let first = if is_other { 2 } else { 1 };
    // A bracket that comes first is one of the characters.
    let length = pattern
        .iter()
        .skip(first + 1)
        .position(|char| *char == ']')?
        + 1;
    let set = &pattern[first..first + length];
    let mut at = 0;
    let mut is_in = false;
    while at < set.len() {
        if set.get(at + 1) == Some(&'-') && at + 2 < set.len() {
            is_in |= (set[at]..=set[at + 2]).contains(&char);
            at += 3;
        } else {
            is_in |= set[at] == char;
            at += 1;
        }
    }
    Some((is_in != is_other, first + length + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_shells() {
        for (pattern, yes, no) in [
            (
                "*.png",
                &["a.png", "a.b.png", "é.png"][..],
                &["a.jpg", ".png", ".a.png", "png"][..],
            ),
            ("*", &["a", "a b"], &[".a"]),
            (".*", &[".a"], &["a"]),
            ("a?c", &["abc", "aéc"], &["ac", "abbc"]),
            ("a*b*c", &["abc", "axxbyybzc"], &["acb", "ab"]),
            ("[a-c]1", &["a1", "c1"], &["d1", "a2", "-1"]),
            ("[!a-c]1", &["d1"], &["a1"]),
            ("[]x]", &["]", "x"], &["y"]),
            ("[a-]", &["a", "-"], &["b"]),
            ("a[1", &["a[1"], &["a1"]),
            ("**", &["a"], &[".a"]),
        ] {
            for name in yes {
                assert!(matches(pattern, name), "{pattern} {name}");
            }
            for name in no {
                assert!(!matches(pattern, name), "{pattern} {name}");
            }
        }
    }

    /// What matches among these files; links end with `@`.
    fn found(pattern: &str, files: &[&str]) -> (Vec<String>, Vec<String>) {
        let mut list = |directory: &str| {
            let prefix = match directory {
                "." => String::new(),
                directory => format!("{directory}/"),
            };
            let mut names = Vec::new();
            for rest in files.iter().filter_map(|file| file.strip_prefix(&prefix)) {
                let (name, mode) = match rest.split_once('/') {
                    Some((name, _)) => (name, "drwxr-xr-x"),
                    None => match rest.strip_suffix('@') {
                        Some(name) => (name, "lrwxrwxrwx"),
                        None => (rest, "-rw-r--r--"),
                    },
                };
                let mut info = FileInfo::default();
                (info.name, info.mode) = (name.to_owned(), mode.to_owned());
                if !names.contains(&info) {
                    names.push(info);
                }
            }
            Ok(names)
        };
        let found = find(pattern, &mut list).unwrap();
        let special = found.special.into_iter().map(|(path, _)| path);
        (found.paths, special.collect())
    }

    #[test]
    fn directories_are_looked_into_where_the_pattern_says_so() {
        let files = [
            "a.png",
            "b.txt",
            "l.png@",
            "out/c.png",
            "out/deep/d.png",
            "out/deep/e.txt",
            "out/.h",
            "[x].png",
        ];
        for (pattern, paths) in [
            ("*.png", &["[x].png", "a.png"][..]),
            ("./*.txt", &["b.txt"]),
            ("out/*", &["out/c.png", "out/deep"]),
            ("out/**", &["out/.h", "out/c.png", "out/deep"]),
            ("**", &["[x].png", "a.png", "b.txt", "out"]),
            (
                "**/*.png",
                &["[x].png", "a.png", "out/c.png", "out/deep/d.png"],
            ),
            ("out/**/*.png", &["out/c.png", "out/deep/d.png"]),
            ("**/deep/*", &["out/deep/d.png", "out/deep/e.txt"]),
            ("**/**/e.*", &["out/deep/e.txt"]),
            ("*/c.png", &["out/c.png"]),
            ("*t/deep/?.txt", &["out/deep/e.txt"]),
            ("[x].png", &["[x].png"]),
            ("none/*", &[]),
            ("*.none", &[]),
            ("b.txt/*", &[]),
        ] {
            assert_eq!(found(pattern, &files).0, paths, "{pattern}");
        }
        assert_eq!(found("*.png", &files).1, ["l.png"]);
    }
}

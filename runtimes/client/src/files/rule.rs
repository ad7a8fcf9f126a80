//! One line of a `.gitignore`, according to <https://git-scm.com/docs/gitignore>.

use fast_glob::glob_match;

/// Which files and directories a line matches, and whether it keeps them.
#[derive(Debug)]
pub(super) struct Rule {
    /// In the notation of `fast_glob`.
    glob: Vec<u8>,
    /// Whether it brings back what an earlier line left out.
    keeps: bool,
    directories_only: bool,
    /// Whether it is compared with the path below the file's directory, and not only with the name.
    of_path: bool,
}

impl Rule {
    /// All rules of a file. Lines that git does not understand have no effect, as in git.
    pub(super) fn all(file: &[u8]) -> Vec<Self> {
        let file = file.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file);
        let lines = file.split(|byte| *byte == b'\n');
        lines.filter_map(Self::of_line).collect()
    }

    fn of_line(line: &[u8]) -> Option<Self> {
        let line = trim_end(line.strip_suffix(b"\r").unwrap_or(line));
        if line.starts_with(b"#") {
            return None;
        }
        let (keeps, line) = match line.strip_prefix(b"!") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let (directories_only, line) = match line.strip_suffix(b"/") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let of_path = line.contains(&b'/');
        let line = line.strip_prefix(b"/").unwrap_or(line);
        if line.is_empty() {
            return None;
        }
        Some(Self {
            glob: translate(line)?,
            keeps,
            directories_only,
            of_path,
        })
    }

    /// Whether to keep the file or directory, if the line matches it. The path is relative to the
    /// directory of the line's file, with `/` between its parts.
    pub(super) fn verdict(&self, path: &[u8], is_directory: bool) -> Option<bool> {
        if self.directories_only && !is_directory {
            return None;
        }
        let subject = if self.of_path {
            path
        } else {
            path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
        };
        glob_match(&self.glob, subject).then_some(self.keeps)
    }
}

/// Removes spaces at the end, except one after a backslash.
fn trim_end(mut line: &[u8]) -> &[u8] {
    while let Some(rest) = line.strip_suffix(b" ") {
        let backslashes = rest.iter().rev().take_while(|byte| **byte == b'\\').count();
        if backslashes % 2 == 1 {
            break;
        }
        line = rest;
    }
    line
}

/// Translates git's notation, which has no braces, no negation at this place, and other escapes.
fn translate(pattern: &[u8]) -> Option<Vec<u8>> {
    let mut glob = Vec::with_capacity(pattern.len() + 2);
    let mut rest = pattern;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\\' => {
                let (&escaped, after) = rest.split_first()?;
                literal(&mut glob, escaped);
                rest = after;
            }
            b'*' => {
                let begins = matches!(glob.last(), None | Some(b'/'));
                let stars = 1 + rest.iter().take_while(|byte| **byte == b'*').count();
                rest = &rest[stars - 1..];
                let whole_part = begins && matches!(rest.first(), None | Some(b'/'));
                let stars: &[u8] = if stars > 1 && whole_part { b"**" } else { b"*" };
                glob.extend_from_slice(stars);
            }
            b'[' => rest = class(&mut glob, rest)?,
            b'?' => glob.push(b'?'),
            other => literal(&mut glob, other),
        }
    }
    Some(glob)
}

fn literal(glob: &mut Vec<u8>, byte: u8) {
    // A letter after a backslash could be a control character, and `/` is not part of a name.
    if byte.is_ascii_punctuation() && byte != b'/' {
        glob.push(b'\\');
    }
    glob.push(byte);
}

/// The content of brackets, and the rest after them.
fn class<'p>(glob: &mut Vec<u8>, pattern: &'p [u8]) -> Option<&'p [u8]> {
    glob.push(b'[');
    let mut rest = pattern;
    if let [b'!' | b'^', after @ ..] = rest {
        glob.push(b'^');
        rest = after;
    }
    let mut is_first = true;
    loop {
        if let [b']', after @ ..] = rest
            && !is_first
        {
            glob.push(b']');
            return Some(after);
        }
        is_first = false;
        if let Some((name, after)) = class_name(rest) {
            glob.extend_from_slice(named_class(name)?);
            rest = after;
            continue;
        }
        let (low, after) = member(rest)?;
        rest = after;
        literal(glob, low);
        if let [b'-', after @ ..] = rest
            && after.first() != Some(&b']')
        {
            let (high, after) = member(after)?;
            rest = after;
            // The range from `b` to `a` has only `b`.
            if high > low {
                glob.push(b'-');
                literal(glob, high);
            }
        }
    }
}

fn member(pattern: &[u8]) -> Option<(u8, &[u8])> {
    match pattern {
        [b'\\', byte, rest @ ..] => Some((*byte, rest)),
        [b'\\'] | [] => None,
        [byte, rest @ ..] => Some((*byte, rest)),
    }
}

/// The name in `[:alpha:]`, and the rest after it.
fn class_name(pattern: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = pattern.strip_prefix(b"[:")?;
    let end = inner.iter().position(|byte| *byte == b']')?;
    Some((inner[..end].strip_suffix(b":")?, &inner[end + 1..]))
}

fn named_class(name: &[u8]) -> Option<&'static [u8]> {
    Some(match name {
        b"alnum" => b"0-9A-Za-z",
        b"alpha" => b"A-Za-z",
        b"blank" => b" \t",
        b"cntrl" => b"\x00-\x1F\x7F",
        b"digit" => b"0-9",
        b"graph" => b"\\!-\\~",
        b"lower" => b"a-z",
        b"print" => b" -\\~",
        b"punct" => b"\\!-\\/\\:-\\@\\[-\\`\\{-\\~",
        b"space" => b" \t\n\x0B\x0C\r",
        b"upper" => b"A-Z",
        b"xdigit" => b"0-9A-Fa-f",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Results of git 2.47 (`git check-ignore --no-index`): lines, paths that they leave out (a
    /// directory ends in `/`), and paths that they do not.
    const CASES: &[(&str, &[&str], &[&str])] = &[
        ("*.o", &["a.o", "src/a.o", ".o", "x.o/"], &["a.os", "ao"]),
        (
            "build",
            &["build", "build/", "src/build"],
            &["builds", "a.build"],
        ),
        ("build/", &["build/", "src/build/"], &["build", "src/build"]),
        ("/build", &["build", "build/"], &["src/build"]),
        ("a/b", &["a/b", "a/b/"], &["b", "x/a/b", "a/x/b"]),
        ("a/*", &["a/b", "a/.b"], &["a", "x/a/b"]),
        ("a/*c", &["a/bc"], &["a/b/c"]),
        ("**/b", &["b", "a/b", "a/c/b"], &["ab"]),
        ("a/**", &["a/b", "a/b/c"], &["a", "a/", "b/a/c"]),
        ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["b", "ab", "a/xb"]),
        ("a/***/b", &["a/b", "a/x/y/b"], &["ab"]),
        ("a**b", &["ab", "axxb", "x/ab"], &["a/b"]),
        ("a/x**y", &["a/xy", "a/xzy"], &["a/x/y"]),
        ("**", &["a", "a/b"], &[]),
        ("a?c", &["abc", "x/abc"], &["ac", "abbc", "a/c"]),
        ("[a-c]x", &["ax", "cx"], &["dx", "x", "-x"]),
        ("[!a-c]x", &["dx", "-x"], &["ax", "x"]),
        ("[^a]x", &["bx"], &["ax"]),
        ("[]-]x", &["]x", "-x"], &["x", "ax"]),
        ("[a-]x", &["ax", "-x"], &["bx"]),
        ("[\\]a]x", &["]x", "ax"], &["\\x"]),
        ("[[:digit:]_]x", &["1x", "_x"], &["ax", ":x", "dx"]),
        ("[[:punct:]]x", &["!x", "~x", "[x", ":x"], &["ax", " x"]),
        ("[[:a]x", &["[x", ":x", "ax"], &["x"]),
        ("[b-a]x", &["bx"], &["ax", "-x"]),
        ("[[:digits:]]x", &[], &["1x", "[x", ":x"]),
        ("[a", &[], &["[a", "a"]),
        ("{a,b}", &["{a,b}"], &["a", "b"]),
        ("a\\*b", &["a*b"], &["axb", "a\\*b"]),
        ("\\n", &["n"], &["\\n", "\n"]),
        ("a\\", &[], &["a", "a\\"]),
        ("\\#a", &["#a"], &["\\#a"]),
        ("\\!a", &["!a"], &["a"]),
        ("# a", &[], &["# a", "a"]),
        ("a  ", &["a"], &["a  "]),
        ("a\\ ", &["a "], &["a", "a\\"]),
        ("a\\\\ ", &["a\\"], &["a\\ "]),
        ("a\r\nb", &["a", "b"], &["a\r"]),
        ("\u{FEFF}a", &["a"], &["\u{FEFF}a"]),
        ("/", &[], &["a", "a/"]),
        ("\n\n", &[], &["a"]),
        ("ä?", &["ä1"], &["a1"]),
        ("*\n!*.c", &["a.h", "x/a.h"], &["a.c"]),
        ("!a\na", &["a"], &[]),
        ("!!a\n", &[], &["a", "!a"]),
        ("*\n!!a", &["a", "b"], &["!a"]),
    ];

    #[test]
    fn lines_match_the_same_paths_as_in_git() {
        for (lines, ignored, not_ignored) in CASES {
            let rules = Rule::all(lines.as_bytes());
            let is_ignored = |path: &str| {
                let (path, is_directory) = match path.strip_suffix('/') {
                    Some(path) => (path, true),
                    None => (path, false),
                };
                let verdicts = rules.iter().rev();
                verdicts
                    .filter_map(|rule| rule.verdict(path.as_bytes(), is_directory))
                    .next()
                    == Some(false)
            };
            for path in *ignored {
                assert!(is_ignored(path), "{lines:?} leaves out {path:?}: {rules:?}");
            }
            for path in *not_ignored {
                assert!(
                    !is_ignored(path),
                    "{lines:?} does not leave out {path:?}: {rules:?}"
                );
            }
        }
    }
}

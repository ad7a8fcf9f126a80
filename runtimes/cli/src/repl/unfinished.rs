//! Whether what was typed is only the beginning of something, so that Enter starts another line.
//!
//! Judged by the text alone, and only as far as that is safe: brackets, quotes, blocks. For other languages there is a key
//! that starts a line (see `%help`), and pasted lines stay together anyway.

mod shell;

use super::language::{PYTHON, Signs, Syntax};

/// Whether more is to come.
pub(super) fn is_unfinished(code: &str, syntax: Syntax) -> bool {
    match syntax {
        Syntax::Python => python(code),
        // Where the text alone does not say everything, an empty line is always the end.
        _ if last_line(code).trim().is_empty() => false,
        Syntax::Shell => shell::is_unfinished(code),
        Syntax::Brackets(signs) => scan(code, signs).is_open(),
        Syntax::Backslash => code.ends_with('\\'),
        Syntax::Other => false,
    }
}

/// How the text ends.
#[derive(Debug, Default)]
struct End {
    /// How many brackets are open.
    depth: usize,
    /// Within a string or a comment that may go on.
    is_inside: bool,
    /// After a backslash.
    is_escaped: bool,
    /// Where the last line of code begins, which may be several lines of text.
    line: usize,
    /// The last character that is neither space nor comment.
    last: char,
}

impl End {
    fn is_open(&self) -> bool {
        self.depth > 0 || self.is_inside || self.is_escaped
    }
}

/// As the prompt of python does it: a block ends by an empty line.
fn python(code: &str) -> bool {
    let end = scan(code, PYTHON);
    let line = &code[end.line..];
    let is_blank = last_line(code).trim().is_empty();
    let is_in_block = end.line > 0 && line.starts_with([' ', '\t']);
    end.is_open() || !is_blank && (is_in_block || end.last == ':' || line.starts_with('@'))
}

fn last_line(code: &str) -> &str {
    code.rsplit('\n').next().unwrap_or_default()
}

fn scan(code: &str, signs: Signs) -> End {
    let mut end = End::default();
    let mut rest = code;
    while let Some(next) = rest.chars().next() {
        end.is_escaped = false;
        let is_triple = signs.triple.contains(next)
            && rest.chars().take(3).filter(|one| *one == next).count() == 3;
        let after = if signs.comments.iter().any(|it| rest.starts_with(it)) {
            rest.find('\n').map(|at| &rest[at..])
        } else if signs.has_blocks && rest.starts_with("/*") {
            let after = rest[2..].find("*/").map(|at| &rest[at + 4..]);
            end.is_inside |= after.is_none();
            after
        } else if is_triple {
            let mark = &rest[..3 * next.len_utf8()];
            let after = after_string(&rest[mark.len()..], mark, true);
            end.is_inside |= after.is_none();
            end.last = next;
            after
        } else if signs.long.contains(next) || signs.short.contains(next) {
            let mark = &rest[..next.len_utf8()];
            let is_long = signs.long.contains(next);
            let after = after_string(&rest[mark.len()..], mark, is_long);
            end.is_inside |= after.is_none() && is_long;
            end.last = next;
            after
        } else {
            match next {
                '(' | '[' | '{' => end.depth += 1,
                ')' | ']' | '}' => end.depth = end.depth.saturating_sub(1),
                _ => {}
            }
            let mut after = &rest[next.len_utf8()..];
            if next == '\\' {
                end.is_escaped = after.is_empty();
                // The line goes on in the next one.
                after = after.strip_prefix('\n').unwrap_or(after);
            } else if next == '\n' && end.depth == 0 {
                end.line = code.len() - after.len();
            }
            if !next.is_whitespace() {
                end.last = next;
            }
            Some(after)
        };
        rest = after.unwrap_or_default();
    }
    end
}

/// What follows a string, from its first character on; `None` if it does not end.
fn after_string<'t>(text: &'t str, mark: &str, is_long: bool) -> Option<&'t str> {
    let mut rest = text;
    loop {
        if let Some(after) = rest.strip_prefix(mark) {
            return Some(after);
        }
        let mut characters = rest.chars();
        match characters.next()? {
            '\\' => drop(characters.next()),
            // A mistake, which the language reports.
            '\n' if !is_long => return Some(rest),
            _ => {}
        }
        rest = characters.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lang: &str, unfinished: &[&str], finished: &[&str]) {
        let syntax = Syntax::of(lang);
        for code in unfinished {
            assert!(is_unfinished(code, syntax), "{lang}: {code:?}");
        }
        for code in finished {
            assert!(!is_unfinished(code, syntax), "{lang}: {code:?}");
        }
    }

    #[test]
    fn python_blocks_end_by_an_empty_line() {
        check(
            "python3",
            &[
                "def f():",
                "def f():\n    return 1",
                "if x: # why",
                "if x:\n    pass\nelse:",
                "@cache",
                "f(1,",
                "x = [\n",
                "'''a\n",
                "\"\"\"it's",
                "x = 1 + \\",
                "{'a': '}',\n\n",
            ],
            &[
                "x = 1",
                "def f():\n    return 1\n",
                "def f():\n    return 1\nf()",
                "if x: pass",
                "x = {1: 2}",
                "'it''s'",
                "'unclosed",
                "'a:'",
                "x # then:",
                "x = [\n  1]",
                "'''a\n  b'''",
                "x = 1 + \\\n  2",
                "f(']')",
                ")",
                "",
            ],
        );
    }

    #[test]
    fn brackets_and_quotes_of_other_languages() {
        check(
            "nodejs",
            &["f(", "() => {", "`a\n${b}", "/* a", "[1, // ]"],
            &["f('(')", "{}", "`a`", "/* ( */", "'unclosed", "f(\n\n"],
        );
        check("r", &["f(x", "'a\nb"], &["f(x) # (", "x <- 'it'"]);
        check(
            "cr.backend.ai/stable/php:8.3",
            &["f(", "'a\nb"],
            &["f(); // ("],
        );
    }

    #[test]
    fn other_languages_go_on_by_a_backslash_or_not_at_all() {
        check("ruby", &["1 + \\"], &["1 +", "f("]);
        check("cobol", &[], &["x \\", "f(", "'"]);
    }
}

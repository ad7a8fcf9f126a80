//! The same for python.

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
pub(super) fn is_unfinished(code: &str) -> bool {
    let end = scan(code);
    let line = &code[end.line..];
    let is_blank = code
        .rsplit('\n')
        .next()
        .is_none_or(|line| line.trim().is_empty());
    let is_in_block = end.line > 0 && line.starts_with([' ', '\t']);
    end.is_open() || !is_blank && (is_in_block || end.last == ':' || line.starts_with('@'))
}

fn scan(code: &str) -> End {
    let mut end = End::default();
    let mut rest = code;
    while let Some(next) = rest.chars().next() {
        end.is_escaped = false;
        let is_triple =
            "'\"".contains(next) && rest.chars().take(3).filter(|one| *one == next).count() == 3;
        let after = if next == '#' {
            rest.find('\n').map(|at| &rest[at..])
        } else if is_triple {
            let mark = &rest[..3 * next.len_utf8()];
            let after = after_string(&rest[mark.len()..], mark, true);
            end.is_inside |= after.is_none();
            end.last = next;
            after
        } else if matches!(next, '\'' | '"') {
            let mark = &rest[..next.len_utf8()];
            end.last = next;
            let after = after_string(&rest[mark.len()..], mark, false);
            end.is_inside |= after.is_none() && rest.ends_with('\\');
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

//! Completion in bash: the word at the cursor, as it was typed and as the shell takes it, and what may be put in its place.

use super::shell::{apart, quoted};
use crate::completion::Cursor;

/// Where the cursor is.
#[derive(Debug, PartialEq, Eq)]
enum Place<'l> {
    /// In the name of a variable, and whether a brace is to be put after it.
    Variable { name: &'l str, ends: Option<bool> },
    /// In a word.
    Word(Word<'l>),
    /// Where nothing is known.
    Nowhere,
}

/// A word, or its beginning.
#[derive(Debug, PartialEq, Eq)]
struct Word<'l> {
    /// As it was typed, with quotes and backslashes.
    typed: &'l str,
    /// What it stands for.
    literal: String,
    /// The quote that is open at its end.
    quote: Option<char>,
    /// Whether a command may stand there.
    is_first: bool,
}

/// Code that prints what is needed for so many candidates at a place: files with a tab before, directories also with a slash after.
pub(super) fn question(cursor: &Cursor<'_>, most: usize) -> Option<String> {
    let action = match Place::of(cursor) {
        Place::Variable { name, ends } => {
            let how = match ends {
                Some(true) => "-S '}'",
                Some(false) => "",
                None => "-P '$'",
            };
            format!("compgen -v {how} -- {}", quoted(name))
        }
        Place::Word(word) if word.may_be_named() => {
            let commands = format!("compgen -abck -A function -- {}", quoted(&word.literal));
            format!("{{ {commands}; {}; }}", word.files())
        }
        Place::Word(word) => word.files(),
        Place::Nowhere => return None,
    };
    Some(apart(&format!("{action} | sort -u | head -n {most}")))
}

/// The candidates, of what that has printed: words that the shell takes as what they name, also with spaces and the like.
pub(super) fn candidates(cursor: &Cursor<'_>, found: &str) -> Vec<String> {
    let is_shown = |line: &&str| !line.trim_start_matches('\t').contains(char::is_control);
    let found = found.lines().filter(is_shown);
    match Place::of(cursor) {
        Place::Variable { .. } => found.map(str::to_owned).collect(),
        Place::Word(word) => {
            let quotes = cursor.rest_of_line().matches(|c| Some(c) == word.quote);
            let is_closed = quotes.count() % 2 == 1;
            let is_plain = |name: &str| !name.contains('/') && !name.contains(must_be_quoted);
            let of = |line: &str| match line.strip_prefix('\t') {
                Some(path) => word.completed(path, is_closed),
                // Commands with odd names are files, too.
                None => is_plain(line).then(|| line.to_owned()),
            };
            let (mut files, mut others) = (Vec::new(), Vec::new());
            for line in found {
                let kind = if line.starts_with('\t') {
                    &mut files
                } else {
                    &mut others
                };
                kind.extend(of(line));
            }
            others.extend(files);
            others
        }
        Place::Nowhere => Vec::new(),
    }
}

impl Word<'_> {
    /// Whether it may be the name of a command, as it is.
    fn may_be_named(&self) -> bool {
        self.is_first && self.quote.is_none() && self.typed == self.literal
    }

    /// Code that prints the files that begin with it.
    fn files(&self) -> String {
        let (home, rest) = self.home();
        let rest = quoted(rest);
        // In a pipe, so that it changes nothing for what follows.
        format!(
            "{{ set +f; shopt -s nullglob dotglob; shopt -u failglob nocaseglob; unset GLOBIGNORE; home={home}; \
             for it in \"$home\"{rest}*; do [[ $it != *$'\\n'* ]] || continue; [[ -d $it ]] && end=/ || end=; printf '\\t%s\\n' {home_name}\"${{it#\"$home\"}}$end\"; done; }}",
            home_name = quoted(home),
        )
    }

    /// Its beginning that is a home directory, as `~` and `~me` are, and the rest.
    fn home(&self) -> (&str, &str) {
        let end = self.literal.find('/').unwrap_or(0);
        let (home, rest) = self.literal.split_at(end);
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let name = home
            .strip_prefix('~')
            .filter(|name| name.chars().all(is_name));
        match name.is_some() && self.typed.starts_with(home) {
            true => (home, rest),
            false => ("", &self.literal),
        }
    }

    /// It with the rest of a path, as the shell is to read that.
    fn completed(&self, path: &str, is_closed: bool) -> Option<String> {
        let rest = path.strip_prefix(&*self.literal)?;
        let mut text = self.typed.to_owned();
        for c in rest.chars() {
            match self.quote {
                Some('\'') if c == '\'' => text += r"'\'",
                Some('"') if matches!(c, '"' | '$' | '`' | '\\') => text.push('\\'),
                None if must_be_quoted(c) => text.push('\\'),
                _ => {}
            }
            text.push(c);
        }
        // A directory goes on.
        let quote = self.quote.filter(|_| !is_closed && !path.ends_with('/'));
        text.extend(quote);
        Some(text)
    }
}

/// Whether a character means something to a shell, or ends a word here.
fn must_be_quoted(c: char) -> bool {
    c.is_whitespace() || "|&;()<>\\\"'`$*?[]{}!#~=^".contains(c)
}

/// What encloses a part of the code in which words are on their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Around {
    Nothing,
    /// `$( )`, which is a part of a word.
    Substitution,
    Brackets,
    Backquotes,
}

/// The word that is read.
struct Reading {
    around: Around,
    start: usize,
    literal: String,
    /// Whether it stands for itself: it has no variables or patterns.
    is_literal: bool,
    quote: Option<char>,
}

impl Reading {
    fn new(around: Around, start: usize) -> Self {
        let literal = String::new();
        Self {
            around,
            start,
            literal,
            is_literal: true,
            quote: None,
        }
    }
}

impl<'l> Place<'l> {
    fn of(cursor: &Cursor<'l>) -> Self {
        let line = cursor.line();
        let word = last_word(line);
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let before = line.trim_end_matches(is_part);
        let name = &line[before.len()..];
        let is_meant = |before: &str| {
            let escapes = before.len() - before.trim_end_matches('\\').len();
            word.quote != Some('\'') && escapes.is_multiple_of(2)
        };
        if let Some(before) = before.strip_suffix("${")
            && is_meant(before)
        {
            let rest = cursor.rest_of_line().trim_start_matches(is_part);
            let end = rest.find(|c: char| c == '}' || c == '{' || c.is_whitespace());
            let has_end = rest.starts_with([':', '-', '+', '?', '%', '#', ',', '^', '@', '['])
                || end.is_some_and(|at| rest[at..].starts_with('}'));
            let ends = Some(!has_end);
            return Self::Variable { name, ends };
        }
        if before.strip_suffix('$').is_some_and(is_meant) {
            return Self::Variable { name, ends: None };
        }
        let typed = &line[word.start..];
        if typed.is_empty() || !word.is_literal {
            return Self::Nowhere;
        }
        let before = line[..word.start].trim_end();
        let last = before.rsplit([' ', '\t', ';']).next();
        let is_first = before.is_empty()
            || before.ends_with(['|', '&', ';', '(', '{', '`'])
            || last.is_some_and(|it| {
                matches!(
                    it,
                    "then" | "else" | "elif" | "do" | "if" | "while" | "until" | "!"
                )
            });
        Self::Word(Word {
            typed,
            literal: word.literal,
            quote: word.quote,
            is_first,
        })
    }
}

/// The word at the end of a line.
fn last_word(line: &str) -> Reading {
    let mut outer = Vec::new();
    let mut word = Reading::new(Around::Nothing, 0);
    let mut rest = line.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let next = rest.peek().map(|(_, next)| *next);
        let after = at + c.len_utf8();
        match (word.quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => word.quote = None,
            (Some('\''), _) => word.literal.push(c),
            (None, '\'' | '"') => word.quote = Some(c),
            (quote, '\\') => match next {
                // It stands for itself in quotes, before most characters.
                Some(next) => {
                    if quote.is_some() && !"\"$`\\".contains(next) {
                        word.literal.push(c);
                    }
                    word.literal.push(next);
                    rest.next();
                }
                None => word.is_literal = false,
            },
            (_, '`') if word.around == Around::Backquotes => {
                word = outer
                    .pop()
                    .unwrap_or_else(|| Reading::new(Around::Nothing, after));
            }
            (_, '`') => {
                word.is_literal = false;
                outer.push(std::mem::replace(
                    &mut word,
                    Reading::new(Around::Backquotes, after),
                ));
            }
            (_, '$') => {
                word.is_literal = false;
                match next {
                    Some('(') => {
                        rest.next();
                        let inner = Reading::new(Around::Substitution, after + 1);
                        outer.push(std::mem::replace(&mut word, inner));
                    }
                    Some('{') => _ = rest.by_ref().find(|(_, c)| *c == '}'),
                    _ => {}
                }
            }
            (Some(_), _) => word.literal.push(c),
            (None, '(') => {
                let inner = Reading::new(Around::Brackets, after);
                outer.push(std::mem::replace(&mut word, inner));
            }
            (None, ')') => {
                let around = word.around;
                word = match outer.pop() {
                    Some(outer) if around == Around::Substitution => outer,
                    Some(outer) => Reading::new(outer.around, after),
                    None => Reading::new(Around::Nothing, after),
                };
            }
            (None, '|' | '&' | ';' | '{' | '}' | '<' | '>' | '=') => {
                word = Reading::new(word.around, after);
            }
            (None, c) if c.is_whitespace() => word = Reading::new(word.around, after),
            (None, '*' | '?' | '[') => word.is_literal = false,
            (None, _) => word.literal.push(c),
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Option<String> {
        question(&Cursor::at(line, usize::MAX), 9)
    }

    /// The candidates at `|`, of what was printed.
    fn chosen(code: &str, found: &str) -> Vec<String> {
        let (before, after) = code.split_once('|').expect("a cursor");
        candidates(&Cursor { before, after }, found)
    }

    #[test]
    fn shells_complete_by_the_place_of_a_word() {
        let has = |line: &str, action: &str| asked(line).is_some_and(|it| it.contains(action));
        for line in ["ec", "true && ec", "if ec", "x=$(ec", "echo \"`ec", "! ec"] {
            assert!(has(line, "-abck -A function -- 'ec'"), "{line}");
        }
        assert!(!has("echo length; strengthen ec", "-abck"));
        assert!(has("echo ${PA", "compgen -v -S '}' -- 'PA'"));
        assert!(has("echo \"${PA", "compgen -v -S '}' -- 'PA'"));
        assert!(has("cat fi", "'fi'*") && !has("cat fi", "-abck"));
        assert!(has("echo $HO", "compgen -v -P '$' -- 'HO'"));
        assert!(has("cat ~/a\\ b", "home=~;") && has("cat ~/a\\ b", "\"$home\"'/a b'*"));
        assert!(has("cat '~/a", "home=;"));
        for line in [
            "echo ",
            "",
            "cat *.t",
            "cat $HOME/x",
            "cat ${HOME}/x",
            "cat a\\",
        ] {
            assert_eq!(asked(line), None, "{line}");
        }
        assert!(has("echo '$HO", "'$HO'*") && has("echo \\$HO", "'$HO'*"));
    }

    #[test]
    fn candidates_are_words_of_the_shell() {
        for (code, found, expected) in [
            ("cat a|", "\ta b.txt\n\tab", &[r"a\ b.txt", "ab"][..]),
            (r"cat a\ |", "\ta b.txt", &[r"a\ b.txt"]),
            ("cat \"a |", "\ta b.txt\n\ta c/", &["\"a b.txt\"", "\"a c/"]),
            ("cat 'a |", "\ta b'c$", &[r"'a b'\''c$'"]),
            ("cat 'a |'", "\ta b", &["'a b"]),
            ("cat \"|", "\ta$b\"c", &["\"a\\$b\\\"c\""]),
            (
                "cat a|",
                "\ta=$(b)&;'\"\n\ta\u{1b}[2J",
                &[r#"a\=\$\(b\)\&\;\'\""#],
            ),
            ("cat ~/|", "\t~/a b/", &[r"~/a\ b/"]),
            (
                "my|",
                "my-tool\nmy/x\nmy tool\n\tmy tool\n\tmy/",
                &["my-tool", r"my\ tool", "my/"],
            ),
            ("echo \"$(cat a|", "\ta b", &[r"a\ b"]),
            ("echo $HO|", "$HOME", &["$HOME"]),
        ] {
            assert_eq!(chosen(code, found), expected, "{code}");
        }
    }

    #[test]
    fn braces_that_follow_are_not_added_again() {
        for (code, has_brace) in [
            ("echo ${HO|", true),
            ("echo ${HO|}", false),
            ("echo ${HO|ME}", false),
            ("echo ${HO|:-x y}", false),
            ("echo ${HO|/a/b}", false),
            ("echo ${HO| ${X}", true),
        ] {
            let (before, after) = code.split_once('|').expect("a cursor");
            let asked = question(&Cursor { before, after }, 9);
            assert_eq!(
                asked.map(|it| it.contains("-S '}'")),
                Some(has_brace),
                "{code}"
            );
        }
    }
}

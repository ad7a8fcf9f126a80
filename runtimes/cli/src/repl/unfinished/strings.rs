//! Strings of all kinds.

use super::lex::{Lexer, Token};

impl Lexer<'_, '_> {
    /// Whether a string or pattern begins here, which is then skipped. `None` if it is open.
    pub(super) fn text(&mut self, next: char, is_near: bool) -> Option<bool> {
        let lexis = self.lexis;
        if lexis.long.contains(next) || lexis.short.contains(next) {
            self.skip(next.len_utf8());
            self.skip_string(next, lexis.long.contains(next))?;
            return Some(true);
        }
        Some(
            lexis.has_long_brackets && self.long_bracket()?
                || self.heredoc(is_near)
                || next == '<' && !lexis.quoting.is_empty() && self.line_of_file()
                || next == '/' && lexis.has_patterns && self.pattern(is_near)
                || next == '%' && lexis.is_ruby && self.percent(is_near)?,
        )
    }

    /// After the first quote.
    fn skip_string(&mut self, quote: char, is_long: bool) -> Option<()> {
        let inserts = self.lexis.inserts.filter(|(_, of)| of.contains(quote));
        loop {
            if let Some((begin, _)) = inserts
                && let Some(after) = self.rest.strip_prefix(begin)
            {
                self.rest = after;
                self.skip_insert()?;
                continue;
            }
            let mut characters = self.rest.chars();
            match characters.next()? {
                it if it == quote => {
                    self.rest = characters.as_str();
                    return Some(());
                }
                '\\' => drop(characters.next()?),
                // A mistake, which the language reports.
                '\n' if !is_long => return Some(()),
                _ => {}
            }
            if characters.as_str().is_empty() && !is_long {
                let escapes = self.rest.starts_with('\\');
                self.rest = "";
                return (!escapes).then_some(());
            }
            self.rest = characters.as_str();
        }
    }

    /// Code within a string.
    fn skip_insert(&mut self) -> Option<()> {
        let mut depth = 1;
        while depth > 0 {
            let next = self.rest.chars().next()?;
            self.skip(next.len_utf8());
            match next {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ if "'\"`".contains(next) => self.skip_string(next, true)?,
                _ => {}
            }
        }
        Some(())
    }

    pub(super) fn skip_heredoc(&mut self, end: &str, may_indent: bool) -> Option<()> {
        loop {
            let (line, after) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            let is_last = self.rest.len() == line.len();
            let line = if may_indent { line.trim_start() } else { line };
            let rest = line.strip_prefix(end);
            // In PHP, other code may follow.
            let is_end = rest
                .is_some_and(|it| !it.starts_with(|it: char| it.is_alphanumeric() || it == '_'));
            if is_end {
                self.rest = &self.rest[self.rest.find(end)? + end.len()..];
                return Some(());
            }
            if is_last {
                return None;
            }
            self.rest = after;
        }
    }

    /// Whether a string begins here whose end is a line of its own.
    fn heredoc(&mut self, is_near: bool) -> bool {
        let Some(begin) = self.lexis.heredoc else {
            return false;
        };
        let Some(after) = self.rest.strip_prefix(&begin[..begin.len() - 1]) else {
            return false;
        };
        let is_php = begin == "<<<-";
        let signs = if is_php { "" } else { "~-" };
        let plain = after.trim_start_matches(|it| signs.contains(it));
        let may_indent = is_php || plain.len() < after.len();
        let plain = if is_php { plain.trim_start() } else { plain };
        let quote = plain.chars().next().filter(|it| "'\"`".contains(*it));
        let (end, rest) = match quote {
            Some(quote) => match plain[1..].split_once(quote) {
                Some(found) => found,
                None => return false,
            },
            None => {
                let is_inside = |it: char| it.is_alphanumeric() || it == '_';
                let end = plain.find(|it| !is_inside(it)).unwrap_or(plain.len());
                plain.split_at(end)
            }
        };
        let is_operator = is_near && !self.expects_value();
        let is_name =
            quote.is_some() || end.starts_with(|it: char| it.is_alphabetic() || it == '_');
        if end.is_empty() || !is_name || is_operator && !is_php || end.contains('\n') {
            return false;
        }
        // `x << Y` is a shift, and `<<y` may be one.
        if quote.is_none() && !may_indent && !end.starts_with(char::is_uppercase) {
            return false;
        }
        self.heredocs.push((end, may_indent));
        self.rest = rest;
        true
    }

    /// Whether `<$file>` or the like is here.
    fn line_of_file(&mut self) -> bool {
        let Some((name, after)) = self.rest[1..].split_once('>') else {
            return false;
        };
        let is_inside = |it: char| it.is_alphanumeric() || "_$".contains(it);
        let is_line = self.expects_value() && name.chars().all(is_inside);
        if is_line {
            self.rest = after;
        }
        is_line
    }

    /// Whether a pattern begins here, which is then skipped.
    fn pattern(&mut self, is_near: bool) -> bool {
        let after = &self.rest[1..];
        let is_argument = matches!(self.last(), Some(Token::Word(_)))
            && !is_near
            && self.lexis.heredoc.is_some()
            && !after.starts_with([' ', '=']);
        if !self.expects_value() && !is_argument {
            return false;
        }
        let mut is_in_class = false;
        let mut characters = after.char_indices();
        while let Some((at, next)) = characters.next() {
            match next {
                '\n' => return false,
                '\\' => drop(characters.next()),
                '[' => is_in_class = true,
                ']' => is_in_class = false,
                '/' if !is_in_class => {
                    let rest = &after[at + 1..];
                    self.rest = rest.trim_start_matches(|it: char| it.is_ascii_alphabetic());
                    return true;
                }
                _ => {}
            }
        }
        false
    }

    /// Whether a string in delimiters begins here. `None` if it is open.
    fn percent(&mut self, is_near: bool) -> Option<bool> {
        let after = &self.rest[1..];
        let plain = after.strip_prefix(|it| "wWiIqQrsx".contains(it));
        let is_argument = matches!(self.last(), Some(Token::Word(_))) && !is_near;
        let is_argument = is_argument && !after.starts_with([' ', '=']);
        let plain = plain.unwrap_or(after);
        if !self.expects_value() && !is_argument
            || !plain.starts_with(['(', '[', '{', '<', '|', '!'])
        {
            return Some(false);
        }
        self.rest = plain;
        self.delimited("q")
    }

    /// Whether a word may begin a string here, and is no name.
    pub(super) fn may_quote(&self) -> bool {
        let is_key = matches!(self.last(), Some(Token::Sign('{'))) && self.rest.starts_with('}');
        let is_method = matches!(self.last(), Some(Token::Sign('>' | '.' | ':')));
        let is_method = is_method && self.tokens.all.len() > 1;
        !is_key && !is_method
    }

    /// A string in delimiters, after the word that begins it. `None` if it is open.
    pub(super) fn delimited(&mut self, word: &str) -> Option<bool> {
        let mut spaceless = self.rest.trim_start_matches(' ');
        if spaceless.len() < self.rest.len() && !spaceless.starts_with(['{', '(', '[', '<']) {
            spaceless = self.rest;
        }
        let Some(open) = spaceless.chars().next() else {
            return Some(false);
        };
        let is_sign = open.is_ascii_punctuation() && !"_,;)}]".contains(open);
        if !is_sign || open == '=' {
            return Some(false);
        }
        let parts = if matches!(word, "s" | "tr" | "y") {
            2
        } else {
            1
        };
        self.rest = &spaceless[open.len_utf8()..];
        let close = match open {
            '(' => ')',
            '[' => ']',
            '{' => '}',
            '<' => '>',
            other => other,
        };
        self.skip_delimited(open, close)?;
        if parts == 2 {
            if close != open {
                self.rest = self.rest.trim_start().strip_prefix(open)?;
            }
            self.skip_delimited(open, close)?;
        }
        if word != "q" && word != "qq" && word != "qw" {
            self.rest = self
                .rest
                .trim_start_matches(|it: char| it.is_ascii_lowercase());
        }
        Some(true)
    }

    fn skip_delimited(&mut self, open: char, close: char) -> Option<()> {
        let mut depth = 1;
        while depth > 0 {
            let mut characters = self.rest.chars();
            match characters.next()? {
                '\\' => drop(characters.next()),
                it if it == close => depth -= 1,
                it if it == open => depth += 1,
                _ => {}
            }
            self.rest = characters.as_str();
        }
        Some(())
    }

    /// Whether a string in long brackets begins here, or a comment in such. `None` if it is open.
    fn long_bracket(&mut self) -> Option<bool> {
        let Some(after) = self.rest.strip_prefix('[') else {
            return Some(false);
        };
        let level = after.len() - after.trim_start_matches('=').len();
        let Some(after) = after[level..].strip_prefix('[') else {
            return Some(false);
        };
        self.rest = after;
        self.skip_past(&format!("]{}]", "=".repeat(level)))?;
        Some(true)
    }
}

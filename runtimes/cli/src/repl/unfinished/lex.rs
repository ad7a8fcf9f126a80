//! Words, signs and strings of a language, as far as it takes to see which of them are open.

/// What a language's strings and comments look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::repl) struct Lexis {
    /// Quotes of strings that end with their line at the latest, unless a backslash is before its end.
    pub(in crate::repl) short: &'static str,
    /// Quotes of strings that may have many lines.
    pub(in crate::repl) long: &'static str,
    /// What begins code in these strings, up to `}`, and in which.
    pub(in crate::repl) inserts: Option<(&'static str, &'static str)>,
    /// What begins comments to the end of the line.
    pub(in crate::repl) comments: &'static [&'static str],
    /// How comments begin and end that may have many lines.
    pub(in crate::repl) blocks: &'static [(&'static str, &'static str)],
    /// What may be in words, besides letters, digits and `_`.
    pub(in crate::repl) in_words: &'static str,
    /// What may begin words, before such a character or a sign.
    pub(in crate::repl) sigils: &'static str,
    /// What begins a string whose end is a line of its own.
    pub(in crate::repl) heredoc: Option<&'static str>,
    /// Whether `/` begins a pattern where a value is expected.
    pub(in crate::repl) has_patterns: bool,
    /// Words that begin strings in delimiters of any kind.
    pub(in crate::repl) quoting: &'static [&'static str],
    /// Whether `[[`, `[=[`, … begin strings.
    pub(in crate::repl) has_long_brackets: bool,
    /// Whether names may end with `?` and `!`, and `%` begins strings where a value is expected.
    pub(in crate::repl) is_ruby: bool,
    /// Words that are followed by a value.
    pub(in crate::repl) before_values: &'static [&'static str],
}

/// A part of the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    Word(&'t str),
    Sign(char),
    /// A string or pattern.
    Text,
    /// The end of a line.
    Line,
}

/// The parts of the code, each with whether it follows the last one at once.
#[derive(Debug, Default)]
pub(super) struct Tokens<'t> {
    pub(super) all: Vec<(Token<'t>, bool)>,
    /// Whether a string or comment is open, or the last line ends with a backslash.
    pub(super) is_open: bool,
}

impl<'t> Tokens<'t> {
    pub(super) fn of(code: &'t str, lexis: &Lexis) -> Self {
        let mut lexer = Lexer {
            rest: code,
            lexis,
            tokens: Self::default(),
            heredocs: Vec::new(),
            is_at_line: true,
        };
        let is_open = lexer.read().is_none();
        let mut tokens = lexer.tokens;
        tokens.is_open = is_open;
        tokens
    }

    /// The part at this place, from the last one back.
    pub(super) fn back(&self, at: usize) -> Option<Token<'t>> {
        self.all.iter().rev().nth(at).map(|(token, _)| *token)
    }
}

pub(super) struct Lexer<'t, 'l> {
    pub(super) rest: &'t str,
    pub(super) lexis: &'l Lexis,
    pub(super) tokens: Tokens<'t>,
    /// The ends of strings that begin with the next line, and whether spaces may be before them.
    pub(super) heredocs: Vec<(&'t str, bool)>,
    is_at_line: bool,
}

impl<'t> Lexer<'t, '_> {
    /// `None` if something is open at the end.
    fn read(&mut self) -> Option<()> {
        let lexis = self.lexis;
        let mut is_near = false;
        while let Some(next) = self.rest.chars().next() {
            let was_near = std::mem::replace(&mut is_near, true);
            let is_at_line = std::mem::replace(&mut self.is_at_line, false);
            if next == '\n' {
                self.skip(1);
                self.push(Token::Line, was_near);
                self.is_at_line = true;
                for (end, may_indent) in std::mem::take(&mut self.heredocs) {
                    self.skip_heredoc(end, may_indent)?;
                }
                is_near = false;
            } else if let Some(after) = self.rest.strip_prefix("\\\n") {
                self.rest = after;
                is_near = false;
            } else if self.rest == "\\" {
                return None;
            } else if next.is_whitespace() {
                self.skip(next.len_utf8());
                self.is_at_line = is_at_line;
                is_near = false;
            } else if let Some((begin, end)) = self.block(is_at_line) {
                self.skip(begin.len());
                self.skip_past(end)?;
                is_near = false;
            } else if lexis.comments.iter().any(|it| self.rest.starts_with(it)) {
                self.rest = self.rest.find('\n').map_or("", |at| &self.rest[at..]);
            } else if self.text(next, was_near)? {
                self.push(Token::Text, was_near);
            } else if let Some(word) = self.word(next) {
                self.skip(word.len());
                let is_quoting = lexis.quoting.contains(&word) && self.may_quote();
                match is_quoting && self.delimited(word)? {
                    true => self.push(Token::Text, was_near),
                    false => self.push(Token::Word(word), was_near),
                }
            } else {
                self.skip(next.len_utf8());
                self.push(Token::Sign(next), was_near);
            }
        }
        self.heredocs.is_empty().then_some(())
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn push(&mut self, token: Token<'t>, is_near: bool) {
        self.tokens.all.push((token, is_near));
    }

    pub(super) fn last(&self) -> Option<Token<'t>> {
        self.tokens.back(0)
    }

    /// Whether what comes now is a value, and no operator after one.
    pub(super) fn expects_value(&self) -> bool {
        match self.last() {
            None | Some(Token::Line) => true,
            Some(Token::Sign(sign)) => !")]}".contains(sign),
            Some(Token::Word(word)) => self.lexis.before_values.contains(&word),
            Some(Token::Text) => false,
        }
    }

    fn block(&self, is_at_line: bool) -> Option<(&'static str, &'static str)> {
        let blocks = self.lexis.blocks.iter().copied();
        // Those that are words begin lines.
        let mut blocks = blocks.filter(|(begin, _)| is_at_line || !begin.starts_with('='));
        blocks.find(|(begin, _)| self.rest.starts_with(begin))
    }

    pub(super) fn skip_past(&mut self, end: &str) -> Option<()> {
        let at = self.rest.find(end)?;
        self.skip(at + end.len());
        Some(())
    }

    fn word(&self, first: char) -> Option<&'t str> {
        let is_inside =
            |it: char| it.is_alphanumeric() || it == '_' || self.lexis.in_words.contains(it);
        let mut characters = self.rest.chars();
        if self.lexis.sigils.contains(first) {
            characters.next();
            let begin = self.rest.len() - characters.as_str().len();
            let after = characters.clone().next()?;
            let is_variable = is_inside(after) || after == ':';
            // Such as `$!`, and `$#array`.
            let is_special = first == '$' && !after.is_whitespace() && !"({[".contains(after);
            if !is_variable && !is_special {
                return None;
            }
            let rest = &self.rest[begin + after.len_utf8()..];
            let end = rest.find(|it| !is_inside(it)).unwrap_or(rest.len());
            let is_name = is_variable || after == '#';
            let end = if is_name { end } else { 0 };
            return Some(&self.rest[..begin + after.len_utf8() + end]);
        }
        if !is_inside(first) {
            return None;
        }
        let end = self.rest.find(|it| !is_inside(it));
        let word = &self.rest[..end.unwrap_or(self.rest.len())];
        // Names of methods may end so.
        let is_method = self.lexis.is_ruby
            && self.rest[word.len()..].starts_with(['?', '!'])
            && !self.rest[word.len() + 1..].starts_with('=');
        Some(&self.rest[..word.len() + usize::from(is_method)])
    }
}

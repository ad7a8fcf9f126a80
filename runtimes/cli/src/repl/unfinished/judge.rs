//! What is open in the code of each language.

use super::lex::{Token, Tokens};

/// What makes code go on after its last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::repl) struct Grammar {
    /// Signs that something must follow.
    pub(in crate::repl) operators: &'static str,
    /// Words that something must follow.
    pub(in crate::repl) words: &'static [&'static str],
    /// Pairs of such signs that nothing must follow.
    pub(in crate::repl) complete: &'static [&'static str],
    /// Words with a condition in parentheses after them, which a statement must follow.
    pub(in crate::repl) conditions: &'static [&'static str],
    /// Words that a block in braces must follow.
    pub(in crate::repl) braces: &'static [&'static str],
    pub(in crate::repl) blocks: Blocks,
    /// Whether statements end with `;` or a block.
    pub(in crate::repl) has_terminators: bool,
}

/// Blocks that words begin and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::repl) enum Blocks {
    None,
    Lua,
    Ruby,
}

/// Whether more is to come.
pub(super) fn is_unfinished(tokens: &Tokens<'_>, grammar: &Grammar) -> bool {
    let Some(depth) = brackets(tokens) else {
        return false;
    };
    let Some(blocks) = (match grammar.blocks {
        Blocks::None => Some(0),
        Blocks::Lua => lua(tokens),
        Blocks::Ruby => ruby(tokens),
    }) else {
        return false;
    };
    let is_last = |it: Option<Token<'_>>| match it {
        Some(Token::Sign(sign)) => !";}".contains(sign),
        Some(_) => true,
        None => false,
    };
    tokens.is_open
        || depth + blocks > 0
        || ends_with_operator(tokens, grammar)
        || ends_with_condition(tokens, grammar)
        || lacks_block(tokens, grammar)
        || grammar.has_terminators && is_last(tokens.back(0))
}

/// How many are open; `None` if one is closed that is not.
fn brackets(tokens: &Tokens<'_>) -> Option<usize> {
    let mut open = Vec::new();
    for (token, _) in &tokens.all {
        match token {
            Token::Sign('(') => open.push(')'),
            Token::Sign('[') => open.push(']'),
            Token::Sign('{') => open.push('}'),
            Token::Sign(sign @ (')' | ']' | '}')) if open.pop() != Some(*sign) => return None,
            _ => {}
        }
    }
    Some(open.len())
}

fn ends_with_operator(tokens: &Tokens<'_>, grammar: &Grammar) -> bool {
    match tokens.back(0) {
        Some(Token::Word(word)) => grammar.words.contains(&word) && !is_member(tokens, 1),
        Some(Token::Sign(sign)) => {
            let before = match tokens.back(1) {
                Some(Token::Sign(before)) => Some(before),
                _ => None,
            };
            let is_near = tokens.all.last().is_some_and(|(_, is_near)| *is_near);
            let is_complete =
                |pair: &&str| is_near && before.is_some_and(|it| pair.chars().eq([it, sign]));
            grammar.operators.contains(sign) && !grammar.complete.iter().any(is_complete)
        }
        _ => false,
    }
}

/// Whether the word after this part from the last one back is a name of a member, a symbol or the like.
fn is_member(tokens: &Tokens<'_>, at: usize) -> bool {
    matches!(tokens.back(at), Some(Token::Sign('.' | ':' | '@' | '$')))
}

/// Whether the end is that of a condition in parentheses.
fn ends_with_condition(tokens: &Tokens<'_>, grammar: &Grammar) -> bool {
    if tokens.back(0) != Some(Token::Sign(')')) {
        return false;
    }
    let mut depth = 0_i32;
    for at in 0..tokens.all.len() {
        match tokens.back(at) {
            Some(Token::Sign(')')) => depth += 1,
            Some(Token::Sign('(')) => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let Some(Token::Word(word)) = tokens.back(at + 1) else {
                return false;
            };
            // `do { … } while (…)` is complete.
            let is_end = word == "while" && tokens.back(at + 2) == Some(Token::Sign('}'));
            return grammar.conditions.contains(&word) && !is_end && !is_member(tokens, at + 2);
        }
    }
    false
}

/// Whether the last word that begins a block has none. Only those at the beginning of statements count.
fn lacks_block(tokens: &Tokens<'_>, grammar: &Grammar) -> bool {
    let mut lacks = false;
    let mut before = None;
    for (token, _) in &tokens.all {
        match token {
            Token::Sign('{' | ';') => lacks = false,
            Token::Word(word)
                if grammar.braces.contains(word)
                    && matches!(
                        before,
                        None | Some(
                            Token::Line
                                | Token::Sign(';' | '}' | '{')
                                | Token::Word("async" | "export" | "default")
                        )
                    ) =>
            {
                lacks = true;
            }
            _ => {}
        }
        before = Some(*token);
    }
    lacks
}

/// The words, with what comes before each.
fn words<'t>(tokens: &Tokens<'t>) -> impl Iterator<Item = (&'t str, Option<Token<'t>>, usize)> {
    let all = tokens.all.iter().enumerate();
    all.filter_map(|(at, (token, _))| {
        let before = at.checked_sub(1).map(|at| tokens.all[at].0);
        match token {
            Token::Word(word) => Some((*word, before, at)),
            _ => None,
        }
    })
}

fn lua(tokens: &Tokens<'_>) -> Option<usize> {
    let mut open = 0_usize;
    // `while` and `for` have a `do`, which begins no other block.
    let mut awaits_do = 0_usize;
    for (word, before, _) in words(tokens) {
        if matches!(before, Some(Token::Sign('.' | ':'))) {
            continue;
        }
        match word {
            "function" | "if" | "repeat" => open += 1,
            "while" | "for" => {
                open += 1;
                awaits_do += 1;
            }
            "do" if awaits_do > 0 => awaits_do -= 1,
            "do" => open += 1,
            "end" | "until" => open = open.checked_sub(1)?,
            _ => {}
        }
    }
    Some(open)
}

fn ruby(tokens: &Tokens<'_>) -> Option<usize> {
    const BEFORE: &[&str] = &[
        "then", "else", "do", "begin", "ensure", "and", "or", "not", "when", "in", "elsif", "if",
        "unless", "while", "until",
    ];
    let mut open = 0_usize;
    let mut awaits_do = false;
    let mut last_line = 0;
    for (word, before, at) in words(tokens) {
        let line = tokens.all[..at]
            .iter()
            .filter(|(token, _)| *token == Token::Line)
            .count();
        awaits_do &= line == last_line;
        last_line = line;
        let is_near = tokens.all[at].1;
        let is_name = match before {
            Some(Token::Sign('.')) => true,
            Some(Token::Sign(':')) => is_near,
            Some(Token::Word("def")) => true,
            _ => false,
        };
        // `if: 1` is a key.
        let after = tokens.all.get(at + 1);
        let is_key = after == Some(&(Token::Sign(':'), true))
            && tokens.all.get(at + 2) != Some(&(Token::Sign(':'), true));
        if is_name || is_key {
            continue;
        }
        let begins = match before {
            None | Some(Token::Line) => true,
            Some(Token::Sign(sign)) => !")]}".contains(sign),
            Some(Token::Word(word)) => BEFORE.contains(&word),
            Some(Token::Text) => false,
        };
        match word {
            "def" if is_endless(tokens, at) => {}
            "def" | "class" | "module" | "begin" | "case" => open += 1,
            "for" => {
                open += 1;
                awaits_do = true;
            }
            "if" | "unless" if begins => open += 1,
            "while" | "until" if begins => {
                open += 1;
                awaits_do = true;
            }
            "do" if awaits_do => awaits_do = false,
            "do" => open += 1,
            "end" => open = open.checked_sub(1)?,
            _ => {}
        }
    }
    Some(open)
}

/// Whether the method that begins here is `def name(…) = value`.
fn is_endless(tokens: &Tokens<'_>, at: usize) -> bool {
    let mut depth = 0_i32;
    let rest = tokens.all[at + 1..].iter();
    // The name may be an operator.
    let rest = rest.skip_while(|(token, _)| matches!(token, Token::Sign(it) if *it != '('));
    let mut rest = rest.peekable();
    while let Some((token, is_near)) = rest.next() {
        match token {
            Token::Line | Token::Sign(';') if depth == 0 => return false,
            Token::Sign('(') => depth += 1,
            Token::Sign(')') => depth -= 1,
            // `def name=(value)` has no space before.
            Token::Sign('=') if depth == 0 && !is_near => return true,
            Token::Sign('=') if depth == 0 => {
                return !matches!(rest.peek(), Some((Token::Sign('(' | '='), true)));
            }
            _ => {}
        }
    }
    false
}

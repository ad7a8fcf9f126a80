//! Whether what was typed is only the beginning of something, so that Enter starts another line.
//!
//! Judged by the text alone, as the language's own prompt does: brackets, strings, blocks, operators. What is closed without being open
//! is a mistake, which the language reports at once. For other languages there is a key
//! that starts a line (see `%help`), and pasted lines stay together anyway.

pub(super) mod judge;
pub(super) mod lex;
mod python;
mod shell;
mod strings;

use self::lex::Tokens;
use super::language::Syntax;

/// Whether more is to come.
pub(super) fn is_unfinished(code: &str, syntax: Syntax) -> bool {
    match syntax {
        Syntax::Python => python::is_unfinished(code),
        // Where the text alone does not say everything, an empty line is always the end.
        _ if last_line(code).trim().is_empty() => false,
        Syntax::Shell => shell::is_unfinished(code),
        Syntax::Parts(lexis, grammar) => judge::is_unfinished(&Tokens::of(code, lexis), grammar),
        Syntax::Other => false,
    }
}

fn last_line(code: &str) -> &str {
    code.rsplit('\n').next().unwrap_or_default()
}

#[cfg(test)]
mod tests;

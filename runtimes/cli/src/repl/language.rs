//! What is known of a language, by its name.

use super::unfinished::judge::{Blocks, Grammar};
use super::unfinished::lex::Lexis;

/// How it can be seen that code goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Python,
    Shell,
    /// By its brackets, strings, blocks and operators.
    Parts(&'static Lexis, &'static Grammar),
    /// Not by its text.
    Other,
}

const LEXIS: Lexis = Lexis {
    short: "'\"",
    long: "",
    inserts: None,
    comments: &["#"],
    blocks: &[],
    in_words: "",
    sigils: "",
    heredoc: None,
    has_patterns: false,
    quoting: &[],
    has_long_brackets: false,
    is_ruby: false,
    before_values: &[],
};

const GRAMMAR: Grammar = Grammar {
    operators: "",
    words: &[],
    complete: &[],
    conditions: &[],
    braces: &[],
    blocks: Blocks::None,
    has_terminators: false,
};

const NODE: Syntax = Syntax::Parts(
    &Lexis {
        long: "`",
        inserts: Some(("${", "`")),
        comments: &["//"],
        blocks: &[("/*", "*/")],
        in_words: "$",
        has_patterns: true,
        before_values: &[
            "return",
            "typeof",
            "case",
            "in",
            "of",
            "new",
            "delete",
            "void",
            "do",
            "else",
            "await",
            "yield",
            "throw",
            "instanceof",
        ],
        ..LEXIS
    },
    &Grammar {
        operators: "+-*/%=<>&|^!~?:,.",
        complete: &["++", "--"],
        words: &[
            "typeof",
            "new",
            "in",
            "of",
            "instanceof",
            "void",
            "delete",
            "await",
            "extends",
            "else",
            "do",
            "try",
            "finally",
            "const",
            "let",
            "var",
            "throw",
            "case",
            "import",
            "export",
        ],
        conditions: &["if", "for", "while", "with", "catch", "switch"],
        braces: &["function", "class", "try", "finally", "catch", "switch"],
        ..GRAMMAR
    },
);

const PHP: Syntax = Syntax::Parts(
    &Lexis {
        short: "",
        long: "'\"`",
        inserts: Some(("{$", "\"")),
        comments: &["//", "#"],
        blocks: &[("/*", "*/")],
        in_words: "$",
        heredoc: Some("<<<-"),
        ..LEXIS
    },
    &Grammar {
        has_terminators: true,
        ..GRAMMAR
    },
);

const R: Syntax = Syntax::Parts(
    &Lexis {
        short: "",
        long: "'\"`",
        in_words: ".",
        ..LEXIS
    },
    &Grammar {
        operators: "+-*/^=<>~&|,!%?:@$",
        words: &["else", "repeat", "in", "function"],
        conditions: &["if", "for", "while", "function", "\\"],
        ..GRAMMAR
    },
);

const LUA: Syntax = Syntax::Parts(
    &Lexis {
        comments: &["--"],
        blocks: &[("--[[", "]]"), ("--[=[", "]=]"), ("--[==[", "]==]")],
        has_long_brackets: true,
        ..LEXIS
    },
    &Grammar {
        operators: "+-*/%^#&~|<>=,.:",
        complete: &["::"],
        words: &["and", "or", "not", "local", "goto", "in"],
        blocks: Blocks::Lua,
        ..GRAMMAR
    },
);

const RUBY: Syntax = Syntax::Parts(
    &Lexis {
        short: "",
        long: "'\"`",
        inserts: Some(("#{", "\"`")),
        blocks: &[("=begin", "\n=end")],
        sigils: "$@",
        heredoc: Some("<<~"),
        has_patterns: true,
        is_ruby: true,
        before_values: &[
            "return", "if", "unless", "while", "until", "and", "or", "not", "when", "in", "elsif",
            "then", "else", "do", "case", "puts", "p",
        ],
        ..LEXIS
    },
    &Grammar {
        operators: "+-*/%=<>&|^!~?:,.",
        complete: &["..", "::"],
        words: &["and", "or", "not"],
        blocks: Blocks::Ruby,
        ..GRAMMAR
    },
);

const PERL: Syntax = Syntax::Parts(
    &Lexis {
        short: "",
        long: "'\"`",
        blocks: &[
            ("=pod", "\n=cut"),
            ("=head", "\n=cut"),
            ("=begin", "\n=cut"),
        ],
        sigils: "$@%&",
        heredoc: Some("<<~"),
        has_patterns: true,
        quoting: &["q", "qq", "qw", "qr", "m", "s", "tr", "y"],
        before_values: &[
            "return", "if", "unless", "while", "until", "and", "or", "not", "x", "split", "grep",
            "map", "join", "push", "print", "say", "when",
        ],
        ..LEXIS
    },
    &Grammar {
        operators: "+-*/%=<>&|^!~?:,.\\",
        complete: &["++", "--"],
        words: &[
            "and", "or", "not", "xor", "eq", "ne", "lt", "gt", "le", "ge", "cmp", "if", "unless",
            "while", "until", "my", "our",
        ],
        braces: &[
            "sub", "if", "unless", "while", "until", "for", "foreach", "else", "elsif", "BEGIN",
            "END",
        ],
        ..GRAMMAR
    },
);

const C: Syntax = Syntax::Parts(
    &Lexis {
        comments: &["//"],
        blocks: &[("/*", "*/")],
        ..LEXIS
    },
    &GRAMMAR,
);

impl Syntax {
    /// That of a language, or of an image by its reference.
    pub(super) fn of(lang: &str) -> Self {
        match name(lang).as_str() {
            name if name.contains("python") => Self::Python,
            "bash" | "sh" | "shell" => Self::Shell,
            "nodejs" | "node" | "javascript" => NODE,
            "php" => PHP,
            "r" => R,
            "lua" => LUA,
            "perl" => PERL,
            "ruby" => RUBY,
            "c" | "cpp" => C,
            _ => Self::Other,
        }
    }

    /// Whether a line of code may begin with `%`.
    pub(super) fn has_percent(lang: &str) -> bool {
        name(lang) == "perl"
    }
}

/// The prompt.
pub(super) fn prompt(lang: &str) -> String {
    match Syntax::of(lang) {
        Syntax::Python => ">>> ".to_owned(),
        _ => format!("{}> ", name(lang)),
    }
}

/// The name of the language, of an image without where it is and which it is.
pub(super) fn name(lang: &str) -> String {
    let name = lang.rsplit('/').next().unwrap_or(lang);
    let name = name.split(':').next().unwrap_or(name);
    name.to_ascii_lowercase()
}

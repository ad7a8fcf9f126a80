//! What is known of a language, by its name.

/// How it can be seen that code goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Python,
    Shell,
    /// By its brackets and quotes.
    Brackets(Signs),
    /// By a backslash at the end of the line.
    Backslash,
    /// Not by its text.
    Other,
}

/// What a language's strings and comments look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signs {
    /// Quotes of strings that end with their line at the latest.
    pub(super) short: &'static str,
    /// Quotes of strings that may have many lines.
    pub(super) long: &'static str,
    /// Quotes that, three at once, begin strings that may have many lines.
    pub(super) triple: &'static str,
    /// What begins comments to the end of the line.
    pub(super) comments: &'static [&'static str],
    /// Whether there are comments in `/*` and `*/`.
    pub(super) has_blocks: bool,
}

pub(super) const PYTHON: Signs = Signs {
    short: "'\"",
    long: "",
    triple: "'\"",
    comments: &["#"],
    has_blocks: false,
};

const NODE: Signs = Signs {
    short: "'\"",
    long: "`",
    triple: "",
    comments: &["//"],
    has_blocks: true,
};

const PHP: Signs = Signs {
    short: "",
    long: "'\"`",
    comments: &["//", "#"],
    ..NODE
};

const R: Signs = Signs {
    long: "'\"`",
    short: "",
    triple: "",
    ..PYTHON
};

impl Syntax {
    /// That of a language, or of an image by its reference.
    pub(super) fn of(lang: &str) -> Self {
        match name(lang).as_str() {
            name if name.contains("python") => Self::Python,
            "bash" | "sh" | "shell" => Self::Shell,
            "nodejs" | "node" | "javascript" => Self::Brackets(NODE),
            "php" => Self::Brackets(PHP),
            "r" => Self::Brackets(R),
            "ruby" | "c" | "cpp" => Self::Backslash,
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

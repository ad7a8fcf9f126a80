//! The rows of tables.

use std::fmt;

use crate::outcome::Outcome;

/// A program, and what of its output is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) language: &'static str,
    pub(crate) program: &'static str,
    stdout: Compared,
    stderr: Compared,
}

#[derive(Clone, Copy, Debug)]
enum Compared {
    All,
    /// Only lines that begin with one of these.
    Lines(&'static [&'static str]),
}

/// A program whose output and exit code are to be the same.
pub(crate) const fn row(language: &'static str, program: &'static str) -> Row {
    Row {
        language,
        program,
        stdout: Compared::All,
        stderr: Compared::All,
    }
}

impl Row {
    /// Compares only lines of the standard output that begin with one of these: the others say how long it took, say.
    pub(crate) const fn stdout_lines(mut self, beginnings: &'static [&'static str]) -> Self {
        self.stdout = Compared::Lines(beginnings);
        self
    }

    /// Compares only lines of the standard error that begin with one of these.
    pub(crate) const fn stderr_lines(mut self, beginnings: &'static [&'static str]) -> Self {
        self.stderr = Compared::Lines(beginnings);
        self
    }

    /// What is compared of it.
    pub(crate) fn of(&self, outcome: Outcome) -> Outcome {
        Outcome {
            stdout: self.stdout.of(&outcome.stdout),
            stderr: self.stderr.of(&outcome.stderr),
            ..outcome
        }
    }
}

impl Compared {
    fn of(self, text: &str) -> String {
        // The program has other names there.
        let named = [
            "-e:",
            "<string>",
            "-e line",
            "Command line code(",
            "Command line code",
            "snippet(",
            "snippet:",
            "(command line):",
            "<input-1>",
            "snippet line",
        ];
        // What calls a snippet of `node -e` has another name in each release.
        let is_seen = |line: &&str| {
            !line.contains("(node:internal/main/") && !line.contains("at node:internal/main/")
        };
        let mut text: String = text.split_inclusive('\n').filter(is_seen).collect();
        for name in named {
            text = text.replace(name, "PROGRAM");
        }
        match self {
            Self::All => text,
            Self::Lines(beginnings) => {
                let is_compared = |line: &&str| beginnings.iter().any(|it| line.starts_with(it));
                let kept: Vec<&str> = text.lines().filter(is_compared).collect();
                assert!(
                    !kept.is_empty() || beginnings.is_empty(),
                    "no line of {text:?} begins with {beginnings:?}"
                );
                kept.join("\n")
            }
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.language, self.program)
    }
}

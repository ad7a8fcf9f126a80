//! A language as the gateway knows it, whether or not its tool is on the machine.

use std::path::PathBuf;

use super::program::Program;
use super::runner::Runner;
use crate::kernel::launch::Launcher;

/// A language of the table.
#[derive(Debug)]
pub(crate) struct Language {
    /// Its name.
    pub(crate) name: String,
    /// Other names. A kernel reports the name it was created under.
    pub(crate) aliases: Vec<String>,
    /// Programs, of which the first that is installed is used.
    pub(crate) tools: Vec<String>,
    /// How it runs queries.
    pub(crate) query: Query,
    /// The default build, `"*"`, a shell command; see [`Installed`](super::Installed) for
    /// what it may hold. Empty: none.
    pub(crate) build: String,
    /// The default exec, `"*"`.
    pub(crate) exec: String,
    /// The command of the terminal; `{tool}` stands for the tool.
    pub(crate) shell: Vec<String>,
    /// The memory below which its interpreter or compiler does not run, in bytes.
    pub(crate) least_memory: u64,
}

/// How a language runs queries.
#[derive(Debug)]
pub(crate) enum Query {
    /// One interpreter runs all snippets; what they define stays.
    Interpreter(Runner),
    /// Every snippet is a separate program.
    Program(Program),
}

impl Query {
    /// Whether programs in files can show what snippets show.
    pub(crate) fn shows_files(&self) -> bool {
        matches!(self, Self::Interpreter(Runner::Python))
    }
}

impl Language {
    pub(crate) fn all_names(&self) -> impl Iterator<Item = &str> {
        [&self.name]
            .into_iter()
            .chain(&self.aliases)
            .map(String::as_str)
    }

    /// The first of its tools that is installed.
    pub(super) fn tool(&self, launcher: &Launcher) -> Option<(&str, PathBuf)> {
        let mut tools = self.tools.iter();
        tools.find_map(|tool| Some((tool.as_str(), launcher.find(tool)?)))
    }
}

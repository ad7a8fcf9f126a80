//! The command lines of `sorna completions` and `sorna man`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::Shell;

/// Print a completion script for a shell.
///
/// The shell then completes commands and options of `sorna` (or of `lcc`, `lpython`) when you press Tab. In
/// bash, zsh and fish also names of sessions of Backend.AI, which `sorna ps -q` lists.
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// Shell to print the script for.
    pub(super) shell: Shell,

    /// Program to complete.
    #[arg(value_name = "PROGRAM", default_value = "sorna")]
    pub(super) program: Program,
}

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  sorna completions bash > ~/.local/share/bash-completion/completions/sorna
  sorna completions zsh > ~/.zfunc/_sorna        # with ~/.zfunc in fpath
  sorna completions fish > ~/.config/fish/completions/sorna.fish
  sorna completions bash lcc > ~/.local/share/bash-completion/completions/lcc";

/// Print a manual page.
///
/// Without a command, prints the page of `sorna` itself.
#[derive(Debug, Args)]
#[command(after_help = MAN_EXAMPLES)]
pub(crate) struct ManArgs {
    /// Command to describe, such as run; or lcc, lpython.
    pub(super) command: Option<String>,

    /// Write all pages to this directory, which is created if needed.
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub(super) dir: Option<PathBuf>,
}

const MAN_EXAMPLES: &str = "\
Examples:
  sorna man run | man -l -
  sorna man --dir ~/.local/share/man/man1";

/// The programs of this package.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Program {
    Sorna,
    Lcc,
    Lpython,
}

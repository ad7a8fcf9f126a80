//! One kernel: the processes of a language, in a directory.

mod channel;
mod check;
mod confine;
mod console;
mod decode;
mod driver;
mod exit;
mod frame;
mod handle;
mod home;
mod input;
mod interpreter;
mod language;
mod launch;
mod memory;
mod nonblocking;
mod output;
mod process;
mod process_table;
mod procfs;
mod run;
mod setup;
mod spawn;
mod state;
mod stock;
mod sweep;
mod terminal;
mod wait;

pub use confine::Isolation;
pub(crate) use confine::{Bounds, BoxProgram, Confinement, Cores, Rules};
pub(crate) use driver::KernelStartError;
pub(crate) use handle::{Kernel, Turn};
pub(crate) use home::{Home, remove_tree};
pub use language::{LanguageError, LanguageTable};
pub(crate) use language::{Languages, Runner, Unavailable, excerpt};
pub(crate) use launch::Launcher;
pub(crate) use process_table::ProcessTable;
pub(crate) use procfs::zombies_of;
pub(crate) use setup::{Environ, Setup};
pub(crate) use state::{ExecuteError, ExecuteResponse};
pub(crate) use stock::{Held, Stock};
#[cfg(test)]
pub(crate) use sweep::MARK;
pub(crate) use sweep::sweep;
pub(crate) use terminal::{Attached, FromTerminal, ToTerminal};

//! What a kernel is made from, and how all of its processes are killed.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::bytecode::Bytecode;
use super::confine::Confined;
use super::crowd::Crowd;
use super::home::Home;
use super::language::Installed;
use super::launch::Launcher;
use super::process_table::ProcessTable;
use super::shared_files::SharedFiles;
use super::stock::Stock;
use super::sweep::{self, sweep};
use crate::lock::lock;

/// How long to keep killing what a kernel starts as fast as it is killed.
const SWEEP_TIME: Duration = Duration::from_secs(5);

/// Environment variables, whose values may be secrets: they are not shown.
#[derive(Clone, Default)]
pub(crate) struct Environ(pub(crate) Vec<(String, String)>);

impl fmt::Debug for Environ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

/// What a kernel is made from.
#[derive(Debug)]
pub(crate) struct Setup {
    /// The beginning of the marks of all its processes.
    pub(crate) mark: String,
    pub(crate) home: Home,
    pub(crate) installed: Installed,
    pub(crate) launcher: Arc<Launcher>,
    /// Which process belongs to which kernel, without control groups.
    pub(crate) process_table: Arc<Mutex<ProcessTable>>,
    /// The directory with the runners' files.
    pub(crate) runners: PathBuf,
    pub(crate) bytecode: Bytecode,
    /// Environment variables that the client asked for.
    pub(crate) environ: Environ,
    /// The most console text in one response, in bytes.
    pub(crate) console_limit: usize,
    pub(crate) confined: Confined,
    pub(crate) stock: Arc<Stock>,
    /// The programs that run in all kernels of the gateway.
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) shared_files: SharedFiles,
}

impl Setup {
    /// Notes which shared memory of the machine the kernel's processes use, which are about to be killed. Blocks.
    pub(super) fn note_shared_files(&self) {
        if !self.confined.has_box() {
            let members = lock(&self.process_table)
                .scan(&[&self.mark])
                .remove(&self.mark);
            self.shared_files.note(&members.unwrap_or_default());
        }
    }

    /// Kills all processes of the kernel, waits until they are gone, and removes the shared memory that they have left.
    /// Blocks.
    pub(super) fn kill_all(&self) {
        self.note_shared_files();
        self.kill_processes();
        self.shared_files.remove();
    }

    fn kill_processes(&self) {
        if self.confined.kill_all() {
            return;
        }
        sweep(&self.mark, Some(self.home.root()));
        // And processes that removed their mark, but were seen before.
        let until = Instant::now() + SWEEP_TIME;
        loop {
            let members = lock(&self.process_table)
                .scan(&[&self.mark])
                .remove(&self.mark);
            let living = sweep::kill(&members.unwrap_or_default());
            if living == 0 || Instant::now() > until {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

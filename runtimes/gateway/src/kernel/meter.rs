//! What a program uses of processors and memory, from its start to its end.
//!
//! There are several ways to learn that, each of which may miss something: the system's own sums for a control group, those of
//! a process that has ended and was waited for, and looks at the processes while they run. So the most that one of them says
//! counts.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::confine::Confined;
use super::procfs;
use crate::boxes::Spent;

/// Measures a program.
#[derive(Debug)]
pub(crate) struct Meter {
    /// The process that the gateway has started for it, once it has.
    root: Option<u32>,
    /// How many of the first processes below are helpers of the gateway.
    helpers: usize,
    /// Whether that process is the program's, and has run nothing before.
    is_new: bool,
    /// What its processes had used before, in µs.
    before: u64,
    /// The same for the control group.
    group_before: Option<u64>,
    /// Where the system says how much memory the control group has had since then.
    group_peak: Option<File>,
    /// The most memory that processes had before whose peak could not be forgotten.
    peaks: HashMap<u32, u64>,
    used: Used,
}

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    /// Processor time, in µs.
    pub(crate) cpu: u64,
    /// The most memory, in bytes; 0 if it is not known.
    pub(crate) peak: u64,
}

impl Meter {
    /// For a program that is about to be started.
    pub(crate) fn of_new(confined: &Confined) -> Self {
        Self {
            root: None,
            helpers: usize::from(confined.has_box()),
            is_new: true,
            before: 0,
            group_before: confined.group_cpu(),
            group_peak: confined.group_peak(),
            peaks: HashMap::new(),
            used: Used::default(),
        }
    }

    /// The program's process.
    pub(crate) fn started(&mut self, root: Option<u32>) {
        self.root = root;
    }

    /// For a snippet in a process that runs already. `is_new` if it has run no other.
    pub(crate) fn of_running(confined: &Confined, root: Option<u32>, is_new: bool) -> Self {
        let mut this = Self::of_new(confined);
        this.root = root;
        this.is_new = is_new;
        for process in this.processes() {
            this.before += procfs::stat(process).map_or(0, |stat| stat.usage.cpu * 1000);
            if !procfs::forget_peak(process)
                && let Some((most, _)) = procfs::peak(process)
            {
                this.peaks.insert(process, most);
            }
        }
        this
    }

    fn processes(&self) -> impl Iterator<Item = u32> + use<> {
        let all = self.root.map(procfs::tree).unwrap_or_default();
        all.into_iter().skip(self.helpers)
    }

    /// Looks at what its processes have used so far.
    pub(crate) fn look(&mut self) {
        let mut cpu = 0;
        for process in self.processes() {
            cpu += procfs::stat(process).map_or(0, |stat| stat.usage.cpu * 1000);
            if let Some((most, now)) = procfs::peak(process) {
                let before = self.peaks.get(&process);
                let peak = before.map_or(most, |before| if most > *before { most } else { now });
                self.used.peak = self.used.peak.max(peak);
            }
        }
        self.used.cpu = self.used.cpu.max(cpu.saturating_sub(self.before));
    }

    /// What it has used when it has ended. `spent` is what its process has, if that has ended as well, and else it is looked at.
    pub(crate) fn used(&mut self, confined: &Confined, spent: Option<Spent>) -> Used {
        match spent {
            Some(spent) => {
                self.used.cpu = self.used.cpu.max(spent.cpu.saturating_sub(self.before));
                let is_certain = spent.peak > spent.least;
                if self.is_new && (is_certain || self.used.peak == 0) {
                    self.used.peak = self.used.peak.max(spent.peak);
                }
            }
            None => self.look(),
        }
        let group = confined.group_cpu().zip(self.group_before);
        let group = group.map_or(0, |(now, before)| now.saturating_sub(before));
        self.used.cpu = self.used.cpu.max(group);
        if let Some(peak) = self.group_peak.as_ref().and_then(number_in) {
            self.used.peak = self.used.peak.max(peak);
        }
        self.used
    }
}

/// The number that is all that a file of the system has.
fn number_in(file: &File) -> Option<u64> {
    let mut bytes = [0; 32];
    let length = file.read_at(&mut bytes, 0).ok()?;
    std::str::from_utf8(&bytes[..length])
        .ok()?
        .trim()
        .parse()
        .ok()
}

//! What a program uses of processors and memory, from its start to its end.
//!
//! There are several ways to learn that, each of which may miss something: the system's own sums for a control group, those of
//! a process that has ended and was waited for, and looks at the processes while they run. So the most that one of them says
//! counts.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::bystanders::ticks;
use super::confine::Confined;
use super::interpreter::Interpreter;
use super::procfs;
use crate::boxes::Spent;

/// Measures a program; the default one measures nothing.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// The process that the gateway has started for it, once it has.
    root: Option<u32>,
    /// How many of the first processes below are helpers of the gateway.
    helpers: usize,
    /// The interpreter that runs it, if it is a snippet.
    interpreter: Option<u32>,
    /// Whether that process has run nothing before.
    is_new: bool,
    /// What processes had used before, in µs, that ran already.
    before: HashMap<u32, u64>,
    /// When it began, in the system's ticks.
    began: u64,
    /// The processor time of the control group before.
    group_before: Option<u64>,
    /// Where the system says how much memory the control group has had since then.
    group_peak: Option<File>,
    /// The peak of the interpreter before, if that could not be forgotten.
    old_peak: u64,
    /// Whether it was looked at while it ran. A short snippet is not: only its interpreter is, at its end, which takes some µs.
    is_looked_at: bool,
    used: Used,
    /// The peak of the interpreter, as long as it is to be forgotten.
    peak_to_forget: Option<u64>,
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
            interpreter: None,
            is_new: true,
            before: HashMap::new(),
            began: 0,
            group_before: confined.group_cpu(),
            group_peak: confined.group_peak(),
            old_peak: 0,
            is_looked_at: false,
            used: Used::default(),
            peak_to_forget: None,
        }
    }

    /// The program's process.
    pub(crate) fn started(&mut self, root: Option<u32>) {
        self.root = root;
    }

    /// For a snippet that an interpreter runs.
    pub(crate) fn of_snippet(confined: &Confined, interpreter: &mut Interpreter) -> Self {
        let mut this = Self::of_new(confined);
        this.root = interpreter.id();
        this.interpreter = interpreter.program();
        this.is_new = !interpreter.has_run();
        this.old_peak = interpreter.old_peak();
        this.began = ticks();
        if let Some(process) = this.interpreter.filter(|_| this.group_before.is_none()) {
            this.before.insert(process, cpu_of(process));
        }
        this
    }

    /// Looks at what its processes have used so far.
    pub(crate) fn look(&mut self) {
        self.is_looked_at = true;
        let mut sum = 0;
        let all = self.root.map(procfs::tree).unwrap_or_default();
        for process in all.into_iter().skip(self.helpers) {
            let Some(stat) = procfs::stat(process) else {
                continue;
            };
            let cpu = stat.usage.cpu * 1000;
            let is_older = stat.started < self.began && self.interpreter != Some(process);
            let before = self.before.entry(process).or_insert_with(|| {
                // Of a snippet before this one.
                if is_older {
                    procfs::forget_peak(process);
                }
                if is_older { cpu } else { 0 }
            });
            // A control group knows better.
            if self.group_before.is_none() {
                sum += cpu.saturating_sub(*before);
            }
            self.look_at_memory(process);
        }
        self.used.cpu = self.used.cpu.max(sum);
    }

    fn look_at_memory(&mut self, process: u32) {
        let Some((most, now)) = procfs::peak(process) else {
            return;
        };
        let is_interpreter = self.interpreter == Some(process);
        let is_old = is_interpreter && most <= self.old_peak;
        self.used.peak = self.used.peak.max(if is_old { now } else { most });
        if is_interpreter {
            self.peak_to_forget = (most > now).then_some(most);
        }
    }

    /// What it has used when it has ended. `spent` is what its process has, if that has ended as well, and else it is looked at.
    pub(crate) fn used(&mut self, confined: &Confined, spent: Option<Spent>) -> Used {
        match (spent, self.interpreter) {
            (Some(spent), interpreter) => {
                let before = interpreter.and_then(|it| self.before.get(&it));
                let cpu = spent.cpu.saturating_sub(before.copied().unwrap_or(0));
                if interpreter.is_none() || before.is_some() {
                    self.used.cpu = self.used.cpu.max(cpu);
                }
                let is_certain = spent.peak > spent.least;
                if self.is_new && (is_certain || self.used.peak == 0) {
                    self.used.peak = self.used.peak.max(spent.peak);
                }
            }
            (None, Some(interpreter)) if !self.is_looked_at => {
                if let Some(before) = self.before.get(&interpreter) {
                    self.used.cpu = cpu_of(interpreter).saturating_sub(*before);
                }
                self.look_at_memory(interpreter);
            }
            (None, _) => self.look(),
        }
        let group = confined.group_cpu().zip(self.group_before);
        let group = group.map_or(0, |(now, before)| now.saturating_sub(before));
        self.used.cpu = self.used.cpu.max(group);
        if let Some(peak) = self.group_peak.as_ref().and_then(number_in) {
            self.used.peak = self.used.peak.max(peak);
        }
        self.used
    }

    /// The peak of the interpreter, if the next snippet would have it as well.
    pub(crate) fn peak_to_forget(&self) -> Option<u64> {
        self.peak_to_forget
    }
}

/// The processor time of a process so far, in µs.
fn cpu_of(process: u32) -> u64 {
    procfs::stat(process).map_or(0, |stat| stat.usage.cpu * 1000)
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

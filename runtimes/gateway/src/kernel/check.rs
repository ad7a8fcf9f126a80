//! The resource use of a kernel, and killing one that exceeds its limits.

use std::cell::OnceCell;
use std::time::Duration;

use sorna_core::KernelInfo;

use super::confine::Census;
use super::driver::Command;
use super::exceeded::Exceeded;
use super::handle::Kernel;
use super::memory::{self, TooMany};
use super::process_table::ResourceUse;
use super::procfs;
use super::state::Phase;
use crate::lock::lock;

impl Kernel {
    /// Information about it. `lang` is the name under which it was created.
    pub(crate) fn info(&self, lang: &str, idle_timeout: Duration) -> KernelInfo {
        let idle = self.idle();
        let (processes, runs, spent, busy, exec_timeout) = {
            let state = self.shared.lock();
            let busy = (!state.is_settled()).then(|| state.busy());
            let (runs, spent) = (state.runs, state.cpu_spent);
            let processes = state.processes.clone();
            (processes, runs, spent, busy, state.exec_timeout)
        };
        let usage = processes
            .into_iter()
            .map(procfs::usage)
            .fold(procfs::Usage::default(), procfs::Usage::plus);
        // Whole numbers, as the original gateway has them.
        let idle = Duration::from_millis(u64::try_from(idle.as_millis()).unwrap_or(u64::MAX));
        let info = KernelInfo::new()
            .with_language(lang)
            .with_age(self.born.elapsed())
            .with_exec_timeout(exec_timeout)
            .with_idle_timeout(idle_timeout)
            .with_executions(runs)
            .with_idle(idle)
            .with_memory_used(usage.memory / 1024 * 1024)
            .with_cpu_time_used(Duration::from_millis(spent + usage.cpu));
        let info = match self.setup.confined.bounds().memory {
            Some(bytes) => info.with_max_memory(bytes),
            None => info,
        };
        match busy {
            Some(busy) => info.with_busy(&busy),
            None => info,
        }
    }

    /// Whether something runs that may exceed limits: a run, or a terminal.
    pub(crate) fn is_busy(&self) -> bool {
        let runs = {
            let state = self.shared.lock();
            !matches!(state.phase, Phase::Idle | Phase::Ended(_) | Phase::Gone)
        };
        runs || self.terminal().as_ref().is_some_and(|hub| !hub.has_ended())
    }

    /// Whether a run needs a processor, as far as that is known: it does not wait for input.
    pub(crate) fn is_running(&self) -> bool {
        let phase = &self.shared.lock().phase;
        matches!(phase, Phase::Running | Phase::StepFinished { .. })
    }

    /// The processes that the gateway has started for it, and waits for.
    pub(crate) fn own_processes(&self) -> Vec<u32> {
        let state = self.shared.lock();
        let all = state.processes.iter().copied().chain(state.terminal);
        let all: Vec<u32> = all.collect();
        drop(state);
        let holder = self.setup.confined.holder();
        let disk = self.setup.confined.disk_helper();
        all.into_iter().chain(holder).chain(disk).collect()
    }

    /// Its processes, by its box or control group; `None` if it has neither.
    pub(crate) fn members(&self, census: &OnceCell<Census>) -> Option<Vec<u32>> {
        self.setup.confined.members(census)
    }

    /// How often all of its processes were killed so far.
    pub(crate) fn kills(&self) -> u64 {
        self.shared.lock().kills
    }

    /// Kills everything if `processes`, which are its own, exceed its limits. Its work directory is
    /// kept, and it keeps running. `kills` is the value from before the processes were listed: if
    /// they have been killed since, the new ones are not to blame. Blocks.
    pub(crate) fn check(&self, processes: &[u32], kills: u64) {
        let bounds = self.setup.confined.bounds();
        let usage = ResourceUse::of(processes);
        let (exceeded, limit) = if usage.tasks > bounds.processes {
            let text = format!("limit of {} processes and threads", bounds.processes);
            (text, Exceeded::processes(bounds.processes))
        } else {
            let memory = bounds.memory.filter(|_| self.setup.confined.needs_sums());
            match memory.map(|limit| self.check_memory(processes, usage.memory, limit, kills)) {
                Some(Err(too_many)) => (too_many.text(), too_many.exceeded()),
                Some(Ok(true)) => {
                    let text = bounds.memory_text().unwrap_or_default();
                    (text, Exceeded::memory(bounds.memory))
                }
                Some(Ok(false)) | None => return,
            }
        };
        let mut state = self.shared.lock();
        // The driver acts on the first such command, and the check repeats until it has.
        if state.kills == kills && !std::mem::replace(&mut state.exceeding, true) {
            let reason = format!("killed: the kernel exceeded its {exceeded}");
            let _ = self.commands.send(Command::Exceeded(limit, reason));
        }
    }

    /// Whether these processes have more memory than the limit. So much is resident in each, together.
    fn check_memory(
        &self,
        processes: &[u32],
        resident: u64,
        limit: u64,
        kills: u64,
    ) -> Result<bool, TooMany> {
        let mut held = self.setup.confined.scratch();
        held.add_files(lock(&self.look).files(processes, kills)?);
        // The sum counts shared memory for each process, so the slow exact count decides.
        Ok(resident + held.bytes > limit && memory::exceeds(limit, processes, &held))
    }

    /// Whether the gateway has to check its resource use.
    pub(crate) fn needs_checks(&self) -> bool {
        self.setup.confined.needs_checks()
    }

    /// Whether it is as it was when it had started: nothing has run in it, and its interpreter lives.
    pub(crate) fn is_fresh(&self) -> bool {
        let (is_unused, processes) = {
            let state = self.shared.lock();
            let is_unused = state.phase == Phase::Idle && state.runs == 0;
            let is_unused = is_unused && !state.exceeding && !state.has_lost_interpreter;
            (is_unused, state.processes.clone())
        };
        let has_all = !self.has_interpreter() || !processes.is_empty();
        is_unused && has_all && processes.into_iter().all(procfs::lives)
    }

    /// Whether it was destroyed.
    pub(crate) fn is_gone(&self) -> bool {
        self.shared.lock().phase == Phase::Gone
    }
}

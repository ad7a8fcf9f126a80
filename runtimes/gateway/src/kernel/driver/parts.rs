//! The state of the driver.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::command::{Command, KernelStartError};
use crate::boxes::Spent;
use crate::kernel::bystanders::Bystanders;
use crate::kernel::crowd::Member;
use crate::kernel::decode::Utf8Decoder;
use crate::kernel::exceeded::Exceeded;
use crate::kernel::exit::ExitKind;
use crate::kernel::input::{Echo, InputFifo};
use crate::kernel::interpreter::Interpreter;
use crate::kernel::meter::Meter;
use crate::kernel::missed::Before;
use crate::kernel::output::OutputPipes;
use crate::kernel::process::Process;
use crate::kernel::prompts;
use crate::kernel::run::{StepKind, Steps};
use crate::kernel::setup::Setup;
use crate::kernel::state::Shared;

/// How soon after its start a program is first checked for waiting for input.
const FIRST_POLL: Duration = Duration::from_millis(5);
/// How often it is checked whether a program that may go on without the input that it asked for still waits.
const ASKED_POLL: Duration = Duration::from_millis(100);

/// See the documentation of [`driver`](super).
#[derive(Debug)]
pub(crate) struct Driver {
    pub(super) setup: Arc<Setup>,
    pub(super) shared: Arc<Shared>,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) output: OutputPipes,
    pub(super) input: InputFifo,
    /// Decoders for text from the channel: standard output and standard error.
    pub(super) decoders: [Utf8Decoder; 2],
    pub(super) interpreter: Option<Interpreter>,
    pub(super) step: Option<RunningStep>,
    /// The current run.
    pub(super) run: Option<Run>,
    /// Notified when the interpreter has started.
    pub(super) starting: Option<oneshot::Sender<Result<(), KernelStartError>>>,
    /// Queued input requests of the runner: the number, and what is to be seen of what is typed.
    pub(super) requests: Vec<(u64, Echo)>,
    /// The input request that was sent to the client.
    pub(super) asked: Option<InputRequest>,
    /// Whether a program went on without the input that it had asked the client for: that is typed ahead for the next one.
    pub(super) withdrawn: bool,
    /// Whether a wait was noticed of which the runner's word may still come: another process passes that on in some languages.
    pub(super) noticed: bool,
    pub(super) completions: Vec<(u64, oneshot::Sender<Vec<String>>)>,
    pub(super) next_completion: u64,
    pub(super) next_process: u64,
    /// How many processes the system had killed for memory at the last check.
    pub(super) out_of_memory_kills: u64,
    pub(super) input_poll: InputPoll,
    /// Since when there is output that there was no room for.
    pub(super) guest_since: Option<Instant>,
    /// The processes that were there at the first run of this interpreter.
    pub(super) bystanders: Option<Bystanders>,
}

/// A process of a [`Steps`] run.
#[derive(Debug)]
pub(super) struct RunningStep {
    pub(super) kind: StepKind,
    pub(super) process: Process,
    pub(super) mark: String,
    pub(super) exit: Option<ExitKind>,
}

/// The current run.
#[derive(Debug)]
pub(super) struct Run {
    /// The rest of the steps; `None` if the interpreter runs a snippet.
    pub(super) steps: Option<Steps>,
    /// Whether the interpreter ends after the snippet.
    pub(super) is_final: bool,
    /// Until when output of what the ended interpreter has left running is awaited, once it has ended.
    pub(super) lingers_until: Option<Instant>,
    /// Whether its build has failed, and was reported as a step.
    pub(super) has_failed_build: bool,
    /// How long it may run in all.
    pub(super) time_limit: Duration,
    /// How much longer it may run, not counting the time it waits for the client.
    pub(super) left: Duration,
    /// When its clock was started; `None` while it is paused.
    pub(super) since: Option<Instant>,
    /// How long its program, or the current step, ran before that.
    pub(super) counted: Duration,
    /// When that has ended, and what its process has used, if it has ended with it.
    pub(super) ended: Option<(Instant, Option<Spent>)>,
    /// Measures it.
    pub(super) meter: Meter,
    /// Whether the interpreter was killed while a program of files ran, and its state is lost.
    pub(super) restarted: bool,
    /// Why its processes were killed, if they were.
    pub(super) kill_reason: Option<KillReason>,
    /// When its interpreter was interrupted, while it may still have to be woken for it.
    pub(super) interrupted: Option<Instant>,
    /// When its snippet was sent to the interpreter.
    pub(super) sent: Instant,
    /// When it is interrupted, since that came before it can have begun.
    pub(super) interrupt_at: Option<Instant>,
    /// When it gets the signal of Ctrl-C, unless it has ended what runs by itself.
    pub(super) signal_at: Option<Instant>,
    /// What was there before it was interrupted, and when to look for those that have lost that.
    pub(super) missed: Option<(Instant, Before)>,
    /// It is one of those that run.
    pub(super) _member: Member,
    /// The processes that were in the kernel's box or control group before the run, if it has one.
    pub(super) bystanders: Bystanders,
}

/// Why a run's processes were killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KillReason {
    TimedOut,
    /// The kernel exceeded a limit, which the console names.
    LimitExceeded(Exceeded),
}

/// What waits for input.
#[derive(Clone, Copy, Debug)]
pub(super) enum InputRequest {
    /// The runner, which sent a request with this number.
    Runner(u64),
    /// A process that reads the FIFO.
    Fifo,
    /// A process that waits for the FIFO, and may go on without input, as far as the client can notice that.
    Poll {
        /// How often in a row it was not seen waiting.
        missed: u32,
        echo: Echo,
        /// Whether it waits for less than a second, again and again.
        glances: bool,
    },
}

/// When to check whether the program waits for input.
#[derive(Debug)]
pub(super) struct InputPoll {
    pub(super) next: Instant,
    pub(super) interval: Duration,
}

impl Driver {
    /// A driver for a new kernel. It sends to `starting` when it is ready, or why it is not.
    pub(crate) fn new(
        setup: Arc<Setup>,
        shared: Arc<Shared>,
        commands: mpsc::UnboundedReceiver<Command>,
        starting: oneshot::Sender<Result<(), KernelStartError>>,
    ) -> std::io::Result<Self> {
        let input = InputFifo::new(setup.home.stdin(), prompts::mark(&setup.home))?;
        Ok(Self {
            output: OutputPipes::new(&setup.home)?,
            input,
            setup,
            shared,
            commands,
            decoders: Default::default(),
            interpreter: None,
            step: None,
            run: None,
            starting: Some(starting),
            requests: Vec::new(),
            asked: None,
            withdrawn: false,
            noticed: false,
            completions: Vec::new(),
            next_completion: 0,
            next_process: 0,
            out_of_memory_kills: 0,
            input_poll: InputPoll::new(),
            guest_since: None,
            bystanders: None,
        })
    }
}

impl Run {
    /// The limit for which it was killed, other than that on time.
    pub(super) fn exceeded(&self) -> Option<Exceeded> {
        match self.kill_reason {
            Some(KillReason::LimitExceeded(exceeded)) => Some(exceeded),
            Some(KillReason::TimedOut) | None => None,
        }
    }

    /// Begins to measure its program, or the next step.
    pub(super) fn begin_program(&mut self, meter: Meter) {
        let now = Instant::now();
        if let Some(since) = self.since.replace(now) {
            self.left = self.left.saturating_sub(now.duration_since(since));
        }
        (self.counted, self.ended) = (Duration::ZERO, None);
        self.meter = meter;
    }

    /// When it must be stopped; `None` while the clock is paused.
    pub(super) fn deadline(&self) -> Option<Instant> {
        // A deadline that overflows is no limit.
        self.since
            .filter(|_| self.kill_reason.is_none())
            .and_then(|since| since.checked_add(self.left))
    }
}

impl RunningStep {
    /// Waits for the process to end, forever if there is none.
    pub(super) async fn exit(step: &mut Option<Self>) -> ExitKind {
        match step {
            Some(step) if step.exit.is_none() => ExitKind::from(step.process.wait().await),
            _ => std::future::pending().await,
        }
    }
}

impl InputPoll {
    pub(super) fn new() -> Self {
        Self {
            next: Instant::now() + FIRST_POLL,
            interval: FIRST_POLL,
        }
    }

    /// When a program has asked.
    pub(super) fn slow() -> Self {
        Self {
            next: Instant::now() + ASKED_POLL,
            interval: ASKED_POLL,
        }
    }

    /// Not beyond this interval, unless it is longer already.
    pub(super) fn back_off(&mut self, now: Instant, most: Duration) {
        self.interval = (self.interval * 2).min(most.max(self.interval));
        self.next = now + self.interval;
    }
}

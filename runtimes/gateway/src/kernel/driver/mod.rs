//! The task that looks after one kernel's processes.
//!
//! It owns every pipe and process of the kernel. Requests send it [`Command`]s and meet it in
//! [`Shared`]; whatever a request does, output keeps flowing into the console until that is full,
//! and a request that goes away takes nothing with it.

mod flow;
mod questions;
mod runs;

use std::sync::Arc;

use sorna_core::Console;
use sorna_core::server::CompleteRequest;
use tokio::sync::{mpsc, oneshot};

use self::questions::{Asker, Probe};
use self::runs::{Run, RunningStep};
use crate::kernel::decode::Utf8Decoder;
use crate::kernel::exit::ExitKind;
use crate::kernel::input::InputFifo;
use crate::kernel::interpreter::Interpreter;
use crate::kernel::output::OutputPipes;
use crate::kernel::run::Plan;
use crate::kernel::setup::Setup;
use crate::kernel::spawn::{kill_group, wait};
use crate::kernel::state::{Phase, Shared};
use crate::kernel::wait::sleep_until;

/// What requests want of the driver.
#[derive(Debug)]
pub(crate) enum Command {
    Start(Plan),
    Input(String),
    Complete {
        request: CompleteRequest,
        reply: oneshot::Sender<Vec<String>>,
    },
    /// It takes more than it may: kill it, for these reasons.
    Exceeded(String),
    Restart(oneshot::Sender<Result<(), StartError>>),
    Destroy(oneshot::Sender<()>),
}

/// Why an interpreter did not come up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StartError(pub(crate) String);

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Driver {
    setup: Arc<Setup>,
    shared: Arc<Shared>,
    commands: mpsc::UnboundedReceiver<Command>,
    output: OutputPipes,
    input: InputFifo,
    /// Decoders for the text that comes through the channel: standard output and error.
    decoders: [Utf8Decoder; 2],
    interpreter: Option<Interpreter>,
    step: Option<RunningStep>,
    /// The run under way.
    run: Option<Run>,
    /// Who waits for the interpreter to come up.
    starting: Option<oneshot::Sender<Result<(), StartError>>>,
    /// Questions of the runner that have not been passed on: its number, and whether to hide.
    questions: Vec<(u64, bool)>,
    /// What the client was asked last.
    asked: Option<Asker>,
    completions: Vec<(u64, oneshot::Sender<Vec<String>>)>,
    next_completion: u64,
    next_process: u64,
    /// How many processes the system had killed for memory when we last asked.
    out_of_memory_kills: u64,
    probe: Probe,
}

/// What woke the driver.
enum Event {
    Command(Option<Command>),
    StepExit(ExitKind),
    InterpreterExit(ExitKind),
    Timer,
    /// Something to read, or room for it.
    Other,
}

impl Driver {
    /// A driver for a new kernel. `starting` hears when it is ready, or why it is not.
    pub(crate) fn new(
        setup: Arc<Setup>,
        shared: Arc<Shared>,
        commands: mpsc::UnboundedReceiver<Command>,
        starting: oneshot::Sender<Result<(), StartError>>,
    ) -> std::io::Result<Self> {
        let input = InputFifo::new(setup.home.stdin())?;
        Ok(Self {
            output: OutputPipes::new()?,
            input,
            setup,
            shared,
            commands,
            decoders: Default::default(),
            interpreter: None,
            step: None,
            run: None,
            starting: Some(starting),
            questions: Vec::new(),
            asked: None,
            completions: Vec::new(),
            next_completion: 0,
            next_process: 0,
            out_of_memory_kills: 0,
            probe: Probe::new(),
        })
    }

    /// Runs until the kernel is destroyed.
    pub(crate) async fn drive(mut self) {
        self.start_interpreter();
        loop {
            if self.pump() {
                self.conclude();
            }
            match self.next_event().await {
                Event::Command(Some(Command::Destroy(reply))) => {
                    self.destroy().await;
                    let _ = reply.send(());
                    return;
                }
                Event::Command(None) => return self.destroy().await,
                Event::Command(Some(command)) => self.obey(command).await,
                Event::StepExit(exit) => {
                    if let Some(step) = &mut self.step {
                        step.exit = Some(exit);
                    }
                }
                Event::InterpreterExit(exit) => {
                    if let Some(interpreter) = &mut self.interpreter {
                        interpreter.exit = Some(exit);
                    }
                }
                Event::Timer => self.tick().await,
                Event::Other => {}
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        let room = self.has_room();
        let timer = self.timer();
        tokio::select! {
            command = self.commands.recv() => Event::Command(command),
            () = self.output.readable(), if room => Event::Other,
            exit = RunningStep::exit(&mut self.step) => Event::StepExit(exit),
            exit = Interpreter::event(&mut self.interpreter, room) => {
                exit.map_or(Event::Other, Event::InterpreterExit)
            }
            () = self.shared.to_driver.notified() => Event::Other,
            () = sleep_until(timer) => Event::Timer,
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Start(plan) => self.start_run(plan),
            Command::Input(text) => self.answer(&text),
            Command::Exceeded(words) => self.exceed(&words).await,
            Command::Complete { request, reply } => self.complete(&request, reply),
            Command::Restart(reply) => {
                self.kill_everything().await;
                self.forget_run("the kernel was restarted");
                self.output.clear();
                self.input.clear();
                self.shared.lock().console = Console::new();
                self.starting = Some(reply);
                self.start_interpreter();
            }
            // The loop sees to it.
            Command::Destroy(_) => {}
        }
    }

    /// Starts the interpreter, if this language has one, and reports what is known by now.
    fn start_interpreter(&mut self) {
        let mark = self.mark();
        let started = Interpreter::start(&self.setup, &self.output, &self.input, mark);
        let report = match started {
            // The runner says when it is up.
            Ok(Some(interpreter)) => {
                self.interpreter = Some(interpreter);
                None
            }
            Ok(None) => Some(Ok(())),
            Err(error) => Some(Err(StartError(error.to_string()))),
        };
        if let (Some(report), Some(waiting)) =
            (&report, self.starting.take_if(|_| report.is_some()))
        {
            let _ = waiting.send(report.clone());
        }
        self.note_processes();
    }

    fn mark(&mut self) -> String {
        self.next_process += 1;
        format!("{}{}.", self.setup.mark, self.next_process)
    }

    fn note_processes(&self) {
        let interpreter = self.interpreter.as_ref().and_then(Interpreter::id);
        let step = self.step.as_ref().and_then(|step| step.child.id());
        self.shared.lock().processes = interpreter.into_iter().chain(step).collect();
    }

    /// Kills all processes of this kernel and waits until they are gone.
    async fn kill_everything(&mut self) {
        if let Some(interpreter) = &mut self.interpreter {
            interpreter.kill();
        }
        if let Some(step) = &mut self.step {
            kill_group(&mut step.child);
        }
        let setup = Arc::clone(&self.setup);
        // Fails only if the runtime is being shut down; the gateway sweeps once more then.
        let _ = tokio::task::spawn_blocking(move || setup.kill_all()).await;
        self.shared.lock().kills += 1;
        if let Some(mut interpreter) = self.interpreter.take() {
            interpreter.wait().await;
        }
        if let Some(mut step) = self.step.take() {
            wait(&mut step.child).await;
        }
        self.note_processes();
    }

    async fn destroy(&mut self) {
        self.kill_everything().await;
        self.shared.enter(Phase::Gone);
        let setup = Arc::clone(&self.setup);
        let remove = move || {
            setup.confined.close();
            setup.home.remove()
        };
        let removed = tokio::task::spawn_blocking(remove).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(%error, "the directory of a kernel cannot be removed");
        }
    }
}

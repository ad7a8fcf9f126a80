//! The task that manages one kernel's processes.
//!
//! It owns every pipe and process of the kernel. Requests send it [`Command`]s, and share its state
//! by [`Shared`](super::state::Shared). Whatever a request does, output keeps flowing into the console
//! until that is full, and a request that is dropped loses nothing, unless others need the room (see [`guest`]).

mod attend;
mod command;
mod farewell;
mod flow;
mod guest;
mod input;
mod parts;
mod runs;
mod stops;

use std::sync::Arc;

pub(crate) use self::command::{Circumstances, Command, KernelStartError};
pub(crate) use self::parts::Driver;
use self::parts::RunningStep;
use super::exit::ExitKind;
use super::interpreter::Interpreter;
use super::run::Plan;
use super::state::Phase;
use super::wait::sleep_until;

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
    /// Runs until the kernel is destroyed.
    pub(crate) async fn drive(mut self) {
        self.start_interpreter();
        let mut may_have_output = true;
        loop {
            self.make_way();
            self.attend();
            if may_have_output {
                let is_empty = self.pump();
                if self.exceeds_output() {
                    self.kill_program().await;
                    // What has ended already is concluded.
                    continue;
                }
                if is_empty {
                    self.conclude();
                }
            }
            may_have_output = true;
            match self.next_event().await {
                Event::Command(Some(Command::Destroy(reply))) => {
                    self.destroy().await;
                    let _ = reply.send(());
                    return;
                }
                Event::Command(None) => return self.destroy().await,
                Event::Command(Some(command)) => {
                    // What an interpreter prints is waited for.
                    let is_start = matches!(command, Command::Start(Plan::Snippet { .. }, _));
                    self.handle_command(command).await;
                    may_have_output = !is_start || self.interpreter.is_none();
                }
                Event::StepExit(exit) => {
                    if let Some(step) = &mut self.step {
                        step.exit = Some(exit);
                        let spent = step.process.spent();
                        self.note_end(spent);
                    }
                }
                Event::InterpreterExit(exit) => {
                    if let Some(interpreter) = &mut self.interpreter {
                        interpreter.exit = Some(exit);
                        let spent = interpreter.spent();
                        if self.run.as_ref().is_some_and(|run| run.steps.is_none()) {
                            self.note_end(spent);
                        }
                    }
                }
                Event::Timer => self.tick().await,
                Event::Other => {}
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        let stock = Arc::clone(&self.setup.stock);
        let mut freed = std::pin::pin!(stock.freed());
        freed.as_mut().enable();
        let room = self.has_room();
        let frame_room = self.has_room_for_frame();
        let timer = self.timer();
        tokio::select! {
            command = self.commands.recv() => Event::Command(command),
            () = self.output.readable(), if room => Event::Other,
            exit = RunningStep::exit(&mut self.step) => Event::StepExit(exit),
            exit = Interpreter::event(&mut self.interpreter, room && frame_room) => {
                exit.map_or(Event::Other, Event::InterpreterExit)
            }
            () = self.shared.to_driver.notified() => Event::Other,
            () = freed, if !room || !frame_room => Event::Other,
            () = sleep_until(timer) => Event::Timer,
        }
    }

    async fn handle_command(&mut self, command: Command) {
        match command {
            Command::Start(plan, circumstances) => self.start_run(plan, circumstances),
            Command::Input(input) => self.give_input(input),
            Command::Exceeded(limit, message) => self.kill_for_limit(limit, &message).await,
            Command::Complete { request, reply } => self.complete(&request, reply),
            Command::Interrupt => self.interrupt(),
            Command::Restart(reply) => {
                self.end_politely().await;
                self.kill_everything().await;
                self.forget_run("the kernel was restarted");
                self.output.clear();
                self.input.clear();
                {
                    let mut state = self.shared.lock();
                    // What a run has printed that has ended just now, or was not fetched, is still its client's.
                    if !matches!(state.phase, Phase::Ended(_)) {
                        state.leave_output();
                    }
                }
                self.starting = Some(reply);
                self.start_interpreter();
            }
            // Handled in `drive`, which must return.
            Command::Destroy(_) => {}
        }
    }

    /// Starts the interpreter, if this language has one, and reports if that fails.
    fn start_interpreter(&mut self) {
        self.bystanders = None;
        let is_first = self.next_process == 0;
        let mark = self.mark();
        let started =
            Interpreter::start(&self.setup, &mut self.output, &self.input, mark, is_first);
        let report = match started {
            // The runner reports when it has started.
            Ok(Some(interpreter)) => {
                self.interpreter = Some(interpreter);
                None
            }
            Ok(None) => Some(Ok(())),
            Err(error) => {
                let root = self.setup.home.root();
                Some(Err(KernelStartError::of_system(&error, root)))
            }
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
        let step = self.step.as_ref().and_then(|step| step.process.id());
        self.shared.lock().processes = interpreter.into_iter().chain(step).collect();
    }

    /// Kills all processes of this kernel and waits until they are gone.
    async fn kill_everything(&mut self) {
        self.note_shared_files().await;
        if let Some(interpreter) = &mut self.interpreter {
            interpreter.kill();
        }
        if let Some(step) = &mut self.step {
            step.process.kill_group();
        }
        let setup = Arc::clone(&self.setup);
        // Fails only if the runtime is shutting down; the gateway kills all processes once more then.
        let _ = tokio::task::spawn_blocking(move || setup.kill_all()).await;
        self.shared.lock().kills += 1;
        if let Some(mut interpreter) = self.interpreter.take() {
            interpreter.wait().await;
        }
        if let Some(mut step) = self.step.take() {
            step.process.wait_killed().await;
        }
        self.note_processes();
    }

    async fn destroy(&mut self) {
        self.end_politely().await;
        self.kill_everything().await;
        self.shared.enter(Phase::Gone);
        let setup = Arc::clone(&self.setup);
        let remove = move || {
            setup.confined.close();
            setup.home.remove()
        };
        let removed = tokio::task::spawn_blocking(remove).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(%error, "the directory of a kernel could not be removed");
        }
    }
}

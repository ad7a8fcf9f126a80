//! Signals: Ctrl-C interrupts a program and goes on; twice, or any other signal that ends commands, leaves.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use sorna::blocking::{Canceller, Kernel};

use super::event::Event;
use crate::chain::message;
use crate::failure::Failure;
use crate::lock::lock;
use crate::reporter::Reporter;
use crate::signals::{self, Last, LastWords, Stopped};
use crate::target::LocalGateway;
use crate::threads::start;

/// How long a program that was interrupted may go on without a word.
const PATIENCE: Duration = Duration::from_secs(2);

/// How soon a signal is the last one again. People may press Ctrl-C twice in a fifth of a second.
const REPEATED: Duration = Duration::from_millis(50);

/// How long a program that is left may keep the command from ending.
const LEAVING: Duration = Duration::from_secs(1);

/// What there is to stop.
#[derive(Clone, Default)]
enum Stage {
    /// Nothing has begun.
    #[default]
    Before,
    /// The kernel is created.
    Creates(Canceller),
    /// The prompt is shown, where Ctrl-C is a key and no signal.
    Prompt,
    /// A program runs.
    Program(Arc<Program>),
    /// Something else, which cannot be stopped.
    Command,
    /// The command ends.
    Over,
}

/// A program that runs.
pub(super) struct Program {
    canceller: Canceller,
    /// Where it runs; `None` while it does not yet.
    kernel: Mutex<Option<Kernel>>,
    /// Whether Ctrl-C was pressed.
    is_pressed: AtomicBool,
    /// Whether it was interrupted, and that was not noticed yet.
    is_interrupted: AtomicBool,
    is_over: AtomicBool,
    /// Whether its kernel is destroyed when it is left.
    is_temporary: bool,
    /// What to say about a program that keeps running when the prompt is left.
    words: Mutex<Option<String>>,
}

impl Program {
    pub(super) fn new(canceller: Canceller) -> Self {
        Self {
            canceller,
            kernel: Mutex::default(),
            is_pressed: AtomicBool::default(),
            is_interrupted: AtomicBool::default(),
            is_over: AtomicBool::default(),
            is_temporary: false,
            words: Mutex::default(),
        }
    }

    /// Its kernel is destroyed when it is left.
    pub(super) fn in_temporary(mut self, is_temporary: bool) -> Self {
        self.is_temporary = is_temporary;
        self
    }

    /// The program keeps running when the prompt is left; this is then shown.
    pub(super) fn goes_on(&self, words: String) {
        *lock(&self.words) = Some(words);
    }

    /// It runs in this kernel, or, if there is none, waits for another one's end.
    pub(super) fn runs_in(&self, kernel: Option<Kernel>) {
        *lock(&self.kernel) = kernel;
    }

    /// Whether it was interrupted, and that was not noticed yet.
    pub(super) fn notices_interrupt(&self) -> bool {
        self.is_interrupted.swap(false, Relaxed)
    }

    /// Whether Ctrl-C was pressed.
    pub(super) fn is_pressed(&self) -> bool {
        self.is_pressed.load(Relaxed)
    }

    fn is_first(&self) -> bool {
        !self.is_pressed()
    }

    /// It has ended.
    fn is_over(&self) {
        self.is_over.store(true, Relaxed);
    }

    fn cancel(&self) {
        // If this fails, the run tries again and reports the outcome.
        let _ = self.canceller.cancel();
    }

    /// Interrupts it if it runs, and cancels it: what follows is not awaited.
    pub(super) fn stop(&self) {
        if let Some(kernel) = lock(&self.kernel).clone() {
            let _ = kernel.interrupt();
        }
        self.cancel();
    }

    /// Says what is done when it is left.
    fn say_leaving(&self, reporter: &mut Reporter) {
        if self.is_temporary {
            reporter.advice("Leaving, without waiting for the program...");
        } else if lock(&self.words).is_some() {
            reporter.advice("Leaving...");
        } else {
            reporter.advice(
                "Leaving, once the program has stopped... (press Ctrl-C again to quit now)",
            );
        }
    }

    /// Leaves it. If its kernel is temporary, that is destroyed, which ends it.
    fn leave(&self) {
        self.cancel();
        let kernel = lock(&self.kernel).clone();
        if let Some(kernel) = kernel.filter(|_| self.is_temporary) {
            // If this fails, the command tries again and reports the outcome.
            let _ = kernel.destroy();
        }
    }

    /// Ends the process if leaving takes too long, and the program keeps running anyway.
    fn leave_in_time(&self, end: impl FnOnce()) {
        if lock(&self.words).is_none() {
            return;
        }
        thread::sleep(LEAVING);
        if self.is_over.load(Relaxed) {
            return;
        }
        if let Some(words) = lock(&self.words).take() {
            Reporter::new(false).info(words);
        }
        end();
    }

    /// Interrupts it, or takes it back if it does not run yet. Says so where that is not possible, or has no effect.
    fn interrupt(&self, reporter: &mut Reporter) {
        let Some(kernel) = lock(&self.kernel).clone() else {
            return self.cancel();
        };
        match kernel.interrupt() {
            Ok(()) => {
                self.is_interrupted.store(true, Relaxed);
                thread::sleep(PATIENCE);
                if !self.is_over.load(Relaxed) {
                    reporter.advice(
                        "The program was interrupted, and keeps running. Press Ctrl-C again to leave.",
                    );
                }
            }
            Err(_) if self.is_over.load(Relaxed) => {}
            Err(error) => {
                let reason = message(&error);
                reporter.advice(format_args!(
                    "The program cannot be interrupted: {reason}. Press Ctrl-C again to leave."
                ));
            }
        }
    }
}

/// What is done at the moment, so that a signal finds it. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Watch(Arc<Mutex<Stage>>);

impl Watch {
    /// Watches on a separate thread.
    pub(super) fn start(
        signals: Signals,
        happen: Sender<Event>,
        gateway: LocalGateway,
        words: LastWords,
        stopped: Stopped,
        reporter: Reporter,
    ) -> Result<Self, Failure> {
        let watch = Self::default();
        let watched = watch.clone();
        start("signals", move || {
            watched.attend(signals, &happen, &gateway, &words, &stopped, &reporter);
        })?;
        Ok(watch)
    }

    pub(super) fn creates(&self, canceller: Canceller) {
        *lock(&self.0) = Stage::Creates(canceller);
    }

    pub(super) fn prompts(&self) {
        self.set(Stage::Prompt);
    }

    pub(super) fn runs(&self, program: Arc<Program>) {
        self.set(Stage::Program(program));
    }

    pub(super) fn commands(&self) {
        self.set(Stage::Command);
    }

    pub(super) fn is_over(&self) {
        self.set(Stage::Over);
    }

    fn set(&self, stage: Stage) {
        let before = std::mem::replace(&mut *lock(&self.0), stage);
        if let Stage::Program(program) = before {
            program.is_over();
        }
    }

    fn attend(
        &self,
        mut signals: Signals,
        happen: &Sender<Event>,
        gateway: &LocalGateway,
        words: &LastWords,
        stopped: &Stopped,
        reporter: &Reporter,
    ) {
        let mut last = Last::within(REPEATED);
        let mut was_told = false;
        for signal in signals.forever() {
            let is_repeated = last.is_repeated(signal);
            let stage = lock(&self.0).clone();
            // The first one that a program gets is for that one, however soon it comes after another.
            let is_first = |program: &Program| signal == SIGINT && program.is_first();
            if is_repeated && !matches!(&stage, Stage::Program(program) if is_first(program)) {
                continue;
            }
            if stopped.signal().is_some() || matches!(stage, Stage::Before | Stage::Over) {
                signals::end(signal, gateway, words);
            }
            match &stage {
                Stage::Prompt if signal == SIGINT => continue,
                Stage::Program(program) if is_first(program) => {
                    program.is_pressed.store(true, Relaxed);
                    let (program, mut reporter) = (Arc::clone(program), reporter.clone());
                    // On a separate thread, so that a second signal is noticed meanwhile.
                    thread::spawn(move || program.interrupt(&mut reporter));
                    continue;
                }
                Stage::Command if signal == SIGINT && !was_told => {
                    was_told = true;
                    reporter
                        .clone()
                        .advice("This cannot be interrupted. Press Ctrl-C again to leave.");
                    continue;
                }
                Stage::Command => signals::end(signal, gateway, words),
                _ => {}
            }
            stopped.stop(signal);
            let _ = happen.send(Event::Signal(signal));
            if let (Stage::Program(program), SIGINT) = (&stage, signal) {
                program.say_leaving(&mut reporter.clone());
                let (program, gateway, words) =
                    (Arc::clone(program), gateway.clone(), words.clone());
                thread::spawn(move || {
                    program.leave_in_time(|| signals::end(signal, &gateway, &words));
                });
            }
            thread::spawn(move || match stage {
                Stage::Creates(canceller) => drop(canceller.cancel()),
                Stage::Program(program) => program.leave(),
                _ => {}
            });
        }
    }
}

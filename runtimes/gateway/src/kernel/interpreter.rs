//! The persistent interpreter of a kernel, and the runner in it.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use sorna_core::server::CompleteRequest;

use super::channel::Channel;
use super::exit::ExitKind;
use super::frame::{Frame, Protocol};
use super::input::InputFifo;
use super::language::{Query, Runner};
use super::output::OutputPipes;
use super::process::Process;
use super::procfs;
use super::prompts::Adapted;
use super::setup::Setup;
use super::spawn::{Streams, spawn};
use super::stock::Held;
use super::wait::sleep_until;
use crate::boxes::Spent;

/// How long a process may live without its channel. Some interpreters close all files and then clean
/// up more before they exit, and must not lose their exit code by being killed.
const EXIT_TIME: Duration = Duration::from_secs(2);

/// How long a large frame may take, while it is read.
const FRAME_TIME: Duration = Duration::from_secs(30);

/// A process that receives snippets on its control channel.
#[derive(Debug)]
pub(crate) struct Interpreter {
    process: Process,
    channel: Channel,
    protocol: Protocol,
    /// Whether it ends after a snippet that is said to be the last one.
    ends_itself: bool,
    /// Whether it sends values of expressions.
    echoes: bool,
    /// Whether it may hold input for the next snippet.
    keeps_input: bool,
    /// Whether it has run a snippet.
    has_run: bool,
    /// The most memory that it had in earlier snippets, if the system could not forget that.
    old_peak: u64,
    /// How many interrupts of one snippet it may leave unanswered.
    patience: Option<u32>,
    /// How many the current snippet has received.
    interrupts: u32,
    /// For the large frame that it is sending.
    room: Option<Held>,
    /// When that has taken too long.
    late_at: Option<Instant>,
    mark: String,
    up: bool,
    /// Whether the gateway keeps the bytecode that it sends before it is up.
    brings_bytecode: bool,
    /// When to kill it, since it has closed its channel.
    kill_at: Option<Instant>,
    /// Whether the console already shows why it was killed.
    pub(crate) kill_is_reported: bool,
    /// How it ended, once it has.
    pub(crate) exit: Option<ExitKind>,
}

impl Interpreter {
    /// Starts the interpreter of a kernel's language; `None` if it has none. Must be called within
    /// a tokio runtime.
    pub(crate) fn start(
        setup: &Setup,
        output: &mut OutputPipes,
        input: &InputFifo,
        mark: String,
        is_first: bool,
    ) -> io::Result<Option<Self>> {
        let Query::Interpreter(runner) = &setup.installed.language.query else {
            return Ok(None);
        };
        let (channel, stdin) = Channel::pair()?;
        let (stdout, stderr) = output.writers(&setup.home)?;
        let streams = Streams {
            stdin,
            stdout,
            stderr,
        };
        let installed = &setup.installed;
        let fill_in = |words: &[String]| installed.command(words, &setup.home);
        let mut arguments = runner.command(&installed.program, &setup.runners, fill_in);
        arguments.push(input.path().into());
        // What a client may have had a hand in is not for the kernels of others.
        let brings_bytecode = *runner == Runner::Python && is_first && setup.environ.0.is_empty();
        if brings_bytecode {
            arguments.push(setup.bytecode.extent().word().into());
        }
        let work = setup.home.work();
        let process = spawn(
            setup,
            runner.gate(),
            arguments,
            &work,
            &mark,
            streams,
            Adapted::Children(runner.own_variables()),
        )?;
        Ok(Some(Self {
            process,
            channel,
            protocol: runner.protocol(),
            ends_itself: runner.ends_itself(),
            echoes: runner.echoes(),
            keeps_input: runner.keeps_input(),
            has_run: false,
            old_peak: 0,
            patience: runner.patience(),
            interrupts: 0,
            room: None,
            late_at: None,
            mark,
            up: false,
            brings_bytecode,
            kill_at: None,
            kill_is_reported: false,
            exit: None,
        }))
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// What it has used, if it has ended and that is known.
    pub(crate) fn spent(&self) -> Option<Spent> {
        self.process.spent()
    }

    /// Its process, if that runs: in a box, not the helper's.
    pub(crate) fn program(&mut self) -> Option<u32> {
        self.process.program()
    }

    /// The most memory that it had in earlier snippets, if the system could not forget that; else 0.
    pub(crate) fn old_peak(&self) -> u64 {
        self.old_peak
    }

    /// Has the system forget the most memory that it had, which was this.
    pub(crate) fn forget_peak(&mut self, peak: u64) {
        let is_forgotten = self.program().is_some_and(procfs::forget_peak);
        self.old_peak = if is_forgotten { 0 } else { peak };
    }

    /// Whether it has run a snippet.
    pub(crate) fn has_run(&self) -> bool {
        self.has_run
    }

    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }

    /// Whether what it sends as bytecode can only be that.
    pub(crate) fn brings_bytecode(&self) -> bool {
        self.brings_bytecode && !self.up
    }

    /// Whether the runner has reported that it has started.
    pub(crate) fn is_up(&self) -> bool {
        self.up
    }

    pub(crate) fn came_up(&mut self) {
        self.up = true;
    }

    /// Whether the process has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.exit.is_some()
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill_group();
    }

    /// Interrupts it and what it started. Returns whether it gets a chance to end what runs by itself, before
    /// [`signal`](Self::signal).
    pub(crate) fn interrupt(&mut self) -> bool {
        if self
            .patience
            .is_some_and(|patience| self.interrupts >= patience)
        {
            self.kill();
            return false;
        }
        self.interrupts += 1;
        let has_chance = self.patience.is_some();
        if has_chance {
            self.process.urge();
        } else {
            self.signal();
        }
        has_chance
    }

    /// Sends it, and what it started, the signal of Ctrl-C.
    pub(crate) fn signal(&mut self) {
        self.process.interrupt();
    }

    pub(crate) async fn wait(&mut self) {
        self.process.wait_killed().await;
    }

    /// Waits until there is something to do on the channel, or until the process ends, and then
    /// returns how. Waits forever if there is no interpreter.
    pub(crate) async fn event(this: &mut Option<Self>, reading: bool) -> Option<ExitKind> {
        let Some(this) = this else {
            return std::future::pending().await;
        };
        let has_ended = this.exit.is_some();
        if reading && this.room.is_some() {
            this.late_at
                .get_or_insert_with(|| Instant::now() + FRAME_TIME);
        } else {
            this.late_at = None;
        }
        let kill_at = this.kill_at.into_iter().chain(this.late_at).min();
        let kill_at = kill_at.filter(|_| !has_ended);
        tokio::select! {
            () = this.channel.ready(reading) => None,
            status = this.process.wait(), if !has_ended => Some(status.into()),
            () = sleep_until(kill_at) => {
                this.kill_at = None;
                this.late_at = None;
                this.kill();
                None
            }
        }
    }

    /// Writes what is still waiting to be written.
    pub(crate) fn flush(&mut self) {
        self.channel.flush();
    }

    /// The length of the large frame that it is sending, if there has to be room for that.
    pub(crate) fn large_frame(&self) -> Option<usize> {
        self.channel.large_frame().filter(|_| self.room.is_none())
    }

    /// Gives the frame that it is sending room.
    pub(crate) fn make_room(&mut self, length: usize, room: Held) {
        self.channel.reserve(length);
        self.room = Some(room);
    }

    /// The room of the frame that is being received.
    pub(crate) fn room(&mut self) -> Option<&mut Held> {
        self.room.as_mut()
    }

    /// Gives the room of the frame that is being received to others who wait for it, and says so in its place.
    pub(crate) fn lose_guest(&mut self) {
        let in_the_way = |room: &mut Held| room.is_in_the_way();
        if self.room.take_if(in_the_way).is_some() && self.channel.lose_frame() {
            // The runner waits for that once it has sent the rest.
            self.settled(0);
        }
    }

    /// The room of a frame that has been received.
    pub(crate) fn take_room(&mut self) -> Option<Held> {
        self.room.take()
    }

    /// Reads what the runner sent. Returns whether there may be more.
    pub(crate) fn receive(&mut self) -> bool {
        let received = self.channel.receive();
        if self.channel.ended() && self.exit.is_none() {
            // The process is about to end, or useless.
            self.kill_at
                .get_or_insert_with(|| Instant::now() + EXIT_TIME);
        }
        received
    }

    /// The next frame of the runner.
    pub(crate) fn next_frame(&mut self) -> Option<Frame> {
        match self.channel.next() {
            Ok(frame) => frame,
            Err(_malformed) => {
                self.kill();
                None
            }
        }
    }

    /// Runs a snippet, and sends the value of its last expression if that is wanted. After one that is final the interpreter ends as its language does, if the runner can do that.
    pub(crate) fn run(&mut self, code: &str, is_final: bool, echoes: bool) {
        self.interrupts = 0;
        self.has_run = true;
        let is_final = is_final && self.ends_itself;
        let echoes = echoes && self.echoes;
        let message = self.protocol.run(code, is_final, echoes);
        self.channel.send(&message);
    }

    /// Has it keep what it has read of its input, and no snippet has, for the next snippet.
    pub(crate) fn keep_input(&mut self) {
        if self.keeps_input {
            self.channel.send(&Protocol::keep_input());
        }
    }

    /// Has it end as its language does, while no snippet runs. Returns whether it can.
    pub(crate) fn finish(&mut self) -> bool {
        let can_end = self.ends_itself && self.up && self.exit.is_none();
        if can_end {
            self.run("", true, false);
        }
        can_end
    }

    pub(crate) fn give_input(&mut self, id: u64, input: &[u8]) {
        self.channel.send(&self.protocol.input(id, input));
    }

    pub(crate) fn settled(&mut self, id: u64) {
        self.channel.send(&self.protocol.settled(id));
    }

    /// Has it pass on the records of programs in files, if it can.
    pub(crate) fn listen(&mut self, path: &Path) {
        if let Some(message) = self.protocol.listen(path) {
            self.channel.send(&message);
        }
    }

    /// Requests completions; `false` if this runner has none.
    pub(crate) fn complete(&mut self, id: u64, request: &CompleteRequest) -> bool {
        match self.protocol.complete(id, request) {
            Some(message) => {
                self.channel.send(&message);
                true
            }
            None => false,
        }
    }
}

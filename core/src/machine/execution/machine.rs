//! The machine of one execution.

mod driving;
mod giving_up;
mod held;
mod turn;
mod websocket;

use std::collections::VecDeque;
use std::time::Duration;

use self::held::{BusyWait, Held};
use super::conduct::{Conduct, Next};
use super::event::ExecutionEvent;
use super::settle::Ask;
use super::stream::Stream;
use super::streaming::Streaming;
use crate::caller::Caller;
use crate::error::{AbortReason, Aborted, BuildError, Error, UsageError};
use crate::frame::Frame;
use crate::ident::KernelId;
use crate::instant::Instant;
use crate::machine::call::Call;
use crate::machine::step::Transmit;
use crate::moment::Moment;
use crate::ops::{
    Continuation, Execute, ExecuteMode, ExecutionResult, ExecutionStatus, Interrupt, RunMark,
};
use crate::problem::ProblemKind;
use crate::retry::RetryPolicy;
use crate::version::Dialect;

/// The least time between two requests for output if the first had none. A gateway holds such a request for
/// about 2 s; one that does not must not be flooded.
const LEAST_INTERVAL: Duration = Duration::from_millis(200);

/// The most time for each request after the end of a program, or when it is given up.
const LAST_LIMIT: Duration = Duration::from_secs(10);

/// The same where the gateway recognizes requests: one of `sorna serve`, which responds within about 2 s.
const LAST_RECOGNIZED_LIMIT: Duration = Duration::from_secs(5);

/// How long the gateway may take to close a WebSocket after the end.
const PARTING: Duration = Duration::from_secs(1);

/// The most time for a request that another execution may keep waiting: manager 23.09.10 reports that after 30 s.
const BUSY_LIMIT: Duration = Duration::from_secs(35);

/// Executes code until it ends.
///
/// ```text
///   new ─► Calling ──────────► a result: its console, and its status
///           ▲  ▲                 │             │              │
///           │  │   continued,    │             │ waiting-     │ finished,
///           │  │   …-finished,   │             │ input        │ exec-timeout,
///           │  │   unknown       │             │              │ an error
///           │  └── (Pausing) ◄───┘             ▼              ▼
///           └────── answer(…) ◄────────── AwaitingInput      Over (Idle from then on)
///                                         Step::Idle         Step::Done
/// ```
///
/// The console of a result is reported as an event before anything else. A gateway holds a request for
/// output for about 2 s. Some do not: if a result without output arrives within 200 ms of its
/// request, the machine waits for the rest of the 200 ms (`Step::Wait`).
///
/// The first request has the code, each further one `""` or the input, with the same mode (and steps,
/// for a batch). Source: the API manual of 2017, "Code execution"; observed on gateway 0.9.11: code
/// that is sent with a continuation is ignored, and after a failed build the `exec` step still
/// runs.
///
/// In Backend.AI there is more to it: see [below](Self#backendai).
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use sorna_core::machine::{Execution, ExecutionEvent, Machine, Step};
/// use sorna_core::{Caller, ExecuteMode, Instant, KernelId, Moment};
/// # use sorna_core::{AccessKey, Config, Credentials, SecretKey, Signer};
/// # let keys = Credentials::new(AccessKey::new("AK")?, SecretKey::new("SK")?);
/// # let signer = Signer::new(Config::new("http://127.0.0.1:8081".parse()?, keys));
/// # let now = Moment::new(UNIX_EPOCH + Duration::from_secs(1_498_699_425), Instant::default(), 42);
///
/// let code = ExecuteMode::query("name = input('name? '); print('hi', name)");
/// let kernel = KernelId::new("zuF1OzMIhFknyjUl7Apbvg")?;
/// let mut execution = Execution::new(kernel, code, Caller::new(signer));
///
/// let Step::Send(transmit) = execution.poll(now) else { panic!() };
/// assert_eq!(
///     transmit.request.body().as_bytes().unwrap(),
///     br#"{"mode":"query","code":"name = input('name? '); print('hi', name)"}"#,
/// );
/// let response = r#"{"result": {"status": "waiting-input", "console": [["stdout", "name? "]],
///                             "options": {"is_password": false}}}"#;
/// execution.handle_response(now, http::Response::new(response.into()));
///
/// let Step::Event(ExecutionEvent::Console(console)) = execution.poll(now) else { panic!() };
/// assert_eq!(console.stdout(), "name? ");
/// let Step::Event(ExecutionEvent::InputRequested { is_password, .. }) = execution.poll(now) else { panic!() };
/// assert!(!is_password);
/// execution.answer("lablup")?;
///
/// let Step::Send(transmit) = execution.poll(now) else { panic!() };
/// assert_eq!(transmit.request.body().as_bytes().unwrap(), br#"{"mode":"query","code":"lablup"}"#);
/// let response = r#"{"result": {"status": "continued", "console": [["stdout", "hi "]]}}"#;
/// execution.handle_response(now, http::Response::new(response.into()));
///
/// let Step::Event(ExecutionEvent::Console(_)) = execution.poll(now) else { panic!() };
/// let Step::Send(transmit) = execution.poll(now) else { panic!() };
/// assert_eq!(transmit.request.body().as_bytes().unwrap(), br#"{"mode":"query","code":""}"#);
/// let response = r#"{"result": {"status": "finished", "console": [["stdout", "lablup\n"]]}}"#;
/// execution.handle_response(now, http::Response::new(response.into()));
///
/// let Step::Event(ExecutionEvent::Console(_)) = execution.poll(now) else { panic!() };
/// let Step::Done(Ok(end)) = execution.poll(now) else { panic!() };
/// assert_eq!(end.exit_code(), None); // this gateway does not send it
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Backend.AI
///
/// All requests of an execution have the same run ID, which the machine makes of [`Moment::random`] at the first poll.
/// A continuation has the mode `continue` or `input`. After the end, the machine never continues: managers would hold
/// that request, answer `continued` without end, and let every other execution in the kernel wait.
///
/// **A batch is one command** there, for all managers. Managers from 25.12 on drop what a step reports until the
/// next request arrives (observed on 26.9.6, read in the agent's source: each end of a step detaches the run's queue);
/// a build or program that ends before that is lost, with its exit code, and no request can find out. Only the first
/// answer, `clean-finished`, is always delivered. So both steps run in the step `clean`, as a shell command that prints
/// a mark between their outputs, which the machine takes out; the empty steps that follow are collected afterwards.
/// (Observed with the agent's code of 23.09.10 and 26.9.6, and the kernel runner of 26.9.6.)
/// The events are those of other gateways: the output of the build, `StepFinished`, the output of the program, the end.
/// The default steps (`*`) of Python images are part of that command. For an older image of another language (up to
/// 25.14.4) the command reports that it does not know them, and the machine sends the steps as such. From 25.14.5 on, images other
/// than Python's must be given a command; without one, the program ends with exit code 127 and says so.
///
/// An [`Interrupt`] of a batch reaches its program; of steps that take a shell (`make; ./main`), and of builds, it ends all
/// processes where the image has GNU `timeout`. Elsewhere the shell waits for what it has started, since managers interrupt
/// the step's first process only. A build that was interrupted ends with 130, as does a shell.
///
/// Exit codes: a failed build makes the batch end with 127, as managers do; its own code is in `StepFinished`. A program
/// killed by a signal has the negative number of the signal if it is the whole step, and 128 plus the number if a
/// shell waited for it. An exception in a snippet is 0 on 23.09 and 1 on 26.9; so is `sys.exit(3)`: 0 and 3.
///
/// **A program that must be given up** keeps its kernel busy. [`give_up`](Self::give_up) interrupts it, collects its end, and
/// sends a query with the same run ID if there is none, which ends the run on both managers; that takes 8 s at most
/// if the manager responds in time. The same is done if a response is a 500, as it is for a program that
/// shows HTML. A program that ends its interpreter (`os._exit`) stays `continued` without end, and neither `info` nor
/// anything else tells it from one that computes: use [`with_silence_limit`](Self::with_silence_limit), and destroy
/// the kernel if it could not be freed.
///
/// **A response that is lost** is [`Error::MayHaveRun`], and what it contained is lost, too. Before that is reported, the
/// run is ended in the same way, unless its kernel does not respond to its run ID at all, since another run keeps it busy.
///
/// # Over a WebSocket
///
/// With [`with_streaming`](Self::with_streaming), an execution is one WebSocket instead of many requests: managers then
/// send output every 0.2 s and not every 2 s, and ask for nothing in between. Events, results and `give_up` are the same.
///
/// ```text
///   new ─► Opening ───── handle_open ────────► Listening ◄─────────────┐ handle_frame: events
///          Step::Open                          Step::SendFrame, ───────┘
///              │                               Step::Wait │   ▲
///              │ any response, any failure                │   └─ answer(…) ◄── AwaitingInput
///              ▼                                          ▼
///           Calling (as above)                 Step::Close, then Over
/// ```
///
/// Nothing is executed before the WebSocket is open, so if there is none the same code is sent by a request. From the
/// first message on nothing is repeated: the run's ID is known to the manager alone (read in the sources of 23.09.10 and
/// 26.9.6), so an execution cannot be continued in another way. If the WebSocket breaks or is closed before the end, that
/// is [`Error::MayHaveRun`], after all output that has arrived. (A gateway that recognizes
/// [persistent executions](RunMark::with_persistence) lets the client continue by requests.) Managers interrupt the program then, if they notice; if
/// they do not, and it does not end, its kernel stays busy. The same holds if the manager
/// [says that it failed](crate::AbortReason::Reported), for example since a program shows HTML: only a run with a known ID
/// can be freed.
#[derive(Debug)]
#[must_use = "an execution does nothing until it is polled"]
pub struct Execution {
    /// The operation of the next request.
    execute: Execute,
    /// Whether the first request is final.
    is_final: bool,
    /// Whether it asks for the value of the last expression.
    echoes: bool,
    /// Whether the input that the program waits for may be bytes.
    takes_bytes: bool,
    caller: Caller,
    pub(super) state: State,
    events: VecDeque<ExecutionEvent>,
    /// When the last request was sent, for the pace of the next.
    sent: Instant,
    is_given_up: bool,
    /// Whether the gateway can interrupt programs. That of Backend.AI always can.
    interrupts: bool,
    /// Until when the end of a program is awaited that was interrupted, where nothing else would free the kernel.
    stopping: Option<Instant>,
    /// Whether the program waited for input before a pause.
    has_asked: bool,
    /// What only Backend.AI needs.
    conduct: Option<Box<Conduct>>,
    /// What may go over a WebSocket.
    streaming: Option<Streaming>,
    /// The WebSocket, while it is open.
    stream: Option<Box<Stream>>,
    must_close: bool,
    /// The mark of the next request, if they are marked.
    mark: Option<RunMark>,
    /// Whether it is only started.
    is_detached: bool,
    /// Whether it is continued by requests if its WebSocket breaks.
    persists: bool,
    /// How many results have come over the WebSocket.
    results: u64,
    /// Whether the gateway has responded to it, and so executes it.
    has_turn: bool,
    /// A request whose response had not come when the program was interrupted. It is sent again before any other, which
    /// would say that the response has arrived.
    unanswered: Option<Box<Execute>>,
    /// Whether the first request was sent once more to learn what has come of it.
    asks_again: bool,
    /// Whether it goes on by requests since its WebSocket broke.
    is_resumed: bool,
    /// For how long the kernel is waited for while it is busy.
    busy_wait: Option<BusyWait>,
}

#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "each execution has one of these, and it is never moved"
)]
pub(super) enum State {
    /// The first request needs a run ID.
    Ready(ExecuteMode),
    Calling(Call<Execute>),
    /// A WebSocket is requested.
    Opening(Box<Opening>),
    /// Results come over the WebSocket.
    Listening,
    Interrupting(Call<Interrupt>),
    AwaitingInput,
    Pausing(Instant),
    /// It has ended, and the gateway closes the WebSocket, until then at most.
    Parting(Instant, Box<ExecutionResult>),
    /// The end has arrived, but the WebSocket broke before the gateway could know that. A request tells it.
    Confirming(Box<Call<Execute>>, Box<ExecutionResult>),
    /// The kernel is busy with another execution.
    Held(Box<Held>),
    /// How it ended; `None` once that was polled.
    Over(Option<Result<ExecutionResult, Error>>),
}

/// A request for a WebSocket, and what is to be executed with or without it.
#[derive(Debug)]
pub(super) struct Opening {
    /// `None` once it is in flight.
    request: Option<Transmit>,
    first: String,
    start: Execute,
}

impl Execution {
    /// An execution. It starts when it is polled. The caller's policy applies to each of its requests.
    pub fn new(kernel: KernelId, mode: ExecuteMode, caller: Caller) -> Self {
        Self::of(Execute::start(kernel, mode), caller)
    }

    /// An execution that begins with this request, which may be [final](Execute::with_final), ask for
    /// [bytes](Execute::with_bytes) or a [value](Execute::with_echo), and be [marked](Execute::with_mark): then all of its requests are.
    pub fn of(mut execute: Execute, caller: Caller) -> Self {
        let (is_final, echoes) = (execute.is_final, execute.echoes);
        let mark = execute.mark.take();
        if let Some(mark) = mark.as_ref().filter(|mark| !mark.id.is_empty()) {
            execute.run_id = Some(mark.id.clone());
        }
        let (execute, state, conduct) = match caller.version().dialect() {
            Dialect::SornaV2 if mark.is_some() => {
                let rest = execute.proceed(Continuation::Continue);
                (rest, State::Ready(execute.mode), None)
            }
            Dialect::SornaV2 => {
                // Later requests need the mode, but not the code.
                let rest = execute.proceed(Continuation::Continue);
                let call = Call::new(execute, caller.clone());
                (rest, State::Calling(call), None)
            }
            Dialect::BackendAi => {
                let mut rest = Execute::start(execute.kernel, ExecuteMode::query(""));
                rest.run_id = execute.run_id;
                rest.wants_bytes = execute.wants_bytes;
                let conduct = Box::new(Conduct::new(caller.version()));
                (rest, State::Ready(execute.mode), Some(conduct))
            }
        };
        Self {
            state,
            execute,
            is_final,
            echoes,
            takes_bytes: false,
            caller,
            events: VecDeque::new(),
            sent: Instant::default(),
            is_given_up: false,
            interrupts: false,
            stopping: None,
            has_asked: false,
            conduct,
            streaming: None,
            stream: None,
            must_close: false,
            is_detached: mark.as_ref().is_some_and(|mark| mark.is_detached),
            persists: mark.as_ref().is_some_and(|mark| mark.persists),
            results: 0,
            mark,
            has_turn: false,
            unanswered: None,
            asks_again: false,
            is_resumed: false,
            busy_wait: None,
        }
    }

    /// Takes over what runs in a kernel, or the end of what ran last, if no client has received that: see
    /// [`RunMark::of_attached`]. Starts nothing.
    ///
    /// For gateways that offer [`Execute::ATTACH`]: others do not know it.
    pub fn attach(kernel: KernelId, caller: Caller) -> Self {
        Self::of(Execute::attach(kernel), caller)
    }

    /// Says whether the gateway offers [`Execute::ATTACH`]. If not, an execution that attaches, or starts without a client, ends
    /// with [`BuildError::NotOffered`]. Has no effect once the execution has begun.
    pub fn with_attaching(mut self, is_offered: bool) -> Self {
        let (State::Ready(_), Some(mark), false) = (&self.state, &mut self.mark, is_offered) else {
            return self;
        };
        self.persists = false;
        mark.persists = false;
        let what = match (mark.attaches, mark.is_detached) {
            (true, _) => "attaching to what runs",
            (false, true) => "executions without a client",
            (false, false) => return self,
        };
        self.state = State::Over(Some(Err(BuildError::NotOffered { what }.into())));
        self
    }

    /// The end of an execution that its client can no longer finish, by its [run ID](Self::run_id); of Backend.AI only. It
    /// keeps its session busy until someone collects its end: this asks for it, interrupts the program if there is none, and
    /// drops its output. The end is [`Error::Aborted`], which says whether the kernel is free.
    ///
    /// Nothing is interrupted while another execution keeps the kernel busy: the first request has no response then, which
    /// is not a success either. [`Error::Gateway`] is for errors such as a session that is gone.
    pub fn of_abandoned_run(kernel: KernelId, run_id: impl Into<String>, caller: Caller) -> Self {
        let version = caller.version();
        let mut this = Self::new(kernel, ExecuteMode::query(""), caller);
        if this.conduct.is_none() {
            let what = "run IDs";
            this.state = State::Over(Some(Err(BuildError::Unsupported { what, version }.into())));
            return this;
        }
        this.execute.run_id = Some(run_id.into());
        this.conduct = Some(Box::new(Conduct::of_abandoned_run(version)));
        let query = this.execute.proceed(Continuation::Start);
        let policy = RetryPolicy::never().with_attempt_limit(BUSY_LIMIT);
        this.state = State::Calling(Call::new(query, this.caller.clone().with_retry(policy)));
        this
    }

    /// Executes with this run ID, which no other execution in the kernel may have: of Backend.AI only, and for what is not
    /// streamed. Without this it is random. Has no effect once the execution has begun.
    pub fn with_run_id(mut self, run_id: impl Into<String>) -> Self {
        self.set_run_id(run_id.into());
        self
    }

    /// As [`with_run_id`](Self::with_run_id).
    pub fn set_run_id(&mut self, run_id: String) {
        if let State::Ready(_) = self.state {
            self.execute.run_id = Some(run_id);
        }
    }

    /// The ID with which all requests of this execution are sent, from the first poll on, or if it was
    /// [set](Self::with_run_id). Keep it where the kernel must not stay busy if the program is killed: see
    /// [`of_abandoned_run`](Self::of_abandoned_run). `None` in Sorna v2, and for an execution over a WebSocket, whose ID
    /// only the manager knows.
    #[must_use]
    pub fn run_id(&self) -> Option<&str> {
        let is_streamed = match &self.state {
            State::Ready(_) => self.streaming.is_some(),
            _ => self.stream.is_some() || matches!(self.state, State::Opening(_)),
        };
        self.execute.run_id.as_deref().filter(|_| !is_streamed)
    }

    /// Makes up the run ID, if it has none.
    pub(in crate::machine) fn choose_run_id(&mut self, now: Moment) {
        if let State::Ready(_) = self.state {
            let random = || format!("{:016x}", now.random);
            self.execute.run_id.get_or_insert_with(random);
        }
    }

    /// The ID by which the gateway recognizes it, if it is marked, once that is chosen.
    pub(in crate::machine) fn mark_id(&self) -> Option<&str> {
        self.execute
            .run_id
            .as_deref()
            .filter(|_| self.mark.is_some())
    }

    /// Gives the execution up after this much time without output, as [`give_up`](Self::give_up). Without this it is
    /// awaited without a limit. Waiting for input does not count. Of Backend.AI only: in Sorna v2, the gateway has a limit.
    pub fn with_silence_limit(mut self, limit: Duration) -> Self {
        if let Some(conduct) = &mut self.conduct {
            conduct.limit_silence(limit);
        }
        self
    }

    /// For a kernel that is about to be destroyed: leaves it as it is at the end.
    pub(in crate::machine) fn in_last_use(mut self) -> Self {
        if let Some(conduct) = &mut self.conduct {
            conduct.leave_as_it_is();
        }
        self
    }

    /// Gives the input that the program asks for. A line end is not added: interpreters expect none.
    ///
    /// # Errors
    ///
    /// [`UsageError::InputNotExpected`] if the program does not wait for input.
    pub fn answer(&mut self, input: impl Into<String>) -> Result<(), UsageError> {
        if !self.awaits_input() {
            return Err(UsageError::InputNotExpected);
        }
        if let Some(conduct) = &mut self.conduct {
            conduct.input_given();
        }
        self.proceed(Continuation::Input(input.into()));
        Ok(())
    }

    /// Gives these bytes as the input that the program asks for. They need not be UTF-8, and nothing is added to them: a
    /// program that reads a line waits for its end.
    ///
    /// # Errors
    ///
    /// [`UsageError::InputNotExpected`] if the program does not wait for input; [`UsageError::BytesNotTaken`] if the gateway
    /// takes only text. [`ExecutionEvent::InputRequested`] says whether it does.
    pub fn answer_bytes(&mut self, input: impl Into<Vec<u8>>) -> Result<(), UsageError> {
        if !self.awaits_input() {
            return Err(UsageError::InputNotExpected);
        }
        if !self.takes_bytes {
            return Err(UsageError::BytesNotTaken);
        }
        if let Some(conduct) = &mut self.conduct {
            conduct.input_given();
        }
        self.proceed(Continuation::InputBytes(input.into()));
        Ok(())
    }

    /// Whether the program waits for input.
    #[must_use]
    pub fn awaits_input(&self) -> bool {
        matches!(self.state, State::AwaitingInput) && !self.is_given_up
    }

    /// Whether a request is in flight.
    pub(in crate::machine) fn is_in_flight(&self) -> bool {
        match &self.state {
            State::Calling(call) => call.is_in_flight(),
            State::Interrupting(call) => call.is_in_flight(),
            State::Confirming(call, _) => call.is_in_flight(),
            State::Opening(opening) => opening.request.is_none(),
            _ => false,
        }
    }

    fn proceed(&mut self, continuation: Continuation) {
        if let Some(stream) = &mut self.stream {
            match continuation {
                Continuation::Input(text) => stream.send(Frame::Text(text)),
                Continuation::InputBytes(bytes) => stream.send(Frame::Binary(bytes.into())),
                _ => {}
            }
            self.state = State::Listening;
            return;
        }
        let next = match self.unanswered.take() {
            Some(unanswered) => *unanswered,
            None => self.next(continuation),
        };
        self.call(next);
    }

    fn call(&mut self, execute: Execute) {
        let caller = self.caller.clone();
        let is_last = match &self.conduct {
            Some(conduct) => !conduct.is_running(),
            None => false,
        };
        let caller = match is_last || self.asks_again && !self.has_turn {
            // It may be sent again.
            true if self.mark.is_some() => twice_in_short(caller),
            true => in_short(caller, false),
            false => caller,
        };
        self.state = State::Calling(Call::new(execute, caller));
    }

    fn end(&mut self, end: Result<ExecutionResult, Error>) {
        self.close();
        let lost = self
            .conduct
            .as_mut()
            .and_then(|conduct| conduct.take_lost());
        self.state = State::Over(Some(lost.map_or(end, Err)));
    }

    /// Makes the first request.
    fn begin(&mut self, now: Moment, mode: ExecuteMode) {
        let random = || format!("{:016x}", now.random);
        self.execute.run_id.get_or_insert_with(random);
        // Only gateways that are no managers know marks.
        let never_blocks = self.streaming.is_some_and(Streaming::never_blocks);
        let is_simple = never_blocks || self.mark.is_some();
        let mode = match &mut self.conduct {
            Some(conduct) if is_simple => conduct.begin_as_it_is(mode, now),
            Some(conduct) => conduct.begin(mode, now),
            None => mode,
        };
        let mut start = self.next(Continuation::Start);
        start.mode = mode;
        start.is_final = self.is_final;
        start.echoes = self.echoes;
        self.start(now, start);
    }

    /// Makes the first request, or opens a WebSocket for it.
    fn start(&mut self, now: Moment, start: Execute) {
        self.sent = now.instant;
        let is_last = self
            .conduct
            .as_ref()
            .is_some_and(|conduct| !conduct.is_used_again());
        let streams = |streaming: Streaming| streaming.allows(&start.mode, is_last);
        // Sorna v2 has no executions over WebSockets.
        // What is only started has no output to wait for.
        if self.conduct.is_none() || self.is_detached || !self.streaming.is_some_and(streams) {
            return self.call(start);
        }
        match self.open(now, start) {
            Ok(opening) => self.state = State::Opening(Box::new(opening)),
            Err(error) => self.end(Err(error)),
        }
    }

    fn act(&mut self, next: Next) {
        match next {
            Next::Ask(Ask::Continue) => self.proceed(Continuation::Continue),
            Next::Ask(Ask::Input) => self.proceed(Continuation::Input(String::new())),
            // With a run ID that only the manager knows, none can be sent.
            Next::Ask(Ask::Query) if self.stream.is_some() => self.state = State::Listening,
            Next::Ask(Ask::Query) => {
                let query = self.next(Continuation::Start);
                self.call(query);
            }
            Next::Interrupt => {
                let interrupt = Interrupt::new(self.execute.kernel.clone());
                let caller = in_short(self.caller.clone(), self.mark.is_some());
                self.state = State::Interrupting(Call::new(interrupt, caller));
            }
            Next::Start(mode) => {
                self.close();
                let mut start = self.next(Continuation::Start);
                start.mode = mode;
                self.call(start);
            }
            Next::Wait(until) => self.state = State::Pausing(until),
            Next::End(end) => self.end(end),
        }
    }

    fn received(&mut self, now: Moment, result: ExecutionResult) {
        self.note_turn();
        let taken = match &mut self.conduct {
            Some(conduct) => conduct.received(result, now, &mut self.events),
            None => Ok((result, false)),
        };
        match taken {
            Ok((result, had_output)) => self.progress(now, result, had_output),
            Err(Next::End(Ok(result))) => self.finish(now, result),
            Err(next) => self.act(next),
        }
    }

    /// Ends with a result. The gateway has to know that it has arrived, where it keeps that for others else.
    fn finish(&mut self, now: Moment, result: ExecutionResult) {
        match (self.persists, self.stream.is_some()) {
            // Replies to what the gateway has sent tell it.
            (true, true) => {
                let until = now.instant.saturating_add(PARTING);
                self.state = State::Parting(until, Box::new(result));
            }
            (true, false) if self.is_resumed => self.confirm(result),
            _ => self.end(Ok(result)),
        }
    }

    /// Reports a result, and continues.
    fn progress(&mut self, now: Moment, mut result: ExecutionResult, had_output: bool) {
        let console = std::mem::take(&mut result.console);
        let silent = console.is_empty() && !had_output;
        if !console.is_empty() {
            self.events.push_back(ExecutionEvent::Console(console));
        }
        if result.status.is_end() {
            return self.finish(now, result);
        }
        if self.is_detached {
            return self.end(Ok(result));
        }
        self.execute.remember(&result);
        match result.status {
            ExecutionStatus::WaitingInput => {
                self.events.push_back(ExecutionEvent::InputRequested {
                    is_password: result.is_password(),
                    hides_line_end: result.hides_line_end(),
                    takes_lines: result.takes_lines(),
                    takes_bytes: result.takes_bytes(),
                    may_go_on: result.may_go_on(),
                });
                self.takes_bytes = result.takes_bytes();
                self.state = State::AwaitingInput;
                return;
            }
            ref status
                if self
                    .conduct
                    .as_ref()
                    .is_some_and(|conduct| conduct.is_of_empty_step(status)) => {}
            ExecutionStatus::BuildFinished | ExecutionStatus::CleanFinished => {
                self.events.push_back(ExecutionEvent::StepFinished {
                    exit_code: result.exit_code(),
                    usage: result.usage(),
                    status: result.status,
                });
            }
            ExecutionStatus::Other(_) => {
                self.events.push_back(ExecutionEvent::Unknown(result));
            }
            _ => {}
        }
        let next = self.sent.saturating_add(LEAST_INTERVAL);
        if silent && now.instant < next && self.stream.is_none() {
            self.state = State::Pausing(next);
        } else {
            self.proceed(Continuation::Continue);
        }
    }

    fn failed(&mut self, error: Error) {
        // Of a gateway that knows marks, that is how a program ended, as its agent says: its kernel was restarted, say.
        let reason = error
            .gateway()
            .filter(|response| response.kind() == Some(ProblemKind::KernelExecutionFailed))
            .and_then(|response| response.problem()?.agent_details.as_ref()?.title.as_ref());
        // The program keeps running, and its gateway keeps what was not received.
        let is_kept = self.persists && matches!(error, Error::MayHaveRun(_) | Error::Transport(_));
        if self.asks_again && !self.has_turn && error.gateway().is_some() {
            return self.end(Err(Aborted::new(AbortReason::GivenUp, true).into()));
        }
        let is_told = self.mark.is_some() && reason.is_some() || is_kept;
        let next = match &mut self.conduct {
            Some(conduct) if !(is_told && conduct.is_running()) => conduct.failed(error),
            _ => Next::End(Err(error)),
        };
        self.act(next);
    }
}

/// As [`in_short`], for requests that may be sent again.
fn twice_in_short(caller: Caller) -> Caller {
    let retry = caller.retry();
    let limit = LAST_RECOGNIZED_LIMIT.min(retry.attempt_limit());
    let retry = retry.with_attempt_limit(limit).with_budget(2 * limit);
    caller.with_retry(retry)
}

/// For a request that is only to leave the kernel in order, and must not take long.
fn in_short(caller: Caller, is_recognized: bool) -> Caller {
    let limit = match is_recognized {
        true => LAST_RECOGNIZED_LIMIT,
        false => LAST_LIMIT,
    };
    let limit = limit.min(caller.retry().attempt_limit());
    caller.with_retry(RetryPolicy::never().with_attempt_limit(limit))
}

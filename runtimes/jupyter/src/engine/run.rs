//! Cells.

use std::time::{Duration, Instant};

use serde_json::json;
use sorna::protocol::Execute;
use sorna::tokio::{Execution, Kernel};
use sorna::{Error, ExecutionEvent, ExecutionResult, with_causes};

use super::inspect::Help;
use super::link::Replies;
use super::listening::Waiting;
use super::remote::{Interrupted, NoKernel};
use super::{Worker, aside, hints, leaving};
use crate::cell::{Cell, End, Output, text};
use crate::message::{Message, Request};
use crate::traceback::{Failure, Family};

/// How often, and how many times, to try to reach a client that has not opened its socket for input yet.
const TRY: Duration = Duration::from_millis(50);
const TRIES: usize = 20;
/// How long messages may be on their way from a socket.
const SETTLE: Duration = Duration::from_millis(1);
/// The error for what a cell asks whose client answers nothing, as that of IPython.
const NO_STDIN: &str = "StdinNotImplementedError";
const NOBODY: &str =
    "the cell asked for input, and this client answers nothing (allow_stdin is false)";
/// What is said of an interpreter that has ended while nothing ran.
const LOST_BEFORE: &str =
    "The interpreter had ended while nothing ran: variables are lost, and files are kept.\n";
/// What is said if a cell does not end in spite of that.
const LOST: &str =
    "It went on asking, so its interpreter was restarted: variables are lost, and files are kept.";
/// How often a cell may ask in vain before its interpreter is restarted.
const MOST_REFUSALS: u32 = 100;

/// The error for a cell that does not fit into a request to the gateway.
const TOO_LARGE: &str = "CellTooLarge";
const MIB: usize = 1024 * 1024;
/// What such a request takes besides the code in it, in bytes, by far.
const REST_OF_REQUEST: usize = 16 * 1024;
/// What is said if an answer could not be passed on.
const NOT_ANSWERED: &str = "The answer was not passed on, and the cell was interrupted.";
/// What is said before a cell that had to end another one.
const ENDED: &str =
    "The connection of an earlier cell was lost; if that still ran, it was interrupted.\n";
/// How long that one has to end.
const END: Duration = Duration::from_secs(10);

/// What was answered to a request for input.
enum Answer {
    /// Nothing yet, and there is output.
    NotYet,
    Text(String),
    /// The user has interrupted.
    Interrupt,
    /// The client cannot be asked.
    Nobody,
}

/// A cell that is on its way.
struct Running<'r> {
    request: &'r Request,
    cell: Cell,
    kernel: Kernel,
    is_silent: bool,
    /// Whether it has asked for input.
    has_asked: bool,
    /// Whether its client was asked, and has not answered.
    is_asked: bool,
    /// How often it has asked in vain.
    refusals: u32,
    /// Whether it was interrupted for that.
    is_refused: bool,
}

/// How a cell fails that is too large for a request to the gateway.
fn too_large(code: &str) -> Option<Failure> {
    let most = MIB - REST_OF_REQUEST;
    // As JSON, a character has up to six bytes.
    let is_small = code.len() <= most / 6;
    if is_small || serde_json::to_string(code).is_ok_and(|json| json.len() <= most) {
        return None;
    }
    let size = code.len() as f64 / MIB as f64;
    let value = format!(
        "the code of a cell may have 1 MiB, and this one has {size:.1} MiB: it was not run. Data belongs in files, which cells read"
    );
    Some(Failure::new(TOO_LARGE, value))
}

impl<R: Replies> Worker<R> {
    pub(super) async fn execute(&mut self, request: &Request) {
        let code = request.text("code").to_owned();
        let is_silent = request.flag("silent", false);
        let is_stored = !is_silent && request.flag("store_history", true);
        if let Some(failure) = too_large(&code) {
            return self.fail(request, failure).await;
        }
        let is_empty = code.trim().is_empty();
        if is_stored && !is_empty {
            self.count += 1;
            self.history.add(self.count, &code);
        }
        if !is_silent {
            let content = json!({"code": code, "execution_count": self.count});
            self.publish(request, "execute_input", content).await;
        }
        // What was meant for an earlier cell.
        while self.interrupts.try_recv().is_ok() {}
        if self.is_left && self.end_left().await && !is_silent {
            let content = json!({"name": "stderr", "text": ENDED});
            self.publish(request, "stream", content).await;
        }
        let mut payload = Vec::new();
        let failure = match Help::of(self.language.family(), &code) {
            _ if is_empty => None,
            _ if !is_silent && leaving::is_command(&self.language, &code) => {
                payload.push(leaving::payload());
                None
            }
            Some(help) if !is_silent => {
                match self.help(&help).await {
                    Some(found) => {
                        payload.push(json!({"source": "page", "data": text(&found), "start": 0}));
                    }
                    None => {
                        let missing = format!("Object `{}` not found.\n", help.name);
                        let content = json!({"name": "stdout", "text": missing});
                        self.publish(request, "stream", content).await;
                    }
                }
                None
            }
            _ => {
                let end = self.run(request, &code, is_silent, is_stored).await;
                if end.leaves && !is_silent {
                    payload.push(leaving::payload());
                }
                end.failure
            }
        };
        self.note_run(request);
        if let Some(failure) = failure {
            let failure = self.with_hint(&code, failure).await;
            return self.fail(request, failure).await;
        }
        let content = json!({
            "status": "ok", "execution_count": self.count, "payload": payload,
            "user_expressions": self.expressions(request).await,
        });
        self.reply(request, "execute_reply", content).await;
    }

    /// Says of a cell of Python what it lacks of IPython.
    async fn with_hint(&mut self, code: &str, failure: Failure) -> Failure {
        let Some(hint) = hints::of(self.language.family(), code, &failure) else {
            return failure;
        };
        if let Some(name) = hint.unless {
            let question = format!("answer('user' if {name:?} in space else 'none')");
            let question = self.way().python(&question);
            let question = question.filter(|_| self.remote.is_ours());
            let answer = match question {
                Some(question) => self.look_up(&question).await,
                None => None,
            };
            if answer.as_deref() != Some("none") {
                return failure;
            }
        }
        failure.with_line(hint.text)
    }

    /// Answers a cell that has failed, and those that wait for it.
    async fn fail(&mut self, request: &Request, failure: Failure) {
        let error = json!({
            "ename": failure.name, "evalue": failure.value, "traceback": failure.traceback,
        });
        self.publish(request, "error", error.clone()).await;
        let mut content = error;
        content["status"] = json!("error");
        content["execution_count"] = json!(self.count);
        content["user_expressions"] = json!({});
        content["payload"] = json!([]);
        // What a client asks by itself is no reason to leave out what its user wants.
        let aborts = request.flag("stop_on_error", true) && !request.flag("silent", false);
        if aborts {
            self.take_waiting().await;
        }
        self.reply(request, "execute_reply", content).await;
        if aborts {
            self.abort_waiting().await;
        }
    }

    /// Ends a cell that may still run, as its connection was lost before it ended. Returns whether one did.
    pub(super) async fn end_left(&mut self) -> bool {
        self.is_left = false;
        let Ok(kernel) = self.remote.kernel().await else {
            return false;
        };
        match self.remote.interrupt(&kernel).await {
            Ok(Interrupted::Yes | Interrupted::Unanswered) => {
                // It takes what is left of that one, and waits until it has ended.
                let next = kernel.execute("").with_busy_wait(END);
                let ended = next.finish().await;
                if let Ok(result) = &ended {
                    self.show_earlier(&result.console).await;
                }
                self.is_left = ended.is_err();
                ended.is_ok()
            }
            Ok(Interrupted::Restarted) => true,
            Err(error) => {
                self.is_left = !error.is_not_found();
                false
            }
        }
    }

    /// Takes all requests that have come before the reply to a cell.
    async fn take_waiting(&mut self) {
        let mut taken = Vec::new();
        // Messages that have arrived may still be in their socket, which is looked at when nothing else is to be done.
        for _ in 0..2 {
            while let Ok(request) = self.requests.try_recv() {
                taken.push(request);
            }
            tokio::time::sleep(SETTLE).await;
        }
        while let Ok(request) = self.requests.try_recv() {
            taken.push(request);
        }
        taken.reverse();
        taken.append(&mut self.waiting);
        self.waiting = taken;
    }

    /// Lets the cells fail that waited for one that has failed.
    pub(super) async fn abort_waiting(&mut self) {
        let mut others = Vec::new();
        while let Some(request) = self.waiting.pop() {
            if request.kind() != "execute_request" {
                others.push(request);
                continue;
            }
            self.iopub.state(&request, "busy").await;
            let content = json!({"status": "aborted", "execution_count": self.count});
            self.reply(&request, "execute_reply", content).await;
            self.iopub.state(&request, "idle").await;
        }
        others.reverse();
        self.waiting = others;
    }

    /// Runs code, and shows what it does. Returns how it has ended, when all is shown.
    async fn run(
        &mut self,
        request: &Request,
        code: &str,
        is_silent: bool,
        is_stored: bool,
    ) -> End {
        let kernel = match self.kernel_for(request, is_silent).await {
            Ok(kernel) => kernel,
            Err(failure) => return End::from(failure),
        };
        if !is_silent {
            self.agree_on_number(is_stored).await;
        }
        if !is_silent && std::mem::take(&mut self.remote.unsaid_loss) {
            let content = json!({"name": "stderr", "text": LOST_BEFORE});
            self.publish(request, "stream", content).await;
        }
        // A connection that breaks is not to end it.
        let kernel = kernel.with_echo(!is_silent).with_persistence(true);
        let mut execution = kernel.execute(code);
        let mut cell = Cell::new(&self.language);
        if self.remote.is_ours() && !is_silent {
            cell = cell.with_told_prompts();
        }
        let mut running = Running {
            request,
            cell,
            kernel,
            is_silent,
            has_asked: false,
            is_asked: false,
            refusals: 0,
            is_refused: false,
        };
        let ended = self.attend_cell(&mut execution, &mut running).await;
        let mut end = match ended {
            Ok(result) => {
                if result.has_restarted() == Some(true) || result.had_restarted() == Some(true) {
                    self.remote.next_number = 0;
                } else if is_stored {
                    self.remote.next_number = self.count + 1;
                }
                // What the gateway has said of it is under an earlier cell.
                if result.had_restarted() == Some(true) && self.remote.has_between() && !is_silent {
                    let content = json!({"name": "stderr", "text": LOST_BEFORE});
                    self.publish(request, "stream", content).await;
                }
                let says_exits = self.remote.is_ours();
                if let Some(value) = running.cell.value()
                    && is_stored
                {
                    self.history.set_value(value);
                }
                let mut end = running.cell.end(&result, says_exits);
                leaving::judge(&self.language, code, &result, says_exits, &mut end);
                if running.is_refused {
                    let lost = end
                        .failure
                        .take()
                        .filter(|_| result.has_restarted() == Some(true));
                    let lost = lost.and_then(|it| it.traceback.last().cloned());
                    let failure = Failure::new(NO_STDIN, NOBODY);
                    end.failure = Some(match lost {
                        Some(line) => failure.with_line(line),
                        None => failure,
                    });
                }
                end
            }
            Err(failure) => {
                self.remote.next_number = 0;
                End {
                    outputs: running.cell.release().into_iter().collect(),
                    ..End::from(failure)
                }
            }
        };
        let outputs = std::mem::take(&mut end.outputs);
        self.show(&running, outputs).await;
        end
    }

    /// Has the interpreter of Python give its number to a cell, as tracebacks show it, or none that a notebook shows if it does
    /// not count. That takes a request only where it would count otherwise.
    async fn agree_on_number(&mut self, is_stored: bool) {
        let number = if is_stored { self.count } else { 0 };
        let is_agreed = is_stored && self.remote.next_number == number;
        if is_agreed || self.language.family() != Family::Python || !self.remote.is_ours() {
            return;
        }
        // Without it, the cell has another number.
        if let Some(question) = aside::numbered(&self.way(), number) {
            self.look_up(&question).await;
        }
    }

    /// The kernel. Says what a session waits for, and may be interrupted.
    async fn kernel_for(&mut self, request: &Request, is_silent: bool) -> Result<Kernel, Failure> {
        while self.remote.pending.try_recv().is_ok() {}
        self.remote.is_ready_in(Duration::ZERO).await;
        loop {
            // Taken out, since both are waited for.
            let news = {
                let mut pending = std::mem::replace(
                    &mut self.remote.pending,
                    tokio::sync::mpsc::unbounded_channel().1,
                );
                let outcome = tokio::select! {
                    created = self.remote.kernel() => Ok(created),
                    Some(news) = pending.recv() => Err(Some(news)),
                    _ = self.interrupts.recv() => Err(None),
                };
                self.remote.pending = pending;
                outcome
            };
            match news {
                Ok(Ok(kernel)) => return Ok(kernel),
                Ok(Err(error)) => {
                    let failure = match error {
                        NoKernel::Unopened(failure) => failure,
                        NoKernel::Refused(error) => {
                            Failure::new("GatewayError", with_causes(&error))
                        }
                    };
                    eprintln!("sorna: there is no kernel: {}", failure.value);
                    return Err(failure.with_line("There is no kernel. The next cell tries again."));
                }
                Err(Some(text)) if !is_silent => {
                    let content = json!({"name": "stderr", "text": text});
                    self.publish(request, "stream", content).await;
                }
                Err(Some(_)) => {}
                Err(None) => {
                    return Err(Failure::new("KeyboardInterrupt", "")
                        .with_line("The kernel is still being created; the cell did not run."));
                }
            }
        }
    }

    async fn attend_cell(
        &mut self,
        execution: &mut Execution,
        running: &mut Running<'_>,
    ) -> Result<ExecutionResult, Failure> {
        loop {
            let deadline = running.cell.deadline();
            let until = deadline.map_or_else(tokio::time::Instant::now, Into::into);
            tokio::select! {
                biased;
                event = execution.next_event() => match event {
                    Ok(Some(event @ ExecutionEvent::InputRequested { .. })) => {
                        self.ask(execution, running, &event).await?;
                    }
                    Ok(Some(event)) => {
                        self.settle_listening().await;
                        let event = match event {
                            ExecutionEvent::Console(console) => {
                                let (earlier, own) = console.split_unclaimed();
                                self.show_earlier(&earlier).await;
                                ExecutionEvent::Console(own)
                            }
                            event => event,
                        };
                        let outputs = running.cell.event(&event, Instant::now());
                        self.show(running, outputs).await;
                    }
                    Ok(None) => {
                        self.settle_listening().await;
                        let result = execution.result();
                        return Ok(result.expect("it has ended without an error").clone());
                    }
                    // An answer, which is too large for a request: the program still waits for one.
                    Err(error @ Error::Build(_)) if running.has_asked => {
                        self.end_left().await;
                        return Err(self.failure(&error).with_line(NOT_ANSWERED));
                    }
                    Err(error) => return Err(self.failure(&error)),
                },
                Some(()) = self.interrupts.recv() => self.interrupt(running).await?,
                () = tokio::time::sleep_until(until), if deadline.is_some() => {
                    let released = running.cell.release();
                    self.show(running, released).await;
                }
            }
        }
    }

    /// Shows output, also that of silent cells: clients of Jupyter read what they have those display, as ipykernel shows it. What
    /// is silent is the value.
    async fn show(&self, running: &Running<'_>, outputs: impl IntoIterator<Item = Output>) {
        for output in outputs {
            let (kind, content) = output.message(self.count);
            self.publish(running.request, kind, content).await;
        }
    }

    /// Interrupts the cell. It then ends by itself, or goes on; an error is its end.
    async fn interrupt(&mut self, running: &mut Running<'_>) -> Result<(), Failure> {
        running.cell.interrupt();
        match self.remote.interrupt(&running.kernel).await {
            Ok(Interrupted::Yes) => Ok(()),
            Ok(Interrupted::Unanswered) => {
                let text = "The gateway has not answered whether the cell was interrupted.\n";
                let content = json!({"name": "stderr", "text": text});
                self.publish(running.request, "stream", content).await;
                Ok(())
            }
            Ok(Interrupted::Restarted) => {
                // It may report the end of what was stopped in response to the next cell.
                self.show_rest(running).await;
                Err(Failure::new("KeyboardInterrupt", "").with_line(
                    "This gateway cannot interrupt programs, so the interpreter was restarted: variables are lost, and files are kept.",
                ))
            }
            Err(error) if error.is_not_found() => Err(self.failure(&error)),
            Err(error) => {
                let content = json!({"name": "stderr", "text": format!("cannot interrupt the cell: {}\n", with_causes(&error))});
                self.publish(running.request, "stream", content).await;
                Ok(())
            }
        }
    }

    /// Has the user answer, or fails as the client wants it.
    async fn ask(
        &mut self,
        execution: &mut Execution,
        running: &mut Running<'_>,
        event: &ExecutionEvent,
    ) -> Result<(), Failure> {
        let ExecutionEvent::InputRequested {
            is_password,
            takes_bytes,
            may_go_on,
            ..
        } = event
        else {
            return Ok(());
        };
        self.settle_listening().await;
        running.has_asked = true;
        let is_asked = std::mem::take(&mut running.is_asked);
        let (prompt, before) = match is_asked && !running.cell.tells_prompts() {
            // What it has printed since then.
            true => (String::new(), running.cell.release()),
            false => running.cell.prompt(),
        };
        self.show(running, before).await;
        let question = (!is_asked || !prompt.is_empty()).then(|| {
            let content = json!({"prompt": prompt, "password": is_password});
            running.request.child("input_request", content)
        });
        let to_listen = self.remote.to_listen();
        let to_listen = to_listen.filter(|_| *takes_bytes && *may_go_on);
        let answer = match running.request.flag("allow_stdin", false) && !running.is_silent {
            true => self.question(question, to_listen).await,
            false => Answer::Nobody,
        };
        let answered = match answer {
            Answer::NotYet => {
                running.is_asked = true;
                // It says what is there, and asks again.
                execution.answer_bytes([])
            }
            Answer::Text(text) => execution.answer(text),
            Answer::Interrupt => {
                self.interrupt(running).await?;
                match takes_bytes {
                    // What it does now is the answer to an empty one.
                    true => execution.answer_bytes([]),
                    false => {
                        execution.give_up();
                        Ok(())
                    }
                }
            }
            Answer::Nobody => return self.refuse(execution, running, *takes_bytes).await,
        };
        answered.map_err(|error| Failure::new("GatewayError", error.to_string()))
    }

    /// Tells the program that no one answers, as well as that can be done: by an error of the function that reads in Python, by
    /// the end of its input in Node.js, whose interpreter cannot be interrupted while it reads, and by an interrupt elsewhere.
    async fn refuse(
        &mut self,
        execution: &mut Execution,
        running: &mut Running<'_>,
        takes_bytes: bool,
    ) -> Result<(), Failure> {
        running.refusals += 1;
        let answered = match self.language.family() {
            Family::Python if self.remote.takes_refusals().await => {
                execution.answer(Execute::REFUSAL)
            }
            Family::Node if self.remote.is_ours() && running.refusals <= MOST_REFUSALS => {
                running.is_refused = true;
                execution.answer("\u{4}")
            }
            _ if self.remote.is_ours() && takes_bytes && running.refusals <= MOST_REFUSALS => {
                running.is_refused = true;
                self.interrupt(running).await?;
                execution.answer_bytes([])
            }
            _ => {
                let is_lost = self.stop(execution, running).await?;
                let failure = Failure::new(NO_STDIN, NOBODY);
                return Err(match is_lost {
                    true => failure.with_line(LOST),
                    false => failure,
                });
            }
        };
        answered.map_err(|error| Failure::new("GatewayError", error.to_string()))
    }

    /// Asks the client, unless that was done already, and waits for the answer, or for output of the kernel meanwhile.
    async fn question(&mut self, question: Option<Message>, to_listen: Option<Kernel>) -> Answer {
        if let Some(question) = question {
            while self.answers.try_recv().is_ok() {}
            let mut tries = 0;
            while !self.stdin.send(question.clone()).await {
                tries += 1;
                if tries == TRIES {
                    return Answer::Nobody;
                }
                tokio::time::sleep(TRY).await;
            }
        }
        let mut listening = to_listen.map(Waiting::to);
        loop {
            let heard = async {
                match &mut listening {
                    Some(listening) => listening.response().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(answer) = self.answers.recv() => {
                    if answer.kind() == "input_reply" {
                        return Answer::Text(answer.text("value").to_owned());
                    }
                }
                Some(()) = self.interrupts.recv() => return Answer::Interrupt,
                heard = heard => match heard {
                    Ok(_) => return Answer::NotYet,
                    // Then it comes with the answer.
                    Err(_) => listening = None,
                },
            }
        }
    }

    /// Stops a cell whose question no one answers, so that the next one can run. What it says of that is not shown. Returns whether
    /// the interpreter was replaced.
    async fn stop(
        &mut self,
        execution: &mut Execution,
        running: &Running<'_>,
    ) -> Result<bool, Failure> {
        execution.give_up();
        loop {
            match execution.next_event().await {
                Ok(Some(_)) => {}
                Ok(None) => {
                    let result = execution.result();
                    return Ok(result.and_then(ExecutionResult::has_restarted) == Some(true));
                }
                Err(Error::Aborted(aborted)) if aborted.is_freed => return Ok(false),
                Err(error) if error.is_not_found() => return Err(self.failure(&error)),
                Err(_) => break,
            }
        }
        // As the client library does where a gateway cannot interrupt.
        let restarted = running.kernel.restart().await;
        restarted.map_err(|error| self.failure(&error))?;
        self.show_rest(running).await;
        Ok(true)
    }

    /// Shows what is left of a cell whose interpreter was restarted.
    async fn show_rest(&self, running: &Running<'_>) {
        if let Ok(result) = running.kernel.execute("").finish().await {
            let mut cell = Cell::new(&self.language);
            let event = ExecutionEvent::Console(result.console);
            let mut outputs = cell.event(&event, Instant::now());
            outputs.extend(cell.release());
            self.show(running, outputs).await;
        }
    }

    /// What an error of the gateway is for a cell.
    fn failure(&mut self, error: &Error) -> Failure {
        let reason = with_causes(error);
        if error.is_not_found() {
            self.remote.is_gone();
            return Failure::new("KernelLost", format!("the kernel is gone: {reason}")).with_line(
                "Its variables and files are lost. The next cell runs in a new kernel: run first what it needs.",
            );
        }
        let failure = Failure::new("GatewayError", reason);
        self.is_left |= error.may_have_acted();
        match error.may_have_acted() {
            // It says already that the cell may have run.
            true if failure.value.contains("may have run") => {
                failure.with_line("It may still run.")
            }
            true => failure.with_line("The cell may have run, or may still run."),
            false => failure,
        }
    }
}

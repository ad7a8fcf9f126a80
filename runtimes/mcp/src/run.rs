//! A program that runs, or has run, in a session.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sorna::protocol::ProblemKind;
use sorna::tokio::{Execution, Kernel};
use sorna::{
    AbortReason, BuildError, Console, Error, ExecutionEvent, ExecutionResult, ExecutionStatus,
    Limit, Media, Record, UploadFile, ValueForms, with_causes,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, sleep_until, timeout};

use crate::client_id::ClientId;
use crate::failure::Failure;
use crate::image;
use crate::input::Input;
use crate::transcript::{Part, Transcript};

/// How long the gateway has to interrupt a program, and a program to end after that, before it is ended by a restart.
const PATIENCE: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(5);
/// How long a gateway that cannot be reached is waited for, to end what may still run there.
const OUTAGE: Duration = Duration::from_secs(10 * 60);
/// An interrupt so soon after the start, before anything was printed, may come before the gateway has begun to run the program,
/// and is repeated.
const EARLY: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_secs(1);
/// The media types that clients show as images.
const IMAGES: &[&str] = &["image/png", "image/jpeg", "image/gif", "image/webp"];
/// How many images a program may show.
const MOST_IMAGES: usize = 8;
/// The most output that a client may ask for at once, in bytes.
pub(crate) const MOST_OUTPUT: usize = 1024 * 1024;
/// Files that are smaller, in bytes, can be uploaded to any gateway.
const LEAST_FILE: usize = 1024 * 1024;
/// How many things are named that cannot be shown.
const MOST_REMARKS: usize = 16;
/// The least of a value that is shown, in bytes, however little output is asked for.
const LEAST_VALUE: usize = 1024;
/// What interpreters of `sorna serve` send of a value at most, and what they write where they leave something out.
const MOST_VALUE: usize = 1 << 20;
const CUT: &str = " are left out here ...\n";

const LOST_BEFORE: &str = "Variables of earlier programs were lost before it began: the interpreter had ended while nothing ran.";
const CUT_OFF: &str = "The gateway cannot be reached now. A program that has begun goes on there, and what it prints is not lost.";
const CUT_OFF_STOPPING: &str =
    "The gateway cannot be reached now; the program will be interrupted as soon as it can be.";
const NOTHING_RUNS: &str = "The gateway could not be reached for a while, and nothing runs in the session now: whether the program has run, and how it ended, is not known.";
const ASKED: &str = "It did not stop asking for input, of which there is no more.";

/// An image to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) media_type: String,
    /// In Base64.
    pub(crate) data: String,
}

/// How a program has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct End {
    /// `None` if the gateway does not say.
    pub(crate) exit_code: Option<i64>,
    pub(crate) is_late: bool,
    pub(crate) is_interrupted: bool,
    /// The limit that it has exceeded.
    pub(crate) limit: Option<String>,
    /// Whether the interpreter has ended with it, so that variables are lost.
    pub(crate) has_restarted: bool,
    /// Where its output is, if that was not shown as a whole.
    pub(crate) saved: Option<Saved>,
    /// Where its value is, if that is too long to be shown.
    pub(crate) saved_value: Option<Saved>,
    /// Why one of these could not be saved.
    pub(crate) unsaved: Option<String>,
    /// Why its end is not known.
    pub(crate) failure: Option<Failure>,
    /// Whether the session is lost.
    pub(crate) is_lost: bool,
    /// Whether it could not be run as it was given.
    pub(crate) is_refused: bool,
    pub(crate) time: Duration,
}

/// Text that is too long to be shown, in a file of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) path: String,
    /// What of it is there, in words.
    pub(crate) what: String,
}

impl Saved {
    /// How to get what is left out, in words.
    fn how(saved: Option<&Self>) -> String {
        saved.map_or_else(String::new, |Self { path, what }| {
            format!("; {path} has {what}: see read_file")
        })
    }
}

/// What is to be shown of a program now.
#[derive(Clone, Debug, Default)]
pub(crate) struct News {
    pub(crate) output: String,
    /// How many bytes of it are left out.
    pub(crate) left_out: usize,
    /// Whether some of the output was left out now or before.
    pub(crate) is_cut: bool,
    pub(crate) value: Option<Part>,
    pub(crate) images: Vec<Image>,
    /// What cannot be shown, in words.
    pub(crate) remarks: Vec<String>,
    /// How variables were lost before it, which no one was told.
    pub(crate) loss: Option<String>,
    /// `None` if it runs.
    pub(crate) end: Option<End>,
    pub(crate) time: Duration,
}

#[derive(Debug, Default)]
struct State {
    transcript: Transcript,
    value: Option<Transcript>,
    images: Vec<Image>,
    shown_images: usize,
    remarks: Vec<String>,
    /// How many more there would be.
    more_remarks: usize,
    /// Whether some of the output was left out.
    is_cut: bool,
    end: Option<End>,
    /// Whether its end was told.
    is_told: bool,
    /// Whether the gateway cannot be reached now, and whether it is to be told to interrupt the program.
    is_cut_off: bool,
    is_to_stop: bool,
    /// How variables were lost before it, if that is to be told.
    loss: Option<String>,
}

/// A program.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) session: String,
    /// Who has started it.
    pub(crate) client: ClientId,
    began: Instant,
    max_output: usize,
    state: Mutex<State>,
    has_ended: watch::Sender<bool>,
    orders: mpsc::UnboundedSender<()>,
}

/// What became of an interrupt.
enum Stop {
    /// The gateway was told, or is silent.
    Told,
    /// It could not be reached.
    Unreached,
    /// It cannot interrupt programs.
    Impossible,
}

/// What a program is to do.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) code: String,
    pub(crate) input: Input,
    pub(crate) time: Duration,
    /// How much of its output is to be shown at once, if that was said.
    pub(crate) max_output: Option<usize>,
}

impl Run {
    /// One that is to be carried out by [`carry_out`](Self::carry_out).
    pub(crate) fn new(
        id: String,
        session: String,
        client: ClientId,
        max_output: usize,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<()>) {
        let (orders, given) = mpsc::unbounded_channel();
        let run = Self {
            id,
            session,
            client,
            began: Instant::now(),
            max_output,
            state: Mutex::default(),
            has_ended: watch::Sender::new(false),
            orders,
        };
        (Arc::new(run), given)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_running(&self) -> bool {
        !*self.has_ended.borrow()
    }

    /// Whether it has ended, and that was told.
    pub(crate) fn is_told(&self) -> bool {
        self.state().is_told
    }

    /// Begins after this one in the same session: what no one was told of the loss of variables is told with this one.
    pub(crate) fn follow(&self, before: &Self) {
        let loss = {
            let mut state = before.state();
            let has_restarted = state.end.as_ref().is_some_and(|end| end.has_restarted);
            let own = (has_restarted && !state.is_told).then(|| {
                let id = &before.id;
                format!("Variables of earlier programs were lost before it began: the interpreter has ended in {id}.")
            });
            own.or_else(|| state.loss.take())
        };
        self.state().loss = loss;
    }

    /// Notes how variables were lost before it, in another session of this name.
    pub(crate) fn note_loss(&self, loss: String) {
        self.state().loss = Some(loss);
    }

    pub(crate) fn time(&self) -> Duration {
        self.began.elapsed()
    }

    /// Interrupts it, if it runs.
    pub(crate) fn interrupt(&self) {
        let _ = self.orders.send(());
    }

    /// Waits for its end.
    pub(crate) async fn ended(&self) {
        let mut has_ended = self.has_ended.subscribe();
        let _ = has_ended.wait_for(|has_ended| *has_ended).await;
    }

    /// The last line that it has printed.
    pub(crate) fn last_line(&self, most: usize) -> String {
        self.state().transcript.last_line(most).to_owned()
    }

    /// What was not shown yet.
    pub(crate) fn news(&self, max_output: Option<usize>) -> News {
        let state = &mut *self.state();
        let is_unsaved = state.end.as_ref().is_some_and(|end| end.saved.is_none());
        let how = match &state.end {
            Some(end) if end.saved.is_some() => Saved::how(end.saved.as_ref()),
            Some(_) => format!(
                "; `wait` for {} with a larger `max_output` returns more",
                self.id
            ),
            None => format!(
                "; {} will have the output when the program has ended",
                path_of(&self.id, OUTPUT)
            ),
        };
        let most = max_output.unwrap_or(self.max_output);
        let Part { text, left_out } = state.transcript.part(most, &how);
        // There is no other way to get it.
        let is_shown_again = is_unsaved && left_out > 0;
        if !is_shown_again {
            state.transcript.take_all();
        }
        state.is_cut |= left_out > 0;
        let images = state.images[state.shown_images..].to_vec();
        state.shown_images = state.images.len();
        if state.end.is_none() && state.is_cut_off {
            let text = if state.is_to_stop {
                CUT_OFF_STOPPING
            } else {
                CUT_OFF
            };
            state.remarks.push(text.to_owned());
        }
        let more = std::mem::take(&mut state.more_remarks);
        if more > 0 {
            state
                .remarks
                .push(format!("{more} more like these are not shown."));
        }
        let mut value = None;
        if let Some(end) = &state.end {
            state.is_told = true;
            if let Some(whole) = &mut state.value {
                let most = most.max(LEAST_VALUE);
                value = Some(whole.part(most, &Saved::how(end.saved_value.as_ref())));
                whole.shrink(most.max(self.max_output));
            }
            if !is_shown_again {
                state.transcript = Transcript::default();
            }
            state.images = Vec::new();
            state.shown_images = 0;
        }
        News {
            output: text,
            left_out,
            is_cut: state.is_cut,
            value,
            images,
            remarks: std::mem::take(&mut state.remarks),
            loss: state.loss.take(),
            time: state.end.as_ref().map_or(self.time(), |end| end.time),
            end: state.end.clone(),
        }
    }

    /// Why it could not be run as it was given.
    pub(crate) fn refusal(&self) -> Option<Failure> {
        let state = self.state();
        let end = state.end.as_ref().filter(|end| end.is_refused)?;
        end.failure.clone()
    }

    /// Whether it has ended with the loss of its session.
    pub(crate) fn is_lost(&self) -> bool {
        self.state().end.as_ref().is_some_and(|end| end.is_lost)
    }

    /// Ends it without a result.
    pub(crate) fn fail(&self, failure: Failure) {
        self.set_end(End {
            failure: Some(failure),
            ..End::default()
        });
    }

    fn set_end(&self, mut end: End) {
        end.time = self.time();
        let mut state = self.state();
        if state.end.is_none() {
            state.end = Some(end);
        }
        // No one may ever ask for more.
        state.transcript.shrink(MOST_OUTPUT);
        if let Some(value) = &mut state.value {
            value.shrink(MOST_OUTPUT);
        }
        drop(state);
        self.has_ended.send_replace(true);
    }

    /// Runs it to its end.
    pub(crate) async fn carry_out(
        &self,
        kernel: &Kernel,
        task: Task,
        orders: mpsc::UnboundedReceiver<()>,
    ) {
        let mut end = self.execute(kernel, task, orders).await;
        // What it has printed before is not to be lost.
        end.is_refused &= self.state().transcript.len() == 0;
        if !end.is_lost {
            self.save(kernel, &mut end).await;
        }
        self.set_end(end);
    }

    /// Saves its output and its value in the session, each if it is too much to be shown at once, or was.
    async fn save(&self, kernel: &Kernel, end: &mut End) {
        let (output, value) = {
            let state = &mut *self.state();
            let most = self.max_output;
            let is_long = state.is_cut || state.transcript.len() > most;
            let output = is_long.then(|| state.transcript.whole());
            let value = state.value.as_mut();
            let value = value.filter(|value| value.len() > most.max(LEAST_VALUE));
            let value = value.map(Transcript::whole).map(|(text, what)| {
                // Interpreters send no more of a value.
                let is_cut = text.len() >= MOST_VALUE && text.contains(CUT);
                let what = if is_cut {
                    "its beginning and end"
                } else {
                    &what
                };
                (text, what.to_owned())
            });
            (output, value)
        };
        for (text, kind) in [(output, OUTPUT), (value, VALUE)] {
            let Some((text, what)) = text else {
                continue;
            };
            match self.save_as(kernel, kind, text, what).await {
                Ok(saved) if kind == OUTPUT => end.saved = Some(saved),
                Ok(saved) => end.saved_value = Some(saved),
                Err(reason) => end.unsaved = Some(reason),
            }
        }
    }

    /// Saves a text, or as much of it as any gateway takes. The error is why it was not.
    async fn save_as(
        &self,
        kernel: &Kernel,
        kind: &str,
        text: String,
        what: String,
    ) -> Result<Saved, String> {
        let path = path_of(&self.id, kind);
        let save = async |text: String| {
            let file = UploadFile::from_bytes(path.clone(), text.into_bytes());
            let file = file.map_err(|error| error.to_string())?;
            match timeout(PATIENCE, kernel.upload(vec![file])).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(with_causes(&error)),
                Err(_) => Err("the gateway has not answered".to_owned()),
            }
        };
        let short = (text.len() >= LEAST_FILE).then(|| {
            let mut short = Transcript::default();
            short.push(&text);
            short.shrink(LEAST_FILE - 1024);
            short.whole()
        });
        let saved = match (save(text).await, short) {
            (Ok(()), _) => Ok(what),
            // Managers of Backend.AI take no larger ones.
            (Err(_), Some((short, what))) => save(short).await.map(|()| what),
            (Err(reason), None) => Err(reason),
        };
        saved.map(|what| Saved { path, what })
    }

    async fn execute(
        &self,
        kernel: &Kernel,
        task: Task,
        mut orders: mpsc::UnboundedReceiver<()>,
    ) -> End {
        let mut input = task.input;
        // Such code is not sent.
        let is_blank = task.code.trim().is_empty();
        // An outage is not to end it.
        let mut execution = kernel
            .clone()
            .with_echo(true)
            .with_persistence(true)
            .execute(task.code);
        let late = sleep(task.time);
        tokio::pin!(late);
        let (mut is_late, mut is_interrupted, mut has_given_up) = (false, false, false);
        // When it is ended by force, whether it was interrupted early, and when it is interrupted again then.
        let mut last = None;
        let mut is_early = None;
        let mut again = None;
        // Since when the gateway cannot be reached, and when that is tried again.
        let mut outage: Option<Instant> = None;
        let mut back = None;
        loop {
            let now = tokio::time::Instant::now();
            let (until, until_again) = (last.unwrap_or(now), again.unwrap_or(now));
            let until_back = back.unwrap_or(now);
            let stop = tokio::select! {
                event = execution.next_event(), if back.is_none() => match event {
                    Ok(Some(event)) => {
                        outage = None;
                        self.state().is_cut_off = false;
                        has_given_up |= self.note_event(&mut execution, &mut input, event);
                        continue;
                    }
                    Ok(None) => {
                        let mut end = execution.result().map(end_of).unwrap_or_default();
                        if is_blank {
                            end.exit_code = end.exit_code.or(Some(0));
                        }
                        if execution.result().and_then(ExecutionResult::had_restarted) == Some(true) {
                            self.state().loss.get_or_insert_with(|| LOST_BEFORE.to_owned());
                        }
                        end.is_late |= is_late;
                        end.is_interrupted = is_interrupted;
                        // Some gateways let it end by that as by itself.
                        if has_given_up {
                            end.is_interrupted = true;
                            self.state().remarks.push(ASKED.to_owned());
                        }
                        return end;
                    }
                    // It was given up, as it asked for input for ever.
                    Err(Error::Aborted(aborted)) if matches!(aborted.reason, AbortReason::GivenUp) => {
                        self.state().remarks.push(ASKED.to_owned());
                        drop(execution);
                        let restarted = match aborted.is_freed {
                            true => Ok(()),
                            false => restart(kernel).await,
                        };
                        return match restarted {
                            Ok(()) => End {
                                is_late,
                                is_interrupted: true,
                                has_restarted: !aborted.is_freed,
                                ..End::default()
                            },
                            Err(error) => failed(&error),
                        };
                    }
                    Err(error) if is_cut(&error, outage) && kernel.has_marked_executions() => {
                        if outage.get_or_insert_with(Instant::now).elapsed() > OUTAGE {
                            return failed(&error);
                        }
                        self.state().is_cut_off = true;
                        back = Some(now + AGAIN);
                        continue;
                    }
                    Err(error) if outage.is_some() && error.is_nothing_to_attach() => {
                        return End {
                            failure: Some(Failure::new(NOTHING_RUNS)),
                            is_interrupted,
                            is_late,
                            ..End::default()
                        };
                    }
                    Err(error) if is_cut(&error, None) => {
                        drop(execution);
                        return self.end_unseen(kernel, &error).await;
                    }
                    Err(error) => return failed(&error),
                },
                // It goes on there, and its output is kept for whoever comes back.
                () = sleep_until(until_back), if back.is_some() => {
                    back = None;
                    execution = kernel.attach();
                    continue;
                }
                () = &mut late, if !is_late => {
                    is_late = true;
                    self.stop(kernel).await
                }
                Some(()) = orders.recv() => {
                    // Those that came with it are the same.
                    while orders.try_recv().is_ok() {}
                    is_interrupted = true;
                    self.stop(kernel).await
                }
                () = sleep_until(until), if last.is_some() => Ok(Stop::Impossible),
                () = sleep_until(until_again), if again.is_some() => self.stop(kernel).await,
            };
            match stop {
                // It has its time to end only once it was told to.
                Ok(Stop::Unreached) => {
                    let mut state = self.state();
                    (state.is_cut_off, state.is_to_stop) = (true, true);
                    again = Some(tokio::time::Instant::now() + AGAIN);
                }
                Ok(Stop::Told) => {
                    self.state().is_to_stop = false;
                    let now = tokio::time::Instant::now();
                    last = last.or(Some(now + GRACE));
                    let has_printed = self.state().transcript.len() > 0;
                    let is_early = *is_early.get_or_insert(self.time() < EARLY && !has_printed);
                    again = is_early.then_some(now + AGAIN);
                }
                Ok(Stop::Impossible) => {
                    drop(execution);
                    return match restart(kernel).await {
                        Ok(()) => End {
                            is_late,
                            is_interrupted,
                            has_restarted: true,
                            ..End::default()
                        },
                        Err(error) if error.transport().is_some() => End {
                            is_late,
                            ..self.end_unseen(kernel, &error).await
                        },
                        Err(error) => failed(&error),
                    };
                }
                Err(error) => return failed(&error),
            }
        }
    }

    /// Ends a program that may still run after the gateway could not be reached for a while, as soon as it can be again, where no one
    /// can take it over: no one could stop it otherwise, and nothing else could run in its session.
    async fn end_unseen(&self, kernel: &Kernel, error: &Error) -> End {
        let until = Instant::now() + OUTAGE;
        let unknown = |restarted: bool| End {
            failure: Some(Failure::new(format!(
                "The gateway could not be reached for a while: {}. The program was interrupted when it could be again; what it has done meanwhile is not known.",
                with_causes(error)
            ))),
            is_interrupted: true,
            has_restarted: restarted,
            ..End::default()
        };
        let is_over = || Instant::now() > until;
        loop {
            match timeout(PATIENCE, kernel.interrupt()).await {
                Ok(Err(error)) if error.is_not_found() && !cannot_interrupt(&error) => {
                    return failed(&error);
                }
                Ok(Err(error)) if error.transport().is_none() => break,
                Ok(Ok(_)) => break,
                _ if is_over() => return failed(error),
                _ => sleep(AGAIN).await,
            }
        }
        let since = Instant::now();
        loop {
            // What it has printed comes first.
            match timeout(PATIENCE, kernel.execute("").finish()).await {
                Ok(Ok(result)) => {
                    self.note(&result.console);
                    return unknown(result.has_restarted() == Some(true));
                }
                Ok(Err(error)) if error.is_not_found() => return failed(&error),
                _ if since.elapsed() > GRACE => break,
                _ => sleep(AGAIN).await,
            }
        }
        match restart(kernel).await {
            Ok(()) => unknown(true),
            Err(error) => failed(&error),
        }
    }

    /// Interrupts what runs.
    async fn stop(&self, kernel: &Kernel) -> Result<Stop, Error> {
        match timeout(PATIENCE, kernel.interrupt()).await {
            Ok(Err(error)) if cannot_interrupt(&error) => Ok(Stop::Impossible),
            Ok(Err(error)) if error.is_not_found() => Err(error),
            Ok(Err(error)) if error.transport().is_some() => Ok(Stop::Unreached),
            // If it was not interrupted, it is restarted later.
            _ => Ok(Stop::Told),
        }
    }

    /// Takes what has come. Whether the program was given up, as it asks for input that no one has.
    fn note_event(
        &self,
        execution: &mut Execution,
        input: &mut Input,
        event: ExecutionEvent,
    ) -> bool {
        match event {
            ExecutionEvent::Console(console) => self.note(&console),
            ExecutionEvent::Unknown(result) => self.note(&result.console),
            ExecutionEvent::InputRequested {
                takes_lines,
                takes_bytes,
                is_password,
                ..
            } => {
                let answer = input.answer(takes_lines && !is_password, takes_lines || takes_bytes);
                let is_answered = answer.is_some_and(|text| execution.answer(text).is_ok());
                if !is_answered {
                    execution.give_up();
                }
                return !is_answered;
            }
            _ => {}
        }
        false
    }

    fn note(&self, console: &Console) {
        let mut state = self.state();
        for record in console {
            state.note(&record);
        }
    }
}

impl State {
    fn note(&mut self, record: &Record<'_>) {
        match record {
            Record::Stdout(text) | Record::Stderr(text) => self.transcript.push(text),
            Record::Log { level, message, .. } => {
                let line = match level.is_empty() {
                    true => format!("{message}\n"),
                    false => format!("{level}: {message}\n"),
                };
                self.transcript.push(&line);
            }
            Record::Media(media) => self.note_media(media),
            Record::Html(html) => self.leave_out("text/html", html.len(), ""),
            Record::Value(value) => self.note_value(value),
            _ => {}
        }
    }

    fn note_media(&mut self, media: &Media<'_>) {
        let media_type = media.media_type();
        let Some(bytes) = media.bytes() else {
            return self.leave_out(media_type, media.content().len(), "");
        };
        if !IMAGES.contains(&media_type) {
            return self.leave_out(media_type, bytes.len(), "");
        }
        let has_room = self.images.len() < MOST_IMAGES;
        let too_many = || format!("a program may show {MOST_IMAGES} images");
        let why = image::why_not(media_type, &bytes).or_else(|| (!has_room).then(too_many));
        if let Some(why) = why {
            return self.leave_out(media_type, bytes.len(), &format!(": {why}"));
        }
        self.images.push(Image {
            media_type: media_type.to_owned(),
            data: STANDARD.encode(bytes),
        });
    }

    /// Notes that something is not shown, and why, after a colon.
    fn leave_out(&mut self, media_type: &str, bytes: usize, why: &str) {
        if self.remarks.len() >= MOST_REMARKS {
            self.more_remarks += 1;
            return;
        }
        self.remarks
            .push(format!("{media_type} of {bytes} bytes is not shown{why}."));
    }

    fn note_value(&mut self, value: &ValueForms<'_>) {
        let mut forms = value.forms().iter();
        let image = forms.find(|form| IMAGES.contains(&form.media_type()));
        if let Some(image) = image {
            self.note_media(image);
        }
        let Some(text) = value.text() else {
            if let (None, Some(form)) = (image, value.richest()) {
                self.note_media(form);
            }
            return;
        };
        if value.display().is_none() {
            let mut whole = Transcript::default();
            whole.push(text);
            self.value = Some(whole);
        } else if image.is_none() {
            self.transcript.push(text);
            self.transcript.push("\n");
        }
    }
}

fn end_of(result: &ExecutionResult) -> End {
    let limit = result.exceeded().map(|exceeded| exceeded.limit);
    End {
        exit_code: result.exit_code(),
        is_late: result.status == ExecutionStatus::ExecTimeout || limit == Some(Limit::Time),
        limit: limit.map(|limit| limit.to_string()),
        has_restarted: result.has_restarted() == Some(true),
        ..End::default()
    }
}

fn failed(error: &Error) -> End {
    if let Error::Build(reason) = error {
        let failure = match reason {
            BuildError::CodeTooLong { size, limit } => Failure::new(format!(
                "The code is too long: it makes a request of {size} bytes, and the gateway takes less than {limit}. Nothing has run. \
                 Write it to a file with write_file, and run that."
            )),
            reason => Failure::new(format!("Nothing has run: {reason}.")),
        };
        return End {
            failure: Some(failure),
            is_refused: true,
            ..End::default()
        };
    }
    let is_lost = error.is_not_found();
    let is_unreachable = error.transport().is_some() && !error.may_have_acted();
    let is_busy = error.is_busy();
    End {
        failure: Some(match is_lost {
            true => Failure::new(
                "The session is gone, with its variables and files: the gateway has ended it. The next call makes a new one.",
            ),
            false if is_unreachable || is_busy => Failure::of("Nothing has run", error),
            false => Failure::of("The program's end is not known", error),
        }),
        is_lost,
        is_refused: is_unreachable || is_busy,
        ..End::default()
    }
}

/// What of a program is saved, as the names of files say it.
const OUTPUT: &str = "";
const VALUE: &str = ".value";

/// The file that has the output of a program, or its value, in its session.
fn path_of(id: &str, kind: &str) -> String {
    format!(".output/{id}{kind}.txt")
}

/// Ends what runs by a new start of the interpreter.
async fn restart(kernel: &Kernel) -> Result<(), Error> {
    kernel.restart().await?;
    // It may report the end of what was stopped in response to the next execution.
    let _ = timeout(PATIENCE, kernel.execute("").finish()).await;
    Ok(())
}

/// Whether the way to the gateway was cut while a program may run: it could not be reached, or not again since an outage began.
fn is_cut(error: &Error, outage: Option<Instant>) -> bool {
    error.transport().is_some() && (error.may_have_acted() || outage.is_some())
}

/// Whether the gateway has no such request.
fn cannot_interrupt(error: &Error) -> bool {
    match error {
        Error::Build(BuildError::NotOffered { .. }) => true,
        error => error
            .gateway()
            .is_some_and(|it| it.kind() == Some(ProblemKind::UrlNotFound) || it.is_unsupported()),
    }
}

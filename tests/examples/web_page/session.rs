//! One run, from the page's request to the end of its kernel.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::Event;
use serde::{Deserialize, Serialize};
use sorna::tokio::Run;
use sorna::{
    Batch, Cleanup, Console, Ending, ExecuteMode, ExecutionEvent, ExecutionStatus, KernelSpec,
    Limits, Record, RunEvent, RunPlan, UploadFile, random_token,
};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::app::App;

/// How long a program may run; and how long including all waiting for input and for the gateway.
const TIME: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(300);
const MEMORY: u64 = 512 << 20;
/// How much output is allowed; the response that exceeds it is still shown.
const OUTPUT: usize = 1024 * 1024;

/// The page's request.
#[derive(Deserialize)]
pub(crate) struct Job {
    language: String,
    code: String,
}

impl Job {
    /// Snippets for interpreters; files for compilers, since files are built in a separate step.
    /// None for a language that the page does not offer.
    pub(crate) fn plan(self) -> Option<RunPlan> {
        let limits = Limits::new()
            .with_exec_timeout(TIME)
            .with_max_memory(MEMORY);
        let spec = KernelSpec::new(&self.language).with_limits(limits);
        let file = match self.language.as_str() {
            "python3" | "bash" => {
                let snippet = ExecuteMode::query(self.code);
                return Some(RunPlan::temporary(spec, [snippet]));
            }
            "c" => "main.c",
            "cpp" => "main.cpp",
            _ => return None,
        };
        let file = UploadFile::from_bytes(file, self.code).ok()?;
        let plan = RunPlan::temporary(spec, [Batch::new()]);
        Some(plan.with_files(vec![file]))
    }
}

/// A run that a page shows. Dropping it destroys its kernel in the background.
pub(crate) struct Session {
    app: Arc<App>,
    id: String,
    run: Run,
    input: mpsc::Receiver<String>,
    awaits_input: bool,
    stopping: watch::Receiver<bool>,
    deadline: Instant,
    output_left: usize,
    /// Why it was stopped, if it was.
    stopped: Option<&'static str>,
    /// Events that were not sent to the page yet.
    events: VecDeque<Event>,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

impl Session {
    pub(crate) fn new(app: Arc<App>, plan: RunPlan, place: OwnedSemaphorePermit) -> Self {
        // The ID of the run for input: it cannot be guessed, and has no other use.
        let id = random_token().as_str().to_owned();
        let (sender, input) = mpsc::channel(1);
        app.inputs().insert(id.clone(), sender);
        Self {
            run: app.client.run(plan),
            input,
            awaits_input: false,
            stopping: app.stopping.subscribe(),
            deadline: Instant::now() + PATIENCE,
            output_left: OUTPUT,
            stopped: None,
            events: VecDeque::from([event("run", &id)]),
            is_over: false,
            _place: place,
            app,
            id,
        }
    }

    /// The next event for the page. None after the last one, which says how the run ended: then the
    /// kernel is destroyed.
    pub(crate) async fn next_event(&mut self) -> Option<Event> {
        while self.events.is_empty() && !self.is_over {
            let is_wanted = self.stopped.is_none();
            tokio::select! {
                event = self.run.next_event(), if !self.awaits_input => match event {
                    Ok(Some(event)) => self.happened(event).await,
                    Ok(None) => self.ended(),
                    // The only possible error.
                    Err(_input_expected) => self.awaits_input = true,
                },
                Some(line) = self.input.recv(), if self.awaits_input => {
                    self.awaits_input = self.run.answer(line).is_err();
                }
                () = sleep_until(self.deadline), if is_wanted => self.stop("took too long").await,
                () = async { _ = self.stopping.wait_for(|stop| *stop).await }, if is_wanted => {
                    self.stop("stopped by the server").await;
                }
            }
        }
        self.events.pop_front()
    }

    async fn happened(&mut self, event: RunEvent) {
        match event {
            RunEvent::KernelReady(_) => self.send("status", "running"),
            RunEvent::Execution(ExecutionEvent::Console(console)) => self.put_out(&console).await,
            RunEvent::Execution(ExecutionEvent::StepFinished { .. }) => {
                self.send("status", "built")
            }
            RunEvent::Execution(ExecutionEvent::InputRequested { is_password, .. }) => {
                self.awaits_input = true;
                self.send("input", is_password);
            }
            _ => {}
        }
    }

    async fn put_out(&mut self, console: &Console) {
        for record in console {
            match record {
                Record::Stdout(text) => self.send("stdout", text),
                Record::Stderr(text) => self.send("stderr", text),
                Record::Html(text) => self.send("html", text),
                Record::Media(media) => self.send("media", [media.media_type(), media.content()]),
                Record::Log { level, message, .. } => {
                    self.send("stderr", format!("{level}: {message}\n"));
                }
                _ => {}
            }
        }
        match self.output_left.checked_sub(console.text_len()) {
            Some(left) => self.output_left = left,
            None => self.stop("put out too much").await,
        }
    }

    /// Destroys the kernel, which ends the run. Output until then is not shown any more.
    async fn stop(&mut self, why: &'static str) {
        self.stopped = Some(why);
        self.awaits_input = false;
        if let Err(error) = self.run.canceller().cancel().await {
            self.log(&error);
        }
    }

    fn ended(&mut self) {
        self.is_over = true;
        let Some(report) = self.run.report() else {
            return;
        };
        if let Cleanup::Failed(error) = &report.cleanup {
            self.log(error);
        }
        let words = match (&report.ending, self.stopped) {
            (_, Some(why)) => why.to_owned(),
            (Ending::Finished(Some(result)), _) => match (&result.status, result.exit_code()) {
                (ExecutionStatus::ExecTimeout, _) => "ran for too long".to_owned(),
                (_, Some(code)) => format!("exit code {code}"),
                (_, None) => "finished".to_owned(),
            },
            (Ending::Failed(error), _) => {
                self.log(error);
                "could not be run".to_owned()
            }
            _ => "finished".to_owned(),
        };
        self.events.push_back(event("end", words));
    }

    fn send(&mut self, name: &str, data: impl Serialize) {
        if self.stopped.is_none() {
            self.events.push_back(event(name, data));
        }
    }

    /// Failures go to the log: the browser must not learn what they say about the gateway.
    fn log(&self, error: &dyn Error) {
        eprint!("run {}: {error}", self.id);
        let mut source = error.source();
        while let Some(cause) = source {
            eprint!(": {cause}");
            source = cause.source();
        }
        eprintln!();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.app.inputs().remove(&self.id);
    }
}

fn event(name: &str, data: impl Serialize) -> Event {
    let event = Event::default().event(name);
    // JSON has no line breaks, which would end the event's line.
    let json = event.json_data(data);
    json.expect("text, flags and arrays of text can be written as JSON")
}

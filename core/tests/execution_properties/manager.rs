//! A model of managers of Backend.AI, as far as executions go: an agent that keeps what a runner sends for the run that
//! asks, and a runner that carries out one task after the other. Read in the sources of 23.09.10 and 26.9.6.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};

/// How long an agent holds a request of a client, and one of a manager for a WebSocket.
const FLUSH: Duration = Duration::from_secs(2);
const STREAM_FLUSH: Duration = Duration::from_millis(200);

/// The run ID of a WebSocket, which no client knows.
const HIDDEN: &str = "hidden";

/// What a program does.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Print(&'static str, String),
    Sleep(Duration),
    Ask,
    /// Never ends, whatever happens.
    Hang,
    /// Shows HTML, which breaks the response that has it.
    Html,
}

/// A program: what it does, and its exit code.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) acts: Vec<Act>,
    pub(crate) code: i64,
}

#[derive(Clone, Debug)]
enum Todo {
    Act(Act),
    /// The end of a task: the message, and the exit code.
    Finish(&'static str, i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// 23.09.10.
    Old,
    /// 26.9.6: detaches the run at the end of each step.
    New,
}

pub(crate) struct Manager {
    pub(crate) release: Release,
    pub(crate) now: Duration,
    /// The run whose output is kept, and what came.
    attached: Option<(String, VecDeque<Value>)>,
    todo: VecDeque<Todo>,
    asked: bool,
    inputs: VecDeque<String>,
    interrupted: bool,
    pub(crate) build: Program,
    pub(crate) exec: Program,
    pub(crate) query: Program,
    /// Whether the runner has to do default steps itself.
    pub(crate) is_native: bool,
    pub(crate) answered: Vec<String>,
}

/// What became of a request.
pub(crate) enum Answer {
    Result(Value),
    Broken,
    /// Nothing: it waits for another run.
    Blocked,
}

/// An open WebSocket: what its manager asks the agent for next.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    next: Option<Value>,
    is_started: bool,
}

impl Stream {
    /// A message of the client: what to execute, or input.
    pub(crate) fn hears(&mut self, text: &str) {
        let mut body = match self.is_started {
            false => serde_json::from_str(text).expect("JSON"),
            true => json!({"mode": "input", "code": text}),
        };
        self.is_started = true;
        body["run_id"] = HIDDEN.into();
        body["runId"] = HIDDEN.into();
        self.next = Some(body);
    }

    /// What the manager sends next, and whether it closes the WebSocket. `None` while it waits for the client.
    pub(crate) fn says(&mut self, manager: &mut Manager) -> Option<(Value, bool)> {
        let body = self.next.take()?;
        match manager.ask(&body, STREAM_FLUSH) {
            Answer::Result(mut answer) => {
                let result = answer["result"].take();
                let status = result["status"].as_str().expect("a status");
                let is_end = status == "finished";
                if status != "waiting-input" && !is_end {
                    self.next = Some(
                        json!({"mode": "continue", "code": "", "run_id": HIDDEN, "runId": HIDDEN}),
                    );
                }
                Some((result, is_end))
            }
            Answer::Broken => Some((json!({"status": "error", "msg": "BackendError"}), true)),
            Answer::Blocked => {
                self.next = Some(body);
                None
            }
        }
    }
}

impl Manager {
    pub(crate) fn new(release: Release, build: Program, exec: Program, query: Program) -> Self {
        Self {
            release,
            now: Duration::ZERO,
            attached: None,
            todo: VecDeque::new(),
            asked: false,
            inputs: VecDeque::new(),
            interrupted: false,
            build,
            exec,
            query,
            is_native: false,
            answered: Vec::new(),
        }
    }

    /// Lets the runner work until then.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// One act of the runner, unless it takes longer than until `end`.
    fn step(&mut self, end: Duration) -> bool {
        let Some(first) = self.todo.front_mut() else {
            return false;
        };
        match first {
            Todo::Act(Act::Hang) => return false,
            Todo::Act(Act::Sleep(time)) => {
                if self.now + *time > end {
                    *time -= end - self.now;
                    return false;
                }
                self.now += *time;
            }
            Todo::Act(Act::Ask) => {
                if !self.asked {
                    self.asked = true;
                    self.say(json!(["waiting-input"]));
                }
                let Some(input) = self.inputs.pop_front() else {
                    return false;
                };
                self.asked = false;
                self.answered.push(input);
                if std::mem::take(&mut self.interrupted) {
                    self.abort();
                    return true;
                }
            }
            Todo::Act(Act::Print(stream, text)) => {
                let record = json!([stream, text]);
                self.say(record);
            }
            Todo::Act(Act::Html) => self.say(json!(["html"])),
            Todo::Finish(kind, code) => {
                let message = json!([kind, code]);
                self.say(message);
            }
        }
        self.todo.pop_front();
        true
    }

    fn say(&mut self, message: Value) {
        if let Some((_, queue)) = &mut self.attached {
            queue.push_back(message);
        }
    }

    /// Ends the current task.
    fn abort(&mut self) {
        while let Some(Todo::Act(_)) = self.todo.front() {
            self.todo.pop_front();
        }
        if let Some(Todo::Finish(_, code)) = self.todo.front_mut() {
            *code = 1;
        }
    }

    pub(crate) fn interrupt(&mut self) {
        match self.todo.front() {
            None | Some(Todo::Act(Act::Hang) | Todo::Finish(..)) => {}
            Some(Todo::Act(Act::Ask)) => self.interrupted = true,
            Some(Todo::Act(_)) => self.abort(),
        }
    }

    fn task(&mut self, program: &Program, kind: &'static str) {
        let acts = program.acts.iter().cloned().map(Todo::Act);
        self.todo.extend(acts);
        self.todo.push_back(Todo::Finish(kind, program.code));
    }

    fn feed(&mut self, body: &Value) {
        match body["mode"].as_str().expect("a mode") {
            "query" if body["code"] == "" => {
                let nothing = Program {
                    acts: vec![Act::Sleep(Duration::from_millis(3))],
                    code: 0,
                };
                self.task(&nothing, "finished");
            }
            "query" => self.task(&self.query.clone(), "finished"),
            "input" => {
                let text = body["code"].as_str().expect("text").to_owned();
                self.inputs.push_back(text);
            }
            "continue" => {}
            "batch" => self.feed_batch(&body["options"]),
            mode => panic!("unknown mode {mode}"),
        }
    }

    fn feed_batch(&mut self, options: &Value) {
        let pause = Act::Sleep(Duration::from_millis(10));
        let step = |acts: Vec<Act>, code| Program {
            acts: acts.into_iter().chain([pause.clone()]).collect(),
            code,
        };
        let clean = options["clean"].as_str().expect("text");
        if clean.is_empty() {
            // The steps as such.
            self.task(&step(vec![], 0), "clean-finished");
            let build = self.build.clone();
            self.task(&step(build.acts, build.code), "build-finished");
            let mut exec = self.exec.clone();
            if build.code != 0 {
                exec = step(vec![], 127);
            }
            self.task(&step(exec.acts, exec.code), "finished");
            return;
        }
        let mut acts = Vec::new();
        let mut build_code = 0;
        if let Some(at) = clean.find("sorna-") {
            let mark = format!("\u{1e}{}", &clean[at..at + "sorna-".len() + 16]);
            if self.is_native {
                acts.push(Act::Print("stdout", format!("{mark} native\n")));
            } else {
                acts.extend(self.build.acts.clone());
                build_code = self.build.code;
                for stream in ["stdout", "stderr"] {
                    acts.push(Act::Print(stream, format!("{mark} built {build_code}\n")));
                }
            }
        }
        let mut code = 0;
        if build_code != 0 {
            code = 127;
        } else if !self.is_native {
            acts.extend(self.exec.acts.clone());
            code = self.exec.code;
        }
        self.task(&step(acts, code), "clean-finished");
        assert_eq!(options["build"], "");
        self.task(&step(vec![], 0), "build-finished");
        let last = options["exec"].as_str().expect("text");
        let code = last
            .strip_prefix("exit ")
            .expect("an exit")
            .parse()
            .expect("a number");
        self.task(&step(vec![], code), "finished");
    }

    /// A request to execute, which arrives now. Time passes until the response.
    pub(crate) fn execute(&mut self, body: &Value) -> Answer {
        self.ask(body, FLUSH)
    }

    fn ask(&mut self, body: &Value, flush: Duration) -> Answer {
        let run = body["run_id"].as_str().expect("a run ID").to_owned();
        assert_eq!(body["runId"], body["run_id"]);
        let (current, _) = self
            .attached
            .get_or_insert_with(|| (run.clone(), VecDeque::new()));
        if *current != run {
            return Answer::Blocked;
        }
        self.feed(body);
        let end = self.now + flush;
        let mut console = Vec::new();
        let mut is_broken = false;
        loop {
            let (_, queue) = self.attached.as_mut().expect("it is attached");
            let Some(message) = queue.pop_front() else {
                let is_waiting = |manager: &Self| {
                    let queue = manager.attached.as_ref().map(|(_, queue)| queue);
                    queue.is_some_and(|queue| !queue.is_empty())
                };
                if !self.step(end) && !is_waiting(self) {
                    self.now = end;
                    break if is_broken {
                        Answer::Broken
                    } else {
                        self.result(&run, "continued", &Value::Null, console)
                    };
                }
                continue;
            };
            match message[0].as_str().expect("a kind") {
                "stdout" | "stderr" => console.push(message),
                "html" => is_broken = true,
                _ if is_broken => return Answer::Broken,
                kind => {
                    let answer = self.result(&run, kind, &message[1], console);
                    let is_end = kind == "finished";
                    let is_step = kind.ends_with("-finished");
                    if is_end || (is_step && self.release == Release::New) {
                        self.attached = None;
                    }
                    break answer;
                }
            }
        }
    }

    fn result(&self, run: &str, status: &str, code: &Value, console: Vec<Value>) -> Answer {
        Answer::Result(json!({"result": {
            "status": status, "runId": run, "exitCode": code, "options": null, "files": [],
            "console": console,
        }}))
    }
}

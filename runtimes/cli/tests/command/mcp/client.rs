//! A client of MCP that speaks to `sorna mcp` by lines, as they are.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{PATIENCE, here, sorna, wait};

/// One that is connected.
pub(crate) struct Client {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// What came while something else was waited for.
    early: Vec<Value>,
    last: i64,
    schemas: Value,
    directory: TempDir,
}

/// The answer of a tool.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) result: Value,
}

/// The command, on this machine, with its files in this directory.
pub(crate) fn local(directory: &Path, options: &[&str]) -> Command {
    let files = directory.join("tmp");
    std::fs::create_dir_all(&files).expect("a directory");
    let mut command = sorna(directory);
    command.env("TMPDIR", files);
    command.args(["mcp", "--local"]).args(options);
    command
}

impl Client {
    /// Of a server on this machine.
    pub(crate) fn local(options: &[&str]) -> Self {
        let directory = here();
        let command = local(directory.path(), options);
        Self::begin(command, directory, "2025-11-25")
    }

    /// Of this one.
    pub(crate) fn begin(command: Command, directory: TempDir, revision: &str) -> Self {
        let mut client = Self::start(command, directory);
        let info = json!({"name": "test", "version": "1"});
        let parameters =
            json!({"protocolVersion": revision, "capabilities": {}, "clientInfo": info});
        let begun = client.ask("initialize", parameters);
        assert_eq!(begun["result"]["protocolVersion"], revision, "{begun}");
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        let tools = client.ask("tools/list", json!({}));
        client.schemas = tools["result"]["tools"].clone();
        client
    }

    /// Of one to which nothing was said yet.
    pub(crate) fn start(mut command: Command, directory: TempDir) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("sorna runs");
        let output = child.stdout.take().expect("a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                if sender.send(line.expect("text")).is_err() {
                    return;
                }
            }
        });
        Self {
            input: child.stdin.take(),
            child,
            lines,
            early: Vec::new(),
            last: 0,
            schemas: Value::Null,
            directory,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn tools(&self) -> &Value {
        &self.schemas
    }

    pub(crate) fn send(&mut self, message: &Value) {
        self.send_line(message.to_string().as_bytes());
    }

    /// Sends what may be no message.
    pub(crate) fn send_line(&mut self, line: &[u8]) {
        let input = self.input.as_mut().expect("it is open");
        input.write_all(&[line, b"\n"].concat()).expect("it reads");
    }

    /// Sends a request, and does not wait.
    pub(crate) fn begin_request(&mut self, method: &str, parameters: Value) -> i64 {
        self.last += 1;
        let id = self.last;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": parameters}));
        id
    }

    /// The next message for which this is true, now or earlier.
    pub(crate) fn message(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.early.iter().position(&is_it) {
            return self.early.remove(at);
        }
        loop {
            let line = self.lines.recv_timeout(PATIENCE * 2).expect("a message");
            let message: Value = serde_json::from_str(&line).expect("nothing but JSON");
            assert_eq!(message["jsonrpc"], "2.0", "{message}");
            if is_it(&message) {
                return message;
            }
            self.early.push(message);
        }
    }

    pub(crate) fn response(&mut self, id: i64) -> Value {
        self.message(|message| message["id"] == id)
    }

    pub(crate) fn ask(&mut self, method: &str, parameters: Value) -> Value {
        let id = self.begin_request(method, parameters);
        self.response(id)
    }

    /// Begins to call a tool.
    pub(crate) fn begin_call(&mut self, tool: &str, arguments: Value) -> i64 {
        self.begin_request("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// The answer of a tool, which must be as its description says.
    pub(crate) fn called(&mut self, id: i64, tool: &str) -> Called {
        let response = self.response(id);
        let result = response["result"].clone();
        assert!(result.is_object(), "{response}");
        if result["isError"] != true {
            let all = self.schemas.as_array().into_iter().flatten();
            let found = all
                .into_iter()
                .find(|it| it["name"] == tool)
                .expect("a tool");
            let schema = jsonschema::validator_for(&found["outputSchema"]).expect("a schema");
            if let Err(error) = schema.validate(&result["structuredContent"]) {
                panic!("{error}: {result}");
            }
        }
        Called { result }
    }

    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Called {
        let id = self.begin_call(tool, arguments);
        self.called(id, tool)
    }

    /// Runs code.
    pub(crate) fn run(&mut self, language: &str, code: &str) -> Called {
        self.call("run_code", json!({"language": language, "code": code}))
    }

    /// Closes its input, and waits for its end. The lines that it still writes.
    pub(crate) fn close(mut self) -> (ExitStatus, Vec<String>) {
        drop(self.input.take());
        self.end()
    }

    /// Waits for its end, after which none of its files is left.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>) {
        let status = wait(&mut self.child);
        let mut lines: Vec<_> = self.early.iter().map(Value::to_string).collect();
        lines.extend(self.lines.iter());
        assert_eq!(files_of(self.directory.path()), Vec::<String>::new());
        (status, lines)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The files that a server has left in the place for temporary ones.
pub(crate) fn files_of(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory.join("tmp")) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

impl Called {
    /// Its text.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        let content = &self.result["content"][0];
        assert_eq!(content["type"], "text", "{}", self.result);
        content["text"].as_str().expect("text")
    }

    /// That of an error.
    #[track_caller]
    pub(crate) fn error(&self) -> &str {
        assert_eq!(self.result["isError"], true, "{}", self.result);
        self.text()
    }

    /// A field of what it has for programs.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> &Value {
        assert_ne!(self.result["isError"], true, "{}", self.result);
        &self.result["structuredContent"][name]
    }

    /// The fields of a program that has ended, if it has.
    #[track_caller]
    pub(crate) fn ended(&self) -> (&str, &Value) {
        assert_eq!(self.field("status"), "ended", "{}", self.result);
        (
            self.field("output").as_str().expect("text"),
            self.field("exit_code"),
        )
    }

    /// Its images.
    pub(crate) fn images(&self) -> Vec<&Value> {
        let content = self.result["content"].as_array().expect("content");
        content.iter().filter(|it| it["type"] == "image").collect()
    }
}

/// So long that nothing else happens before.
pub(crate) const LONG: Duration = Duration::from_secs(600);

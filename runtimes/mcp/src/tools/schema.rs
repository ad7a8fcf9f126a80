//! What clients are told of the tools.

use serde_json::{Map, Value, json};

use super::tool::Tool;

/// A tool, for clients and models.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
    /// JSON Schemas, of objects.
    pub(crate) input: Value,
    pub(crate) output: Value,
    pub(crate) hints: Hints,
}

/// What a tool may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    /// It changes nothing.
    pub(crate) reads_only: bool,
    /// It may change or end what is there.
    pub(crate) is_destructive: bool,
    /// A second time does nothing more.
    pub(crate) is_idempotent: bool,
    /// It may reach other things than the session.
    pub(crate) is_open: bool,
}

const READS: Hints = Hints {
    reads_only: true,
    is_destructive: false,
    is_idempotent: true,
    is_open: false,
};

const RUNS: Hints = Hints {
    reads_only: false,
    is_destructive: true,
    is_idempotent: false,
    is_open: true,
};

impl Description {
    /// The names of the arguments, those that are required first.
    pub(crate) fn arguments(&self) -> String {
        let required = self.input["required"].as_array();
        let required: Vec<_> = required
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let all = self.input["properties"].as_object();
        let all = all.into_iter().flat_map(Map::keys);
        let others = all.filter(|name| !required.contains(&name.as_str()));
        let names: Vec<_> = required
            .iter()
            .map(|name| format!("`{name}`"))
            .chain(others.map(|name| format!("`{name}` (optional)")))
            .collect();
        match names.is_empty() {
            true => "no arguments".to_owned(),
            false => names.join(", "),
        }
    }

    /// What is wrong with the first argument that has another type than its schema says. Text is not repeated: it may be long, or secret.
    pub(crate) fn wrong_type(&self, given: &Map<String, Value>) -> Option<String> {
        given.iter().find_map(|(name, value)| {
            let kind = self.input["properties"].get(name)?["type"].as_str()?;
            let (is_right, wanted) = match kind {
                "string" => (value.is_string(), "text"),
                // 3.0 counts as whole.
                "integer" => (
                    value.as_f64().is_some_and(|it| it.fract() == 0.0),
                    "a whole number",
                ),
                "number" => (value.is_number(), "a number"),
                "boolean" => (value.is_boolean(), "true or false"),
                _ => return None,
            };
            let is = match value {
                Value::Array(_) => "a list".to_owned(),
                Value::Object(_) => "an object".to_owned(),
                Value::String(_) => "text".to_owned(),
                plain => plain.to_string(),
            };
            let wrong = format!("Wrong arguments: `{name}` has to be {wanted}, and is {is}.");
            (!is_right).then_some(wrong)
        })
    }
}

/// The schema of an object with these properties.
fn object(properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn seconds(description: &str) -> Value {
    json!({"type": "number", "minimum": 0, "description": description})
}

/// A time limit, of which 0 would let nothing run.
fn limit(description: &str) -> Value {
    json!({"type": "number", "exclusiveMinimum": 0, "description": description})
}

const SESSION: &str = "Session whose files are meant. Default: the one used last.";

fn code() -> Map<String, Value> {
    let properties = json!({
        "language": text("Such as python3, bash, nodejs, r, c or rust: see list_languages."),
        "code": text("The code. In interpreted languages it uses what earlier code of the session defined, and the value of the last expression is returned."),
        "session": text("Name of the session that keeps variables and files; made if there is none. Default: one for each language."),
        "stdin": text("Standard input of the program, which ends after that."),
        "max_output": {"type": "integer", "minimum": 0, "maximum": 1_048_576, "description": "How many bytes of output to return. Default: usually 16384."},
    });
    match properties {
        Value::Object(properties) => properties,
        _ => Map::new(),
    }
}

/// What tools return that are about a program.
fn of_run() -> Value {
    let properties = json!({
        "session": {"type": "string"},
        "run": text("Handle for `wait` and `interrupt`."),
        "status": {"type": "string", "enum": ["ended", "running"]},
        "output": text("Standard output and standard error that were not returned before, in order."),
        "value": text("Value of the last expression."),
        "exit_code": {"type": ["integer", "null"], "description": "0 if it succeeded. null while it runs, or if it is not known."},
        "timed_out": {"type": "boolean", "description": "Whether it was stopped at its time limit."},
        "truncated": {"type": "boolean", "description": "Whether the middle of the output or of the value is left out."},
        "seconds": {"type": "number"},
        "saved": text("File of the session that has the output, if it was long."),
        "saved_value": text("The same for the value."),
        "images": {"type": "integer", "description": "How many images come with this, as content."},
        "interrupted": {"type": "boolean"},
        "limit": text("The limit that it has exceeded, such as memory."),
        "state_lost": {"type": "boolean", "description": "Whether variables of earlier programs are lost."},
        "failure": text("Why its end is not known."),
        "notes": {"type": "array", "items": {"type": "string"}},
    });
    object(
        properties,
        &[
            "session",
            "run",
            "status",
            "output",
            "exit_code",
            "timed_out",
            "truncated",
            "seconds",
        ],
    )
}

impl Tool {
    /// What clients are told of it.
    pub(crate) fn description(self) -> Description {
        match self {
            Self::RunCode => {
                let mut properties = code();
                properties.insert(
                    "timeout".to_owned(),
                    limit(
                        "Time limit in seconds, after which it is stopped. Default: usually 120.",
                    ),
                );
                Description {
                    title: "Run code",
                    text: "Runs code in a sandbox and returns what it prints, its images (plots are shown without saving them), the value of the last expression, and the exit code. \
                           Variables and files stay in the session for the next call. A program that runs longer than a call may take (usually 50 s) keeps running: then the result has status `running`, and `wait` returns the rest. Calls of one session run one after the other.",
                    input: object(properties.into(), &["language", "code"]),
                    output: of_run(),
                    hints: RUNS,
                }
            }
            Self::Start => {
                let mut properties = code();
                properties.insert(
                    "timeout".to_owned(),
                    limit(
                        "Time limit in seconds, after which it is stopped. Default: usually 3600.",
                    ),
                );
                Description {
                    title: "Start code in the background",
                    text: "As run_code, for what takes long: returns once it has begun, with a handle for `wait` and `interrupt`. It keeps its session busy until it ends.",
                    input: object(properties.into(), &["language", "code"]),
                    output: of_run(),
                    hints: RUNS,
                }
            }
            Self::Wait => Description {
                title: "Wait for a program",
                text: "Waits for the end of a program, as long as a call may take (usually 50 s), and returns what it has printed since the last call. Call it again while the status is `running`.",
                input: object(
                    json!({
                        "run": text("The handle of the program."),
                        "timeout": seconds("How many seconds to wait: 0 returns at once. Default: the most, usually 50."),
                        "max_output": {"type": "integer", "minimum": 0, "maximum": 1_048_576, "description": "How many bytes of output to return. Default: usually 16384."},
                    }),
                    &["run"],
                ),
                output: of_run(),
                hints: Hints {
                    is_idempotent: false,
                    ..READS
                },
            },
            Self::Interrupt => Description {
                title: "Interrupt a program",
                text: "Interrupts a program as Ctrl-C does, and returns how it ends. Variables and files stay; if it does not end within 5 s, its interpreter is restarted.",
                input: object(
                    json!({
                        "run": text("The handle of the program."),
                        "session": text("The session in which it runs, in place of `run`."),
                    }),
                    &[],
                ),
                output: of_run(),
                hints: Hints {
                    is_destructive: true,
                    is_idempotent: true,
                    ..Hints::default()
                },
            },
            Self::WriteFile => Description {
                title: "Write a file",
                text: "Writes a file of a session, and the directories above it. Each session has files of its own: name that of the run_code which needs it.",
                input: object(
                    json!({
                        "path": text("Path below the work directory of the session."),
                        "content": {"type": "string"},
                        "encoding": {"type": "string", "enum": ["utf-8", "base64"], "description": "Of `content`. Default: utf-8."},
                        "language": text("Language of the session, which is made if there is none."),
                        "session": text("Session whose files are meant. Default: that of the language, or the one used last; if there is none, one of python3 is made."),
                    }),
                    &["path", "content"],
                ),
                output: object(
                    json!({
                        "session": {"type": "string"},
                        "path": {"type": "string"},
                        "bytes": {"type": "integer"},
                    }),
                    &["session", "path", "bytes"],
                ),
                hints: Hints {
                    is_destructive: true,
                    is_idempotent: true,
                    ..Hints::default()
                },
            },
            Self::ReadFile => Description {
                title: "Read a file",
                text: "Reads a file of a session: text, or an image (PNG, JPEG, GIF, WebP), or anything as Base64.",
                input: object(
                    json!({
                        "path": text("Path below the work directory of the session."),
                        "session": text(SESSION),
                        "encoding": {"type": "string", "enum": ["utf-8", "base64"], "description": "How to return it. Default: images as images, the rest as utf-8."},
                        "offset": {"type": "integer", "minimum": 0, "description": "Where to begin, in bytes; characters are not split. Default: 0."},
                        "length": {"type": "integer", "minimum": 0, "maximum": 1_048_576, "description": "How many bytes to return. Default: 16384."},
                    }),
                    &["path"],
                ),
                output: object(
                    json!({
                        "session": {"type": "string"},
                        "path": {"type": "string"},
                        "size": {"type": "integer", "description": "Of the whole file, in bytes."},
                        "content": text("As text or Base64; an image comes as content."),
                        "truncated": {"type": "boolean"},
                        "offset": {"type": "integer", "description": "Where it begins, if that is not where it was asked for."},
                        "next_offset": {"type": "integer", "description": "Where the rest begins, if there is more."},
                        "media_type": text("Of an image."),
                    }),
                    &["session", "path", "size"],
                ),
                hints: READS,
            },
            Self::ListFiles => Description {
                title: "List files",
                text: "Lists the files of a directory of a session.",
                input: object(
                    json!({
                        "path": text("Directory below the work directory. Default: the work directory."),
                        "session": text(SESSION),
                    }),
                    &[],
                ),
                output: object(
                    json!({
                        "session": {"type": "string"},
                        "path": {"type": "string"},
                        "files": {"type": "array", "items": object(
                            json!({
                                "name": {"type": "string"},
                                "size": {"type": "integer"},
                                "directory": {"type": "boolean"},
                                "modified": {"type": ["integer", "null"], "description": "Seconds since 1970."},
                            }),
                            &["name", "size", "directory"],
                        )},
                        "truncated": {"type": "boolean"},
                    }),
                    &["session", "path", "files", "truncated"],
                ),
                hints: READS,
            },
            Self::ListLanguages => Description {
                title: "List languages",
                text: "Lists the languages for run_code.",
                input: object(json!({}), &[]),
                output: object(
                    json!({"languages": {"type": "array", "items": object(
                        json!({
                            "name": {"type": "string"},
                            "aliases": {"type": "array", "items": {"type": "string"}},
                            "keeps_state": {"type": "boolean", "description": "Whether code can use what earlier code defined; otherwise each code is a whole program. Left out if it is not known."},
                        }),
                        &["name", "aliases"],
                    )}}),
                    &["languages"],
                ),
                hints: READS,
            },
            Self::ListSessions => Description {
                title: "List sessions",
                text: "Lists the sessions, and what runs in them.",
                input: object(json!({}), &[]),
                output: object(
                    json!({"sessions": {"type": "array", "items": object(
                        json!({
                            "session": {"type": "string"},
                            "language": {"type": "string"},
                            "running": {"type": ["string", "null"], "description": "The handle of the program that runs."},
                            "runs": {"type": "integer"},
                            "idle_seconds": {"type": "integer"},
                        }),
                        &["session", "language", "running", "runs", "idle_seconds"],
                    )}, "others": {"type": "integer", "description": "How many more there are, of other clients of this server."}}),
                    &["sessions"],
                ),
                hints: READS,
            },
            Self::CloseSession => Description {
                title: "Close a session",
                text: "Ends a session with its variables and files, and what runs in it. The next run_code begins with a new one.",
                input: object(json!({"session": {"type": "string"}}), &["session"]),
                output: object(
                    json!({"session": {"type": "string"}, "closed": {"type": "boolean"}}),
                    &["session", "closed"],
                ),
                hints: Hints {
                    is_destructive: true,
                    is_idempotent: true,
                    ..Hints::default()
                },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_whole() {
        for tool in Tool::ALL {
            let description = tool.description();
            assert_eq!(Tool::named(tool.name()), Some(tool));
            assert!(description.text.ends_with('.'), "{tool:?}");
            for schema in [&description.input, &description.output] {
                jsonschema::validator_for(schema).expect("a schema");
                let properties = schema["properties"].as_object().expect("properties");
                for name in schema["required"].as_array().expect("names") {
                    assert!(properties.contains_key(name.as_str().expect("text")));
                }
            }
        }
        assert_eq!(
            Tool::Wait.description().arguments(),
            "`run`, `max_output` (optional), `timeout` (optional)"
        );
        assert_eq!(Tool::ListSessions.description().arguments(), "no arguments");
    }

    #[test]
    fn arguments_of_another_type_are_named() {
        let wrong = |tool: Tool, given: Value| {
            let given = given.as_object().expect("an object");
            tool.description().wrong_type(given)
        };
        for (given, what) in [
            (
                json!({"timeout": "5"}),
                "`timeout` has to be a number, and is text.",
            ),
            (json!({"code": 5}), "`code` has to be text, and is 5."),
            (
                json!({"session": ["a"]}),
                "`session` has to be text, and is a list.",
            ),
            (
                json!({"max_output": 2.5}),
                "`max_output` has to be a whole number, and is 2.5.",
            ),
        ] {
            let said = wrong(Tool::RunCode, given).expect("it is wrong");
            assert_eq!(said, format!("Wrong arguments: {what}"));
        }
        for given in [
            json!({"language": "bash", "code": "", "timeout": 5, "max_output": 3.0}),
            json!({"other": 5}),
        ] {
            assert_eq!(wrong(Tool::RunCode, given), None);
        }
    }
}

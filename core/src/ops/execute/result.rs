//! The result of an execute request. (API manual of 2017, "Code execution", "Execution result".)

use std::borrow::Cow;
use std::fmt;

use bytestring::ByteString;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::limit::Exceeded;
use super::usage::Usage;
use crate::console::{Console, ConsoleSeed};

/// The status of an execution, and its output since the last request. (API manual of 2017,
/// "Execution result".)
///
/// ```
/// use sorna_core::{ExecutionResult, ExecutionStatus};
///
/// let result: ExecutionResult = serde_json::from_str(
///     r#"{"status": "finished", "console": [["stdout", "1\n"]], "options": {"exitCode": 0}, "files": []}"#,
/// )?;
/// assert_eq!(result.status, ExecutionStatus::Finished);
/// assert_eq!(result.stdout(), "1\n");
/// assert_eq!(result.exit_code(), Some(0));
/// assert!(result.extra.contains_key("files"));
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// Observed on gateway 0.9.11: `options` is `{}` when finished, null when continued or `build-finished`, and
/// `{"is_password": …}` when waiting; `exitCode` and `step` were never seen.
///
/// A successful request does not mean that the user's program succeeded.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExecutionResult {
    /// Its progress.
    pub status: ExecutionStatus,
    /// The output since the last request.
    pub console: Console,
    /// Details of the status: `is_password`, `hides_line_end`, `takes_lines`, `takes_bytes`, `exitCode`, `step`, `limit`, `usage`,
    /// and what later gateways add.
    pub options: Map<String, Value>,
    /// The result's other fields (`files`, `runId`, …), and `options` if it was not an object.
    pub extra: Map<String, Value>,
}

/// The status of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecutionStatus {
    /// Still running: continue.
    Continued,
    /// The program waits for a line of input: give it.
    WaitingInput,
    /// The build step of a batch ended: continue.
    BuildFinished,
    /// The clean step of a batch ended (later gateways): continue.
    CleanFinished,
    /// Done.
    Finished,
    /// Killed for running too long.
    ExecTimeout,
    /// A status that this crate does not know.
    Other(String),
}

impl ExecutionStatus {
    /// The status's name on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Continued => "continued",
            Self::WaitingInput => "waiting-input",
            Self::BuildFinished => "build-finished",
            Self::CleanFinished => "clean-finished",
            Self::Finished => "finished",
            Self::ExecTimeout => "exec-timeout",
            Self::Other(name) => name,
        }
    }

    fn from_name(name: &str) -> Self {
        match name {
            "continued" => Self::Continued,
            "waiting-input" => Self::WaitingInput,
            "build-finished" => Self::BuildFinished,
            "clean-finished" => Self::CleanFinished,
            "finished" => Self::Finished,
            "exec-timeout" => Self::ExecTimeout,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Whether the execution is over. An unknown status counts as the end if its name ends in a
    /// word that says so; otherwise the execution continues.
    #[must_use]
    pub fn is_end(&self) -> bool {
        const ENDINGS: [&str; 12] = [
            "finished",
            "timeout",
            "timed-out",
            "terminated",
            "cancelled",
            "canceled",
            "failed",
            "error",
            "done",
            "killed",
            "aborted",
            "exited",
        ];
        match self {
            Self::Finished | Self::ExecTimeout => true,
            Self::Continued | Self::WaitingInput | Self::BuildFinished | Self::CleanFinished => {
                false
            }
            Self::Other(name) => ENDINGS.iter().any(|ending| name.ends_with(ending)),
        }
    }
}

impl fmt::Display for ExecutionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ExecutionResult {
    /// Standard output: [`Console::stdout`] of [`console`](Self::console).
    #[must_use]
    pub fn stdout(&self) -> Cow<'_, str> {
        self.console.stdout()
    }

    /// Standard error: [`Console::stderr`] of [`console`](Self::console).
    #[must_use]
    pub fn stderr(&self) -> Cow<'_, str> {
        self.console.stderr()
    }

    /// Standard output as it was written, also if it is not UTF-8: [`Console::stdout_bytes`].
    #[must_use]
    pub fn stdout_bytes(&self) -> Cow<'_, [u8]> {
        self.console.stdout_bytes()
    }

    /// Standard error as it was written, also if it is not UTF-8: [`Console::stderr_bytes`].
    #[must_use]
    pub fn stderr_bytes(&self) -> Cow<'_, [u8]> {
        self.console.stderr_bytes()
    }

    /// The program's exit code, if the gateway sent it. `None` means unknown, not 0.
    #[must_use]
    pub fn exit_code(&self) -> Option<i64> {
        let of = |map: &Map<String, Value>| map.get("exitCode").and_then(Value::as_i64);
        of(&self.options).or_else(|| of(&self.extra))
    }

    /// The step of a batch that this belongs to, if the gateway sent it.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        self.options.get("step").and_then(Value::as_str)
    }

    /// The limit for which the gateway has killed the program, if it says so. That is a fact, whatever the program has printed
    /// and whichever exit code it has: a program can neither say this nor keep it from being said.
    ///
    /// An extension of the gateway of this project, in both dialects: `limit`, its name, and `limitMax` in the options of the end.
    /// Others say no more than that it was the limit on time, by [`ExecutionStatus::ExecTimeout`]; for other limits, `None` means
    /// unknown there.
    #[must_use]
    pub fn exceeded(&self) -> Option<Exceeded> {
        Exceeded::of(self.status == ExecutionStatus::ExecTimeout, &self.options)
    }

    /// What the program has used of the machine, if the gateway says so at its end: time, memory, and how much it wrote. In a
    /// batch, that is the program of the step that ended it; the build has its own, at its
    /// [end](crate::machine::ExecutionEvent::StepFinished).
    ///
    /// An extension of the gateway of this project, [`Execute::USAGE`](super::Execute::USAGE), in both dialects: `usage` in the
    /// options of the end of an execution that its client [marks](super::Execute::with_mark), as the clients of this project do.
    /// What the numbers cover there, and how exact they are, is on the gateway's page. From others it is `None`: unknown.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        Usage::of(&self.options)
    }

    /// Whether the interpreter has ended with the snippet (`restarted`), so that its state, such as variables, is lost: the next
    /// snippet runs in a new one. `None` if the gateway does not say that it has.
    ///
    /// This is an extension of the gateway of this project, in both dialects. There, `None` means that the interpreter is still
    /// the same. Other gateways never say it, so from them `None` means that nothing is known.
    #[must_use]
    pub fn has_restarted(&self) -> Option<bool> {
        self.options.get("restarted").and_then(Value::as_bool)
    }

    /// Whether the interpreter had ended before the snippet, while nothing ran (`restartedBefore`), so that the state of earlier
    /// snippets was lost before this one began: it was killed for the memory that it held, say.
    ///
    /// This is an extension of the gateway of this project, in both dialects, as [`has_restarted`](Self::has_restarted) is.
    #[must_use]
    pub fn had_restarted(&self) -> Option<bool> {
        self.options.get("restartedBefore").and_then(Value::as_bool)
    }

    /// The ID of the execution (`runId` or `run_id`), if the gateway sent one: [`Execute`](super::Execute)
    /// carries it to the next request.
    #[must_use]
    pub fn run_id(&self) -> Option<&str> {
        let of = |name| self.extra.get(name).and_then(Value::as_str);
        of("runId").or_else(|| of("run_id"))
    }

    /// Whether the input that the program waits for should not be shown while it is typed.
    #[must_use]
    pub fn is_password(&self) -> bool {
        self.options
            .get("is_password")
            .and_then(Value::as_bool)
            .unwrap_or(false)
    }

    /// Whether not even the line end of a [password](Self::is_password) should be shown (`hides_line_end`): on a terminal, the
    /// program would see to it that nothing is, and begin a new line itself. Otherwise, clients begin one when a password was
    /// typed.
    ///
    /// An extension of the gateway of this project, in both dialects.
    #[must_use]
    pub fn hides_line_end(&self) -> bool {
        let value = self.options.get("hides_line_end");
        value.and_then(Value::as_bool).unwrap_or(false)
    }

    /// Whether the input that the program waits for may be many lines at once (`takes_lines`), of which the program reads as
    /// many as it wants, and then the rest. Each ends with a line end; if the last one has none, `U+0004` (Ctrl-D) follows it,
    /// since a gateway adds a missing line end otherwise.
    ///
    /// An extension of the gateway of this project, in both dialects. Without it, input is one line, or the program may take
    /// several for one.
    #[must_use]
    pub fn takes_lines(&self) -> bool {
        let value = self.options.get("takes_lines");
        value.and_then(Value::as_bool).unwrap_or(false)
    }

    /// Whether the input that the program waits for may be any bytes (`takes_bytes`), given as
    /// [`Continuation::InputBytes`](super::Continuation::InputBytes). An extension of the gateway of this project, in both dialects.
    #[must_use]
    pub fn takes_bytes(&self) -> bool {
        let value = self.options.get("takes_bytes");
        value.and_then(Value::as_bool).unwrap_or(false)
    }

    /// Whether the program may go on without the input that it waits for (`may_go_on`), for instance at the end of a time, or
    /// when a signal comes. To see whether it has, and what it has printed, give it no bytes,
    /// `Continuation::InputBytes(vec![])`, which changes nothing: the response asks again, or says what has happened since. What
    /// is given after that is for what reads next. An extension of the gateway of this project, in both dialects, which says so
    /// of each program that asks in an execution with a mark.
    #[must_use]
    pub fn may_go_on(&self) -> bool {
        let value = self.options.get("may_go_on");
        value.and_then(Value::as_bool).unwrap_or(false)
    }
}

impl<'de> Deserialize<'de> for ExecutionResult {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ResultSeed { body: None }.deserialize(deserializer)
    }
}

/// Reads a result whose text may stay in the body that is being read.
pub(super) struct ResultSeed<'b> {
    /// The whole body, if it can be shared.
    pub(super) body: Option<&'b ByteString>,
}

impl<'de> DeserializeSeed<'de> for ResultSeed<'_> {
    type Value = ExecutionResult;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ResultSeed<'_> {
    type Value = ExecutionResult;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an execution result")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut status = None;
        let mut console = Console::new();
        let mut options = Map::new();
        let mut extra = Map::new();
        while let Some(Key(key)) = map.next_key()? {
            match &*key {
                "status" => status = Some(map.next_value::<StatusName>()?.0),
                "console" => console = map.next_value_seed(ConsoleSeed { body: self.body })?,
                "options" => match map.next_value()? {
                    Value::Object(object) => options = object,
                    Value::Null => {}
                    other => {
                        extra.insert(key.into_owned(), other);
                    }
                },
                _ => {
                    extra.insert(key.into_owned(), map.next_value()?);
                }
            }
        }
        Ok(ExecutionResult {
            status: status.ok_or_else(|| serde::de::Error::missing_field("status"))?,
            console,
            options,
            extra,
        })
    }
}

/// A key of an object, borrowed if it has no escapes.
#[derive(Deserialize)]
pub(super) struct Key<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

struct StatusName(ExecutionStatus);

impl<'de> Deserialize<'de> for StatusName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = StatusName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the status of an execution")
            }

            fn visit_str<E>(self, name: &str) -> Result<StatusName, E> {
                Ok(StatusName(ExecutionStatus::from_name(name)))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

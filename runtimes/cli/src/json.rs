//! Events as JSON on standard output: `sorna run --json`.
//!
//! The lines are described by `schema/run-v1.json`. Within a version, events and fields are only
//! added; readers ignore those that they do not know.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use sorna::{Console, KernelId, SessionToken, UploadProgress, Usage};

use crate::harmless;
use crate::streams::{self, Stream};

/// The version of the lines.
const VERSION: u8 = 1;

/// Their JSON Schema.
pub(crate) const SCHEMA: &str = include_str!("../schema/run-v1.json");

/// Global, so that failures are events wherever they happen.
static ON: AtomicBool = AtomicBool::new(false);

/// From now on events are printed as JSON.
pub(crate) fn turn_on() {
    ON.store(true, Ordering::Relaxed);
}

pub(crate) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// One line.
#[derive(Debug, Serialize)]
#[serde(
    tag = "event",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub(crate) enum Event<'e> {
    KernelReady {
        kernel: &'e KernelId,
        token: &'e SessionToken,
        temporary: bool,
        /// Whether it is new, if the gateway says.
        #[serde(skip_serializing_if = "Option::is_none")]
        created: Option<bool>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        other_languages: Vec<String>,
    },
    /// The session does not run yet.
    SessionPending {
        kernel: &'e KernelId,
        status: &'e str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'e str>,
        waited_ms: u64,
    },
    /// The session is created, and not waited for.
    SessionEnqueued {
        kernel: &'e KernelId,
        token: &'e SessionToken,
    },
    /// The last execution is started, and not waited for.
    Detached {
        kernel: &'e KernelId,
        token: &'e SessionToken,
    },
    /// There is something to attach to in the kernel.
    Attached {
        kernel: &'e KernelId,
    },
    UploadProgress(Files),
    Uploaded(Files),
    ExecutionStarted {
        index: usize,
    },
    /// The bytes as well if they are not UTF-8, and the text has U+FFFD.
    Stdout {
        text: &'e str,
        #[serde(skip_serializing_if = "Option::is_none")]
        base64: Option<&'e str>,
    },
    Stderr {
        text: &'e str,
        #[serde(skip_serializing_if = "Option::is_none")]
        base64: Option<&'e str>,
    },
    Log {
        level: &'e str,
        time: &'e str,
        logger: &'e str,
        message: &'e str,
    },
    /// The content, or the file in which it was saved.
    Media {
        #[serde(rename = "type")]
        media_type: &'e str,
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<&'e str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<&'e str>,
    },
    /// The value of an expression.
    Value {
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<&'e str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        forms: Vec<Form<'e>>,
    },
    /// What earlier executions have left, as the gateway sent it.
    Unclaimed {
        records: &'e Console,
        /// Of the last program of which no client has received the end.
        #[serde(skip_serializing_if = "Option::is_none")]
        exit_code: Option<i64>,
    },
    Record {
        kind: &'e str,
        values: &'e [serde_json::Value],
    },
    StepFinished {
        status: &'e str,
        exit_code: Option<i64>,
        #[serde(flatten)]
        used: Used,
    },
    InputRequested {
        password: bool,
    },
    /// A file or directory in the kernel that the program has made or changed.
    Made {
        path: &'e str,
        /// Of a file.
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
    },
    /// A file that was brought here.
    Saved {
        path: &'e str,
        bytes: u64,
    },
    ExecutionFinished {
        index: usize,
        status: &'e str,
        exit_code: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        step: Option<&'e str>,
        /// The limit for which the program was killed, and how much that allows.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<&'e str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        limit_max: Option<u64>,
        #[serde(flatten)]
        used: Used,
    },
    Failed {
        message: &'e str,
        /// The status of the gateway's error response.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        #[serde(skip_serializing_if = "Option::is_none")]
        problem: Option<&'e str>,
    },
    Advice {
        message: &'e str,
    },
    CleaningUp,
    CleanedUp {
        kernel: Option<&'e KernelId>,
        result: &'e str,
    },
    /// The last line.
    Finished {
        exit_code: u8,
    },
}

impl<'e> Event<'e> {
    pub(crate) fn stdout(text: &'e str) -> Self {
        Self::Stdout { text, base64: None }
    }

    pub(crate) fn stderr(text: &'e str) -> Self {
        Self::Stderr { text, base64: None }
    }
}

/// A form of a value other than text: the content, or the file in which it was saved.
#[derive(Debug, Serialize)]
pub(crate) struct Form<'e> {
    #[serde(rename = "type")]
    pub(crate) media_type: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<&'e str>,
}

/// What a program has used, as far as the gateway says: times in ms, with fractions, and sizes in bytes.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Used {
    #[serde(skip_serializing_if = "Option::is_none")]
    wall_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_memory: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_bytes: Option<u64>,
}

impl From<Option<Usage>> for Used {
    fn from(usage: Option<Usage>) -> Self {
        let usage = usage.unwrap_or_default();
        let ms = |time: Duration| time.as_micros() as f64 / 1000.0;
        Self {
            wall_ms: usage.wall_time.map(ms),
            cpu_ms: usage.processor_time.map(ms),
            peak_memory: usage.peak_memory,
            output_bytes: usage.output,
        }
    }
}

/// The progress of an upload.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Files {
    files: usize,
    total_files: usize,
    bytes: u64,
    total_bytes: u64,
}

impl From<UploadProgress> for Files {
    fn from(progress: UploadProgress) -> Self {
        Self {
            files: progress.files,
            total_files: progress.total_files,
            bytes: progress.bytes,
            total_bytes: progress.total_bytes,
        }
    }
}

#[derive(Serialize)]
struct Line<'l> {
    v: u8,
    #[serde(flatten)]
    event: &'l Event<'l>,
}

/// Prints an event, if JSON was requested.
pub(crate) fn emit(event: &Event<'_>) -> io::Result<()> {
    if !is_on() {
        return Ok(());
    }
    let mut line = harmless::json(&Line { v: VERSION, event })?;
    line.push('\n');
    streams::write(Stream::Stdout, line.as_bytes())
}

//! How a gateway recognizes the requests of one execution: an extension.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a request says of the execution that it belongs to: see [`Execute::with_mark`](super::Execute::with_mark).
///
/// On the wire it is `{"id": text, "request": number, "wait": bool, "again": bool, "timeLimit": ms, "unclaimed": bool, "piped": bool,
/// "inputOf": text, "detached": bool, "attach": bool, "persists": bool, "client": text, "received": number, "apart": bool,
/// "listen": bool, "maxOutput": bytes}`, of which all but the first two may be missing. `detached` to `received` are part of the
/// extension [`Execute::ATTACH`](super::Execute::ATTACH), the next two of [`Execute::BETWEEN`](super::Execute::BETWEEN), the last one
/// is [`Execute::MAX_OUTPUT`](super::Execute::MAX_OUTPUT).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RunMark {
    /// The ID of the execution, which no other in the kernel has: at most 256 bytes.
    pub id: String,
    /// The number of the request, from 0, with which the execution starts. The same number is the same request, sent once
    /// more since its response did not arrive.
    pub request: u64,
    /// Whether the gateway may hold the first request while the kernel is busy, for as long as it holds requests for output.
    #[serde(rename = "wait", default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    /// Whether this is the first request, sent once more only to learn what has come of it: if the gateway has not received it
    /// before, nothing starts, and that is an error.
    #[serde(rename = "again", default, skip_serializing_if = "std::ops::Not::not")]
    pub asks_again: bool,
    /// The most time that the execution may take, in place of what the kernel was created with. Counts in the first
    /// request.
    #[serde(default, with = "ms", skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<Duration>,
    /// Whether its client takes what earlier executions have left. Counts in the first request.
    #[serde(
        rename = "unclaimed",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub takes_unclaimed: bool,
    /// Whether the standard input of its client is no terminal. Counts in the first request.
    #[serde(rename = "piped", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_piped: bool,
    /// The first execution that had the same standard input: see [`with_input_of`](Self::with_input_of). Counts in the first
    /// request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_of: Option<String>,
    /// Whether it starts without a client: see [`with_detached`](Self::with_detached). Counts in the first request.
    #[serde(
        rename = "detached",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub is_detached: bool,
    /// Whether it starts nothing, and takes what runs over: see [`of_attached`](Self::of_attached). Counts in the first
    /// request.
    #[serde(rename = "attach", default, skip_serializing_if = "std::ops::Not::not")]
    pub attaches: bool,
    /// Whether the program keeps running when its client's connection ends: see [`with_persistence`](Self::with_persistence).
    /// Counts in the first request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub persists: bool,
    /// How its client calls itself: see [`with_client`](Self::with_client). Counts in the first request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// How many results have arrived over a WebSocket of this execution that has broken. The gateway sends the rest again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// Whether what was printed while nothing ran is apart from the output of this execution: see
    /// [`with_earlier_apart`](Self::with_earlier_apart). Counts in the first request.
    #[serde(rename = "apart", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_apart: bool,
    /// Whether it starts nothing, and takes what is printed while nothing runs: see [`of_listening`](Self::of_listening).
    #[serde(rename = "listen", default, skip_serializing_if = "std::ops::Not::not")]
    pub listens: bool,
    /// How much the execution may write: see [`with_max_output`](Self::with_max_output). Counts in the first request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u64>,
}

impl RunMark {
    /// The longest ID, in bytes.
    pub const MAX_ID: usize = 256;

    /// The longest name of a client, in bytes.
    pub const MAX_CLIENT: usize = 256;

    /// Of the first request of an execution. A [machine](crate::machine::Execution) makes an ID if there is none.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ..Self::default()
        }
    }

    /// Of an execution that attaches: it starts nothing, and takes over what runs in the kernel, whoever started it.
    ///
    /// First comes output that the gateway has kept because no client is known to have received it. Then come new output,
    /// questions for input, and the end. The end also comes if the program has ended, but no client has received that.
    ///
    /// If nothing is left to receive, the response is an error:
    /// [`is_nothing_to_attach`](crate::GatewayError::is_nothing_to_attach). A client that was waiting for the program gets an
    /// error as well: [`is_taken_over`](crate::GatewayError::is_taken_over).
    ///
    /// The request is a query without code.
    ///
    /// For gateways that offer [`Execute::ATTACH`](super::Execute::ATTACH): others would execute it.
    #[must_use]
    pub fn of_attached() -> Self {
        Self {
            attaches: true,
            persists: true,
            takes_unclaimed: true,
            ..Self::default()
        }
    }

    /// Of a single request, with this ID, that starts nothing, and waits for what is printed while nothing runs: by threads and
    /// processes that executions have left behind. It disturbs no execution, and does not keep the kernel in use.
    ///
    /// As soon as there is such output, or some that no client has received, the response has it, with the status `finished`,
    /// and it is gone from the kernel. If there is none within half a minute, or something runs or starts, the response is empty,
    /// with the status `continued`.
    ///
    /// If a program waits for input when the request comes, the response, which is empty with the status `continued`, comes when
    /// it has printed something, or waits no more. Its client gets that as usual, by [giving it no
    /// bytes](crate::ExecutionResult::may_go_on).
    ///
    /// The request is a query without code.
    ///
    /// For gateways that offer [`Execute::BETWEEN`](super::Execute::BETWEEN).
    #[must_use]
    pub fn of_listening(id: impl Into<String>) -> Self {
        Self {
            listens: true,
            takes_unclaimed: true,
            ..Self::new(id)
        }
    }

    /// Sets whether what was printed since the execution before it has ended is apart from its own output: among what is
    /// [unclaimed](Self::with_unclaimed), if it takes that. Without this, it is at the beginning of its own.
    ///
    /// For gateways that offer [`Execute::BETWEEN`](super::Execute::BETWEEN); others ignore it.
    #[must_use]
    pub fn with_earlier_apart(mut self, is_apart: bool) -> Self {
        self.is_apart = is_apart;
        self
    }

    /// Sets whether the execution starts without a client: then the response comes as soon as it has started, with the status
    /// `continued` and no output, and no request continues it. Any client may [attach](Self::of_attached) later.
    ///
    /// Until then, the program does not wait for a client to read its output. The gateway keeps the last 1 MiB (by default), and
    /// tells the client that attaches how many earlier bytes are lost. A batch continues with its next step, and the kernel does
    /// not count as idle. A program that asks for input waits for it until its time limit.
    ///
    /// For gateways that offer [`Execute::ATTACH`](super::Execute::ATTACH): others execute it as any.
    #[must_use]
    pub fn with_detached(mut self, is_detached: bool) -> Self {
        self.is_detached = is_detached;
        self
    }

    /// Sets whether a program that runs over a WebSocket keeps running when that connection ends. Otherwise it is interrupted.
    /// The same client may continue it by a request that says how many results it has [`received`](Self::received), and any
    /// client may [attach](Self::of_attached). Until then it runs as if it had started
    /// [without a client](Self::with_detached).
    ///
    /// For gateways that offer [`Execute::ATTACH`](super::Execute::ATTACH); others ignore it.
    #[must_use]
    pub fn with_persistence(mut self, persists: bool) -> Self {
        self.persists = persists;
        self
    }

    /// Says who executes, for others whose kernel is [busy](crate::Busy::client) with it: `run on host1 (process 123)`.
    ///
    /// Control characters become spaces, and what is longer than [`MAX_CLIENT`](Self::MAX_CLIENT) is cut. Gateways that know
    /// marks, but not this, ignore it.
    #[must_use]
    pub fn with_client(mut self, client: Option<&str>) -> Self {
        self.client = client.and_then(clean);
        self
    }

    /// Lets the gateway hold the first request while the kernel is busy.
    #[must_use]
    pub fn with_wait(mut self, waits: bool) -> Self {
        self.waits = waits;
        self
    }

    /// Limits the time of the execution; sent in whole ms, and at least 1.
    #[must_use]
    pub fn with_time_limit(mut self, limit: Option<Duration>) -> Self {
        self.time_limit = limit;
        self
    }

    /// Limits how much the execution may write to standard output and standard error together, in bytes; in a batch, each of its
    /// steps. What it writes beyond that is dropped, and it is killed: its result then
    /// [names](crate::ExecutionResult::exceeded) [`Limit::Output`](crate::Limit::Output).
    ///
    /// For gateways that offer [`Execute::MAX_OUTPUT`](super::Execute::MAX_OUTPUT); others that know marks ignore it.
    #[must_use]
    pub fn with_max_output(mut self, bytes: Option<u64>) -> Self {
        self.max_output = bytes;
        self
    }

    /// Takes what earlier executions of the kernel have printed and no client has received, or not: those whose clients were
    /// killed, for instance. It comes once, in one [`Record::Unclaimed`](crate::Record::Unclaimed) at the beginning of this
    /// execution. Without this, the gateway keeps it for an execution that takes it.
    ///
    /// Gateways that know marks, but not this, ignore it.
    #[must_use]
    pub fn with_unclaimed(mut self, takes_unclaimed: bool) -> Self {
        self.takes_unclaimed = takes_unclaimed;
        self
    }

    /// Says that answers come from a pipe or a file, or not. Prompts that a language shows only on a terminal, as `read -p` of
    /// bash and `readline` of php and ruby, are then not shown. Without this, they are, since a person may answer.
    ///
    /// Gateways that know marks, but not this, ignore it.
    #[must_use]
    pub fn with_piped_input(mut self, is_piped: bool) -> Self {
        self.is_piped = is_piped;
        self
    }

    /// Makes this execution share the standard input of earlier ones, the first of which has this ID. It gets what they were
    /// given and have not read, unless an execution with other input has started in between. Without this, an execution begins
    /// with empty input, and what is unread is dropped.
    ///
    /// Gateways that know marks, but not this, ignore it.
    #[must_use]
    pub fn with_input_of(mut self, first: Option<String>) -> Self {
        self.input_of = first;
        self
    }
}

/// A name that may be shown; `None` if nothing is left of it.
fn clean(name: &str) -> Option<String> {
    let mut shown = String::new();
    for c in name.trim().chars() {
        let c = if c.is_control() { ' ' } else { c };
        if shown.len() + c.len_utf8() > RunMark::MAX_CLIENT {
            break;
        }
        shown.push(c);
    }
    (!shown.is_empty()).then_some(shown)
}

mod ms {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let ms = |time: &Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        time.as_ref().map(ms).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let ms = Option::<u64>::deserialize(deserializer)?;
        Ok(ms.filter(|ms| *ms > 0).map(Duration::from_millis))
    }
}

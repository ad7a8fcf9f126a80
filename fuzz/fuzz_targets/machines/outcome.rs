//! How exchanges end: each way is a letter.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use sorna_core::server::{Route, reply};
use sorna_core::{
    Console, ExecutionStatus, Instant, KernelInfo, Moment, ProblemKind, Sent, TransportErrorKind,
};

use crate::scene::kernel;

/// How an exchange ends.
pub(crate) enum Outcome {
    Response(Response<Bytes>),
    Failure(TransportErrorKind, Sent),
}

impl Outcome {
    /// What a letter means for a request; `number` marks the output, so that none is lost.
    pub(crate) fn read(letter: u8, asked: &Route, number: usize) -> Option<Self> {
        use TransportErrorKind as Kind;
        let execution = |status: &ExecutionStatus, options: &str| {
            let mut console = Console::new();
            if number % 3 != 2 {
                console.push_stdout(&format!("#{number};"));
            }
            let options = serde_json::from_str(options).expect("it is JSON");
            Some(Self::Response(
                reply::execution(status, &console, &options).map(Bytes::from),
            ))
        };
        let problem = |kind: ProblemKind| {
            Some(Self::Response(
                kind.reply().into_response().map(Bytes::from),
            ))
        };
        let plain = |status: u16, body: &'static str| {
            let response = Response::builder().status(status).body(body.into());
            Some(Self::Response(response.expect("a status and a body")))
        };
        let limited = |name: &str, value: u64| {
            let mut response = ProblemKind::RateLimitExceeded.reply().into_response();
            let name = http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
            response.headers_mut().insert(name, value.into());
            Some(Self::Response(response.map(Bytes::from)))
        };
        match letter {
            b'o' => match asked {
                Route::Execute(_) => execution(&ExecutionStatus::Finished, "{}"),
                _ => Some(Self::Response(success(asked).map(Bytes::from))),
            },
            b'c' => execution(&ExecutionStatus::Continued, "null"),
            b'b' => execution(&ExecutionStatus::BuildFinished, r#"{"exitCode": 0}"#),
            b'B' => execution(&ExecutionStatus::CleanFinished, "null"),
            b'w' => execution(&ExecutionStatus::WaitingInput, "{}"),
            b'p' => execution(&ExecutionStatus::WaitingInput, r#"{"is_password": true}"#),
            b'u' => execution(&ExecutionStatus::Other("pondering".to_owned()), "[1]"),
            b'U' => execution(&ExecutionStatus::Other("all-done".to_owned()), "null"),
            b't' => execution(&ExecutionStatus::ExecTimeout, "{}"),
            b'x' => match asked {
                Route::Execute(_) => execution(&ExecutionStatus::Finished, r#"{"exitCode": 3}"#),
                _ => Some(Self::Response(success(asked).map(Bytes::from))),
            },
            b'g' => plain(200, "<html>garbled"),
            b'G' => plain(201, r#"{"kernelId": ".."}"#),
            b'3' => plain(302, ""),
            b'1' => plain(500, ""),
            b'2' => plain(502, "<html>"),
            b'V' => plain(503, "<html>"),
            b'T' => plain(504, ""),
            b'v' => problem(ProblemKind::ServiceUnavailable),
            b'i' => problem(ProblemKind::InstanceNotAvailable),
            b'I' => problem(ProblemKind::NotImplemented),
            b'4' => problem(ProblemKind::KernelNotFound),
            b'q' => problem(ProblemKind::QuotaExceeded),
            b'a' => problem(ProblemKind::AuthFailed),
            b'A' => problem(ProblemKind::InvalidAuthParams),
            b'F' => problem(ProblemKind::GenericBadRequest),
            b'5' => problem(ProblemKind::InternalServerError),
            b'e' => problem(ProblemKind::KernelExecutionFailed),
            b'K' => problem(ProblemKind::KernelCreationFailed),
            b'D' => problem(ProblemKind::KernelDestructionFailed),
            b'l' => problem(ProblemKind::RateLimitExceeded),
            b'r' => limited("x-ratelimit-reset", 700),
            b'y' => limited("retry-after", u64::MAX),
            b'Y' => limited("retry-after", 3),
            b'n' => Some(Self::Failure(Kind::Connect, Sent::Nothing)),
            b'N' => Some(Self::Failure(Kind::Resolve, Sent::Nothing)),
            b'S' => Some(Self::Failure(Kind::Send, Sent::StaleConnection)),
            b'm' => Some(Self::Failure(Kind::Receive, Sent::Maybe)),
            b'M' => Some(Self::Failure(Kind::Timeout, Sent::Maybe)),
            b'd' => Some(Self::Failure(Kind::Tls, Sent::Nothing)),
            b'f' => Some(Self::Failure(Kind::LocalFile, Sent::Maybe)),
            b'z' => Some(Self::Failure(Kind::TooLarge, Sent::Maybe)),
            b'X' => Some(Self::Failure(Kind::Cancelled, Sent::Nothing)),
            b'O' => Some(Self::Failure(Kind::Other, Sent::Maybe)),
            _ => None,
        }
    }

    pub(crate) fn is_success(&self) -> bool {
        matches!(self, Self::Response(answer) if answer.status().is_success())
    }

    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Response(answer) => Some(answer.status().as_u16()),
            Self::Failure(..) => None,
        }
    }

    /// How long the window of the rate limit still lasts, if the response says so.
    pub(crate) fn window_left(&self) -> Option<Duration> {
        let Self::Response(answer) = self else {
            return None;
        };
        let reset = answer.headers().get("x-ratelimit-reset")?;
        Some(Duration::from_millis(reset.to_str().ok()?.parse().ok()?))
    }

    /// When the gateway allows a retry: the time in this response, or that in earlier ones if a
    /// response about the rate limit has none.
    pub(crate) fn not_before(&self, now: Moment, window_end: Option<Instant>) -> Instant {
        let Self::Response(answer) = self else {
            return Instant::default();
        };
        let number = |name: &str| answer.headers().get(name)?.to_str().ok()?.parse().ok();
        let seconds = number("retry-after").map(Duration::from_secs);
        let wait = seconds.or_else(|| number("x-ratelimit-reset").map(Duration::from_millis));
        match (answer.status().as_u16(), wait) {
            (429, Some(wait)) => now.instant.saturating_add(wait),
            (429, None) => window_end.unwrap_or_default(),
            _ => Instant::default(),
        }
    }

    /// Whether the gateway certainly did not act on the request.
    pub(crate) fn is_certainly_undone(&self) -> bool {
        match self {
            Self::Failure(_, sent) => *sent == Sent::Nothing,
            Self::Response(answer) => match answer.status().as_u16() {
                429 => true,
                // From the gateway itself, not from a proxy in front of it.
                503 => answer.body().starts_with(b"{") && !has_kind(answer, "not-implemented"),
                _ => false,
            },
        }
    }

    /// Whether a kernel with an unknown ID may have been created.
    pub(crate) fn may_hide_a_kernel(&self) -> bool {
        match self {
            Self::Failure(_, sent) => *sent != Sent::Nothing,
            Self::Response(answer) => match answer.status().as_u16() {
                500 | 502..=504 => !answer.body().starts_with(b"{"),
                status => (200..300).contains(&status),
            },
        }
    }
}

fn has_kind(answer: &Response<Bytes>, kind: &str) -> bool {
    String::from_utf8_lossy(answer.body()).contains(kind)
}

/// The successful response to a request.
pub(crate) fn success(asked: &Route) -> Response<Vec<u8>> {
    match asked {
        Route::Version => reply::version(sorna_core::ApiVersion::default()),
        Route::Authorize => reply::authorized(Some(&"hi".into())),
        Route::Languages => reply::languages(&[]),
        Route::Create => reply::created(&kernel()),
        Route::Info(_) => reply::info(&KernelInfo::default()),
        Route::Execute(_) => reply::completions(&[]),
        _ => reply::done(),
    }
}

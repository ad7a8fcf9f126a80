//! The traffic between a machine and its gateway, and its properties.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use sorna_core::machine::Transmit;
use sorna_core::server::{ExecuteRequest, Route, SignedRequest};
use sorna_core::{Body, Instant, Moment, RetryPolicy};
use sorna_fuzz::secret;

use crate::outcome::Outcome;
use crate::scene::kernel;

/// A request in flight.
pub(crate) struct Exchange {
    pub(crate) asked: Route,
    pub(crate) attempt: u32,
    /// The code that it would run, or the input.
    pub(crate) code: Option<String>,
    pub(crate) files: Vec<String>,
}

/// All traffic between the machine and the gateway.
#[derive(Default)]
pub(crate) struct Wire {
    pub(crate) exchanges: usize,
    /// When the first attempt at the request was sent, and the number of the last attempt.
    pub(crate) tries: Option<(Instant, u32)>,
    pub(crate) last_sent: Instant,
    /// The extra time for its body.
    pub(crate) allowance: Duration,
    /// When the gateway allows a retry.
    pub(crate) not_before: Instant,
    /// Code and input that may have arrived.
    pub(crate) used: BTreeSet<String>,
    /// An execute or restart request ended in a way that forbids another one.
    pub(crate) execution_over: bool,
    /// Output that the gateway sent.
    pub(crate) output: String,
    pub(crate) taken: Vec<String>,
    pub(crate) created: bool,
    pub(crate) may_hide_a_kernel: bool,
    /// How the last request to destroy ended: its status, if any.
    pub(crate) destroyed: Option<Option<u16>>,
    pub(crate) destroys: usize,
    pub(crate) last_was_good: bool,
    pub(crate) unclear: usize,
}

impl Wire {
    pub(crate) fn sent(
        &mut self,
        transmit: &Transmit,
        now: Moment,
        policy: RetryPolicy,
    ) -> Exchange {
        let (parts, body) = split(&transmit.request);
        let asked = Route::parse(&parts.method, parts.uri.path()).expect("it names something");
        let signed = SignedRequest::parse(&parts, now.wall).expect("it is signed");
        signed.verify(&secret(), &body).expect("the signature");

        let started = match self.tries {
            _ if transmit.attempt == 1 => now.instant,
            Some((started, tries)) => {
                assert_eq!(transmit.attempt, tries + 1, "tries are counted");
                started
            }
            None => panic!("the first try has number {}", transmit.attempt),
        };
        self.tries = Some((started, transmit.attempt));
        assert!(transmit.attempt <= policy.attempts(), "too many tries");
        // A large body takes longer.
        let seconds = transmit.request.body().len() / policy.upload_rate();
        self.allowance = Duration::from_secs(seconds + 1);
        let most = policy.attempt_limit().saturating_add(self.allowance);
        let left = policy
            .budget()
            .saturating_sub(now.instant.saturating_duration_since(started));
        let left = left.saturating_add(self.allowance);
        assert!(
            transmit.time_limit <= most.min(left),
            "more time than there is"
        );
        if transmit.attempt > 1 {
            assert!(
                now.instant >= self.not_before,
                "sooner than the gateway asked"
            );
        }
        self.last_sent = now.instant;
        assert!(
            self.destroys == 0 || matches!(asked, Route::Destroy(_)),
            "{asked:?} at the end"
        );

        let execute = matches!(asked, Route::Execute(_)).then(|| ExecuteRequest::parse(&body));
        let code = match execute {
            None => None,
            Some(Ok(ExecuteRequest::Query { code, .. } | ExecuteRequest::Batch { code, .. })) => {
                assert!(!self.used.contains(&code), "{code:?} is sent again");
                assert!(!self.execution_over, "it may have run: {code:?}");
                Some(code)
            }
            Some(Ok(_)) => None,
            Some(Err(error_response)) => panic!("{error_response}"),
        };
        if matches!(asked, Route::Restart(_)) {
            assert!(!self.execution_over, "it may have been restarted");
        }
        if let Route::Destroy(id) = &asked {
            assert_eq!(*id, kernel());
            self.destroys += 1;
        }
        let segments = transmit.request.body().segments();
        let files = segments.iter().filter_map(|segment| segment.path());
        Exchange {
            files: files.map(|path| path.display().to_string()).collect(),
            asked,
            attempt: transmit.attempt,
            code,
        }
    }

    pub(crate) fn ended(
        &mut self,
        exchange: &Exchange,
        outcome: &Outcome,
        now: Moment,
        window_end: Option<Instant>,
    ) {
        self.exchanges += 1;
        self.not_before = outcome.not_before(now, window_end);
        let is_good = outcome.is_success() && is_understood(exchange, outcome);
        self.last_was_good = is_good;
        self.unclear += usize::from(outcome.may_hide_a_kernel() && !is_good);
        match &exchange.asked {
            Route::Create if is_good => self.created = true,
            Route::Create => self.may_hide_a_kernel |= outcome.may_hide_a_kernel(),
            Route::Destroy(_) => self.destroyed = Some(outcome.status()),
            Route::Upload(_) if is_good => self.taken.extend_from_slice(&exchange.files),
            Route::Execute(_) if exchange.code.is_some() => {
                if !outcome.is_certainly_undone() {
                    let code = exchange.code.clone().filter(|code| !code.is_empty());
                    self.used.extend(code);
                    self.execution_over |= !is_good;
                }
                if let Outcome::Response(answer) = outcome
                    && is_good
                {
                    self.output += &output(answer);
                }
            }
            Route::Restart(_) => self.execution_over |= !outcome.is_certainly_undone(),
            _ => {}
        }
    }

    /// Whether the gateway said that the kernel is gone.
    pub(crate) fn is_destroyed(&self) -> bool {
        match self.destroyed {
            Some(Some(404)) => true,
            Some(Some(200..300)) => self.last_was_good,
            _ => false,
        }
    }
}

fn split(request: &Request<Body>) -> (http::request::Parts, Vec<u8>) {
    let mut copy = Request::new(());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    let body = request.body().as_bytes().unwrap_or_default().to_vec();
    (copy.into_parts().0, body)
}

/// Whether a success has the form that the request calls for, read without `sorna-core`.
fn is_understood(exchange: &Exchange, outcome: &Outcome) -> bool {
    let Outcome::Response(answer) = outcome else {
        return false;
    };
    let json: serde_json::Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    match exchange.asked {
        Route::Version => json["version"].is_string(),
        Route::Authorize => json["authorized"] == "yes",
        Route::Languages => json["languages"].is_array(),
        Route::Create => json["kernelId"].as_str().is_some_and(|id| id != ".."),
        Route::Info(_) => json.is_object(),
        Route::Execute(_) if exchange.code.is_some() => json["result"]["status"].is_string(),
        Route::Execute(_) => json["result"].is_array(),
        // The page of a proxy is not a success.
        _ => answer.body().is_empty() || json.is_object(),
    }
}

fn output(answer: &Response<Bytes>) -> String {
    let json: serde_json::Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let records = json["result"]["console"].as_array();
    let texts = records.into_iter().flatten().filter_map(|r| r[1].as_str());
    texts.collect()
}

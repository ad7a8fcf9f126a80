//! A custom gateway on core's server side, tested with proptest against core's client side.
//!
//! ```console
//! $ cargo run -p sorna-core --example own_gateway --features server    # shows one run
//! $ cargo test -p sorna-core --example own_gateway --features server   # tests its properties
//! ```
//!
//! Neither side does I/O: requests and responses are values and the time is an argument, so a test
//! can lose any request or response, and wait for minutes at no cost. An HTTP server only has to
//! call `OwnGateway::handle`.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use serde_json::{Value, json};
use sorna_core::machine::{
    Ending, ExecutionEvent, Machine, Run, RunEvent, RunPlan, RunReport, Step,
};
use sorna_core::server::{
    CreateRequest, ExecuteRequest, ProblemReply, Route, SignedRequest, reply,
};
use sorna_core::{
    AccessKey, ApiVersion, Body, Caller, Config, Console, Credentials, ExecuteMode,
    ExecutionStatus, Instant, KernelId, Moment, ProblemKind, SecretKey, SessionToken, Signer,
    TransportError,
};

/// Its kernels have one language, `echo`: they output the code that they receive, up to two
/// characters with each response; for a `?` they request a line of input and output that.
struct OwnGateway {
    keys: Credentials,
    kernels: BTreeMap<String, Echo>,
    /// All code whose execution was ever started.
    begun: Vec<String>,
}

#[derive(Default)]
struct Echo {
    /// The rest of the output, while something runs.
    rest: Option<VecDeque<char>>,
    asks: bool,
}

impl OwnGateway {
    fn new(keys: Credentials) -> Self {
        let (kernels, begun) = (BTreeMap::new(), Vec::new());
        Self {
            keys,
            kernels,
            begun,
        }
    }

    /// The response to any request.
    fn handle(&mut self, now: SystemTime, parts: &Parts, body: &[u8]) -> Response<Vec<u8>> {
        let answer = self.answer(now, parts, body);
        answer.unwrap_or_else(ProblemReply::into_response)
    }

    fn answer(
        &mut self,
        now: SystemTime,
        parts: &Parts,
        body: &[u8],
    ) -> Result<Response<Vec<u8>>, ProblemReply> {
        let signed = SignedRequest::parse(parts, now)?;
        if signed.access_key() != self.keys.access_key().as_str() {
            return Err(ProblemKind::AuthFailed.reply());
        }
        signed.verify(self.keys.secret_key(), body)?;
        let unknown = || ProblemKind::KernelNotFound.reply();
        match Route::parse(&parts.method, parts.uri.path())? {
            Route::Version => Ok(reply::version(ApiVersion::default())),
            Route::Create => Ok(reply::created(&self.create(CreateRequest::parse(body)?)?)),
            Route::Execute(id) => {
                let kernel = self.kernels.get_mut(id.as_str()).ok_or_else(unknown)?;
                let ExecuteRequest::Query { code, .. } = ExecuteRequest::parse(body)? else {
                    return Err(ProblemKind::NotImplemented.reply());
                };
                if kernel.rest.is_none() {
                    self.begun.push(code.clone());
                }
                Ok(kernel.proceed(code))
            }
            Route::Destroy(id) => {
                self.kernels.remove(id.as_str()).ok_or_else(unknown)?;
                Ok(reply::done())
            }
            _ => Err(ProblemKind::NotImplemented.reply()),
        }
    }

    /// Gets the kernel with this token, or creates it.
    fn create(&mut self, create: CreateRequest) -> Result<KernelId, ProblemReply> {
        if create.spec.language() != "echo" {
            let detail = "there is no language but echo";
            return Err(ProblemKind::KernelCreationFailed.reply_with(detail));
        }
        let id = format!("kernel-of-{}", create.token.as_str());
        self.kernels.entry(id.clone()).or_default();
        KernelId::new(id).map_err(|_| ProblemKind::KernelCreationFailed.reply())
    }
}

impl Echo {
    fn proceed(&mut self, code: String) -> Response<Vec<u8>> {
        let rest = self.rest.get_or_insert_with(|| code.chars().collect());
        let mut output = String::new();
        if std::mem::take(&mut self.asks) {
            output.push_str(&code);
        }
        let mut options = Value::Null;
        let mut status = ExecutionStatus::Continued;
        for _ in 0..2 {
            match rest.pop_front() {
                Some('?') => {
                    self.asks = true;
                    options = json!({"is_password": false});
                    status = ExecutionStatus::WaitingInput;
                    break;
                }
                Some(other) => output.push(other),
                None => {
                    self.rest = None;
                    options = json!({"exitCode": 0});
                    status = ExecutionStatus::Finished;
                    break;
                }
            }
        }
        let mut console = Console::new();
        console.push_stdout(&output);
        reply::execution(&status, &console, &options)
    }
}

/// Drives a run to its end: what a driver does, with `exchange` in place of a network.
fn drive(
    mut run: Run,
    mut exchange: impl FnMut(SystemTime, Request<Body>) -> Result<Response<Vec<u8>>, TransportError>,
) -> (RunReport, String) {
    let mut now = Moment::new(
        UNIX_EPOCH + Duration::from_secs(1_511_481_600),
        Instant::default(),
        42,
    );
    let mut output = String::new();
    loop {
        match run.poll(now) {
            Step::Send(transmit) => match exchange(now.wall, transmit.request) {
                Ok(response) => run.handle_response(now, response.map(Bytes::from)),
                Err(failure) => run.handle_failure(now, failure),
            },
            Step::Wait(until) => now = now.after(until.saturating_duration_since(now.instant)),
            Step::Event(RunEvent::Execution(ExecutionEvent::Console(console))) => {
                output += &console.stdout();
            }
            Step::Event(RunEvent::Execution(ExecutionEvent::InputRequested { .. })) => {
                run.answer("<answer>").expect("it asks");
            }
            Step::Event(_) => {}
            Step::Done(report) => return (report, output),
            step => {
                unreachable!(
                    "{step:?}: every request has a response, and every input request gets input"
                )
            }
        }
    }
}

fn deliver(gateway: &mut OwnGateway, now: SystemTime, request: Request<Body>) -> Response<Vec<u8>> {
    let (parts, body) = request.into_parts();
    gateway.handle(now, &parts, body.as_bytes().expect("no uploads here"))
}

fn keys(secret: &str) -> Result<Credentials, sorna_core::ConfigError> {
    let access_key = AccessKey::new("AKIAIOSFODNN7EXAMPLE")?;
    Ok(Credentials::new(access_key, SecretKey::new(secret)?))
}

/// A run of these codes in a temporary kernel, signed with these keys.
fn run(codes: &[String], keys: Credentials) -> Result<Run, Box<dyn std::error::Error>> {
    let signer = Signer::new(Config::new("http://127.0.0.1:8081".parse()?, keys));
    let token = SessionToken::new("my-session")?;
    let codes = codes.iter().map(ExecuteMode::query);
    let plan = RunPlan::temporary("echo", codes).with_token(token);
    Ok(Run::new(plan, Caller::new(signer), [7; 32]))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut gateway = OwnGateway::new(keys("secret")?);
    let run = run(&["hi ?!".to_owned()], keys("secret")?)?;
    let (report, output) = drive(run, |now, request| {
        let line = format!("{} {}", request.method(), request.uri().path());
        let response = deliver(&mut gateway, now, request);
        let body = String::from_utf8_lossy(response.body());
        println!("{line} -> {} {body}", response.status().as_u16());
        Ok(response)
    });
    println!("output: {output:?}; kernel: {:?}", report.cleanup);
    match report.ending {
        Ending::Failed(error) => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;
    use sorna_core::machine::Cleanup;
    use sorna_core::{Sent, TransportErrorKind};

    use super::*;

    /// What may happen to an exchange.
    #[derive(Clone, Copy, Debug)]
    enum Fate {
        Arrives,
        Unavailable,
        RequestLost,
        ResponseLost,
    }

    fn lost(sent: Sent) -> TransportError {
        TransportError::new(TransportErrorKind::Receive, sent, "lost")
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn lost_exchanges_run_nothing_twice_and_leave_no_kernel(
            codes in vec("[a-c?\"\\\\é😀\n]{0,6}", 1..4),
            fates in vec(
                select(vec![Fate::Arrives, Fate::Unavailable, Fate::RequestLost, Fate::ResponseLost]),
                0..12,
            ),
        ) {
            let mut gateway = OwnGateway::new(keys("secret").unwrap());
            let mut fates = fates.into_iter();
            let run = run(&codes, keys("secret").unwrap()).unwrap();
            let (report, output) = drive(run, |now, request| {
                match fates.next().unwrap_or(Fate::Arrives) {
                    Fate::Arrives => Ok(deliver(&mut gateway, now, request)),
                    Fate::Unavailable => Ok(ProblemKind::ServiceUnavailable.reply().into_response()),
                    Fate::RequestLost => Err(lost(Sent::Nothing)),
                    Fate::ResponseLost => {
                        deliver(&mut gateway, now, request);
                        Err(lost(Sent::Maybe))
                    }
                }
            });

            // Each code ran once, in order, up to where the run failed.
            prop_assert!(codes.starts_with(&gateway.begun), "{:?}", gateway.begun);
            if let Ending::Finished(_) = report.ending {
                prop_assert_eq!(output, codes.concat().replace('?', "<answer>"));
                prop_assert_eq!(gateway.begun.len(), codes.len());
            }
            // If a kernel stays behind, the report says so.
            if let Cleanup::Destroyed | Cleanup::NoKernel = report.cleanup {
                prop_assert!(gateway.kernels.is_empty());
            }
        }

        #[test]
        fn requests_without_the_secret_have_no_effect(code in ".{0,9}", secret in "[a-z]{1,9}") {
            prop_assume!(secret != "secret");
            let mut gateway = OwnGateway::new(keys("secret").unwrap());
            let run = run(&[code], keys(&secret).unwrap()).unwrap();
            let (report, _) = drive(run, |now, request| Ok(deliver(&mut gateway, now, request)));
            let Ending::Failed(error) = report.ending else {
                return Err(TestCaseError::fail(format!("{:?}", report.ending)));
            };
            prop_assert!(error.is_auth(), "{error:?}");
            prop_assert!(gateway.kernels.is_empty() && gateway.begun.is_empty());
        }
    }
}

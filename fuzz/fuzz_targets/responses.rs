//! The response of every operation, from a gateway that may send anything.
//!
//! The input is a response as text, as in the recorded exchanges. Properties:
//!
//! - A status other than success is an error response, which keeps status and body; a success is
//!   read, or is a parse error that keeps them.
//! - No record of a console is lost, whatever its form, and none is invented.
//! - A result that was read, written by the gateway's side and read again is the same.
//! - A negotiation ends after two requests, and what it finds was said.
//! - Errors can be shown: see [`sorna_fuzz::check_error`].

#![no_main]

use bytes::Bytes;
use http::{Method, Response};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sorna_core::machine::{Machine as _, Negotiate, Step};
use sorna_core::server::{Route, reply};
use sorna_core::terminal::OpenTerminal;
use sorna_core::{
    ApiVersion, Authorize, Caller, Complete, Console, CreateKernel, Destroy, Dialect, Error,
    Execute, ExecuteMode, ExecutionResult, Info, Instant, KernelId, KernelInfo, ListFiles,
    ListLanguages, Logs, Moment, Operation, Record, Reply, Restart, RetryPolicy, SessionToken,
    StatusHistory, UploadFiles, Version,
};
use sorna_fuzz::{Message, check_error, json, kernel, same_json, same_object, signer};

fuzz_target!(|data: &[u8]| {
    let Some(response) = Message::read(data).into_response() else {
        return;
    };
    let token = SessionToken::new("12345678").expect("it has eight characters");
    let files = UploadFiles::new(
        kernel(),
        Vec::new(),
        sorna_core::Boundary::from_random([1; 16]),
    );

    // These operations need no content; but the page of a proxy is not a success.
    let is_done = response.status().is_success()
        && (response.body().is_empty() || is_object(response.body()));
    for success in [
        read(&Restart::new(kernel()), &response),
        read(&Destroy::new(kernel()), &response),
        read(&files, &response),
    ] {
        assert_eq!(success.is_some(), is_done);
    }
    if let Some(version) = read(&Version::new(), &response)
        && version.version == ApiVersion::default().as_str()
    {
        let again = again(&Version::new(), reply::version(ApiVersion::default()));
        assert_eq!(again.version, version.version);
    }
    if let Some(authorized) = read(&Authorize::new("hi"), &response) {
        let echo = authorized.echo.clone().map(Into::into);
        let again = again(&Authorize::new("hi"), reply::authorized(echo.as_ref()));
        assert_eq!(again, authorized);
    }
    if let Some(candidates) = read(&Complete::at_end(kernel(), "a"), &response) {
        let again = again(
            &Complete::at_end(kernel(), "a"),
            reply::completions(&candidates),
        );
        assert_eq!(again, candidates);
    }
    if let Some(created) = read(&CreateKernel::new("c", token.clone()), &response) {
        check_id(&created.id);
        let again = again(&CreateKernel::new("c", token), reply::created(&created.id));
        assert_eq!(again.id, created.id);
    }
    if let Some(info) = read(&Info::new(kernel()), &response) {
        let again = again(&Info::new(kernel()), reply::info(&info));
        assert!(same_info(&again, &info), "{info:?} became {again:?}");
    }
    if let Some(languages) = read(&ListLanguages::new(), &response) {
        let mut again = again(&ListLanguages::new(), reply::languages(&languages));
        for (again, language) in again.iter_mut().zip(&languages) {
            assert!(same_object(&again.extra, &language.extra));
            again.extra = language.extra.clone();
        }
        assert_eq!(again, languages);
    }
    let execute = Execute::start(kernel(), ExecuteMode::query("1"));
    if let Some(result) = read(&execute, &response) {
        check_result(&execute, &result);
        check_kept(&result, response.body());
    }
    let _ = read(&Logs::new(kernel()), &response);
    if let Some(history) = read(&StatusHistory::new(kernel()), &response) {
        let times: Vec<_> = history.iter().map(|change| &change.time).collect();
        let known = times.iter().filter(|time| time.is_some()).count();
        assert!(times[..known].is_sorted() && times[..known].iter().all(|time| time.is_some()));
    }
    match ListFiles::new(kernel(), ".").read_response(ApiVersion::default(), response.clone()) {
        // A failure whose status says success.
        Err(error) if response.status().is_success() && error.gateway().is_some() => {
            check_error(&error);
        }
        _ => drop(read(&ListFiles::new(kernel(), "."), &response)),
    }
    check_negotiation(&response);
    check_error_response(
        &OpenTerminal::new(kernel()).read_error(ApiVersion::default(), response.clone()),
        &response,
    );
});

/// Negotiates with a gateway that always responds so: it ends after two requests, and what it found was said.
fn check_negotiation(response: &Response<Bytes>) {
    let caller = Caller::new(signer()).with_retry(RetryPolicy::never());
    let now = Moment::new(sorna_fuzz::at(1_498_699_425), Instant::default(), 7);
    let mut negotiate = Negotiate::new(caller);
    let mut paths = Vec::new();
    let result = loop {
        match negotiate.poll(now) {
            Step::Send(transmit) => {
                paths.push(transmit.request.uri().path().to_owned());
                negotiate.handle_response(now, response.clone());
            }
            Step::Done(result) => break result,
            step => panic!("{step:?}"),
        }
    };
    assert!(matches!(negotiate.poll(now), Step::Idle));
    assert!(paths.len() <= 2);
    assert_eq!(paths, ["/", "/v2"][..paths.len()]);
    match result {
        Ok(found) => {
            assert!(response.status().is_success());
            let said = json(response.body()).expect("it is JSON");
            let info = found.info.as_ref().expect("it was asked");
            assert_eq!(said["version"], *info.version);
            assert_eq!(said["manager"].as_str(), found.manager());
            let is_sorna = info
                .version
                .trim_start_matches(['v', '0'])
                .starts_with("2.");
            assert_eq!(found.dialect() == Dialect::SornaV2, is_sorna, "{info:?}");
            assert_eq!(paths.len() == 2, is_sorna);
        }
        Err(error) => check_error(&error),
    }
}

fn is_object(body: &[u8]) -> bool {
    json(body).is_some_and(|json| json.is_object())
}

/// Reads the response as one of this operation; `None` if it is an error, after checking that it should be.
fn read<O: Operation>(operation: &O, response: &Response<Bytes>) -> Option<O::Output> {
    let is_success = response.status().is_success();
    match operation.read_response(ApiVersion::default(), response.clone()) {
        Ok(Reply {
            value, rate_limit, ..
        }) => {
            assert!(is_success);
            if let Some(limit) = rate_limit {
                let told = [limit.limit, limit.remaining, limit.reset.map(|_| 0)];
                assert!(told.iter().any(Option::is_some), "an empty rate limit");
            }
            Some(value)
        }
        Err(error) => {
            if is_success {
                let Error::Parse(parse) = &error else {
                    panic!("a success became {error:?}")
                };
                assert_eq!(parse.status(), response.status());
                assert_eq!(parse.body(), response.body());
                assert!(!error.is_retryable());
                check_error(&error);
            } else {
                check_error_response(&error, response);
            }
            None
        }
    }
}

fn check_error_response(error: &Error, response: &Response<Bytes>) {
    let error_response = error.gateway().expect("an error response");
    assert_eq!(error_response.status(), response.status());
    assert_eq!(error_response.body(), response.body());
    check_error(error);
}

/// What the gateway's side wrote, read as the response to this operation.
fn again<O: Operation>(operation: &O, written: Response<Vec<u8>>) -> O::Output {
    match operation.read_response(ApiVersion::default(), written.map(Bytes::from)) {
        Ok(answer) => answer.value,
        Err(error) => panic!("our own encoding is not understood: {error}"),
    }
}

/// A path with the identifier leads to the kernel.
fn check_id(id: &KernelId) {
    let operation = Info::new(id.clone());
    let request = operation
        .request(&signer(), sorna_fuzz::at(1_498_699_425))
        .expect("a kernel's id fits a path");
    let route = Route::parse(&Method::GET, request.uri().path()).expect("a path");
    assert_eq!(route, Route::Info(id.clone()));
}

fn same_info(one: &KernelInfo, other: &KernelInfo) -> bool {
    let json = |info: &KernelInfo| serde_json::to_value(info).expect("fields of JSON");
    same_json(&json(one), &json(other))
}

fn check_result(execute: &Execute, result: &ExecutionResult) {
    let options = Value::Object(result.options.clone());
    let reply = reply::execution(&result.status, &result.console, &options);
    let again = again(execute, reply);
    assert_eq!(again.status, result.status);
    assert!(same_object(&again.options, &result.options));
    assert_eq!(again.step(), result.step());
    assert_eq!(again.is_password(), result.is_password());
    check_console(&result.console, &again.console);

    // Records can also be copied one by one.
    let mut copy = Console::new();
    for record in result.console.iter_exact() {
        if let Record::Media(media) = &record {
            let _ = media.bytes();
        }
        copy.push(&record.into_owned());
    }
    check_console(&result.console, &copy);
    let length = copy.text_len();
    let mut twice = copy.clone();
    twice.append(copy);
    assert_eq!(twice.text_len(), 2 * length);
    assert_eq!(twice.stdout(), result.console.stdout().repeat(2));
    let bytes = result.console.stdout_bytes();
    assert_eq!(twice.stdout_bytes(), bytes.repeat(2));
    twice.replace_bytes();
    assert!(!twice.has_bytes());
    assert_eq!(twice.stdout(), result.console.stdout().repeat(2));
}

/// Each record is what a plain JSON parser reads in its place.
fn check_kept(result: &ExecutionResult, body: &[u8]) {
    // Items after the text of a record are ignored, and need not be text; and the whole may be an
    // array of one result.
    let json = json(body).unwrap_or_default();
    if !json.is_object() {
        return;
    }
    let Some(console) = json["result"]["console"].as_array() else {
        assert!(result.console.is_empty());
        return;
    };
    assert_eq!(result.console.iter().count(), console.len());
    for (record, json) in result.console.iter_exact().zip(console) {
        let texts = |texts: &[&str]| texts.iter().map(|text| Value::from(*text)).collect();
        let (kind, fields): (&str, Vec<Value>) = match &record {
            Record::Stdout(text) => ("stdout", texts(&[text])),
            Record::Stderr(text) => ("stderr", texts(&[text])),
            Record::StdoutBytes(_) | Record::StderrBytes(_) => {
                let written = serde_json::to_value(&record).expect("texts");
                let written = written.as_array().expect("a record");
                let json = json.as_array().expect("it has a kind");
                assert!(json.starts_with(written), "{json:?} became {written:?}");
                continue;
            }
            Record::Html(text) => ("html", texts(&[text])),
            Record::Media(media) => ("media", texts(&[media.media_type(), media.content()])),
            Record::Log {
                level,
                time,
                logger,
                message,
            } => ("log", texts(&[level, time, logger, message])),
            // Its records are read as those of any console.
            Record::Unclaimed(console) => {
                assert_eq!(json[0], "unclaimed");
                let records = json[1].as_array().expect("a list of records");
                assert_eq!(console.iter().count(), records.len());
                continue;
            }
            unknown => {
                let written = serde_json::to_value(unknown).expect("it came from JSON");
                assert!(same_json(&written, json), "{json} became {written}");
                continue;
            }
        };
        // Fields are in the record, or in an array of their own. Items after text are ignored.
        assert_eq!(json[0], kind);
        let values = &json.as_array().expect("it has a kind")[1..];
        let nested = values.first().and_then(Value::as_array);
        let values = nested.map_or(values, Vec::as_slice);
        assert!(values.starts_with(&fields), "{json} became {record:?}");
    }
}

fn check_console(one: &Console, other: &Console) {
    assert_eq!(one.stdout(), other.stdout());
    assert_eq!(one.stderr(), other.stderr());
    assert_eq!(one.is_empty(), other.is_empty());
    assert_eq!(one.iter().count(), other.iter().count());
    assert_eq!(one.stdout_bytes(), other.stdout_bytes());
    assert_eq!(one.stderr_bytes(), other.stderr_bytes());
    for pair in one.iter_exact().zip(other.iter_exact()) {
        match pair {
            (
                Record::Unknown { kind, values },
                Record::Unknown {
                    kind: other_kind,
                    values: other_values,
                },
            ) => {
                assert_eq!(kind, other_kind);
                assert!(same_json(&values.into(), &other_values.into()));
            }
            (one, other) => assert_eq!(one, other),
        }
    }
}

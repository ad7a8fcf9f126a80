//! Properties of all values: each side of the protocol reads what the other writes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};
use sorna_core::events::{EventStream, SessionEvent};
use sorna_core::server::{
    AuthorizeRequest, CreateRequest, ExecuteRequest, Route, SignedRequest, Step, reply,
    upload_file_name, wants_bytes,
};
use sorna_core::terminal::{
    Command, Frame, Message, OpenTerminal, Outgoing, Terminal, TerminalEvent, TerminalOptions,
};
use sorna_core::*;

/// Few cases, since the tests are built without optimization; the fuzz targets try more.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

// ------------------------------------------------------------------------------- arbitrary values

/// Text of any characters; those that often break something are more likely.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,20}",
        "[a-z\"\\\\%/;= \r\n\t\0é😀\u{202e}]{0,20}",
        any::<String>(),
    ]
}

fn kernel() -> impl Strategy<Value = KernelId> {
    let any = prop_oneof![
        "[A-Za-z0-9_-]{22}",
        "[a-z/?#%+~. é&=!$'()*,:;@\"<>|{}\\[\\]^`\\\\-]{1,12}",
        ".{1,20}"
    ];
    any.prop_filter_map("no kernel id", |id| {
        let id = KernelId::new(id).ok()?;
        id.check(ApiVersion::default()).ok()?;
        Some(id)
    })
}

fn token() -> impl Strategy<Value = SessionToken> {
    "[^\\p{Cc}]{8,80}".prop_map(|token| SessionToken::new(token).expect("8 to 80 characters"))
}

fn secret() -> impl Strategy<Value = SecretKey> {
    prop_oneof!["[A-Za-z0-9/+]{40}", ".{1,200}"]
        .prop_map(|key| SecretKey::new(key).expect("it is not empty"))
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let host = prop_oneof![
        "[a-zA-Z0-9-]{1,12}(\\.[a-z]{2,5}){0,2}",
        Just("[::1]".to_owned())
    ];
    let port = prop_oneof![Just(None), any::<u16>().prop_map(Some)];
    let prefix = "(/[a-z0-9~_-]{1,6}){0,3}/?";
    (select(vec!["http", "https"]), host, port, prefix).prop_filter_map(
        "no endpoint",
        |(scheme, host, port, prefix)| {
            let port = port.map_or(String::new(), |port| format!(":{port}"));
            format!("{scheme}://{host}{port}{prefix}").parse().ok()
        },
    )
}

/// A signer, with the secret that it signs with.
fn signer() -> impl Strategy<Value = (Signer, SecretKey)> {
    let access_key = "[!-+\\--9;-~]{1,30}";
    (endpoint(), access_key, secret(), select(HashAlgorithm::ALL)).prop_map(
        |(endpoint, access_key, secret, hash)| {
            let access_key = AccessKey::new(access_key).expect("it is printable");
            let keys = Credentials::new(access_key, secret.clone());
            (
                Signer::new(Config::new(endpoint, keys).with_hash(hash)),
                secret,
            )
        },
    )
}

/// The years 1970 to 9998.
fn time() -> impl Strategy<Value = SystemTime> {
    (0..253_370_764_800_000_u64).prop_map(|ms| UNIX_EPOCH + Duration::from_millis(ms))
}

fn mode() -> impl Strategy<Value = ExecuteMode> {
    let step = || {
        prop_oneof![
            Just(None),
            Just(Some("*".to_owned())),
            text().prop_map(Some)
        ]
    };
    prop_oneof![
        text().prop_map(ExecuteMode::query),
        (step(), any::<bool>(), step()).prop_map(|(build, log, exec)| {
            let batch = Batch::new().with_build_log(log);
            let batch = match build {
                Some(command) => batch.with_build(command),
                None => batch.without_build(),
            };
            match exec {
                Some(command) => batch.with_exec(command),
                None => batch.without_exec(),
            }
            .into()
        }),
    ]
}

/// JSON without fractions, since `serde_json` does not keep their last digits.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(text(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn record() -> impl Strategy<Value = Record<'static>> {
    prop_oneof![
        text().prop_map(|text| Record::Stdout(text.into())),
        text().prop_map(|text| Record::Stderr(text.into())),
        text().prop_map(|text| Record::Html(text.into())),
        vec(any::<u8>(), 0..20).prop_map(|bytes| Record::StdoutBytes(bytes.into())),
        vec(any::<u8>(), 0..20).prop_map(|bytes| Record::StderrBytes(bytes.into())),
        (text(), text()).prop_map(|(kind, content)| Record::Media(Media::new(kind, content))),
        [text(), text(), text(), text()].prop_map(|[level, time, logger, message]| Record::Log {
            level: level.into(),
            time: time.into(),
            logger: logger.into(),
            message: message.into(),
        }),
        ("x-.{0,10}", vec(value(), 0..3)).prop_map(|(kind, values)| Record::Unknown {
            kind: kind.into(),
            values,
        }),
    ]
}

fn console() -> impl Strategy<Value = Console> {
    vec(record(), 0..8).prop_map(|records| {
        let mut console = Console::new();
        records.iter().for_each(|record| console.push(record));
        console
    })
}

fn status() -> impl Strategy<Value = ExecutionStatus> {
    prop_oneof![
        select(vec![
            ExecutionStatus::Continued,
            ExecutionStatus::WaitingInput,
            ExecutionStatus::BuildFinished,
            ExecutionStatus::CleanFinished,
            ExecutionStatus::Finished,
            ExecutionStatus::ExecTimeout,
        ]),
        "x-.{0,10}".prop_map(ExecutionStatus::Other),
    ]
}

/// Files of distinct names, which may have any characters that a name can have.
fn files() -> impl Strategy<Value = Vec<UploadFile>> {
    let part = "[^/\\\\\0]{1,8}|[a-z.\"%;=\r\n é-]{1,8}";
    let name = vec(part, 1..4).prop_map(|parts| parts.join("/"));
    let contents = prop_oneof![
        vec(any::<u8>(), 0..200),
        "(\r\n|--|sorna-|a){0,20}".prop_map(String::into_bytes),
    ];
    btree_map(name, contents, 0..=19).prop_map(|files| {
        let files = files.into_iter();
        // `.` and `..` are among the parts, and rejected.
        files
            .filter_map(|(name, content)| UploadFile::from_bytes(name, content).ok())
            .collect()
    })
}

// -------------------------------------------------------------------------------------- utilities

fn body(request: &Request<Body>) -> Vec<u8> {
    let segments = request.body().segments().iter();
    segments
        .flat_map(|segment| match segment {
            Segment::Bytes(bytes) => bytes.to_vec(),
            segment => panic!("{segment:?} is not in memory"),
        })
        .collect()
}

/// The path that gateway 0.9.11 verifies: escapes of characters that need none are undone, the others are in upper case.
/// (Observed.)
fn as_verified_in_2017(path: &str) -> String {
    let mut verified = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        let (digits, after) = after.split_at(2);
        let byte = u8::from_str_radix(digits, 16).expect("two digits");
        verified += before;
        match char::from(byte) {
            c if c.is_ascii_alphanumeric() || "-._~!$&'()*+,:;=@".contains(c) => verified.push(c),
            _ => verified += &format!("%{byte:02X}"),
        }
        rest = after;
    }
    verified + rest
}

/// Sends a request to the gateway's side, through a proxy that strips the endpoint's prefix: the signature verifies, the
/// length is right, and the route is what was meant.
fn arrives(
    request: &Request<Body>,
    (signer, secret): &(Signer, SecretKey),
    now: SystemTime,
    route: &Route,
) -> Result<(), TestCaseError> {
    let body = body(request);
    let length = request.headers()["content-length"]
        .to_str()
        .expect("digits");
    prop_assert_eq!(length, body.len().to_string());
    let prefix = signer.config().endpoint().prefix();
    let signed = parse(&stripped(request, prefix), now)?;
    let access_key = signer
        .config()
        .credentials()
        .expect("it has keys")
        .access_key();
    prop_assert_eq!(signed.access_key(), access_key.as_str());
    prop_assert!(signed.verify(secret, &body).is_ok());
    let path = request
        .uri()
        .path()
        .strip_prefix(prefix)
        .expect("the prefix");
    prop_assert_eq!(&as_verified_in_2017(path), path);
    let understood = Route::parse(request.method(), path);
    prop_assert_eq!(understood.as_ref().ok(), Some(route));
    Ok(())
}

/// The request without the prefix of the endpoint.
fn stripped<B>(request: &Request<B>, prefix: &str) -> Request<()> {
    let mut copy = Request::new(());
    *copy.method_mut() = request.method().clone();
    *copy.headers_mut() = request.headers().clone();
    let target = request.uri().path_and_query().expect("a target").as_str();
    let target = target.strip_prefix(prefix).expect("the prefix");
    *copy.uri_mut() = target.parse().expect("a target");
    copy
}

fn parse<B>(request: &Request<B>, now: SystemTime) -> Result<SignedRequest, TestCaseError> {
    let mut copy = Request::new(());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    SignedRequest::parse(&copy.into_parts().0, now)
        .map_err(|problem| TestCaseError::fail(problem.to_string()))
}

/// Reads what the gateway's side wrote.
fn answer<O: Operation>(
    operation: &O,
    reply: Response<Vec<u8>>,
) -> Result<O::Output, TestCaseError> {
    let answer = operation.read_response(ApiVersion::default(), reply.map(Bytes::from));
    let answer = answer.map_err(|error| TestCaseError::fail(error.to_string()))?;
    Ok(answer.value)
}

fn some_signer() -> (Signer, SecretKey) {
    let secret = SecretKey::new("wJalrXUtnFEMI").expect("it is not empty");
    let keys = Credentials::new(AccessKey::new("AK").expect("printable"), secret.clone());
    let endpoint = "http://127.0.0.1:8081".parse().expect("a URL");
    (Signer::new(Config::new(endpoint, keys)), secret)
}

fn some_time() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_498_699_425)
}

fn some_kernel() -> KernelId {
    KernelId::new("k1").expect("it is one path segment")
}

/// Splits a multipart body strictly according to RFC 2046 into the `Content-Disposition` and the
/// content of each part.
fn parts<'b>(body: &'b [u8], boundary: &str) -> Option<Vec<(&'b str, &'b [u8])>> {
    let find = |text: &[u8], what: &[u8]| text.windows(what.len()).position(|at| at == what);
    let delimiter = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(&delimiter.as_bytes()[2..])?;
    let mut parts = Vec::new();
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let end = find(part, delimiter.as_bytes())?;
        let head_end = find(&part[..end], b"\r\n\r\n")?;
        let head = std::str::from_utf8(&part[..head_end]).ok()?;
        let disposition = head
            .split("\r\n")
            .find_map(|line| line.strip_prefix("Content-Disposition: "))?;
        parts.push((disposition, &part[head_end + 4..end]));
        rest = &part[end + delimiter.len()..];
    }
    (rest == b"--\r\n").then_some(parts)
}

// -------------------------------------------------------------------------------------- properties

proptest! {
    #![proptest_config(config())]

    #[test]
    fn signed_requests_verify(client in signer(), id in kernel(), code in text(), now in time()) {
        let execute = Execute::start(id.clone(), ExecuteMode::query(code));
        let request = execute.request(&client.0, now).expect("a request");
        arrives(&request, &client, now, &Route::Execute(id))?;
    }

    #[test]
    fn changed_requests_do_not_verify(
        client in signer(),
        other in secret(),
        now in time(),
        which in any::<Index>(),
        at in any::<Index>(),
    ) {
        let execute = Execute::start(some_kernel(), ExecuteMode::query("1"));
        let mut request = execute.request(&client.0, now).expect("a request");
        let mut content = body(&request);
        request = stripped(&request, client.0.config().endpoint().prefix()).map(|()| request.into_body());
        if other.expose() != client.1.expose() {
            prop_assert!(parse(&request, now)?.verify(&other, &content).is_err());
        }
        let signed = ["date", "host", "content-type", "x-sorna-version", "authorization"];
        if let Some(name) = signed.get(which.index(signed.len() + 1)) {
            let mut value = request.headers()[*name].as_bytes().to_vec();
            // In `Authorization`, only the signature changes, which follows the last colon: the
            // rest names the key.
            let first = value.iter().rposition(|byte| *byte == b':').filter(|_| *name == "authorization");
            let first = first.map_or(0, |colon| colon + 1);
            let at = first + at.index(value.len() - first);
            value[at] = if value[at] == b'1' { b'2' } else { b'1' };
            let value = HeaderValue::from_bytes(&value).expect("digits");
            request.headers_mut().insert(HeaderName::from_static(name), value);
        } else {
            let at = at.index(content.len());
            content[at] ^= 1;
        }
        // Most changed dates are no longer dates, so they are rejected as such.
        if let Ok(signed) = parse(&request, now) {
            prop_assert!(signed.verify(&client.1, &content).is_err());
        }
    }

    #[test]
    fn operations_without_a_body_arrive(client in signer(), id in kernel(), now in time()) {
        let send = |request: Result<Request<Body>, BuildError>, route: Route| {
            arrives(&request.expect("a request"), &client, now, &route)
        };
        let signer = &client.0;
        let same = || id.clone();
        send(Version::new().request(signer, now), Route::Version)?;
        send(ListLanguages::new().request(signer, now), Route::Languages)?;
        send(Info::new(same()).request(signer, now), Route::Info(same()))?;
        send(Restart::new(same()).request(signer, now), Route::Restart(same()))?;
        send(Destroy::new(same()).request(signer, now), Route::Destroy(same()))?;
        send(OpenTerminal::new(same()).request(signer, now), Route::Terminal(same()))?;
    }

    #[test]
    fn a_key_check_is_echoed(echo in text()) {
        let authorize = Authorize::new(echo.as_str());
        let request = authorize.request(&some_signer().0, some_time()).expect("a request");
        arrives(&request, &some_signer(), some_time(), &Route::Authorize)?;
        let read = AuthorizeRequest::parse(&body(&request)).expect("a body");
        let authorized = answer(&authorize, reply::authorized(read.echo.as_ref()))?;
        prop_assert_eq!(authorized.echo, Some(echo));
    }

    #[test]
    fn a_kernel_is_created_as_requested(
        lang in ".{0,10}[^\\s].{0,10}",
        token in token(),
        memory in any::<Option<u64>>(),
        milliseconds in any::<Option<u64>>(),
        mounts in vec(text(), 0..=5),
        id in kernel(),
    ) {
        let mut limits = Limits::new();
        if let Some(bytes) = memory {
            limits = limits.with_max_memory(bytes);
        }
        if let Some(milliseconds) = milliseconds {
            limits = limits.with_exec_timeout(Duration::from_millis(milliseconds));
        }
        let create = CreateKernel::new(
            KernelSpec::new(lang.as_str())
                .with_limits(limits)
                .with_mounts(mounts.clone()),
            token.clone(),
        );
        let request = create.request(&some_signer().0, some_time()).expect("a request");
        arrives(&request, &some_signer(), some_time(), &Route::Create)?;
        let read = CreateRequest::parse(&body(&request)).expect("a body");
        prop_assert_eq!(read.token, token);
        prop_assert_eq!((read.spec.language(), read.spec.mounts()), (lang.as_str(), &*mounts));
        // Memory is sent in KiB, and without a limit the server's default applies.
        let kib = memory.map(|bytes| bytes.div_ceil(1024)).filter(|kib| *kib != 0);
        let most = kib.map(|kib| kib.saturating_mul(1024));
        prop_assert_eq!(read.spec.limits().max_memory(), most);
        // A time of zero is sent as the shortest.
        let timeout = milliseconds.map(|ms| Duration::from_millis(ms.max(1)));
        prop_assert_eq!(read.spec.limits().exec_timeout(), timeout);
        prop_assert_eq!(answer(&create, reply::created(&id))?.id, id);
    }

    #[test]
    fn an_execution_is_read_as_requested(id in kernel(), mode in mode(), input in text()) {
        let step = |text: Option<&str>| match text {
            None | Some("") => Step::Skip,
            Some("*") => Step::Default,
            Some(command) => Step::Command(command.to_owned()),
        };
        let start = Execute::start(id.clone(), mode.clone());
        for (execute, typed) in [
            (start.clone(), None),
            (start.proceed(Continuation::Continue), Some("")),
            (start.proceed(Continuation::Input(input.clone())), Some(input.as_str())),
        ] {
            let request = execute.request(&some_signer().0, some_time()).expect("a request");
            arrives(&request, &some_signer(), some_time(), &Route::Execute(id.clone()))?;
            let read = ExecuteRequest::parse(&body(&request)).expect("a body");
            match (&mode, read) {
                (ExecuteMode::Query { code }, ExecuteRequest::Query { code: read, .. }) => {
                    prop_assert_eq!(read, typed.unwrap_or(code));
                }
                (ExecuteMode::Batch(batch), ExecuteRequest::Batch { code, steps, .. }) => {
                    prop_assert_eq!(code, typed.unwrap_or_default());
                    prop_assert_eq!(steps.build_log, batch.build_log());
                    prop_assert_eq!(steps.build, step(batch.build()));
                    prop_assert_eq!(steps.exec, step(batch.exec()));
                }
                (asked, read) => prop_assert!(false, "{:?} became {:?}", asked, read),
            }
        }
    }

    #[test]
    fn input_of_bytes_is_read_as_sent(mode in mode(), input in vec(any::<u8>(), 0..50), wants in any::<bool>()) {
        let start = Execute::start(some_kernel(), mode).with_bytes(wants);
        let execute = start.proceed(Continuation::InputBytes(input.clone()));
        let request = execute.request(&some_signer().0, some_time()).expect("a request");
        prop_assert_eq!(wants_bytes(&body(&request)), wants);
        let read = ExecuteRequest::parse(&body(&request)).expect("a body");
        prop_assert_eq!(read, ExecuteRequest::InputBytes(input));
    }

    #[test]
    fn output_of_bytes_is_the_same_in_any_pieces(pieces in vec((any::<bool>(), vec(any::<u8>(), 0..9)), 0..9)) {
        let mut console = Console::new();
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        for (is_stderr, piece) in &pieces {
            if *is_stderr {
                console.push_stderr_bytes(piece);
                stderr.extend_from_slice(piece);
            } else {
                console.push_stdout_bytes(piece);
                stdout.extend_from_slice(piece);
            }
        }
        let json = serde_json::to_string(&console).expect("it is JSON");
        let read: Console = serde_json::from_str(&json).expect("a console");
        prop_assert_eq!(&read, &console);
        prop_assert_eq!(read.stdout_bytes(), &stdout[..]);
        prop_assert_eq!(read.stderr_bytes(), &stderr[..]);
        prop_assert_eq!(read.stdout_bytes().len() + read.stderr_bytes().len(), pieces.iter().map(|it| it.1.len()).sum::<usize>());
    }

    #[test]
    fn code_is_completed_where_it_ends(code in text(), candidates in vec(text(), 0..5)) {
        let complete = Complete::at_end(some_kernel(), code.as_str());
        let request = complete.request(&some_signer().0, some_time()).expect("a request");
        let Ok(ExecuteRequest::Complete(read)) = ExecuteRequest::parse(&body(&request)) else {
            return Err(TestCaseError::fail("another mode"));
        };
        prop_assert_eq!(code.split('\n').nth(usize::try_from(read.row).expect("small")), Some(read.line.as_str()));
        prop_assert_eq!(read.line.chars().count() as u64, read.col);
        prop_assert_eq!((read.code, read.post), (code, String::new()));
        prop_assert_eq!(answer(&complete, reply::completions(&candidates))?, candidates);
    }

    #[test]
    fn results_are_read_as_they_were_written(
        status in status(),
        console in console(),
        options in btree_map(text(), value(), 0..4),
    ) {
        let options: Map<String, Value> = options.into_iter().collect();
        let execute = Execute::start(some_kernel(), ExecuteMode::query("1"));
        let reply = reply::execution(&status, &console, &Value::Object(options.clone()));
        let result = answer(&execute, reply)?;
        prop_assert_eq!(result.status, status);
        prop_assert_eq!(&result.console, &console);
        prop_assert_eq!(result.options, options);
        let records: Vec<Record<'_>> = console.iter().collect();
        let again: Vec<Record<'_>> = result.console.iter().collect();
        prop_assert_eq!(records, again);
    }

    #[test]
    fn consoles_are_joined_without_loss(consoles in vec(console(), 0..4)) {
        let mut all = Console::new();
        let mut one_by_one = Console::new();
        for console in &consoles {
            all.append(console.clone());
            console.iter_exact().for_each(|record| one_by_one.push(&record));
        }
        prop_assert_eq!(&all, &one_by_one);
        let stdout: String = consoles.iter().map(Console::stdout).collect();
        prop_assert_eq!(all.stdout(), stdout);
    }

    #[test]
    fn information_is_read_as_it_was_written(
        lang in any::<Option<String>>(),
        numbers in any::<[Option<u32>; 4]>(),
        extra in btree_map("x-.{0,10}", value(), 0..4),
        names in vec(text(), 0..4),
    ) {
        let mut info = KernelInfo::new();
        if let Some(lang) = lang {
            info = info.with_language(lang);
        }
        let [age, idle, memory, executions] = numbers.map(|number| number.map(u64::from));
        // A kernel that was idle for longer than it exists is one of gateway 0.9.11.
        let idle = idle.map(|idle| idle.min(age.unwrap_or(idle)));
        if let Some(ms) = age {
            info = info.with_age(Duration::from_millis(ms));
        }
        if let Some(ms) = idle {
            info = info.with_idle(Duration::from_millis(ms));
        }
        if let Some(kib) = memory {
            info = info.with_memory_used(kib * 1024);
        }
        if let Some(executions) = executions {
            info = info.with_executions(executions);
        }
        for (name, value) in extra {
            info = info.with_extra(name, value);
        }
        prop_assert_eq!(answer(&Info::new(some_kernel()), reply::info(&info))?, info.clone());

        let languages: Vec<LanguageInfo> = names
            .iter()
            .map(|name| {
                let mut language = LanguageInfo::new(name.as_str());
                language.aliases.clone_from(&names);
                language.missing = Some(name.clone()).filter(|name| !name.is_empty());
                language.extra.clone_from(info.extra());
                language
            })
            .collect();
        let reply = reply::languages(&languages);
        prop_assert_eq!(answer(&ListLanguages::new(), reply)?, languages);
    }

    #[test]
    fn error_responses_are_read_as_they_were_written(
        kind in select(ProblemKind::ALL),
        detail in text(),
        agent in any::<Option<(String, Option<String>)>>(),
    ) {
        let mut problem = kind.reply_with(&detail);
        if let Some((title, exception)) = &agent {
            problem = problem.with_agent("agent-failure", title, exception.clone());
        }
        let title = problem.title().to_owned();
        let error = Info::new(some_kernel())
            .read_response(
                ApiVersion::default(),
                problem.into_response().map(Bytes::from),
            )
            .expect_err("an error response");
        let response = error.gateway().expect("an error response");
        prop_assert_eq!(response.status(), kind.status());
        prop_assert_eq!(response.kind(), Some(kind));
        let problem = response.problem().expect("a problem");
        prop_assert_eq!(problem.title.as_ref(), Some(&title));
        let details = problem.agent_details.as_ref();
        let details = details.map(|d| (d.title.clone().unwrap_or_default(), d.exception.clone()));
        prop_assert_eq!(details, agent);
    }

    #[test]
    fn uploads_are_decoded_as_they_were_encoded(
        client in signer(),
        id in kernel(),
        files in files(),
        boundary in any::<[u8; 16]>(),
        now in time(),
    ) {
        let boundary = Boundary::from_random(boundary);
        let upload = UploadFiles::new(id.clone(), files.clone(), boundary);
        let request = upload.request(&client.0, now).expect("a request");
        arrives(&request, &client, now, &Route::Upload(id))?;
        let body = body(&request);
        let parts = parts(&body, &boundary.to_string()).expect("a multipart body");
        prop_assert_eq!(parts.len(), files.len());
        for ((disposition, content), file) in parts.iter().zip(&files) {
            prop_assert!(disposition.starts_with("form-data; name=\"src\"; "));
            let name = upload_file_name(disposition);
            prop_assert_eq!(name.as_deref(), Some(file.name()));
            prop_assert_eq!(file.content(), &FileContent::Bytes(Bytes::copy_from_slice(content)));
        }
    }

    #[test]
    fn terminal_messages_are_read_as_they_were_written(
        bytes in vec(any::<u8>(), 0..300),
        message in text(),
        size in any::<(u16, u16)>(),
    ) {
        let (rows, cols) = size;
        for command in [
            Command::Stdin(bytes.clone().into()),
            Command::Resize { rows, cols },
            Command::Ping,
            Command::Restart,
        ] {
            prop_assert_eq!(Command::decode(&command.encode()), Some(command));
        }
        for message in [Message::Out(bytes.into()), Message::Error(message)] {
            prop_assert_eq!(Message::decode(&message.encode()), message);
        }
    }

    /// However a program's output is cut into messages (in the middle of characters, too), and
    /// however typing is cut into calls, the same bytes come out.
    #[test]
    fn a_terminal_keeps_streams_however_they_are_cut(
        output in "[a-z é😀\u{202e}]{0,60}",
        typed in vec(any::<u8>(), 0..300),
        cuts in vec(any::<Index>(), 0..6),
        binary in any::<bool>(),
    ) {
        let mut now = Moment::new(UNIX_EPOCH, Instant::default(), 0);
        let mut terminal = Terminal::new(TerminalOptions::default(), now);
        for piece in cut(output.as_bytes(), &cuts) {
            let text = Message::Out(Bytes::copy_from_slice(piece)).encode();
            let frame = if binary { Frame::Binary(text.into()) } else { Frame::Text(text) };
            terminal.handle_frame(now, frame);
        }
        let mut shown = Vec::new();
        while let Some(event) = terminal.poll_event() {
            let TerminalEvent::Output(bytes) = event else {
                return Err(TestCaseError::fail(format!("{event:?}")));
            };
            shown.extend_from_slice(&bytes);
        }
        prop_assert_eq!(String::from_utf8(shown), Ok(output));

        for piece in cut(&typed, &cuts) {
            terminal.stdin(piece);
        }
        prop_assert_eq!(terminal.queued(), typed.len());
        now = now.after(Duration::from_secs(1));
        let mut sent = Vec::new();
        while let Outgoing::Send(Frame::Text(text)) = terminal.poll_outgoing(now) {
            if let Some(Command::Stdin(bytes)) = Command::decode(&text) {
                sent.extend_from_slice(&bytes);
            }
        }
        prop_assert_eq!(sent, typed);
        prop_assert!(!terminal.has_unsent());
    }

    #[test]
    fn endpoints_are_shown_as_they_are_read(endpoint in endpoint()) {
        let shown = endpoint.to_string();
        prop_assert_eq!(shown.parse(), Ok(endpoint.clone()));
        prop_assert!(!shown.ends_with('/'));
        prop_assert_eq!(shown.starts_with("https:"), endpoint.is_https());
        prop_assert!(endpoint.prefix().is_empty() || endpoint.prefix().starts_with('/'));
        // The `Host` header has the port if and only if it is not the scheme's default.
        let standard = if endpoint.is_https() { 443 } else { 80 };
        let has_port = endpoint.host().ends_with(&format!(":{}", endpoint.port()));
        prop_assert_eq!(has_port, endpoint.port() != standard);
    }

    #[test]
    fn any_text_is_an_endpoint_or_rejected_with_a_reason(
        text in prop_oneof![any::<String>(), "(https?://)?[a-z:@\\[\\].0-9/?#%+ -]{0,20}"],
    ) {
        match text.parse::<Endpoint>() {
            Ok(endpoint) => {
                let client = (endpoint.clone(), some_signer().1);
                let keys = Credentials::new(AccessKey::new("AK").expect("printable"), client.1);
                let signer = Signer::new(Config::new(client.0, keys));
                let request = Version::new().request(&signer, some_time());
                prop_assert!(request.is_ok(), "{} cannot be asked", endpoint);
                prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
            }
            Err(error) => prop_assert!(error.to_string().starts_with("the endpoint ")),
        }
    }

    #[test]
    fn any_kernel_id_is_a_single_path_segment(id in text()) {
        let id = KernelId::new(id).ok();
        if let Some(id) = id.filter(|id| id.check(ApiVersion::default()).is_ok()) {
            prop_assert!(!id.path_segment().contains(['/', '?', '#']));
            let path = format!("/v2/kernel/{}", id.path_segment());
            prop_assert_eq!(Route::parse(&http::Method::GET, &path).ok(), Some(Route::Info(id)));
        }
    }

    #[test]
    fn any_body_is_read_or_rejected(value in value()) {
        for body in [value.clone(), json!({"mode": value, "code": value}), json!({"lang": value})] {
            let body = body.to_string();
            let problems = [
                CreateRequest::parse(body.as_bytes()).err(),
                ExecuteRequest::parse(body.as_bytes()).err(),
            ];
            for problem in problems.into_iter().flatten() {
                prop_assert_eq!(problem.kind(), ProblemKind::InvalidApiParams);
            }
        }
    }
}

// ------------------------------------------------------------------------------------- Backend.AI

/// Pieces of which streams of events consist, well-formed or not.
fn event_stream() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        select(vec![
            "\r",
            "\n",
            "\r\n",
            "\u{feff}",
            ":",
            ": ping",
            "data",
            "data:",
            "data: ",
            "event: a",
            "event:",
            "retry: 7",
            "id: 1",
            "{\"sessionId\": \"u1\"}",
            "{\"exitCode\": -1}",
        ])
        .prop_map(str::to_owned),
        text(),
    ];
    vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

fn events(pieces: &[&[u8]]) -> Vec<SessionEvent> {
    let mut stream = EventStream::new();
    for piece in pieces {
        stream.handle_bytes(piece).expect("it is short");
    }
    std::iter::from_fn(|| stream.poll_event()).collect()
}

/// A text as Python shows it.
fn python(text: &str) -> String {
    let escape = |c: char| match c {
        '\\' | '\'' => format!("\\{c}"),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        c if c.is_control() => format!("\\x{:02x}", u32::from(c)),
        c if c > '\u{ffff}' => format!("\\U{:08x}", u32::from(c)),
        c => c.to_string(),
    };
    format!("'{}'", text.chars().map(escape).collect::<String>())
}

fn of_backend_ai<O: Operation>(operation: &O, body: &Value) -> Result<O::Output, Error> {
    let response = Response::new(Bytes::from(body.to_string()));
    let reply = operation.read_response(ApiVersion::V9_20250722, response)?;
    Ok(reply.value)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn events_are_the_same_however_their_bytes_are_cut(
        stream in event_stream(),
        cuts in vec(any::<Index>(), 0..8),
    ) {
        let whole = events(&[stream.as_bytes()]);
        prop_assert_eq!(&events(&cut(stream.as_bytes(), &cuts)), &whole);
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        prop_assert_eq!(events(&bytes), whole);
    }

    #[test]
    fn events_are_read_as_they_were_written(
        written in vec(("[a-z_]{1,12}", "[^{\r\n]{0,12}(\n[^\r\n]{0,12}){0,2}"), 0..5),
        end in select(vec!["\n", "\r", "\r\n"]),
        cuts in vec(any::<Index>(), 0..5),
    ) {
        let mut stream = String::new();
        for (name, data) in &written {
            stream += &format!(": ping{end}{end}event: {name}{end}");
            for line in data.split('\n') {
                stream += &format!("data: {line}{end}");
            }
            stream += end;
        }
        let read = events(&cut(stream.as_bytes(), &cuts));
        let read: Vec<_> = read.into_iter().map(|event| (event.name, event.raw.unwrap_or_default())).collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn dictionaries_of_python_are_read_as_they_were_written(
        map in btree_map(text(), text(), 0..5),
        junk in "[{}'\"\\\\():, a0]{0,20}",
    ) {
        let shown = map.iter().map(|(key, value)| format!("{}: {}", python(key), python(value)));
        let shown = format!("{{{}}}", shown.collect::<Vec<_>>().join(", "));
        let info = KernelInfo::new().with_extra("environ", shown.as_str());
        prop_assert_eq!(info.environ(), Some(map));
        // Whatever it is, it is read or not, and kept.
        for other in [format!("{{{junk}"), format!("{shown}{junk}"), junk] {
            let info = KernelInfo::new().with_extra("environ", other.as_str());
            let _ = info.environ();
            prop_assert_eq!(&info.extra()["environ"], &Value::from(other));
        }
    }

    #[test]
    fn information_of_any_form_is_kept(fields in btree_map("x-.{0,5}|image|status|statusInfo|creationTime|environ|idleChecks", value(), 0..8)) {
        let fields: Map<String, Value> = fields.into_iter().collect();
        let info = of_backend_ai(&Info::new(some_kernel()), &Value::Object(fields.clone()))
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(info.image(), fields.get("image").and_then(Value::as_str));
        let _ = (info.status_info(), info.creation_time(), info.environ(), info.idle_checks());
        prop_assert_eq!(info.extra(), &fields);
    }

    #[test]
    fn a_query_with_errors_never_passes_for_a_list(
        errors in vec(value(), 0..3),
        item in btree_map("session_id|name|status|image|created_at|x", value(), 0..6),
        total in any::<u64>(),
    ) {
        let item: Map<String, Value> = item.into_iter().collect();
        let list = json!({"items": [item.clone(), null], "total_count": total});
        let body = json!({"data": {"compute_session_list": list}, "errors": errors.clone()});
        match of_backend_ai(&ListSessions::new(), &body) {
            Ok(page) => {
                prop_assert!(errors.is_empty());
                prop_assert_eq!(page.total_count, total);
                prop_assert_eq!(Some(page.sessions[0].id.as_str()), item["session_id"].as_str());
                prop_assert_eq!(page.sessions[0].extra.get("x"), item.get("x"));
            }
            Err(Error::Gateway(error)) => {
                prop_assert!(!errors.is_empty());
                prop_assert!(error.message().is_some());
            }
            Err(error) => {
                prop_assert!(errors.is_empty());
                let id = item.get("session_id").and_then(Value::as_str);
                prop_assert!(id.is_none_or(|id| KernelId::new(id).is_err()), "{}", error);
            }
        }
    }
}

/// Cuts bytes at these places.
fn cut<'b>(bytes: &'b [u8], cuts: &[Index]) -> Vec<&'b [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut start = 0;
    for place in places {
        pieces.push(&bytes[start..place]);
        start = place;
    }
    pieces.push(&bytes[start..]);
    pieces
}

//! The gateway's side of Backend.AI: routes, parameters, bodies and queries.
//!
//! The input is a request as text. Properties:
//!
//! - Every error is a problem of status 400, 404 or 405 that a client reads as the same kind.
//! - A body that is read, sent by a client and read again is the same.
//! - A query that is read is no deeper and no larger than allowed.
//! - The dialect of a request does not depend on its body.
//! - A cookie that is read can be sent again; a login that is read has a name and a password.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use sorna_core::server::backend_ai::{
    CreateSession, ExecuteInSession, LoginRequest, Parameters, QueryField, SessionRoute, WebRoute,
    parse_cores, parse_query, parse_size,
};
use sorna_core::server::{ExecuteRequest, ProblemReply, dialect_of};
use sorna_core::{
    ApiVersion, Continuation, CreateKernel, Dialect, Execute, ExecuteMode, Info, Operation,
    SessionCookie,
};
use sorna_fuzz::{Message, at, kernel, signer};

const VERSION: ApiVersion = ApiVersion::V9_20250722;

fuzz_target!(|data: &[u8]| {
    let message = Message::read(data);
    let body = message.body.to_vec();
    if let Some(request) = message.into_request() {
        let (parts, _) = request.into_parts();
        let _ = dialect_of(&parts);
        match SessionRoute::parse(&parts.method, parts.uri.path()) {
            Ok(route) => assert_eq!(
                route.is_public(),
                matches!(route, SessionRoute::Hello | SessionRoute::Health)
            ),
            Err(problem) => check_problem(problem),
        }
        match WebRoute::parse(&parts.method, parts.uri.path()) {
            Ok(Some(WebRoute::Func(path))) => assert!(path.starts_with('/')),
            Ok(_) => {}
            Err(problem) => check_problem(problem),
        }
        if let Some(cookie) = SessionCookie::of_request(&parts.headers) {
            assert!(cookie.set_cookie("Path=/").is_ok());
        }
        check_parameters(parts.uri.query(), &body);
    }
    match LoginRequest::parse(&body) {
        Ok(login) => assert!(!login.username.is_empty() && !login.password().is_empty()),
        Err(problem) => check_problem(problem),
    }
    check_create(&body);
    check_execute(&body);
    if let Ok(text) = std::str::from_utf8(&body) {
        check_query(text);
        let _ = (parse_size(text), parse_cores(text));
    }
});

fn check_problem(problem: ProblemReply) {
    let kind = problem.kind();
    let response = problem.into_response_in(Dialect::BackendAi);
    assert!([400, 404, 405].contains(&response.status().as_u16()));
    let error = Info::new(kernel())
        .read_response(VERSION, response.map(Bytes::from))
        .expect_err("an error response");
    let gateway = error.gateway().expect("an error response");
    assert_eq!(gateway.kind(), Some(kind));
    assert!(gateway.error_code().is_some());
}

fn check_parameters(query: Option<&str>, body: &[u8]) {
    match Parameters::parse(query, body) {
        Ok(parameters) => {
            for name in ["path", "file", "files", "name"] {
                let is_there = parameters.text(name).is_some();
                assert_eq!(parameters.required(name).is_ok(), is_there);
                let _ = parameters.list(name);
            }
        }
        Err(problem) => check_problem(problem),
    }
}

/// The body of a client's request.
fn sent<O: Operation>(operation: &O) -> Option<Vec<u8>> {
    let config = signer().config().clone().with_version(VERSION);
    let signer = sorna_core::Signer::new(config);
    let request = operation.request(&signer, at(1_795_486_930)).ok()?;
    Some(request.body().as_bytes()?.to_vec())
}

fn check_create(body: &[u8]) {
    let request = match CreateSession::parse(body) {
        Ok(request) => request,
        Err(problem) => return check_problem(problem),
    };
    // A client rejects some values before they are sent.
    let create = CreateKernel::new(request.spec.clone(), request.name.clone());
    if let Some(body) = sent(&create) {
        let again = CreateSession::parse(&body).expect("a client sends what a gateway reads");
        assert_eq!(again.name, request.name);
        assert_eq!(again.spec.language(), request.spec.language());
        assert!(again.spec.env().eq(request.spec.env()));
        assert!(again.spec.resources().eq(request.spec.resources()));
        assert_eq!(
            again.spec.bootstrap_script(),
            request.spec.bootstrap_script()
        );
        assert_eq!(again.spec.reuse(), request.spec.reuse());
    }
}

fn check_execute(body: &[u8]) {
    let _ = ExecuteInSession::parse_completion(body).map_err(check_problem);
    let request = match ExecuteInSession::parse(body) {
        Ok(request) => request,
        Err(problem) => return check_problem(problem),
    };
    let mut execute = Execute::start(kernel(), ExecuteMode::query(""));
    match &request {
        ExecuteInSession::Start {
            run_id,
            request: ExecuteRequest::Query { code, .. },
        } => {
            execute = Execute::start(kernel(), ExecuteMode::query(code));
            execute.run_id.clone_from(run_id);
        }
        ExecuteInSession::Continue { run_id } => {
            execute.run_id = Some(run_id.clone());
            execute = execute.proceed(Continuation::Continue);
        }
        ExecuteInSession::Input { run_id, text } => {
            execute.run_id = Some(run_id.clone());
            execute = execute.proceed(Continuation::Input(text.clone()));
        }
        ExecuteInSession::InputBytes { run_id, bytes } => {
            execute.run_id = Some(run_id.clone());
            execute = execute.proceed(Continuation::InputBytes(bytes.clone()));
        }
        _ => return,
    }
    if let Some(body) = sent(&execute) {
        let again = ExecuteInSession::parse(&body).expect("a client sends what a gateway reads");
        assert_eq!(again, request);
    }
}

fn check_query(text: &str) {
    let variables = Map::from_iter([("id".to_owned(), Value::from("x"))]);
    let read = |text: &str| parse_query(text, &variables);
    let as_json = serde_json::from_str::<Value>(text).ok();
    let inner = as_json.as_ref().and_then(|body| body["query"].as_str());
    for query in [Some(text), inner].into_iter().flatten() {
        if let Ok(fields) = read(query) {
            assert!(!fields.is_empty());
            let (depth, count) = fields.iter().map(measure).fold((0, 0), both);
            assert!(depth <= 17 && count <= 4096, "{depth} {count}");
        }
    }
}

/// How deep and how many a field and those below it are.
fn measure(field: &QueryField) -> (usize, usize) {
    assert!(!field.key.is_empty() && !field.name.is_empty());
    let (depth, count) = field.fields.iter().map(measure).fold((0, 0), both);
    (depth + 1, count + 1)
}

fn both((depth, count): (usize, usize), (other, more): (usize, usize)) -> (usize, usize) {
    (depth.max(other), count + more)
}

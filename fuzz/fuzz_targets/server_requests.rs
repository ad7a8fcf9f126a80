//! The gateway's side: routes, bodies, names of files, authentication.
//!
//! The input is a request as text. Properties:
//!
//! - Every error is a problem of status 400, 404 or (never here) 401, and a client reads all of it.
//! - A path that is understood is the path that a client would request, or an equivalent of it.
//! - A body that is read, sent by a client and read again is the same; anything but the documented
//!   form is rejected.
//! - Every file name that a client may send survives the header of its part.

#![no_main]

use bytes::Bytes;
use http::{Method, Request};
use libfuzzer_sys::fuzz_target;
use sorna_core::server::{
    AuthorizeRequest, CompleteRequest, CreateRequest, ExecuteRequest, ProblemReply, Route,
    SignedRequest, Step, reply, upload_file_name,
};
use sorna_core::terminal::OpenTerminal;
use sorna_core::{
    ApiVersion, Authorize, Batch, Body, Boundary, Complete, CreateKernel, Destroy, Download,
    DownloadSingle, Execute, ExecuteMode, Info, Interrupt, KeepAlive, KernelId, ListFiles,
    ListLanguages, Logs, MatchSessions, Operation, ProblemKind, Restart, Segment, UploadFile,
    UploadFiles, Version,
};
use sorna_fuzz::{Message, RECORDED, at, kernel, same_json, secret, signer};

fuzz_target!(|data: &[u8]| {
    let message = Message::read(data);
    if let Some(disposition) = message.header("content-disposition") {
        check_file_name(disposition);
    }
    check_bodies(message.body);
    let Some(request) = message.into_request() else {
        return;
    };
    let (parts, body) = request.into_parts();
    match Route::parse(&parts.method, parts.uri.path()) {
        Ok(route) => check_route(&route, &parts.method),
        Err(error_response) => {
            use ProblemKind::{GenericBadRequest, GenericNotFound, KernelNotFound};
            let kinds = [GenericBadRequest, GenericNotFound, KernelNotFound];
            assert!(kinds.contains(&error_response.kind()), "{error_response}");
            check_error_response(error_response);
        }
    }
    match SignedRequest::parse(&parts, at(RECORDED.as_secs())) {
        Ok(signed) => {
            if let Err(error_response) = signed.verify(&secret(), &body) {
                assert_eq!(error_response.kind(), ProblemKind::AuthFailed);
                check_error_response(error_response);
            }
            if !signed.hashes_body() {
                let verdict = signed.verify(&secret(), b"another body").is_ok();
                assert_eq!(signed.verify(&secret(), &body).is_ok(), verdict);
            }
        }
        Err(error_response) => {
            // Of Backend.AI, a request that is not signed at all is another kind of error.
            use ProblemKind::{AuthFailed, InvalidAuthParams};
            let kinds = [AuthFailed, InvalidAuthParams];
            assert!(kinds.contains(&error_response.kind()), "{error_response}");
            check_error_response(error_response);
        }
    }
});

/// A client reads an error back as the same.
fn check_error_response(error_response: ProblemReply) {
    let (kind, title) = (error_response.kind(), error_response.title().to_owned());
    let response = error_response.into_response();
    assert!(response.status().is_client_error());
    let error = Info::new(kernel())
        .read_response(ApiVersion::default(), response.map(Bytes::from))
        .expect_err("an error response");
    let problem = error
        .gateway()
        .and_then(|error_response| error_response.problem());
    let problem = problem.expect("a problem document");
    assert_eq!(problem.kind(), Some(kind));
    assert_eq!(problem.title, Some(title));
}

/// The request of a client for this route leads to this route.
fn check_route(route: &Route, method: &Method) {
    let id = KernelId::clone;
    let asked = match route {
        Route::Version => sent(&Version::new()),
        Route::Authorize => sent(&Authorize::new("")),
        Route::Languages => sent(&ListLanguages::new()),
        Route::Create => sent(&create("c", "12345678")),
        Route::Info(kernel) => sent(&Info::new(id(kernel))),
        Route::Restart(kernel) => sent(&Restart::new(id(kernel))),
        Route::Destroy(kernel) => sent(&Destroy::new(id(kernel))),
        Route::Execute(kernel) => sent(&Execute::start(id(kernel), "1".into())),
        Route::Upload(kernel) => {
            let boundary = Boundary::from_random([1; 16]);
            sent(&UploadFiles::new(id(kernel), Vec::new(), boundary))
        }
        Route::Match => sent(&MatchSessions::new("name").with_extension(true)),
        Route::Interrupt(kernel) => sent(&Interrupt::new(id(kernel))),
        Route::KeepAlive(kernel) => sent(&KeepAlive::new(id(kernel)).with_extension(true)),
        Route::Logs(kernel) => sent(&Logs::new(id(kernel)).with_extension(true)),
        Route::ListFiles(kernel) => sent(&ListFiles::new(id(kernel), ".").with_extension(true)),
        Route::Download(kernel) => {
            let files = vec!["file".to_owned()];
            sent(&Download::new(id(kernel), files).with_extension(true))
        }
        Route::DownloadSingle(kernel) => {
            sent(&DownloadSingle::new(id(kernel), "file").with_extension(true))
        }
        Route::Terminal(kernel) => OpenTerminal::new(id(kernel))
            .request(&signer(), at(1_498_699_425))
            .expect("a request"),
        _ => unreachable!("a route of a new kind"),
    };
    assert_eq!(asked.method(), method);
    let again = Route::parse(asked.method(), asked.uri().path());
    assert_eq!(again.as_ref().ok(), Some(route));
}

fn create(lang: &str, token: &str) -> CreateKernel {
    CreateKernel::new(lang, sorna_core::SessionToken::new(token).expect("a token"))
}

fn sent<O: Operation>(operation: &O) -> Request<Body> {
    operation
        .request(&signer(), at(1_498_699_425))
        .expect("what was read can be asked for")
}

fn body(request: &Request<Body>) -> &[u8] {
    request.body().as_bytes().expect("it is in one piece")
}

/// One body, parsed as that of each operation.
fn check_bodies(bytes: &[u8]) {
    match AuthorizeRequest::parse(bytes) {
        Ok(request) => {
            let reply = reply::authorized(request.echo.as_ref());
            let json: serde_json::Value =
                serde_json::from_slice(reply.body()).expect("our own JSON");
            if let Some(echo) = &request.echo {
                assert!(same_json(&json["echo"], echo));
            }
        }
        Err(error_response) => {
            assert_eq!(error_response.kind(), ProblemKind::InvalidAuthParams);
            check_error_response(error_response);
        }
    }
    match CreateRequest::parse(bytes) {
        Ok(request) => check_create(&request),
        Err(error_response) => {
            assert_eq!(error_response.kind(), ProblemKind::InvalidApiParams);
            check_error_response(error_response);
        }
    }
    match ExecuteRequest::parse(bytes) {
        Ok(request) => check_execute(&request, bytes.len()),
        Err(error_response) => {
            assert_eq!(error_response.kind(), ProblemKind::InvalidApiParams);
            check_error_response(error_response);
        }
    }
}

fn check_create(request: &CreateRequest) {
    let length = request.token.as_str().chars().count();
    assert!((8..=80).contains(&length));
    // Our clients never request this.
    if request.spec.check(ApiVersion::default()).is_err() {
        return;
    }
    let create = CreateKernel::new(request.spec.clone(), request.token.clone());
    let again = CreateRequest::parse(body(&sent(&create))).expect("our own encoding");
    assert_eq!(again.token, request.token);
    // The largest sizes are sent in whole KiB, and read as bytes.
    assert_eq!(again.spec, request.spec);
}

fn check_execute(request: &ExecuteRequest, length: usize) {
    let sent = match request {
        ExecuteRequest::Query {
            code,
            is_final,
            echoes,
        } => {
            let start = Execute::start(kernel(), ExecuteMode::query(code.as_str()));
            sent(&start.with_final(*is_final).with_echo(*echoes))
        }
        ExecuteRequest::Batch { code, steps } => {
            let step = |step: &Step| match step {
                Step::Skip => None,
                Step::Default => Some("*".to_owned()),
                Step::Command(command) => {
                    assert!(!matches!(command.as_str(), "" | "*"));
                    Some(command.clone())
                }
                _ => unreachable!("a step of a new kind"),
            };
            let batch = Batch::new().with_build_log(steps.build_log);
            let batch = match step(&steps.build) {
                Some(command) => batch.with_build(command),
                None => batch.without_build(),
            };
            let batch = match step(&steps.exec) {
                Some(command) => batch.with_exec(command),
                None => batch.without_exec(),
            };
            let start = Execute::start(kernel(), batch.into());
            let input = sorna_core::Continuation::Input(code.clone());
            sent(&start.proceed(input))
        }
        ExecuteRequest::InputBytes(bytes) => {
            let start = Execute::start(kernel(), ExecuteMode::query(""));
            let input = sorna_core::Continuation::InputBytes(bytes.clone());
            sent(&start.proceed(input))
        }
        ExecuteRequest::Complete(asked) => sent(&complete(asked)),
        _ => unreachable!("a mode of a new kind"),
    };
    let again = ExecuteRequest::parse(body(&sent)).expect("our own encoding");
    assert_eq!(again, *request, "of {length} bytes");
}

fn complete(asked: &CompleteRequest) -> Complete {
    let mut complete = Complete::at_end(kernel(), asked.code.as_str());
    complete.row = asked.row;
    complete.col = asked.col;
    complete.line.clone_from(&asked.line);
    complete.post.clone_from(&asked.post);
    complete
}

/// A name that is read and may be sent is read back as the same.
fn check_file_name(disposition: &str) {
    let Some(name) = upload_file_name(disposition) else {
        return;
    };
    let Ok(file) = UploadFile::from_bytes(name, "") else {
        return;
    };
    let name = file.name().to_owned();
    let upload = UploadFiles::new(kernel(), vec![file], Boundary::from_random([1; 16]));
    let request = sent(&upload);
    let Some(Segment::Bytes(head)) = request.body().segments().first() else {
        panic!("a part starts with its headers");
    };
    let head = std::str::from_utf8(head).expect("it is ASCII");
    assert!(
        head.is_ascii() && head.matches("\r\n").count() == 4,
        "{head:?}"
    );
    let again = head
        .split("\r\n")
        .find_map(|line| line.strip_prefix("Content-Disposition: "))
        .and_then(upload_file_name);
    assert_eq!(again, Some(name));
}

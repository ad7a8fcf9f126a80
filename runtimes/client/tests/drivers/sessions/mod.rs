//! What only Backend.AI has, in all drivers, over responses that are literal.

#![cfg(all(
    feature = "tokio",
    feature = "smol",
    feature = "async-std",
    feature = "ureq"
))]

mod server;

use std::fs;

use sorna::protocol::download::{UnpackEvent, UnpackLimits};
use sorna::protocol::events::SubscribeEvents;
use sorna::protocol::{ErrorBody, ListSessions, UnpackError};
use sorna::{
    ApiVersion, BuildError, ClientOptions, Config, Ending, Error, KernelId, RetryPolicy, RunPlan,
    SessionPending, SessionToken, TransportErrorKind, UploadFile,
};

use server::{Answer, Server};

const V7: ApiVersion = ApiVersion::V7_20230615;
const V9: ApiVersion = ApiVersion::V9_20250722;
const ID: &str = "7c548299-6be3-4613-8cf0-f11deb896755";
/// That of a session that has ended.
const ENDED: &str = "7d548299-6be3-4613-8cf0-f11deb896755";

fn options() -> ClientOptions {
    ClientOptions::new().with_retry(RetryPolicy::never())
}

macro_rules! wait {
    (async, $call:expr) => {
        $call.await
    };
    (blocking, $call:expr) => {
        $call
    };
}

/// The checks for one driver.
macro_rules! driver {
    ($kind:tt $driver:ident, $block_on:expr) => {
        mod $driver {
            use super::*;

            fn kernel(config: Config, id: &str) -> sorna::$driver::Kernel {
                client(config).kernel(KernelId::new(id).unwrap())
            }

            fn client(config: Config) -> sorna::$driver::Client {
                sorna::$driver::Client::with_options(config, options())
            }

            #[test]
            fn operations_of_a_session() {
                let server = Server::start(manager);
                let kernel = kernel(server.config(V9), "my session");
                $block_on(async {
                    let listing = wait!($kind, kernel.list_files("a b")).unwrap();
                    assert_eq!((&*listing.files[0].name, listing.files[0].size), ("b.txt", 2));
                    assert_eq!(wait!($kind, kernel.logs()).unwrap(), "started\n");
                    wait!($kind, kernel.interrupt()).unwrap();
                    let name = SessionToken::new("another").unwrap();
                    wait!($kind, kernel.rename(name)).unwrap();
                    let history = wait!($kind, kernel.status_history()).unwrap();
                    assert_eq!(&*history[0].status, "PENDING");
                    let error = wait!($kind, kernel.list_files("nope")).unwrap_err();
                    let error = error.gateway().unwrap();
                    assert!(matches!(error.error_body(), ErrorBody::Reported { .. }));
                });
                assert_eq!(
                    server.seen(),
                    [
                        "GET /session/my%20session/files?path=a%20b",
                        "GET /session/my%20session/logs",
                        "POST /session/my%20session/interrupt",
                        "POST /session/my%20session/rename",
                        "GET /session/my%20session/status-history",
                        "GET /session/my%20session/files?path=nope",
                    ]
                );
            }

            #[test]
            fn no_name_is_given_to_two_sessions_by_managers_that_would() {
                let server = Server::start(manager);
                let kernel = kernel(server.config(V7), "my session");
                $block_on(async {
                    let [known, another] = ["known", "another"].map(|name| SessionToken::new(name).unwrap());
                    let error = wait!($kind, kernel.rename(known)).unwrap_err();
                    assert!(
                        matches!(&error, Error::Build(BuildError::SessionNameInUse { name, .. }) if name == "known"),
                        "{error:?}"
                    );
                    wait!($kind, kernel.rename(another)).unwrap();
                });
                assert_eq!(
                    server.seen(),
                    [
                        "GET /session/_/match?id=known",
                        "GET /session/_/match?id=another",
                        "POST /session/my%20session/rename",
                    ]
                );
            }

            #[test]
            fn a_session_is_waited_for_until_it_runs_and_until_it_is_gone() {
                let server = Server::start(starting);
                let client = client(server.config(V9));
                $block_on(async {
                    let mut seen = Vec::new();
                    let pending = |event: SessionPending| seen.push(event.status.to_string());
                    let kernel = wait!($kind, client.temporary_with("python", pending)).unwrap();
                    assert_eq!(seen, ["PENDING"]);
                    wait!($kind, kernel.close()).unwrap();
                    let id = KernelId::new("gone").unwrap();
                    wait!($kind, client.kernel(id).destroy_until_gone()).unwrap();
                });
                assert_eq!(
                    server.seen(),
                    [
                        "POST /session",
                        "GET /session/k1",
                        "DELETE /session/k1",
                        "DELETE /session/gone",
                        "GET /session/gone",
                    ]
                );
            }

            #[test]
            fn nothing_is_sent_in_sorna_v2() {
                let server = Server::start(manager);
                let config = server.config(ApiVersion::V2_20170315);
                let (client, kernel) = (client(config.clone()), kernel(config, "k1"));
                $block_on(async {
                    let name = SessionToken::new("another").unwrap();
                    let errors = [
                        wait!($kind, kernel.rename(name)).unwrap_err(),
                        wait!($kind, kernel.status_history()).unwrap_err(),
                        wait!($kind, kernel.events()).unwrap_err(),
                        wait!($kind, client.list(ListSessions::living())).unwrap_err(),
                    ];
                    for error in errors {
                        let error = format!("{error:?}");
                        assert!(error.contains("Unsupported"), "{error}");
                    }
                });
                assert_eq!(server.seen(), [""; 0]);
            }

            #[test]
            fn logs_are_followed_part_by_part_where_that_is_offered() {
                let server = Server::start(|line, _| match line.split_once("/logs?") {
                    Some((_, "from=0&wait=0")) => Answer::json(
                        200,
                        r#"{"console": [["stdout", "a"]], "from": 5, "next": 6, "ended": false}"#,
                    ),
                    Some((_, "from=6&wait=10000")) => Answer::json(
                        200,
                        r#"{"console": [["stderr", "b"]], "from": 6, "next": 7, "ended": false}"#,
                    ),
                    Some(_) => Answer::json(
                        404,
                        r#"{"type": "https://api.sorna.io/probs/kernel-not-found", "title": "No."}"#,
                    ),
                    None if line.ends_with("/logs") => {
                        Answer::json(200, r#"{"result": {"logs": "ab"}}"#)
                    }
                    None => sorna_v2(line, r#"["logs"]"#),
                });
                let kernel = kernel(server.config(ApiVersion::V2_20170315), "k1");
                $block_on(async {
                    let mut logs = kernel.follow_logs();
                    let first = wait!($kind, logs.next_part()).unwrap().unwrap();
                    assert_eq!((&*first.stdout(), logs.lost()), ("a", 5));
                    let second = wait!($kind, logs.next_part()).unwrap().unwrap();
                    assert_eq!((&*second.stderr(), logs.lost()), ("b", 5));
                    for _ in 0..2 {
                        assert!(wait!($kind, logs.next_part()).unwrap().is_none());
                    }
                    assert_eq!(wait!($kind, kernel.logs()).unwrap(), "ab");
                });
                let path = "GET /v2/kernel/k1/logs";
                let parts = ["0&wait=0", "6&wait=10000", "7&wait=10000"];
                let mut expected = vec!["GET /v2".to_owned()];
                expected.extend(parts.map(|part| format!("{path}?from={part}")));
                expected.push(path.to_owned());
                assert_eq!(server.seen(), expected);

                let server = Server::start(|line, _| sorna_v2(line, "null"));
                let kernel = client(server.config(ApiVersion::V2_20170315)).kernel(KernelId::new("k1").unwrap());
                $block_on(async {
                    let logs = wait!($kind, kernel.logs()).unwrap_err();
                    let follow = wait!($kind, kernel.follow_logs().next_part()).unwrap_err();
                    for error in [logs, follow] {
                        let error = format!("{error:?}");
                        assert!(error.contains("NotOffered"), "{error}");
                    }
                });
            }

            #[test]
            fn interrupts_of_sorna_v2_are_sent_to_gateways_that_know_them() {
                let requests = |knows: bool, is_fixed: bool| {
                    let server = Server::start(match knows {
                        true => |line, _| sorna_v2(line, r#"["interrupt"]"#),
                        false => |line, _| sorna_v2(line, "null"),
                    });
                    let config = match is_fixed {
                        true => server.config(ApiVersion::V2_20170315),
                        false => server.config_to_negotiate(),
                    };
                    let kernel = kernel(config, "k1");
                    let result = $block_on(async { wait!($kind, kernel.interrupt()) });
                    (result, server.seen())
                };
                const SENT: &str = "POST /v2/kernel/k1/interrupt";
                let (result, seen) = requests(true, false);
                result.unwrap();
                assert_eq!(seen, ["GET /", "GET /v2", SENT]);
                let (result, seen) = requests(true, true);
                result.unwrap();
                assert_eq!(seen, ["GET /v2", SENT]);
                for (is_fixed, asked) in [(true, &["GET /v2"][..]), (false, &["GET /", "GET /v2"])] {
                    let (result, seen) = requests(false, is_fixed);
                    let error = format!("{:?}", result.unwrap_err());
                    assert!(error.contains("NotOffered"), "{error}");
                    assert_eq!(seen, asked);
                }
            }

            #[test]
            fn in_sorna_v2_the_gateway_is_asked_once_whether_it_has_files() {
                let server = Server::start(|_, _| Answer::json(200, r#"{"version": "v2.20170315"}"#));
                let kernel = kernel(server.config(ApiVersion::V2_20170315), "k1");
                $block_on(async {
                    let errors = [
                        wait!($kind, kernel.list_files(".")).unwrap_err(),
                        wait!($kind, kernel.download(["a"]).next_event()).unwrap_err(),
                    ];
                    for error in errors {
                        let error = format!("{error:?}");
                        assert!(error.contains("NotOffered"), "{error}");
                    }
                });
                assert_eq!(server.seen(), ["GET /v2"]);
            }

            #[test]
            fn lists_have_all_pages() {
                let server = Server::start(manager);
                let client = client(server.config(V9));
                $block_on(async {
                    let list = ListSessions::new().with_limit(2);
                    let found = wait!($kind, client.list(list)).unwrap();
                    let names: Vec<_> = found.iter().map(|session| &*session.name).collect();
                    // `ab` is on two pages.
                    assert_eq!(names, ["abc", "ab", "xyz"]);
                });
                assert_eq!(server.seen(), ["POST /admin/gql"; 2]);
            }

            #[test]
            fn sessions_are_found_by_name_and_id_and_their_beginnings() {
                let server = Server::start(manager);
                let client = client(server.config(V9));
                $block_on(async {
                    for (text, expected) in [
                        ("known", &["known"][..]),
                        // The whole name of one, and the beginning of another's.
                        ("ab", &["ab"]),
                        ("x", &["xyz"]),
                        ("7c54", &["xyz"]),
                        (&*ID.to_uppercase(), &["xyz"]),
                        ("a", &["abc", "ab"]),
                        ("nope", &[]),
                        ("7c548299-6be3-4613-8cf0-f11deb896755-and-more", &[]),
                    ] {
                        let found = wait!($kind, client.find(text)).unwrap();
                        let names: Vec<_> = found.iter().map(|session| &*session.name).collect();
                        assert_eq!(names, expected, "{text}");
                    }
                });
            }

            #[test]
            fn of_a_web_server_only_the_sessions_of_its_user_are_found() {
                let server = Server::start(web_server);
                let client = client(server.web_config(V9));
                let found = $block_on(async { wait!($kind, client.find("x")).unwrap() });
                assert_eq!(found.len(), 1, "{found:?}");
                assert_eq!(
                    server.seen(),
                    [
                        "GET /func/session/_/match?id=x",
                        "POST /server/login-check",
                        "POST /func/admin/gql",
                    ]
                );
            }

            #[test]
            fn any_number_of_files_is_downloaded() {
                let server = Server::start(manager);
                let kernel = kernel(server.config(V9), "k1");
                let directory = tempfile::tempdir().unwrap();
                let target = directory.path().join("new");
                let paths = (0..7).map(|number| format!("d/{number}"));
                let saved = $block_on(async {
                    wait!($kind, kernel.download(paths).save_to(&target)).unwrap()
                });
                let expected = (0..7).map(|number| target.join(format!("d/{number}")));
                assert_eq!(saved, expected.collect::<Vec<_>>());
                for path in saved {
                    let name = path.file_name().unwrap().to_str().unwrap();
                    assert_eq!(fs::read_to_string(&path).unwrap(), name.repeat(1000));
                }
                assert_eq!(
                    server.seen(),
                    [
                        "POST /session/k1/download?files=d%2F0&files=d%2F1&files=d%2F2&files=d%2F3&files=d%2F4",
                        "POST /session/k1/download?files=d%2F5&files=d%2F6",
                    ]
                );
            }

            #[test]
            fn uploads_that_are_not_stored_are_named() {
                let server = Server::start(manager);
                let kernel = kernel(server.config_to_negotiate(), "k1");
                $block_on(async {
                    let error = wait!($kind, kernel.upload(uploads(&["b.txt", "gone", "nope/x"])));
                    assert_eq!(
                        error.unwrap_err().to_string(),
                        "the gateway did not store \
                         \"gone\" (the gateway responded with 204, but the file is not there), \
                         \"nope/x\" (the gateway responded with 204, but nope is not a directory)"
                    );
                    assert_eq!(
                        server.seen(),
                        [
                            "GET /",
                            "POST /session/k1/upload",
                            "GET /session/k1/files?path=nope",
                            "GET /session/k1/files?path=.",
                        ]
                    );
                    let uploaded = wait!($kind, kernel.upload(uploads(&["b.txt"]))).unwrap();
                    assert_eq!((uploaded.files, uploaded.unchecked), (1, 0));
                    // There are no lists of it.
                    let uploaded = wait!($kind, kernel.upload(uploads(&["lost/a"]))).unwrap();
                    assert_eq!((uploaded.files, uploaded.unchecked), (1, 1));
                });
            }

            #[test]
            fn files_of_a_run_that_are_not_stored_end_it() {
                let server = Server::start(manager);
                let client = client(server.config_to_negotiate());
                let plan = RunPlan::temporary("python", ["1"]).with_files(uploads(&["gone"]));
                $block_on(async {
                    let mut run = client.run(plan);
                    while wait!($kind, run.next_event()).unwrap().is_some() {}
                    let report = run.report().unwrap();
                    let Ending::Failed(Error::FilesRejected(files)) = &report.ending else {
                        panic!("{report:?}");
                    };
                    assert_eq!(files[0].name, "gone");
                });
            }

            #[test]
            fn a_gateway_that_reports_what_it_cannot_store_is_trusted() {
                let server = Server::start(|line, body| match line {
                    "GET /" => hello("sorna-gateway 0.1.0"),
                    _ => manager(line, body),
                });
                let kernel = kernel(server.config_to_negotiate(), "k1");
                $block_on(async {
                    let uploaded = wait!($kind, kernel.upload(uploads(&["gone"]))).unwrap();
                    assert_eq!((uploaded.files, uploaded.unchecked), (1, 0));
                });
                assert_eq!(server.seen(), ["GET /", "POST /session/k1/upload"]);
            }

            #[test]
            fn the_other_method_is_tried_once() {
                let server = Server::start(manager);
                let kernel = kernel(server.config(V7), "k1");
                let mut download = kernel.download(["d/1"]);
                $block_on(async {
                    let event = wait!($kind, download.next_event()).unwrap().unwrap();
                    assert!(matches!(event, UnpackEvent::FileStart(entry) if entry.path == "d/1"));
                });
                assert_eq!(
                    server.seen(),
                    [
                        "GET /session/k1/download?files=d%2F1",
                        "POST /session/k1/download?files=d%2F1",
                    ]
                );
            }

            #[test]
            fn what_follows_a_download_for_ever_is_not_waited_for() {
                let server = Server::start(|_, _| Answer {
                    is_endless: true,
                    ..Answer::multipart(&[archive("d/1")])
                });
                let kernel = kernel(server.config(V9), "k1");
                let directory = tempfile::tempdir().unwrap();
                let saved = $block_on(async {
                    wait!($kind, kernel.download(["d/1"]).save_to(directory.path())).unwrap()
                });
                assert_eq!(saved, [directory.path().join("d/1")]);
            }

            #[test]
            fn missing_files_are_named_although_the_gateway_does_not() {
                let server = Server::start(manager);
                let kernel = kernel(server.config(V9), "k1");
                $block_on(async {
                    let mut download = kernel.download(["b.txt", "gone", "a", "c", "e", "f"]);
                    let error = wait!($kind, download.next_event()).unwrap_err();
                    assert!(matches!(error, Error::FilesUnavailable(_)), "{error:?}");
                    assert!(error.to_string().contains("gone does not exist"), "{error}");
                    assert!(wait!($kind, download.next_event()).unwrap().is_none());
                });
                // The sixth is not asked for.
                assert_eq!(server.seen().len(), 2);
            }

            #[test]
            fn paths_and_limits_of_downloads() {
                let server = Server::start(manager);
                let kernel = kernel(server.config(V9), "k1");
                $block_on(async {
                    let paths = ["a", "b", "c", "d", "e", "../f"];
                    let error = wait!($kind, kernel.download(paths).next_event()).unwrap_err();
                    assert!(matches!(error, Error::Build(BuildError::FileName { .. })));
                    let mut none = kernel.download([""; 0]);
                    let error = wait!($kind, none.next_event()).unwrap_err();
                    assert!(matches!(error, Error::Build(BuildError::NoFiles)));
                    assert_eq!(server.seen(), [""; 0]);

                    let directory = tempfile::tempdir().unwrap();
                    let limits = UnpackLimits::new().with_max_size(1500);
                    let download = kernel.download(["d/1", "d/2"]).with_limits(limits);
                    let error = wait!($kind, download.save_to(directory.path())).unwrap_err();
                    assert!(matches!(error, Error::Unpack(UnpackError::TooLarge { .. })), "{error:?}");
                });
            }

            #[test]
            fn files_that_cannot_be_written_are_named() {
                let server = Server::start(manager);
                let kernel = kernel(server.config(V9), "k1");
                let directory = tempfile::tempdir().unwrap();
                fs::write(directory.path().join("d"), "in the way").unwrap();
                $block_on(async {
                    let download = kernel.download(["d/1"]).save_to(directory.path());
                    let error = wait!($kind, download).unwrap_err();
                    assert_eq!(
                        error.transport().unwrap().kind(),
                        TransportErrorKind::LocalFile
                    );
                    assert!(!error.may_have_acted() && !error.is_retryable());
                    let path = directory.path().join("d").display().to_string();
                    assert!(error.to_string().contains(&path), "{error}");
                });
            }

            #[test]
            fn events_come_until_the_gateway_ends_them() {
                let server = Server::start(manager);
                let config = server.config(V9);
                let (client, by_id) = (client(config.clone()), kernel(config.clone(), ID));
                let ended = kernel(config.clone(), ENDED);
                let by_name = kernel(config, "k1");
                $block_on(async {
                    let mut all = wait!($kind, client.events(SubscribeEvents::new())).unwrap();
                    let mut names = Vec::new();
                    while let Some(event) = wait!($kind, all.next_event()).unwrap() {
                        names.push(event.name);
                    }
                    assert_eq!(names, ["kernel_started", "session_started"]);
                    let mut of_one = wait!($kind, by_id.events()).unwrap();
                    let event = wait!($kind, of_one.next_event()).unwrap().unwrap();
                    assert_eq!(event.name, "session_started");
                    assert!(wait!($kind, of_one.next_event()).unwrap().is_none());
                    for gone in [&by_name, &ended] {
                        let error = wait!($kind, gone.events()).unwrap_err();
                        assert!(error.is_not_found(), "{error:?}");
                    }
                });
                assert_eq!(
                    server.seen(),
                    [
                        "GET /events/session?scope=*",
                        "GET /events/session?scope=*",
                        &format!("GET /session/{ID}"),
                        "GET /events/session?sessionName=k1&scope=*",
                        "GET /events/session?scope=*",
                        &format!("GET /session/{ENDED}"),
                    ]
                );
            }

            #[test]
            fn what_came_before_a_broken_event_is_not_lost() {
                let server = Server::start(|_, _| {
                    let long = "x".repeat(300_000);
                    Answer::events(&format!("event: a\r\ndata: {{}}\r\n\r\n{long}"))
                });
                let client = client(server.config(V9));
                $block_on(async {
                    let mut events = wait!($kind, client.events(SubscribeEvents::new())).unwrap();
                    let event = wait!($kind, events.next_event()).unwrap().unwrap();
                    assert_eq!(event.name, "a");
                    let error = wait!($kind, events.next_event()).unwrap_err();
                    assert!(matches!(error, Error::Parse(_)), "{error:?}");
                    assert!(wait!($kind, events.next_event()).unwrap().is_none());
                });
            }
        }
    };
}

driver!(blocking blocking, ::smol::future::block_on);
driver!(async tokio, |future| ::tokio::runtime::Runtime::new().unwrap().block_on(future));
driver!(async smol, ::smol::block_on);
driver!(async async_std, ::async_std::task::block_on);

/// A gateway of Sorna v2 that says this of its extensions.
fn sorna_v2(line: &str, extensions: &str) -> Answer {
    match line {
        "GET /" | "GET /v2" => {
            let body = format!(r#"{{"version": "v2.20170315", "extensions": {extensions}}}"#);
            Answer::json(200, body)
        }
        _ => Answer::json(204, ""),
    }
}

fn hello(manager: &str) -> Answer {
    let body = format!(r#"{{"version": "v9.20250722", "manager": "{manager}"}}"#);
    Answer::json(200, body)
}

fn uploads(names: &[&str]) -> Vec<UploadFile> {
    let names = names.iter();
    let files = names.map(|name| UploadFile::from_bytes(*name, "xy").unwrap());
    files.collect()
}

/// As a manager 26.9.6 responds, or, to `GET` of a download, as one that does not allow it.
fn manager(line: &str, body: &str) -> Answer {
    if line.starts_with("GET /session/k1/download") {
        return Answer::json(405, "");
    }
    let target = line.split_once(' ').unwrap().1;
    if target == "/" {
        return hello("26.9.6");
    }
    if line == "POST /session" {
        return Answer::json(
            201,
            r#"{"sessionId": "k1", "sessionName": "a", "status": "RUNNING"}"#,
        );
    }
    if line.starts_with("DELETE ") {
        return Answer::json(200, r#"{"stats": {}}"#);
    }
    if let Some(query) = target.strip_prefix("/session/k1/download?files=") {
        let files: Vec<_> = query
            .split("&files=")
            .map(|file| file.replace("%2F", "/"))
            .collect();
        if files.iter().any(|file| file == "gone") {
            return Answer::json(
                500,
                r#"{"type": "https://api.backend.ai/probs/internal-server-error", "title": "No."}"#,
            );
        }
        let archives: Vec<_> = files.iter().map(|file| archive(file)).collect();
        return Answer::multipart(&archives);
    }
    let name = target.rsplit_once('/').unwrap().1;
    match name {
        "files?path=a%20b" => Answer::json(
            200,
            r#"{"files": "[{\"mode\": \"-rw-r--r--\", \"size\": 2, \"filename\": \"b.txt\"}]\n", "errors": "", "abspath": "/home/work/a b"}"#,
        ),
        "files?path=." => Answer::json(
            200,
            r#"{"files": "[{\"mode\": \"-rw-r--r--\", \"size\": 2, \"filename\": \"b.txt\"}]\n", "errors": "", "abspath": "."}"#,
        ),
        "files?path=nope" => Answer::json(
            200,
            r#"{"files": "", "errors": "FileNotFoundError: 'nope'\n", "abspath": ""}"#,
        ),
        ID => Answer::json(200, r#"{"status": "RUNNING"}"#),
        "logs" => Answer::json(200, r#"{"result": {"logs": "started\n"}}"#),
        "interrupt" | "rename" | "upload" => Answer::json(204, ""),
        "status-history" => Answer::json(
            200,
            r#"{"result": {"RUNNING": "2026-11-27T05:04:22+00:00", "PENDING": "2026-11-27T05:04:20+00:00"}}"#,
        ),
        "match?id=known" => Answer::json(
            200,
            r#"{"matches": [{"id": "1c548299-6be3-4613-8cf0-f11deb896755", "name": "known", "status": "RUNNING"}]}"#,
        ),
        "gql" => Answer::json(200, page(body)),
        "session?scope=*" => Answer::events(&format!(
            "event: kernel_started\r\ndata: {{\"sessionId\": \"1c548299-6be3-4613-8cf0-f11deb896755\"}}\r\n\r\n\
             : ping\r\n\r\nevent: session_started\r\ndata: {{\"sessionId\": \"{ID}\"}}\r\n\r\n"
        )),
        "session?sessionName=k1&scope=*" => Answer::json(
            404,
            r#"{"type": "https://api.backend.ai/probs/entity-not-found", "title": "No."}"#,
        ),
        _ if name.starts_with("match?") => Answer::json(200, r#"{"matches": []}"#),
        _ => Answer::json(404, ""),
    }
}

/// As a manager whose new session does not run at once.
fn starting(line: &str, _: &str) -> Answer {
    match line {
        "POST /session" => Answer::json(201, r#"{"sessionId": "k1", "status": "PENDING"}"#),
        "GET /session/k1" => Answer::json(200, r#"{"status": "RUNNING"}"#),
        _ if line.starts_with("DELETE ") => Answer::json(200, r#"{"stats": {}}"#),
        _ => Answer::json(
            404,
            r#"{"type": "https://api.backend.ai/probs/entity-not-found"}"#,
        ),
    }
}

/// A web server before it, and an administrator who is logged in.
fn web_server(line: &str, body: &str) -> Answer {
    if line == "POST /server/login-check" {
        return Answer::json(
            200,
            r#"{"authenticated": true, "data": {"access_key": "AKIAWEB", "role": "superadmin"}, "session_id": "5f0c"}"#,
        );
    }
    if line.ends_with("/admin/gql") && !body.contains(r#""AKIAWEB""#) {
        return Answer::json(403, "");
    }
    manager(line, body)
}

/// Two sessions of three at a time; they have moved by one after the first page.
fn page(body: &str) -> String {
    let [abc, ab, xyz] = [
        r#"{"session_id": "ac548299-6be3-4613-8cf0-f11deb896755", "name": "abc", "status": "RUNNING"}"#.to_owned(),
        r#"{"session_id": "bc548299-6be3-4613-8cf0-f11deb896755", "name": "ab", "status": "RUNNING"}"#.to_owned(),
        format!(r#"{{"session_id": "{ID}", "name": "xyz", "status": "PENDING"}}"#),
    ];
    let items = if body.contains(r#""limit":100"#) {
        [abc, ab, xyz].join(",")
    } else if body.contains(r#""offset":0"#) {
        [abc, ab].join(",")
    } else {
        [ab, xyz].join(",")
    };
    let count = if body.contains(r#""limit":100"#) {
        3
    } else {
        4
    };
    format!(
        r#"{{"data": {{"compute_session_list": {{"total_count": {count}, "items": [{items}]}}}}, "errors": null}}"#
    )
}

/// An archive of this file. Its content is its name, many times.
fn archive(path: &str) -> Vec<u8> {
    let name = path.rsplit('/').next().unwrap();
    let content = name.repeat(1000);
    let mut header = tar::Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let mut archive = tar::Builder::new(Vec::new());
    archive.append(&header, content.as_bytes()).unwrap();
    archive.into_inner().unwrap()
}

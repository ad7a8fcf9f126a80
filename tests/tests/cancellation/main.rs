//! Futures that are dropped at every await point, and whether their clients still work afterwards.
//!
//! Responses arrive byte by byte, so there are many such points.

mod lab;

use std::time::Instant;

use sorna::engine::HttpTransport;
use sorna::runtime::Runtime;
use sorna::{
    ApiVersion, Cleanup, Client, Config, Ending, ExecutionEvent, Kernel, ListSessions, Pty,
    RunEvent, RunPlan, TerminalEvent, TerminalOptions, UnpackEvent, UploadFile, random_token,
};

use lab::{Drop, Lab, counts, polled};

type OnRuntime<R> = Client<HttpTransport<R>>;

/// The checks, in each dialect that has what they are about, for each async driver. The blocking one has no futures to
/// drop.
macro_rules! cancellation {
    (both: $($check:ident),+; backend_ai: $($only:ident),+; negotiated: $($negotiated:ident),+ $(;)?) => {
        mod sorna_v2 {
            drivers!(V2_20170315: $($check)+);
        }
        mod backend_ai {
            drivers!(V9_20250722: $($check)+ $($only)+);
        }
        mod negotiated {
            drivers!(negotiated: $($negotiated)+);
        }
    };
}

macro_rules! drivers {
    ($version:ident: $($check:ident)+) => {
        mod tokio {
            $(driver!(tokio Tokio $version $check);)+
        }
        mod smol {
            $(driver!(smol Smol $version $check);)+
        }
        mod async_std {
            $(driver!(async_std AsyncStd $version $check);)+
        }
    };
}

macro_rules! driver {
    ($module:ident $driver:ident negotiated $check:ident) => {
        #[test]
        fn $check() {
            // What the lab itself speaks does not matter.
            checked!($driver V9_20250722 $check, lab, {
                let connect = |config| sorna::$module::Client::new(config);
                crate::$check(lab.unversioned_config(), connect)
            });
        }
    };
    ($module:ident $driver:ident $version:ident $check:ident) => {
        #[test]
        fn $check() {
            checked!($driver $version $check, lab, {
                let client = sorna::$module::Client::new(lab.config());
                let lab = &lab;
                async move { crate::$check(lab, &client).await }
            });
        }
    };
}

macro_rules! checked {
    ($driver:ident $version:ident $check:ident, $lab:ident, $future:expr) => {
        use sorna_tests::drivers::Driver;

        let watched = concat!(
            stringify!($check),
            " with ",
            stringify!($driver),
            " in ",
            stringify!($version)
        );
        let _watchdog = sorna_test_tools::watch(watched, crate::lab::LIMIT);
        let $lab = crate::lab::Lab::new(sorna::ApiVersion::$version);
        sorna_tests::drivers::$driver::block_on($future);
        $lab.end();
    };
}

cancellation! {
    both:
        calls,
        creations,
        uploads,
        executions,
        executions_polled_again,
        runs,
        runs_polled_again,
        cancellations,
        terminals_being_opened,
        terminals_polled_again,
        typing;
    backend_ai:
        lists,
        downloads,
        downloads_polled_again,
        events_being_opened,
        events_polled_again;
    negotiated:
        negotiations;
}

/// The next request gets its own response.
async fn still_works<R: Runtime>(client: &OnRuntime<R>, count: usize) {
    let echo = format!("echo {count}");
    let answer = client.authorize(&echo).await.expect("a response");
    assert_eq!(answer.echo, Some(echo));
}

async fn calls<R: Runtime>(lab: &Lab, client: &OnRuntime<R>) {
    let kernel = lab.kernel();
    let kernel = client.kernel(kernel);
    for how in Drop::BOTH {
        for count in counts() {
            let done = polled(kernel.info(), count, how).await;
            still_works(client, count).await;
            if let Some(info) = done {
                assert_eq!(info.expect("an answer").language(), Some("bash"));
                break;
            }
        }
    }
    kernel.destroy().await.expect("destroyed");
}

/// A kernel whose creation was dropped is found by its token.
async fn creations<R: Runtime>(_: &Lab, client: &OnRuntime<R>) {
    for how in Drop::BOTH {
        for count in counts() {
            let token = random_token();
            let creation = client.get_or_create("bash", &token);
            let done = polled(creation, count, how).await;
            still_works(client, count).await;
            let found = client.get_or_create("bash", &token).await;
            let found = found.expect("a kernel");
            found.destroy().await.expect("destroyed");
            if let Some(created) = done {
                assert_eq!(created.expect("a kernel").id(), found.id());
                break;
            }
        }
    }
}

async fn uploads<R: Runtime>(lab: &Lab, client: &OnRuntime<R>) {
    let kernel = client.kernel(lab.kernel());
    for how in Drop::BOTH {
        for count in counts() {
            let file = UploadFile::from_bytes("file", vec![b'x'; 300_000]).expect("a file");
            let done = polled(kernel.upload(vec![file]), count, how).await;
            still_works(client, count).await;
            if let Some(progress) = done {
                assert_eq!(progress.expect("uploaded").files, 1);
                let size = kernel.execute("wc -c < file").finish().await;
                assert_eq!(size.expect("it runs").console.stdout().trim(), "300000");
                break;
            }
        }
    }
    kernel.destroy().await.expect("destroyed");
}

/// An execution that was dropped has run at most once.
async fn executions<R: Runtime>(lab: &Lab, client: &OnRuntime<R>) {
    for how in Drop::BOTH {
        for count in counts() {
            let kernel = client.kernel(lab.kernel());
            let marks = lab.new_marks();
            let code = format!("echo >> {} && echo ran", marks.display());
            let done = polled(kernel.execute(code).finish(), count, how).await;
            still_works(client, count).await;
            kernel.destroy().await.expect("destroyed");
            let ran = lab::lines(&marks);
            assert!(ran <= 1, "it ran {ran} times");
            if let Some(result) = done {
                assert_eq!(result.expect("it ran").console.stdout(), "ran\n");
                assert_eq!(ran, 1);
                break;
            }
        }
    }
}

/// `next_event` is dropped again and again, and no event is lost.
async fn executions_polled_again<R: Runtime>(lab: &Lab, client: &OnRuntime<R>) {
    let kernel = client.kernel(lab.kernel());
    for how in Drop::BOTH {
        let marks = lab.new_marks();
        let code = format!(
            "echo >> {}; echo one; sleep 0.2; read line; echo $line",
            marks.display()
        );
        let mut execution = kernel.execute(code);
        let mut text = String::new();
        loop {
            match polled(execution.next_event(), 1, how).await {
                None => lab::pause(client).await,
                Some(event) => match event.expect("an event") {
                    Some(ExecutionEvent::Console(console)) => text += &console.stdout(),
                    Some(ExecutionEvent::InputRequested { .. }) => {
                        execution.answer("two").expect("it waits");
                    }
                    Some(_) => {}
                    None => break,
                },
            }
        }
        assert_eq!(text, "one\ntwo\n");
        assert_eq!(lab::lines(&marks), 1);
        still_works(client, 0).await;
    }
    kernel.destroy().await.expect("destroyed");
}

fn plan(code: String) -> RunPlan {
    let file = UploadFile::from_bytes("file", "content\n").expect("a file");
    RunPlan::temporary("bash", [code.as_str(), "cat file"]).with_files(vec![file])
}

/// The kernel of a dropped run is destroyed in the background.
async fn runs<R: Runtime>(lab: &Lab, client: &OnRuntime<R>) {
    for how in Drop::BOTH {
        for count in counts() {
            let marks = lab.new_marks();
            let mut run = client.run(plan(format!("echo >> {}; echo ran", marks.display())));
            let whole = async move {
                while run.next_event().await.expect("no input").is_some() {}
                run.into_report().expect("a report")
            };
            let done = polled(whole, count, how).await;
            still_works(client, count).await;
            let start = Instant::now();
            while lab.kernels() > 0 {
                assert!(start.elapsed() < lab::PATIENCE, "a kernel is left");
                lab::pause(client).await;
            }
            assert!(lab::lines(&marks) <= 1);
            if let Some(report) = done {
                assert!(matches!(report.ending, Ending::Finished(Some(_))));
                assert!(matches!(report.cleanup, Cleanup::Destroyed));
                break;
            }
        }
    }
}

async fn runs_polled_again<R: Runtime>(lab: &Lab, client: &OnRuntime<R>) {
    for how in Drop::BOTH {
        let marks = lab.new_marks();
        let code = format!("echo >> {}; echo one; sleep 0.2; echo two", marks.display());
        let mut run = client.run(plan(code));
        let mut text = String::new();
        loop {
            match polled(run.next_event(), 1, how).await {
                None => lab::pause(client).await,
                Some(event) => match event.expect("no input") {
                    Some(RunEvent::Execution(ExecutionEvent::Console(console))) => {
                        text += &console.stdout();
                    }
                    Some(_) => {}
                    None => break,
                },
            }
        }
        assert_eq!(text, "one\ntwo\ncontent\n");
        assert_eq!(lab::lines(&marks), 1);
        let report = run.into_report().expect("a report");
        assert!(matches!(report.cleanup, Cleanup::Destroyed), "{report:?}");
    }
}

/// A cancellation can be dropped as well: the run still ends, only later.
async fn cancellations<R: Runtime>(lab: &Lab, client: &OnRuntime<R>) {
    for how in Drop::BOTH {
        for count in counts().filter(|count| *count > 0) {
            let mut run = client.run(plan("echo on; sleep 1000".to_owned()));
            let mut cancelled = false;
            let mut whole = false;
            while let Some(event) = run.next_event().await.expect("no input") {
                let is_output = matches!(event, RunEvent::Execution(ExecutionEvent::Console(_)));
                if is_output && !cancelled {
                    cancelled = true;
                    let canceller = run.canceller();
                    whole = polled(canceller.cancel(), count, how).await.is_some();
                }
            }
            let report = run.into_report().expect("a report");
            assert!(matches!(report.ending, Ending::Cancelled), "{report:?}");
            assert!(matches!(report.cleanup, Cleanup::Destroyed), "{report:?}");
            assert_eq!(lab.kernels(), 0);
            still_works(client, count).await;
            if whole {
                break;
            }
        }
    }
}

async fn read_until<R: Runtime>(pty: &mut Pty<HttpTransport<R>>, end: &str) -> String {
    let mut all = String::new();
    while !all.contains(end) {
        match pty.next_event().await.expect("an event") {
            Some(TerminalEvent::Output(bytes)) => all += &String::from_utf8_lossy(&bytes),
            Some(_) => {}
            None => panic!("closed after {all:?}"),
        }
    }
    all
}

async fn terminals_being_opened<R: Runtime>(lab: &Lab, client: &OnRuntime<R>) {
    let kernel = client.kernel(lab.kernel());
    for how in Drop::BOTH {
        for count in counts() {
            let opening = kernel.stream_pty(TerminalOptions::default());
            let done = polled(opening, count, how).await;
            still_works(client, count).await;
            if let Some(opened) = done {
                let mut pty = opened.expect("a terminal");
                pty.write(b"echo $((6 * 7))-yes\n").await.expect("typed");
                read_until(&mut pty, "42-yes").await;
                break;
            }
        }
    }
    kernel.destroy().await.expect("destroyed");
}

async fn terminals_polled_again<R: Runtime>(lab: &Lab, client: &OnRuntime<R>) {
    for how in Drop::BOTH {
        // Each with its own shell: they do not see each other's last input.
        let kernel = client.kernel(lab.kernel());
        let pty = kernel.stream_pty(TerminalOptions::default()).await;
        let mut pty = pty.expect("a terminal");
        let code = b"stty raw -echo; printf START; seq 1 300 | tr '\\n' ' '; printf END; read x\n";
        pty.write(code).await.expect("typed");
        let mut all = String::new();
        while !all.ends_with("END") {
            match polled(pty.next_event(), 1, how).await {
                None => lab::pause(client).await,
                Some(event) => {
                    if let Some(TerminalEvent::Output(bytes)) = event.expect("an event") {
                        all += &String::from_utf8_lossy(&bytes);
                    }
                }
            }
        }
        let numbers: String = (1..=300).map(|number| format!("{number} ")).collect();
        assert!(all.contains(&format!("START{numbers}END")), "{all:?}");
        kernel.destroy().await.expect("destroyed");
    }
}

/// Bytes that were accepted before `write` was dropped are sent once, in order.
async fn typing<R: Runtime>(lab: &Lab, client: &OnRuntime<R>) {
    let kernel = client.kernel(lab.kernel());
    let mut pty = kernel.stream_pty(TerminalOptions::default()).await;
    let pty = pty.as_mut().expect("a terminal");
    pty.write(b"stty raw -echo; printf REA''DY; cat\n")
        .await
        .expect("typed");
    read_until(pty, "READY").await;
    for how in Drop::BOTH {
        for count in 1..5 {
            let piece = format!("<{how:?}{count}>");
            let _dropped = polled(pty.write(piece.as_bytes()), count, how).await;
            pty.write(b".").await.expect("typed");
            let read = read_until(pty, ".").await;
            assert_eq!(read, format!("{piece}."));
        }
    }
    kernel.destroy().await.expect("destroyed");
}

/// The answer to a query, not to a request.
async fn lists<R: Runtime>(lab: &Lab, client: &OnRuntime<R>) {
    let kernel = client.kernel(lab.kernel());
    for how in Drop::BOTH {
        for count in counts() {
            let done = polled(client.list(ListSessions::living()), count, how).await;
            still_works(client, count).await;
            if let Some(sessions) = done {
                assert_eq!(&sessions.expect("a list")[0].id, kernel.id());
                break;
            }
        }
    }
    kernel.destroy().await.expect("destroyed");
}

const CONTENT: &str = "a line of a file\n";

async fn with_file<R: Runtime>(lab: &Lab, client: &OnRuntime<R>) -> Kernel<HttpTransport<R>> {
    let kernel = client.kernel(lab.kernel());
    let file = UploadFile::from_bytes("file", CONTENT).expect("a file");
    kernel.upload(vec![file]).await.expect("uploaded");
    kernel
}

/// What a dropped download leaves is whole, or nothing.
async fn downloads<R: Runtime>(lab: &Lab, client: &OnRuntime<R>) {
    let kernel = with_file(lab, client).await;
    for how in Drop::BOTH {
        for count in counts() {
            let directory = tempfile::tempdir().expect("a directory");
            let download = kernel.download(["file"]).save_to(directory.path());
            let done = polled(download, count, how).await;
            still_works(client, count).await;
            let left: Vec<_> = std::fs::read_dir(directory.path())
                .expect("it is there")
                .collect();
            for file in &left {
                let file = file.as_ref().expect("a file").path();
                assert!(file.ends_with("file"), "{file:?}");
                assert_eq!(std::fs::read_to_string(file).expect("text"), CONTENT);
            }
            if let Some(saved) = done {
                assert_eq!((saved.expect("saved").len(), left.len()), (1, 1));
                break;
            }
        }
    }
    kernel.destroy().await.expect("destroyed");
}

/// `next_event` is dropped again and again, and no byte is lost.
async fn downloads_polled_again<R: Runtime>(lab: &Lab, client: &OnRuntime<R>) {
    let kernel = with_file(lab, client).await;
    for how in Drop::BOTH {
        let mut download = kernel.download(["file"]);
        let mut content = Vec::new();
        loop {
            match polled(download.next_event(), 1, how).await {
                None => lab::pause(client).await,
                Some(event) => match event.expect("an event") {
                    Some(UnpackEvent::Data(bytes)) => content.extend_from_slice(&bytes),
                    Some(_) => {}
                    None => break,
                },
            }
        }
        assert_eq!(String::from_utf8_lossy(&content), CONTENT);
        still_works(client, 0).await;
    }
    kernel.destroy().await.expect("destroyed");
}

async fn events_being_opened<R: Runtime>(lab: &Lab, client: &OnRuntime<R>) {
    for how in Drop::BOTH {
        for count in counts() {
            let kernel = client.kernel(lab.kernel());
            let done = polled(kernel.events(), count, how).await;
            still_works(client, count).await;
            kernel.destroy().await.expect("destroyed");
            if let Some(events) = done {
                let event = events.expect("events").next_event().await;
                assert!(event.expect("an event").is_some());
                break;
            }
        }
    }
}

async fn events_polled_again<R: Runtime>(lab: &Lab, client: &OnRuntime<R>) {
    for how in Drop::BOTH {
        let kernel = client.kernel(lab.kernel());
        let mut events = kernel.events().await.expect("events");
        kernel.destroy().await.expect("destroyed");
        let mut names = Vec::new();
        while names.last().is_none_or(|name| name != "session_terminated") {
            match polled(events.next_event(), 1, how).await {
                None => lab::pause(client).await,
                Some(event) => {
                    let event = event.expect("an event").expect("it does not end");
                    assert_eq!(event.session_id.as_deref(), Some(kernel.id().as_str()));
                    names.push(event.name);
                }
            }
        }
        // Each came once.
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all, "{names:?}");
    }
}

/// Each client negotiates anew.
async fn negotiations<R: Runtime>(config: Config, connect: impl Fn(Config) -> OnRuntime<R>) {
    for how in Drop::BOTH {
        for count in counts() {
            let client = connect(config.clone());
            let done = polled(client.negotiated(), count, how).await;
            still_works(&client, count).await;
            let negotiated = client.negotiated().await.expect("a version");
            assert_eq!(negotiated.version, ApiVersion::V9_20250722);
            if let Some(done) = done {
                assert_eq!(done.expect("a version"), negotiated);
                break;
            }
        }
    }
}

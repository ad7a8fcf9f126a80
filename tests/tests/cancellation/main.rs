//! Futures that are dropped at every await point, and whether their clients still work afterwards.
//!
//! Responses arrive byte by byte, so there are many such points.

mod lab;

use std::time::Instant;

use sorna::engine::HttpTransport;
use sorna::runtime::Runtime;
use sorna::{
    Cleanup, Client, Ending, ExecutionEvent, Pty, RunEvent, RunPlan, TerminalEvent,
    TerminalOptions, UploadFile, random_token,
};

use lab::{Drop, Lab, counts, polled};

type OnRuntime<R> = Client<HttpTransport<R>>;

/// The checks, for each async driver. The blocking one has no futures to drop.
macro_rules! cancellation {
    ($($check:ident),+ $(,)?) => {
        cancellation!(@ tokio Tokio $($check)+);
        cancellation!(@ smol Smol $($check)+);
        cancellation!(@ async_std AsyncStd $($check)+);
    };
    (@ $module:ident $driver:ident $($check:ident)+) => {
        mod $module {
            $(
                #[test]
                fn $check() {
                    use sorna_tests::drivers::Driver;

                    let watched = concat!(stringify!($check), " with ", stringify!($driver));
                    let _watchdog = sorna_test_tools::watch(watched, crate::lab::LIMIT);
                    let lab = crate::lab::Lab::new();
                    let options = sorna::ClientOptions::default();
                    let client = sorna::$module::Client::with_options(lab.config(), options);
                    sorna_tests::drivers::$driver::block_on(crate::$check(&lab, &client));
                    lab.end();
                }
            )+
        }
    };
}

cancellation! {
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
    typing,
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

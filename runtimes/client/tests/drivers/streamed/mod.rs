//! Executions over WebSockets, and what happens without them, in all drivers.

#![cfg(all(
    feature = "tokio",
    feature = "smol",
    feature = "async-std",
    feature = "ureq"
))]

mod drivers;
mod server;

use drivers::{AsyncStd, Blocking, Own, Smol, Tokio, WithoutUpgrades};

/// Runs a check for each driver.
macro_rules! each {
    ($($check:ident)*) => {$(
        #[test]
        fn $check() {
            checks::$check::<Blocking>();
            checks::$check::<Tokio>();
            checks::$check::<Smol>();
            checks::$check::<AsyncStd>();
            checks::$check::<Own>();
        }
    )*};
}

each! {
    output_comes_as_it_is_written
    input_goes_as_it_is
    without_a_websocket_code_is_sent_once_by_a_request
    a_refusal_is_remembered_only_if_requests_work
    what_may_have_run_is_never_sent_again
    a_close_is_explained
    a_failure_of_the_manager_is_reported
    a_program_that_is_given_up_is_interrupted
    dropping_closes_the_websocket
    output_that_is_collected_is_polled
    the_options_turn_it_off
    a_kernel_that_is_kept_is_polled_with_a_manager
    a_batch_of_a_temporary_kernel_is_streamed
    large_messages_arrive
}

#[test]
fn a_transport_without_upgrades_polls() {
    checks::polls_by_default::<WithoutUpgrades>();
}

mod checks {
    use std::sync::Arc;
    use std::sync::mpsc;

    use sorna::{
        AbortReason, Batch, Cleanup, ClientOptions, Ending, Error, ExecuteMode, RetryPolicy,
        RunPlan,
    };

    use super::drivers::{Driver, How, Seen, options};
    use super::server::{Manager, Reply, message, not_found, result};

    const OPEN: &str = "GET /stream/session/k1/execute";
    const EXECUTE: &str = "POST /session/k1";

    fn execute<D: Driver>(manager: &Manager, how: How) -> Seen {
        let driver = D::connect(manager.config(), options());
        D::block_on(driver.execute("1".into(), how, |_| ()))
    }

    pub(super) fn output_comes_as_it_is_written<D: Driver>() {
        let (heard, hears) = mpsc::channel();
        let hears = std::sync::Mutex::new(hears);
        let manager = Manager::streaming(move |mut socket| {
            assert_eq!(socket.read().unwrap(), r#"{"mode":"query","code":"1"}"#);
            // What comes next is only sent when what came before was reported.
            for text in ["a", "b"] {
                socket.send(&message("continued", text));
                socket.send(&message("continued", ""));
                let hears = hears.lock().unwrap();
                assert_eq!(hears.recv().unwrap(), text);
            }
            socket.send(&message("finished", "c"));
            socket.close(1000, "");
        });
        let driver = D::connect(manager.config(), options());
        let seen = D::block_on(driver.execute("1".into(), How::default(), |text| {
            // The receiver has gone after the last one.
            let _ = heard.send(text.to_owned());
        }));
        assert_eq!(seen.events, ["a", "b", "c"]);
        assert_eq!(seen.end.unwrap().unwrap().exit_code(), Some(0));
        let requests: Vec<_> = manager.seen().into_iter().take(2).collect();
        assert_eq!(requests, [OPEN, r#"{"mode":"query","code":"1"}"#]);
    }

    pub(super) fn input_goes_as_it_is<D: Driver>() {
        let manager = Manager::streaming(|mut socket| {
            socket.read().unwrap();
            socket.send(&message("waiting-input", "? "));
            let first = socket.read().unwrap();
            socket.send(&message("waiting-input", ""));
            let second = socket.read().unwrap();
            socket.send(&message("finished", &format!("{first}|{second}")));
            socket.close(1000, "");
        });
        let answers = &["é {", ""];
        let how = How {
            answers,
            ..How::default()
        };
        let seen = execute::<D>(&manager, how);
        assert_eq!(seen.events, ["? ", "input?", "input?", "é {|"]);
        assert!(seen.end.unwrap().is_ok());
    }

    /// One without WebSockets, that responds to the request for one in this way.
    fn refusing(refuse: impl Fn() -> Reply + Send + Sync + 'static) -> Manager {
        Manager::start("26.9.6", move |line, body| match line {
            OPEN => refuse(),
            EXECUTE if body.contains(r#""mode":"query""#) => result("continued", "a"),
            EXECUTE => result("finished", "b"),
            _ => not_found(),
        })
    }

    pub(super) fn without_a_websocket_code_is_sent_once_by_a_request<D: Driver>() {
        for status in [0, 200, 400, 404, 426, 500, 501, 502, 503] {
            let manager = refusing(move || match status {
                0 => Reply::Nothing,
                status => Reply::Response(status, "<html>".to_owned()),
            });
            let driver = D::connect(manager.config(), options());
            let mut requests = vec![OPEN, EXECUTE, EXECUTE];
            // The second one does not try again.
            for _ in 0..2 {
                let seen = D::block_on(driver.execute("1".into(), How::default(), |_| ()));
                assert_eq!(seen.events, ["a", "b"], "{status}");
                assert!(seen.end.unwrap().is_ok());
                assert_eq!(manager.seen(), requests, "{status}");
                requests = vec![EXECUTE, EXECUTE];
            }
        }
    }

    pub(super) fn a_refusal_is_remembered_only_if_requests_work<D: Driver>() {
        let manager = Manager::start("26.9.6", |_, _| not_found());
        let driver = D::connect(manager.config(), options());
        for _ in 0..2 {
            let seen = D::block_on(driver.execute("1".into(), How::default(), |_| ()));
            assert!(seen.end.unwrap().unwrap_err().is_not_found());
            assert_eq!(manager.seen(), [OPEN, EXECUTE]);
        }
        // Nor if there were too many requests.
        let manager = refusing(|| Reply::Response(429, String::new()));
        let driver = D::connect(manager.config(), options());
        for _ in 0..2 {
            let seen = D::block_on(driver.execute("1".into(), How::default(), |_| ()));
            assert!(seen.end.unwrap().is_ok());
            assert_eq!(manager.seen(), [OPEN, EXECUTE, EXECUTE]);
        }
    }

    pub(super) fn what_may_have_run_is_never_sent_again<D: Driver>() {
        for says in [false, true] {
            let manager = Manager::streaming(move |mut socket| {
                socket.read().unwrap();
                if says {
                    socket.send(&message("continued", "a"));
                }
                // Without a close frame.
            });
            let seen = execute::<D>(&manager, How::default());
            assert_eq!(seen.events, if says { vec!["a"] } else { vec![] });
            let error = seen.end.unwrap().unwrap_err();
            assert!(matches!(error, Error::MayHaveRun(_)), "{error:?}");
            assert_eq!(manager.seen(), [OPEN, r#"{"mode":"query","code":"1"}"#]);
        }
    }

    pub(super) fn a_close_is_explained<D: Driver>() {
        let manager = Manager::streaming(|mut socket| {
            socket.read().unwrap();
            socket.send(&message("continued", "a"));
            socket.close(1011, "no more");
        });
        let seen = execute::<D>(&manager, How::default());
        assert_eq!(seen.events, ["a"]);
        let error = seen.end.unwrap().unwrap_err();
        assert!(matches!(error, Error::MayHaveRun(_)), "{error:?}");
        assert_eq!(
            error.transport().unwrap().to_string(),
            "the gateway closed the WebSocket before the end of the execution (code 1011: no more)"
        );
    }

    pub(super) fn a_failure_of_the_manager_is_reported<D: Driver>() {
        let manager = Manager::streaming(|mut socket| {
            socket.read().unwrap();
            socket.send(r#"{"status": "error", "msg": "BackendError: no"}"#);
            socket.close(1000, "");
        });
        match execute::<D>(&manager, How::default()).end.unwrap() {
            Err(Error::Aborted(aborted)) => {
                assert!(
                    matches!(&aborted.reason, AbortReason::Reported(text) if text == "BackendError: no")
                );
            }
            end => panic!("{end:?}"),
        }
    }

    pub(super) fn a_program_that_is_given_up_is_interrupted<D: Driver>() {
        let (interrupted, interrupts) = mpsc::channel();
        let interrupts = Arc::new(std::sync::Mutex::new(interrupts));
        let manager = Manager::start("26.9.6", move |line, _| match line {
            OPEN => {
                let interrupts = Arc::clone(&interrupts);
                Reply::WebSocket(Box::new(move |mut socket| {
                    socket.read().unwrap();
                    socket.send(&message("continued", "a"));
                    interrupts.lock().unwrap().recv().unwrap();
                    socket.send(&message("continued", "b"));
                    socket.send(&message("finished", "KeyboardInterrupt"));
                    socket.close(1000, "");
                }))
            }
            "POST /session/k1/interrupt" => {
                interrupted.send(()).unwrap();
                Reply::Response(204, String::new())
            }
            _ => not_found(),
        });
        let how = How {
            gives_up: true,
            ..How::default()
        };
        let seen = execute::<D>(&manager, how);
        assert_eq!(seen.events, ["a", "b", "KeyboardInterrupt"]);
        assert!(seen.end.unwrap().is_ok());
    }

    pub(super) fn dropping_closes_the_websocket<D: Driver>() {
        let (left, leaves) = mpsc::channel();
        let manager = Manager::streaming(move |mut socket| {
            socket.read().unwrap();
            socket.send(&message("continued", "a"));
            let next = socket.read();
            left.send(next).unwrap();
        });
        let how = How {
            drops: true,
            ..How::default()
        };
        let seen = execute::<D>(&manager, how);
        assert_eq!(seen.events, ["a"]);
        assert_eq!(leaves.recv().unwrap(), None);
        let start = r#"{"mode":"query","code":"1"}"#;
        assert_eq!(manager.seen(), [OPEN, start, "close 1000"]);
    }

    /// One that has both, and is asked for output.
    fn both() -> Manager {
        refusing(|| Reply::WebSocket(Box::new(|_| panic!("it is not to be used"))))
    }

    pub(super) fn output_that_is_collected_is_polled<D: Driver>() {
        let manager = both();
        let driver = D::connect(manager.config(), options());
        assert_eq!(D::block_on(driver.run()).unwrap().stdout(), "ab");
        assert_eq!(D::block_on(driver.finish()).unwrap().stdout(), "ab");
        assert_eq!(manager.seen(), [EXECUTE; 4]);
    }

    pub(super) fn the_options_turn_it_off<D: Driver>() {
        let manager = both();
        let driver = D::connect(manager.config(), options().with_streaming(false));
        let seen = D::block_on(driver.execute("1".into(), How::default(), |_| ()));
        assert!(seen.end.unwrap().is_ok());
        let how = How {
            polled: true,
            ..How::default()
        };
        assert!(execute::<D>(&manager, how).end.unwrap().is_ok());
        assert_eq!(manager.seen(), [EXECUTE; 4]);
    }

    pub(super) fn a_kernel_that_is_kept_is_polled_with_a_manager<D: Driver>() {
        let manager = both();
        let options = ClientOptions::new().with_retry(RetryPolicy::never());
        let driver = D::connect(manager.config(), options);
        let seen = D::block_on(driver.execute("1".into(), How::default(), |_| ()));
        assert!(seen.end.unwrap().is_ok());
        assert_eq!(manager.seen(), [EXECUTE; 2]);
    }

    pub(super) fn polls_by_default<D: Driver>() {
        let manager = both();
        assert!(execute::<D>(&manager, How::default()).end.unwrap().is_ok());
        assert_eq!(manager.seen(), [EXECUTE; 2]);
    }

    pub(super) fn a_batch_of_a_temporary_kernel_is_streamed<D: Driver>() {
        // The end of the command is reported, and what follows it never comes: see 26.9.6.
        let manager = Manager::start("26.9.6", |line, body| match line {
            "POST /session" => Reply::Response(
                201,
                r#"{"sessionId": "k1", "sessionName": "n", "status": "RUNNING", "created": true}"#
                    .to_owned(),
            ),
            "DELETE /session/k1?forced=true" | "DELETE /session/k1" => {
                Reply::Response(200, r#"{"stats": {}}"#.to_owned())
            }
            OPEN => Reply::WebSocket(Box::new(|mut socket| {
                let first = socket.read().unwrap();
                assert!(first.contains("./main"), "{first}");
                socket.send(&message("continued", "a"));
                socket.send(&message("clean-finished", "b"));
                while socket.read().is_some() {}
            })),
            // A batch in a kernel that is used again.
            EXECUTE if body.contains("./main") => result("clean-finished", "a"),
            EXECUTE => result("finished", ""),
            _ => not_found(),
        });
        let driver = D::connect(manager.config(), options());
        let batch = || -> ExecuteMode { Batch::new().without_build().with_exec("./main").into() };
        let plan = RunPlan::temporary("c", [batch()]);
        let (report, events) = D::block_on(driver.carry_out(plan));
        assert_eq!(events, ["a", "b"]);
        assert!(
            matches!(report.ending, Ending::Finished(Some(_))),
            "{report:?}"
        );
        assert!(matches!(report.cleanup, Cleanup::Destroyed), "{report:?}");
        let seen = manager.seen();
        assert!(seen.iter().any(|line| line == OPEN), "{seen:?}");
        assert!(!seen.iter().any(|line| line == EXECUTE), "{seen:?}");
        // In a kernel that is used again, it could block the session.
        let seen = D::block_on(driver.execute(batch(), How::default(), |_| ()));
        assert!(seen.end.unwrap().is_ok());
        // The close of the WebSocket before may be seen only now.
        let mut seen = manager.seen();
        seen.retain(|line| !line.starts_with("close "));
        assert_eq!(seen, [EXECUTE, EXECUTE]);
    }

    pub(super) fn large_messages_arrive<D: Driver>() {
        const SIZE: usize = 6 * 1024 * 1024;
        let manager = Manager::streaming(|mut socket| {
            socket.read().unwrap();
            socket.send(&message("continued", &"x".repeat(SIZE)));
            socket.send(&message("finished", ""));
            socket.close(1000, "");
        });
        let seen = execute::<D>(&manager, How::default());
        assert_eq!(seen.events[0].len(), SIZE);
        assert!(seen.end.unwrap().is_ok());
    }
}

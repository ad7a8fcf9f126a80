//! Terminals in virtual time.

use std::time::UNIX_EPOCH;

use super::*;

struct Scene {
    terminal: Terminal,
    now: Moment,
}

impl Scene {
    /// A terminal that has sent its size.
    fn new() -> Self {
        let now = Moment::new(
            UNIX_EPOCH,
            Instant::from_origin(Duration::from_secs(100)),
            0,
        );
        let mut this = Self {
            terminal: Terminal::new(TerminalOptions::default(), now),
            now,
        };
        this.sends(r#"{"type":"resize","rows":24,"cols":80}"#);
        this
    }

    /// A terminal that is open.
    fn settled() -> Self {
        let mut this = Self::new();
        this.receives(r#"{"type":"out","data":""}"#);
        assert_eq!(
            this.terminal.poll_event(),
            Some(TerminalEvent::Output(Bytes::new()))
        );
        this
    }

    fn poll(&mut self) -> Outgoing {
        self.terminal.poll_outgoing(self.now)
    }

    #[track_caller]
    fn sends(&mut self, text: &str) {
        assert_eq!(self.poll(), Outgoing::Send(Frame::Text(text.to_owned())));
    }

    fn receives(&mut self, text: &str) {
        self.terminal
            .handle_frame(self.now, Frame::Text(text.to_owned()));
    }

    #[track_caller]
    fn waits(&mut self) {
        let Outgoing::Wait(until) = self.poll() else {
            panic!("it does not wait")
        };
        self.now = self
            .now
            .after(until.saturating_duration_since(self.now.instant));
    }
}

#[test]
fn typing_waits_for_the_first_output_or_a_moment() {
    let mut scene = Scene::new();
    scene.terminal.stdin(b"x");
    let start = scene.now.instant;
    scene.waits();
    assert_eq!(scene.now.instant.saturating_duration_since(start), SETTLING);
    scene.sends(r#"{"type":"stdin","chars":"eA=="}"#);
}

#[test]
fn control_messages_do_not_wait_for_typing() {
    let mut scene = Scene::new();
    scene.terminal.stdin(b"x");
    scene.terminal.resize(1, 2);
    scene.terminal.resize(3, 4);
    scene.sends(r#"{"type":"resize","rows":3,"cols":4}"#);
    scene.waits();
}

#[test]
fn a_ping_is_sent_when_nothing_else_was() {
    let mut scene = Scene::settled();
    let start = scene.now.instant;
    scene.waits();
    assert_eq!(
        scene.now.instant.saturating_duration_since(start),
        Duration::from_secs(30)
    );
    scene.terminal.stdin(b"x");
    scene.sends(r#"{"type":"stdin","chars":"eA=="}"#);
    scene.waits();
    scene.sends(r#"{"type":"ping"}"#);
    scene.waits();
}

#[test]
fn large_input_is_cut_and_counted() {
    let mut scene = Scene::settled();
    scene.terminal.stdin(&vec![0; 2 * CHUNK + 1]);
    assert_eq!(scene.terminal.queued(), 2 * CHUNK + 1);
    for left in [CHUNK + 1, 1, 0] {
        assert!(matches!(scene.poll(), Outgoing::Send(_)));
        assert_eq!(scene.terminal.queued(), left);
    }
    scene.waits();
}

/// The terminal of gateway 0.9.11 after a restart, as observed: the first input is lost; an empty one in the first 0.2 s
/// changes nothing; what is typed less than 0.2 s after the first one is lost as well.
#[derive(Default)]
struct Of2017 {
    restarted: Option<Instant>,
    woken: Option<Instant>,
    received: Vec<u8>,
}

impl Of2017 {
    fn receives(&mut self, now: Instant, command: Command) {
        let ms = Duration::from_millis;
        match (command, self.restarted, self.woken) {
            (Command::Restart, ..) => {
                self.restarted = Some(now);
                self.woken = None;
            }
            (Command::Stdin(bytes), Some(at), None) if !bytes.is_empty() || now >= at + ms(400) => {
                self.woken = Some(now);
            }
            (Command::Stdin(_), Some(_), None) => {}
            (Command::Stdin(_), _, Some(at)) if now < at + ms(200) => {}
            (Command::Stdin(bytes), ..) => self.received.extend_from_slice(&bytes),
            _ => {}
        }
    }
}

/// Drives a terminal for some seconds, as a driver does: sends what there is, and waits until there is more.
fn drive(scene: &mut Scene, gateway: &mut Of2017) {
    let end = scene.now.after(Duration::from_secs(20));
    while scene.now.instant < end.instant {
        match scene.poll() {
            Outgoing::Send(Frame::Text(text)) => {
                let command = Command::decode(&text).expect("our own encoding");
                gateway.receives(scene.now.instant, command);
            }
            Outgoing::Wait(until) => {
                assert_eq!(scene.terminal.next_timeout(), Some(until));
                assert!(until > scene.now.instant);
                let time = until.saturating_duration_since(scene.now.instant);
                scene.now = scene.now.after(time);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn nothing_that_is_typed_around_a_restart_is_lost_in_2017() {
    for stale in [false, true] {
        let mut scene = Scene::settled();
        let mut gateway = Of2017::default();
        scene.terminal.stdin(b"a");
        scene.terminal.restart();
        scene.terminal.stdin(b"b");
        scene.sends(r#"{"type":"stdin","chars":"YQ=="}"#);
        scene.sends(r#"{"type":"restart"}"#);
        gateway.received.push(b'a');
        gateway.receives(scene.now.instant, Command::Restart);
        if stale {
            // Output of the old kernel was still in flight.
            scene.receives(r#"{"type":"out","data":"aGk="}"#);
        }
        scene.terminal.restart();
        scene.terminal.stdin(b"c");
        scene.terminal.resize(1, 2);
        drive(&mut scene, &mut gateway);
        scene.terminal.stdin(b"d");
        drive(&mut scene, &mut gateway);
        assert_eq!(gateway.received, b"abcd");
    }
}

#[test]
fn a_restart_is_followed_by_an_empty_input_even_if_nothing_is_typed() {
    let mut scene = Scene::settled();
    scene.terminal.restart();
    scene.sends(r#"{"type":"restart"}"#);
    assert!(!scene.terminal.has_unsent());
    let start = scene.now.instant;
    scene.waits();
    assert_eq!(scene.now.instant, start + RESTARTING);
    scene.sends(r#"{"type":"stdin","chars":""}"#);
    // Output says that the new kernel is ready.
    scene.terminal.stdin(b"x");
    assert!(matches!(scene.poll(), Outgoing::Wait(_)));
    scene.receives(r#"{"type":"out","data":"aGk="}"#);
    scene.sends(r#"{"type":"stdin","chars":"eA=="}"#);
}

#[test]
fn a_ping_is_sent_while_typing_is_held_back() {
    let mut scene = Scene::new();
    let options = TerminalOptions::new().with_ping_interval(Duration::from_millis(50));
    scene.terminal = Terminal::new(options, scene.now);
    scene.sends(r#"{"type":"resize","rows":24,"cols":80}"#);
    scene.terminal.stdin(b"x");
    scene.waits();
    scene.sends(r#"{"type":"ping"}"#);
}

#[test]
fn unknown_messages_and_binary_frames_are_accepted() {
    let mut scene = Scene::new();
    scene.receives(r#"{"type":"bell"}"#);
    let json = r#"{"type":"out","data":"aGk="}"#;
    scene
        .terminal
        .handle_frame(scene.now, Frame::Binary(json.into()));
    scene.receives(r#"{"type":"error","data":"no"}"#);
    let unknown = TerminalEvent::Unknown(r#"{"type":"bell"}"#.to_owned());
    assert_eq!(scene.terminal.poll_event(), Some(unknown));
    assert_eq!(
        scene.terminal.poll_event(),
        Some(TerminalEvent::Output("hi".into()))
    );
    assert_eq!(
        scene.terminal.poll_event(),
        Some(TerminalEvent::Error("no".to_owned()))
    );
    assert_eq!(scene.terminal.poll_event(), None);
}

#[test]
fn nothing_follows_the_close() {
    let mut scene = Scene::settled();
    scene.terminal.stdin(b"lost");
    scene.receives(r#"{"type":"out","data":"aGk="}"#);
    scene.terminal.handle_close(Some(1000), "");
    scene.receives("HTTP/1.1 500 Internal Server Error");
    scene.terminal.handle_close(None, "again");
    scene.terminal.stdin(b"x");
    scene.terminal.restart();
    assert_eq!(scene.poll(), Outgoing::Closed);
    assert_eq!(scene.terminal.queued(), 0);
    assert_eq!(
        scene.terminal.poll_event(),
        Some(TerminalEvent::Output("hi".into()))
    );
    let closed = TerminalEvent::Closed {
        code: Some(1000),
        reason: String::new(),
    };
    assert_eq!(scene.terminal.poll_event(), Some(closed));
    assert_eq!(scene.terminal.poll_event(), None);
}

#[test]
fn a_broken_connection_is_not_an_event() {
    let mut scene = Scene::settled();
    scene.receives(r#"{"type":"out","data":"aGk="}"#);
    scene.terminal.handle_failure();
    scene.terminal.handle_close(None, "");
    assert_eq!(
        scene.terminal.poll_event(),
        Some(TerminalEvent::Output("hi".into()))
    );
    assert_eq!(scene.terminal.poll_event(), None);
    assert!(scene.terminal.is_closed());
}

#[test]
fn a_closed_terminal_keeps_nothing_for_later() {
    let mut scene = Scene::settled();
    scene.terminal.handle_close(None, "");
    scene.terminal.stdin(b"x");
    scene.terminal.resize(1, 2);
    scene.terminal.ping();
    scene.terminal.restart();
    assert!(!scene.terminal.has_unsent());
    assert_eq!(scene.poll(), Outgoing::Closed);
}

#[test]
fn at_most_one_ping_waits_to_be_sent() {
    let mut scene = Scene::settled();
    scene.terminal.ping();
    scene.terminal.ping();
    scene.sends(r#"{"type":"ping"}"#);
    assert!(!scene.terminal.has_unsent());
}

#[test]
fn a_restart_that_is_held_back_counts_as_unsent() {
    let mut scene = Scene::new();
    assert!(!scene.terminal.has_unsent());
    scene.terminal.restart();
    assert!(scene.terminal.has_unsent());
    assert_eq!(scene.terminal.queued(), 0);
}

/// Terminals of Backend.AI.
mod backend_ai {
    use super::*;

    /// One that has said its size, in which `x` was typed.
    fn typed(version: ApiVersion) -> Scene {
        let mut scene = Scene::new();
        scene.terminal = scene.terminal.with_version(version);
        scene.terminal.stdin(b"x");
        scene.waits();
        scene.sends(r#"{"type":"stdin","chars":"eA=="}"#);
        scene
    }

    fn events(scene: &mut Scene) -> Vec<TerminalEvent> {
        std::iter::from_fn(|| scene.terminal.poll_event()).collect()
    }

    fn closed(code: u16) -> TerminalEvent {
        TerminalEvent::Closed {
            code: Some(code),
            reason: String::new(),
        }
    }

    const OUT: &str = r#"{"type":"out","data":"aGk="}"#;

    #[test]
    fn a_manager_that_closes_at_the_first_input_loses_it() {
        for (version, loses) in [
            (ApiVersion::V7_20230615, true),
            (ApiVersion::V8_20240915, true),
            (ApiVersion::V9_20250722, false),
            (ApiVersion::V2_20170315, false),
        ] {
            let mut scene = typed(version);
            scene.terminal.handle_close(Some(1000), "");
            let mut expected = vec![closed(1000)];
            if loses {
                expected.insert(0, TerminalEvent::InputLost);
            }
            assert_eq!(events(&mut scene), expected, "{version}");
        }
    }

    #[test]
    fn other_endings_are_no_lost_input() {
        let version = ApiVersion::V7_20230615;
        // Something came of the typing.
        let mut scene = typed(version);
        scene.receives(OUT);
        scene.terminal.handle_close(Some(1000), "");
        assert_eq!(events(&mut scene).last(), Some(&closed(1000)));
        assert_eq!(events(&mut scene), []);
        // Another reason, and nothing typed.
        let mut scene = typed(version);
        scene.terminal.handle_close(Some(1001), "");
        assert_eq!(events(&mut scene), [closed(1001)]);
        let mut scene = Scene::new();
        scene.terminal = scene.terminal.with_version(version);
        scene.terminal.stdin(b"not sent yet");
        scene.terminal.handle_close(Some(1000), "");
        assert_eq!(events(&mut scene), [closed(1000)]);
    }

    #[test]
    fn output_before_the_first_input_says_nothing_of_it() {
        let mut scene = Scene::new();
        scene.terminal = scene.terminal.with_version(ApiVersion::V7_20230615);
        scene.receives(OUT);
        scene.terminal.stdin(b"x");
        assert!(matches!(scene.poll(), Outgoing::Send(_)));
        scene.terminal.handle_close(Some(1000), "");
        let expected = [
            TerminalEvent::Output("hi".into()),
            TerminalEvent::InputLost,
            closed(1000),
        ];
        assert_eq!(events(&mut scene), expected);
    }

    #[test]
    fn silence_is_reported_once() {
        let mut scene = typed(ApiVersion::V9_20250722);
        let start = scene.now.instant;
        let due = start + Duration::from_secs(10);
        assert_eq!(scene.terminal.next_timeout(), Some(due));
        assert_eq!(
            scene.terminal.next_ping(),
            Some(start + Duration::from_secs(30))
        );
        scene.waits();
        assert_eq!(scene.now.instant, due);
        assert_eq!(events(&mut scene), []);
        scene.waits();
        assert_eq!(events(&mut scene), [TerminalEvent::Silent]);
        scene.sends(r#"{"type":"ping"}"#);
        scene.waits();
        assert_eq!(events(&mut scene), []);
        // It is not closed for that.
        scene.receives(OUT);
        assert_eq!(events(&mut scene), [TerminalEvent::Output("hi".into())]);
    }

    #[test]
    fn a_terminal_that_shows_something_or_has_nothing_to_show_is_not_silent() {
        let minute = Duration::from_secs(60);
        let mut scene = typed(ApiVersion::V9_20250722);
        scene.receives(OUT);
        scene.now = scene.now.after(minute);
        let _ = scene.poll();
        assert_eq!(events(&mut scene), [TerminalEvent::Output("hi".into())]);

        let mut scene = Scene::new();
        scene.terminal = scene.terminal.with_version(ApiVersion::V9_20250722);
        scene.now = scene.now.after(minute);
        let _ = scene.poll();
        assert_eq!(events(&mut scene), []);

        // Gateways of Sorna v2 have not this defect.
        let mut scene = typed(ApiVersion::V2_20170315);
        scene.now = scene.now.after(minute);
        let _ = scene.poll();
        assert_eq!(events(&mut scene), []);
        assert_eq!(scene.terminal.next_timeout(), scene.terminal.next_ping());

        let mut scene = typed(ApiVersion::V9_20250722);
        scene.terminal.handle_failure();
        scene.now = scene.now.after(minute);
        assert_eq!(scene.poll(), Outgoing::Closed);
        assert_eq!(
            (events(&mut scene), scene.terminal.next_timeout()),
            (vec![], None)
        );
    }

    #[test]
    fn typing_again_does_not_put_silence_off() {
        let mut scene = typed(ApiVersion::V9_20250722);
        for _ in 0..10 {
            scene.now = scene.now.after(Duration::from_secs(1));
            scene.terminal.stdin(b"x");
            scene.sends(r#"{"type":"stdin","chars":"eA=="}"#);
        }
        assert_eq!(events(&mut scene), [TerminalEvent::Silent]);
    }

    #[test]
    fn a_restart_types_nothing() {
        let mut scene = Scene::new();
        scene.terminal = scene.terminal.with_version(ApiVersion::V7_20230615);
        scene.terminal.restart();
        scene.waits();
        scene.sends(r#"{"type":"restart"}"#);
        assert!(!scene.terminal.has_unsent());
    }

    #[test]
    fn messages_come_in_binary_frames_and_go_in_text() {
        let mut scene = typed(ApiVersion::V9_20250722);
        // Without spaces and with, whole messages each.
        for json in [
            r#"{"type":"out","data":"d29yayQg"}"#,
            r#"{"type": "out", "data": "d29yayQg"}"#,
        ] {
            scene
                .terminal
                .handle_frame(scene.now, Frame::Binary(json.into()));
        }
        scene
            .terminal
            .handle_frame(scene.now, Frame::Binary(Bytes::from_static(b"\xff")));
        let output = || TerminalEvent::Output("work$ ".into());
        let unknown = TerminalEvent::Unknown("\u{fffd}".to_owned());
        assert_eq!(events(&mut scene), [output(), output(), unknown]);
    }
}

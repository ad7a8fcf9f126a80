//! The messages of a terminal.

use std::io::{Read as _, Write as _};
use std::thread;
use std::time::Duration;

use sorna::blocking::{Pty, PtyReader, PtyWriter};
use sorna::protocol::terminal::Command;
use sorna::{TerminalEvent, TerminalOptions};
use tungstenite::Message;

use super::gateway::{Gateway, Peer, closed, output};

fn typed(bytes: &'static [u8]) -> Command {
    Command::Stdin(bytes.into())
}

#[test]
fn halves_can_be_used_on_other_threads() {
    fn sendable<T: Send + 'static>() {}
    fn shareable<T: Sync>() {}
    sendable::<Pty>();
    sendable::<PtyReader>();
    sendable::<PtyWriter>();
    shareable::<PtyWriter>();
}

#[test]
fn commands_are_sent_in_order() {
    let gateway = Gateway::plain(|mut peer| {
        peer.expect_size();
        peer.expect(typed(b"one"));
        peer.expect(Command::Resize { rows: 3, cols: 4 });
        peer.expect(Command::Restart);
        peer.expect(Command::Ping);
        // Gateway 0.9.11 loses the first input after a restart.
        peer.expect(typed(b""));
        peer.expect(typed(b"two"));
        peer.drain();
    });
    let mut pty = gateway.open();
    pty.write(b"one").unwrap();
    pty.resize(3, 4).unwrap();
    pty.restart().unwrap();
    pty.ping().unwrap();
    pty.write(b"two").unwrap();
    pty.close().unwrap();
    gateway.join();
}

#[test]
fn restart_at_the_start_is_sent() {
    let gateway = Gateway::plain(|mut peer| {
        peer.expect_size();
        peer.expect(Command::Restart);
        peer.drain();
    });
    let mut pty = gateway.open();
    pty.restart().unwrap();
    pty.close().unwrap();
    gateway.join();
}

#[test]
fn empty_input_follows_a_restart_between_calls() {
    let gateway = Gateway::plain(|mut peer| {
        peer.expect_size();
        peer.expect(Command::Restart);
        peer.expect(typed(b""));
    });
    let mut pty = gateway.open();
    pty.restart().unwrap();
    // The caller neither reads nor writes meanwhile.
    gateway.join();
}

#[test]
fn ping_is_sent_between_calls() {
    let gateway = Gateway::plain(|mut peer| {
        peer.expect_size();
        for _ in 0..3 {
            peer.expect(Command::Ping);
        }
    });
    let options = TerminalOptions::new().with_ping_interval(Duration::from_millis(20));
    let _pty = gateway.kernel().stream_pty(options).unwrap();
    // The caller neither reads nor writes meanwhile.
    gateway.join();
}

#[test]
fn every_kind_of_message_is_an_event() {
    let gateway = Gateway::plain(|mut peer| {
        peer.show(b"\xff\x00\x1b[0m");
        peer.say(r#"{"type":"error","data":"no \"é\""}"#);
        peer.say(r#"{"type":"bell","times":2}"#);
        peer.say("not even JSON");
        let binary = Message::binary(br#"{"type":"out","data":"aGk="}"#.as_slice());
        peer.socket.send(binary).unwrap();
        peer.socket.close(None).unwrap();
        peer.drain();
    });
    let (reader, _writer) = gateway.open().split();
    let events: Vec<TerminalEvent> = reader.map(Result::unwrap).collect();
    assert_eq!(
        events,
        [
            TerminalEvent::Output(b"\xff\x00\x1b[0m".as_slice().into()),
            TerminalEvent::Error("no \"é\"".to_owned()),
            TerminalEvent::Unknown(r#"{"type":"bell","times":2}"#.to_owned()),
            TerminalEvent::Unknown("not even JSON".to_owned()),
            TerminalEvent::Output("hi".into()),
            closed(None, "").unwrap(),
        ]
    );
    gateway.join();
}

#[test]
fn output_can_be_read_as_bytes() {
    let gateway = Gateway::plain(|mut peer| {
        peer.show(b"hello, ");
        peer.show(b"");
        peer.say(r#"{"type":"bell"}"#);
        peer.show(b"world");
        peer.say(r#"{"type":"error","data":"oops"}"#);
        peer.show(b"rest");
        peer.socket.close(None).unwrap();
        peer.drain();
    });
    let (mut reader, _writer) = gateway.open().split();
    let mut bytes = [0; 10];
    reader.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"hello, wor");
    // Output that was not read is still an event.
    assert_eq!(output(reader.next_event().unwrap()), b"ld");
    assert_eq!(reader.read(&mut bytes).unwrap_err().to_string(), "oops");
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"rest");
    assert_eq!(reader.next_event().unwrap(), None);
    gateway.join();
}

#[test]
fn several_threads_may_write() {
    const EACH: usize = 50;
    let gateway = Gateway::plain(|mut peer| {
        peer.expect_size();
        let mut seen = [0; 4];
        for _ in 0..4 * EACH {
            let Some(Command::Stdin(bytes)) = peer.command() else {
                panic!("no typing")
            };
            let [who, number] = bytes[..] else {
                panic!("calls are mixed: {bytes:?}")
            };
            assert_eq!(seen[usize::from(who)], number);
            seen[usize::from(who)] += 1;
        }
        peer.drain();
    });
    let (reader, writer) = gateway.open().split();
    let threads: Vec<_> = (0..4)
        .map(|who| {
            let mut writer = writer.clone();
            thread::spawn(move || {
                for number in 0..EACH as u8 {
                    writer.write_all(&[who, number]).unwrap();
                }
                writer.flush().unwrap();
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    drop((reader, writer));
    gateway.join();
}

#[test]
fn websocket_pings_get_replies_between_calls() {
    let gateway = Gateway::encrypted(|mut peer: Peer| {
        peer.expect_size();
        for n in 0..3 {
            peer.socket.send(Message::Ping(vec![n].into())).unwrap();
            assert_eq!(peer.socket.read().unwrap(), Message::Pong(vec![n].into()));
        }
    });
    let _pty = gateway.open();
    gateway.join();
}

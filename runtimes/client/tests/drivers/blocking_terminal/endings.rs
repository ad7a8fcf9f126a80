//! How a terminal ends.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;

use sorna::protocol::terminal::Command;
use sorna::{Error, TerminalEvent, TransportErrorKind, UsageError};
use tungstenite::Message;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameSocket};

use super::gateway::{Gateway, chain, closed, output};

fn goodbye(reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame {
        code: CloseCode::Normal,
        reason: reason.into(),
    }))
}

#[track_caller]
fn assert_closed(result: Result<(), Error>) {
    let error = result.expect_err("it is closed");
    assert!(
        matches!(error, Error::Usage(UsageError::TerminalClosed)),
        "{error:?}"
    );
}

#[test]
fn gateways_close_is_acknowledged_and_ends_the_events() {
    for secure in [false, true] {
        let gateway = Gateway::either(secure, |mut peer| {
            peer.expect_size();
            peer.show(b"bye");
            peer.socket.write(goodbye("kernel is gone")).unwrap();
            peer.socket.flush().unwrap();
            // Gateway 0.9.11 does this.
            let garbage = b"HTTP/1.1 500 Internal Server Error\r\n\r\n\x81\x7f\xff";
            peer.socket.get_mut().write_all(garbage).unwrap();
            peer.socket.get_mut().flush().unwrap();
            assert!(matches!(peer.socket.read(), Ok(Message::Close(Some(_)))));
            peer.drain();
        });
        let mut pty = gateway.open();
        assert_eq!(output(pty.next_event().unwrap()), b"bye");
        assert_eq!(pty.next_event().unwrap(), closed(1000, "kernel is gone"));
        assert_eq!(pty.next_event().unwrap(), None);
        assert_eq!(pty.next_event().unwrap(), None);
        assert!(pty.is_closed());
        assert_closed(pty.write(b"x"));
        assert_closed(pty.resize(1, 1));
        assert_closed(pty.ping());
        assert_closed(pty.restart());
        let (reader, mut writer) = pty.split();
        assert_closed(writer.write(b"x"));
        assert!(writer.write_all(b"x").is_err());
        writer.close().unwrap();
        // The connection ends although both halves still exist.
        gateway.join();
        drop((reader, writer));
    }
}

#[test]
fn oversized_message_is_rejected() {
    let gateway = Gateway::either(false, |mut peer| {
        peer.expect_size();
        // The client may close the connection before the whole message is sent.
        let _ = peer.socket.send(Message::text("x".repeat(5 * 1024 * 1024)));
    });
    let mut pty = gateway.open();
    let error = pty.next_event().expect_err("it is too large");
    let failure = error.transport().expect("a failure");
    assert_eq!(failure.kind(), TransportErrorKind::TooLarge, "{failure}");
    drop(pty);
    gateway.join();
}

#[test]
fn broken_connection_is_reported_once() {
    for secure in [false, true] {
        let gateway = Gateway::either(secure, |mut peer| {
            peer.show(b"half a");
            peer.expect_size();
        });
        let mut pty = gateway.open();
        assert_eq!(output(pty.next_event().unwrap()), b"half a");
        let error = pty.next_event().unwrap_err();
        let failure = error.transport().unwrap();
        assert_eq!(
            failure.kind(),
            TransportErrorKind::Receive,
            "{}",
            chain(&error)
        );
        assert_eq!(pty.next_event().unwrap(), None);
        assert_eq!(pty.next_event().unwrap(), None);
        assert!(pty.is_closed());
        assert_closed(pty.write(b"x"));
        gateway.join();
    }
}

#[test]
fn waiting_writer_gets_the_failure() {
    let gateway = Gateway::plain(|mut peer| {
        peer.expect_size();
        assert!(peer.command().is_some());
    });
    let (mut reader, mut writer) = gateway.open().split();
    let typing = thread::spawn(move || writer.write(&vec![0; 64 * 1024 * 1024]));
    let error = typing.join().unwrap().unwrap_err();
    assert_eq!(
        error.transport().unwrap().kind(),
        TransportErrorKind::Receive
    );
    assert!(reader.next_event().is_err());
    assert_eq!(reader.next_event().unwrap(), None);
    gateway.join();
}

#[test]
fn a_peer_that_does_not_speak_websocket_is_an_error() {
    for (garbage, kind, words) in [
        (
            b"HTTP/1.1 500 Oops\r\n\r\n".repeat(10),
            TransportErrorKind::Receive,
            "does not speak WebSocket",
        ),
        (
            // A frame of 16 MiB.
            vec![0x81, 127, 0, 0, 0, 0, 1, 0, 0, 0],
            TransportErrorKind::TooLarge,
            "too large a message",
        ),
    ] {
        let gateway = Gateway::plain(move |mut peer| {
            peer.socket.get_mut().write_all(&garbage).unwrap();
            peer.drain();
        });
        let mut pty = gateway.open();
        let error = pty.next_event().unwrap_err();
        assert_eq!(error.transport().unwrap().kind(), kind);
        assert!(chain(&error).contains(words), "{}", chain(&error));
        assert_eq!(pty.next_event().unwrap(), None);
        gateway.join();
    }
}

#[test]
fn our_close_comes_after_what_was_typed() {
    let gateway = Gateway::encrypted(|mut peer| {
        peer.expect_size();
        peer.expect(Command::Stdin("exit\n".into()));
        assert_eq!(peer.socket.read().unwrap(), goodbye(""));
        peer.drain();
    });
    let (mut reader, mut writer) = gateway.open().split();
    let mut other = writer.clone();
    writer.write_all(b"exit\n").unwrap();
    writer.close().unwrap();
    assert_closed(other.write(b"x"));
    writer.close().unwrap();
    assert_eq!(reader.next_event().unwrap(), closed(1000, ""));
    assert_eq!(reader.next_event().unwrap(), None);
    gateway.join();
}

/// Reads frames until the client's close frame, and leaves the reply to the caller.
fn until_goodbye(tcp: TcpStream) -> FrameSocket<TcpStream> {
    let tcp = tungstenite::accept(tcp).unwrap().into_inner();
    let mut frames = FrameSocket::new(tcp);
    while frames.read(None).unwrap().unwrap().header().opcode != OpCode::Control(Control::Close) {}
    frames
}

#[test]
fn output_may_arrive_until_the_gateways_close_frame() {
    let gateway = Gateway::raw(|tcp| {
        let mut frames = until_goodbye(tcp);
        let last = r#"{"type":"out","data":"aGk="}"#;
        let last = Frame::message(last, OpCode::Data(Data::Text), true);
        frames.send(last).unwrap();
        frames.send(Frame::close(None)).unwrap();
        assert!(frames.read(None).unwrap().is_none());
    });
    let (reader, mut writer) = gateway.open().split();
    writer.close().unwrap();
    let events: Vec<TerminalEvent> = reader.map(Result::unwrap).collect();
    let last = TerminalEvent::Output("hi".into());
    assert_eq!(events, [last, closed(None, "").unwrap()]);
    gateway.join();
}

#[test]
fn abrupt_end_after_our_close_is_an_end() {
    let gateway = Gateway::raw(|tcp| drop(until_goodbye(tcp)));
    let (mut reader, mut writer) = gateway.open().split();
    writer.close().unwrap();
    assert_eq!(reader.next_event().unwrap(), closed(None, ""));
    assert_eq!(reader.next_event().unwrap(), None);
    gateway.join();
}

#[test]
fn close_does_not_wait_long_for_the_gateway() {
    let (left, wait) = mpsc::channel::<()>();
    let gateway = Gateway::plain(move |mut peer| {
        peer.expect_size();
        wait.recv().unwrap_err();
        assert!(peer.drain());
    });
    gateway.open().close().unwrap();
    drop(left);
    gateway.join();
}

#[test]
fn dropping_both_halves_closes_the_terminal() {
    for secure in [false, true] {
        for reader_first in [false, true] {
            let gateway = Gateway::either(secure, |mut peer| {
                peer.expect_size();
                peer.expect(Command::Stdin("x".into()));
                assert!(peer.drain(), "no goodbye");
            });
            let (reader, mut writer) = gateway.open().split();
            writer.write(b"x").unwrap();
            match reader_first {
                true => drop((reader, writer)),
                false => drop((writer, reader)),
            }
            gateway.join();
        }
    }
}

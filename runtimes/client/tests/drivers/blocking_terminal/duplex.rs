//! Large amounts of data in both directions at once, and slow peers.

use std::hash::{DefaultHasher, Hasher};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use sorna::TerminalEvent;
use sorna::blocking::{PtyReader, PtyWriter};
use sorna::protocol::terminal::Command;
use tungstenite::Message;

use super::gateway::{Gateway, Peer, output};

const MIB: usize = 1024 * 1024;
const SIZE: usize = 10 * MIB;
const CHUNK: usize = 16 * 1024;

/// Pseudorandom bytes, different for each seed.
fn pattern(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.rotate_left(20).to_le_bytes()
    });
    words.take(SIZE / 8).flatten().collect()
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Reads typed bytes until there are as many as in the pattern.
fn take_typing(peer: &mut Peer, typed: &mut Vec<u8>, until: usize) {
    while typed.len() < until {
        match peer.command() {
            Some(Command::Stdin(bytes)) => typed.extend(bytes),
            Some(_) => {}
            None => panic!("the client left early"),
        }
    }
}

/// Writes and reads at the same time, and checks what arrived.
fn exchange(reader: PtyReader, mut writer: PtyWriter) {
    let typing = thread::spawn(move || {
        writer.write_all(&pattern(1)).unwrap();
        writer.flush().unwrap();
        writer
    });
    let mut output = Vec::with_capacity(SIZE);
    for event in reader {
        match event.unwrap() {
            TerminalEvent::Output(bytes) => output.extend(bytes),
            TerminalEvent::Closed { .. } => {}
            other => panic!("{other:?} is no output"),
        }
    }
    assert_eq!(output.len(), SIZE);
    assert_eq!(checksum(&output), checksum(&pattern(2)));
    typing.join().unwrap();
}

fn ten_mebibytes_both_ways(secure: bool, turns: bool) {
    let gateway = Gateway::either(secure, move |mut peer| {
        let mut typed = Vec::with_capacity(SIZE);
        for chunk in pattern(2).chunks(CHUNK) {
            peer.show(chunk);
            if turns {
                let until = typed.len() + 1;
                take_typing(&mut peer, &mut typed, until);
            }
        }
        take_typing(&mut peer, &mut typed, SIZE);
        assert_eq!(checksum(&typed), checksum(&pattern(1)));
        peer.socket.close(None).unwrap();
        peer.drain();
    });
    let (reader, writer) = gateway.open().split();
    exchange(reader, writer);
    gateway.join();
}

#[test]
fn ten_mebibytes_both_ways_in_turns() {
    ten_mebibytes_both_ways(false, true);
}

#[test]
fn ten_mebibytes_both_ways_in_turns_encrypted() {
    ten_mebibytes_both_ways(true, true);
}

// While the gateway writes it does not read: a client that waited until it could write, before it
// reads, would wait forever.

#[test]
fn ten_mebibytes_both_ways_with_a_stubborn_gateway() {
    ten_mebibytes_both_ways(false, false);
}

#[test]
fn ten_mebibytes_both_ways_with_a_stubborn_gateway_encrypted() {
    ten_mebibytes_both_ways(true, false);
}

/// Waits until a counter no longer changes. Stopping too early only makes the bound easier to meet.
fn settled(counter: &AtomicUsize) -> usize {
    loop {
        let before = counter.load(SeqCst);
        thread::sleep(Duration::from_millis(300));
        if before > 0 && counter.load(SeqCst) == before {
            return before;
        }
    }
}

fn a_slow_reader_stops_the_gateway(secure: bool) {
    const MESSAGE: usize = 64 * 1024;
    const COUNT: usize = 100 * MIB / MESSAGE;
    let sent = Arc::new(AtomicUsize::new(0));
    let gateway = Gateway::either(secure, {
        let sent = Arc::clone(&sent);
        move |mut peer| {
            let text = "?".repeat(MESSAGE);
            for _ in 0..COUNT {
                peer.say(&text);
                sent.fetch_add(1, SeqCst);
            }
            peer.socket.close(None).unwrap();
            peer.drain();
        }
    });
    let mut pty = gateway.open();
    assert!(settled(&sent) < COUNT, "everything was read in advance");
    // Writing still works meanwhile.
    pty.write(b"still here").unwrap();
    let mut received = 0;
    while let Some(event) = pty.next_event().unwrap() {
        if let TerminalEvent::Unknown(text) = event {
            assert_eq!(text.len(), MESSAGE);
            received += 1;
        }
    }
    assert_eq!(received, COUNT);
    gateway.join();
}

#[test]
fn a_slow_reader_stops_a_plain_gateway() {
    a_slow_reader_stops_the_gateway(false);
}

#[test]
fn a_slow_reader_stops_an_encrypted_gateway() {
    a_slow_reader_stops_the_gateway(true);
}

/// A thread in the background reads while the caller does not; each takes over from the other many
/// times here, and nothing may be lost or reordered.
#[test]
fn output_keeps_its_order_when_the_reader_pauses_and_returns() {
    const COUNT: usize = 2000;
    for secure in [false, true] {
        let gateway = Gateway::either(secure, move |mut peer| {
            for number in 0..COUNT {
                peer.say(&number.to_string());
                if number % 20 == 0 {
                    thread::sleep(Duration::from_millis(2));
                }
            }
            peer.socket.close(None).unwrap();
            peer.drain();
        });
        let mut pty = gateway.open();
        for number in 0..COUNT {
            let text = TerminalEvent::Unknown(number.to_string());
            assert_eq!(pty.next_event().unwrap(), Some(text));
            if number % 97 == 0 {
                thread::sleep(Duration::from_millis(number as u64 % 60));
            }
        }
        assert!(matches!(
            pty.next_event().unwrap(),
            Some(TerminalEvent::Closed { .. })
        ));
        gateway.join();
    }
}

/// What was typed arrives even if the caller never reads.
#[test]
fn typing_without_flush_is_sent_in_the_background() {
    let gateway = Gateway::plain(|mut peer| {
        peer.expect_size();
        // Held back at the start, since a shell may not read yet.
        peer.expect(Command::Stdin("ls\n".into()));
        peer.show(b"files");
        peer.drain();
    });
    let (mut reader, mut writer) = gateway.open().split();
    writer.write_all(b"ls\n").unwrap();
    assert_eq!(output(reader.next_event().unwrap()), b"files");
    drop((reader, writer));
    gateway.join();
}

/// The buffer for pongs is small, so that a gateway that sends pings and never reads cannot fill the
/// memory.
#[test]
fn flood_of_pings_does_not_pile_up_pongs() {
    const COUNT: usize = 200_000;
    let gateway = Gateway::plain(|mut peer| {
        for _ in 0..COUNT {
            peer.socket
                .write(Message::Ping(vec![b'p'; 125].into()))
                .unwrap();
        }
        peer.socket.send(Message::text("done")).unwrap();
        let mut pongs = 0;
        loop {
            match peer.socket.read().unwrap() {
                Message::Pong(_) => pongs += 1,
                Message::Text(text) if text.contains("eA==") => break,
                _ => {}
            }
        }
        // As much as the system's buffers hold, which is a few MiB, and little more.
        assert!(pongs < COUNT / 2, "{pongs} pongs");
        peer.drain();
    });
    let mut pty = gateway.open();
    let done = TerminalEvent::Unknown("done".to_owned());
    assert_eq!(pty.next_event().unwrap(), Some(done));
    pty.write(b"x").unwrap();
    drop(pty);
    gateway.join();
}

#[test]
fn output_without_a_reader_is_dropped() {
    let gateway = Gateway::plain(|mut peer| {
        let text = "?".repeat(64 * 1024);
        for _ in 0..50 * MIB / text.len() {
            peer.say(&text);
        }
        peer.expect_size();
        peer.expect(Command::Stdin("on".into()));
        peer.drain();
    });
    let (reader, mut writer) = gateway.open().split();
    drop(reader);
    writer.write(b"on").unwrap();
    writer.close().unwrap();
    gateway.join();
}

#[test]
fn fast_writer_waits() {
    for secure in [false, true] {
        let (go, wait) = std::sync::mpsc::channel();
        let gateway = Gateway::either(secure, move |mut peer| {
            wait.recv().unwrap();
            let mut left = 3 * SIZE;
            while left > 0 {
                match peer.socket.read().unwrap() {
                    Message::Text(text) => {
                        if let Some(Command::Stdin(bytes)) = Command::decode(&text) {
                            left -= bytes.len();
                        }
                    }
                    other => panic!("{other} before everything came"),
                }
            }
            peer.drain();
        });
        let (_reader, mut writer) = gateway.open().split();
        let typed = Arc::new(AtomicUsize::new(0));
        let typing = thread::spawn({
            let typed = Arc::clone(&typed);
            let chunk = vec![b'x'; CHUNK];
            move || {
                for _ in 0..3 * SIZE / CHUNK {
                    writer.write_all(&chunk).unwrap();
                    typed.fetch_add(CHUNK, SeqCst);
                }
                writer.close().unwrap();
            }
        });
        assert!(settled(&typed) < 3 * SIZE, "everything was read in advance");
        go.send(()).unwrap();
        typing.join().unwrap();
        gateway.join();
    }
}

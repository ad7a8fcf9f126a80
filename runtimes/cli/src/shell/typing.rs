//! Sends what is typed to the kernel.
//!
//! Two threads: one reads the keys, so that the detach key is always seen, and one sends them, which may
//! block for as long as the gateway does not read.

use std::io::{self, Read};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use sorna::blocking::PtyWriter;

use super::event::Event;
use super::keys::Keys;
use crate::failure::Failure;
use crate::lock::lock;
use crate::threads::start;

/// The most bytes that are buffered; more input than that waits in the terminal or pipe.
const MOST: usize = 16 * 1024 * 1024;

/// How often the end of the input is typed.
const AT_END: Duration = Duration::from_secs(1);

/// What was typed and is not sent yet.
#[derive(Debug, Default)]
struct Typed {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    keys: Vec<u8>,
    /// Nothing more will be typed.
    over: bool,
    /// Nothing more can be sent.
    closed: bool,
}

impl Typed {
    /// Adds keys, once there is room. Returns whether they can still be sent.
    fn push(&self, keys: &[u8], over: bool) -> bool {
        let is_full = |waiting: &mut Waiting| waiting.keys.len() >= MOST && !waiting.closed;
        let waiting = self.changed.wait_while(lock(&self.waiting), is_full);
        let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        waiting.keys.extend_from_slice(keys);
        waiting.over |= over;
        self.changed.notify_all();
        !waiting.closed
    }

    /// Takes all that is buffered, once there is something; `None` at the end.
    fn take(&self) -> Option<Vec<u8>> {
        let is_empty = |waiting: &mut Waiting| waiting.keys.is_empty() && !waiting.over;
        let waiting = self.changed.wait_while(lock(&self.waiting), is_empty);
        let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        let keys = std::mem::take(&mut waiting.keys);
        self.changed.notify_all();
        (!keys.is_empty()).then_some(keys)
    }

    fn close(&self) {
        lock(&self.waiting).closed = true;
        self.changed.notify_all();
    }
}

/// Starts both threads.
pub(super) fn pass_on(writer: PtyWriter, happen: Sender<Event>) -> Result<(), Failure> {
    let typed = Arc::new(Typed::default());
    let to_send = Arc::clone(&typed);
    let to_us = happen.clone();
    start("typing", move || send(writer, &to_send, &to_us))?;
    start("keys", move || read_keys(&typed, &happen))
}

fn read_keys(typed: &Typed, happen: &Sender<Event>) {
    let mut keys = Keys::default();
    let mut buffer = [0; 4096];
    loop {
        let read = match io::stdin().lock().read(&mut buffer) {
            // The end of a pipe: what a user would type to end the input. A program may discard what was typed before
            // it reads, as Python does at its start, and each that reads later finds the end as well.
            Ok(0) => {
                let _ = happen.send(Event::NoInput);
                while typed.push(&[0x04], false) {
                    thread::sleep(AT_END);
                }
                return;
            }
            Ok(read) => &buffer[..read],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => {
                let _ = happen.send(Event::NoKeys);
                return;
            }
        };
        let (read, detached) = keys.until_detach(read);
        if detached {
            // Report this before the rest is buffered, which may have to wait for room.
            let _ = happen.send(Event::Leaving);
        }
        // If nothing can be sent any more the terminal is closed, which its reader reports.
        if !typed.push(read, detached) || detached {
            return;
        }
    }
}

fn send(mut writer: PtyWriter, typed: &Typed, happen: &Sender<Event>) {
    while let Some(keys) = typed.take() {
        // The reader reports a closed terminal.
        if writer.write(&keys).is_err() {
            return typed.close();
        }
    }
    let _ = happen.send(Event::Detached);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_together_and_in_order() {
        let typed = Typed::default();
        assert!(typed.push(b"ab", false));
        assert!(typed.push(b"c", true));
        assert_eq!(typed.take(), Some(b"abc".to_vec()));
        assert_eq!(typed.take(), None);
    }

    #[test]
    fn typing_waits_for_room_unless_the_terminal_is_closed() {
        let typed = Typed::default();
        assert!(typed.push(&vec![0; MOST], false));
        std::thread::scope(|scope| {
            let second = scope.spawn(|| typed.push(b"x", false));
            assert_eq!(typed.take().map(|keys| keys[0]), Some(0));
            assert!(second.join().unwrap());
            assert!(typed.push(&vec![0; MOST], false));
            let third = scope.spawn(|| typed.push(b"y", false));
            typed.close();
            assert!(!third.join().unwrap());
        });
    }
}

//! A bounded queue of events that were read and not taken yet.

use std::collections::VecDeque;

use sorna_core::terminal::TerminalEvent;

/// Typed bytes that may wait to be sent before the writer has to wait.
pub(super) const QUEUE: usize = 64 * 1024;

/// The most events, and the number of bytes from which on the queue is full. Then the socket is not
/// read, and the gateway cannot send more. A user who has pressed Ctrl-C sees all of it before the effect.
const EVENTS: usize = 64;
const BYTES: usize = 64 * 1024;

/// A queue of events. `push` never fails: check for room before reading another message.
#[derive(Debug, Default)]
pub(super) struct EventQueue {
    events: VecDeque<TerminalEvent>,
    bytes: usize,
}

impl EventQueue {
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn has_room(&self) -> bool {
        self.events.len() < EVENTS && self.bytes < BYTES
    }

    pub(super) fn push(&mut self, event: TerminalEvent) {
        self.bytes += size(&event);
        self.events.push_back(event);
    }

    pub(super) fn pop(&mut self) -> Option<TerminalEvent> {
        let event = self.events.pop_front()?;
        self.bytes -= size(&event);
        Some(event)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn size(event: &TerminalEvent) -> usize {
    match event {
        TerminalEvent::Output(bytes) => bytes.len(),
        TerminalEvent::Error(text) | TerminalEvent::Unknown(text) => text.len(),
        TerminalEvent::Closed { reason, .. } => reason.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(size: usize) -> TerminalEvent {
        TerminalEvent::Output(vec![0; size].into())
    }

    #[test]
    fn number_of_events_is_limited() {
        let mut queue = EventQueue::default();
        for _ in 0..EVENTS {
            assert!(queue.has_room());
            queue.push(output(0));
        }
        assert!(!queue.has_room());
        queue.pop();
        assert!(queue.has_room());
        queue.push(output(0));
        queue.clear();
        assert!(queue.has_room());
    }

    #[test]
    fn bytes_of_events_are_limited() {
        let mut queue = EventQueue::default();
        queue.push(output(BYTES - 1));
        assert!(queue.has_room());
        queue.push(TerminalEvent::Unknown("x".to_owned()));
        assert!(!queue.has_room());
        queue.pop();
        assert!(queue.has_room());
        assert_eq!(queue.bytes, 1);
    }
}

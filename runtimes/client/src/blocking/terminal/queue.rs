//! What came and was not taken yet, in bounds.

use std::collections::VecDeque;

use sorna_core::terminal::TerminalEvent;

/// The most events, and the bytes from which on there is no room. Then the socket is not read, and
/// the gateway can send no more.
const EVENTS: usize = 64;
const BYTES: usize = 1024 * 1024;

/// A queue of events. It never refuses one: whoever fills it asks for room first.
#[derive(Debug, Default)]
pub(super) struct EventQueue {
    events: VecDeque<TerminalEvent>,
    bytes: usize,
}

impl EventQueue {
    pub(super) fn has_room(&self) -> bool {
        self.events.len() < EVENTS && self.bytes < BYTES
    }

    /// Whether there is so much room that it is worth waking somebody up to fill it.
    pub(super) fn is_half_empty(&self) -> bool {
        self.events.len() <= EVENTS / 2 && self.bytes <= BYTES / 2
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
    fn there_is_room_for_so_many_events() {
        let mut queue = EventQueue::default();
        for _ in 0..EVENTS {
            assert!(queue.has_room());
            queue.push(output(0));
        }
        assert!(!queue.has_room());
        queue.pop();
        assert!(queue.has_room());
        assert!(!queue.is_half_empty());
        queue.clear();
        assert!(queue.is_half_empty());
    }

    #[test]
    fn there_is_room_for_so_many_bytes() {
        let mut queue = EventQueue::default();
        queue.push(output(BYTES - 1));
        assert!(queue.has_room());
        queue.push(TerminalEvent::Unknown("x".to_owned()));
        assert!(!queue.has_room());
        queue.pop();
        assert!(queue.is_half_empty());
        assert_eq!(queue.bytes, 1);
    }
}

//! What the latest run has to report that its client has not received, and that comes before what is in the console.
//!
//! It is what a program prints that has no client, as much as there is room for, and what was sent over a connection that
//! broke. The next client gets it in order, with the ends of steps in between.

use std::collections::VecDeque;

use sorna_core::{Console, ExecutionStatus};

use super::console::push_lost;
use super::record::Response;
use super::response::ExecuteResponse;
use super::stock::Held;
use super::unclaimed::Unclaimed;

/// Why output is lost of a program without a client.
const NO_CLIENT: &str = "since no client was there for them, and it was too much to be kept";

/// Responses that no one has received, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    pieces: VecDeque<Piece>,
    /// The bytes that there was no room for, which came before.
    lost: usize,
}

#[derive(Debug)]
struct Piece {
    /// Which message of a WebSocket it was, from 1.
    number: Option<u64>,
    response: Response,
}

/// What is taken out.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "it is taken apart at once")]
pub(crate) enum Taken {
    Nothing,
    /// Output, and nothing else to report.
    Output(Console, Option<Held>),
    /// Output, and the end of a step or of the run.
    Report(Response),
}

impl Backlog {
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.lost == 0
    }

    /// Adds what came last.
    pub(crate) fn add(&mut self, response: Response) {
        let number = None;
        self.pieces.push_back(Piece { number, response });
    }

    /// Puts back what has been sent before everything else, as the messages with these numbers, or as the response to a
    /// request.
    pub(crate) fn put_back(
        &mut self,
        responses: impl DoubleEndedIterator<Item = (Option<u64>, Response)>,
    ) {
        for (number, response) in responses.rev() {
            self.pieces.push_front(Piece { number, response });
        }
    }

    /// Forgets the messages up to this number: they have been received.
    pub(crate) fn note_received(&mut self, number: u64) {
        self.pieces
            .retain(|piece| piece.number.is_none_or(|it| it > number));
    }

    /// Forgets the oldest output until there are at most so many bytes, or only one piece. The ends of steps stay.
    pub(crate) fn trim(&mut self, most: usize) {
        let len = |piece: &Piece| match &piece.response {
            Ok(response) => response.console.text_len(),
            Err(_) => 0,
        };
        let mut bytes: usize = self.pieces.iter().map(len).sum();
        let mut at = 0;
        while bytes > most && at + 1 < self.pieces.len() {
            let piece = len(&self.pieces[at]);
            if let Ok(response) = &self.pieces[at].response {
                self.lost += response.console.output_len();
            }
            bytes -= piece;
            match &mut self.pieces[at].response {
                Ok(response) if !response.is_output() => {
                    (response.console, response.held) = (Console::new(), None);
                    at += 1;
                }
                Ok(_) => drop(self.pieces.remove(at)),
                Err(_) => at += 1,
            }
        }
    }

    /// What comes first, up to the end of a step or of the run.
    pub(crate) fn take(&mut self) -> Taken {
        let (mut console, mut held) = (Console::new(), None);
        match std::mem::take(&mut self.lost) {
            0 => {}
            lost => push_lost(&mut console, lost, NO_CLIENT),
        }
        while let Some(piece) = self.pieces.pop_front() {
            let mut response = match piece.response {
                Ok(response) => response,
                Err(error) if console.is_empty() => return Taken::Report(Err(error)),
                Err(_) => {
                    self.pieces.push_front(piece);
                    let mut first = ExecuteResponse::of_start();
                    (first.console, first.held) = (console, held);
                    return Taken::Report(Ok(first));
                }
            };
            console.append(std::mem::take(&mut response.console));
            held = Held::joined(held, response.held.take());
            if !response.is_output() {
                (response.console, response.held) = (console, held);
                return Taken::Report(Ok(response));
            }
        }
        match console.is_empty() {
            true => Taken::Nothing,
            false => Taken::Output(console, held),
        }
    }

    /// Leaves all output to executions to come.
    pub(crate) fn leave(&mut self, unclaimed: &mut Unclaimed) {
        unclaimed.add_lost(std::mem::take(&mut self.lost));
        for piece in self.pieces.drain(..) {
            if let Ok(response) = piece.response {
                unclaimed.add(response.console, response.held);
            }
        }
    }
}

impl ExecuteResponse {
    /// Whether it says nothing but that the program keeps running. That it waits for input is said again.
    fn is_output(&self) -> bool {
        matches!(
            self.status,
            ExecutionStatus::Continued | ExecutionStatus::WaitingInput
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::kernel::response::ExecuteError;

    fn response(status: ExecutionStatus, text: &str) -> Response {
        let mut response = ExecuteResponse::of_nothing();
        response.status = status;
        response.console.push_stdout(text);
        Ok(response)
    }

    fn report(backlog: &mut Backlog) -> (String, String, String) {
        match backlog.take() {
            Taken::Nothing => Default::default(),
            Taken::Output(console, _) => (
                "output".to_owned(),
                console.stdout().into_owned(),
                console.stderr().into_owned(),
            ),
            Taken::Report(Ok(response)) => (
                response.status.as_str().to_owned(),
                response.console.stdout().into_owned(),
                response.console.stderr().into_owned(),
            ),
            Taken::Report(Err(error)) => (format!("{error:?}"), String::new(), String::new()),
        }
    }

    #[test]
    fn what_was_not_received_comes_in_order_with_the_ends_of_steps() {
        use ExecutionStatus::{BuildFinished, Continued, Finished, WaitingInput};
        let mut backlog = Backlog::default();
        backlog.add(response(Continued, "c"));
        backlog.add(response(WaitingInput, "d"));
        backlog.add(response(Finished, "e"));
        let sent = [
            (1, Continued, "x"),
            (2, Continued, "a"),
            (3, BuildFinished, "b"),
        ];
        let sent = sent.map(|(number, status, text)| (Some(number), response(status, text)));
        backlog.put_back(sent.into_iter());
        backlog.note_received(1);
        assert_eq!(report(&mut backlog).0, "build-finished");
        assert_eq!(report(&mut backlog).1, "cde");
        assert!(backlog.is_empty());

        backlog.add(response(Continued, "a"));
        backlog.add(Err(ExecuteError::Failed("x".to_owned())));
        assert_eq!(report(&mut backlog).1, "a");
        assert!(report(&mut backlog).0.contains("Failed"));
        assert_eq!(report(&mut backlog).0, "");
    }

    #[test]
    fn the_oldest_output_is_dropped_and_counted() {
        use ExecutionStatus::{BuildFinished, Continued};
        let mut backlog = Backlog::default();
        for (status, text) in [
            (Continued, "1234"),
            (BuildFinished, "567"),
            (Continued, "89"),
            (Continued, "abc"),
        ] {
            backlog.add(response(status, text));
            backlog.trim(4);
        }
        let (status, stdout, stderr) = report(&mut backlog);
        assert_eq!((&*status, &*stdout), ("build-finished", ""));
        assert_eq!(
            stderr,
            format!("9 bytes of output were lost, {NO_CLIENT}\n")
        );
        assert_eq!(report(&mut backlog).1, "abc");
        // Bytes count as they were written, not as they are carried.
        for bytes in [&b"\xff\xfe\xfd\xfc\xfb"[..], b"\xfa"] {
            let mut response = ExecuteResponse::of_start();
            response.console.push_stdout_bytes(bytes);
            backlog.add(Ok(response));
        }
        backlog.trim(4);
        let lost = format!("5 bytes of output were lost, {NO_CLIENT}\n");
        assert_eq!(report(&mut backlog).2, lost);
        // What is too long by itself is not dropped for that.
        backlog.add(response(Continued, "12345678"));
        backlog.trim(4);
        assert_eq!(report(&mut backlog).1, "12345678");
    }

    #[test]
    fn what_nobody_takes_is_left_to_others() {
        let mut backlog = Backlog::default();
        let mut unclaimed = Unclaimed::default();
        for text in ["a", "b", "c"] {
            backlog.add(response(ExecutionStatus::Continued, text));
        }
        backlog.trim(2);
        backlog.leave(&mut unclaimed);
        assert!(backlog.is_empty());
        let (console, _) = unclaimed.take().unwrap();
        assert_eq!(console.stdout(), "bc");
        assert!(console.stderr().starts_with("1 bytes of output were lost"));
    }
}

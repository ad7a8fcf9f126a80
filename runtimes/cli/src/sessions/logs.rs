//! `sorna logs`.

use std::io;

use clap::Args;
use sorna::{Console, Record};

use super::with_kernel;
use crate::ended::end_reason_of;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::harmless::safe;
use crate::reporter::Reporter;
use crate::signals;
use crate::streams::{self, Stream};
use crate::terms::Terms;
use crate::units::count;
use crate::values;

/// Print what a session's executions, or its container, printed.
///
/// On gateways of `sorna serve`, in either API, it is the last that executions printed (256 KiB), whether a client has received
/// that or not, standard error on standard error. Managers of Backend.AI have what the container printed, its own messages
/// and what programs in it print, as one text. Other gateways of Sorna v2 have no logs. A session that has ended may have
/// logs as well, by its whole ID. What programs printed is passed on as it is, even what moves the cursor of a terminal or
/// changes its colors: for programs that you do not trust, add `| cat -v` or `| less`.
///
/// Exit code: 0, also if the session that is followed ends; 1 if the gateway returned an error or could not be reached, or
/// there is no such session; 2 for a usage error or a wrong setting; 130 for Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LogsArgs {
    /// Name or ID of the session, or what it starts with; in Sorna v2, session token or ID of the kernel.
    // Of the IDs that gateways make, one in 64 begins with a hyphen.
    #[arg(value_name = "NAME", allow_hyphen_values = true)]
    session: String,

    /// Keep printing what is added, until Ctrl-C, or the session ends: why it did is said on standard error, where that is known.
    #[arg(short, long)]
    follow: bool,

    /// Begin with the last lines, this many.
    #[arg(short = 'n', long, value_name = "LINES", value_parser = values::number::<usize>)]
    tail: Option<usize>,
}

const EXAMPLES: &str = "\
Examples:
  sorna logs my-session
  sorna logs -f -n 20 my-session";

/// Carries out the command.
pub(crate) fn logs(arguments: &LogsArgs, globals: &Globals) -> Result<Exit, Failure> {
    // Ctrl-C ends it: there is nothing to clean up.
    signals::clean_up_at_exit()?;
    with_kernel(globals, &arguments.session, |target, found, reporter| {
        let mut logs = found.kernel.follow_logs();
        let (mut is_first, mut lost) = (true, 0);
        loop {
            let Some(part) = logs.next_part()? else {
                let reason = logs.end_reason().map(safe);
                let reason = reason.or_else(|| end_reason_of(&found.kernel));
                reporter.advice(why(reason, target.terms()));
                break;
            };
            let mut pieces = pieces(&part);
            // The first part is what is there. Where its end is asked for, no one misses what was before that.
            match arguments.tail.filter(|_| is_first) {
                Some(lines) => keep_last(&mut pieces, lines),
                None if logs.lost() > lost => say_lost(logs.lost() - lost, reporter),
                None => {}
            }
            (is_first, lost) = (false, logs.lost());
            match write(&pieces) {
                Ok(()) if arguments.follow => {}
                Ok(()) => break,
                // The reader needs no more.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
                Err(error) => return Ok(Err(Failure::System("cannot write the output", error))),
            }
        }
        Ok(Ok(Exit::SUCCESS))
    })
}

/// What is said at the end of what is followed.
fn why(reason: Option<String>, terms: Terms) -> String {
    match reason {
        None => format!("The {} has ended.", terms.kernel),
        // A whole sentence, of a gateway of `sorna serve`.
        Some(reason) if reason.starts_with("the ") => format!("T{}.", &reason[1..]),
        Some(reason) => format!("The {} has ended: {reason}.", terms.kernel),
    }
}

/// What was printed without a break on one of the streams.
type Piece = (Stream, Vec<u8>);

fn pieces(console: &Console) -> Vec<Piece> {
    let piece = |record| match record {
        Record::Stdout(text) => Some((Stream::Stdout, text.into_owned().into_bytes())),
        Record::Stderr(text) => Some((Stream::Stderr, text.into_owned().into_bytes())),
        Record::StdoutBytes(bytes) => Some((Stream::Stdout, bytes.into_owned())),
        Record::StderrBytes(bytes) => Some((Stream::Stderr, bytes.into_owned())),
        _ => None,
    };
    console.iter_exact().filter_map(piece).collect()
}

/// Leaves no more than the last lines, of both streams together.
fn keep_last(pieces: &mut Vec<Piece>, lines: usize) {
    let mut ends = 0;
    // What ends with a line does not begin another one.
    let mut is_last = true;
    for at in (0..pieces.len()).rev() {
        let bytes = &mut pieces[at].1;
        for place in (0..bytes.len()).rev() {
            let is_end = bytes[place] == b'\n';
            if lines == 0 || (is_end && !is_last && ends + 1 == lines) {
                bytes.drain(..=place);
                pieces.drain(..at);
                return;
            }
            ends += usize::from(is_end && !is_last);
            is_last = false;
        }
    }
}

fn write(pieces: &[Piece]) -> io::Result<()> {
    for (stream, bytes) in pieces {
        streams::write(*stream, bytes)?;
    }
    Ok(())
}

fn say_lost(bytes: u64, reporter: &mut Reporter) {
    let bytes = count(usize::try_from(bytes).unwrap_or(usize::MAX), "byte");
    reporter.advice(format_args!(
        "{bytes} that came before this are gone: the gateway keeps the last of what is printed."
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_those_of_both_streams() {
        let (out, err) = (Stream::Stdout, Stream::Stderr);
        let all = [(out, "a\nb\n"), (err, "c\nd"), (out, "e\n\nf\n")];
        let last: &[(usize, &[(Stream, &str)])] = &[
            (0, &[]),
            (1, &[(out, "f\n")]),
            (2, &[(out, "\nf\n")]),
            (3, &[(err, "d"), (out, "e\n\nf\n")]),
            (4, &[(err, "c\nd"), (out, "e\n\nf\n")]),
            (5, &[(out, "b\n"), (err, "c\nd"), (out, "e\n\nf\n")]),
            (6, &all),
            (100, &all),
        ];
        for (lines, expected) in last {
            let piece = |&(stream, text): &(Stream, &str)| (stream, text.as_bytes().to_vec());
            let mut pieces: Vec<Piece> = all.iter().map(piece).collect();
            keep_last(&mut pieces, *lines);
            pieces.retain(|(_, bytes)| !bytes.is_empty());
            let expected: Vec<Piece> = expected.iter().map(piece).collect();
            assert_eq!(pieces, expected, "{lines}");
        }
        let mut unfinished = vec![(out, b"a\nb".to_vec())];
        keep_last(&mut unfinished, 1);
        assert_eq!(unfinished, [(out, b"b".to_vec())]);
        keep_last(&mut Vec::new(), 3);
    }
}

//! `sorna complete`: candidates that complete code.

use clap::Args;
use sorna::protocol::Complete;
use sorna::{Dialect, ProblemKind};

use crate::advice::{show_error, show_error_creating};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::harmless::safe;
use crate::pending::{MAX_WAIT, PendingLine};
use crate::print::print;
use crate::release::release;
use crate::reporter::Reporter;
use crate::signals;
use crate::spoken::{self, session_token};
use crate::target::Target;

/// Complete code in a kernel: prints candidates, one per line.
///
/// Candidates depend on what ran in the kernel before, so the kernel is one with a session token. It is
/// created if it does not exist, and kept. Gateways of `sorna serve` complete python3. The original gateway
/// does not complete and responds with 500; managers of Backend.AI have no candidates.
///
/// Exit code: 0, even without candidates; 1 if the gateway returned an error or could not be reached; 2
/// for a usage error or a wrong setting.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompleteArgs {
    /// Language or runtime, such as python3. In Backend.AI an image: `sorna langs` lists them.
    lang: String,

    /// Code to complete.
    #[arg(short, long)]
    code: String,

    /// Client session token of the kernel (8 to 80 characters), in Backend.AI the session's name.
    #[arg(short = 't', long = "client-token", value_name = "TOKEN")]
    token: String,

    /// Line of the cursor, counted from 0; the last one by default.
    #[arg(long)]
    row: Option<usize>,

    /// Column of the cursor, in characters from 0; the end of the line by default.
    #[arg(long)]
    col: Option<usize>,
}

const EXAMPLES: &str = "\
Examples:
  sorna run -t my-session python3 -c 'import os'
  sorna complete -t my-session python3 -c 'os.pa'
  sorna complete -t my-session python3 -c 'prin(1)' --row 0 --col 4";

/// Carries out the command.
pub(crate) fn complete(arguments: &CompleteArgs, globals: &Globals) -> Result<Exit, Failure> {
    let token = session_token(&arguments.token, globals).map_err(Failure::Argument)?;
    let cursor = Cursor::new(&arguments.code, arguments.row, arguments.col)?;
    let target = Target::open(globals)?;
    spoken::check_token(&target, Some(&token))?;
    if spoken::version(&target)?.dialect() == Dialect::BackendAi
        && let Ok(info) = target.client.version()
        && release(&info).is_some()
    {
        Reporter::new(false)
            .advice("Managers of Backend.AI have no candidates, so nothing was asked for.");
        return Ok(Exit::SUCCESS);
    }
    let mut reporter = Reporter::new(false);
    let mut line = PendingLine::new(MAX_WAIT);
    let show = |pending| line.show(&pending, &mut reporter);
    let last_words = signals::clean_up_at_exit()?;
    last_words.set(target.terms().may_start(&token));
    let created = target
        .client
        .create_with(arguments.lang.as_str(), &token, show);
    last_words.clear();
    let kernel = match created {
        Ok(kernel) => kernel,
        Err(error) => {
            show_error_creating(&mut reporter, &error, &target, &arguments.lang);
            return Ok(Exit::FAILURE);
        }
    };
    let mut complete = Complete::at_end(kernel.id().clone(), arguments.code.as_str());
    complete.row = cursor.row as u64;
    complete.col = cursor.col as u64;
    complete.line = cursor.before.to_owned();
    complete.post = cursor.after.to_owned();
    match target.client.call(complete) {
        Ok(reply) => {
            let candidates = reply.value.iter();
            let lines: String = candidates.map(|one| format!("{}\n", safe(one))).collect();
            print(lines.as_bytes())
        }
        Err(error) => {
            show_error(&mut reporter, &error, &target);
            let response = error.gateway();
            if response
                .is_some_and(|response| response.kind() == Some(ProblemKind::InternalServerError))
            {
                reporter.advice("The original gateway does not complete code.");
            }
            Ok(Exit::FAILURE)
        }
    }
}

/// A position in the code.
#[derive(Debug, PartialEq, Eq)]
struct Cursor<'c> {
    row: usize,
    col: usize,
    /// The line up to the cursor.
    before: &'c str,
    /// The rest of the line.
    after: &'c str,
}

impl<'c> Cursor<'c> {
    fn new(code: &'c str, row: Option<usize>, col: Option<usize>) -> Result<Self, Failure> {
        let last = code.matches('\n').count();
        let row = row.unwrap_or(last);
        let line = code
            .split('\n')
            .nth(row)
            .ok_or_else(|| past_the_end("row", row, "code", last))?;
        let length = line.chars().count();
        let col = col.unwrap_or(length);
        if col > length {
            return Err(past_the_end("column", col, "line", length));
        }
        let at = line
            .char_indices()
            .nth(col)
            .map_or(line.len(), |(at, _)| at);
        let (before, after) = line.split_at(at);
        Ok(Self {
            row,
            col,
            before,
            after,
        })
    }
}

fn past_the_end(what: &str, given: usize, of: &str, last: usize) -> Failure {
    Failure::usage(format!(
        "{what} {given} is past the end of the {of} (last {what}: {last})"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_divides_its_line() {
        let at = |row, col| {
            let cursor = Cursor::new("é = 1\nprint(é)", row, col).ok()?;
            Some((cursor.row, cursor.col, cursor.before, cursor.after))
        };
        assert_eq!(at(None, None), Some((1, 8, "print(é)", "")));
        assert_eq!(at(Some(0), Some(1)), Some((0, 1, "é", " = 1")));
        assert_eq!(at(Some(1), Some(0)), Some((1, 0, "", "print(é)")));
        assert_eq!(at(Some(2), None), None);
        assert_eq!(at(Some(0), Some(6)), None);
    }
}

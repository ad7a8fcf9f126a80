//! What is said of interpreters that were killed, and of limits.

use sorna_core::{ExecutionResult, Limit};

use crate::traceback::Failure;

/// Who sets the limit of time.
pub(super) const WHO_LIMITS: &str = "The gateway sets this limit (`sorna serve --exec-timeout`), unless the kernel asks for another one (`sorna jupyter install --exec-timeout`).";
/// What to say of a program that has ended its interpreter.
pub(super) const LOST: &str =
    "The program has ended its interpreter: variables are lost, and files are kept.";

/// The signals that end programs, by their numbers.
const SIGNALS: [(i64, &str); 15] = [
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL, an instruction that the processor does not have"),
    (5, "SIGTRAP"),
    (6, "SIGABRT, as by a library that has given up"),
    (7, "SIGBUS, an access to memory that is not there"),
    (8, "SIGFPE, an impossible calculation"),
    (9, "SIGKILL"),
    (10, "SIGUSR1"),
    (11, "SIGSEGV, a forbidden access to memory"),
    (12, "SIGUSR2"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
];

/// Of an interpreter that has ended with this code, and said nothing else of it: the signal that has killed it.
pub(super) fn killed(failure: &Failure, code: i64) -> Option<Failure> {
    let (_, signal) = SIGNALS.iter().find(|(number, _)| code == 128 + number)?;
    let has_no_name = matches!(&*failure.name, "SystemExit" | "ExitCode" | "Error");
    let mut killed = Failure::new(
        "InterpreterKilled",
        format!("the kernel's interpreter was killed by {signal}"),
    );
    killed.traceback.push(KILLED.to_owned());
    if *failure != Failure::new(&*failure.name, &*failure.value) {
        killed.traceback.extend_from_slice(&failure.traceback);
    }
    has_no_name.then_some(killed)
}

/// Text without what the gateway says at its end of an interpreter that was killed.
pub(super) fn without_notice(mut text: String) -> String {
    let last = text
        .trim_end_matches('\n')
        .rfind('\n')
        .map_or(0, |at| at + 1);
    let is_notice = text[last..].strip_prefix("kernel process died with signal ");
    if is_notice.is_some_and(|it| it.trim_end().ends_with("; restarted")) {
        text.truncate(last);
    }
    text
}

/// What to say of an interpreter that was killed.
pub(super) const KILLED: &str = "It was started again: variables are lost, and files are kept.";

/// Says of a program that exceeded a limit that it did.
pub(super) fn limited(failure: Failure, result: &ExecutionResult) -> Failure {
    let Some(exceeded) = result.exceeded() else {
        return failure;
    };
    let limit = exceeded.limit.as_str();
    let most = exceeded.max.filter(|_| exceeded.limit == Limit::Time);
    let most = most.map_or_else(String::new, |ms| match ms % 1000 {
        0 => format!(" ({} s)", ms / 1000),
        _ => format!(" ({ms} ms)"),
    });
    let message = format!("the cell exceeded its limit of {limit}{most} and was killed");
    let (name, killed) = match limit {
        "time" => ("TimeLimitExceeded", true),
        _ => ("LimitExceeded", failure.traceback.len() <= 1),
    };
    // What the program itself says of it tells more.
    match killed {
        true if exceeded.limit == Limit::Time => Failure::new(name, message).with_line(WHO_LIMITS),
        true => Failure::new(name, message),
        false => failure.with_line(message),
    }
}

//! The outcome that each operation must have under each fault.

use sorna::Dialect;
use sorna_tests::proxy::{Fault, Times};

use crate::faults::{Row, Scope, Verdict};
use crate::operations::{Class, Failure, Kernel, Operation, Outcome, Stage};

/// Faults that strike a response after the end of its archive of files: no file is missing, so a download ends well.
const AFTER_ALL_FILES: [&str; 7] = [
    "response cut before its last byte",
    "response stalls before its last byte",
    "no Content-Length, left open",
    "Content-Length too large, closed",
    "Content-Length too large, left open",
    "Content-Length of a terabyte",
    "chunks cut",
];

/// The outcome of one request of an operation.
pub(crate) fn verdict(row: &Row, operation: Operation, dialect: Dialect) -> Verdict {
    let strikes = match row.scope {
        Scope::ResponseBodies => operation.response_has_body(dialect),
        Scope::RequestBodies => operation.request_has_body(),
        Scope::Terminals => operation == Operation::Terminal,
        Scope::Events => operation == Operation::Events,
        Scope::Queries => operation == Operation::List,
        Scope::Everything | Scope::NewConnections | Scope::UsedConnections => true,
    };
    let strikes =
        strikes && !(operation == Operation::Download && AFTER_ALL_FILES.contains(&row.name));
    if strikes { row.verdict } else { Verdict::Fine }
}

impl Operation {
    /// Whether this fault can affect it.
    pub(crate) fn is_struck_by(self, row: &Row, dialect: Dialect) -> bool {
        match (row.scope, self) {
            (Scope::Terminals, operation) => operation == Self::Terminal,
            (Scope::Events, operation) => operation == Self::Events,
            (Scope::Queries, operation) => operation == Self::List,
            (Scope::NewConnections, Self::Run(stage)) => stage == Stage::Create,
            // Its connection was used for the code.
            (Scope::NewConnections, Self::Input) => false,
            // A terminal has its own connection; after another request, nothing is negotiated any more.
            (Scope::UsedConnections, operation) => {
                !matches!(operation, Self::Terminal | Self::Negotiate)
            }
            (_, Self::Run(stage)) => {
                verdict(row, stage.operation(), dialect) != Verdict::Fine
                    || (row.verdict == Verdict::Fine && stage == Stage::Create)
            }
            // A subscription changes nothing at the gateway.
            (_, Self::Events)
                if matches!(row.verdict, Verdict::Status(_)) && row.is_passed_on() =>
            {
                false
            }
            // A download may take any time, as long as bytes come.
            (_, Self::Download) if row.is_drip_of_body() => false,
            (Scope::ResponseBodies, operation) => operation.response_has_body(dialect),
            (Scope::RequestBodies, operation) => operation.request_has_body(),
            (Scope::Everything | Scope::NewConnections, _) => true,
        }
    }
}

/// The required outcome of an operation with one request, including its retries.
fn expected_of_one(
    row: &Row,
    times: Times,
    operation: Operation,
    dialect: Dialect,
) -> Result<(), Failure> {
    let class = operation.class();
    let is_repeatable = match class {
        Class::Repeatable => true,
        // Once the head is there, nothing is retried.
        Class::Download => !row.strikes_bodies(),
        Class::Events => row.scope != Scope::Events,
        _ => false,
    };
    let repeats = match verdict(row, operation, dialect) {
        Verdict::Unsent | Verdict::NotActed(_) => class != Class::Terminal,
        Verdict::Broken | Verdict::Dropped | Verdict::Timeout => is_repeatable,
        Verdict::Status(502..=504) => is_repeatable,
        _ => false,
    };
    if repeats && times == Times::Once {
        return Ok(());
    }
    let failure = match verdict(row, operation, dialect) {
        Verdict::Fine => return Ok(()),
        Verdict::Unsent => return Err(Failure::NoConnection),
        Verdict::Broken | Verdict::Dropped | Verdict::Garbled => Failure::Broken,
        Verdict::Timeout => Failure::Timeout,
        // Any size is read, as it arrives.
        Verdict::TooLarge if class == Class::Download && row.strikes_bodies() => Failure::Timeout,
        Verdict::TooLarge => Failure::TooLarge,
        Verdict::Malformed | Verdict::Status(..=500) if operation == Operation::Negotiate => {
            return Err(match times {
                Times::Once => Failure::OtherDialect,
                Times::Always => Failure::Unknown,
            });
        }
        Verdict::Status(500) if matches!(operation, Operation::Execute | Operation::Input) => {
            return Err(match times {
                Times::Once => Failure::GivenUp,
                Times::Always => Failure::LeftBusy,
            });
        }
        // Only 101 opens a terminal; everything else is an error response.
        Verdict::Malformed if class == Class::Terminal => Failure::Status(200),
        Verdict::Malformed => Failure::Malformed,
        Verdict::Status(status) | Verdict::NotActed(status) => Failure::Status(status),
        Verdict::Closed => Failure::Closed,
    };
    let is_transport = matches!(
        failure,
        Failure::Broken | Failure::Timeout | Failure::TooLarge
    );
    Err(if is_transport && class == Class::OnceOnly {
        Failure::MayHaveRun(Box::new(failure))
    } else {
        failure
    })
}

/// The same for a stage of a run, which requests its kernel again after an unusable response.
fn expected_of_stage(
    row: &Row,
    times: Times,
    stage: Stage,
    dialect: Dialect,
) -> Result<(), Failure> {
    let operation = stage.operation();
    let asks_again = stage == Stage::Create && verdict(row, operation, dialect).is_unusable();
    // A removal tries again after an internal error of a manager.
    let removes_again = stage == Stage::Destroy && row.name == "500 from a manager";
    // The gateway recognizes executions that come once more: runs mark them.
    let is_recognized = stage == Stage::Execute
        && matches!(
            verdict(row, operation, dialect),
            Verdict::Broken | Verdict::Dropped | Verdict::Timeout | Verdict::Status(502..=504)
        );
    if (asks_again || removes_again || is_recognized) && times == Times::Once {
        return Ok(());
    }
    expected_of_one(row, times, operation, dialect)
}

/// The possible outcomes of an operation, each with how often its code runs. There is more than one
/// where client and fault race.
pub(crate) fn possible(
    row: &Row,
    times: Times,
    operation: Operation,
    dialect: Dialect,
) -> Vec<(Outcome, usize)> {
    let of = |row: &Row| {
        let executions = expected_executions(row, times, operation, dialect);
        (expected(row, times, operation, dialect), executions)
    };
    let as_if = |verdict| of(&Row { verdict, ..*row });
    match (row.verdict, row.fault, times) {
        // Some drivers find out at the head of the response, and retry.
        (
            Verdict::Broken,
            Fault::Response {
                bodies_only: true, ..
            },
            Times::Once,
        ) if operation == Operation::Download => {
            vec![of(row), as_if(Verdict::Fine)]
        }
        // ureq reads the size of a chunk when its line is complete. The others see at once that it is none, and retry if
        // that comes with the head.
        (Verdict::Garbled, _, times) => {
            let mut possible = vec![as_if(Verdict::Timeout), as_if(Verdict::Broken)];
            if times == Times::Once {
                possible.push(as_if(Verdict::Fine));
            }
            possible
        }
        (Verdict::Dropped, ..) => {
            let mut possible = vec![as_if(Verdict::Unsent), as_if(Verdict::Broken)];
            // The last attempt decides the failure, and all attempts together decide the rest. A
            // connection may also break before the first byte is sent.
            if times == Times::Always && operation == Operation::Run(Stage::Create) {
                let unknown = Outcome::Run(Some(Failure::NoConnection), Kernel::Unknown);
                let none = Outcome::Run(Some(Failure::Broken), Kernel::None);
                possible.extend([(unknown, 0), (none, 0)]);
            } else if times == Times::Always {
                possible.push((Outcome::Failed(Failure::Broken), 0));
            }
            possible
        }
        (_, Fault::Gone, Times::Always) => {
            // The first attempt ends as it must; later ones may fail before they are sent.
            let mut possible = vec![of(row)];
            let later = match possible[0].0.clone() {
                Outcome::Failed(Failure::Broken) => Outcome::Failed(Failure::NoConnection),
                Outcome::Run(Some(Failure::Broken), kernel) => {
                    Outcome::Run(Some(Failure::NoConnection), kernel)
                }
                Outcome::Run(Some(Failure::MayHaveRun(_)), kernel) => {
                    let failure = Failure::MayHaveRun(Box::new(Failure::NoConnection));
                    Outcome::Run(Some(failure), kernel)
                }
                _ => return possible,
            };
            if operation != Operation::Terminal {
                possible.push((later, 0));
            }
            possible
        }
        _ => vec![of(row)],
    }
}

/// The required outcome of an operation.
fn expected(row: &Row, times: Times, operation: Operation, dialect: Dialect) -> Outcome {
    let Operation::Run(struck) = operation else {
        return match expected_of_one(row, times, operation, dialect) {
            Ok(()) => Outcome::Fine,
            Err(failure) => Outcome::Failed(failure),
        };
    };
    let of_stage = |stage: Stage| {
        let is_struck = match times {
            Times::Once => stage == struck,
            Times::Always => stage >= struck,
        };
        if is_struck {
            expected_of_stage(row, times, stage, dialect)
        } else {
            Ok(())
        }
    };
    if let Err(failure) = of_stage(Stage::Create) {
        let kernel = match row.verdict {
            Verdict::Unsent | Verdict::NotActed(_) | Verdict::Status(..500) => Kernel::None,
            _ => Kernel::Unknown,
        };
        return Outcome::Run(Some(failure), kernel);
    }
    let work = of_stage(Stage::Upload).and_then(|()| of_stage(Stage::Execute));
    match (work, of_stage(Stage::Destroy)) {
        (Ok(()), Ok(())) => Outcome::Fine,
        (work, destroyed) => {
            let kernel = if destroyed.is_ok() {
                Kernel::Destroyed
            } else {
                Kernel::Left
            };
            Outcome::Run(work.err(), kernel)
        }
    }
}

/// How often the code of an operation must have run at the end.
fn expected_executions(row: &Row, times: Times, operation: Operation, dialect: Dialect) -> usize {
    let executes = match operation {
        Operation::Execute => true,
        // Its code runs before the fault.
        Operation::Input => return 1,
        Operation::Run(Stage::Destroy) => return 1,
        Operation::Run(struck) => {
            let stages = Stage::ALL.into_iter().filter(|stage| match times {
                Times::Once => *stage == struck,
                Times::Always => *stage >= struck,
            });
            let before = stages.take_while(|stage| *stage < Stage::Execute);
            let gets_there = before
                .map(|stage| expected_of_stage(row, times, stage, dialect))
                .all(|ended| ended.is_ok());
            if !gets_there {
                return 0;
            }
            times == Times::Always || struck == Stage::Execute
        }
        _ => return 0,
    };
    let is_struck = executes;
    let ended = match operation {
        Operation::Run(_) => expected_of_stage(row, times, Stage::Execute, dialect),
        _ => expected_of_one(row, times, Operation::Execute, dialect),
    };
    let runs = !is_struck || row.is_passed_on() || ended.is_ok();
    usize::from(runs)
}

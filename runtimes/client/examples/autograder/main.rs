//! Grades a hundred submissions, good and bad, four at a time, each in its own kernel. A submission
//! that was too slow is run again, alone, since the machine may have been busy with the others.
//!
//! ```console
//! $ cargo run -p sorna --example autograder --features tokio
//! ```
//!
//! It starts its own gateway, which needs python3 and gcc on this machine; with `SORNA_ENDPOINT`,
//! `SORNA_ACCESS_KEY` and `SORNA_SECRET_KEY` set, it uses the gateway named there. Time, memory and output are
//! limited by the gateway, which also says what a submission has used, and input here. Whatever a submission does, it gets a
//! verdict and its kernel is destroyed; an error means that the grader itself failed.

mod submissions;

use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use sorna::tokio::Client;
use sorna::{
    Batch, Ending, ExecuteMode, ExecutionEvent, ExecutionResult, KernelSpec, Limit, Limits,
    RunEvent, RunPlan, UploadFile, Usage,
};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};
use submissions::Submission;

/// The exercise: read two numbers, one on each line, and print their sum.
const CASES: [Case; 2] = [
    Case {
        input: ["2", "3"],
        output: "5",
    },
    Case {
        input: ["-40", "82"],
        output: "42",
    },
];
const AT_A_TIME: usize = 4;
const TIME: Duration = Duration::from_secs(3);
const MEMORY: u64 = 128 << 20;
const PROCESSES: u64 = 32;
const OUTPUT: u64 = 64 * 1024;
/// The argument with which the gateway starts this program.
const BOX: &str = "__box";

struct Case {
    input: [&'static str; 2],
    output: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Accepted,
    WrongAnswer,
    DoesNotCompile,
    Crashes,
    TooSlow,
    TooMuchMemory,
    TooManyProcesses,
    TooMuchOutput,
    WantsMoreInput,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted => "OK   accepted",
            Self::WrongAnswer => "WA   wrong answer",
            Self::DoesNotCompile => "CE   does not compile",
            Self::Crashes => "RE   crashes",
            Self::TooSlow => "TLE  too slow",
            Self::TooMuchMemory => "MLE  too much memory",
            Self::TooManyProcesses => "PLE  too many processes",
            Self::TooMuchOutput => "OLE  too much output",
            Self::WantsMoreInput => "ILE  wants more input",
        })
    }
}

/// A verdict, and the most that a case has used, as far as the gateway says.
#[derive(Debug)]
struct Grade {
    verdict: Verdict,
    time: Option<Duration>,
    memory: Option<u64>,
}

impl Grade {
    fn count(&mut self, usage: Usage) {
        self.time = self.time.max(usage.processor_time);
        self.memory = self.memory.max(usage.peak_memory);
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.time.map(|time| format!("{} ms", time.as_millis()));
        let mib = self.memory.map(|bytes| format!("{} MiB", bytes >> 20));
        let text = |it: &Option<String>| it.clone().unwrap_or_else(|| "-".to_owned());
        write!(f, "{:>8} {:>8}  {}", text(&ms), text(&mib), self.verdict)
    }
}

/// Runs a submission on all cases, until one fails.
async fn grade(client: &Client, submission: &Submission) -> Result<Grade, sorna::Report> {
    let limits = Limits::new()
        .with_exec_timeout(TIME)
        .with_max_memory(MEMORY)
        .with_max_output(OUTPUT);
    let spec = KernelSpec::new(submission.language).with_limits(limits);
    let file = UploadFile::from_bytes(submission.file, submission.code)?;
    // Built once and run for each case.
    let mut batch = Batch::new();
    let executions = CASES.iter().map(|_| {
        let next = batch.clone().without_build();
        ExecuteMode::Batch(std::mem::replace(&mut batch, next))
    });
    let plan = RunPlan::temporary(spec, executions);
    let mut run = client.run(plan.with_files(vec![file]));
    let canceller = run.canceller();

    let mut grade = Grade {
        verdict: Verdict::Accepted,
        time: None,
        memory: None,
    };
    let mut case = &CASES[0];
    let mut input = case.input.iter();
    let mut output = String::new();
    while let Some(event) = run.next_event().await? {
        // A verdict cancels a program that still runs. Then its kernel is destroyed; wait for that.
        if grade.verdict != Verdict::Accepted {
            continue;
        }
        match event {
            RunEvent::ExecutionStarted { index } => {
                case = &CASES[index];
                input = case.input.iter();
                output.clear();
            }
            RunEvent::Execution(ExecutionEvent::Console(console)) => {
                output += &console.stdout();
                // Gateways of others do not keep the limit.
                if output.len() as u64 > OUTPUT {
                    grade.verdict = Verdict::TooMuchOutput;
                }
            }
            RunEvent::Execution(ExecutionEvent::InputRequested { .. }) => match input.next() {
                Some(line) => run.answer(*line)?,
                None => grade.verdict = Verdict::WantsMoreInput,
            },
            RunEvent::ExecutionFinished(result) => {
                grade.verdict = judge(&result, &output, case);
                result
                    .usage()
                    .into_iter()
                    .for_each(|usage| grade.count(usage));
            }
            _ => {}
        }
        if grade.verdict != Verdict::Accepted {
            canceller.cancel().await?;
        }
    }
    match run.into_report().map(|report| report.ending) {
        Some(Ending::Failed(error)) if grade.verdict == Verdict::Accepted => Err(error.into()),
        _ => Ok(grade),
    }
}

fn judge(result: &ExecutionResult, output: &str, case: &Case) -> Verdict {
    match result.exceeded().map(|exceeded| exceeded.limit) {
        Some(Limit::Time) => return Verdict::TooSlow,
        Some(Limit::Memory) => return Verdict::TooMuchMemory,
        Some(Limit::Processes) => return Verdict::TooManyProcesses,
        Some(Limit::Output) => return Verdict::TooMuchOutput,
        _ => {}
    }
    match (result.exit_code(), result.step()) {
        (Some(1..), Some("build")) => Verdict::DoesNotCompile,
        (None | Some(0), _) if output.trim_end() == case.output => Verdict::Accepted,
        (None | Some(0), _) => Verdict::WrongAnswer,
        _ => Verdict::Crashes,
    }
}

/// The gateway that the environment names, or one in this process that lives as long as the handle.
fn connect() -> Result<(Client, Option<RunningGateway>), sorna::Report> {
    if std::env::var_os("SORNA_ENDPOINT").is_some() {
        return Ok((Client::from_env()?, None));
    }
    let config = GatewayConfig::new()
        .with_max_processes(PROCESSES)
        .with_box_program("/proc/self/exe", [BOX]);
    let gateway = Gateway::spawn(config)?;
    Ok((Client::new(gateway.config()), Some(gateway)))
}

fn main() -> Result<ExitCode, sorna::Report> {
    // The gateway starts this program again to isolate kernels by namespaces. There must be no threads yet.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == BOX) {
        return Ok(sorna_gateway::box_main(arguments));
    }
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(grade_all())?;
    Ok(ExitCode::SUCCESS)
}

async fn grade_all() -> Result<(), sorna::Report> {
    let (client, _gateway) = connect()?;
    let submissions = submissions::a_hundred();
    let start = Instant::now();
    let graded = stream::iter(&submissions)
        .map(async |submission| (submission, grade(&client, submission).await))
        .buffer_unordered(AT_A_TIME);
    let mut graded: Vec<_> = graded.collect().await;
    // The others may have slowed it down: a submission that was too slow is run again, alone.
    for (submission, graded) in &mut graded {
        if graded
            .as_ref()
            .is_ok_and(|it| it.verdict == Verdict::TooSlow)
        {
            *graded = grade(&client, submission).await;
        }
    }
    graded.sort_by_key(|(submission, _)| &submission.student);

    println!(
        "{:<12} {:<8} {:>8} {:>8}  verdict",
        "student", "language", "time", "memory"
    );
    let mut summary = BTreeMap::new();
    let mut ungraded = 0;
    for (
        Submission {
            student, language, ..
        },
        grade,
    ) in graded
    {
        print!("{student:<12} {language:<8} ");
        match grade {
            Ok(grade) => {
                println!("{grade}");
                *summary.entry(grade.verdict).or_insert(0) += 1;
            }
            Err(error) => {
                println!("NOT GRADED: {error}");
                ungraded += 1;
            }
        }
    }
    println!(
        "\n{} submissions in {:.1?}",
        submissions.len(),
        start.elapsed()
    );
    for (verdict, number) in summary {
        println!("{number:>4} {verdict}");
    }
    match ungraded {
        0 => Ok(()),
        _ => Err(format!("{ungraded} submissions could not be graded").into()),
    }
}

//! Programs run by the commands of their languages.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use crate::outcome::Outcome;

/// What runs a program that follows as an argument.
pub(crate) fn command(language: &str) -> &'static [&'static str] {
    match language {
        "python3" => &["python3", "-c"],
        "bash" => &["bash", "-c"],
        "perl" => &["perl", "-e"],
        "ruby" => &["ruby", "-e"],
        "nodejs" => &["node", "-e"],
        "lua" => &["lua", "-e"],
        "php" => &["php", "-r"],
        "r" => &["Rscript", "-e"],
        other => panic!("{other} is not known here"),
    }
}

/// Runs a program in a directory of its own.
#[track_caller]
pub(crate) fn run(language: &str, program: &str) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let command = command(language);
    let output = Command::new(command[0])
        .args(&command[1..])
        .arg(program)
        .current_dir(&directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let mut stderr = String::from_utf8(output.stderr).unwrap();
    let exit_code = match (output.status.code(), output.status.signal()) {
        (Some(code), _) => code,
        // A shell says this, too.
        (None, Some(signal)) => {
            stderr += match signal {
                6 => "Aborted\n",
                9 => "Killed\n",
                11 => "Segmentation fault\n",
                15 => "Terminated\n",
                other => panic!("{program} ended with signal {other}"),
            };
            128 + signal
        }
        (None, None) => unreachable!("a process ends in one of these ways"),
    };
    Outcome {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr,
        exit_code: exit_code.into(),
    }
}

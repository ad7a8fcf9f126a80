//! Output that earlier executions of a kernel have left, whose clients were killed for instance.

use sorna::{Console, Record};

/// What comes before it.
pub(super) const UNCLAIMED: &str =
    "Output that earlier executions have left here, and no client is known to have received:";

/// What comes after it: with the exit codes of programs of which no client has received the end, unless all have succeeded.
pub(super) fn end(console: &Console) -> String {
    let codes = console.ends();
    let ended = match codes.iter().all(|code| *code == 0) {
        true => String::new(),
        false => format!(", which ended with {}", listed(&codes)),
    };
    format!("That was the output of earlier executions{ended}; what follows is this one's.")
}

/// What is said in place of both, if there is no output, but only exit codes.
pub(super) fn only_ends(console: &Console) -> Option<String> {
    let codes = console.ends();
    (!codes.is_empty() && codes.len() == console.iter().count()).then(|| {
        format!(
            "What was started here before, and whose end no client is known to have received, ended with {}.",
            listed(&codes)
        )
    })
}

fn listed(codes: &[i64]) -> String {
    let s = if codes.len() > 1 { "s" } else { "" };
    let codes: Vec<_> = codes.iter().map(i64::to_string).collect();
    format!("exit code{s} {}", codes.join(", "))
}

/// All of it on standard error, in its order: standard output is that of the program which runs now.
pub(super) fn on_stderr(console: &Console) -> Console {
    let mut all = Console::new();
    for record in console.iter_exact() {
        match record {
            Record::Stdout(text) => all.push_stderr(&text),
            Record::StdoutBytes(bytes) => all.push_stderr_bytes(&bytes),
            Record::Value(value) => {
                let rich = value.richest();
                let is_shown = value.display().is_some() && rich.is_some();
                if let Some(text) = value.text().filter(|_| !is_shown) {
                    all.push_stderr(&format!("{text}\n"));
                }
                if let Some(rich) = rich {
                    all.push(&Record::Media(rich.clone()));
                }
            }
            Record::Unknown { kind, .. } if kind == Console::ENDED => {}
            other => all.push(&other),
        }
    }
    all
}

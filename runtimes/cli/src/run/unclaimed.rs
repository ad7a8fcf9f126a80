//! Output that earlier executions of a kernel have left, whose clients were killed for instance.

use sorna::{Console, Record, ValueForms};

/// What comes before it.
pub(super) const UNCLAIMED: &str =
    "Output that earlier executions have left here, and no client is known to have received:";
/// What comes after it.
pub(super) const UNCLAIMED_END: &str =
    "That was the output of earlier executions; what follows is this one's.";

/// All of it on standard error, in its order: standard output is that of the program which runs now.
pub(super) fn on_stderr(console: &Console) -> Console {
    let mut all = Console::new();
    for record in console.iter_exact() {
        match record {
            Record::Stdout(text) => all.push_stderr(&text),
            Record::StdoutBytes(bytes) => all.push_stderr_bytes(&bytes),
            Record::Value(value) => {
                if let Some(text) = value.text() {
                    all.push_stderr(&format!("{text}\n"));
                }
                let mut forms = value.forms().iter();
                if let Some(rich) = forms.find(|form| form.media_type() != ValueForms::TEXT) {
                    all.push(&Record::Media(rich.clone()));
                }
            }
            other => all.push(&other),
        }
    }
    all
}

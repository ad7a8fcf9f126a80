//! What a tool answers: text and images for a model, and the same as JSON.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::run::{Image, News, Run, Saved};
use crate::transcript::Part;

/// A program that has not run for so long has only begun.
const BEGINNING: Duration = Duration::from_millis(100);

/// The answer of a tool that did what was asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) images: Vec<Image>,
    pub(crate) fields: Map<String, Value>,
}

impl Answer {
    /// With text for a model, and an object that says the same.
    pub(crate) fn new(text: impl Into<String>, fields: Value) -> Self {
        Self {
            text: text.into(),
            images: Vec::new(),
            fields: match fields {
                Value::Object(fields) => fields,
                _ => Map::new(),
            },
        }
    }

    /// What there is to be said of a program.
    pub(crate) fn of_run(run: &Run, news: News) -> Self {
        let seconds = (news.time.as_secs_f64() * 1000.0).round() / 1000.0;
        let mut fields = json!({
            "session": run.session,
            "run": run.id,
            "status": if news.end.is_some() { "ended" } else { "running" },
            "output": news.output,
            "exit_code": null,
            "timed_out": false,
            "truncated": news.left_out > 0,
            "seconds": seconds,
        });
        let mut notes = news.remarks;
        if let Some(loss) = news.loss {
            fields["state_lost"] = true.into();
            notes.push(loss);
        }
        match &news.end {
            None => {
                let state = match news.time < BEGINNING {
                    true => format!("The program has begun, as {}.", run.id),
                    false => format!(
                        "The program still runs, since {}, as {}.",
                        shown(news.time),
                        run.id
                    ),
                };
                notes.push(format!(
                    "{state} Use `wait` to get what it does next, or `interrupt`."
                ));
            }
            Some(end) => {
                fields["exit_code"] = end.exit_code.into();
                fields["timed_out"] = end.is_late.into();
                if end.is_late && end.exit_code == Some(0) {
                    notes.push(format!(
                        "It was interrupted at its time limit, and ended by itself after {}.",
                        shown(end.time)
                    ));
                } else if end.is_late {
                    notes.push(format!(
                        "It was stopped at its time limit, after {}.",
                        shown(end.time)
                    ));
                } else if end.is_interrupted {
                    fields["interrupted"] = true.into();
                    notes.push("It was interrupted.".to_owned());
                }
                if let Some(limit) = end.limit.as_deref().filter(|_| !end.is_late) {
                    fields["limit"] = limit.into();
                    notes.push(format!(
                        "It was stopped, as it exceeded the limit on {limit}."
                    ));
                }
                if let Some(code) = end.exit_code.filter(|code| *code != 0) {
                    notes.push(format!("Exit code: {code}."));
                }
                if end.has_restarted {
                    fields["state_lost"] = true.into();
                    notes.push(
                        "The interpreter has ended: variables are lost, files are kept.".to_owned(),
                    );
                }
                if let Some(Saved { path, what }) = &end.saved {
                    fields["saved"] = path.as_str().into();
                    if news.left_out > 0 {
                        notes.push(format!(
                            "{} bytes of output are left out above; {path} in session {} has {what}.",
                            news.left_out, run.session
                        ));
                    } else if news.is_cut {
                        notes.push(format!(
                            "Output was left out before; {path} in session {} has {what}.",
                            run.session
                        ));
                    }
                } else if news.left_out > 0 {
                    notes.push(format!(
                        "{} bytes of output are left out above; `wait` for {} with a larger `max_output` returns more of it.",
                        news.left_out, run.id
                    ));
                }
                if let Some(reason) = &end.unsaved {
                    notes.push(format!(
                        "What is left out could not be saved in a file: {reason}."
                    ));
                }
                let left_out = news.value.as_ref().map_or(0, |value| value.left_out);
                if left_out > 0 {
                    let place = match &end.saved_value {
                        Some(Saved { path, what }) => {
                            fields["saved_value"] = path.as_str().into();
                            format!("{path} in session {} has {what}", run.session)
                        }
                        None => format!(
                            "`wait` for {} with a larger `max_output` may return more of it",
                            run.id
                        ),
                    };
                    fields["truncated"] = true.into();
                    notes.push(format!(
                        "{left_out} bytes of the value are left out above; {place}."
                    ));
                }
                if let Some(failure) = &end.failure {
                    fields["failure"] = failure.to_string().into();
                    notes.push(failure.to_string());
                }
            }
        }
        let mut text = news.output;
        if let Some(Part { text: value, .. }) = news.value {
            begin_line(&mut text);
            text.push_str(&value);
            fields["value"] = value.into();
        }
        if !news.images.is_empty() {
            fields["images"] = news.images.len().into();
        }
        if !notes.is_empty() {
            begin_line(&mut text);
            let _ = write!(text, "[{}]", notes.join(" "));
            fields["notes"] = json!(notes);
        } else if text.is_empty() && news.images.is_empty() {
            text.push_str("[It has ended without output.]");
        }
        Self {
            images: news.images,
            ..Self::new(text, fields)
        }
    }
}

fn begin_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

/// A time for a model.
pub(crate) fn shown(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

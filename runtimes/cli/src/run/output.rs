//! The program's output, passed on unchanged.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal};

use anstyle::{AnsiColor, Style};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sorna::{Console, Media, Record, ValueForms};

use super::media::{Gallery, Placed, Saved};
use super::unclaimed::{self, UNCLAIMED};
use crate::harmless::{lines, safe};
use crate::json::{self, Event};
use crate::local::Isolated;
use crate::reporter::Reporter;
use crate::streams::{self, Stream};
use crate::style;

/// Where the program's output goes.
#[derive(Debug)]
pub(crate) struct Output {
    gallery: Gallery,
    /// Whether standard output is a terminal.
    is_terminal: bool,
    /// Whether standard output and standard error are both terminals, and so the same one.
    together: bool,
    /// For a program whose network is not that of this machine.
    isolated: Option<Isolated>,
    /// Whether the gateway carries output that is not UTF-8, or it was said that it does not.
    is_carried: bool,
}

impl Output {
    pub(crate) fn new(gallery: Gallery, isolated: Option<Isolated>) -> Self {
        Self {
            gallery,
            isolated,
            is_carried: true,
            is_terminal: io::stdout().is_terminal(),
            together: io::stdout().is_terminal() && io::stderr().is_terminal(),
        }
    }

    /// Whether the gateway carries output that is not UTF-8.
    pub(crate) fn set_carried(&mut self, is_carried: bool) {
        self.is_carried = is_carried;
    }

    /// Writes all records in order, text to the stream it was written to.
    pub(crate) fn show(&mut self, console: &Console, reporter: &mut Reporter) -> io::Result<()> {
        if let Some(isolated) = &mut self.isolated {
            for record in console.iter_exact() {
                match record {
                    Record::Stdout(text) | Record::Stderr(text) => isolated.note(&text),
                    Record::StderrBytes(bytes) => isolated.note(&String::from_utf8_lossy(&bytes)),
                    _ => {}
                }
            }
        }
        if json::is_on() {
            self.emit(console, reporter)?;
        } else {
            self.write(console, reporter)?;
        }
        self.warn(console, reporter);
        Ok(())
    }

    /// Says once that the gateway has replaced output, if it may have.
    fn warn(&mut self, console: &Console, reporter: &mut Reporter) {
        let is_replaced = |record| match record {
            Record::Stdout(text) | Record::Stderr(text) => text.contains('\u{fffd}'),
            _ => false,
        };
        if !self.is_carried && console.iter().any(is_replaced) {
            self.is_carried = true;
            reporter.advice(
                "The output has U+FFFD where the program may have written bytes that are not UTF-8: this gateway carries only text, and replaces other bytes. To get them, encode the output in the program, with base64 for example.",
            );
        }
    }

    fn write(&mut self, console: &Console, reporter: &mut Reporter) -> io::Result<()> {
        reporter.clear();
        for record in console.iter_exact() {
            match record {
                Record::Stdout(text) => {
                    streams::write(Stream::Stdout, text.as_bytes())?;
                    if self.together {
                        reporter.note_output(&text);
                    }
                }
                Record::Stderr(text) => {
                    streams::write(Stream::Stderr, text.as_bytes())?;
                    reporter.note_output(&text);
                }
                Record::StdoutBytes(bytes) => {
                    streams::write(Stream::Stdout, &bytes)?;
                    if self.together {
                        reporter.note_output(&last_of(&bytes));
                    }
                }
                Record::StderrBytes(bytes) => {
                    streams::write(Stream::Stderr, &bytes)?;
                    reporter.note_output(&last_of(&bytes));
                }
                Record::Log {
                    level,
                    time,
                    logger,
                    message,
                } => {
                    let line = log_line(&level, &time, &logger, &message);
                    streams::write(Stream::Stderr, line.as_bytes())?;
                    reporter.note_output("\n");
                }
                Record::Html(text) => {
                    self.place(&Media::new("text/html", text), reporter)?;
                }
                Record::Media(media) => {
                    self.place(&media, reporter)?;
                }
                Record::Value(value) if value.display().is_some() => {
                    self.show_display(&value, reporter)?;
                }
                Record::Value(value) => self.show_value(&value, reporter)?,
                Record::Unclaimed(console) => {
                    if let Some(ends) = unclaimed::only_ends(&console) {
                        reporter.advice(ends);
                        continue;
                    }
                    reporter.advice(UNCLAIMED);
                    self.write(&unclaimed::on_stderr(&console), reporter)?;
                    reporter.advice(unclaimed::end(&console));
                }
                Record::Unknown { kind, values } => {
                    self.keep(&kind, &values, reporter)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The value of an expression: its text as a line, and its richest form where that can be shown or saved.
    fn show_value(&mut self, value: &ValueForms<'_>, reporter: &mut Reporter) -> io::Result<()> {
        if let Some(text) = value.text().filter(|text| !text.is_empty()) {
            streams::write(Stream::Stdout, format!("{text}\n").as_bytes())?;
            if self.together {
                reporter.note_output("\n");
            }
        }
        let Some(rich) = value.richest() else {
            return Ok(());
        };
        let placed = self.gallery.place(rich)?;
        if placed.shown {
            reporter.note_output("\n");
        }
        // Without either, its text is there.
        let is_there = placed.shown || value.text().is_some();
        report(reporter, is_there, placed.file, &placed.description);
        Ok(())
    }

    /// What a program displays: its richest form, or else its text as a line.
    fn show_display(&mut self, shown: &ValueForms<'_>, reporter: &mut Reporter) -> io::Result<()> {
        if let Some(rich) = shown.richest() {
            return self.place(rich, reporter);
        }
        let Some(text) = shown.text() else {
            // If it clears the output, on a terminal that is the line, as a bar of progress needs it.
            let about = shown
                .display()
                .and_then(|about| serde_json::from_str::<Value>(about).ok());
            let clears = about.is_some_and(|about| about.get("clear").is_some());
            if clears && self.is_terminal {
                streams::write(Stream::Stdout, b"\r\x1b[K")?;
            }
            return Ok(());
        };
        streams::write(Stream::Stdout, format!("{text}\n").as_bytes())?;
        if self.together {
            reporter.note_output("\n");
        }
        Ok(())
    }

    fn place(&mut self, media: &Media<'_>, reporter: &mut Reporter) -> io::Result<()> {
        let text = media
            .bytes()
            .filter(|_| is_readable(media.media_type()) && self.is_terminal);
        if let Some(text) = &text {
            streams::write(Stream::Stdout, text)?;
            if !text.ends_with(b"\n") {
                streams::write(Stream::Stdout, b"\n")?;
            }
        }
        let Placed {
            shown,
            file,
            description,
        } = self.gallery.place(media)?;
        let shown = shown || text.is_some();
        if shown {
            reporter.note_output("\n");
        }
        report(reporter, shown, file, &description);
        Ok(())
    }

    /// A record of a kind that this version does not know.
    fn keep(&mut self, kind: &str, values: &[Value], reporter: &mut Reporter) -> io::Result<()> {
        let content = serde_json::to_vec(&(kind, values))?;
        let file = self.gallery.save("json", &content);
        let description = format!("record of unknown kind {kind:?}, {} bytes", content.len());
        report(reporter, false, file, &description);
        Ok(())
    }

    /// The records as events.
    fn emit(&mut self, console: &Console, reporter: &mut Reporter) -> io::Result<()> {
        for record in console.iter_exact() {
            match record {
                Record::Stdout(text) => json::emit(&Event::stdout(&text))?,
                Record::Stderr(text) => json::emit(&Event::stderr(&text))?,
                Record::StdoutBytes(bytes) => json::emit(&Event::Stdout {
                    text: &String::from_utf8_lossy(&bytes),
                    base64: Some(&STANDARD.encode(&bytes)),
                })?,
                Record::StderrBytes(bytes) => json::emit(&Event::Stderr {
                    text: &String::from_utf8_lossy(&bytes),
                    base64: Some(&STANDARD.encode(&bytes)),
                })?,
                Record::Log {
                    level,
                    time,
                    logger,
                    message,
                } => json::emit(&Event::Log {
                    level: &level,
                    time: &time,
                    logger: &logger,
                    message: &message,
                })?,
                Record::Html(text) => self.emit_media(&Media::new("text/html", text), reporter)?,
                Record::Media(media) => self.emit_media(&media, reporter)?,
                Record::Value(value) if value.display().is_some() => match value.richest() {
                    Some(rich) => self.emit_media(rich, reporter)?,
                    None => {
                        if let Some(text) = value.text() {
                            json::emit(&Event::stdout(&format!("{text}\n")))?;
                        }
                    }
                },
                Record::Value(value) => self.emit_value(&value, reporter)?,
                Record::Unclaimed(console) => json::emit(&Event::Unclaimed {
                    records: &console,
                    exit_code: console.ends().last().copied(),
                })?,
                Record::Unknown { kind, values } => json::emit(&Event::Record {
                    kind: &kind,
                    values: &values,
                })?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The value of an expression in all its forms.
    fn emit_value(&mut self, value: &ValueForms<'_>, reporter: &mut Reporter) -> io::Result<()> {
        let rich = value.forms().iter();
        let rich: Vec<_> = rich
            .filter(|form| !matches!(form.media_type(), ValueForms::TEXT | ValueForms::METADATA))
            .collect();
        let mut files = Vec::new();
        for form in &rich {
            files.push(self.saved(form, reporter)?);
        }
        let forms = rich.iter().zip(&files).map(|(form, file)| json::Form {
            media_type: form.media_type(),
            content: file.is_none().then(|| form.content()),
            file: file.as_deref(),
        });
        json::emit(&Event::Value {
            text: value.text(),
            forms: forms.collect(),
        })
    }

    /// The file in which media were saved, if they were.
    fn saved(&mut self, media: &Media<'_>, reporter: &mut Reporter) -> io::Result<Option<String>> {
        Ok(match self.gallery.place(media)?.file {
            Some(Err(error)) => {
                reporter.fail(error);
                None
            }
            Some(Ok(file)) => Some(file.to_string_lossy().into_owned()),
            None => None,
        })
    }

    fn emit_media(&mut self, media: &Media<'_>, reporter: &mut Reporter) -> io::Result<()> {
        let file = self.saved(media, reporter)?;
        json::emit(&Event::Media {
            media_type: media.media_type(),
            content: file.is_none().then(|| media.content()),
            file: file.as_deref(),
        })
    }

    /// For a program that has failed: why that may be.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        self.isolated.as_ref()?.advice()
    }

    /// Whether something that should have been saved is lost.
    pub(super) fn has_lost(&self) -> bool {
        self.gallery.has_lost()
    }
}

/// The last of some bytes as text, which shows whether they end a line.
fn last_of(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(1)..])
}

/// Reports what happened to output that is not text.
fn report(
    reporter: &mut Reporter,
    shown: bool,
    file: Option<Saved>,
    description: &dyn fmt::Display,
) {
    match file {
        Some(Ok(file)) => reporter.info(format_args!("Saved {} ({description}).", file.display())),
        Some(Err(error)) => reporter.fail(format_args!("{error} ({description})")),
        None if shown => {}
        None => reporter.advice(format_args!(
            "Output that cannot be shown here: {description}. Save it with --media-dir DIR."
        )),
    }
}

/// A line of a log, with what is known of it. All of it are words of the program: they are text, and no line of this
/// program.
fn log_line(level: &str, time: &str, logger: &str, message: &str) -> String {
    let style = level_style(level);
    let message = lines(message.strip_suffix('\n').unwrap_or(message));
    let [level, time, logger] = [level, time, logger].map(safe);
    let words = [&time, &level, &logger, &message];
    let first = words.into_iter().find(|word| !word.is_empty());
    let is_plain = |word: &String| word.starts_with(|c: char| c.is_alphanumeric());
    let mut line = String::new();
    // What begins with one of our signs would pass for one of our lines.
    if !first.is_none_or(is_plain) {
        line += "log: ";
    }
    if !time.is_empty() {
        line += &format!("{time} ");
    }
    if !level.is_empty() {
        line += &format!("{style}{level}{style:#} ");
    }
    if !logger.is_empty() {
        line += &format!("{logger}: ");
    }
    line + &message + "\n"
}

fn level_style(level: &str) -> Style {
    match level.to_ascii_uppercase().as_str() {
        "CRITICAL" | "FATAL" | "ERROR" => style::color(AnsiColor::BrightRed),
        "WARNING" | "WARN" => style::color(AnsiColor::BrightYellow),
        "INFO" => style::color(AnsiColor::BrightGreen),
        "DEBUG" | "TRACE" => style::color(AnsiColor::BrightBlack),
        _ => Style::new(),
    }
}

/// Whether people read this type as it is.
fn is_readable(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    matches!(
        essence.to_ascii_lowercase().as_str(),
        "text/plain" | "text/markdown" | "text/latex" | "text/csv" | "application/json"
    )
}

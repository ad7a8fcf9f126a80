//! The program's output, passed on as it is.

use std::io::{self, Write};

use sorna::core::{Console, Record};

/// Where the program's output goes.
#[derive(Debug, Default)]
pub(super) struct Output {}

impl Output {
    /// Writes all records, in order: text to the stream it was written to, unchanged.
    pub(super) fn show(&mut self, console: &Console) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        for record in console {
            match record {
                Record::Stdout(text) => stdout.write_all(text.as_bytes())?,
                Record::Stderr(text) => {
                    stdout.flush()?;
                    io::stderr().write_all(text.as_bytes())?;
                }
                Record::Log {
                    level,
                    time,
                    logger,
                    message,
                } => {
                    stdout.flush()?;
                    writeln!(io::stderr(), "{time} {level} {logger}: {message}")?;
                }
                Record::Html(text) => show_other(&mut stdout, "html", &text)?,
                Record::Media(media) => {
                    let kind = format!("media, {}", media.media_type());
                    show_other(&mut stdout, &kind, media.content())?;
                }
                Record::Unknown { kind, values } => {
                    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                    show_other(&mut stdout, &kind, &values.join(" "))?;
                }
                _ => {}
            }
        }
        stdout.flush()
    }
}

/// A record that is not text, in the original client's form.
fn show_other(stdout: &mut impl Write, kind: &str, content: &str) -> io::Result<()> {
    writeln!(stdout, "----- output record (type: {kind}) -----")?;
    writeln!(stdout, "{content}")?;
    writeln!(stdout, "----- end of record -----")
}

//! The progress line on standard error.
//!
//! A thread redraws it. The thread is started with the first such line.

use std::fmt::Write as _;
use std::sync::{Condvar, Mutex, Once, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use anstyle::AnsiColor;
use sorna::UploadProgress;
use sorna::blocking::SendMeter;

use crate::harmless::safe;
use crate::lock::lock;
use crate::streams::{self, Stream};
use crate::style;

/// How long each frame of the spinner is shown.
const FRAME: Duration = Duration::from_millis(100);
/// How long an exit that must be quick waits for the thread that draws, and how often.
const MOMENT: Duration = Duration::from_millis(5);
const MOMENTS: usize = 20;
/// The columns of a bar.
const BAR: usize = 20;

/// Global, so that every exit can erase it.
static LINE: Mutex<Option<Line>> = Mutex::new(None);
static SHOWN: Condvar = Condvar::new();
static PAINTER: Once = Once::new();

#[derive(Debug)]
pub(crate) struct Line {
    text: String,
    progress: Option<Progress>,
    /// Since when it is waited for.
    since: Option<Instant>,
    frame: usize,
}

/// The progress of an upload.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    files: usize,
    total_files: usize,
    bytes: u64,
    total_bytes: u64,
    /// The meter of bytes sent, and its value at that time.
    in_flight: Option<(SendMeter, u64)>,
}

/// Shows the line, replacing the one before.
pub(crate) fn show(text: String, progress: Option<Progress>) {
    show_line(text, progress, None);
}

/// Shows the line with the time that it has been waited for so far, and keeps counting.
pub(crate) fn show_since(text: String, waited: Duration) {
    show_line(text, None, Instant::now().checked_sub(waited));
}

fn show_line(text: String, progress: Option<Progress>, since: Option<Instant>) {
    let mut shown = lock(&LINE);
    let frame = shown.as_ref().map_or(0, |before| before.frame);
    let line = Line {
        text,
        progress,
        since,
        frame,
    };
    line.draw();
    *shown = Some(line);
    drop(shown);
    PAINTER.call_once(|| {
        // If it cannot be started the line is shown, but does not move.
        let _ = thread::Builder::new()
            .name("progress".to_owned())
            .spawn(paint);
    });
    SHOWN.notify_one();
}

/// Replaces the text of the line, if there is one. Without one, other output may be in progress.
pub(crate) fn replace(text: &str) {
    if let Some(line) = lock(&LINE).as_mut() {
        text.clone_into(&mut line.text);
        line.progress = None;
        line.since = None;
        line.draw();
    }
}

/// Erases the line, to be shown again later.
pub(crate) fn take() -> Option<Line> {
    let line = lock(&LINE).take();
    if line.is_some() {
        clear();
    }
    line
}

/// Shows a line again that was [taken](take), unless there is another one.
pub(crate) fn restore(line: Option<Line>) {
    let mut shown = lock(&LINE);
    if let (None, Some(line)) = (&*shown, line) {
        line.draw();
        *shown = Some(line);
        SHOWN.notify_one();
    }
}

/// Erases the line before something else is written.
pub(crate) fn erase() {
    wipe(&mut lock(&LINE));
}

/// As [`erase`], but for an exit that must be quick: it waits only a moment for the thread that draws,
/// which may hang on a stopped terminal.
pub(crate) fn erase_at_once() {
    for _ in 0..MOMENTS {
        match LINE.try_lock() {
            Ok(mut line) => return wipe(&mut line),
            Err(TryLockError::Poisoned(line)) => return wipe(&mut line.into_inner()),
            Err(TryLockError::WouldBlock) => thread::sleep(MOMENT),
        }
    }
}

fn wipe(line: &mut Option<Line>) {
    if line.take().is_some() {
        clear();
    }
}

fn clear() {
    // The terminal may be gone; then there is no one to read the line.
    let _ = streams::write(Stream::Stderr, b"\r\x1b[2K");
}

/// Keeps the line moving for as long as there is one.
fn paint() {
    let mut shown = lock(&LINE);
    loop {
        shown = if shown.is_none() {
            let waiting = SHOWN.wait_while(shown, |line| line.is_none());
            waiting.unwrap_or_else(PoisonError::into_inner)
        } else {
            let waiting = SHOWN.wait_timeout(shown, FRAME);
            let (mut shown, timeout) = waiting.unwrap_or_else(PoisonError::into_inner);
            if let (Some(line), true) = (shown.as_mut(), timeout.timed_out()) {
                line.frame += 1;
                line.draw();
            }
            shown
        }
    }
}

impl Line {
    /// In one write, so that nothing gets in between.
    fn draw(&self) {
        let style = style::color(AnsiColor::BrightYellow);
        let text = self.fit(style::signs(), style::width());
        let line = format!("\r{style}{text}{style:#}\x1b[K");
        let _ = streams::write(Stream::Stderr, line.as_bytes());
    }

    /// The line, cut so that it stays one in a window of this width.
    fn fit(&self, signs: &style::Signs, width: usize) -> String {
        let mut text = format!("{} {}", signs.wait, safe(&self.text));
        if let Some(progress) = &self.progress {
            let figures = progress.figures();
            // Where there is no room, the bar is left out first.
            if text.chars().count() + figures.len() + BAR + 6 < width {
                text.push(' ');
                progress.draw_bar(signs, &mut text);
            }
            let _ = write!(text, " {figures}");
        }
        if let Some(since) = self.since {
            let _ = write!(text, " {} s", since.elapsed().as_secs());
        }
        if let Some(turn) = self.frame.checked_sub(1) {
            let _ = write!(text, " {}", signs.spinner[turn % signs.spinner.len()]);
        }
        // A terminal wraps when its last column is used.
        text.chars().take(width.saturating_sub(1)).collect()
    }
}

impl Progress {
    /// Before anything was uploaded.
    pub(crate) fn start(total_files: usize, total_bytes: u64, meter: &SendMeter) -> Self {
        Self {
            files: 0,
            total_files,
            bytes: 0,
            total_bytes,
            in_flight: Some((meter.clone(), meter.bytes())),
        }
    }

    /// After some files were uploaded.
    pub(crate) fn after(progress: UploadProgress, meter: &SendMeter) -> Self {
        Self {
            files: progress.files,
            bytes: progress.bytes,
            ..Self::start(progress.total_files, progress.total_bytes, meter)
        }
    }

    /// The bytes that were uploaded or are in flight. Those of a retried request count twice.
    fn sent(&self) -> u64 {
        let in_flight = self.in_flight.as_ref();
        let more = in_flight.map_or(0, |(meter, before)| meter.bytes() - before);
        self.total_bytes.min(self.bytes.saturating_add(more))
    }

    fn draw_bar(&self, signs: &style::Signs, text: &mut String) {
        // Empty files count, too.
        let done = self.sent().saturating_add(self.files as u64);
        let total = self.total_bytes.saturating_add(self.total_files as u64);
        let full = u64::try_from(BAR).unwrap_or(0).saturating_mul(done) / total.max(1);
        let full = usize::try_from(full).unwrap_or(BAR).min(BAR);
        text.extend(std::iter::repeat_n(signs.bar.0, full));
        text.extend(std::iter::repeat_n(signs.bar.1, BAR - full));
    }

    /// Such as `12/40 files, 1.2/8.0 MiB`.
    fn figures(&self) -> String {
        let (unit, name) = match self.total_bytes {
            0..1024 => (1, "bytes"),
            1024..1_048_576 => (1024, "KiB"),
            _ => (1024 * 1024, "MiB"),
        };
        let in_unit = |bytes: u64| match unit {
            1 => bytes.to_string(),
            _ => format!("{}.{}", bytes / unit, bytes % unit * 10 / unit),
        };
        format!(
            "{}/{} files, {}/{} {name}",
            self.files,
            self.total_files,
            in_unit(self.sent()),
            in_unit(self.total_bytes)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(files: usize, bytes: u64) -> Line {
        Line {
            text: "Uploading...".to_owned(),
            progress: Some(Progress {
                files,
                total_files: 40,
                bytes,
                total_bytes: 8 * 1024 * 1024,
                in_flight: None,
            }),
            since: None,
            frame: 0,
        }
    }

    fn signs(unicode: bool) -> &'static style::Signs {
        style::signs_of(|_| unicode.then(|| "C.UTF-8".to_owned()))
    }

    #[test]
    fn a_bar_with_files_and_bytes() {
        assert_eq!(
            line(20, 4 * 1024 * 1024).fit(signs(true), 80),
            "⋯ Uploading... ━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌ 20/40 files, 4.0/8.0 MiB"
        );
        let mut done = line(40, 8 * 1024 * 1024);
        done.frame = 2;
        assert_eq!(
            done.fit(signs(false), 80),
            ". Uploading... ==================== 40/40 files, 8.0/8.0 MiB /"
        );
    }

    #[test]
    fn a_narrow_window_shows_no_bar_and_never_wraps() {
        let line = line(0, 1024 * 1024 + 300 * 1024);
        assert_eq!(
            line.fit(signs(true), 50),
            "⋯ Uploading... 0/40 files, 1.2/8.0 MiB"
        );
        for width in 0..100 {
            let columns = line.fit(signs(true), width).chars().count();
            assert!(columns < width.max(1), "{columns} in {width}");
        }
    }
}

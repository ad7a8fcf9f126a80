//! Downloads into a directory on this machine, with what has to be done so that as much as possible arrives.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sorna::blocking::Kernel;
use sorna::files::Saver;
use sorna::protocol::Download;
use sorna::{Error, FilesUnavailable, TransportError, Unavailable, UnpackEvent, with_causes};

use crate::failure::Failure;
use crate::harmless::safe;
use crate::lock::lock;
use crate::reporter::Reporter;
use crate::signals;
use crate::units::{count, size};

/// How often the progress is shown.
const FRAME: Duration = Duration::from_millis(100);

/// How many files are named that were not replaced, or could not be written.
const MOST: usize = 10;

/// Checks, before anything is done, that files can be written there.
pub(crate) fn check_directory(path: &Path, option: &str) -> Result<(), Failure> {
    if fs::metadata(path).is_ok_and(|found| !found.is_dir()) {
        let path = path.display();
        return Err(
            Failure::usage(format!("{path} (from {option}) is not a directory")).with_advice(
                "Files keep their path below it: give a directory, which is created if needed.",
            ),
        );
    }
    Ok(())
}

/// Downloads that are written below one directory.
pub(crate) struct Fetch {
    saver: Arc<Mutex<Saver>>,
    /// Links in directories that were not downloaded as a whole.
    special: Vec<(String, &'static str)>,
    /// What the gateway did not send.
    unavailable: Option<Box<FilesUnavailable>>,
    /// What could not be written, each once.
    unwritten: Vec<String>,
}

impl Fetch {
    /// Into this directory, which is created if needed. What is there stays unless it `overwrites`.
    pub(crate) fn into(directory: &Path, overwrites: bool) -> Self {
        let saver = Saver::new(directory).with_overwrite(overwrites);
        Self {
            saver: Arc::new(Mutex::new(saver)),
            special: Vec::new(),
            unavailable: None,
            unwritten: Vec::new(),
        }
    }

    /// Files that do not replace others get other names, since they would be lost.
    pub(crate) fn renaming(self) -> Self {
        let mut saver = lock(&self.saver);
        *saver = std::mem::replace(&mut *saver, Saver::new("")).with_renaming(true);
        drop(saver);
        self
    }

    /// Signals end the process at once, however long the gateway sends nothing. No half of a file stays.
    pub(crate) fn drop_at_exit(&self) -> Result<(), Failure> {
        let saver = Arc::clone(&self.saver);
        let drop_it = move || {
            let mut saver = lock(&saver);
            *saver = Saver::new("");
            // It stays locked, so that nothing more is saved.
            std::mem::forget(saver);
        };
        signals::clean_up_at_exit_with(drop_it).map(drop)
    }

    /// Downloads these, once.
    ///
    /// Gateways send nothing of a request if one of its files is missing: the others are requested without it. And managers
    /// do not send large directories: what is in them is requested one by one. Where something cannot be written, the rest
    /// is: it is [reported](Self::report).
    pub(crate) fn fetch(
        &mut self,
        kernel: &Kernel,
        files: &[String],
        reporter: &mut Reporter,
    ) -> Result<(), Error> {
        let fetched = self.fetch_all(kernel, files, reporter);
        loop {
            let finished = lock(&self.saver).finish();
            match finished {
                Ok(()) => return fetched,
                // The other directories are left.
                Err(error) => self.note_unwritten(&error),
            }
        }
    }

    fn fetch_all(
        &mut self,
        kernel: &Kernel,
        files: &[String],
        reporter: &mut Reporter,
    ) -> Result<(), Error> {
        let mut meter = Meter::start(reporter);
        let chunks = files.chunks(Download::MAX_FILES).rev();
        let mut requests: Vec<_> = chunks.map(<[String]>::to_vec).collect();
        while let Some(mut wanted) = requests.pop() {
            match self.save(kernel, &wanted, &mut meter, reporter) {
                Ok(()) => {}
                Err(Error::FilesUnavailable(more)) => {
                    let is_named = |file: &str| more.files.iter().any(|f| f.name == file);
                    let all = wanted.len();
                    wanted.retain(|file| !is_named(file));
                    let is_stuck = wanted.len() == all;
                    if is_stuck {
                        // What is named was not requested, so there is nothing that could be left out.
                        return Err(Error::FilesUnavailable(more));
                    }
                    if !wanted.is_empty() {
                        requests.push(wanted);
                    }
                    let parts = self.take_apart(kernel, *more);
                    requests.extend(parts.into_iter().map(|part| vec![part]));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn save(
        &mut self,
        kernel: &Kernel,
        files: &[String],
        meter: &mut Meter,
        reporter: &mut Reporter,
    ) -> Result<(), Error> {
        for event in kernel.download(files.iter().map(String::as_str)) {
            let event = event?;
            meter.note(&event, reporter);
            let handled = lock(&self.saver).handle(event);
            if let Err(error) = handled {
                self.note_unwritten(&error);
            }
        }
        Ok(())
    }

    fn note_unwritten(&mut self, error: &TransportError) {
        let text = safe(&with_causes(error));
        if !self.unwritten.contains(&text) {
            self.unwritten.push(text);
        }
    }

    /// What to request in place of directories that are too large; the other files are unavailable.
    fn take_apart(&mut self, kernel: &Kernel, mut files: FilesUnavailable) -> Vec<String> {
        let mut parts = Vec::new();
        for file in std::mem::take(&mut files.files) {
            if !matches!(file.reason, Unavailable::Directory { .. }) {
                files.files.push(file);
                continue;
            }
            let Ok(listing) = kernel.list_files(&file.name) else {
                files.files.push(file);
                continue;
            };
            let folder = file.name.trim_end_matches('/');
            for entry in listing.files {
                let path = format!("{folder}/{}", entry.name);
                match special(&entry.mode) {
                    Some(kind) => self.special.push((path, kind)),
                    None => parts.push(path),
                }
            }
        }
        match (&mut self.unavailable, files.files.is_empty()) {
            (_, true) => {}
            (Some(all), false) => all.files.extend(files.files),
            (none, false) => *none = Some(Box::new(files)),
        }
        parts
    }

    /// The modes of directories in the kernel of which only files are fetched.
    pub(crate) fn set_directory_modes<'m>(&self, modes: impl IntoIterator<Item = (&'m str, u32)>) {
        let mut saver = lock(&self.saver);
        for (path, mode) in modes {
            saver.set_directory_mode(path, mode);
        }
    }

    /// Links and other special files that were found otherwise, and are left out as well.
    pub(crate) fn leave_out(&mut self, special: Vec<(String, &'static str)>) {
        self.special.extend(special);
    }

    /// What the gateway did not send.
    pub(crate) fn unavailable(&self) -> Option<&FilesUnavailable> {
        self.unavailable.as_deref()
    }

    /// The files that were written.
    pub(crate) fn saved(&self) -> Vec<PathBuf> {
        lock(&self.saver).saved().to_vec()
    }

    /// Says what was left out, what was not replaced or could not be written, and what has another name; whether something
    /// is not written.
    pub(crate) fn report(&self, reporter: &mut Reporter) -> bool {
        let saver = lock(&self.saver);
        for (path, kind) in &self.special {
            reporter.advice(format_args!("Left out {}: it is {kind}.", safe(path)));
        }
        for (path, kind) in saver.left_out() {
            let path = shown(path);
            reporter.advice(format_args!("Left out {path}: it is {kind}."));
        }
        // It may not have been possible.
        let renamed = saver.renamed().iter();
        let renamed: Vec<_> = renamed.filter(|(_, other)| other.exists()).collect();
        for (path, other) in renamed.iter().take(MOST) {
            let (path, other) = (shown(path), shown(other));
            reporter.advice(format_args!(
                "{path} exists already: the new one is {other}."
            ));
        }
        if let Some(more @ 1..) = renamed.len().checked_sub(MOST) {
            reporter.advice(format_args!(
                "Nor were {more} more replaced: the new ones are beside them."
            ));
        }
        let kept = saver.kept();
        for path in kept.iter().take(MOST) {
            let path = shown(path);
            reporter.fail(format_args!("{path} exists already, and was not replaced."));
        }
        if let Some(more @ 1..) = kept.len().checked_sub(MOST) {
            reporter.fail(format_args!("Nor were {more} more."));
        }
        // Of two kinds, neither replaces the other.
        let is_file = |path: &Path| fs::symlink_metadata(path).is_ok_and(|it| !it.is_dir());
        if kept.iter().any(|path| is_file(path))
            || renamed.iter().any(|(a, b)| is_file(a) && is_file(b))
        {
            reporter.advice("To replace files, add --overwrite.");
        }
        for text in self.unwritten.iter().take(MOST) {
            reporter.fail(text);
        }
        if let Some(more @ 1..) = self.unwritten.len().checked_sub(MOST) {
            reporter.fail(format_args!("Nor could {more} more be written."));
        }
        !kept.is_empty() || !self.unwritten.is_empty()
    }
}

/// What a file of this mode in a list is, if it is neither a file nor a directory.
pub(crate) fn special(mode: &str) -> Option<&'static str> {
    match mode.chars().next()? {
        'l' => Some("a symbolic link"),
        'p' => Some("a named pipe"),
        's' => Some("a socket"),
        'b' | 'c' => Some("a device"),
        _ => None,
    }
}

/// A path for people.
fn shown(path: &Path) -> String {
    let path = path.strip_prefix(".").unwrap_or(path);
    safe(&path.display().to_string())
}

/// How far a download has come, on a terminal.
pub(crate) struct Meter {
    files: usize,
    bytes: u64,
    shown: Instant,
}

impl Meter {
    pub(crate) fn start(reporter: &mut Reporter) -> Self {
        reporter.wait("Downloading...");
        Self {
            files: 0,
            bytes: 0,
            shown: Instant::now(),
        }
    }

    pub(crate) fn note(&mut self, event: &UnpackEvent, reporter: &mut Reporter) {
        match event {
            UnpackEvent::FileEnd => self.files += 1,
            UnpackEvent::Data(bytes) => self.bytes += bytes.len() as u64,
            _ => {}
        }
        if reporter.moves() && self.shown.elapsed() >= FRAME {
            self.shown = Instant::now();
            let (files, bytes) = (count(self.files, "file"), size(self.bytes as f64 / 1024.0));
            reporter.wait(format_args!("Downloading... {files}, {bytes}"));
        }
    }
}

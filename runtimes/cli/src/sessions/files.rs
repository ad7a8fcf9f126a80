//! `sorna ls` and `sorna download`.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use sorna::blocking::Kernel;
use sorna::files::Saver;
use sorna::{Error, FileInfo, FilesUnavailable, Unavailable};

use super::with_files;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::harmless::safe;
use crate::lock::lock;
use crate::print::{self, columns, print};
use crate::reporter::Reporter;
use crate::signals;
use crate::units::{count, since_1970};

/// List files of a session.
///
/// In Sorna v2, of a kernel, with gateways of `sorna serve`.
///
/// Exit code: 0; 1 if the gateway returned an error or could not be reached, or there is no such session or
/// directory; 2 for a usage error or a wrong setting.
#[derive(Debug, Args)]
#[command(after_help = LS_EXAMPLES)]
pub(crate) struct LsArgs {
    /// Name or ID of the session, or what it starts with; in Sorna v2, ID of the kernel.
    // Of the IDs that gateways make, one in 64 begins with a hyphen.
    #[arg(value_name = "NAME", allow_hyphen_values = true)]
    session: String,

    /// Directory, below the work directory.
    #[arg(default_value = ".")]
    path: String,

    /// Print the list as JSON, one file per line. Times are in seconds since 1970.
    #[arg(long)]
    json: bool,
}

const LS_EXAMPLES: &str = "\
Examples:
  sorna ls my-session
  sorna ls my-session results";

/// Download files and directories of a session.
///
/// They keep their path below the work directory. Files of the same name are replaced. If some do not exist, the
/// others are downloaded. Links in directories are left out, and named. In Sorna v2, this
/// works with gateways of `sorna serve`.
///
/// Exit code: 0; 1 if the gateway returned an error or could not be reached, there is no such session or
/// file, or a file cannot be written; 2 for a usage error or a wrong setting.
#[derive(Debug, Args)]
#[command(after_help = DOWNLOAD_EXAMPLES)]
pub(crate) struct DownloadArgs {
    /// Name or ID of the session, or what it starts with; in Sorna v2, ID of the kernel.
    // Of the IDs that gateways make, one in 64 begins with a hyphen.
    #[arg(value_name = "NAME", allow_hyphen_values = true)]
    session: String,

    /// Files and directories, below the work directory.
    #[arg(required = true)]
    files: Vec<String>,

    /// Directory to write to, which is created if needed; by default the current one.
    #[arg(short, long = "output", value_name = "DIR", default_value = ".")]
    output: PathBuf,
}

const DOWNLOAD_EXAMPLES: &str = "\
Examples:
  sorna download my-session plot.png
  sorna download my-session results data.csv -o here";

/// Carries out `ls`.
pub(crate) fn ls(arguments: &LsArgs, globals: &Globals) -> Result<Exit, Failure> {
    let is_refused = Cell::new(false);
    let exit = with_files(globals, &arguments.session, |_, found, reporter| {
        let listing = found.kernel.list_files(&arguments.path);
        is_refused.set(matches!(&listing, Err(error) if error.gateway().is_some()));
        let mut listing = listing?;
        listing
            .files
            .sort_by(|one, other| one.name.cmp(&other.name));
        let errors = listing.errors.trim();
        if !errors.is_empty() {
            reporter.advice(errors);
        }
        Ok(if arguments.json {
            print(
                listing
                    .files
                    .iter()
                    .map(line)
                    .collect::<String>()
                    .as_bytes(),
            )
        } else {
            let lines: Vec<_> = listing.files.iter().map(cells).collect();
            print(columns(&lines).as_bytes())
        })
    })?;
    if is_refused.get() && leaves_work_directory(&arguments.path) {
        Reporter::new(false)
            .advice("Only the work directory, /home/work, and what is below it can be listed.");
    }
    Ok(exit)
}

/// Whether a path is outside of the work directory. Manager 26.9.6 does not say so.
fn leaves_work_directory(path: &str) -> bool {
    let below = match path.strip_prefix("/home/work") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        _ if path.starts_with('/') => return true,
        _ => path,
    };
    let mut depth = 0_usize;
    below.split('/').any(|part| match part {
        "" | "." => false,
        ".." if depth == 0 => true,
        ".." => {
            depth -= 1;
            false
        }
        _ => {
            depth += 1;
            false
        }
    })
}

fn seconds(file: &FileInfo) -> Option<Timestamp> {
    since_1970(file.modified?)
}

fn line(file: &FileInfo) -> String {
    let fields = json!({
        "name": file.name,
        "size": file.size,
        "mode": file.mode,
        "modified": seconds(file).map(|time| time.as_second()),
        "directory": file.is_directory(),
    });
    print::line(&fields)
}

fn cells(file: &FileInfo) -> [String; 4] {
    let slash = if file.is_directory() { "/" } else { "" };
    let time = seconds(file).map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string());
    [
        file.mode.clone(),
        file.size.to_string(),
        time.unwrap_or_default(),
        format!("{}{slash}", file.name),
    ]
}

/// Carries out `download`.
pub(crate) fn download(arguments: &DownloadArgs, globals: &Globals) -> Result<Exit, Failure> {
    if fs::metadata(&arguments.output).is_ok_and(|output| !output.is_dir()) {
        let output = arguments.output.display();
        return Err(
            Failure::usage(format!("{output} (from -o) is not a directory")).with_advice(
                "Files keep their path below it: give a directory, which is created if needed.",
            ),
        );
    }
    with_files(globals, &arguments.session, |_, found, reporter| {
        let saver = Arc::new(Mutex::new(Saver::new(&arguments.output)));
        if let Err(failure) = drop_at_exit(&saver) {
            return Ok(Err(failure));
        }
        reporter.wait("Downloading...");
        let mut done = Done::default();
        // Gateways send nothing of a request if one of its files is missing: the others are requested without it. And
        // they do not send large directories: what is in them is requested one by one.
        let mut requests = vec![arguments.files.clone()];
        while let Some(mut wanted) = requests.pop() {
            if wanted.is_empty() {
                continue;
            }
            *lock(&saver) = Saver::new(&arguments.output);
            let saved = save(&found.kernel, &wanted, &saver);
            match saved {
                Ok(()) => done.add(&lock(&saver)),
                Err(Error::FilesUnavailable(more)) => {
                    let is_named = |file: &str| more.files.iter().any(|f| f.name == file);
                    let all = wanted.len();
                    wanted.retain(|file| !is_named(file));
                    let is_stuck = wanted.len() == all;
                    if is_stuck {
                        // What is named was not requested, so there is nothing that could be left out.
                        return Err(Error::FilesUnavailable(more));
                    }
                    requests.push(wanted);
                    let parts = done.take_apart(&found.kernel, *more);
                    requests.extend(parts.into_iter().map(|part| vec![part]));
                }
                Err(error) => {
                    if done.saved > 0 {
                        done.report(arguments, reporter);
                    }
                    if let Some(files) = done.unavailable {
                        reporter.advice(files);
                    }
                    return Err(error);
                }
            }
        }
        done.report(arguments, reporter);
        match done.unavailable {
            Some(files) => {
                reporter.fail(&files);
                let id = found.kernel.id();
                reporter.advice(format_args!("`sorna ls {id}` lists the files."));
                Ok(Ok(Exit::FAILURE))
            }
            None => Ok(Ok(Exit::SUCCESS)),
        }
    })
}

/// Signals end the process at once, however long the gateway sends nothing. No half of a file stays.
fn drop_at_exit(saver: &Arc<Mutex<Saver>>) -> Result<(), Failure> {
    let saver = Arc::clone(saver);
    let drop_it = move || {
        let mut saver = lock(&saver);
        *saver = Saver::new("");
        // It stays locked, so that nothing more is saved.
        std::mem::forget(saver);
    };
    signals::clean_up_at_exit_with(drop_it).map(drop)
}

/// What became of the files.
#[derive(Debug, Default)]
struct Done {
    saved: usize,
    left_out: Vec<(PathBuf, &'static str)>,
    unavailable: Option<Box<FilesUnavailable>>,
}

impl Done {
    fn add(&mut self, saver: &Saver) {
        self.saved += saver.saved().len();
        self.left_out.extend_from_slice(saver.left_out());
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
                match entry.mode.starts_with('l') {
                    true => self.left_out.push((path.into(), "a symbolic link")),
                    false => parts.push(path),
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

    fn report(&self, arguments: &DownloadArgs, reporter: &mut Reporter) {
        for (path, kind) in &self.left_out {
            let path = safe(&path.display().to_string());
            reporter.advice(format_args!("Left out {path}: it is {kind}."));
        }
        if self.saved == 0 && self.unavailable.is_some() {
            return;
        }
        let files = count(self.saved, "file");
        if arguments.output.as_os_str() == "." {
            reporter.done(format_args!("Downloaded {files}."));
        } else {
            let directory = arguments.output.display();
            reporter.done(format_args!("Downloaded {files} to {directory}."));
        }
    }
}

/// Saves the files.
fn save(kernel: &Kernel, files: &[String], saver: &Mutex<Saver>) -> Result<(), Error> {
    for event in kernel.download(files.iter().map(String::as_str)) {
        lock(saver).handle(event?)?;
    }
    Ok(())
}

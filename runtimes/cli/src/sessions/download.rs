//! `sorna download`.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use sorna::blocking::Kernel;
use sorna::{Error, UnpackEvent};

use super::glob;
use super::with_kernel;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fetch::{Fetch, Meter, check_directory};
use crate::globals::Globals;
use crate::harmless::safe;
use crate::print::print;
use crate::reporter::Reporter;
use crate::units::count;

/// Download files and directories of a session.
///
/// They keep their path below the work directory. Files that are there already are not replaced, unless --overwrite says
/// so. If some do not exist, the others are downloaded. Links and named pipes in directories are left out, and named. In Sorna v2, this
/// works with gateways of `sorna serve`.
///
/// Exit code: 0; 1 if the gateway returned an error or could not be reached, there is no such session or
/// file, or a file cannot be written or is there already; 2 for a usage error or a wrong setting.
#[derive(Debug, Args)]
#[command(after_help = DOWNLOAD_EXAMPLES)]
pub(crate) struct DownloadArgs {
    /// Name or ID of the session, or what it starts with; in Sorna v2, session token or ID of the kernel.
    // Of the IDs that gateways make, one in 64 begins with a hyphen.
    #[arg(value_name = "NAME", allow_hyphen_values = true)]
    session: String,

    /// Files and directories, below the work directory, and patterns of these in quotes: `'*.png'`, `'out/**'`, `'**/*.csv'`.
    /// With `-` at the end, one file is written to standard output.
    #[arg(required = true)]
    files: Vec<String>,

    /// Directory to write to, which is created if needed; by default the current one. With `-`, one file is written to
    /// standard output.
    #[arg(short, long = "output", value_name = "DIR")]
    output: Option<PathBuf>,

    /// Replace files that are there already.
    #[arg(long)]
    overwrite: bool,
}

const DOWNLOAD_EXAMPLES: &str = "\
Examples:
  sorna download my-session plot.png
  sorna download my-session results data.csv -o here
  sorna download my-session 'plots/*.png'
  sorna download my-session data.csv - | head";

/// What stands for standard output.
const STDOUT: &str = "-";

/// Where files are written to.
enum Place {
    Directory(PathBuf),
    Stdout,
}

impl DownloadArgs {
    /// What is wanted, and where.
    fn split(&self) -> Result<(&[String], Place), Failure> {
        let (files, has_dash) = match self.files.split_last() {
            Some((last, files)) if last == STDOUT => (files, true),
            _ => (self.files.as_slice(), false),
        };
        let place = match (&self.output, has_dash) {
            (None, false) => Place::Directory(".".into()),
            (Some(output), _) if output.as_os_str() == STDOUT => Place::Stdout,
            (None, true) => Place::Stdout,
            (Some(output), false) => Place::Directory(output.clone()),
            (Some(_), true) => {
                return Err(Failure::usage(
                    "`-`, standard output, cannot be used with a directory (-o)".to_owned(),
                )
                .with_advice("A file of that name is `./-`."));
            }
        };
        if files.is_empty() {
            return Err(Failure::usage(
                "there is no file to be written to standard output".to_owned(),
            ));
        }
        if files.iter().any(String::is_empty) {
            return Err(
                Failure::usage("a file to download has an empty name".to_owned())
                    .with_advice("`sorna ls NAME` lists the files of a session."),
            );
        }
        if let Place::Directory(output) = &place {
            check_directory(output, "-o")?;
        }
        Ok((files, place))
    }
}

/// Carries out `download`.
pub(crate) fn download(arguments: &DownloadArgs, globals: &Globals) -> Result<Exit, Failure> {
    let (files, place) = arguments.split()?;
    with_kernel(globals, &arguments.session, |_, found, reporter| {
        let wanted = expand(&found.kernel, files, reporter)?;
        match &place {
            Place::Stdout => to_stdout(&found.kernel, &wanted, reporter),
            Place::Directory(output) => {
                let fetch = Fetch::into(output, arguments.overwrite);
                match fetch.drop_at_exit() {
                    Ok(()) => to_directory(&found.kernel, wanted, output, fetch, reporter),
                    Err(failure) => Ok(Err(failure)),
                }
            }
        }
    })
}

/// Downloads files, directories and what matches patterns to the current directory, and reports it.
pub(crate) fn download_here(
    kernel: &Kernel,
    files: &[String],
    overwrites: bool,
    reporter: &mut Reporter,
) -> Result<(), Error> {
    let wanted = expand(kernel, files, reporter)?;
    let here = Path::new(".");
    let fetch = Fetch::into(here, overwrites);
    to_directory(kernel, wanted, here, fetch, reporter).map(drop)
}

/// What is to be downloaded.
#[derive(Debug, Default)]
struct Wanted {
    paths: Vec<String>,
    /// Links that match a pattern.
    special: Vec<(String, &'static str)>,
    /// Patterns that nothing matches.
    unmatched: Vec<String>,
}

/// Puts what matches in the place of patterns.
fn expand(kernel: &Kernel, files: &[String], reporter: &mut Reporter) -> Result<Wanted, Error> {
    let mut wanted = Wanted::default();
    let mut list = |directory: &str| Ok(kernel.list_files(directory)?.files);
    for file in files {
        if !glob::is_pattern(file) {
            wanted.paths.push(file.clone());
            continue;
        }
        reporter.wait("Looking for files...");
        let found = glob::find(file, &mut list)?;
        if found.paths.is_empty() && found.special.is_empty() {
            wanted.unmatched.push(file.clone());
        }
        wanted.paths.extend(found.paths);
        wanted.special.extend(found.special);
    }
    Ok(wanted)
}

impl Wanted {
    /// Says which patterns match nothing; whether there are any.
    fn report(&self, reporter: &mut Reporter) -> bool {
        for pattern in &self.unmatched {
            reporter.fail(format_args!("No file matches {}", safe(pattern)));
        }
        !self.unmatched.is_empty()
    }
}

type Outcome = Result<Result<Exit, Failure>, Error>;

fn to_directory(
    kernel: &Kernel,
    mut wanted: Wanted,
    output: &Path,
    mut fetch: Fetch,
    reporter: &mut Reporter,
) -> Outcome {
    fetch.leave_out(std::mem::take(&mut wanted.special));
    let fetched = fetch.fetch(kernel, &wanted.paths, reporter);
    let is_incomplete = fetch.report(reporter);
    let saved = fetch.saved().len();
    let is_failed = fetched.is_err()
        || fetch.unavailable().is_some()
        || is_incomplete
        || !wanted.unmatched.is_empty();
    if saved > 0 || !is_failed {
        let files = count(saved, "file");
        match output.as_os_str() == "." {
            true => reporter.done(format_args!("Downloaded {files}.")),
            false => reporter.done(format_args!("Downloaded {files} to {}.", output.display())),
        }
    }
    let is_unmatched = wanted.report(reporter);
    if let Err(error) = fetched {
        if let Some(files) = fetch.unavailable() {
            reporter.advice(files);
        }
        return Err(error);
    }
    if let Some(files) = fetch.unavailable() {
        reporter.fail(files);
    }
    if fetch.unavailable().is_some() || is_unmatched {
        let id = kernel.id();
        reporter.advice(format_args!("`sorna ls {id}` lists the files."));
    }
    Ok(Ok(match is_failed {
        true => Exit::FAILURE,
        false => Exit::SUCCESS,
    }))
}

/// Writes one file to standard output.
fn to_stdout(kernel: &Kernel, wanted: &Wanted, reporter: &mut Reporter) -> Outcome {
    if wanted.report(reporter) {
        return Ok(Ok(Exit::FAILURE));
    }
    let [path] = wanted.paths.as_slice() else {
        let number = wanted.paths.len();
        return Ok(Err(Failure::usage(format!(
            "standard output takes one file, and {number} are named"
        ))));
    };
    let is_shown = io::stdout().is_terminal();
    let mut meter = Meter::start(reporter);
    for event in kernel.download([path.as_str()]) {
        let event = event?;
        match &event {
            UnpackEvent::Directory(_) => {
                return Ok(Err(Failure::usage(format!(
                    "{path} is a directory, and standard output takes one file"
                ))));
            }
            UnpackEvent::Data(bytes) => {
                if is_shown {
                    reporter.clear();
                }
                let mut stdout = io::stdout().lock();
                match stdout.write_all(bytes) {
                    Ok(()) => {}
                    // The reader needs no more.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                        return Ok(Ok(Exit::SUCCESS));
                    }
                    Err(error) => {
                        let what = "cannot write to standard output";
                        return Ok(Err(Failure::System(what, error)));
                    }
                }
            }
            _ => {}
        }
        if !is_shown {
            meter.note(&event, reporter);
        }
    }
    reporter.clear();
    Ok(print(b""))
}

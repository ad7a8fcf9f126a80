//! `sorna ls` and `sorna download`.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use sorna::blocking::Kernel;
use sorna::files::Saver;
use sorna::{Error, FileInfo, FilesUnavailable};

use super::with_session;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::harmless::safe;
use crate::print::{columns, print};
use crate::reporter::Reporter;
use crate::units::{count, since_1970};

/// List files of a session.
///
/// Backend.AI only.
///
/// Exit code: 0; 1 if the gateway returned an error or could not be reached, or there is no such session or
/// directory; 2 for a usage error or a wrong setting.
#[derive(Debug, Args)]
#[command(after_help = LS_EXAMPLES)]
pub(crate) struct LsArgs {
    /// Name or ID of the session, or what it starts with.
    #[arg(value_name = "NAME")]
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
/// others are downloaded. Links in directories are left out, and named. Backend.AI only.
///
/// Exit code: 0; 1 if the gateway returned an error or could not be reached, there is no such session or
/// file, or a file cannot be written; 2 for a usage error or a wrong setting.
#[derive(Debug, Args)]
#[command(after_help = DOWNLOAD_EXAMPLES)]
pub(crate) struct DownloadArgs {
    /// Name or ID of the session, or what it starts with.
    #[arg(value_name = "NAME")]
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
    let exit = with_session(
        globals,
        "lists of files",
        &arguments.session,
        |_, found, reporter| {
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
        },
    )?;
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
    format!("{fields}\n")
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
    with_session(
        globals,
        "downloads",
        &arguments.session,
        |_, found, reporter| {
            reporter.wait("Downloading...");
            let mut wanted: Vec<&str> = arguments.files.iter().map(String::as_str).collect();
            let mut unavailable: Option<Box<FilesUnavailable>> = None;
            // Gateways send nothing of a request if one of its files is missing: the others are requested without it.
            while !wanted.is_empty() {
                let mut saver = Saver::new(&arguments.output);
                match save(&found.kernel, &wanted, &mut saver) {
                    Ok(()) => {
                        report(arguments, &saver, reporter);
                        break;
                    }
                    Err(Error::FilesUnavailable(more)) => {
                        let is_named = |file: &&str| more.files.iter().any(|f| f.name == **file);
                        let left: Vec<&str> =
                            wanted.iter().copied().filter(|f| !is_named(f)).collect();
                        let is_stuck = left.len() == wanted.len();
                        wanted = left;
                        match &mut unavailable {
                            None => unavailable = Some(more),
                            Some(all) => all.files.extend(more.files),
                        }
                        if is_stuck {
                            break;
                        }
                    }
                    Err(error) => {
                        if let Some(files) = unavailable {
                            reporter.advice(files);
                        }
                        return Err(error);
                    }
                }
            }
            match unavailable {
                Some(files) => {
                    reporter.fail(&files);
                    reporter.advice(format_args!(
                        "`sorna ls {}` lists the files.",
                        found.kernel.id()
                    ));
                    Ok(Ok(Exit::FAILURE))
                }
                None => Ok(Ok(Exit::SUCCESS)),
            }
        },
    )
}

fn save(kernel: &Kernel, files: &[&str], saver: &mut Saver) -> Result<(), Error> {
    for event in kernel.download(files.iter().copied()) {
        saver.handle(event?)?;
    }
    Ok(())
}

fn report(arguments: &DownloadArgs, saver: &Saver, reporter: &mut Reporter) {
    for (path, kind) in saver.left_out() {
        let path = safe(&path.display().to_string());
        reporter.advice(format_args!("Left out {path}: it is {kind}."));
    }
    let files = count(saver.saved().len(), "file");
    if arguments.output.as_os_str() == "." {
        reporter.done(format_args!("Downloaded {files}."));
    } else {
        let directory = arguments.output.display();
        reporter.done(format_args!("Downloaded {files} to {directory}."));
    }
}

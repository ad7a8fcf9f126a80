//! `sorna ls`.

use std::cell::Cell;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use sorna::FileInfo;

use super::with_kernel;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::print::{self, columns, print};
use crate::reporter::Reporter;
use crate::units::since_1970;

/// List files of a session.
///
/// In Sorna v2, of a kernel, with gateways of `sorna serve`.
///
/// Exit code: 0; 1 if the gateway returned an error or could not be reached, or there is no such session or
/// directory; 2 for a usage error or a wrong setting.
#[derive(Debug, Args)]
#[command(after_help = LS_EXAMPLES)]
pub(crate) struct LsArgs {
    /// Name or ID of the session, or what it starts with; in Sorna v2, session token or ID of the kernel.
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

/// Carries out `ls`.
pub(crate) fn ls(arguments: &LsArgs, globals: &Globals) -> Result<Exit, Failure> {
    let is_refused = Cell::new(false);
    let exit = with_kernel(globals, &arguments.session, |_, found, reporter| {
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

//! Files for a gateway that makes no directories: sent under names without any, and moved by a script.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::ops::{Batch, Boundary, UploadFile};

/// Files under other names, and what moves them to their places.
#[derive(Debug)]
pub(super) struct Flat {
    /// With the script.
    pub(super) files: Vec<UploadFile>,
    /// Runs the script.
    pub(super) batch: Batch,
    /// What the script prints once all files are in their places.
    pub(super) mark: String,
}

impl Flat {
    /// `boundary` is new for each upload, so the names are those of no other files.
    pub(super) fn new(files: Vec<UploadFile>, boundary: &Boundary) -> Self {
        let boundary = boundary.to_string();
        let id = boundary.get(..14).unwrap_or(&boundary);
        let mark = format!("{id} moved");
        let mut directories = BTreeSet::new();
        let mut moves = String::new();
        let rename = |(index, file): (usize, UploadFile)| {
            let name = format!("{id}-{index}");
            if let Some((directory, _)) = file.name().rsplit_once('/') {
                directories.insert(quoted(directory));
            }
            let target = quoted(file.name());
            let _ = writeln!(moves, "mv -f {name} {target}");
            if let Some(mode) = file.mode().filter(|mode| mode & 0o111 != 0) {
                let _ = writeln!(moves, "chmod {mode:o} {target}");
            }
            file.renamed(name)
        };
        let mut files: Vec<_> = files.into_iter().enumerate().map(rename).collect();
        let mut script = "set -e\n".to_owned();
        for directory in directories {
            let _ = writeln!(script, "mkdir -p {directory}");
        }
        let name = format!("{id}.sh");
        let _ = write!(script, "{moves}rm -f {name}\necho '{mark}'\n");
        files.extend(UploadFile::from_bytes(name.clone(), script));
        Self {
            files,
            batch: Batch::new()
                .with_build(format!("sh ./{name}"))
                .without_exec(),
            mark,
        }
    }
}

/// A path below the work directory as a word of a shell, which is no option of a command.
fn quoted(path: &str) -> String {
    format!("'./{}'", path.replace('\'', r"'\''"))
}

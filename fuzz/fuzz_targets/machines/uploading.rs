//! Uploads, alone or in a run.

use std::collections::BTreeSet;

use sorna_core::Error;
use sorna_core::machine::{Upload, UploadProgress};
use sorna_fuzz::check_error;

use crate::harness::Subject;
use crate::scene::Scene;
use crate::wire::{Exchange, Wire};

pub(crate) struct Uploading {
    upload: Upload,
    is_uploadable: bool,
    names: BTreeSet<String>,
    seen: UploadProgress,
}

impl Uploading {
    pub(crate) fn new(upload: Upload, scene: &Scene) -> Self {
        Self {
            seen: upload.progress(),
            upload,
            is_uploadable: scene.is_uploadable(),
            names: scene.files().iter().map(|f| f.name().to_owned()).collect(),
        }
    }
}

/// Properties of an upload that is over, alone or in a run.
pub(crate) fn check_taken(names: &BTreeSet<String>, wire: &Wire, rejected: &[&str]) {
    let taken = wire.taken.iter().map(String::as_str);
    let mut all: Vec<&str> = taken.chain(rejected.iter().copied()).collect();
    all.sort_unstable();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(all, names, "each file is taken or named, once");
}

/// Properties of progress, wherever it is reported.
pub(crate) fn check_progress(before: UploadProgress, after: UploadProgress, wire: &Wire) {
    assert!(before.files <= after.files && before.bytes <= after.bytes);
    assert!(after.files <= after.total_files && after.bytes <= after.total_bytes);
    assert_eq!(after.files, wire.taken.len());
}

impl Subject for Uploading {
    type Machine = Upload;

    fn machine(&mut self) -> &mut Upload {
        &mut self.upload
    }

    fn sends(&mut self, exchange: &Exchange) {
        assert!(self.is_uploadable, "a file that no gateway takes");
        assert!(exchange.files.len() <= 19, "more than a gateway takes");
    }

    fn event(&mut self, event: UploadProgress, wire: &Wire) {
        check_progress(self.seen, event, wire);
        self.seen = event;
    }

    fn done(&mut self, output: Result<UploadProgress, Error>, wire: &Wire) {
        match output {
            Ok(progress) => {
                check_progress(self.seen, progress, wire);
                check_taken(&self.names, wire, &[]);
            }
            Err(Error::FilesRejected(files)) => {
                let rejected: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
                assert!(!rejected.is_empty());
                check_taken(&self.names, wire, &rejected);
                check_error(&Error::FilesRejected(files));
            }
            Err(error) => check_error(&error),
        }
    }
}

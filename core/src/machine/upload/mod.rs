//! Any number of files, in as many requests as needed.

mod check;

use std::collections::VecDeque;

use bytes::Bytes;
use http::{Response, StatusCode};

use crate::caller::Caller;
use crate::error::{Error, GatewayError, RejectedFile, TransportError};
use crate::ident::KernelId;
use crate::machine::call::Call;
use crate::machine::step::{Machine, Step};
use crate::moment::Moment;
use crate::ops::{Boundary, Reply, UploadFile, UploadFiles, check_files, check_files_of};
use crate::problem::ProblemKind;
use crate::version::{ApiVersion, Dialect};
use check::{Check, Checked};

/// Uploads files in requests that the gateway accepts.
///
/// The original gateway rejects some requests for the way their bytes arrive, not only for their content.
/// So a rejected request is repeated; if it is rejected again, its files are sent one by one; and
/// the files that are still rejected are named in [`Error::FilesRejected`], after all other files
/// were sent. Small files go first, since the gateway then rejects fewer requests; directories go last, since their
/// [modes](UploadFile::with_mode) may not allow more to be put into them.
///
/// ```text
///   new ─► requests of at most 19 files, the small ones first
///            │ one after the other
///            ▼
///     ┌─► First ─────── 204 ──► taken: Step::Event ─► the next one; after the last: Done
///     │     │ 400, 413                  ▲
///     │     ▼                           │
///     │   Repeated ──── 204 ────────────┘
///     │     │ 400, 413; or 500 of the agent at First: sending it again will not help
///     │     ├─ several files: each in a separate request ───┐
///     └─────┼───────────────────────────────────────────────┘
///           └─ one file: rejected, then the next request
///
///   any other error: Done at once
///   after the last request, in Backend.AI: Checking ─► Done
/// ```
///
/// In Backend.AI, managers respond with success also if they cannot store a file: a directory has its name, a file
/// has the name of its directory, the name is too long, the disk is full. (Observed on 26.9.6; 23.09.10 reports
/// these.) And both store files below the work directory where a mount hides them (read in the sources). So the
/// directories of the accepted files are listed at the end, each once, at most 100 and for half a minute; a file
/// that is missing or has another size is named like a rejected one, with
/// [`ErrorBody::NotStored`](crate::ErrorBody::NotStored). A list that cannot be had does not make the upload fail:
/// its files are [counted](UploadProgress::unchecked). Where the gateway is known to report what it cannot store,
/// [leave it out](Self::with_check).
///
/// Each request is a [`Call`], which retries where no response came or the gateway asks for it;
/// [`poll`](Machine::poll) gives `Step::Idle` only while one is in flight, and after the end. Files
/// that no gateway of this version accepts (over 1 MiB, or two of one name) end the upload before
/// anything is sent, with [`Error::Build`].
///
/// Source: the API manual of 2017, "Upload"; the limits of the original gateway (at most 19 files, not 20;
/// a file's size counted by how its bytes arrive) were observed on 0.9.11.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use sorna_core::machine::{Machine, Step, Upload};
/// use sorna_core::{Boundary, Caller, Instant, KernelId, Moment, Segment, UploadFile};
/// # use sorna_core::{AccessKey, Config, Credentials, SecretKey, Signer};
/// # let keys = Credentials::new(AccessKey::new("AK")?, SecretKey::new("SK")?);
/// # let signer = Signer::new(Config::new("http://127.0.0.1:8081".parse()?, keys));
/// # let now = Moment::new(UNIX_EPOCH + Duration::from_secs(1_498_699_425), Instant::default(), 42);
///
/// let files = vec![
///     UploadFile::from_bytes("main.c", "int main(void) {}\n")?,
///     UploadFile::from_file("data/set.bin", "/home/me/set.bin", 700_000)?,
/// ];
/// let kernel = KernelId::new("zuF1OzMIhFknyjUl7Apbvg")?;
/// let boundary = Boundary::from_random([7; 16]);
/// let mut upload = Upload::new(kernel, files, boundary, Caller::new(signer));
///
/// let Step::Send(transmit) = upload.poll(now) else { panic!() };
/// assert_eq!(transmit.request.uri().path(), "/v2/kernel/zuF1OzMIhFknyjUl7Apbvg/upload");
/// let mut sent = String::new();
/// for segment in transmit.request.body().segments() {
///     sent += &match segment {
///         Segment::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
///         Segment::File { path, len } => format!("<{len} bytes of {}>", path.display()),
///         _ => unreachable!(),
///     };
/// }
/// assert_eq!(sent, "\
/// --sorna-07070707070707070707070707070707\r
/// Content-Disposition: form-data; name=\"src\"; filename=\"main.c\"\r
/// Content-Type: application/octet-stream\r
/// \r
/// int main(void) {}
/// \r
/// --sorna-07070707070707070707070707070707\r
/// Content-Disposition: form-data; name=\"src\"; filename=\"data/set.bin\"\r
/// Content-Type: application/octet-stream\r
/// \r
/// <700000 bytes of /home/me/set.bin>\r
/// --sorna-07070707070707070707070707070707--\r
/// ");
///
/// // It arrived in the wrong pieces. The same request is accepted when it is sent again.
/// let rejected = r#"{"type": "https://api.sorna.io/probs/generic-bad-request", "title": "Too large file"}"#;
/// upload.handle_response(now, http::Response::builder().status(400).body(rejected.into())?);
/// let Step::Send(_) = upload.poll(now) else { panic!() };
/// upload.handle_response(now, http::Response::builder().status(204).body("".into())?);
///
/// let Step::Event(progress) = upload.poll(now) else { panic!() };
/// assert_eq!((progress.files, progress.bytes), (2, 700_018));
/// let Step::Done(Ok(all)) = upload.poll(now) else { panic!() };
/// assert_eq!(all, progress);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an upload does nothing until it is polled"]
pub struct Upload {
    kernel: KernelId,
    boundary: Boundary,
    caller: Caller,
    batches: VecDeque<Batch>,
    /// What it is asked for whether there is room.
    asking: Vec<UploadFile>,
    current: Option<(Call<UploadFiles>, Stage)>,
    progress: UploadProgress,
    report_progress: bool,
    rejected: Vec<RejectedFile>,
    sends_modes: bool,
    /// What a gateway that makes no directories rejected.
    unplaced: Vec<UploadFile>,
    /// Why, once that is known: files in directories are not even sent from then on.
    makes_no_directories: Option<GatewayError>,
    /// What was accepted and is to be checked.
    accepted: Option<Vec<check::File>>,
    /// The status of the last response.
    status: StatusCode,
    check: Option<Check>,
    end: Option<Result<UploadProgress, Error>>,
    spent: bool,
}

/// The progress of an upload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadProgress {
    /// Files that the gateway has accepted. Directories are not counted.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// All files of the upload.
    pub total_files: usize,
    /// Their bytes.
    pub total_bytes: u64,
    /// How many of the accepted files could not be checked, once the upload has ended: they may not be stored. Always
    /// 0 if nothing is to be checked.
    pub unchecked: usize,
}

/// Files for one request.
#[derive(Debug)]
struct Batch {
    files: Vec<UploadFile>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It is asked first whether there is room.
    Asking,
    First,
    Repeated,
}

impl Upload {
    /// An upload. It starts when it is polled. The caller's policy applies to each of its requests.
    pub fn new(
        kernel: KernelId,
        mut files: Vec<UploadFile>,
        boundary: Boundary,
        caller: Caller,
    ) -> Self {
        let version = caller.version();
        let end = check_files(&files, version)
            .err()
            .map(|error| Err(Error::Build(error)));
        let progress = UploadProgress {
            total_files: files_of(&files).count(),
            // Saturating, since sizes that are too large are rejected only after the sum.
            total_bytes: files
                .iter()
                .map(UploadFile::size)
                .fold(0, u64::saturating_add),
            ..UploadProgress::default()
        };
        // Directories come last, the inner ones first: their modes may not allow more to be put into them.
        files.sort_by_key(|file| match file.is_directory() {
            false => (false, file.size()),
            true => (true, u64::MAX - file.name().matches('/').count() as u64),
        });
        let batches = in_batches(&files, version).collect();
        Self {
            kernel,
            boundary,
            caller,
            batches,
            asking: Vec::new(),
            current: None,
            progress,
            report_progress: false,
            rejected: Vec::new(),
            sends_modes: false,
            unplaced: Vec::new(),
            makes_no_directories: None,
            accepted: (version.dialect() == Dialect::BackendAi).then(Vec::new),
            status: StatusCode::NO_CONTENT,
            check: None,
            end,
            spent: false,
        }
    }

    /// Whether to check at the end that the gateway has stored what it accepted. By default that is so in Backend.AI; in
    /// Sorna v2, which has no lists of files, it is never so.
    ///
    /// [`Negotiated::may_lose_uploads`](super::Negotiated::may_lose_uploads) says whether a gateway needs it.
    pub fn with_check(mut self, check: bool) -> Self {
        let check = check && self.caller.version().dialect() == Dialect::BackendAi;
        self.accepted = check.then(Vec::new);
        self
    }

    /// Sets whether to send the [permissions](UploadFile::with_mode) of files, and
    /// [directories](UploadFile::directory): no by default, and then directories are left out. See
    /// [`UploadFiles::with_modes`] for the gateways that understand these.
    pub fn with_modes(mut self, sends_modes: bool) -> Self {
        self.sends_modes = sends_modes;
        self
    }

    /// Sets whether files may have any size: no by default. See [`UploadFiles::with_any_size`] for the gateways that take
    /// these. Each that is larger than the protocol allows has a request of its own, once the gateway has said that there is
    /// room; it is not repeated if it is rejected.
    pub fn with_any_size(mut self, is_any_size: bool) -> Self {
        if !is_any_size {
            return self;
        }
        let files: Vec<UploadFile> = self.batches.drain(..).flat_map(|it| it.files).collect();
        self.end = check_files_of(&files, u64::MAX)
            .err()
            .map(|error| Err(Error::Build(error)));
        let version = self.caller.version();
        let limits = version.upload_limits();
        let (large, mut small): (Vec<_>, Vec<_>) = files
            .into_iter()
            .partition(|file| file.size() > limits.max_file_size);
        // With the files, unless large ones are to come before them.
        let directories = match large.is_empty() {
            true => Vec::new(),
            false => small.split_off(small.partition_point(|file| !file.is_directory())),
        };
        let large = large.into_iter().map(|file| Batch {
            files: vec![file],
            stage: Stage::Asking,
        });
        self.batches = in_batches(&small, version)
            .chain(large)
            .chain(in_batches(&directories, version))
            .collect();
        self
    }

    /// Its progress.
    #[must_use]
    pub fn progress(&self) -> UploadProgress {
        self.progress
    }

    /// Whether a request is in flight.
    pub(in crate::machine) fn is_in_flight(&self) -> bool {
        let call = self.current.as_ref();
        call.is_some_and(|(call, _)| call.is_in_flight())
            || self.check.as_ref().is_some_and(Check::is_in_flight)
    }

    fn next_batch(&mut self) -> Option<&mut Call<UploadFiles>> {
        if self.current.is_none() {
            let mut batch = self.batches.pop_front()?;
            if !self.sends_modes {
                batch.files.retain(|file| !file.is_directory());
                if batch.files.is_empty() {
                    return self.next_batch();
                }
            }
            if let Some(error) = self.makes_no_directories.clone() {
                let (nested, flat) = batch.files.into_iter().partition(is_nested);
                self.not_placed(nested, &error);
                batch.files = flat;
                if batch.files.is_empty() {
                    return self.next_batch();
                }
            }
            let limit = self.caller.version().upload_limits().max_file_size;
            // None are larger unless the gateway takes these.
            let is_large = batch.files.iter().any(|file| file.size() > limit);
            if batch.stage == Stage::Asking {
                let bytes = batch.files.iter().map(UploadFile::size).sum();
                let ask = UploadFiles::room_for(self.kernel.clone(), bytes, self.boundary);
                self.asking = batch.files;
                self.current = Some((Call::new(ask, self.caller.clone()), batch.stage));
                return self.current.as_mut().map(|(call, _)| call);
            }
            let operation = UploadFiles::new(self.kernel.clone(), batch.files, self.boundary)
                .with_modes(self.sends_modes)
                .with_any_size(is_large);
            let call = Call::new(operation, self.caller.clone());
            self.current = Some((call, batch.stage));
        }
        self.current.as_mut().map(|(call, _)| call)
    }

    fn batch_ended(&mut self, result: Result<Reply<()>, Error>) {
        let Some((call, stage)) = self.current.take() else {
            return;
        };
        let files = match stage {
            Stage::Asking => std::mem::take(&mut self.asking),
            _ => call.into_operation().files,
        };
        match result {
            Ok(_) if stage == Stage::Asking => self.batches.push_front(Batch {
                files,
                stage: Stage::Repeated,
            }),
            Ok(_) => {
                self.progress.files += files_of(&files).count();
                self.progress.bytes += files.iter().map(UploadFile::size).sum::<u64>();
                self.report_progress = true;
                if let Some(accepted) = &mut self.accepted {
                    let status = self.status;
                    accepted.extend(files_of(&files).map(|file| check::File::new(file, status)));
                }
            }
            Err(Error::Gateway(error)) if blames_files(&error) => {
                self.rejected(files, stage, *error);
            }
            Err(error) => self.end = Some(Err(error)),
        }
    }

    fn rejected(&mut self, mut files: Vec<UploadFile>, stage: Stage, error: GatewayError) {
        // Not repeated if the agent cannot store a name: it would fail again.
        if stage == Stage::First && error.status() != StatusCode::INTERNAL_SERVER_ERROR {
            self.batches.push_front(Batch {
                files,
                stage: Stage::Repeated,
            });
        } else if files.len() > 1 {
            // One in a directory comes first: if it is rejected alone, the directory is the reason.
            files.sort_by_key(|file| (file.is_directory(), !is_nested(file)));
            for file in files.into_iter().rev() {
                self.batches.push_front(Batch {
                    files: vec![file],
                    stage: Stage::First,
                });
            }
        } else if self.caller.version().dialect() == Dialect::SornaV2
            && error.status() == StatusCode::INTERNAL_SERVER_ERROR
            && files.iter().all(is_nested)
        {
            self.not_placed(files, &error);
            self.makes_no_directories = Some(error);
        } else if let Some(file) = files.pop() {
            self.rejected.push(RejectedFile {
                name: file.name().to_owned(),
                error,
            });
        }
    }

    fn not_placed(&mut self, files: Vec<UploadFile>, error: &GatewayError) {
        for file in files {
            self.rejected.push(RejectedFile {
                name: file.name().to_owned(),
                error: error.clone(),
            });
            self.unplaced.push(file);
        }
    }

    /// The rejected files, if the only reason is that the gateway makes no directories.
    pub(in crate::machine) fn take_unplaced(
        &mut self,
        rejected: &[RejectedFile],
    ) -> Option<Vec<UploadFile>> {
        let unplaced = std::mem::take(&mut self.unplaced);
        (!unplaced.is_empty() && unplaced.len() == rejected.len()).then_some(unplaced)
    }

    /// Begins to check what was accepted, if that is still to be done.
    fn start_check(&mut self) -> Option<&mut Check> {
        if let Some(files) = self.accepted.take() {
            let kernel = self.kernel.clone();
            self.check = Some(Check::new(kernel, files, self.caller.clone()));
        }
        self.check.as_mut()
    }

    fn checked(&mut self, checked: Checked) {
        self.check = None;
        self.progress.unchecked = checked.unknown;
        self.rejected.extend(checked.not_stored);
    }

    fn end(&mut self) -> Result<UploadProgress, Error> {
        if self.rejected.is_empty() {
            Ok(self.progress)
        } else {
            Err(Error::FilesRejected(std::mem::take(&mut self.rejected)))
        }
    }
}

/// As many requests as are needed for these.
fn in_batches(files: &[UploadFile], version: ApiVersion) -> impl Iterator<Item = Batch> {
    let batches = files.chunks(version.upload_limits().max_files);
    batches.map(|files| Batch {
        files: files.to_vec(),
        stage: Stage::First,
    })
}

/// Those that are no directories.
fn files_of(files: &[UploadFile]) -> impl Iterator<Item = &UploadFile> {
    files.iter().filter(|file| !file.is_directory())
}

/// Whether it is in a directory.
fn is_nested(file: &UploadFile) -> bool {
    file.name().contains('/')
}

/// Whether an error response may be about one of the files rather than about the request.
fn blames_files(error: &GatewayError) -> bool {
    match error.status() {
        StatusCode::BAD_REQUEST => error.kind() != Some(ProblemKind::InvalidAuthParams),
        StatusCode::PAYLOAD_TOO_LARGE => true,
        StatusCode::INTERNAL_SERVER_ERROR => {
            error.kind() == Some(ProblemKind::KernelExecutionFailed)
        }
        _ => false,
    }
}

impl Machine for Upload {
    type Event = UploadProgress;
    type Output = Result<UploadProgress, Error>;

    fn poll(&mut self, now: Moment) -> Step<UploadProgress, Self::Output> {
        loop {
            if std::mem::take(&mut self.report_progress) {
                return Step::Event(self.progress);
            }
            if self.spent {
                return Step::Idle;
            }
            if let Some(end) = self.end.take() {
                self.spent = true;
                return Step::Done(end);
            }
            if let Some(call) = self.next_batch() {
                match call.poll(now).split() {
                    Ok(result) => self.batch_ended(result),
                    Err(step) => return step.within(|never| match never {}),
                }
            } else if let Some(check) = self.start_check() {
                match check.poll(now).split() {
                    Ok(checked) => self.checked(checked),
                    Err(step) => return step.within(|never| match never {}),
                }
            } else {
                self.end = Some(self.end());
            }
        }
    }

    fn handle_response(&mut self, now: Moment, response: Response<Bytes>) {
        if let Some((call, _)) = &mut self.current {
            self.status = response.status();
            call.handle_response(now, response);
        } else if let Some(check) = &mut self.check {
            check.handle_response(now, response);
        }
    }

    fn handle_failure(&mut self, now: Moment, failure: TransportError) {
        if let Some((call, _)) = &mut self.current {
            call.handle_failure(now, failure);
        } else if let Some(check) = &mut self.check {
            check.handle_failure(now, failure);
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_backend_ai;

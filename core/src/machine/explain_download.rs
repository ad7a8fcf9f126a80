//! Why a download failed.

use std::collections::VecDeque;
use std::convert::Infallible;

use bytes::Bytes;
use http::{Response, StatusCode};

use super::call::Call;
use super::step::{Machine, Step};
use crate::caller::Caller;
use crate::download::Requested;
use crate::error::{
    Error, ErrorBody, FilesUnavailable, GatewayError, TransportError, Unavailable, UnavailableFile,
};
use crate::ident::KernelId;
use crate::moment::Moment;
use crate::ops::{FileListing, ListFiles, Reply};
use crate::problem::ProblemKind;

/// The largest file whose archive has at most 1 MiB: a header comes before it, and two blocks come after.
const MAX_SIZE: u64 = 1024 * 1024 - 3 * 512;

/// Finds out which files made a download fail.
///
/// Managers of Backend.AI respond with 500 if a file does not exist, and do not always say which: 23.09.10 has
/// it in the text of its agent's exception, 26.9.6 says nothing. `sorna-gateway` responds with 400 and names the first.
/// So this machine lists the directories of
/// the files, one after the other, and ends with an error: [`Error::FilesUnavailable`] if files are missing
/// or too large; else the one that it began with, as for any other failure.
///
/// ```text
///   new ─► any error that is not about the files of a download ───► Done: that error
///     │
///     └──► list the directory of a file ──► the next one ──► … ──► Done
///              │ listed: files that are not in it are missing
///              │ reported as an error: so are all its files
///              └ any other error: nothing is known of its files
/// ```
///
/// Make the download first, in whichever way; a [`Call`] of [`Download`](crate::Download), or streaming. Then,
/// for its error:
///
/// ```
/// use sorna_core::machine::{ExplainDownload, Machine, Step};
/// use sorna_core::{ApiVersion, Caller, Download, Instant, KernelId, Moment, Operation};
/// # use std::time::{Duration, UNIX_EPOCH};
/// # use sorna_core::{AccessKey, Config, Credentials, SecretKey, Signer};
/// # let keys = Credentials::new(AccessKey::new("AK")?, SecretKey::new("SK")?);
/// # let config = Config::new("http://127.0.0.1:8081".parse()?, keys);
/// # let signer = Signer::new(config.with_version(ApiVersion::V9_20250722));
/// # let now = Moment::new(UNIX_EPOCH + Duration::from_secs(1_795_486_930), Instant::default(), 42);
///
/// let files = vec!["data/a.csv".to_owned(), "data/b.csv".to_owned()];
/// let kernel = KernelId::new("my-session")?;
/// let download = Download::new(kernel.clone(), files.clone());
/// let failed = r#"{"type": "https://api.backend.ai/probs/internal-server-error"}"#;
/// let failed = http::Response::builder().status(500).body(failed.into())?;
/// let error = download.read_response(ApiVersion::V9_20250722, failed).unwrap_err();
///
/// let mut explain = ExplainDownload::new(kernel, files, error, Caller::new(signer));
/// let Step::Send(transmit) = explain.poll(now) else { panic!() };
/// assert_eq!(transmit.request.uri().path(), "/session/my-session/files");
/// let listing = r#"{"files": "[{\"filename\": \"a.csv\", \"size\": 3}]\n", "errors": "", "abspath": "data"}"#;
/// explain.handle_response(now, http::Response::new(listing.into()));
/// let Step::Done(error) = explain.poll(now) else { panic!() };
/// assert_eq!(error.to_string(), "data/b.csv does not exist");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "it does nothing until it is polled"]
pub struct ExplainDownload {
    kernel: KernelId,
    caller: Caller,
    /// The directories that were not listed yet.
    directories: VecDeque<String>,
    current: Option<(String, Call<ListFiles>)>,
    files: Vec<File>,
    /// Whether the gateway is one that sends little at once.
    has_limit: bool,
    /// What it ends with, unless it finds something. `None` when it is spent.
    error: Option<Error>,
}

#[derive(Debug)]
struct File {
    given: String,
    requested: Requested,
    reason: Option<Unavailable>,
    is_directory: bool,
}

impl ExplainDownload {
    /// Explains why the download of these files ended in this error. It starts when it is polled; the caller's
    /// policy applies to each of its requests.
    pub fn new(kernel: KernelId, files: Vec<String>, error: Error, caller: Caller) -> Self {
        let files: Vec<File> = files
            .into_iter()
            .filter_map(|given| {
                let requested = Requested::new(&given).ok()?;
                Some(File {
                    given,
                    requested,
                    reason: None,
                    is_directory: false,
                })
            })
            .collect();
        let mut directories = VecDeque::new();
        if error.gateway().is_some_and(may_be_about_files) {
            for file in &files {
                if !directories.contains(&file.requested.directory) {
                    directories.push_back(file.requested.directory.clone());
                }
            }
        }
        Self {
            kernel,
            caller,
            directories,
            current: None,
            files,
            has_limit: error.gateway().is_some_and(is_of_agent),
            error: Some(error),
        }
    }

    fn next_list(&mut self) -> Option<&mut Call<ListFiles>> {
        if self.current.is_none() {
            let directory = self.directories.pop_front()?;
            let path = if directory.is_empty() {
                "."
            } else {
                &directory
            };
            // Files are listed wherever they are sent.
            let operation = ListFiles::new(self.kernel.clone(), path).with_extension(true);
            let call = Call::new(operation, self.caller.clone());
            self.current = Some((directory, call));
        }
        self.current.as_mut().map(|(_, call)| call)
    }

    fn listed(&mut self, result: Result<Reply<FileListing>, Error>) {
        let Some((directory, _)) = self.current.take() else {
            return;
        };
        for file in &mut self.files {
            if file.requested.directory == directory {
                file.reason = match &result {
                    Ok(reply) => {
                        let found = reply.value.files.iter();
                        let mut found = found.filter(|info| info.name == file.requested.name);
                        file.is_directory = found.any(|info| info.is_directory());
                        reason(&reply.value, &file.requested.name, self.has_limit)
                    }
                    // Any other error of a listing says less than the download's own.
                    Err(error) => unlisted(error),
                };
            }
        }
    }

    fn end(&mut self, error: Error) -> Error {
        let is_explained = self.files.iter().any(|file| file.reason.is_some());
        if !is_explained && self.has_limit {
            for file in self.files.iter_mut().filter(|file| file.is_directory) {
                file.reason = Some(Unavailable::Directory { limit: MAX_SIZE });
            }
        }
        let files: Vec<UnavailableFile> = std::mem::take(&mut self.files)
            .into_iter()
            .filter_map(|file| {
                Some(UnavailableFile {
                    reason: file.reason?,
                    name: file.given,
                })
            })
            .collect();
        match error {
            Error::Gateway(error) if !files.is_empty() => {
                let error = *error;
                Error::FilesUnavailable(Box::new(FilesUnavailable { files, error }))
            }
            error => error,
        }
    }
}

/// Why the file of this name cannot be downloaded from a directory with these.
fn reason(listing: &FileListing, name: &str, has_limit: bool) -> Option<Unavailable> {
    let Some(info) = listing.files.iter().find(|info| info.name == name) else {
        return Some(Unavailable::Missing);
    };
    (has_limit && info.size > MAX_SIZE && !info.is_directory()).then_some(Unavailable::TooLarge {
        size: info.size,
        limit: MAX_SIZE,
    })
}

/// What the error of a listing says about the files of the directory, if it is about the directory.
fn unlisted(error: &Error) -> Option<Unavailable> {
    let error = error.gateway()?;
    let message = error.message()?.to_owned();
    matches!(error.error_body(), ErrorBody::Reported { .. })
        .then_some(Unavailable::Unlisted { message })
}

/// Whether an error response to a download may be about one of its files.
fn may_be_about_files(error: &GatewayError) -> bool {
    match error.kind() {
        // `sorna-gateway`, which names the first file.
        Some(ProblemKind::VfolderOperationFailed) => true,
        _ => is_of_agent(error),
    }
}

/// Whether it is what a manager says of any file that its agent does not send. (Observed on managers 23.09.10 and 26.9.6.)
fn is_of_agent(error: &GatewayError) -> bool {
    let kind = error.kind();
    error.status() == StatusCode::INTERNAL_SERVER_ERROR
        && matches!(
            kind,
            Some(ProblemKind::KernelExecutionFailed | ProblemKind::InternalServerError)
        )
}

impl Machine for ExplainDownload {
    type Event = Infallible;
    type Output = Error;

    fn poll(&mut self, now: Moment) -> Step<Infallible, Error> {
        while let Some(call) = self.next_list() {
            match call.poll(now).split() {
                Ok(result) => self.listed(result),
                Err(step) => return step.within(|never| never),
            }
        }
        match self.error.take() {
            Some(error) => Step::Done(self.end(error)),
            None => Step::Idle,
        }
    }

    fn handle_response(&mut self, now: Moment, response: Response<Bytes>) {
        if let Some((_, call)) = &mut self.current {
            call.handle_response(now, response);
        }
    }

    fn handle_failure(&mut self, now: Moment, failure: TransportError) {
        if let Some((_, call)) = &mut self.current {
            call.handle_failure(now, failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use serde_json::json;

    use super::super::testing::{Driver, caller_for, problem, reply};
    use super::*;
    use crate::ops::testing::kernel;
    use crate::ops::{Download, Operation};
    use crate::version::ApiVersion;

    const VERSION: ApiVersion = ApiVersion::V9_20250722;
    const LIST: &str = "GET /session/k1/files";

    fn explain(files: &[&str], status: u16, kind: &str) -> Driver<ExplainDownload> {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        let download = Download::new(kernel(), files.clone());
        let error = download
            .read_response(VERSION, problem(status, kind))
            .unwrap_err();
        Driver::new(ExplainDownload::new(
            kernel(),
            files,
            error,
            caller_for(VERSION),
        ))
    }

    fn listing(files: &[(&str, u64)]) -> Response<Bytes> {
        let files: Vec<_> = files
            .iter()
            .map(|(name, size)| json!({"filename": name, "size": size, "mode": "-rw-r--r--"}))
            .collect();
        let files = serde_json::to_string(&files).unwrap();
        reply(
            200,
            &json!({"files": files, "errors": "", "abspath": ""}).to_string(),
        )
    }

    fn named(error: &Error) -> Vec<(&str, &Unavailable)> {
        let Error::FilesUnavailable(unavailable) = error else {
            panic!("{error:?}");
        };
        let files = unavailable.files.iter();
        files.map(|file| (&file.name[..], &file.reason)).collect()
    }

    #[test]
    fn all_missing_files_are_named_where_the_gateway_names_the_first() {
        let files = ["here", "gone", "too"];
        let mut explain = explain(&files, 400, "vfolder-operation-failed");
        assert_eq!(explain.sends_body(LIST), r#"{"path":"."}"#);
        // That gateway sends files of any size.
        explain.answers(listing(&[("here", MAX_SIZE + 1)]));
        let error = explain.done();
        assert_eq!(
            named(&error),
            [
                ("gone", &Unavailable::Missing),
                ("too", &Unavailable::Missing)
            ]
        );
    }

    #[test]
    fn each_directory_is_listed_once_and_what_is_missing_is_named() {
        let files = ["a/1", "2", "/home/work/a/3", "./b/4", "5"];
        let mut explain = explain(&files, 500, "internal-server-error");
        assert_eq!(explain.sends_body(LIST), r#"{"path":"a"}"#);
        explain.answers(listing(&[("1", 1), ("4", 1)]));
        assert_eq!(explain.sends_body(LIST), r#"{"path":"."}"#);
        explain.answers(listing(&[("2", 1), ("3", 1)]));
        assert_eq!(explain.sends_body(LIST), r#"{"path":"b"}"#);
        let missing = json!({"files": "", "errors": "FileNotFoundError: 'b'\n", "abspath": "b"});
        explain.answers(reply(200, &missing.to_string()));
        let error = explain.done();
        assert_eq!(
            error.to_string(),
            "/home/work/a/3 does not exist, \
             ./b/4 is in a directory that cannot be listed (FileNotFoundError: 'b'), \
             5 does not exist"
        );
        let source = error.source().unwrap().to_string();
        assert!(
            source.starts_with("the gateway responded with 500"),
            "{source}"
        );
        assert_eq!(error.gateway().unwrap().status(), 500);
        assert!(matches!(explain.poll(), Step::Idle));
    }

    #[test]
    fn what_is_too_large_is_named_with_its_size() {
        let mut explain = explain(&["a", "b"], 500, "kernel-execution-failed");
        explain.sends(LIST);
        explain.answers(listing(&[("a", MAX_SIZE), ("b", MAX_SIZE + 1)]));
        let (size, limit) = (MAX_SIZE + 1, MAX_SIZE);
        let error = explain.done();
        assert_eq!(
            named(&error),
            [("b", &Unavailable::TooLarge { size, limit })]
        );
        assert_eq!(
            error.to_string(),
            "b has 1047041 bytes, and the gateway sends files of at most 1047040"
        );
    }

    #[test]
    fn a_directory_is_named_where_there_is_no_other_reason() {
        let listing = || {
            let files = r#"[{"filename": "d", "size": 4096, "mode": "drwxr-xr-x"}]"#;
            let body = json!({"files": files, "errors": "", "abspath": ""});
            reply(200, &body.to_string())
        };
        let mut explained = explain(&["d"], 500, "internal-server-error");
        explained.sends(LIST);
        explained.answers(listing());
        assert_eq!(
            explained.done().to_string(),
            "d is a directory, which may have more than the 1047040 bytes that the gateway sends at once"
        );
        let mut explained = explain(&["d", "e"], 500, "internal-server-error");
        explained.sends(LIST);
        explained.answers(listing());
        assert_eq!(named(&explained.done()), [("e", &Unavailable::Missing)]);
    }

    #[test]
    fn where_all_files_are_there_the_error_stays_as_it_was() {
        let mut explain = explain(&["a"], 500, "internal-server-error");
        explain.sends(LIST);
        explain.answers(listing(&[("a", 1)]));
        let error = explain.done();
        assert_eq!(
            error.gateway().unwrap().kind_name(),
            Some("internal-server-error")
        );
        assert!(matches!(error, Error::Gateway(_)));
    }

    #[test]
    fn a_directory_that_cannot_be_looked_at_says_nothing() {
        let mut explain = explain(&["a/1", "b/2"], 500, "internal-server-error");
        explain.sends(LIST);
        explain.answers(problem(404, "entity-not-found"));
        explain.sends(LIST);
        explain.answers(listing(&[]));
        assert_eq!(named(&explain.done()), [("b/2", &Unavailable::Missing)]);
    }

    #[test]
    fn other_errors_are_not_looked_into() {
        for (status, kind) in [
            (404, "entity-not-found"),
            (400, "generic-bad-request"),
            (500, "invalid-session-data"),
            (503, "internal-server-error"),
        ] {
            let error = explain(&["a"], status, kind).done();
            assert_eq!(error.gateway().unwrap().kind_name(), Some(kind));
        }
    }
}

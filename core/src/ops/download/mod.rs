//! `/session/{name}/download`: files of a session.

mod method;
mod single;

pub use single::DownloadSingle;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use serde::Serialize;

use self::method::DownloadMethod;
use super::operation::{Operation, Success};
use super::{backend_ai, sorna_v2};
use crate::download::{Requested, UnpackEvent, UnpackLimits, Unpacker};
use crate::error::{BuildError, Error, GatewayError};
use crate::ident::KernelId;
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `POST` or `GET /session/{name}/download`: downloads files or directories, in one request.
///
/// In Sorna v2 it is `GET /v2/kernel/{id}/download`, an extension: see [`with_extension`](Self::with_extension). In
/// Backend.AI, the method is that of the version, and the other one after a 405. The response is
/// `multipart/mixed`: an archive for each file. Reading it gives all files in memory; to unpack it as it
/// arrives, take an [`unpacker`](Self::unpacker).
///
/// Observed on managers 23.09.10 and 26.9.6: at most 5 files; and if one does not exist, or is larger than 1 MiB
/// with its archive, all fail with a 500. [`ExplainDownload`](crate::machine::ExplainDownload) finds
/// out which one it was. Links and devices in a directory are left out.
///
/// Making the request fails with [`BuildError::TooManyFiles`], [`BuildError::NoFiles`], or
/// [`BuildError::FileName`] for a path outside of the work directory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Download {
    /// The kernel.
    pub kernel: KernelId,
    /// Paths below the work directory.
    pub files: Vec<String>,
    /// Whether the gateway has the extension: see [`with_extension`](Self::with_extension).
    pub is_offered: bool,
    method: DownloadMethod,
}

impl Download {
    /// The most files in one request.
    pub const MAX_FILES: usize = 5;

    /// The operation.
    #[must_use]
    pub fn new(kernel: KernelId, files: Vec<String>) -> Self {
        Self {
            kernel,
            files,
            is_offered: false,
            method: DownloadMethod::default(),
        }
    }

    /// Sets whether the gateway offers this in Sorna v2, by the extension
    /// [`ListFiles::FILES`](crate::ListFiles::FILES): no by default, and then there is no such request there. In
    /// Backend.AI it has no effect.
    #[must_use]
    pub fn with_extension(mut self, is_offered: bool) -> Self {
        self.is_offered = is_offered;
        self
    }

    /// Unpacks the response, which has these headers, as it arrives. Its status must say success.
    ///
    /// # Errors
    ///
    /// As [`Unpacker::new`].
    pub fn unpacker(&self, headers: &HeaderMap, limits: UnpackLimits) -> Result<Unpacker, Error> {
        Unpacker::new(&self.files, headers, limits)
    }
}

/// A file that was downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadedFile {
    /// The path below the work directory.
    pub path: String,
    /// Who may read, write and execute it: the nine bits of Unix.
    pub mode: u32,
    /// The content.
    pub content: Bytes,
}

#[derive(Serialize)]
struct Body<'a> {
    files: &'a [String],
}

impl Operation for Download {
    type Output = Vec<DownloadedFile>;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        match version.dialect() {
            Dialect::SornaV2 => {
                self.check()?;
                let request = sorna_v2::to_extension(&self.kernel, self.is_offered, "downloads")?;
                let files = self.files.iter();
                let request = request.segment("download");
                Ok(files.fold(request, |request, file| request.query("files", file)))
            }
            Dialect::BackendAi => {
                self.check()?;
                let length = self.files.iter().map(String::len).sum();
                let method = self.method.for_version(version);
                let mut request =
                    backend_ai::to_session(method, &self.kernel, length)?.segment("download");
                // 23.09.10 reads the body if there is one, 26.9.6 the query alone.
                for file in &self.files {
                    request = request.query("files", file);
                }
                request.json(&Body { files: &self.files })
            }
        }
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<Vec<DownloadedFile>, Error> {
        // The response is in memory already.
        let limits = UnpackLimits::default().with_max_size(u64::MAX);
        let mut unpacker = self.unpacker(success.headers(), limits)?;
        unpacker.feed(success.body().clone());
        let mut files = Vec::new();
        let mut content = BytesMut::new();
        while let Some(event) = unpacker.next_event()? {
            match event {
                UnpackEvent::FileStart(entry) => files.push(DownloadedFile {
                    path: entry.path,
                    mode: entry.mode,
                    content: Bytes::new(),
                }),
                UnpackEvent::Data(data) => content.extend_from_slice(&data),
                UnpackEvent::FileEnd => {
                    if let Some(file) = files.last_mut() {
                        file.content = content.split().freeze();
                    }
                }
                UnpackEvent::Directory(_) | UnpackEvent::LeftOut { .. } => {}
            }
        }
        unpacker.finish()?;
        Ok(files)
    }

    fn adapt(&mut self, _: ApiVersion, error: &GatewayError) -> bool {
        self.method.adapt(error)
    }
}

impl Download {
    /// Checks the files, as making the request does.
    ///
    /// # Errors
    ///
    /// See [`Download`].
    pub fn check(&self) -> Result<(), BuildError> {
        if self.files.is_empty() {
            return Err(BuildError::NoFiles);
        }
        if self.files.len() > Self::MAX_FILES {
            return Err(BuildError::TooManyFiles {
                given: self.files.len(),
                most: Self::MAX_FILES,
            });
        }
        self.files
            .iter()
            .try_for_each(|file| Requested::new(file).map(|_| ()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{kernel, response, sent};
    use super::*;
    use crate::error::UnpackError;

    const V7: ApiVersion = ApiVersion::V7_20230615;
    const V9: ApiVersion = ApiVersion::V9_20250722;

    fn download(files: &[&str]) -> Download {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        Download::new(kernel(), files)
    }

    #[test]
    fn files_are_in_the_query_and_in_the_body() {
        let body = r#"{"files":["a/b.txt","c&d"]}"#.to_owned();
        let target = "/session/k1/download?files=a%2Fb.txt&files=c%26d";
        let download = download(&["a/b.txt", "c&d"]);
        assert_eq!(sent(&download, V7), (format!("GET {target}"), body.clone()));
        assert_eq!(sent(&download, V9), (format!("POST {target}"), body));
        let error = download.prepare(ApiVersion::default());
        assert!(matches!(error, Err(BuildError::NotOffered { .. })));
        let target = "GET /v2/kernel/k1/download?files=a%2Fb.txt&files=c%26d".to_owned();
        let download = download.with_extension(true);
        let sent = sent(&download, ApiVersion::default());
        assert_eq!(sent, (target, String::new()));
    }

    #[test]
    fn the_method_changes_once() {
        let mut download = download(&["a"]);
        let error = download.read_response(V7, response(405, "")).unwrap_err();
        assert!(download.adapt(V7, error.gateway().unwrap()));
        assert!(sent(&download, V7).0.starts_with("POST "));
        assert!(!download.adapt(V7, error.gateway().unwrap()));
    }

    #[test]
    fn one_to_five_files_below_the_work_directory() {
        assert!(download(&["a"; 5]).prepare(V9).is_ok());
        let error = download(&["a"; 6]).prepare(V9).unwrap_err();
        assert_eq!(
            error.to_string(),
            "too many files for one request: 6 (limit 5)"
        );
        assert_eq!(download(&[]).prepare(V9).unwrap_err(), BuildError::NoFiles);
        let error = download(&["a", "../b"]).prepare(V9).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the file name \"../b\" leaves the directory"
        );
    }

    #[test]
    fn a_page_of_a_proxy_is_no_download() {
        let error = download(&["a"])
            .read_response(V9, response(200, "<html>"))
            .unwrap_err();
        assert!(matches!(
            error,
            Error::Unpack(UnpackError::NotMultipart { .. })
        ));
    }
}

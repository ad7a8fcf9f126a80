//! `POST /v2/kernel/{id}/upload`: put files into a kernel's work directory. (API manual of 2017,
//! "Code execution", "Upload".)
//!
//! One request takes few files: see [`Upload`](crate::machine::Upload), which makes as many requests
//! as are needed.

mod file;
mod form;
mod mode;

pub use file::{Boundary, FileContent, UploadFile};
pub use mode::FileMode;

use std::collections::BTreeSet;

use http::Method;

use super::operation::{Operation, Success};
use super::{backend_ai, sorna_v2};
use crate::error::{BuildError, Error};
use crate::ident::KernelId;
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `POST /v2/kernel/{id}/upload`: uploads files, in one request.
///
/// That takes at most 19 files of at most 1 MiB each ([`upload_limits`](ApiVersion::upload_limits)):
/// [`Upload`](crate::machine::Upload) makes as many requests as are needed, and knows what to do when one
/// is rejected. Files land under the kernel's work directory (`/home/work`); those that exist are replaced.
/// (API manual of 2017, "Upload".)
///
/// Observed on gateway 0.9.11: 20 files are rejected, although the manual allows them, and yet the first 20
/// are stored; directories are not created (500 `kernel-execution-failed`).
///
/// Making the request fails with [`BuildError::TooManyFiles`], [`BuildError::FileTooLarge`], or
/// [`BuildError::DuplicateFile`]. Directories are not sent without [`with_modes`](Self::with_modes).
///
/// ```
/// use sorna_core::{Boundary, KernelId, Operation, Segment, UploadFile, UploadFiles};
/// # use std::time::{Duration, UNIX_EPOCH};
/// # use sorna_core::{AccessKey, Config, Credentials, SecretKey, Signer};
/// # let keys = Credentials::new(AccessKey::new("AK")?, SecretKey::new("SK")?);
/// # let signer = Signer::new(Config::new("http://127.0.0.1:8081".parse()?, keys));
/// # let now = UNIX_EPOCH + Duration::from_secs(1_498_699_425);
///
/// let files = vec![
///     UploadFile::from_bytes("include/mylib.h", "int myvalue(void);\n")?,
///     UploadFile::from_file("main.c", "src/main.c", 118)?,
/// ];
/// let upload = UploadFiles::new(KernelId::new("k1")?, files, Boundary::from_random([7; 16]));
/// let request = upload.request(&signer, now)?;
/// // Core makes the framing; the driver streams the second file from disk.
/// assert!(matches!(&request.body().segments()[3], Segment::File { len: 118, .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UploadFiles {
    /// The kernel.
    pub kernel: KernelId,
    /// The files.
    pub files: Vec<UploadFile>,
    /// The boundary between them.
    pub boundary: Boundary,
    /// Whether to send modes and directories: see [`with_modes`](Self::with_modes).
    pub sends_modes: bool,
    /// Whether files may have any size: see [`with_any_size`](Self::with_any_size).
    pub is_any_size: bool,
    /// Asks for room instead: see [`room_for`](Self::room_for).
    pub asks_for: Option<u64>,
}

impl UploadFiles {
    /// The name of the extension that [`with_modes`](Self::with_modes) needs.
    pub const MODES: &str = "file-modes";
    /// The name of the extension that [`with_any_size`](Self::with_any_size) needs.
    pub const ANY_SIZE: &str = "any-size";

    /// The operation.
    #[must_use]
    pub fn new(kernel: KernelId, files: Vec<UploadFile>, boundary: Boundary) -> Self {
        Self {
            kernel,
            files,
            boundary,
            sends_modes: false,
            is_any_size: false,
            asks_for: None,
        }
    }

    /// Asks whether the kernel has room for an upload of this many bytes, with the extension
    /// [`ANY_SIZE`](Self::ANY_SIZE): the query is `size=any&room=` and the number. Nothing is uploaded. A gateway that refuses
    /// a large upload at its beginning cannot tell every client why, since these are still sending.
    #[must_use]
    pub fn room_for(kernel: KernelId, bytes: u64, boundary: Boundary) -> Self {
        let mut this = Self::new(kernel, Vec::new(), boundary).with_any_size(true);
        this.asks_for = Some(bytes);
        this
    }

    /// Sets whether files may have any size: no by default, and then the limits of the protocol hold.
    ///
    /// That is an extension, not part of any API: gateways that have it name [`"any-size"`](Self::ANY_SIZE) where they name
    /// [`"file-modes"`](Self::MODES). The query is `size=any` then, and the request must say how long it is.
    #[must_use]
    pub fn with_any_size(mut self, is_any_size: bool) -> Self {
        self.is_any_size = is_any_size;
        self
    }

    /// Sets whether to send the [permissions](UploadFile::with_mode) of files, and
    /// [directories](UploadFile::directory): no by default, and then there may be no directories.
    ///
    /// That is an extension, not part of any API: gateways that understand it name [`"file-modes"`](Self::MODES) when they
    /// [create](crate::CreatedKernel::extensions) a kernel, and when they say which
    /// [version](crate::VersionInfo::extensions) they speak. Each part then has a header such as
    /// `Sorna-File-Mode: 100755`, or `040755` for a directory, which has no content.
    #[must_use]
    pub fn with_modes(mut self, sends_modes: bool) -> Self {
        self.sends_modes = sends_modes;
        self
    }
}

/// Checks a set of files against the gateway's limits.
pub(crate) fn check_files(files: &[UploadFile], version: ApiVersion) -> Result<(), BuildError> {
    check_files_of(files, version.upload_limits().max_file_size)
}

/// The same with another limit on the size of each.
pub(crate) fn check_files_of<'a>(
    files: impl IntoIterator<Item = &'a UploadFile>,
    limit: u64,
) -> Result<(), BuildError> {
    let mut names = BTreeSet::new();
    for file in files {
        if file.size() > limit {
            return Err(BuildError::FileTooLarge {
                name: file.name().to_owned(),
                size: file.size(),
                limit,
            });
        }
        if !names.insert(file.name()) {
            return Err(BuildError::DuplicateFile {
                name: file.name().to_owned(),
            });
        }
    }
    Ok(())
}

impl Operation for UploadFiles {
    type Output = ();

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        match self.is_any_size {
            true => check_files_of(&self.files, u64::MAX)?,
            false => check_files(&self.files, version)?,
        }
        let most = version.upload_limits().max_files;
        let files = self.files.iter();
        let given = files
            .filter(|file| self.sends_modes || !file.is_directory())
            .count();
        if given > most {
            return Err(BuildError::TooManyFiles { given, most });
        }
        let request = match version.dialect() {
            Dialect::SornaV2 => {
                sorna_v2::to_kernel(Method::POST, &self.kernel, 0)?.segment("upload")
            }
            Dialect::BackendAi => {
                backend_ai::to_session(Method::POST, &self.kernel, 0)?.segment("upload")
            }
        };
        let request = match self.is_any_size {
            true => request.query("size", "any"),
            false => request,
        };
        let request = match self.asks_for {
            Some(bytes) => request.query("room", &bytes.to_string()),
            None => request,
        };
        let (files, boundary) = (&self.files, self.boundary);
        Ok(form::with_files(request, files, boundary, self.sends_modes))
    }

    fn read(&self, version: ApiVersion, success: &Success) -> Result<(), Error> {
        match version.dialect() {
            Dialect::SornaV2 | Dialect::BackendAi => Ok(success.empty()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{headers, kernel, response, signed};
    use super::*;
    use crate::body::{Body, Segment};

    fn upload(files: Vec<UploadFile>) -> UploadFiles {
        UploadFiles::new(kernel(), files, Boundary::from_random([0xab; 16]))
    }

    #[test]
    fn backend_ai_stores_20_files_of_less_than_a_mebibyte() {
        let file = |name: &str, size| UploadFile::from_file(name, "x", size).unwrap();
        let prepare = |files| upload(files).prepare(ApiVersion::V7_20230615);
        let request = prepare(vec![file("a", 1024 * 1024 - 1)]).unwrap();
        assert_eq!(request.path(), "/session/k1/upload");
        assert!(prepare(vec![file("a", 1024 * 1024)]).is_err());
        let files = |n: usize| (0..n).map(|i| file(&i.to_string(), 1)).collect();
        assert!(prepare(files(20)).is_ok());
        assert!(prepare(files(21)).is_err());
    }

    fn text(body: &Body) -> String {
        body.segments()
            .iter()
            .map(|segment| match segment {
                Segment::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                Segment::File { path, len } => format!("<{} {len}>", path.display()),
            })
            .collect()
    }

    #[test]
    fn the_body_is_a_form_that_the_gateway_reads() {
        let operation = upload(vec![
            UploadFile::from_file("main.c", "/home/me/main.c", 3).unwrap(),
            UploadFile::from_bytes("lib/empty", "").unwrap(),
        ]);
        let request = signed(&operation);
        let b = "sorna-abababababababababababababababab";
        assert_eq!(
            headers(&request, &["content-type"]),
            [format!("multipart/form-data; boundary={b}")]
        );
        assert_eq!(
            text(request.body()),
            format!(
                "--{b}\r\n\
                 Content-Disposition: form-data; name=\"src\"; filename=\"main.c\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n\
                 </home/me/main.c 3>\r\n\
                 --{b}\r\n\
                 Content-Disposition: form-data; name=\"src\"; filename=\"lib/empty\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n\
                 \r\n--{b}--\r\n"
            )
        );
        let length: u64 = headers(&request, &["content-length"])[0].parse().unwrap();
        assert_eq!(length, request.body().len());
        assert!(
            operation
                .read_response(ApiVersion::default(), response(204, ""))
                .is_ok()
        );
    }

    #[test]
    fn modes_and_directories_are_sent_only_if_that_is_wanted() {
        let files = vec![
            UploadFile::from_bytes("run.sh", "x")
                .unwrap()
                .with_mode(0o100_755),
            UploadFile::from_bytes("plain", "y").unwrap(),
            UploadFile::directory("out/empty").unwrap(),
        ];
        let b = "sorna-abababababababababababababababab";
        let part = |name: &str, mode: &str, content: &str| {
            format!(
                "--{b}\r\nContent-Disposition: form-data; name=\"src\"; filename=\"{name}\"\r\n\
                 Content-Type: application/octet-stream\r\n{mode}\r\n{content}\r\n"
            )
        };
        let plain = part("plain", "", "y");
        let end = format!("--{b}--\r\n");
        let request = signed(&upload(files.clone()));
        let run = part("run.sh", "", "x");
        assert_eq!(text(request.body()), format!("{run}{plain}{end}"));
        let request = signed(&upload(files).with_modes(true));
        let run = part("run.sh", "Sorna-File-Mode: 100755\r\n", "x");
        let out = part("out/empty", "Sorna-File-Mode: 040755\r\n", "");
        assert_eq!(text(request.body()), format!("{run}{plain}{out}{end}"));
    }

    #[test]
    fn files_over_the_limits_are_rejected_by_name() {
        let file = |name: &str, size| UploadFile::from_file(name, "x", size).unwrap();
        let prepare = |files| upload(files).prepare(ApiVersion::default()).err();
        let mib = 1024 * 1024;
        assert_eq!(prepare(vec![file("a", mib)]), None);
        let error = prepare(vec![file("a", 1), file("big.bin", mib + 1)]).unwrap();
        assert_eq!(
            error.to_string(),
            "big.bin has 1048577 bytes, and the gateway accepts files of at most 1048576"
        );
        for version in [ApiVersion::default(), ApiVersion::V9_20250722] {
            let large = upload(vec![file("big.bin", 1 << 40)]);
            assert!(large.prepare(version).is_err());
            let request = large.with_any_size(true).prepare(version).unwrap();
            assert!(request.path().ends_with("/upload?size=any"));
            let room = UploadFiles::room_for(kernel(), 7, Boundary::from_random([1; 16]));
            let request = room.prepare(version).unwrap();
            assert!(request.path().ends_with("/upload?size=any&room=7"));
        }
        let files = |n: usize| (0..n).map(|i| file(&i.to_string(), 1)).collect();
        assert_eq!(prepare(files(19)), None);
        assert!(matches!(
            prepare(files(20)),
            Some(BuildError::TooManyFiles {
                given: 20,
                most: 19
            })
        ));
        assert!(matches!(
            prepare(vec![file("a", 1), file("a", 2)]),
            Some(BuildError::DuplicateFile { .. })
        ));
    }
}

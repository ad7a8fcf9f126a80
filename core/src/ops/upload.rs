//! `POST /v2/kernel/{id}/upload`: put files into a kernel's work directory. (API manual of 2017,
//! "Code execution", "Upload".)
//!
//! One request takes few files: see [`Upload`](crate::machine::Upload), which makes as many requests
//! as are needed.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use http::HeaderValue;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Operation, Success};
use crate::body::{Body, Segment};
use crate::dialect::Resource;
use crate::error::{BuildError, ParseError};
use crate::ident::KernelId;
use crate::signing::Unsigned;
use crate::version::ApiVersion;

/// `POST /v2/kernel/{id}/upload`: uploads files, in one request.
///
/// That takes at most 19 files of at most 1 MiB each ([`upload_limits`](ApiVersion::upload_limits)):
/// [`Upload`](crate::machine::Upload) makes as many requests as are needed, and knows what to do when one
/// is refused. Files land under the kernel's work directory (`/home/work`); those that exist are replaced.
/// (API manual of 2017, "Upload".)
///
/// Observed on gateway 0.9.11: 20 files are refused, although the manual allows them, and the first 20 are
/// stored all the same; directories are not made (500 `kernel-execution-failed`).
///
/// Making the request fails with [`BuildError::TooManyFiles`], [`BuildError::FileTooLarge`], or
/// [`BuildError::DuplicateFile`].
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
    /// What separates them.
    pub boundary: Boundary,
}

impl UploadFiles {
    /// The operation.
    #[must_use]
    pub fn new(kernel: KernelId, files: Vec<UploadFile>, boundary: Boundary) -> Self {
        Self {
            kernel,
            files,
            boundary,
        }
    }
}

/// A file to upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadFile {
    name: String,
    content: FileContent,
}

/// Where a file's content is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileContent {
    /// In memory.
    Bytes(Bytes),
    /// In a local file, which the driver streams.
    File {
        /// The local path.
        path: PathBuf,
        /// The file's length in bytes.
        len: u64,
    },
}

impl UploadFile {
    /// A file whose content is in memory.
    ///
    /// `name` is the path below the work directory, with `/` between its parts.
    ///
    /// # Errors
    ///
    /// [`BuildError::FileName`] if the name is empty, absolute, ends in `/`, has empty, `.` or `..`
    /// parts, backslashes or NUL.
    pub fn from_bytes(
        name: impl Into<String>,
        content: impl Into<Bytes>,
    ) -> Result<Self, BuildError> {
        Self::new(name.into(), FileContent::Bytes(content.into()))
    }

    /// A local file of `len` bytes, to be streamed by the driver.
    ///
    /// # Errors
    ///
    /// As [`from_bytes`](Self::from_bytes).
    pub fn from_file(
        name: impl Into<String>,
        path: impl Into<PathBuf>,
        len: u64,
    ) -> Result<Self, BuildError> {
        let path = path.into();
        Self::new(name.into(), FileContent::File { path, len })
    }

    fn new(name: String, content: FileContent) -> Result<Self, BuildError> {
        let reason = if name.is_empty() {
            Some("is empty")
        } else if name.starts_with('/') {
            Some("is absolute: files are named relative to the work directory")
        } else if name.contains('\0') {
            Some("has a NUL character")
        } else if name.contains('\\') {
            Some("has a backslash: put `/` between directories")
        } else if name.split('/').any(|part| part == "..") {
            Some("leaves the work directory")
        } else if name.split('/').any(|part| matches!(part, "" | ".")) {
            Some("has an empty or `.` part")
        } else {
            None
        };
        match reason {
            Some(reason) => Err(BuildError::FileName { name, reason }),
            None => Ok(Self { name, content }),
        }
    }

    /// The path below the work directory.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the content is.
    #[must_use]
    pub fn content(&self) -> &FileContent {
        &self.content
    }

    /// The content's length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.content {
            FileContent::Bytes(bytes) => bytes.len() as u64,
            FileContent::File { len, .. } => *len,
        }
    }

    fn segment(&self) -> Segment {
        match &self.content {
            FileContent::Bytes(bytes) => Segment::Bytes(bytes.clone()),
            FileContent::File { path, len } => Segment::File {
                path: path.clone(),
                len: *len,
            },
        }
    }
}

/// The line between the parts of an upload, such as `sorna-` and 32 hexadecimal digits. Made of random
/// bytes, so that no file holds it: take new ones for each upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary([u8; 16]);

impl Boundary {
    /// A boundary from 16 random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sorna-{:x}", base16ct::HexDisplay(&self.0))
    }
}

/// Checks a set of files against the gateway's limits.
pub(crate) fn check_files(files: &[UploadFile], version: ApiVersion) -> Result<(), BuildError> {
    let limit = version.upload_limits().max_file_size;
    let mut names = HashSet::with_capacity(files.len());
    for file in files {
        if file.size() > limit {
            return Err(BuildError::FileTooLarge {
                name: file.name.clone(),
                size: file.size(),
                limit,
            });
        }
        if !names.insert(file.name.as_str()) {
            return Err(BuildError::DuplicateFile {
                name: file.name.clone(),
            });
        }
    }
    Ok(())
}

impl Operation for UploadFiles {
    type Output = ();

    fn prepare(&self, version: ApiVersion) -> Result<Unsigned, BuildError> {
        check_files(&self.files, version)?;
        let most = version.upload_limits().max_files;
        if self.files.len() > most {
            return Err(BuildError::TooManyFiles {
                given: self.files.len(),
                most,
            });
        }
        let boundary = self.boundary.to_string();
        let content_type =
            HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"))
                .expect("a boundary is made of letters, digits and dashes");
        Ok(Unsigned::multipart(
            version.dialect(),
            Resource::Upload(&self.kernel),
            content_type,
            encode(&self.files, &boundary),
        ))
    }

    fn read(&self, success: &Success) -> Result<(), ParseError> {
        success.nothing()
    }
}

/// The multipart body: framing as bytes, contents as segments of their own.
fn encode(files: &[UploadFile], boundary: &str) -> Body {
    let mut segments = Vec::with_capacity(2 * files.len() + 1);
    let mut line_end = "";
    for file in files {
        let head = format!(
            "{line_end}--{boundary}\r\n\
             Content-Disposition: form-data; name=\"src\"; {}\r\n\
             Content-Type: application/octet-stream\r\n\r\n",
            file_name_parameter(&file.name)
        );
        segments.push(Segment::Bytes(head.into()));
        segments.push(file.segment());
        line_end = "\r\n";
    }
    let tail = format!("{line_end}--{boundary}--\r\n");
    segments.push(Segment::Bytes(tail.into()));
    Body::from_segments(segments)
}

/// `filename="…"`; for names that a quoted string cannot carry safely also `filename*` (RFC 8187),
/// which wins over it in the original gateway.
fn file_name_parameter(name: &str) -> Cow<'_, str> {
    let plain = |c: char| c == ' ' || (c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%'));
    if name.chars().all(plain) {
        return format!("filename=\"{name}\"").into();
    }
    let fallback: String = name
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    format!(
        "filename=\"{fallback}\"; filename*=UTF-8''{}",
        utf8_percent_encode(name, NON_ALPHANUMERIC)
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{headers, kernel, response, signed};
    use super::*;

    fn upload(files: Vec<UploadFile>) -> UploadFiles {
        UploadFiles::new(kernel(), files, Boundary::from_random([0xab; 16]))
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
    fn the_body_is_framed_as_the_gateway_reads_it() {
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
        assert!(operation.response(response(204, "")).is_ok());
    }

    #[test]
    fn no_name_breaks_the_framing() {
        for (name, parameter) in [
            ("a b.txt", r#"filename="a b.txt""#),
            ("a\"b", r#"filename="a_b"; filename*=UTF-8''a%22b"#),
            (
                "a\r\nX: y",
                "filename=\"a__X: y\"; filename*=UTF-8''a%0D%0AX%3A%20y",
            ),
            ("100%41", "filename=\"100_41\"; filename*=UTF-8''100%2541"),
            (
                "é/😀",
                "filename=\"_/_\"; filename*=UTF-8''%C3%A9%2F%F0%9F%98%80",
            ),
        ] {
            assert_eq!(file_name_parameter(name), parameter);
            #[cfg(feature = "server")]
            assert_eq!(
                crate::server::upload_file_name(&format!("form-data; name=\"src\"; {parameter}")),
                Some(name.to_owned())
            );
        }
    }

    #[test]
    fn names_that_leave_the_work_directory_are_refused() {
        for name in [
            "",
            "/etc/passwd",
            "../a",
            "a/../../b",
            "a//b",
            "a/",
            "./a",
            "a\\b",
            "a\0",
        ] {
            let error = UploadFile::from_bytes(name, "").unwrap_err();
            assert!(matches!(error, BuildError::FileName { .. }), "{name:?}");
        }
        assert!(UploadFile::from_bytes("..a/b..", "").is_ok());
    }

    #[test]
    fn what_the_gateway_would_refuse_is_refused_by_name() {
        let file = |name: &str, size| UploadFile::from_file(name, "x", size).unwrap();
        let prepare = |files| upload(files).prepare(ApiVersion::default()).err();
        let mib = 1024 * 1024;
        assert_eq!(prepare(vec![file("a", mib)]), None);
        let error = prepare(vec![file("a", 1), file("big.bin", mib + 1)]).unwrap();
        assert_eq!(
            error.to_string(),
            "big.bin has 1048577 bytes, and the gateway takes files of at most 1048576"
        );
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

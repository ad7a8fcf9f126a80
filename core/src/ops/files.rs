//! `GET /session/{name}/files`: what is in a directory of a session. In Sorna v2, an extension.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Method;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::operation::{Operation, Success};
use super::{backend_ai, sorna_v2};
use crate::error::{BuildError, Error, GatewayError};
use crate::ident::KernelId;
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `GET /session/{name}/files`: lists the files in a directory.
///
/// In Sorna v2 it is `GET /v2/kernel/{id}/files`, an extension: see [`with_extension`](Self::with_extension). A
/// directory that does not exist is an [`ErrorBody::Reported`](crate::ErrorBody::Reported), with the text of the
/// gateway: its response has status 200. One outside of the work directory is a 500. (Observed on managers 23.09.10
/// and 26.9.6.)
///
/// ```
/// use sorna_core::{ApiVersion, KernelId, ListFiles, Operation};
///
/// let list = ListFiles::new(KernelId::new("my-session")?, "data");
/// let response = r#"{
///     "files": "[{\"mode\": \"-rw-r--r--\", \"size\": 2, \"mtime\": 1795755921.5, \"filename\": \"b.txt\"}]\n",
///     "errors": "",
///     "abspath": "data"
/// }"#;
/// let response = http::Response::new(response.into());
/// let listing = list.read_response(ApiVersion::V7_20230615, response)?.value;
/// assert_eq!((listing.files[0].name.as_str(), listing.files[0].size), ("b.txt", 2));
/// assert!(!listing.files[0].is_directory());
///
/// let response = r#"{"files": "", "errors": "No such file or directory: 'data'\n", "abspath": "data"}"#;
/// let response = http::Response::new(response.into());
/// let error = list.read_response(ApiVersion::V7_20230615, response).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "the directory cannot be listed: No such file or directory: 'data'",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListFiles {
    /// The kernel.
    pub kernel: KernelId,
    /// The directory's path below the work directory; `.` for that itself.
    pub path: String,
    /// Whether the gateway has the extension: see [`with_extension`](Self::with_extension).
    pub is_offered: bool,
}

impl ListFiles {
    /// The name of the extension of Sorna v2 by which a gateway lists files, and sends them
    /// ([`Download`](super::Download), [`DownloadSingle`](super::DownloadSingle)).
    pub const FILES: &str = "files";

    /// The operation.
    #[must_use]
    pub fn new(kernel: KernelId, path: impl Into<String>) -> Self {
        Self {
            kernel,
            path: path.into(),
            is_offered: false,
        }
    }

    /// Sets whether the gateway offers this in Sorna v2: no by default, and then there is no such request there.
    ///
    /// That is an extension, not part of any API: gateways that have it name [`"files"`](Self::FILES) when they
    /// [create](crate::CreatedKernel::extensions) a kernel, and when they say which
    /// [version](crate::VersionInfo::extensions) they speak. Requests and responses are those of Backend.AI, with all in the
    /// query. In Backend.AI this has no effect.
    #[must_use]
    pub fn with_extension(mut self, is_offered: bool) -> Self {
        self.is_offered = is_offered;
        self
    }
}

/// What is in a directory.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct FileListing {
    /// The files and directories, in the gateway's order, which is none.
    pub files: Vec<FileInfo>,
    /// The directory's path, as the gateway has it.
    pub path: String,
    /// What the gateway reported although there is a list; mostly empty.
    pub errors: String,
}

/// A file or directory in a directory. Any field but the name may be missing in the response.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct FileInfo {
    /// Its name in its directory. What is not UTF-8 in it is replaced by U+FFFD.
    #[serde(rename = "filename", deserialize_with = "name")]
    pub name: String,
    /// Its length in bytes.
    #[serde(default)]
    pub size: u64,
    /// What it is and who may do what with it, as `ls` shows it: `-rw-r--r--`.
    #[serde(default)]
    pub mode: String,
    /// When its content was last changed.
    #[serde(default, rename = "mtime", deserialize_with = "time")]
    pub modified: Option<SystemTime>,
    /// When its content or what is said of it here was last changed.
    #[serde(default, rename = "ctime", deserialize_with = "time")]
    pub changed: Option<SystemTime>,
    /// When it was last read.
    #[serde(default, rename = "atime", deserialize_with = "time")]
    pub accessed: Option<SystemTime>,
    /// The other fields of the response.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl FileInfo {
    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.mode.starts_with('d')
    }

    /// The nine bits of its permissions; `None` if the [mode](Self::mode) is not as `ls` shows it.
    #[must_use]
    pub fn permissions(&self) -> Option<u32> {
        let letters = self.mode.get(1..10)?;
        let bits = letters.bytes().enumerate().map(|(index, letter)| {
            // An `s` or `t` stands for an `x` with another bit, an `S` or `T` for that bit alone.
            let is_set = match letter {
                b'-' | b'S' | b'T' => false,
                b's' | b't' if index % 3 == 2 => true,
                _ if letter == b"rwx"[index % 3] => true,
                _ => return None,
            };
            Some(u32::from(is_set) << (8 - index))
        });
        bits.sum()
    }
}

/// Seconds since 1970, with a fraction; `None` if they are no time.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
    let seconds: Option<f64> = Deserialize::deserialize(deserializer)?;
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(duration.and_then(|duration| UNIX_EPOCH.checked_add(duration)))
}

/// The gateway's Python writes each byte that is not UTF-8 as half of a surrogate pair, which is no text in JSON.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Name;

    impl Visitor<'_> for Name {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a file's name")
        }

        fn visit_str<E>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
            Ok(String::from_utf8_lossy(bytes).into_owned())
        }
    }

    deserializer.deserialize_bytes(Name)
}

#[derive(Serialize)]
struct Body<'a> {
    path: &'a str,
}

#[derive(Deserialize)]
struct Listing {
    /// JSON again.
    files: String,
    #[serde(default)]
    errors: Option<String>,
    #[serde(default)]
    abspath: Option<String>,
}

impl Operation for ListFiles {
    type Output = FileListing;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        match version.dialect() {
            Dialect::SornaV2 => {
                let request =
                    sorna_v2::to_extension(&self.kernel, self.is_offered, "lists of files")?;
                Ok(request.segment("files").query("path", &self.path))
            }
            // 23.09.10 reads the body alone, 26.9.6 the query alone; its own client, without a query, always
            // gets the work directory.
            Dialect::BackendAi => {
                backend_ai::to_session(Method::GET, &self.kernel, self.path.len())?
                    .segment("files")
                    .query("path", &self.path)
                    .json(&Body { path: &self.path })
            }
        }
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<FileListing, Error> {
        let expected = r#"{"files": "[…]", "errors": …, "abspath": …}"#;
        let listing: Listing = success.json(expected)?;
        let errors = listing.errors.unwrap_or_default();
        if listing.files.trim().is_empty() && !errors.trim().is_empty() {
            let (status, body) = (success.status(), success.body());
            let what = "the directory cannot be listed";
            return Err(GatewayError::reported(status, body, what, vec![errors]).into());
        }
        let files = serde_json::from_str(&listing.files)
            .map_err(|error| success.not_json("a list of files as JSON in JSON", error))?;
        Ok(FileListing {
            files,
            path: listing.abspath.unwrap_or_default(),
            errors,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{kernel, response, sent};
    use super::*;

    const V7: ApiVersion = ApiVersion::V7_20230615;

    fn read(files: &str, errors: &str) -> Result<FileListing, Error> {
        let body = json!({"files": files, "errors": errors, "abspath": "."}).to_string();
        let list = ListFiles::new(kernel(), ".");
        Ok(list.read_response(V7, response(200, &body))?.value)
    }

    #[test]
    fn the_path_is_in_the_query_and_in_the_body() {
        let list = ListFiles::new(kernel(), "a b/c");
        let target = "GET /session/k1/files?path=a%20b%2Fc".to_owned();
        assert_eq!(sent(&list, V7), (target, r#"{"path":"a b/c"}"#.to_owned()));
        let error = list.prepare(ApiVersion::default()).unwrap_err();
        let what = "lists of files";
        assert_eq!(error, BuildError::NotOffered { what });
        let list = list.with_extension(true);
        let target = "GET /v2/kernel/k1/files?path=a%20b%2Fc".to_owned();
        assert_eq!(sent(&list, ApiVersion::default()), (target, String::new()));
    }

    #[test]
    fn directories_are_known_by_their_mode_and_times_have_fractions() {
        let files = r#"[{"filename": "d", "mode": "drwxr-xr-x", "mtime": 1.5, "atime": -1, "ctime": null,
                         "size": 4096, "inode": 3}, {"filename": "a"}]"#;
        let files = read(files, "").unwrap().files;
        assert!(files[0].is_directory() && !files[1].is_directory());
        let time = UNIX_EPOCH + Duration::from_millis(1500);
        assert_eq!((files[0].modified, files[0].size), (Some(time), 4096));
        assert_eq!(
            (files[0].accessed, files[0].changed, files[1].modified),
            (None, None, None)
        );
        assert_eq!(files[0].extra["inode"], 3);
    }

    #[test]
    fn permissions_are_the_nine_bits() {
        for (mode, expected) in [
            ("drwxr-x---", Some(0o750)),
            ("-rw-------", Some(0o600)),
            ("-rwsr-Sr-t", Some(0o745)),
            ("d---------", Some(0)),
            ("drwxr-xr-x+", Some(0o755)),
            ("drwxr-xr-", None),
            ("drxw------", None),
            ("", None),
        ] {
            let files = format!(r#"[{{"filename": "a", "mode": "{mode}"}}]"#);
            let files = read(&files, "").unwrap().files;
            assert_eq!(files[0].permissions(), expected, "{mode}");
        }
    }

    #[test]
    fn an_empty_directory_is_no_error_and_a_warning_is_none_either() {
        let listing = read("[]\n", "DeprecationWarning: x\n").unwrap();
        assert_eq!(listing.files, []);
        assert_eq!(listing.errors, "DeprecationWarning: x\n");
        let error = read("", "no such directory").unwrap_err();
        let error = error.gateway().expect("a response");
        assert_eq!(error.message(), Some("no such directory"));
        assert!(!error.is_not_found() && !error.is_retryable());
        assert!(matches!(read("", ""), Err(Error::Parse(_))));
        assert!(matches!(read("{}", ""), Err(Error::Parse(_))));
    }

    #[test]
    fn a_name_that_is_not_utf_8_does_not_hide_the_others() {
        let files = read(r#"[{"filename": "a\udcff"}, {"filename": "\ud55c"}]"#, "")
            .unwrap()
            .files;
        assert!(
            files[0].name.starts_with("a\u{fffd}"),
            "{:?}",
            files[0].name
        );
        assert_eq!(files[1].name, "한");
    }
}

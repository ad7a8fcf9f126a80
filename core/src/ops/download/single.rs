//! `/session/{name}/download_single`: the content of one file.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use serde::Serialize;

use super::super::operation::{Operation, Success};
use super::super::{backend_ai, sorna_v2};
use super::method::DownloadMethod;
use crate::download::Requested;
use crate::error::{BuildError, Error, GatewayError};
use crate::ident::KernelId;
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `POST` or `GET /session/{name}/download_single`: downloads one file, as it is.
///
/// In Sorna v2 it is `GET /v2/kernel/{id}/download_single`, an extension: see [`with_extension`](Self::with_extension). In
/// Backend.AI, the method is that of the version, and the other one after a 405. The response can be written to a file as
/// it arrives.
///
/// Observed on managers 23.09.10 and 26.9.6: a file that does not exist is a 500:
/// [`ExplainDownload`](crate::machine::ExplainDownload) finds that out. As for [`Download`](super::Download),
/// files of more than 1 MiB fail.
///
/// Making the request fails with [`BuildError::FileName`] for a path outside of the work directory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DownloadSingle {
    /// The kernel.
    pub kernel: KernelId,
    /// The file's path below the work directory.
    pub file: String,
    /// Whether the gateway has the extension: see [`with_extension`](Self::with_extension).
    pub is_offered: bool,
    method: DownloadMethod,
}

impl DownloadSingle {
    /// The operation.
    #[must_use]
    pub fn new(kernel: KernelId, file: impl Into<String>) -> Self {
        Self {
            kernel,
            file: file.into(),
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
}

#[derive(Serialize)]
struct Body<'a> {
    file: &'a str,
}

impl Operation for DownloadSingle {
    type Output = Bytes;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        match version.dialect() {
            Dialect::SornaV2 => {
                Requested::new(&self.file)?;
                let request = sorna_v2::to_extension(&self.kernel, self.is_offered, "downloads")?;
                Ok(request.segment("download_single").query("file", &self.file))
            }
            Dialect::BackendAi => {
                Requested::new(&self.file)?;
                let method = self.method.for_version(version);
                // 23.09.10 reads the body if there is one, 26.9.6 the query alone.
                backend_ai::to_session(method, &self.kernel, self.file.len())?
                    .segment("download_single")
                    .query("file", &self.file)
                    .json(&Body { file: &self.file })
            }
        }
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<Bytes, Error> {
        let media_type = success.headers().get(CONTENT_TYPE);
        if media_type.is_none_or(|given| given != "application/octet-stream") {
            return Err(success.unexpected("a file's content").into());
        }
        Ok(success.body().clone())
    }

    fn adapt(&mut self, _: ApiVersion, error: &GatewayError) -> bool {
        self.method.adapt(error)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{kernel, response, sent};
    use super::*;

    const V7: ApiVersion = ApiVersion::V7_20230615;
    const V9: ApiVersion = ApiVersion::V9_20250722;

    #[test]
    fn the_method_is_that_of_the_version_and_the_other_after_a_405() {
        let mut download = DownloadSingle::new(kernel(), "a/b c.txt");
        let body = r#"{"file":"a/b c.txt"}"#.to_owned();
        let target = "/session/k1/download_single?file=a%2Fb%20c.txt";
        let get = (format!("GET {target}"), body.clone());
        let post = (format!("POST {target}"), body);
        assert_eq!(
            (sent(&download, V7), sent(&download, V9)),
            (get.clone(), post.clone())
        );
        let error = |status| {
            let error = DownloadSingle::new(kernel(), "x").read_response(V7, response(status, ""));
            error.unwrap_err()
        };
        assert!(!download.adapt(V7, error(500).gateway().unwrap()));
        assert!(download.adapt(V7, error(405).gateway().unwrap()));
        assert_eq!((sent(&download, V7), sent(&download, V9)), (post, get));
        assert!(!download.adapt(V7, error(405).gateway().unwrap()));
    }

    #[test]
    fn only_a_file_s_content_is_one() {
        let read = |media_type: &'static str| {
            let mut response = response(200, "<html>");
            let value = http::HeaderValue::from_static(media_type);
            response.headers_mut().insert(CONTENT_TYPE, value);
            DownloadSingle::new(kernel(), "x").read_response(V7, response)
        };
        assert_eq!(read("application/octet-stream").unwrap().value, "<html>");
        assert!(matches!(read("text/html"), Err(Error::Parse(_))));
    }

    #[test]
    fn paths_outside_are_rejected() {
        for file in ["", "/etc/passwd", "../a"] {
            let error = DownloadSingle::new(kernel(), file).prepare(V9).unwrap_err();
            assert!(matches!(error, BuildError::FileName { .. }), "{file}");
        }
        let error = DownloadSingle::new(kernel(), "a").prepare(ApiVersion::default());
        assert!(matches!(error, Err(BuildError::NotOffered { .. })));
        let target = "GET /v2/kernel/k1/download_single?file=a%20b".to_owned();
        let download = DownloadSingle::new(kernel(), "a b").with_extension(true);
        let sent = sent(&download, ApiVersion::default());
        assert_eq!(sent, (target, String::new()));
    }
}

//! The method of downloads, which differs between releases.

use http::Method;

use crate::error::GatewayError;
use crate::version::ApiVersion;

/// Which of two methods a download uses.
///
/// Manager 23.09.10 takes GET alone, 26.9.6 POST alone, with any header of the version; 24.03 to 26.2 take both
/// (read, not observed).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DownloadMethod {
    is_other: bool,
}

impl DownloadMethod {
    pub(super) fn for_version(self, version: ApiVersion) -> Method {
        if (version >= ApiVersion::V8_20240315) != self.is_other {
            Method::POST
        } else {
            Method::GET
        }
    }

    /// The other method, after a response that this one is not allowed.
    pub(super) fn adapt(&mut self, error: &GatewayError) -> bool {
        let changes = error.status() == http::StatusCode::METHOD_NOT_ALLOWED && !self.is_other;
        self.is_other |= changes;
        changes
    }
}

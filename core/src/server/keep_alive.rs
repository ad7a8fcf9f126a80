//! The body of `keep-alive`.

use std::time::Duration;

use serde::Deserialize;

use super::object::Object;
use super::problem::ProblemReply;
use crate::problem::ProblemKind;

/// The body of `keep-alive`, an extension: see [`KeepAlive`](crate::KeepAlive).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeepAliveRequest {
    /// For how long the kernel may be idle from now on, if that is to change.
    pub idle_timeout: Option<Duration>,
}

impl KeepAliveRequest {
    /// Reads the body. None at all is one without a limit.
    ///
    /// # Errors
    ///
    /// 400 `invalid-api-params` if it is no JSON object, or the time is no whole number of ms from 1 on.
    pub fn parse(body: &[u8]) -> Result<Self, ProblemReply> {
        #[derive(Deserialize)]
        struct Raw {
            #[serde(rename = "idleTimeout")]
            idle_ms: Option<u64>,
        }
        let invalid = |what: &str| ProblemKind::InvalidApiParams.reply_with(what);
        if body.is_empty() {
            return Ok(Self::default());
        }
        let Object(raw): Object<Raw> =
            serde_json::from_slice(body).map_err(|error| invalid(&error.to_string()))?;
        if raw.idle_ms == Some(0) {
            return Err(invalid("idleTimeout must be at least 1 ms"));
        }
        Ok(Self {
            idle_timeout: raw.idle_ms.map(Duration::from_millis),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read() {
        let read = |body: &str| KeepAliveRequest::parse(body.as_bytes());
        for body in ["", "{}", r#"{"idleTimeout": null}"#] {
            assert_eq!(read(body).unwrap().idle_timeout, None, "{body}");
        }
        let time = read(r#"{"idleTimeout": 1500, "other": 1}"#).unwrap();
        assert_eq!(time.idle_timeout, Some(Duration::from_millis(1500)));
        for body in [
            r#"{"idleTimeout": 0}"#,
            r#"{"idleTimeout": -5}"#,
            r#"{"idleTimeout": "1h"}"#,
            "[]",
            "x",
        ] {
            let problem = read(body).unwrap_err();
            assert_eq!(problem.kind(), ProblemKind::InvalidApiParams, "{body}");
        }
    }
}

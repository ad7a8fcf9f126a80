//! `GET /v2/kernel/{id}`: what the gateway knows of a kernel. (API manual of 2017, "Kernel
//! management".)

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::operation::{Operation, Success};
use crate::error::{BuildError, Error};
use crate::ident::KernelId;
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `GET /v2/kernel/{id}`: asks what the gateway knows of a kernel.
///
/// (API manual of 2017, "Kernel management".)
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Info {
    /// The kernel.
    pub kernel: KernelId,
}

impl Info {
    /// The operation.
    #[must_use]
    pub fn new(kernel: KernelId) -> Self {
        Self { kernel }
    }
}

/// What is known of a kernel. Every field may be missing, and numbers may have fractions. (API manual of
/// 2017, "Kernel management".)
///
/// Observed on gateway 0.9.11: most are 0 for the first 5 s, and `idle` is in µs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct KernelInfo {
    /// The language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// Time since it was created, in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<f64>,
    /// The most time for one execution, in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_timeout: Option<f64>,
    /// How long it may be idle before it is destroyed, in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<f64>,
    /// The most memory it may use, in KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<f64>,
    /// The most CPU time it may use, in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cpu_credit: Option<f64>,
    /// How many executions it has seen; may go down on the original gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_queries_executed: Option<f64>,
    /// Time since it was last used, in ms by the manual; in µs on gateway 0.9.11.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<f64>,
    /// Memory in use, in KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_used: Option<f64>,
    /// CPU time used, in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_credit_used: Option<f64>,
    /// Whatever else the gateway tells.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Operation for Info {
    type Output = KernelInfo;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        Ok(match version.dialect() {
            Dialect::SornaV2 => {
                UnsignedRequest::new(Method::GET, "/v2/kernel").segment(self.kernel.as_str())
            }
        })
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<KernelInfo, Error> {
        Ok(success.json("a description of a kernel")?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{kernel, response, signed};
    use super::*;

    #[test]
    fn fields_are_optional_and_unknown_ones_kept() {
        let operation = Info::new(kernel());
        let request = signed(&operation);
        assert_eq!(
            (request.method().as_str(), request.uri().path()),
            ("GET", "/v2/kernel/k1")
        );
        let info = operation
            .read_response(
                ApiVersion::default(),
                response(
                    200,
                    r#"{"lang": "c", "age": 3526.982, "gpus": ["a"], "idle": null}"#,
                ),
            )
            .unwrap()
            .value;
        assert_eq!(info.age, Some(3526.982));
        assert_eq!(info.idle, None);
        assert_eq!(info.extra["gpus"][0], "a");
        assert!(
            operation
                .read_response(ApiVersion::default(), response(200, "[]"))
                .is_err()
        );
    }

    #[test]
    fn an_answer_that_was_compressed_on_the_way_is_told_as_such() {
        let mut zipped = response(200, "\u{1f}\u{8b}\u{8}");
        let coding = http::HeaderValue::from_static("gzip");
        zipped.headers_mut().insert("content-encoding", coding);
        let error = Info::new(kernel())
            .read_response(ApiVersion::default(), zipped)
            .unwrap_err();
        assert!(error.to_string().contains("Content-Encoding"), "{error}");
    }
}

//! `POST /v2/kernel/{id}` in mode `complete`: complete code at a position. (API manual of 2017,
//! "Code execution".)
//!
//! Gateway 0.9.11 does not support it: it responds with 500 `internal-server-error`.

use http::Method;
use serde::{Deserialize, Serialize};

use super::operation::{Operation, Success};
use super::{backend_ai, sorna_v2};
use crate::error::{BuildError, Error};
use crate::ident::KernelId;
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `POST /v2/kernel/{id}` in mode `complete`: requests completions of code. Returns the candidates,
/// in the gateway's order.
///
/// Gateway 0.9.11 does not support it, and responds with 500 `internal-server-error`. (API manual of 2017, "Code
/// execution".) Of Backend.AI, 23.09.10 responds with 500 `agent-timeout` after 30 s, and 26.9.6 with no
/// candidates.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Complete {
    /// The kernel.
    pub kernel: KernelId,
    /// The code so far.
    pub code: String,
    /// The line of the cursor, from 0.
    pub row: u64,
    /// The column of the cursor, from 0, in characters.
    pub col: u64,
    /// The text of the line up to the cursor.
    pub line: String,
    /// The text after the cursor.
    pub post: String,
}

impl Complete {
    /// Completes at the end of `code`; row, column and line follow from it.
    #[must_use]
    pub fn at_end(kernel: KernelId, code: impl Into<String>) -> Self {
        let code = code.into();
        let line = code.rsplit('\n').next().unwrap_or_default().to_owned();
        Self {
            kernel,
            row: code.matches('\n').count() as u64,
            col: line.chars().count() as u64,
            line,
            code,
            post: String::new(),
        }
    }
}

#[derive(Serialize)]
struct SornaBody<'a> {
    mode: &'static str,
    code: &'a str,
    options: Options<'a>,
}

#[derive(Serialize)]
struct SessionBody<'a> {
    code: &'a str,
    options: Options<'a>,
}

#[derive(Serialize)]
struct Options<'a> {
    row: u64,
    col: u64,
    line: &'a str,
    post: &'a str,
}

impl Operation for Complete {
    type Output = Vec<String>;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        let about = self.code.len() + self.line.len() + self.post.len();
        let options = Options {
            row: self.row,
            col: self.col,
            line: &self.line,
            post: &self.post,
        };
        match version.dialect() {
            Dialect::SornaV2 => {
                sorna_v2::to_kernel(Method::POST, &self.kernel, about)?.json(&SornaBody {
                    mode: "complete",
                    code: &self.code,
                    options,
                })
            }
            Dialect::BackendAi => backend_ai::to_session(Method::POST, &self.kernel, about)?
                .segment("complete")
                .json(&SessionBody {
                    code: &self.code,
                    options,
                }),
        }
    }

    fn read(&self, version: ApiVersion, success: &Success) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Body<T> {
            result: T,
        }
        #[derive(Deserialize)]
        struct Suggestions {
            suggestions: Vec<String>,
        }
        Ok(match version.dialect() {
            Dialect::SornaV2 => {
                let body: Body<Vec<String>> = success.json(r#"{"result": [completions]}"#)?;
                body.result
            }
            Dialect::BackendAi => {
                let body: Body<Suggestions> =
                    success.json(r#"{"result": {"suggestions": [completions]}}"#)?;
                body.result.suggestions
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{kernel, response, signed};
    use super::*;

    #[test]
    fn position_follows_from_the_code() {
        let operation = Complete::at_end(kernel(), "import os\né.pa");
        let request = signed(&operation);
        assert_eq!(
            std::str::from_utf8(request.body().as_bytes().unwrap()).unwrap(),
            r#"{"mode":"complete","code":"import os\né.pa","options":{"row":1,"col":4,"line":"é.pa","post":""}}"#
        );
        let reply = operation.read_response(
            ApiVersion::default(),
            response(200, r#"{"result": ["path", "pardir"]}"#),
        );
        assert_eq!(reply.unwrap().value, ["path", "pardir"]);
    }

    #[test]
    fn backend_ai_has_a_path_for_it() {
        let operation = Complete::at_end(kernel(), "pri");
        let version = ApiVersion::V9_20250722;
        let request = operation.prepare(version).unwrap();
        assert_eq!(request.path(), "/session/k1/complete");
        let body = r#"{"result": {"status": "finished", "error": null, "suggestions": ["print"]}}"#;
        let reply = operation.read_response(version, response(200, body));
        assert_eq!(reply.unwrap().value, ["print"]);
    }
}

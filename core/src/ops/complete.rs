//! `POST /v2/kernel/{id}` in mode `complete`: complete code at a position. (API manual of 2017,
//! "Code execution".)
//!
//! Gateway 0.9.11 does not have it: it answers 500 `internal-server-error`.

use serde::Deserialize;

use super::{Operation, Success};
use crate::error::{BuildError, ParseError};
use crate::ident::KernelId;
use crate::signing::Unsigned;
use crate::version::ApiVersion;

/// `POST /v2/kernel/{id}` in mode `complete`: asks how the code could go on. Brings the candidates, in the
/// gateway's order.
///
/// Gateway 0.9.11 does not have it, and answers 500 `internal-server-error`. (API manual of 2017, "Code
/// execution".)
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

impl Operation for Complete {
    type Output = Vec<String>;

    fn prepare(&self, version: ApiVersion) -> Result<Unsigned, BuildError> {
        Ok(version.dialect().complete(self))
    }

    fn read(&self, success: &Success) -> Result<Vec<String>, ParseError> {
        #[derive(Deserialize)]
        struct Body {
            result: Vec<String>,
        }
        let body: Body = success.json(r#"{"result": [completions]}"#)?;
        Ok(body.result)
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
        let answer = operation.response(response(200, r#"{"result": ["path", "pardir"]}"#));
        assert_eq!(answer.unwrap().value, ["path", "pardir"]);
    }
}

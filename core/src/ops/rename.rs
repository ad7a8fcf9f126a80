//! `POST /session/{name}/rename`: gives a session another name.

use http::Method;
use serde::Serialize;

use super::backend_ai;
use super::operation::{Operation, Repeat, Success};
use crate::error::{BuildError, Error};
use crate::ident::{KernelId, SessionToken};
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `POST /session/{name}/rename`: gives the kernel's session another name.
///
/// Of Backend.AI only. A name that is taken is a 400 `session-already-exists` (observed on manager 26.9.6). A machine
/// does not repeat it if the gateway may have acted on it ([`Repeat::IfUnsent`]): the second would be told
/// that the session does not exist, or that the name is taken, and not by whom.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rename {
    /// The kernel.
    pub kernel: KernelId,
    /// The new name.
    pub name: SessionToken,
}

impl Rename {
    /// The operation.
    #[must_use]
    pub fn new(kernel: KernelId, name: SessionToken) -> Self {
        Self { kernel, name }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    name: &'a str,
}

impl Operation for Rename {
    type Output = ();

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        match version.dialect() {
            Dialect::SornaV2 => Err(BuildError::Unsupported {
                what: "renaming",
                version,
            }),
            Dialect::BackendAi => {
                self.name.check(version)?;
                // Not in the query: there, 26.9.6 does not read it, though its own client puts it there.
                backend_ai::to_session(Method::POST, &self.kernel, 0)?
                    .segment("rename")
                    .json(&Body {
                        name: self.name.as_str(),
                    })
            }
        }
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<(), Error> {
        Ok(success.empty()?)
    }

    fn repeat(&self) -> Repeat {
        Repeat::IfUnsent
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{kernel, response, sent};
    use super::*;

    #[test]
    fn the_name_is_in_the_body() {
        let version = ApiVersion::V7_20230615;
        let rename = |name| Rename::new(kernel(), SessionToken::new(name).unwrap());
        let expected = (
            "POST /session/k1/rename".to_owned(),
            r#"{"name":"new-name"}"#.to_owned(),
        );
        assert_eq!(sent(&rename("new-name"), version), expected);
        assert!(rename("new-name").prepare(ApiVersion::default()).is_err());
        let error = rename("no name").prepare(version).unwrap_err();
        assert!(matches!(error, BuildError::SessionName { .. }));
        let reply = rename("new-name").read_response(version, response(204, ""));
        assert!(reply.is_ok());
    }
}

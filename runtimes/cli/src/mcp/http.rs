//! The address and the token of a server that is reached by HTTP.

use std::env;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use sorna_mcp::{Server, Token};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::settings::quoted;
use crate::streams;

/// The variables that clients are told of. The second one sets the token, too.
const URL: &str = "SORNA_MCP_URL";
const TOKEN: &str = "SORNA_MCP_TOKEN";

/// What is served.
#[derive(Debug)]
pub(super) struct Http {
    pub(super) listener: TcpListener,
    pub(super) token: Token,
    /// Whether the token is new, so that it has to be printed.
    is_new: bool,
}

impl Http {
    /// Listens at this address, with the token of this file, of the environment, or a new one.
    pub(super) fn open(address: SocketAddr, file: Option<&Path>) -> Result<Self, Failure> {
        if !address.ip().is_loopback() {
            return Err(Failure::usage(format!(
                "--http {address}: other machines could reach that, and connections are not encrypted"
            ))
            .with_advice("Use 127.0.0.1, and a tunnel (`ssh -L`) or a proxy with TLS before it."));
        }
        let given = match file {
            Some(file) => {
                let text = fs::read_to_string(file).map(Zeroizing::new);
                let text = text.map_err(|error| {
                    Failure::usage(format!("--token-file {}: {error}", file.display()))
                })?;
                Some((format!("--token-file {}", file.display()), text))
            }
            None => match env::var(TOKEN) {
                Ok(text) => Some((TOKEN.to_owned(), Zeroizing::new(text))),
                Err(env::VarError::NotPresent) => None,
                Err(env::VarError::NotUnicode(_)) => {
                    return Err(Failure::usage(format!("{TOKEN} is not text")));
                }
            },
        };
        let is_new = given.is_none();
        let token = match given {
            None => Token::random(),
            Some((source, text)) => Token::new(text.trim()).ok_or_else(|| {
                Failure::usage(format!(
                    "{source}: a token has at least 16 characters, without spaces"
                ))
            })?,
        };
        let listener = TcpListener::bind(address)
            .map_err(|error| Failure::System("cannot listen at that address", error))?;
        Ok(Self {
            listener,
            token,
            is_new,
        })
    }

    /// Prints the URL for a shell to evaluate, and a new token.
    pub(super) fn announce(&self) -> Result<(), Failure> {
        let failed = |error| Failure::System("cannot print the URL", error);
        let address = self.listener.local_addr().map_err(failed)?;
        let url = format!("http://{address}{}", Server::PATH);
        let mut lines = Zeroizing::new(format!("export {URL}={}\n", quoted(&url)));
        if self.is_new {
            lines.push_str(&format!("export {TOKEN}={}\n", quoted(self.token.reveal())));
        }
        streams::announce(lines.as_bytes()).map_err(failed)
    }
}

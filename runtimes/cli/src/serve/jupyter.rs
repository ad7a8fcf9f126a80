//! The API of Jupyter's servers, beside those of the gateway.

use std::fs;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use sorna::Config;
use sorna_gateway::{Admission, GatewayConfig, Guest, GuestUpgrade, RunningGateway};
use sorna_jupyter::server::{Io, Server, Token, Upgrade};

use super::args::JupyterServerArgs;
use super::keys::advice_if_open;
use crate::failure::Failure;
use crate::jupyter::judge;
use crate::reporter::Reporter;
use crate::settings::quoted;

/// Where the token is, if no file is named.
const TOKEN: &str = "SORNA_JUPYTER_TOKEN";
/// What Jupyter's own server reads, so that its kernels are those of this gateway.
const GATEWAY_URL: &str = "JUPYTER_GATEWAY_URL";
const GATEWAY_TOKEN: &str = "JUPYTER_GATEWAY_AUTH_TOKEN";

/// The least characters of a token, which must not be found by trying.
const LEAST: usize = 16;
const TOO_SHORT: &str = "is too short: everyone who has it can run programs, so it must have at least 16 characters, \
    such as those of `openssl rand -hex 24`";

/// The server, once there is a gateway for it to use.
#[derive(Debug)]
pub(super) struct Notebooks {
    token: Token,
    /// Whether the token is that of a file, which is not shown.
    is_hidden: bool,
    origins: Vec<String>,
    server: OnceLock<Open>,
}

#[derive(Debug)]
struct Open {
    server: Server,
    /// Whose kernels they are.
    access_key: String,
}

impl Notebooks {
    /// What the options ask for, if they do.
    pub(super) fn of(arguments: &JupyterServerArgs) -> Result<Option<Arc<Self>>, Failure> {
        if !arguments.jupyter {
            return Ok(None);
        }
        for origin in &arguments.jupyter_origin {
            if !Server::takes_origin(origin) {
                return Err(Failure::usage(format!(
                    "--jupyter-origin: {origin:?} is no origin of web pages: expected scheme, host and port, \
                     such as https://lab.example.com or http://127.0.0.1:8888, or `*`"
                )));
            }
        }
        let token = match &arguments.jupyter_token {
            Some(file) => Some(of_file(file)?),
            None => of_environment(std::env::var(TOKEN).ok())?,
        };
        Ok(Some(Arc::new(Self {
            token: token.unwrap_or_else(Token::random),
            is_hidden: arguments.jupyter_token.is_some(),
            origins: arguments.jupyter_origin.clone(),
            server: OnceLock::new(),
        })))
    }

    /// With this on its port.
    pub(super) fn on(self: &Arc<Self>, config: GatewayConfig) -> GatewayConfig {
        config.with_guest(Arc::clone(self) as Arc<dyn Guest>)
    }

    /// Opens it: it is a client of the gateway, with its first key pair.
    pub(super) fn open(&self, gateway: &RunningGateway) {
        let endpoint = gateway.inner_endpoint().parse();
        let endpoint = endpoint.expect("it is the endpoint of a gateway");
        let config = Config::new(endpoint, gateway.credentials()[0].clone());
        let server = Server::new(&config, self.token.clone(), &self.origins);
        let _ = self.server.set(Open {
            server: server.with_judge(judge),
            access_key: gateway.access_key().to_owned(),
        });
    }

    /// The lines for a shell with which Jupyter uses it.
    pub(super) fn export(&self, gateway: &RunningGateway) -> String {
        let endpoint = quoted(gateway.endpoint());
        let mut lines = format!("export {GATEWAY_URL}={endpoint}\n");
        if !self.is_hidden {
            let token = quoted(self.token.expose());
            lines += &format!("export {GATEWAY_TOKEN}={token}\n");
        }
        lines
    }
}

impl Guest for Notebooks {
    fn receive(&self, head: &Parts) -> Option<Admission> {
        if !Server::has(head.uri.path()) {
            return None;
        }
        let Some(open) = self.server.get() else {
            let response = self.problem(StatusCode::SERVICE_UNAVAILABLE, "it is just starting");
            return Some(Admission::Refused(response));
        };
        Some(match open.server.receive(head) {
            Ok(()) => Admission::Admitted(open.access_key.clone()),
            Err(response) => Admission::Refused(*response),
        })
    }

    fn respond(
        &self,
        mut request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Response<Bytes>> + Send + '_>> {
        let upgrade = request.extensions_mut().remove::<GuestUpgrade>();
        let upgrade = upgrade.map(|upgrade| -> Upgrade {
            Box::pin(async {
                let stream = upgrade.open().await?;
                Some(Box::new(stream) as Box<dyn Io>)
            })
        });
        Box::pin(async move {
            match self.server.get() {
                Some(open) => open.server.respond(request, upgrade).await,
                None => self.problem(StatusCode::SERVICE_UNAVAILABLE, "it is just starting"),
            }
        })
    }

    fn problem(&self, status: StatusCode, reason: &str) -> Response<Bytes> {
        Server::problem(status, reason)
    }
}

/// The token in a file. Errors never quote it.
fn of_file(file: &Path) -> Result<Token, Failure> {
    let path = file.display();
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read {path}: {error}")))?;
    if let Some(advice) = advice_if_open(file, "a token") {
        Reporter::new(false).advice(advice);
    }
    token(text.trim()).map_err(|wrong| match wrong {
        Wrong::Signs => Failure::usage(format!(
            "{path} holds no token: expected one line of letters, digits and signs of ASCII"
        )),
        Wrong::Length => Failure::usage(format!("the token in {path} {TOO_SHORT}")),
    })
}

fn of_environment(value: Option<String>) -> Result<Option<Token>, Failure> {
    let value = value.map(|value| value.trim().to_owned());
    match value.filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => token(&value).map(Some).map_err(|wrong| match wrong {
            Wrong::Signs => Failure::usage(format!(
                "{TOKEN} is no token: expected letters, digits and signs of ASCII"
            )),
            Wrong::Length => Failure::usage(format!("the token in {TOKEN} {TOO_SHORT}")),
        }),
    }
}

/// What is wrong with a token.
enum Wrong {
    Signs,
    Length,
}

fn token(text: &str) -> Result<Token, Wrong> {
    let token = Token::new(text).ok_or(Wrong::Signs)?;
    match text.len() < LEAST {
        true => Err(Wrong::Length),
        false => Ok(token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_the_environment_may_be_missing_but_not_wrong() {
        let token = |text: &str| of_environment(Some(text.to_owned()));
        assert!(of_environment(None).is_ok_and(|it| it.is_none()));
        assert!(token(" ").is_ok_and(|it| it.is_none()));
        assert!(
            token(" hidden-token-of-16\n")
                .is_ok_and(|it| it.is_some_and(|it| it.expose() == "hidden-token-of-16"))
        );
        for wrong in ["hidden token that is long", "hidden-token-15"] {
            let error = token(wrong).err().map(|error| format!("{error:?}"));
            assert!(error.is_some_and(|error| !error.contains("hidden")));
        }
    }
}

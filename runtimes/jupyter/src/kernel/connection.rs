//! Connection files.

use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Deserialize;

use super::error::StartError;

/// Where Jupyter wants a kernel to be, and what signs its messages.
#[derive(Clone, Deserialize)]
pub struct Connection {
    #[serde(flatten)]
    pub(crate) address: Address,
    pub(crate) key: String,
    signature_scheme: String,
}

/// Where the sockets are.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Address {
    transport: Transport,
    ip: String,
    pub(crate) shell_port: u16,
    pub(crate) iopub_port: u16,
    pub(crate) stdin_port: u16,
    pub(crate) control_port: u16,
    pub(crate) hb_port: u16,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Transport {
    Tcp,
    Ipc,
}

impl Address {
    /// Where the socket with this port is.
    pub(crate) fn of(&self, port: u16) -> String {
        match self.transport {
            Transport::Tcp => format!("tcp://{}:{port}", self.ip),
            Transport::Ipc => format!("ipc://{}-{port}", self.ip),
        }
    }
}

impl Connection {
    /// Reads a connection file, which Jupyter has written for this kernel.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub fn read(path: &Path) -> Result<Self, StartError> {
        let file = File::open(path).map_err(|error| StartError::Read(path.to_owned(), error))?;
        let connection: Self = serde_json::from_reader(BufReader::new(file))
            .map_err(|error| StartError::Malformed(path.to_owned(), error))?;
        match connection.signature_scheme.as_str() {
            "hmac-sha256" => Ok(connection),
            scheme => Err(StartError::Scheme(scheme.to_owned())),
        }
    }
}

/// Without the key.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn of(transport: &str) -> Connection {
        let text = format!(
            r#"{{"ip": "127.0.0.1", "transport": "{transport}", "shell_port": 1, "iopub_port": 2, "stdin_port": 3,
                "control_port": 4, "hb_port": 5, "key": "hidden-key", "signature_scheme": "hmac-sha256",
                "kernel_name": "", "jupyter_session": ""}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn addresses_are_those_of_jupyter() {
        assert_eq!(of("tcp").address.of(7), "tcp://127.0.0.1:7");
        assert_eq!(of("ipc").address.of(7), "ipc://127.0.0.1-7");
    }

    #[test]
    fn the_key_is_not_shown() {
        let shown = format!("{:?}", of("tcp"));
        assert!(
            shown.contains("127.0.0.1") && !shown.contains("hidden"),
            "{shown}"
        );
    }
}

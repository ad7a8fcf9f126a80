//! Connection files.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;

use serde::Deserialize;
use zeromq::Listener;

use super::error::StartError;

/// Where clients connect to a kernel, and what signs its messages.
pub struct Connection {
    pub(super) listeners: Listeners,
    pub(super) key: String,
}

/// The sockets to which clients connect.
pub(super) struct Listeners {
    pub(super) shell: Listener,
    pub(super) iopub: Listener,
    pub(super) stdin: Listener,
    pub(super) control: Listener,
    pub(super) heartbeat: Listener,
}

/// A connection file.
#[derive(Deserialize)]
struct Content {
    #[serde(flatten)]
    address: Address,
    key: String,
    signature_scheme: String,
}

/// Where the sockets are.
#[derive(Deserialize)]
struct Address {
    transport: Transport,
    ip: String,
    shell_port: u16,
    iopub_port: u16,
    stdin_port: u16,
    control_port: u16,
    hb_port: u16,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Transport {
    Tcp,
    Ipc,
}

impl Address {
    fn listen(&self) -> io::Result<Listeners> {
        Ok(Listeners {
            shell: self.at(self.shell_port)?,
            iopub: self.at(self.iopub_port)?,
            stdin: self.at(self.stdin_port)?,
            control: self.at(self.control_port)?,
            heartbeat: self.at(self.hb_port)?,
        })
    }

    /// Listens at this port, or the path that has it at its end.
    fn at(&self, port: u16) -> io::Result<Listener> {
        Ok(match self.transport {
            Transport::Tcp => TcpListener::bind((self.ip.as_str(), port))?.into(),
            Transport::Ipc => UnixListener::bind(format!("{}-{port}", self.ip))?.into(),
        })
    }
}

impl Connection {
    /// Reads a connection file, which Jupyter has written for this kernel, and begins to listen at its addresses. The earlier
    /// that is, the fewer clients connect in vain, which try again only after a tenth of a second.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub fn open(path: &Path) -> Result<Self, StartError> {
        let file = File::open(path).map_err(|error| StartError::Read(path.to_owned(), error))?;
        let content: Content = serde_json::from_reader(BufReader::new(file))
            .map_err(|error| StartError::Malformed(path.to_owned(), error))?;
        if content.signature_scheme != "hmac-sha256" {
            return Err(StartError::Scheme(content.signature_scheme));
        }
        Ok(Self {
            listeners: content.address.listen().map_err(StartError::Bind)?,
            key: content.key,
        })
    }
}

/// Without the key.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn content(transport: &str, ip: &str, port: u16) -> Content {
        let text = format!(
            r#"{{"ip": "{ip}", "transport": "{transport}", "shell_port": {port}, "iopub_port": 0, "stdin_port": 0,
                "control_port": 0, "hb_port": 0, "key": "hidden-key", "signature_scheme": "hmac-sha256",
                "kernel_name": "", "jupyter_session": ""}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn it_listens_where_jupyter_says() {
        let listeners = content("tcp", "127.0.0.1", 0).address.listen().unwrap();
        let Listener::Tcp(shell) = listeners.shell else {
            panic!("not TCP");
        };
        let taken = shell.local_addr().unwrap().port();
        assert!(content("tcp", "127.0.0.1", taken).address.listen().is_err());

        let path = std::env::temp_dir().join(format!("sorna-connection-{}", std::process::id()));
        let path = path.to_str().unwrap();
        let address = content("ipc", path, 7).address;
        let listener = address.at(7).unwrap();
        std::fs::remove_file(format!("{path}-7")).unwrap();
        assert!(matches!(listener, Listener::Ipc(_)));
    }

    #[test]
    fn the_key_is_not_shown() {
        let content = content("tcp", "127.0.0.1", 0);
        let connection = Connection {
            listeners: content.address.listen().unwrap(),
            key: content.key,
        };
        assert_eq!(format!("{connection:?}"), "Connection { .. }");
    }
}

//! Connection files.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::StartError;
use super::places::Listener;

/// Where clients connect to a kernel, and what signs its messages.
pub struct Connection {
    pub(super) listeners: Listeners,
    pub(super) key: String,
    /// The ports, as clients ask for them.
    pub(super) ports: Value,
    /// Removed at the end.
    pub(super) sockets: Sockets,
    warnings: Vec<&'static str>,
}

/// What is said if nothing is signed, as by Jupyter's own kernels.
const UNSIGNED: &str = "The connection file has an empty key, so messages are not signed: any user of this machine can run code in this kernel.";
/// What is said if a key is not secret.
const READABLE: &str = "Other users can read the connection file, and so its key: they can run code in this kernel. Its permissions should be 600.";

/// Files that are sockets, for the time that they are listened at.
#[derive(Debug, Default)]
pub(super) struct Sockets(Vec<PathBuf>);

impl Drop for Sockets {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = fs::remove_file(path);
        }
    }
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
    fn listen(&self, sockets: &mut Sockets) -> io::Result<Listeners> {
        let mut at = |port| self.at(port, sockets);
        Ok(Listeners {
            shell: at(self.shell_port)?,
            iopub: at(self.iopub_port)?,
            stdin: at(self.stdin_port)?,
            control: at(self.control_port)?,
            heartbeat: at(self.hb_port)?,
        })
    }

    /// Whether no one on another one can connect.
    fn is_of_this_machine(&self) -> bool {
        match self.transport {
            Transport::Tcp => {
                let ip = self.ip.parse().map(|ip: IpAddr| ip.is_loopback());
                ip.unwrap_or(self.ip == "localhost")
            }
            Transport::Ipc => true,
        }
    }

    /// Listens at this port, or the path that has it at its end.
    fn at(&self, port: u16, sockets: &mut Sockets) -> io::Result<Listener> {
        match self.transport {
            Transport::Tcp => Ok(Listener::Tcp(TcpListener::bind((self.ip.as_str(), port))?)),
            Transport::Ipc => {
                let path = PathBuf::from(format!("{}-{port}", self.ip));
                let listener = match UnixListener::bind(&path) {
                    // One that was killed has left it, and no one listens there.
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left(&path) => {
                        fs::remove_file(&path)?;
                        UnixListener::bind(&path)?
                    }
                    bound => bound?,
                };
                sockets.0.push(path);
                Ok(Listener::Ipc(listener))
            }
        }
    }

    fn ports(&self) -> Value {
        json!({
            "shell_port": self.shell_port,
            "iopub_port": self.iopub_port,
            "stdin_port": self.stdin_port,
            "control_port": self.control_port,
            "hb_port": self.hb_port,
        })
    }
}

/// Whether it is a socket at which no one listens.
fn is_left(path: &Path) -> bool {
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    UnixStream::connect(path).is_err_and(refused)
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
        let is_readable = file
            .metadata()
            .is_ok_and(|about| about.permissions().mode() & 0o044 != 0);
        let content: Content = serde_json::from_reader(BufReader::new(file))
            .map_err(|error| StartError::Malformed(path.to_owned(), error))?;
        if content.signature_scheme != "hmac-sha256" {
            return Err(StartError::Scheme(content.signature_scheme));
        }
        let mut warnings = Vec::new();
        if content.key.is_empty() {
            if !content.address.is_of_this_machine() {
                return Err(StartError::Unsigned(content.address.ip));
            }
            warnings.push(UNSIGNED);
        } else if is_readable {
            warnings.push(READABLE);
        }
        let mut sockets = Sockets::default();
        let listeners = content.address.listen(&mut sockets);
        Ok(Self {
            listeners: listeners.map_err(StartError::Bind)?,
            ports: content.address.ports(),
            key: content.key,
            sockets,
            warnings,
        })
    }

    /// What is wrong with the file, and no reason not to start.
    #[must_use]
    pub fn warnings(&self) -> &[&'static str] {
        &self.warnings
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
        let mut sockets = Sockets::default();
        let listeners = content("tcp", "127.0.0.1", 0).address;
        let listeners = listeners.listen(&mut sockets).unwrap();
        let Listener::Tcp(shell) = listeners.shell else {
            panic!("not TCP");
        };
        let taken = shell.local_addr().unwrap().port();
        let taken = content("tcp", "127.0.0.1", taken).address;
        assert!(taken.listen(&mut sockets).is_err());

        let path = std::env::temp_dir().join(format!("sorna-connection-{}", std::process::id()));
        let path = path.to_str().unwrap();
        let address = content("ipc", path, 7).address;
        // One that no one listens at any more is replaced, and it is gone at the end.
        drop(UnixListener::bind(format!("{path}-7")).unwrap());
        let listener = address.at(7, &mut sockets).unwrap();
        assert!(matches!(listener, Listener::Ipc(_)));
        assert!(address.at(7, &mut sockets).is_err());
        drop(sockets);
        assert!(!Path::new(&format!("{path}-7")).exists());
    }

    #[test]
    fn keys_that_keep_nobody_out_are_noticed() {
        use std::os::unix::fs::OpenOptionsExt;

        let path = std::env::temp_dir().join(format!("sorna-key-{}.json", std::process::id()));
        let opened = |ip: &str, key: &str, mode: u32| {
            let text = format!(
                r#"{{"ip": "{ip}", "transport": "tcp", "shell_port": 0, "iopub_port": 0, "stdin_port": 0,
                    "control_port": 0, "hb_port": 0, "key": "{key}", "signature_scheme": "hmac-sha256"}}"#
            );
            let _ = fs::remove_file(&path);
            let mut options = fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(mode).open(&path);
            std::io::Write::write_all(file.as_mut().unwrap(), text.as_bytes()).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Connection::open(&path).map(|it| it.warnings().to_vec())
        };
        assert_eq!(opened("127.0.0.1", "key", 0o600).unwrap(), [""; 0]);
        assert_eq!(opened("127.0.0.1", "key", 0o640).unwrap(), [READABLE]);
        assert_eq!(opened("127.0.0.1", "", 0o600).unwrap(), [UNSIGNED]);
        let refused = opened("0.0.0.0", "", 0o600);
        assert!(
            matches!(refused, Err(StartError::Unsigned(_))),
            "{refused:?}"
        );
        assert_eq!(opened("0.0.0.0", "key", 0o600).unwrap(), [""; 0]);
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn the_key_is_not_shown() {
        let content = content("tcp", "127.0.0.1", 0);
        let connection = Connection {
            listeners: content.address.listen(&mut Sockets::default()).unwrap(),
            key: content.key,
            ports: json!({}),
            sockets: Sockets::default(),
            warnings: Vec::new(),
        };
        assert_eq!(format!("{connection:?}"), "Connection { .. }");
    }
}

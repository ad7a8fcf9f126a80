//! Sessions with web servers, kept between commands: a file for each endpoint, which only the user can read.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use sorna::{Endpoint, SessionCookie};
use zeroize::Zeroizing;

use super::error::{LoginFileProblem, SettingsError};

/// The most bytes of a file.
const LIMIT: u64 = 64 * 1024;
/// What the group and others may do with a file.
const OTHERS: u32 = 0o077;

/// A session that was kept.
#[derive(Debug)]
pub(crate) struct Login {
    /// The name with which the user logged in.
    pub(crate) user: String,
    /// What the web server said of them.
    pub(crate) access_key: Option<String>,
    pub(crate) cookie: SessionCookie,
}

/// The file for an endpoint, whether it exists or not.
#[derive(Clone, Debug)]
pub(crate) struct LoginFile {
    path: PathBuf,
    /// The endpoint as the file has it.
    endpoint: String,
}

/// What a file contains, as JSON.
#[derive(Serialize, Deserialize)]
struct Content<'c> {
    endpoint: Cow<'c, str>,
    user: Cow<'c, str>,
    access_key: Option<Cow<'c, str>>,
    /// Borrowed, so that there is no copy to be wiped.
    cookie: &'c str,
}

impl LoginFile {
    /// The file for this endpoint.
    pub(crate) fn of(endpoint: &Endpoint) -> Result<Self, SettingsError> {
        let strategy = etcetera::choose_base_strategy().map_err(|_| SettingsError::NoState)?;
        let state = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
        let endpoint = text(endpoint);
        let file = name(&endpoint) + ".json";
        let path = state.join("sorna").join("logins").join(file);
        Ok(Self { path, endpoint })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it; `None` if it does not exist. One that others can read or write may have been copied or replaced, and
    /// is an error.
    pub(crate) fn read(&self) -> Result<Option<Login>, SettingsError> {
        self.read_as(|file| {
            let metadata = file.metadata()?;
            let is_ours = metadata.uid() == rustix::process::geteuid().as_raw();
            Ok(is_ours && metadata.mode() & OTHERS == 0)
        })
    }

    /// Reads it, even if others can, in order to end the session.
    pub(crate) fn read_to_end_it(&self) -> Result<Option<Login>, SettingsError> {
        self.read_as(|_| Ok(true))
    }

    fn read_as(
        &self,
        is_private: impl FnOnce(&File) -> io::Result<bool>,
    ) -> Result<Option<Login>, SettingsError> {
        let failed = |error| self.problem(LoginFileProblem::Read(error));
        let mut options = OpenOptions::new();
        // Neither a link to another file, nor a pipe that is waited for.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.read(true).custom_flags(flags.bits().cast_signed());
        let file = match options.open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(_) if self.is_no_file() => return Err(self.problem(LoginFileProblem::NoFile)),
            Err(error) => return Err(failed(error)),
        };
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(self.problem(LoginFileProblem::NoFile));
        }
        if !is_private(&file).map_err(failed)? {
            return Err(self.problem(LoginFileProblem::Open));
        }
        let mut text = Zeroizing::new(Vec::new());
        file.take(LIMIT).read_to_end(&mut text).map_err(failed)?;
        let login = self.parse(&text);
        login
            .map(Some)
            .ok_or_else(|| self.problem(LoginFileProblem::Content))
    }

    /// Whether something else is in its place.
    fn is_no_file(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|metadata| !metadata.is_file())
    }

    fn parse(&self, text: &[u8]) -> Option<Login> {
        let content: Content<'_> = serde_json::from_slice(text).ok()?;
        if content.endpoint != self.endpoint {
            return None;
        }
        Some(Login {
            user: content.user.into_owned(),
            access_key: content.access_key.map(Cow::into_owned),
            cookie: SessionCookie::new(content.cookie).ok()?,
        })
    }

    /// Writes it, in place of the one that is there: a reader sees either.
    pub(crate) fn write(&self, login: &Login) -> Result<(), SettingsError> {
        self.replace(login).map_err(|error| {
            let is_directory = error.kind() == io::ErrorKind::IsADirectory;
            self.problem(match is_directory && self.is_no_file() {
                true => LoginFileProblem::NoFile,
                false => LoginFileProblem::Write(error),
            })
        })
    }

    fn replace(&self, login: &Login) -> io::Result<()> {
        let content = Content {
            endpoint: self.endpoint.as_str().into(),
            user: login.user.as_str().into(),
            access_key: login.access_key.as_deref().map(Cow::from),
            cookie: login.cookie.expose(),
        };
        let text = Zeroizing::new(serde_json::to_string(&content)?);
        if let Some(folder) = self.path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let new = self
            .path
            .with_extension(format!("{}.new", std::process::id()));
        // Of a command that was killed, and had the same number.
        let _ = fs::remove_file(&new);
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&new);
        let written = file.and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &self.path)
        });
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written
    }

    /// Removes it, if it exists, whatever it is: of a link only the link, and a directory only if it is empty.
    pub(crate) fn remove(&self) -> Result<(), SettingsError> {
        let is_directory = fs::symlink_metadata(&self.path).is_ok_and(|it| it.is_dir());
        let removed = match is_directory {
            true => fs::remove_dir(&self.path),
            false => fs::remove_file(&self.path),
        };
        let problem = match removed {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                LoginFileProblem::Full
            }
            Err(error) => LoginFileProblem::Remove(error),
        };
        Err(self.problem(problem))
    }

    fn problem(&self, problem: LoginFileProblem) -> SettingsError {
        SettingsError::LoginFile {
            path: self.path.clone(),
            problem,
        }
    }
}

/// The endpoint as the name of a file or folder.
pub(crate) fn file_name(endpoint: &Endpoint) -> String {
    name(&text(endpoint))
}

fn text(endpoint: &Endpoint) -> String {
    let scheme = if endpoint.is_https() { "https" } else { "http" };
    let host = endpoint.host().to_ascii_lowercase();
    format!("{scheme}://{host}{}", endpoint.prefix())
}

/// The endpoint as the name of a file: `https%3A%2F%2Fweb.example`.
fn name(endpoint: &str) -> String {
    let mut name = String::new();
    for byte in endpoint.bytes() {
        match byte {
            b'.' | b'-' | b'_' => name.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => name.push(char::from(byte)),
            byte => {
                let _ = write!(name, "%{byte:02X}");
            }
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_endpoint_has_a_file_of_its_own() {
        let path = |url: &str| {
            let file = LoginFile::of(&url.parse().unwrap()).unwrap();
            file.path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        };
        assert_eq!(
            path("https://Web.Example:8443/a/b"),
            "https%3A%2F%2Fweb.example%3A8443%2Fa%2Fb.json"
        );
        assert_eq!(
            path("https://web.example:443/"),
            path("https://web.example")
        );
        assert_ne!(path("http://web.example"), path("https://web.example"));
        assert_ne!(path("https://h/a%2Fb"), path("https://h/a/b"));
    }
}

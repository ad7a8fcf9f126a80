//! Kernelspecs: directories by which Jupyter knows which kernels there are.

use std::error::Error as StdError;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use serde_json::{Map, Value, json};

use crate::language::Language;

/// The file that describes a kernel.
const FILE: &str = "kernel.json";
const LOGO: &str = "logo-svg.svg";
/// The field of its metadata that only kernels of this project have.
const MARK: &str = "sorna";

/// Where kernelspecs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Those of the user.
    User,
    /// Those of the active environment of Python.
    SysPrefix,
    /// Those of this directory, which has `share/jupyter/kernels`.
    Prefix(PathBuf),
}

/// There is no such place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// No environment of Python is active.
    NoEnvironment,
    /// The user has no home directory.
    NoHome,
}

impl fmt::Display for NoPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoEnvironment => {
                "no virtual environment is active (neither VIRTUAL_ENV nor CONDA_PREFIX is set)"
            }
            Self::NoHome => "HOME is not set",
        })
    }
}

impl StdError for NoPlace {}

impl Place {
    /// Its directory of kernelspecs, with these variables of the environment, as Jupyter itself looks for it.
    ///
    /// # Errors
    ///
    /// See [`NoPlace`].
    pub fn directory(&self, lookup: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, NoPlace> {
        let given = |name: &str| lookup(name).filter(|it| !it.is_empty()).map(PathBuf::from);
        let of_prefix = |prefix: PathBuf| prefix.join("share/jupyter/kernels");
        match self {
            Self::User => {
                let home = || given("HOME").ok_or(NoPlace::NoHome);
                let data = match (given("JUPYTER_DATA_DIR"), given("XDG_DATA_HOME")) {
                    (Some(data), _) => data,
                    (None, _) if cfg!(target_os = "macos") => home()?.join("Library/Jupyter"),
                    (None, Some(data)) => data.join("jupyter"),
                    (None, None) => home()?.join(".local/share/jupyter"),
                };
                Ok(data.join("kernels"))
            }
            Self::SysPrefix => {
                let prefix = given("VIRTUAL_ENV").or_else(|| given("CONDA_PREFIX"));
                prefix.map(of_prefix).ok_or(NoPlace::NoEnvironment)
            }
            Self::Prefix(prefix) => Ok(of_prefix(prefix.clone())),
        }
    }

    /// All directories in which Jupyter looks with these variables of the environment, as far as they are known. One of them may be
    /// the same place as another one: see [`Installed::all`].
    pub fn all(lookup: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
        let places = [
            Self::User,
            Self::SysPrefix,
            Self::Prefix("/usr/local".into()),
            Self::Prefix("/usr".into()),
        ];
        let found = places.iter().filter_map(|it| it.directory(&lookup).ok());
        found.collect()
    }
}

/// A kernelspec to install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Its name, for programs: see [`is_name`]. Jupyter knows it in lower case, and so it is written.
    pub name: String,
    /// Its name, for people.
    pub title: String,
    /// The language of its cells.
    pub language: Language,
    /// The command that starts it, in which `{connection_file}` stands for the connection file.
    pub argv: Vec<String>,
    /// Variables of the environment of that command.
    pub env: Vec<(String, String)>,
}

/// Whether Jupyter takes it for the name of a kernelspec.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty()
        && name.chars().all(fits)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// A name made of text: what does not belong into one is replaced.
#[must_use]
pub fn name_of(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name: String = text
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect();
    name.to_ascii_lowercase()
}

/// Why a kernelspec is not installed.
#[derive(Debug)]
pub enum InstallError {
    /// There is one of that name that is not of this project.
    Foreign(PathBuf),
    /// This file or directory cannot be written.
    Write(PathBuf, io::Error),
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(path) => write!(
                f,
                "{} is a kernel of another program, which stays; choose another name",
                path.display()
            ),
            Self::Write(path, error) => write!(f, "cannot write {}: {error}", path.display()),
        }
    }
}

impl StdError for InstallError {}

impl Spec {
    /// The description of the kernel.
    fn json(&self) -> Value {
        let env: Map<String, Value> = self
            .env
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        json!({
            "argv": self.argv,
            "display_name": self.title,
            "language": self.language.id(),
            "interrupt_mode": "message",
            "env": env,
            "metadata": {MARK: {"language": self.language.name, "version": env!("CARGO_PKG_VERSION")}},
        })
    }

    /// Writes it below a directory of kernelspecs, in place of an older one of this project. Returns where it is. Values of
    /// variables are for the user alone to read.
    ///
    /// # Errors
    ///
    /// See [`InstallError`].
    pub fn install(&self, directory: &Path) -> Result<PathBuf, InstallError> {
        let path = place_of(directory, &self.name);
        // Without that file, as where a removal left files of others, it is no kernel.
        if path.join(FILE).exists() && Installed::read(&path).is_none() {
            return Err(InstallError::Foreign(path));
        }
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| InstallError::Write(path, error)
        };
        fs::create_dir_all(&path).map_err(failed(&path))?;
        let json = format!("{:#}\n", self.json());
        let file = path.join(FILE);
        write(&file, json.as_bytes(), !self.env.is_empty()).map_err(failed(&file))?;
        let logo = path.join(LOGO);
        write(&logo, self.language.logo().as_bytes(), false).map_err(failed(&logo))?;
        Ok(path)
    }
}

/// The directory of a kernelspec of this name, which may be there with other letters: to Jupyter, capitals mean nothing.
fn place_of(directory: &Path, name: &str) -> PathBuf {
    let own = directory.join(name.to_ascii_lowercase());
    let is_there = |path: &PathBuf| path.join(FILE).exists();
    if is_there(&own) {
        return own;
    }
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut others = entries.filter(|it| is_called(&it.file_name(), name));
    let other = others.find(|it| is_there(&it.path()));
    other.map_or(own, |it| it.path())
}

/// Whether a directory is that of a kernelspec with this name.
fn is_called(directory: &OsStr, name: &str) -> bool {
    directory
        .to_str()
        .is_some_and(|it| it.eq_ignore_ascii_case(name))
}

/// The other kernelspecs with this name in these directories, whosever they are: Jupyter takes the first that it finds.
#[must_use]
pub fn namesakes(directories: &[PathBuf], name: &str, own: &Path) -> Vec<PathBuf> {
    let own = fs::canonicalize(own).unwrap_or_else(|_| own.to_owned());
    let mut found = Vec::new();
    for directory in places(directories) {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        for entry in entries.filter(|it| is_called(&it.file_name(), name)) {
            let path = entry.path();
            let is_own = fs::canonicalize(&path).is_ok_and(|it| it == own);
            if !is_own && path.join(FILE).exists() {
                found.push(path);
            }
        }
    }
    found
}

/// Directories, each of which is another place.
fn places(directories: &[PathBuf]) -> Vec<&PathBuf> {
    let mut seen = Vec::new();
    let is_new = |directory: &&PathBuf| {
        let place = fs::canonicalize(directory).unwrap_or_else(|_| (*directory).clone());
        let is_new = !seen.contains(&place);
        seen.push(place);
        is_new
    };
    directories.iter().filter(is_new).collect()
}

/// Writes a file in place of an older one, which stays whole until then.
fn write(path: &Path, content: &[u8], is_private: bool) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(if is_private { 0o600 } else { 0o644 });
    }
    #[cfg(not(unix))]
    let _ = is_private;
    let _ = fs::remove_file(&new);
    options.open(&new)?.write_all(content)?;
    fs::rename(&new, path)
}

/// A kernelspec of this project that is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Its name, for programs, as Jupyter has it: in lower case.
    pub name: String,
    /// Its name, for people.
    pub title: String,
    /// What the gateway calls its language.
    pub language: String,
    /// Its directory.
    pub path: PathBuf,
    /// The program that starts it.
    pub program: PathBuf,
}

impl Installed {
    /// The one in this directory, if it is one, and of this project.
    fn read(path: &Path) -> Option<Self> {
        let text = fs::read(path.join(FILE)).ok()?;
        let json: Value = serde_json::from_slice(&text).ok()?;
        let language = json["metadata"][MARK]["language"].as_str()?;
        Some(Self {
            name: path.file_name()?.to_str()?.to_ascii_lowercase(),
            title: json["display_name"].as_str().unwrap_or_default().to_owned(),
            language: language.to_owned(),
            path: path.to_owned(),
            program: json["argv"][0].as_str().unwrap_or_default().into(),
        })
    }

    /// All in these directories of kernelspecs, by their names, each once: two paths may lead to the same directory.
    #[must_use]
    pub fn all(directories: &[PathBuf]) -> Vec<Self> {
        let mut all = Vec::new();
        for directory in places(directories) {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            let mut found: Vec<_> = entries.filter_map(|it| Self::read(&it.path())).collect();
            found.sort_by(|a, b| a.name.cmp(&b.name));
            all.append(&mut found);
        }
        all
    }

    /// Whether it has this name, in whatever letters.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Removes it; of a link, only that. Returns whether nothing is left: files that are not of this project stay. One that is gone
    /// already is as if it was removed.
    ///
    /// # Errors
    ///
    /// Something of it cannot be removed.
    pub fn remove(&self) -> io::Result<bool> {
        if self.path.is_symlink() {
            return match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(true),
            };
        }
        // The description last: without that, no one knows what the rest is.
        for file in [LOGO, FILE] {
            match fs::remove_file(self.path.join(file)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        match fs::remove_dir(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn at(place: &Place, variables: &[(&str, &str)]) -> Result<PathBuf, NoPlace> {
        place.directory(|name| {
            let found = variables.iter().find(|(it, _)| *it == name);
            found.map(|(_, value)| value.into())
        })
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn places_are_those_of_jupyter() {
        let home = ("HOME", "/home/u");
        for (place, variables, path) in [
            (
                Place::User,
                &[home][..],
                "/home/u/.local/share/jupyter/kernels",
            ),
            (
                Place::User,
                &[home, ("XDG_DATA_HOME", "/x")],
                "/x/jupyter/kernels",
            ),
            (Place::User, &[("JUPYTER_DATA_DIR", "/j")], "/j/kernels"),
            (
                Place::SysPrefix,
                &[("VIRTUAL_ENV", "/v")],
                "/v/share/jupyter/kernels",
            ),
            (Place::Prefix("/p".into()), &[], "/p/share/jupyter/kernels"),
        ] {
            assert_eq!(at(&place, variables), Ok(path.into()), "{place:?}");
        }
        assert_eq!(at(&Place::User, &[]), Err(NoPlace::NoHome));
        assert_eq!(at(&Place::SysPrefix, &[home]), Err(NoPlace::NoEnvironment));
    }

    #[test]
    fn names_are_those_that_jupyter_takes() {
        assert!(is_name("sorna-python3") && is_name("a.b_c"));
        assert!(!is_name("") && !is_name("a/b") && !is_name("..") && !is_name("a b"));
        assert_eq!(name_of("cr.ai/Python:3.9"), "cr.ai-python-3.9");
    }

    #[test]
    fn one_that_is_gone_already_is_removed() {
        let own = format!("sorna-spec-{}", std::process::id());
        let directory = std::env::temp_dir().join(own);
        let spec = Spec {
            name: "one".to_owned(),
            title: "One".to_owned(),
            language: Language::of("bash"),
            argv: Vec::new(),
            env: Vec::new(),
        };
        let path = spec.install(&directory).unwrap();
        // By another path, it is the same.
        let all = Installed::all(&[
            directory.join("."),
            directory.clone(),
            directory.join("none"),
        ]);
        assert_eq!(all.len(), 1);
        fs::remove_dir_all(path).unwrap();
        assert!(all[0].remove().unwrap());
        fs::remove_dir(directory).unwrap();
    }
}

//! The settings file: TOML with named profiles.

use std::collections::BTreeMap;
use std::fs::File as OpenFile;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use sorna::SecretKey;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::api::Api;
use super::error::SettingsError;
use super::kind::EndpointType;

const TOP: &[&str] = &["default_profile", "profiles"];
const PROFILE: &[&str] = &[
    "endpoint",
    "endpoint_type",
    "access_key",
    "secret_key",
    "ca_file",
    "api",
    "domain",
    "group",
];

/// The content of a settings file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) default_profile: Option<Located<String>>,
    pub(super) profiles: BTreeMap<String, Profile>,
    /// Whether users other than the owner can read it.
    pub(super) is_open_to_others: bool,
}

/// One `[profiles.NAME]`.
#[derive(Debug, Default)]
pub(super) struct Profile {
    pub(super) endpoint: Option<Located<String>>,
    pub(super) endpoint_type: Option<Located<EndpointType>>,
    pub(super) access_key: Option<Located<String>>,
    pub(super) secret_key: Option<Located<SecretKey>>,
    pub(super) ca_file: Option<Located<PathBuf>>,
    pub(super) api: Option<Located<Api>>,
    pub(super) domain: Option<Located<String>>,
    pub(super) group: Option<Located<String>>,
}

/// A value and its line, from 1.
#[derive(Clone, Debug)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) line: usize,
}

impl File {
    /// Reads a file; `None` if it does not exist.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, SettingsError> {
        let failed = |error| SettingsError::Read {
            path: path.to_owned(),
            error,
        };
        let mut file = match OpenFile::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let is_open_to_others = is_open_to_others(&file).map_err(failed)?;
        let parser = Parser { path, text: &text };
        parser.file(is_open_to_others).map(Some)
    }

    /// Whether it contains a secret.
    pub(super) fn holds_a_secret(&self) -> bool {
        let mut profiles = self.profiles.values();
        profiles.any(|profile| profile.secret_key.is_some())
    }
}

#[cfg(unix)]
fn is_open_to_others(file: &OpenFile) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;

    /// Reading by the group and by others.
    const OTHERS: u32 = 0o044;
    Ok(file.metadata()?.permissions().mode() & OTHERS != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &OpenFile) -> io::Result<bool> {
    Ok(false)
}

struct Parser<'t> {
    path: &'t Path,
    text: &'t str,
}

impl Parser<'_> {
    fn file(&self, is_open_to_others: bool) -> Result<File, SettingsError> {
        // Only the parser's message: its `Display` would show the line, which may contain a key.
        let table = DeTable::parse(self.text).map_err(|error| SettingsError::Syntax {
            path: self.path.to_owned(),
            line: error.span().map_or(1, |span| self.line(span)),
            message: error.message().replace('\n', ", "),
        })?;
        let mut file = File {
            path: self.path.to_owned(),
            default_profile: None,
            profiles: BTreeMap::new(),
            is_open_to_others,
        };
        for (key, value) in table.get_ref().iter() {
            match key.get_ref().as_ref() {
                "default_profile" => file.default_profile = Some(self.text(key, value)?),
                "profiles" => {
                    for (name, profile) in self.table(key, value)?.iter() {
                        let table = self.table(name, profile)?;
                        // As the names that select a profile.
                        let key = name.get_ref().trim();
                        let profile = self.profile(key, table)?;
                        if file.profiles.insert(key.to_owned(), profile).is_some() {
                            return Err(self.wrong(name, "is there twice"));
                        }
                    }
                }
                _ => return Err(self.unknown(key, value, None)),
            }
        }
        Ok(file)
    }

    fn profile(&self, name: &str, table: &DeTable<'_>) -> Result<Profile, SettingsError> {
        let mut profile = Profile::default();
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "endpoint" => profile.endpoint = Some(self.text(key, value)?),
                "endpoint_type" => {
                    let Located { value, line } = self.text(key, value)?;
                    let Some(value) = EndpointType::of_name(&value) else {
                        return Err(self.wrong(key, "must be api or session"));
                    };
                    profile.endpoint_type = Some(Located { value, line });
                }
                "access_key" => profile.access_key = Some(self.text(key, value)?),
                "secret_key" => {
                    let Located { value, line } = self.text(key, value)?;
                    let value = SecretKey::new(value).expect("the text is not empty");
                    profile.secret_key = Some(Located { value, line });
                }
                "ca_file" => {
                    let Located { value, line } = self.text(key, value)?;
                    // Relative to the settings file, not to the current directory.
                    let folder = self.path.parent().unwrap_or(Path::new(""));
                    let value = folder.join(value);
                    profile.ca_file = Some(Located { value, line });
                }
                "api" => {
                    let Located { value, line } = self.text(key, value)?;
                    let Some(value) = Api::of_name(&value) else {
                        return Err(self.wrong(key, "must be sorna, backend-ai or auto"));
                    };
                    profile.api = Some(Located { value, line });
                }
                "domain" => profile.domain = Some(self.text(key, value)?),
                "group" => profile.group = Some(self.text(key, value)?),
                _ => return Err(self.unknown(key, value, Some(name))),
            }
        }
        Ok(profile)
    }

    /// A string that is not empty, without white space around it.
    fn text(
        &self,
        key: &Spanned<impl AsRef<str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Located<String>, SettingsError> {
        match value.get_ref() {
            DeValue::String(text) if !text.trim().is_empty() => Ok(Located {
                value: text.trim().to_owned(),
                line: self.line(value.span()),
            }),
            DeValue::String(_) => Err(self.wrong(key, "is empty: set a value or remove it")),
            _ => Err(self.wrong(key, "must be a quoted string")),
        }
    }

    fn table<'v, 't>(
        &self,
        key: &Spanned<impl AsRef<str>>,
        value: &'v Spanned<DeValue<'t>>,
    ) -> Result<&'v DeTable<'t>, SettingsError> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            _ => Err(self.wrong(key, "must be a table: profiles are written [profiles.NAME]")),
        }
    }

    fn wrong(&self, key: &Spanned<impl AsRef<str>>, message: &'static str) -> SettingsError {
        SettingsError::WrongValue {
            path: self.path.to_owned(),
            line: self.line(key.span()),
            key: key.get_ref().as_ref().to_owned(),
            message,
        }
    }

    fn unknown(
        &self,
        key: &Spanned<impl AsRef<str>>,
        value: &Spanned<DeValue<'_>>,
        profile: Option<&str>,
    ) -> SettingsError {
        SettingsError::UnknownKey {
            path: self.path.to_owned(),
            line: self.line(key.span()),
            key: key.get_ref().as_ref().to_owned(),
            is_table: matches!(value.get_ref(), DeValue::Table(_)),
            profile: profile.map(str::to_owned),
            known: if profile.is_some() { PROFILE } else { TOP },
        }
    }

    /// The line, from 1, in which something begins.
    fn line(&self, span: Range<usize>) -> usize {
        let before = self.text.as_bytes().iter().take(span.start);
        1 + before.filter(|byte| **byte == b'\n').count()
    }
}

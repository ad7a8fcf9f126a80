//! The key pairs of the gateway.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sorna::{AccessKey, Credentials, EnvNames, SecretKey};

use sorna_gateway::{GatewayKeys, KeyChanges};

use crate::failure::Failure;
use crate::reporter::Reporter;
use crate::settings::{has_invisible_characters, quoted};

/// The pairs in the file, else the pair in the environment, if any.
pub(super) fn find(file: Option<&Path>) -> Result<Vec<Credentials>, Failure> {
    match file {
        Some(file) => {
            if let Some(advice) = advice_if_open(file, "keys") {
                Reporter::new(false).advice(advice);
            }
            read(file).map_err(Failure::usage)
        }
        None => of_environment(|name| std::env::var(name).ok()),
    }
}

/// Reads the file again, and has the gateway accept the pairs in it. If it cannot be read, those from before stay.
pub(super) fn read_again(file: &Path, keys: &GatewayKeys) {
    let pairs = match read(file) {
        Ok(pairs) => pairs,
        Err(reason) => {
            return tracing::error!(
                reason,
                "the keys have not changed, as their file cannot be used"
            );
        }
    };
    if let Some(advice) = advice_if_open(file, "keys") {
        tracing::warn!("{advice}");
    }
    let KeyChanges {
        added,
        revoked,
        changed,
        ..
    } = keys.replace(pairs);
    let [added, revoked, changed] = [added, revoked, changed].map(|keys| {
        let keys: Vec<_> = keys.iter().map(AccessKey::as_str).collect();
        keys.join(" ")
    });
    tracing::info!(added, revoked, changed, "keys read again");
}

/// The pairs in the file. Errors never quote it.
fn read(file: &Path) -> Result<Vec<Credentials>, String> {
    let path = file.display();
    let text = fs::read_to_string(file).map_err(|error| format!("cannot read {path}: {error}"))?;
    parse(&text).map_err(|message| format!("{path}, {message}"))
}

/// What to do about a file that others may read, and that holds this.
pub(super) fn advice_if_open(file: &Path, what: &str) -> Option<String> {
    let is_open = |metadata: fs::Metadata| metadata.permissions().mode() & 0o077 != 0;
    let is_open = fs::metadata(file).is_ok_and(is_open);
    let path = file.display();
    is_open.then(|| {
        format!(
            "\"{path}\" contains {what} and is readable by others; run chmod 600 {}",
            quoted(&path.to_string())
        )
    })
}

fn of_environment(lookup: impl Fn(&str) -> Option<String>) -> Result<Vec<Credentials>, Failure> {
    let [access, secret] = [EnvNames::SORNA.access_key, EnvNames::SORNA.secret_key];
    let value = |name| {
        let value = lookup(name)?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    };
    match (value(access), value(secret)) {
        (None, None) => Ok(Vec::new()),
        (Some(access), Some(secret)) => pair(&access, &secret)
            .map(|pair| vec![pair])
            .map_err(|message| Failure::usage(format!("the keys in the environment: {message}"))),
        (Some(_), None) => Err(Failure::usage(format!(
            "{access} is set, but {secret} is not"
        ))),
        (None, Some(_)) => Err(Failure::usage(format!(
            "{secret} is set, but {access} is not"
        ))),
    }
}

/// The pairs of a file. Errors never quote it.
fn parse(text: &str) -> Result<Vec<Credentials>, String> {
    let lines = text
        .lines()
        .zip(1..)
        .map(|(line, number)| (line.trim(), number));
    let mut pairs: Vec<Credentials> = Vec::new();
    for (line, number) in lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#')) {
        let mut parts = line.split_whitespace();
        let (Some(access), Some(secret), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(format!(
                "line {number}: expected an access key and a secret key"
            ));
        };
        let new = pair(access, secret).map_err(|message| format!("line {number}: {message}"))?;
        if pairs
            .iter()
            .any(|known| known.access_key() == new.access_key())
        {
            return Err(format!("line {number}: duplicate access key"));
        }
        pairs.push(new);
    }
    if pairs.is_empty() {
        return Err("line 1: expected at least one key pair".to_owned());
    }
    Ok(pairs)
}

fn pair(access: &str, secret: &str) -> Result<Credentials, String> {
    let access = AccessKey::new(access).map_err(|error| error.to_string())?;
    if has_invisible_characters(secret) {
        return Err("the secret key contains a line end or another invisible character".to_owned());
    }
    let secret = SecretKey::new(secret).map_err(|error| error.to_string())?;
    Ok(Credentials::new(access, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text).err().unwrap_or_default()
    }

    #[test]
    fn pairs_are_read_and_errors_name_the_line_but_no_secret() {
        let pairs = parse("# two\n\nAKIAONE  secret-one\n\tAKIATWO\tsecret-two\n");
        let pairs = pairs.expect("two pairs");
        assert_eq!(pairs[1].access_key().as_str(), "AKIATWO");
        assert_eq!(pairs[1].secret_key().expose(), "secret-two");
        assert!(error("AKIAONE hidden\nAKIATWO").starts_with("line 2:"));
        assert!(error("AKIAONE hidden three").starts_with("line 1:"));
        assert!(error("AKIAONE hidden\nAKIAONE other").contains("duplicate"));
        assert!(error("# none").contains("at least one"));
        assert!(!error("AKIAONE hidden three").contains("hidden"));
    }

    #[test]
    fn white_space_around_keys_of_the_environment_is_not_part_of_them() {
        let lookup = |name: &str| {
            let key = if name == EnvNames::SORNA.access_key {
                "AKIAONE"
            } else {
                "secret-one"
            };
            Some(format!(" {key}\r\n"))
        };
        let pairs = of_environment(lookup).expect("a pair");
        assert_eq!(pairs[0].access_key().as_str(), "AKIAONE");
        assert_eq!(pairs[0].secret_key().expose(), "secret-one");
        let error = pair("AKIAONE", "secret\none").err().unwrap_or_default();
        assert!(error.contains("line end"), "{error}");
        assert!(!error.contains("none"), "{error}");
    }

    #[test]
    fn half_a_pair_is_an_error() {
        let half = |name: &str| (name == EnvNames::SORNA.access_key).then(|| "AKIAONE".to_owned());
        assert!(of_environment(half).is_err());
        assert!(of_environment(|_| None).is_ok_and(|pairs| pairs.is_empty()));
    }
}

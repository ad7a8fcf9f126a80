//! The keys that a gateway of one's own knows.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sorna::core::{AccessKey, Credentials, SecretKey, variables};

use crate::failure::Failure;
use crate::reporter::Reporter;
use crate::settings::{has_control_characters, quoted};

/// The pairs: of the file, else of the environment; none if neither has any.
pub(super) fn find(file: Option<&Path>) -> Result<Vec<Credentials>, Failure> {
    match file {
        Some(file) => {
            warn_if_open(file);
            let text = fs::read_to_string(file).map_err(|error| {
                Failure::usage(format!("cannot read {}: {error}", file.display()))
            })?;
            parse(&text).map_err(|words| Failure::usage(format!("{}, {words}", file.display())))
        }
        None => of_environment(|name| std::env::var(name).ok()),
    }
}

fn warn_if_open(file: &Path) {
    let is_open = |metadata: fs::Metadata| metadata.permissions().mode() & 0o077 != 0;
    if fs::metadata(file).is_ok_and(is_open) {
        let path = file.display();
        Reporter::new(false).advice(format_args!(
            "{path} holds keys, and others may read it: chmod 600 {}",
            quoted(&path.to_string())
        ));
    }
}

fn of_environment(lookup: impl Fn(&str) -> Option<String>) -> Result<Vec<Credentials>, Failure> {
    let [access, secret] = [variables::ACCESS_KEY, variables::SECRET_KEY];
    let value = |name| {
        let value = lookup(name)?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    };
    match (value(access), value(secret)) {
        (None, None) => Ok(Vec::new()),
        (Some(access), Some(secret)) => pair(&access, &secret)
            .map(|pair| vec![pair])
            .map_err(|words| Failure::usage(format!("the keys of the environment: {words}"))),
        (Some(_), None) => Err(Failure::usage(format!(
            "{access} is set, and {secret} is not"
        ))),
        (None, Some(_)) => Err(Failure::usage(format!(
            "{secret} is set, and {access} is not"
        ))),
    }
}

/// The pairs of a file. What is wrong is told without a word of it.
fn parse(text: &str) -> Result<Vec<Credentials>, String> {
    let lines = text
        .lines()
        .zip(1..)
        .map(|(line, number)| (line.trim(), number));
    let mut pairs: Vec<Credentials> = Vec::new();
    for (line, number) in lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let (Some(access), Some(secret), None) = (words.next(), words.next(), words.next()) else {
            return Err(format!("line {number}: not an access key and a secret key"));
        };
        let new = pair(access, secret).map_err(|words| format!("line {number}: {words}"))?;
        if pairs
            .iter()
            .any(|known| known.access_key() == new.access_key())
        {
            return Err(format!("line {number}: the access key is there already"));
        }
        pairs.push(new);
    }
    if pairs.is_empty() {
        return Err("line 1: there are no keys".to_owned());
    }
    Ok(pairs)
}

fn pair(access: &str, secret: &str) -> Result<Credentials, String> {
    let access = AccessKey::new(access).map_err(|error| error.to_string())?;
    if has_control_characters(secret) {
        return Err("the secret key contains a line end or another control character".to_owned());
    }
    let secret = SecretKey::new(secret).map_err(|error| error.to_string())?;
    Ok(Credentials::new(access, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        parse(text).err().unwrap_or_default()
    }

    #[test]
    fn pairs_are_read_and_what_is_wrong_is_told_by_its_line() {
        let pairs = parse("# two\n\nAKIAONE  secret-one\n\tAKIATWO\tsecret-two\n");
        let pairs = pairs.expect("two pairs");
        assert_eq!(pairs[1].access_key().as_str(), "AKIATWO");
        assert_eq!(pairs[1].secret_key().expose(), "secret-two");
        assert!(refusal("AKIAONE hidden\nAKIATWO").starts_with("line 2:"));
        assert!(refusal("AKIAONE hidden three").starts_with("line 1:"));
        assert!(refusal("AKIAONE hidden\nAKIAONE other").contains("already"));
        assert!(refusal("# none").contains("no keys"));
        assert!(!refusal("AKIAONE hidden three").contains("hidden"));
    }

    #[test]
    fn white_space_around_keys_of_the_environment_is_not_part_of_them() {
        let lookup = |name: &str| {
            let key = if name == variables::ACCESS_KEY {
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
    fn half_a_pair_is_none() {
        let half = |name: &str| (name == variables::ACCESS_KEY).then(|| "AKIAONE".to_owned());
        assert!(of_environment(half).is_err());
        assert!(of_environment(|_| None).is_ok_and(|pairs| pairs.is_empty()));
    }
}

//! The text of an error, with its causes.

use sorna::{Error, with_causes};

/// An error and its causes, for a person: a certificate that is not trusted is explained by the name of
/// the cause only.
pub(crate) fn message(error: &Error) -> String {
    readable(with_causes(error))
}

/// Rustls mostly shows such a cause as a Rust value, with all its fields.
fn readable(text: String) -> String {
    const CERTIFICATE: &str = "invalid peer certificate: ";

    let Some((before, cause)) = text.split_once(CERTIFICATE) else {
        return text;
    };
    let name = cause.split(" {").next().unwrap_or_default();
    let name = name.rsplit('(').next().unwrap_or_default();
    let name = name.trim_end_matches(')').trim_end_matches("Context");
    let is_name = name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !cause.starts_with(|first: char| first.is_ascii_uppercase()) || !is_name {
        return text;
    }
    let mut text = format!("{before}{CERTIFICATE}");
    for (index, character) in name.char_indices() {
        if index > 0 && character.is_ascii_uppercase() {
            text.push(' ');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_of_certificates_are_readable() {
        for (cause, readable_cause) in [
            ("UnknownIssuer", "unknown issuer"),
            (
                "Other(OtherError(UnsupportedAlgorithmContext { id: [6, 8, 42], supported: [] }))",
                "unsupported algorithm",
            ),
            (
                "certificate not valid for name \"a\"; it is for DnsName(\"b\")",
                "certificate not valid for name \"a\"; it is for DnsName(\"b\")",
            ),
            ("Odd: (1, 2)", "Odd: (1, 2)"),
        ] {
            let text = |end| format!("no connection: invalid peer certificate: {end}");
            assert_eq!(readable(text(cause)), text(readable_cause));
        }
        assert_eq!(readable("no {response}".to_owned()), "no {response}");
    }
}

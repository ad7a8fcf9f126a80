//! Texts of settings and about them.

/// Whether a secret key cannot be one that a gateway issued: requests signed with it would only get a 401.
pub(crate) fn has_invisible_characters(secret: &str) -> bool {
    let is_invisible = |c: char| {
        c.is_control()
            || (c.is_whitespace() && c != ' ')
            // Soft hyphen, joiners, marks of direction, and zero-width spaces, which are copied along from web pages.
            || matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    secret.chars().any(is_invisible)
}

/// Such as `A, B and C`.
pub(super) fn in_words(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [name] => (*name).to_owned(),
        [names @ .., last] => format!("{} and {last}", names.join(", ")),
    }
}

/// Quotes text so that a shell reads it as one word.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

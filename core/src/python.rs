//! Dictionaries as Python shows them, which managers of Backend.AI send where JSON would be expected.

use std::collections::BTreeMap;

/// Reads `{'cpu': Decimal('1'), 'mem': Decimal('268435456')}`: keys and values as text. A `Decimal` is its digits
/// and a string its content; any other value stays as it is written. `None` if it is not such a dictionary.
///
/// Nothing recurses, so a hostile text costs no more than its length.
pub(crate) fn dictionary(text: &str) -> Option<BTreeMap<String, String>> {
    let mut map = BTreeMap::new();
    let mut rest = text.trim().strip_prefix('{')?;
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return after.is_empty().then_some(map);
        }
        let (key, after) = string(rest)?;
        let after = after.trim_start().strip_prefix(':')?;
        let (value, after) = value(after.trim_start())?;
        map.insert(key, value);
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return None,
        }
    }
}

/// A value, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    if let Some(found) = string(text) {
        return Some(found);
    }
    if let Some(inner) = text.strip_prefix("Decimal(")
        && let Some((digits, after)) = string(inner)
        && let Some(after) = after.strip_prefix(')')
    {
        return Some((digits, after));
    }
    let end = end_of_value(text)?;
    let value = text[..end].trim_end();
    (!value.is_empty()).then(|| (value.to_owned(), &text[end..]))
}

/// Where a value ends: at the comma or brace of the dictionary that it is in.
fn end_of_value(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match c {
            '\'' | '"' => {
                let (_, after) = string(&text[at..])?;
                at = text.len() - after.len();
                continue;
            }
            ',' | '}' if depth == 0 => return Some(at),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += c.len_utf8();
    }
    None
}

/// A string in either kind of quotes, without them and its escapes, and what follows it.
fn string(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut content = String::new();
    let mut rest = &text[1..];
    loop {
        let end = rest.find([quote, '\\'])?;
        content.push_str(&rest[..end]);
        rest = &rest[end..];
        if let Some(after) = rest.strip_prefix(quote) {
            return Some((content, after));
        }
        let (c, after) = escape(&rest[1..])?;
        // As Python has it, an escape that it does not know is no escape.
        content.push(c.unwrap_or('\\'));
        rest = after;
    }
}

/// The character that an escape stands for, without its backslash, and what follows it; no character if there is no
/// such escape.
fn escape(text: &str) -> Option<(Option<char>, &str)> {
    let kind = text.chars().next()?;
    let after = &text[kind.len_utf8()..];
    let digits = match kind {
        'n' => return Some((Some('\n'), after)),
        'r' => return Some((Some('\r'), after)),
        't' => return Some((Some('\t'), after)),
        '\\' | '\'' | '"' => return Some((Some(kind), after)),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return Some((None, text)),
    };
    let code = after.get(..digits)?;
    if !code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let code = u32::from_str_radix(code, 16).ok()?;
    // Half of a surrogate pair is no character.
    let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    Some((Some(c), &after[digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<(String, String)>> {
        Some(dictionary(text)?.into_iter().collect())
    }

    #[track_caller]
    fn is(text: &str, expected: &[(&str, &str)]) {
        let expected = expected.iter();
        let expected = expected.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        assert_eq!(read(text), Some(expected.collect()), "{text}");
    }

    #[test]
    fn what_managers_send_is_read() {
        is("{}", &[]);
        // Managers 23.09.10 and 26.9.6.
        is(
            "{'mem': Decimal('268435456'), 'cpu': Decimal('1.000000')}",
            &[("cpu", "1.000000"), ("mem", "268435456")],
        );
        is(
            "{'main1': {'shmem': 67108864}}",
            &[("main1", "{'shmem': 67108864}")],
        );
        is(
            r#"{'A': "it's", 'B': 'say "hi"', 'C': 'a\\b\n\x07\u202e', 'D': ''}"#,
            &[
                ("A", "it's"),
                ("B", "say \"hi\""),
                ("C", "a\\b\n\u{7}\u{202e}"),
                ("D", ""),
            ],
        );
    }

    #[test]
    fn unknown_values_stay_as_they_are_written() {
        is(
            "{'a': None,'b' : [1, {'c': (2, ',')}] , 'd':Decimal(3), 'e': '\\d', }",
            &[
                ("a", "None"),
                ("b", "[1, {'c': (2, ',')}]"),
                ("d", "Decimal(3)"),
                ("e", "\\d"),
            ],
        );
        is(r#"{"cpu": "1", "n": -0.5}"#, &[("cpu", "1"), ("n", "-0.5")]);
    }

    #[test]
    fn anything_else_is_no_dictionary() {
        for text in [
            "",
            "{",
            "}",
            "{}x",
            "[]",
            "None",
            "{'a'}",
            "{'a': }",
            "{'a': 1",
            "{'a': '1' 'b': 2}",
            "{1: 2}",
            "{'a: 1}",
            "{'a': 'b\\",
            "{'a': '\\x1'}",
            "{'a': '\\x+1'}",
            "{'a': )}",
            "{'a': \"}",
            "{'a': '\\xé'}",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read(&"{'a': ".repeat(100_000)), None);
        assert_eq!(read(&format!("{{'a': {}", "[".repeat(100_000))), None);
    }
}

//! The same for shells.

/// What begins and ends compound commands.
const BEGIN: &[&str] = &["if", "case", "for", "while", "until", "select", "{"];
const END: &[&str] = &["fi", "esac", "done", "}"];

/// After these, another command begins.
const BEFORE: &[&str] = &[
    "if", "then", "elif", "else", "while", "until", "do", "{", "!",
];

/// Whether a quote, a compound command or a list is open, or the line ends with a backslash.
pub(super) fn is_unfinished(code: &str) -> bool {
    let Some(words) = words(code) else {
        return true;
    };
    let mut depth = 0_i32;
    let mut is_command = true;
    for word in &words {
        let word = word.as_str();
        if is_command {
            depth += i32::from(BEGIN.contains(&word));
            depth -= i32::from(END.contains(&word));
        }
        is_command = is_separator(word) || is_command && BEFORE.contains(&word);
    }
    let is_list = matches!(
        words.last().map(String::as_str),
        Some("|" | "||" | "&&" | "(")
    );
    depth > 0 || is_list
}

fn is_separator(word: &str) -> bool {
    matches!(
        word,
        "\n" | ";" | ";;" | "|" | "||" | "&" | "&&" | "(" | ")"
    )
}

/// The words and operators; `None` if the last one is not complete.
fn words(code: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut characters = code.chars().peekable();
    while let Some(next) = characters.next() {
        match next {
            '\\' => word.extend(['\\', characters.next()?]),
            '\'' => loop {
                word.push('\'');
                match characters.next()? {
                    '\'' => break,
                    inside => word.push(inside),
                }
            },
            '"' => loop {
                word.push('"');
                match characters.next()? {
                    '"' => break,
                    '\\' => drop(characters.next()?),
                    inside => word.push(inside),
                }
            },
            '#' if word.is_empty() => while characters.next_if(|it| *it != '\n').is_some() {},
            '\n' | ';' | '|' | '&' | '(' | ')' => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                let mut operator = next.to_string();
                if matches!(next, ';' | '|' | '&') {
                    operator.extend(characters.next_if_eq(&next));
                }
                words.push(operator);
            }
            _ if next.is_whitespace() => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            }
            _ => word.push(next),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_may_have_many_lines() {
        for code in [
            "if true",
            "if true; then",
            "for i in 1 2 3",
            "for i in 1 2; do echo $i",
            "while read line; do\n  echo",
            "case $x in",
            "f() {",
            "echo 'a",
            "echo \"a\nb",
            "echo a \\",
            "cat x |",
            "true &&",
        ] {
            assert!(is_unfinished(code), "{code:?}");
        }
        for code in [
            "echo 1",
            "if true; then echo; fi",
            "for i in 1 2; do echo $i; done",
            "while read line; do\n  echo\ndone",
            "case $x in a) echo;; esac",
            "f() { echo; }",
            "echo if for do {",
            "echo 'if' # if",
            "echo a \\\n b",
            "sleep 9 &",
            "done",
        ] {
            assert!(!is_unfinished(code), "{code:?}");
        }
    }
}

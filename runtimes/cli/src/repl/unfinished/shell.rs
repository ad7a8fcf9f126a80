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
    let is_list = matches!(words.last().map(String::as_str), Some("|" | "||" | "&&"));
    let last: Vec<_> = words.iter().rev().take(4).map(String::as_str).collect();
    let is_function = match last[..] {
        [")", "(", name, "function"] | [")", "(", name] => is_name(name),
        [")", "(", name, before] => is_name(name) && is_separator(before),
        [name, "function", ..] => is_name(name),
        ["&", "|", ..] => true,
        _ => false,
    };
    depth > 0 || is_open(&words) || is_list || is_function
}

fn is_name(word: &str) -> bool {
    !is_separator(word) && !word.ends_with(['$', '='])
}

/// Whether a parenthesis or a condition is open. Patterns of `case` have only the closing one.
fn is_open(words: &[String]) -> bool {
    let (mut parentheses, mut conditions) = (0_u32, 0_u32);
    for word in words {
        match word.as_str() {
            "(" => parentheses += 1,
            ")" => parentheses = parentheses.saturating_sub(1),
            "[[" => conditions += 1,
            "]]" => conditions = conditions.saturating_sub(1),
            _ => {}
        }
    }
    parentheses > 0 || conditions > 0
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
    let mut ends: Vec<(String, bool)> = Vec::new();
    let mut arithmetic = 0_u32;
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
                    '$' if characters.next_if_eq(&'(').is_some() => {
                        skip_substitution(&mut characters)?;
                    }
                    inside => word.push(inside),
                }
            },
            '`' => loop {
                word.push('`');
                match characters.next()? {
                    '`' => break,
                    '\\' => drop(characters.next()?),
                    _ => {}
                }
            },
            '<' if characters.next_if_eq(&'<').is_some() => {
                word.push('<');
                if characters.next_if_eq(&'<').is_none() && arithmetic == 0 {
                    ends.extend(end_of_text(&mut characters));
                }
            }
            '#' if word.is_empty() => while characters.next_if(|it| *it != '\n').is_some() {},
            '\n' | ';' | '|' | '&' | '(' | ')' => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                let mut operator = next.to_string();
                if matches!(next, ';' | '|' | '&') {
                    operator.extend(characters.next_if_eq(&next));
                }
                match next {
                    '(' if arithmetic > 0 || characters.peek() == Some(&'(') => arithmetic += 1,
                    ')' => arithmetic = arithmetic.saturating_sub(1),
                    _ => {}
                }
                words.push(operator);
                if next == '\n' {
                    for (end, may_indent) in std::mem::take(&mut ends) {
                        skip_text(&mut characters, &end, may_indent)?;
                    }
                }
            }
            _ if next.is_whitespace() => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            }
            _ => word.push(next),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    ends.is_empty().then_some(words)
}

type Characters<'t> = std::iter::Peekable<std::str::Chars<'t>>;

/// Skips the rest of `$(…)`.
fn skip_substitution(characters: &mut Characters<'_>) -> Option<()> {
    let mut depth = 1;
    while depth > 0 {
        match characters.next()? {
            '(' => depth += 1,
            ')' => depth -= 1,
            '\\' => drop(characters.next()?),
            '\'' => while characters.next()? != '\'' {},
            '"' => loop {
                match characters.next()? {
                    '"' => break,
                    '\\' => drop(characters.next()?),
                    '$' if characters.next_if_eq(&'(').is_some() => skip_substitution(characters)?,
                    _ => {}
                }
            },
            _ => {}
        }
    }
    Some(())
}

/// The line that ends a text after `<<`, and whether tabs may be before it.
fn end_of_text(characters: &mut Characters<'_>) -> Option<(String, bool)> {
    let may_indent = characters.next_if_eq(&'-').is_some();
    while characters.next_if(|it| matches!(it, ' ' | '\t')).is_some() {}
    let mut end = String::new();
    let is_inside = |it: &char| !it.is_whitespace() && !";|&()<>".contains(*it);
    while let Some(next) = characters.next_if(is_inside) {
        end.extend((!"'\"\\".contains(next)).then_some(next));
    }
    (!end.is_empty()).then_some((end, may_indent))
}

fn skip_text(characters: &mut Characters<'_>, end: &str, may_indent: bool) -> Option<()> {
    loop {
        let mut line = String::new();
        while let Some(next) = characters.next_if(|it| *it != '\n') {
            line.push(next);
        }
        let text = if may_indent {
            line.trim_start_matches('\t')
        } else {
            &line
        };
        if text == end {
            return Some(());
        }
        characters.next()?;
    }
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
            "ls |&",
            "cat <<END",
            "cat <<-'END' | wc\n\ta",
            "cat <<A <<B\n1\nA\n2",
            "(echo a",
            "x=(1 2",
            "echo $(ls",
            "echo \"$(ls",
            "echo \"a $(echo \"b",
            "echo `ls",
            "[[ a == a",
            "((1 +",
            "f()",
            "function f",
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
            "cat <<END\na 'b\nEND",
            "cat <<-'END' | wc\n\ta\n\tEND",
            "cat <<A <<B\n1\nA\n2\nB",
            "cat <<<'a'",
            "echo $((1 << 2))",
            "echo \"$(echo \"a)b\")\"",
            "(echo a)",
            "x=(1 2)",
            "case $x in a) echo;; (b) echo;; esac",
            "f() { echo; }; f",
            "echo ${x#a}",
            "[[ a == a ]] && echo",
            "echo )",
        ] {
            assert!(!is_unfinished(code), "{code:?}");
        }
    }
}

//! Errors, recognized in what interpreters write about them to standard error.
//!
//! Gateways say how a cell ended by an exit code at most; the name of the error and its message are in its traceback alone.
//! Where they say no exit code, as those of 2017, or 0 for exceptions too, as managers of Backend.AI 23.09, the traceback is
//! also all that says *that* a cell failed: see [`Family::is_certain`].

use std::borrow::Cow;

/// What writes tracebacks, as far as their form is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Python.
    Python,
    /// R.
    R,
    /// Node.js.
    Node,
    /// Ruby.
    Ruby,
    /// Anything else.
    Other,
}

/// An error, as Jupyter's messages have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its name, such as `ValueError`.
    pub name: String,
    /// Its message.
    pub value: String,
    /// What to show, a line each.
    pub traceback: Vec<String>,
}

impl Failure {
    /// An error that has no traceback.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        let line = match value.is_empty() {
            true => name.clone(),
            false => format!("{name}: {value}"),
        };
        Self {
            name,
            value,
            traceback: line.lines().map(str::to_owned).collect(),
        }
    }

    /// With another line to show.
    #[must_use]
    pub fn with_line(mut self, line: impl Into<String>) -> Self {
        self.traceback.push(line.into());
        self
    }
}

/// A traceback at the end of what was written to standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it begins, in bytes.
    pub start: usize,
    /// The error that it is about.
    pub failure: Failure,
}

const HEADER: &str = "Traceback (most recent call last):";
const CONNECTIONS: [&str; 2] = [
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
];

impl Family {
    /// Whether a traceback of this kind at the end of the output tells that the cell failed, if nothing else does. That is
    /// wrong where a program shows a traceback of its own as the last thing that it does, as `traceback.print_exc()` and
    /// `logging.exception` do, and then ends well. Only the tracebacks of Python are told from other output that surely.
    #[must_use]
    pub fn is_certain(self) -> bool {
        self == Self::Python
    }

    /// Whether a line begins something that may be a traceback, and so is worth waiting for its end.
    #[must_use]
    pub fn begins(self, line: &str) -> bool {
        match self {
            Self::Python => {
                let line = &*uncolored(line);
                line.trim_start_matches(['+', ' ', '|'])
                    .starts_with("Traceback (most")
                    || is_of_syntax(line)
                    || is_rule(line)
                    || name_in_header(line).is_some()
                    || is_place(line)
            }
            Self::R => line.starts_with("Error in ") || line.starts_with("Error: "),
            Self::Node => {
                line.starts_with("Uncaught ")
                    || line.starts_with("[eval]:")
                    || head_of_node(line).is_some()
            }
            Self::Ruby | Self::Other => false,
        }
    }

    /// The traceback with which this text ends, if it does.
    #[must_use]
    pub fn find(self, text: &str) -> Option<Found> {
        if text.trim().is_empty() {
            return None;
        }
        match self {
            Self::Python => python(text).or_else(|| ipython(text)),
            Self::R => r(text),
            Self::Node => node(text),
            Self::Ruby => ruby(text),
            Self::Other => None,
        }
    }

    /// The error of a cell that ended with this exit code, having written this text to standard error last: a traceback, or
    /// else all of the text.
    #[must_use]
    pub fn of_exit(self, text: &str, exit_code: i64) -> Found {
        if let Some(found) = self.find(text) {
            return found;
        }
        let failure = match self {
            // Of `sys.exit` and the like.
            Self::Python => Failure::new("SystemExit", exit_code.to_string()),
            _ => Failure::new("ExitCode", exit_code.to_string()),
        };
        if text.trim().is_empty() || self == Self::Python {
            // What Python wrote before that has nothing to do with it.
            return Found {
                start: text.len(),
                failure,
            };
        }
        let value = match self {
            Self::Other => format!("{exit_code}: {}", telling(text)),
            _ => last_line(text).to_owned(),
        };
        let name = if self == Self::Other {
            "ExitCode"
        } else {
            "Error"
        };
        Found {
            start: 0,
            failure: Failure {
                name: name.to_owned(),
                value,
                traceback: lines(text),
            },
        }
    }
}

/// The line that says most of why a command or a whole program has failed. Compilers say what is wrong first, and then more about
/// it.
pub(crate) fn telling(text: &str) -> &str {
    let is_error = |line: &&str| line.contains("error: ") || line.starts_with("error[");
    let line = text.lines().find(is_error);
    line.map_or_else(|| last_line(text), str::trim)
}

fn last_line(text: &str) -> &str {
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    last.unwrap_or_default().trim()
}

fn lines(text: &str) -> Vec<String> {
    text.trim_end().lines().map(str::to_owned).collect()
}

/// Each line, with its place.
fn places(text: &str) -> impl DoubleEndedIterator<Item = (usize, &str)> {
    text.split_inclusive('\n')
        .scan(0, |at, line| {
            let start = *at;
            *at += line.len();
            Some((start, line.trim_end_matches(['\n', '\r'])))
        })
        .collect::<Vec<_>>()
        .into_iter()
}

fn found(text: &str, start: usize, name: &str, value: &str) -> Found {
    Found {
        start,
        failure: Failure {
            name: name.to_owned(),
            value: value.trim_end().to_owned(),
            traceback: lines(&text[start..]),
        },
    }
}

/// Whether it is the first line of a syntax error, which has no header.
fn is_of_syntax(line: &str) -> bool {
    line.strip_prefix("  File \"")
        .is_some_and(|rest| rest.contains("\", line "))
}

fn python(text: &str) -> Option<Found> {
    let all: Vec<_> = places(text).collect();
    let last_header = all.iter().rposition(|(_, line)| is_header(line));
    let (mut first, body) = match last_header {
        Some(at) => (at, at + 1),
        None => {
            let at = all.iter().rposition(|(_, line)| is_of_syntax(line))?;
            (at, at)
        }
    };
    let inner = |line: &str| line.is_empty() || line.starts_with([' ', '\t']);
    let message = (body..all.len()).find(|&at| !inner(all[at].1))?;
    let rest = &text[all[message].0..];
    // A syntax error of its own, after a traceback that was shown before.
    if let Some(at) = all.iter().rposition(|(_, line)| is_of_syntax(line))
        && at > message
    {
        return python(&text[all[at].0..]).map(|mut inner| {
            inner.start += all[at].0;
            inner
        });
    }
    // Those that led to it.
    while let Some(before) = (0..first).rev().find(|&at| !all[at].1.is_empty())
        && CONNECTIONS.contains(&all[before].1)
        && let Some(cause) = begins(&all[..before])
    {
        first = cause;
    }
    let (name, value) = match rest.split_once(':') {
        Some((name, value)) if is_name(name) => (name, value.strip_prefix(' ').unwrap_or(value)),
        _ => {
            let line = rest.lines().next().unwrap_or_default().trim_end();
            (line, rest[line.len()..].trim_start_matches(['\r', '\n']))
        }
    };
    if !is_name(name) {
        return None;
    }
    let name = name.rsplit('.').next().unwrap_or(name);
    Some(found(text, all[first].0, name, value))
}

/// As IPython writes it, which runs the cells of Backend.AI.
fn ipython(text: &str) -> Option<Found> {
    let all: Vec<_> = places(text)
        .map(|(at, line)| (at, uncolored(line)))
        .collect();
    let is_message = |line: &str, name: &str| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    };
    let header = all
        .iter()
        .rposition(|(_, line)| name_in_header(line).is_some());
    let (start, name, message) = match header {
        Some(at) => {
            let name = name_in_header(&all[at].1)?.to_owned();
            // Causes have no line of their own.
            let rule = all[..at].iter().rposition(|(_, line)| is_rule(line));
            let message = (at + 1..all.len()).find(|&it| is_message(&all[it].1, &name))?;
            (rule.unwrap_or(at), name, message)
        }
        // Errors of syntax have no header.
        None => {
            let place = all.iter().rposition(|(_, line)| is_place(line))?;
            let message = (place + 1..all.len()).find(|&it| is_of_language(&all[it].1))?;
            let name = all[message].1.split(':').next()?.to_owned();
            (place, name, message)
        }
    };
    let rest = uncolored(&text[all[message].0..]);
    let value = rest[name.len()..].trim_start_matches(':').trim();
    Some(found(text, all[start].0, &name, value))
}

/// The name in `ValueError    Traceback (most recent call last)`.
fn name_in_header(line: &str) -> Option<&str> {
    let name = line.strip_suffix("Traceback (most recent call last)")?;
    let name = name.trim_end();
    is_name(name).then_some(name)
}

/// The line above.
fn is_rule(line: &str) -> bool {
    line.len() >= 20 && line.bytes().all(|byte| byte == b'-')
}

/// As in `  Cell In[4], line 1`.
fn is_place(line: &str) -> bool {
    let line = line.trim_start();
    (line.starts_with("Cell In[") || line.starts_with("File ")) && line.contains(", line ")
}

/// Whether it is the message of an error of syntax.
fn is_of_language(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default();
    matches!(name, "SyntaxError" | "IndentationError" | "TabError")
}

/// Without the sequences that give colors to it.
fn uncolored(text: &str) -> Cow<'_, str> {
    if !text.contains('\x1b') {
        return text.into();
    }
    let mut pieces = text.split("\x1b[");
    let first = pieces.next().unwrap_or_default();
    let rest = pieces.map(|piece| {
        let end = piece.find(|c: char| !c.is_ascii_digit() && c != ';');
        end.map_or("", |end| {
            piece[end..].strip_prefix('m').unwrap_or(&piece[end..])
        })
    });
    std::iter::once(first).chain(rest).collect()
}

/// Where the last traceback begins: a syntax error has a place and no header.
fn begins(lines: &[(usize, &str)]) -> Option<usize> {
    let header = lines.iter().rposition(|(_, line)| is_header(line));
    header.or_else(|| lines.iter().rposition(|(_, line)| is_of_syntax(line)))
}

/// Of a traceback, or one of a group of exceptions.
fn is_header(line: &str) -> bool {
    line == HEADER || line.trim_start() == "+ Exception Group Traceback (most recent call last):"
}

/// Whether it may be the name of an exception, with its modules.
fn is_name(text: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && word
                .chars()
                .all(|c| c.is_alphanumeric() || c == '_' || c == '<' || c == '>')
    };
    // Classes of functions are named `f.<locals>.E`.
    !text.is_empty()
        && text
            .split('.')
            .all(|word| is_word(word) || word == "<locals>")
}

fn r(text: &str) -> Option<Found> {
    let (start, line) = places(text).rfind(|(_, line)| Family::R.begins(line))?;
    let rest = &text[start..];
    let rest = rest.trim_end().trim_end_matches("Execution halted");
    let value = match line.starts_with("Error: ") {
        true => rest.strip_prefix("Error: "),
        // The call may hold colons, between which there are no spaces.
        false => rest.split_once(" : ").map(|(_, value)| value),
    };
    let value = value.unwrap_or(rest);
    let value: Vec<&str> = value.trim().lines().map(str::trim_end).collect();
    Some(found(text, start, "Error", &value.join("\n")))
}

/// The name and the message of the first line of an error of Node.js.
fn head_of_node(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("Uncaught ").unwrap_or(line);
    let (name, value) = match line.split_once(": ") {
        Some((name, value)) => (name, value),
        None => (line, ""),
    };
    // As in `TypeError [ERR_INVALID_ARG_TYPE]: …`.
    let name = name.split(" [").next().unwrap_or(name);
    let is_error = (name.ends_with("Error") || name.ends_with("Exception")) && is_name(name);
    is_error.then_some((name, value))
}

fn node(text: &str) -> Option<Found> {
    let all: Vec<_> = places(text).collect();
    let head = all
        .iter()
        .rposition(|(_, line)| head_of_node(line).is_some());
    if let Some(head) = head {
        let (name, _) = head_of_node(all[head].1)?;
        let is_frame = |at: &usize| all[*at].1.starts_with("    at ");
        let end = (head + 1..all.len())
            .find(is_frame)
            .map_or(text.len(), |at| all[at].0);
        let message = &text[all[head].0..end];
        let message = message.split_once(": ").map_or("", |(_, value)| value);
        let message = message.split("\nNode.js v").next().unwrap_or_default();
        // Where it happened comes first, for errors of syntax.
        let place = (0..head)
            .rev()
            .take(6)
            .find(|&at| all[at].1.starts_with("[eval]:"));
        let start = all[place.unwrap_or(head)].0;
        return Some(found(text, start, name, message));
    }
    let (start, line) = places(text).rfind(|(_, line)| line.starts_with("Uncaught "))?;
    let value = line.trim_start_matches("Uncaught ");
    Some(found(text, start, "Uncaught", value))
}

/// `file:1:in 'f': message (Name)`, and frames.
fn ruby(text: &str) -> Option<Found> {
    let (start, line) = places(text).rfind(|(_, line)| {
        line.ends_with(')') && line.contains(": ") && !line.starts_with(['\t', ' '])
    })?;
    let (message, name) = line.trim_end_matches(')').rsplit_once(" (")?;
    let value = message
        .rsplit_once("': ")
        .or_else(|| message.split_once(": "))?
        .1;
    is_name(&name.replace("::", ".")).then(|| found(text, start, name, value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn parts(family: Family, text: &str) -> (String, String, String) {
        let found = family.find(text).unwrap_or_else(|| panic!("{text}"));
        let before = text[..found.start].to_owned();
        (before, found.failure.name, found.failure.value)
    }

    fn is(family: Family, text: &str, before: &str, name: &str, value: &str) {
        let expected = (before.to_owned(), name.to_owned(), value.to_owned());
        assert_eq!(parts(family, text), expected, "{text}");
    }

    const PLAIN: &str = "Traceback (most recent call last):\n  File \"<input-1>\", line 1, in <module>\n    1/0\n    ~^~\nZeroDivisionError: division by zero\n";

    #[test]
    fn what_a_compiler_says_first_is_the_message() {
        let text = "a.c: In function 'main':\na.c:1:5: error: no x\n  1 | x\n    | ^\n";
        let failure = Family::Other.of_exit(text, 1).failure;
        assert_eq!(failure.value, "1: a.c:1:5: error: no x");
        assert_eq!(failure.traceback.len(), 4);
        assert_eq!(telling("one\ntwo \n\n"), "two");
    }

    #[test]
    fn errors_of_python() {
        is(
            Family::Python,
            PLAIN,
            "",
            "ZeroDivisionError",
            "division by zero",
        );
        let warned = format!("a warning\n{PLAIN}");
        is(
            Family::Python,
            &warned,
            "a warning\n",
            "ZeroDivisionError",
            "division by zero",
        );
        let all = Family::Python.find(&warned).unwrap().failure.traceback;
        assert_eq!(all.first().unwrap(), HEADER);
        assert_eq!(all.last().unwrap(), "ZeroDivisionError: division by zero");
        let long = "Traceback (most recent call last):\n  File \"x\", line 1\njson.decoder.JSONDecodeError: a: b\nc\n\nd\n";
        is(Family::Python, long, "", "JSONDecodeError", "a: b\nc\n\nd");
        let bare = "Traceback (most recent call last):\n  File \"x\", line 1\nKeyboardInterrupt\n";
        is(Family::Python, bare, "", "KeyboardInterrupt", "");
        let local =
            "Traceback (most recent call last):\n  File \"x\", line 1\n__main__.f.<locals>.E: x\n";
        is(Family::Python, local, "", "E", "x");
    }

    #[test]
    fn errors_of_syntax_have_no_header() {
        let text = "hm\n  File \"<input-1>\", line 1\n    x = (\n        ^\nSyntaxError: '(' was never closed\n";
        is(
            Family::Python,
            text,
            "hm\n",
            "SyntaxError",
            "'(' was never closed",
        );
        let after = format!("{PLAIN}{}", &text[3..]);
        is(
            Family::Python,
            &after,
            PLAIN,
            "SyntaxError",
            "'(' was never closed",
        );
        // One of an import has.
        let imported = "Traceback (most recent call last):\n  File \"<input-1>\", line 1, in <module>\n    import m\n  File \"m.py\", line 1\n    x = (\n        ^\nSyntaxError: '(' was never closed\n";
        is(
            Family::Python,
            imported,
            "",
            "SyntaxError",
            "'(' was never closed",
        );
    }

    /// Of a manager of Backend.AI 23.09.10, and one of 26.9.6.
    const COLORED: [&str; 2] = [
        "\x1b[0;31m---------------------------------------------------------------------------\x1b[0m\n\x1b[0;31mZeroDivisionError\x1b[0m                         Traceback (most recent call last)\nCell \x1b[0;32mIn[4], line 1\x1b[0m\n\x1b[0;32m----> 1\x1b[0m \x1b[38;5;241;43m1\x1b[39;49m\x1b[38;5;241;43m/\x1b[39;49m\x1b[38;5;241;43m0\x1b[39;49m\n\n\x1b[0;31mZeroDivisionError\x1b[0m: division by zero",
        "\x1b[31m---------------------------------------------------------------------------\x1b[39m\n\x1b[31mZeroDivisionError\x1b[39m                         Traceback (most recent call last)\n\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[13]\x1b[39m\x1b[32m, line 1\x1b[39m\n\x1b[32m----> \x1b[39m\x1b[32m1\x1b[39m \x1b[32m1\x1b[39m/\x1b[32m0\x1b[39m\n\n\x1b[31mZeroDivisionError\x1b[39m: division by zero",
    ];

    #[test]
    fn errors_of_ipython_have_colors() {
        let python = Family::Python;
        for text in COLORED {
            let (name, value) = ("ZeroDivisionError", "division by zero");
            is(python, text, "", name, value);
            let warned = format!("a warning\n{text}");
            is(python, &warned, "a warning\n", name, value);
            assert!(text.lines().take(2).all(|line| python.begins(line)));
            let shown = python.find(text).unwrap().failure.traceback;
            assert_eq!(shown.join("\n"), text);
            // It led to another one.
            let name = "json.decoder.JSONDecodeError";
            let text = format!(
                "{text}\n\n{}\n\n\x1b[0;31mKeyError\x1b[0m      Traceback (most recent call last)\nCell In[1], line 2\n----> 2 x\n\nKeyError: '{name}: x'\n\ny",
                CONNECTIONS[0]
            );
            is(python, &text, "", "KeyError", &format!("'{name}: x'\n\ny"));
        }
        let syntax = "hm\n  \x1b[96mCell\x1b[39m\x1b[96m \x1b[39m\x1b[32mIn[1]\x1b[39m\x1b[32m, line 1\x1b[39m\n\x1b[33m    x = (\x1b[39m\n         ^\n\x1b[91mSyntaxError\x1b[39m\x1b[91m:\x1b[39m incomplete input\n";
        is(python, syntax, "hm\n", "SyntaxError", "incomplete input");
        let bare = "KeyboardInterrupt     Traceback (most recent call last)\nCell In[1], line 1\n\nKeyboardInterrupt: \n";
        is(python, bare, "", "KeyboardInterrupt", "");
        for text in [
            "--------------------\n",
            "\x1b[31mKeyError\x1b[39m  Traceback (most recent call last)\nCell In[1], line 1\n",
            "Cell In[1], line 1\n",
        ] {
            assert_eq!(python.find(text), None, "{text}");
        }
    }

    #[test]
    fn causes_belong_to_an_error() {
        for connection in CONNECTIONS {
            let text = format!(
                "x\n{PLAIN}\n{connection}\n\n{}",
                PLAIN.replace("ZeroDivision", "Key")
            );
            is(Family::Python, &text, "x\n", "KeyError", "division by zero");
        }
        let shown = format!("{PLAIN}{}", PLAIN.replace("ZeroDivision", "Key"));
        is(
            Family::Python,
            &shown,
            PLAIN,
            "KeyError",
            "division by zero",
        );
    }

    #[test]
    fn other_text_is_no_error_of_python() {
        for text in [
            "",
            "\n",
            "warning: x\n",
            "Traceback (most recent call last):\n",
            "Traceback (most recent call last):\n  File \"x\"\n",
            "Traceback (most recent call last):\n  File \"x\"\n3 lines: follow\n",
        ] {
            assert_eq!(Family::Python.find(text), None, "{text}");
        }
    }

    #[test]
    fn errors_of_other_languages() {
        is(
            Family::R,
            "hm\nError in f() : bad\n",
            "hm\n",
            "Error",
            "bad",
        );
        is(
            Family::R,
            "Error in f(a::b) : \n  bad\nCalls: x\n",
            "",
            "Error",
            "bad\nCalls: x",
        );
        is(Family::R, "Error: top: x\n", "", "Error", "top: x");
        is(
            Family::Node,
            "hm\nTypeError: x: y\n    at f ([eval]:1:20)\n    at [eval]:2:1\n",
            "hm\n",
            "TypeError",
            "x: y",
        );
        is(
            Family::Node,
            "[eval]:1\nx = (\n\nSyntaxError: Unexpected end of input\n",
            "",
            "SyntaxError",
            "Unexpected end of input",
        );
        is(Family::Node, "Uncaught 3\n", "", "Uncaught", "3");
        is(
            Family::Ruby,
            "-e:1:in `<main>': bad (ArgumentError)\n",
            "",
            "ArgumentError",
            "bad",
        );
        is(
            Family::Ruby,
            "-e:1:in 'f': a: b (A::B)\n\tfrom -e:2\n",
            "",
            "A::B",
            "a: b",
        );
    }

    #[test]
    fn exit_codes_of_what_has_no_traceback() {
        let of = |family: Family, text: &str| {
            let found = family.of_exit(text, 3);
            (found.start, found.failure.name, found.failure.value)
        };
        assert_eq!(
            of(Family::Python, "hm\n"),
            (3, "SystemExit".to_owned(), "3".to_owned())
        );
        assert_eq!(
            of(Family::Other, ""),
            (0, "ExitCode".to_owned(), "3".to_owned())
        );
        let missing = "bash: line 1: x: command not found";
        let value = format!("3: {missing}");
        assert_eq!(
            of(Family::Other, &format!("{missing}\n")),
            (0, "ExitCode".to_owned(), value)
        );
        assert_eq!(
            of(Family::R, "odd\n"),
            (0, "Error".to_owned(), "odd".to_owned())
        );
    }

    #[test]
    fn no_text_makes_it_panic() {
        let pieces = [
            "é",
            ":",
            "\n",
            HEADER,
            "  File \"",
            "\", line ",
            "Error",
            " : ",
            "Error in ",
            "Uncaught ",
            "[eval]:",
            " (",
            ")",
            "': ",
            CONNECTIONS[0],
            "    at ",
            "\x1b[0;31m",
            "\x1b[",
            "KeyError",
            " Traceback (most recent call last)",
            "SyntaxError: ",
            "Cell In[1], line 1",
        ];
        let mut number = 1_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..8 {
                number = number
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                text += pieces[usize::try_from(number >> 32).unwrap() % pieces.len()];
            }
            for family in [
                Family::Python,
                Family::R,
                Family::Node,
                Family::Ruby,
                Family::Other,
            ] {
                if let Some(found) = family.find(&text) {
                    assert!(found.start <= text.len());
                }
                let _ = family.of_exit(&text, 1);
            }
        }
    }
}

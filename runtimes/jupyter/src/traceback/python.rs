//! Tracebacks of Python and IPython.

use std::borrow::Cow;

use super::found::{Found, found, places};

pub(super) const HEADER: &str = "Traceback (most recent call last):";
/// What is before it, of a group of exceptions.
const GROUP: &str = "  + Exception Group ";
pub(super) const CONNECTIONS: [&str; 2] = [
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
];

/// Whether it is the first line of a syntax error, which has no header.
pub(super) fn is_of_syntax(line: &str) -> bool {
    line.strip_prefix("  File \"")
        .is_some_and(|rest| rest.contains("\", line "))
}

/// One traceback of Python, by the numbers of its lines.
#[derive(Clone, Copy)]
struct Block {
    first: usize,
    /// Where the message begins.
    message: usize,
    /// The line after it, if it is a group of exceptions, which shows where it ends.
    end: Option<usize>,
}

/// All tracebacks, in their order. Those that led to others are their own.
fn blocks(all: &[(usize, &str)]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut at = 0;
    while let Some((_, line)) = all.get(at) {
        let body = match (is_header(line), is_of_syntax(line)) {
            (true, _) => at + 1,
            (false, true) => at,
            (false, false) => {
                at += 1;
                continue;
            }
        };
        let is_group = is_header_of_group(line);
        let is_message = |line: &str| match is_group {
            true => of_group(line).is_some_and(|line| !line.starts_with([' ', '\t'])),
            false => !line.is_empty() && !line.starts_with([' ', '\t']),
        };
        let Some(message) = (body..all.len()).find(|&at| is_message(all[at].1)) else {
            break;
        };
        let next = (message + 1..all.len()).find(|&at| is_header(all[at].1));
        let mut inner = message + 1..next.unwrap_or(all.len());
        let last = inner.rfind(|&at| is_end_of_group(all[at].1));
        let end = last.filter(|_| is_group).map(|last| last + 1);
        blocks.push(Block {
            first: at,
            message,
            end,
        });
        at = end.unwrap_or(message + 1);
    }
    blocks
}

pub(super) fn python(text: &str) -> Option<Found> {
    let all: Vec<_> = places(text).collect();
    let place = |line: usize| all.get(line).map_or(text.len(), |(place, _)| *place);
    let blocks = blocks(&all);
    // What follows the error.
    let mut end = all.len();
    let mut last = blocks.len();
    loop {
        last = last.checked_sub(1)?;
        let block = blocks[last];
        // Those that led to it.
        let mut first = block.first;
        while let Some(earlier) = last.checked_sub(1)
            && let Some(before) = (0..first).rev().find(|&at| !all[at].1.is_empty())
            && CONNECTIONS.contains(&all[before].1)
        {
            last = earlier;
            first = blocks[earlier].first;
        }
        if let Some(report) = report_before(&all[..first]) {
            // Of something else that went wrong meanwhile.
            end = report;
            continue;
        }
        let remark = (block.message + 1..end).find(|&at| is_remark(all[at].1));
        let end = block.end.or(remark).unwrap_or(end);
        let (start, end) = (place(first), place(end));
        let message = &text[place(block.message)..end];
        let message = match block.end {
            Some(_) => message_of_group(message).into(),
            None => Cow::from(message),
        };
        let (name, value) = match message.split_once(':') {
            Some((name, value)) if is_name(name) => {
                (name, value.strip_prefix(' ').unwrap_or(value))
            }
            _ => {
                let line = message.lines().next().unwrap_or_default().trim_end();
                (line, message[line.len()..].trim_start_matches(['\r', '\n']))
            }
        };
        if !is_name(name) {
            return None;
        }
        let name = name.rsplit('.').next().unwrap_or(name);
        let mut found = found(&text[..end], start, name, value);
        found.end = end;
        return Some(found);
    }
}

/// The message of a group of exceptions, without the lines that are drawn around it, and without its exceptions.
fn message_of_group(text: &str) -> String {
    let lines = text.lines().take_while(|line| !line.starts_with("  +-"));
    let lines: Vec<_> = lines.map(|line| of_group(line).unwrap_or(line)).collect();
    lines.join("\n")
}

/// What a group of exceptions says in a line of its own.
fn of_group(line: &str) -> Option<&str> {
    line.strip_prefix("  | ")
}

/// The line below the last exception of a group.
fn is_end_of_group(line: &str) -> bool {
    let rule = line.trim_start().strip_prefix('+');
    line.starts_with("  ") && rule.is_some_and(is_rule)
}

/// Where a report begins, of which the next line would be a traceback: that something went wrong that does not end the program.
fn report_before(all: &[(usize, &str)]) -> Option<usize> {
    // What asyncio says of it, such as `future: <Task …>`.
    let is_about = |line: &str| {
        line.split_once(": ").is_some_and(|(word, _)| {
            !word.is_empty() && word.bytes().all(|it| it.is_ascii_lowercase() || it == b'_')
        })
    };
    let head = all.iter().rposition(|(_, line)| !is_about(line))?;
    is_report(all[head].1).then_some(head)
}

fn is_report(line: &str) -> bool {
    [
        "Exception ignored ",
        "Exception in thread ",
        "Error in atexit.",
        "--- Logging error ---",
    ]
    .iter()
    .any(|head| line.starts_with(head))
        || line.ends_with(" exception was never retrieved")
        || line.contains("Exception in callback ")
        || line.contains("nhandled exception ")
}

/// Whether something else begins with a line after an error: a report, or a warning as in `sys:1: RuntimeWarning: …`.
fn is_remark(line: &str) -> bool {
    let is_warning = || {
        let mut parts = line.splitn(3, ": ");
        let place = parts.next().and_then(|place| place.rsplit_once(':'));
        let is_place = place.is_some_and(|(_, number)| number.parse::<u32>().is_ok());
        let kind = parts.next().unwrap_or_default();
        is_place && kind.ends_with("Warning") && is_name(kind)
    };
    is_report(line) || is_warning()
}

/// As IPython writes it, which runs the cells of Backend.AI.
pub(super) fn ipython(text: &str) -> Option<Found> {
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
pub(super) fn name_in_header(line: &str) -> Option<&str> {
    let name = line.strip_suffix("Traceback (most recent call last)")?;
    let name = name.trim_end();
    is_name(name).then_some(name)
}

/// The line above.
pub(super) fn is_rule(line: &str) -> bool {
    line.len() >= 20 && line.bytes().all(|byte| byte == b'-')
}

/// As in `  Cell In[4], line 1`.
pub(super) fn is_place(line: &str) -> bool {
    let line = line.trim_start();
    (line.starts_with("Cell In[") || line.starts_with("File ")) && line.contains(", line ")
}

/// Whether it is the message of an error of syntax.
fn is_of_language(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default();
    matches!(name, "SyntaxError" | "IndentationError" | "TabError")
}

/// Without the sequences that give colors to it.
pub(super) fn uncolored(text: &str) -> Cow<'_, str> {
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

/// Of a traceback, or one of a group of exceptions.
fn is_header(line: &str) -> bool {
    line == HEADER || is_header_of_group(line)
}

/// Where a traceback begins behind what was written before without an end of its line, in bytes.
pub(super) fn begins_within(text: &str) -> Option<usize> {
    let places = text.match_indices(HEADER).filter_map(|(at, _)| {
        let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let before = &text[line..at];
        let before = before.strip_suffix(GROUP).unwrap_or(before);
        // One within a group of exceptions is a part of it.
        let is_part = before.chars().all(|c| matches!(c, ' ' | '|' | '+' | '-'));
        (!is_part).then_some(line + before.len())
    });
    places.last()
}

pub(super) fn is_header_of_group(line: &str) -> bool {
    line == "  + Exception Group Traceback (most recent call last):"
}

/// Whether it may be the name of an exception, with its modules.
pub(super) fn is_name(text: &str) -> bool {
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

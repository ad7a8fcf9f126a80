//! Errors of R, Node.js, Ruby and Lua.

use super::found::{Found, found, places};
use super::python::is_name;

/// Whether a line begins an error of R.
pub(super) fn begins_r(line: &str) -> bool {
    line.starts_with("Error in ") || line.starts_with("Error: ")
}

pub(super) fn r(text: &str) -> Option<Found> {
    let (start, line) = places(text).rfind(|(_, line)| begins_r(line))?;
    let rest = &text[start..];
    let rest = rest.trim_end().trim_end_matches("Execution halted");
    let value = match line.starts_with("Error: ") {
        true => rest.strip_prefix("Error: "),
        // The call may hold colons, between which there are no spaces.
        false => rest.split_once(" : ").map(|(_, value)| value),
    };
    let value = value.unwrap_or(rest);
    // The calls that led to it come last.
    let value = value.split("\nTraceback:\n").next().unwrap_or(value);
    let value: Vec<&str> = value.trim().lines().map(str::trim_end).collect();
    Some(found(text, start, "Error", &value.join("\n")))
}

/// The name and the message of the first line of an error of Node.js.
pub(super) fn head_of_node(line: &str) -> Option<(&str, &str)> {
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

pub(super) fn node(text: &str) -> Option<Found> {
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
    if let Some(found) = thrown(text, &all) {
        return Some(found);
    }
    let (start, line) = places(text).rfind(|(_, line)| line.starts_with("Uncaught "))?;
    let value = line.trim_start_matches("Uncaught ");
    Some(found(text, start, "Uncaught", value))
}

/// Whether it may be the first line of an error of Node.js of a class with any name.
pub(super) fn may_be_thrown(line: &str) -> bool {
    let name = line.split_once(": ").map(|(name, _)| name);
    name.is_some_and(|name| name.starts_with(char::is_uppercase) && is_name(name))
}

/// An error of Node.js of a class with any name: what comes before the places where it happened, up to an empty line or the mark
/// below the code.
fn thrown(text: &str, all: &[(usize, &str)]) -> Option<Found> {
    let is_frame = |at: usize| all[at].1.starts_with("    at ");
    let is_apart = |at: usize| all[at].1.chars().all(|c| c == '^' || c == ' ');
    let last = (0..all.len()).rfind(|&at| is_frame(at))?;
    let first = (0..=last).rev().take_while(|&at| is_frame(at)).last()?;
    let head = (0..first).rev().take_while(|&at| !is_apart(at)).last()?;
    let line = all[head].1;
    let line = line.strip_prefix("Uncaught ").unwrap_or(line);
    let (name, _) = line.split_once(": ").unwrap_or((line, ""));
    let name = name.split(" [").next().unwrap_or(name);
    let message = text[all[head].0..all[first].0].trim_end();
    let (name, value) = match is_name(name) {
        true => (
            name,
            message.split_once(": ").map_or("", |(_, value)| value),
        ),
        false => ("Error", message),
    };
    Some(found(text, all[head].0, name, value))
}

/// The name and the message of the first line of an error of Ruby: `file:1:in 'f': message (Name)`.
fn head_of_ruby(line: &str) -> Option<(&str, &str)> {
    if line.starts_with(['\t', ' ']) {
        return None;
    }
    if let Some((_, value)) = head_of_ruby_syntax(line) {
        return Some(("SyntaxError", value));
    }
    let named = line.strip_suffix(')').and_then(|it| it.rsplit_once(" ("));
    let (message, name) = match named {
        Some((message, name)) if is_name(&name.replace("::", ".")) => (message, name),
        _ if line.ends_with("': unhandled exception") => (line, "RuntimeError"),
        _ => return None,
    };
    let in_method = message.split_once(":in ");
    let value = in_method.and_then(|(_, rest)| rest.split_once("': "));
    let (_, value) = value.or_else(|| message.split_once(": "))?;
    Some((name, value))
}

/// The place and the message of what its compiler says, as `file:1: syntax error, ...`.
fn head_of_ruby_syntax(line: &str) -> Option<(&str, &str)> {
    let at = line
        .find(": syntax error")
        .filter(|_| !line.ends_with(')'))?;
    let (_, number) = line[..at].rsplit_once(':')?;
    let is_place = !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit());
    is_place.then(|| (&line[..at], &line[at + 2..]))
}

pub(super) fn ruby(text: &str) -> Option<Found> {
    let all: Vec<_> = places(text).collect();
    let is_head = |at: &usize| head_of_ruby(all[*at].1).is_some();
    let mut head = (0..all.len()).rfind(is_head)?;
    // Its cause comes after it, and what else the compiler has found.
    while let Some(before) = (0..head).rfind(is_head) {
        let is_cause = all[head - 1].1.starts_with("\tfrom ");
        let is_more = head_of_ruby_syntax(all[head].1).is_some()
            && head_of_ruby(all[before].1).is_some_and(|(name, _)| name == "SyntaxError");
        if !is_cause && !is_more {
            break;
        }
        head = before;
    }
    let (start, line) = all[head];
    let (name, first) = head_of_ruby(line)?;
    let is_message = |line: &&str| !line.is_empty() && !line.starts_with('\t');
    let rest = all[head + 1..].iter().map(|it| it.1).take_while(is_message);
    let mut value = first.to_owned();
    // The compiler shows the code after its message.
    for line in rest.filter(|_| name != "SyntaxError") {
        value.push('\n');
        value.push_str(line);
    }
    Some(found(text, start, name, &value))
}

/// `lua: message`, and the stack.
pub(super) fn lua(text: &str) -> Option<Found> {
    let stack = text.rfind("\nstack traceback:\n")?;
    let is_head = |line: &str| {
        let program = line.split_once(": ").map(|(program, _)| program);
        program.is_some_and(|it| it.starts_with("lua") && !it.contains(' '))
    };
    let (start, line) = places(&text[..stack]).rfind(|(_, line)| is_head(line))?;
    let program = line.find(": ")? + 2;
    Some(found(text, start, "Error", &text[start + program..stack]))
}

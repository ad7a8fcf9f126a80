//! Errors of R, Node.js and Ruby.

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

/// `file:1:in 'f': message (Name)`, and frames.
pub(super) fn ruby(text: &str) -> Option<Found> {
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

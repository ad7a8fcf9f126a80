//! What ran in a kernel, as `history_request` asks for it.

use serde_json::{Value, json};

/// The most cells that are kept.
const MOST: usize = 10_000;
/// The number of the only session there is.
const SESSION: u64 = 1;

/// The cells of one kernel.
#[derive(Clone, Debug, Default)]
pub struct History {
    cells: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    line: u64,
    code: String,
    value: Option<String>,
}

impl History {
    /// Notes a cell with its number.
    pub fn add(&mut self, line: u64, code: &str) {
        if self.cells.len() == MOST {
            self.cells.remove(0);
        }
        self.cells.push(Entry {
            line,
            code: code.to_owned(),
            value: None,
        });
    }

    /// Notes the value of the last cell, as text.
    pub fn set_value(&mut self, text: &str) {
        if let Some(last) = self.cells.last_mut() {
            last.value = Some(text.to_owned());
        }
    }

    /// The `history` of a reply to a request with this content.
    #[must_use]
    pub fn reply(&self, content: &Value) -> Vec<Value> {
        let number = |name: &str| content[name].as_i64();
        let most = number("n").and_then(|n| usize::try_from(n).ok());
        let chosen: Vec<&Entry> = match content["hist_access_type"].as_str() {
            Some("tail") => last(self.cells.iter().collect(), most),
            Some("search") => {
                let pattern = content["pattern"].as_str().unwrap_or("*");
                let mut found: Vec<_> = self.cells.iter().collect();
                found.retain(|entry| matches(pattern, &entry.code));
                if content["unique"].as_bool() == Some(true) {
                    let mut kept: Vec<&Entry> = Vec::new();
                    for entry in found.into_iter().rev() {
                        if !kept.iter().any(|other| other.code == entry.code) {
                            kept.push(entry);
                        }
                    }
                    kept.reverse();
                    found = kept;
                }
                last(found, most)
            }
            _ => {
                // Sessions of the past, which are not known, have other numbers; 0 and no number are this one.
                let is_this = matches!(number("session"), None | Some(0 | 1));
                let start = number("start").unwrap_or(0);
                let stop = number("stop").unwrap_or(i64::MAX);
                let is_in = |entry: &&Entry| {
                    let line = i64::try_from(entry.line).unwrap_or(i64::MAX);
                    is_this && line >= start && line < stop
                };
                self.cells.iter().filter(is_in).collect()
            }
        };
        let with_output = content["output"].as_bool() == Some(true);
        let entry = |entry: &Entry| match with_output {
            true => json!([SESSION, entry.line, [entry.code, entry.value]]),
            false => json!([SESSION, entry.line, entry.code]),
        };
        chosen.into_iter().map(entry).collect()
    }
}

fn last(mut entries: Vec<&Entry>, most: Option<usize>) -> Vec<&Entry> {
    let most = most.unwrap_or(entries.len());
    entries.split_off(entries.len().saturating_sub(most))
}

/// A part of a pattern.
enum Part {
    /// Any text, `*`.
    Text,
    /// Any character, `?`.
    Any,
    /// One character.
    One(char),
    /// One of these, from the first to the last of each, or none of them: `[a-z_]`, `[^0-9]`.
    Of(Vec<(char, char)>, bool),
}

impl Part {
    fn is(&self, c: char) -> bool {
        match self {
            Self::Text => false,
            Self::Any => true,
            Self::One(one) => *one == c,
            Self::Of(ranges, is_one) => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) == *is_one
            }
        }
    }

    fn of(pattern: &str) -> Vec<Self> {
        let all: Vec<char> = pattern.chars().collect();
        let (mut parts, mut at) = (Vec::new(), 0);
        while let Some(c) = all.get(at) {
            let class = if *c == '[' {
                class(&all[at + 1..])
            } else {
                None
            };
            at += 1;
            parts.push(match (c, class) {
                ('*', _) => Self::Text,
                ('?', _) => Self::Any,
                (_, Some((part, length))) => {
                    at += length;
                    part
                }
                // One that does not end is a bracket.
                (c, None) => Self::One(*c),
            });
        }
        parts
    }
}

/// What follows a `[`, and how many characters it has.
fn class(rest: &[char]) -> Option<(Part, usize)> {
    let is_one = !matches!(rest.first(), Some('^' | '!'));
    let start = usize::from(!is_one);
    // A bracket at the beginning is one of the characters.
    let end = start + 1 + rest.get(start + 1..)?.iter().position(|c| *c == ']')?;
    let (mut ranges, mut at) = (Vec::new(), start);
    while at < end {
        let is_range = at + 2 < end && rest[at + 1] == '-';
        let to = if is_range { at + 2 } else { at };
        ranges.push((rest[at], rest[to]));
        at = to + 1;
    }
    Some((Part::Of(ranges, is_one), end + 1))
}

/// Whether text is of this form, as in SQLite's `GLOB`, which others search with.
fn matches(pattern: &str, text: &str) -> bool {
    let pattern = Part::of(pattern);
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut in_text) = (0, 0);
    // Where the last `*` is, and what it stands for so far.
    let mut star = None;
    while in_text < text.len() {
        match pattern.get(at) {
            Some(Part::Text) => {
                star = Some((at, in_text));
                at += 1;
            }
            Some(part) if part.is(text[in_text]) => {
                at += 1;
                in_text += 1;
            }
            _ => match &mut star {
                Some((star_at, until)) => {
                    *until += 1;
                    (at, in_text) = (*star_at + 1, *until);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|it| matches!(it, Part::Text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> History {
        let mut history = History::default();
        for (line, code) in [(1, "a = 1"), (2, "a"), (3, "a = 1")] {
            history.add(line, code);
        }
        history
    }

    #[test]
    fn the_last_cells() {
        let mut history = three();
        history.set_value("1");
        let reply = history.reply(&json!({"hist_access_type": "tail", "n": 2}));
        assert_eq!(reply, [json!([1, 2, "a"]), json!([1, 3, "a = 1"])]);
        let reply = history.reply(&json!({"hist_access_type": "tail", "n": 1, "output": true}));
        assert_eq!(reply, [json!([1, 3, ["a = 1", "1"]])]);
        assert_eq!(history.reply(&json!({"hist_access_type": "tail"})).len(), 3);
    }

    #[test]
    fn a_range_of_this_session() {
        let range = |session, start, stop| {
            let content = json!({"hist_access_type": "range", "session": session, "start": start, "stop": stop});
            three().reply(&content).len()
        };
        assert_eq!(range(0, 1, 2), 1);
        assert_eq!(range(1, 2, 4), 2);
        assert_eq!(range(-1, 1, 4), 0);
    }

    #[test]
    fn a_search() {
        let search = |content: Value| {
            let mut content = content;
            content["hist_access_type"] = json!("search");
            three().reply(&content)
        };
        assert_eq!(search(json!({"pattern": "a*1"})).len(), 2);
        let unique = search(json!({"pattern": "a?=*", "unique": true}));
        assert_eq!(unique, [json!([1, 3, "a = 1"])]);
        assert_eq!(search(json!({"pattern": "*", "n": 1})).len(), 1);
        assert_eq!(search(json!({"pattern": "b"})).len(), 0);
    }

    #[test]
    fn patterns_may_have_classes() {
        for (pattern, text, is_found) in [
            ("[abc] = [0-9]", "a = 1", true),
            ("[^abc] = *", "a = 1", false),
            ("[!b-z] = *", "a = 1", true),
            ("x[[]?[]]", "x[1]", true),
            ("*[]]", "x[1]", true),
            ("x[1", "x[1", true),
            ("x[", "x[", true),
            ("[a-]", "-", true),
            ("[a-]", "b", false),
            ("*[é-漢]*", "print('é')", true),
            ("[", "", false),
        ] {
            assert_eq!(matches(pattern, text), is_found, "{pattern}");
        }
    }
}

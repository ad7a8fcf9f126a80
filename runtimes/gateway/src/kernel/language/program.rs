//! Languages in which every query is a separate program.

use std::borrow::Cow;

use serde::Deserialize;

/// How a query becomes a program. Only files persist between queries. The commands may hold
/// placeholders such as `{program}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    /// The name of the source file.
    pub(crate) source: String,
    /// Completes a query that is only a part of a program.
    pub(crate) wrap: Option<Wrap>,
    /// Compiles it, beside the source. Empty: nothing to do.
    #[serde(default)]
    pub(crate) build: Vec<String>,
    /// Runs it, in the work directory.
    pub(crate) run: Vec<String>,
}

/// The text around a query that is not a whole program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wrap {
    /// Words that mark a whole program.
    unless: String,
    before: String,
    after: String,
}

impl Program {
    /// The content of the source file. Lines keep their numbers if `before` has none.
    pub(crate) fn source_text<'a>(&self, code: &'a str) -> Cow<'a, str> {
        match &self.wrap {
            Some(wrap) if !has_words(code, &wrap.unless) => {
                format!("{}{code}{}", wrap.before, wrap.after).into()
            }
            _ => code.into(),
        }
    }
}

/// Whether these words occur in sequence, separated by any white space.
fn has_words(code: &str, words: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut words = words.split_whitespace();
    let Some(first) = words.next() else {
        return true;
    };
    code.match_indices(first).any(|(at, _)| {
        let starts = !code[..at].ends_with(is_part);
        let rest = words
            .clone()
            .try_fold(&code[at + first.len()..], |rest, word| {
                let after = rest.trim_start();
                (after.len() < rest.len()).then_some(())?;
                after.strip_prefix(word)
            });
        starts && rest.is_some_and(|rest| !rest.starts_with(is_part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_wrapped_and_whole_programs_are_not() {
        let program = Program {
            source: String::new(),
            wrap: Some(Wrap {
                unless: "fn main".to_owned(),
                before: "fn main() { ".to_owned(),
                after: "\n}\n".to_owned(),
            }),
            build: Vec::new(),
            run: Vec::new(),
        };
        for whole in [
            "fn main() {}",
            "pub  fn\nmain () {}",
            "struct A; fn main(){}",
        ] {
            assert_eq!(program.source_text(whole), whole);
        }
        for part in [
            "println!(\"fn\");",
            "fn mainly() {}",
            "fnmain()",
            "xfn main()",
            "fn other() {} other();",
        ] {
            assert_eq!(
                program.source_text(part),
                format!("fn main() {{ {part}\n}}\n")
            );
        }
    }
}

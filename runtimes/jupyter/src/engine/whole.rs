//! Whether code is whole: what its text says, and what the language's own compiler says where that is near.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Value, json};

use super::inspect::Help;
use super::link::Replies;
use super::question::Way;
use super::{Completeness, Worker, aside};
use crate::traceback::Family;

/// Says what the compiler says. What is awaited is as in cells.
const PYTHON: &str = r#"
import ast, codeop, warnings
compiler = codeop.CommandCompiler()
compiler.compiler.flags |= getattr(ast, "PyCF_ALLOW_TOP_LEVEL_AWAIT", 0)
try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        said = "incomplete" if compiler(code, symbol="exec") is None else "complete"
except (SyntaxError, OverflowError, ValueError):
    said = "invalid"
answer(said)
"#;

impl<R: Replies> Worker<R> {
    pub(super) async fn is_complete(&mut self, code: &str) -> Value {
        match self.completeness(code).await {
            Completeness::Complete => json!({"status": "complete"}),
            Completeness::Incomplete => json!({"status": "incomplete", "indent": indent(code)}),
            Completeness::Invalid => json!({"status": "invalid"}),
            Completeness::Unknown => json!({"status": "unknown"}),
        }
    }

    async fn completeness(&mut self, code: &str) -> Completeness {
        let family = self.language.family();
        let typed = without_margin(family, code);
        let code = &*typed;
        let judged = (self.judge)(&self.language.name, code);
        if Help::of(family, code).is_some() {
            return Completeness::Complete;
        }
        let plain = without_magics(family, code);
        let code = &plain;
        // Whoever types waits for this: elsewhere, or before the interpreter is there, that takes too long.
        if !self.remote.is_ready_in(Duration::ZERO).await || !self.remote.is_ours() {
            return judged;
        }
        let way = self.way();
        let question = question(family, &way, code);
        let Some(question) = question.or_else(|| aside::wholeness(&self.language, &way, code))
        else {
            return judged;
        };
        match self.look_up(&question).await.as_deref() {
            Some("invalid") => Completeness::Invalid,
            Some("incomplete") => Completeness::Incomplete,
            // It is wrong as it is, and its brackets are not open.
            Some("unknown") if judged == Completeness::Complete => Completeness::Invalid,
            // The compiler does not ask for an empty line after a block, as people who type do.
            _ => judged,
        }
    }
}

/// A question for what the language's compiler says of code.
fn question(family: Family, way: &Way, code: &str) -> Option<String> {
    let text = |text: &str| serde_json::to_string(text).ok();
    match family {
        Family::Python => way.python(&format!("code = {}\n{PYTHON}", text(code)?)),
        Family::R if !code.contains('\0') => Some(way.r(&format!(
            "base::tryCatch({{ base::parse(text = {}, keep.source = FALSE); base::cat('complete') }}, error = function(e) base::cat(if (base::grepl('unexpected end of input|INCOMPLETE_STRING', conditionMessage(e))) 'incomplete' else 'invalid'))",
            text(code)?
        ))),
        _ => None,
    }
}

/// Code of Python without the prompts with which it was copied, and without the indent that all its lines have, as cells run.
fn without_margin(family: Family, code: &str) -> Cow<'_, str> {
    let start = code.trim_start();
    let before = &code[..code.len() - start.len()];
    let is_indented = before.rsplit('\n').next() != Some("");
    let has_prompts = start.starts_with(">>>");
    if family != Family::Python || start.is_empty() || !(is_indented || has_prompts) {
        return code.into();
    }
    let line = |line: &'_ str| match has_prompts {
        true => {
            let bare = line.trim_start_matches([' ', '\t']);
            let rest = bare
                .strip_prefix(">>>")
                .or_else(|| bare.strip_prefix("..."));
            let rest = rest.map(|it| it.strip_prefix([' ', '\t']).unwrap_or(it));
            rest.unwrap_or(line).to_owned()
        }
        false => line.to_owned(),
    };
    let lines: Vec<String> = code.split('\n').map(line).collect();
    let margins = lines.iter().filter(|it| !it.trim().is_empty());
    let margins = margins.map(|it| &it[..it.len() - it.trim_start_matches([' ', '\t']).len()]);
    let common = |one: &'_ str, other: &'_ str| {
        let same = one.bytes().zip(other.bytes());
        same.take_while(|(one, other)| one == other).count()
    };
    let mut margins = margins.map(str::to_owned);
    let first = margins.next().unwrap_or_default();
    let margin = margins.fold(first.len(), |margin, it| margin.min(common(&first, &it)));
    let lines = lines.iter().map(|it| it.get(margin..).unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n").into()
}

/// Code of Python without the lines that are passed over.
fn without_magics(family: Family, code: &str) -> Cow<'_, str> {
    let is_magic = |line: &str| line.starts_with("%matplotlib") || line.starts_with("%config");
    match family {
        Family::Python if code.lines().any(is_magic) => {
            let plain = |line| if is_magic(line) { "\n" } else { line };
            code.split_inclusive('\n').map(plain).collect()
        }
        _ => code.into(),
    }
}

/// The white space with which the next line of unfinished code begins.
fn indent(code: &str) -> String {
    let last = code
        .trim_end_matches('\n')
        .rsplit('\n')
        .next()
        .unwrap_or_default();
    let is_space = |c: &char| matches!(c, ' ' | '\t');
    let mut indent: String = last.chars().take_while(is_space).collect();
    if last.trim_end().ends_with([':', '{', '(', '[']) {
        indent.push_str("    ");
    }
    indent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_passed_over_are_no_errors() {
        let code = "%matplotlib inline\nx = 1\n%config a\n";
        assert_eq!(without_magics(Family::Python, code), "\nx = 1\n\n");
        assert_eq!(without_magics(Family::R, code), code);
    }

    #[test]
    fn code_is_whole_without_its_margin() {
        for (code, expected) in [
            ("x = 1\n  y", "x = 1\n  y"),
            ("  x = 1\n\n  if x:\n    y", "x = 1\n\nif x:\n  y"),
            ("  x = 1\n y", " x = 1\ny"),
            ("\t x\n\ty", " x\ny"),
            (">>> x = 1\n... y\n2", "x = 1\ny\n2"),
            ("  >>> if x:\n  ...     y\n  ...", "if x:\n    y\n"),
            ("  ", "  "),
        ] {
            assert_eq!(without_margin(Family::Python, code), expected, "{code}");
        }
        assert_eq!(without_margin(Family::R, "  x"), "  x");
    }

    #[test]
    fn the_next_line_is_indented_as_code_is() {
        assert_eq!(indent("def f():"), "    ");
        assert_eq!(indent("if x:\n    y = 1\n"), "    ");
        assert_eq!(indent("x = 'a"), "");
    }
}

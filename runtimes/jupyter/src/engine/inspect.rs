//! Help on what stands at the cursor: code that looks it up in the kernel, where that can be done without running anything of the
//! user's.

use serde_json::json;

use super::link::Replies;
use super::question::Way;
use super::{Worker, aside};
use crate::cell::text;
use crate::completion::Cursor;
use crate::message::Request;
use crate::traceback::Family;

/// Says what is known of a name.
const PYTHON: &str = include_str!("inspect.py");
/// Says which names match a pattern.
const MATCHING: &str = include_str!("matching.py");
/// What is said where help is wanted on nothing.
const ABOUT: &str = "Cells are plain Python, which Sorna runs.

name?      help on a name, as all of a cell; so does ?name
name??     its source, too
*name*?    the names that match; os.*path*? those in a module
Tab        completes names, attributes, keys, arguments and files
Shift-Tab  shows help on the name at the cursor

Magics and commands of the shell (%time, !ls) are of IPython, and not there.
";

impl<R: Replies> Worker<R> {
    pub(super) async fn inspect(&mut self, request: &Request) {
        let code = request.text("code").to_owned();
        let name = Cursor::at(&code, request.position()).name();
        let is_detailed = request.content["detail_level"].as_u64() == Some(1);
        // Else it is not known what its gateway does.
        tokio::select! {
            _ = self.remote.kernel() => {}
            _ = self.interrupts.recv() => {}
        }
        let way = self.way();
        let lookup = lookup(self.language.family(), &way, &name, is_detailed).or_else(|| {
            let is_asked = is_plain(&name) && self.remote.is_ours();
            aside::help(&self.language, &way, &name, is_detailed).filter(|_| is_asked)
        });
        let found = match lookup {
            Some(lookup) => self.look_up(&lookup).await,
            None => None,
        };
        let content = match found {
            Some(found) => {
                json!({"status": "ok", "found": true, "data": text(&found), "metadata": {}})
            }
            None => json!({"status": "ok", "found": false, "data": {}, "metadata": {}}),
        };
        self.reply(request, "inspect_reply", content).await;
    }

    /// What is known of a name, as a cell asks for it.
    pub(super) async fn help(&mut self, help: &Help<'_>) -> Option<String> {
        let family = self.language.family();
        if help.name.is_empty() {
            return Some(ABOUT.to_owned());
        }
        // Else it is not known what its gateway does.
        self.remote.kernel().await.ok()?;
        let way = self.way();
        if help.is_pattern() {
            let question = format!("pattern = '{}'\n{MATCHING}", help.name);
            return self.look_up(&way.python(&question)?).await;
        }
        if family == Family::R
            && let Some(page) = self.look_up(&way.r(&page_of_r(help.name))).await
        {
            return Some(page);
        }
        let lookup = lookup(family, &way, help.name, help.is_detailed)?;
        self.look_up(&lookup).await
    }
}

/// A cell that only asks for help, as in IPython: `NAME?`, `?NAME`, and with a second `?` for the source. In Python, also on the names
/// that match, `*NAME*?`, and on nothing, `?`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Help<'c> {
    pub(super) name: &'c str,
    is_detailed: bool,
}

impl<'c> Help<'c> {
    /// What this cell asks for, if it is such a one, in languages of which names are looked up.
    pub(super) fn of(family: Family, code: &'c str) -> Option<Self> {
        let code = code.trim();
        let name = code.trim_matches('?').trim();
        let marks = code.len() - code.trim_matches('?').len();
        let is_one_sided = code.starts_with('?') != code.ends_with('?');
        let is_asked = is_one_sided && marks <= 2 && is_looked_up(family, name);
        let help = Self {
            name,
            is_detailed: marks == 2,
        };
        let is_bare = code == "?" || is_one_sided && marks == 1 && help.is_pattern();
        (is_asked || family == Family::Python && is_bare).then_some(help)
    }

    /// Whether it is for all names that match.
    fn is_pattern(&self) -> bool {
        self.name.contains('*') && is_plain(&self.name.replace('*', ""))
    }
}

/// Code that prints the page of R's manual about a name, without the characters that underline for terminals.
fn page_of_r(name: &str) -> String {
    format!(
        "base::local({{ pages <- base::as.character(utils::help('{name}', help_type = 'text')); if (length(pages)) tools::Rd2txt(utils:::.getHelpFile(pages[1L]), package = base::basename(base::dirname(base::dirname(pages[1L]))), options = list(underline_titles = FALSE)) }})"
    )
}

/// Whether it is a name, with dots, that stands in code as it is.
fn is_plain(name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    !name.is_empty() && name.chars().all(is_part)
}

/// Whether it is a name of which is known what it stands for, in any kernel.
fn is_looked_up(family: Family, name: &str) -> bool {
    is_plain(name) && matches!(family, Family::Python | Family::R)
}

/// A question for what is known of a name.
fn lookup(family: Family, way: &Way, name: &str, is_detailed: bool) -> Option<String> {
    if !is_looked_up(family, name) {
        return None;
    }
    match family {
        Family::Python => {
            let detail = if is_detailed { "True" } else { "False" };
            way.python(&format!("name, detail = '{name}', {detail}\n{PYTHON}"))
        }
        Family::R => Some(way.r(&format!(
            "base::local({{ value <- base::get0('{name}', base::globalenv()); if (base::is.function(value)) {{ base::cat('{name} '); base::print(base::args(value)) }} else if (!base::is.null(value)) utils::str(value) }})"
        ))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_looked_up() {
        let lookup = |family, name| lookup(family, &Way::Message, name, false);
        assert!(lookup(Family::Python, "os.path").is_some());
        for name in ["", "a'b", "f()", "a;b"] {
            assert_eq!(lookup(Family::Python, name), None, "{name}");
        }
        assert_eq!(lookup(Family::Other, "x"), None);
    }

    #[test]
    fn cells_that_ask_for_help() {
        let of = |code| Help::of(Family::Python, code).map(|it| (it.name, it.is_detailed));
        for code in ["print?", "?print", " ? print\n"] {
            assert_eq!(of(code), Some(("print", false)), "{code}");
        }
        assert_eq!(of("os.path??"), Some(("os.path", true)));
        for (code, name) in [("?", ""), ("*int*?", "*int*"), ("?os.*path*", "os.*path*")] {
            assert_eq!(of(code), Some((name, false)), "{code}");
        }
        for code in [
            "print", "??", "a b?", "?a?", "f()?", "x = 1?", "a???", "*?", "*a*", "2 * 3?",
        ] {
            assert_eq!(of(code), None, "{code}");
        }
        assert_eq!(Help::of(Family::Node, "a?"), None);
        assert_eq!(Help::of(Family::R, "?"), None);
    }
}

//! Help on what stands at the cursor: code that looks it up in the kernel, where that can be done without running anything of the
//! user's but lookups of attributes.

use std::pin::pin;

use serde_json::json;

use super::link::Replies;
use super::{Worker, aside};
use crate::cell::text;
use crate::completion::Cursor;
use crate::message::Request;
use crate::traceback::Family;

/// Prints what is known of a name.
const PYTHON: &str = r#"
import builtins, inspect
first, *rest = name.split(".")
value = space[first] if first in space else getattr(builtins, first)
for part in rest:
    value = getattr(value, part)
try:
    about = [("Signature", name + str(inspect.signature(value)))]
except (TypeError, ValueError):
    about = []
if not callable(value):
    shown = repr(value)
    about.append(("Value", shown if len(shown) < 2000 else shown[:2000] + "..."))
about.append(("Type", type(value).__qualname__))
source = None
if detail:
    try:
        source = inspect.getsource(value)
    except (OSError, TypeError):
        pass
try:
    about.append(("File", inspect.getfile(value)))
except (OSError, TypeError):
    pass
print("\n".join("%s: %s" % pair for pair in about))
if source:
    print("Source:\n" + source)
elif callable(value) or inspect.ismodule(value):
    print("Docstring:\n" + (inspect.getdoc(value) or "<none>"))
"#;

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
        let lookup = lookup(self.language.family(), &name, is_detailed).or_else(|| {
            let is_asked = is_plain(&name) && self.remote.is_ours();
            aside::help(&self.language, &name, is_detailed).filter(|_| is_asked)
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
        if family == Family::R
            && let Some(page) = self.look_up(&page_of_r(help.name)).await
        {
            return Some(page);
        }
        let lookup = lookup(family, help.name, help.is_detailed)?;
        self.look_up(&lookup).await
    }

    /// What code prints that is not the user's, if it ends well.
    pub(super) async fn look_up(&mut self, code: &str) -> Option<String> {
        let kernel = self.remote.kernel().await.ok()?;
        let mut running = pin!(kernel.run(code));
        let result = loop {
            tokio::select! {
                result = &mut running => break result.ok()?,
                Some(()) = self.interrupts.recv() => {
                    let _ = self.remote.interrupt(&kernel).await;
                }
            }
        };
        self.remote.note(&result);
        let found = result.stdout().trim_end().to_owned();
        let is_found = result.exit_code().unwrap_or(0) == 0 && !found.is_empty();
        is_found.then_some(found)
    }
}

/// A cell that only asks for help, as in IPython: `NAME?`, `?NAME`, and with a second `?` for the source.
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
        let is_asked = is_one_sided && marks <= 2 && lookup(family, name, false).is_some();
        is_asked.then_some(Self {
            name,
            is_detailed: marks == 2,
        })
    }
}

/// Code that prints the page of R's manual about a name, without the characters that underline for terminals.
fn page_of_r(name: &str) -> String {
    format!(
        "local({{ pages <- utils::help('{name}', help_type = 'text'); if (length(pages)) {{ before <- tools::Rd2txt_options(underline_titles = FALSE); on.exit(tools::Rd2txt_options(before)); print(pages) }} }})"
    )
}

/// Whether it is a name, with dots, that stands in code as it is.
fn is_plain(name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    !name.is_empty() && name.chars().all(is_part)
}

/// Code that prints what is known of a name.
fn lookup(family: Family, name: &str, is_detailed: bool) -> Option<String> {
    if !is_plain(name) {
        return None;
    }
    match family {
        Family::Python => {
            let detail = if is_detailed { "True" } else { "False" };
            let code = serde_json::to_string(PYTHON).ok()?;
            Some(format!(
                "exec({code}, {{'space': globals(), 'name': '{name}', 'detail': {detail}}})"
            ))
        }
        Family::R => Some(format!(
            "local({{ value <- get0('{name}', globalenv()); if (is.function(value)) {{ cat('{name} '); print(args(value)) }} else if (!is.null(value)) utils::str(value) }})"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_looked_up() {
        assert!(lookup(Family::Python, "os.path", false).is_some());
        for name in ["", "a'b", "f()", "a;b"] {
            assert_eq!(lookup(Family::Python, name, false), None, "{name}");
        }
        assert_eq!(lookup(Family::Other, "x", false), None);
    }

    #[test]
    fn cells_that_ask_for_help() {
        let of = |code| Help::of(Family::Python, code).map(|it| (it.name, it.is_detailed));
        for code in ["print?", "?print", " ? print\n"] {
            assert_eq!(of(code), Some(("print", false)), "{code}");
        }
        assert_eq!(of("os.path??"), Some(("os.path", true)));
        for code in ["print", "?", "a b?", "?a?", "f()?", "x = 1?", "a???"] {
            assert_eq!(of(code), None, "{code}");
        }
        assert_eq!(Help::of(Family::Node, "a?"), None);
    }
}

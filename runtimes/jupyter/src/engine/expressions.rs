//! `user_expressions`: what a client wants to know of the variables after a cell, without a cell of its own.

use serde_json::{Map, Value, json};

use super::Worker;
use super::link::Replies;
use super::question::Way;
use crate::message::Request;
use crate::traceback::Family;

/// Says the values as the JSON of a reply. What the expressions themselves print is not shown, but what other threads do is.
const PYTHON: &str = r#"
import json, sys, threading, traceback
class Quiet:
    def __init__(self, stream):
        self.stream, self.own = stream, threading.get_ident()
    def __getattr__(self, name):
        return getattr(self.stream, name)
    def write(self, text):
        return len(text) if threading.get_ident() == self.own else self.stream.write(text)
def forms(value):
    found = {"text/plain": repr(value)}
    for kind in ("html", "markdown", "latex"):
        method = None if isinstance(value, type) else getattr(value, "_repr_%s_" % kind, None)
        text = method() if callable(method) else None
        if isinstance(text, str):
            found["text/" + kind] = text
    return found
replies = {}
before = sys.stdout, sys.stderr
quiet = sys.stdout, sys.stderr = [Quiet(stream) for stream in before]
for name, code in asked.items():
    try:
        replies[name] = {"status": "ok", "data": forms(eval(code, space)), "metadata": {}}
    except BaseException as error:
        lines = traceback.format_exception(type(error), error, error.__traceback__.tb_next)
        replies[name] = {
            "status": "error",
            "ename": type(error).__name__,
            "evalue": str(error),
            "traceback": "".join(lines).splitlines(),
        }
for name, own, stream in zip(("stdout", "stderr"), quiet, before):
    if getattr(sys, name) is own:
        setattr(sys, name, stream)
answer(json.dumps(replies))
"#;

impl<R: Replies> Worker<R> {
    /// The values of the expressions of a request, or why there are none.
    pub(super) async fn expressions(&mut self, request: &Request) -> Value {
        let asked = request.content["user_expressions"].as_object();
        let Some(asked) = asked.filter(|it| !it.is_empty()) else {
            return json!({});
        };
        let Some(question) = question(self.language.family(), &self.way(), asked) else {
            let reason = "expressions are evaluated in Python only";
            return failed(asked, "NotImplementedError", reason);
        };
        let found = self.look_up(&question).await;
        let found = found.and_then(|text| serde_json::from_str::<Map<String, Value>>(&text).ok());
        match found {
            Some(found) => found.into(),
            None => failed(asked, "RuntimeError", "the expressions were not evaluated"),
        }
    }
}

/// A question for the values of expressions.
fn question(family: Family, way: &Way, asked: &Map<String, Value>) -> Option<String> {
    if family != Family::Python {
        return None;
    }
    // Python reads the JSON, in which the names of constants differ from its own.
    let asked = serde_json::to_string(&serde_json::to_string(asked).ok()?).ok()?;
    way.python(&format!(
        "import json\nasked = json.loads({asked})\n{PYTHON}"
    ))
}

/// The same answer for all of them.
fn failed(asked: &Map<String, Value>, name: &str, value: &str) -> Value {
    let failed = json!({"status": "error", "ename": name, "evalue": value, "traceback": []});
    let all = asked.keys().map(|asked| (asked.clone(), failed.clone()));
    all.collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_expression_has_an_answer() {
        let asked = json!({"a": "1", "b": "x"});
        let asked = asked.as_object().expect("an object");
        let failed = failed(asked, "E", "why");
        assert_eq!(failed["b"]["ename"], "E");
        assert_eq!(failed["a"]["status"], "error");
        assert!(question(Family::Python, &Way::Message, asked).is_some());
        assert_eq!(question(Family::R, &Way::Message, asked), None);
    }
}

//! `user_expressions`: what a client wants to know of the variables after a cell, without a cell of its own.

use serde_json::{Map, Value, json};

use super::Worker;
use super::link::Replies;
use crate::message::Request;
use crate::traceback::Family;

/// Prints the values as the JSON of a reply. What the expressions themselves print is not shown.
const PYTHON: &str = r#"
import contextlib, io, json, sys, traceback
def forms(value):
    found = {"text/plain": repr(value)}
    for kind in ("html", "markdown", "latex"):
        method = None if isinstance(value, type) else getattr(value, "_repr_%s_" % kind, None)
        text = method() if callable(method) else None
        if isinstance(text, str):
            found["text/" + kind] = text
    return found
replies = {}
for name, code in asked.items():
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            replies[name] = {"status": "ok", "data": forms(eval(code, space)), "metadata": {}}
    except BaseException as error:
        lines = traceback.format_exception(type(error), error, error.__traceback__.tb_next)
        replies[name] = {
            "status": "error",
            "ename": type(error).__name__,
            "evalue": str(error),
            "traceback": "".join(lines).splitlines(),
        }
print(json.dumps(replies))
"#;

impl<R: Replies> Worker<R> {
    /// The values of the expressions of a request, or why there are none.
    pub(super) async fn expressions(&mut self, request: &Request) -> Value {
        let asked = request.content["user_expressions"].as_object();
        let Some(asked) = asked.filter(|it| !it.is_empty()) else {
            return json!({});
        };
        let Some(question) = question(self.language.family(), asked) else {
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

/// Code that prints the values of expressions.
fn question(family: Family, asked: &Map<String, Value>) -> Option<String> {
    if family != Family::Python {
        return None;
    }
    let code = serde_json::to_string(PYTHON).ok()?;
    // Python reads the JSON, in which the names of constants differ from its own.
    let asked = serde_json::to_string(&serde_json::to_string(asked).ok()?).ok()?;
    Some(format!(
        "exec({code}, {{'space': globals(), 'asked': __import__('json').loads({asked})}})"
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
        assert!(question(Family::Python, asked).is_some());
        assert_eq!(question(Family::R, asked), None);
    }
}

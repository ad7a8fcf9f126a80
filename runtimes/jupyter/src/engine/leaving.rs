//! Code by which the user of a console wants to leave, as `exit()` is. Only consoles do: who executes notebooks passes that over.

use serde_json::{Value, json};
use sorna::ExecutionResult;

use crate::cell::End;
use crate::language::Language;

/// What the reply to such a cell has besides, as that of ipykernel.
pub(super) fn payload() -> Value {
    json!({"source": "ask_exit", "keepkernel": false})
}

/// Whether it is a command of the language's own prompt to leave, which is no code.
pub(super) fn is_command(language: &Language, code: &str) -> bool {
    language.id() == "javascript" && code.trim() == ".exit"
}

/// Notes whether a cell was meant to leave. Interpreters of Python tell that themselves, with gateways of `sorna serve`; others
/// have ended by it, and with other gateways there is only the code.
pub(super) fn judge(
    language: &Language,
    code: &str,
    result: &ExecutionResult,
    is_ours: bool,
    end: &mut End,
) {
    let tells = is_ours && language.id() == "python";
    let has_ended = !is_ours || result.has_restarted() == Some(true);
    if tells || !has_ended || result.exceeded().is_some() || !is_wish(language, code, is_ours) {
        return;
    }
    // The exit code of a shell is that of the command before, unless one is given.
    if language.id() == "bash" && is_alone(code) {
        end.failure = None;
    }
    end.leaves = end.failure.is_none();
}

/// Whether the last statement of the code says so, or all of the code where nothing else shows that it was reached.
fn is_wish(language: &Language, code: &str, is_ours: bool) -> bool {
    let code = code.trim().trim_end_matches(';').trim_end();
    let last = match is_ours {
        true => code.rsplit(['\n', ';']).next().unwrap_or_default().trim(),
        false => code,
    };
    let is_one = |statements: &[&str]| statements.contains(&last);
    match language.id() {
        "python" => is_one(&["exit", "exit()", "quit", "quit()"]),
        "R" => {
            let call = last.strip_prefix("quit").or(last.strip_prefix('q'));
            let call = call
                .map(str::trim_start)
                .and_then(|it| it.strip_prefix('('));
            call.is_some_and(|it| it.find([')', '(']) == Some(it.len() - 1) && it.ends_with(')'))
        }
        "javascript" => is_one(&["process.exit()", "process.exit(0)"]),
        "bash" => is_one(&["exit", "exit 0"]),
        "ruby" => is_one(&["exit", "exit()", "exit!"]),
        "perl" => is_one(&["exit", "exit()", "exit 0", "exit(0)"]),
        "php" => is_one(&["exit", "exit()", "exit(0)", "die", "die()"]),
        "lua" => is_one(&["os.exit()", "os.exit(0)", "os.exit(true)"]),
        _ => false,
    }
}

/// Whether code of a shell is only that.
fn is_alone(code: &str) -> bool {
    code.trim().trim_end_matches(';').trim_end() == "exit"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_clearly_is_a_wish_to_leave() {
        let is = |lang: &str, code: &str, is_ours| is_wish(&Language::of(lang), code, is_ours);
        for (lang, code) in [
            ("python3", " exit()\n"),
            ("python3", "quit"),
            ("r", "q()"),
            ("r", "x <- 1\nq(\"no\")"),
            ("r", "quit(save = 'no');"),
            ("nodejs", "process.exit();"),
            ("bash", "exit"),
            ("bash", "echo bye; exit 0"),
            ("lua", "os.exit()"),
        ] {
            assert!(is(lang, code, true), "{lang}: {code}");
        }
        for (lang, code) in [
            ("python3", "sys.exit(3)"),
            ("python3", "x = exit"),
            ("r", "f(q())"),
            ("r", "q"),
            ("r", "quantile(x)"),
            ("r", "q() + f()"),
            ("nodejs", "process.exit(1)"),
            ("bash", "exit 1"),
            ("bash", "echo exit"),
            ("c", "exit(0);"),
            ("bash", ""),
        ] {
            assert!(!is(lang, code, true), "{lang}: {code}");
        }
        assert!(is("python3", "exit()", false) && !is("python3", "f()\nexit()", false));
        assert!(is_command(&Language::of("nodejs"), ".exit "));
        assert!(!is_command(&Language::of("python3"), ".exit"));
    }
}

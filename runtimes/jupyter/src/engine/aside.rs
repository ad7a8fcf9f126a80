//! What is asked of interpreters beside the cells, in languages whose own tools say it: code that leaves nothing behind.

use super::question::Way;
use super::shell::quoted;
use super::shell_words;
use crate::completion::Cursor;
use crate::language::Language;

/// The most candidates that are worth showing.
const MOST: usize = 500;

/// A question for the candidates at a place, a line each.
pub(super) fn completion(language: &Language, way: &Way, cursor: &Cursor<'_>) -> Option<String> {
    let line = cursor.line();
    if line.contains('\0') {
        return None;
    }
    match language.id() {
        "bash" => shell_words::question(cursor, MOST).map(|code| way.bash(&code)),
        "javascript" => {
            let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.');
            let start = line.trim_end_matches(is_part).len();
            let token = serde_json::to_string(&line[start..]).ok()?;
            let before = serde_json::to_string(&line[..start]).ok()?;
            Some(way.node(&format!("({NODE_COMPLETION})({token}, {before}, {MOST})")))
        }
        "R" => {
            let line = serde_json::to_string(line).ok()?;
            Some(way.r(&format!(
                "base::local({{ line <- {line}; {R_COMPLETION} }})"
            )))
        }
        _ => None,
    }
}

/// The candidates at a place, of what that has printed, and what they are put in place of, where that is said.
pub(super) fn candidates(
    language: &Language,
    cursor: &Cursor<'_>,
    found: &str,
) -> (Vec<String>, Option<String>) {
    match language.id() {
        "bash" => (shell_words::candidates(cursor, found), None),
        "R" => {
            let end = if is_assigned(cursor) { "=" } else { "" };
            let mut lines = found.lines();
            let token = lines.next().and_then(|it| it.strip_prefix('\t'));
            let token = token.filter(|token| cursor.line().ends_with(token));
            let names = lines.map(|it| it.strip_suffix(end).unwrap_or(it).to_owned());
            (names.collect(), token.map(str::to_owned))
        }
        _ => (found.lines().map(str::to_owned).collect(), None),
    }
}

/// Whether `=` follows the name at the cursor, as after the name of an argument that has a value.
fn is_assigned(cursor: &Cursor<'_>) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_');
    let rest = cursor.rest_of_line().trim_start_matches(is_part);
    rest.trim_start().starts_with('=')
}

/// As R's own console completes, and also the names of packages that are installed, where one is loaded; names that R reads only
/// in backquotes have these. First, with a tab before, comes what is completed.
const R_COMPLETION: &str = r"before <- utils:::.CompletionEnv$settings[['ipck']]; on.exit(utils::rc.settings(ipck = before)); utils::rc.settings(ipck = TRUE); utils:::.assignLinebuffer(line); utils:::.assignEnd(nchar(line)); utils:::.guessTokenFromLine(); utils:::.completeToken(); found <- utils:::.retrieveCompletions()
if (!utils:::isInsideQuotes()) {
    start <- sub('[^$@]*$', '', found)
    name <- substring(found, nchar(start) + 1L)
    end <- sub('^.*?(=|[(]|)$', '\\1', name, perl = TRUE)
    name <- substring(name, 1L, nchar(name) - nchar(end))
    is_odd <- grepl('[^[:alnum:]._:]', name) & !grepl('`', name, fixed = TRUE)
    found <- ifelse(is_odd, paste0(start, '`', name, '`', end), found)
}
base::cat(paste0('\t', utils:::.CompletionEnv[['token']]), found, sep = '\n')";

/// Names in all scopes, or the properties of what a dotted name, a text or an array stands for.
const NODE_COMPLETION: &str = r"(token, before, most) => {
    const at = token.lastIndexOf('.') + 1;
    const path = token.slice(0, at), part = token.slice(at), found = new Set();
    const words = 'async await break case catch class const continue debugger default delete do else export extends false finally for function if import in instanceof let new null return super switch this throw true try typeof var void while yield'.split(' ');
    const note = (name) => { if (name.startsWith(part) && /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(name)) found.add(name); };
    let from = globalThis;
    try {
        if (path === '.') {
            const isText = /(['\x22`])(?:\\.|(?!\1)[^\\])*\1$/.test(before);
            const isArray = /(?:^|[^\p{L}\p{N}_$)\]\s])\s*\[[^[\]]*\]$/u.test(before);
            if (!isText && !isArray) return;
            from = isText ? '' : [];
        } else if (path) {
            if (!/^[\p{L}\p{N}_$.]+$/u.test(path)) return;
            from = (0, eval)(path.slice(0, -1));
        } else {
            words.forEach(note);
            const { Session } = require('inspector');
            const session = new Session();
            session.connect();
            session.post('Runtime.globalLexicalScopeNames', {}, (_, reply) => reply?.names.forEach(note));
            session.disconnect();
        }
        for (let it = Object(from); from != null && it; it = Object.getPrototypeOf(it)) Object.getOwnPropertyNames(it).forEach(note);
    } catch {}
    answer([...found].sort().slice(0, most).map((name) => path + name).join('\n'));
}";

/// Whether an interpreter says which release of its language it is.
pub(super) fn has_version(language: &Language) -> bool {
    matches!(
        language.id(),
        "python" | "R" | "javascript" | "bash" | "ruby"
    )
}

/// A question for the release of the language. With it, Python learns the number of the next cell.
pub(super) fn version(language: &Language, way: &Way, number: u64) -> Option<String> {
    match language.id() {
        "python" => way.python(&format!(
            "import sys\nnumber({number})\nanswer('%d.%d.%d' % sys.version_info[:3])"
        )),
        "R" => Some(way.r("base::cat(R.version$major, R.version$minor, sep = '.')")),
        "javascript" => Some(way.node("answer(process.versions.node)")),
        "bash" => Some(way.bash("echo \"${BASH_VERSION%%[!0-9.]*}\"")),
        "ruby" => Some(way.ruby("RUBY_VERSION")),
        _ => None,
    }
}

/// A question that has the interpreter of Python give this number to the next cell, or none that a notebook shows if it is 0.
pub(super) fn numbered(way: &Way, number: u64) -> Option<String> {
    way.python(&format!("number({number})"))
}

/// A question for what is known of a name, which has letters, digits, `_` and `.` only.
pub(super) fn help(
    language: &Language,
    way: &Way,
    name: &str,
    is_detailed: bool,
) -> Option<String> {
    match language.id() {
        "bash" => Some(way.bash(&format!(
            "{{ alias -- {name} || type -- {name} || declare -p -- {name}; }} 2>/dev/null && {{ help -- {name} 2>/dev/null || :; }}"
        ))),
        "javascript" => Some(way.node(&format!("({NODE_HELP})({name:?}, {is_detailed})"))),
        _ => None,
    }
}

const NODE_HELP: &str = r"(name, isDetailed) => {
    const value = (0, eval)(name);
    const lines = [`Type: ${value === null ? 'null' : typeof value}`];
    if (typeof value === 'function') {
        const source = String(value);
        lines.push(`Parameters: ${value.length}`, isDetailed || source.length < 2000 ? source : source.slice(0, 2000) + '...');
    } else {
        lines.push(require('util').inspect(value).slice(0, 2000));
    }
    answer(lines.join('\n'));
}";

/// A question for whether code is whole: `complete`, `incomplete`, `invalid`, or nothing of that.
pub(super) fn wholeness(language: &Language, way: &Way, code: &str) -> Option<String> {
    if code.contains('\0') {
        return None;
    }
    match language.id() {
        "bash" => Some(way.bash(&format!(
            "if said=$(LC_ALL=C \"$BASH\" -n -c {} 2>&1); then echo complete; else case $said in *'unexpected end of file'* | *'unexpected EOF'*) echo incomplete ;; *) echo invalid ;; esac; fi",
            quoted(code)
        ))),
        "javascript" => {
            let code = serde_json::to_string(code).ok()?;
            Some(way.node(&format!("({NODE_WHOLENESS})({code})")))
        }
        _ => None,
    }
}

/// What a cell may be: a script, with `await`, an object, or a module.
const NODE_WHOLENESS: &str = r"(code) => {
    const { Script } = require('vm');
    const wrong = (text) => { try { new Script(text); return ''; } catch (error) { return String(error.message); } };
    const said = wrong(code);
    const isFine = !said || !wrong(`(async () => {${code}\n})()`) || !wrong(`(${code}\n)`) || /^\s*(import|export)\b/m.test(code);
    const last = code.slice(code.lastIndexOf('\n') + 1);
    // Only at the end of a line, a text may go on in the next one.
    const isOpen = /end of input|Unterminated template/.test(said) || /\\$/.test(last);
    const isJudged = /missing \)/.test(said) || /\/\*(?:(?!\*\/)[^])*$/.test(code);
    answer(isFine ? 'complete' : isOpen ? 'incomplete' : isJudged ? 'unknown' : 'invalid');
}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_without_tools_are_not_asked() {
        let lua = Language::of("lua");
        let way = Way::Message;
        assert_eq!(completion(&lua, &way, &Cursor::at("pri", 3)), None);
        assert_eq!(help(&lua, &way, "print", false), None);
        assert_eq!(wholeness(&lua, &way, "x ="), None);
        assert_eq!(wholeness(&Language::of("bash"), &way, "\0"), None);
        assert_eq!(has_version(&lua), version(&lua, &way, 1).is_some());
    }
}

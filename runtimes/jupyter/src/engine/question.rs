//! Questions of a kernel's own to its interpreter: code whose answer is told from what programs print meanwhile, and does not
//! depend on what they have replaced or redirected, where the gateway can do that.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use sorna::protocol::Execute;
use sorna::{Console, Record};

/// How an answer gets here, as hexadecimal digits of its UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As a message of the runner, in gateways that tell questions from programs.
    Message,
    /// Among what is printed, after this.
    Printed(String),
}

impl Way {
    /// The one of a kernel.
    pub(super) fn new(is_told: bool) -> Self {
        match is_told {
            true => Self::Message,
            false => {
                let time = SystemTime::now().duration_since(UNIX_EPOCH);
                let number = time.map_or(0, |time| time.as_nanos());
                Self::Printed(format!("\u{1e}answer-{number:x}-"))
            }
        }
    }

    /// Code of Python that calls `answer(text)`, has the program's variables in `space`, and calls `number(n)` to number cells.
    pub(super) fn python(&self, code: &str) -> Option<String> {
        let first = Execute::QUESTION;
        let begin = match self {
            Self::Message => return Some(format!("{first}\n{code}")),
            Self::Printed(begin) => serde_json::to_string(begin).ok()?,
        };
        let code = serde_json::to_string(code).ok()?;
        Some(format!(
            "exec({code}, {{'space': globals(), 'answer': lambda text: print({begin} + text.encode('utf-8', 'surrogatepass').hex() + '.'), 'number': lambda n: __import__('sys').modules['_sorna_runner'].number(n)}})"
        ))
    }

    /// Code of R that prints the answer.
    pub(super) fn r(&self, code: &str) -> String {
        let send = match self {
            Self::Message => {
                r#"base::local({ message <- base::paste0('["value", ["application/vnd.sorna.display+json", "{\\"answer\\": \\"', hex, '\\"}"]]'); to <- base::file('/dev/fd/4', 'wb', raw = TRUE); base::writeBin(base::charToRaw(base::paste0('r ', base::nchar(message), '\n', message)), to); base::close(to) })"#.to_owned()
            }
            Self::Printed(begin) => {
                let begin = begin.replace('\u{1e}', "\\x1e");
                format!("base::cat('{begin}', hex, '.\\n', sep = '')")
            }
        };
        format!(
            "base::local({{ text <- base::tryCatch(utils::capture.output({{ {code} }}), error = function(e) base::character()); hex <- base::paste(base::charToRaw(base::enc2utf8(base::paste(text, collapse = '\\n'))), collapse = ''); {send} }})"
        )
    }

    /// Code of Node.js that calls `answer(text)`.
    pub(super) fn node(&self, code: &str) -> String {
        let send = match self {
            Self::Message => {
                r#"const message = `["value", ["application/vnd.sorna.display+json", "{\\"answer\\": \\"${hex}\\"}"]]`; let bytes = Buffer.from(`r ${message.length}\n${message}`); while (bytes.length > 0) bytes = bytes.subarray(fs.writeSync(3, bytes));"#.to_owned()
            }
            Self::Printed(begin) => {
                let begin = begin.replace('\u{1e}', "\\x1e");
                format!("fs.writeSync(1, '{begin}' + hex + '.\\n');")
            }
        };
        format!(
            "(() => {{ const fs = process.getBuiltinModule ? process.getBuiltinModule('fs') : require('fs'); const answer = (text) => {{ const hex = Buffer.from(text).toString('hex'); {send} }}; try {{ {code} }} catch {{}} }})()"
        )
    }

    /// Code of bash that prints the answer, in a shell of its own, on which traps and options of the program have no effect.
    pub(super) fn bash(&self, code: &str) -> String {
        let first = Execute::QUESTION;
        let send = match self {
            Self::Message => {
                r#"message='["value", ["application/vnd.sorna.display+json", "{\"answer\": \"'$hex'\"}"]]'; builtin printf 'r %d\n%s' "${#message}" "$message" >&62"#.to_owned()
            }
            Self::Printed(begin) => {
                let begin = begin.replace('\u{1e}', "\\x1e");
                format!("builtin printf '{begin}%s.\\n' \"$hex\"")
            }
        };
        format!(
            "{first}\n( builtin trap - DEBUG ERR EXIT; builtin set +eux; hex=$( {{ {code}\n}} 2>/dev/null | command -p od -An -v -tx1 | command -p tr -d ' \\n' ); {send} ) || :"
        )
    }

    /// Code of Ruby whose value is the answer.
    pub(super) fn ruby(&self, code: &str) -> String {
        let begin = match self {
            // It has no messages of this kind.
            Self::Message => Self::new(false),
            printed @ Self::Printed(_) => printed.clone(),
        };
        let Self::Printed(begin) = begin else {
            unreachable!("it is printed");
        };
        let begin = begin.replace('\u{1e}', "\\x1e");
        format!("STDOUT.write(\"{begin}\" + ({code}).unpack1('H*') + \".\\n\")")
    }
}

/// The answer that is among this, and the rest.
pub(super) fn split(console: &Console) -> (Option<String>, Console) {
    let (mut answer, mut rest) = (None, Console::new());
    let printed = console.stdout();
    let place = place(&printed);
    if let Some((_, _, hex)) = place {
        answer = text_of(hex);
    }
    let mut at = 0;
    for record in console.iter() {
        match &record {
            Record::Value(value) if value.display().is_some() => {
                let about = value.display().unwrap_or_default();
                let about: Value = serde_json::from_str(about).unwrap_or_default();
                match about["answer"].as_str() {
                    Some(hex) => answer = text_of(hex),
                    None => rest.push(&record),
                }
            }
            Record::Stdout(text) => {
                let (begin, end) = (at, at + text.len());
                at = end;
                let Some((start, after, _)) = place else {
                    rest.push(&record);
                    continue;
                };
                // What is before and after the answer.
                let before = text.get(..start.clamp(begin, end) - begin);
                let after = text.get(after.clamp(begin, end) - begin..);
                for text in [before, after].into_iter().flatten() {
                    rest.push_stdout(text);
                }
            }
            _ => rest.push(&record),
        }
    }
    (answer, rest)
}

/// Where an answer begins and ends in what is printed, and its digits.
fn place(printed: &str) -> Option<(usize, usize, &str)> {
    let start = printed.rfind("\u{1e}answer-")?;
    let rest = &printed[start..];
    let (head, _) = rest.split_once('.')?;
    let digits = head.rsplit('-').next()?;
    let end = start + head.len() + 1;
    let end = end + usize::from(printed[end..].starts_with('\n'));
    Some((start, end, digits))
}

fn text_of(hex: &str) -> Option<String> {
    let digit = |byte: &[u8]| u8::from_str_radix(std::str::from_utf8(byte).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = hex.as_bytes().chunks(2).map(digit).collect();
    Some(String::from_utf8_lossy(&bytes?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_what_programs_print() {
        let mut console = Console::new();
        console.push_stdout("a\n\u{1e}answer-1f");
        console.push_stderr("e");
        console.push_stdout("-6162");
        console.push_stdout("c3a9.\nb\n");
        let (answer, rest) = split(&console);
        assert_eq!(answer.as_deref(), Some("abé"));
        assert_eq!((&*rest.stdout(), &*rest.stderr()), ("a\nb\n", "e"));

        let json = r#"[["stdout","a\n"],["value",["application/vnd.sorna.display+json","{\"answer\": \"7a\"}"]],["value",["application/vnd.sorna.display+json","{\"id\": \"1\"}"],["text/plain","x"]]]"#;
        let console: Console = serde_json::from_str(json).expect("a console");
        let (answer, rest) = split(&console);
        assert_eq!(answer.as_deref(), Some("z"));
        assert_eq!((&*rest.stdout(), rest.iter().count()), ("a\n", 2));

        let mut console = Console::new();
        console.push_stdout("\u{1e}answer-1f-");
        assert_eq!(split(&console), (None, console));
    }
}

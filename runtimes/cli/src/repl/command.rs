//! Commands of the prompt, which begin with `%`.

use super::language::Syntax;

/// What can be asked for in place of running code.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    Info,
    Restart,
    Upload(Vec<String>),
    Download(Vec<String>),
    Leave,
}

/// What `%help` shows.
pub(super) const HELP: &str = "\
%upload FILE...    upload files, and directories with all files in them, to the work directory
%download FILE...  download files, directories and patterns ('*.png') from the work directory, to the current one;
                   --overwrite replaces files that are there
%restart           start the interpreter anew: variables are lost, files are kept
%info              show what the gateway reports about the kernel
%help              show this
%quit              leave, as Ctrl-D does at the prompt

Tab                complete, where the kernel can
Enter              run, or start another line where the code goes on; an empty line ends a block
Alt-Enter          start another line
Up, Down, Ctrl-R   what was typed before
Ctrl-C             interrupt the program, or drop what is typed; pressed twice while a program runs, leave
";

/// The names, for what begins like one.
const NAMES: &[&str] = &[
    "%upload",
    "%download",
    "%restart",
    "%info",
    "%help",
    "%quit",
];

/// The command that this line is; `None` if it is code. An error says what is wrong with it.
pub(super) fn parse(code: &str, lang: &str) -> Option<Result<Command, String>> {
    let code = code.trim();
    // What ends other prompts is no program that does anything else.
    if matches!(code, "exit" | "quit" | "exit()" | "quit()") {
        return Some(Ok(Command::Leave));
    }
    if !code.starts_with('%') || code.contains('\n') {
        return None;
    }
    let (name, rest) = code.split_once(char::is_whitespace).unwrap_or((code, ""));
    if Syntax::has_percent(lang) && !NAMES.contains(&name) {
        return None;
    }
    Some(words(rest).and_then(|words| command(name, words)))
}

fn command(name: &str, words: Vec<String>) -> Result<Command, String> {
    let command = match name {
        "%upload" | "%download" if words.is_empty() => {
            return Err(format!("{name} needs the names of files: {name} FILE..."));
        }
        "%upload" => return Ok(Command::Upload(words)),
        "%download" => return Ok(Command::Download(words)),
        "%help" => Command::Help,
        "%info" => Command::Info,
        "%restart" => Command::Restart,
        "%quit" | "%exit" => Command::Leave,
        _ => return Err(format!("there is no command {name}. %help lists them")),
    };
    match words.is_empty() {
        true => Ok(command),
        false => Err(format!("{name} has no arguments")),
    }
}

/// The words of a line, in which spaces are kept within quotes and after a backslash, as in a shell.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(next) = characters.next() {
        match (quote, next) {
            (Some(open), _) if open == next => quote = None,
            (None, '"' | '\'') => {
                quote = Some(next);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let escaped = characters.next().unwrap_or('\\');
                word.get_or_insert_default().push(escaped);
            }
            (None, _) if next.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(next),
        }
    }
    words.extend(word);
    match quote {
        None => Ok(words),
        Some(quote) => Err(format!("a quote is missing: {quote}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_a_percent_sign_is_a_command() {
        let parsed = |code| parse(code, "python3").map(|it| it.ok());
        assert_eq!(parsed(" %info "), Some(Some(Command::Info)));
        assert_eq!(parsed("%quit"), Some(Some(Command::Leave)));
        assert_eq!(parsed("exit()"), Some(Some(Command::Leave)));
        let files = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(
            parsed(r#"%upload a 'b c' "d\"e" f\ g '' "#),
            Some(Some(Command::Upload(files(&[
                "a", "b c", "d\"e", "f g", ""
            ]))))
        );
        for wrong in ["%uplod x", "%upload", "%info x", "%upload 'a", "%"] {
            assert_eq!(parsed(wrong), Some(None), "{wrong}");
        }
        for code in ["x % y", "exit(3)", "'%info'", "%info\n1", ""] {
            assert_eq!(parsed(code), None, "{code}");
        }
        assert_eq!(parse("%h = (a => 1)", "perl"), None);
        assert_eq!(parse("%info", "perl"), Some(Ok(Command::Info)));
    }
}

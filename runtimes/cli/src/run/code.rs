//! Code from standard input.

use std::io::{self, Read};

use sorna::{UploadFile, random_token};

use super::args::RunArgs;
use super::program::of_stdin;
use crate::failure::Failure;
use crate::image::names_in;

/// How code from standard input runs.
#[derive(Debug)]
pub(super) enum Code {
    /// By the interpreter of the kernel, or as a program that is compiled.
    Snippet(String),
    /// By an interpreter of its own, which has this file as its standard input, by this command: so all of it is as at home,
    /// such as its names in messages, and that programs may read what follows in it.
    Program {
        file: UploadFile,
        command: String,
        /// The same as a snippet, for gateways that may not run it so: files of others may be small and few, and have programs
        /// of other names, and their programs may not be asked for input.
        snippet: Option<String>,
    },
}

impl Code {
    /// Reads all of standard input.
    pub(super) fn read(arguments: &RunArgs) -> Result<Self, Failure> {
        let mut code = Vec::new();
        io::stdin().read_to_end(&mut code).map_err(failed)?;
        let (lang, words) = (&arguments.lang, &arguments.arguments);
        let name = format!("sorna-stdin-{}", &random_token().as_str()[..16]);
        let command = of_stdin(
            lang,
            &name,
            arguments.workdir.is_some(),
            arguments.names_stdin(),
            words,
        );
        // What a kernel that is kept knows of earlier snippets is for this one, and the other way around.
        let is_alone = arguments.token.is_none() && !arguments.echo && !code.is_empty();
        let wants_program = !words.is_empty() || has_data(lang, &code) || is_alone;
        match command {
            Some(command) if wants_program && !may_lack_tags(lang, &code, !words.is_empty()) => {
                // What only a program does is done by none of them.
                let may_be_snippet = words.is_empty() && !has_data(lang, &code);
                let snippet = may_be_snippet.then(|| snippet(lang, code.clone()).ok());
                Ok(Self::Program {
                    snippet: snippet.flatten(),
                    file: UploadFile::from_bytes(name, code).map_err(Failure::Argument)?,
                    command,
                })
            }
            _ if !words.is_empty() => Err(Failure::Usage {
                message: format!(
                    "it is not known how {lang} kernels run code from standard input with arguments"
                ),
                advice: Some(format!("Save it as a file: sorna run {lang} FILE -- ARGS.").into()),
            }),
            _ => snippet(lang, code).map(Self::Snippet),
        }
    }
}

fn failed(error: io::Error) -> Failure {
    Failure::System("cannot read code from standard input", error)
}

/// As the language's interpreter would read it from its own standard input.
fn snippet(lang: &str, code: Vec<u8>) -> Result<String, Failure> {
    let mut code = String::from_utf8(code).map_err(|_| {
        let text = format!(
            "it is not UTF-8, as the code of a snippet must be: put it into a file, and run that (`sorna run {lang} FILE`)"
        );
        failed(io::Error::other(text))
    })?;
    if code.starts_with(BYTE_ORDER_MARK) && skips_byte_order_mark(lang) {
        code.remove(0);
    }
    Ok(code)
}

/// Whether the code ends before its text does, and may read the rest.
fn has_data(lang: &str, code: &[u8]) -> bool {
    let is = |names: &[&str]| names_in(lang).any(|name| names.contains(&name));
    let has_line = |words: &[&[u8]]| {
        let mut lines = code.split(|byte| *byte == b'\n');
        lines.any(|line| words.contains(&line.trim_ascii_end()))
    };
    match () {
        () if is(&["ruby"]) => has_line(&[b"__END__"]),
        () if is(&["perl", "perl5"]) => has_line(&[b"__END__", b"__DATA__"]),
        () => false,
    }
}

/// Whether it may be code of PHP without its tags, which its command would print as text: the runner of snippets looks closer.
fn may_lack_tags(lang: &str, code: &[u8], has_arguments: bool) -> bool {
    let tag = code.windows(2).position(|pair| pair == b"<?");
    let is_first = |at: usize| {
        let before = String::from_utf8_lossy(&code[..at]);
        let before = before.trim_start_matches(BYTE_ORDER_MARK).trim();
        before.is_empty() || (before.starts_with("#!") && !before.contains('\n'))
    };
    names_in(lang).any(|name| ["php", "php7", "php8"].contains(&name))
        && !tag.is_some_and(|at| has_arguments || is_first(at))
}

/// Editors on Windows put it at the start of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Most interpreters and compilers skip a byte order mark at the start of code. For bash and R it is part of the first word,
/// PHP prints it, and javac rejects it. (Tried with bash 5.2, R 4.2, PHP 8.2.) `lang` may be an image's reference.
fn skips_byte_order_mark(lang: &str) -> bool {
    let name = lang.rsplit('/').next().unwrap_or(lang);
    let name = name.split(':').next().unwrap_or(name);
    !["bash", "sh", "php", "r", "java"].contains(&name.to_ascii_lowercase().as_str())
}

//! Chooses the file to run.
//!
//! By default a kernel runs `main.py` or the like, whatever files were uploaded. For languages with a known
//! interpreter, a single file is the program whatever its name; of several, the user must choose one.

use std::path::PathBuf;

use sorna::UploadFile;

use crate::image::names_in;

/// A language whose interpreter runs source files.
#[derive(Debug)]
struct Interpreter {
    names: &'static [&'static str],
    /// The command that runs a file, without the file.
    command: &'static str,
    /// The file that kernels run by default.
    main: &'static str,
}

const INTERPRETERS: &[Interpreter] = &[
    interpreter(&["python3", "python"], "python3", "main.py"),
    interpreter(&["bash"], "bash", "main.sh"),
    interpreter(
        &["nodejs", "node", "nodejs6", "nodejs8", "javascript"],
        "node",
        "main.js",
    ),
    interpreter(&["perl", "perl5"], "perl", "main.pl"),
    interpreter(&["ruby"], "ruby", "main.rb"),
    interpreter(&["lua", "lua5"], "lua", "main.lua"),
    interpreter(&["php", "php7", "php8"], "php", "main.php"),
    interpreter(
        &["r", "R", "r3"],
        "R --no-echo --no-save --no-restore -f",
        "main.R",
    ),
];

const fn interpreter(
    names: &'static [&'static str],
    command: &'static str,
    main: &'static str,
) -> Interpreter {
    Interpreter {
        names,
        command,
        main,
    }
}

/// What to run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// The kernel's default.
    Default,
    /// This shell command.
    Command(String),
    /// The kernel's default, which is none of the files; with advice if it fails.
    Unclear(String),
}

impl Program {
    /// Chooses among these files, which were collected from those arguments.
    pub(super) fn find(lang: &str, arguments: &[PathBuf], files: &[UploadFile]) -> Self {
        let known = INTERPRETERS.iter().find(|known| known.is_of(lang));
        let Some(known) = known else {
            return Self::Default;
        };
        if files.iter().any(|file| file.name() == known.main) {
            return Self::Default;
        }
        match (arguments, files) {
            ([argument], [file]) if !argument.is_dir() => Self::Command(known.run(file.name())),
            (_, files) => known.unclear(lang, files),
        }
    }
}

impl Interpreter {
    /// Whether it runs this language, or image: `cr.backend.ai/stable/python-tensorflow:2.15` is one of `python`.
    fn is_of(&self, image: &str) -> bool {
        names_in(image).any(|name| self.names.contains(&name))
    }

    fn run(&self, file: &str) -> String {
        format!("{} {}", self.command, quote(file))
    }

    fn unclear(&self, lang: &str, files: &[UploadFile]) -> Program {
        let (_, ending) = self.main.split_once('.').unwrap_or_default();
        let looks_right = |file: &&UploadFile| {
            let (_, its) = file.name().rsplit_once('.').unwrap_or_default();
            its.eq_ignore_ascii_case(ending)
        };
        let candidate = files.iter().find(looks_right).or(files.first());
        candidate.map_or(Program::Default, |file| {
            let command = self.run(file.name());
            Program::Unclear(format!(
                "{lang} kernels run {} by default, and no file has that name. Choose one with -e {}.",
                self.main,
                quote(&command)
            ))
        })
    }
}

/// Quotes a file's name so that a shell reads it as one word, and the command not as an option.
fn quote(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_./-+,:@%".contains(c);
    let hyphen = if name.starts_with('-') { "./" } else { "" };
    if !name.is_empty() && name.chars().all(is_plain) {
        format!("{hyphen}{name}")
    } else {
        format!("'{hyphen}{}'", name.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(lang: &str, names: &[&str]) -> Program {
        let arguments: Vec<_> = names.iter().map(PathBuf::from).collect();
        let file = |name: &&str| UploadFile::from_bytes(*name, Vec::new()).unwrap();
        let files: Vec<_> = names.iter().map(file).collect();
        Program::find(lang, &arguments, &files)
    }

    #[test]
    fn a_single_file_is_the_program() {
        for (lang, file, command) in [
            ("python3", "hello.py", "python3 hello.py"),
            ("python:3.9-ubuntu20.04", "hello.py", "python3 hello.py"),
            (
                "cr.backend.ai/stable/python:3.9",
                "hello.py",
                "python3 hello.py",
            ),
            ("python-tensorflow:2.15", "a.py", "python3 a.py"),
            ("python3", "sub/main.py", "python3 sub/main.py"),
            ("nodejs", "a b.js", "node 'a b.js'"),
            ("bash", "it's.sh", r"bash 'it'\''s.sh'"),
            ("bash", "$(reboot)", "bash '$(reboot)'"),
            ("perl", "-e", "perl ./-e"),
            ("r", "a.R", "R --no-echo --no-save --no-restore -f a.R"),
        ] {
            assert_eq!(find(lang, &[file]), Program::Command(command.to_owned()));
        }
    }

    #[test]
    fn the_default_is_kept_where_it_fits_or_no_interpreter_is_known() {
        for (lang, files) in [
            ("python3", &["main.py"][..]),
            ("python3", &["a.py", "main.py"]),
            ("c", &["hello.c"]),
            ("cobol", &["hello.cob"]),
        ] {
            assert_eq!(find(lang, files), Program::Default);
        }
    }

    #[test]
    fn of_several_files_the_user_must_choose_one() {
        assert_eq!(
            find("python3", &["data.csv", "a.py", "b.py"]),
            Program::Unclear(
                "python3 kernels run main.py by default, and no file has that name. Choose one with -e 'python3 a.py'."
                    .to_owned()
            )
        );
    }
}

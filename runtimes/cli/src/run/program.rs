//! Chooses the file to run.
//!
//! By default a kernel runs `main.py` or the like, whatever files were uploaded. For languages with a known
//! interpreter, a single file is the program whatever its name; of several, the user must choose one.

use std::path::PathBuf;

use sorna::UploadFile;

use super::words::{only, quote};
use super::{java, package};
use crate::failure::Failure;
use crate::image::names_in;

/// A language whose interpreter runs source files.
#[derive(Debug)]
struct Interpreter {
    names: &'static [&'static str],
    /// The command that runs a file, without the file.
    command: &'static str,
    /// What comes between the file and its arguments.
    separator: Option<&'static str>,
    /// The file that kernels run by default.
    main: &'static str,
    /// What it runs of a directory, if there is no such file.
    index: Option<&'static str>,
    /// How it runs code from standard input.
    stdin: Stdin,
}

/// The commands that run code from standard input (that of lua alone would not fail if the code does): alone, where that is named as `-`, and with arguments, which follow.
#[derive(Clone, Copy, Debug)]
struct Stdin {
    alone: &'static str,
    named: &'static str,
    with_arguments: &'static str,
}

const fn stdin(alone: &'static str, named: &'static str, with_arguments: &'static str) -> Stdin {
    Stdin {
        alone,
        named,
        with_arguments,
    }
}

const INTERPRETERS: &[Interpreter] = &[
    interpreter(
        &["python3", "python"],
        "python3",
        "main.py",
        stdin("python3", "python3 -", "python3 -"),
    )
    .with_index("__main__.py"),
    interpreter(
        &["bash"],
        "bash",
        "main.sh",
        stdin("bash", "bash", "bash -s --"),
    ),
    interpreter(
        &["nodejs", "node", "nodejs6", "nodejs8", "javascript"],
        "node",
        "main.js",
        stdin("node", "node -", "node -"),
    )
    .with_index("index.js"),
    interpreter(
        &["perl", "perl5"],
        "perl",
        "main.pl",
        stdin("perl", "perl -", "perl -"),
    ),
    interpreter(
        &["ruby"],
        "ruby",
        "main.rb",
        stdin("ruby", "ruby -", "ruby -"),
    ),
    interpreter(
        &["lua", "lua5"],
        "lua",
        "main.lua",
        stdin("lua -", "lua -", "lua -"),
    ),
    interpreter(
        &["php", "php7", "php8"],
        "php",
        "main.php",
        stdin("php", "php", "php --"),
    ),
    interpreter(
        &["r", "R", "r3"],
        "R --no-echo --no-save --no-restore -f",
        "main.R",
        stdin(R_STDIN, R_STDIN, "R --no-echo --no-restore --file=- --args"),
    )
    .with_separator("--args"),
];

/// As `Rscript -` calls it.
const R_STDIN: &str = "R --no-echo --no-restore --file=-";

/// Languages whose programs are built as `main`.
const COMPILED: &[&str] = &[
    "c", "gcc", "clang", "cpp", "c++", "cpp11", "cpp14", "cpp17", "cpp20", "g++", "rust", "rs",
    "go", "golang",
];
const JAVA: &[&str] = &["java", "java8", "java11", "java17", "jdk", "openjdk"];

/// Before a file's name, after a `cd` to another directory: the shell's name for the one before.
const BACK: &str = "\"$OLDPWD\"/";

const fn interpreter(
    names: &'static [&'static str],
    command: &'static str,
    main: &'static str,
    stdin: Stdin,
) -> Interpreter {
    Interpreter {
        names,
        command,
        separator: None,
        main,
        index: None,
        stdin,
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
        Self::find_from("", lang, arguments, files)
    }

    /// The same for a program that is run in another directory, after a `cd` to it.
    ///
    /// # Errors
    ///
    /// It is not known how to run such a program, or not clear which.
    pub(super) fn find_from_elsewhere(
        lang: &str,
        arguments: &[PathBuf],
        files: &[UploadFile],
    ) -> Result<Self, Failure> {
        match Self::find_from(BACK, lang, arguments, files) {
            Self::Command(command) => Ok(Self::Command(command)),
            Self::Default => default_command(BACK, lang, files)
                .map(Self::Command)
                .ok_or_else(|| {
                    Failure::usage(format!(
                        "it is not known how {lang} kernels run this program in another directory"
                    ))
                    .with_advice("Give the whole command with --exec, such as --exec ../main: it runs in the directory.")
                }),
            Self::Unclear(hint) => Err(Failure::Usage {
                message: "it is not clear which of the files is the program".to_owned(),
                advice: Some(hint.into()),
            }),
        }
    }

    /// `base` is put before the names of files.
    fn find_from(
        base: &'static str,
        lang: &str,
        arguments: &[PathBuf],
        files: &[UploadFile],
    ) -> Self {
        let Some(known) = Interpreter::of(lang) else {
            return Self::Default;
        };
        if files.iter().any(|file| file.name() == known.main) {
            return Self::Default;
        }
        match (arguments, files) {
            ([argument], [file]) if !argument.is_dir() => {
                Self::Command(known.run(base, file.name()))
            }
            (_, files) => match known.main_of(files) {
                Some(file) => Self::Command(known.run(base, file)),
                None => known.unclear(lang, files),
            },
        }
    }

    /// The same with these arguments.
    pub(super) fn with_arguments(
        self,
        lang: &str,
        arguments: &[String],
        files: &[UploadFile],
    ) -> Result<Self, Failure> {
        if arguments.is_empty() {
            return Ok(self);
        }
        let command = match self {
            Self::Command(command) => command,
            Self::Default => {
                default_command("", lang, files).ok_or_else(|| no_command(lang, files))?
            }
            Self::Unclear(hint) => {
                return Err(Failure::Usage {
                    message: "it is not clear which of the files gets the arguments".to_owned(),
                    advice: Some(hint.into()),
                });
            }
        };
        let separator = Interpreter::of(lang).and_then(|known| known.separator);
        let words = arguments.iter().map(|argument| quote(argument));
        let words = separator.map(str::to_owned).into_iter().chain(words);
        let all: Vec<String> = std::iter::once(command).chain(words).collect();
        Ok(Self::Command(all.join(" ")))
    }
}

/// The command by which an interpreter runs this file as code from standard input, as it does at home; `None` if no such
/// interpreter is known. The file is gone when the code runs. `is_elsewhere` is for another directory, after a `cd` to it.
pub(super) fn of_stdin(
    lang: &str,
    file: &str,
    is_elsewhere: bool,
    is_named: bool,
    arguments: &[String],
) -> Option<String> {
    let stdin = Interpreter::of(lang)?.stdin;
    let command = match (arguments, is_named) {
        ([], false) => stdin.alone,
        ([], true) => stdin.named,
        _ => stdin.with_arguments,
    };
    let base = if is_elsewhere { BACK } else { "" };
    let file = format!("{base}{}", quote(file));
    let words = arguments.iter().map(|argument| quote(argument));
    let all: Vec<String> = std::iter::once(command.to_owned()).chain(words).collect();
    Some(format!(
        "{{ rm -f -- {file}; exec {}; }} <{file}",
        all.join(" ")
    ))
}

/// Why arguments cannot be given to what the kernel runs by default.
fn no_command(lang: &str, files: &[UploadFile]) -> Failure {
    let example = files.iter().find(|file| file.name().ends_with(".java"));
    match example.filter(|_| names_in(lang).any(|name| JAVA.contains(&name))) {
        Some(file) => Failure::Usage {
            message: "it is not clear which of the files gets the arguments".to_owned(),
            advice: Some(
                format!(
                    "Give the whole command with --exec, such as --exec {}.",
                    quote(&format!("java {} one two", quote(file.name())))
                )
                .into(),
            ),
        },
        None => Failure::usage(format!(
            "it is not known how {lang} kernels run a program with arguments"
        ))
        .with_advice("Give the whole command with --exec, such as --exec './main one two'."),
    }
}

/// The command that kernels run by default, if programs can be given arguments by it.
fn default_command(base: &str, lang: &str, files: &[UploadFile]) -> Option<String> {
    if let Some(known) = Interpreter::of(lang) {
        return Some(known.run(base, known.main));
    }
    let is = |names: &[&str]| names_in(lang).any(|name| names.contains(&name));
    let has = |name: &str| files.iter().any(|file| file.name() == name);
    if is(COMPILED) {
        let names = files.iter().map(UploadFile::name);
        let packages = names.filter(|name| name.rsplit('/').next() == Some("Cargo.toml"));
        return Some(match only(packages) {
            None if !base.is_empty() && !has("Cargo.toml") => format!("{base}main"),
            _ if !base.is_empty() => return None,
            _ if has("Cargo.toml") => "cargo run --quiet --".to_owned(),
            Some(package) => {
                let directory = package.strip_suffix("/Cargo.toml")?;
                format!("cd {} && cargo run --quiet --", quote(directory))
            }
            None => "./main".to_owned(),
        });
    }
    let is_java = base.is_empty() && is(JAVA);
    is_java.then(|| java::command(files)).flatten()
}

impl Interpreter {
    const fn with_separator(mut self, separator: &'static str) -> Self {
        self.separator = Some(separator);
        self
    }

    const fn with_index(mut self, index: &'static str) -> Self {
        self.index = Some(index);
        self
    }

    /// That of a language, or image: `cr.backend.ai/stable/python-tensorflow:2.15` is one of `python`.
    fn of(image: &str) -> Option<&'static Self> {
        let is = |known: &&Self| names_in(image).any(|name| known.names.contains(&name));
        INTERPRETERS.iter().find(is)
    }

    fn run(&self, base: &str, file: &str) -> String {
        if !base.is_empty() {
            return format!("{} {base}{}", self.command, quote(file));
        }
        // The interpreter must not take it for an option.
        let hyphen = if file.starts_with('-') { "./" } else { "" };
        format!("{} {}", self.command, quote(&format!("{hyphen}{file}")))
    }

    /// The program among the files: the one that has the name of programs and is in the fewest directories, or the only
    /// one in the language.
    fn main_of<'f>(&self, files: &'f [UploadFile]) -> Option<&'f str> {
        let depth = |name: &str| name.matches('/').count();
        let named = |wanted: &str| {
            let names = files.iter().map(UploadFile::name);
            let named = names.filter(|name| name.rsplit('/').next() == Some(wanted));
            let named: Vec<&str> = named.collect();
            let least = named.iter().map(|name| depth(name)).min()?;
            only(named.into_iter().filter(|name| depth(name) == least))
        };
        let in_the_language = || files.iter().filter(|file| self.looks_right(file));
        named(self.main)
            .or_else(|| package::main_of(files).filter(|_| self.command == "node"))
            .or_else(|| named(self.index?))
            .or_else(|| only(in_the_language().map(UploadFile::name)))
    }

    fn looks_right(&self, file: &UploadFile) -> bool {
        let (_, ending) = self.main.split_once('.').unwrap_or_default();
        let (_, its) = file.name().rsplit_once('.').unwrap_or_default();
        its.eq_ignore_ascii_case(ending)
    }

    fn unclear(&self, lang: &str, files: &[UploadFile]) -> Program {
        let candidate = files.iter().find(|file| self.looks_right(file));
        candidate.or(files.first()).map_or(Program::Default, |file| {
            let command = self.run("", file.name());
            Program::Unclear(format!(
                "{lang} kernels run {} by default, and no file has that name. Choose one with -e {}.",
                self.main,
                quote(&command)
            ))
        })
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
    fn in_another_directory_the_program_is_found_by_the_former() {
        let find = |lang: &str, names: &[&str]| {
            let arguments: Vec<_> = names.iter().map(PathBuf::from).collect();
            let file = |name: &&str| UploadFile::from_bytes(*name, Vec::new()).unwrap();
            let files: Vec<_> = names.iter().map(file).collect();
            Program::find_from_elsewhere(lang, &arguments, &files).ok()
        };
        for (lang, names, command) in [
            ("python3", &["main.py"][..], r#"python3 "$OLDPWD"/main.py"#),
            ("python3", &["a b.py"], r#"python3 "$OLDPWD"/'a b.py'"#),
            ("perl", &["-e"], r#"perl "$OLDPWD"/-e"#),
            ("c", &["hello.c"], r#""$OLDPWD"/main"#),
        ] {
            let expected = Some(Program::Command(command.to_owned()));
            assert_eq!(find(lang, names), expected, "{lang}");
        }
        for (lang, names) in [
            ("python3", &["a.py", "b.py"][..]),
            ("rust", &["Cargo.toml", "src/main.rs"]),
            ("java", &["Main.java"]),
            ("cobol", &["a.cob"]),
        ] {
            assert_eq!(find(lang, names), None, "{lang}");
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
    fn directories_have_a_program() {
        for (lang, files, command) in [
            (
                "python3",
                &["proj/main.py", "proj/lib.py"][..],
                "python3 proj/main.py",
            ),
            (
                "python3",
                &["a/main.py", "a/b/main.py"],
                "python3 a/main.py",
            ),
            (
                "python3",
                &["a/__main__.py", "a/b.py"],
                "python3 a/__main__.py",
            ),
            ("python3", &["a/tool.py", "a/data.csv"], "python3 a/tool.py"),
            (
                "nodejs",
                &["app/index.js", "app/lib.js"],
                "node app/index.js",
            ),
            ("ruby", &["x/y/only.rb"], "ruby x/y/only.rb"),
        ] {
            assert_eq!(find(lang, files), Program::Command(command.to_owned()));
        }
        let several = find("python3", &["a/main.py", "b/main.py"]);
        assert!(matches!(several, Program::Unclear(_)), "{several:?}");
    }

    #[test]
    fn arguments_follow_the_command() {
        let files = |names: &[&str]| -> Vec<_> {
            let file = |name: &&str| UploadFile::from_bytes(*name, Vec::new()).unwrap();
            names.iter().map(file).collect()
        };
        for (lang, names, command) in [
            (
                "python3",
                &["args.py"][..],
                "python3 args.py one 'two  three' '' 'it'\\''s' -x --y=1",
            ),
            (
                "python3",
                &["main.py", "b.py"],
                "python3 main.py one 'two  three' '' 'it'\\''s' -x --y=1",
            ),
            (
                "c",
                &["a.c"],
                "./main one 'two  three' '' 'it'\\''s' -x --y=1",
            ),
            (
                "rust",
                &["Cargo.toml", "src/main.rs"],
                "cargo run --quiet -- one 'two  three' '' 'it'\\''s' -x --y=1",
            ),
            (
                "java",
                &["Hello.java"],
                "java Hello one 'two  three' '' 'it'\\''s' -x --y=1",
            ),
            (
                "java",
                &["jd/Main.java", "jd/Other.java"],
                "java -cp jd Main one 'two  three' '' 'it'\\''s' -x --y=1",
            ),
            (
                "r",
                &["greet.R"],
                "R --no-echo --no-save --no-restore -f greet.R --args one 'two  three' '' 'it'\\''s' -x --y=1",
            ),
        ] {
            let arguments = ["one", "two  three", "", "it's", "-x", "--y=1"].map(str::to_owned);
            let files = files(names);
            let program = find(lang, names);
            let program = program.with_arguments(lang, &arguments, &files);
            assert_eq!(program.ok(), Some(Program::Command(command.to_owned())));
        }
        let cobol = files(&["a.cob"]);
        let unknown = Program::Default.with_arguments("cobol", &["x".to_owned()], &cobol);
        assert!(unknown.is_err());
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

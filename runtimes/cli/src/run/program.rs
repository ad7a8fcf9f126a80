//! Which of the files is the program.
//!
//! A kernel runs `main.py` or the like, whatever files were sent. For languages whose interpreter is
//! known, one file alone is the program under any name; of several the user must say which.

use std::path::PathBuf;

use sorna::core::UploadFile;

/// A language that runs files as they are.
#[derive(Debug)]
struct Interpreter {
    names: &'static [&'static str],
    /// Begins the command that runs a file.
    command: &'static str,
    /// What kernels run.
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
    /// What the kernel does by default.
    Default,
    /// This shell command.
    Command(String),
    /// What the kernel does by default, which is none of the files; with what to say if it fails.
    Unclear(String),
}

impl Program {
    /// The program among these files, which were collected from those arguments.
    pub(super) fn find(lang: &str, arguments: &[PathBuf], files: &[UploadFile]) -> Self {
        let known = INTERPRETERS
            .iter()
            .find(|known| known.names.contains(&lang));
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
                "No file is named {}, which {lang} kernels run. -e {} runs another.",
                self.main,
                quote(&command)
            ))
        })
    }
}

/// As one word of a shell's command line that is no option.
fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_./-+,:@%".contains(c);
    let hyphen = if word.starts_with('-') { "./" } else { "" };
    if !word.is_empty() && word.chars().all(is_plain) {
        format!("{hyphen}{word}")
    } else {
        format!("'{hyphen}{}'", word.replace('\'', r"'\''"))
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
    fn one_file_is_the_program() {
        for (lang, file, command) in [
            ("python3", "hello.py", "python3 hello.py"),
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
    fn the_kernel_s_default_stays_where_it_is_right_or_not_known() {
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
    fn of_several_files_the_user_must_say_which() {
        assert_eq!(
            find("python3", &["data.csv", "a.py", "b.py"]),
            Program::Unclear(
                "No file is named main.py, which python3 kernels run. -e 'python3 a.py' runs another."
                    .to_owned()
            )
        );
    }
}

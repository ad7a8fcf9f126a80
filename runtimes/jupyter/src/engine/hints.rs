//! What is said of cells of Python that fail since they lack IPython.

use crate::traceback::{Failure, Family};

/// Of lines with IPython's own syntax.
const MAGICS: &str = "Lines that begin with `%` (magics) or `!` (commands of the shell) are of IPython, and not there: cells are plain Python. `subprocess.run(\"...\", shell=True)` runs a command.";
/// Of magics without their sign.
const BARE_MAGICS: &str =
    "Magics (`time x`, `who`) are of IPython, and not there: cells are plain Python.";
/// Of commands of the shell without a sign.
const COMMANDS: &str = "Lines that are commands of the shell (`ls`, `cd x`) are of IPython, and not there: cells are plain Python. `subprocess.run(\"...\", shell=True)` runs a command, and `os.chdir(\"...\")` changes the directory.";
/// Of what installs packages.
const PACKAGES: &str = "Lines that install packages are of IPython, and not there. Install packages outside, into a virtual environment, and name that: `sorna jupyter install --local --venv DIR python3`, and on a gateway `sorna serve --venv DIR`.";
/// Of its shell.
const SHELL: &str = "`get_ipython` and the shell that it returns are of IPython, and not there: cells are plain Python.";
/// Of lines that ask for help.
const HELP: &str = "Lines with `?` among others are of IPython, and not there: `name?` shows help where it is all of a cell.";
/// If IPython itself is missing.
const NO_IPYTHON: &str = "IPython is not installed for the Python that runs the cells, which is not that of Jupyter: run `pip install ipython` for it, or name a virtual environment that has it (`sorna jupyter install --local --venv DIR python3`; on a gateway, `sorna serve --venv DIR`). `display`, `update_display` and tables of pandas work without it.";

const INSTALLERS: [&str; 7] = ["pip", "pip3", "conda", "mamba", "uv", "python", "python3"];
const PROGRAMS: [&str; 29] = [
    "apt",
    "apt-get",
    "cat",
    "cd",
    "chmod",
    "cp",
    "curl",
    "df",
    "du",
    "echo",
    "find",
    "git",
    "grep",
    "head",
    "less",
    "ll",
    "ls",
    "man",
    "mkdir",
    "more",
    "mv",
    "nvidia-smi",
    "pwd",
    "rm",
    "rmdir",
    "tail",
    "touch",
    "wget",
    "which",
];
const NAMES_OF_MAGICS: [&str; 12] = [
    "autoreload",
    "history",
    "load_ext",
    "matplotlib",
    "prun",
    "pylab",
    "reset",
    "run",
    "time",
    "timeit",
    "who",
    "whos",
];
/// Words after a name in Python.
const WORDS: [&str; 8] = ["and", "as", "else", "for", "if", "in", "is", "or"];

/// What a cell lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hint<'c> {
    pub(super) text: &'static str,
    /// It is none if the user has defined this name.
    pub(super) unless: Option<&'c str>,
}

/// What to say of a cell that has failed.
pub(super) fn of<'c>(family: Family, code: &'c str, failure: &Failure) -> Option<Hint<'c>> {
    if family != Family::Python {
        return None;
    }
    let always = |text| Some(Hint { text, unless: None });
    match &*failure.name {
        "ModuleNotFoundError" if failure.value.starts_with("No module named 'IPython") => {
            always(NO_IPYTHON)
        }
        "NameError" => {
            let name = failure.value.strip_prefix("name '")?.split('\'').next()?;
            if name == "get_ipython" {
                return always(SHELL);
            }
            // It has been looked for: it is no one's.
            always(
                code.lines()
                    .find_map(|line| bare(line).filter(|it| it.0 == name))?
                    .1,
            )
        }
        "SyntaxError" | "IndentationError" => {
            if code.lines().any(has_magic) {
                let plain = code
                    .lines()
                    .map(|line| line.trim_start_matches([' ', '\t', '%', '!']));
                let mut installs = plain.filter_map(bare).filter(|it| it.1 == PACKAGES);
                return always(installs.next().map_or(MAGICS, |(_, text)| text));
            }
            let number = wrong_line(failure)?;
            let line = code.lines().nth(number.checked_sub(1)?)?;
            if let Some((name, text)) = bare(line) {
                let others = code.lines().enumerate();
                let mut others =
                    others.filter(|(at, other)| at + 1 != number && bare(other).is_none());
                let is_used = others.any(|(_, other)| has_word(other, name));
                return (!is_used).then_some(Hint {
                    text,
                    unless: Some(name),
                });
            }
            let line = line.trim();
            let asked = line.trim_matches('?');
            let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
            let asks = asked.len() < line.len() && !asked.is_empty() && asked.chars().all(is_name);
            if asks { always(HELP) } else { None }
        }
        _ => None,
    }
}

/// Whether a line has a magic or a command of IPython: `%time x`, `!ls`, or `a = !ls`.
fn has_magic(line: &str) -> bool {
    let is_one = |code: &str| {
        let code = code.trim_start();
        let name = code.trim_start_matches('%');
        code.starts_with('!') || name.len() < code.len() && name.starts_with(char::is_alphabetic)
    };
    let is_target = |c: char| c.is_alphanumeric() || "_.,[]'\"* \t".contains(c);
    let assigned = line.split_once('=');
    is_one(line) || assigned.is_some_and(|(to, it)| to.chars().all(is_target) && is_one(it))
}

/// The first word of a line that is a command of the shell or a magic without its sign, and what to say of it.
fn bare(line: &str) -> Option<(&str, &'static str)> {
    let line = line.trim();
    let (name, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let rest = rest.trim_start();
    let text = if INSTALLERS.contains(&name) {
        let is_pip = !name.starts_with("python") || rest.starts_with("-m pip");
        if is_pip { PACKAGES } else { COMMANDS }
    } else if PROGRAMS.contains(&name) {
        COMMANDS
    } else if NAMES_OF_MAGICS.contains(&name) {
        BARE_MAGICS
    } else {
        return None;
    };
    let mut start = rest.chars();
    let first = start.next();
    let is_operator = start
        .next()
        .is_none_or(|c| matches!(c, ' ' | '=' | '*' | '/'));
    let is_argument = match first {
        None => true,
        Some('-' | '/' | '*' | '.') if rest != ".." => !is_operator || rest == ".",
        Some('~' | '.' | '$' | '"' | '\'' | '_') => true,
        Some(c) => c.is_alphanumeric(),
    };
    let word = rest.split(|c: char| !c.is_alphanumeric()).next();
    let is_code = word.is_some_and(|word| WORDS.contains(&word)) || rest.starts_with("not in ");
    (is_argument && !is_code).then_some((name, text))
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.split(|c| !is_part(c)).any(|it| it == word)
}

/// The number of the line that the compiler has found wrong.
fn wrong_line(failure: &Failure) -> Option<usize> {
    let is_place = |line: &&String| line.starts_with("  File \"");
    let place = failure.traceback.iter().rev().find(is_place)?;
    place.rsplit_once("line ")?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_wrong(code: &str, line: usize) -> Option<Hint<'_>> {
        let mut failure = Failure::new("SyntaxError", "invalid syntax");
        failure
            .traceback
            .insert(0, format!("  File \"<input-1>\", line {line}"));
        of(Family::Python, code, &failure)
    }

    fn of_name<'c>(code: &'c str, name: &str) -> Option<Hint<'c>> {
        let value = format!("name '{name}' is not defined");
        of(Family::Python, code, &Failure::new("NameError", value))
    }

    #[test]
    fn what_is_of_ipython_is_told_from_code() {
        for (code, text) in [
            ("pip install foo", PACKAGES),
            ("python -m pip install foo", PACKAGES),
            ("!pip install foo", PACKAGES),
            ("%pip install foo", PACKAGES),
            ("%time 1", MAGICS),
            ("cd x", COMMANDS),
            ("cd ..", COMMANDS),
            ("ls *.py", COMMANDS),
            ("cat 'a b'", COMMANDS),
            ("time f()", BARE_MAGICS),
            ("matplotlib inline", BARE_MAGICS),
            ("print??", HELP),
        ] {
            assert_eq!(of_wrong(code, 1).map(|it| it.text), Some(text), "{code}");
        }
        for code in [
            "a b",
            "cat in x y",
            "ls = = 1",
            "time.sleep(1",
            "cd(x y)",
            "x ? y",
            "ls / 2 y",
        ] {
            assert_eq!(of_wrong(code, 1), None, "{code}");
        }
        // Elsewhere in the cell.
        assert_eq!(of_wrong("'''\ncd x\n'''\na b", 4), None);
        assert_eq!(of_wrong("cat = 1\ncat x", 2), None);
        assert_eq!(of_wrong("x = 1\ncd x\ncd y", 2).unwrap().unless, Some("cd"));
        for (code, name) in [
            ("ls", "ls"),
            ("x = 1\nls -la", "ls"),
            ("ls /tmp", "ls"),
            ("whos", "whos"),
        ] {
            assert!(of_name(code, name).is_some(), "{code}");
        }
        assert_eq!(
            of_name("get_ipython().magic('x')", "get_ipython")
                .unwrap()
                .text,
            SHELL
        );
        for (code, name) in [
            ("ls", "x"),
            ("ls - x", "ls"),
            ("y = ls", "ls"),
            ("ls + 1", "ls"),
            ("ls()", "ls"),
            ("ls in x", "ls"),
        ] {
            assert_eq!(of_name(code, name), None, "{code}");
        }
        assert_eq!(
            of(
                Family::R,
                "ls",
                &Failure::new("NameError", "name 'ls' is not defined")
            ),
            None
        );
    }
}

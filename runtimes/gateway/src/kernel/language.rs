//! What the gateway can run, as a table.

mod runner;
mod table;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

pub(crate) use self::runner::Runner;
use self::table::LANGUAGES;
use super::home::Home;
use super::launch::{Arguments, Launcher};

/// A language of the table.
#[derive(Debug)]
pub(crate) struct Language {
    /// Its name.
    pub(crate) name: &'static str,
    /// Other names. A kernel reports the name it was created under.
    pub(crate) aliases: &'static [&'static str],
    /// The programs of which it needs the first that is there.
    pub(crate) tools: &'static [&'static str],
    /// How it answers queries.
    pub(crate) query: Query,
    /// The default build, `"*"`, a shell command; see [`Installed::default_command`] for what it
    /// may hold. Empty: none.
    pub(crate) build: &'static str,
    /// The default program, `"*"`.
    pub(crate) exec: &'static str,
    /// What runs in the terminal; `{tool}` stands for the tool.
    pub(crate) shell: &'static [&'static str],
}

/// How a language answers queries.
#[derive(Debug)]
pub(crate) enum Query {
    /// One interpreter runs all snippets; what they define stays.
    Interpreter(Runner),
    /// Every snippet is a program of its own; nothing stays but files. The commands may hold what
    /// [`Installed::command`] knows.
    Program {
        /// The name of the source file.
        source: &'static str,
        /// Makes a whole program of a part.
        wrap: Option<fn(&str) -> String>,
        /// Compiles it, beside the source. Empty: nothing to do.
        build: &'static [&'static str],
        /// Runs it, in the work directory.
        run: &'static [&'static str],
    },
}

/// Why a language cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// There is no language of that name.
    Unknown,
    /// None of its tools is on this machine.
    ToolMissing(&'static [&'static str]),
}

/// A language with its tool.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    pub(crate) language: &'static Language,
    /// The tool's name.
    pub(crate) tool: &'static str,
    /// Where the tool is.
    pub(crate) program: PathBuf,
}

/// The languages of this machine. Tools are looked for when first asked about.
#[derive(Debug)]
pub(crate) struct Languages {
    found: Vec<OnceLock<Result<Installed, Unavailable>>>,
}

impl Languages {
    pub(crate) fn new() -> Self {
        Self {
            found: LANGUAGES.iter().map(|_| OnceLock::new()).collect(),
        }
    }

    /// Finds a language by its name or an alias. May start a program and blocks the first time.
    pub(crate) fn find(&self, name: &str, launcher: &Launcher) -> Result<Installed, Unavailable> {
        let index = LANGUAGES
            .iter()
            .position(|language| language.name == name || language.aliases.contains(&name))
            .ok_or(Unavailable::Unknown)?;
        self.found[index]
            .get_or_init(|| LANGUAGES[index].locate(launcher))
            .clone()
    }
}

impl Language {
    fn locate(&'static self, launcher: &Launcher) -> Result<Installed, Unavailable> {
        let (tool, program) = self
            .tools
            .iter()
            .find_map(|tool| Some((*tool, launcher.find(tool)?)))
            .ok_or(Unavailable::ToolMissing(self.tools))?;
        // What a tool is in truth is known by itself only.
        let program = match tool {
            "python3" | "python" => python_itself(&program),
            "rustc" => rustc_itself(&program),
            _ => None,
        }
        .unwrap_or(program);
        Ok(Installed {
            language: self,
            tool,
            program,
        })
    }
}

/// The interpreter behind a launcher such as a pyenv shim, which would cost time at every start.
fn python_itself(program: &Path) -> Option<PathBuf> {
    let code = "import sys; sys.stdout.write(sys.executable)";
    let path = PathBuf::from(ask(program, &["-I", "-c", code])?);
    path.is_file().then_some(path)
}

/// The compiler behind a rustup proxy, which finds none where `HOME` is another.
fn rustc_itself(program: &Path) -> Option<PathBuf> {
    let root = ask(program, &["--print", "sysroot"])?;
    let path = Path::new(root.trim_end()).join("bin/rustc");
    path.is_file().then_some(path)
}

/// What a program says.
fn ask(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

impl Installed {
    /// The default build or program as a shell command; `None` if there is none. `{tool}` becomes
    /// the tool's name, `{program}` its full path, and `{bin}` the directory it is in.
    pub(crate) fn default_command(&self, template: &str) -> Option<String> {
        let quoted = |path: &Path| format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"));
        (!template.is_empty()).then(|| {
            template
                .replace("{tool}", self.tool)
                .replace("{program}", &quoted(&self.program))
                .replace("{bin}", &quoted(self.bin()))
        })
    }

    /// The command of the terminal.
    pub(crate) fn shell(&self) -> Arguments {
        let word = |word: &&str| match *word {
            "{tool}" => self.program.clone().into(),
            word => word.into(),
        };
        self.language.shell.iter().map(word).collect()
    }

    /// A command of a [`Query::Program`]. In each word, one of these becomes a path: `{program}`,
    /// the tool; `{bin}`, the directory it is in; `{work}` and `{snippet}`, those of the kernel.
    pub(crate) fn command(&self, words: &[&str], home: &Home) -> Arguments {
        let places = [
            ("{program}", self.program.clone()),
            ("{bin}", self.bin().to_owned()),
            ("{work}", home.work()),
            ("{snippet}", home.snippet()),
        ];
        let fill = |word: &&str| {
            places
                .iter()
                .find_map(|(name, path)| Some((word.split_once(name)?, path)))
                .map_or_else(
                    || word.into(),
                    |((before, after), path)| {
                        let mut filled = OsString::from(before);
                        filled.push(path);
                        filled.push(after);
                        filled
                    },
                )
        };
        words.iter().map(fill).collect()
    }

    /// Where the tool is, with what belongs to it.
    fn bin(&self) -> &Path {
        self.program.parent().unwrap_or(Path::new("/"))
    }
}

/// The names of all languages, for people.
pub(crate) fn names() -> String {
    LANGUAGES
        .iter()
        .map(|language| language.name)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_name_is_used_twice() {
        let mut names = HashSet::new();
        for language in LANGUAGES {
            for name in std::iter::once(&language.name).chain(language.aliases) {
                assert!(names.insert(*name), "{name}");
            }
        }
    }

    #[test]
    fn unknown_languages_are_told_from_missing_tools() {
        let launcher = Launcher::new();
        let languages = Languages::new();
        let refusal = languages.find("klingon", &launcher).map(|found| found.tool);
        assert_eq!(refusal, Err(Unavailable::Unknown));
        static MISSING: Language = Language {
            name: "x",
            aliases: &[],
            tools: &["no-such-tool-anywhere"],
            query: Query::Interpreter(Runner::Bash),
            build: "",
            exec: "",
            shell: &[],
        };
        let refusal = MISSING.locate(&launcher).map(|found| found.tool);
        assert_eq!(refusal, Err(Unavailable::ToolMissing(MISSING.tools)));
    }

    #[test]
    fn commands_are_filled_in() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::create(directory.path().join("home")).unwrap();
        let installed = Installed {
            language: &LANGUAGES[0],
            tool: "tool",
            program: PathBuf::from("/it's/tool"),
        };
        let words = installed.command(&["{program}", "-I{work}", "{snippet}/main", "-x"], &home);
        let expected: [OsString; 4] = [
            "/it's/tool".into(),
            format!("-I{}", home.work().display()).into(),
            home.snippet().join("main").into(),
            "-x".into(),
        ];
        assert_eq!(words, expected);
        let command = installed.default_command("{tool} {program} {bin}:*.{a,b}");
        let expected = r"tool '/it'\''s/tool' '/it'\''s':*.{a,b}";
        assert_eq!(command.as_deref(), Some(expected));
        assert_eq!(installed.default_command(""), None);
    }
}

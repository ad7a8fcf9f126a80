//! What the gateway can run, as a table.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::frame::Speech;
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
    /// The default build, `"*"`; `{tool}` stands for the tool's name. Empty: none.
    pub(crate) build: &'static str,
    /// The default program, `"*"`.
    pub(crate) exec: &'static str,
    /// What runs in the terminal; `{tool}` stands for the tool.
    pub(crate) shell: &'static [&'static str],
}

/// The terminal of languages that have no interpreter of their own.
const BASH: &[&str] = &["bash", "--noprofile", "--norc"];

/// How a language answers queries.
#[derive(Debug)]
pub(crate) enum Query {
    /// One interpreter runs all snippets; what they define stays.
    Interpreter(Runner),
    /// Every snippet is a program, compiled and run.
    Program {
        /// The name of the source file.
        source: &'static str,
        /// Arguments of the tool that make `main` of it; run beside the source. `{work}` stands
        /// for the work directory.
        build: &'static [&'static str],
    },
}

/// A program of ours inside an interpreter, which takes snippets from the control channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    Python,
    Bash,
}

/// Every language.
pub(crate) const LANGUAGES: &[Language] = &[
    Language {
        name: "python3",
        aliases: &["python"],
        tools: &["python3", "python"],
        query: Query::Interpreter(Runner::Python),
        build: "",
        exec: "{tool} main.py",
        shell: &["{tool}", "-q"],
    },
    Language {
        name: "bash",
        aliases: &[],
        tools: &["bash"],
        query: Query::Interpreter(Runner::Bash),
        build: "",
        exec: "bash main.sh",
        shell: BASH,
    },
    Language {
        name: "c",
        aliases: &[],
        tools: &["gcc", "cc", "clang"],
        query: Query::Program {
            source: "input.c",
            build: &[
                "-o", "main", "input.c", "-I{work}", "-pthread", "-lm", "-lrt", "-ldl",
            ],
        },
        // `**` takes in directories, but not hidden ones, and follows no symbolic links.
        build: "shopt -s globstar nullglob; {tool} -o ./main **/*.c -pthread -lm -lrt -ldl",
        exec: "./main",
        shell: BASH,
    },
];

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
        let program = match &self.query {
            Query::Interpreter(Runner::Python) => python_itself(&program).unwrap_or(program),
            _ => program,
        };
        Ok(Installed {
            language: self,
            tool,
            program,
        })
    }
}

/// The interpreter behind a launcher such as a pyenv shim, which would cost time at every start.
fn python_itself(program: &Path) -> Option<PathBuf> {
    let output = Command::new(program)
        .args(["-I", "-c", "import sys; sys.stdout.write(sys.executable)"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?);
    (output.status.success() && path.is_file()).then_some(path)
}

impl Installed {
    /// The default build or program as a shell command; `None` if there is none.
    pub(crate) fn default_command(&self, template: &str) -> Option<String> {
        (!template.is_empty()).then(|| template.replace("{tool}", self.tool))
    }

    /// The command of the terminal.
    pub(crate) fn shell(&self) -> Arguments {
        let word = |word: &&str| match *word {
            "{tool}" => self.program.clone().into(),
            word => word.into(),
        };
        self.language.shell.iter().map(word).collect()
    }

    /// The command that compiles a snippet.
    pub(crate) fn compiler(&self, arguments: &[&str], home: &Home) -> Arguments {
        let mut command = vec![self.program.clone().into_os_string()];
        for argument in arguments {
            command.push(match argument.strip_suffix("{work}") {
                Some(before) => {
                    let mut word = OsString::from(before);
                    word.push(home.work());
                    word
                }
                None => argument.into(),
            });
        }
        command
    }
}

impl Runner {
    /// Files that the runner needs, and their contents.
    pub(crate) const FILES: &[(&str, &str)] = &[
        ("python3.py", include_str!("../runners/python3.py")),
        ("bash.bash", include_str!("../runners/bash.bash")),
    ];

    /// The command that starts the interpreter; the files lie in `runners`.
    pub(crate) fn command(self, installed: &Installed, runners: &Path) -> Arguments {
        let program = installed.program.clone().into_os_string();
        match self {
            Self::Python => vec![
                program,
                // Neither the environment nor the user's site directory has a say.
                "-I".into(),
                runners.join("python3.py").into(),
            ],
            Self::Bash => vec![
                program,
                "--norc".into(),
                "--noprofile".into(),
                "-c".into(),
                include_str!("../runners/bash-loop.bash").trim_end().into(),
                "bash".into(),
                runners.join("bash.bash").into(),
            ],
        }
    }

    pub(crate) fn speech(self) -> Speech {
        match self {
            Self::Python => Speech::Json,
            Self::Bash => Speech::Plain,
        }
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
            shell: BASH,
        };
        let refusal = MISSING.locate(&launcher).map(|found| found.tool);
        assert_eq!(refusal, Err(Unavailable::ToolMissing(MISSING.tools)));
    }
}

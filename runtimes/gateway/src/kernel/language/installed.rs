//! A language whose tool is on this machine.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::description::{Language, Query};
use super::runner::Runner;
use super::tree::around;
use super::unavailable::Unavailable;
use crate::kernel::home::Home;
use crate::kernel::launch::{Arguments, Launcher};

/// A language with its tool.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    pub(crate) language: Arc<Language>,
    /// The tool's name.
    pub(crate) tool: String,
    /// Where the tool is.
    pub(crate) program: PathBuf,
    /// Whether the first one on the `PATH` is a launcher that starts this one.
    is_found_elsewhere: bool,
}

impl Installed {
    /// Finds the tool. May start it, and blocks.
    pub(super) fn locate(
        language: &Arc<Language>,
        launcher: &Launcher,
    ) -> Result<Self, Unavailable> {
        let (tool, program) = language
            .tool(launcher)
            .ok_or_else(|| Unavailable::ToolMissing(language.tools.clone()))?;
        // The tool may be a launcher, which knows the program behind it.
        let behind = match &language.query {
            Query::Interpreter(Runner::Python) => python_behind(&program),
            _ if tool == "rustc" => rustc_behind(&program),
            _ => None,
        };
        Ok(Self {
            language: Arc::clone(language),
            tool: tool.to_owned(),
            is_found_elsewhere: behind.as_ref().is_some_and(|behind| *behind != program),
            program: behind.unwrap_or(program),
        })
    }

    /// The default build or program as a shell command; `None` if there is none. `{tool}` becomes
    /// the tool's name, `{program}` its full path, and `{bin}` the directory it is in.
    pub(crate) fn default_command(&self, template: &str) -> Option<String> {
        let quoted = |path: &Path| format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"));
        (!template.is_empty()).then(|| {
            template
                .replace("{tool}", &self.tool)
                .replace("{program}", &quoted(&self.program))
                .replace("{bin}", &quoted(self.bin()))
        })
    }

    /// The command of the terminal.
    pub(crate) fn shell(&self, home: &Home) -> Arguments {
        self.command(&self.language.shell, home)
    }

    /// A command of the table. In each word, one of these placeholders is replaced: `{tool}` by the
    /// tool's name, `{program}` by its path, `{bin}` by its directory, `{work}` and `{snippet}` by
    /// those of the kernel.
    pub(crate) fn command(&self, words: &[String], home: &Home) -> Arguments {
        let places = [
            ("{tool}", PathBuf::from(&self.tool)),
            ("{program}", self.program.clone()),
            ("{bin}", self.bin().to_owned()),
            ("{work}", home.work()),
            ("{snippet}", home.snippet()),
        ];
        let fill = |word: &String| {
            let place = places
                .iter()
                .find_map(|(name, path)| Some((word.split_once(name)?, path)));
            let Some(((before, after), path)) = place else {
                return word.into();
            };
            let mut filled = OsString::from(before);
            filled.push(path);
            filled.push(after);
            filled
        };
        words.iter().map(fill).collect()
    }

    /// The `PATH` of the kernel, on which its commands find the tool that its queries use.
    pub(crate) fn path_before(&self, path: &OsStr) -> OsString {
        if !self.is_found_elsewhere {
            return path.to_owned();
        }
        let mut found_first = self.bin().as_os_str().to_owned();
        found_first.push(":");
        found_first.push(path);
        found_first
    }

    /// The directories and files of the tool, and of a custom interpreter.
    pub(crate) fn places(&self) -> Vec<PathBuf> {
        let mut places = around(&self.program);
        if let Query::Interpreter(Runner::Custom(words)) = &self.language.query {
            places.extend(
                words
                    .iter()
                    .map(PathBuf::from)
                    .filter(|it| it.is_absolute()),
            );
        }
        places
    }

    /// Whether each query is written to a file and run as a program.
    pub(crate) fn compiles_snippets(&self) -> bool {
        matches!(self.language.query, Query::Program(_))
    }

    /// Where the tool is.
    fn bin(&self) -> &Path {
        self.program.parent().unwrap_or(Path::new("/"))
    }
}

/// The interpreter behind a launcher such as a pyenv shim, which would slow down every start.
fn python_behind(program: &Path) -> Option<PathBuf> {
    if is_python(program) {
        return Some(program.to_owned());
    }
    let code = "import sys; sys.stdout.write(sys.executable)";
    let path = PathBuf::from(output_of(program, &["-I", "-c", code])?);
    path.is_file().then_some(path)
}

/// Whether this file is an interpreter and not a launcher. Running it to find out takes as long as
/// starting a kernel, so this only checks that it is not a script and that it has its own name:
/// launchers that are not scripts are links to one program.
fn is_python(program: &Path) -> bool {
    let Ok(program) = program.canonicalize() else {
        return false;
    };
    let name = program.file_name().and_then(OsStr::to_str);
    let mut magic = [0; 4];
    let read = File::open(&program).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == *b"\x7fELF" && name.is_some_and(|name| name.starts_with("python"))
}

/// The compiler behind a rustup proxy, which would not find it with another `HOME`.
fn rustc_behind(program: &Path) -> Option<PathBuf> {
    let root = output_of(program, &["--print", "sysroot"])?;
    let path = Path::new(root.trim_end()).join("bin/rustc");
    path.is_file().then_some(path)
}

/// Runs a program and returns its output.
fn output_of(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::super::table::LanguageTable;
    use super::*;

    #[test]
    fn launchers_are_distinguished_from_python() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let link = |name: &str, to: &Path| {
            let path = directory.path().join(name);
            std::os::unix::fs::symlink(to, &path).unwrap();
            path
        };
        let python = file("python3.99", b"\x7fELF and so on");
        assert!(is_python(&python) && is_python(&link("python", &python)));
        let shims = file("shims", b"\x7fELF and so on");
        assert!(!is_python(&link("python3", &shims)));
        assert!(!is_python(&file("python3.1", b"#!/bin/sh")));
        assert!(!is_python(&directory.path().join("python2")));
    }

    #[test]
    fn placeholders_in_commands_are_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::create(directory.path().join("home"), true, None).unwrap();
        let installed = Installed {
            language: Arc::clone(&LanguageTable::built_in().languages()[0]),
            tool: "tool".to_owned(),
            program: PathBuf::from("/it's/tool"),
            is_found_elsewhere: true,
        };
        assert_eq!(installed.path_before(OsStr::new("/x:/y")), "/it's:/x:/y");
        let words = ["{program}", "-I{work}", "{snippet}/main", "-x"].map(str::to_owned);
        let words = installed.command(&words, &home);
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

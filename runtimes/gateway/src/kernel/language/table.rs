//! The table of languages: the built-in ones, and those of a file.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::description::{Language, Query};
use super::program::Program;
use super::runner::Runner;

/// The least memory of a kernel, in bytes: with less, no interpreter starts.
pub(super) const MIN_MEMORY: u64 = 4 << 20;
/// The built-in languages.
const BUILT_IN: &str = include_str!("languages.toml");

/// The languages that a gateway knows, whether or not their tools are installed.
///
/// Others are read from TOML files. Each `[[language]]` has these keys:
///
/// | key | | |
/// |---|---|---|
/// | `name` | required | the name in `lang` of a create request |
/// | `aliases` | | other names for the same |
/// | `tools` | required | programs, of which the first on the `PATH` is used |
/// | `runner`, `interpreter` or `program` | one of them | how queries are run, see below |
/// | `build`, `exec` | | the default commands of a batch, run by bash in the work directory |
/// | `shell` | bash | the program of the terminal, and its arguments |
/// | `least_memory` | 4 | kernels that are to have less are refused, in MiB: below it nothing runs |
///
/// Queries are run in one of three ways:
///
/// - `runner = "python3"`: like the built-in language of that name, with another tool: one of
///   `python3`, `bash`, `perl`, `ruby`, `nodejs`, `lua`, `php` and `r`.
/// - `[language.program]`: every query is a separate program. `source` names the file that it is
///   written to; `build`, if given, compiles it in the file's directory; `run` runs it in the work
///   directory. `wrap = { unless, before, after }` completes a partial program: unless the words of
///   `unless` occur in a query, it is put between `before` and `after`.
/// - `interpreter = ["{program}", "/path/runner.jl"]`: a program that runs one query after another
///   and keeps what they define. Its descriptor 3 is a socket. It sends `+ 0\n` when it has started,
///   and then receives each query as `x <bytes>\n` and the text. While it runs a query it may send
///   `o <bytes>\n`, `e <bytes>\n` or `r <bytes>\n` with text for standard output, for standard
///   error, or a console record as JSON; what it writes to descriptors 1 and 2 is passed on as well.
///   It ends each query with `d <bytes>\n` and the exit status in decimal digits. Its standard
///   input is that of the user's code, and its last argument is the path of that input.
///
/// In commands, `{tool}` stands for the tool's name, `{program}` for its full path, and `{bin}` for
/// the directory it is in; in those of a program also `{work}` and `{snippet}` for the work directory
/// and the one with the source.
///
/// ```
/// # use sorna_gateway::LanguageTable;
/// let table = LanguageTable::built_in().with_toml(r#"
///     [[language]]
///     name = "awk"
///     tools = ["gawk", "mawk", "awk"]
///     exec = "{tool} -f main.awk"
///     [language.program]
///     source = "input.awk"
///     run = ["{program}", "-f", "{snippet}/input.awk"]
/// "#)?;
/// assert!(table.names().any(|name| name == "awk"));
/// # Ok::<(), sorna_gateway::LanguageError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LanguageTable {
    languages: Vec<Arc<Language>>,
}

/// Why a file of languages cannot be used.
#[derive(Debug)]
pub struct LanguageError {
    path: Option<PathBuf>,
    kind: ErrorKind,
}

#[derive(Debug)]
enum ErrorKind {
    Read(std::io::Error),
    /// Not TOML, or not of the form described.
    Form(toml::de::Error),
    /// Of the right form, but contradictory or incomplete.
    Meaning(String),
}

/// A file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    language: Vec<Entry>,
}

/// A language as a file describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    tools: Vec<String>,
    runner: Option<Runner>,
    interpreter: Option<Vec<String>>,
    program: Option<Program>,
    #[serde(default)]
    build: String,
    #[serde(default)]
    exec: String,
    #[serde(default = "bash")]
    shell: Vec<String>,
    #[serde(default)]
    least_memory: u64,
}

/// The default command of terminals.
fn bash() -> Vec<String> {
    ["bash", "--noprofile", "--norc"].map(str::to_owned).into()
}

impl LanguageTable {
    /// The built-in languages.
    ///
    /// # Panics
    ///
    /// Never: the built-in table is well formed.
    #[must_use]
    pub fn built_in() -> Self {
        let none = Self {
            languages: Vec::new(),
        };
        none.with_toml(BUILT_IN)
            .expect("the built-in table is well formed")
    }

    /// Adds the languages of a TOML text. One with the name of another replaces it.
    ///
    /// # Errors
    ///
    /// [`LanguageError`] if the text is not of the form described above, or two languages have the
    /// same name.
    pub fn with_toml(mut self, text: &str) -> Result<Self, LanguageError> {
        let wrong = |kind| LanguageError { path: None, kind };
        let file: File = toml::from_str(text).map_err(|error| wrong(ErrorKind::Form(error)))?;
        for entry in file.language {
            let language = entry
                .check()
                .map_err(|reason| wrong(ErrorKind::Meaning(reason)))?;
            let place = self
                .languages
                .iter()
                .position(|known| known.name == language.name);
            match place {
                Some(place) => self.languages[place] = Arc::new(language),
                None => self.languages.push(Arc::new(language)),
            }
        }
        self.check_names()
            .map_err(|reason| wrong(ErrorKind::Meaning(reason)))?;
        Ok(self)
    }

    /// Adds the languages of a TOML file.
    ///
    /// # Errors
    ///
    /// [`LanguageError`] if the file cannot be read, and as for [`with_toml`](Self::with_toml).
    pub fn with_file(self, path: impl AsRef<Path>) -> Result<Self, LanguageError> {
        let path = path.as_ref();
        let added = match std::fs::read_to_string(path) {
            Ok(text) => self.with_toml(&text),
            Err(error) => Err(LanguageError {
                path: None,
                kind: ErrorKind::Read(error),
            }),
        };
        added.map_err(|error| LanguageError {
            path: Some(path.to_owned()),
            ..error
        })
    }

    /// The names, in the order of the table, without aliases.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.languages.iter().map(|language| language.name.as_str())
    }

    /// The name of the language that has this name or alias; `None` if none has.
    ///
    /// ```
    /// # use sorna_gateway::LanguageTable;
    /// assert_eq!(LanguageTable::built_in().canonical("python"), Some("python3"));
    /// ```
    #[must_use]
    pub fn canonical(&self, name: &str) -> Option<&str> {
        let mut languages = self.languages.iter();
        let found = languages.find(|language| language.all_names().any(|known| known == name));
        found.map(|language| language.name.as_str())
    }

    pub(crate) fn languages(&self) -> &[Arc<Language>] {
        &self.languages
    }

    fn check_names(&self) -> Result<(), String> {
        let mut owners = HashMap::new();
        for language in &self.languages {
            for name in language.all_names() {
                if let Some(other) = owners.insert(name, &language.name) {
                    return Err(format!(
                        "the name {name:?} is used by both {other} and {}",
                        language.name
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Default for LanguageTable {
    fn default() -> Self {
        Self::built_in()
    }
}

impl Entry {
    fn check(self) -> Result<Language, String> {
        let name = &self.name;
        if name.is_empty() || self.aliases.iter().any(String::is_empty) {
            return Err("a language has an empty name".to_owned());
        }
        if self.tools.is_empty() {
            return Err(format!("{name}: `tools` is empty"));
        }
        if self.shell.is_empty() {
            return Err(format!("{name}: `shell` is empty"));
        }
        let query = match (self.runner, self.interpreter, self.program) {
            (Some(runner), None, None) => Query::Interpreter(runner),
            (None, Some(command), None) if !command.is_empty() => {
                Query::Interpreter(Runner::Custom(command))
            }
            (None, None, Some(program)) if !program.run.is_empty() => Query::Program(program),
            (None, Some(_), None) => return Err(format!("{name}: `interpreter` is empty")),
            (None, None, Some(_)) => return Err(format!("{name}: `program.run` is empty")),
            _ => {
                return Err(format!(
                    "{name}: exactly one of `runner`, `interpreter` and `program` is required"
                ));
            }
        };
        if let Query::Program(program) = &query {
            let mut parts = Path::new(&program.source).components();
            let plain = matches!(parts.next(), Some(std::path::Component::Normal(_)));
            if !plain || parts.next().is_some() {
                return Err(format!(
                    "{name}: `source` must be a file name without directories, not {:?}",
                    program.source
                ));
            }
        }
        Ok(Language {
            name: self.name,
            aliases: self.aliases,
            tools: self.tools,
            query,
            build: self.build,
            exec: self.exec,
            shell: self.shell,
            least_memory: self.least_memory.saturating_mul(1 << 20).max(MIN_MEMORY),
        })
    }
}

impl fmt::Display for LanguageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.path, &self.kind) {
            (Some(path), ErrorKind::Read(_)) => {
                write!(f, "cannot read languages from {}", path.display())?;
            }
            (Some(path), _) => write!(f, "invalid languages in {}", path.display())?,
            (None, _) => f.write_str("invalid languages")?,
        }
        match &self.kind {
            ErrorKind::Meaning(reason) => write!(f, ": {reason}"),
            _ => Ok(()),
        }
    }
}

impl StdError for LanguageError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.kind {
            ErrorKind::Read(error) => Some(error),
            ErrorKind::Form(error) => Some(error),
            ErrorKind::Meaning(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn error_of(text: &str) -> String {
        let error = LanguageTable::built_in().with_toml(text).unwrap_err();
        match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        }
    }

    #[test]
    fn a_language_of_the_same_name_replaces_the_first() {
        let text = "[[language]]\nname = \"python3\"\ntools = [\"pypy3\"]\nrunner = \"python3\"";
        let built_in = LanguageTable::built_in();
        let table = built_in.clone().with_toml(text).unwrap();
        assert_eq!(table.languages()[0].tools, ["pypy3"]);
        assert!(table.names().eq(built_in.names()));
    }

    #[test]
    fn malformed_tables_are_explained() {
        let language = "[[language]]\nname = \"x\"\n";
        for (text, part) in [
            ("x = [", "line 1"),
            ("[[language]]\nnam = \"x\"", "unknown field `nam`"),
            (language, "missing field `tools`"),
            (&format!("{language}tools = []"), "`tools` is empty"),
            (
                &format!("{language}tools = [\"x\"]"),
                "exactly one of `runner`, `interpreter` and `program`",
            ),
            (
                &format!("{language}tools = [\"x\"]\nrunner = \"julia\""),
                "unknown variant `julia`",
            ),
            (
                &format!("{language}tools = [\"x\"]\nrunner = \"r\"\naliases = [\"python\"]"),
                "the name \"python\" is used by both python3 and x",
            ),
            (
                &format!(
                    "{language}tools = [\"x\"]\nprogram = {{ source = \"../x\", run = [\"x\"] }}"
                ),
                "a file name without directories, not \"../x\"",
            ),
        ] {
            let error = error_of(text);
            assert!(error.contains(part), "{text}: {error}");
        }
        let error = LanguageTable::built_in().with_file("/no/such/file.toml");
        let error = error.unwrap_err().to_string();
        assert!(error.contains("/no/such/file.toml"), "{error}");
    }
}

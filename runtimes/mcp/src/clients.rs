//! The configuration of agents: where it is, and how a server is added to it.
//!
//! Files are changed as text, so that all else in them stays as it is, and what is not understood is not changed.

mod error;
mod json;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use toml_edit::{Array, DocumentMut, Item, Table, TableLike};

pub use error::EditError;

/// An agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Agent {
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// Cursor.
    Cursor,
    /// Visual Studio Code.
    VsCode,
}

/// A server that an agent starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the configuration.
    pub name: String,
    /// The program.
    pub command: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl Agent {
    /// Its name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Claude => "Claude Code",
            Self::Codex => "Codex",
            Self::Gemini => "Gemini CLI",
            Self::Cursor => "Cursor",
            Self::VsCode => "Visual Studio Code",
        }
    }

    /// Its file: that of a project in this directory, or that of the user, with a function that looks up a variable of the environment.
    /// `None` if the home directory is not known.
    #[must_use]
    pub fn file(
        self,
        project: Option<&Path>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Option<PathBuf> {
        if let Some(project) = project {
            return Some(project.join(match self {
                Self::Claude => ".mcp.json",
                Self::Codex => ".codex/config.toml",
                Self::Gemini => ".gemini/settings.json",
                Self::Cursor => ".cursor/mcp.json",
                Self::VsCode => ".vscode/mcp.json",
            }));
        }
        let set = |name| {
            variable(name)
                .filter(|it| !it.is_empty())
                .map(PathBuf::from)
        };
        let home = |path| Some(set("HOME")?.join(path));
        match self {
            Self::Claude => match set("CLAUDE_CONFIG_DIR") {
                Some(directory) => Some(directory.join(".claude.json")),
                None => home(".claude.json"),
            },
            Self::Codex => match set("CODEX_HOME") {
                Some(directory) => Some(directory.join("config.toml")),
                None => home(".codex/config.toml"),
            },
            Self::Gemini => home(".gemini/settings.json"),
            Self::Cursor => home(".cursor/mcp.json"),
            Self::VsCode if cfg!(target_os = "macos") => {
                home("Library/Application Support/Code/User/mcp.json")
            }
            Self::VsCode => match set("XDG_CONFIG_HOME") {
                Some(directory) => Some(directory.join("Code/User/mcp.json")),
                None => home(".config/Code/User/mcp.json"),
            },
        }
    }

    /// The content of its file with this server, in place of an older entry of it. Line ends and a byte order mark stay.
    ///
    /// # Errors
    ///
    /// See [`EditError`].
    pub fn with(self, old: &str, entry: &Entry) -> Result<String, EditError> {
        let (mark, text) = split_mark(old);
        let lines = text.matches('\n').count();
        if lines == 0 || text.matches("\r\n").count() < lines {
            return Ok(mark.to_owned() + &self.edited(text, entry)?);
        }
        let new = self.edited(&text.replace("\r\n", "\n"), entry)?;
        Ok(mark.to_owned() + &new.replace('\n', "\r\n"))
    }

    /// Whether the content of its file has a server of this name.
    #[must_use]
    pub fn has(self, content: &str, name: &str) -> bool {
        let (_, text) = split_mark(content);
        let Some(table) = self.table() else {
            let document = text.parse::<DocumentMut>();
            return document.is_ok_and(|it| {
                let servers = it.get("mcp_servers").and_then(Item::as_table_like);
                servers.is_some_and(|servers| servers.contains_key(name))
            });
        };
        let document: Value = serde_json::from_str(text).unwrap_or_default();
        document[table].get(name).is_some()
    }

    /// The object of JSON that has its servers; `None` for TOML.
    fn table(self) -> Option<&'static str> {
        match self {
            Self::Codex => None,
            Self::VsCode => Some("servers"),
            _ => Some("mcpServers"),
        }
    }

    fn edited(self, old: &str, entry: &Entry) -> Result<String, EditError> {
        let Some(table) = self.table() else {
            return with_toml(old, entry);
        };
        let mut fields = json!({"command": entry.command, "args": entry.arguments});
        if matches!(self, Self::Claude | Self::VsCode) {
            fields["type"] = "stdio".into();
        }
        json::set(old, &[table, &entry.name], &fields, is_ours)
    }
}

/// The byte order mark at the beginning of a text, if there is one, and the rest.
fn split_mark(text: &str) -> (&str, &str) {
    const MARK: char = '\u{feff}';
    text.split_at(if text.starts_with(MARK) {
        MARK.len_utf8()
    } else {
        0
    })
}

/// Whether an entry is one of this program.
fn is_ours(entry: &Value) -> bool {
    let command = entry["command"].as_str().unwrap_or_default();
    is_our_command(command, entry["args"][0].as_str())
}

fn is_our_command(command: &str, first: Option<&str>) -> bool {
    let name = command.rsplit(['/', '\\']).next().unwrap_or_default();
    matches!(name, "sorna" | "sorna.exe") && first == Some("mcp")
}

fn with_toml(old: &str, entry: &Entry) -> Result<String, EditError> {
    let no_table = |name: &str| EditError::NotUnderstood(format!("`{name}` is no table"));
    let parsed: Result<DocumentMut, _> = old.parse();
    let mut document = parsed.map_err(|error| {
        let text = error.to_string();
        EditError::NotUnderstood(text.lines().next().unwrap_or_default().to_owned())
    })?;
    let mut servers = Table::new();
    servers.set_implicit(true);
    let servers = document
        .entry("mcp_servers")
        .or_insert(Item::Table(servers));
    let servers = servers
        .as_table_like_mut()
        .ok_or_else(|| no_table("mcp_servers"))?;
    let server = servers
        .entry(&entry.name)
        .or_insert_with(|| Item::Table(Table::new()));
    let server = server
        .as_table_like_mut()
        .ok_or_else(|| no_table(&entry.name))?;
    if !server.is_empty() && !is_our_table(server) {
        return Err(EditError::Foreign(entry.name.clone()));
    }
    server.insert("command", toml_edit::value(entry.command.as_str()));
    let arguments: Array = entry.arguments.iter().map(String::as_str).collect();
    server.insert("args", toml_edit::value(arguments));
    Ok(document.to_string())
}

fn is_our_table(server: &dyn TableLike) -> bool {
    let command = server.get("command").and_then(Item::as_str);
    let arguments = server.get("args").and_then(Item::as_array);
    let first = arguments.and_then(|all| all.get(0)?.as_str());
    is_our_command(command.unwrap_or_default(), first)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn entry() -> Entry {
        Entry {
            name: "sorna".to_owned(),
            command: "/usr/bin/sorna".to_owned(),
            arguments: vec!["mcp".to_owned(), "--local".to_owned()],
        }
    }

    #[test]
    fn files_are_where_agents_look_for_them() {
        let home = |name: &str| (name == "HOME").then(|| "/home/me".into());
        let of = |agent: Agent| agent.file(None, home).unwrap().display().to_string();
        assert_eq!(of(Agent::Claude), "/home/me/.claude.json");
        assert_eq!(of(Agent::Codex), "/home/me/.codex/config.toml");
        assert_eq!(of(Agent::Gemini), "/home/me/.gemini/settings.json");
        assert_eq!(Agent::Cursor.file(None, |_| None), None);
        let codex = |name: &str| (name == "CODEX_HOME").then(|| "/c".into());
        assert_eq!(
            Agent::Codex.file(None, codex),
            Some("/c/config.toml".into())
        );
        let project = Agent::VsCode.file(Some(Path::new("/p")), |_| None);
        assert_eq!(project, Some("/p/.vscode/mcp.json".into()));
    }

    #[test]
    fn toml_keeps_all_else() {
        let old = "# mine\nmodel = \"x\" # the best\n\n[mcp_servers.other]\ncommand = \"y\"\n";
        let new = Agent::Codex.with(old, &entry()).unwrap();
        assert_eq!(
            new,
            format!(
                "{old}\n[mcp_servers.sorna]\ncommand = \"/usr/bin/sorna\"\nargs = [\"mcp\", \"--local\"]\n"
            )
        );
        assert_eq!(Agent::Codex.with(&new, &entry()).unwrap(), new);
        let kept = new.replace("args", "tool_timeout_sec = 90\nargs");
        assert_eq!(Agent::Codex.with(&kept, &entry()).unwrap(), kept);
        let foreign = "[mcp_servers.sorna]\ncommand = \"z\"\n";
        assert_eq!(
            Agent::Codex.with(foreign, &entry()),
            Err(EditError::Foreign("sorna".to_owned()))
        );
        for strange in ["mcp_servers = 1", "[", "[mcp_servers]\nsorna = 2"] {
            let error = Agent::Codex.with(strange, &entry()).unwrap_err();
            assert!(matches!(error, EditError::NotUnderstood(_)), "{error}");
        }
    }

    #[test]
    fn line_ends_and_marks_stay() {
        for (agent, old) in [
            (Agent::Claude, "{\"a\": {\n  \"b\": 1\n}}\n"),
            (Agent::Codex, "# mine\n[a]\nb = 1\n"),
        ] {
            let expected = agent.with(old, &entry()).unwrap();
            let crlf = |text: &str| text.replace('\n', "\r\n");
            assert_eq!(agent.with(&crlf(old), &entry()).unwrap(), crlf(&expected));
            let marked = format!("\u{feff}{}", crlf(old));
            let new = agent.with(&marked, &entry()).unwrap();
            assert_eq!(new, format!("\u{feff}{}", crlf(&expected)));
            assert!(agent.has(&new, "sorna") && !agent.has(&marked, "sorna"));
            assert_eq!(agent.with(&new, &entry()).unwrap(), new);
        }
        let empty = Agent::Claude.with("\u{feff}", &entry()).unwrap();
        assert!(empty.starts_with("\u{feff}{\n"), "{empty}");
        assert!(!Agent::Claude.has("no JSON", "sorna"));
    }

    #[test]
    fn json_is_what_each_agent_reads() {
        let of = |agent: Agent| -> Value {
            serde_json::from_str(&agent.with("", &entry()).unwrap()).unwrap()
        };
        assert_eq!(
            of(Agent::Cursor),
            json!({"mcpServers": {"sorna": {"command": "/usr/bin/sorna", "args": ["mcp", "--local"]}}})
        );
        assert_eq!(of(Agent::VsCode)["servers"]["sorna"]["type"], "stdio");
        assert_eq!(of(Agent::Claude)["mcpServers"]["sorna"]["type"], "stdio");
    }
}

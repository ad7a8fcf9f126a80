//! The languages that the gateway runs.

mod description;
mod installed;
mod program;
mod reference;
mod runner;
mod table;
mod tree;
mod unavailable;

use std::sync::{Arc, OnceLock};

use sorna_core::LanguageInfo;

pub(crate) use self::description::{Language, Query};
pub(crate) use self::installed::Installed;
pub(crate) use self::reference::excerpt;
use self::reference::names_in;
pub(crate) use self::runner::Runner;
pub use self::table::{LanguageError, LanguageTable};
pub(crate) use self::tree::is_personal;
pub(crate) use self::unavailable::Unavailable;
use super::launch::Launcher;

/// The languages of this machine. A tool is searched for when its language is first needed, and again
/// until it is found.
#[derive(Debug)]
pub(crate) struct Languages {
    known: Vec<(Arc<Language>, OnceLock<Installed>)>,
}

impl Languages {
    pub(crate) fn new(table: &LanguageTable) -> Self {
        let known = table.languages().iter();
        Self {
            known: known
                .map(|language| (Arc::clone(language), OnceLock::new()))
                .collect(),
        }
    }

    /// The name of the language that has this name or alias, or that this image stands for.
    pub(crate) fn canonical(&self, image: &str) -> Option<&str> {
        let (language, _) = self.known_as(image)?;
        Some(&language.name)
    }

    /// The memory below which kernels of a language are of no use, in bytes.
    pub(crate) fn least_memory(&self, image: &str) -> u64 {
        let known = self.known_as(image);
        known.map_or(table::MIN_MEMORY, |(language, _)| language.least_memory)
    }

    /// Whether its kernels send values of expressions to clients that ask for them.
    pub(crate) fn echoes(&self, image: &str) -> bool {
        let language = self.known_as(image).map(|(language, _)| &language.query);
        matches!(language, Some(Query::Interpreter(runner)) if runner.echoes())
    }

    /// Finds a language by its name, an alias or an image. May start a program and blocks the first time.
    pub(crate) fn find(&self, image: &str, launcher: &Launcher) -> Result<Installed, Unavailable> {
        let (language, found) = self.known_as(image).ok_or(Unavailable::Unknown)?;
        if let Some(installed) = found.get() {
            return Ok(installed.clone());
        }
        let installed = Installed::locate(language, launcher)?;
        Ok(found.get_or_init(|| installed).clone())
    }

    fn known_as(&self, image: &str) -> Option<&(Arc<Language>, OnceLock<Installed>)> {
        let has = |name| {
            let mut languages = self.known.iter();
            languages.find(|(language, _)| language.all_names().any(|known| known == name))
        };
        names_in(image).find_map(has)
    }

    /// All of them, and whether their tools are installed.
    pub(crate) fn list(&self, launcher: &Launcher) -> Vec<LanguageInfo> {
        let describe = |(language, _): &(Arc<Language>, _)| {
            let mut info = LanguageInfo::new(language.name.clone());
            info.aliases = language.aliases.clone();
            info.keeps_state = matches!(language.query, Query::Interpreter(_));
            info.available = language.tool(launcher).is_some();
            info.missing = (!info.available).then(|| language.tools.join(" or "));
            info
        };
        self.known.iter().map(describe).collect()
    }

    /// The names, for messages.
    pub(crate) fn names(&self) -> String {
        let names = self.known.iter();
        names
            .map(|(language, _)| language.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn unknown_languages_and_missing_tools_are_different_errors() {
        let launcher = Launcher::new(None);
        let text = "[[language]]\nname = \"x\"\naliases = [\"y\"]\nrunner = \"bash\"\n\
            tools = [\"no-such-tool-anywhere\"]";
        let table = LanguageTable::built_in().with_toml(text).unwrap();
        let languages = Languages::new(&table);
        let found = languages.find("klingon", &launcher).map(|found| found.tool);
        assert_eq!(found, Err(Unavailable::Unknown));
        let found = languages.find("y", &launcher).map(|found| found.tool);
        let tools = vec!["no-such-tool-anywhere".to_owned()];
        assert_eq!(found, Err(Unavailable::ToolMissing(tools)));
        let list = languages.list(&launcher);
        let last = list.last().unwrap();
        assert_eq!((last.name.as_str(), last.available), ("x", false));
        assert_eq!(last.missing.as_deref(), Some("no-such-tool-anywhere"));
        assert!(
            list.iter()
                .any(|language| language.name == "bash" && language.available)
        );
    }
}

//! What a kernel is, as clients ask for it before anything else.

use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use crate::language::Language;
use crate::message::PROTOCOL;

/// What `kernel_info_request` asks for.
#[derive(Clone)]
pub(super) struct Info {
    content: Value,
    /// That of the language, once its interpreter has said it.
    version: Arc<OnceLock<String>>,
}

impl Info {
    pub(super) fn of(language: &Language) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let title = language.title();
        let content = json!({
            "status": "ok",
            "protocol_version": PROTOCOL,
            "implementation": "sorna",
            "implementation_version": version,
            "language_info": language.info(),
            "banner": format!("Sorna {version}: {title}"),
            "help_links": [],
            "debugger": false,
            "supported_features": [],
        });
        Self {
            content,
            version: Arc::default(),
        }
    }

    pub(super) fn has_version(&self) -> bool {
        self.version.get().is_some()
    }

    /// Notes the version of the language.
    pub(super) fn set_version(&self, version: &str) {
        let _ = self.version.set(version.to_owned());
    }

    /// The content of a reply.
    pub(super) fn reply(&self) -> Value {
        let mut content = self.content.clone();
        if let Some(version) = self.version.get() {
            content["language_info"]["version"] = json!(version);
        }
        content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_known_to_all_once_it_is_known() {
        let info = Info::of(&Language::of("bash"));
        let other = info.clone();
        assert_eq!(other.reply()["language_info"]["version"], "");
        info.set_version("5.2.15");
        assert!(other.has_version());
        assert_eq!(other.reply()["language_info"]["version"], "5.2.15");
    }
}

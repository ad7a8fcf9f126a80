//! What is known of languages, by the names that gateways have for them.

use serde_json::{Value, json};

use crate::traceback::Family;

/// A language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Language {
    /// What the gateway calls it: a name such as `python3`, or the reference of an image.
    pub name: String,
    facts: &'static Facts,
}

/// What clients are told.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    /// What gateways call it, or the beginning of that, in lower case.
    names: &'static [&'static str],
    /// What Jupyter's clients call it.
    name: &'static str,
    /// For people.
    title: &'static str,
    /// The letters of its logo, and its color.
    logo: (&'static str, &'static str),
    media_type: &'static str,
    extension: &'static str,
    /// The modes of Pygments and CodeMirror.
    lexer: &'static str,
    mode: &'static str,
    family: Family,
}

const OTHER: Facts = Facts {
    names: &[],
    name: "text",
    title: "",
    logo: ("S", "#5a5a5a"),
    media_type: "text/plain",
    extension: ".txt",
    lexer: "text",
    mode: "null",
    family: Family::Other,
};

const ALL: &[Facts] = &[
    Facts {
        names: &["python", "pypy"],
        name: "python",
        title: "Python",
        logo: ("Py", "#2f6594"),
        media_type: "text/x-python",
        extension: ".py",
        lexer: "ipython3",
        mode: "python",
        family: Family::Python,
    },
    Facts {
        names: &["bash", "sh"],
        name: "bash",
        title: "Bash",
        logo: ("$_", "#3a4a3a"),
        media_type: "text/x-sh",
        extension: ".sh",
        lexer: "bash",
        mode: "shell",
        family: Family::Other,
    },
    Facts {
        names: &["nodejs", "node", "javascript"],
        name: "javascript",
        title: "JavaScript (Node.js)",
        logo: ("JS", "#7a6a10"),
        media_type: "text/javascript",
        extension: ".js",
        lexer: "javascript",
        mode: "javascript",
        family: Family::Node,
    },
    Facts {
        names: &["ruby"],
        name: "ruby",
        title: "Ruby",
        logo: ("Rb", "#9b1c14"),
        media_type: "text/x-ruby",
        extension: ".rb",
        lexer: "ruby",
        mode: "ruby",
        family: Family::Ruby,
    },
    Facts {
        names: &["rust", "rs"],
        name: "rust",
        title: "Rust",
        logo: ("Rs", "#8a4b2a"),
        media_type: "text/x-rust",
        extension: ".rs",
        lexer: "rust",
        mode: "rust",
        family: Family::Other,
    },
    Facts {
        names: &["r"],
        name: "R",
        title: "R",
        logo: ("R", "#3d5f9f"),
        media_type: "text/x-r-source",
        extension: ".r",
        lexer: "r",
        mode: "r",
        family: Family::R,
    },
    Facts {
        names: &["cpp", "c++", "g++"],
        name: "c++",
        title: "C++",
        logo: ("C++", "#00457c"),
        media_type: "text/x-c++src",
        extension: ".cpp",
        lexer: "cpp",
        mode: "text/x-c++src",
        family: Family::Other,
    },
    Facts {
        names: &["c", "gcc", "clang"],
        name: "c",
        title: "C",
        logo: ("C", "#44546a"),
        media_type: "text/x-csrc",
        extension: ".c",
        lexer: "c",
        mode: "text/x-csrc",
        family: Family::Other,
    },
    Facts {
        names: &["go", "golang"],
        name: "go",
        title: "Go",
        logo: ("Go", "#00708f"),
        media_type: "text/x-go",
        extension: ".go",
        lexer: "go",
        mode: "go",
        family: Family::Other,
    },
    Facts {
        names: &["java", "jdk", "openjdk"],
        name: "java",
        title: "Java",
        logo: ("Jv", "#8f4e00"),
        media_type: "text/x-java",
        extension: ".java",
        lexer: "java",
        mode: "text/x-java",
        family: Family::Other,
    },
    Facts {
        names: &["perl"],
        name: "perl",
        title: "Perl",
        logo: ("Pl", "#39457e"),
        media_type: "text/x-perl",
        extension: ".pl",
        lexer: "perl",
        mode: "perl",
        family: Family::Other,
    },
    Facts {
        names: &["php"],
        name: "php",
        title: "PHP",
        logo: ("Ph", "#4f5b93"),
        media_type: "text/x-php",
        extension: ".php",
        lexer: "php",
        mode: "php",
        family: Family::Other,
    },
    Facts {
        names: &["lua"],
        name: "lua",
        title: "Lua",
        logo: ("Lu", "#00007d"),
        media_type: "text/x-lua",
        extension: ".lua",
        lexer: "lua",
        mode: "lua",
        family: Family::Other,
    },
];

impl Language {
    /// What is known of the language with this name, or in this image.
    #[must_use]
    pub fn of(name: &str) -> Self {
        // As in `cr.backend.ai/stable/python:3.9-ubuntu20.04`.
        let image = name.rsplit('/').next().unwrap_or(name);
        let image = image.split([':', '@']).next().unwrap_or(image);
        let image = image.to_ascii_lowercase();
        let letters =
            image.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
        let is = |facts: &&Facts| facts.names.contains(&letters);
        let starts = |facts: &&Facts| {
            let long = facts.names.iter().filter(|it| it.len() > 2);
            long.into_iter()
                .any(|it| letters.starts_with(it) || letters.ends_with(it))
        };
        let facts = ALL.iter().find(is).or_else(|| ALL.iter().find(starts));
        Self {
            name: name.to_owned(),
            facts: facts.unwrap_or(&OTHER),
        }
    }

    /// What writes its tracebacks.
    #[must_use]
    pub fn family(&self) -> Family {
        self.facts.family
    }

    /// What Jupyter's clients call it.
    #[must_use]
    pub fn id(&self) -> &'static str {
        self.facts.name
    }

    /// Its name for people.
    #[must_use]
    pub fn title(&self) -> &str {
        match self.facts.title {
            "" => &self.name,
            title => title,
        }
    }

    /// The `language_info` of a reply to `kernel_info_request`.
    #[must_use]
    pub fn info(&self) -> Value {
        let facts = self.facts;
        // The gateway does not say which release it is.
        let digits: String = self
            .name
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .collect();
        let version = digits
            .split(|c: char| !c.is_ascii_digit() && c != '.')
            .next();
        let mut info = json!({
            "name": facts.name,
            "version": version.unwrap_or_default(),
            "mimetype": facts.media_type,
            "file_extension": facts.extension,
            "pygments_lexer": facts.lexer,
            "codemirror_mode": facts.mode,
            "nbconvert_exporter": if facts.name == "python" { "python" } else { "script" },
        });
        if facts.name == "python" {
            info["codemirror_mode"] = json!({"name": "ipython", "version": 3});
        }
        info
    }

    /// A logo, as SVG: letters on a color, of this project's own making.
    #[must_use]
    pub fn logo(&self) -> String {
        let (letters, color) = self.facts.logo;
        let size = match letters.len() {
            1 => 40,
            2 => 30,
            _ => 22,
        };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 64 64\" width=\"64\" height=\"64\">\
             <rect x=\"2\" y=\"2\" width=\"60\" height=\"60\" rx=\"12\" fill=\"{color}\"/>\
             <path d=\"M8 52h48\" stroke=\"#ffffff\" stroke-opacity=\"0.5\" stroke-width=\"3\" stroke-linecap=\"round\"/>\
             <text x=\"32\" y=\"32\" fill=\"#ffffff\" font-family=\"sans-serif\" font-weight=\"bold\" font-size=\"{size}\" \
             text-anchor=\"middle\" dominant-baseline=\"central\">{letters}</text></svg>\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_known_by_any_of_their_names() {
        for (name, id) in [
            ("python3", "python"),
            ("python", "python"),
            ("r", "R"),
            ("R", "R"),
            ("r3", "R"),
            ("rust", "rust"),
            ("ruby", "ruby"),
            ("c", "c"),
            ("cpp17", "c++"),
            ("nodejs8", "javascript"),
            ("java11", "java"),
            ("bash", "bash"),
            ("cr.backend.ai/stable/python:3.9-ubuntu20.04", "python"),
            ("cr.backend.ai/stable/python-tensorflow:2.7-py38", "python"),
            ("registry:5000/stable/r-base:4", "text"),
            ("made-up", "text"),
        ] {
            assert_eq!(Language::of(name).id(), id, "{name}");
        }
        assert_eq!(Language::of("made-up").title(), "made-up");
        assert_eq!(Language::of("python3").info()["version"], "3");
    }
}

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
    /// What gateways call it, or a word in that, in lower case.
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
        names: &["python", "pypy", "ipython", "py"],
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
        names: &["r", "rstudio", "tidyverse"],
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

/// Words in the names of images whose programs are in Python, though they do not name it: libraries, and collections of them.
const OF_PYTHON: &[&str] = &[
    "anaconda",
    "caffe",
    "chainer",
    "conda",
    "datascience",
    "deepspeed",
    "dask",
    "ff",
    "huggingface",
    "jax",
    "jupyter",
    "jupyterlab",
    "keras",
    "matplotlib",
    "miniconda",
    "miniforge",
    "mxnet",
    "nemo",
    "ngc",
    "notebook",
    "numpy",
    "onnx",
    "paddle",
    "paddlepaddle",
    "pandas",
    "polars",
    "pyspark",
    "pytorch",
    "rapids",
    "rapidsai",
    "sagemath",
    "scikit",
    "scipy",
    "sglang",
    "sklearn",
    "tensorflow",
    "tensorrt",
    "theano",
    "torch",
    "transformers",
    "vllm",
    "xgboost",
];

/// Words that name a language of which nothing is known here: what else the name says is not of Python.
const UNKNOWN: &[&str] = &[
    "ada",
    "clojure",
    "csharp",
    "dart",
    "dotnet",
    "elixir",
    "erlang",
    "fortran",
    "fsharp",
    "haskell",
    "julia",
    "kotlin",
    "ocaml",
    "octave",
    "powershell",
    "racket",
    "scala",
    "scheme",
    "swift",
    "zig",
];

/// Words before the one that names the language.
const BEFORE: &[&str] = &[
    "backend",
    "backendai",
    "base",
    "jupyter",
    "kernel",
    "lab",
    "lang",
    "minimal",
    "ngc",
];

/// The words of a name without what numbers are at their ends, such as `r` and `base` of `r3-base4.0`.
fn words(name: &str) -> impl Iterator<Item = &str> {
    let words = name.split(['-', '_', '.', '+']);
    let words = words.map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()));
    words.filter(|word| !word.is_empty())
}

/// The language that has this name, or is one of the words of the name of an image.
fn of_name(name: &str) -> Option<&'static Facts> {
    let letters = name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    let named = |name: &str| ALL.iter().find(|facts| facts.names.contains(&name));
    if let Some(facts) = named(letters) {
        return Some(facts);
    }
    // Short ones mean a language only where it is said, as in `r-base`: not in `vitamin-c`.
    let first = words(name).find(|word| !BEFORE.contains(word));
    let is_said = |word: &&str| word.len() > 2 || first == Some(word);
    if let Some(facts) = words(name).filter(is_said).find_map(named) {
        return Some(facts);
    }
    if words(name).any(|word| UNKNOWN.contains(&word)) {
        return None;
    }
    let part = |word: &str| {
        let has = |it: &str| it.len() > 2 && (word.starts_with(it) || word.ends_with(it));
        ALL.iter()
            .find(|facts| facts.names.iter().any(|it| has(it)))
    };
    words(name).find_map(part).or_else(|| {
        let is_python = words(name).any(|word| OF_PYTHON.contains(&word));
        is_python.then(|| named("python")).flatten()
    })
}

/// The release of a language that a tag names, such as `3.8` of `2.7-py38`, and that of Python in most that do.
fn of_tag(tag: &str) -> Option<(&'static Facts, String)> {
    tag.split(['-', '_']).find_map(|part| {
        let word = part.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        // `r2` and `c7` are of something else.
        let is_named = |facts: &&Facts| word.len() > 1 && facts.names.contains(&word);
        let facts = ALL.iter().find(is_named)?;
        let number = part[word.len()..].trim_matches('.');
        // Of Python, `py38` and `py310` have no point.
        let number = match (word, number.split_at_checked(1)) {
            ("py" | "python", Some((major @ ("2" | "3"), minor)))
                if !minor.is_empty() && !number.contains('.') =>
            {
                format!("{major}.{minor}")
            }
            _ => number.to_owned(),
        };
        (!number.is_empty()).then_some((facts, number))
    })
}

/// The parts of the reference of an image, as `cr.backend.ai/stable/python:3.9-ubuntu20.04`, that say what is in it: its name,
/// and its tag, in lower case. Of the name of a language, there is only that.
fn parts(reference: &str) -> (String, Option<String>) {
    let image = reference.split('@').next().unwrap_or(reference);
    let image = image.rsplit('/').next().unwrap_or(image);
    let image = image.to_ascii_lowercase();
    match image.split_once(':') {
        Some((name, tag)) => (name.to_owned(), Some(tag.to_owned())),
        None => (image, None),
    }
}

impl Language {
    /// What is known of the language with this name, or in this image.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let (image, tag) = parts(name);
        let in_tag = || of_tag(tag.as_deref()?).map(|(facts, _)| facts);
        let is_unknown = words(&image).any(|word| UNKNOWN.contains(&word));
        let facts = of_name(&image).or_else(|| in_tag().filter(|_| !is_unknown));
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
        let version = self.release();
        let mut info = json!({
            "name": facts.name,
            "version": version,
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

    /// Its release, as far as the name says it: of an image of a library, the tag may begin with that of the library.
    fn release(&self) -> String {
        let (image, tag) = parts(&self.name);
        let tag = tag.unwrap_or_default();
        if let Some((_, release)) = of_tag(&tag).filter(|(facts, _)| *facts == self.facts) {
            return release;
        }
        let digits = |text: &str| {
            let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
            text[..end.unwrap_or(text.len())]
                .trim_end_matches('.')
                .to_owned()
        };
        let letters = image.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        let is_own = |name: &str| self.facts.names.contains(&name);
        // As `r-base:4.0`, and unlike `python-tensorflow:2.7`.
        let is_alone = words(&image).all(|word| is_own(word) || matches!(word, "base" | "ver"));
        let of_tag = digits(&tag);
        if is_alone && !of_tag.is_empty() {
            return of_tag;
        }
        match is_own(letters.trim_end_matches('-')) {
            true => digits(&image[letters.len()..]),
            false => String::new(),
        }
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
            ("registry:5000/stable/r-base:4", "R"),
            ("cr.backend.ai/stable/ngc-pytorch:23.10-py3-cuda", "python"),
            (
                "cr.backend.ai/stable/ngc-tensorflow:23.08-tf2-py3",
                "python",
            ),
            ("cr.backend.ai/cloud/ff-pytorch:21.10", "python"),
            ("cr.backend.ai/stable/ngc-digits:20.12", "python"),
            ("ngc-pytorch", "python"),
            ("pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime", "python"),
            ("nvcr.io/nvidia/tensorflow:23.10-tf2-py3", "python"),
            ("tensorflow", "python"),
            ("jupyter-pytorch", "python"),
            ("quay.io/jupyter/scipy-notebook@sha256:0123", "python"),
            ("jupyter/r-notebook:latest", "R"),
            ("jupyter-r:4.2", "R"),
            ("rocker/r-ver:4.2", "R"),
            ("lablup/kernel-python-tensorflow:1.7-py36", "python"),
            ("lablup/kernel-r3", "R"),
            ("lablup/kernel-nodejs8:latest", "javascript"),
            ("nvidia/cuda:12.2-py311", "python"),
            ("nvidia/cuda:12.2-runtime", "text"),
            ("jupyter/julia-notebook", "text"),
            ("julia:1.9-py3", "text"),
            ("vitamin-c", "text"),
            ("gcc:12", "c"),
            ("golang:1.21", "go"),
            ("openjdk-17", "java"),
            ("", "text"),
            ("-:/@", "text"),
            ("made-up", "text"),
        ] {
            assert_eq!(Language::of(name).id(), id, "{name}");
        }
        assert_eq!(Language::of("made-up").title(), "made-up");
    }

    #[test]
    fn releases_are_those_of_the_language() {
        for (name, version) in [
            ("python3", "3"),
            ("python", ""),
            ("java11", "11"),
            ("cpp17", "17"),
            ("lua5.3", "5.3"),
            ("python:3.11-ubuntu20.04", "3.11"),
            ("r-base:4.0", "4.0"),
            ("registry:5000/stable/python:3.9", "3.9"),
            ("registry:5000/stable/python", ""),
            ("cr.backend.ai/stable/python-tensorflow:2.7-py38", "3.8"),
            ("cr.backend.ai/stable/ngc-pytorch:23.10-py3-cuda", "3"),
            (
                "cr.backend.ai/stable/python-ff:21.10-py310-cuda11.4",
                "3.10",
            ),
            ("cr.backend.ai/stable/ff-pytorch:21.10", ""),
            ("cuda:12.2-python3.11", "3.11"),
            ("python@sha256:0123", ""),
            ("python3:3.9", "3.9"),
            ("node:18-r2", "18"),
            ("python:", ""),
        ] {
            assert_eq!(Language::of(name).info()["version"], version, "{name}");
        }
    }
}

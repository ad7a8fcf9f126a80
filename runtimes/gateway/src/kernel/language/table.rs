//! Every language.

use super::{Language, Query, Runner};

/// The terminal of languages that have no interpreter of their own.
pub(super) const BASH: &[&str] = &["bash", "--noprofile", "--norc"];

/// Every language.
///
/// In commands, `{tool}` stands for the tool's name, `{program}` for its full path, and `{bin}` for
/// the directory it is in. `**` takes in directories, but not hidden ones, and follows no symbolic
/// links.
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
            wrap: None,
            build: &[
                "{program}",
                "-o",
                "main",
                "input.c",
                "-I{work}",
                "-pthread",
                "-lm",
                "-lrt",
                "-ldl",
            ],
            run: &["{snippet}/main"],
        },
        build: "shopt -s globstar nullglob; {tool} -o ./main **/*.c -pthread -lm -lrt -ldl",
        exec: "./main",
        shell: BASH,
    },
    Language {
        name: "cpp",
        aliases: &["c++", "cpp11", "cpp14", "cpp17", "cpp20"],
        tools: &["g++", "c++", "clang++"],
        query: Query::Program {
            source: "input.cpp",
            wrap: None,
            build: &[
                "{program}",
                "-o",
                "main",
                "input.cpp",
                "-I{work}",
                "-pthread",
                "-lm",
                "-lrt",
                "-ldl",
            ],
            run: &["{snippet}/main"],
        },
        build: "shopt -s globstar nullglob; \
            {tool} -o ./main **/*.{cpp,cc,cxx,c++} -pthread -lm -lrt -ldl",
        exec: "./main",
        shell: BASH,
    },
    Language {
        name: "perl",
        aliases: &["perl5"],
        tools: &["perl"],
        query: Query::Interpreter(Runner::Perl),
        build: "",
        exec: "{tool} main.pl",
        shell: BASH,
    },
    Language {
        name: "ruby",
        aliases: &[],
        tools: &["ruby"],
        query: Query::Interpreter(Runner::Ruby),
        build: "",
        exec: "{tool} main.rb",
        shell: &[
            "bash",
            "-c",
            "type -P irb >/dev/null && exec irb; exec bash --noprofile --norc",
        ],
    },
    Language {
        name: "nodejs",
        aliases: &["node", "nodejs6", "nodejs8", "javascript"],
        tools: &["node", "nodejs"],
        query: Query::Interpreter(Runner::Node),
        build: "",
        exec: "{tool} main.js",
        shell: &["{tool}"],
    },
    Language {
        name: "lua",
        aliases: &["lua5"],
        tools: &["lua", "lua5.4", "lua5.3", "luajit"],
        query: Query::Interpreter(Runner::Lua),
        build: "",
        exec: "{tool} main.lua",
        shell: &["{tool}"],
    },
    Language {
        name: "php",
        aliases: &["php7", "php8"],
        tools: &["php"],
        query: Query::Interpreter(Runner::Php),
        build: "",
        exec: "{tool} main.php",
        shell: &["{tool}", "-a"],
    },
    Language {
        name: "r",
        aliases: &["R", "r3"],
        tools: &["R"],
        query: Query::Interpreter(Runner::R),
        build: "",
        exec: "{tool} --no-echo --no-save --no-restore -f main.R",
        shell: &["{tool}", "--no-save", "--quiet"],
    },
    Language {
        name: "rust",
        aliases: &["rs"],
        tools: &["rustc"],
        query: Query::Program {
            source: "input.rs",
            wrap: Some(with_rust_main),
            build: &[
                "{program}",
                "--edition=2021",
                "-C",
                "debuginfo=0",
                "-o",
                "main",
                "input.rs",
            ],
            run: &["{snippet}/main"],
        },
        build: "if [ -e Cargo.toml ]; then PATH={bin}:\"$PATH\" cargo build; \
            else {program} --edition=2021 -o main main.rs; fi",
        exec: "if [ -e Cargo.toml ]; then PATH={bin}:\"$PATH\" cargo run --quiet; else ./main; fi",
        shell: BASH,
    },
    Language {
        name: "go",
        aliases: &["golang"],
        tools: &["go"],
        query: Query::Program {
            source: "input.go",
            wrap: None,
            build: &["{program}", "build", "-trimpath", "-o", "main", "input.go"],
            run: &["{snippet}/main"],
        },
        build: "if [ -e go.mod ]; then {tool} build -o main .; else {tool} build -o main *.go; fi",
        exec: "./main",
        shell: BASH,
    },
    Language {
        name: "java",
        aliases: &["java8", "java11", "java17"],
        tools: &["javac"],
        query: Query::Program {
            source: "Main.java",
            wrap: None,
            // The launcher compiles a single file itself. It would refuse a class that is on the
            // class path as well, which a batch leaves in the work directory.
            build: &[],
            run: &[
                "{bin}/java",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-XX:-UsePerfData",
                "-cp",
                "{snippet}",
                "{snippet}/Main.java",
            ],
        },
        build: "shopt -s globstar nullglob; {program} **/*.java",
        exec: "{bin}/java -XX:-UsePerfData Main",
        shell: &[
            "bash",
            "-c",
            "type -P jshell >/dev/null && exec jshell; exec bash --noprofile --norc",
        ],
    },
];

/// A snippet without a `main` function becomes the body of one; lines keep their numbers.
fn with_rust_main(code: &str) -> String {
    let has_main = code.match_indices("fn").any(|(at, _)| {
        let name = &code[at + 2..];
        let rest = name.trim_start();
        let rest = (rest.len() < name.len()).then_some(rest);
        rest.and_then(|rest| rest.strip_prefix("main"))
            .is_some_and(|rest| rest.trim_start().starts_with(['(', '<']))
    });
    if has_main {
        code.to_owned()
    } else {
        format!("fn main() {{ {code}\n}}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_snippets_get_a_main_unless_they_have_one() {
        for whole in [
            "fn main() {}",
            "pub  fn\nmain () {}",
            "struct A; fn main(){}",
        ] {
            assert_eq!(with_rust_main(whole), whole);
        }
        for part in [
            "println!(\"fn\");",
            "fn mainly() {}",
            "fn other() {} other();",
        ] {
            assert_eq!(with_rust_main(part), format!("fn main() {{ {part}\n}}\n"));
        }
    }
}

//! What lets programs in files show prompts, and have what is typed hidden, without a terminal: files that interpreters load
//! first, as the environment tells them to. In snippets, the runners do the same.

use std::env;
use std::ffi::OsString;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::home::Home;
use super::setup::Setup;

type Variables = Vec<(OsString, OsString)>;

/// The directory, below that of the runners.
const DIRECTORY: &str = "input";
/// Stands for `php`, where there is that.
const PHP: &str = "bin/php";
/// Its files, and whether they are programs.
const FILES: &[(&str, &str, bool)] = &[
    (
        "bash.bash",
        include_str!("../runners/input/bash.bash"),
        false,
    ),
    (
        "c/unistd.h",
        include_str!("../runners/input/c/unistd.h"),
        false,
    ),
    ("node.js", include_str!("../runners/input/node.js"), false),
    ("bin/stty", include_str!("../runners/input/bin/stty"), true),
    (PHP, include_str!("../runners/input/bin/php"), true),
    (
        "perl/SornaInput.pm",
        include_str!("../runners/input/perl/SornaInput.pm"),
        false,
    ),
    (
        "php/prepend.php",
        include_str!("../runners/input/php/prepend.php"),
        false,
    ),
    (
        "php/ini/sorna.ini",
        include_str!("../runners/input/php/ini/sorna.ini"),
        false,
    ),
    (
        "python/sitecustomize.py",
        include_str!("../runners/input/python/sitecustomize.py"),
        false,
    ),
    (
        "ruby/sorna_input.rb",
        include_str!("../runners/input/ruby/sorna_input.rb"),
        false,
    ),
    (
        "ruby/readline.rb",
        include_str!("../runners/input/ruby/readline.rb"),
        false,
    ),
    (
        "ruby/reline.rb",
        include_str!("../runners/input/ruby/reline.rb"),
        false,
    ),
];

/// Writes the files below the directory of the runners.
pub(crate) fn write(runners: &Path) -> io::Result<()> {
    for (name, content, is_program) in FILES {
        if *name == PHP && !has_php() {
            continue;
        }
        let path = runners.join(DIRECTORY).join(name);
        let directory = path.parent().unwrap_or(runners);
        DirBuilder::new()
            .mode(0o755)
            .recursive(true)
            .create(directory)?;
        let mode = if *is_program { 0o755 } else { 0o644 };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)?;
        file.write_all(content.as_bytes())?;
    }
    Ok(())
}

fn has_php() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join("php").is_file())
}

/// The file that is there while what is typed is to be hidden.
pub(crate) fn mark(home: &Home) -> PathBuf {
    home.outside(&home.temp().join(".sorna-hidden"))
}

/// Which interpreters load what adapts their input, of those that a process is and starts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Adapted<'n> {
    /// None: the process builds something.
    Nothing,
    /// All: it is a program in a file.
    Programs,
    /// Those that it starts: it is a runner, which adapts its own. These are the variables that its interpreter would heed.
    Children(&'n [&'n str]),
}

/// What the names of variables begin with that a runner is to give to what it starts, without this beginning.
const FOR_CHILDREN: &str = "SORNA_CHILDREN_";

/// Adds what a process needs: the input of the kernel, `stty` for it, and what has compilers and interpreters load what adapts
/// their input.
pub(crate) fn add(variables: &mut Variables, setup: &Setup, adapted: Adapted<'_>) {
    let directory = setup.runners.join(DIRECTORY);
    put(variables, "PATH", directory.join("bin"), ":", true);
    variables.push(("SORNA_KERNEL_STDIN".into(), setup.home.stdin().into()));
    for name in ["C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH"] {
        put(variables, name, directory.join("c"), ":", true);
    }
    match adapted {
        Adapted::Nothing => {}
        Adapted::Programs => add_interpreters(variables, &directory),
        Adapted::Children(own) => {
            let mut of_children = variables.clone();
            add_interpreters(&mut of_children, &directory);
            let is_own = |name: &OsString| own.iter().any(|it| name == it);
            let (renamed, others): (Variables, Variables) =
                of_children.into_iter().partition(|(name, _)| is_own(name));
            variables.retain(|(name, _)| is_own(name));
            variables.extend(others);
            variables.extend(renamed.into_iter().map(|(name, value)| {
                let mut new = OsString::from(FOR_CHILDREN);
                new.push(name);
                (new, value)
            }));
        }
    }
    variables.push(("SORNA_KERNEL_INPUT".into(), directory.into()));
}

/// Has interpreters load what adapts their input. What the client asked for follows.
fn add_interpreters(variables: &mut Variables, directory: &Path) {
    // Before it reads a stream that is line-buffered, the C library shows the prompt. `stdbuf` has no such option for the
    // input, but the library that it loads does what this says; without buffer, each byte would be read by itself.
    variables.push(("_STDBUF_I".into(), "L".into()));
    put(variables, "PYTHONPATH", directory.join("python"), ":", true);
    put(variables, "PERL5LIB", directory.join("perl"), ":", true);
    put(variables, "PERL5OPT", "-MSornaInput", " ", true);
    // Empty: the directory of PHP itself.
    let asked = variables.iter().any(|(name, _)| name == "PHP_INI_SCAN_DIR");
    if !asked {
        variables.push(("PHP_INI_SCAN_DIR".into(), OsString::new()));
    }
    put(
        variables,
        "PHP_INI_SCAN_DIR",
        directory.join("php/ini"),
        ":",
        false,
    );
    variables.push(("BASH_ENV".into(), directory.join("bash.bash").into()));
    let Some(directory) = directory.to_str() else {
        return;
    };
    let quoted = directory.replace('\\', r"\\").replace('"', "\\\"");
    put(
        variables,
        "NODE_OPTIONS",
        format!("--require \"{quoted}/node.js\""),
        " ",
        true,
    );
    // Ruby has no way to quote them.
    if !directory.contains(char::is_whitespace) {
        let options = format!("-I{directory}/ruby -rsorna_input");
        put(variables, "RUBYOPT", options, " ", true);
    }
}

/// Adds a value, before or after the one that there is.
fn put(
    variables: &mut Variables,
    name: &str,
    value: impl Into<OsString>,
    between: &str,
    is_first: bool,
) {
    let value = value.into();
    let Some((_, there)) = variables.iter_mut().rfind(|(other, _)| other == name) else {
        variables.push((name.into(), value));
        return;
    };
    let (mut first, second) = match is_first {
        true => (value, std::mem::take(there)),
        false => (std::mem::take(there), value),
    };
    first.push(between);
    first.push(second);
    *there = first;
}

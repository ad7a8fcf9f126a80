//! What lets programs in files show prompts, and have what is typed hidden, without a terminal: files that interpreters load
//! first, as the environment tells them to. In snippets, the runners do the same.

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
/// Its files, and whether they are programs.
const FILES: &[(&str, &str, bool)] = &[
    (
        "bash.bash",
        include_str!("../runners/input/bash.bash"),
        false,
    ),
    ("node.js", include_str!("../runners/input/node.js"), false),
    ("bin/stty", include_str!("../runners/input/bin/stty"), true),
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

/// The file that is there while what is typed is to be hidden.
pub(crate) fn mark(home: &Home) -> PathBuf {
    home.outside(&home.temp().join(".sorna-hidden"))
}

/// Adds what every process needs: the input of the kernel, and `stty` for it.
pub(crate) fn add_to_all(variables: &mut Variables, setup: &Setup) {
    let directory = setup.runners.join(DIRECTORY);
    put(variables, "PATH", directory.join("bin"), ":", true);
    variables.push(("SORNA_KERNEL_STDIN".into(), setup.home.stdin().into()));
    variables.push(("SORNA_KERNEL_INPUT".into(), directory.into()));
}

/// Adds what programs in files need: their interpreters load what adapts their input. What the client asked for follows.
pub(crate) fn add_to_files(variables: &mut Variables, setup: &Setup) {
    let directory = setup.runners.join(DIRECTORY);
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

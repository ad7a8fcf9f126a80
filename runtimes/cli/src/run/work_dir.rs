//! `--workdir`: where below the work directory of a session a program runs.

use std::path::{Component, Path};

use sorna::KernelId;

use super::words::quote;
use crate::image::names_in;
use crate::target::Target;

/// A directory below the work directory of a session, as it is given on the command line.
pub(crate) fn directory(text: &str) -> Result<String, String> {
    let mut parts = Path::new(text).components();
    let is_below = parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if text.is_empty() || text.contains('\0') {
        return Err("expected a directory, such as data/2026".to_owned());
    }
    if !is_below {
        return Err(
            "it is relative to the session's work directory, and below it, such as data/2026"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// A shell command that runs another one in the directory. Where there is none, it fails.
pub(super) fn command(directory: &str, command: &str) -> String {
    format!("cd -- {} || exit; {command}", quote(&below(directory)))
}

/// It must be taken neither for an option nor for the directory before the current one.
fn below(directory: &str) -> String {
    format!("./{directory}")
}

/// A snippet by which the interpreter of a language changes to a directory; an error if it has none, or no way to do that.
///
/// An earlier snippet may have changed the directory, so it is given from the home directory, which is the work directory: in
/// kernels of `sorna serve`, and in containers of Backend.AI.
pub(super) fn snippet(lang: &str, directory: &str) -> Result<String, String> {
    let path = format!("/{directory}");
    let of = |names: &[&str]| names_in(lang).any(|name| names.contains(&name));
    // As languages with single quotes that escape no more than these have it.
    let quoted = format!("'{}'", path.replace('\\', r"\\").replace('\'', r"\'"));
    let json = serde_json::Value::from(path.as_str());
    if of(&["python3", "python"]) {
        // Without a name that the program would see.
        Ok(format!(
            "__import__('os').chdir(__import__('os').path.expanduser('~') + {json})"
        ))
    } else if of(&["bash"]) {
        Ok(format!("cd -- ~/{}", quote(directory)))
    } else if of(&["nodejs", "node", "nodejs6", "nodejs8", "javascript"]) {
        Ok(format!("process.chdir((process.env.HOME ?? '.') + {json})"))
    } else if of(&["ruby"]) {
        Ok(format!("Dir.chdir(Dir.home + {quoted}); nil"))
    } else if of(&["perl", "perl5"]) {
        Ok(format!(
            "chdir(($ENV{{HOME}} // '.') . {quoted}) or die(\"cannot change the directory: $!\\n\"); ()"
        ))
    } else if of(&["php", "php7", "php8"]) {
        Ok(format!(
            "if (!chdir((getenv('HOME') ?: '.') . {quoted})) {{ exit(1); }}"
        ))
    } else if of(&["r", "R", "r3"]) {
        Ok(format!(
            "invisible(setwd(paste0(path.expand('~'), {json})))"
        ))
    } else {
        Err(format!(
            "--workdir has no effect on snippets of {lang}, which run in the session's work directory: put the code into a file, and run that"
        ))
    }
}

/// Checks that a kernel has the directory.
///
/// # Errors
///
/// Why it has not, or that the gateway cannot tell.
pub(super) fn check(target: &Target, kernel: &KernelId, directory: &str) -> Result<(), String> {
    let listed = target.client.kernel(kernel.clone()).list_files(directory);
    match listed {
        Ok(_) => Ok(()),
        Err(sorna::Error::Build(sorna::BuildError::NotOffered { .. })) => Err(
            "this gateway cannot tell whether there is such a directory, so --workdir works with files only".to_owned(),
        ),
        Err(error) => Err(format!(
            "cannot use {} as the directory of the program: {error}",
            quote(directory)
        )),
    }
}

/// Lets the interpreter of a kernel change to the directory.
///
/// # Errors
///
/// Why it has not, in words.
pub(crate) fn enter(
    target: &Target,
    kernel: &KernelId,
    lang: &str,
    directory: &str,
) -> Result<(), String> {
    let code = snippet(lang, directory)?;
    check(target, kernel, directory)?;
    let result = target.client.kernel(kernel.clone()).run(code);
    let result = result.map_err(|error| error.to_string())?;
    match result.exit_code() {
        None | Some(0) => Ok(()),
        Some(_) => Err(format!(
            "the interpreter cannot change to {}: {}",
            quote(directory),
            crate::harmless::safe(result.stderr().trim())
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_below_the_work_directory() {
        for good in ["data", "data/2026", "./a", "-", "a b", "é/'"] {
            assert_eq!(directory(good), Ok(good.to_owned()));
        }
        for bad in ["", "/", "/etc", "..", "a/../..", "../a", "a\0b"] {
            assert!(directory(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_quoted_as_each_language_has_it() {
        assert_eq!(command("a", "./x"), "cd -- ./a || exit; ./x");
        assert_eq!(command("a b", "x; y"), "cd -- './a b' || exit; x; y");
        for (lang, code) in [
            (
                "python3",
                r#"__import__('os').chdir(__import__('os').path.expanduser('~') + "/it's \"\\\"")"#,
            ),
            ("bash", r#"cd -- ~/'it'\''s "\"'"#),
            (
                "nodejs",
                r#"process.chdir((process.env.HOME ?? '.') + "/it's \"\\\"")"#,
            ),
            ("ruby", r#"Dir.chdir(Dir.home + '/it\'s "\\"'); nil"#),
        ] {
            assert_eq!(snippet(lang, r#"it's "\""#).as_deref(), Ok(code));
        }
        for lang in ["c", "lua", "java", "cobol"] {
            assert!(snippet(lang, "a").is_err(), "{lang}");
        }
    }
}

//! The shell command that does both steps of a batch.
//!
//! It runs as the step `clean`, whose end managers always report: see [`Execution`](super::Execution#backendai). In the
//! container, the kernel runner is its parent, gives it a shell (`/bin/sh -c`), and does the same for each step of a batch.

use std::fmt::Write as _;

use crate::ops::Batch;

/// The exit code of the step `exec` of such a batch, in which nothing is left to do. It tells the end of the batch
/// from that of a query.
pub(super) const LAST_EXIT_CODE: i64 = 93;

/// What the default steps need: `$d` is `python`, or `app` for an image that has no default steps, or empty if the
/// runner has to do its default steps itself; `$p` is the image's Python.
///
/// Read in the runners of 23.09.10 and 26.9.6: a runner's arguments end in its language and the path of the language's
/// program. From 25.14.5 on a runner hides them and calls itself `bai-krunner`; in a container, process 1 still shows
/// them. Then only Python has default steps (exactly so from 26.1 on), and its runner puts the directory with its
/// `sitecustomize.py` first in `PYTHONPATH`, which tells the version of the image's Python. The runner's own is taken if
/// it is of that version.
const FIND_DEFAULTS: &str = r#"d=
p=
c=$(tr '\0' ' ' <"/proc/$PPID/cmdline" 2>/dev/null)
case $c in bai-krunner*) d=app; c=$(tr '\0' ' ' </proc/1/cmdline 2>/dev/null);; esac
case $c in *'ai.backend.kernel python /'*) d=python; p=${c##*'ai.backend.kernel python '}; p=${p%% *};; esac
if [ "$d" = app ] && [ -f "${PYTHONPATH%%:*}/sitecustomize.py" ]; then
d=python
v=${PYTHONPATH%%/site-packages*}
v=${v##*/}
e=$(readlink "/proc/$PPID/exe")
if [ "${e##*/}" != "$v" ]; then
for v in "$v" python3 python; do p=$(command -v "$v") && break; done
fi
p=${p:-$e}
fi
"#;

/// As runners do it; without a `Makefile` and without Python there is nothing to build.
const BUILD_BY_DEFAULT: &str = r#"b() {
if [ -f Makefile ]; then make
elif [ "$d" = python ] && [ -f setup.py ]; then "$p" -m pip install --user -e .
fi
}
"#;

/// As the runner of Python does it. Those without default steps report a success; that would hide the mistake.
const RUN_BY_DEFAULT: &str = r#"if [ "$d" != python ]; then
echo 'this image has no default way to run files: give a command' >&2
exit 127
fi
if [ ! -f main.py ]; then
echo 'cannot find the main script ("main.py").' >&2
exit 127
fi
exec "$p" main.py
"#;

/// How the steps are separated in the output of the command.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    /// What follows the output of the build, on both streams, before its exit code and a line end. It begins with a
    /// character that text does not have.
    pub(super) built: String,
    /// What is printed in place of everything else if the runner has to do its default steps itself.
    pub(super) native: String,
}

impl Marks {
    pub(super) fn new(nonce: u64) -> Self {
        Self {
            built: format!("\u{1e}sorna-{nonce:016x} built "),
            native: format!("\u{1e}sorna-{nonce:016x} native\n"),
        }
    }
}

/// The command, which ends with the exit code of the batch: that of `exec`, or 127 after a build that failed, as
/// managers have it.
pub(super) fn command(batch: &Batch, nonce: u64) -> String {
    let build = batch.build().filter(|command| !command.is_empty());
    let exec = batch.exec().filter(|command| !command.is_empty());
    let by_default = |step: Option<&str>| step == Some(Batch::DEFAULT);
    let mut script = String::new();
    if by_default(build) || by_default(exec) {
        script.push_str(FIND_DEFAULTS);
        // A `Makefile` is built in the same way by all runners.
        let makefile = if by_default(exec) {
            ""
        } else {
            " && [ ! -f Makefile ]"
        };
        let _ = writeln!(
            script,
            r#"if [ -z "$d" ]{makefile}; then printf '\036sorna-{nonce:016x} native\n'; exit 0; fi"#
        );
    }
    match build {
        None => {}
        Some(Batch::DEFAULT) => script.push_str(BUILD_BY_DEFAULT),
        Some(command) => {
            let _ = writeln!(script, "b() {{\n/bin/sh -c {}\n}}", quoted(command));
        }
    }
    if build.is_some() {
        let _ = writeln!(
            script,
            r#"b
s=$?
printf '\036sorna-{nonce:016x} built %d\n' "$s"
printf '\036sorna-{nonce:016x} built %d\n' "$s" >&2
[ "$s" -eq 0 ] || exit 127"#
        );
    }
    // As a runner sets it for the step `exec`: Python then asks for input where the runner can give it.
    script.push_str("export _BACKEND_BATCH_MODE=1\n");
    match exec {
        None => script.push_str("exit 0\n"),
        Some(Batch::DEFAULT) => script.push_str(RUN_BY_DEFAULT),
        // In place of this shell, so that signals reach the program, and its end is reported as it is.
        Some(command) => {
            if let Some(program) = program(command) {
                let _ = writeln!(
                    script,
                    "case $(command -v {program}) in */*) exec {command};; esac"
                );
            }
            let _ = writeln!(script, "exec /bin/sh -c {}", quoted(command));
        }
    }
    script
}

/// The first word of a command that is nothing but words, so that no shell is needed if it is a program.
///
/// A runner interrupts the process that it has started, and nothing else. A shell that has started a program for
/// `-c` (dash 0.5.12 does) would wait for it and not pass the signal on, and the session would stay busy (observed on
/// 26.9.6).
fn program(command: &str) -> Option<&str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " ./_-+:,@=".contains(c);
    let first = command.split(' ').find(|word| !word.is_empty())?;
    let is_name = !first.contains('=') && !first.starts_with('-');
    (is_name && command.chars().all(is_plain)).then_some(first)
}

/// The text as one word of the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_takes_the_place_of_the_shell_to_be_interrupted() {
        let script = |exec: &str| command(&Batch::new().without_build().with_exec(exec), 7);
        assert_eq!(
            script("python3 -u main.py --to=out.txt"),
            "export _BACKEND_BATCH_MODE=1\n\
             case $(command -v python3) in */*) exec python3 -u main.py --to=out.txt;; esac\n\
             exec /bin/sh -c 'python3 -u main.py --to=out.txt'\n"
        );
        for not_plain in [
            "a; b", "a $X", "X=1 a", "a > b", "'a b'", "a *", "~/a", "-x", "! a", "a\nb",
        ] {
            let quoted = quoted(not_plain);
            assert_eq!(
                script(not_plain),
                format!("export _BACKEND_BATCH_MODE=1\nexec /bin/sh -c {quoted}\n")
            );
        }
    }
}

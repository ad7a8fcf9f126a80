//! The shell command that does both steps of a batch.
//!
//! It runs as the step `clean`, whose end managers always report: see [`Execution`](super::Execution#backendai). In the
//! container, the kernel runner is its parent, gives it a shell (`/bin/sh -c`), and does the same for each step of a batch.

use std::fmt::Write as _;

use crate::ops::Batch;

/// The exit code of the step `exec` of such a batch, in which nothing is left to do. It tells the end of the batch
/// from that of a query.
pub(super) const LAST_EXIT_CODE: i64 = 93;

/// What the default steps need: `$_d` is `python`, or `app` for an image that has no default steps, or empty if the
/// runner has to do its default steps itself; `$_p` is the image's Python.
///
/// Read in the runners of 23.09.10 and 26.9.6: a runner's arguments end in its language and the path of the language's
/// program. From 25.14.5 on a runner hides them and calls itself `bai-krunner`; in a container, process 1 still shows
/// them. Then only Python has default steps (exactly so from 26.1 on), and its runner puts the directory with its
/// `sitecustomize.py` first in `PYTHONPATH`, which tells the version of the image's Python. The runner's own is taken if
/// it is of that version.
const FIND_DEFAULTS: &str = r#"_d=
_p=
_c=$(tr '\0' ' ' 2>/dev/null <"/proc/$PPID/cmdline")
case $_c in bai-krunner*) _d=app; _c=$(tr '\0' ' ' 2>/dev/null </proc/1/cmdline);; esac
case $_c in *'ai.backend.kernel python /'*) _d=python; _p=${_c##*'ai.backend.kernel python '}; _p=${_p%% *};; esac
if [ "$_d" = app ] && [ -f "${PYTHONPATH%%:*}/sitecustomize.py" ]; then
_d=python
_v=${PYTHONPATH%%/site-packages*}
_v=${_v##*/}
_e=$(readlink "/proc/$PPID/exe")
if [ "${_e##*/}" != "$_v" ]; then
for _v in "$_v" python3 python; do _p=$(command -v "$_v") && break; done
fi
_p=${_p:-$_e}
fi
"#;

/// As runners do it; without a `Makefile` and without Python there is nothing to build.
const BUILD_BY_DEFAULT: &str = r#"_b() {
if [ -f Makefile ]; then exec ${_t:+timeout 0} make
elif [ "$_d" = python ] && [ -f setup.py ]; then exec ${_t:+timeout 0} "$_p" -m pip install --user -e .
fi
}
"#;

/// What a shell that is not replaced by a program needs to be interrupted, as the beginning of its commands; empty where
/// that does not work.
///
/// A runner interrupts the process that it has started, and nothing else; a shell would wait for its program, and the
/// session stay busy (observed on 26.9.6). GNU `timeout` without a limit has its own process group, passes signals on
/// to all of it, and ends as its command does; others (BusyBox, uutils) do not. The shell then stops what is left in the
/// background, since that could keep the step's output open.
const FIND_TIMEOUT: &str = r#"_t=
case $(timeout --version 2>/dev/null) in *GNU*) _t='trap '\''trap "" TERM; kill 0; exit 130'\'' INT; trap '\''trap "" TERM; kill 0; exit 143'\'' TERM; ';; esac
"#;

/// Runs the build, whose exit code is in `$_s` then. A shell reacts to a signal while it waits for a command in the
/// background, whose SIGINT is ignored (by `timeout` as well, in some versions): so it gets a SIGTERM.
const BUILD: &str = r#"if [ "$_t" ]; then
_i=
_w=
_k=
trap '_i=1; _w=1; ${_k:+kill "$_k"}' INT
_b & _k=$!
[ -z "$_i" ] || kill "$_k"
_s=127
while _i=; wait "$_k"; _r=$?; [ "$_r" -eq 127 ] || _s=$_r; [ "$_i" ]; do :; done
if [ "$_w" ] && [ "$_s" -eq 143 ]; then _s=130; fi
trap - INT
else
(_b)
_s=$?
fi
"#;

/// As the runner of Python does it. Those without default steps report a success; that would hide the mistake.
const RUN_BY_DEFAULT: &str = r#"if [ "$_d" != python ]; then
echo 'this image has no default way to run files: give a command' >&2
exit 127
fi
if [ ! -f main.py ]; then
echo 'cannot find the main script ("main.py").' >&2
exit 127
fi
exec "$_p" main.py
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
            r#"if [ -z "$_d" ]{makefile}; then printf '\036sorna-{nonce:016x} native\n'; exit 0; fi"#
        );
    }
    let shell = "exec ${_t:+timeout 0} /bin/sh -c \"$_t\"";
    let program = exec
        .filter(|_| !by_default(exec))
        .map(|command| (command, Program::of(command)));
    if build.is_some() {
        script.push_str(FIND_TIMEOUT);
    }
    match build {
        None => {}
        Some(Batch::DEFAULT) => script.push_str(BUILD_BY_DEFAULT),
        Some(command) => {
            let _ = writeln!(script, "_b() {{\n{shell}{}\n}}", quoted(command));
        }
    }
    if build.is_some() {
        script.push_str(BUILD);
        let _ = writeln!(
            script,
            r#"printf '\036sorna-{nonce:016x} built %d\n' "$_s"
printf '\036sorna-{nonce:016x} built %d\n' "$_s" >&2
[ "$_s" -eq 0 ] || exit 127"#
        );
    }
    // As a runner sets it for the step `exec`: Python then asks for input where the runner can give it.
    script.push_str("export _BACKEND_BATCH_MODE=1\n");
    match program {
        None if exec.is_some() => script.push_str(RUN_BY_DEFAULT),
        None => script.push_str("exit 0\n"),
        // In place of this shell, so that signals reach the program, and its end is reported as it is.
        Some((command, program)) => {
            if let Some(Program {
                name,
                variables,
                words,
            }) = program
            {
                let _ = writeln!(
                    script,
                    "case $(command -v {name}) in */*) {variables}exec {words};; esac"
                );
            }
            if build.is_none() {
                script.push_str(FIND_TIMEOUT);
            }
            let _ = writeln!(script, "{shell}{}", quoted(command));
        }
    }
    script
}

/// A command that starts one program and nothing else, so that it can take the place of the shell.
#[derive(Debug, PartialEq, Eq)]
struct Program<'c> {
    name: &'c str,
    /// The variables that are set for it.
    variables: &'c str,
    /// The rest of the command, from the name on.
    words: &'c str,
}

impl<'c> Program<'c> {
    /// `None` if it is more than that, or if it is not certain. Nothing is expanded in it that this script could have
    /// changed.
    fn of(command: &'c str) -> Option<Self> {
        let command = command.trim_matches(' ');
        let mut quote = None;
        // Whether a redirection needs a word, and what was before.
        let (mut needs_word, mut last) = (false, ' ');
        // Where words begin, until that of the program.
        let mut start = 0;
        let mut program = None;
        for (at, c) in command.char_indices() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (Some('\''), _) => {}
                (Some(_), '$' | '`' | '\\') => return None,
                (Some(_), _) => {}
                (None, '\'' | '"') => {
                    quote = Some(c);
                    needs_word = false;
                }
                (None, ' ') => {
                    if last != ' ' && program.is_none() && !is_variable(&command[start..at])? {
                        program = Some((start, at));
                    }
                    if program.is_none() {
                        start = at + 1;
                    }
                }
                (None, '>') if needs_word && last == '>' => {}
                (None, '<' | '>') if !needs_word && program.is_some() => needs_word = true,
                (None, c) if c.is_alphanumeric() || "./_-+:,@=%*?[]~".contains(c) => {
                    needs_word = false;
                }
                _ => return None,
            }
            last = c;
        }
        if quote.is_some() || needs_word {
            return None;
        }
        let (start, end) = match program {
            Some(program) => program,
            None if is_variable(&command[start..])? => return None,
            None => (start, command.len()),
        };
        Some(Self {
            name: &command[start..end],
            variables: &command[..start],
            words: &command[start..],
        })
    }
}

/// Whether the word sets a variable; `None` if it is neither that nor the name of a program.
fn is_variable(word: &str) -> Option<bool> {
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    match word.split_once('=') {
        // That would change where the program is found.
        Some((name, _)) if is_name(name) && name != "PATH" => Some(true),
        Some(_) => None,
        None => {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "./_-+".contains(c);
            let is_plain = word.chars().all(is_plain) && !word.starts_with('-');
            (is_plain && !word.is_empty()).then_some(false)
        }
    }
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
        let shell = "exec ${_t:+timeout 0} /bin/sh -c \"$_t\"";
        for (plain, name, program) in [
            (
                "python3 -u main.py --to=out.txt",
                "python3",
                "exec python3 -u main.py --to=out.txt",
            ),
            ("X=1 Y='a b' ./a", "./a", "X=1 Y='a b' exec ./a"),
            (" 'a'", "", ""),
            (
                r#"python3 'it is $5.py' "x; y""#,
                "python3",
                r#"exec python3 'it is $5.py' "x; y""#,
            ),
            ("a < in >> out.txt", "a", "exec a < in >> out.txt"),
            ("a ~/b *.c", "a", "exec a ~/b *.c"),
        ] {
            let quoted = quoted(plain);
            let first = match name {
                "" => String::new(),
                name => format!("case $(command -v {name}) in */*) {program};; esac\n"),
            };
            let expected =
                format!("export _BACKEND_BATCH_MODE=1\n{first}{FIND_TIMEOUT}{shell}{quoted}\n");
            assert_eq!(script(plain), expected);
        }
        for not_plain in [
            "a; b",
            "a $X",
            "X=1",
            "PATH=/b a",
            "a & b",
            "'a b'",
            "a >",
            "a << b",
            "a > > b",
            "-x",
            "! a",
            "a\nb",
            "a 'b",
            "a \"$b\"",
            "a \\b",
            "a `b`",
            "a (b)",
            "a | b",
            "a #b",
            "",
            ">a b",
        ] {
            assert_eq!(Program::of(not_plain), None, "{not_plain}");
        }
    }
}

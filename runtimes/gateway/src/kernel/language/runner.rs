//! Runners: programs inside interpreters that receive snippets on the control channel.

use std::ffi::OsString;
use std::path::Path;

use serde::Deserialize;

use crate::kernel::confine::gate::Gate;
use crate::kernel::frame::Protocol;
use crate::kernel::launch::Arguments;

/// Starts an interpreter with the FIFO, its last argument, as standard input, and the channel as
/// descriptor 3.
const WITH_CHANNEL: &str = r#"for f; do :; done; exec "$@" 3<&0 <"$f""#;
/// The same for languages that cannot open a socket: pipes from and to the channel are descriptors
/// 3 and 4. What serves them outlives interrupts of the program, and does not hold its output open.
const WITH_PIPES: &str = r#"for f; do :; done; exec 5<&0; exec 3< <(trap '' INT; exec cat <&5 5<&- 2>/dev/null) 4> >(trap '' INT; exec cat >&5 5<&- 2>/dev/null); exec "$@" 5<&- <"$f""#;
/// The same for R: what it runs first is a copy, descriptor 7, of the file of which the path is `$0`. More can be appended to
/// it, unless there is no room for a copy.
const WITH_PIPES_FOR_R: &str = r#"for f; do :; done; copy=$(mktemp 2>/dev/null) && cat -- "$0" 2>/dev/null >"$copy" && exec 7<>"$copy" || exec 7<"$0"; [ -z "$copy" ] || rm -f -- "$copy"; exec 5<&0; exec 3< <(trap '' INT; exec cat <&5 5<&- 7<&- 2>/dev/null) 4> >(trap '' INT; exec cat >&5 5<&- 7<&- 2>/dev/null); exec "$@" 5<&- <"$f""#;
/// How many interrupts an interpreter of lua outlives: it takes one for each chunk of its command line.
const LUA_INTERRUPTS: usize = 200;

/// A program inside an interpreter that receives snippets on the control channel.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Runner {
    #[serde(rename = "python3")]
    Python,
    #[serde(rename = "bash")]
    Bash,
    #[serde(rename = "perl")]
    Perl,
    #[serde(rename = "ruby")]
    Ruby,
    #[serde(rename = "nodejs")]
    Node,
    #[serde(rename = "lua")]
    Lua,
    #[serde(rename = "php")]
    Php,
    #[serde(rename = "r")]
    R,
    /// A custom one: its command.
    #[serde(skip)]
    Custom(Vec<String>),
}

impl Runner {
    /// Files that the runners need, and their contents.
    pub(crate) const FILES: &[(&str, &str)] = &[
        (
            "sorna_start.py",
            include_str!("../../runners/sorna_start.py"),
        ),
        ("python3.py", include_str!("../../runners/python3.py")),
        (
            "sorna_await.py",
            include_str!("../../runners/sorna_await.py"),
        ),
        ("sorna_echo.py", include_str!("../../runners/sorna_echo.py")),
        (
            "sorna_kernel.py",
            include_str!("../../runners/sorna_kernel.py"),
        ),
        (
            "sorna_figures.py",
            include_str!("../../runners/sorna_figures.py"),
        ),
        (
            "sorna_pretty.py",
            include_str!("../../runners/sorna_pretty.py"),
        ),
        (
            "sorna_ipython.py",
            include_str!("../../runners/sorna_ipython.py"),
        ),
        (
            "sorna_complete.py",
            include_str!("../../runners/sorna_complete.py"),
        ),
        (
            "sorna_traces.py",
            include_str!("../../runners/sorna_traces.py"),
        ),
        (
            "sorna_relay.py",
            include_str!("../../runners/sorna_relay.py"),
        ),
        (
            "sorna_files.py",
            include_str!("../../runners/sorna_files.py"),
        ),
        (
            "sitecustomize.py",
            include_str!("../../runners/sitecustomize.py"),
        ),
        ("bash.bash", include_str!("../../runners/bash.bash")),
        ("perl.pl", include_str!("../../runners/perl.pl")),
        ("ruby.rb", include_str!("../../runners/ruby.rb")),
        ("nodejs.js", include_str!("../../runners/nodejs.js")),
        (
            "nodejs_interrupts.js",
            include_str!("../../runners/nodejs_interrupts.js"),
        ),
        (
            "nodejs_modules.js",
            include_str!("../../runners/nodejs_modules.js"),
        ),
        (
            "nodejs_only.js",
            include_str!("../../runners/nodejs_only.js"),
        ),
        (
            "nodejs_output.js",
            include_str!("../../runners/nodejs_output.js"),
        ),
        (
            "nodejs_files.js",
            include_str!("../../runners/nodejs_files.js"),
        ),
        ("lua.lua", include_str!("../../runners/lua.lua")),
        ("php.php", include_str!("../../runners/php.php")),
        ("r.R", include_str!("../../runners/r.R")),
    ];

    /// The command that starts the interpreter `program`, with its runner's file in `runners`. A
    /// custom command goes through `fill_in`, which replaces its placeholders. The path of the input
    /// FIFO is to be appended.
    pub(crate) fn command(
        &self,
        program: &Path,
        runners: &Path,
        fill_in: impl FnOnce(&[String]) -> Arguments,
    ) -> Arguments {
        let (prefix, options, file): (&[&str], &[&str], &str) = match self {
            // Ignores the environment and the user's site directory.
            Self::Python => (&[], &["-I"], "sorna_start.py"),
            Self::Bash => (
                &[],
                &[
                    "--norc",
                    "--noprofile",
                    "-c",
                    include_str!("../../runners/bash-loop.bash").trim_ascii_end(),
                    "bash",
                ],
                "bash.bash",
            ),
            Self::Perl => (&["sh", "-c", WITH_CHANNEL, "sh"], &[], "perl.pl"),
            Self::Ruby => (&["sh", "-c", WITH_CHANNEL, "sh"], &[], "ruby.rb"),
            Self::Node => (
                &["sh", "-c", WITH_CHANNEL, "sh"],
                &["--expose-internals"],
                "nodejs.js",
            ),
            Self::Php => (
                &["sh", "-c", WITH_CHANNEL, "sh"],
                &["-d", "disable_functions=readline"],
                "php.php",
            ),
            Self::Custom(_) => (&["sh", "-c", WITH_CHANNEL, "sh"], &[], ""),
            Self::Lua => (&["bash", "-c", WITH_PIPES, "bash"], &[], "lua.lua"),
            Self::R => (&["bash", "-c", WITH_PIPES_FOR_R], &[], "r.R"),
        };
        let mut command: Arguments = prefix.iter().map(OsString::from).collect();
        if let Self::Custom(words) = self {
            command.extend(fill_in(words));
            return command;
        }
        if *self == Self::R {
            command.push(runners.join(file).into());
            command.push(program.into());
            let options = [
                "--no-echo",
                "--no-save",
                "--no-restore",
                "--file=/dev/fd/7",
                "--args",
            ];
            command.extend(options.map(OsString::from));
            return command;
        }
        command.push(program.into());
        if *self == Self::Lua {
            command.extend(lua_chunks(&runners.join(file)));
            return command;
        }
        command.extend(options.iter().map(OsString::from));
        if *self == Self::Php {
            command.extend(["-r".into(), php_code(&runners.join(file)), "--".into()]);
            return command;
        }
        command.push(runners.join(file).into());
        command
    }

    /// What holds the interpreter until it is under its limits. Only these two are known to read no
    /// file of the kernel and start no process before their first snippet.
    pub(crate) fn gate(&self) -> Gate {
        match self {
            Self::Python | Self::Bash => Gate::Channel,
            _ => Gate::Shell,
        }
    }

    /// How many interrupts of one snippet may have no effect, before one ends the interpreter: nodejs does not notice
    /// them in a call that blocks, in its own handler of interrupts, or in callbacks under `async_hooks`.
    pub(crate) fn patience(&self) -> Option<u32> {
        (*self == Self::Node).then_some(2)
    }

    /// Whether it ends the interpreter after a snippet that is said to be the last one. Custom runners do not know that.
    pub(crate) fn ends_itself(&self) -> bool {
        !matches!(self, Self::Custom(_))
    }

    /// Whether it sends the value of a snippet's last expression. The prompts of bash and PHP show none.
    pub(crate) fn echoes(&self) -> bool {
        !matches!(self, Self::Bash | Self::Php | Self::Custom(_))
    }

    /// Whether it may hold input that the next snippet is to go on with. That of bash reads byte by byte, and custom ones are
    /// sent nothing but snippets.
    pub(crate) fn keeps_input(&self) -> bool {
        !matches!(self, Self::Bash | Self::Custom(_))
    }

    /// The variables by which its interpreter is told what to load first.
    pub(crate) fn own_variables(&self) -> &'static [&'static str] {
        match self {
            Self::Python => &["PYTHONPATH"],
            Self::Bash => &["BASH_ENV"],
            Self::Perl => &["PERL5LIB", "PERL5OPT"],
            Self::Ruby => &["RUBYOPT"],
            Self::Node => &["NODE_OPTIONS"],
            Self::Php => &["PHP_INI_SCAN_DIR"],
            Self::Lua | Self::R | Self::Custom(_) => &[],
        }
    }

    pub(crate) fn protocol(&self) -> Protocol {
        match self {
            Self::Python => Protocol::Full,
            Self::Bash => Protocol::Counted,
            _ => Protocol::Sized,
        }
    }
}

/// The code of php's command line, which is the caller of all snippets.
fn php_code(runner: &Path) -> OsString {
    let mut code = OsString::from("eval(substr(file_get_contents('");
    let path = runner.to_string_lossy();
    code.push(path.replace('\\', r"\\").replace('\'', r"\'"));
    code.push(
        "'), 5)); while (true) { \
            try { eval(SornaRunner::take()); if (SornaRunner::done(0)) { return; } } \
            catch (Throwable $sorna_error) { SornaRunner::show($sorna_error); unset($sorna_error); \
            if (SornaRunner::done(255)) { exit(255); } } }",
    );
    code
}

/// The chunks of lua's command line: one loads the runner, the others run it.
fn lua_chunks(runner: &Path) -> Arguments {
    // By another name than its path, which programs would see on the stack.
    let mut load = OsString::from("assert((loadstring or load)(io.open([==[");
    load.push(runner);
    load.push("]==]):read('*a'), '=(command line)'))()");
    let run = "package.loaded['sorna.runner']()";
    let last = "os.exit(130)";
    let runs = std::iter::repeat_n(run, LUA_INTERRUPTS).chain([last]);
    let chunks = std::iter::once(load).chain(runs.map(OsString::from));
    chunks.flat_map(|chunk| ["-e".into(), chunk]).collect()
}

//! The command line of `sorna run`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use sorna::Limits;

use super::made::MadeArgs;
use super::work_dir;
use crate::local::LocalArgs;
use crate::pending::MAX_WAIT;
use crate::values;

/// The file name that stands for standard input.
const STDIN: &str = "-";

/// Run code snippets, or a program made of files.
///
/// The program's output goes to standard output and standard error unchanged, and standard input to the
/// program. Gateways of this project (`--local`, `sorna serve`) carry any bytes. Others carry only text
/// (UTF-8): in output they replace other bytes by U+FFFD, which is mentioned, and as input other bytes are
/// an error before anything runs. Status messages go to standard error.
///
/// Exit code: the program's if the gateway reports one, else 0 when it finished (for several snippets,
/// that of the first one that fails); 124 if it exceeded its time limit; 1 if the gateway returned an
/// error or could not be reached; 2 for a usage error or a wrong setting; 128 plus the signal number
/// (130 for Ctrl-C) if it was stopped.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    /// Language or runtime, such as python3, bash or c. In Backend.AI an image, by its name, an alias or its
    /// full reference: `sorna langs` lists them.
    #[arg(
        required = false,
        required_unless_present = "json_schema",
        default_value_if("json_schema", "true", "")
    )]
    pub(crate) lang: String,

    /// Source files to upload, build and run, and directories with all files in them. Files keep their
    /// path relative to the current directory. Without files and -c, or with `-` alone, standard input is
    /// the code. Interpreters read it as they do at home, what follows `__END__` in ruby and perl and what `read` reads
    /// in bash as well; in a kernel that is kept (-t), without arguments, it is a snippet like those of -c.
    #[arg(conflicts_with = "code", value_parser = values::path())]
    pub(crate) files: Vec<PathBuf>,

    /// Arguments of the program that the files are, or that is standard input.
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) arguments: Vec<String>,

    /// Snippet to run. Several run in order in the same kernel; after one whose exit code is not 0, the
    /// rest is skipped.
    #[arg(short, long, allow_hyphen_values = true)]
    pub(crate) code: Vec<String>,

    /// Use the kernel of this language with this client session token (8 to 80 characters), or create
    /// it, and keep it afterwards. Without a token, a temporary kernel is created and destroyed. In
    /// Backend.AI it is the session's name (4 to 64 ASCII letters, digits, `_`, `.` and `-`).
    #[arg(short = 't', long = "client-token", value_name = "TOKEN")]
    pub(crate) token: Option<String>,

    /// If the kernel is busy with another execution, wait until that has ended, for at most this long if a time is given
    /// (--wait=30s). Without this it is an error. Ctrl-C stops waiting and leaves the other one alone.
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        value_parser = values::wait,
        requires = "token"
    )]
    pub(super) wait: Option<Option<Duration>>,

    /// Destroy the kernel when it has not been in use for this long, from now on; at most what the gateway allows. For
    /// gateways of `sorna serve`, in either API. `sorna keep-alive` does the same later.
    #[arg(long, value_name = "TIME", requires = "token", value_parser = values::time)]
    pub(super) idle_timeout: Option<Duration>,

    /// Start the program, and do not wait for its end: `sorna attach TOKEN` shows what it prints. Of several snippets, the last
    /// one is not waited for. For gateways of `sorna serve`, in either API.
    #[arg(long, conflicts_with_all = ["local", "enqueue", "output", "show_files", "detach_on_interrupt"])]
    pub(super) detach: bool,

    /// Leave the program running when Ctrl-C stops this command, instead of interrupting it. Not with managers of
    /// Backend.AI: there, what no one continues blocks its session.
    #[arg(long, requires = "token")]
    pub(super) detach_on_interrupt: bool,

    /// Shell command that builds the files; `*` is the kernel's default, and an empty string skips the
    /// step.
    #[arg(short, long, value_name = "CMD", conflicts_with = "code")]
    pub(crate) build: Option<String>,

    /// Shell command that runs the program; `*` is the kernel's default, such as `python3 main.py`, and
    /// an empty string skips the step. A single file of an interpreted language runs whatever its name.
    /// `-e CMD` is the same, unless CMD begins like an assignment.
    #[arg(long, value_name = "CMD", conflicts_with = "code")]
    exec: Option<String>,

    /// Environment variable of a new session, for Backend.AI and --local. Can be given several times. (`-e CMD` with
    /// a command is --exec.)
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,

    /// File with environment variables of a new session, one NAME=VALUE per line. Can be given several times; -e comes
    /// last. As -e, for Backend.AI and --local.
    #[arg(long = "env-file", value_name = "FILE")]
    pub(super) env_files: Vec<PathBuf>,

    /// Directory below the session's work directory in which the program runs; files are uploaded and built as without it. The
    /// interpreter of snippets (python3, bash, nodejs, ruby, perl, php, r) changes to it and stays there.
    #[arg(short, long, value_name = "DIR", value_parser = work_dir::directory, conflicts_with = "enqueue")]
    pub(super) workdir: Option<String>,

    #[command(flatten)]
    pub(crate) collect: CollectArgs,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    #[command(flatten)]
    pub(crate) session: SessionArgs,

    #[command(flatten)]
    pub(crate) media: MediaArgs,

    #[command(flatten)]
    pub(super) made: MadeArgs,

    /// Show the value of each snippet's last expression, as the language's interactive prompt does: with gateways of
    /// `sorna serve`, in python3, nodejs, ruby, lua, perl and r.
    #[arg(long, conflicts_with_all = ["files", "build", "exec"])]
    pub(crate) echo: bool,

    /// Limit of what the program may write to standard output and standard error together, such as 64k or 1m. What it writes beyond
    /// that is dropped, and it is killed. Each snippet, and each step of a program made of files, may write so much.
    #[arg(long, value_name = "SIZE", value_parser = values::bytes)]
    pub(super) max_output: Option<u64>,

    /// Print events as JSON, one object per line, instead of the program's output.
    #[arg(long)]
    pub(crate) json: bool,

    /// Print the JSON Schema of the lines that --json prints, and exit.
    #[arg(long, exclusive = true)]
    pub(crate) json_schema: bool,

    /// Show only the program's output, failures and warnings.
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) local: LocalArgs,

    /// After how long a silent program is mentioned. Only tests have a reason to set it.
    #[arg(long, value_name = "TIME", value_parser = values::time, default_value = "30s", hide = true)]
    pub(super) silence: Duration,
}

impl RunArgs {
    /// Whether the code comes from standard input.
    pub(super) fn reads_stdin(&self) -> bool {
        self.names_nothing() || self.names_stdin()
    }

    /// Whether it is named: interpreters then have it as an argument.
    pub(super) fn names_stdin(&self) -> bool {
        self.files.iter().any(|file| file.as_os_str() == STDIN)
    }

    /// Whether there is neither a file nor a snippet.
    fn names_nothing(&self) -> bool {
        self.files.is_empty() && self.code.is_empty() && !self.session.enqueue
    }

    /// The command that runs the program.
    pub(super) fn exec(&self) -> Option<&str> {
        let mut commands = self.env.iter().filter(|env| !is_assignment(env));
        self.exec.as_ref().or(commands.next()).map(String::as_str)
    }

    /// How long the session is waited for.
    pub(super) fn max_wait(&self) -> Duration {
        self.session.max_wait.unwrap_or(MAX_WAIT)
    }

    /// How long a kernel is waited for that is busy.
    pub(super) fn busy_wait(&self) -> Option<Duration> {
        self.wait.map(|limit| limit.unwrap_or(Duration::MAX))
    }

    /// The resources that a session is to have.
    pub(super) fn resources(&self) -> &[(String, String)] {
        &self.session.resources
    }

    /// The options of its resources.
    pub(super) fn resource_options(&self) -> &[(String, String)] {
        &self.session.resource_options
    }

    /// The environment variables.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let assignments = self.env.iter().filter(|env| is_assignment(env));
        assignments.filter_map(|env| env.split_once('='))
    }

    /// Checks what clap cannot.
    ///
    /// # Errors
    ///
    /// What is wrong with the arguments.
    pub(crate) fn check(&self) -> Result<(), Cow<'static, str>> {
        if let Some(name) = self.env.iter().find_map(|env| misnamed(env)) {
            return Err(match name {
                "" => "-e: there is no name before the `=`; expected NAME=VALUE".into(),
                name => format!("-e: `{name}` cannot be the name of a variable, which consists of letters, digits and `_`, and does not begin with a digit").into(),
            });
        }
        for (option, values) in [
            ("-r", self.resources()),
            ("--resource-opt", self.resource_options()),
        ] {
            if let Some(name) = given_twice(values) {
                return Err(
                    format!("{option} {name} is given twice, with different values").into(),
                );
            }
        }
        for (name, amount) in self.resources() {
            if ["cpu", "mem"].contains(&name.as_str()) && values::amount(name, amount).is_none() {
                return Err(format!("-r: {amount:?} is no amount of {name}; expected a number, such as cpu=2 or mem=4g").into());
            }
        }
        // Nothing to run, or a file that is none: the language, perhaps.
        let is_unclear = match self.files.first() {
            Some(file) => !file.exists(),
            None => self.names_nothing(),
        };
        if is_unclear
            && !self.json_schema
            && let Some(tip) = language_first(&self.lang, self.local.local)
        {
            return Err(tip.into());
        }
        self.check_combination().map_err(Cow::Borrowed)
    }

    fn check_combination(&self) -> Result<(), &'static str> {
        let commands = self.env.iter().filter(|env| !is_assignment(env));
        let unclear = commands.clone().any(|command| command.contains('='));
        // `-e FOO`, which takes the value from the environment elsewhere.
        let is_name = commands
            .clone()
            .all(|name| is_assignment(&format!("{name}=")));
        let commands = commands.count();
        if commands + usize::from(self.exec.is_some()) > 1 {
            Err("several commands to run the program: give --exec, or -e CMD, once")
        } else if commands > 0 && !self.code.is_empty() && unclear {
            Err(
                "-e: what is before the `=` cannot be the name of a variable, which consists of letters, digits and `_`, and does not begin with a digit; and a command to run files, which this is otherwise, cannot be used with '--code <CODE>'",
            )
        } else if commands > 0 && !self.code.is_empty() && is_name {
            Err("-e: a variable needs a value, such as -e NAME=VALUE or -e NAME=\"$NAME\"")
        } else if commands > 0 && !self.code.is_empty() {
            Err("the argument '-e <CMD>' cannot be used with '--code <CODE>'")
        } else if self.detach && self.token.is_none() {
            Err(
                "--detach needs -t NAME: a temporary kernel is destroyed when the command ends, and the program with it",
            )
        } else if self.session.enqueue && (!self.code.is_empty() || !self.files.is_empty()) {
            Err(
                "--enqueue only creates the session, and runs nothing: run the code later, with the same -t NAME and without --enqueue",
            )
        } else if !self.code.is_empty() && !self.arguments.is_empty() {
            Err(
                "what follows `--` are arguments of files, and a snippet has none: write the values into it, or save it as a file",
            )
        } else if self.json_schema {
            Ok(())
        } else if self.names_nothing() && io::stdin().is_terminal() {
            Err(
                "there is nothing to run: give files, or a snippet with -c, or code on standard input",
            )
        } else if !self.reads_stdin() {
            Ok(())
        } else if self.files.len() > 1 {
            Err("`-`, code from standard input, cannot be used with files")
        } else if self.build.is_some() || self.exec().is_some() {
            Err(
                "--build and --exec are for files and cannot be used with `-`, code from standard input",
            )
        } else {
            Ok(())
        }
    }
}

/// Which files of a directory are uploaded.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct CollectArgs {
    /// Upload all files of a directory, including hidden ones (whose name starts with a dot) and those
    /// that .gitignore, .ignore or .sornaignore exclude.
    #[arg(long)]
    pub(crate) no_ignore: bool,
}

/// What a new kernel may use.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct LimitArgs {
    /// Time limit of an execution, such as 500ms, 30s or 2m. The gateway may allow less. Sorna v2 only.
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub(crate) exec_timeout: Option<Duration>,

    /// Memory limit of the kernel, such as 512MiB, 64m or 1g; k, m and g are powers of 1024. One that exists already keeps its
    /// limit: another one is refused.
    #[arg(long, value_name = "SIZE", value_parser = values::kernel_memory)]
    pub(crate) max_mem: Option<values::Kib>,

    /// Folder to mount in the kernel, under its name or an alias. Can be given up to five times.
    #[arg(long = "mount", value_name = "NAME[:ALIAS]", value_parser = values::mount)]
    pub(crate) mounts: Vec<String>,
}

impl LimitArgs {
    /// As the gateway is asked for them.
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits::new();
        if let Some(time) = self.exec_timeout {
            limits = limits.with_exec_timeout(time);
        }
        if let Some(values::Kib(memory)) = self.max_mem {
            limits = limits.with_max_memory(memory.saturating_mul(1024));
        }
        limits
    }

    /// The options as words.
    #[cfg(feature = "jupyter")]
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(time) = self.exec_timeout {
            words.extend(["--exec-timeout".into(), values::time_word(time)]);
        }
        if let Some(memory) = self.max_mem {
            words.extend(["--max-mem".into(), memory.to_string()]);
        }
        for mount in &self.mounts {
            words.extend(["--mount".into(), mount.clone()]);
        }
        words
    }
}

/// What only sessions of Backend.AI have.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SessionArgs {
    /// How much of a resource a new session of Backend.AI has, such as cpu=2, mem=4g or
    /// cuda.device=1. Can be given several times.
    #[arg(short, long = "resource", value_name = "NAME=AMOUNT", value_parser = values::assignment)]
    pub(super) resources: Vec<(String, String)>,

    /// Option of the resources of a new session of Backend.AI, such as shmem=256m. Can be given several
    /// times.
    #[arg(long = "resource-opt", value_name = "NAME=VALUE", value_parser = values::assignment)]
    pub(super) resource_options: Vec<(String, String)>,

    /// Only create the session, and do not wait until it runs. It is kept. Backend.AI only.
    #[arg(long, alias = "enqueue-only", conflicts_with = "local")]
    pub(super) enqueue: bool,

    /// Give up when the session does not run after this time, such as 30s or 2m; by default 10 minutes.
    /// Backend.AI only.
    #[arg(long, value_name = "TIME", value_parser = values::wait, conflicts_with = "enqueue")]
    pub(super) max_wait: Option<Duration>,
}

/// Whether it has the form `NAME=VALUE`, and so is no command (but maybe begins one).
pub(super) fn is_assignment(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, _)| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        !name.is_empty()
            && name.bytes().all(fits)
            && !name.starts_with(|c: char| c.is_ascii_digit())
    })
}

/// A name that is there with two values.
fn given_twice(values: &[(String, String)]) -> Option<&str> {
    let mut seen = BTreeMap::new();
    let mut values = values.iter();
    let twice = values.find(|(name, value)| *seen.entry(name).or_insert(value) != value);
    twice.map(|(name, _)| name.as_str())
}

/// The name in what looks like `NAME=VALUE`, if no variable can have it.
fn misnamed(text: &str) -> Option<&str> {
    let (name, _) = text.split_once('=')?;
    // With other characters, it is a command.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (name.bytes().all(is_plain) && !is_assignment(text)).then_some(name)
}

/// For a file where the language should be.
fn language_first(argument: &str, is_local: bool) -> Option<String> {
    let ending = Path::new(argument)
        .extension()
        .and_then(|ending| ending.to_str());
    let lang = match ending {
        Some("py") => "python3",
        Some("sh") => "bash",
        Some("c") => "c",
        Some("cc" | "cpp" | "cxx") => "cpp",
        Some("go") => "go",
        Some("java") => "java",
        Some("js") => "nodejs",
        Some("lua") => "lua",
        Some("php") => "php",
        Some("pl") => "perl",
        Some("r" | "R") => "r",
        Some("rb") => "ruby",
        Some("rs") => "rust",
        _ if Path::new(argument).is_file() => "LANG",
        _ => return None,
    };
    let local = if is_local { "--local " } else { "" };
    Some(format!(
        "the first argument is the language: sorna run {local}{lang} {argument}"
    ))
}

/// What to do with output that is not text.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct MediaArgs {
    /// Save images, HTML and other media that the program outputs in this directory, which is created
    /// if needed.
    #[arg(long, value_name = "DIR")]
    pub(crate) media_dir: Option<PathBuf>,

    /// How to show images on the terminal.
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(crate) images: Images,
}

/// How images are shown on the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Images {
    /// By the protocol that the terminal supports, judging by the environment.
    #[default]
    Auto,
    /// By kitty's protocol: PNG.
    Kitty,
    /// By iTerm2's protocol: all formats that the terminal supports.
    Iterm2,
    /// As sixels: PNG.
    Sixel,
    /// Not at all.
    Never,
}

const EXAMPLES: &str = "\
Examples:
  sorna run --local python3 -c \"print('hello world')\"
  sorna run python3 -c 'x = 1' -c 'print(x)'    # one after the other, in one kernel
  sorna run python3 < script.py                 # code from standard input
  sorna run python3 script.py -- one two        # arguments of the program
  sorna run python3 - -- one two < script.py    # the same with code from standard input
  sorna run c main.c mylib.c mylib.h
  sorna run python3 hello.py
  sorna run -e 'python3 hello.py' python3 hello.py lib.py   # several, none named main.py
  sorna run c src                               # all files in src
  sorna run python3 project                     # the same, with project/main.py
  sorna run -t my-session python3 -c 'x = 1'    # keep the kernel ...
  sorna run -t my-session python3 -c 'print(x)' # ... and use it again
  sorna run c main.c -b 'gcc -O2 -o main main.c' -e './main --fast'
  sorna run -t my-session --detach python3 train.py   # and later: sorna attach my-session
  sorna run --exec-timeout 30s --max-mem 512MiB python3 -c 'import work'   # not in Backend.AI

In Backend.AI, with images in place of languages (see `sorna langs`):
  sorna run cr.backend.ai/stable/python:3.9-ubuntu20.04 -c 'print(6 * 7)'
  sorna run -e GREETING=hello -r cpu=1 -r mem=512m -t my-session python main.py
  sorna run --max-mem 512MiB python -c 'import work'
  sorna run --enqueue -t my-session python      # without waiting until it runs";

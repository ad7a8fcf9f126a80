//! Other tools that confine programs, as their documentation recommends for programs that are not trusted.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::system::{Kind, Setting, System, Whose};
use crate::user::{PRELUDE, PYTHON, SECRET, START, User};

/// Runs lines of code, in a box.
const INTERPRETER: &str = "import base64, contextlib, io, os, sys, traceback\n\
    os.chdir(os.environ['HOME'])\n\
    space = {}\n\
    for line in sys.stdin:\n    \
        said = io.StringIO()\n    \
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):\n        \
            try: exec(base64.b64decode(line), space)\n        \
            except BaseException: traceback.print_exc()\n    \
        print(base64.b64encode(said.getvalue().encode()).decode(), flush=True)\n";

/// Starts boxes, one for each command line, and passes lines of code on to them: in the place of a gateway.
const STARTER: &str = "import json, subprocess, sys\n\
    commands = json.loads(sys.argv[1])\n\
    def start(which):\n    \
        return subprocess.Popen(commands[which], text=True, close_fds=False, stdin=subprocess.PIPE,\n        \
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)\n\
    boxes = [start(which) for which in range(len(commands))]\n\
    for line in sys.stdin:\n    \
        which, _, code = line.partition(' ')\n    \
        box = boxes[int(which)]\n    \
        if not code.strip():\n        \
            box.kill(); box.wait(); boxes[int(which)] = start(int(which))\n        \
            print(flush=True)\n        \
            continue\n    \
        try:\n        \
            box.stdin.write(code); box.stdin.flush()\n    \
        except OSError: pass\n    \
        print(box.stdout.readline().strip(), flush=True)\n";

/// None of them has limits, so that nothing is to be waited for.
const TIME_TO_JUDGE: Duration = Duration::from_millis(500);

/// Two boxes: of the attacker, and of its victim.
pub(crate) struct Boxes {
    starter: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    /// Their directories outside, and how these begin inside.
    homes: [String; 2],
    inside: String,
}

impl Boxes {
    pub(crate) fn start(kind: Kind, setting: &Setting<'_>) -> Self {
        let homes = ["one", "two"].map(|name| {
            let home = format!("{}/{name}", setting.directory);
            fs::create_dir(&home).unwrap();
            setting.user.own(&home);
            home
        });
        let commands: Vec<Vec<String>> = homes
            .iter()
            .map(|home| match kind {
                Kind::Firejail => firejail(home, setting.user),
                Kind::Nothing => nothing(home),
                _ => bubblewrap(home, setting.user),
            })
            .collect();
        let secret = format!("{}/secret", setting.directory);
        let mut command = setting.user.command(PYTHON);
        command
            .args(["-c", START, SECRET, &secret, PYTHON, "-c", STARTER])
            .arg(serde_json::to_string(&commands).unwrap());
        if let Some(person) = person(setting.user) {
            command.env("HOME", person.1).env("USER", person.0);
        }
        let mut starter = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = starter.stdin.take().unwrap();
        let from = BufReader::new(starter.stdout.take().unwrap());
        let mut this = Self {
            starter,
            to,
            from,
            homes,
            inside: String::new(),
        };
        let place = this.victim("print(os.getcwd(), end='')");
        assert_ne!(place, "", "{kind:?} does not work: {commands:?}");
        this.inside = place;
        this
    }

    fn send(&mut self, which: usize, code: &str) -> String {
        writeln!(self.to, "{which} {}", STANDARD.encode(code)).unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        let said = STANDARD.decode(line.trim()).unwrap();
        String::from_utf8_lossy(&said).into_owned()
    }
}

/// What its manual has for a program with a directory of its own, and all namespaces.
fn bubblewrap(home: &str, user: &User) -> Vec<String> {
    let mut words: Vec<String> =
        "bwrap --unshare-all --new-session --die-with-parent --ro-bind /usr /usr --proc /proc \
        --dev /dev --tmpfs /tmp --ro-bind /etc/passwd /etc/passwd --ro-bind /etc/group /etc/group"
            .split(' ')
            .filter(|it| !it.is_empty())
            .map(str::to_owned)
            .collect();
    for name in ["bin", "lib", "lib64", "sbin"] {
        if fs::symlink_metadata(format!("/{name}")).is_ok_and(|it| it.is_symlink()) {
            words.extend([
                "--symlink".to_owned(),
                format!("usr/{name}"),
                format!("/{name}"),
            ]);
        } else {
            words
                .extend(["--ro-bind-try", "/", "/"].map(|it| it.replace('/', &format!("/{name}"))));
        }
    }
    if user.is_root() {
        words.extend(["--cap-drop".to_owned(), "ALL".to_owned()]);
    }
    words.extend(["--bind", home, home, "--setenv", "HOME", home].map(str::to_owned));
    words.extend([PYTHON, "-c", INTERPRETER].map(str::to_owned));
    words
}

/// An interpreter that nothing isolates.
fn nothing(home: &str) -> Vec<String> {
    let home = format!("HOME={home}");
    ["env", &home, PYTHON, "-c", INTERPRETER]
        .map(str::to_owned)
        .to_vec()
}

/// Its profile for programs that it does not know, and the options of its manual for those that are not trusted.
fn firejail(home: &str, user: &User) -> Vec<String> {
    let mut words: Vec<String> = [
        "firejail",
        "--quiet",
        "--private-tmp",
        "--private-dev",
        "--net=none",
        "--ipc-namespace",
        "--caps.drop=all",
        "--nonewprivs",
        "--seccomp",
    ]
    .map(str::to_owned)
    .to_vec();
    if !user.is_root() {
        words.push("--noroot".to_owned());
    }
    words.push(format!("--private={home}"));
    words.extend([PYTHON, "-c", INTERPRETER].map(str::to_owned));
    words
}

/// The name and the home of a user.
fn person(user: &User) -> Option<(String, String)> {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let is_it = fields.get(2)?.parse() == Ok(user.id);
        is_it.then(|| (fields[0].to_owned(), fields[5].to_owned()))
    })
}

/// Why firejail does not start programs of this user.
pub(crate) fn refusal_of_firejail(user: &User) -> Option<String> {
    let mut command = user.command("firejail");
    if let Some((name, home)) = person(user) {
        command.env("HOME", home).env("USER", name);
    }
    let done = command
        .args(["--quiet", "--noprofile", "true"])
        .stdin(Stdio::null())
        .output();
    let done = done.unwrap();
    (!done.status.success()).then(|| {
        let said = String::from_utf8_lossy(&done.stderr);
        let line = said
            .lines()
            .find(|it| !it.is_empty())
            .unwrap_or_default()
            .to_owned();
        format!(
            "firejail for user {}, who needs a name and a home ({line})",
            user.id
        )
    })
}

impl System for Boxes {
    fn attack(&mut self, code: &str) -> String {
        self.send(0, &format!("{PRELUDE}{code}"))
    }

    fn victim(&mut self, code: &str) -> String {
        self.send(1, &format!("{PRELUDE}{code}"))
    }

    fn renew(&mut self) {
        self.to.write_all(b"0 \n").unwrap();
        self.from.read_line(&mut String::new()).unwrap();
    }

    fn kill(&mut self) {
        self.starter.kill().unwrap();
        self.starter.wait().unwrap();
    }

    fn gateway(&self) -> u32 {
        self.starter.id()
    }

    fn watchdog(&self) -> Option<u32> {
        None
    }

    fn place(&self, whose: Whose, path: &str) -> String {
        let home = &self.homes[whose as usize];
        // Inside it has the same name as outside, or that of the user's own.
        match path.strip_prefix(&self.inside) {
            Some(rest) if !path.starts_with(home) => format!("{home}{rest}"),
            _ => path.to_owned(),
        }
    }

    fn time_to_judge(&self) -> Duration {
        TIME_TO_JUDGE
    }
}

impl Drop for Boxes {
    fn drop(&mut self) {
        let _ = self.starter.kill();
        let _ = self.starter.wait();
    }
}

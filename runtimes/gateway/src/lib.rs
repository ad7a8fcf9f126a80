//! A Sorna gateway for one machine: the API v2 with real kernels, which are processes of this
//! user. For development, for tests, and for running code without a cluster.
//!
//! What it leaves to you: the languages' tools, a client, and whom to let run programs on the machine, of
//! which [some is kept from them](#what-it-protects-from-and-what-it-does-not) and some is not.
//!
//! ```
//! use sorna_gateway::{Gateway, GatewayConfig};
//!
//! // A free port on 127.0.0.1, and a random key pair.
//! let gateway = Gateway::spawn(GatewayConfig::default())?;
//! assert!(gateway.endpoint().starts_with("http://127.0.0.1:"));
//! println!("{} {}", gateway.access_key(), gateway.secret_key());
//!
//! // Nothing is left behind: no process, no file.
//! gateway.stop();
//! # Ok::<(), sorna_gateway::StartError>(())
//! ```
//!
//! # Languages
//!
//! As far as their tools are on the machine; a kernel of another is refused with
//! `kernel-creation-failed`, which names the tool. `GET /v2/languages` lists them, and a
//! [`LanguageTable`] adds others from TOML.
//!
//! | name | also | tool | stays between queries | default build | default exec |
//! |---|---|---|---|---|---|
//! | `python3` | `python` | python3 | all | | `python3 main.py` |
//! | `bash` | | bash | all | | `bash main.sh` |
//! | `perl` | `perl5` | perl | all, `my` variables and pragmas too | | `perl main.pl` |
//! | `ruby` | | ruby | all | | `ruby main.rb` |
//! | `nodejs` | `node`, `nodejs6`, `nodejs8`, `javascript` | node | all | | `node main.js` |
//! | `lua` | `lua5` | lua | globals, not locals | | `lua main.lua` |
//! | `php` | `php7`, `php8` | php | all | | `php main.php` |
//! | `r` | `R`, `r3` | R | all | | `main.R` |
//! | `c` | | gcc | files | all `*.c`, also in directories, to `./main` | `./main` |
//! | `cpp` | `c++`, `cpp11`, `cpp14`, `cpp17`, `cpp20` | g++ | files | the same with `*.cpp`, `*.cc`, `*.cxx`, `*.c++` | `./main` |
//! | `rust` | `rs` | rustc | files | `cargo build` if there is a `Cargo.toml`, else `main.rs` to `./main` | `cargo run`, or `./main` |
//! | `go` | `golang` | go | files | `go build -o main`, of the module or of `*.go` | `./main` |
//! | `java` | `java8`, `java11`, `java17` | javac | files | `javac` with all `*.java`, also in directories | `java Main` |
//!
//! An alias names the same tool, whatever version it is.
//!
//! A query is a snippet for the interpreter, which lives on if the snippet fails; `exit` and the
//! like end it, and what it held, and another takes its place. In the languages of the last five
//! lines a query is a whole program, which is compiled and run; in rust also the body of `main`.
//!
//! - nodejs: a snippet has ended when nothing is left to wait for, timers and servers included. It
//!   is read as the developer console reads it: `await` works outside of functions, and `let` and
//!   `const` may be declared again. `import()` does not work, `require` does.
//! - perl: `return` outside of a subroutine, and `__END__`, let the snippet's `my` variables go.
//! - php: `<?php` at the beginning is not needed. What PHP itself dies of, such as a function
//!   declared twice, ends the interpreter.
//! - r: visible values are printed. `readline()` asks; `readLines("stdin")` reads on until the end.
//! - lua: a `local` is the snippet's own.
//!
//! # Input
//!
//! A program that waits for its standard input is noticed, whatever it is: `input()` in a python3
//! kernel, `read` in bash, `scanf` in C, `process.stdin` and `readline` in nodejs, the likes of them
//! elsewhere, and anything they start. The client's answer is a line; its end is added if it is
//! missing. The answer `"\u{4}"` (Ctrl-D) ends the input, which `sys.stdin.read()`, `cat` and the like
//! wait for; a program that reads once more asks again.
//!
//! Clients are told to hide what is typed for `getpass.getpass` of python3, `read -s` of bash, and
//! `STDIN.getpass` and `STDIN.noecho` of ruby. Programs that use a terminal for that, such as
//! `stty -echo`, find none.
//!
//! # More than text
//!
//! A python3 kernel has a builtin `display(*objects)`, which shows each object in the richest form
//! it has, one record each: of `_repr_svg_`, `_repr_png_`, `_repr_jpeg_`, `_repr_html_`,
//! `_repr_markdown_` and `_repr_latex_`, the first that gives something; else its `repr` is printed.
//! What `_repr_mimebundle_` gives counts before the method for the same type. An exception in such a
//! method is shown, and the next form is taken.
//!
//! `plt.show()` of matplotlib sends each open figure as a PNG and closes it; with `block=False`, and
//! by `figure.show()`, it stays open. Whoever chooses a backend, by `MPLBACKEND`,
//! `matplotlib.use` or a `matplotlibrc`, has that one and its ways. Figures that are never shown are
//! not sent. Programs that a kernel starts see nothing of this.
//!
//! More is in a module that only kernels have:
//!
//! ```python
//! import sorna_kernel
//!
//! sorna_kernel.html("<b>bold</b>")
//! sorna_kernel.media("image/png", data)           # bytes; or a str for text and XML
//! sorna_kernel.figure_format("svg")               # of plt.show(), in place of "png"
//! sorna_kernel.capture_logs(level="INFO")         # records of the logging module
//! sorna_kernel.capture_logs("DEBUG", "app.db")    # of one logger
//! ```
//!
//! All records keep their place among the output, from threads too. One may take 16 MiB, as JSON
//! and with bytes as base64; a larger one is a `ValueError`. A process that the kernel forked cannot
//! send records: there, `display` prints the `repr`, logs go to the standard error, and the rest is a
//! `RuntimeError`. Nothing of it is loaded before it is used, so kernels start as fast as without.
//!
//! # Completion
//!
//! `complete` works in python3 kernels, and finds nothing in others or while something runs. It
//! knows names, keywords, attributes, modules in `import` and `from`, and the keys of a dict in
//! `d['`. Each candidate begins with what it completes, the name before the cursor with all its
//! dots, and a function has a `(` at its end. The cursor is where `options.row` and `col` say, or at
//! the end of `options.line`.
//!
//! What runs of the user's code are attribute lookups, those of `a` and `b` in `a.b.c`, and
//! `__dir__`: no function is called, nothing is subscripted, and no module is imported. A property
//! that fails, or takes longer than 2 s, has no completions; the kernel goes on.
//!
//! # Where it differs from the original gateway on purpose
//!
//! - A key sees its own kernels only.
//! - `result.options` of a finished execution has `exitCode`, in a batch `step`, and `restarted` if
//!   the interpreter ended with the snippet. `build-finished` has `exitCode` and `step`.
//! - A failed build ends a batch: `finished`, with the build's output and exit code.
//! - A batch asked for again with the same steps, after an answer that was no end, goes on and is
//!   not begun anew: clients send the steps along each time.
//! - What a client sends after `waiting-input` is never run, even if the program ended meanwhile.
//! - One answer holds about 1 MiB of output; a program that says more waits until it is fetched.
//! - `buildLog` has the shell tell what it does in the build, on the standard error.
//! - `exec-timeout` exists. The time a program waits for its client does not count.
//! - `complete` works in python3 kernels.
//! - Uploads: 20 files of 1 MiB pass, directories are made, names that leave the work directory are
//!   400, and a refused upload stores nothing.
//! - Malformed JSON is 400 `invalid-api-params`; mounts are refused, as there is nothing to mount.
//! - At the limit of kernels, a living token still gets its kernel.
//! - `GET /v2/languages` is there.
//!
//! # Limits
//!
//! All are in [`GatewayConfig`]. A program that runs for longer than it may is killed, with what it
//! started: the answer is `exec-timeout`. A kernel that takes more memory (`limits.maxMem`, up to
//! [`max_memory`](GatewayConfig::max_memory)) or processes than it may is killed as a whole, with a line
//! on the standard error that names the limit, and exit code 137. Either way its files stay, and it
//! goes on with a new interpreter.
//!
//! Where the system lets the gateway make control groups (cgroup v2) with the `memory` and `pids`
//! controllers, they see to memory and processes; a program that may have no more processes is not
//! killed then, but cannot make any. Otherwise the gateway looks ten times a second how much a kernel
//! takes in which something runs, and every 2 s at the others; memory that processes share counts
//! once. A single process may have no more data than the limit and 2 GiB for the stacks of its
//! threads. Under systemd such
//! groups are had by running the gateway as a unit with `Delegate=yes` and
//! `DelegateSubgroup=gateway`, and naming the unit's group in [`cgroup`](GatewayConfig::cgroup).
//!
//! Clients have limits, too. Nothing of a request's body is read before its headers are in order and
//! its access key is known, and then no more than its kind may have; heads have 64 KiB; heads, bodies
//! and answers have their time ([`head_timeout`](GatewayConfig::head_timeout) and its fellows), and a
//! client that is too slow is cut off; connections are counted
//! ([`max_connections`](GatewayConfig::max_connections)). Signatures are compared in constant time. A
//! signed request can be sent again by whoever saw it until its date is 15 minutes old, as on the
//! original: use TLS where others can listen.
//!
//! At rest a bash kernel is one process of 3.2 MiB, most of it shared, and eight open files of the
//! gateway, nine with control groups. 500 of them were held at the same time on 2 cores; the gateway, with its client in the
//! same process, grew by 7.7 MiB (`cargo test -p sorna-tests --test gateway many -- --nocapture`).
//! For more than about 120 kernels it must be allowed to open more than the usual 1024 files:
//! [`raise_open_files`].
//!
//! # What it protects from, and what it does not
//!
//! [`Gateway::isolation`] tells what this system offers, and so does the log. At best:
//!
//! - **Files** (Landlock, Linux 5.13 and later): a kernel reads and writes its work directory, its
//!   `TMPDIR` and `/dev/shm`. It reads programs, libraries, and those files of `/etc` that programs
//!   need, the tree that its language's tool is in, the directories of its `PATH`, and what
//!   [`readable`](GatewayConfig::readable) and [`writable`](GatewayConfig::writable) add. Everything
//!   else cannot be opened: not the user's home, not other kernels' files, not the gateway's, not
//!   `/tmp` (`tmpfile()` of C, which does not heed `TMPDIR`, fails), not the user's terminals in
//!   `/dev/pts` (so programs that make terminals of their own, such as `script`, fail unless
//!   `/dev/pts` is made writable).
//! - **Processes**: each has a session of its own. With Landlock 6 (Linux 6.12) a kernel cannot signal
//!   what it did not start; with any, not trace it or read its environment or memory. What one
//!   process of the gateway starts is apart from the next: a kernel's terminal cannot signal its
//!   interpreter.
//! - **Privileges**: none can be gained (`no_new_privs`), so `sudo` does not work; kernels have no
//!   capability, also those of a gateway that runs as root or has some.
//! - **Environment**: `PATH`, `HOME`, `TMPDIR`, `SHELL`, `LANG`, `TERM` and a mark; nothing of the
//!   gateway's own.
//! - **Resources**: see above; no core dumps, and files of a limited size.
//!
//! It does **not** protect from:
//!
//! - use of the network, including services on this machine that trust whoever connects, and
//!   (before Linux 7.1) UNIX sockets in the file system;
//! - use of all processors, of the disk up to its end (many files below the limit), or of `/dev/shm`,
//!   where kernels meet as well, and where what they leave stays, as it does in System V shared
//!   memory, message queues and semaphores;
//! - seeing which processes run and which files exist, with their names, sizes and times;
//! - faults of the system's kernel. For programs of people you have reason to fear, put the gateway
//!   into a virtual machine.
//!
//! Without Landlock a program can do whatever the user can who runs the gateway. Without control
//! groups a program outlives its kernel if it leaves its session, clears its environment, changes
//! its directory, and was never seen as the child of a process that is known; and it outlives a
//! timeout, or a gateway that is killed, if it does the first three.
//!
//! So it listens on loopback addresses only, unless [told otherwise](GatewayConfig::allow_remote) and
//! given keys.
//!
//! Linux is needed: `/proc` shows which program waits for input, and what a kernel left running.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `tls` | HTTPS, by `GatewayConfig::tls` |
//!
//! None is on by default. The minimum supported Rust version is 1.88; raising it takes a new minor version.
//!
//! # See also
//!
//! [`sorna`](https://docs.rs/sorna), the client; [`sorna-core`](https://docs.rs/sorna-core), whose module
//! `server` is the protocol's part of this; `sorna serve` of `sorna-cli`, which is this from the command
//! line.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod base;
mod config;
mod error;
mod gateway;
mod http;
mod kernel;
mod kernels;
mod lock;
mod random;
mod running;
mod stats;
#[cfg(feature = "tls")]
mod tls;

pub use config::GatewayConfig;
pub use error::StartError;
pub use gateway::{Gateway, raise_open_files};
pub use kernel::{Isolation, LanguageError, LanguageTable};
pub use running::RunningGateway;
pub use stats::GatewayStats;
#[cfg(feature = "tls")]
pub use tls::{TlsError, TlsIdentity};

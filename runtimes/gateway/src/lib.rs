//! A Sorna gateway for one machine: it implements the API v2, and [that of Backend.AI](#backendai), with real
//! kernels, which are processes of this user. For development, for tests, and for running code without a cluster.
//!
//! You provide the languages' tools and a client, and decide who may run programs on this machine: see
//! [what the gateway protects from](#what-it-protects-from-and-what-it-does-not).
//!
//! ```
//! use sorna_gateway::{Gateway, GatewayConfig};
//!
//! // A free port on 127.0.0.1, and a random key pair.
//! let gateway = Gateway::spawn(GatewayConfig::default())?;
//! assert!(gateway.endpoint().starts_with("http://127.0.0.1:"));
//! println!("{} {}", gateway.access_key(), gateway.secret_key());
//!
//! // Leaves no process and no file behind.
//! gateway.stop();
//! # Ok::<(), sorna_gateway::StartError>(())
//! ```
//!
//! # Languages
//!
//! A language is available if its tool is installed. Otherwise creating a kernel fails with
//! `kernel-creation-failed`, which names the tool. `GET /v2/languages` lists the languages, and a
//! [`LanguageTable`] adds custom ones from TOML.
//!
//! | name | aliases | tool | kept between queries | default build | default exec |
//! |---|---|---|---|---|---|
//! | `python3` | `python` | python3 | all | | `python3 main.py` |
//! | `bash` | | bash | all | | `bash main.sh` |
//! | `perl` | `perl5` | perl | all, `my` variables and pragmas too | | `perl main.pl` |
//! | `ruby` | | ruby | all | | `ruby main.rb` |
//! | `nodejs` | `node`, `nodejs6`, `nodejs8`, `javascript` | node | all | | `node main.js` |
//! | `lua` | `lua5` | lua | globals, not locals | | `lua main.lua` |
//! | `php` | `php7`, `php8` | php | all | | `php main.php` |
//! | `r` | `R`, `r3` | R | all | | `main.R` |
//! | `c` | `gcc`, `clang` | gcc | files | all `*.c`, also in subdirectories, to `./main` | `./main` |
//! | `cpp` | `c++`, `cpp11`, `cpp14`, `cpp17`, `cpp20`, `g++` | g++ | files | the same with `*.cpp`, `*.cc`, `*.cxx`, `*.c++` | `./main` |
//! | `rust` | `rs` | rustc | files | `cargo build` if there is a `Cargo.toml`, else `main.rs` to `./main` | `cargo run`, or `./main` |
//! | `go` | `golang` | go | files | `go build -o main`, of the module or of `*.go` | `./main` |
//! | `java` | `java8`, `java11`, `java17`, `jdk`, `openjdk` | javac | files | `javac` with all `*.java`, also in subdirectories | `java Main` |
//!
//! An alias stands for the same tool, whatever its version. In both dialects, references to images are names as well: of
//! `cr.backend.ai/stable/python:3.9-ubuntu20.04` and `python-tensorflow:2.15`, the language is `python`.
//!
//! A query is a snippet for the interpreter, which keeps running if the snippet fails. `exit` and
//! similar calls end the interpreter; its state is lost, and a new one is started. In the last five
//! languages of the table a query is a whole program, which is compiled and run; in rust it may also
//! be the body of `main`.
//!
//! - nodejs: a snippet ends when nothing is left to wait for, timers and servers included. It is
//!   evaluated as in the developer console: `await` works outside of functions, and `let` and `const`
//!   may be declared again. `import()` does not work, `require` does.
//!   An error in a callback and a promise that is rejected end the snippet, unless the program handles them; its exit
//!   code is `process.exitCode` otherwise, which the next snippet finds unset. `exit` comes when the interpreter ends.
//! - perl: after `return` outside of a subroutine, or `__END__`, the snippet's `my` variables are lost.
//! - php: `<?php` at the beginning is optional. Fatal errors of PHP itself, such as a function that is
//!   declared twice, end the interpreter.
//! - r: visible values are printed. `readline()` and `readLines(stdin(), n)` ask for input, line by line;
//!   `readLines("stdin")` reads to the end.
//! - lua: a `local` exists only in its snippet.
//!
//! # The end of an interpreter
//!
//! Threads that still work after the last line, hooks (`atexit`, `trap EXIT`, `END`, `at_exit`, shutdown functions, `.Last`),
//! destructors and test runners that start at the end have their turn when the interpreter ends. When is that?
//!
//! - After a **final** query, which is an extension of this gateway: `{"mode": "query", "code": …, "options": {"final": true}}`
//!   in both dialects. The interpreter ends after the snippet, as its language does, whether the snippet failed or not. All
//!   of that is part of the execution: its output, its questions, its time limit. The exit code is that of the process, and
//!   128 plus the number for a signal. What processes in the background print is awaited for 1 s more. The code may be empty.
//!   There is a new interpreter when something is executed again. In languages whose queries are programs, the option
//!   means nothing; those with a custom runner end as they did without it.
//! - When a kernel is restarted or destroyed while nothing runs, also by its idle timeout or since the gateway ends: for at most
//!   1 s, in which what is printed goes nowhere, and input has ended. While something runs, it is killed.
//! - When the program ends it, by `exit` and similar calls.
//!
//! Clients learn of the extension from the response to the creation of a kernel or session, which has
//! `"extensions": ["final", …]`. Temporary kernels of our client and of `sorna run` use it for their last query.
//!
//! # One execution at a time
//!
//! A kernel executes one thing at a time. Code for a kernel that is busy is neither run nor swallowed.
//!
//! - In Sorna v2 the response is 409 `kernel-busy`, whose `data` says what runs (`query` or `batch`), since when (`runningFor`,
//!   in ms) and whether it waits for input. Empty code is a continuation, code after `waiting-input` is the input, and the same
//!   steps of a batch continue it, as on the original gateway; there, other code is ignored, and its client gets output of
//!   what runs.
//! - In Backend.AI a run waits up to 30 s for the one before it, as with managers.
//!
//! Clients can **mark** their requests, which is an extension of this gateway (`"runs"`, also named by `GET /v2` and `GET /`):
//! `"options": {"run": {"id": …, "request": 0}}`, with an ID of the execution and the number of the request, in both dialects and
//! also over a WebSocket, where only the first message has it. Then
//!
//! - no other client continues the execution, gives it input or gets its output, and a busy kernel is 409 `kernel-busy` in both
//!   dialects; with `"wait": true` the first request is held until the kernel is free, for as long as one for output;
//! - a request that comes once more, since its response did not arrive, does nothing, and gets the same response. It is kept
//!   until the next request, for the last one two minutes. If it has more than 2 MiB of output, only the number of bytes is
//!   kept, and told on standard error;
//! - the end of an execution that no one has fetched when the next one begins is kept for its client, until another one
//!   begins;
//! - with `"unclaimed": true` in its first request, an execution gets what those before it have printed and no client is known
//!   to have received, since theirs have gone: the console begins with `["unclaimed", [record, …]]`, once. Without this, it is
//!   kept. A response has been received if its client asked for the next part, or, at the end and where the program waits for
//!   input, if all of it was sent and the connection did not break after it; over a WebSocket, if the client answers the ping that follows it. 2 MiB are kept for a
//!   kernel, within the limits of unread output; if there was more, its standard error says how many bytes were lost;
//! - `"timeLimit": ms` in the first request is the time limit of the execution in place of the kernel's;
//! - with `"maxOutput": bytes` in the first request (`"max-output"`, named as `"runs"` is), the execution may write so much to
//!   standard output and standard error together, and each step of a batch. What it writes beyond that is dropped, no character
//!   is cut in two, and it is killed as for its time: the end has the exit code 137, `"limit": "output"` and `limitMax`, and
//!   standard error says so. A program that has ended by then has the same end. Media and values do not count;
//! - its results say [what it has used](#what-an-execution-has-used).
//!
//! An execution over a WebSocket whose client is gone is interrupted, unless its first request says `"persists": true`. What it
//! printed and what it prints then is kept in the same way.
//!
//! # Between executions
//!
//! An extension of this gateway in both dialects (`"between"`, named by `GET /v2`, `GET /` and creations), in the marks of first
//! requests:
//!
//! - `"listen": true`, in a query without code and with an ID of its own, starts nothing, disturbs nothing and does not keep the
//!   kernel in use. It waits for output that belongs to no execution, as of threads and of processes in the background: the
//!   response has that and the status `finished`, and comes once. After half a minute, or when something starts or runs, it is
//!   `continued` and empty. That is also the response if a program waited for input when the request came, and has printed
//!   something since or waits no more: an input of no bytes in its execution then says what.
//! - `"apart": true` puts what was printed since the execution before among what is `unclaimed` (if the mark asks for that),
//!   and not at the beginning of the output of this one.
//!
//! A query whose first line is `# sorna: question` is a question of the client, and not part of the program: in python3 it has
//! names of its own, whatever the program has replaced, and in bash, the descriptor of the control channel: see
//! [`Execute::QUESTION`](sorna_core::Execute::QUESTION).
//!
//! # What an execution has used
//!
//! An extension of this gateway in both dialects (`"usage"`, named by `GET /v2`, `GET /` and creations): the end of a marked
//! execution, and that of each step of a batch, has `"usage": {"wallUs": …, "cpuUs": …, "peakMemory": …, "output": …}` in its
//! options. It is what the program has used, so in a batch that of the step that ends, and in a snippet that is compiled not that of
//! the compiler.
//!
//! - `wallUs`: the time in µs from the start of the program or snippet until it ended, which its time limit is compared with. That in
//!   which it waits for its client to give input does not count.
//! - `cpuUs`: processor time in µs, in user mode and in the system, with all threads, and with processes that it has started if they
//!   still run or were waited for. In a box, the system tells it to the µs when a process ends. Without a box, and for snippets,
//!   whose interpreter goes on, it has the resolution of `/proc`, 10 ms mostly, which cuts off: up to 40 ms may be missing. With
//!   control groups, it is to the µs in any case, and is that of all processes of the kernel meanwhile, orphans as well.
//! - `peakMemory`: the most resident memory in bytes, shared libraries included, of the process that had the most. It is missing if
//!   it is not known. In a box, it is exact for programs, and for snippets of an interpreter that ends with its first one; below
//!   some MiB it may be that of the helper that started the program. For other snippets it is exact for the interpreter, which
//!   counts with all that it holds, its variables too, and for processes that it starts only what was seen: the gateway looks after
//!   5 ms, and then less often, at last every 50 ms (300 ms where very many programs run). Without a box, programs are looked at in this way,
//!   so that a peak between two looks is missed, and a program that ends within 5 ms has none. If control groups limit the memory, and
//!   the system has Linux 6.12, it is that of all processes of the kernel together, with the files that they read and write as
//!   far as these are in memory. A program that is killed for its memory had no less than its limit.
//! - `output`: what it wrote to standard output and standard error, in bytes, as far as the gateway read it; also what was cut.
//!
//! Where several of these ways are there, the greatest number counts, as each of them may miss something.
//!
//! # Without a client, and attaching
//!
//! An extension of this gateway in both dialects (`"attach"`, named by `GET /v2`, `GET /` and creations), in the marks of first
//! requests:
//!
//! - `"detached": true` starts an execution and responds at once, with `continued`. No one has to fetch what it prints: the last
//!   of it is kept, as much as a console holds, and its standard error says how many bytes were dropped before. A batch goes
//!   on with its next step. The kernel is in use until the end, which is kept as well. A program that asks for input waits for
//!   someone who attaches, until its time limit.
//! - `"attach": true`, in a query without code and with an ID of its own, starts nothing: it takes over what runs, whoever
//!   started it, or the end of what ran last, if no client has received that. First comes what no client is known to have
//!   received, as output of this execution, then what is printed. The client before, if it is still there, gets 409
//!   `run-taken-over`; if there is nothing, the response is 409 `nothing-to-attach`. From then on the execution keeps running
//!   as one that was started without a client, whenever its client has gone: at once with a WebSocket, and else when
//!   its connection has ended and nothing was heard for 10 s.
//! - `"persists": true` lets an execution over a WebSocket go on in that way if the connection breaks. Its client may also go on
//!   with its own ID and the next number, by requests; `"received": number` in that one says how many results have come over the
//!   WebSocket, so that none comes twice.
//! - `"client": text`, of at most 256 bytes, says who executes: it is part of the `data` of 409 `kernel-busy`.
//!
//! Over a WebSocket, the errors are messages: `{"status": "error", "msg": text, …}` with the fields of the response.
//!
//! `POST /v2/kernel/<id>/interrupt`, without a body, **interrupts** what runs in a kernel, as Ctrl-C does: an extension of this
//! gateway (`"interrupt"`, named by `GET /v2` and by creations), which Backend.AI has as `POST /session/<name>/interrupt`. The
//! response is 204, also if nothing runs. The table below says what becomes of interpreters.
//!
//! # Input
//!
//! The gateway notices when any program waits for its standard input: `input()` in a python3 kernel,
//! `read` in bash, `scanf` in C, `process.stdin` and `readline` in nodejs, their counterparts in other
//! languages, and programs that they start. The client sends one line; a missing line end is added.
//! The input `"\u{4}"` (Ctrl-D) ends the input, which `sys.stdin.read()`, `cat` and others wait for. A
//! program that reads again asks again.
//!
//! A program that waits for its input among other files, by `poll`, `select` or `epoll`, is asked when it has done so for
//! 50 ms. It is not if it looks only from time to time, waiting for less than a second each time, or if one of the other
//! files is a socket that takes connections. But where such short waits recur for 1.5 s, and the execution is marked, its
//! client is asked; the time limit goes on then, and after the end of the input it is asked for such waits no more. Such a program may go on without the input, for instance `read -t 8` of bash:
//! then its time limit counts again, and what the client sends after that is read by what reads next, as if it had been typed
//! ahead. The options of `waiting-input` have `"may_go_on": true` for such a program. To see whether it has gone on, a client
//! sends no bytes of input (`"code": ""` with `"encoding": "base64"`): the response is `waiting-input` again, or what has
//! happened since.
//!
//! A program that reads may go on, too: by a signal, or since another of its threads or processes ends it or prints something.
//! Where executions are marked, their clients are told so of every program that asks. For other clients, it waits until they
//! answer, as on the gateway of 2017.
//!
//! Where `/proc/<id>/syscall` is not there, and on processors other than x86-64, aarch64 and riscv64, standard input has
//! ended from the beginning.
//!
//! Prompts are shown and what is typed is hidden as on a terminal, though there is none, in snippets and in files that a batch
//! runs: the prompts of `read -p` in bash, of `readline` in php and ruby and of `Term::ReadLine` in perl. Clients are asked to
//! hide what is typed for `getpass.getpass` of python3, `read -s` of bash, `STDIN.getpass` and `STDIN.noecho` of ruby,
//! interfaces of `readline` in nodejs that are muted (`_writeToOutput` is replaced, or `muted` is true), `POSIX::Termios` of perl,
//! `getpass` in C and C++ programs that are compiled in a kernel (`C_INCLUDE_PATH` names a header that has it), and after
//! `stty -echo`, until `stty echo`. A `stty` that stands first in the `PATH` of kernels knows these and `stty -g`. Files, and what
//! files and snippets start, are run with variables that have interpreters load what does that: `BASH_ENV`, `NODE_OPTIONS`,
//! `PERL5LIB`, `PERL5OPT`, `PHP_INI_SCAN_DIR`, `PYTHONPATH`, `RUBYOPT`; what is started with another environment is as without
//! a terminal. `php` in that `PATH` does the same for the code of `php -r`, which loads no file first. It changes nothing for programs whose standard input is another one, and those
//! that open `/dev/tty` fail. R reads nothing by `readline()` in files, as anywhere.
//!
//! Where a program on a terminal would see to it that not even the end of the line is shown, the options of the question are
//! `{"is_password": true, "hides_line_end": true}`: after `read -s`, `STDIN.noecho` and `stty -echo`, programs begin a new line
//! themselves. After other passwords, clients begin one, as for any gateway. Clients that do not know that show an empty line.
//!
//! What threads print after the end of their snippet is shown with the next one in a kernel that is kept, and before the
//! end of the last one.
//!
//! # Permissions and directories
//!
//! Uploads carry names and contents. A part of the form may have the header `Sorna-File-Mode: 100755` as well, an extension of
//! this gateway: the type and the permissions in octal, as in tar archives. `040755` is a directory, which has no content.
//! Clients learn of it from `"file-modes"` among the `extensions`, in the response to a creation, to `GET /v2` and to `GET /`. Without
//! the header, no one may execute an uploaded file.
//!
//! With `?size=any`, another extension (`"any-size"`), an upload brings files of any size, in both dialects: they are written
//! as they arrive, and the disk limit of the kernel holds. The request must have a `Content-Length`, for which there must be
//! room before it is read, and arrive at 64 KiB a second, the time for other bodies besides. Since few clients read
//! a response while they send, they can ask before: `?size=any&room=` and a number of bytes, with a form of no files, is
//! refused like an upload of that size. Without the query, the limits of the protocols hold.
//!
//! # Files
//!
//! In Sorna v2, too, files can be listed and downloaded, an extension of this gateway (`"files"` among the `extensions`):
//! `GET /v2/kernel/{id}/files?path=…`, `/v2/kernel/{id}/download?files=…&files=…` (at most 5 files or directories) and
//! `/v2/kernel/{id}/download_single?file=…`. Requests are signed like others, and responses are those of Backend.AI. Paths are
//! below the work directory: nothing else is listed or sent, also not where a symbolic link of a program leads.
//!
//! # More than text
//!
//! A python3 kernel has a builtin `display(*objects)`, which sends each object as one record in its
//! richest form: the first of `_repr_svg_`, `_repr_png_`, `_repr_jpeg_`, `_repr_html_`,
//! `_repr_markdown_`, `_repr_latex_`, `_repr_json_`, `_repr_javascript_` and `_repr_pdf_` that returns something. Without any, it
//! prints the `repr`. What has `_ipython_display_` shows itself by that. `include`, `exclude` and `raw` are those of IPython.
//! Results of `_repr_mimebundle_` take precedence over the method for the same type. An exception in
//! such a method is shown, and the next form is used.
//!
//! `display` of IPython, and what uses it, does the same (`from IPython.display import display, HTML, Image`), unless the program
//! runs a shell of IPython itself.
//!
//! `plt.show()` of matplotlib sends each open figure as a PNG and closes it; with `block=False`, and
//! with `figure.show()`, it stays open. A backend that is chosen by `MPLBACKEND`, `matplotlib.use` or
//! a `matplotlibrc` is used instead. Figures that are never shown are not sent.
//!
//! Python programs in files, which the commands of a batch run, show the same. For that, `PYTHONPATH` names a
//! `sitecustomize` of the gateway, which takes itself out of the program's environment and path again, and runs the
//! machine's own. Nothing is shown where Python ignores its environment (`python3 -I`), nor by programs that a python3
//! program starts.
//!
//! A module that exists only in kernels offers more:
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
//! Records keep their place among the output, also from threads. A record may have 16 MiB, as JSON
//! with bytes as base64; a larger one raises a `ValueError`. A process that the kernel forked cannot
//! send records: there, `display` prints the `repr`, logs go to stderr, and the other functions raise
//! a `RuntimeError`. The module is loaded only when it is used, so it does not slow down the start.
//!
//! # Completion
//!
//! `complete` works in python3 kernels. In others, and while something runs, it finds no candidates.
//! It knows names, keywords, attributes, modules in `import` and `from`, files in a text that is open, and the keys of a dict in
//! `d[` and `d['`. Each candidate begins with the text that it completes, the name before the cursor with all
//! its dots, and a function ends with `(`; what follows the cursor already (`options.post`) is not added. `options.row` and `options.col` give the cursor; otherwise
//! it is at the end of `options.line`.
//!
//! The only code of the user that runs are attribute lookups, those of `a` and `b` in `a.b.c`, and
//! what is there to be asked, `__dir__` and `_ipython_key_completions_`: no function is called, and no module is imported. `A().`
//! has what the class has, and `x[0].` has candidates if `x` is of a builtin type, or of numpy or pandas. A property
//! that fails, or takes longer than 2 s, has no candidates; the kernel keeps running.
//!
//! # Deliberate differences from the original gateway
//!
//! - A key sees only its own kernels.
//! - `result.options` of a finished execution has `exitCode`, and in a batch `step`. `build-finished` has `exitCode` and `step`.
//! - `result.options` of an execution has `restarted`, which is true, if the interpreter has ended with the snippet, or was killed
//!   for a limit, so that its variables are lost. So in Backend.AI.
//! - `result.options` of an execution that was killed for a limit has `limit` (`time`, `memory`, `disk`, `files`, `processes`,
//!   `open-files` or `sockets`) and `limitMax`, how much that allows: in ms or bytes, or a number. What a program prints or
//!   returns has no effect on that. So in Backend.AI, where `options` is null otherwise.
//! - A failed build ends a batch: `finished`, with the build's output and exit code.
//! - A batch request with the same steps as a batch that has not ended continues that batch and does
//!   not start it again: clients repeat the steps in each request.
//! - What a client sends after `waiting-input` is never run as code, even if the program has ended
//!   meanwhile.
//! - `waiting-input` has `takes_lines` in its options: what a client sends may then be many lines, each with its end, of which
//!   programs read as many as they want. A line end that is missing is added, unless a Ctrl-D (`\u{4}`) stands in its place.
//! - A response holds about 1 MiB of output; a program that prints more waits until it is fetched.
//! - `buildLog` traces the commands of the build on stderr.
//! - `exec-timeout` is implemented. The time that a program waits for its client does not count.
//! - `complete` works in python3 kernels.
//! - Uploads: 20 files of exactly 1 MiB are accepted, directories are created, a name outside the work
//!   directory is 400, and a rejected upload stores nothing.
//! - Malformed JSON is 400 `invalid-api-params`. Mounts are rejected, as there is nothing to mount.
//! - At the limit of kernels, the token of a living kernel still returns that kernel.
//! - The response to a creation has `created`, whether the kernel is new, and `otherLanguages` if the same token has kernels of other
//!   languages.
//! - `GET /v2/languages` exists, and what is named under [Files](#files).
//!
//! # Backend.AI
//!
//! The gateway speaks the API of Sorna's successor as well, on the same port and with the same keys: its versions
//! `v4.20181215` to `v9.20250722`, which managers 23.09 and 26.9 have. Paths tell the dialects apart: those of Sorna
//! begin with `/v2`. The official clients 23.9.10 and ours work with it unchanged.
//!
//! A session is a kernel on this machine. It has a name (4 to 64 ASCII letters, digits, `_`, `.` and `-`) and a UUID,
//! and only its own key sees it. A kernel that the same key has made in Sorna v2 is a session as well: its name is its
//! token, if that can be a name, else its ID. To create a session by the ID of one gives that one, in both dialects. A session's image is a language, an alias, or a reference, whose tag does not
//! matter.
//!
//! | operation | here |
//! |---|---|
//! | create | `mem` is the limit on memory and `cpu` on processor cores, at most those of this machine; `environ`; `bootstrap_script`; `enqueueOnly`, `maxWaitSeconds`, `reuseIfExists`; type `batch` with `startupCommand` |
//! | info, restart, rename, destroy, match, status history | as documented; match also knows the beginnings of names and IDs |
//! | execute | query, batch (clean, build, exec), continue, input, complete, by `run_id` or `runId` |
//! | interrupt | the signal of Ctrl-C for what runs. Interpreters keep their state, however often: python3, bash, perl, ruby, php (with `pcntl`), r, nodejs, lua (200 times). A program of a compiled language ends. What a snippet of perl or r starts with `system` ends alone. In nodejs this also ends what only waits and what runs between callbacks (timers, promises, files, sockets, workers). It does not notice an interrupt in a call of the system that blocks, nor in a loop that only proceeds by `crypto.subtle` (node 24), nor while a callback computes under `async_hooks` with `before` or `after`: a third interrupt then starts it again |
//! | upload, files, download, download_single | parameters in the query or the body; downloads by GET or POST, of directories, too, and of any size |
//! | logs | the last 64 KiB of what programs wrote, also of a session that has ended, by its ID |
//! | list | GraphQL: `compute_session_list`, `compute_session`; without fragments and mutations. Filters are comparisons with `==` and `!=`, joined by `&` |
//! | images, groups, policies | GraphQL: `images` (the languages whose tools are installed), and the only `domain`, `group`, `scaling_group`, `keypair`, `keypair_resource_policy` and `user` there are; with the lists of each |
//! | ports | `preopen_ports` come back as services: a session's servers are those of this machine |
//! | terminal, execute by WebSocket, events | as in 26.9; but events may be those of one session, by ID or name |
//!
//! What a local gateway does not have is refused: folders, agents, services such as Jupyter (501, or an error of GraphQL,
//! that says so), mounts, clusters of more than one container, other resources than
//! `cpu` and `mem`, start times, dependencies, callbacks, another key's sessions. `environ` may not hold variables that
//! act before a process is under its limits, such as `LD_PRELOAD` and `BASH_ENV`.
//!
//! It is its own web server, too: `POST /server/login`, `/server/login-check` and `/server/logout`, and all of the above
//! below `/func`, in the session of a cookie in place of signatures. The name of a user is an access key, and the password
//! its secret key. A session lasts for seven days, and a user has at most 64. Ten failed logins in a row block further ones
//! of that user for 20 minutes. Cookies and passwords can be read on the network without TLS, unlike keys that sign. Client
//! 26.9.6 encodes its login over plain HTTP, which the gateway does not read: with TLS it logs in.
//!
//! It is meant to be what a manager should be, so some things differ from 26.9.6, where they are defects:
//!
//! - A batch loses nothing: each step is reported, however fast it is.
//! - Mistakes in execute requests are 400. A run that has ended is `finished` however often it is continued, and a run
//!   that does not exist is 400.
//! - A run starts when the one before it has ended; after 30 s it is 500 `agent-timeout`. Its output is its own.
//! - The run of a WebSocket whose client leaves is interrupted.
//! - `DELETE` returns when the session is gone, and its name is free then. `PATCH` restarts it.
//! - Uploads that cannot be stored are 400, and files that cannot be downloaded are named, with 400.
//! - A build that fails ends a batch with its own exit code.
//!
//! # Limits
//!
//! [`GatewayConfig`] has all of them. A program that runs for too long is killed with everything that
//! it started, and the response is `exec-timeout`. A kernel that exceeds its memory (`limits.maxMem`,
//! up to [`max_memory`](GatewayConfig::with_max_memory)) or its processes is killed as a whole, with a
//! line on stderr that names the limit, and exit code 137. In both cases its files are kept, and it
//! continues with a new interpreter.
//!
//! Kernels can be [in stock](GatewayConfig::with_warm_kernels), so that a client need not wait for an interpreter to start; none
//! are by default. They count against no limit.
//!
//! So is a kernel whose files come to take more [disk](GatewayConfig::with_max_disk) than they may. The gateway
//! looks at them itself, unless they are [in memory](GatewayConfig::with_memory_disk).
//!
//! If the gateway can make control groups (cgroup v2) with the `memory` and `pids` controllers, they
//! enforce these limits; a program at the limit of processes is then not killed, but cannot start more.
//! Otherwise the gateway checks the use of resources ten times a second for kernels in which something
//! runs, and every 2 s for the others; shared memory counts once, and so do files in memory that are open
//! (`memfd_create`, `/dev/shm`), mapped or not, and
//! in namespaces the shared memory of System V. A kernel with more than 32768 open files is killed then, too. The data of a single process is
//! limited to the kernel's memory plus 2 GiB for the stacks of its threads. Under systemd, the
//! gateway can make such groups if it runs as a unit with `Delegate=yes` and
//! `DelegateSubgroup=gateway`, and [`cgroup`](GatewayConfig::with_cgroup) is the unit's group.
//!
//! Clients have limits, too. The body of a request is read only after its headers have been checked
//! and its access key is known, and only up to the limit for its kind. The head of a request may have
//! 64 KiB. Heads, bodies and responses have a time limit
//! ([`head_timeout`](GatewayConfig::with_head_timeout) and others), after which the connection is
//! closed, and the number of connections is limited
//! ([`max_connections`](GatewayConfig::with_max_connections)). Signatures are compared in constant
//! time. As on the original gateway, anyone who sees a signed request can replay it until its date is
//! 15 minutes old: use TLS where others can listen.
//!
//! An idle bash kernel is one process of 3.2 MiB, most of it shared, and needs nine open files of the
//! gateway, ten with control groups. With 500 such kernels on 2 cores, the gateway and its client in
//! the same process grew by 7.7 MiB (`cargo test -p sorna-tests --test gateway many -- --nocapture`).
//! For more than about 120 kernels the gateway must be allowed to open more than the usual 1024 files:
//! see [`raise_open_files`].
//!
//! # What it protects from, and what it does not
//!
//! [`Gateway::isolation`] and the log report what is in force, which depends on the system.
//!
//! With [namespaces](IsolationLevel::Namespaces), the default where a [program](GatewayConfig::with_box_program) makes them
//! and the system allows it, each kernel has
//! users, a root file system, processes, shared memory, terminals, and a network of its own, or none. It
//! sees and reaches nothing of other kernels, of the gateway or of the user, does not outlive its gateway, and cannot start more
//! processes than it may. A filter keeps it from system calls that few programs need, such as those for keyrings and mounts. Of
//! a gateway that is root, each kernel is another user. The README of this crate has a table, and says what differs for programs.
//! Where namespaces are forbidden, the log says how to allow them, and Landlock is used alone unless
//! [more is required](GatewayConfig::with_require_isolation).
//!
//! With Landlock alone:
//!
//! - **Files** (Landlock, Linux 5.13 and later): a kernel reads and writes its work directory, its
//!   `TMPDIR` and `/dev/shm`. It reads programs, libraries, those files of `/etc` that programs need,
//!   the directory tree of its language's tool, the directories of its `PATH`, and what
//!   [`with_readable`](GatewayConfig::with_readable) and
//!   [`with_writable`](GatewayConfig::with_writable) add. It cannot open anything else: not the user's
//!   home, not files of other kernels or of the gateway, not `/tmp` (`tmpfile()` of C, which ignores
//!   `TMPDIR`, fails), and not the user's terminals in `/dev/pts` (so programs that make terminals,
//!   such as `script`, fail unless `/dev/pts` is made writable).
//! - **Processes**: each kernel has its own sessions. With Landlock 6 (Linux 6.12) a kernel cannot
//!   signal what it did not start; with any version, it cannot trace such a process or read its
//!   environment or memory. The processes that the gateway starts are isolated from each other as
//!   well: a kernel's terminal cannot signal its interpreter.
//! - **Privileges**: none can be gained (`no_new_privs`), so `sudo` does not work. Kernels have no
//!   capabilities, even if the gateway runs as root or has some.
//! - **Calls of the system** (a filter): no keyrings, `ptrace`, `io_uring`, `bpf`, `userfaultfd`, mounts or new user
//!   namespaces, so debuggers and `strace` do not work; no programs for 32 bits; no set-user-id and set-group-id bits; limits,
//!   priorities and processors of the own process alone; no System V shared memory, semaphores and queues.
//! - **Environment**: `PATH`, `HOME`, `TMPDIR`, `SHELL`, `LANG`, `TERM`, options of sanitizers and a mark; nothing else of
//!   the gateway's environment. A session of Backend.AI has what its client sets.
//! - **Open files** of the gateway: none, if it has called [`close_files_on_exec`], as `sorna` does.
//! - **Resources**: see above; no core dumps, and a limit on the size of files.
//!
//! Landlock does **not** protect from:
//!
//! - use of the network, including services on this machine that trust any local connection, and
//!   (before Linux 7.1) UNIX sockets in the file system;
//! - use of all processors, or of `/dev/shm`, which
//!   kernels share, and where their files remain;
//! - changing the modes and times of files that belong to the gateway's user;
//! - seeing which processes run and which files exist, with their names, sizes and times;
//! - vulnerabilities of the system's kernel. For programs of people you have reason to fear, run the
//!   gateway in a virtual machine.
//!
//! Without either, a program can do anything that the gateway's user can. Without control groups, a
//! program outlives its kernel if it leaves its session, clears its environment, changes its directory,
//! and was never seen as the child of a known process. With the first three it also outlives a timeout,
//! or a gateway that is killed.
//!
//! The gateway therefore listens only on loopback addresses, unless you
//! [allow remote clients](GatewayConfig::with_allow_remote) and give key pairs.
//!
//! It needs Linux: `/proc` shows which program waits for input, and what a kernel left running.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `tls` | HTTPS, by `GatewayConfig::with_tls` |
//!
//! None is on by default. The minimum supported Rust version is 1.88; raising it takes a new minor version.
//!
//! # See also
//!
//! [`sorna`](https://docs.rs/sorna), the client; [`sorna-core`](https://docs.rs/sorna-core), whose module
//! `server` implements the protocol; `sorna serve` of `sorna-cli`, this gateway on the command line.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod base;
mod boxes;
mod config;
mod error;
mod gateway;
mod guest;
mod http;
mod kernel;
mod kernels;
mod keys;
mod lock;
mod random;
mod running;
mod sessions;
mod shortage;
mod stats;
#[cfg(feature = "tls")]
mod tls;

pub use boxes::{box_main, close_files_on_exec};
pub use config::{GatewayConfig, IsolationLevel, NetworkAccess};
pub use error::StartError;
pub use gateway::{Gateway, raise_open_files};
pub use guest::{Admission, Guest, GuestStream, GuestUpgrade};
pub use kernel::{ClosedPlace, Isolation, LanguageError, LanguageTable};
pub use keys::{GatewayKeys, KeyChanges};
pub use running::RunningGateway;
pub use stats::GatewayStats;
#[cfg(feature = "tls")]
pub use tls::{TlsError, TlsIdentity};

"""The runner of a python3 kernel: one interpreter runs one snippet after another.

Started with the control channel as file descriptor 0 and the path of the input FIFO as its only
argument. Messages in both directions are a line `<letter> <length>` and that many bytes. The
gateway sends `x` with a snippet to run, `f` with the last one, `X` and `F` with those whose value is wanted,
`k` to say that the next snippet goes on with the input of the one before, `c` with a completion request as JSON,
`l` with the path of a socket on which to listen for the records of programs in files, and two replies that
begin with the number of the request on a line: `i` with the input, or a NAK alone if no one answers, and `a` with nothing. The runner
sends `+` once at the start, `o` and `e` with output, `r` with a console record as JSON, `i` to request
input, `n` to take that back, `s` to request a reply once the gateway has seen all output so far, `c` with
completions, and `d` when a snippet is done, unless it is the last one: after that the interpreter ends.

To start fast, the runner keeps what is not needed at once in modules beside this file, and imports
modules of Python only when they are needed. The rest is one file, although long: each further module
would be one more to find and load before the first snippet.

Text written through `sys.stdout` and `sys.stderr` travels on the control channel, so that it
keeps its order among the streams and the records. Descriptors 1 and 2 are separate pipes for
everything that bypasses Python; `s` keeps these in order where programs are started.

The program runs in the main thread, the only one that receives signals. Its signal handlers may
raise there at any moment, so what must not be interrupted is done by two other threads: while a
snippet runs that takes long or asks for something, the listener reads the channel, and the keeper
sends lines that have no end yet. It also reports the end of a run after such a line.

To wake another thread takes longer than most snippets, so between them the main thread reads the
channel, and it reports the end where no line is unfinished. It does that in such a way that it can
do it again wherever it was interrupted: calls that must be made just once are made by `extend`,
which notes that in the same moment.
"""

import _ast
import _frozen_importlib_external
import _thread
import atexit
import builtins
import fcntl
import io
import os
import sys
import types
from _queue import Empty, SimpleQueue

_PIECE = 8192
# The most bytes that the gateway accepts in one frame.
_MAX_FRAME = 16 * 1024 * 1024
_PAUSE = 0.05
# The reply where no one answers.
_REFUSED = b"\x15"
# The modules that are loaded when they are first needed.
_BESIDE = frozenset(
    (
        "sorna_await",
        "sorna_complete",
        "sorna_echo",
        "sorna_figures",
        "sorna_ipython",
        "sorna_kernel",
        "sorna_pretty",
        "sorna_relay",
        "sorna_traces",
    )
)
# Of code that is a coroutine, since it awaits at its top level.
_COROUTINE = 0x80
_MAIN = _thread.get_ident()
# How a question of the client begins, which is no program.
_QUESTION = "# sorna: question\n"
# What this file and those beside it find, whatever the program replaces: functions look into it from their definition on.
_BUILTINS = __builtins__ = dict(vars(builtins))
_DIRECTORY = os.path.dirname(__file__) + "/"
_EXEC = exec
_COMPILE = compile
# Needed until the end, when modules lose their names.
_READ = os.read
_WRITE = os.write
_JOBS = frozenset((b"x", b"f", b"X", b"F", b"c"))
_STARTS = frozenset(
    (
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.spawn",
        "os.system",
        "pty.spawn",
        "subprocess.Popen",
    )
)


class Link:
    """The control channel: sends whole frames and waits for replies, in any thread."""

    def __init__(self, fd):
        self.fd = fd
        # Input that has arrived, and how much of it was read.
        self.unread = b""
        self.read = 0
        # Whether the next snippet goes on with it.
        self.keeps = False
        self.forked = False
        self.number = 0
        self.waiting = {}
        # Reentrant, because a signal handler may print in the middle of a print.
        self.lock = _thread.RLock()
        self.kind = b"o"
        self.held = b""
        # Who reads the channel, and what wakes the listener.
        self.reader = {}
        self.needed = SimpleQueue()
        # What has been read last, what was left of what was read before, and the number of messages before that.
        self.received = [], b"", 0
        # The number of the last message that was passed on.
        self.passed = 0
        # What wakes the keeper, and whether it is awake.
        self.kept = SimpleQueue()
        self.watched = False
        # Whether all threads but one have stopped for good, and may hold the lock.
        self.alone = False
        # Whether whoever runs the snippet wants values, and all forms of what is displayed.
        self.echoes = False

    def frame(self, kind, payload):
        if self.forked:
            _write_all(1 if kind == b"o" else 2, payload)
        else:
            _write_all(self.fd, b"%b %d\n%b" % (kind, len(payload), payload))

    def put(self, kind, data):
        """Sends console text. Whole lines are sent at once, so not even a crash right after loses them."""
        if self.alone and not self.forked:
            for at in range(0, len(data), _PIECE):
                self.frame(kind, data[at : at + _PIECE])
            return
        with self.lock:
            if self.held:
                if kind == self.kind:
                    data = self.held + data
                    self.held = b""
                else:
                    self.flush()
            self.kind = kind
            if self.forked:
                # Whole lines at once, as other processes may print, too. The rest waits for its end, as in any program.
                end = data.rfind(b"\n") + 1
                self.held = data[end:]
                self.frame(kind, data[:end])
            elif len(data) >= _PIECE:
                # Pieces that fit into one socket buffer are written whole or not at all, even
                # when a signal handler raises.
                for at in range(0, len(data), _PIECE):
                    self.frame(kind, data[at : at + _PIECE])
            elif data.endswith(b"\n"):
                os.write(self.fd, b"%b %d\n%b" % (kind, len(data), data))
            else:
                self.held = data
                if not self.watched:
                    self.watched = True
                    self.kept.put(None)

    def flush(self):
        """Sends a line that has no end yet."""
        if self.held and not self.alone:
            with self.lock:
                held, self.held = self.held, b""
                if held:
                    self.frame(self.kind, held)

    def send(self, kind, payload):
        """Sends anything but console text."""
        if self.alone and not self.forked:
            self.frame(kind, payload)
            return
        with self.lock:
            if not self.forked:
                self.flush()
                self.frame(kind, payload)

    def record(self, payload):
        """Sends a console record that is not text."""
        if self.forked:
            raise RuntimeError("only the kernel itself can send records, not a process it forked")
        if len(payload) > _MAX_FRAME:
            raise ValueError(
                "a record of %d bytes is too large, at most %d can be sent; "
                "write it to a file instead" % (len(payload), _MAX_FRAME)
            )
        if self.alone or len(payload) < _PIECE or _thread.get_ident() != _MAIN:
            self.send(b"r", payload)
            return
        # In another thread: in this one a signal handler could raise or print in the middle.
        sent = _thread.allocate_lock()
        sent.acquire()

        def write():
            try:
                self.send(b"r", payload)
            finally:
                sent.release()

        _thread.start_new_thread(write, ())
        # A handler that interrupted a print cannot wait: the record is sent when the print is over.
        if not self.lock._is_owned():
            sent.acquire()

    def ask(self, kind, password=False):
        """Sends a request and waits for its reply."""
        arrived = _thread.allocate_lock()
        arrived.acquire()
        with self.lock:
            self.number += 1
            number = self.number
        waiting = self.waiting
        slot = waiting[number] = [arrived, None, kind]
        try:
            hidden = b"true" if password else b"false"
            self.send(kind, b'{"id": %d, "password": %b}' % (number, hidden))
            self.need_replies()
            arrived.acquire()
            return slot[1]
        except BaseException:
            # A signal handler has raised. What was typed is for what reads next.
            if waiting.pop(number, None) is None:
                arrived.acquire()
                if kind == b"i":
                    self.keep(slot[1])
            elif kind == b"i":
                self.send(b"n", b'{"id": %d}' % number)
            raise

    def keep(self, typed):
        """Keeps what was typed for what reads next."""
        if typed == _REFUSED:
            return
        if not self.unread:
            self.read = 0
        self.unread += typed

    def line(self, password=False):
        """Reads one line from the user, as bytes with the line end; empty at the end of input."""
        if not self.unread:
            self.unread = self.input(password)
            self.read = 0
        start = self.read
        self.read = end = self.unread.find(b"\n", start) + 1 or len(self.unread)
        line = self.unread[start:end]
        if end == len(self.unread):
            self.unread = b""
        return line

    def input(self, password):
        """Reads one or more lines."""
        self.flush()
        # What a program has waited for by `select` and the like is there already.
        if self.forked or self.alone or _is_waiting(0):
            return os.read(0, 65536)
        awaited = sys.modules.get("sorna_await")
        if awaited is not None and awaited._is_between and _thread.get_ident() == _MAIN:
            # No snippet could ask, as this keeps the next one from running.
            from sorna_kernel import StdinNotImplementedError

            raise StdinNotImplementedError("input is asked for while no cell runs")
        typed = self.ask(b"i", password)
        if typed == _REFUSED:
            from sorna_kernel import StdinNotImplementedError

            raise StdinNotImplementedError(
                "the cell asked for input, and this client answers nothing (allow_stdin is false)"
            )
        return typed

    def settle(self):
        """Waits until the gateway has seen all output so far."""
        if self.forked:
            self.flush()
        elif not self.alone:
            self.ask(b"s")

    def listen(self, jobs):
        """Passes on what the gateway sends, when that is needed. This is the listener thread."""
        while True:
            self.needed.get()
            # Once it has begun it goes on until the next job, for which the main thread waits then.
            if self.reader.setdefault(0, "listener") == "listener":
                while not self.receive(jobs):
                    pass
                self.reader.clear()
                jobs.wake()

    def need_replies(self):
        """Has the listener read, unless the main thread does."""
        if not self.reader:
            self.needed.put(None)

    def receive(self, jobs):
        """Waits for what the gateway sends and passes it on; returns whether there was a job. Only one thread may do this at a
        time. If it is interrupted, it may do it again."""
        chunks, received, number = self.received
        if not chunks:
            # Noted in the moment in which it is read.
            chunks.extend(map(_READ, (self.fd,), (65536,)))
        if not chunks[0]:
            # The gateway is gone.
            os.killpg(0, 9)
        received += chunks[0]
        begin = 0
        found = False
        while True:
            start = received.find(b"\n", begin) + 1
            if not start:
                break
            kind, length = received[begin:start].split()
            end = start + int(length)
            if len(received) < end:
                break
            number += 1
            found |= self.pass_on(jobs, kind, received[start:end], number)
            begin = end
        self.received = [], received[begin:], number
        return found

    def pass_on(self, jobs, kind, message, number):
        """Passes a message on, once; returns whether that was a job."""
        if number <= self.passed:
            return False
        is_job = kind in _JOBS
        if is_job:
            if not jobs.pending or jobs.pending[-1].number != number:
                job = Job(kind, message.decode(), number)
                if kind != b"c":
                    job.continues = self.keeps
                jobs.pending.append(job)
            if kind != b"c":
                self.keeps = False
        elif kind == b"k":
            self.keeps = True
        elif kind == b"l":
            _quietly(lambda: self.relay(message))
        else:
            asked, _, reply = message.partition(b"\n")
            # There is no slot if a signal handler ended the wait.
            number_asked = int(asked)
            slot = self.waiting.get(number_asked)
            if slot is None and kind == b"i":
                # The program gave up waiting just when the answer came. If it has asked again, it is the answer to that.
                for other, its_slot in list(self.waiting.items()):
                    if its_slot[2] == b"i":
                        slot, number_asked = its_slot, other
                        self.send(b"n", b'{"id": %d}' % other)
                        break
            if slot is not None:
                slot[1] = reply
                if slot[0].locked():
                    slot[0].release()
                self.waiting.pop(number_asked, None)
            elif kind == b"i":
                self.passed = number
                self.keep(reply)
        self.passed = number
        return is_job

    def relay(self, path):
        """Passes on the records of programs in files, which come by a socket."""
        import sorna_relay

        sorna_relay.listen(self, path, _MAX_FRAME)

    def after_fork(self):
        """In the child: the channel belongs to the parent; output goes to the pipes."""
        # The child of a child has no channel, and the number may be a file of the program.
        if not self.forked:
            self.forked = True
            self.waiting = {}
            self.held = b""
            os.close(self.fd)
        if self.alone:
            # The only thread there is now.
            self.alone = False
            self.lock = _thread.RLock()
        else:
            self.after_fork_here()

    def before_fork(self):
        if sys.version_info >= (3, 12):
            # What Python says of forks goes through it, and is checked there.
            import warnings
        if not self.alone:
            self.lock.acquire()
            self.flush()

    def after_fork_here(self):
        if not self.alone:
            self.lock.release()


class Output(io.BufferedIOBase):
    """The type of `sys.stdout.buffer` and `sys.stderr.buffer`."""

    def __init__(self, link, kind, fd):
        self._link = link
        self._kind = kind
        self._fd = fd
        self.name = {1: "<stdout>", 2: "<stderr>"}.get(fd, fd)
        self.mode = "wb"

    def writable(self):
        return True

    def fileno(self):
        return self._fd

    def write(self, data):
        if self.closed:
            raise ValueError("I/O operation on closed file")
        if type(data) is not bytes:
            data = bytes(data)
        if data:
            self._link.put(self._kind, data)
        return len(data)

    def flush(self):
        self._link.flush()

# `termios.FIONREAD`, on the processors that this runs on.
_FIONREAD = 0x541B


def _is_waiting(fd):
    """Whether there is something to read, without waiting."""
    size = bytearray(4)
    try:
        fcntl.ioctl(fd, _FIONREAD, size)
    except OSError:
        return False
    return any(size)


class Input(io.RawIOBase):
    """Reads by asking the user."""

    def __init__(self, link):
        self._link = link
        self._rest = b""
        self.name = "<stdin>"
        self.mode = "rb"

    def readable(self):
        return True

    def fileno(self):
        return 0

    def readinto(self, buffer):
        if not self._rest:
            self._rest = self._link.line()
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class Job:
    """Something to do for the main thread: run a snippet, or complete."""

    def __init__(self, kind, message, number):
        self.number = number
        self.kind = kind.lower()
        # Whether the value of its last expression is to be shown.
        self.echoes = kind.isupper()
        self.message = message
        # Whether it goes on with the input that the one before has not read.
        self.continues = False
        self.begun = False
        self.status = 1
        # Not empty once its end is reported, or will be by the keeper.
        self.reported = []

    def report(self, link):
        """Reports the end of a snippet, once. May be called again if interrupted."""
        if self.kind != b"x" or self.reported:
            return
        frame = b"d %d\n%d" % (len(str(self.status)), self.status)
        with link.lock:
            # Such a call is made and noted without a moment at which a signal handler could raise.
            if not link.held and not self.reported:
                self.reported.extend(map(_WRITE, (link.fd,), (frame,)))
        if not self.reported:
            self.reported.extend(map(link.kept.put, (self,)))


class Jobs:
    """The jobs for the main thread. A job stays in the list until it is done, so that it is not
    lost when a signal handler raises right after it was taken."""

    def __init__(self, link):
        self.link = link
        self.pending = []
        self.arrived = _thread.allocate_lock()
        self.arrived.acquire()
        self.kept_all = _thread.allocate_lock()
        self.kept_all.acquire()

    def wake(self):
        """Wakes the main thread."""
        if self.arrived.locked():
            self.arrived.release()
        awaited = sys.modules.get("sorna_await")
        if awaited is not None:
            awaited.wake()

    def current(self):
        """Waits for a job. May be called again if interrupted."""
        link = self.link
        while not self.pending:
            if link.forked:
                # By a task between snippets. It must not act as the kernel.
                os._exit(0)
            awaited = sys.modules.get("sorna_await")
            if awaited is not None and link.reader.get(0) != "main":
                # Its tasks may ask for something, for which the listener reads from then on.
                goes_on = awaited.go_on(None if link.reader else link.fd)
                if self.pending or (goes_on and link.reader):
                    continue
            if link.reader.setdefault(0, "main") == "main":
                link.receive(self)
            else:
                self.arrived.acquire()
        # It is not passed on again, wherever that was interrupted.
        link.passed = max(link.passed, self.pending[0].number)
        if link.reader.get(0) == "main":
            link.reader.pop(0, None)
        if link.waiting:
            # Another thread of the program waits for its input.
            link.need_replies()
        if not link.watched:
            # Wakes the keeper, as the job may take long.
            link.watched = True
            link.kept.put(None)
        return self.pending[0]

    def done(self):
        """Ends the current job if it was begun. May be called again if interrupted."""
        if self.pending and self.pending[0].begun:
            self.pending[0].report(self.link)
            del self.pending[0]

    def keep(self):
        """Sends unfinished lines after a pause, and reports ends after them. This is the keeper thread."""
        link = self.link
        seen = []
        while True:
            try:
                # While snippets follow each other, the main thread need not wake this one for each.
                job = link.kept.get(True, _PAUSE if link.watched else None)
            except Empty:
                link.flush()
                link.watched = False
                current = self.pending[:1]
                if current and current == seen:
                    # It takes long: the gateway may end meanwhile.
                    link.need_replies()
                seen = current
                if current or link.held:
                    link.watched = True
                continue
            if job is None:
                continue
            link.flush()
            if job.kind == b"f":
                self.kept_all.release()
                return
            link.send(b"d", b"%d" % job.status)

    def stop(self):
        """Stops the keeper: when the interpreter ends, threads stop wherever they are."""
        link = self.link
        if self.pending and self.pending[0].kind == b"f" and not link.forked:
            link.kept.put(self.pending[0])
            self.kept_all.acquire()
            link.alone = True
            # Destructors may print until the very end, and modules in this table lose their names before.
            sys.modules.pop("_sorna_runner", None)


class Kernel:
    """The namespace of the user's code, and running snippets in it."""

    def __init__(self, link):
        self.link = link
        self.count = 0
        self.aside = 0
        self.has_echoed = False
        # Whether a notebook shows what snippets display.
        self.is_notebook = False
        # Whether `input` is what tells where a prompt begins: without notebooks, it is Python's own.
        self.tells_prompts = False
        # Whether the next snippet whose value is wanted does not count.
        self.is_uncounted = False
        self.flags = 0
        self.main = types.ModuleType("__main__")
        self.main.__dict__["__builtins__"] = builtins
        del self.main.__dict__["__loader__"], self.main.__dict__["__package__"]
        self.process = os.getpid()
        # Sources of snippets that `linecache` does not know yet.
        self.sources = {}

    def open_streams(self):
        """Opens the program's standard streams, also those that it closed."""
        for name, kind, fd in (("stdout", b"o", 1), ("stderr", b"e", 2)):
            if _closed(getattr(sys, name)):
                stream = io.TextIOWrapper(
                    Output(self.link, kind, fd),
                    encoding="utf-8",
                    # As the interpreter has opened it, by the locale.
                    errors=getattr(sys.__stdout__, "errors", None) or "strict"
                    if fd == 1
                    else "backslashreplace",
                    write_through=True,
                )
                stream.mode = "w"
                setattr(sys, name, stream)
                setattr(sys, "__%s__" % name, stream)
        if _closed(sys.stdin):
            sys.stdin = sys.__stdin__ = io.TextIOWrapper(
                io.BufferedReader(Input(self.link)),
                encoding="utf-8",
                errors="surrogateescape",
                # As Python's own: a carriage return before the end of a line stays.
                newline="\n",
            )
            sys.stdin.mode = "r"

    def run(self, job):
        """Runs a snippet to its end, whatever it does, and returns its exit code."""
        code, is_last, echoes = job.message, job.kind == b"f", job.echoes
        if code.startswith(_QUESTION) and not is_last:
            return self.answer(code)
        self.link.echoes = echoes
        # Where a client wants values, others are what it asks by the way: its numbers are those that it shows.
        self.has_echoed |= echoes
        if echoes and not self.tells_prompts:
            self.tells_prompts = True
            builtins.input = _telling_input(builtins.input)
        is_counted = not self.is_uncounted if echoes else not self.has_echoed
        self.is_uncounted = self.is_uncounted and not echoes
        if is_counted:
            self.count += 1
            name = "<input-%d>" % self.count
        else:
            self.aside += 1
            name = "<input-aside-%d>" % self.aside
        if not job.continues:
            # Discard input that an earlier snippet left unread.
            self.link.unread = b""
        self.open_streams()
        # Else a warning is shown for the first snippet alone that has it at this line.
        self.main.__dict__.pop("__warningregistry__", None)
        if is_last and self.count == 1:
            # The only snippet has the arguments that it has on Python's command line.
            sys.argv = ["-c"]
            if hasattr(sys, "orig_argv"):
                sys.orig_argv[1:] = ["-c", code]
        try:
            flags = self.flags | _AWAIT
            last = None
            if "\0" in code:
                raise _null(name, code)
            if echoes:
                import sorna_echo

                code = sorna_echo.as_typed(code)
                program, last = sorna_echo.split(code, name, flags)
            else:
                program = compile(code, name, "exec", flags, True)
            self.flags |= program.co_flags & _FUTURE
            self.remember(name, code)
            if last is None:
                self.evaluate(program)
            else:
                sorna_echo.show(self.evaluate_both(program, last))
            if echoes:
                sorna_echo.show_figures()
            status = 0
        except SystemExit as exit:
            status = _exit_status(exit.code)
            if echoes:
                _quietly(lambda: _tell(exit) if status else sorna_echo.tell_leaving(exit))
        except BaseException as error:
            status = 130 if isinstance(error, KeyboardInterrupt) else 1
            self.remember(name, code)
            if echoes and "sorna_figures" in sys.modules:
                _quietly(sorna_echo.show_figures)
            text = self.report(error, keeps=not is_last)
            if echoes:
                _quietly(lambda: _tell(error, text))
        if is_last and "sorna_await" in sys.modules:
            try:
                sys.modules["sorna_await"].end()
            except BaseException as error:
                text = self.report(error)
                if text is not None:
                    _quietly(lambda: sys.stderr.write(text))
        if os.getpid() != self.process:
            # A forked child that reached the end of the snippet must not act as the kernel. At the end of the last
            # one it ends as a program does.
            _quietly(sys.stdout.flush)
            _quietly(sys.stderr.flush)
            if not is_last:
                os._exit(status)
        return status

    def answer(self, code):
        """Answers a question of the client, apart from the program and whatever that has replaced. Returns its exit code."""
        names = {
            "__builtins__": _BUILTINS,
            "space": self.main.__dict__,
            "answer": _answer,
            "number": number,
        }
        try:
            with Restored():
                _EXEC(_COMPILE(code, "<question>", "exec", 0, True), names)
            return 0
        except KeyboardInterrupt:
            return 130
        except BaseException:
            return 1

    def evaluate(self, program):
        value = eval(program, self.main.__dict__)
        if program.co_flags & _COROUTINE:
            import sorna_await

            value = sorna_await.run(value)
        return value

    def evaluate_both(self, program, last):
        """The value of the last expression. If one of them awaits, both run in one go, as tasks need it."""
        if not (program.co_flags | last.co_flags) & _COROUTINE:
            self.evaluate(program)
            return self.evaluate(last)
        import sorna_await

        return sorna_await.run(sorna_await.both(program, last, self.main.__dict__))

    def remember(self, name, code):
        """Keeps the source for tracebacks and `inspect`."""
        self.sources[name] = code
        if "linecache" in sys.modules:
            self.show_sources(sys.modules["linecache"])

    def show_sources(self, linecache):
        cache = getattr(linecache, "cache", None)
        if cache is None:
            return
        for name, code in list(self.sources.items()):
            lines = [line + "\n" for line in code.splitlines()]
            cache[name] = (len(code), None, lines, name)
            self.sources.pop(name, None)

    def report(self, error, keeps=False):
        """Shows the traceback without the runner's own frames, and those of a loop that it has called. Keeps it for `pdb.pm()`, if
        wanted. In notebooks, returns it as text instead: it is not to be torn apart by what others print meanwhile."""
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_DIRECTORY):
            trace = trace.tb_next
        start = trace
        while start is not None and start.tb_frame.f_globals is not self.main.__dict__:
            start = start.tb_next
        trace = start or trace
        # What has used up the memory is to be gone for the next snippet.
        if keeps and not isinstance(error, MemoryError):
            sys.last_type, sys.last_value, sys.last_traceback = type(error), error, trace
            if sys.version_info >= (3, 12):
                sys.last_exc = error.with_traceback(trace)
        with Restored():
            return self.show_error(error, trace)

    def show_error(self, error, trace):
        import traceback

        if isinstance(error, SyntaxError) and error.text is None:
            self.show_line(error)
        try:
            hook = sys.excepthook
            if hook is sys.__excepthook__:
                if trace is None and self.link.echoes and not isinstance(error, SyntaxError):
                    # Of the compiler, which has run out of something. Notebooks look for the beginning of an error.
                    print("Traceback (most recent call last):", file=sys.stderr)
                elif in_notebook() and not self.link.forked:
                    return "".join(traceback.format_exception(type(error), error, trace))
                traceback.print_exception(type(error), error, trace)
            else:
                hook(type(error), error, trace)
        except BaseException as second:
            text = "%s (and reporting it failed: %r)\n" % (type(error).__name__, second)
            self.link.put(b"e", text.encode("utf-8", "backslashreplace"))

    def show_line(self, error):
        """Adds the line to an error that the compiler has found where it knew only the file."""
        import linecache

        error.text = linecache.getline(error.filename or "", error.lineno or 0) or None

    def work(self, jobs):
        """Does one job after another, and returns the exit code of the last one. This is the main thread."""
        while True:
            try:
                return self.work_until_interrupted(jobs)
            except BaseException as error:
                # A signal handler of the program, at one of the few points at which nothing else catches what it raises:
                # at the start of a function, or where a loop goes back.
                self.report_stray(jobs, error)

    def work_until_interrupted(self, jobs):
        """As `work`. May be called again if interrupted."""
        while True:
            if not (jobs.pending and jobs.pending[0].begun):
                try:
                    self.do(jobs.current())
                except BaseException as error:
                    # A signal handler of the program, outside of any snippet.
                    self.report_stray(jobs, error)
            if jobs.pending and jobs.pending[0].begun and jobs.pending[0].kind == b"f":
                status, is_idle = jobs.pending[0].status, not jobs.pending[0].message
                # The module is to be the interpreter's alone, which takes it apart now.
                self.main = None
                if is_idle and not _has_hooks():
                    self.leave()
                return status
            while jobs.pending and jobs.pending[0].begun:
                _quietly(jobs.done)

    def report_stray(self, jobs, error):
        """Reports what a signal handler has raised outside of any snippet. An interrupt that comes when one has ended is
        not for the next."""
        if type(error) is not KeyboardInterrupt or (jobs.pending and jobs.pending[0].begun):
            _quietly(lambda: self.report(error))

    def do(self, job):
        """Does what is wanted once, however it ends."""
        job.begun = True
        if job.kind in (b"x", b"f"):
            job.status = self.run(job)
            return
        import json

        import sorna_complete

        with Restored():
            message = json.loads(job.message)
            found = sorna_complete.find(self.main.__dict__, message)
            reply = json.dumps({"id": message["id"], "found": found})
        self.link.send(b"c", reply.encode())

    def leave(self):
        """Ends the process faster than the interpreter does, where only objects have something to do at its end."""
        import gc

        sys.modules.pop("__main__", None)
        gc.collect()
        for stream in (sys.stdout, sys.stderr):
            _quietly(stream.flush)
        self.link.flush()
        os._exit(0)


class Restored:
    """While this lasts, modules of Python find the functions that were there at the start, too, whatever the program replaces."""

    def __enter__(self):
        now = builtins.__dict__
        self.replaced = {name: now.get(name, _GONE) for name, it in _BUILTINS.items() if now.get(name, _GONE) is not it}
        for name in self.replaced:
            now[name] = _BUILTINS[name]

    def __exit__(self, *_):
        now = builtins.__dict__
        for name, it in self.replaced.items():
            if it is _GONE:
                now.pop(name, None)
            else:
                now[name] = it


_GONE = object()


class Loader(_frozen_importlib_external.SourceFileLoader):
    """Loads a module beside this file, which finds the same builtins."""

    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__builtins__ = _BUILTINS
        return module


class Finder:
    """Finds the modules beside this file, and calls functions that adapt other modules when they
    are imported."""

    def __init__(self, followed):
        self.directory = os.path.dirname(__file__)
        self.followed = followed
        for name in followed:
            if name in sys.modules:
                followed[name](sys.modules[name])

    def find_spec(self, name, path=None, target=None):
        if name in _BESIDE:
            file = "%s/%s.py" % (self.directory, name)
            loader = Loader(name, file)
            return _frozen_importlib_external.spec_from_file_location(name, file, loader=loader)
        adopt = self.followed.get(name)
        return adopt and self.follow(name, path, target, adopt)

    def follow(self, name, path, target, adopt):
        """Finds a module by the other finders, and has it adapted after it is loaded."""
        for other in sys.meta_path:
            find = None if other is self else getattr(other, "find_spec", None)
            spec = find(name, path, target) if find else None
            if spec is not None:
                break
        else:
            return None
        loader = spec.loader
        load = getattr(loader, "exec_module", None)

        def load_and_adopt(module):
            load(module)
            adopt(module)

        # A loader that cannot be changed, or serves other modules too, is left alone.
        if not isinstance(loader, type):
            try:
                loader.exec_module = load_and_adopt
            except AttributeError:
                pass
        return spec


def record(kind, *values):
    """Sends a record that is not text to the console: `record("html", "<b>…")`."""
    text = dumps([kind, *values], ensure_ascii=False)
    if not text.isascii():
        import re

        # The gateway does not accept lone surrogates as text.
        text = re.sub("[\ud800-\udfff]", lambda half: "\\\\u%04x" % ord(half[0]), text)
    _LINK.record(text.encode())


def dumps(value, **how):
    """JSON, whatever the program replaces."""
    import json

    with Restored():
        return json.dumps(value, **how)


def forked():
    """Whether this is a child of the kernel, which cannot send records."""
    return _LINK.forked


def echoes():
    """Whether whoever runs the snippet wants values, and all forms of what is displayed."""
    return _LINK.echoes and not _LINK.forked


def runs_cell():
    """Whether this is where the snippet of a notebook runs."""
    return _LINK.echoes and not _LINK.forked and _thread.get_ident() == _MAIN


def in_notebook():
    """Whether a notebook shows the values."""
    return _KERNEL.is_notebook and echoes()


def number(next):
    """Gives this number to the next snippet whose value is wanted, as notebooks count them; 0 for one that does not count."""
    _KERNEL.has_echoed = _KERNEL.is_notebook = True
    _KERNEL.is_uncounted = next == 0
    if next:
        _KERNEL.count = next - 1


def _answer(text):
    """Answers a question of the client."""
    hex = text.encode("utf-8", "replace").hex()
    _LINK.record(b'["value", ["application/vnd.sorna.display+json", "{\\"answer\\": \\"%b\\"}"]]' % hex.encode())


def display(*objects, **how):
    """Shows each object in the richest form it has; see `sorna_kernel.display`."""
    import sorna_kernel

    return sorna_kernel.display(*objects, **how)


def update_display(*objects, **how):
    """Changes what was shown; see `sorna_kernel.update_display`."""
    import sorna_kernel

    return sorna_kernel.update_display(*objects, **how)


def _write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[_WRITE(fd, view) :]


def _closed(stream):
    return stream is None or getattr(stream, "closed", False)


def _quietly(action):
    try:
        action()
    except BaseException:
        pass


def _has_hooks():
    """Whether the interpreter has to wait for threads, or to call functions, besides the runner's own, at its end."""
    threading = sys.modules.get("threading")
    return atexit._ncallbacks() > 1 or (threading is not None and threading.active_count() > 1)


def _exit_status(code):
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    _quietly(lambda: print(code, file=sys.stderr))
    return 1


def _tell(error, text=None):
    try:
        import sorna_echo

        sorna_echo.tell(error, text)
    except BaseException:
        if text is not None:
            sys.stderr.write(text)
        raise


def _null(name, code):
    """The error for code with a NUL, at its place. The compiler's own has none."""
    before = code.split("\0")[0]
    column = len(before) - before.rfind("\n")
    line = code.split("\n")[before.count("\n")].replace("\0", "\ufffd")
    message = "source code cannot contain null bytes"
    return SyntaxError(message, (name, before.count("\n") + 1, column, line))


def _future_flags():
    import __future__

    flags = 0
    for name in __future__.all_feature_names:
        flags |= getattr(__future__, name).compiler_flag
    return flags


_FUTURE = _future_flags()
# Allows `await` outside of functions, from Python 3.8 on.
_AWAIT = getattr(_ast, "PyCF_ALLOW_TOP_LEVEL_AWAIT", 0)


def _adopt_asyncio(_):
    # Which adapts it.
    import sorna_await


def _adopt_ipython(module):
    import sorna_ipython

    sorna_ipython.adopt(module)


def _adopt_shell(module):
    import sorna_ipython

    sorna_ipython.adopt_shell(module)


def _adopt_capture(module):
    import sorna_ipython

    sorna_ipython.adopt_capture(module)


def _adopt_inline(module):
    import sorna_ipython

    sorna_ipython.adopt_inline(module)


def _adopt_matplotlib(matplotlib):
    import sorna_kernel

    sorna_kernel._adopt(matplotlib)


def _adopt_traceback(traceback):
    import sorna_traces

    sorna_traces.adopt_traceback(traceback)


def _adopt_inspect(inspect):
    import sorna_traces

    sorna_traces.adopt_inspect(inspect)


def _adopt_threading(threading):
    hook = getattr(threading, "excepthook", None)
    if hook is None:
        return
    directory = os.path.dirname(__file__) + "/"

    def excepthook(args):
        """Handles what a thread did not, and names no file of the runner."""
        trace = args.exc_traceback
        while trace is not None and trace.tb_next is not None:
            if trace.tb_next.tb_frame.f_code.co_filename.startswith(directory):
                trace.tb_next = trace.tb_next.tb_next
            else:
                trace = trace.tb_next
        hook(args)

    threading.excepthook = excepthook
    if hasattr(threading, "__excepthook__"):
        threading.__excepthook__ = excepthook


def _adopt_warnings(warnings):
    """Has warnings say nothing of the runner, neither of its files nor of its threads."""
    show = getattr(warnings, "_showwarnmsg", None)
    if show is None:
        return
    directory = os.path.dirname(__file__) + "/"

    def show_others(message):
        if "is multi-threaded, use of fork" in str(message.message):
            threading = sys.modules.get("threading")
            if threading is None or threading.active_count() < 2:
                return
        if message.filename.startswith(directory):
            # As Python says it where there is no code.
            message.filename, message.lineno = "sys", 1
        show(message)

    warnings._showwarnmsg = show_others


def _hide_password(link, getpass):
    def ask(prompt="Password: ", stream=None, **_):
        stream = stream or sys.stderr
        _quietly(_tell_prompt)
        stream.write(prompt)
        stream.flush()
        line = link.line(password=True)
        if not line:
            raise EOFError
        text = line.decode("utf-8", "surrogateescape")
        # As standard input reads line ends.
        for end in ("\n", "\r"):
            if text.endswith(end):
                text = text[:-1]
        return text

    ask.__name__ = ask.__qualname__ = "getpass"
    ask.__doc__ = getattr(getattr(getpass, "getpass", None), "__doc__", None)
    getpass.getpass = ask


# That a prompt begins, which is no output, for notebooks: text that is printed without the end of a line is none.
_PROMPT = b'["value", ["application/vnd.sorna.display+json", "{\\"prompt\\": true}"]]'


def _tell_prompt():
    if echoes():
        sys.stdout.flush()
        _LINK.record(_PROMPT)


def _telling_input(original):
    def input(prompt="", /):
        _quietly(_tell_prompt)
        return original(prompt)

    input.__qualname__ = "input"
    input.__module__ = original.__module__
    input.__doc__ = original.__doc__
    return input


def serve():
    """Takes over the channel, sets up the program's descriptors, and runs what is sent."""
    global _KERNEL, _LINK, _SELF
    link = _LINK = Link(fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 100))
    fifo = os.open(sys.argv[1], os.O_RDONLY)
    os.dup2(fifo, 0)
    os.close(fifo)

    kernel = _KERNEL = Kernel(link)
    sys.stdout = sys.stderr = sys.stdin = None
    kernel.open_streams()
    # What this interpreter starts adapts its input, too; the program does not see that.
    path = os.environ.pop("SORNA_CHILDREN_PYTHONPATH", None)
    if path is not None:
        os.putenv("PYTHONPATH", path)
    sys.argv = [""]
    if hasattr(sys, "orig_argv"):
        del sys.orig_argv[1:]
    sys.path.insert(0, "")
    followed = {
        "IPython.core.display": _adopt_ipython,
        "IPython.core.display_functions": _adopt_ipython,
        "IPython.core.interactiveshell": _adopt_shell,
        "IPython.utils.capture": _adopt_capture,
        "asyncio": _adopt_asyncio,
        "getpass": lambda getpass: _hide_password(link, getpass),
        "inspect": _adopt_inspect,
        "linecache": kernel.show_sources,
        "matplotlib": _adopt_matplotlib,
        "matplotlib_inline.backend_inline": _adopt_inline,
        "threading": _adopt_threading,
        "traceback": _adopt_traceback,
        "warnings": _adopt_warnings,
    }
    sys.meta_path.insert(0, Finder(followed))
    builtins.display = display
    builtins.update_display = update_display
    # Keeps the runner's module alive: without a reference its names would be cleared.
    _SELF = sys.modules["_sorna_runner"] = sys.modules["__main__"]
    # Warnings that are for the program's own code are not for this one.
    _SELF.__name__ = "_sorna_runner"
    sys.modules["__main__"] = kernel.main
    sys.addaudithook(lambda event, _: link.settle() if event in _STARTS else None)
    os.register_at_fork(
        before=link.before_fork,
        after_in_parent=link.after_fork_here,
        after_in_child=link.after_fork,
    )

    jobs = Jobs(link)
    _thread.start_new_thread(jobs.keep, ())
    _thread.start_new_thread(link.listen, (jobs,))
    # The first that is registered is called last.
    atexit.register(jobs.stop)
    link.send(b"+", b"")
    return kernel.work(jobs)


# From elsewhere: before Python 3.10, functions find the builtins of those that call them, within a module.
sys.exit(eval(compile("serve()", __file__, "eval"), {"serve": serve}))

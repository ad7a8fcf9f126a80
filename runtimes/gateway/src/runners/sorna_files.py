"""Shows figures and other media of programs in files, in batches of python3 kernels.

It takes the place of the runner, by the name `_sorna_runner`, and is set up by `sitecustomize`.
Records go to the runner of the kernel, which listens on a socket; see `sorna_relay`. A program that
cannot reach it prints text instead.
"""

import _thread
import builtins
import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import SourceFileLoader

_DIRECTORY = os.path.dirname(os.path.abspath(__file__))
# The modules that are loaded when they are first needed.
_BESIDE = frozenset(("sorna_figures", "sorna_ipython", "sorna_kernel"))
# The modules that are adapted when they are imported.
_ADAPTED = frozenset(("IPython.core.display", "IPython.core.display_functions", "matplotlib"))
# The most bytes that the gateway accepts in one record.
_MAX_RECORD = 16 * 1024 * 1024
_connection = None


def adopt(link):
    """Prepares the program: the builtins `display` and `update_display`, the modules, matplotlib, and `display` of IPython."""
    global _connection
    _connection = Connection(link)
    sys.modules["_sorna_runner"] = sys.modules[__name__]
    sys.meta_path.insert(0, Finder())
    builtins.display = display
    builtins.update_display = update_display


def display(*objects, **how):
    """Shows each object in the richest form it has; see `sorna_kernel.display`."""
    import sorna_kernel

    return sorna_kernel.display(*objects, **how)


def update_display(*objects, **how):
    """Changes what was shown; see `sorna_kernel.update_display`."""
    import sorna_kernel

    return sorna_kernel.update_display(*objects, **how)


class Finder:
    """Finds the modules for the program, and adapts others when they are imported."""

    def find_spec(self, name, path=None, target=None):
        if name in _BESIDE:
            file = os.path.join(_DIRECTORY, name + ".py")
            spec = ModuleSpec(name, Loader(name, file), origin=file)
            spec.has_location = True
            return spec
        return self.follow(name, path, target) if name in _ADAPTED else None

    def follow(self, name, path, target):
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
            if name == "matplotlib":
                import sorna_kernel

                sorna_kernel._adopt(module)
            else:
                import sorna_ipython

                sorna_ipython.adopt(module)

        # A loader that cannot be changed, or serves other modules too, is left alone.
        if load is not None and not isinstance(loader, type):
            try:
                loader.exec_module = load_and_adopt
            except AttributeError:
                pass
        return spec


class Loader(SourceFileLoader):
    """Leaves no bytecode behind."""

    def set_data(self, *_, **__):
        pass


class Connection:
    """A connection to the runner, made when it is needed, in each process."""

    def __init__(self, path):
        self.path = path
        self.process = None
        self.socket = None
        self.lock = _thread.allocate_lock()

    def open(self):
        """Returns whether there is a connection."""
        if self.process != os.getpid():
            self.process = os.getpid()
            self.socket = None
            try:
                self.connect()
            except OSError:
                self.socket = None
        return self.socket is not None

    def connect(self):
        import socket
        import time

        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # The runner may not listen yet.
        until = time.monotonic() + 2
        while True:
            try:
                connection.connect(self.path)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)
        connection.sendall(os.environ.get("SORNA_KERNEL_MARK", "").encode() + b"\n")
        self.socket = connection

    def send(self, payload):
        """Sends a record, and waits until it has its place among the output."""
        with self.lock:
            if not self.open():
                raise RuntimeError("the kernel cannot be reached, so only text can be shown")
            for stream in (sys.stdout, sys.stderr):
                try:
                    stream.flush()
                except (AttributeError, OSError, ValueError):
                    pass
            self.socket.sendall(b"%d\n" % len(payload) + payload)
            if not self.socket.recv(1):
                raise RuntimeError("the kernel has not taken the record")


def record(kind, *values):
    """Sends a record that is not text to the console."""
    import json

    text = json.dumps([kind, *values], ensure_ascii=False)
    if not text.isascii():
        import re

        # The gateway does not accept lone surrogates as text.
        text = re.sub("[\ud800-\udfff]", lambda half: "\\\\u%04x" % ord(half[0]), text)
    payload = text.encode()
    if len(payload) > _MAX_RECORD:
        raise ValueError(
            "a record of %d bytes is too large, at most %d can be sent; "
            "write it to a file instead" % (len(payload), _MAX_RECORD)
        )
    _connection.send(payload)


def echoes():
    """Whether all forms of what is displayed are wanted: not of programs."""
    return False


def in_notebook():
    """Whether a notebook shows the values: it runs no programs in files."""
    return False


def dumps(value, **how):
    """JSON."""
    import json

    return json.dumps(value, **how)


class Restored:
    """In the runner, what the program has replaced is restored meanwhile. Here nothing runs after the program."""

    def __enter__(self):
        pass

    def __exit__(self, *_):
        pass


def forked():
    """Whether only text can be shown."""
    with _connection.lock:
        return not _connection.open()

"""Passes on the records of programs in files, in batches of a python3 kernel.

Such a program connects to a socket in the kernel's directory, sends the mark of its kernel and a
line end, and then records: a line with their length, and JSON. It receives one byte for each that
has its place among the output.
"""

import _socket
import _thread
import os


# Which file this process listens on.
_place = None


def listen(link, path, max_frame):
    """Listens at a path in a thread, unless one does already. An earlier runner may have left the path."""
    global _place
    if _place is not None and _place == _place_of(path):
        return
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    server.bind(path)
    server.listen(16)
    _place = _place_of(path)
    _thread.start_new_thread(_accept, (link, server, max_frame))


def _place_of(path):
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _accept(link, server, max_frame):
    while True:
        # A descriptor.
        fd, _ = server._accept()
        os.set_inheritable(fd, False)
        _thread.start_new_thread(_serve, (link, fd, max_frame))


def _serve(link, fd, max_frame):
    with open(fd, "rb", 0) as raw:
        if not _is_ours(_line(raw)):
            return
        while True:
            header = _line(raw)
            if not header.isdigit() or int(header) > max_frame:
                return
            wanted = int(header)
            payload = bytearray()
            while len(payload) < wanted:
                piece = raw.read(min(wanted - len(payload), 65536))
                if not piece:
                    return
                payload += piece
            link.send(b"r", bytes(payload))
            link.settle()
            os.write(fd, b"+")


def _line(raw):
    line = b""
    while len(line) < 256:
        byte = raw.read(1)
        if not byte or byte == b"\n":
            return line
        line += byte
    return b""


def _is_ours(mark):
    """Whether a mark is that of a process of this kernel: they differ in the last number."""

    def kernel(mark):
        return mark.rstrip(b".").rpartition(b".")[0]

    own = kernel(os.environb.get(b"SORNA_KERNEL_MARK", b""))
    return bool(own) and kernel(mark) == own

#!/usr/bin/env bash
# GNU readline undoes a change of the window's size that comes just before a prompt.
#
# Versions: gnureadline 8.2.13 (PyPI), Python 3.11, Linux on x86-64, installed in a temporary folder. bash 5.2.15 makes
# the same two calls.
#
# Behavior: before it shows a prompt, readline reads the size of the terminal's window, and sets the size that it has
# read. A change between these two calls is lost, although the call that made it succeeded. A program that passes a
# user's resize on to a shell has to look again a moment later. The script stops the program at the second call, which
# stands for an unlucky moment, and changes the size there.
#
# Output seen:
#   before the prompt: TIOCGWINSZ TIOCSWINSZ
#   size set in between: 50 132
#   size afterwards: 24 80
set -euo pipefail

[ "$(uname -sm)" = "Linux x86_64" ] || { echo "needs Linux on x86-64"; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install 'gnureadline==8.2.13'

cat > "$folder/trace.py" <<'PYTHON'
import ctypes
import fcntl
import os
import pty
import signal
import struct
import sys
import termios

TRACEME, PEEKUSER, SYSCALL = 0, 3, 24
IOCTL, SYSCALL_NUMBER, SECOND_ARGUMENT = 16, 8 * 15, 8 * 13
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def resize(terminal, rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))


def size(terminal):
    return struct.unpack("4H", fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8)))[:2]


program, terminal = pty.fork()
if program == 0:
    # The first size, before the program is traced.
    resize(0, 24, 80)
    libc.ptrace(TRACEME, 0, None, None)
    os.execv(sys.executable, [sys.executable, "-c", "import gnureadline; input('> ')"])

calls, enters = [], True
os.waitpid(program, 0)
forwarded = 0
while True:
    libc.ptrace(SYSCALL, program, None, forwarded or None)
    forwarded = 0
    _, status = os.waitpid(program, 0)
    if not os.WIFSTOPPED(status):
        sys.exit("the program ended before its prompt")
    if os.WSTOPSIG(status) != signal.SIGTRAP:
        forwarded = os.WSTOPSIG(status)
        continue
    call = libc.ptrace(PEEKUSER, program, SYSCALL_NUMBER, None)
    request = libc.ptrace(PEEKUSER, program, SECOND_ARGUMENT, None)
    if call == IOCTL and request == termios.TIOCGWINSZ and enters:
        calls = ["TIOCGWINSZ"]
    if call == IOCTL and request == termios.TIOCSWINSZ:
        if enters:
            calls.append("TIOCSWINSZ")
            resize(terminal, 50, 132)
            between = size(terminal)
        else:
            break
    enters = not enters
print("before the prompt:", *calls)
print("size set in between:", *between)
print("size afterwards:", *size(terminal))
os.kill(program, signal.SIGKILL)
os.waitpid(program, 0)
PYTHON

seen=$("$folder/venv/bin/python" "$folder/trace.py")
echo "$seen"
diff <(echo "$seen") <(sed -n 's/^#   //p' "$0") && echo "as described"

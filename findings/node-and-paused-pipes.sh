#!/usr/bin/env bash
# A program of Node that pauses its standard input ends on a terminal, and waits for the end of input on a pipe.
#
# Versions: Node 20.20.2 (package `node` of npm), Python 3.11 for the terminal, installed in a temporary folder.
#
# Behavior: after `process.stdin.pause()` nothing is read any more, and on a terminal (or a file) nothing keeps the
# process alive. On a pipe or a socket, the paused stream still does, until the writer closes it. So a program that asks
# one question and pauses ends at once for a person who types, and hangs in a tool that keeps the pipe open for further
# answers. `process.stdin.unref()` lets it end there, too.
#
# Output seen:
#   terminal: got "hi", ended before its input was closed
#   pipe: got "hi", ended after its input was closed
#   pipe, with unref: got "hi", ended before its input was closed
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm install --silent --no-audit --no-fund --prefix "$folder" node@20.20.2 >/dev/null

cat > "$folder/ask.js" <<'JAVASCRIPT'
process.stdin.once("data", (line) => {
    process.stdin.pause();
    if (process.argv[2] === "unref") process.stdin.unref();
    console.log(`got ${JSON.stringify(String(line).trim())}`);
});
JAVASCRIPT

cat > "$folder/ask.py" <<'PYTHON'
import os
import pty
import subprocess
import sys

node, program = sys.argv[1:]


def ask(name, *arguments, terminal=False):
    if terminal:
        write, read = pty.openpty()
    else:
        read, write = os.pipe()
    child = subprocess.Popen([node, program, *arguments], stdin=read, stdout=subprocess.PIPE, text=True)
    os.close(read)
    os.write(write, b"hi\n")
    line = child.stdout.readline().strip()
    try:
        child.wait(timeout=3)
        end = "before"
    except subprocess.TimeoutExpired:
        end = "after"
    os.close(write)
    child.wait(timeout=30)
    print(f"{name}: {line}, ended {end} its input was closed")


ask("terminal", terminal=True)
ask("pipe")
ask("pipe, with unref", "unref")
PYTHON

expected='terminal: got "hi", ended before its input was closed
pipe: got "hi", ended after its input was closed
pipe, with unref: got "hi", ended before its input was closed'
seen=$(python3 "$folder/ask.py" "$folder/node_modules/node/bin/node" "$folder/ask.js")
echo "$seen"
[ "$seen" = "$expected" ] || { echo "this is not what was seen before"; exit 1; }

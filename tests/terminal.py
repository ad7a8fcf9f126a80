#!/usr/bin/env python3
"""Records the terminal that the README shows: python3 tests/terminal.py [PATH OF sorna]

Runs the commands below in a terminal of their own, and draws what they show, with its colors, by `rich` (`pip install 'rich<16'`).
"""

import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

REPOSITORY = Path(__file__).resolve().parents[1]
COLUMNS = 100
FILES = {
    "mylib.h": "int myvalue(void);\n",
    "mylib.c": "int myvalue(void) { return 42; }\n",
    "main.c": '#include <stdio.h>\n#include "mylib.h"\nint main(void) { printf("myvalue is %d\\n", myvalue()); }\n',
}
COMMANDS = [
    "sorna run --local python3 -c \"print('hello world')\"",
    "sorna run --local c main.c mylib.c mylib.h",
    "sorna run -q --local bash -c 'exec 3<>/dev/tcp/192.0.2.1/80'",
    "echo 3 4 | sorna run -q --local ruby -c 'puts gets.split.sum(&:to_i)'",
]


def main():
    sorna = Path(sys.argv[1] if len(sys.argv) > 1 else REPOSITORY / "target/release/sorna").resolve()
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), force_terminal=True, color_system="truecolor")
    with tempfile.TemporaryDirectory() as directory:
        for name, text in FILES.items():
            Path(directory, name).write_text(text)
        environment = {
            "PATH": "%s:%s" % (sorna.parent, os.environ["PATH"]),
            "HOME": directory,
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "COLUMNS": str(COLUMNS),
        }
        for command in COMMANDS:
            console.print(Text.assemble(("$ ", "bold green"), command))
            console.print(Text.from_ansi(shown(command, directory, environment)))
    svg = console.export_svg(title="sorna", theme=MONOKAI, unique_id="sorna")
    # Of the fonts of other sites, none is needed.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    Path(REPOSITORY, "tests/terminal.svg").write_text(svg)


def shown(command, directory, environment):
    """What a command leaves on a terminal: lines that are drawn again replace what was there."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(["bash", "-c", command], cwd=directory, env=environment, stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    output = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            break
        if not part:
            break
        output += part
    child.wait()
    lines = output.decode().replace("\r\n", "\n").split("\n")
    last = [re.split(r"\r|\x1b\[2K", line)[-1] for line in lines]
    text = "\n".join(line for line in last if line)
    # Links and what moves the cursor are nothing to draw.
    return re.sub(r"\x1b\[[0-9;?]*[A-LN-Za-ln-z]", "", text)


if __name__ == "__main__":
    main()

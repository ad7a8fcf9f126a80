#!/usr/bin/env python3
"""Compares `sorna mcp --local` with other servers of MCP that run Python and need no Docker.

    python3 -m venv target/mcp-jupyter
    target/mcp-jupyter/bin/pip install jupyter-mcp-server==2.2.4 jupyter_server ipykernel matplotlib
    python3 -m venv target/mcp-interpreter
    target/mcp-interpreter/bin/pip install mcp-python-interpreter==1.2.3 'mcp<2' matplotlib
    tests/benchmarks/mcp.py [ROUNDS]

Builds the command, unless SORNA names one. The sides take turns; prints the medians of all rounds. The server of Jupyter that
jupyter-mcp-server needs runs all the time, and its start is not counted. All run the same Python code, with matplotlib, by their
tools for code, one call after the other; a model is not asked.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PORT = 18899
CALLS = 100

# What each task runs, call by call, and what its last result must have.
TASKS = {
    "plot from CSV": (
        [
            "open('data.csv', 'w').write('x,y\\n' + ''.join(f'{i},{i * i}\\n' for i in range(50)))",
            "import csv\nrows = list(csv.DictReader(open('data.csv')))\nprint(len(rows), rows[-1])",
            "import matplotlib.pyplot as plt\nplt.plot([float(r['x']) for r in rows], [float(r['y']) for r in rows])\nplt.show()\nprint('drawn')",
        ],
        "drawn",
    ),
    "fix a failing test": (
        [
            "open('code_of_it.py', 'w').write('def middle(a):\\n    return sorted(a)[len(a) / 2]\\n')\n"
            "open('test_it.py', 'w').write('import unittest, code_of_it\\n\\n\\nclass T(unittest.TestCase):\\n"
            "    def test(self):\\n        self.assertEqual(code_of_it.middle([3, 1, 2]), 2)\\n')\n"
            "import subprocess, sys\ndef test():\n    print(subprocess.run([sys.executable, '-m', 'unittest', 'test_it'], "
            "stdin=subprocess.DEVNULL, capture_output=True, text=True).stderr)\ntest()",
            "text = open('code_of_it.py').read()\nopen('code_of_it.py', 'w').write(text.replace(' / ', ' // '))\ntest()",
        ],
        "OK",
    ),
    "long job": (["import time\nfor i in range(50):\n    print('step', i, flush=True)\n    time.sleep(0.1)\nprint('finished')"], "finished"),
    "install attempt": (
        [
            "import subprocess, sys\nr = subprocess.run([sys.executable, '-m', 'pip', 'install', '--retries', '0', '--target', 'there', "
            "'iniconfig'], stdin=subprocess.DEVNULL, capture_output=True, text=True)\nprint('code', r.returncode, r.stderr[-300:])",
        ],
        "code",
    ),
    f"{CALLS} calls": ([f"x = {number}\nprint(x * 2)" for number in range(CALLS)], str(CALLS * 2 - 2)),
}

# `start` is from nothing to the result of the first code; `tools` is how much a client tells its model of the tools, in bytes of
# JSON; each task is its time and how much a model writes and reads for it, in bytes: arguments and text, without images.


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    sorna = os.environ.get("SORNA")
    if not sorna:
        build = ["cargo", "build", "--quiet", "--release", "-p", "sorna-cli", "--features", "mcp"]
        subprocess.run(build, cwd=REPOSITORY, check=True)
        sorna = REPOSITORY / "target/release/sorna"
    target = REPOSITORY / "target"
    with tempfile.TemporaryDirectory() as directory:
        jupyter = [target / "mcp-jupyter/bin/jupyter", "server", f"--port={PORT}", "--no-browser", "--allow-root"]
        jupyter.append("--IdentityProvider.token=token")
        server = subprocess.Popen(jupyter, cwd=directory, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            wait_for_jupyter()
            url = ["--jupyter-url", f"http://127.0.0.1:{PORT}", "--jupyter-token", "token"]
            sides = {
                "sorna mcp --local": ([sorna, "mcp", "--local", "--venv", target / "mcp-jupyter"], "run_code", {"language": "python3"}),
                "jupyter-mcp-server": ([target / "mcp-jupyter/bin/jupyter-mcp-server", *url], "execute_code", {}),
                "mcp-python-interpreter": (
                    [target / "mcp-interpreter/bin/mcp-python-interpreter", "--dir", directory],
                    "run_python_code",
                    {},
                ),
            }
            measured = {name: [] for name in sides}
            for _ in range(rounds):
                for name, side in sides.items():
                    measured[name].append(measure(*side))
        finally:
            server.terminate()
            server.wait()
    for name, all_rounds in measured.items():
        start, tools = (statistics.median(measure[key] for measure in all_rounds) for key in ("start", "tools"))
        print(f"{name}: start {start:.2f} s, tools {tools} bytes")
        for task in TASKS:
            times, sizes, images = zip(*(measure[task] for measure in all_rounds))
            print(f"  {task}: {statistics.median(times):.2f} s, {statistics.median(sizes):.0f} bytes, {max(images)} images")


def wait_for_jupyter():
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api?token=token").read()
            return
        except OSError:
            time.sleep(0.1)


def measure(command, tool, arguments):
    begin = time.monotonic()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **pipes) as server:
        last = 0

        def send(message):
            server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
            server.stdin.flush()

        def ask(method, parameters):
            nonlocal last
            last += 1
            send({"id": last, "method": method, "params": parameters})
            while True:
                message = json.loads(server.stdout.readline())
                if message.get("id") == last:
                    return message["result"]

        def run(code, expected):
            result = ask("tools/call", {"name": tool, "arguments": {**arguments, "code": code}})
            shown = "".join(part.get("text", "") for part in result["content"])
            assert expected in shown, result
            images = sum(part["type"] == "image" for part in result["content"])
            return len(json.dumps({**arguments, "code": code})) + len(shown), images

        info = {"name": "benchmark", "version": "1"}
        ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info})
        send({"method": "notifications/initialized"})
        run("print(6 * 7)", "42")
        start = time.monotonic() - begin
        measured = {"start": start, "tools": len(json.dumps(ask("tools/list", {})["tools"]))}
        for task, (codes, expected) in TASKS.items():
            begin = time.monotonic()
            results = [run(code, expected if code is codes[-1] else "") for code in codes]
            elapsed = time.monotonic() - begin
            sizes, images = zip(*results)
            measured[task] = elapsed, sum(sizes), sum(images)
        server.stdin.close()
        server.terminate()
    return measured


main()

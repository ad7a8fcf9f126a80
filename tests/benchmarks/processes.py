#!/usr/bin/env python3
"""Whole processes side by side: the `sorna` command, the original command, and python3 alone.

Builds `sorna` for release, serves a gateway with it, and lets the sides take turns. Prints ratios:
the median of the rounds, and their middle half. Needs the original client in target/python-client
and the official one of Backend.AI in target/backendai-client (.ci/run makes both); without, their
rows are skipped.
"""

import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SORNA = ROOT / "target/release/sorna"
ORIGINAL = ROOT / "target/python-client/bin/lpython"
OFFICIAL = ROOT / "target/backendai-client/bin/backend.ai"
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 21
CODE = "print('hello world')"

# What is called python3 may be a script that looks for it, as that of pyenv; that would be measured.
os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])


def run(arguments, environment):
    """Runs a program to its end: wall time, processor time of it and its children."""
    start = time.monotonic()
    child = start_of(arguments, environment)
    output = child.stdout.read()
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - start
    if child.returncode != 0 or b"hello world" not in output:
        sys.exit(f"{arguments[0]} failed: {errors.decode()}")
    return {"wall": wall, "processor": usage.ru_utime + usage.ru_stime}


def memory(arguments, environment):
    """Runs a program to its end: its peak memory, seen every millisecond.

    The system's own account of a child begins with what this interpreter had when it was started.
    """
    child = start_of(arguments, environment)
    peak = 0
    while child.poll() is None:
        status = Path(f"/proc/{child.pid}/status").read_text()
        command = re.search(r"^Name:\s*(.*)", status)[1]
        resident = re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE)
        # Before it is itself, it is a copy of us.
        if resident and Path(arguments[0]).name.startswith(command):
            peak = max(peak, int(resident[1]))
        time.sleep(0.001)
    child.communicate()
    return {"memory": peak}


def start_of(arguments, environment):
    return subprocess.Popen(
        arguments,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def compare(ours, theirs, what, measure=run, rest=0):
    """Lets two commands take turns, and gives the ratios of ours to theirs for each quantity.

    Before each turn of both, the gateway has some time to rest, in seconds.
    """
    ratios = {quantity: [] for quantity in what}
    for number in range(ROUNDS):
        time.sleep(rest)
        pair = [ours, theirs] if number % 2 == 0 else [theirs, ours]
        measured = {id(side): measure(*side) for side in pair}
        for quantity in what:
            mine, other = measured[id(ours)][quantity], measured[id(theirs)][quantity]
            ratios[quantity].append(mine / other)
    return ratios


def row(what, against, ratios, reach):
    low, median, high = statistics.quantiles(ratios, n=4)
    print(f"| {what} | {against} | {median:.3f} ({low:.3f} to {high:.3f}) | {reach} |", flush=True)


def serve(*options):
    """Starts a gateway; the environment of its clients."""
    command = [SORNA, "serve", "--log", "off", *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    environment = dict(os.environ)
    for line in server.stdout:
        name, value = re.fullmatch(r"export (\w+)=(.*)", line.strip()).groups()
        environment[name] = value.strip("'")
        if name.endswith("_SECRET_KEY"):
            break
    return server, environment


def official():
    """Rows against the official client of Backend.AI, whose gateway is another one."""
    if not OFFICIAL.exists():
        print("SKIPPED: there is no target/backendai-client; see the README", file=sys.stderr)
        return
    server, environment = serve("--api", "backend-ai")
    try:
        environment["BACKEND_ENDPOINT_TYPE"] = "api"
        ours = ([SORNA, "run", "-q", "python3", "-c", CODE], environment)
        theirs = ([OFFICIAL, "run", "--quiet", "--rm", "-c", CODE, "python3"], environment)
        ratios = compare(ours, theirs, ["processor"]) | compare(ours, theirs, ["memory"], memory)
        name = "`backend.ai run`, same gateway"
        row("`sorna run -q python3 -c ...`, processor time", name, ratios["processor"], "0.01")
        row("the same, peak memory", name, ratios["memory"], "0.067")
    finally:
        server.terminate()
        server.wait()


def main():
    build = ["cargo", "build", "--quiet", "--release", "-p", "sorna-cli"]
    subprocess.run(build, cwd=ROOT, check=True)
    server, environment = serve()
    try:
        print("| what | against | ratio | to reach |")
        print("|---|---|---|---|")
        ours = ([SORNA, "run", "-q", "python3", "-c", CODE], environment)
        if ORIGINAL.exists():
            theirs = ([ORIGINAL, "-c", CODE], environment)
            ratios = compare(ours, theirs, ["processor"])
            ratios |= compare(ours, theirs, ["memory"], memory)
            name = "the original command, same gateway"
            row("`sorna run -q python3 -c ...`, processor time", name, ratios["processor"], "0.02")
            row("the same, peak memory", name, ratios["memory"], "0.20")
        else:
            print("SKIPPED: there is no target/python-client; see the README", file=sys.stderr)
        local = ([SORNA, "run", "--local", "-q", "python3", "-c", CODE], environment)
        alone = (["python3", "-c", CODE], environment)
        ratios = compare(local, alone, ["wall"])
        name = "`python3 -c ...`"
        row("`sorna run --local -q python3 -c ...`, wall time", name, ratios["wall"], "1.2")
        for stock, reach in [("from stock", "0.8"), ("without stock", "-")]:
            if stock != "from stock":
                server.terminate()
                server.wait()
                server, environment = serve("--warm", "python3=0")
            ours = ([SORNA, "run", "-q", "python3", "-c", CODE], environment)
            run(*ours)
            ratios = compare(ours, alone, ["wall"], rest=0.2)
            row(f"`sorna run -q python3 -c ...`, {stock}, wall time", name, ratios["wall"], reach)
    finally:
        server.terminate()
        server.wait()
    official()


main()

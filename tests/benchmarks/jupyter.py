#!/usr/bin/env python3
"""Compares kernels of `sorna jupyter --local` with ipykernel: run by the Python of target/jupyter, which `.ci/run` makes.

    target/jupyter/bin/python tests/benchmarks/jupyter.py [ROUNDS]

Builds the command, and prints the median of the ratios of all rounds, ours to ipykernel's; both sides take turns, with the same
interpreter.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SORNA = REPOSITORY / "target/release/sorna"
CELLS = 1000
MEGABYTES = 100
TIMEOUT = 120


# `start` is from nothing to the reply of the first cell; `cells` are CELLS of one assignment, one after the other; `lines` and
# `blocks` print MEGABYTES by lines of 100 bytes, and by a megabyte at once; `memory` is that of an idle kernel with its interpreter.


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    build = ["cargo", "build", "--quiet", "--release", "-p", "sorna-cli", "--features", "jupyter", "--bin", "sorna"]
    subprocess.run(build, cwd=REPOSITORY, check=True)
    with tempfile.TemporaryDirectory() as directory:
        os.environ.update({"JUPYTER_DATA_DIR": directory, "JUPYTER_RUNTIME_DIR": directory})
        install = [SORNA, "jupyter", "install", "--local", "--venv", sys.prefix, "python3", "--name", "sorna"]
        subprocess.run(install, check=True, capture_output=True)
        measured = []
        for _ in range(rounds):
            ours, theirs = measure("sorna"), measure("python3")
            measured.append((ours, theirs))
    for name, unit in [("start", "s"), ("cells", "s"), ("lines", "s"), ("blocks", "s"), ("memory", "MiB")]:
        pairs = [(ours[name], theirs[name]) for ours, theirs in measured]
        ratio = statistics.median(a / b for a, b in pairs)
        ours, theirs = (statistics.median(side) for side in zip(*pairs))
        print("%-7s %8.3f %s, ipykernel %8.3f %s, ratio %.2f" % (name, ours, unit, theirs, unit, ratio))


def measure(name):
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name=name)
    begin = time.perf_counter()
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    # As `wait_for_ready`, which looks once a second only.
    number = client.kernel_info()
    while client.get_shell_msg(timeout=TIMEOUT)["parent_header"].get("msg_id") != number:
        pass
    run(client, "None")
    start = time.perf_counter() - begin
    # Of an idle kernel.
    time.sleep(1)
    memory = sum(resident(process) for process in tree(manager.provisioner.pid)) / 2**20
    begin = time.perf_counter()
    for _ in range(CELLS):
        run(client, "x = 1")
    cells = time.perf_counter() - begin
    line = "x" * 99
    begin = time.perf_counter()
    run(client, "for _ in range(%d): print(%r)" % (MEGABYTES * 10_000, line), MEGABYTES * 1_000_000)
    lines = time.perf_counter() - begin
    begin = time.perf_counter()
    code = "import sys\nfor _ in range(%d): sys.stdout.write((%r + chr(10)) * 10_000)" % (MEGABYTES, line)
    run(client, code, MEGABYTES * 1_000_000)
    blocks = time.perf_counter() - begin
    client.stop_channels()
    manager.shutdown_kernel()
    return {"start": start, "cells": cells, "lines": lines, "blocks": blocks, "memory": memory}


def run(client, code, expected=0):
    """Runs a cell until the kernel is idle again, and all of its output has come."""
    number = client.execute(code)
    while client.get_shell_msg(timeout=TIMEOUT)["parent_header"].get("msg_id") != number:
        pass
    size = 0
    while True:
        message = client.get_iopub_msg(timeout=TIMEOUT)
        if message["parent_header"].get("msg_id") != number:
            continue
        content = message["content"]
        if message["msg_type"] == "stream":
            size += len(content["text"])
        elif message["msg_type"] == "status" and content["execution_state"] == "idle":
            break
    if size < expected:
        print("  %d of %d bytes were lost" % (expected - size, expected))


def tree(process):
    """The process and all that descend from it."""
    yield process
    for task in Path("/proc/%d/task" % process).iterdir():
        for child in (task / "children").read_text().split():
            yield from tree(int(child))


def resident(process):
    """Its memory, of which what it shares counts as its part, in bytes."""
    for line in Path("/proc/%d/smaps_rollup" % process).read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


main()

"""Jupyter's own server with `--gateway-url`, which is what JupyterLab talks to, over its REST API."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

from websocket import create_connection

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    PORT = free.getsockname()[1]
# The variables that `sorna serve --jupyter` prints.
os.environ["JUPYTER_GATEWAY_URL"] = os.environ["URL"]
os.environ["JUPYTER_GATEWAY_AUTH_TOKEN"] = os.environ["TOKEN"]
server = subprocess.Popen(
    [
        sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser", f"--ServerApp.port={PORT}",
        "--ServerApp.port_retries=0", "--IdentityProvider.token=own", "--ServerApp.root_dir=.",
    ],
    stderr=open("log", "w"),
)


def call(request, body=None):
    method, path = request.split()
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": "token own"}
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as response:
        text = response.read()
        return json.loads(text) if text and text[:1] in b"{[" else text


def connect(kernel, session):
    url = f"ws://127.0.0.1:{PORT}/api/kernels/{kernel}/channels?session_id={session}&token=own"
    return create_connection(url, timeout=60)


def run(channels, code, answer=None):
    """The messages that follow from a cell, until the kernel is idle."""
    id = uuid.uuid4().hex
    header = {"msg_id": id, "username": "u", "session": "s", "version": "5.3", "date": "2026-01-01T00:00:00Z"}

    def send(channel, kind, content):
        message = {
            "channel": channel, "header": header | {"msg_type": kind}, "parent_header": {}, "metadata": {},
            "content": content, "buffers": [],
        }
        channels.send(json.dumps(message))

    send("shell", "execute_request", {"code": code, "allow_stdin": answer is not None, "store_history": True})
    found, open_ends = [], {"execute_reply", "idle"}
    while open_ends:
        message = json.loads(channels.recv())
        if message["parent_header"].get("msg_id") != id:
            continue
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "input_request":
            send("stdin", "input_reply", {"value": answer})
        found.append((kind, content))
        open_ends -= {kind, content.get("execution_state")}
    return found


def texts(found):
    return "".join(content["text"] for kind, content in found if kind == "stream")


try:
    for _ in range(600):
        try:
            call("GET /api/status")
            break
        except OSError:
            time.sleep(0.1)
    specs = call("GET /api/kernelspecs")
    assert specs["default"] == "python3" and "bash" in specs["kernelspecs"], specs
    logo = call("GET " + specs["kernelspecs"]["bash"]["resources"]["logo-svg"])
    assert logo.startswith(b"<svg"), logo
    body = {"path": "a.ipynb", "name": "a", "type": "notebook", "kernel": {"name": "python3"}}
    session = call("POST /api/sessions", body)
    kernel = session["kernel"]["id"]
    channels = connect(kernel, "one")
    found = run(channels, "x = 1\nprint('é')\n6 * 7")
    assert texts(found) == "é\n", found
    assert any(content.get("data") == {"text/plain": "42"} for _, content in found), found
    assert texts(run(channels, "print(input('name? '))", answer="née")) == "née\n"
    assert call("GET /api/kernels")[0]["execution_state"] == "idle"
    call(f"POST /api/kernels/{kernel}/restart")
    found = run(channels, "x")
    assert any(content.get("ename") == "NameError" for _, content in found), found
    call(f"POST /api/kernels/{kernel}/interrupt")
    changed = call(f"PATCH /api/sessions/{session['id']}", {"kernel": {"name": "bash"}})
    channels = connect(changed["kernel"]["id"], "two")
    assert texts(run(channels, "echo here")) == "here\n"
    try:
        call("POST /api/kernels", {"name": "klingon"})
        raise AssertionError("there is no such kernel")
    except urllib.error.HTTPError as error:
        assert error.code >= 400, error
    call(f"DELETE /api/sessions/{session['id']}")
    assert call("GET /api/kernels") == []
finally:
    server.terminate()
    server.wait()

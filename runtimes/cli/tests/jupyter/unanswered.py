"""Cells that ask where no one answers, the first ones of their kernels among them: no variables are lost, and the cell says why it failed."""

from jupyter_client.manager import start_new_kernel

# A cell that asks, and one that shows what it has set before.
ASKING = {
    "bash": ("keep=5; while true; do read x; done", "echo $keep"),
    "python3": ("keep = 5; input()", "print(keep)"),
    "r": ("keep <- 5; x <- readline()", "cat(keep)"),
}
# In Python, the function that reads raises an error, which the cell may catch.
CAUGHT = [
    ("try:\n  input('? ')\nexcept NotImplementedError as error: print(type(error).__name__)\nfinally: print('fin')", "StdinNotImplementedError\nfin\n"),
    ("for i in range(3):\n  try: input()\n  except: print(i)", "0\n1\n2\n"),
    ("import getpass, sys\nfor read in getpass.getpass, sys.stdin.readline, sys.stdin.read:\n  try: read()\n  except RuntimeError: print('no')", "no\nno\nno\n"),
    ("import subprocess\nprint(subprocess.run(['cat']).returncode)", "0\n"),
    ("import threading\ndef ask():\n  try: input()\n  except NotImplementedError: print('none')\nt = threading.Thread(target=ask); t.start(); t.join()", "none\n"),
]


def run(client, code):
    """Runs a cell; its reply, and its messages."""
    messages = []
    reply = client.execute_interactive(code, output_hook=messages.append, allow_stdin=False, timeout=60)
    kinds = [(m["msg_type"], m["content"]) for m in messages]
    return reply["content"], [it for it in kinds if it[0] not in ("status", "execute_input")]


def texts(shown):
    return "".join(content["text"] for kind, content in shown if kind == "stream")


for language, (asking, showing) in ASKING.items():
    manager, client = start_new_kernel(kernel_name="sorna-local-" + language)
    for time in ("first", "second"):
        reply, shown = run(client, asking)
        assert reply["ename"] == "StdinNotImplementedError", (language, time, reply)
        assert not any("lost" in line for line in reply["traceback"]), (language, time, reply)
        assert texts(run(client, showing)[1]).strip() == "5", (language, time)
    for code, expected in CAUGHT * (language == "python3"):
        reply, shown = run(client, code)
        assert reply["status"] == "ok" and texts(shown) == expected, (code, reply, shown)
    if language == "python3":
        reply, shown = run(client, "def f():\n  return input()\nf()")
        assert [kind for kind, _ in shown] == ["error"] and "in f" in "".join(reply["traceback"]), (reply, shown)
        assert texts(run(client, showing)[1]).strip() == "5"
    client.stop_channels()
    manager.shutdown_kernel()

# Its interpreter cannot be interrupted while it reads, so the program sees the end of its input.
manager, client = start_new_kernel(kernel_name="sorna-local-nodejs")
reply, shown = run(client, "keep = 5; require('fs').readSync(0, Buffer.alloc(9))")
assert reply["ename"] == "StdinNotImplementedError" and shown[-1][0] == "error", (reply, shown)
assert texts(run(client, "console.log(keep)")[1]).strip() == "5"
client.stop_channels()
manager.shutdown_kernel()

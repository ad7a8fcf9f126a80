"""Cells on gateways that report no exit codes, or that of success for exceptions, and have no values and no completion."""

import sys

from jupyter_client.manager import start_new_kernel

TIMEOUT = 30


def run(code, answer=None):
    """The reply, and what was shown."""
    shown = []
    hook = None if answer is None else lambda _: client.input(answer)
    reply = client.execute_interactive(
        code, output_hook=shown.append, stdin_hook=hook, allow_stdin=answer is not None, timeout=TIMEOUT
    )["content"]
    contents = [(it["msg_type"], it["content"]) for it in shown if it["msg_type"] not in ("status", "execute_input")]
    return reply, [(kind, content.get("text", content.get("ename"))) for kind, content in contents]


manager, client = start_new_kernel(kernel_name="sorna-python3")

reply, shown = run("fails")
assert (reply["status"], reply["ename"], reply["evalue"]) == ("error", "ZeroDivisionError", "division by zero"), reply
assert shown == [("stream", "before\n"), ("error", "ZeroDivisionError")], shown
assert "ZeroDivisionError" in reply["traceback"][-1] and len(reply["traceback"]) >= 3, reply
# What is shown of an error before other output is no failure, and neither is text that is none.
reply, shown = run("shows")
assert reply["status"] == "ok" and shown[0][1].rstrip().endswith("by zero") and shown[1:] == [("stream", "after\n")], shown
reply, shown = run("warns")
assert reply["status"] == "ok" and shown == [("stream", "Traceback: none\n")], shown
# In pieces, over several requests.
reply, shown = run("slow")
assert reply["status"] == "ok" and "".join(text for _, text in shown) == "one\ntwo\n", shown
reply, shown = run("slowly fails")
assert (reply["ename"], [kind for kind, _ in shown]) == ("ZeroDivisionError", ["error"]), (reply, shown)
reply, shown = run("asks", answer="née")
assert reply["status"] == "ok" and shown[-1] == ("stream", "née\n"), shown

# What a program prints between cells, and the kernel's own question brings, is under the cell that ran last.
number = client.execute("shows")
found = client.inspect("late", reply=True, timeout=TIMEOUT)["content"]
assert found["data"] == {"text/plain": "Type!"}, found
text = ""
while not text.endswith("late\nlater\n"):
    message = client.get_iopub_msg(timeout=TIMEOUT)
    if message["msg_type"] == "stream" and message["parent_header"]["msg_id"] == number:
        text += message["content"]["text"]
assert "answer" not in text, text

# A cell that fails aborts those that wait.
numbers = [client.execute(code) for code in ("fails", "shows")]
statuses = {}
while len(statuses) < 2:
    message = client.get_shell_msg(timeout=TIMEOUT)
    statuses[message["parent_header"]["msg_id"]] = message["content"]["status"]
assert [statuses[it] for it in numbers] == ["error", "aborted"], statuses

# An endless one is interrupted, by a new start of the interpreter where there is no other way.
number = client.execute("endless")
while client.get_iopub_msg(timeout=TIMEOUT)["content"].get("text") != "on\n":
    pass
manager.interrupt_kernel()
while (message := client.get_shell_msg(timeout=TIMEOUT))["parent_header"]["msg_id"] != number:
    pass
assert message["content"]["ename"] == "KeyboardInterrupt", message["content"]
assert ("variables are lost" in "".join(message["content"]["traceback"])) == (sys.argv[1] == "2017"), message["content"]
assert run("shows")[0]["status"] == "ok"

found = client.complete("pri", reply=True, timeout=TIMEOUT)["content"]
assert (found["status"], found["matches"]) == ("ok", []), found
client.stop_channels()
manager.shutdown_kernel()

"""What is no ordinary cell: code that is no text, and interpreters that end on their own. No variables are lost without a word."""

import json
import time

from jupyter_client.manager import start_new_kernel

# A cell that sets a variable, one with a NUL, and one that shows the variable.
NULS = {
    "bash": ("k=5", "echo 'a\0b'", "echo $k"),
    "python3": ("k = 5", "x = 1\nx = 'a\0b'", "print(k)"),
    "r": ("k <- 5", "x <- 'a\0b'", "cat(k)"),
}


def run(client, code, **options):
    messages = []
    reply = client.execute_interactive(code, output_hook=messages.append, allow_stdin=False, timeout=60, **options)
    kinds = [(m["msg_type"], m["content"]) for m in messages]
    return reply["content"], [it for it in kinds if it[0] not in ("status", "execute_input")]


def texts(shown):
    return "".join(content["text"] for kind, content in shown if kind == "stream")


def escaped(client, code):
    """Sends code of which the JSON has half a character, as it comes from editors."""
    session = client.session
    message = session.msg("execute_request", {"code": code, "silent": False, "allow_stdin": False})
    parts = [json.dumps(message[part], default=str).encode() for part in ("header", "parent_header", "metadata", "content")]
    client.shell_channel.socket.send_multipart([b"<IDS|MSG>", session.sign(parts), *parts])
    while True:
        reply = client.get_shell_msg(timeout=60)
        if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
            return reply["content"]


for language, (setting, odd, showing) in NULS.items():
    manager, client = start_new_kernel(kernel_name="sorna-local-" + language)
    run(client, setting)
    reply, shown = run(client, odd)
    if language == "python3":
        assert (reply["ename"], [kind for kind, _ in shown]) == ("SyntaxError", ["error"]), (reply, shown)
        assert "line 2" in reply["traceback"][0], reply
        assert escaped(client, "x = 'a\ud800b'; assert x == 'a\ufffdb'")["status"] == "ok"
    if language == "r":
        assert reply["evalue"] == "nul character not allowed in code", reply
    assert texts(run(client, showing)[1]).strip() == "5", language
    client.stop_channels()
    manager.shutdown_kernel()

manager, client = start_new_kernel(kernel_name="sorna-local-python3")
for end, is_asked in (("os.kill(os.getpid(), 9)", False), ("os._exit(0)", False), ("os._exit(0)", True)):
    # It ends after the cell, or in it on a slow machine. That one says so, or the next, whatever is asked in between.
    said = str(run(client, "import os, threading\nthreading.Timer(0.1, lambda: %s).start()" % end))
    time.sleep(1)
    if is_asked:
        client.inspect("str", reply=True, timeout=60)
    shown = run(client, "print('next')")[1]
    assert "variables are lost" in said + texts(shown) and "next" in texts(shown), (end, said, shown)

# What the cell after an uncounted one shows is not the value of the one before.
run(client, "1")
run(client, "2", store_history=False)
history = client.history(raw=True, output=True, hist_access_type="tail", n=1, reply=True, timeout=60)["content"]["history"]
assert history[0][2] == ["1", "1"], history
client.stop_channels()
manager.shutdown_kernel()

# Errors of R have the calls that led to them, which are not part of the message; pages of its manual are plain text.
manager, client = start_new_kernel(kernel_name="sorna-local-r")
reply, shown = run(client, "g <- function(x) { warning('hm'); stop('bad') }\nf <- function(x) g(x)\nf(1)")
assert reply["evalue"] == "bad\nIn addition: Warning message:\nIn g(x) : hm", reply
assert reply["traceback"][0] == "Error in g(x) : bad", reply
assert reply["traceback"][-5:] == ["Traceback:", "", "1. f(1)", "2. g(x)", '3. stop("bad")'], reply
assert [kind for kind, _ in shown] == ["error"], shown
for code, message in (("stop('x')", "Error: x"), ("f <- function() stop('own', call. = FALSE); try(f(), silent = TRUE); stop('y')", "Error: y")):
    assert run(client, code)[0]["traceback"] == [message], code
page = texts(run(client, "help(mean)")[1])
assert "Arithmetic Mean" in page and "\b" not in page, page

# An interrupt that comes while an interpreter starts again ends the cell, and not the interpreter.
run(client, "quit('no')")
number = client.execute("Sys.sleep(50)")
while client.get_iopub_msg(timeout=60)["msg_type"] != "execute_input":
    pass
manager.interrupt_kernel()
while (reply := client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != number:
    pass
assert reply["content"]["ename"] == "KeyboardInterrupt", reply["content"]
client.stop_channels()
manager.shutdown_kernel()

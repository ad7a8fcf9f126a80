"""Cells that ask where nobody answers, the first ones of their kernels among them: no variables are lost, and the cell says why it failed."""

from jupyter_client.manager import start_new_kernel

# A cell that asks, and one that shows what it has set before.
ASKING = {
    "bash": ("keep=5; read x", "echo $keep"),
    "python3": ("keep = 5; input()", "print(keep)"),
    "r": ("keep <- 5; x <- readline()", "cat(keep)"),
}


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
    client.stop_channels()
    manager.shutdown_kernel()

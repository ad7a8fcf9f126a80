"""What clients ask besides: help, requests that few clients make, and the end on the shell channel."""

import os
import sys
import time

from jupyter_client.manager import KernelManager, start_new_kernel

TIMEOUT = 60


def run(client, code, **options):
    messages = []
    reply = client.execute_interactive(code, output_hook=messages.append, allow_stdin=False, timeout=TIMEOUT, **options)
    kinds = [(m["msg_type"], m["content"]) for m in messages]
    return reply["content"], [it for it in kinds if it[0] not in ("status", "execute_input")]


def ask(client, kind, content, channel="shell"):
    """Sends a request; the type and content of the reply."""
    message = client.session.msg(kind, content)
    getattr(client, channel + "_channel").send(message)
    get = getattr(client, "get_%s_msg" % channel)
    while True:
        reply = get(timeout=TIMEOUT)
        if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
            return reply["msg_type"], reply["content"]


manager, client = start_new_kernel(kernel_name="sorna-local-python3")
version = ask(client, "kernel_info_request", {})[1]["language_info"]["version"]
ran = run(client, "import platform; print(platform.python_version())")[1][0][1]["text"].strip()
assert ran.startswith(version) and version.count(".") == 2, (version, ran)

# Forms come with what is said of them.
forms = (
    "class P:\n  def _repr_png_(self): return b'png', {'width': 10}\n  def __repr__(self): return 'P'\n"
    "class B:\n  def _repr_mimebundle_(self, include=None, exclude=None): return {'text/html': '<b>'}, {'text/html': {'isolated': True}}\n"
)
for code, kind, metadata in [
    (forms + "P()", "execute_result", {"image/png": {"width": 10}}),
    ("B()", "execute_result", {"text/html": {"isolated": True}}),
    ("display(P())", "display_data", {"image/png": {"width": 10}}),
    ("display({'text/html': '<i>'}, raw=True, metadata={'text/html': {'a': 1}})", "display_data", {"text/html": {"a": 1}}),
    ("display(P(), exclude=['image/png'])", "display_data", {}),
    ("6", "execute_result", {}),
]:
    shown = run(client, code)[1]
    assert [it[0] for it in shown] == [kind] and shown[0][1]["metadata"] == metadata, (code, shown)
    assert not any("sorna" in media_type for media_type in shown[0][1]["data"]), shown
shown = run(client, "display(1, display_id='x')\nupdate_display(2, display_id='x')")[1]
assert [it[0] for it in shown] == ["display_data", "update_display_data"], shown
assert shown[1][1]["transient"] == {"display_id": "x"}, shown

# Cells are numbered as their code is in tracebacks, whatever else was asked in between.
assert ask(client, "is_complete_request", {"code": "1 +"})[1]["status"] == "invalid"
reply = run(client, "1/0", user_expressions={})[0]
assert '"<input-%d>"' % reply["execution_count"] in "".join(reply["traceback"]), reply
run(client, "1", silent=True)
ask(client, "inspect_request", {"code": "str", "cursor_pos": 3})
run(client, "def f(): return 1 / 0")
before = client.execute_interactive("f", timeout=TIMEOUT)["content"]["execution_count"] - 1
for between in ("1", "print?"):
    run(client, between, store_history=False)
    run(client, "1/0", silent=True)
    run(client, between)
    reply = run(client, "f()")[0]
    lines = [line for line in reply["traceback"] if "<input-" in line]
    assert '"<input-%d>", line 1, in <module>' % reply["execution_count"] in lines[0], reply
    # One that does not count takes no number of another one.
    assert '"<input-%d>", line 1, in f' % before in lines[1] and "return 1 / 0" in str(reply["traceback"]), reply
reply = run(client, "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")[0]
assert reply["ename"] == "InterpreterKilled" and "SIGSEGV" in reply["evalue"], reply
assert "variables are lost" in reply["traceback"][-1], reply
# The error says it, once.
reply, shown = run(client, "import os, sys\nprint('before', file=sys.stderr)\nos.abort()")
assert reply["ename"] == "InterpreterKilled", reply
assert [it for it in shown if it[0] == "stream"] == [("stream", {"name": "stderr", "text": "before\n"})], shown
reply = run(client, "1/0")[0]
assert '"<input-%d>"' % reply["execution_count"] in "".join(reply["traceback"]), reply

# What is not there of IPython.
reply = run(client, "import sys; sys.modules['IPython'] = None; import IPython.display")[0]
assert "pip install ipython" in reply["traceback"][-1], reply

# Help is a page, as the console of Jupyter shows it.
for code in ("print?", "?print", "print??"):
    reply, shown = run(client, code)
    page = reply["payload"][0]
    assert (reply["status"], page["source"], shown) == ("ok", "page", []), (reply, shown)
    assert "Prints the values to a stream" in page["data"]["text/plain"], page
assert "name??" in run(client, "?")[0]["payload"][0]["data"]["text/plain"]
run(client, "class Mine:\n  @property\n  def part(self): print('ran')\n  def point(self): pass\nmine, print_mine = Mine(), 1")
for code, text in (("*print*?", "print\nprint_mine"), ("?mine.p*", "mine.part\nmine.point"), ("Mine.*oint?", "Mine.point")):
    reply, shown = run(client, code)
    assert (reply["payload"][0]["data"]["text/plain"].rstrip(), shown) == (text, []), (code, reply, shown)
assert "not found" in run(client, "*no_such*?")[1][0][1]["text"]
assert "not found" in run(client, "no_such_name?")[1][0][1]["text"]
for code in ("%time 1", "!ls"):
    reply = run(client, code)[0]
    assert reply["ename"] == "SyntaxError" and "IPython" in reply["traceback"][-1], reply

kind, content = ask(client, "connect_request", {})
assert (kind, content["shell_port"]) == ("connect_reply", manager.get_connection_info()["shell_port"]), content
kind, content = ask(client, "debug_request", {"seq": 3, "type": "request", "command": "initialize"}, "control")
assert (kind, content["success"], content["request_seq"]) == ("debug_reply", False, 3), content
kind, content = ask(client, "usage_request", {}, "control")
assert (kind, content["status"]) == ("usage_reply", "error"), content

# The end, as older clients ask for it.
kind, content = ask(client, "shutdown_request", {"restart": False})
assert (kind, content) == ("shutdown_reply", {"status": "ok", "restart": False}), (kind, content)
deadline = time.monotonic() + TIMEOUT
while manager.is_alive():
    assert time.monotonic() < deadline
    time.sleep(0.05)
client.stop_channels()

manager, client = start_new_kernel(kernel_name="sorna-local-r")
run(client, "1")
version = ask(client, "kernel_info_request", {}, "control")[1]["language_info"]["version"]
if not version:
    # Its interpreter was not there yet when that was asked first.
    version = ask(client, "kernel_info_request", {})[1]["language_info"]["version"]
assert version in run(client, "cat(R.version.string)")[1][0][1]["text"] and "." in version, version
reply, shown = run(client, "print?")
page = reply["payload"][0]["data"]["text/plain"]
assert "Print Values" in page and "\b" not in page and shown == [], page
client.stop_channels()
manager.shutdown_kernel()

# What a compiler says first.
manager, client = start_new_kernel(kernel_name="sorna-local-c")
reply = run(client, "int main(void) { return x; }")[0]
assert "error:" in reply["evalue"] and "undeclared" in reply["evalue"], reply
client.stop_channels()
manager.shutdown_kernel()

# Sockets that are files are gone at the end, and those that a killed kernel has left are no hindrance.
if sys.platform != "win32":
    for end in ("kill", "end", "end"):
        manager = KernelManager(kernel_name="sorna-local-bash", transport="ipc", ip=os.path.join(os.getcwd(), "socket"))
        for number, port in enumerate(("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port"), 1):
            setattr(manager, port, number)
        manager.start_kernel()
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=TIMEOUT)
        assert run(client, "echo yes")[1] == [("stream", {"name": "stdout", "text": "yes\n"})]
        client.stop_channels()
        if end == "kill":
            os.kill(manager.provisioner.pid, 9)
            manager.provisioner.process.wait()
            assert os.path.exists("socket-1")
        else:
            # Asked for over its socket, and waited for.
            pid = manager.provisioner.pid
            os.kill(pid, 15)
            manager.provisioner.process.wait()
            assert not os.path.exists("socket-1"), os.listdir()

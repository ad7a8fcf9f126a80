"""What clients of Jupyter do with a kernel, with jupyter_client. Prints `ok` for each part; fails if one is wrong."""

import hashlib
import hmac
import json
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import time

import zmq
from jupyter_client.manager import KernelManager, start_new_kernel

TIMEOUT = 30


class Client:
    """A kernel, and what it sends."""

    def __init__(self, name):
        self.km, self.kc = start_new_kernel(kernel_name=name)

    def run(self, code, answer=None, **options):
        """Runs a cell; its reply, and its messages without states and the code."""
        messages = []
        hook = None if answer is None else lambda message: (messages.append(message), self.kc.input(answer))
        reply = self.kc.execute_interactive(
            code, output_hook=messages.append, stdin_hook=hook, allow_stdin=answer is not None, timeout=TIMEOUT, **options
        )
        kinds = [(m["msg_type"], m["content"]) for m in messages]
        return reply["content"], [it for it in kinds if it[0] not in ("status", "execute_input")]

    def texts(self, code, **options):
        return "".join(content["text"] for kind, content in self.run(code, **options)[1] if kind == "stream")

    def start(self, code):
        """Starts a cell, and waits for its output."""
        number = self.kc.execute(code)
        while self.kc.get_iopub_msg(timeout=TIMEOUT)["msg_type"] != "stream":
            pass
        return number

    def reply_to(self, number):
        while True:
            reply = self.kc.get_shell_msg(timeout=TIMEOUT)
            if reply["parent_header"].get("msg_id") == number:
                return reply["content"]

    def silence(self):
        while True:
            try:
                self.kc.get_iopub_msg(timeout=0.2)
            except queue.Empty:
                return

    def end(self):
        self.kc.stop_channels()
        self.km.shutdown_kernel()


def python(client):
    reply, shown = client.run("1/0")
    assert (reply["status"], reply["ename"], reply["evalue"]) == ("error", "ZeroDivisionError", "division by zero"), reply
    assert [kind for kind, _ in shown] == ["error"], shown
    assert shown[0][1]["traceback"][-1] == "ZeroDivisionError: division by zero"
    # Where the gateway reports exit codes, a traceback that is only shown is no failure.
    reply, shown = client.run("try: 1/0\nexcept Exception: __import__('traceback').print_exc()")
    assert reply["status"] == "ok" and shown[0][1]["text"].startswith("Traceback"), (reply, shown)
    # Silent cells show no value, and count nothing.
    before = client.run("x = 6")[0]["execution_count"]
    reply, shown = client.run("print(1); x", silent=True)
    assert (reply["status"], reply["execution_count"]) == ("ok", before), (reply, shown)
    assert shown == [("stream", {"name": "stdout", "text": "1\n"})], shown
    reply, shown = client.run("display({'text/html': 'here'}, raw=True); 1 / 0", silent=True)
    assert [kind for kind, _ in shown] == ["display_data", "error"], (reply, shown)
    reply, shown = client.run("x * 7", store_history=False)
    assert (reply["execution_count"], shown[0][1]["data"]["text/plain"]) == (before, "42"), shown
    print("ok cells")

    for code, is_password in [("input('your name? ')", False), ("__import__('getpass').getpass('your name? ')", True)]:
        _, shown = client.run(code, answer="née")
        assert shown[0] == ("input_request", {"prompt": "your name? ", "password": is_password}), shown
        assert shown[1][1]["data"]["text/plain"] == "'née'" and len(shown) == 2, shown
    # One that does not fit into a request to the gateway.
    reply, _ = client.run("input('? ')", answer="v" * 1_100_000)
    assert reply["ename"] == "GatewayError" and "interrupted" in reply["traceback"][-1], reply
    # What that has left comes first.
    assert client.texts("print(x)").endswith("6\n")
    reply, shown = client.run("x = 8\ninput()\nx = 9")
    assert reply["ename"] == "StdinNotImplementedError" and [kind for kind, _ in shown] == ["error"], (reply, shown)
    assert client.texts("print(x)") == "8\n"
    print("ok input")

    # A cell that fails aborts what waits, unless it is not to, and what comes after its reply runs.
    numbers = [client.kc.execute(code, allow_stdin=True) for code in ("input(); 1/0", "y = 1", "y = 2")]
    client.kc.get_stdin_msg(timeout=TIMEOUT)
    client.kc.input("")
    assert [client.reply_to(it)["status"] for it in numbers] == ["error", "aborted", "aborted"]
    assert client.run("y")[0]["ename"] == "NameError"
    numbers = [client.kc.execute(code, stop_on_error=False) for code in ("1/0", "y = 1")]
    assert [client.reply_to(it)["status"] for it in numbers] == ["error", "ok"]
    # What a client asks by itself leaves out none of what its user wants.
    numbers = [client.kc.execute("1/0", silent=True), client.kc.execute("y = 1")]
    assert [client.reply_to(it)["status"] for it in numbers] == ["error", "ok"]
    client.silence()
    print("ok queue")

    for code in ("print('go'); import time\nwhile True: pass", "print('go'); time.sleep(60)", "print('go\\n'); input()"):
        number = client.start(code)
        if "input" in code:
            client.kc.get_stdin_msg(timeout=TIMEOUT)
        client.km.interrupt_kernel()
        assert client.reply_to(number)["ename"] == "KeyboardInterrupt", code
        client.silence()
        assert client.texts("print(x)") == "8\n"
    # In vain, and a signal that is meant for Jupyter.
    client.km.interrupt_kernel()
    os.kill(client.km.provisioner.pid, signal.SIGINT)
    assert client.texts("print(x)") == "8\n"
    print("ok interrupts")

    client.run("漢 = 'a'")
    code = "é = '𝒳'\n漢.isdig\n"
    reply = client.kc.complete(code, cursor_pos=len(code) - 1, reply=True, timeout=TIMEOUT)["content"]
    whole = code[: reply["cursor_start"]] + reply["matches"][0] + code[reply["cursor_end"] :]
    assert whole == "é = '𝒳'\n漢.isdigit\n" and len(reply["matches"]) == 1, reply
    reply = client.kc.inspect("str.upper", reply=True, timeout=TIMEOUT)["content"]
    assert "uppercase" in reply["data"]["text/plain"], reply
    assert not client.kc.inspect("no_such_name", reply=True, timeout=TIMEOUT)["content"]["found"]
    print("ok completion")

    code = "h = display('one', display_id=True)\nh.update('two')\ndisplay('three', display_id='x');"
    shown = client.run(code)[1]
    assert [kind for kind, _ in shown] == ["display_data", "update_display_data", "display_data"], shown
    ids = [content["transient"]["display_id"] for _, content in shown]
    assert ids[0] == ids[1] and ids[2] == "x", ids
    assert [content["data"]["text/plain"] for _, content in shown] == ["'one'", "'two'", "'three'"], shown
    print("ok displays")

    code = "import sorna_kernel\nprint('one')\nsorna_kernel.clear_output(wait=True)\nprint('two')\nsorna_kernel.clear_output()"
    shown = client.run(code)[1]
    stream = lambda text: ("stream", {"name": "stdout", "text": text})
    clear = lambda wait: ("clear_output", {"wait": wait})
    assert shown == [stream("one\n"), clear(True), stream("two\n"), clear(False)], shown
    print("ok cleared output")

    # Expressions are evaluated after a cell that ends well, and what they print is not shown.
    asked = {"sum": "x + 1", "none": "no_such", "syntax": "1 +", "html": "T()", "print": "print(5)", "exit": "exit()"}
    code = "x = 8\nclass T:\n  def _repr_html_(self): return '<b>'\n  def __repr__(self): return 'T'"
    reply, shown = client.run(code, user_expressions=asked)
    found = reply["user_expressions"]
    assert shown == [] and found["sum"] == {"status": "ok", "data": {"text/plain": "9"}, "metadata": {}}, (shown, found)
    assert found["html"]["data"] == {"text/plain": "T", "text/html": "<b>"}, found
    assert [found[it]["ename"] for it in ("none", "syntax", "exit")] == ["NameError", "SyntaxError", "SystemExit"], found
    assert found["none"]["traceback"][-1] == "NameError: name 'no_such' is not defined", found
    assert found["print"]["data"] == {"text/plain": "None"}, found
    assert client.run("1/0", user_expressions=asked)[0].get("user_expressions") == {}
    print("ok expressions")

    # No comm has a target here: who opens one is told so.
    send = lambda kind, content: client.kc.shell_channel.send(client.kc.session.msg(kind, content))
    client.silence()
    send("comm_msg", {"comm_id": "unknown", "data": {}})
    send("comm_open", {"comm_id": "c", "target_name": "jupyter.widget", "data": {}})
    closed = []
    while not closed:
        message = client.kc.get_iopub_msg(timeout=TIMEOUT)
        closed += [message["content"]] * (message["msg_type"] != "status")
    assert closed == [{"comm_id": "c", "data": {}}], closed
    reply = client.kc.comm_info("jupyter.widget", reply=True, timeout=TIMEOUT)["content"]
    assert reply == {"status": "ok", "comms": {}}, reply
    client.silence()
    print("ok comms")

    reply, shown = client.run("import os; print('last'); os._exit(3)")
    assert reply["status"] == "error" and "variables are lost" in reply["traceback"][-1], reply
    assert client.texts("print('again')") == "again\n"
    print("ok ends of interpreters")

    client.km.restart_kernel()
    client.kc.wait_for_ready(timeout=TIMEOUT)
    assert client.run("x")[0]["ename"] == "NameError"
    print("ok restart")


def hostile(client):
    """Without the key, nothing comes of anything."""
    info = client.km.get_connection_info()
    context = zmq.Context.instance()
    for port in ("shell_port", "control_port", "stdin_port"):
        dealer = context.socket(zmq.DEALER)
        dealer.linger = 0
        dealer.connect("tcp://127.0.0.1:%d" % info[port])
        header = {"msg_id": "1", "session": "s", "username": "u", "version": "5.3", "msg_type": "shutdown_request", "date": ""}
        parts = [json.dumps(header).encode(), b"{}", b"{}", b'{"restart": false}']
        wrong = hmac.new(b"wrong", b"".join(parts), hashlib.sha256).hexdigest().encode()
        for signature in (b"", b"\xff", wrong, wrong[:10]):
            dealer.send_multipart([b"<IDS|MSG>", signature, *parts])
        for garbage in ([b""], [b"<IDS|MSG>"], [b"x"] * 40, [b"<IDS|MSG>", b"a", b"b"], [os.urandom(100_000)]):
            dealer.send_multipart(garbage)
        assert not dealer.poll(200), "it answers whoever has no key"
        dealer.close()
    beat = context.socket(zmq.DEALER)
    beat.linger = 0
    beat.connect("tcp://127.0.0.1:%d" % info["hb_port"])
    for _ in range(2000):
        beat.send_multipart([b"", b"x" * 100])
    for port in ("shell_port", "iopub_port", "hb_port"):
        with socket.create_connection(("127.0.0.1", info[port])) as raw:
            raw.sendall(os.urandom(5000))
    assert client.texts("echo fine") == "fine\n"
    beat.close()
    print("ok hostile")


class Raw:
    """A client that says what no library would."""

    GREETING = (b"\xff" + bytes(8) + b"\x7f\x03\0NULL").ljust(64, b"\0")

    def __init__(self, port, kind=None):
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.socket.sendall(self.GREETING)
        if kind:
            ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
            self.socket.sendall(bytes([4, len(ready)]) + ready)
            # Those of the other side.
            came = b""
            while b"Socket-Type" not in came:
                said = self.socket.recv(4096)
                assert said, came
                came += said

    def sends(self, data):
        """Says that, until it is closed, at the latest when all is said."""
        try:
            self.socket.sendall(data)
            self.socket.shutdown(socket.SHUT_WR)
            while self.socket.recv(4096):
                pass
        except TimeoutError:
            raise
        except OSError:
            # It was closed.
            pass
        self.socket.close()


def oversized(client):
    """Whoever announces large messages, or does not end them, takes no memory, and the kernel goes on."""
    info = client.km.get_connection_info()
    kinds = {"shell": b"DEALER", "control": b"DEALER", "stdin": b"DEALER", "iopub": b"SUB", "hb": b"REQ"}
    before = memory(client.km.provisioner.pid)
    for name, kind in kinds.items():
        port = info[name + "_port"]
        for size in (2**40, 2**44, 2**62, 2**63 - 1, 2**64 - 1):
            for flags in (2, 3, 6):
                for greeting in (None, kind):
                    Raw(port, greeting).sends(bytes([flags]) + struct.pack(">Q", size) + b"abc")
        # Parts without an end, small ones and large ones.
        Raw(port, kind).sends(b"\1\0" * 1_000_000)
        Raw(port, kind).sends((b"\3" + struct.pack(">Q", 2**20) + bytes(2**20)) * 40)
    # Many that do not end at all, and none of which has more than it may have.
    part = b"\3" + struct.pack(">Q", 2**20) + bytes(2**20)
    held = [Raw(info["shell_port"], b"DEALER") for _ in range(16)]
    for _ in range(8):
        for raw in held:
            try:
                raw.socket.sendall(part)
            except ConnectionError:
                pass
    grown = memory(client.km.provisioner.pid) - before
    assert grown < 64_000, "%d KiB are kept" % grown
    # It goes on with these clients, and with one that comes while many are connected that say nothing.
    assert client.texts("echo fine") == "fine\n"
    # More than there are places for at any socket.
    idle = [Raw(info[name + "_port"]) for name in kinds for _ in range(160)]
    assert client.texts("echo fine") == "fine\n"
    other = client.km.client()
    other.start_channels()
    other.wait_for_ready(timeout=TIMEOUT)
    shown = []
    other.execute_interactive("echo also", output_hook=shown.append, timeout=TIMEOUT)
    assert any(it["content"].get("text") == "also\n" for it in shown), shown
    context = zmq.Context.instance()
    beat = context.socket(zmq.REQ)
    beat.linger = 0
    beat.connect("tcp://127.0.0.1:%d" % info["hb_port"])
    beat.send(b"ping")
    assert beat.poll(TIMEOUT * 1000) and beat.recv() == b"ping"
    beat.close()
    other.stop_channels()
    for raw in held + idle:
        raw.socket.close()
    assert client.texts("echo fine") == "fine\n"
    print("ok oversized")


def stuck(client):
    """One that listens and takes nothing holds up no one, and what it does not take is not kept."""
    context = zmq.Context.instance()
    socket = context.socket(zmq.SUB)
    socket.linger, socket.rcvhwm, socket.rcvbuf = 0, 1, 4096
    socket.subscribe(b"")
    socket.connect("tcp://127.0.0.1:%d" % client.km.get_connection_info()["iopub_port"])
    # It has begun to listen.
    assert socket.poll(TIMEOUT * 1000)
    client.run("print('a' * 1_000_000)")
    before = memory(client.km.provisioner.pid)
    for _ in range(3):
        assert len(client.texts("for _ in range(40): print('a' * 1_000_000)")) == 40_000_040
    grown = memory(client.km.provisioner.pid) - before
    assert grown < 64_000, "%d KiB are kept" % grown
    socket.close()
    print("ok subscribers that take nothing")


def memory(pid):
    """What a process uses, in KiB."""
    with open("/proc/%d/status" % pid) as status:
        return int(next(line for line in status if line.startswith("VmRSS:")).split()[1])


def ends():
    """Nothing is left, however it ends."""
    wrap("sorna-local-bash", "wrapped")
    for how in ("TERM", "parent", "wrapped"):
        path = os.path.join(os.getcwd(), "connection-%s.json" % how)
        name = "wrapped" if how == "wrapped" else "sorna-local-bash"
        code = (
            "import sys, time; from jupyter_client.manager import KernelManager\n"
            "km = KernelManager(kernel_name=sys.argv[2], connection_file=sys.argv[1])\n"
            "km.start_kernel(); kc = km.client(); kc.start_channels(); kc.wait_for_ready()\n"
            "kc.execute_interactive('echo $$', output_hook=lambda m: m['msg_type'] == 'stream' and print(m['content']['text'], km.provisioner.pid, flush=True))\n"
            "time.sleep(1000)\n"
        )
        parent = subprocess.Popen([sys.executable, "-c", code, path, name], stdout=subprocess.PIPE, text=True)
        _, kernel = parent.stdout.readline(), parent.stdout.readline()
        kernel = int(kernel)
        if how == "wrapped":
            # The script goes on as long as the kernel, whatever happens to Jupyter.
            with open("/proc/%d/task/%d/children" % (kernel, kernel)) as children:
                kernel = int(children.read())
        if how == "TERM":
            os.kill(kernel, signal.SIGTERM)
        else:
            parent.kill()
        deadline = time.monotonic() + TIMEOUT
        while is_alive(kernel):
            assert time.monotonic() < deadline, how
            time.sleep(0.05)
        parent.kill()
        parent.wait()
    print("ok ends")


def wrap(name, other):
    """Another kernel, which a script starts."""
    kernels = os.path.join(os.environ["JUPYTER_DATA_DIR"], "kernels")
    with open(os.path.join(kernels, name, "kernel.json")) as file:
        spec = json.load(file)
    spec["argv"] = ["sh", "-c", '"$@"; exit', "sh", *spec["argv"]]
    os.mkdir(os.path.join(kernels, other))
    with open(os.path.join(kernels, other, "kernel.json"), "w") as file:
        json.dump(spec, file)


def is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


client = Client("sorna-local-python3")
python(client)
stuck(client)
client.end()
client = Client("sorna-local-bash")
found = client.run("true", user_expressions={"x": "1"})[0]["user_expressions"]
assert (found["x"]["status"], found["x"]["ename"]) == ("error", "NotImplementedError"), found
hostile(client)
oversized(client)
client.end()
ends()

"""A kernel that is destroyed behind the back of its notebook, as by the end of a gateway, and keys that are wrong."""

import os
import socket
import subprocess
import sys
import threading

from jupyter_client.manager import start_new_kernel

TIMEOUT = 60
texts = []


def hook(message):
    if message["msg_type"] == "stream":
        texts.append(message["content"]["text"])


def run(client, code):
    return client.execute_interactive(code, output_hook=hook, timeout=TIMEOUT)["content"]


manager, client = start_new_kernel(kernel_name="sorna-bash")
assert run(client, "x=1; echo $x")["status"] == "ok" and texts == ["1\n"], texts
# The gateway lists its kernels in its other API.
settings = {name.replace("SORNA_", "BACKEND_"): value for name, value in os.environ.items() if name.startswith("SORNA_")}
environment = {**os.environ, **settings}
listed = subprocess.run([sys.argv[1], "ps", "-q"], env=environment, check=True, capture_output=True, text=True)
(name,) = listed.stdout.split()
subprocess.run([sys.argv[1], "destroy", name], env=environment, check=True, capture_output=True)
reply = run(client, "echo $x")
assert (reply["status"], reply["ename"]) == ("error", "KernelLost"), reply
texts.clear()
assert run(client, "echo again$x")["status"] == "ok"
assert texts == ["again\n"], texts
client.stop_channels()
manager.shutdown_kernel()

# Wrong from the beginning: Jupyter gets its kernel, and the cell says why nothing runs.
os.environ["SORNA_SECRET_KEY"] = "wrong-key-that-is-long-enough-0123456789"
manager, client = start_new_kernel(kernel_name="sorna-bash")
reply = run(client, "echo x")
assert (reply["status"], reply["ename"]) == ("error", "GatewayError"), reply
client.stop_channels()
manager.shutdown_kernel()

# A gateway that goes away in the middle of a cell, and comes back. The kernel that Jupyter knows lives on.
os.environ["SORNA_SECRET_KEY"] = "a-key-that-is-long-enough-0123456789abcdef"


def serve(address):
    server = subprocess.Popen([sys.argv[1], "serve", "--listen", address], stdout=subprocess.PIPE, text=True)
    line = server.stdout.readline().strip()
    assert line.startswith("export SORNA_ENDPOINT="), line
    return server, line.partition("=")[2].strip("'\"")


server, endpoint = serve("127.0.0.1:0")
os.environ["SORNA_ENDPOINT"] = endpoint
manager, client = start_new_kernel(kernel_name="sorna-bash")
assert run(client, "x=1")["status"] == "ok"
number = client.execute("echo on; sleep 1000")
waiting = client.execute("echo $x")
while client.get_iopub_msg(timeout=TIMEOUT)["content"].get("text") != "on\n":
    pass
server.kill()
server.wait()
replies = {}
while len(replies) < 2:
    message = client.get_shell_msg(timeout=TIMEOUT)
    replies[message["parent_header"]["msg_id"]] = message["content"]
assert (replies[number]["status"], replies[number]["ename"]) == ("error", "GatewayError"), replies
assert str(replies[number]["traceback"]).count("may have run") == 1, replies
assert "may still run" in replies[number]["traceback"][-1], replies
assert replies[waiting]["status"] == "aborted", replies
texts.clear()
reply = run(client, "echo $x")
assert (reply["status"], reply["ename"]) == ("error", "GatewayError"), reply
# No one knows what has become of the one before.
assert texts == [] and manager.is_alive(), texts
server, _ = serve(endpoint.partition("//")[2])
reply = run(client, "echo $x")
assert (reply["status"], reply["ename"]) == ("error", "KernelLost"), reply
texts.clear()
assert run(client, "echo again$x")["status"] == "ok"
assert texts == ["again\n"], texts
client.stop_channels()
manager.shutdown_kernel()

# A connection that breaks in the middle of a cell, which then still runs. The next cell ends it, in the same kernel.


class Proxy:
    def __init__(self, to):
        self.to, self.open, self.sockets = to, True, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            if not self.open:
                client.close()
                continue
            gateway = socket.create_connection(self.to)
            self.sockets += [client, gateway]
            for pair in ((client, gateway), (gateway, client)):
                threading.Thread(target=self.pump, args=pair, daemon=True).start()

    @staticmethod
    def pump(of, to):
        try:
            while data := of.recv(65536):
                to.sendall(data)
        except OSError:
            pass
        for it in (of, to):
            try:
                it.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        self.open = False
        for it in self.sockets:
            try:
                it.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


host, port = endpoint.partition("//")[2].split(":")
proxy = Proxy((host, int(port)))
os.environ["SORNA_ENDPOINT"] = "http://127.0.0.1:%d" % proxy.listener.getsockname()[1]
manager, client = start_new_kernel(kernel_name="sorna-bash")
assert run(client, "x=kept")["status"] == "ok"
number = client.execute("echo on; sleep 1000")
while client.get_iopub_msg(timeout=TIMEOUT)["content"].get("text") != "on\n":
    pass
proxy.cut()
reply = client.get_shell_msg(timeout=TIMEOUT)["content"]
assert reply["ename"] == "GatewayError" and "may still run" in reply["traceback"][-1], reply
proxy.open = True
texts.clear()
reply = run(client, "echo $x")
assert reply["status"] == "ok" and texts[-1] == "kept\n" and "was interrupted" in texts[0], (reply, texts)
client.stop_channels()
manager.shutdown_kernel()
server.terminate()
server.wait()

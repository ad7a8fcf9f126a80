"""A kernel that is destroyed behind the back of its notebook, as by the end of a gateway, and keys that are wrong."""

import os
import subprocess
import sys

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

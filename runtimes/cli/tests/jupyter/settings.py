"""A kernel whose settings are wrong comes up, and its cells say what is wrong, until that is mended."""

import json
import os
import subprocess
import sys

from jupyter_client.manager import start_new_kernel

TIMEOUT = 60
sorna = sys.argv[1]
texts = []


def run(client, code):
    texts.clear()
    errors = []

    def hook(message):
        if message["msg_type"] == "stream":
            texts.append(message["content"]["text"])
        elif message["msg_type"] == "error":
            errors.append(message["content"])

    reply = client.execute_interactive(code, output_hook=hook, timeout=TIMEOUT)["content"]
    assert len(errors) == (reply["status"] == "error"), (reply, errors)
    return reply


def install(*arguments):
    subprocess.run([sorna, "jupyter", "install", *arguments], check=True)


def mended(name, said, mend):
    """What its cells say, and that another one runs once it is mended."""
    manager, client = start_new_kernel(kernel_name=name)
    for code in ("echo not run", "echo not run"):
        reply = run(client, code)
        assert (reply["status"], reply["ename"], texts) == ("error", "GatewayError", []), (reply, texts)
        assert said in reply["evalue"] and said in reply["traceback"][0], reply
        assert reply["traceback"][-1] == "There is no kernel. The next cell tries again.", reply
    assert client.complete("ech", reply=True, timeout=TIMEOUT)["content"]["status"] == "ok"
    mend()
    for code in ("x=1; echo run", "echo run $x"):
        assert run(client, code)["status"] == "ok", code
    assert texts == ["run 1\n"], texts
    client.stop_channels()
    manager.shutdown_kernel()


# No gateway at all: the words of the command, with what to do.
endpoint, access, secret = (os.environ.pop("SORNA_" + name) for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY"))
install("bash")
manager, client = start_new_kernel(kernel_name="sorna-bash")
reply = run(client, "echo not run")
said = subprocess.run([sorna, "run", "bash", "-c", "true"], capture_output=True, text=True).stderr.splitlines()
assert [line.removeprefix("GatewayError: ") for line in reply["traceback"][:-1]] == [line[2:] for line in said], (reply, said)
client.stop_channels()
manager.shutdown_kernel()


def write(name):
    with open(os.environ["SORNA_CONFIG"], "w") as file:
        values = (name, json.dumps(endpoint), json.dumps(access), json.dumps(secret))
        file.write("[profiles.%s]\nendpoint = %s\naccess_key = %s\nsecret_key = %s\n" % values)


os.environ["SORNA_CONFIG"] = os.path.abspath("config.toml")
write("here")
install("--profile", "here", "bash")
write("elsewhere")
mended("sorna-here-bash", "here", lambda: write("here"))

os.mkdir("shown")
install("--local", "--allow-read", "shown", "bash")
os.rename("shown", "moved")
mended("sorna-local-bash", "shown", lambda: os.rename("moved", "shown"))

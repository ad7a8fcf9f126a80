"""jupyter-kernel-client, which agents use."""

import os

from jupyter_kernel_client import JupyterKernelClient

with JupyterKernelClient(server_url=os.environ["URL"], token=os.environ["TOKEN"]) as kernel:
    reply = kernel.execute("x = 6 * 7\nprint('here')\nx")
    assert reply["status"] == "ok", reply
    kinds = [output["output_type"] for output in reply["outputs"]]
    assert kinds == ["stream", "execute_result"], reply
    assert reply["outputs"][1]["data"]["text/plain"] == "42", reply
    reply = kernel.execute("1 / 0")
    assert reply["status"] == "error" and reply["outputs"][0]["ename"] == "ZeroDivisionError", reply
    # An answer to a question.
    answers = []

    def answer(message):
        answers.append(message["content"]["prompt"])
        kernel._manager.client.input("née")

    reply = kernel.execute_interactive("print(input('name? '))", allow_stdin=True, stdin_hook=answer)
    assert answers == ["name? "], reply
    for number in range(50):
        assert kernel.execute(f"print({number})")["outputs"][0]["text"] == f"{number}\n"
    # Its own cells are silent.
    assert [it["name"] for it in kernel.list_variables()] == ["x"], kernel.list_variables()
    assert kernel.is_alive()
    kernel.restart()
    reply = kernel.execute("x")
    assert reply["outputs"][0]["ename"] == "NameError", reply
    others = kernel.list_kernels()
    assert [model["id"] for model in others] == [kernel.id], others

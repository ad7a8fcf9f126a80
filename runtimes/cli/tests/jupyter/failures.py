"""How cells of Python fail: each by its own exception, of which nothing is left on standard error, and nothing else is part."""

import sys

from jupyter_client.manager import start_new_kernel

GROUP = """
import asyncio
async def g(): 1/0
async def f():
    async with asyncio.TaskGroup() as group:
        group.create_task(g())
"""
# What fails; the name and the message of the error; what is left on standard error.
CELLS = [
    ("raise ValueError('a\\n\\nb')", "ValueError", "a\n\nb", ""),
    ("import sys\nprint('hm', file=sys.stderr)\nsys.exit('bye')", "SystemExit", "bye", "hm\n"),
    ("raise SystemExit(3)", "SystemExit", "3", ""),
    # It is gone after the exception was shown.
    (
        "class A:\n  def __del__(self): raise KeyError('ignored')\n"
        "def f():\n  a = A()\n  raise ValueError('real')\nf()",
        "ValueError",
        "real",
        None,
    ),
    (
        "import threading\nthread = threading.Thread(target=lambda: 1/0)\nthread.start()\nthread.join()\nraise ValueError('real')",
        "ValueError",
        "real",
        None,
    ),
    ("1 +", "SyntaxError", "invalid syntax", ""),
]
if sys.version_info >= (3, 11):
    CELLS += [
        ("raise ExceptionGroup('g', [ValueError(1)])", "ExceptionGroup", "g (1 sub-exception)", ""),
        ("raise BaseExceptionGroup('g', [KeyboardInterrupt()])", "BaseExceptionGroup", "g (1 sub-exception)", ""),
        (GROUP + "await f()", "ExceptionGroup", "unhandled errors in a TaskGroup (1 sub-exception)", ""),
    ]
# From then on, nothing else shows exceptions.
CELLS += [
    (
        "import sys\nsys.excepthook = lambda *all: print('own', file=sys.stderr)\nraise ValueError('hooked')",
        "ValueError",
        "hooked",
        "own\n",
    ),
]


def run(client, code):
    messages = []
    reply = client.execute_interactive(code, output_hook=messages.append, allow_stdin=False, timeout=60)["content"]
    errors = [m["content"] for m in messages if m["msg_type"] == "error"]
    text = "".join(m["content"]["text"] for m in messages if m["msg_type"] == "stream" and m["content"]["name"] == "stderr")
    return reply, errors, text


manager, client = start_new_kernel(kernel_name="sorna-local-python3")
for code, name, value, left in CELLS:
    reply, errors, text = run(client, code)
    assert (reply["ename"], reply["evalue"]) == (name, value), (code, reply, text)
    assert len(errors) == 1 and errors[0]["traceback"] == reply["traceback"], (code, errors)
    assert left is None or text == left, (code, text)
    if name.endswith("Group"):
        assert "Exception Group Traceback" in reply["traceback"][0], reply

# There is no NaN in JSON.
messages = []
client.execute_interactive(
    "class P:\n  def _repr_mimebundle_(self, **_): return {'application/vnd.plotly.v1+json': {'y': [1.5, float('nan'), float('inf')]}}\nP()",
    output_hook=messages.append,
    timeout=60,
)
data = [m["content"]["data"] for m in messages if m["msg_type"] == "execute_result"]
assert data and data[0]["application/vnd.plotly.v1+json"] == {"y": [1.5, None, None]}, data
client.stop_channels()
manager.shutdown_kernel()

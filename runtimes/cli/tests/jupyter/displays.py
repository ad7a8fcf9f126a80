"""What cells display, how they fail and what they find of asyncio is as with ipykernel."""


from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name="sorna-local-python3")


def run(code, interrupts_at=None):
    """The reply, and each output: its kind, the forms or the text, and the metadata."""
    outputs = []

    def take(message):
        content = message["content"]
        if message["msg_type"] == "stream":
            outputs.append((content["name"], content["text"], {}))
            if interrupts_at is not None and interrupts_at in content["text"]:
                manager.interrupt_kernel()
        elif message["msg_type"] in ("execute_result", "display_data"):
            outputs.append((message["msg_type"], content["data"], content["metadata"]))

    reply = client.execute_interactive(code, output_hook=take, allow_stdin=False, timeout=60)["content"]
    return reply, outputs


def shown(code):
    reply, outputs = run(code)
    assert reply["status"] == "ok", reply
    return outputs


# Forms are as they were given, whatever their types are.
for form in (
    {"application/vnd.bokehjs_load.v0+json": "js code;"},
    {"application/json": "[1]"},
    {"application/json": {"a": [1]}},
    {"application/x-own": {"a": 1}},
    {"application/x-own": "no Base64"},
    {"application/pdf": "JVBERi0="},
    {"text/x-own": "q"},
    {"application/xml": "<a/>"},
    {"text/html": "<b>"},
):
    assert shown("display(%r, raw=True)" % form) == [("display_data", form, {})], form
    code = "class A:\n  def _repr_mimebundle_(self, **_): return %r\n  def __repr__(self): return 'A'\nA()"
    assert shown(code % form) == [("execute_result", {"text/plain": "A", **form}, {})], form
# What is said of such a form is kept as well, and what is said of one that is not there is not.
own = "display({'application/x-own': 'a'}, raw=True, metadata={'application/x-own': {'b': 1}, 'text/html': {'c': 2}})"
assert shown(own) == [("display_data", {"application/x-own": "a"}, {"application/x-own": {"b": 1}})]
assert shown("display(5, metadata={'tags': ['t']})") == [("display_data", {"text/plain": "5"}, {"tags": ["t"]})]
# Long text is whole as long as there is room.
assert shown("'y' * 2_000_000")[0][1] == {"text/plain": "'%s'" % ("y" * 2_000_000)}
text = shown("'y' * 20_000_000")[0][1]["text/plain"]
assert "characters are left out here" in text and len(text) < 1_100_000

# A shell of IPython that a library makes only to configure it changes nothing, and its capture works.
shell = "from IPython.core.interactiveshell import InteractiveShell\nInteractiveShell.instance()\n"
html = "from IPython.display import HTML, display\ndisplay(HTML('<b>x</b>'))"
for code in (html, shell + html, html):
    assert [it[1]["text/html"] for it in shown(code)] == ["<b>x</b>"], code
# Nor does it take the place of the program's `__main__`.
code = "import pickle\nclass Point: pass\ntype(pickle.loads(pickle.dumps(Point()))) is Point"
assert shown(code) == [("execute_result", {"text/plain": "True"}, {})]
capture = "from IPython.utils.capture import capture_output\n"
captured = shown(capture + "with capture_output() as c:\n  print('x')\n  display(HTML('<i>'), {'application/json': {'a': 1}}, raw=False)\n(c.stdout, len(c.outputs))")
assert captured == [("execute_result", {"text/plain": "('x\\n', 2)"}, {})], captured
again = shown("c.show()")
assert again[0][:2] == ("stdout", "x\n") and again[1][1]["text/html"] == "<i>", again
assert shown("with capture_output(display=False) as c:\n  display(HTML('<i>'))")[0][1]["text/html"] == "<i>"
assert run(capture + "with capture_output():\n  1 / 0")[0]["ename"] == "ZeroDivisionError"
assert shown("display(6)") == [("display_data", {"text/plain": "6"}, {})]


def size(png):
    import base64

    head = base64.b64decode(png)[:24]
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


# Figures have what lies outside of their axes, and belong to the cell that made them, also if it fails.
plot = "import matplotlib.pyplot as plt\nplt.plot([1, 2], label='a long label')\n"
narrow = size(shown(plot + "None")[0][1]["image/png"])
[(kind, forms, _)] = shown(plot + "plt.legend(bbox_to_anchor=(1.05, 1))\nNone")
assert kind == "display_data" and forms["text/plain"] == "<Figure size 640x480 with 1 Axes>", forms
assert size(forms["image/png"])[0] > narrow[0] + 50, (narrow, size(forms["image/png"]))
reply, outputs = run(plot + "1 / 0")
assert reply["ename"] == "ZeroDivisionError" and [set(it[1]) for it in outputs] == [{"image/png", "text/plain"}]
assert shown("print('next')") == [("stdout", "next\n", {})]
for code in ("plt.figure()\nNone", "plt.figure()\nplt.show()"):
    assert shown(code) == [("display_data", {"text/plain": "<Figure size 640x480 with 0 Axes>"}, {})], code
formats = "from matplotlib_inline.backend_inline import set_matplotlib_formats\nset_matplotlib_formats(%r)\n"
[(_, forms, metadata)] = shown(formats % "retina" + plot + "None")
width, height = size(forms["image/png"])
assert width > 1.8 * narrow[0] and metadata == {"image/png": {"width": width // 2, "height": height // 2}}, metadata
assert set(shown(formats % "svg" + plot + "None")[0][1]) == {"image/svg+xml", "text/plain"}
assert [it[1]["text/html"] for it in shown(html)] == ["<b>x</b>"]

# A traceback stays whole, whatever others print meanwhile.
run(
    "import threading, time\n"
    "def chatter():\n"
    "  while not done:\n"
    "    print('.', flush=True)\n"
    "    time.sleep(0.001)\n"
    "done = False\n"
    "thread = threading.Thread(target=chatter)\n"
    "thread.start()"
)
for _ in range(20):
    reply, outputs = run("def f():\n  1 / 0\nf()")
    assert len(reply["traceback"]) > 3 and reply["traceback"][-1] == "ZeroDivisionError: division by zero", reply
    assert not [it for it in outputs if it[0] == "stderr"], outputs
run("done = True\nthread.join()")

# Cells find a loop, and may still run another one.
assert shown("import asyncio\nloop = asyncio.get_running_loop()\nasync def same(): return asyncio.get_running_loop() is loop\nawait same()")[0][1]["text/plain"] == "True"
assert shown("asyncio.current_task() is None, asyncio.run(asyncio.sleep(0, 5))")[0][1]["text/plain"] == "(True, 5)"
assert shown("async def here(): return asyncio.current_task().get_name() != ''\nawait here()")[0][1]["text/plain"] == "True"
# Where it is another thread, there is none.
assert shown("import concurrent.futures as futures\nwith futures.ThreadPoolExecutor() as pool: error = pool.submit(asyncio.get_running_loop).exception()\ntype(error)")[0][1]["text/plain"].count("RuntimeError")

# An interrupt that the cell handles does not fail it.
waits = "print('waits', flush=True)\ntry:\n  await asyncio.sleep(60)\nexcept asyncio.CancelledError:\n  print('over')\n%s"
reply, outputs = run(waits % "5", interrupts_at="waits")
assert reply["status"] == "ok" and outputs[-1][1] == {"text/plain": "5"}, (reply, outputs)
reply, outputs = run(waits % "  raise", interrupts_at="waits")
assert reply["ename"] == "KeyboardInterrupt", reply
client.stop_channels()
manager.shutdown_kernel()

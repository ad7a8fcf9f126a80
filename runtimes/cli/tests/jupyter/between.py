"""What is printed between cells and while a cell asks appears as it is written, under its cell, once; and questions of clients neither
take it away nor depend on what the program has replaced."""

import time

from jupyter_client.manager import start_new_kernel

TIMEOUT = 60


class Client:
    def __init__(self, name):
        self.manager, self.client = start_new_kernel(kernel_name="sorna-local-" + name)
        # The text that was shown, by the cells that it was shown under.
        self.shown = {}
        self.idle = set()
        self.values = []

    def note(self):
        """Waits for a message of all clients, and notes it."""
        message = self.client.get_iopub_msg(timeout=TIMEOUT)
        parent, content = message["parent_header"].get("msg_id"), message["content"]
        if message["msg_type"] == "stream":
            self.shown[parent] = self.shown.get(parent, "") + content["text"]
        elif message["msg_type"] in ("display_data", "execute_result", "error"):
            self.values.append((parent, message["msg_type"], content))
        elif content.get("execution_state") == "idle":
            self.idle.add(parent)

    def until(self, is_so):
        deadline = time.monotonic() + TIMEOUT
        while not is_so():
            assert time.monotonic() < deadline, (self.shown, self.values)
            self.note()

    def run(self, code, **options):
        """Runs a cell to its end. Its ID, and the reply."""
        cell = self.client.execute(code, **options)
        self.until(lambda: cell in self.idle)
        return cell, self.reply_to(cell)["content"]

    def reply_to(self, number):
        """The reply to a request. That to what clients ask until a kernel is ready may come before."""
        while True:
            reply = self.client.get_shell_msg(timeout=TIMEOUT)
            if reply["parent_header"]["msg_id"] == number:
                return reply
            assert reply["msg_type"] == "kernel_info_reply", reply

    def ask(self, kind, **content):
        message = self.client.session.msg(kind, content)
        self.client.shell_channel.send(message)
        self.until(lambda: message["header"]["msg_id"] in self.idle)
        reply = self.reply_to(message["header"]["msg_id"])
        assert reply["parent_header"]["msg_id"] == message["header"]["msg_id"], reply
        return reply["content"]

    def shows(self, cell, text):
        self.until(lambda: len(self.shown.get(cell, "")) >= len(text))
        assert self.shown[cell] == text, (text, self.shown)

    def end(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel()


THREAD = "import threading, time\ndef late(text): time.sleep(0.5); print(text)\n"
TASK = "import asyncio\nasync def late(text): await asyncio.sleep(0.5); print(text)\n"

python = Client("python3")
for begin, text in [
    (THREAD + "threading.Thread(target=late, args=['one']).start()", "one"),
    ("import subprocess\nchild = subprocess.Popen(['sh', '-c', 'sleep 0.5; echo two'])", "two"),
    (TASK + "task = asyncio.create_task(late('three'))\nawait asyncio.sleep(0)", "three"),
    ("task = asyncio.create_task(late('without await'))", "without await"),
    ("task = asyncio.ensure_future(late('later'))\nawait asyncio.sleep(0)\n1", "later"),
    ("threading.Timer(0.5, lambda: display({'text/html': '<b>'}, raw=True)).start()\nthreading.Timer(0.6, print, ['four']).start()", "four"),
]:
    # Nothing else is asked meanwhile.
    cell, reply = python.run(begin)
    assert reply["status"] == "ok", (begin, reply)
    python.shows(cell, text + "\n")
    # Nor does it come again.
    other, _ = python.run("print('other')")
    python.shows(other, "other\n")
    assert python.shown[cell] == text + "\n", python.shown
assert [it[1] for it in python.values if it[0] == cell] == ["display_data"], python.values

assert [it[1] for it in python.values if it[2].get("data") == {"text/plain": "1"}] == ["execute_result"], python.values
# A task that asks between cells keeps no cell from running.
cell, _ = python.run("async def asks():\n  await asyncio.sleep(0.1)\n  try: input()\n  except Exception as error: print(type(error).__name__)\ntask = asyncio.create_task(asks())")
python.shows(cell, "StdinNotImplementedError\n")

# What comes just before a cell is not its own.
cell, _ = python.run("lock = threading.Lock(); lock.acquire()\ndef wait(): lock.acquire(); print('before')\nthread = threading.Thread(target=wait); thread.start()")
python.run("lock.release()", silent=True)
python.run("thread.join()")
found = [text for text in python.shown.values() if "before" in text]
assert found == ["before\n"], python.shown

# Questions take nothing away, and show nothing.
python.shown.clear()
cell, _ = python.run("def count():\n  for n in range(300): print(n); time.sleep(0.005)\nthread = threading.Thread(target=count); thread.start()")
for _ in range(5):
    assert python.ask("inspect_request", code="str.join", cursor_pos=8, detail_level=0)["found"]
    assert python.ask("is_complete_request", code="1 +")["status"] == "invalid"
    assert "threading" in python.ask("complete_request", code="thread", cursor_pos=6)["matches"]
    reply = python.run("", user_expressions={"x": "6 * 7"}, silent=True)[1]
    assert reply["user_expressions"]["x"]["data"]["text/plain"] == "42", reply
python.run("1", store_history=False)
python.run("thread.join()")
lines = "".join(python.shown.values()).split()
assert lines == [str(number) for number in range(300)], lines

# Nor do they depend on what the program has replaced.
for replace, restore in [
    ("import io, sys\nold, sys.stdout = sys.stdout, io.StringIO()", "new, sys.stdout = sys.stdout, old\nprint(repr(new.getvalue()))"),
    (
        "import contextlib\nnew = io.StringIO()\nredirected = contextlib.redirect_stdout(new)\nredirected.__enter__()",
        "redirected.__exit__(None, None, None)\nprint(repr(new.getvalue()))",
    ),
    (
        "import builtins\nold = {name: getattr(builtins, name) for name in ('print', 'exec', 'repr', 'callable')}\nfor name in old: setattr(builtins, name, None)",
        "for name, it in old.items(): setattr(builtins, name, it)\nprint(repr(''))",
    ),
    ("print = exec = repr = answer = space = name = code = None", "del print, exec, repr, answer, space, name, code\nprint(repr(''))"),
]:
    assert python.run(replace)[1]["status"] == "ok", replace
    found = python.ask("inspect_request", code="threading.Thread", cursor_pos=16, detail_level=0)
    assert found["found"] and "Signature" in found["data"]["text/plain"], (replace, found)
    assert python.ask("is_complete_request", code="1 +")["status"] == "invalid", replace
    reply = python.run("", user_expressions={"x": "6 * 7"}, silent=True)[1]
    assert reply["user_expressions"]["x"]["data"]["text/plain"] == "42", (replace, reply)
    cell, _ = python.run(restore)
    python.shows(cell, "''\n")

# Output while a cell asks comes as it is written, and the question once.
for answer in ("first", "second"):
    cell = python.client.execute(THREAD + "threading.Thread(target=late, args=['tick']).start(); print(input('? '))", allow_stdin=True)
    question = python.client.get_stdin_msg(timeout=TIMEOUT)
    assert question["content"]["prompt"] == "? ", question
    python.shows(cell, "tick\n")
    python.client.input(answer)
    python.shows(cell, "tick\n%s\n" % answer)
    python.client.get_shell_msg(timeout=TIMEOUT)
    assert not python.client.stdin_channel.msg_ready()
python.end()

bash = Client("bash")
cell, _ = bash.run("(sleep 0.5; echo late) & echo soon")
bash.shows(cell, "soon\nlate\n")
cell = bash.client.execute("(sleep 0.5; echo tick) & read -p '? ' it; echo $it", allow_stdin=True)
assert bash.client.get_stdin_msg(timeout=TIMEOUT)["content"]["prompt"] == "? "
bash.shows(cell, "tick\n")
bash.client.input("it")
bash.shows(cell, "tick\nit\n")
bash.client.get_shell_msg(timeout=TIMEOUT)
bash.run("exec 5>&1 >file 2>&1; set -eux; trap 'echo trapped' DEBUG ERR; printf() { :; }; od() { :; }")
assert bash.ask("inspect_request", code="echo", cursor_pos=4, detail_level=0)["found"]
assert bash.ask("is_complete_request", code="if true; then")["status"] == "incomplete"
assert "echo" in bash.ask("complete_request", code="ech", cursor_pos=3)["matches"]
cell, reply = bash.run("trap - DEBUG ERR; set +eux; exec >&5 2>&5; unset -f printf od; grep -c -e builtin -e message file")
assert bash.shown[cell] == "0\n", bash.shown
cell, _ = bash.run("(sleep 0.5; echo late) & :")
assert bash.ask("inspect_request", code="echo", cursor_pos=4, detail_level=0)["found"]
bash.shows(cell, "late\n")
bash.end()

r = Client("r")
cell, _ = r.run("system('(sleep 0.5; echo late) &')")
assert r.ask("inspect_request", code="paste", cursor_pos=5, detail_level=0)["found"]
r.shows(cell, "late\n")
r.run("to <- textConnection('kept', 'w'); sink(to); cat <- function(...) stop('no')")
assert "paste" in r.ask("inspect_request", code="paste", cursor_pos=5, detail_level=0)["data"]["text/plain"]
assert r.ask("is_complete_request", code="1 +")["status"] == "incomplete"
assert "paste0" in r.ask("complete_request", code="paste", cursor_pos=5)["matches"]
cell, _ = r.run("rm(cat); sink(); close(to); cat(length(kept), '\\n')")
r.shows(cell, "0 \n")
r.end()

node = Client("nodejs")
node.run("const lines = []; const { write } = process.stdout; process.stdout.write = (text) => lines.push(text); const { log } = console; console.log = null")
assert node.ask("inspect_request", code="parseInt", cursor_pos=8, detail_level=0)["found"]
assert node.ask("is_complete_request", code="f(")["status"] == "incomplete"
assert "parseInt" in node.ask("complete_request", code="parseI", cursor_pos=6)["matches"]
cell, _ = node.run("process.stdout.write = write; console.log = log; console.log(lines.length)")
node.shows(cell, "0\n")
cell, _ = node.run("require('child_process').spawn('sh', ['-c', 'sleep 0.5; echo late'], { stdio: 'inherit', detached: true }).unref()")
node.shows(cell, "late\n")
node.end()

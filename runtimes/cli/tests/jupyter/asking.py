"""How cells ask: what is printed before a prompt is output, the prompt is that of the request, and an interrupt leaves no text behind."""

from jupyter_client.manager import start_new_kernel

TIMEOUT = 60


class Client:
    def __init__(self, name):
        self.manager, self.client = start_new_kernel(kernel_name="sorna-local-" + name)

    def run(self, code, *answers):
        """Runs a cell; the requests for input, what is printed, and its value."""
        answers, asked, shown = list(answers), [], []

        def answer(message):
            asked.append((message["content"]["prompt"], message["content"]["password"]))
            self.client.input(answers.pop(0))

        reply = self.client.execute_interactive(code, output_hook=shown.append, stdin_hook=answer, allow_stdin=True, timeout=TIMEOUT)
        assert reply["content"]["status"] == "ok" and not answers, (code, reply, answers)
        text = "".join(m["content"]["text"] for m in shown if m["msg_type"] == "stream")
        values = [m["content"]["data"]["text/plain"] for m in shown if m["msg_type"] == "execute_result"]
        return asked, text, values

    def interrupted(self, code, asks):
        """Interrupts a cell that has printed something, or asks; all that it shows after that."""
        number = self.client.execute(code, allow_stdin=True)
        if asks:
            self.client.get_stdin_msg(timeout=TIMEOUT)
        else:
            while self.client.get_iopub_msg(timeout=TIMEOUT)["msg_type"] != "stream":
                pass
        self.manager.interrupt_kernel()
        shown = []
        while True:
            message = self.client.get_iopub_msg(timeout=TIMEOUT)
            if message["parent_header"].get("msg_id") != number:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return shown
            if message["msg_type"] not in ("status", "execute_input"):
                shown.append((message["msg_type"], message["content"]))

    def end(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel()


python = Client("python3")
for code, expected in [
    ("print('a', end=''); input()", ([("", False)], "a", ["'x'"])),
    ("print('a', end=''); input('b? ')", ([("b? ", False)], "a", ["'x'"])),
    ("print('a'); input('b? ')", ([("b? ", False)], "a\n", ["'x'"])),
    ("import getpass; print('a', end=''); getpass.getpass('b? ')", ([("b? ", True)], "a", ["'x'"])),
    ("import sys; print('a', end='', file=sys.stderr); input('b? ')", ([("b? ", False)], "a", ["'x'"])),
    ("print('a? ', end=''); sys.stdin.readline()", ([("", False)], "a? ", [r"'x\n'"])),
]:
    found = python.run(code, "x")
    assert found == expected, (code, found)
python.end()

r = Client("r")
for _ in range(10):
    found = r.run("cat('a\\n'); readline('b? ')", "x")
    assert found == ([("b? ", False)], "a\n", ['[1] "x"']), found
for code, answers, value in [
    ("readLines(stdin(), 1)", ["x"], '[1] "x"'),
    ("readLines(n = 2)", ["x", "y"], '[1] "x" "y"'),
    ("readLines(stdin(), 3)", ["x\ny", "z"], '[1] "x" "y" "z"'),
    ("con <- textConnection('c'); x <- readLines(con); close(con); x", [], '[1] "c"'),
]:
    asked, text, values = r.run(code, *answers)
    assert asked == [("", False)] * len(answers) and (text, values) == ("", [value]), (code, asked, text, values)
for code, asks in [
    ("cat('go\\n'); Sys.sleep(100)", False),
    ("cat('go\\n'); repeat {}", False),
    ("readline('? ')", True),
    ("readLines(stdin(), 1)", True),
]:
    shown = r.interrupted(code, asks)
    assert [kind for kind, _ in shown] == ["error"] and shown[0][1]["ename"] == "KeyboardInterrupt", (code, shown)
assert r.run("readline('? ')", "x") == ([("? ", False)], "", ['[1] "x"'])
r.end()

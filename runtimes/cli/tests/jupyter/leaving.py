"""What asks a console to leave, and what does not; and that no notebook ends by it."""

from jupyter_client.manager import start_new_kernel

TIMEOUT = 60
LEAVES = [{"source": "ask_exit", "keepkernel": False}]


def check(name, cells):
    manager, client = start_new_kernel(kernel_name="sorna-local-" + name)
    for code, status, leaves, *shown in cells:
        messages = []
        reply = client.execute_interactive(code, output_hook=messages.append, allow_stdin=False, timeout=TIMEOUT)["content"]
        assert reply["status"] == status, (name, code, reply)
        assert reply["payload"] == (LEAVES if leaves else []), (name, code, reply)
        if shown:
            texts = [m["content"].get("text") for m in messages if m["msg_type"] not in ("status", "execute_input")]
            assert texts == shown[0], (name, code, messages)
    client.stop_channels()
    manager.shutdown_kernel()
    print("ok", name)


check(
    "python3",
    [
        ("x = 1", "ok", False),
        ("exit", "ok", True, []),
        ("quit()", "ok", True, []),
        ("print('bye')\nexit()\nprint('not reached')", "ok", True, ["bye\n"]),
        ("if x: quit(0)", "ok", True),
        ("import sys; sys.exit()", "ok", False, []),
        ("sys.exit(0)", "ok", False),
        ("raise SystemExit", "ok", False),
        ("exit(3)", "error", False),
        ("sys.exit(3)", "error", False),
        ("try: exit()\nexcept SystemExit: pass", "ok", False),
        # Not the user's own code.
        ("import types; other = types.ModuleType('other'); exec('def f(): exit()', other.__dict__); other.f()", "ok", False),
        ("y = exit", "ok", False),
        ("def exit(): return 5\nexit()", "ok", False),
        # It did not end the interpreter.
        ("assert x == 1", "ok", False),
    ],
)
check(
    "bash",
    [
        ("x=1", "ok", False),
        ("exit 3", "error", False),
        ("false", "error", False),
        # Its exit code is that of the command before.
        ("exit", "ok", True),
        ("echo exit", "ok", False),
        ("exit 0; exit", "ok", True),
        ("(exit)", "ok", False),
    ],
)
check(
    "r",
    [
        ("q()", "ok", True),
        ("1\nquit(save = \"no\")", "ok", True),
        ("q(status = 3)", "error", False),
        ("q <- function(...) 5\nq()", "ok", False),
    ],
)
check(
    "nodejs",
    [
        (".exit", "ok", True, []),
        ("process.exit();", "ok", True),
        ("process.exit(3)", "error", False),
        ("process.exit", "ok", False),
    ],
)

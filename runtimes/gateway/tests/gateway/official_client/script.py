"""Drives a gateway by the official client of Backend.AI (backend.ai-client 23.9.10; 26.9.6 passes as well).

BACKEND_ENDPOINT, BACKEND_ACCESS_KEY and BACKEND_SECRET_KEY say which; the argument is the client's command. Each check
prints a line; a failure ends the script with a traceback.
"""

import asyncio
import base64
import json
import subprocess
import sys
from pathlib import Path

from ai.backend.client.exceptions import BackendAPIError
from ai.backend.client.session import AsyncSession, Session

COMMAND = sys.argv[1]


def check(what):
    print("ok", what, flush=True)


def same(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"


def text(console):
    return "".join(record[1] for record in console)


def finish(session, result):
    """Continues a run until it ends or asks; returns the last result, with all of the console."""
    console = list(result["console"])
    while result["status"] == "continued":
        result = session.execute(result["runId"], "", mode="continue")
        console += result["console"]
    return {**result, "console": console}


def run(session, code):
    return finish(session, session.execute(None, code))


def functional():
    with Session() as api:
        assert api.ComputeSession.hello()["version"].startswith("v9.")
        check("hello")
        create = api.ComputeSession.get_or_create
        session = create(
            "cr.backend.ai/stable/python:3.9-ubuntu20.04",
            name="official",
            envs={"A": "b"},
            resources={"cpu": 1, "mem": "256m"},
            bootstrap_script="echo booted > boot",
        )
        same((session.created, session.status), (True, "RUNNING"))
        again = create("python", name="official")
        same((again.created, again.id), (False, session.id))
        try:
            create("nope:1", name="another")
            raise AssertionError("an image that does not exist")
        except BackendAPIError as error:
            same(error.args[0], 404)
        check("create")

        info = session.get_info()
        same(info["status"], "RUNNING")
        check("info")

        same(text(run(session, "import os; print(os.environ['A'], open('boot').read())")["console"]), "b booted\n\n")
        long = run(session, "import time\nfor i in range(3): print(i, flush=True); time.sleep(1)")
        same((text(long["console"]), long["exitCode"]), ("0\n1\n2\n", 0))
        same(run(session, "1/0")["exitCode"], 1)
        same(run(session, "import sys; sys.exit(3)")["exitCode"], 3)
        check("query and continue")

        asked = run(session, "print('hi', input('name? '))")
        # The rest of the options are extensions, which this client ignores.
        same((asked["status"], asked["options"]["is_password"]), ("waiting-input", False))
        answered = finish(session, session.execute(asked["runId"], "you", mode="input"))
        same(text(answered["console"]), "hi you\n")
        check("input")

        steps = []
        options = {"clean": "echo c", "build": "echo b", "exec": "echo x; exit 3"}
        result = finish(session, session.execute(None, "", mode="batch", opts=options))
        while True:
            steps.append((result["status"], result["exitCode"], text(result["console"])))
            if result["status"] == "finished":
                break
            result = finish(session, session.execute(result["runId"], "", mode="continue"))
        same(steps, [("clean-finished", 0, "c\n"), ("build-finished", 0, "b\n"), ("finished", 3, "x\n")])
        check("batch")

        here = Path("files")
        (here / "sub dir").mkdir(parents=True)
        (here / "sub dir/a b.txt").write_text("hello\n")
        (here / "한.txt").write_text("x")
        session.upload([here / "sub dir/a b.txt", here / "한.txt"], basedir=here)
        names = [file["filename"] for file in json.loads(session.list_files("sub dir")["files"])]
        same(names, ["a b.txt"])
        session.download(["sub dir/a b.txt", "한.txt"], dest="files")
        same(((here / "a b.txt").read_text(), (here / "한.txt").read_text()), ("hello\n", "x"))
        try:
            session.download(["nope"])
            raise AssertionError("a file that does not exist")
        except BackendAPIError as error:
            assert "nope" in error.data["msg"], error
        check("upload, list, download")

        found = session.complete("prin", {"row": 0, "col": 4, "line": "prin", "post": ""})
        same(found["result"]["suggestions"], ["print("])
        assert "hi you" in session.get_logs()["result"]["logs"]
        same(list(session.get_status_history()["result"])[-1], "RUNNING")
        listed = api.ComputeSession.paginated_list("RUNNING")
        same((listed.total_count, listed.items[0]["id"]), (1, str(session.id)))
        same(api.KeyPair(api.config.access_key).info()["is_active"], True)
        check("complete, logs, history, list")

        result = session.execute(None, "x = 5\nwhile True: pass")
        same(result["status"], "continued")
        session.interrupt()
        # As of a program that an interrupt has ended; managers have 1.
        same(finish(session, result)["exitCode"], 130)
        same(text(run(session, "print(x)")["console"]), "5\n")
        check("interrupt")

        session.rename("official-two")
        session.name = "official-two"
        session.restart()
        same(text(run(session, "print('x' in dir(), open('한.txt').read())")["console"]), "False x\n")
        check("rename and restart")


async def streaming():
    async with AsyncSession() as api:
        session = await api.ComputeSession.get_or_create("python", name="official-two")
        seen = []
        async with session.stream_execute("print(input('? '))") as stream:
            async for message in stream:
                result = json.loads(message.data)
                seen.append((result["status"], text(result["console"])))
                if result["status"] == "waiting-input":
                    await stream.send_str("typed")
                elif result["status"] == "finished":
                    break
        same("".join(output for _, output in seen), "? typed\n")
        check("stream_execute")

        screen = b""
        async with session.stream_pty() as terminal:
            typed = base64.b64encode(b"6*7\n").decode()
            await terminal.send_str(json.dumps({"type": "stdin", "chars": typed}))
            async for message in terminal:
                screen += base64.b64decode(json.loads(message.data)["data"])
                if b"\n42" in screen:
                    break
        check("stream_pty")

        names = []
        listening = asyncio.Event()

        async def listen():
            async with session.listen_events() as events:
                listening.set()
                async for event in events:
                    names.append(event.event)
                    if event.event == "session_terminated":
                        break

        listener = asyncio.create_task(listen())
        await listening.wait()
        same((await session.destroy())["stats"], {"status": "terminated"})
        await asyncio.wait_for(listener, 60)
        same(names, ["session_terminating", "kernel_terminated", "session_terminated"])
        check("events and destroy")


def command():
    def run(*arguments, answer=""):
        done = subprocess.run(
            [COMMAND, *arguments], input=answer, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    assert "42\n" in run("run", "--rm", "-c", "print(6 * 7)", "python")
    main = Path("main.py")
    main.write_text("print(input('? '))")
    script = ["--build", "echo built", "--exec", "python main.py; exit 3"]
    output = run("run", "-t", "command", *script, "python", "main.py", answer="typed\n")
    assert "built\n" in output and "typed\n" in output and "exit code = 3" in output, output
    check("run")

    listed = run("ps", "--format", "name,status,image")
    assert ["command", "RUNNING", "python"] in [line.split() for line in listed.splitlines()], listed
    assert "main.py" in run("session", "ls", "command", ".")
    main.unlink()
    run("session", "download", "command", "main.py")
    same(main.read_text(), "print(input('? '))")
    run("session", "upload", "command", "main.py")
    assert "typed" in run("session", "logs", "command")
    assert "RUNNING" in run("session", "status-history", "command")
    run("session", "rename", "command", "renamed")
    run("session", "restart", "renamed")
    run("session", "destroy", "renamed")
    check("ps, ls, download, upload, logs, rename, restart, destroy")

    created = run("session", "create", "-t", "detailed", "-r", "cpu=1", "-e", "A=b", "python")
    identity = next(word for word in created.split() if len(word) == 36)
    details = run("session", "info", identity)
    assert "detailed" in details and "RUNNING" in details, details
    run("session", "destroy", "detailed")
    check("create and info")

    run("session", "create", "-t", "around", "--preopen", "18080", "python")
    images = run("admin", "image", "list")
    assert "python3" in images and "local" in images, images
    assert "default" in run("admin", "domain", "list")
    assert "default" in run("admin", "scaling-group", "list")
    assert "default" in run("admin", "group", "list")
    assert "local" in run("admin", "keypair", "list")
    assert "default" in run("admin", "keypair-resource-policy", "list")
    check("images, domains, scaling groups, policies")

    def refused(*arguments):
        done = subprocess.run([COMMAND, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        assert "Traceback" not in done.stdout + done.stderr, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    for arguments in [
        ["vfolder", "list"],
        ["admin", "agent", "list"],
        ["admin", "vfolder", "list"],
        ["session", "commit", "around"],
    ]:
        output = refused(*arguments)
        assert "not offered" in output, f"{arguments}: {output}"
    run("session", "destroy", "around")
    check("what is not offered")


functional()
asyncio.run(streaming())
command()
print("ok all")

"""Uses a gateway as a web server, by the command of the official client of Backend.AI (backend.ai-client 23.9.10).

BACKEND_ENDPOINT says which, BACKEND_ENDPOINT_TYPE is session. The arguments are the client's command and the name of the
user; the password is on standard input.
"""

import subprocess
import sys
from pathlib import Path

COMMAND, USER = sys.argv[1:]
PASSWORD = sys.stdin.readline().rstrip("\n")


def check(what):
    print("ok", what, flush=True)


def run(*arguments, answer="", fails=False):
    # Without a terminal, the client reads the password from its standard input.
    done = subprocess.run(
        [COMMAND, *arguments],
        input=answer,
        capture_output=True,
        text=True,
        timeout=120,
        start_new_session=True,
    )
    output = done.stdout + done.stderr
    assert (done.returncode != 0) == fails, f"{arguments}: {done.returncode}\n{output}"
    return output


def login(password, **kwargs):
    return run("login", answer=f"{USER}\n{password}\n", **kwargs)


output = run("ps", fails=True)
assert "Unauthorized access" in output, output
output = login("wrong", fails=True)
assert "User credential mismatch." in output, output
output = login(PASSWORD)
assert "Login succeeded." in output, output
check("login")

assert "42\n" in run("run", "--rm", "-c", "print(6 * 7)", "python")
Path("main.py").write_text("print('from a file')")
output = run("run", "-t", "by-cookie", "--exec", "python main.py", "python", "main.py")
assert "from a file\n" in output, output
check("run")

listed = run("ps", "--format", "name,status,image")
assert ["by-cookie", "RUNNING", "python"] in [line.split() for line in listed.splitlines()], listed
Path("main.py").unlink()
run("session", "download", "by-cookie", "main.py")
assert Path("main.py").read_text() == "print('from a file')"
run("session", "destroy", "by-cookie")
check("ps, download, destroy")

output = run("logout")
assert "Logout done." in output, output
output = run("ps", fails=True)
assert "Unauthorized access" in output, output
check("logout")
print("ok all")

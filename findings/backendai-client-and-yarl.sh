#!/usr/bin/env bash
# backend.ai-client 23.9.10 (PyPI), installed as its own requirements say, cannot sign a single request.
#
# Versions: backend.ai-client 23.9.10, aiohttp 3.8.6, yarl 1.16.0 and 1.18.3, Python 3.11, installed in a temporary folder.
#
# Behavior: the client accepts any yarl from 1.8.2 below 2.0, and the function that signs its requests reads the host
# from `yarl.URL._val`, which is private: a `SplitResult` in yarl 1.16.0, a plain tuple in 1.18.3. So a fresh
# installation, which gets a later yarl, fails before anything is sent. With yarl 1.16.0 the same program works.
#
# Output seen:
#   requires yarl (!=1.9.0,!=1.9.1,!=1.9.2,<2.0,>=1.8.2)
#   yarl 1.16.0: the server received GET /session/example1/files
#   yarl 1.18.3: AttributeError: 'tuple' object has no attribute 'netloc'
set -euo pipefail

python=$(command -v python3.11) || { echo "needs python3.11, the only version that this client runs on"; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" --quiet --disable-pip-version-check "$@"; }
pip install 'backend.ai-client==23.9.10' 'aiohttp==3.8.6'

cat > "$folder/call.py" <<'PYTHON'
import http.server
import os
import threading
from importlib.metadata import version

received = []


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        received.append(f"GET {self.path}")
        body = b'{"version": "v7.20230615", "manager": "23.09.10", "files": "[]"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["BACKEND_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
os.environ["BACKEND_ACCESS_KEY"] = "AKIAIOSFODNN7EXAMPLE"
os.environ["BACKEND_SECRET_KEY"] = "example"

from ai.backend.client.session import Session

with Session() as session:
    try:
        session.ComputeSession("example1").list_files(".")
        outcome = f"the server received {received[-1]}"
    except AttributeError as error:
        assert not [line for line in received if "/session/" in line]
        outcome = f"{type(error).__name__}: {error}"
print(f"yarl {version('yarl')}: {outcome}")
PYTHON

seen=$(
    "$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import requires

[wanted] = [line for line in requires("backend.ai-client") if line.startswith("yarl")]
print("requires", wanted)
PYTHON
    for yarl in 1.16.0 1.18.3; do
        pip install "yarl==$yarl"
        "$folder/venv/bin/python" "$folder/call.py"
    done
)
echo "$seen"
diff <(echo "$seen") <(sed -n 's/^#   //p' "$0") && echo "as described"

#!/usr/bin/env bash
# aiohttp's `request.path_qs` and `str(request.rel_url)` are not always the target that the client sent, and so signed.
#
# Versions: aiohttp 3.13.2, yarl 1.22.0 (PyPI), Python 3.11, installed in a temporary folder.
#
# Behavior: what is escaped stays as it was sent, in its own case of letters, as one would hope. But a `?` with nothing
# behind it is dropped, and a target that begins with two slashes gets two more. Only `request.raw_path` is what was
# sent. A server that computes the signature of a request from `rel_url`, as gateways of this API do, refuses both, and
# the client sees wrong keys: so a client must send no empty query, and join its endpoint and paths with one slash.
#
# Output seen:
#   sent /k/a%3db   rel_url /k/a%3db   path_qs /k/a%3db   raw_path /k/a%3db
#   sent /k?        rel_url /k         path_qs /k         raw_path /k?
#   sent //k        rel_url ////k      path_qs ////k      raw_path //k
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install 'aiohttp==3.13.2' 'yarl==1.22.0'

cat > "$folder/targets.py" <<'PYTHON'
import asyncio
import json

from aiohttp import web


async def show(request):
    return web.json_response([str(request.rel_url), request.path_qs, request.raw_path])


async def main():
    app = web.Application()
    app.router.add_get("/{rest:.*}", show)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    for target in ["/k/a%3db", "/k?", "//k"]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = (await reader.read()).split(b"\r\n\r\n", 1)[1].decode()
        writer.close()
        rel_url, path_qs, raw_path = json.loads(answer)
        print(f"sent {target:<10} rel_url {rel_url:<10} path_qs {path_qs:<10} raw_path {raw_path}")
    await runner.cleanup()


asyncio.run(main())
PYTHON

expected='sent /k/a%3db   rel_url /k/a%3db   path_qs /k/a%3db   raw_path /k/a%3db
sent /k?        rel_url /k         path_qs /k         raw_path /k?
sent //k        rel_url ////k      path_qs ////k      raw_path //k'
seen=$("$folder/venv/bin/python" "$folder/targets.py")
echo "$seen"
[ "$seen" = "$expected" ] || { echo "this is not what was seen before"; exit 1; }

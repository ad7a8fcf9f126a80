#!/usr/bin/env bash
# The two official SDKs of the Model Context Protocol read errors without an ID in opposite ways: no one form reaches both.
#
# Versions: mcp 2.3.0 (PyPI), Python 3.11; @modelcontextprotocol/core 2.4.0 (npm), Node.js 20 or later; installed in a temporary folder.
#
# Behavior: JSON-RPC 2.0 says that the response to a request whose ID could not be read has `"id": null`. The TypeScript SDK
# refuses such a message, and takes one without the field. The Python SDK takes null, and refuses a message without the field.
# A message that is refused reaches no one, so that who has asked waits until its own time limit. A server that wants an answer to
# arrive at either has to find the ID, also in a request that is broken or too long.
#
# Output seen:
#   Python, no id: refused
#   Python, id null: taken
#   Python, id 1: taken
#   TypeScript, no id: taken
#   TypeScript, id null: refused
#   TypeScript, id 1: taken
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install 'mcp==2.3.0'
npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefix "$folder" '@modelcontextprotocol/core@2.4.0'

cat > "$folder/errors.py" <<'PYTHON'
from mcp.types import JSONRPCMessage
from pydantic import TypeAdapter, ValidationError

messages = TypeAdapter(JSONRPCMessage)
for name, more in (("no id", {}), ("id null", {"id": None}), ("id 1", {"id": 1})):
    message = {"jsonrpc": "2.0", **more, "error": {"code": -32700, "message": "This cannot be read."}}
    try:
        messages.validate_python(message)
        print(f"Python, {name}: taken")
    except ValidationError:
        print(f"Python, {name}: refused")
PYTHON

cat > "$folder/errors.mjs" <<'JAVASCRIPT'
import { JSONRPCMessageSchema } from '@modelcontextprotocol/core';

for (const [name, more] of [['no id', {}], ['id null', { id: null }], ['id 1', { id: 1 }]]) {
    const message = { jsonrpc: '2.0', ...more, error: { code: -32700, message: 'This cannot be read.' } };
    const { success } = JSONRPCMessageSchema.safeParse(message);
    console.log(`TypeScript, ${name}: ${success ? 'taken' : 'refused'}`);
}
JAVASCRIPT

seen=$("$folder/venv/bin/python" "$folder/errors.py"; node "$folder/errors.mjs")
echo "$seen"
expected='Python, no id: refused
Python, id null: taken
Python, id 1: taken
TypeScript, no id: taken
TypeScript, id null: refused
TypeScript, id 1: taken'
[ "$seen" = "$expected" ] || { echo "that has changed"; exit 1; }

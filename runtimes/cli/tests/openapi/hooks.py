"""Hooks of Schemathesis: requests are signed, and meet kernels that exist.

The gateway and its keys are those of the environment, as `sorna serve` prints them.
"""

import hashlib
import hmac
import json
import os
import uuid
from collections import Counter
from datetime import datetime, timezone
from urllib.parse import urlsplit

import requests
import schemathesis

ENDPOINT = os.environ["SORNA_ENDPOINT"]
ACCESS_KEY = os.environ["SORNA_ACCESS_KEY"]
SECRET_KEY = os.environ["SORNA_SECRET_KEY"]


class Signature(requests.auth.AuthBase):
    """Signs a request as it is about to be sent."""

    def __call__(self, request):
        target = urlsplit(request.url)
        is_sorna = target.path == "/v2" or target.path.startswith("/v2/")
        name, version = ("X-Sorna-Version", "v2.20170315") if is_sorna else ("X-BackendAI-Version", "v9.20250722")
        now = datetime.now(timezone.utc)
        media_type = request.headers.get("Content-Type", "application/octet-stream")
        if isinstance(media_type, bytes):
            media_type = media_type.decode("latin-1")
        media_type = media_type.split(";")[0].strip().lower()
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        # In Backend.AI, no body is signed.
        signed = body if is_sorna and media_type != "multipart/form-data" else b""
        date = now.isoformat()
        text = "\n".join([
            request.method,
            request.path_url,
            date,
            f"host:{target.netloc}",
            f"content-type:{media_type}",
            f"{name.lower()}:{version}",
            hashlib.sha256(signed).hexdigest(),
        ])
        key = SECRET_KEY.encode()
        for part in [now.strftime("%Y%m%d"), target.netloc]:
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        request.headers["Date"] = date
        request.headers[name] = version
        request.headers["Authorization"] = f"Sorna signMethod=HMAC-SHA256, credential={ACCESS_KEY}:{signature}"
        return request


own = requests.Session()
own.auth = Signature()


def create():
    """A session of Backend.AI, which is a kernel of Sorna v2, too. Those of bash start at once."""
    body = {"name": uuid.uuid4().hex, "image": "bash"}
    response = own.post(f"{ENDPOINT}/session", json=body)
    response.raise_for_status()
    session = response.json()["sessionId"]
    files = {"src": ("a/b.txt", b"x")}
    own.post(f"{ENDPOINT}/session/{session}/upload", files=files).raise_for_status()
    return session


def destroy(session):
    own.delete(f"{ENDPOINT}/session/{session}")


# The session of each operation that changes one: ends it, or runs something in it. The others share that of "".
sessions = {}
CHANGING = {"sornaExecute", "sornaRestart", "sornaDestroy", "sornaKeepAlive", "execute", "restart", "destroy", "keepAlive", "rename"}
# How many cases each operation has had.
turns = Counter()


def home_of(operation):
    return operation if operation in CHANGING else ""


def replace(values, name, value):
    if isinstance(values, dict) and name in values:
        values[name] = value


@schemathesis.hook
def before_call(context, case, kwargs):
    kwargs["auth"] = Signature()
    operation = case.operation.definition.raw.get("operationId")
    turns[operation] += 1
    # Every fourth case stays as it is: with names of nothing.
    if turns[operation] % 4 == 0:
        return
    for name in ["id", "session"]:
        if name in (case.path_parameters or {}):
            home = home_of(operation)
            sessions[home] = sessions.get(home) or create()
            case.path_parameters[name] = sessions[home]
    replace(case.query, "owner_access_key", ACCESS_KEY)
    replace(case.query, "path", "a")
    replace(case.query, "file", "a/b.txt")
    replace(case.query, "files", ["a"])
    # Output that does not come is waited for.
    replace(case.query, "wait", 1)
    for name in ["lang", "image"]:
        replace(case.body, name, "bash")
    body = case.body if isinstance(case.body, dict) else {}
    options = body.get("options")
    mark = options.get("run") if isinstance(options, dict) else None
    # What waits for output for half a minute.
    replace(mark, "listen", False)
    # Marks of runs that the gateway does not know are its fault: as a rule, it has lost them.
    replace(mark, "again", False)
    if body.get("mode") in ["continue", "input"] or body.get("encoding"):
        replace(options, "run", None)


def is_settled(operation, response):
    """Whether its session can be used again: nothing runs there."""
    if operation in {"sornaDestroy", "destroy", "sornaKeepAlive", "keepAlive"} or response.status_code in [404, 500]:
        return False
    if operation in {"sornaExecute", "execute"} and response.status_code == 200:
        result = json.loads(response.content)["result"]
        return not isinstance(result, dict) or result.get("status") == "finished" or "result" in result
    return True


@schemathesis.hook
def after_call(context, case, response):
    operation = case.operation.definition.raw.get("operationId")
    home = home_of(operation)
    if response.status_code == 201:
        created = json.loads(response.content)
        destroy(created.get("sessionId") or created["kernelId"])
    elif home and not is_settled(operation, response):
        destroy(sessions.pop(home, None))

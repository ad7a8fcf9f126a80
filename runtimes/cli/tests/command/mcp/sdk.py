"""The official SDK of Python as a client of `sorna mcp`: by lines, and by HTTP with the URL and token of the environment."""

import asyncio
import base64
import os
import sys

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

SORNA = sys.argv[1]


async def check(client, revision):
    assert client.protocol_version == revision, client.protocol_version
    assert client.server_info.name == "sorna", client.server_info
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert len(tools) == 10 and "run_code" in tools, tools
    assert tools["run_code"].annotations.destructive_hint is True
    assert tools["list_files"].annotations.read_only_hint is True

    session = f"python-{revision}"

    async def run(code, **more):
        arguments = {"language": "python3", "code": code, "session": session, **more}
        return await client.call_tool("run_code", arguments)

    result = await run("x = 6\nprint('hello')")
    assert not result.is_error and result.content[0].text == "hello\n", result
    result = await run("x * 7")
    assert result.structured_content["value"] == "42", result
    result = await run("1 / 0")
    assert not result.is_error, result
    assert result.structured_content["exit_code"] == 1, result
    result = await run("print(input())", stdin="näme\n")
    assert result.structured_content["output"] == "näme\n", result

    png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    arguments = {"path": "p.png", "content": png, "encoding": "base64", "session": session}
    await client.call_tool("write_file", arguments)
    result = await client.call_tool("read_file", {"path": "p.png", "session": session})
    image = result.content[1]
    assert image.type == "image" and image.mime_type == "image/png", result
    assert base64.b64decode(image.data).startswith(b"\x89PNG"), result
    result = await client.call_tool("list_files", {"session": session})
    assert "p.png" in result.content[0].text, result

    result = await client.call_tool("run_code", {"language": "no-such", "code": ""})
    assert result.is_error and "python3" in result.content[0].text, result
    try:
        await client.call_tool("no_such_tool", {})
        raise AssertionError("there is no such tool")
    except MCPError as error:
        assert error.code == -32602, error

    # Progress, while it runs.
    seen = []

    async def progress(now, total, message):
        seen.append((now, message))

    code = "import time\nfor i in range(25): print('step', i, flush=True); time.sleep(0.1)"
    arguments = {"language": "python3", "code": code, "session": session}
    result = await client.call_tool("run_code", arguments, progress_callback=progress)
    assert result.structured_content["exit_code"] == 0, result
    assert seen and seen[0][1].startswith("step "), seen

    # Calls at the same time.
    codes = [f"echo {number}" for number in range(5)]
    calls = [client.call_tool("run_code", {"language": "bash", "code": code, "session": f"s{revision}-{code[-1]}"}) for code in codes]
    outputs = [result.structured_content["output"] for result in await asyncio.gather(*calls)]
    assert outputs == [f"{number}\n" for number in range(5)], outputs

    result = await client.call_tool("start", {"language": "bash", "code": "sleep 600", "session": f"slow-{revision}"})
    handle = result.structured_content["run"]
    result = await client.call_tool("wait", {"run": handle, "timeout": 0.2})
    assert result.structured_content["status"] == "running", result
    result = await client.call_tool("interrupt", {"run": handle})
    assert result.structured_content["status"] == "ended", result
    sessions = (await client.call_tool("list_sessions", {})).structured_content["sessions"]
    for one in sessions:
        result = await client.call_tool("close_session", {"session": one["session"]})
        assert result.structured_content["closed"], result


async def main():
    local = StdioServerParameters(command=SORNA, args=["mcp", "--local"], env={})
    for mode, revision in [("legacy", "2025-11-25"), ("auto", "2026-07-28")]:
        async with Client(local, mode=mode) as client:
            await check(client, revision)
        headers = {"Authorization": f"Bearer {os.environ['SORNA_MCP_TOKEN']}"}
        async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
            transport = streamable_http_client(os.environ["SORNA_MCP_URL"], http_client=http)
            async with Client(transport, mode=mode) as client:
                await check(client, revision)


asyncio.run(main())

// The official SDK of TypeScript as a client of `sorna mcp`: by lines, and by HTTP with the URL and token of the environment.

import assert from 'node:assert/strict';

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const sorna = process.argv[2];

async function check(transport, mode, revision) {
    const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } });
    await client.connect(transport);
    assert.equal(client.getNegotiatedProtocolVersion(), revision);
    assert.equal(client.getServerVersion().name, 'sorna');
    const { tools } = await client.listTools();
    assert.equal(tools.length, 10);
    assert.equal(tools[0].name, 'run_code');

    const session = `node-${revision}`;
    const call = (name, fields, options) => client.callTool({ name, arguments: { session, ...fields } }, options);
    let result = await call('run_code', { language: 'nodejs', code: 'globalThis.x = 6; console.log("hello")' });
    assert.equal(result.content[0].text.split('\n')[0], 'hello');
    result = await call('run_code', { language: 'nodejs', code: 'x * 7' });
    assert.equal(result.structuredContent.value, '42');
    result = await call('run_code', { language: 'nodejs', code: 'throw new Error("no")' });
    assert.ok(!result.isError && result.structuredContent.exit_code !== 0);
    result = await call('write_file', { path: 'a/b.txt', content: 'é' });
    assert.equal(result.structuredContent.bytes, 2);
    result = await call('read_file', { path: 'a/b.txt' });
    assert.equal(result.content[0].text, 'é');
    result = await call('run_code', { language: 'none', code: '' });
    assert.ok(result.isError && result.content[0].text.includes('There is no language'));

    // A call that is given up interrupts its program.
    const controller = new AbortController();
    const seen = [];
    const options = {
        signal: controller.signal,
        onprogress: (progress) => {
            seen.push(progress.message);
            controller.abort();
        },
    };
    const slow = { language: 'nodejs', code: 'console.log("slow"); setInterval(() => {}, 1000); await new Promise(() => {})' };
    await assert.rejects(call('run_code', slow, options));
    assert.equal(seen[0], 'slow');
    await client.callTool({ name: 'close_session', arguments: { session } });
    await client.close();
}

for (const [mode, revision] of [['legacy', '2025-11-25'], ['auto', '2026-07-28']]) {
    await check(new StdioClientTransport({ command: sorna, args: ['mcp', '--local'], env: {} }), mode, revision);
    const headers = { Authorization: `Bearer ${process.env.SORNA_MCP_TOKEN}` };
    const url = new URL(process.env.SORNA_MCP_URL);
    await check(new StreamableHTTPClientTransport(url, { requestInit: { headers } }), mode, revision);
}

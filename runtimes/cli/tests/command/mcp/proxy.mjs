// Passes requests on to `sorna mcp --http`, with the token that clients such as the conformance suite cannot send, and then runs
// what its arguments say, with the URL of this as the last one.

import { spawn } from 'node:child_process';
import http from 'node:http';

const target = new URL(process.env.SORNA_MCP_URL);
const authorization = `Bearer ${process.env.SORNA_MCP_TOKEN}`;

const server = http.createServer((request, response) => {
    const own = request.headers.host;
    const expected = `127.0.0.1:${server.address().port}`;
    const localhost = `localhost:${server.address().port}`;
    // A host that is made up stays as it is.
    const host = own === expected || own === localhost ? target.host : own;
    const headers = { ...request.headers, host, authorization };
    const options = { method: request.method, headers };
    const passed = http.request(target, options, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        response.flushHeaders();
        answer.pipe(response);
    });
    passed.on('error', () => response.destroy());
    response.on('close', () => passed.destroy());
    request.pipe(passed);
});

server.listen(0, '127.0.0.1', () => {
    const [program, ...words] = process.argv.slice(2);
    const url = `http://127.0.0.1:${server.address().port}/mcp`;
    const child = spawn(program, [...words, url], { stdio: 'inherit' });
    child.on('exit', (code) => process.exit(code ?? 1));
});

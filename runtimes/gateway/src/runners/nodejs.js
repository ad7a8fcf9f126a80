// The inside of a nodejs kernel: one interpreter that runs one snippet after another.
//
// Started with the control channel as descriptor 3 and the input FIFO as standard input. The
// gateway sends `x <length>`, a line end, and the snippet; back goes a line `<letter> <length>` and
// that many bytes: `d` with the exit status, and `+` once at the start. Output goes through the
// pipes.
//
// A snippet ends when it has nothing left to wait for, as a program of its own would: timers and
// promises are done by then. It is evaluated as the developer console does it, so `let`, `const`
// and `class` may be declared again, and `await` works outside of functions.

'use strict';

const fs = require('fs');
const inspector = require('inspector');
const { createRequire } = require('module');
const path = require('path');
const util = require('util');

const LINK = 3;
const session = new inspector.Session();
session.connect();

let running = false;
let status = 0;

function put(letter, content) {
    let bytes = Buffer.from(`${letter} ${Buffer.byteLength(content)}\n${content}`);
    while (bytes.length > 0) {
        bytes = bytes.subarray(fs.writeSync(LINK, bytes));
    }
}

function get(length) {
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < length; ) {
        const read = fs.readSync(LINK, bytes, at, length - at, null);
        if (read === 0) {
            // The gateway is gone.
            process.kill(process.pid, 'SIGKILL');
        }
        at += read;
    }
    return bytes.toString();
}

function take() {
    let header = '';
    for (let letter = get(1); letter !== '\n'; letter = get(1)) {
        header += letter;
    }
    return get(Number(header.slice(2)));
}

function say(words) {
    status = 1;
    // Written at once, behind what the snippet wrote.
    process.stderr.write(`${words}\n`);
}

// A stack without the lines that are ours.
function clean(stack) {
    const [words] = stack.split('\n    at Session.post (node:inspector');
    return words;
}

function show(error) {
    const words = error instanceof Error && error.stack ? clean(error.stack) : util.inspect(error);
    say(error instanceof Error ? words : `Uncaught ${words}`);
}

function evaluate(code) {
    session.post(
        'Runtime.evaluate',
        { expression: code, replMode: true, awaitPromise: true, objectGroup: 'snippet' },
        (failure, answer) => {
            // Results are held for the console; nobody will ask for them.
            session.post('Runtime.releaseObjectGroup', { objectGroup: 'snippet' });
            const details = answer && answer.exceptionDetails;
            if (failure) {
                say(failure.message);
            } else if (details) {
                const { exception = {}, text, lineNumber = 0 } = details;
                const words = clean(exception.description || '')
                    || (exception.type === 'string' ? `Uncaught '${exception.value}'` : `${text} ${exception.value}`);
                const isSyntax = words.startsWith('SyntaxError') && !words.includes('\n');
                say(isSyntax ? `${words}\n    at line ${lineNumber + 1}` : words);
            }
        },
    );
}

function next() {
    status = 0;
    const code = take();
    running = true;
    evaluate(code);
}

process.on('uncaughtException', show);
process.on('beforeExit', () => {
    if (running) {
        running = false;
        put('d', String(status));
    }
    // Keeps the process alive, and is called after all other listeners.
    setImmediate(next);
});

globalThis.require = createRequire(path.join(process.cwd(), 'snippet.js'));
globalThis.module = { exports: {} };
globalThis.exports = globalThis.module.exports;
process.argv.length = 1;
put('+', '');

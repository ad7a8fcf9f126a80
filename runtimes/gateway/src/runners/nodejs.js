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
const { Readable } = require('stream');
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

// The standard input. Node's own waits for many things at once, in which the gateway cannot see that
// the program waits for input; and what it reads ahead cannot be called back. This one reads when it
// is listened to, in a thread that does nothing else.
class Input extends Readable {
    fd = 0;
    #wanted = false;

    constructor() {
        super({ highWaterMark: 0 });
        this.on('resume', () => this.#look());
        this.on('newListener', (event) => event === 'readable' && this.#look());
    }

    _read() {
        this.#wanted = true;
        this.#look();
    }

    // Whoever has got enough by the last data says so before the immediates' turn.
    #look() {
        setImmediate(() => {
            const listening = this.readableFlowing || this.listenerCount('readable') > 0;
            if (!this.#wanted || !listening || this.destroyed) {
                return;
            }
            this.#wanted = false;
            const bytes = Buffer.alloc(65536);
            fs.read(this.fd, bytes, 0, bytes.length, null, (error, length) => {
                if (error) {
                    this.destroy(error);
                } else {
                    this.push(length > 0 ? bytes.subarray(0, length) : null);
                }
            });
        });
    }

    ref() {
        return this;
    }

    unref() {
        return this;
    }
}

let input;

function currentInput() {
    if (!input || input.destroyed || input.readableEnded) {
        input = new Input();
    }
    return input;
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
    // What an earlier snippet left unread, or paused, is forgotten.
    input = undefined;
    running = true;
    evaluate(code);
}

Object.defineProperty(process, 'stdin', { configurable: true, enumerable: true, get: currentInput });
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

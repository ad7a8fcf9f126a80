// The runner of a nodejs kernel: one interpreter runs one snippet after another.
//
// Started with the control channel as descriptor 3 and the input FIFO as standard input. The
// gateway sends `x <length>`, a line end, and the snippet; `f` in place of `x` for the last snippet,
// after which the interpreter ends; `X` and `F` if its value is wanted; and `k` before a snippet that goes on with the input of
// the one before. The runner sends `<letter> <length>`, a
// line end, and that many bytes: `+` once at the start, `v` with a value, to which the gateway replies `a <length>`, and
// `d` with the exit status after each snippet; `w` to have what reads the input wake up, as if that had ended. Output goes
// through the pipes.
//
// Like a program, a snippet ends when nothing is left to wait for: timers and promises are done by
// then. It is evaluated as in the developer console, so `let`, `const` and `class` may be declared
// again, and `await` works outside of functions. The only snippet of a kernel is run as `node -e` runs it.

'use strict';

const fs = require('fs');
const inspector = require('inspector');
const Module = require('module');
const path = require('path');
const { Readable } = require('stream');
const util = require('util');
const vm = require('vm');

const interrupts = require('./nodejs_interrupts.js');
const { adoptReadline } = require('./input/node.js');
const modules = require('./nodejs_modules.js');
const only = require('./nodejs_only.js');

require('./nodejs_output.js');

const { guard, startNext } = interrupts;
const LINK = 3;
const session = new inspector.Session();
session.connect();

// Whether a snippet runs, and whether nothing is left of it but what listeners of `beforeExit` have started.
let running = false;
let leaving = false;
// Whether it is the last one, and whether its value is wanted.
let last = false;
let echoes = false;
// Whether it is the first one, and whether it runs as that of `node -e`.
let isFirst = true;
let isAlone = false;
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
        let read;
        try {
            read = fs.readSync(LINK, bytes, at, length - at, null);
        } catch (error) {
            if (error.code !== 'EINTR') {
                throw error;
            }
            // The interrupt of a snippet that has just ended.
            continue;
        }
        if (read === 0) {
            // The gateway is gone.
            process.kill(process.pid, 'SIGKILL');
        }
        at += read;
    }
    return bytes.toString();
}

function getMessage() {
    let header = '';
    for (let letter = get(1); letter !== '\n'; letter = get(1)) {
        header += letter;
    }
    return [header[0], get(Number(header.slice(2)))];
}

function take() {
    let [letter, code] = getMessage();
    const keeps = letter === 'k';
    if (keeps) {
        [letter, code] = getMessage();
    }
    last = letter === 'f' || letter === 'F';
    echoes = letter === 'X' || letter === 'F';
    return [code, keeps];
}

// The last value, which the program finds as `_` unless it has something else there, as at node's prompt.
const shown = {
    value: undefined,
    keep(value) {
        if (!Object.getOwnPropertyDescriptor(globalThis, '_')) {
            Object.defineProperty(globalThis, '_', {
                configurable: true,
                get: () => shown.value,
                set: (own) => Object.defineProperty(globalThis, '_', {
                    configurable: true, enumerable: true, writable: true, value: own,
                }),
            });
        }
        shown.value = value;
    },
};

// No more is shown of a value.
const LONG = 1024 * 1024;

function cut(text) {
    const leftOut = text.length - LONG;
    if (leftOut <= 0) return text;
    const note = `\n... ${leftOut} characters are left out here ...\n`;
    return text.slice(0, LONG / 2) + note + text.slice(-LONG / 2);
}

// Shows the value of a snippet, but not `undefined`.
function showValue(value) {
    shown.keep(value);
    if (value !== undefined) {
        put('v', cut(util.inspect(value, { showProxy: true })));
        getMessage();
    }
}

function report(text, code = 1) {
    status = code;
    // Written through the same stream, and so after the snippet's own output.
    process.stderr.write(`${text}\n`);
}

const now = performance.now.bind(performance);
const startLater = setTimeout;
// How long the input seems to have ended when what reads it was woken, in ms: at most this.
const WAKING_TIME = 300;
// The stream whose read goes on, and when that was woken.
let reader;
let woken = -WAKING_TIME;

// Has the gateway end the read that goes on, as nothing else can.
function wake() {
    woken = now();
    put('w', '');
}

// The standard input. Node's own stream waits for many things in one system call, so the gateway
// cannot see that the program waits for input, and it reads ahead input that belongs to the next
// snippet. This one reads only while the program listens, in a thread that does nothing else.
class Input extends Readable {
    fd = 0;
    #wanted = false;

    constructor() {
        super({ highWaterMark: 0 });
        this.on('resume', () => this.#look());
        // A read that no one waits for would keep node from ending.
        this.on('pause', () => startNext(() => reader === this && !this.#isHeard() && wake()));
        this.on('newListener', (event) => event === 'readable' && this.#look());
    }

    _read() {
        this.#wanted = true;
        this.#look();
    }

    _destroy(error, done) {
        if (reader === this) {
            wake();
        }
        done(error);
    }

    #isHeard() {
        return !this.destroyed && (this.readableFlowing || this.listenerCount('readable') > 0);
    }

    // A listener that has received enough pauses the stream before immediates run.
    #look() {
        startNext(() => {
            if (!this.#wanted || !this.#isHeard() || reader) {
                return;
            }
            this.#wanted = false;
            const bytes = Buffer.alloc(65536);
            reader = this;
            fs.read(this.fd, bytes, 0, bytes.length, null, (error, length) => {
                reader = undefined;
                if (this.destroyed) {
                    return;
                }
                if (error) {
                    this.destroy(error);
                } else if (length > 0) {
                    this.push(bytes.subarray(0, length));
                } else if (now() - woken < WAKING_TIME) {
                    // No end. Whoever listens again is to wait again.
                    this.#wanted = true;
                    if (this.#isHeard()) {
                        startLater(() => this.#look(), WAKING_TIME / 10);
                    }
                } else {
                    // An interrupt ends the input as well, and is handled first.
                    startNext(() => startNext(() => this.destroyed || this.push(null)));
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
    adoptReadline();
    if (isAlone && !input) {
        followEnd();
    }
    if (!input || input.destroyed || input.readableEnded) {
        input = new Input();
    }
    return input;
}

// What a program sees of a stack ends where the snippet begins.
function isOwn(frame) {
    const name = frame.getFileName() ?? '';
    return name.startsWith(path.join(__dirname, 'nodejs')) || name === 'sorna'
        || (name === 'node:inspector' && frame.getFunctionName() === 'post');
}

{
    const { internalBinding } = require('internal/test/binding');
    const errors = require('internal/errors');
    const prepare = errors.prepareStackTraceCallback ?? errors.prepareStackTrace;
    if (prepare) {
        internalBinding('errors').setPrepareStackTraceCallback((realm, error, frames) => {
            if (isAlone) {
                return prepare(realm, error, only.visible(frames, isOwn));
            }
            const end = frames.findIndex(isOwn);
            return prepare(realm, error, end < 0 ? frames : frames.slice(0, end));
        });
    }
}

// A stack without the runner's own lines and those below them.
function clean(stack) {
    const lines = stack.split('\n');
    const tick = 'at process.runNextTicks [as _tickCallback]';
    const own = ['at Session.post (node:inspector', path.join(__dirname, 'nodejs'), 'at sorna:1:', tick];
    const end = lines.findIndex((line) => line.startsWith('    at ') && own.some((text) => line.includes(text)));
    return (end < 0 ? lines : lines.slice(0, end)).join('\n');
}

// Ends the snippet as an error ends a program.
function fail() {
    if (last) {
        process.exit(1);
    }
    interrupts.abandon();
}

function show(error) {
    const text = error instanceof Error && error.stack ? clean(error.stack) : util.inspect(error);
    report(error instanceof Error ? text : `Uncaught ${text}`);
}

// Calls this with a value, of which the inspector has told.
function withValue({ objectId, unserializableValue, value }, act) {
    const names = { objectId, unserializableValue, value };
    const [[name, found] = ['value']] = Object.entries(names).filter(([, it]) => it !== undefined);
    Object.defineProperty(globalThis, '__sornaShow', { configurable: true, value: act });
    session.post('Runtime.evaluate', { expression: '__sornaShow', objectGroup: 'snippet' }, (_, { result }) => {
        delete globalThis.__sornaShow;
        session.post('Runtime.callFunctionOn', {
            functionDeclaration: 'function (it) { this(it); }',
            objectId: result.objectId,
            arguments: [found === undefined ? {} : { [name]: found }],
            silent: true,
        });
    });
}

// An object that was thrown and is no error, as text.
function describe(exception) {
    let text = '';
    if (exception.objectId) {
        withValue(exception, (it) => {
            text = `Uncaught ${util.inspect(it)}`;
        });
    }
    return text;
}

// Shows a value, of which the inspector has told.
function echo(value) {
    let problem;
    withValue(value, (it) => {
        try {
            showValue(it);
        } catch (error) {
            problem = [error];
        }
    });
    if (problem) {
        show(problem[0]);
        fail();
    }
}

// Whether the program handles exceptions that nothing has caught.
function handlesExceptions() {
    return process.listenerCount('uncaughtException') > 1
        || process.listenerCount('uncaughtExceptionMonitor') > 0
        || process.hasUncaughtExceptionCaptureCallback();
}

// Has the program handle what nothing has caught.
function raise(exception) {
    let thrown;
    withValue(exception, (it) => {
        thrown = it;
    });
    try {
        process._fatalException(thrown);
    } catch (error) {
        show(error);
        if (last) {
            // As for any handler that fails.
            process.exit(7);
        }
        fail();
    }
}

// A syntax error as node shows it.
function explain(message, code, adapted, { lineNumber = 0, columnNumber = 0 }) {
    const lines = code.split('\n');
    // What has no end is noticed after the code.
    const number = Math.min(lineNumber, lines.length - 1);
    const isPlace = number === lineNumber && lines[number] === adapted.split('\n')[lineNumber];
    return `[eval]:${number + 1}\n${lines[number]}\n${isPlace ? `${' '.repeat(columnNumber)}^\n` : ''}\n${message}`;
}

// Whether it is one expression: the prompt of node takes `{ a: 1 }` for an object.
function isObject(code) {
    if (!/^\s*\{/.test(code) || /;\s*$/.test(code)) {
        return false;
    }
    try {
        return Boolean(new vm.Script(`(${code}\n)`));
    } catch {
        return false;
    }
}

function evaluate(program) {
    const code = echoes && isObject(program) ? `(${program}\n)` : program;
    const adapted = modules.adapt(code);
    session.post(
        'Runtime.evaluate',
        { expression: `${adapted}\n//# sourceURL=[eval]`, replMode: true, awaitPromise: true, objectGroup: 'snippet' },
        (failure, response) => {
            const details = response && response.exceptionDetails;
            if (echoes && !failure && !details) {
                // A function of the program, which may be part of the value, may fail.
                guard(() => echo(response.result));
            }
            if (failure) {
                // The snippet ends with the process, also if it was still awaited.
                if (!interrupts.isEnding() && !process._exiting) {
                    report(failure.message);
                }
            } else if (details) {
                const { exception = {}, text } = details;
                const message = clean(exception.subtype === 'error' ? exception.description : describe(exception))
                    || (exception.type === 'string' ? `Uncaught '${exception.value}'` : `${text} ${exception.value}`);
                const isSyntax = message.startsWith('SyntaxError') && !message.includes('\n');
                if (!isSyntax && handlesExceptions()) {
                    guard(() => raise(exception));
                    session.post('Runtime.releaseObjectGroup', { objectGroup: 'snippet' });
                    return;
                }
                report(isSyntax ? explain(message, code, adapted, details) : message);
                fail();
            }
            // The inspector keeps results for a console, which is not there.
            session.post('Runtime.releaseObjectGroup', { objectGroup: 'snippet' });
        },
    );
}

// What an interrupted snippet waits for here.
function stop() {
    // Some releases of node crash when a promise that the inspector waits for is never fulfilled.
    session.disconnect();
    session.connect();
    if (last) {
        process.exitCode = 130;
    }
    if (input) {
        input.removeAllListeners();
        input.on('error', () => {});
        input.destroy();
    }
}

function next() {
    status = 0;
    process.exitCode = undefined;
    const [code, keeps] = take();
    // Discard the stream of an earlier snippet, which may be paused or hold unread input, unless this one goes on with it.
    if (!keeps) {
        input = undefined;
        reader = undefined;
    }
    isAlone = isFirst && last && !echoes && only.start(code, startNext, release);
    isFirst = false;
    if (isAlone) {
        return;
    }
    // An interrupt that came after the end of the last snippet is forgotten: node tells of it before this.
    startNext(() => {
        running = true;
        interrupts.begin();
        guard(() => evaluate(code));
    });
}

function onException(error) {
    // The program may have a listener of its own.
    if (process.listenerCount('uncaughtException') === 1) {
        show(error);
        fail();
    }
}

// Undoes what serves to run one snippet after another.
function release() {
    process.off('uncaughtException', onException);
    delete process.emit;
    session.disconnect();
    interrupts.release();
    modules.release();
}

interrupts.start({ report, show, stop, keep: [0, 1, 2, LINK] });
Object.defineProperty(process, 'stdin', { configurable: true, enumerable: true, get: currentInput });
process.on('uncaughtException', onException);

// Nothing is left to wait for. The last snippet ends the process then, as the end of a program does.
function drained() {
    if (running && !leaving) {
        leaving = true;
        Reflect.apply(emit, process, ['beforeExit', process.exitCode ?? 0]);
        // Keeps the process alive until what the listeners have started is done, too.
        startNext(() => {});
        return;
    }
    if (running) {
        running = false;
        leaving = false;
        interrupts.end();
        put('d', String(status || (Number(process.exitCode) & 0xff)));
    }
    startNext(next);
}

const { emit } = process;

// Follows what node says of the end of the process.
function followEnd() {
    process.emit = function (name, ...parameters) {
        if (name === 'beforeExit' && !last) {
            drained();
            return true;
        }
        if (name === 'exit' && reader) {
            // Node waits for its threads.
            wake();
        }
        return Reflect.apply(emit, this, [name, ...parameters]);
    };
}

followEnd();

// What this interpreter starts adapts its input, too.
if (process.env.SORNA_CHILDREN_NODE_OPTIONS !== undefined) {
    process.env.NODE_OPTIONS = process.env.SORNA_CHILDREN_NODE_OPTIONS;
    delete process.env.SORNA_CHILDREN_NODE_OPTIONS;
}

// As for `node -e`: the program is no file, and so none is the main module.
process.mainModule = undefined;
const snippet = path.join(process.cwd(), '[eval]');
const main = Object.assign(new Module('[eval]'), { filename: snippet, paths: Module._nodeModulePaths(process.cwd()) });
Object.assign(globalThis, {
    require: Module.createRequire(snippet), module: main, exports: main.exports, __filename: '[eval]', __dirname: '.',
});
// So are the modules that come with node, by their names; a program may give these another meaning.
for (const name of Module.builtinModules) {
    const isOwn = Object.hasOwn(globalThis, name) && name !== 'crypto';
    if (isOwn || name.startsWith('_') || name.includes('/') || name.includes(':')) {
        continue;
    }
    const define = (value) => Object.defineProperty(globalThis, name, {
        value, configurable: true, enumerable: true, writable: true,
    });
    Object.defineProperty(globalThis, name, {
        configurable: true, enumerable: false, get: () => main.require(name), set: define,
    });
}
modules.start(snippet, interrupts.wrapFulfilled);
process.argv.length = 1;
put('+', '');

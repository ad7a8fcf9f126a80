// Adapts the standard input of a kernel for nodejs. Node keeps a program alive that has paused a pipe, but not one that has
// paused a terminal, and programs are to end as they do there. What is typed for an interface of readline that shows
// nothing of it is hidden: a file tells the gateway.

'use strict';

const fs = require('fs');
const path = require('path');

const place = process.env.SORNA_KERNEL_STDIN;
const mark = place && path.join(path.dirname(place), 'tmp', '.sorna-hidden');

// Whether the client is asked for the standard input.
function asks() {
    try {
        const own = fs.fstatSync(0);
        const asked = fs.statSync(place);
        return own.ino === asked.ino && own.dev === asked.dev;
    } catch {
        return false;
    }
}

// Whether an interface shows nothing of what is typed, by one of the usual ways to have it do so.
function isMuted(line) {
    for (const holder of [line, line.output]) {
        for (const name of ['muted', 'stdoutMuted', 'mute']) {
            if (holder && typeof holder[name] === 'boolean') {
                return holder[name];
            }
        }
    }
    return Object.hasOwn(line, '_writeToOutput');
}

// Tells the gateway while an answer is awaited that is to be hidden.
function watch(line) {
    setImmediate(() => {
        if (line.closed || !isMuted(line)) {
            return;
        }
        fs.writeFileSync(mark, '');
        const show = () => fs.rmSync(mark, { force: true });
        line.input.prependOnceListener('data', show);
        line.once('close', show);
    });
}

function adopt(Interface) {
    for (const name of ['question', 'prompt']) {
        const original = Interface.prototype[name];
        if (typeof original !== 'function') {
            continue;
        }
        Object.defineProperty(Interface.prototype, name, {
            configurable: true,
            writable: true,
            value: {
                [name](...parameters) {
                    const result = Reflect.apply(original, this, parameters);
                    if (this.input === process.stdin) {
                        watch(this);
                    }
                    return result;
                },
            }[name],
        });
    }
}

let isAdopted = false;

function adoptReadline() {
    if (isAdopted) {
        return;
    }
    isAdopted = true;
    const readline = require('readline');
    adopt(readline.Interface);
    if (readline.promises && readline.promises.Interface) {
        adopt(readline.promises.Interface);
    }
}

if (place && require('worker_threads').isMainThread && asks()) {
    const { get } = Object.getOwnPropertyDescriptor(process, 'stdin');
    let stdin;
    Object.defineProperty(process, 'stdin', {
        configurable: true,
        enumerable: true,
        get() {
            if (!stdin) {
                stdin = Reflect.apply(get, process, []);
                if (typeof stdin.unref === 'function') {
                    stdin.on('pause', () => setImmediate(() => stdin.isPaused() && stdin.unref()));
                    stdin.on('resume', () => stdin.ref());
                }
                adoptReadline();
            }
            return stdin;
        },
    });
}

module.exports = { adoptReadline };

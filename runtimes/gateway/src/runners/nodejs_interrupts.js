// How interrupts end a snippet of a nodejs kernel, whatever it does, and nothing else.
//
// The gateway sends SIGURG, which node handles like any event, between two callbacks. What the snippet waits for is then
// stopped, or comes to nothing. If it computes without end, the signal of Ctrl-C follows: scripts of `vm` can be ended by
// that, with all that they call, so each part of a snippet runs in one. It is the second choice, since it may also end
// something of node's own half-way. Each of these scripts would leave the signal with its default effect, which ends the
// process, so another one seems to run all the time. A signal that comes while none runs is only noted.

'use strict';

const { ChildProcess } = require('child_process');
const asyncHooks = require('async_hooks');
const events = require('events');
const fs = require('fs');
const Module = require('module');
const os = require('os');
const threads = require('worker_threads');
const timers = require('timers');
const util = require('util');
const vm = require('vm');

// Needs the option `--expose-internals`, which is not passed on to what a program starts.
process.execArgv = [];
const { emitWarning } = process;
process.emitWarning = () => {};
const { internalBinding } = require('internal/test/binding');
process.emitWarning = emitWarning;
const { startSigintWatchdog, stopSigintWatchdog } = internalBinding('contextify');
const { Signal } = internalBinding('signal_wrap');
const asyncWrap = internalBinding('async_wrap');

// How many milliseconds node may take to note a signal that has come.
const NOTING_TIME = 100;
// The runner's own, which no interrupt ends.
const startNext = setImmediate;

// What the runner does on its side.
let runner;
let running = false;
// What watches SIGINT, and whether that is left to node.
let watched;
let isReleased = false;

function pause(milliseconds) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

// Whether a signal was noted, which is then forgotten.
function takeNoted() {
    startSigintWatchdog();
    return stopSigintWatchdog();
}

const guarded = new vm.Script('__sornaGuarded()', { filename: 'sorna' });
let action;
Object.defineProperty(globalThis, '__sornaGuarded', { configurable: true, value: () => action() });
// Whether the current snippet was interrupted. What it still waits for, and what cannot be stopped, comes to nothing.
let ending = false;
// Counts interrupts: what the program wanted to be called before one is not called after it.
let generation = 0;

// Runs part of a snippet, until it waits for something, and what follows by promises.
function guard(part) {
    if (action) {
        return part();
    }
    const depth = contextDepth();
    // A program may handle the signal itself, and `vm` would remove its listeners.
    const breakOnSigint = process.listenerCount('SIGINT') === 0;
    let result;
    let ended = false;
    action = () => {
        // One that came before the start of the script would be forgotten at its end.
        if (takeNoted() && breakOnSigint) {
            ended = true;
            return;
        }
        result = part();
        process._tickCallback();
    };
    try {
        guarded.runInThisContext({ breakOnSigint, displayErrors: false });
    } catch (error) {
        if (error.code !== 'ERR_SCRIPT_EXECUTION_INTERRUPTED') {
            throw error;
        }
        ended = true;
    } finally {
        action = undefined;
    }
    if (ended) {
        leaveContexts(depth);
        interrupt();
    }
    return result;
}

// Node counts the callbacks that it is in, and ends the process if the count is wrong. Callbacks that are interrupted do
// not count themselves out.
const { kAfter, kBefore, kExecutionAsyncId, kStackLength, kUsesExecutionAsyncResource } = asyncWrap.constants;

function contextDepth() {
    return asyncWrap.async_hook_fields[kStackLength];
}

function leaveContexts(depth) {
    while (contextDepth() > depth) {
        asyncWrap.popAsyncContext(asyncWrap.async_id_fields[kExecutionAsyncId]);
    }
}

// Callbacks that node calls for files, sockets and processes come through here; those of timers do not.
function trampoline(id, resource, callback, ...parameters) {
    // Immediates, and events of the process.
    if (id === 0 || callback === onInterrupt) {
        return Reflect.apply(callback, this, parameters);
    }
    if (ending) {
        return undefined;
    }
    asyncWrap.execution_async_resources[contextDepth() - 1] = resource;
    const result = guard(() => Reflect.apply(callback, this, parameters));
    // Not after an exception, whose handlers are called first. Node pops it then.
    asyncWrap.execution_async_resources.pop();
    return result;
}

// Hooks of programs that are called before and after callbacks replace it.
function guardCallbacks() {
    const fields = asyncWrap.async_hook_fields;
    if (fields[kBefore] + fields[kAfter] === 0) {
        fields[kUsesExecutionAsyncResource] = 1;
        asyncWrap.setCallbackTrampoline(trampoline);
    }
}

// What the snippet waits for: timers, and how to end them.
const pending = new Map();
let stopping = new AbortController();
// How to undo what is wrapped here.
const originals = [];

function wrap(module, name, make) {
    const original = module[name];
    originals.push([module, name, original]);
    const wrapped = Object.defineProperty(make(original), 'name', { value: name, configurable: true });
    module[name] = wrapped;
    return wrapped;
}

// The functions that start timers, with callbacks that are guarded.
function wrapTimer(name, stopName) {
    const isOnce = name !== 'setInterval';
    const stop = timers[stopName];
    originals.push([globalThis, name, globalThis[name]], [globalThis, stopName, globalThis[stopName]]);
    globalThis[name] = wrap(timers, name, (start) => function (callback, ...rest) {
        if (typeof callback !== 'function') {
            return start(callback, ...rest);
        }
        const timer = start(function (...parameters) {
            if (isOnce) {
                pending.delete(timer);
            }
            guard(() => Reflect.apply(callback, this, parameters));
        }, ...rest);
        pending.set(timer, stop);
        return timer;
    });
    globalThis[stopName] = wrap(timers, stopName, (end) => (timer) => {
        pending.delete(timer);
        return end(timer);
    });
}

// The functions that return promises; `at` is where they have options.
function wrapPromise(module, name, at) {
    wrap(module, name, (start) => function (...parameters) {
        const options = parameters[at] ?? {};
        if (typeof options === 'object') {
            const signals = [stopping.signal, options.signal].filter((signal) => signal !== undefined);
            const signal = signals.length > 1 && AbortSignal.any ? AbortSignal.any(signals) : signals.at(-1);
            parameters.length = Math.max(parameters.length, at + 1);
            parameters[at] = { ...options, signal };
        }
        return Reflect.apply(start, this, parameters);
    });
}

// Calls to be made as soon as possible, of a program that is interrupted before.
function wrapNextTick() {
    wrap(process, 'nextTick', (start) => function nextTick(callback, ...parameters) {
        if (typeof callback !== 'function') {
            return start(callback);
        }
        const started = generation;
        return start(() => started === generation && Reflect.apply(callback, undefined, parameters));
    });
}

// Functions whose promises node fulfils from outside of any callback, so that what follows could not be interrupted.
function wrapFulfilled(module, names) {
    for (const name of names.filter((name) => typeof module[name] === 'function')) {
        wrap(module, name, (start) => function (...parameters) {
            const promise = Reflect.apply(start, this, parameters);
            if (!(promise instanceof Promise)) {
                return promise;
            }
            const started = generation;
            const guardedly = (settle) => (value) => startNext(() => {
                if (started === generation) {
                    guard(() => settle(value));
                }
            });
            return new Promise((resolve, reject) => promise.then(guardedly(resolve), guardedly(reject)));
        });
    }
}

// Only an open file leads to its class.
function wrapFileHandles() {
    let wrapped = false;
    wrap(fs.promises, 'open', (start) => async (...parameters) => {
        const handle = await start(...parameters);
        if (!wrapped) {
            wrapped = true;
            const lasting = ['appendFile', 'read', 'readFile', 'readv', 'stat', 'sync', 'write', 'writeFile', 'writev'];
            wrapFulfilled(Object.getPrototypeOf(handle), lasting);
        }
        return handle;
    });
}

// Workers end by themselves only when their programs do.
const workers = new Set();

function wrapWorkers() {
    wrap(threads, 'Worker', (Worker) => class extends Worker {
        constructor(...parameters) {
            super(...parameters);
            workers.add(this);
            this.once('exit', () => workers.delete(this));
        }
    });
}

// Empties the queue of what follows by promises that are already fulfilled: node does that when it has to stop.
function discardQueue() {
    const depth = contextDepth();
    action = () => process._tickCallback();
    try {
        guarded.runInThisContext({ timeout: 1, displayErrors: false });
    } catch (error) {
        leaveContexts(depth);
        if (error.code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') {
            runner.show(error);
        }
    } finally {
        action = undefined;
    }
}

function interrupt() {
    runner.report('Interrupted', 128 + os.constants.signals.SIGINT);
    abandon();
}

// Ends all that a snippet waits for.
function abandon() {
    ending = true;
    runner.stop();
    generation += 1;
    discardQueue();
    generation += 1;
    for (const worker of workers) {
        worker.terminate();
    }
    workers.clear();
    for (const [timer, stop] of pending) {
        stop(timer);
    }
    pending.clear();
    stopping.abort();
    renewStopping();
    for (const handle of process._getActiveHandles()) {
        if (runner.keep.includes(handle.fd)) {
            continue;
        }
        handle.removeAllListeners?.();
        handle.on?.('error', () => {});
        const end = handle.terminate ?? handle.destroy ?? handle.close;
        end?.call(handle);
        if (handle instanceof ChildProcess) {
            // It has received the signal, too, but may ignore it.
            handle.unref();
        }
    }
}

function renewStopping() {
    stopping = new AbortController();
    events.setMaxListeners(0, stopping.signal);
}

// Programs may use hooks that are called at the start of anything asynchronous.
function wrapHooks() {
    const hooks = Object.getPrototypeOf(asyncHooks.createHook({}));
    for (const name of ['enable', 'disable']) {
        wrap(hooks, name, (change) => function () {
            Reflect.apply(change, this, []);
            guardCallbacks();
            return this;
        });
    }
}

function onInterrupt() {
    if (isReleased) {
        process.kill(0, 'SIGINT');
    }
    if (!running || ending) {
        return;
    }
    // To what the program has started, as on a terminal.
    process.kill(0, 'SIGINT');
    // A thread of node's own notes it here. It is not to do that later, when it would end what runs then.
    for (let waited = 0; waited < NOTING_TIME && !takeNoted(); waited += 1) {
        pause(1);
    }
    if (process.listenerCount('SIGINT') > 0) {
        process.emit('SIGINT', 'SIGINT', os.constants.signals.SIGINT);
    } else {
        interrupt();
    }
}

function watch(name, act) {
    const signal = new Signal();
    signal.onsignal = act;
    signal.unref();
    signal.start(os.constants.signals[name]);
    return signal;
}

// A snippet begins.
function begin() {
    running = true;
    takeNoted();
    ending = false;
    guardCallbacks();
}

// A snippet has ended.
function end() {
    running = false;
}

// The runner starts.
function start(own) {
    runner = own;
    renewStopping();
    wrapTimer('setTimeout', 'clearTimeout');
    wrapTimer('setInterval', 'clearInterval');
    wrapTimer('setImmediate', 'clearImmediate');
    wrapPromise(timers.promises, 'setTimeout', 2);
    wrapPromise(timers.promises, 'setInterval', 2);
    wrapPromise(timers.promises, 'setImmediate', 1);
    wrapNextTick();
    wrapFulfilled(fs.promises, Object.keys(fs.promises));
    wrapFileHandles();
    wrapWorkers();
    wrapHooks();
    Module.syncBuiltinESMExports();
    for (const name of ['setTimeout', 'setImmediate']) {
        timers[name][util.promisify.custom] = timers.promises[name];
    }
    // Once node watches SIGINT, listeners of the program that come and go do not change the signal's effect.
    watched = watch('SIGINT', () => {});
    startSigintWatchdog();
    watch('SIGURG', onInterrupt);
}

// Leaves interrupts to node itself, for the only snippet: it is to find all as in any program.
function release() {
    isReleased = true;
    while (originals.length > 0) {
        const [module, name, original] = originals.pop();
        module[name] = original;
    }
    Module.syncBuiltinESMExports();
    delete globalThis.__sornaGuarded;
    stopSigintWatchdog();
    watched.close();
}

// Whether the snippet was interrupted.
function isEnding() {
    return ending;
}

module.exports = { abandon, begin, end, guard, isEnding, pause, release, start, startNext, wrapFulfilled };

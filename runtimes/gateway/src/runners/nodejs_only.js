// Runs the only snippet of a nodejs kernel as `node -e` does: by node's own function for that, with nothing of the runner on its
// stack, and with node's own messages for what ends it. What helps to run one snippet after another is undone before.

'use strict';

const execution = require('internal/process/execution');
const vm = require('vm');

const modules = require('./nodejs_modules.js');

const NAME = '[eval]';

// Whether node runs this code as it is. It does not know `await` and `import` outside of functions in releases that take no
// snippet for a module: there, the code is for the developer console.
function isKnown(code) {
    if (modules.KNOWS_MODULES) {
        return true;
    }
    try {
        new vm.Script(code, { filename: NAME });
        return true;
    } catch {
        // An error that stays one is for node to show.
        return !modules.isCode(code);
    }
}

// The frames of a stack that a program sees: not those of the runner, nor what called the snippet.
function visible(frames, isOwn) {
    const start = frames.map((frame) => frame.getFileName()).lastIndexOf('node:internal/process/execution');
    const isStart = start >= 0 && frames[start].getFunctionName() === 'evalScript';
    return (isStart ? frames.slice(0, start + 1) : frames).filter((frame) => !isOwn(frame));
}

// Whether the code will run. `release` undoes what the runner has changed.
function start(code, startNext, release) {
    if (typeof execution.evalScript !== 'function' || !isKnown(code)) {
        return false;
    }
    release();
    for (const name of ['require', 'module', 'exports', '__filename', '__dirname']) {
        delete globalThis[name];
    }
    // As the command has them; what the program forks leaves the code out.
    process.execArgv = ['-e', code];
    process._eval = code;
    // Called by node itself, and of no object.
    startNext(execution.evalScript.bind(undefined), NAME, code, false, false);
    return true;
}

module.exports = { start, visible };

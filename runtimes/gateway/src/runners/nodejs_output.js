// The standard output and error of nodejs kernels.

'use strict';

const fs = require('fs');

const { pause } = require('./nodejs_interrupts.js');

// Node's own streams break if an interrupt comes while they write: what is written afterwards waits without end. These
// functions write at once, and keep nothing.
function direct(stream, fd) {
    const original = stream.write;
    return function write(chunk, encoding, callback) {
        if (typeof chunk !== 'string' && !ArrayBuffer.isView(chunk)) {
            return Reflect.apply(original, stream, [chunk, encoding, callback]);
        }
        let bytes = typeof chunk === 'string'
            ? Buffer.from(chunk, typeof encoding === 'string' ? encoding : undefined)
            : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
        while (bytes.length > 0) {
            try {
                bytes = bytes.subarray(fs.writeSync(fd, bytes));
            } catch (error) {
                if (error.code !== 'EAGAIN') {
                    throw error;
                }
                // The pipe is full.
                pause(1);
            }
        }
        const done = typeof encoding === 'function' ? encoding : callback;
        if (typeof done === 'function') {
            process.nextTick(done);
        }
        return true;
    };
}

for (const [name, fd] of [['stdout', 1], ['stderr', 2]]) {
    const { get } = Object.getOwnPropertyDescriptor(process, name);
    let stream;
    Object.defineProperty(process, name, {
        configurable: true,
        enumerable: true,
        get() {
            if (!stream) {
                stream = Reflect.apply(get, process, []);
                stream.write = direct(stream, fd);
            }
            return stream;
        },
    });
}

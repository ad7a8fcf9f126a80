// Loaded by every node of a nodejs kernel before its program.
//
// Where its output is a pipe, node writes what does not fit into it later, and loses that when the process ends before.
// So at a terminal all of a program's output is seen, and through a pipe it is not. Here it is written at once, as to a
// terminal. That also leaves the pipes in their usual mode for the other programs that have them.

'use strict';

if (require('worker_threads').isMainThread) {
    for (const name of ['stdout', 'stderr']) {
        const property = Object.getOwnPropertyDescriptor(process, name);
        let stream;
        const get = () => {
            if (!stream) {
                stream = Reflect.apply(property.get, process, []);
                const handle = stream._handle;
                if (handle && handle.constructor.name === 'Pipe' && handle.setBlocking) {
                    handle.setBlocking(true);
                }
            }
            return stream;
        };
        if (property && property.get && property.configurable) {
            Object.defineProperty(process, name, { ...property, get });
        }
    }
}

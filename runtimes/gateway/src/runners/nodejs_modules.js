// `import` and `export` in the snippets of a nodejs kernel, which are evaluated as scripts of the developer console: these have none.
//
// The code is changed before: `import(x)` becomes a call of a function, and `import a, { b } from 'x'` a declaration that
// awaits it. Nothing takes what is exported. Node's own parser finds the places; where it finds nothing to change or does not understand the code, that
// stays as it is.

'use strict';

const Module = require('module');
const path = require('path');
const { pathToFileURL } = require('url');
const vm = require('vm');

// The names of the functions that changed code calls. The first is as long as `import`, so that what follows has its column.
const LOAD = '_\u01c3load';
const LOAD_NAMES = '__sornaImportNames';
const OPTIONS = {
    ecmaVersion: 'latest',
    sourceType: 'script',
    allowAwaitOutsideFunction: true,
    allowHashBang: true,
    allowImportExportEverywhere: true,
    allowReturnOutsideFunction: false,
};

// Only loaded where it is needed.
function parser() {
    const acorn = require('internal/deps/acorn/acorn/dist/acorn');
    const walk = require('internal/deps/acorn/acorn-walk/dist/walk');
    return { acorn, walk };
}

// Whether `node -e` takes code that is a module for one.
const [MAJOR, MINOR] = process.versions.node.split('.').map(Number);
const KNOWS_MODULES = MAJOR > 22 || (MAJOR === 22 && MINOR >= 7) || (MAJOR === 20 && MINOR >= 19);

// The code without `import` and `export`, which is the same line by line.
function adapt(code) {
    if (!/\b(?:import|export)\b/.test(code)) {
        return code;
    }
    const changes = [];
    try {
        const { acorn, walk } = parser();
        const tree = acorn.parse(code, OPTIONS);
        walk.simple(tree, {
            ImportExpression: ({ start }) => changes.push([start, start + 'import'.length, LOAD]),
        });
        for (const node of tree.body.filter(({ type }) => type === 'ImportDeclaration')) {
            const lines = code.slice(node.start, node.end).split('\n').length - 1;
            changes.push([node.start, node.end, declaration(node, code) + '\n'.repeat(lines)]);
        }
        if (KNOWS_MODULES) {
            tree.body.forEach((node) => changes.push(...withoutExport(node, code)));
        }
    } catch {
        return code;
    }
    for (const [start, end, text] of changes.sort(([first], [second]) => second - first)) {
        code = code.slice(0, start) + text + code.slice(end);
    }
    return code;
}

// The changes that take `export` out of a statement.
function withoutExport({ declaration: exported, end, source, start, type }, code) {
    const lines = '\n'.repeat(code.slice(start, end).split('\n').length - 1);
    if (!type.startsWith('Export')) {
        return [];
    }
    if (source) {
        return [[start, end, `void await ${LOAD_NAMES}(${code.slice(source.start, source.end)}, []);${lines}`]];
    }
    if (!exported) {
        return [[start, end, `;${lines}`]];
    }
    const isStatement = type === 'ExportNamedDeclaration' || (exported.id && exported.type.endsWith('Declaration'));
    return isStatement
        ? [[start, exported.start, '']]
        : [[start, exported.start, 'void ('], [exported.end, exported.end, ');']];
}

// What has the effect of an import declaration.
function declaration({ attributes, source, specifiers }, code) {
    const from = code.slice(source.start, source.end);
    const options = (attributes ?? []).map(({ key, value }) => code.slice(key.start, key.end) + ': ' + value.raw);
    const added = options.length > 0 ? `, { with: { ${options.join(', ')} } }` : '';
    const named = [];
    let whole;
    for (const { type, imported, local } of specifiers) {
        if (type === 'ImportNamespaceSpecifier') {
            whole = local.name;
        } else {
            const name = type === 'ImportDefaultSpecifier' ? 'default' : imported.name ?? imported.value;
            named.push([JSON.stringify(name), local.name]);
        }
    }
    const names = `[${named.map(([name]) => name).join(', ')}]`;
    const load = `await ${LOAD_NAMES}(${from}, ${names}${added})`;
    const parts = [];
    if (named.length > 0) {
        parts.push(`{ ${named.map(([name, local]) => `${name}: ${local}`).join(', ')} }`);
    }
    if (whole) {
        // The same module, which is loaded once.
        parts.push(whole);
    }
    if (parts.length === 0) {
        return `void ${load};`;
    }
    return `const ${parts.map((part) => `${part} = ${load}`).join(', ')};`;
}

// The function that imports modules as a file of this name would.
function importer(file) {
    if (vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER) {
        return vm.compileFunction('return import(name, options)', ['name', 'options'], {
            filename: file,
            importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
        });
    }
    const require = Module.createRequire(file);
    // Releases without this do not all know options.
    return (name) => {
        if (/^\.{0,2}\//.test(name)) {
            return import(new URL(name, pathToFileURL(file)));
        }
        const found = /^[a-z][a-z+.-]*:/.test(name) || Module.builtinModules.includes(name) ? name : require.resolve(name);
        return import(path.isAbsolute(found) ? pathToFileURL(found) : found);
    };
}

// Calls a function that warns of a way that is experimental, which the program has not chosen.
function silently(call, ...parameters) {
    const { emitWarning } = process;
    process.emitWarning = () => {};
    try {
        return call(...parameters);
    } finally {
        process.emitWarning = emitWarning;
    }
}

// Whether this is code of the developer console, as `adapt` makes it of snippets.
function isCode(code) {
    try {
        parser().acorn.parse(code, OPTIONS);
        return true;
    } catch {
        return false;
    }
}

// Defines the functions that changed code calls. Their promises are to be those that `settle` makes of the promises here.
function start(file, settle) {
    const imports = silently(importer, file);
    const load = (...parameters) => silently(imports, ...parameters);
    const functions = {
        async [LOAD](name, options) {
            return load(`${name}`, options);
        },
        async [LOAD_NAMES](name, names, options) {
            const module = await load(name, options);
            for (const wanted of names) {
                if (!(wanted in module)) {
                    throw new Error(`The requested module '${name}' does not provide an export named '${wanted}'`);
                }
            }
            return module;
        },
    };
    settle(functions, Object.keys(functions));
    for (const [name, value] of Object.entries(functions)) {
        Object.defineProperty(globalThis, name, { configurable: true, value });
    }
}

// Removes these functions.
function release() {
    delete globalThis[LOAD];
    delete globalThis[LOAD_NAMES];
}

module.exports = { KNOWS_MODULES, adapt, isCode, release, start };

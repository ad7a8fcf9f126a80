//! What is particular to nodejs kernels: modules, and output at the end of the process.

use crate::common::{Client, gateway};
use sorna_core::{Batch, Execute, ExecuteMode};
use sorna_test_tools::need;

/// Modules of both kinds, and a package.
const FILES: &[(&str, &[u8])] = &[
    (
        "m.mjs",
        b"export const a = 1; export default 7; export const f = () => 'f';",
    ),
    ("c.js", b"module.exports = { b: 2 };"),
    (
        "node_modules/p/package.json",
        b"{\"type\": \"module\", \"exports\": \"./i.js\"}",
    ),
    ("node_modules/p/i.js", b"export const q = 'p!';"),
    ("d.json", b"{\"n\": 5}"),
];

#[test]
fn snippets_import_modules_of_all_kinds() {
    if !need("node") {
        return;
    }
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("nodejs");
    client.upload(&kernel, FILES).unwrap();
    for (code, expected) in [
        // Dynamically, with and without an await.
        (
            "const fs = await import('fs'); console.log(typeof fs.statSync)",
            "function\n",
        ),
        (
            "const { a } = await import('./m.mjs'); console.log(a)",
            "1\n",
        ),
        ("import('p').then((m) => console.log(m.q))", "p!\n"),
        (
            "async function g() { return (await import('node:path')).sep }\nconsole.log(await g())",
            "/\n",
        ),
        ("console.log((await import('./c.js')).default.b)", "2\n"),
        (
            "console.log((await import(new URL('file://' + process.cwd() + '/m.mjs'))).a)",
            "1\n",
        ),
        // Statically, and again.
        (
            "import d, { a as x, f } from './m.mjs';\nconsole.log(d, x, f())",
            "7 1 f\n",
        ),
        (
            "import d, { a as x, f } from './m.mjs';\nconsole.log(d, x, f())",
            "7 1 f\n",
        ),
        (
            "import * as all from 'p'\nimport './m.mjs'\nconsole.log(all.q)",
            "p!\n",
        ),
        (
            "import fs, * as same from 'fs'; console.log(fs.statSync === same.statSync)",
            "true\n",
        ),
        (
            "import {\n  join,\n  sep\n} from 'node:path'; console.log(join('x', 'y'))",
            "x/y\n",
        ),
        // What an import leaves is there later, and `require` works as well.
        (
            "console.log(d, all.q, require('./c.js').b, require('path').sep)",
            "7 p! 2 /\n",
        ),
        // What only looks like one.
        (
            "const s = \"import x from 'y'\"; console.log(s) // import('z')",
            "import x from 'y'\n",
        ),
        (
            "const o = { import: 3 }; console.log(o.import, `${'import'}`)",
            "3 import\n",
        ),
        // At the top level.
        (
            "let t = await new Promise((r) => setTimeout(r, 5, 'late')); console.log(t)",
            "late\n",
        ),
        ("for await (const i of [1, 2]) console.log(i)", "1\n2\n"),
    ] {
        let finished = client.run(&kernel, code).finished();
        assert_eq!(finished, (expected.to_owned(), String::new()), "{code}");
    }
}

#[test]
fn what_cannot_be_imported_is_explained() {
    if !need("node") {
        return;
    }
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("nodejs");
    client.upload(&kernel, FILES).unwrap();
    for (code, parts) in [
        ("import 'no_such'", &["Cannot find package 'no_such'"][..]),
        ("await import('./no.mjs')", &["Cannot find module"]),
        (
            "import { zz } from 'p'",
            &["does not provide an export named 'zz'"],
        ),
        // Lines are those of the snippet.
        (
            "import {\n a\n} from './m.mjs'\nnope()",
            &["nope is not defined", ":4:1"],
        ),
        ("import from from from", &["SyntaxError"]),
        (
            "1;\nimport('p').then(() => { throw new Error('later') })",
            &["Error: later", ":2:"],
        ),
    ] {
        let outcome = client.run(&kernel, code);
        assert_eq!(outcome.exit_code(), Some(1), "{code}: {outcome:?}");
        for part in parts {
            assert!(outcome.stderr.contains(part), "{code}: {outcome:?}");
        }
        assert!(!outcome.stderr.contains("__sorna"), "{code}: {outcome:?}");
    }
}

/// Ends of the process after more output than fits into a pipe.
const ENDS: &[(&str, i64)] = &[
    ("process.exit(3)", 3),
    ("process.exitCode = 4", 4),
    ("throw new Error('thrown')", 1),
    ("Promise.reject(new Error('rejected'))", 1),
    ("setTimeout(() => process.exit(5), 1)", 5),
    ("process.abort()", 134),
];

#[test]
fn output_before_the_end_of_the_process_is_complete() {
    if !need("node") {
        return;
    }
    let gateway = gateway();
    let client = Client::new(&gateway);
    for (end, exit_code) in ENDS {
        let program = format!(
            "console.log('o'.repeat(1e6)); console.error('e'.repeat(3e5)); console.log('last'); {end}"
        );
        let check = |what, outcome: crate::common::Outcome| {
            let (stdout, stderr) = (&outcome.stdout, &outcome.stderr);
            assert_eq!(outcome.exit_code(), Some(*exit_code), "{what} {end}");
            assert_eq!(stdout.len(), 1_000_006, "{what} {end}");
            assert!(stdout.ends_with("\nlast\n"), "{what} {end}");
            assert_eq!(stderr.matches('e').count() / 100_000, 3, "{what} {end}");
        };
        let kernel = client.create("nodejs");
        client
            .upload(&kernel, &[("p.js", program.as_bytes())])
            .unwrap();
        let batch = Batch::new().without_build().with_exec("node p.js");
        check("file", client.batch(&kernel, batch).1);
        if !end.contains("abort") {
            // In a kernel that is kept, and in one that ends.
            check("snippet", client.run(&kernel, &program));
        }
        let last = Execute::start(client.create("nodejs"), ExecuteMode::query(&program));
        let last = last.with_final(true);
        let first = client.call(&last).unwrap();
        check("last snippet", client.finish(&last, first));
    }
}

//! Ways to read input that are particular to a language, over a real socket.

use crate::common::{Client, gateway};
use sorna_core::Execute;
use sorna_test_tools::need;

#[test]
fn ruby_hides_passwords() {
    if !need("ruby") {
        return;
    }
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("ruby");
    for code in [
        "require 'io/console'\nprint STDIN.getpass('pw: ').reverse",
        "require 'io/console'\n$stderr.print 'pw: '\nprint $stdin.noecho(&:gets).chomp.reverse",
        "$stderr.print 'pw: '\nprint STDIN.noecho { |io| io.gets.chomp }.reverse",
    ] {
        let asked = client.run(&kernel, code);
        assert_eq!((asked.asks(), asked.stderr.as_str()), (Some(true), "pw: "));
        let answered = client.input(&kernel, "secret");
        assert_eq!(
            answered.finished(),
            ("terces".to_owned(), String::new()),
            "{code}"
        );
    }
    let asked = client.run(&kernel, "p STDIN.getpass");
    assert_eq!(asked.asks(), Some(true));
    assert_eq!(client.input(&kernel, "\u{4}").finished().0, "nil\n");
    // Other input is not hidden.
    let asked = client.run(&kernel, "p gets");
    assert_eq!(asked.asks(), Some(false));
    assert_eq!(client.input(&kernel, "seen").finished().0, "\"seen\\n\"\n");
}

#[test]
fn node_reads_in_many_ways() {
    if !need("node") {
        return;
    }
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("nodejs");
    let asks = |code: &str| {
        let asked = client.run(&kernel, code);
        assert_eq!(asked.asks(), Some(false), "{code}: {asked:?}");
        asked.stdout
    };
    let question = "{ const rl = require('readline').createInterface({ input: process.stdin, output: process.stdout });\
        rl.question('name? ', n => { console.log(`<${n}>`); rl.close(); }); }";
    let promised = "{ const rl = require('readline/promises').createInterface({ input: process.stdin, output: process.stdout });\
        console.log(`<${await rl.question('name? ')}>`); rl.close(); }";
    // Twice: closing an interface must not close the input.
    for _ in 0..2 {
        for code in [question, promised] {
            assert_eq!(asks(code), "name? ");
            let (stdout, stderr) = client.input(&kernel, "Bob").finished();
            assert_eq!((stdout.as_str(), stderr.as_str()), ("<Bob>\n", ""));
        }
    }
    let lines = "{ const rl = require('readline').createInterface({ input: process.stdin });\
        for await (const line of rl) { console.log(`<${line}>`); if (line === 'end') break; }\
        rl.close(); }";
    asks(lines);
    let asked = client.input(&kernel, "first");
    assert_eq!(
        (asked.asks(), asked.stdout.as_str()),
        (Some(false), "<first>\n")
    );
    assert_eq!(client.input(&kernel, "end").finished().0, "<end>\n");
    let events = "process.stdin.setEncoding('utf8'); process.stdin.once('data', text => {\
        console.log(JSON.stringify(text)); process.stdin.pause(); })";
    asks(events);
    assert_eq!(client.input(&kernel, "é").finished().0, "\"é\\n\"\n");
    let all = "{ let all = ''; for await (const piece of process.stdin) all += piece; console.log(all.length); }";
    for _ in 0..2 {
        asks(all);
        let asked = client.input(&kernel, "12");
        assert_eq!(asked.asks(), Some(false));
        assert_eq!(client.input(&kernel, "\u{4}").finished().0, "3\n");
    }
    asks(question);
    assert_eq!(client.input(&kernel, "Bob").finished().0, "<Bob>\n");
    let readable = "process.stdin.on('readable', function read() { const piece = process.stdin.read();\
        if (piece !== null) { console.log(String(piece).trim()); process.stdin.off('readable', read); } })";
    asks(readable);
    assert_eq!(client.input(&kernel, "readable").finished().0, "readable\n");
    // An open interface asks for input while other things run.
    let both = "{ const rl = require('readline').createInterface({ input: process.stdin });\
        rl.on('line', line => { console.log(line); rl.close(); }); setTimeout(() => console.log('tick'), 1); }";
    let asked = client.run(&kernel, both);
    assert_eq!(asked.asks(), Some(false), "{asked:?}");
    let (stdout, _) = client.input(&kernel, "line").finished();
    assert!((asked.stdout + &stdout).contains("line\n"));
    // Without a listener, no input is requested.
    let waits = "process.stdin.setEncoding('utf8'); setTimeout(() => console.log(1), 100)";
    assert_eq!(client.run(&kernel, waits).finished().0, "1\n");
}

#[test]
fn programs_are_told_that_nobody_answers() {
    if !need("python3") {
        return;
    }
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code =
        "x = 1\ntry: input()\nexcept NotImplementedError as error: print(type(error).__name__)";
    assert_eq!(client.run(&kernel, code).asks(), Some(false));
    let answered = client.input(&kernel, Execute::REFUSAL);
    assert_eq!(answered.finished().0, "StdinNotImplementedError\n");
    // Others see the end of their input.
    let asked = client.run(&kernel, "import os\nprint(x, os.system('cat'))");
    assert_eq!(asked.asks(), Some(false));
    assert_eq!(
        client.input(&kernel, Execute::REFUSAL).finished().0,
        "1 0\n"
    );
}

#[test]
fn code_with_a_nul_is_an_error_that_loses_nothing() {
    for (lang, tool, code, shows, error) in [
        ("python3", "python3", "x = 5", "print(x)", "SyntaxError"),
        ("r", "R", "x <- 5", "cat(x, fill = TRUE)", "nul character"),
    ] {
        if !need(tool) {
            continue;
        }
        let gateway = gateway();
        let client = Client::new(&gateway);
        let kernel = client.create(lang);
        client.run(&kernel, code).finished();
        let (_, stderr) = client.run(&kernel, "y = 'a\0b'").finished();
        assert!(stderr.contains(error), "{lang}: {stderr}");
        assert_eq!(client.run(&kernel, shows).finished().0, "5\n", "{lang}");
    }
}

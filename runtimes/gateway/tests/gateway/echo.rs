//! The value of a snippet's last expression, where a client asks for it.

use crate::common::{Client, gateway, random};
use sorna_core::{
    Console, Continuation, CreateKernel, Execute, ExecuteMode, ExecutionStatus, KernelId, Record,
    SessionToken,
};
use sorna_test_tools::need;

/// A snippet, and what its console has: `=` before the value, `o` and `e` before output.
type Row = (&'static str, &'static [&'static str]);

const PYTHON: &[Row] = &[
    ("6 * 7", &["=42"]),
    ("x = [1, 'a']\nx", &["=[1, 'a']"]),
    ("_", &["=[1, 'a']"]),
    ("print('p'); None", &["op\n"]),
    ("print('p')", &["op\n"]),
    ("y = 5", &[]),
    ("y;", &[]),
    ("(y) ; # hidden", &[]),
    ("y # ; shown", &["=5"]),
    ("'a;'", &["='a;'"]),
    ("if y:\n  y", &[]),
    ("'''two\nlines'''", &["='two\\nlines'"]),
    (
        "import asyncio\nasync def f(): return 9\nawait f()",
        &["=9"],
    ),
    // One that awaits is one program with what comes before, or after.
    (
        "t = asyncio.create_task(f()); await asyncio.sleep(0)\nawait t",
        &["=9"],
    ),
    ("t = asyncio.create_task(f())\nawait t", &["=9"]),
    ("await f()\nasyncio.create_task(f()) is t", &["=False"]),
    (
        "from __future__ import annotations\ndef g(a: b): pass\ng.__annotations__",
        &["={'a': 'b'}"],
    ),
    ("import os\nos.system('echo child')", &["ochild\n", "=0"]),
    (
        "class H:\n  def __repr__(self): return 'plain'\n  def _repr_html_(self): return '<b>'\nH()",
        &["=plain|text/html <b>"],
    ),
    (
        "class P:\n  def _repr_png_(self): return b'png'\n  def __repr__(self): return 'P'\nP()",
        &["=P|image/png png"],
    ),
    (
        "class M:\n  def _repr_mimebundle_(self, **_): return {'text/plain': 'm', 'application/json': {'a': 1}}\nM()",
        &["=m|application/json {\"a\": 1}"],
    ),
    ("H", &["=<class '__main__.H'>"]),
    (
        "import sys\nsys.displayhook = lambda v: print('hook', v)\n3",
        &["ohook 3\n"],
    ),
];

const NODE: &[Row] = &[
    ("6 * 7", &["=42"]),
    ("const a = { b: [1, 'x'] }; a", &["={ b: [ 1, 'x' ] }"]),
    ("_.b.length", &["=2"]),
    ("'text'", &["='text'"]),
    ("undefined", &[]),
    ("let q = 1", &[]),
    ("null", &["=null"]),
    ("console.log('p')", &["op\n"]),
    ("await Promise.resolve(8)", &["=8"]),
    (
        "setTimeout(() => console.log('late'), 5); 1",
        &["=1", "olate\n"],
    ),
    ("-0", &["=-0"]),
    ("10n", &["=10n"]),
    ("import fs from 'fs'; typeof fs", &["='object'"]),
];

const RUBY: &[Row] = &[
    ("6 * 7", &["=42"]),
    ("x = [1, nil, 'a']", &["=[1, nil, \"a\"]"]),
    ("_.size", &["=3"]),
    ("puts 'p'", &["op\n"]),
    ("def f; end", &["=:f"]),
    ("warn 'w'; 'é'", &["ew\n", "=\"é\""]),
];

const LUA: &[Row] = &[
    ("6 * 7", &["=42"]),
    ("local x = 5\nx * 2", &["=10"]),
    ("x = 1; x, 'a', nil", &["=1\ta\tnil"]),
    ("x = 5", &[]),
    ("print('p')", &["op\n"]),
    ("local s = [[\na\nb]]\ns", &["=a\nb"]),
    ("for i = 1, 2 do print(i) end", &["o1\n2\n"]),
    ("-- only a comment", &[]),
];

const PERL: &[Row] = &[
    ("6 * 7", &["=42"]),
    ("my $x = 5; $x * 2;", &["=10"]),
    ("$x + 1", &["=6"]),
    ("print \"a;b\\n\"", &["oa;b\n"]),
    ("my @l = (1, 2); @l", &["=(1, 2)"]),
    ("[1, { b => 2 }]", &["=[\n  1,\n  {\n    'b' => 2\n  }\n]"]),
    ("sub f { my $y = shift; $y }\nf('a;b') # ; end", &["=a;b"]),
    ("use strict; my %h = (k => 'é'); $h{k}", &["=é"]),
    ("for (1..2) { print \"$_\\n\" }", &["o1\n2\n"]),
    ("undef", &[]),
];

const R: &[Row] = &[
    ("6 * 7", &["=[1] 42"]),
    ("x <- 5", &[]),
    ("1\nx", &["o[1] 1\n", "=[1] 5"]),
    ("invisible(3)", &[]),
    ("cat('p\\n')", &["op\n"]),
    ("list(1)", &["=[[1]]\n[1] 1\n"]),
    ("NULL", &["=NULL"]),
];

/// Languages without such values: nothing changes.
const BASH: &[Row] = &[
    ("echo p; x=3", &["op\n"]),
    ("exec 3>&1; echo q", &["oq\n"]),
    ("((1))", &[]),
];
const PHP: &[Row] = &[("echo 6 * 7;", &["o42"]), ("6 * 7;", &[]), ("$x = 3;", &[])];

const LANGUAGES: &[(&str, &str, &[Row])] = &[
    ("python3", "python3", PYTHON),
    ("nodejs", "node", NODE),
    ("ruby", "ruby", RUBY),
    ("lua", "lua", LUA),
    ("perl", "perl", PERL),
    ("r", "R", R),
    ("bash", "bash", BASH),
    ("php", "php", PHP),
];

/// The records as short texts. Text is one record, in however many pieces it came.
fn shown(console: &Console) -> Vec<String> {
    let show = |record: Record<'_>| match record {
        Record::Stdout(text) => format!("o{text}"),
        Record::Stderr(text) => format!("e{text}"),
        Record::Media(media) => format!("media {}", media.media_type()),
        Record::Value(value) => {
            let mut all = format!("={}", value.forms()[0].content());
            for form in &value.forms()[1..] {
                let bytes = form.bytes().unwrap();
                let content = String::from_utf8_lossy(&bytes);
                all += &format!("|{} {content}", form.media_type());
            }
            all
        }
        other => format!("{other:?}"),
    };
    let mut all: Vec<String> = Vec::new();
    for record in console.iter() {
        let is_text = matches!(record, Record::Stdout(_) | Record::Stderr(_));
        let text = show(record);
        match all.last_mut() {
            Some(last) if is_text && last.starts_with(&text[..1]) => *last += &text[1..],
            _ => all.push(text),
        }
    }
    all
}

/// Runs a snippet, and returns its records and its exit code.
fn run(client: &Client, start: &Execute) -> (Vec<String>, Option<i64>) {
    let mut result = client.call(start).unwrap();
    let mut all = Console::new();
    loop {
        let (status, code) = (result.status.clone(), result.exit_code());
        all.append(result.console);
        if status == ExecutionStatus::Finished {
            return (shown(&all), code);
        }
        result = client.call(&start.proceed(Continuation::Continue)).unwrap();
    }
}

fn echo(kernel: &KernelId, code: &str) -> Execute {
    Execute::start(kernel.clone(), ExecuteMode::query(code)).with_echo(true)
}

#[test]
fn values_are_shown_as_at_the_prompt_of_the_language() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for (language, _, rows) in LANGUAGES.iter().filter(|(_, tool, _)| need(tool)) {
        let token = SessionToken::from_random(random());
        let created = client.call(&CreateKernel::new(*language, token)).unwrap();
        let has_values = !matches!(*language, "bash" | "php");
        assert_eq!(created.echoes(), has_values, "{language}");
        for (code, expected) in *rows {
            let (records, exit_code) = run(&client, &echo(&created.id, code));
            assert_eq!(records, *expected, "{language}: {code}");
            assert_eq!(exit_code, Some(0), "{language}: {code}");
        }
        // Without a word of it, there is no value.
        let (records, _) = run(&client, &echo(&created.id, rows[0].0).with_echo(false));
        let has_value = records.iter().any(|record| record.starts_with('='));
        assert!(!has_value, "{language}: {records:?}");
        client.destroy(&created.id);
    }
}

#[test]
fn much_of_a_value_is_cut_in_its_middle() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for (language, tool, code) in [
        ("python3", "python3", "'a' + '\u{e9}' * 20_000_000 + 'z'"),
        ("ruby", "ruby", "'a' + '\u{e9}' * 20_000_000 + 'z'"),
        ("perl", "perl", "'a' . ('\u{e9}' x 10_000_000) . 'z'"),
        ("lua", "lua", "'a' .. string.rep('\u{e9}', 10000000) .. 'z'"),
        ("nodejs", "node", "'a' + '\u{e9}'.repeat(2_000_000) + 'z'"),
        ("r", "Rscript", "paste0('a', strrep('x', 20000000), 'z')"),
    ] {
        if !need(tool) {
            continue;
        }
        let kernel = client.create(language);
        let (shown, exit_code) = run(&client, &echo(&kernel, code));
        let [value] = &shown[..] else {
            panic!("{language}: {} records", shown.len());
        };
        assert_eq!(
            exit_code,
            Some(0),
            "{language}: {}",
            value.chars().take(300).collect::<String>()
        );
        let head: String = value.chars().take(20).collect();
        assert!(head.contains('a'), "{language}: {head}");
        assert!(value.len() < 3 << 20, "{language}: {}", value.len());
        assert!(value.contains("..."), "{language}");
        // The interpreter keeps running.
        let (shown, _) = run(&client, &echo(&kernel, "1 + 1"));
        assert!(shown[0].ends_with('2'), "{language}: {shown:?}");
        client.destroy(&kernel);
    }
}

#[test]
fn errors_of_values_are_errors_of_the_snippet() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for (language, tool, code) in [
        (
            "python3",
            "python3",
            "class B:\n  def __repr__(self): raise KeyError('bad')\nB()",
        ),
        (
            "nodejs",
            "node",
            "({ [require('util').inspect.custom]() { throw new Error('bad') } })",
        ),
        (
            "ruby",
            "ruby",
            "class B; def inspect = raise('bad'); end; B.new",
        ),
        (
            "lua",
            "lua",
            "return setmetatable({}, { __tostring = function() error('bad') end })",
        ),
        (
            "perl",
            "perl",
            "package B2 { use overload '\"\"' => sub { die 'bad' } } bless {}, 'B2'",
        ),
        (
            "r",
            "R",
            "print.zz <- function(x, ...) stop('bad'); structure(1, class = 'zz')",
        ),
    ] {
        if !need(tool) {
            continue;
        }
        let kernel = client.create(language);
        let (mut records, exit_code) = run(&client, &echo(&kernel, code));
        assert_ne!(exit_code, Some(0), "{language}: {records:?}");
        if language == "python3" {
            let told = records.pop();
            let expected = r#"={"error": {"name": "KeyError", "value": "'bad'"}}"#;
            assert_eq!(told.as_deref(), Some(expected));
        }
        assert!(
            records.iter().all(|it| it.starts_with('e')),
            "{language}: {records:?}"
        );
        let all = records.concat();
        assert!(all.contains("bad"), "{language}: {all}");
        for own in ["sorna", "lua.lua", "/runners"] {
            assert!(!all.contains(own), "{language}: {all}");
        }
        // The kernel is as before.
        let (records, exit_code) = run(&client, &echo(&kernel, "1 + 1"));
        assert_eq!(
            (records.len(), exit_code),
            (1, Some(0)),
            "{language}: {records:?}"
        );
    }
}

#[test]
fn values_precede_what_comes_after_them() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for (language, tool, code, expected) in [
        (
            "python3",
            "python3",
            "import atexit; atexit.register(print, 'bye'); 5",
            ["=5", "obye\n"],
        ),
        (
            "nodejs",
            "node",
            "process.on('exit', () => console.log('bye')); 5",
            ["=5", "obye\n"],
        ),
        (
            "ruby",
            "ruby",
            "at_exit { puts 'bye' }; 5",
            ["=5", "obye\n"],
        ),
        (
            "perl",
            "perl",
            "END { print \"bye\\n\" } 5",
            ["=5", "obye\n"],
        ),
        (
            "r",
            "R",
            "invisible(reg.finalizer(globalenv(), function(e) cat('bye\\n'), TRUE)); 5",
            ["=[1] 5", "obye\n"],
        ),
    ] {
        if need(tool) {
            let start = echo(&client.create(language), code).with_final(true);
            let (records, _) = run(&client, &start);
            assert_eq!(records, expected, "{language}");
        }
    }
}

#[test]
fn python_tells_which_exception_ends_a_snippet() {
    if !need("python3") {
        return;
    }
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    for (code, name, value) in [
        ("raise ValueError('a\\nb: c')", "ValueError", "a\nb: c"),
        ("import sys\nsys.exit('bye')", "SystemExit", "bye"),
        ("raise SystemExit(3)", "SystemExit", "3"),
        ("f(", "SyntaxError", "'(' was never closed"),
        (
            "class B(Exception):\n  def __str__(self): 1/0\nraise B",
            "B",
            "<exception str() failed>",
        ),
        (
            "sys.excepthook = lambda *all: None\nraise KeyError('x')",
            "KeyError",
            "'x'",
        ),
    ] {
        let (records, exit_code) = run(&client, &echo(&kernel, code));
        assert_ne!(exit_code, Some(0), "{code}");
        let told = records.last().and_then(|it| it.strip_prefix('='));
        let told: serde_json::Value = serde_json::from_str(told.expect("it tells")).expect("JSON");
        let expected = serde_json::json!({"error": {"name": name, "value": value}});
        // Python 3.9 has other words for this one.
        match name {
            "SyntaxError" => assert_eq!(told["error"]["name"], name),
            _ => assert_eq!(told, expected),
        }
        // Nothing is told where no values are wanted.
        let plain = Execute::start(kernel.clone(), ExecuteMode::query(code));
        let (records, _) = run(&client, &plain);
        assert!(!records.iter().any(|it| it.starts_with('=')), "{records:?}");
    }
    let (records, exit_code) = run(&client, &echo(&kernel, "sys.exit(0)"));
    assert_eq!((records, exit_code), (vec![], Some(0)));
}

#[test]
fn lines_that_set_up_what_is_there_are_passed_over() {
    if !need("python3") {
        return;
    }
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    for (code, expected) in [
        ("%matplotlib inline", &[][..]),
        (
            "%matplotlib inline\n%config InlineBackend.figure_format = 'svg'\n6 * 7",
            &["=42"],
        ),
        // What is no such line stays.
        (
            "'''\n%matplotlib inline\n'''",
            &[r"='\n%matplotlib inline\n'"],
        ),
        (
            "matplotlib = config = 2\nx = (7\n%matplotlib\n%config)\nx",
            &["=1"],
        ),
    ] {
        let (records, exit_code) = run(&client, &echo(&kernel, code));
        assert_eq!(records, expected, "{code}");
        assert_eq!(exit_code, Some(0), "{code}");
    }
    let code = "%matplotlib inline\n%time x";
    let (records, exit_code) = run(&client, &echo(&kernel, code));
    let all = records.concat();
    assert_eq!(exit_code, Some(1), "{all}");
    assert!(all.contains("line 2") && all.contains("%time x"), "{all}");
    assert!(!all.contains("During handling"), "{all}");
}

#[test]
fn json_of_python_has_no_nan() {
    if !need("python3") {
        return;
    }
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code = "class J:\n  def __repr__(self): return 'J'\n  def _repr_json_(self): return {'a': [float('nan'), 1.5, float('-inf'), 'NaN']}\n\
        class P(J):\n  def _repr_mimebundle_(self, **_): return {'application/x+json': float('inf')}\nJ()";
    let (records, _) = run(&client, &echo(&kernel, code));
    let json = r#"application/json {"a": [null, 1.5, null, "NaN"]}"#;
    assert_eq!(records, [format!("=J|{json}")]);
    let (records, _) = run(&client, &echo(&kernel, "P()"));
    assert_eq!(records, [format!("=J|{json}|application/x+json null")]);
}

#[test]
fn displays_come_in_all_their_forms_where_values_are_wanted() {
    if !need("python3") {
        return;
    }
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code = "class H:\n  def __repr__(self): return 'H'\n  def _repr_html_(self): return '<b>'\n\
        print('a', end='')\ndisplay(H(), 3)\nh = display(4, display_id='x')\nh.update(H(), exclude=['text/plain'])\n\
        display({'text/plain': 'p', 'text/html': '<p>'}, raw=True, include=['text/html'])";
    let about = "application/vnd.sorna.display+json";
    let (records, _) = run(&client, &echo(&kernel, code));
    let expected = [
        "oa".to_owned(),
        format!("=H|text/html <b>|{about} {{}}"),
        format!("=3|{about} {{}}"),
        format!(r#"=4|{about} {{"id": "x", "update": false}}"#),
        format!(r#"=<b>|{about} {{"id": "x", "update": true}}"#),
        format!(r#"=<p>|{about} {{"raw": true}}"#),
    ];
    assert_eq!(records, expected);
    // That what was shown is to vanish has no form.
    let clear = "import sorna_kernel\nprint(1)\nsorna_kernel.clear_output(wait=True)\nsorna_kernel.clear_output()";
    let (records, _) = run(&client, &echo(&kernel, clear));
    let expected = ["later", "now"].map(|when| format!(r#"={{"clear": "{when}"}}"#));
    assert_eq!(
        (records[0].as_str(), &records[1..]),
        ("o1\n", &expected[..])
    );
    // Elsewhere, it is the richest form alone, and nothing vanishes.
    let code = format!("display(H(), 3)\n{clear}");
    let plain = Execute::start(kernel, ExecuteMode::query(code));
    let (records, _) = run(&client, &plain);
    assert_eq!(records, ["Html(\"<b>\")", "o3\n1\n"]);
}

#[test]
fn tables_of_r_have_html_beside_their_text() {
    if !need("R") {
        return;
    }
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("r");
    let table = |head: &str, rows: &[&str]| {
        let rows: String = rows.iter().map(|row| format!("<tr>{row}</tr>\n")).collect();
        format!(
            "<table>\n<thead><tr><th></th>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
        )
    };
    for (code, text, html) in [
        (
            "data.frame(a = c(1.5, NA), `<b>` = c('x&\"y', 'é\\tz'), check.names = FALSE)",
            "    a  <b>\n1 1.5 x&\"y\n2  NA é\\tz",
            table(
                "<th>a</th><th>&lt;b&gt;</th>",
                &[
                    "<th>1</th><td>1.5</td><td>x&amp;&quot;y</td>",
                    "<th>2</th><td>NA</td><td>é\tz</td>",
                ],
            ),
        ),
        (
            "matrix(1:4, 2)",
            "     [,1] [,2]\n[1,]    1    3\n[2,]    2    4",
            table(
                "<th>[,1]</th><th>[,2]</th>",
                &[
                    "<th>[1,]</th><td>1</td><td>3</td>",
                    "<th>[2,]</th><td>2</td><td>4</td>",
                ],
            ),
        ),
        // Functions of the program with the names of R's own, and a method that prints.
        (
            "paste0 <- paste <- gsub <- function(...) stop('mine')\n\
             format.mine <- function(x, ...) { cat('printed'); rep('f', length(x)) }\n\
             structure(list(a = structure(1:2, class = 'mine')), class = c('tbl', 'data.frame'), row.names = c('x', 'y'))",
            "printed  a\nx f\ny f",
            table(
                "<th>a</th>",
                &["<th>x</th><td>f</td>", "<th>y</th><td>f</td>"],
            ),
        ),
    ] {
        let (records, exit_code) = run(&client, &echo(&kernel, code));
        assert_eq!(records, [format!("={text}|text/html {html}")], "{code}");
        assert_eq!(exit_code, Some(0), "{code}");
        // Elsewhere, only the text.
        let (records, _) = run(&client, &echo(&kernel, code).with_echo(false));
        assert_eq!(records, [format!("o{text}\n")], "{code}");
    }
    for code in [
        "print.broken <- function(x, ...) cat('text\n'); format.odd <- function(x, ...) stop('no')\n\
         structure(list(a = structure(1:2, class = 'odd')), class = c('broken', 'data.frame'), row.names = 1:2)",
        "structure(list(a = 1:3, b = 1), class = c('broken', 'data.frame'), row.names = 1:3)",
        "structure(list(1), class = c('broken', 'data.frame'))",
        "structure(table(1:2, 1:2), class = c('broken', 'table'))",
    ] {
        let (records, exit_code) = run(&client, &echo(&kernel, code));
        assert_eq!(
            (records, exit_code),
            (vec!["=text".to_owned()], Some(0)),
            "{code}"
        );
    }
    // Much of one is left out, and counted.
    let code = "invisible(options(max.print = 9)); x <- as.data.frame(matrix(0, 1062, 23)); x";
    let (records, _) = run(&client, &echo(&kernel, code));
    let html = records[0].split_once("|text/html ").expect("a table").1;
    assert_eq!(html.matches("<tr>").count(), 61, "{html}");
    assert_eq!(html.matches("<td>").count(), 60 * 20, "{html}");
    assert!(
        html.ends_with("<p>... 1,002 more rows and 3 more columns</p>\n"),
        "{html}"
    );
    let (records, _) = run(&client, &echo(&kernel, "x[1:61, 1:2]"));
    assert!(
        records[0].ends_with("</table>\n<p>... 1 more row</p>\n"),
        "{records:?}"
    );
}

#[test]
fn plots_of_r_are_pictures() {
    if !need("R") {
        return;
    }
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("r");
    let (can, _) = run(&client, &echo(&kernel, "capabilities('png')[[1]]"));
    if !sorna_test_tools::need_that(can == ["=[1] TRUE"], "pictures of R") {
        return;
    }
    for (code, expected) in [
        ("plot(1:3)", &["media image/png"][..]),
        (
            "plot(1:3); plot(3:1); 'two'",
            &["=[1] \"two\"", "media image/png", "media image/png"],
        ),
        ("hist(c(1, 2, 2)); invisible(1)", &["media image/png"]),
        ("pdf(NULL); plot(1); invisible(dev.off())", &[]),
    ] {
        let (records, exit_code) = run(&client, &echo(&kernel, code));
        assert_eq!(records, expected, "{code}");
        assert_eq!(exit_code, Some(0), "{code}");
    }
}

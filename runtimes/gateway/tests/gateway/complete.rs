//! Completion, over a real socket.

use crate::common::{Client, gateway};
use sorna_core::{Complete, KernelId};
use sorna_gateway::RunningGateway;

/// A python3 kernel that has run something.
struct Lab {
    client: Client,
    kernel: KernelId,
    _gateway: RunningGateway,
}

impl Lab {
    fn new(code: &str) -> Self {
        let gateway = gateway();
        let client = Client::new(&gateway);
        let kernel = client.create("python3");
        let (_, stderr) = client.run(&kernel, code).finished();
        assert_eq!(stderr, "");
        Self {
            client,
            kernel,
            _gateway: gateway,
        }
    }

    /// The candidates at the end of some code.
    fn at_end(&self, code: &str) -> Vec<String> {
        let request = Complete::at_end(self.kernel.clone(), code);
        self.client.call(&request).unwrap()
    }

    /// The candidates at `|`, in a request with all fields.
    fn at_cursor(&self, code: &str) -> Vec<String> {
        let (before, after) = code.split_once('|').unwrap();
        let mut request = Complete::at_end(self.kernel.clone(), before);
        request.code = format!("{before}{after}");
        request.post = after.to_owned();
        self.client.call(&request).unwrap()
    }

    #[track_caller]
    fn finds(&self, code: &str, expected: &[&str]) {
        assert_eq!(self.at_end(code), expected, "{code}");
    }
}

#[test]
fn names_keywords_and_builtins() {
    let lab = Lab::new("some_name = 'x'\ndef some_function(): pass\nclass SomeClass: pass");
    lab.finds("some_n", &["some_name"]);
    lab.finds(
        "if a:\n    print(1 + some_",
        &["some_function(", "some_name"],
    );
    lab.finds("x = SomeC", &["SomeClass("]);
    lab.finds("whi", &["while"]);
    lab.finds("x = Tru", &["True"]);
    lab.finds("prin", &["print("]);
    lab.finds("no_such_name_here", &[]);
    lab.finds("", &[]);
    lab.finds("some_name ", &[]);
}

#[test]
fn attributes() {
    let lab = Lab::new(
        "import os\n\
         class A:\n\
         \u{20}   def __init__(self): self.field = 'text'; self._hidden = 1\n\
         \u{20}   def method(self): pass\n\
         \u{20}   @classmethod\n\
         \u{20}   def made(cls): pass\n\
         \u{20}   @property\n\
         \u{20}   def size(self): return 1\n\
         a = A()",
    );
    lab.finds("a.", &["a.field", "a.made(", "a.method(", "a.size"]);
    lab.finds("a._h", &["a._hidden"]);
    lab.finds("A.m", &["A.made(", "A.method("]);
    lab.finds("a.__init_", &["a.__init__(", "a.__init_subclass__("]);
    lab.finds(
        "y = a.field.isal",
        &["a.field.isalnum(", "a.field.isalpha("],
    );
    lab.finds("os.path.joi", &["os.path.join("]);
    lab.finds("f(a.si", &["a.size"]);
    lab.finds("a.nothing.x", &[]);
    // This would need more than lookups.
    lab.finds("1.re", &[]);
}

#[test]
fn what_is_called_or_subscripted() {
    let lab = Lab::new(
        "ran = []\n\
         class A:\n\
         \u{20}   def __init__(self): ran.append('init')\n\
         \u{20}   def method(self): pass\n\
         \u{20}   @property\n\
         \u{20}   def size(self): ran.append('size')\n\
         class Odd(list):\n\
         \u{20}   def __getitem__(self, at): ran.append('at')\n\
         class Table:\n\
         \u{20}   def _ipython_key_completions_(self): return ['one', 'two', 5]\n\
         def f(): ran.append('f')\n\
         l, odd, table = ['a', {'k': (1,)}], Odd(['x']), Table()\n\
         d = {'alpha': 1, 'al\"pha': 2, 3: [], -31: 5}",
    );
    // Of a class that is called, what its objects have.
    lab.finds("A().me", &[".method("]);
    lab.finds("x = A(1, ')').", &[".method(", ".size"]);
    lab.finds("str(5).isal", &[".isalnum(", ".isalpha("]);
    lab.finds("f().me", &[]);
    lab.finds("type(l).me", &[]);
    // Elements of what has no code of the user's.
    lab.finds("l[0].isal", &[".isalnum(", ".isalpha("]);
    lab.finds("l[1]['k'][0].num", &[".numerator"]);
    lab.finds("l[1]['", &["['k']"]);
    lab.finds("odd[0].isal", &[]);
    lab.finds("no_such[0].me", &[]);
    lab.finds("d[", &["d['alpha']", "d['al\"pha']", "d[3]", "d[-31]"]);
    lab.finds("print(d[3", &["d[3]"]);
    lab.finds("d[-", &["d[-31]"]);
    lab.finds("[1, 2][", &[]);
    lab.finds("l[", &[]);
    lab.finds("table[", &["table['one']", "table['two']", "table[5]"]);
    lab.finds("table['t", &["table['two']"]);
    assert_eq!(lab.at_cursor("d[3|]"), ["d[3"]);
    assert_eq!(lab.at_cursor("d[|]")[0], "d['alpha'");
    let (stdout, _) = lab.client.run(&lab.kernel, "print(ran)").finished();
    assert_eq!(stdout, "[]\n");
}

#[test]
fn files_in_open_strings() {
    let lab = Lab::new("import os\nos.mkdir('data')\nd = {'key': 1}");
    lab.client
        .upload(
            &lab.kernel,
            &[
                ("data/a b.csv", b""),
                ("data/.hidden", b""),
                ("data/it's", b""),
                ("dates.txt", b""),
            ],
        )
        .unwrap();
    lab.finds("open('da", &["data/", "dates.txt"]);
    lab.finds("x = 1; f(d['key'], open(\"data/", &["data/a b.csv"]);
    lab.finds("open('data/a b", &["data/a b.csv"]);
    lab.finds("open('./dat", &["./data/", "./dates.txt"]);
    lab.finds("open('data/.", &["data/.hidden"]);
    let (home, _) = lab.client.run(&lab.kernel, "print(os.getcwd())").finished();
    let whole = format!("{}/dates", home.trim_end());
    lab.finds(&format!("open('{whole}"), &[&format!("{whole}.txt")]);
    assert_eq!(lab.at_cursor("open('dates|')"), ["dates.txt"]);
    lab.finds("open('no/such", &[]);
    lab.finds("\"\"\"da", &[]);
    lab.finds("d['da", &[]);
    lab.finds("x = 'it\\'s da", &[]);
}

#[test]
fn imports() {
    let lab = Lab::new("import os, sys\nloaded = set(sys.modules)");
    lab.client
        .upload(
            &lab.kernel,
            &[
                (
                    "module_of_mine.py",
                    b"def work(): pass\nVALUE = 1\nraise SystemExit",
                ),
                ("pack/__init__.py", b"raise SystemExit"),
                ("pack/inner.py", b"class Deep: pass"),
            ],
        )
        .unwrap();
    lab.finds("import os.pa", &["os.path"]);
    lab.finds("import sys, shut", &["shutil"]);
    lab.finds("from xml.etre", &["xml.etree"]);
    lab.finds("import xml.etree.ElementT", &["xml.etree.ElementTree"]);
    lab.finds("from os import pathse", &["pathsep"]);
    lab.finds("from os import (path, linese", &["linesep"]);
    lab.finds("x = 1; import fileinp", &["fileinput"]);
    lab.finds("import statistic", &["statistics"]);
    lab.finds("import sorna_k", &["sorna_kernel"]);
    lab.finds("from os imp", &["import"]);
    lab.finds("fromage", &[]);
    // Modules of the user: none of their code runs.
    lab.finds("import module_of_m", &["module_of_mine"]);
    lab.finds("from module_of_mine import ", &["VALUE", "work"]);
    lab.finds("import pack.", &["pack.inner"]);
    lab.finds("from pack.inner import De", &["Deep"]);
    let (stdout, _) = lab
        .client
        .run(
            &lab.kernel,
            "print([name for name in ('module_of_mine', 'pack', 'xml.etree') if name in sys.modules])",
        )
        .finished();
    assert_eq!(stdout, "[]\n");
}

#[test]
fn keys_and_strings() {
    let lab = Lab::new("d = {'alpha': 1, 'al\"pha': 2, 'beta': {}, 3: 4}\nname = 1");
    lab.finds("d['al", &["d['alpha']"]);
    lab.finds("print(d[\"", &["d[\"alpha\"]", "d[\"beta\"]"]);
    lab.finds("d['beta']['", &[]);
    // Neither in strings nor in comments.
    lab.finds("x = 'nam", &[]);
    lab.finds("x = 'it\\'s nam", &[]);
    lab.finds("\"\"\"a\nnam", &[]);
    lab.finds("# nam", &[]);
    lab.finds("x = f'{nam", &["name"]);
    lab.finds("x = f'{name} nam", &[]);
    lab.finds("x = 'a'; nam", &["name"]);
    lab.finds("\"\"\"a\n\"\"\"; nam", &["name"]);
}

#[test]
fn the_cursor_may_be_in_the_middle() {
    let lab = Lab::new("import os\noptions = 1");
    assert_eq!(lab.at_cursor("opt| + 1\nos.x"), ["options"]);
    assert_eq!(
        lab.at_cursor("x = 1\nprint(os.path.jo|, 1)\ny"),
        ["os.path.join("]
    );
    assert_eq!(lab.at_cursor("os.path.jo|(x)"), ["os.path.join"]);
    assert_eq!(lab.at_cursor("'é 😀'; opt|ions"), ["options"]);

    // Clients that send fewer fields, or the whole line.
    let mut bare = Complete::at_end(lab.kernel.clone(), "x = 1\nopt");
    (bare.row, bare.col, bare.line) = (0, 0, String::new());
    assert_eq!(lab.client.call(&bare).unwrap(), ["options"]);
    bare.code.push_str(" + 1");
    bare.post = " + 1".to_owned();
    assert_eq!(lab.client.call(&bare).unwrap(), ["options"]);
    let mut place = Complete::at_end(lab.kernel.clone(), "x = 1\nopt + 1\nz");
    (place.row, place.col, place.line) = (1, 3, String::new());
    assert_eq!(lab.client.call(&place).unwrap(), ["options"]);
    place.line = "opt + 1".to_owned();
    assert_eq!(lab.client.call(&place).unwrap(), ["options"]);
    (place.row, place.col) = (70, 3);
    place.line = String::new();
    assert_eq!(lab.client.call(&place).unwrap(), [""; 0]);
}

#[test]
fn what_follows_the_cursor_is_not_added_again() {
    let lab = Lab::new(
        "d = {'alpha': 1, 'beta': 2}\ndef call_it(first, *, second=2): pass\nclass A:\n    def method(self): pass\na = A()",
    );
    for (code, expected) in [
        ("d['al|']", &["d['alpha"][..]),
        ("d[\"al|\"] + 1", &["d[\"alpha"]),
        ("d['|']", &["d['alpha", "d['beta"]),
        ("f(d['al|'])", &["d['alpha"]),
        ("d['al|' ]", &["d['alpha"]),
        ("d['al|')", &["d['alpha"]),
        ("d['al|]", &["d['alpha'"]),
        ("d['al|pha']", &["d['alpha"]),
        ("d['al|", &["d['alpha']"]),
        ("d['al|\nd['beta']", &["d['alpha']"]),
        ("x = d['al| + d['beta']", &["d['alpha']"]),
        ("call_it(fir|=1)", &["first"]),
        ("call_it(fir| = 1)", &["first"]),
        ("call_it(1, sec|ond=1)", &["second"]),
        ("call_it(fir|)", &["first="]),
        ("call_it(fir|, second=1)", &["first="]),
        ("call_it(fir| == 1)", &[]),
        ("call_|it(1)", &["call_it"]),
        ("a.met| ()", &["a.method"]),
        ("a.met|", &["a.method("]),
    ] {
        assert_eq!(lab.at_cursor(code), expected, "{code}");
    }
}

#[test]
fn objects_that_fail_or_hang_have_no_candidates_and_the_kernel_survives() {
    let lab = Lab::new(
        "import time, signal, builtins\n\
         class Odd:\n\
         \u{20}   fine = 1\n\
         \u{20}   @property\n\
         \u{20}   def bad(self): raise ValueError\n\
         \u{20}   @property\n\
         \u{20}   def gone(self): raise SystemExit\n\
         \u{20}   @property\n\
         \u{20}   def loop(self):\n\
         \u{20}       while True: pass\n\
         \u{20}   @property\n\
         \u{20}   def sleep(self): time.sleep(1000)\n\
         class Liar:\n\
         \u{20}   def __dir__(self): return ['b', 'a']\n\
         \u{20}   def __getattr__(self, name): raise RuntimeError\n\
         class Blind:\n\
         \u{20}   def __dir__(self): raise RuntimeError\n\
         odd, liar, blind = Odd(), Liar(), Blind()\n\
         globals()[3] = 4",
    );
    let all = ["odd.bad", "odd.fine", "odd.gone", "odd.loop", "odd.sleep"];
    lab.finds("odd.", &all);
    lab.finds("odd.bad.x", &[]);
    lab.finds("odd.gone.x", &[]);
    lab.finds("liar.", &["liar.a", "liar.b"]);
    lab.finds("blind.", &[]);
    lab.finds("odd.loop.x", &[]);
    lab.finds("odd.sleep.x", &[]);
    lab.finds("odd.f", &["odd.fine"]);
    let long = format!("{}(", "a".repeat(500_000));
    lab.finds(&long, &[]);
    lab.finds(&format!("{long}odd.f"), &["odd.fine"]);
    let (stdout, stderr) = lab.client.run(&lab.kernel, "print(odd.fine)").finished();
    assert_eq!((stdout.as_str(), stderr.as_str()), ("1\n", ""));
}

#[test]
fn other_languages_have_no_candidates() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let bash = client.create("bash");
    assert_eq!(client.call(&Complete::at_end(bash, "ec")).unwrap(), [""; 0]);
}

//! Where code goes on in the next line at the prompt of `sorna repl`, in a real terminal, in all languages.

use sorna_test_tools::need;

use crate::support::prompt::{open, runs};
use crate::support::{gateway, here};

/// What is typed, and what it prints.
type Row = (&'static str, &'static str);

/// In each language, its command, snippets of many lines, each of which Enter ends (those that need others before them are after
/// a line end), and mistakes.
const LANGUAGES: &[(&str, &str, &[Row], &[Row])] = &[
    (
        "python3",
        "python3",
        &[
            ("def f(x):\r    return x + 41\r\nf(1)", "42"),
            ("print(6 *\r7)", "42"),
            ("'''a\rb'''.upper()", "A\\nB"),
            ("6 * \\\r7", "42"),
            ("'for\\\rty'", "'forty'"),
        ],
        &[
            ("f(]", "SyntaxError"),
            ("x = = 1", "SyntaxError"),
            ("'unclosed", "SyntaxError"),
        ],
    ),
    (
        "ruby",
        "ruby",
        &[
            ("def f(x)\rx + 41\rend\nf(1)", "42"),
            (
                "class A\rdef g\rif true\r'f' + 'orty'\rend\rend\rend\nA.new.g",
                "forty",
            ),
            ("[6].each do |x|\rputs x * 7\rend", "42"),
            ("6 *\r7", "42"),
            ("puts <<~E\r  fo#{'r'}ty\rE", "forty"),
            ("'fo\rrty'.size", "6"),
        ],
        &[
            ("f(]", "syntax error"),
            ("x = = 1", "syntax error"),
            ("end", "syntax error"),
        ],
    ),
    (
        "nodejs",
        "node",
        &[
            ("function f(x)\r{\rreturn x + 41\r}\nf(1)", "42"),
            ("6 *\r7", "42"),
            ("[6].map(x =>\rx * 7)", "42"),
            ("`fo\r${'r' + 'ty'}`", "fo\\nrty"),
            ("if (true)\rconsole.log(6 * 7)", "42"),
        ],
        &[
            ("f(]", "SyntaxError"),
            ("x = = 1", "SyntaxError"),
            ("'unclosed", "SyntaxError"),
        ],
    ),
    (
        "perl",
        "perl",
        &[
            ("sub f\r{\rreturn $_[0] + 41;\r}\nprint f(1);", "42"),
            ("print 6 *\r7", "42"),
            ("print <<E . 'x';\rfor{\rE", "for{\r\nx"),
            ("print qw(for\rty)", "forty"),
            ("if (1)\r{ print 6 * 7 }", "42"),
        ],
        &[
            ("f(]", "syntax error"),
            ("$x = = 1", "syntax error"),
            ("}", "Unmatched"),
        ],
    ),
    (
        "php",
        "php",
        &[
            ("function f($x)\r{ return $x + 41; }\necho f(1);", "42"),
            ("echo 6\r* 7\r;", "42"),
            ("echo 'for\rty';", "for\r\nty"),
            ("echo <<<E\rfo{$argc}\rE;", "fo0"),
            ("if (1) {\recho 6 * 7;\r}", "42"),
        ],
        &[
            ("f(];", "Unclosed"),
            ("$x = = 1;", "syntax error"),
            ("}", "Unmatched"),
        ],
    ),
    (
        "r",
        "Rscript",
        &[
            ("f <- function(x)\rx + 41\nf(1)", "42"),
            ("6 *\r7", "42"),
            ("nchar('fo\rrty')", "6"),
            ("if (TRUE)\rcat(6 * 7)", "42"),
            ("for (i in 6) {\rcat(i * 7)\r}", "42"),
        ],
        &[
            ("f(]", "unexpected"),
            ("x = = 1", "unexpected"),
            ("}", "unexpected"),
        ],
    ),
    (
        "lua",
        "lua",
        &[
            ("function f(x)\rreturn x + 41\rend\nf(1)", "42"),
            ("6 *\r7", "42"),
            ("#[[fo\rrty]]", "6"),
            ("for i = 6, 6 do\rprint(i * 7)\rend", "42"),
            ("if true then\rprint(6 * 7)\relse\rprint(1)\rend", "42"),
        ],
        &[
            ("f(]", "unexpected symbol"),
            ("x = = 1", "unexpected symbol"),
            ("'unclosed", "unfinished string"),
        ],
    ),
    (
        "bash",
        "bash",
        &[
            ("f()\r{\recho $(($1 + 41))\r}\nf 1", "42"),
            ("cat <<E\rfo$((6 * 7))\rE", "fo42"),
            ("echo fo$(\recho rty)", "forty"),
            ("x=(4\r2); echo ${x[0]}${x[1]}", "42"),
            ("if true &&\rtrue; then\recho $((6 * 7))\rfi", "42"),
            ("echo 'fo\rrty'", "fo\r\nrty"),
        ],
        &[
            ("echo )", "syntax error"),
            ("fi", "syntax error"),
            ("done", "syntax error"),
        ],
    ),
];

#[test]
fn what_is_incomplete_goes_on_and_mistakes_are_reported_at_once() {
    let (gateway, directory) = (gateway(), here());
    for (language, command, incomplete, wrong) in LANGUAGES {
        if !need(command) {
            continue;
        }
        let mut terminal = open(directory.path(), &gateway, "sorna", &[language]);
        for (code, output) in *incomplete {
            let mut snippets: Vec<_> = code.split('\n').collect();
            let last = snippets.pop().expect("there is one");
            for snippet in snippets {
                runs(&mut terminal, snippet, "");
            }
            runs(&mut terminal, last, output);
        }
        for (code, output) in *wrong {
            runs(&mut terminal, code, output);
        }
        terminal.types("\x04");
        assert!(terminal.ends().is_some(), "{language}");
    }
    gateway.stop();
}

#[test]
fn commands_of_the_prompt_do_not_go_on() {
    if !need("php") {
        return;
    }
    let (gateway, directory) = (gateway(), here());
    let mut terminal = open(directory.path(), &gateway, "sorna", &["php"]);
    runs(&mut terminal, "%info", "Age");
    runs(&mut terminal, "%upload 'a", "a quote is missing");
    terminal.types("exit\r");
    assert_eq!(terminal.ends(), Some(0));
    gateway.stop();
}

#[test]
fn an_empty_line_ends_what_would_go_on() {
    let (gateway, directory) = (gateway(), here());
    for (language, command, code, output) in [
        ("ruby", "ruby", "def f\r", "syntax error"),
        ("php", "php", "echo 1\r", "syntax error"),
        ("lua", "lua", "x =\r", "unexpected symbol"),
    ] {
        if !need(command) {
            continue;
        }
        let mut terminal = open(directory.path(), &gateway, "sorna", &[language]);
        runs(&mut terminal, code, output);
        terminal.types("\x04");
        assert!(terminal.ends().is_some(), "{language}");
    }
    gateway.stop();
}

use super::*;

fn check(lang: &str, unfinished: &[&str], finished: &[&str]) {
    let syntax = Syntax::of(lang);
    for code in unfinished {
        assert!(is_unfinished(code, syntax), "{lang}: {code:?}");
    }
    for code in finished {
        assert!(!is_unfinished(code, syntax), "{lang}: {code:?}");
    }
}

#[test]
fn python_blocks_end_by_an_empty_line() {
    check(
        "python3",
        &[
            "def f():",
            "def f():\n    return 1",
            "if x: # why",
            "if x:\n    pass\nelse:",
            "@cache",
            "f(1,",
            "x = [\n",
            "'''a\n",
            "\"\"\"it's",
            "x = 1 + \\",
            "'a\\",
            "{'a': '}',\n\n",
        ],
        &[
            "x = 1",
            "def f():\n    return 1\n",
            "def f():\n    return 1\nf()",
            "if x: pass",
            "x = {1: 2}",
            "'it''s'",
            "'unclosed",
            "'a:'",
            "x # then:",
            "x = [\n  1]",
            "'''a\n  b'''",
            "x = 1 + \\\n  2",
            "f(']')",
            ")",
            "",
        ],
    );
}

#[test]
fn nodejs_goes_on_as_its_own_prompt() {
    check(
        "nodejs",
        &[
            "f(",
            "() => {",
            "`a\n${b}",
            "`${f(`x`)",
            "/* a",
            "[1, // ]",
            "1 +",
            "x =",
            "x ?",
            "a.b.",
            "() =>",
            "if (x)",
            "for (;;)",
            "else",
            "function f()",
            "class A",
            "'a\\",
            "a &&",
            "const",
            "async function f()",
            "/[(/]/.test(",
        ],
        &[
            "f('(')",
            "{}",
            "`a`",
            "/* ( */",
            "'unclosed",
            "f(\n\n",
            "x++",
            "x--",
            "/(/.test(x)",
            "a / b / c",
            "`${f(`x`)}`",
            "do { x() } while (y)",
            "x.in",
            "if (x) y",
            "f(]",
            ")",
            "1 + * 2",
            "function f() {}",
            "x = /'/",
            "async () => 1",
            "// (",
        ],
    );
}

#[test]
fn php_goes_on_until_a_statement_ends() {
    check(
        "cr.backend.ai/stable/php:8.3",
        &[
            "f(",
            "'a\nb",
            "echo 1",
            "$x =",
            "$x = <<<EOT\n a",
            "echo \"{$a[\"x\"]}",
            "if ($x) {",
            "/* a;",
        ],
        &[
            "f(); // (",
            "echo 1;",
            "if (1) { f(); }",
            "$x = <<<EOT\n 'a\n EOT;",
            "echo \"{$a[\"x\"]}\";",
            "f(];",
            "# (",
            "echo 'it\\'s';",
        ],
    );
}

#[test]
fn r_goes_on_as_its_own_prompt() {
    check(
        "r",
        &[
            "f(x",
            "'a\nb",
            "x <-",
            "1 +",
            "a %in%",
            "a |>",
            "x ->",
            "if (x)",
            "function(x)",
            "f <- function(x, y)",
            "else",
            "{",
            "c(1,\n2",
        ],
        &[
            "f(x) # (",
            "x <- 'it'",
            "if (x) y",
            "5 %% 2",
            "f(]",
            "for (i in 1:3) print(i)",
            "a.in",
            "`a b`",
            "1 + * 2",
        ],
    );
}

#[test]
fn lua_goes_on_as_its_own_prompt() {
    check(
        "lua",
        &[
            "function f()",
            "if x then",
            "for i = 1, 2 do",
            "while x do\n f()",
            "repeat",
            "do",
            "x =",
            "f(",
            "a ..",
            "x and",
            "[[a",
            "[==[ ]]",
            "--[[ a",
            "t = {",
            "local",
            "if x then\n  y()\nelse",
            "local f = function()",
        ],
        &[
            "x = 1",
            "function f() end",
            "if x then y() end",
            "for i = 1, 2 do f() end",
            "while x do f() end",
            "repeat f() until x",
            "[[a]]",
            "'unclosed",
            "-- [[",
            "--[[ if ]]",
            "end",
            "f(]",
            "return",
            "t['end']",
            "::a::",
            "a.if_end()",
            "x = = 1",
        ],
    );
}

#[test]
fn ruby_goes_on_as_irb() {
    check(
        "ruby",
        &[
            "def f",
            "def f(a, b)",
            "class A < B",
            "module M",
            "class << self",
            "begin",
            "if x",
            "unless x",
            "while x do",
            "until x",
            "case x",
            "for i in 1..2 do",
            "[1].each do |x|",
            "[1].map { |x|",
            "x = if y",
            "f(",
            "1 +",
            "a.",
            "'a",
            "\"a",
            "\"a #{f(\"b\")",
            "<<~E\n a",
            "x = <<-'E'\n a",
            "%w[a b",
            "a &&",
            "1 + \\",
            "x =",
            "=begin\n a",
            "def f\n  if x\n    y\n  end",
            "private def f",
            "def name=(v)",
            "def ==(o)",
            "-> do",
            "a ? b :",
            "loop do",
            "foo a,",
        ],
        &[
            "def f; end",
            "def f = 1",
            "def f(x) = x + 1",
            "x if y",
            "x while y",
            "return if x",
            "class A; end",
            "[1].each do |x| p x end",
            "while x do y end",
            "puts 'if'",
            "x.class",
            "a.if",
            "nil?",
            "x.nil? ",
            "{ if: 1 }",
            "f(if: 1)",
            "x = if y then 1 else 2 end",
            "\"a #{f(\"b\")}\"",
            "<<~E\n it's\nE",
            "x << y",
            "a / b / c",
            "x =~ /(/",
            "%w[it's]",
            "# def f",
            "end",
            "f(]",
            "1..",
            "puts <<~A + <<~B\n1\nA\n2\nB",
            "begin; x; end while y",
            "@if",
            "x = = 1",
            "puts [1]",
            "def f\n  1\nend",
            ":begin",
            "a % b",
            "x ? 1 : 2",
        ],
    );
}

#[test]
fn perl_goes_on_by_what_is_open() {
    check(
        "perl",
        &[
            "sub f {",
            "sub f",
            "if ($x) {",
            "if ($x)",
            "for my $i (1..3)",
            "f(",
            "'a",
            "\"a",
            "$x =",
            "1 +",
            "q{a",
            "qw(a b",
            "s{a}{",
            "print <<EOT;\n a",
            "print <<~'E';\n a",
            "$x .",
            "$h{a} =>",
            "@a = (1,",
            "$x and",
            "my",
            "else",
        ],
        &[
            "sub f { 1 }",
            "f();",
            "print $!",
            "my @a = (1, 2)",
            "my %h = (a => 1)",
            "q{it's}",
            "s/(/x/",
            "$x =~ m/'/",
            "$#a",
            "scalar @{$x}",
            "print <<EOT;\n it's\nEOT",
            "print \"a\" if $x",
            "$h{s}",
            "$h{y} = 1;",
            "# (",
            "x(]",
            "}",
            "my $l = <STDIN>",
            "1 / 2",
            "$x++",
            "y/a/b/",
            "qw(a b)",
            "tr{a}{b}",
            "$x = ;",
            "if ($x) { z() }",
            "=pod\n\nit's\n\n=cut",
        ],
    );
}

#[test]
fn any_text_is_judged() {
    let odd =
        "é$é@«%w[é <<~É \"#{`${\\é\n/é[/é s{é}é qé <é> [==[ é$ 'é\\\nÉ =begin\n=cut <<<É $(é <<-'é";
    for language in [
        "python3", "bash", "nodejs", "php", "r", "lua", "perl", "ruby", "c",
    ] {
        for (begin, _) in odd.char_indices() {
            let text = &odd[begin..];
            for (end, _) in text.char_indices() {
                let _ = is_unfinished(&text[..end], Syntax::of(language));
            }
        }
    }
}

#[test]
fn other_languages_go_on_by_brackets_or_not_at_all() {
    check(
        "c",
        &["int main(void) {", "/* a", "x \\"],
        &["int x;", "f();", "}"],
    );
    check("cobol", &[], &["x \\", "f(", "'"]);
}

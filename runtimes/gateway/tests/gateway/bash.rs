//! bash kernels, over a real socket.

use crate::common::{Client, gateway, gateway_with};
use sorna_core::{CreateKernel, SessionToken};

#[test]
fn variables_functions_and_directory_are_kept() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let outcome = client.run(
        &kernel,
        "a=5; f() { echo \"f $a $1\"; }; mkdir -p sub; cd sub",
    );
    assert_eq!(outcome.exit_code(), Some(0));
    let (stdout, stderr) = client
        .run(&kernel, "f x; basename \"$PWD\"; echo err >&2; false")
        .finished();
    assert_eq!(
        (stdout.as_str(), stderr.as_str()),
        ("f 5 x\nsub\n", "err\n")
    );
    assert_eq!(client.run(&kernel, "(exit 7)").exit_code(), Some(7));
    let (_, stderr) = client.run(&kernel, "no-such-command-here").finished();
    assert!(
        stderr.starts_with("bash: ") && stderr.contains("command not found"),
        "{stderr}"
    );
    let outcome = client.run(&kernel, "for");
    assert!(outcome.exit_code().unwrap() > 0);
    assert!(outcome.finished().1.contains("syntax error"));
    let (stdout, stderr) = client.run(&kernel, "set -x; echo 1").finished();
    assert_eq!((stdout.as_str(), stderr.as_str()), ("1\n", "++ echo 1\n"));
    let (stdout, stderr) = client.run(&kernel, "set +x; echo $LINENO $0").finished();
    assert_eq!(
        (stdout.as_str(), stderr.as_str()),
        ("1 bash\n", "++ set +x\n")
    );
}

#[test]
fn aliases_are_for_later_snippets() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    client.run(
        &kernel,
        "alias ll='echo aliased' read='read -r' od='echo no' echo='echo it:'",
    );
    let (stdout, stderr) = client.run(&kernel, "ll x").finished();
    assert_eq!((stdout.as_str(), stderr.as_str()), ("it: aliased x\n", ""));
    client.run(&kernel, "read -p 'name? ' name; echo $name");
    assert_eq!(client.input(&kernel, "a\\b").finished().0, "it: a\\b\n");
    client.run(&kernel, "shopt -u expand_aliases");
    assert_eq!(client.run(&kernel, "ll").exit_code(), Some(127));
}

#[test]
fn exit_ends_the_shell_and_not_the_kernel() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let outcome = client.run(&kernel, "a=1; trap 'echo bye' EXIT; echo hi; exit 3");
    assert_eq!(outcome.exit_code(), Some(3));
    assert_eq!(outcome.finished(), ("hi\nbye\n".to_owned(), String::new()));
    assert_eq!(client.run(&kernel, "echo \"<$a>\"").finished().0, "<>\n");
    assert_eq!(
        client.run(&kernel, "set -e; false; echo never").exit_code(),
        Some(1)
    );
    assert_eq!(client.run(&kernel, "echo again").finished().0, "again\n");
}

#[test]
fn traps_before_each_command_say_nothing_to_the_gateway() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let outcome = client.run(&kernel, "v=1; trap 'echo D' DEBUG; true");
    assert_eq!(outcome.exit_code(), Some(0));
    let (stdout, stderr) = outcome.finished();
    assert!(stdout.starts_with("D\n"), "{stdout}");
    assert_eq!(stderr, "");
    let outcome = client.run(&kernel, "trap - DEBUG; echo v=$v");
    assert!(outcome.finished().0.ends_with("v=1\n"));
}

#[test]
fn break_outside_of_a_loop_ends_the_snippet_and_says_so() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let message =
        "bash: break, continue: only meaningful in a loop; the rest of the snippet was not run\n";
    for snippet in [
        "a=1; break; echo never",
        "continue",
        "for i in 1; do break 2; done; echo never",
        "set -x; break 5",
    ] {
        let outcome = client.run(&kernel, snippet);
        assert_eq!(outcome.exit_code(), Some(1), "{snippet}");
        let (stdout, stderr) = outcome.finished();
        assert_eq!(stdout, "", "{snippet}");
        assert!(stderr.ends_with(message), "{snippet}: {stderr}");
    }
    assert_eq!(client.run(&kernel, "set +x; echo $a").finished().0, "1\n");
}

#[test]
fn every_program_that_reads_gets_input() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let asked = client.run(&kernel, "read -p 'name? ' name; echo \"hi $name\"");
    assert_eq!(
        (asked.asks(), asked.stderr.as_str()),
        (Some(false), "name? ")
    );
    assert_eq!(client.input(&kernel, "Bob").finished().0, "hi Bob\n");
    let asked = client.run(&kernel, "read -rsp 'password: ' p; echo \"${#p}\"");
    assert_eq!(
        (asked.asks(), asked.stderr.as_str()),
        (Some(true), "password: ")
    );
    assert_eq!(client.input(&kernel, "secret").finished().0, "6\n");
    // Other programs, pipes, and here-documents.
    client.run(&kernel, "head -n 1 | tr a-z A-Z");
    assert_eq!(client.input(&kernel, "loud").finished().0, "LOUD\n");
    let (stdout, _) = client
        .run(&kernel, "read x <<< here; echo $x; printf '1 2\\n3 4\\n' | while IFS=' ' read a b; do echo $b; done")
        .finished();
    assert_eq!(stdout, "here\n2\n4\n");
    // The end of input.
    client.run(&kernel, "cat; echo after");
    assert_eq!(client.input(&kernel, "line").stdout, "line\n");
    assert_eq!(client.input(&kernel, "\u{4}").finished().0, "after\n");
    // Unread input does not reach the next program.
    client.run(&kernel, "read x; echo $x");
    assert_eq!(
        client.input(&kernel, "first\nsecond").finished().0,
        "first\n"
    );
    let asked = client.run(&kernel, "read y; echo \"<$y>\"");
    assert_eq!(asked.asks(), Some(false));
    assert_eq!(client.input(&kernel, "third").finished().0, "<third>\n");
}

#[test]
fn the_environment_holds_only_known_variables() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let (stdout, _) = client
        .run(&kernel, "env | cut -d= -f1 | sort | tr '\\n' ' '")
        .finished();
    let names: Vec<&str> = stdout.split_whitespace().collect();
    for name in &names {
        let known = [
            "ASAN_OPTIONS",
            "BASH_ENV",
            "CPLUS_INCLUDE_PATH",
            "C_INCLUDE_PATH",
            "HOME",
            "LANG",
            "LSAN_OPTIONS",
            "NODE_OPTIONS",
            "PATH",
            "PERL5LIB",
            "PERL5OPT",
            "PHP_INI_SCAN_DIR",
            "PWD",
            "OLDPWD",
            "PYTHONPATH",
            "PYTHONUNBUFFERED",
            "RUBYOPT",
            "SHELL",
            "SHLVL",
            "SORNA_KERNEL_INPUT",
            "SORNA_KERNEL_MARK",
            "SORNA_KERNEL_STDIN",
            "TERM",
            "TMPDIR",
            "_",
            "_STDBUF_I",
        ];
        assert!(known.contains(name), "{name}");
    }
    let (stdout, _) = client
        .run(
            &kernel,
            "echo $HOME; pwd; ls -A; tty; ps -o sid= -p $$ | tr -d ' '; echo $$",
        )
        .finished();
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines[0], lines[1]);
    assert_eq!(
        &lines[2..],
        ["not a tty", lines[4], lines[4]],
        "own session"
    );
}

#[test]
fn tools_are_searched_on_the_configured_path() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/bin/bash", directory.path().join("bash")).unwrap();
    let gateway = gateway_with(|config| config.with_path(directory.path()));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let (stdout, stderr) = client.run(&kernel, "echo \"$PATH\"; type -P ls").finished();
    let (own, searched) = stdout.split_once(':').unwrap();
    assert!(own.ends_with("/input/bin"), "{own}");
    let expected = format!("{}\n", directory.path().display());
    assert_eq!((searched, &*stderr), (&*expected, ""));
    let token = SessionToken::from_random(crate::common::random());
    let error = client.error_of(&CreateKernel::new("python3", token));
    assert_eq!(error, (500, "kernel-creation-failed".to_owned()));
}

#[test]
fn snippets_arrive_whole_in_every_locale() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let run = |code: &str| client.run(&kernel, code).finished();
    for locale in ["C", "C.UTF-8", ""] {
        let (stdout, stderr) = run(&format!("LC_ALL={locale}; echo 'é€😀'\n"));
        assert_eq!((&*stdout, &*stderr), ("é€😀\n", ""), "{locale}");
        let (stdout, _) = run("echo 'é€😀'  #  \n\n");
        assert_eq!(stdout, "é€😀\n", "{locale}");
    }
    let long = "é".repeat(10_000);
    let (stdout, _) = run(&format!("IFS=0123456789; x={long}; echo \"${{#x}}\""));
    assert_eq!(stdout, "10000\n");
    assert_eq!(client.run(&kernel, "(exit 130)").exit_code(), Some(130));
    assert_eq!(run("\0").0, "");
    assert_eq!(run("echo 1").0, "1\n");
}

//! Wrong values on the command line: what was wrong, and what to do.

use crate::support::{backend_at, check, gateway, here, sorna, sorna_at};

const NO_ID: &str = "\
✘ the ID of a kernel must not be empty
∙ `sorna run` and `sorna shell` show the ID, if they are not --quiet.
";

const NO_NAME: &str = "\
✘ the name or ID of a session must not be empty
∙ `sorna ps` lists your sessions that have not ended.
";

#[test]
fn an_empty_name_is_called_empty() {
    let (gateway, directory) = (gateway(), here());
    std::fs::write(directory.path().join("file"), "").expect("a file");
    for arguments in [
        &["info"][..],
        &["interrupt"],
        &["restart"],
        &["destroy"],
        &["keep-alive"],
        &["logs"],
        &["ls"],
        &["download", "NAME", "file"],
        &["upload", "NAME", "file"],
        &["attach"],
    ] {
        for name in ["", " "] {
            let words = arguments.iter().map(|word| match *word {
                "NAME" => name,
                word => word,
            });
            let mut words: Vec<&str> = words.collect();
            if words.len() == 1 {
                words.push(name);
            }
            let mut sorna = sorna_at(directory.path(), &gateway);
            sorna.args(&words);
            check(sorna).code(2).stderr_eq(NO_ID);
            let mut sorna = backend_at(directory.path(), &gateway);
            sorna.args(&words);
            check(sorna).code(2).stderr_eq(NO_NAME);
        }
    }
    gateway.stop();
}

#[test]
fn wrong_values_are_named_with_what_is_expected() {
    let directory = here();
    for (arguments, expected) in [
        (
            &["ps", "--profile", ""][..],
            "✘ the name of the profile is empty (--profile)\n∙ Leave --profile out.\n",
        ),
        (
            &["run", " ", "-c", ":", "--endpoint", "http://127.0.0.1:1"],
            "✘ the language must not be empty\n",
        ),
        (
            &["run", "--local", "python3", ""],
            "error: invalid value '' for '[FILES]...': a file must have a name\n",
        ),
        (
            &["upload", "kernel", ""],
            "error: invalid value '' for '<FILES>...': a file must have a name\n",
        ),
        (
            &["download", "kernel", "a", ""],
            "✘ a file to download has an empty name\n∙ `sorna ls NAME` lists the files of a session.\n",
        ),
        (
            &["run", "-t", "x", "bash", "-c", ":"],
            "; this one has 1 character\n",
        ),
        (
            &["run", "-t", "ab", "bash", "-c", ":"],
            "; this one has 2 characters\n",
        ),
        (&["rename", "name", "x"], "; this one has 1 character\n"),
        (
            &["serve", "--listen", "127.0.0.1:99999"],
            "expected an IP address and a port up to 65535, such as 127.0.0.1:8081, [::1]:8081 or localhost:0\n",
        ),
        (
            &["serve", "--listen", "127.0.0.1"],
            "expected an IP address and a port up to 65535, such as 127.0.0.1:8081, [::1]:8081 or localhost:0\n",
        ),
        (
            &["serve", "--max-kernels", "x"],
            "expected a whole number that is not negative, such as 100\n",
        ),
        (
            &["serve", "--warm", "python3"],
            "invalid value 'python3' for '--warm <LANG=N>': expected a language and a number from 0 to 16, such as python3=2\n",
        ),
        (
            &["serve", "--warm", "python3=17"],
            "expected a language and a number from 0 to 16, such as python3=2\n",
        ),
        (
            &["serve", "--warm", "=1"],
            "expected a language and a number from 0 to 16, such as python3=2\n",
        ),
        (
            &["serve", "--warm", "klingon=1"],
            "✘ --warm: unknown language \"klingon\" (known: python3, bash, ",
        ),
        (
            &["run", "--exec-timeout", "5x", "bash", "-c", ":"],
            "expected a number and a unit, such as 500ms, 30s or 2m\n",
        ),
        (
            &["run", "-r", "mem=4x", "bash", "-c", ":"],
            "\"4x\" is no amount of mem; expected a number, such as cpu=2 or mem=4g\n",
        ),
        (
            &["logs", "-n", "-1", "name"],
            "invalid value '-1' for '--tail <LINES>': expected a whole number that is not negative",
        ),
        (
            &["logs", "-fn", "-1", "name"],
            "invalid value '-1' for '--tail <LINES>': expected a whole number that is not negative",
        ),
        (
            &["logs", "-n", "abc", "name"],
            "invalid value 'abc' for '--tail <LINES>': expected a whole number that is not negative",
        ),
        (
            &["upload", "name", "-"],
            "✘ `-`, standard input, cannot be uploaded: files are uploaded by their names\n∙ Save it in a file first",
        ),
        (
            &["upload", "-t", "name", "bash", "x.sh", "-"],
            "✘ `-`, standard input, cannot be uploaded: files are uploaded by their names\n∙ Save it in a file first",
        ),
        (
            &["upload", "name", "-", "x.sh"],
            "✘ `-`, standard input, cannot be uploaded: files are uploaded by their names\n∙ Save it in a file first",
        ),
        (
            &["run", "-e", "=x", "bash", "-c", ":"],
            "there is no name before the `=`; expected NAME=VALUE\n",
        ),
    ] {
        assert_fails(&directory, arguments, expected);
    }
}

#[test]
fn wrong_endpoints_are_named_with_what_is_expected() {
    let directory = here();
    for (endpoint, expected) in [
        (
            "",
            "✘ the endpoint is empty; it should look like https://host:port\n",
        ),
        (
            "http://",
            "✘ the endpoint has no host; it should look like https://host:port\n",
        ),
        ("http://a b", "it should look like https://host:port\n"),
        (
            "http://host:99999",
            "✘ the endpoint has an invalid port `99999`: ports are numbers up to 65535\n",
        ),
        (
            "http://host:x",
            "✘ the endpoint has an invalid port `x`: ports are numbers up to 65535\n",
        ),
        (
            "host.example:8080",
            "∙ Check --endpoint: did you mean https://host.example:8080?\n",
        ),
        (
            "ftp://host",
            "✘ the endpoint must start with https:// or http://, not ftp://\n",
        ),
    ] {
        let arguments = ["run", "--endpoint", endpoint, "bash", "-c", ":"];
        assert_fails(&directory, &arguments, expected);
    }
}

/// It is a usage error, with this text in it.
fn assert_fails(directory: &tempfile::TempDir, arguments: &[&str], expected: &str) {
    let mut command = sorna(directory.path());
    command.args(arguments);
    let output = check(command).code(2).get_output().clone();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(expected), "{arguments:?}: {text}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

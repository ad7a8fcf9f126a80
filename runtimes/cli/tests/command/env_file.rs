//! Environment variables of a file: `--env-file`.

use crate::support::{backend_at, check, gateway, here, sorna, write};
use sorna_test_tools::need;

#[test]
fn programs_have_the_variables_of_files() {
    if !need("bash") {
        return;
    }
    let directory = here();
    let gateway = gateway();
    write(
        directory.path(),
        &[
            ("one", "# mine\nA=1\nB='two words'\n"),
            ("two", "export B=other\nC=3\n"),
            ("three", "A=secret\nnonsense\n"),
        ],
    );
    let code = "echo \"$A-$B-$C\"";
    for (options, expected) in [
        (&["--env-file", "one"][..], "1-two words-\n"),
        (&["--env-file", "one", "--env-file", "two"], "1-other-3\n"),
        (&["--env-file", "one", "-e", "A=9"], "9-two words-\n"),
        (&["-e", "A=9", "--env-file", "one"], "9-two words-\n"),
    ] {
        let mut local = sorna(directory.path());
        local.args(["run", "--local", "-q"]);
        let mut remote = backend_at(directory.path(), &gateway);
        remote.args(["run", "-q"]);
        for mut command in [local, remote] {
            command.args(options).args(["bash", "-c", code]);
            check(command).success().stdout_eq(expected);
        }
    }
    for (file, words) in [
        ("three", "--env-file three, line 2: expected NAME=VALUE"),
        ("none", "--env-file none: No such file"),
    ] {
        let mut command = sorna(directory.path());
        command.args(["run", "--local", "--env-file", file, "bash", "-c", "true"]);
        let output = command.output().expect("sorna runs");
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(
            stderr.contains(words) && !stderr.contains("secret"),
            "{stderr}"
        );
    }
    gateway.stop();
}

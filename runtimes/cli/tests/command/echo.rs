//! `sorna run --echo`: values of expressions.

use crate::support::{backend_at, check, gateway_with, sorna, sorna_at};
use sorna_gateway::GatewayConfig;

/// An object with another form than text, between output.
const CODE: &str = "class H:\n  def __repr__(self): return 'H'\n  def _repr_html_(self): return '<b>'\n\
                    print('printed')\nH()";

#[test]
fn the_value_follows_what_is_printed() {
    let directory = tempfile::tempdir().expect("a directory");
    let gateway = gateway_with(GatewayConfig::new());
    for mut command in [
        sorna_at(directory.path(), &gateway),
        backend_at(directory.path(), &gateway),
    ] {
        command.args(["run", "-q", "--echo", "python3"]);
        command.args(["-c", "x = 6", "-c", "x * 7", "-c", CODE]);
        let output = check(command).success();
        output.stdout_eq("42\nprinted\nH\n").stderr_eq("");
    }
}

#[test]
fn values_are_events_of_their_own_with_all_forms() {
    let directory = tempfile::tempdir().expect("a directory");
    for (options, form) in [
        (&[][..], r#"{"type":"text/html","content":"<b>"}"#),
        (
            &["--media-dir", "out"],
            r#"{"type":"text/html","file":"out/output-1.html"}"#,
        ),
    ] {
        let mut command = sorna(directory.path());
        command
            .args(["run", "--local", "--json", "--echo"])
            .args(options);
        command.args(["python3", "-c", CODE]);
        let output = command.output().expect("sorna runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let value = format!(r#"{{"v":1,"event":"value","text":"H","forms":[{form}]}}"#);
        assert!(text.lines().any(|line| line == value), "{text}");
    }
}

#[test]
fn what_is_displayed_is_the_same_with_values() {
    let directory = tempfile::tempdir().expect("a directory");
    let code = "class H:\n  def _repr_svg_(self): return '<svg/>'\ndisplay(H(), 3)\nprint('end')";
    for echo in [&[][..], &["--echo"]] {
        let mut command = sorna(directory.path());
        command.args(["run", "--local", "-q", "--media-dir", "out"]);
        command.args(echo).args(["python3", "-c", code]);
        check(command).success().stdout_eq("3\nend\n").stderr_eq("");
        std::fs::remove_dir_all(directory.path().join("out")).expect("it is there");
        let mut command = sorna(directory.path());
        command.args(["run", "--local", "-q", "--json"]);
        command.args(echo).args(["python3", "-c", code]);
        let output = command.output().expect("sorna runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let media = r#"{"v":1,"event":"media","type":"image/svg+xml","content":"<svg/>"}"#;
        assert!(text.lines().any(|line| line == media), "{text}");
        assert!(!text.contains("vnd.sorna"), "{text}");
    }
}

#[test]
fn where_there_are_no_values_that_is_said() {
    let directory = tempfile::tempdir().expect("a directory");
    for (language, code) in [
        ("bash", "echo 1"),
        ("c", "#include <stdio.h>\nint main() { puts(\"1\"); }"),
    ] {
        let mut command = sorna(directory.path());
        command.args(["run", "--local", "-q", "--echo", language, "-c", code]);
        check(command).success().stdout_eq("1\n").stderr_eq(format!(
            "∙ --echo has no effect in {language}: values of expressions are sent in python3, nodejs, \
             ruby, lua, perl and r.\n",
        ));
    }
}

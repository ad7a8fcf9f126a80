//! `sorna complete`.

use snapbox::str;

use crate::support::server::answering_in_turn;
use crate::support::{check, gateway, here, sorna, sorna_at};

#[test]
fn candidates_come_from_the_kernel_one_per_line() {
    let gateway = gateway();
    let directory = here();
    let sorna = |arguments: &[&str]| {
        let mut command = sorna_at(directory.path(), &gateway);
        command.args(arguments);
        check(command).success().stderr_eq("")
    };
    let code = "import os; sorna_one = 1; sorna_two = 2";
    sorna(&["run", "-q", "-t", "my-session", "python3", "-c", code]).stdout_eq("");
    let complete = |code: &str, place: &[&str]| {
        let mut arguments = vec!["complete", "-t", "my-session", "python3", "-c", code];
        arguments.extend(place);
        sorna(&arguments)
    };
    complete("os.pa", &[]).stdout_eq("...\nos.pardir\nos.path\n...\n");
    complete("a = 1\nprint(sorna_)", &["--col", "12"]).stdout_eq("sorna_one\nsorna_two\n");
    complete("sorna_o\nb", &["--row", "0"]).stdout_eq("sorna_one\n");
    complete("nothing_like_this", &[]).stdout_eq("");
    assert_eq!(gateway.stats().kernels_created, 1);
    gateway.stop();
}

#[test]
fn a_cursor_past_the_end_of_the_code() {
    let directory = here();
    for (option, message) in [
        ("--row", "row 4 is past the end of the code (last row: 1)"),
        (
            "--col",
            "column 4 is past the end of the line (last column: 3)",
        ),
    ] {
        let mut command = sorna(directory.path());
        command
            .args(["complete", "-t", "my-session", "python3", "-c", "a\nb.c"])
            .args([option, "4"]);
        check(command).code(2).stderr_eq(format!("✘ {message}\n"));
    }
}

#[test]
fn a_gateway_that_does_not_complete() {
    // Like the original one.
    let created = ("201 Created", r#"{"kernelId": "k1"}"#);
    let refused = (
        "500 Internal Server Error\nContent-Type: application/problem+json",
        r#"{"type": "https://api.sorna.io/probs/internal-server-error", "title": "Internal server error."}"#,
    );
    let address = answering_in_turn(&[created, refused]);
    let directory = here();
    let mut command = sorna(directory.path());
    command
        .env("SORNA_ENDPOINT", format!("http://{address}"))
        .env("SORNA_ACCESS_KEY", "AKIAIOSFODNN7EXAMPLE")
        .env("SORNA_SECRET_KEY", "a-secret-that-must-not-be-shown")
        .args(["complete", "-t", "my-session", "python3", "-c", "a"]);
    check(command).code(1).stdout_eq("").stderr_eq(str![[r#"
✘ the gateway responded with 500 internal-server-error: Internal server error.
∙ The original gateway does not complete code.

"#]]);
}

//! What is in use stays, and what is new says so.

use std::path::Path;
use std::time::Duration;

use crate::support::terminal::Terminal;
use crate::support::{backend_at, check, eventually, gateway, gateway_with, here, sorna_at};
use sorna_gateway::{GatewayConfig, RunningGateway};
use sorna_test_tools::need;

fn run(directory: &Path, gateway: &RunningGateway, arguments: &[&str]) -> std::process::Output {
    let mut command = sorna_at(directory, gateway);
    command.arg("run").args(arguments);
    command.output().expect("sorna runs")
}

#[test]
fn a_loop_in_a_shell_outlives_the_idle_timeout() {
    if !need("bash") {
        return;
    }
    let directory = here();
    let config = GatewayConfig::default().with_idle_timeout(Duration::from_secs(1));
    let gateway = gateway_with(config);
    let mut terminal = Terminal::start(
        directory.path(),
        Some(&gateway),
        &["-t", "my-session", "bash"],
    );
    terminal.shows("Leave with");
    terminal.types(
        "i=0; while ! [ -e enough ]; do i=$((i+1)); sleep 0.05; done; echo \"all $((i>0))\"\n",
    );
    // Others that no one uses come and go meanwhile.
    for _ in 0..2 {
        let made = run(
            directory.path(),
            &gateway,
            &["-q", "-t", "unused-one", "bash", "-c", "true"],
        );
        assert!(made.status.success());
        eventually("the end of an unused kernel", || {
            gateway.stats().kernels == 1
        });
    }
    let made = run(
        directory.path(),
        &gateway,
        &["-q", "-t", "my-session", "bash", "-c", "touch enough"],
    );
    assert!(made.status.success());
    terminal.shows("all 1");
    terminal.types("exit\n");
    assert_eq!(terminal.ends(), Some(0));
    // Now it is not in use any more.
    eventually("its end", || gateway.stats().kernels == 0);
}

#[test]
fn a_shell_whose_kernel_is_destroyed_says_why() {
    if !need("bash") {
        return;
    }
    let directory = here();
    let gateway = gateway();
    let arguments = ["-t", "my-session", "bash"];
    let mut terminal = Terminal::start(directory.path(), Some(&gateway), &arguments);
    terminal.shows("Leave with");
    gateway.keys().replace([]);
    terminal.shows("the kernel was destroyed, as its access key was revoked");
    terminal.shows("The terminal is closed.");
}

#[test]
fn a_kernel_that_is_new_under_a_token_says_so() {
    if !need("python3") || !need("bash") {
        return;
    }
    let directory = here();
    let gateway = gateway();
    let stderr = |arguments: &[&str]| {
        let output = run(directory.path(), &gateway, arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).expect("text")
    };
    let python = ["-t", "my-session", "python3", "-c", "x = 1"];
    assert!(stderr(&python).contains("is ready, and new."));
    assert!(stderr(&python).contains("is ready."));
    // Another language under the token is another kernel.
    let bash = ["-t", "my-session", "bash", "-c", "true"];
    let said = stderr(&bash);
    assert!(said.contains("is ready, and new."), "{said}");
    let words = "This token has another kernel already, of python3: each language has its own";
    assert!(said.contains(words), "{said}");
    let said = stderr(&bash);
    assert!(
        said.contains("is ready.") && !said.contains("another kernel"),
        "{said}"
    );
    // A temporary one always is, which is not worth saying.
    assert!(stderr(&["bash", "-c", "true"]).contains("is ready."));
}

#[test]
fn events_say_whether_a_kernel_is_new() {
    if !need("python3") || !need("bash") {
        return;
    }
    let directory = here();
    let gateway = gateway();
    type At = fn(&Path, &RunningGateway) -> std::process::Command;
    for (name, at) in [("first-token", sorna_at as At), ("other-token", backend_at)] {
        for (language, new) in [("python3", true), ("python3", false)] {
            let mut command = at(directory.path(), &gateway);
            command.args(["run", "--json", "-t", name, language, "-c", "1"]);
            let output = check(command).success().get_output().stdout.clone();
            let text = String::from_utf8(output).expect("text");
            let ready = text
                .lines()
                .find(|line| line.contains("kernel-ready"))
                .expect("it");
            assert!(ready.contains(&format!("\"created\":{new}")), "{ready}");
        }
    }
    let mut command = sorna_at(directory.path(), &gateway);
    command.args(["run", "--json", "-t", "first-token", "bash", "-c", "true"]);
    let output = check(command).success().get_output().stdout.clone();
    let text = String::from_utf8(output).expect("text");
    assert!(
        text.contains("\"created\":true,\"otherLanguages\":[\"python3\"]"),
        "{text}"
    );
}

//! `sorna info`, `sorna restart` and `sorna destroy`.

use std::process::Command;

use snapbox::str;
use sorna_gateway::RunningGateway;
use tempfile::TempDir;

use crate::support::{check, gateway, sorna_at};

struct Lab {
    gateway: RunningGateway,
    directory: TempDir,
}

impl Lab {
    fn new() -> Self {
        Self {
            gateway: gateway(),
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    fn sorna(&self, arguments: &[&str]) -> Command {
        let mut command = sorna_at(self.directory.path(), &self.gateway);
        command.args(arguments);
        command
    }

    /// The ID of a kernel that was used once, as a user would get it.
    fn kernel(&self, token: &str) -> String {
        let output = self
            .sorna(&["run", "-t", token, "python3", "-c", "x = 41"])
            .output()
            .expect("sorna runs");
        let text = String::from_utf8(output.stderr).expect("text");
        let (_, rest) = text.split_once("(ID: ").expect("an ID");
        rest.split_once(')').expect("its end").0.to_owned()
    }

    fn end(self) {
        self.gateway.stop();
    }
}

#[test]
fn info_has_aligned_fields_with_units() {
    let lab = Lab::new();
    let id = lab.kernel("my-session");
    check(lab.sorna(&["info", &id]))
        .success()
        .stderr_eq("")
        .stdout_eq(str![[r#"
ID                    [..]
Language              python3
Age                   [..]s
Idle for              [..]s
Idle timeout          1 h 0 min
Ends                  in [..] if nothing uses it
Queries so far        1
Execution time limit  30.0 s
Memory used           [..] MiB
Memory limit          1 GiB
CPU time used         [..]s
CPU time limit        (none)

"#]]);
    lab.end();
}

#[test]
fn info_as_json_is_one_line_per_kernel() {
    let lab = Lab::new();
    let ids = [lab.kernel("session-1"), lab.kernel("session-2")];
    let output = lab
        .sorna(&["info", "--json", &ids[0], &ids[1]])
        .output()
        .expect("sorna runs");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2);
    for (line, id) in lines.iter().zip(&ids) {
        assert_eq!(line["kernelId"], id.as_str());
        assert_eq!(line["lang"], "python3");
        assert!(line["age"].is_number());
        assert_eq!(line["numQueriesExecuted"].as_u64(), Some(1), "{line}");
    }
    lab.end();
}

#[test]
fn restart_loses_interpreter_state() {
    let lab = Lab::new();
    let id = lab.kernel("my-session");
    let command = lab.sorna(&["restart", &id]);
    check(command)
        .success()
        .stdout_eq("")
        .stderr_eq(format!("✔ Restarted kernel {id}.\n"));
    let arguments = ["run", "-q", "-t", "my-session", "python3", "-c", "print(x)"];
    check(lab.sorna(&arguments))
        .code(1)
        .stderr_eq("...\nNameError: name 'x' is not defined\n");
    assert_eq!(lab.gateway.stats().kernels_created, 1);
    lab.end();
}

#[test]
fn destroy_continues_after_a_kernel_that_does_not_exist() {
    let lab = Lab::new();
    let ids = [lab.kernel("session-1"), lab.kernel("session-2")];
    check(lab.sorna(&["destroy", &ids[0], "no-such-kernel", &ids[1]]))
        .code(1)
        .stdout_eq("")
        .stderr_eq(format!(
            "✔ Destroyed kernel {}.\n\
             ∙ Kernel no-such-kernel:\n\
             ✘ the gateway responded with 404 kernel-not-found: [..]\n\
             ∙ There is no kernel with the ID or the session token no-such-kernel.\n\
             ✔ Destroyed kernel {}.\n",
            ids[0], ids[1]
        ));
    assert_eq!(lab.gateway.stats().kernels, 0);
    lab.end();
}

#[test]
fn options_may_follow_ids() {
    let lab = Lab::new();
    let ids = [lab.kernel("session-1"), lab.kernel("session-2")];
    let arguments = [
        "destroy",
        &ids[0],
        "--color",
        "never",
        &ids[1],
        "--api=sorna",
    ];
    check(lab.sorna(&arguments))
        .code(0)
        .stdout_eq("")
        .stderr_eq(format!(
            "✔ Destroyed kernel {}.\n✔ Destroyed kernel {}.\n",
            ids[0], ids[1]
        ));
    assert_eq!(lab.gateway.stats().kernels, 0);
    // What is no option is still taken for an ID, and after `--` everything.
    for arguments in [
        &["destroy", "x", "--forse"][..],
        &["destroy", "--", "x", "--force"],
    ] {
        check(lab.sorna(arguments)).code(2).stdout_eq("");
    }
    lab.end();
}

#[test]
fn a_kernel_that_has_ended() {
    let lab = Lab::new();
    let id = "zuF1OzMIhFknyjUl7Apbvg";
    for command in ["info", "restart", "destroy"] {
        check(lab.sorna(&[command, id])).code(1).stderr_eq(format!(
            "∙ Kernel {id}:\n\
             ✘ the gateway responded with 404 kernel-not-found: [..]\n\
             ∙ The kernel has ended, or belongs to another key or gateway. The endpoint is http://[ADDRESS] (from SORNA_ENDPOINT).\n"
        ));
    }
    lab.end();
}

#[test]
fn sorna_v2_has_no_force() {
    let lab = Lab::new();
    let id = "zuF1OzMIhFknyjUl7Apbvg";
    check(lab.sorna(&["destroy", "--force", id]))
        .code(1)
        .stderr_eq(format!(
            "∙ Kernel {id}:\n\
             ✘ version v2.20170315 of the API does not support destroying by force\n\
             ∙ Only Backend.AI has that. [..]\n"
        ));
    lab.end();
}

#[test]
fn the_usage_asks_for_an_id() {
    let lab = Lab::new();
    for command in ["info", "restart", "destroy"] {
        let usage = format!("...\nUsage: sorna {command} [OPTIONS] <ID>...\n...\n");
        check(lab.sorna(&[command, "--help"]))
            .success()
            .stdout_eq(usage.as_str());
        check(lab.sorna(&[command])).code(2).stderr_eq(usage);
    }
    lab.end();
}

#[test]
fn a_token_creates_nothing() {
    let lab = Lab::new();
    for command in ["info", "restart", "destroy"] {
        check(lab.sorna(&[command, "-t", "my-session", "python3"]))
            .code(2)
            .stderr_eq(str![[r#"
✘ this command has no option -t: it takes kernels without one
∙ Use the kernel's ID, which `sorna run -t` and `sorna shell -t` show; on gateways of `sorna serve` also its token, and in Backend.AI the session's name, without -t.

"#]]);
        check(lab.sorna(&[command])).code(2);
    }
    check(lab.sorna(&["info", ".."]))
        .code(2)
        .stderr_eq("✘ \"..\" is not a valid kernel ID\n");
    assert_eq!(lab.gateway.stats().requests, 0);
    lab.end();
}

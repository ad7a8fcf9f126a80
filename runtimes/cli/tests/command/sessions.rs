//! Commands for sessions of Backend.AI: by name, ID and prefix, and all that only Backend.AI has.

use std::io::{BufRead, BufReader};
use std::process::Command;

use snapbox::str;
use sorna_gateway::RunningGateway;
use tempfile::TempDir;

use crate::support::{backend_at, check, gateway, sorna_at, wait};

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
        let mut command = backend_at(self.directory.path(), &self.gateway);
        command.args(arguments);
        command
    }

    /// Runs code in the session of this name, which is then there.
    fn run(&self, name: &str, code: &str) -> String {
        let arguments = ["run", "-q", "-t", name, "bash", "-c", code];
        let output = self.sorna(&arguments).output().expect("sorna runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// What it prints as JSON, line by line.
    fn json(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        let output = self.sorna(arguments).output().expect("sorna runs");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        let line = |line| serde_json::from_str(line).expect("JSON");
        text.lines().map(line).collect()
    }

    fn end(self) {
        self.gateway.stop();
    }
}

#[test]
fn sessions_are_listed() {
    let lab = Lab::new();
    check(lab.sorna(&["ps"]))
        .success()
        .stdout_eq("")
        .stderr_eq("∙ No sessions.\n");
    lab.run("first", "true");
    lab.run("second", "true");
    check(lab.sorna(&["ps"]))
        .success()
        .stderr_eq("")
        .stdout_eq(str![[r#"
NAME    STATUS   IMAGE[..]CREATED[..]ID[..]USE
second  RUNNING  [..]bash[..] 20[..]-[..]-[..] [..]:[..]:[..]
first   RUNNING  [..]bash[..] 20[..]-[..]-[..] [..]:[..]:[..]

"#]]);
    check(lab.sorna(&["destroy", "first"]))
        .success()
        .stderr_eq("✔ Destroyed session first.\n");
    check(lab.sorna(&["ps", "-q"]))
        .success()
        .stdout_eq("second\n");
    lab.run("third", "true");
    check(lab.sorna(&["destroy", "--force", "third", "third"]))
        .success()
        .stderr_eq("✔ Destroyed session third.\n");
    let all = lab.json(&["ps", "--all", "--json"]);
    let states: Vec<_> = all
        .iter()
        .map(|session| (session["name"].as_str(), session["status"].as_str()))
        .collect();
    assert!(
        states.contains(&(Some("second"), Some("RUNNING"))),
        "{all:?}"
    );
    assert!(
        states.contains(&(Some("first"), Some("TERMINATED"))),
        "{all:?}"
    );
    assert!(
        all.iter()
            .all(|session| session["id"].as_str().is_some_and(|id| id.len() == 36))
    );
    lab.end();
}

#[test]
fn a_session_is_found_by_its_name_its_id_or_a_unique_prefix() {
    let lab = Lab::new();
    lab.run("training-1", "true");
    lab.run("training-2", "true");
    lab.run("other", "true");
    let id = lab.json(&["info", "--json", "oth"])[0]["kernelId"].clone();
    let id = id.as_str().expect("an ID");
    assert_eq!(id.len(), 36);
    for text in ["other", "o", id, &id[..13], &id.to_uppercase()] {
        check(lab.sorna(&["info", text]))
            .success()
            .stdout_eq(str![[r#"
ID              [..]
Image           [..]bash[..]
Status          [..]RUNNING
...
"#]]);
    }
    let output = lab.sorna(&["info", "other"]).output().expect("sorna runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("\nArchitecture    "), "{text}");
    assert!(!text.contains(['"', '{', '[']), "no JSON: {text}");
    check(lab.sorna(&["interrupt", "train"]))
        .code(1)
        .stdout_eq("")
        .stderr_eq(str![[r#"
✘ `train` may be one of several sessions
∙ training-1 (ID: [..], RUNNING)
∙ training-2 (ID: [..], RUNNING)

"#]]);
    check(lab.sorna(&["logs", "nothing"])).code(1).stderr_eq(str![[r#"
✘ no session has a name or ID that is or starts with `nothing`
∙ `sorna ps` lists your sessions that have not ended. The endpoint is http://[ADDRESS] (from BACKEND_ENDPOINT).

"#]]);
    check(lab.sorna(&["destroy", "nothing", "train", "other", "training-1"]))
        .code(1)
        .stderr_eq(str![[r#"
✘ no session has a name or ID that is or starts with `nothing`
...
✔ Destroyed session other.
✔ Destroyed session training-1.

"#]]);
    check(lab.sorna(&["ps", "-q"]))
        .success()
        .stdout_eq("training-2\n");
    // What was found is named in full.
    check(lab.sorna(&["interrupt", "train"]))
        .success()
        .stderr_eq("✔ Interrupted session training-2 (ID: [..]).\n");
    check(lab.sorna(&["rename", "train", "other"]))
        .success()
        .stderr_eq("✔ Renamed session training-2 (ID: [..]) to other.\n");
    check(lab.sorna(&["destroy", "oth"]))
        .success()
        .stderr_eq("✔ Destroyed session other (ID: [..]).\n");
    lab.end();
}

#[test]
fn files_are_listed_and_downloaded() {
    let lab = Lab::new();
    lab.run(
        "files",
        "mkdir -p out/deep; echo one > out/a.txt; echo two > out/deep/b; echo three > c",
    );
    check(lab.sorna(&["ls", "files", "out"]))
        .success()
        .stderr_eq("")
        .stdout_eq(str![[r#"
-rw[..]  4[..]  20[..]-[..]-[..] [..]:[..]:[..]  a.txt
drwx[..]  20[..]-[..]-[..] [..]:[..]:[..]  deep/

"#]]);
    let files = lab.json(&["ls", "files", "--json"]);
    let c = files
        .iter()
        .find(|file| file["name"] == "c")
        .expect("it is there");
    assert_eq!(
        (c["size"].as_u64(), c["directory"].as_bool()),
        (Some(6), Some(false))
    );
    check(lab.sorna(&["ls", "files", "nowhere"]))
        .code(1)
        .stdout_eq("")
        .stderr_eq("✘ the directory cannot be listed: [..]nowhere[..]\n");
    crate::support::write(lab.directory.path(), &[("taken", "")]);
    let requests = lab.gateway.stats().requests;
    check(lab.sorna(&["download", "files", "c", "-o", "taken"]))
        .code(2)
        .stderr_eq(
            "✘ taken (from -o) is not a directory\n\
             ∙ Files keep their path below it: give a directory, which is created if needed.\n",
        );
    assert_eq!(lab.gateway.stats().requests, requests);
    check(lab.sorna(&["download", "files", "out", "c", "-o", "here"]))
        .success()
        .stdout_eq("")
        .stderr_eq("✔ Downloaded 3 files to here.\n");
    let read =
        |path: &str| std::fs::read_to_string(lab.directory.path().join(path)).expect("a file");
    assert_eq!(
        (read("here/out/a.txt"), read("here/out/deep/b")),
        ("one\n".into(), "two\n".into())
    );
    assert_eq!(read("here/c"), "three\n");
    check(lab.sorna(&["download", "files", "c"]))
        .success()
        .stderr_eq("✔ Downloaded 1 file.\n");
    assert_eq!(read("c"), "three\n");
    lab.run(
        "files",
        "ln -s a.txt out/link; mkdir links; ln -s / links/root",
    );
    check(lab.sorna(&["download", "files", "out", "links", "-o", "again"]))
        .success()
        .stderr_eq(str![[r#"
∙ Left out again/out/link: it is a symbolic link.
∙ Left out again/links/root: it is a symbolic link.
✔ Downloaded 2 files to again.

"#]]);
    check(lab.sorna(&["download", "files", "."])).code(1).stderr_eq(
        "✘ the file name \".\" is the work directory itself: name files and directories in it\n",
    );
    for path in ["../..", "/etc", "out/../..", "/home/worker"] {
        check(lab.sorna(&["ls", "files", path])).code(1).stderr_eq(
            "✘ [..]\n∙ Only the work directory, /home/work, and what is below it can be listed.\n",
        );
    }
    check(lab.sorna(&["download", "files", "nothing"]))
        .code(1)
        .stderr_eq("✘ [..]nothing[..]\n...\n");
    // What exists is downloaded; seven are two requests, each with one that does not.
    let seven = [
        "none",
        "c",
        "out/a.txt",
        "out/deep",
        "out",
        "out/deep/b",
        "nor this",
    ];
    let command = [&["download", "files", "-o", "some"], &seven[..]].concat();
    check(lab.sorna(&command)).code(1).stderr_eq(
        "∙ Left out some/out/link: it is a symbolic link.\n\
             ✔ Downloaded [..] to some.\n\
             ✘ [..]none[..]nor this[..]\n...\n",
    );
    assert_eq!(
        (read("some/c"), read("some/out/deep/b")),
        ("three\n".into(), "two\n".into())
    );
    check(lab.sorna(&["download", "files", "../../etc/passwd"]))
        .code(1)
        .stderr_eq("✘ the file name \"../../etc/passwd\" [..]\n");
    lab.end();
}

#[test]
fn an_interrupt_ends_the_program_and_keeps_the_session() {
    let lab = Lab::new();
    lab.run("work", "X=41");
    let arguments = [
        "run",
        "--json",
        "-t",
        "work",
        "bash",
        "-c",
        "echo begun; sleep 1000",
    ];
    let mut running = lab.sorna(&arguments).spawn().expect("sorna runs");
    let stdout = BufReader::new(running.stdout.take().expect("a pipe"));
    let mut lines = stdout.lines();
    assert!(lines.any(|line| line.expect("text").contains("begun")));
    check(lab.sorna(&["interrupt", "work"]))
        .success()
        .stderr_eq("✔ Interrupted session work.\n");
    assert!(!wait(&mut running).success());
    assert_eq!(lab.run("work", "echo $X"), "41\n");
    lab.end();
}

#[test]
fn a_session_is_renamed_and_has_logs() {
    let lab = Lab::new();
    lab.run("before", "true");
    check(lab.sorna(&["rename", "before", "a b c"]))
        .code(2)
        .stderr_eq("✘ [..]\"a b c\" cannot be the name of a session[..]\n");
    check(lab.sorna(&["rename", "before", "after"]))
        .success()
        .stderr_eq("✔ Renamed session before to after.\n");
    check(lab.sorna(&["ps", "-q"]))
        .success()
        .stdout_eq("after\n");
    check(lab.sorna(&["logs", "after"])).success().stderr_eq("");
    let mut following = lab
        .sorna(&["-v", "logs", "-f", "after"])
        .spawn()
        .expect("sorna runs");
    let stderr = BufReader::new(following.stderr.take().expect("a pipe"));
    let mut lines = stderr.lines();
    assert!(lines.any(|line| line.expect("text").contains("/logs?from=0&wait=0: 200")));
    check(lab.sorna(&["destroy", "after"])).success();
    assert!(wait(&mut following).success());
    lab.end();
}

#[test]
fn logs_show_what_programs_print_and_nothing_else() {
    let lab = Lab::new();
    let program = "#include <stdio.h>\nint main() { puts(\"ran\"); return 0; }\n";
    crate::support::write(
        lab.directory.path(),
        &[("main.c", program), ("main.sh", "echo scripted\n")],
    );
    for arguments in [
        [
            "c",
            "--build",
            "echo built; gcc -o main main.c",
            "--exec",
            "./main",
            "main.c",
        ]
        .as_slice(),
        &["bash", "main.sh"],
    ] {
        let name = format!("logs-{}", arguments[0]);
        check(lab.sorna(&[&["run", "-q", "-t", &name], arguments].concat())).success();
    }
    check(lab.sorna(&["logs", "logs-c"]))
        .success()
        .stdout_eq("built\nran\n");
    check(lab.sorna(&["logs", "logs-bash"]))
        .success()
        .stdout_eq("scripted\n");
    lab.end();
}

#[test]
fn events_are_printed_until_the_session_ends() {
    let lab = Lab::new();
    lab.run("watched", "true");
    let mut events = lab
        .sorna(&["events", "--json", "watched"])
        .spawn()
        .expect("sorna runs");
    let mut stderr = BufReader::new(events.stderr.take().expect("a pipe"));
    let mut line = String::new();
    stderr.read_line(&mut line).expect("text");
    assert_eq!(line, "∙ Waiting for events (Ctrl-C ends it).\n");
    check(lab.sorna(&["destroy", "watched"])).success();
    assert!(wait(&mut events).success());
    let output = events.wait_with_output().expect("output");
    let text = String::from_utf8(output.stdout).expect("text");
    let last: serde_json::Value =
        serde_json::from_str(text.lines().last().expect("events")).expect("JSON");
    assert_eq!(
        (&last["event"], &last["sessionName"]),
        (&"session_terminated".into(), &"watched".into())
    );
    lab.end();
}

#[test]
fn sorna_v2_has_none_of_this_and_that_is_said() {
    let lab = Lab::new();
    for (arguments, what) in [
        (&["ps"][..], "lists of sessions"),
        (&["rename", "x", "long-enough"], "names of sessions"),
        (&["events"], "events"),
    ] {
        let mut command = sorna_at(lab.directory.path(), &lab.gateway);
        command.args(arguments);
        check(command).code(2).stdout_eq("").stderr_eq(format!(
            "✘ version v2.20170315 of the API does not support {what}\n\
             ∙ Only Backend.AI has that. If the gateway speaks Backend.AI, use --api backend-ai, or put api = \"backend-ai\" into the profile.\n"
        ));
    }
    assert_eq!(lab.gateway.stats().requests, 0);
    lab.end();
}

#[test]
fn a_manager_that_restarts_no_sessions() {
    let address = crate::support::stub::stub(|request| {
        Some(match request.path.as_str() {
            "/" => (200, r#"{"version": "v9.20250722", "manager": "26.9.6"}"#.into()),
            "/session/_/match?id=work" => (
                200,
                r#"{"matches": [{"id": "7c548299-6be3-4613-8cf0-f11deb896755", "name": "work", "status": "RUNNING"}]}"#.into(),
            ),
            _ => (501, r#"{"type": "https://api.backend.ai/probs/not-implemented", "title": "No."}"#.into()),
        })
    });
    let directory = crate::support::here();
    let mut command = crate::support::stub::at(crate::support::sorna(directory.path()), address);
    command.args(["restart", "--api", "auto", "work"]);
    check(command).code(1).stderr_eq(str![[r#"
∙ Session 7c548299-6be3-4613-8cf0-f11deb896755:
✘ the gateway responded with 501[..]
∙ Managers of Backend.AI from 26.4 on do not restart sessions: stop a program with `sorna interrupt`, or destroy the session and create it anew.

"#]]);
}

#[test]
fn files_are_uploaded_to_a_session_by_what_its_name_starts_with() {
    let lab = Lab::new();
    lab.run("training", "true");
    crate::support::write(lab.directory.path(), &[("data.csv", "1,2\n")]);
    check(lab.sorna(&["upload", "train", "data.csv"]))
        .success()
        .stderr_eq("✔ Uploaded 1 file (4 bytes).\n");
    assert_eq!(lab.run("training", "cat data.csv"), "1,2\n");
    check(lab.sorna(&["upload", "nothing", "data.csv"]))
        .code(1)
        .stderr_eq("✘ no session has a name or ID that is or starts with `nothing`\n...\n");
    lab.end();
}

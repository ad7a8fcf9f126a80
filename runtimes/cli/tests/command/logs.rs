//! `sorna logs`, in both dialects; and kernels of Sorna v2 by their tokens.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use sorna_gateway::{GatewayConfig, RunningGateway};

use crate::support::{
    backend_at, check, gateway, gateway_with, here, sorna, sorna_at, stub, wait, write,
};

type At = fn(&Path, &RunningGateway) -> Command;

const TOKEN: &str = "a-session";

/// What prints a line on each stream, and then `late`, once this file is there.
fn programs(sign: &Path) -> [(&'static str, String); 3] {
    [
        (
            "python3",
            format!(
                "import os, sys, time\nprint('out', flush=True)\nprint('err', file=sys.stderr, flush=True)\nwhile not os.path.exists({sign:?}): time.sleep(.01)\nprint('late')"
            ),
        ),
        (
            "bash",
            format!(
                "echo out; echo err >&2; until [ -e {sign:?} ]; do sleep 0.01; done; echo late"
            ),
        ),
        (
            "perl",
            format!(
                "$| = 1; print \"out\\n\"; print STDERR \"err\\n\"; select(undef, undef, undef, .01) until -e {sign:?}; print \"late\\n\""
            ),
        ),
    ]
}

struct Lab {
    gateway: RunningGateway,
    directory: tempfile::TempDir,
    at: At,
}

impl Lab {
    fn new(at: At) -> Self {
        Self {
            gateway: gateway(),
            directory: here(),
            at,
        }
    }

    fn sorna(&self, arguments: &[&str]) -> Command {
        let mut command = (self.at)(self.directory.path(), &self.gateway);
        command.args(arguments);
        command
    }
}

fn signal(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id()).expect("an ID");
    kill_process(Pid::from_raw(id).expect("an ID"), signal).expect("it lives");
}

fn reader(child: &mut Child) -> impl BufRead + use<> {
    BufReader::new(child.stdout.take().expect("a pipe"))
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("text");
    line
}

#[test]
fn a_log_is_followed_live_and_takes_nothing_from_who_runs() {
    for at in [sorna_at as At, backend_at] {
        let lab = Lab::new(at);
        let sign = lab.directory.path().join("go");
        for (lang, code) in programs(&sign) {
            let token = format!("session-of-{lang}");
            let mut running = lab.sorna(&["run", "-q", "-t", &token, lang, "-c", &code]);
            let mut running = running.spawn().expect("sorna runs");
            let mut own = reader(&mut running);
            assert_eq!(line(&mut own), "out\n", "{lang}");
            let mut following = lab.sorna(&["logs", "-f", &token]).spawn().expect("sorna");
            let mut log = reader(&mut following);
            assert_eq!(line(&mut log), "out\n", "{lang}");
            std::fs::write(&sign, "").expect("a file");
            assert_eq!(line(&mut log), "late\n", "{lang}");
            assert_eq!(line(&mut own), "late\n", "{lang}");
            assert!(wait(&mut running).success(), "{lang}");
            // What is there is shown on the streams that it was printed to.
            check(lab.sorna(&["logs", &token]))
                .success()
                .stdout_eq("out\nlate\n")
                .stderr_eq("err\n");
            check(lab.sorna(&["logs", "-n1", &token]))
                .success()
                .stdout_eq("late\n");
            check(lab.sorna(&["logs", "-n", "1", &token]))
                .success()
                .stdout_eq("late\n")
                .stderr_eq("");
            check(lab.sorna(&["destroy", &token])).success();
            let (mut rest, mut errors) = (String::new(), String::new());
            log.read_to_string(&mut rest).expect("text");
            let mut stderr = following.stderr.take().expect("a pipe");
            stderr.read_to_string(&mut errors).expect("text");
            let why = "err\n∙ The kernel was destroyed by a request.\n";
            assert_eq!((&*rest, &*errors), ("", why), "{lang}");
            assert_eq!(wait(&mut following).code(), Some(0), "{lang}");
            std::fs::remove_file(&sign).expect("a file");
        }
        lab.gateway.stop();
    }
}

#[test]
fn what_ends_following_is_said() {
    type End = fn(&Lab);
    let ends: [(&str, End); 3] = [
        (
            " after 2 s in which nothing ran in it, printed or was attached",
            |_| {},
        ),
        (" by a request", |lab| {
            check(lab.sorna(&["destroy", TOKEN])).success();
        }),
        (", as its access key was revoked", |lab| {
            lab.gateway.keys().replace([]);
        }),
    ];
    for at in [sorna_at as At, backend_at] {
        for (words, end) in ends {
            let config = GatewayConfig::default();
            let config = match words.contains("after") {
                true => config.with_idle_timeout(Duration::from_secs(2)),
                false => config,
            };
            let lab = Lab {
                gateway: gateway_with(config),
                directory: here(),
                at,
            };
            check(lab.sorna(&["run", "-q", "-t", TOKEN, "bash", "-c", "echo hello"])).success();
            let mut following = lab.sorna(&["logs", "-f", TOKEN]).spawn().expect("sorna");
            let mut log = reader(&mut following);
            assert_eq!(line(&mut log), "hello\n");
            end(&lab);
            let (mut rest, mut errors) = (String::new(), String::new());
            log.read_to_string(&mut rest).expect("text");
            let mut stderr = following.stderr.take().expect("a pipe");
            stderr.read_to_string(&mut errors).expect("text");
            let why = format!("∙ The kernel was destroyed{words}.\n");
            // Where the key is revoked between two requests, the next one is refused.
            let code = match words.contains("revoked") && errors.contains("401 auth-failed") {
                true => 1,
                false => {
                    assert_eq!((&*rest, &*errors), ("", &*why));
                    0
                }
            };
            assert_eq!(wait(&mut following).code(), Some(code), "{words}");
            lab.gateway.stop();
        }
    }
}

#[test]
fn ctrl_c_ends_following_and_nothing_else() {
    for at in [sorna_at as At, backend_at] {
        let lab = Lab::new(at);
        check(lab.sorna(&["run", "-q", "-t", TOKEN, "bash", "-c", "echo hello; x=41"])).success();
        let mut following = lab.sorna(&["logs", "-f", TOKEN]).spawn().expect("sorna");
        let mut log = reader(&mut following);
        assert_eq!(line(&mut log), "hello\n");
        signal(&following, Signal::INT);
        assert_eq!(wait(&mut following).code(), Some(130));
        let (mut rest, mut errors) = (String::new(), String::new());
        log.read_to_string(&mut rest).expect("text");
        let mut stderr = following.stderr.take().expect("a pipe");
        stderr.read_to_string(&mut errors).expect("text");
        assert_eq!((&*rest, &*errors), ("", ""));
        check(lab.sorna(&["run", "-q", "-t", TOKEN, "bash", "-c", "echo $((x + 1))"]))
            .success()
            .stdout_eq("42\n");
        // The reader may end it as well.
        let mut following = lab.sorna(&["logs", "-f", TOKEN]).spawn().expect("sorna");
        let mut log = reader(&mut following);
        assert_eq!(line(&mut log), "hello\n");
        drop(log);
        check(lab.sorna(&["run", "-q", "-t", TOKEN, "bash", "-c", "echo more"])).success();
        assert_eq!(wait(&mut following).code(), Some(0));
        lab.gateway.stop();
    }
}

#[test]
fn what_is_gone_is_counted_and_bytes_are_passed_on() {
    for at in [sorna_at as At, backend_at] {
        let lab = Lab::new(at);
        let code = "for i in range(100_000): print(f'{i:09}')";
        check(lab.sorna(&["run", "-q", "-t", TOKEN, "python3", "-c", code])).success();
        let output = lab.sorna(&["logs", TOKEN]).output().expect("sorna");
        assert!(output.status.success() && output.stdout.ends_with(b"000099998\n000099999\n"));
        let gone = 1_000_000 - output.stdout.len();
        let said = format!(
            "∙ {gone} bytes that came before this are gone: the gateway keeps the last of what is printed.\n"
        );
        assert_eq!(String::from_utf8_lossy(&output.stderr), said);
        let bytes = r"printf 'a\377\nb'; printf '\376' >&2";
        check(lab.sorna(&["run", "-q", "-t", "other-one", "bash", "-c", bytes])).success();
        let output = lab.sorna(&["logs", "other-one"]).output().expect("sorna");
        assert_eq!(
            (&*output.stdout, &*output.stderr),
            (&b"a\xff\nb"[..], &b"\xfe"[..])
        );
        lab.gateway.stop();
    }
}

#[test]
fn commands_take_tokens_of_sorna_v2_where_the_gateway_looks_for_them() {
    let lab = Lab::new(sorna_at);
    write(lab.directory.path(), &[("here", "1")]);
    let code = "echo there >file; echo $((6 * 7))";
    check(lab.sorna(&["run", "-q", "-t", TOKEN, "bash", "-c", code])).success();
    check(lab.sorna(&["ls", TOKEN]))
        .success()
        .stdout_eq("[..] file\n");
    check(lab.sorna(&["download", TOKEN, "file", "-"]))
        .success()
        .stdout_eq("there\n");
    check(lab.sorna(&["logs", TOKEN]))
        .success()
        .stdout_eq("42\n");
    check(lab.sorna(&["interrupt", TOKEN])).success();
    check(lab.sorna(&["info", TOKEN]))
        .success()
        .stdout_eq("ID [..]\n...\n");
    check(lab.sorna(&["upload", "-q", TOKEN, "here"])).success();
    check(lab.sorna(&["run", "-q", "-t", TOKEN, "bash", "-c", "cat here"]))
        .success()
        .stdout_eq("1");
    check(lab.sorna(&["restart", TOKEN])).success();
    check(lab.sorna(&["run", "-q", "-t", TOKEN, "perl", "-c", "1"])).success();
    // Two kernels have one token now.
    for command in ["logs", "ls", "interrupt", "destroy"] {
        check(lab.sorna(&[command, TOKEN]))
            .code(1)
            .stderr_eq(format!(
                "✘ `{TOKEN}` may be one of several kernels\n\
             ∙ {TOKEN} (ID: [..], bash)\n\
             ∙ {TOKEN} (ID: [..], perl)\n"
            ));
        check(lab.sorna(&[command, "no-such-one"]))
            .code(1)
            .stderr_eq("...\n∙ There is no kernel with the ID or the session token no-such-one.\n");
    }
    assert_eq!(lab.gateway.stats().kernels, 2);
    lab.gateway.stop();
}

#[test]
fn managers_are_asked_again_and_only_what_is_new_is_shown() {
    const ID: &str = "7c548299-6be3-4613-8cf0-f11deb896755";
    let rounds = AtomicUsize::new(0);
    let address = stub::stub(move |request| {
        let logs = ["one\n.\n", "one\n.\n.\n", ".\n.\ntwo\n", "o\nthree\n"];
        let round = rounds.load(Relaxed);
        Some(match request.path.as_str() {
            "/" => (
                200,
                r#"{"version": "v9.20250722", "manager": "26.9.6"}"#.into(),
            ),
            path if path == format!("/session/{ID}/logs") => {
                rounds.fetch_add(1, Relaxed);
                match logs.get(round) {
                    Some(text) => (200, json!({"result": {"logs": text}}).to_string()),
                    None => (
                        500,
                        r#"{"type": "https://api.backend.ai/probs/internal-server-error"}"#.into(),
                    ),
                }
            }
            path if path == format!("/session/{ID}") => {
                let status = if round > logs.len() {
                    "TERMINATED"
                } else {
                    "RUNNING"
                };
                let info = json!({"status": status, "statusInfo": "self-terminated"});
                (200, info.to_string())
            }
            _ => (
                404,
                r#"{"type": "https://api.backend.ai/probs/url-not-found"}"#.into(),
            ),
        })
    });
    let directory = here();
    let mut command = stub::at(sorna(directory.path()), address);
    command.args(["--api", "backend-ai", "logs", "-f", "-n", "1", ID]);
    check(command)
        .success()
        .stdout_eq(".\n.\ntwo\nthree\n")
        .stderr_eq("∙ The session has ended: self-terminated.\n");
}

//! `sorna interrupt`, in both dialects.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use support::{backend_at, check, gateway, here, sorna, sorna_at, stub, wait};

#[test]
fn an_interrupt_ends_what_runs_and_keeps_the_interpreter() {
    for at in [sorna_at, backend_at] {
        let gateway = gateway();
        let directory = here();
        let run = |lang: &str, code: &str| {
            let mut command = at(directory.path(), &gateway);
            let token = format!("a-session-of-{lang}");
            command.args(["run", "-t", &token, lang, "-c", code]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        };
        for (lang, define, long, use_it) in [
            (
                "python3",
                "x = 41",
                "print('begun', flush=True)\nwhile True: pass",
                "print(x + 1)",
            ),
            (
                "bash",
                "x=41",
                "echo begun; sleep 1000; echo not reached",
                "echo $((x + 1))",
            ),
            (
                "ruby",
                "$x = 41",
                "puts 'begun'; $stdout.flush; sleep",
                "puts $x + 1",
            ),
            (
                "nodejs",
                "x = 41",
                "console.log('begun'); for (;;);",
                "console.log(x + 1)",
            ),
        ] {
            let output = run(lang, define).output().expect("sorna runs");
            assert!(output.status.success(), "{lang}: {output:?}");
            let text = String::from_utf8(output.stderr).expect("text");
            let id = text.split("(ID: ").nth(1).expect("an ID");
            let id = id.split(')').next().expect("its end").to_owned();

            let mut running = run(lang, long).spawn().expect("sorna runs");
            let mut stdout = BufReader::new(running.stdout.take().expect("a pipe"));
            let mut line = String::new();
            stdout.read_line(&mut line).expect("text");
            assert_eq!(line, "begun\n", "{lang}");
            let mut interrupt = at(directory.path(), &gateway);
            interrupt.args(["interrupt", &id]);
            check(interrupt)
                .success()
                .stderr_eq("✔ Interrupted [..].\n");
            let mut rest = String::new();
            stdout.read_to_string(&mut rest).expect("text");
            assert_eq!(rest, "", "{lang}");
            assert!(!wait(&mut running).success(), "{lang}");
            check(run(lang, use_it)).success().stdout_eq("42\n");
            // Where nothing runs, nothing happens.
            let mut interrupt = at(directory.path(), &gateway);
            interrupt.args(["interrupt", &id]);
            check(interrupt).success();
            check(run(lang, use_it)).success().stdout_eq("42\n");
        }
        gateway.stop();
    }
}

#[test]
fn what_cannot_be_interrupted_is_said() {
    let directory = here();
    let gateway = gateway();
    let mut command = sorna_at(directory.path(), &gateway);
    command.args(["interrupt", "no-such-kernel"]);
    check(command).code(1).stderr_eq(
        "∙ Kernel no-such-kernel:\n\
         ✘ [..]\n\
         ∙ [..]\n",
    );
    gateway.stop();

    // A gateway of 2017 names no extensions. It must not be asked for what it does not have.
    let address = stub::stub(|request| {
        assert!(["/", "/v2"].contains(&request.path.as_str()));
        Some((200, r#"{"version": "v2.20170315"}"#.to_owned()))
    });
    let mut command = stub::at(sorna(directory.path()), address);
    command.args(["--api", "auto", "interrupt", "some-kernel"]);
    check(command).code(2).stderr_eq(
        "✘ version v2.20170315 of the API does not support interrupting\n\
         ∙ Gateways of `sorna serve` do, but not this one. Stop what runs with `sorna restart some-kernel`, which keeps the files and loses variables.\n",
    );
}

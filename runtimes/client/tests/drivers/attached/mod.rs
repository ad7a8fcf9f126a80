//! Executions without a client, and clients that attach: in both dialects, by requests and over WebSockets.

#![cfg(all(
    feature = "ureq",
    feature = "tokio",
    feature = "smol",
    feature = "async-std"
))]

mod cuts;
mod drivers;
mod lab;
mod taking_over;

use std::time::{Duration, Instant};

use lab::{Lab, WAYS, exec, until};
use sorna::{Batch, ExecuteMode, ExecutionEvent, ExecutionStatus};

/// What runs until a file is there, in each way to run something.
fn long() -> [(&'static str, ExecuteMode); 4] {
    let command = "echo begun; until [ -e go ]; do sleep 0.005; done; echo end; exit 3";
    [
        (
            "bash",
            "echo begun; until [ -e go ]; do sleep 0.005; done; echo end; (exit 3)".into(),
        ),
        (
            "python3",
            "import os, sys, time\nprint('begun', flush=True)\nwhile not os.path.exists('go'): time.sleep(.005)\nprint('end')"
                .into(),
        ),
        ("bash", exec(command)),
        (
            "python3",
            Batch::new().with_build("echo built").with_exec(command).into(),
        ),
    ]
}

#[test]
fn what_starts_without_a_client_is_attached_to_while_it_runs() {
    let lab = Lab::new();
    for way in WAYS {
        for (lang, mode) in long() {
            let kernel = lab.kernel(way, lang);
            let is_batch = matches!(mode, ExecuteMode::Batch(_));
            let has_build = matches!(&mode, ExecuteMode::Batch(batch) if batch.build().is_some());
            let started = kernel.execute_detached(mode).finish().unwrap();
            assert_eq!(started.status, ExecutionStatus::Continued);
            assert!(started.console.is_empty());
            // Another client.
            let kernel = lab.kernel(way, lang);
            assert!(kernel.run("1").unwrap_err().is_busy());
            let mut attached = kernel.attach();
            let output = until(&mut attached, "begun\n");
            assert!(output.ends_with("begun\n"), "{way:?} {lang}: {output}");
            assert_eq!(
                output.contains("built\n"),
                has_build,
                "{way:?} {lang}: {output}"
            );
            lab.put(&kernel, "go");
            assert!(until(&mut attached, "end\n").ends_with("end\n"));
            while attached.next_event().unwrap().is_some() {}
            let code = attached.result().unwrap().exit_code();
            assert_eq!(
                code,
                Some(if is_batch || lang == "bash" { 3 } else { 0 }),
                "{way:?} {lang}"
            );
            let error = kernel.attach().finish().unwrap_err();
            assert!(error.is_nothing_to_attach(), "{error}");
            assert!(kernel.run("1").is_ok());
            kernel.destroy().unwrap();
        }
    }
}

#[test]
fn the_end_of_what_ran_without_a_client_is_kept() {
    let lab = Lab::new();
    for way in WAYS {
        for (lang, mode, stdout, code) in [
            ("bash", ExecuteMode::from("echo a; touch done"), "a\n", 0),
            (
                "bash",
                Batch::new()
                    .with_build("echo b")
                    .with_exec("echo c; touch done; exit 7")
                    .into(),
                "b\nc\n",
                7,
            ),
            (
                "python3",
                ExecuteMode::from("print('d'); open('done', 'w').close()"),
                "d\n",
                0,
            ),
        ] {
            let kernel = lab.kernel(way, lang);
            kernel.execute_detached(mode).finish().unwrap();
            lab.has(&kernel, "done");
            let mut attached = lab.kernel(way, lang).attach();
            let (mut output, mut steps) = (String::new(), Vec::new());
            while let Some(event) = attached.next_event().unwrap() {
                match event {
                    ExecutionEvent::Console(console) => output += &console.stdout(),
                    ExecutionEvent::StepFinished { status, .. } => steps.push(status),
                    event => panic!("{event:?}"),
                }
            }
            assert_eq!(output, stdout, "{way:?} {lang}");
            let has_build = stdout.starts_with('b');
            assert_eq!(steps.contains(&ExecutionStatus::BuildFinished), has_build);
            assert_eq!(
                attached.result().unwrap().exit_code(),
                Some(code),
                "{way:?}"
            );
            let again = kernel.attach().finish().unwrap_err();
            assert!(again.is_nothing_to_attach(), "{again}");
            kernel.destroy().unwrap();
        }
    }
}

#[test]
fn a_flood_does_not_stop_a_program_without_a_client() {
    const LINES: usize = 400_000;
    let lab = Lab::new();
    for way in WAYS {
        for (lang, code) in [
            ("bash", format!("seq {LINES}; touch done")),
            (
                "python3",
                format!("for i in range({LINES}): print(i + 1)\nopen('done', 'w').close()"),
            ),
        ] {
            let kernel = lab.kernel(way, lang);
            kernel.execute_detached(code).finish().unwrap();
            lab.has(&kernel, "done");
            let result = kernel.attach().finish().unwrap();
            let (stdout, stderr) = (result.stdout(), result.stderr());
            let (lost, why) = stderr.split_once(' ').unwrap();
            assert_eq!(
                why,
                "bytes of output were lost, since no client was there for them, and it was too much to be kept\n"
            );
            let whole: usize = (1..=LINES).map(|line| line.to_string().len() + 1).sum();
            assert_eq!(
                lost.parse::<usize>().unwrap() + stdout.len(),
                whole,
                "{way:?} {lang}"
            );
            assert!(stdout.ends_with(&format!("\n{LINES}\n")));
            assert!(stdout.len() > 700 * 1024, "{}", stdout.len());
            kernel.destroy().unwrap();
        }
    }
}

#[test]
fn a_program_without_a_client_waits_for_input_until_somebody_attaches() {
    let lab = Lab::new();
    for way in WAYS {
        for (lang, mode) in [
            ("python3", ExecuteMode::from("print('got', input('? '))")),
            (
                "bash",
                ExecuteMode::from("printf '? '; read x; echo got $x"),
            ),
            ("bash", exec("printf '? '; read x; echo got $x")),
        ] {
            let kernel = lab.kernel(way, lang);
            kernel.execute_detached(mode).finish().unwrap();
            std::thread::sleep(Duration::from_millis(50));
            let mut attached = lab.kernel(way, lang).attach();
            let mut output = String::new();
            while let Some(event) = attached.next_event().unwrap() {
                match event {
                    ExecutionEvent::Console(console) => output += &console.stdout(),
                    ExecutionEvent::InputRequested { .. } => attached.answer("42").unwrap(),
                    _ => {}
                }
            }
            assert_eq!(output, "? got 42\n", "{way:?} {lang}");
            kernel.destroy().unwrap();
        }
    }
}

#[test]
fn input_that_nobody_gives_ends_with_the_time_limit() {
    let lab = Lab::with(|config| config.with_exec_timeout(Duration::from_secs(1)));
    for (way, lang, mode) in [
        (WAYS[0], "python3", ExecuteMode::from("input('? ')")),
        (WAYS[1], "bash", "read x".into()),
        (WAYS[2], "bash", exec("read x")),
    ] {
        let kernel = lab.kernel(way, lang);
        kernel.execute_detached(mode).finish().unwrap();
        let began = Instant::now();
        while let Err(error) = kernel.run("1") {
            assert!(error.is_busy(), "{error}");
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "{way:?} {lang}: it is not ended"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        kernel.destroy().unwrap();
    }
}

#[test]
fn the_idle_timeout_does_not_count_while_something_runs_without_a_client() {
    let lab = Lab::with(|config| config.with_idle_timeout(Duration::from_secs(1)));
    for way in WAYS {
        let kernel = lab.kernel(way, "bash");
        // It prints more than a console holds, and then nothing.
        let code = "seq 300000; sleep 3; echo end";
        kernel.execute_detached(code).finish().unwrap();
        std::thread::sleep(Duration::from_millis(2500));
        let result = kernel.attach().finish().unwrap();
        assert!(result.stdout().ends_with("end\n"), "{way:?}");
        kernel.destroy().unwrap();
    }
}

#[test]
fn a_kernel_may_be_restarted_and_destroyed_while_something_runs_without_a_client() {
    let lab = Lab::new();
    for way in WAYS {
        let kernel = lab.kernel(way, "bash");
        kernel
            .execute_detached("echo begun; touch on; sleep 60")
            .finish()
            .unwrap();
        lab.has(&kernel, "on");
        kernel.restart().unwrap();
        let next = kernel.run("echo next").unwrap();
        assert_eq!(next.stdout(), "next\n");
        assert_eq!(
            next.console.unclaimed().unwrap().stdout(),
            "begun\n",
            "{way:?}"
        );
        kernel.execute_detached("sleep 60").finish().unwrap();
        kernel.destroy().unwrap();
        let error = kernel.attach().finish().unwrap_err();
        assert!(error.is_not_found(), "{error}");
    }
}

#[test]
fn what_nobody_has_attached_to_is_left_to_the_next_execution() {
    let lab = Lab::new();
    for way in WAYS {
        let kernel = lab.kernel(way, "bash");
        kernel
            .execute_detached("echo old; touch on")
            .finish()
            .unwrap();
        lab.has(&kernel, "on");
        let next = kernel
            .execute("echo next")
            .with_busy_wait(Duration::MAX)
            .finish()
            .unwrap();
        assert_eq!(next.stdout(), "next\n");
        assert_eq!(
            next.console.unclaimed().unwrap().stdout(),
            "old\n",
            "{way:?}"
        );
        kernel.destroy().unwrap();
    }
}

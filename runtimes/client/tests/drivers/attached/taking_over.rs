//! Clients that take over from others.

use std::time::Duration;

use sorna::ExecuteMode;

use super::lab::{Lab, WAYS, exec, until};

const LONG: &str = "echo begun; until [ -e go ]; do sleep 0.005; done; echo end; (exit 4)";

#[test]
fn a_client_that_attaches_takes_over_and_the_other_one_is_told() {
    let lab = Lab::new();
    for way in WAYS {
        for other in WAYS {
            for mode in [ExecuteMode::from(LONG), exec(LONG)] {
                let kernel = lab.kernel(way, "bash");
                let mut first = kernel.execute(mode);
                until(&mut first, "begun\n");
                // In the same kernel, which has an ID for each dialect.
                let same = lab.same(&kernel, other);
                let mut second = same.attach();
                let waits = std::thread::spawn(move || {
                    let error = loop {
                        match first.next_event() {
                            Ok(Some(_)) => {}
                            Ok(None) => panic!("it has the end"),
                            Err(error) => break error,
                        }
                    };
                    assert!(error.is_taken_over(), "{error}");
                    assert_eq!(
                        error.to_string(),
                        "another client has taken the execution over"
                    );
                });
                let taken = std::thread::spawn(move || {
                    let output = until(&mut second, "end\n");
                    while second.next_event().unwrap().is_some() {}
                    (output, second.result().unwrap().exit_code())
                });
                waits.join().unwrap();
                lab.put(&kernel, "go");
                let (output, code) = taken.join().unwrap();
                // Whether `begun` has been received is not known of each client.
                let output = output.strip_prefix("begun\n").unwrap_or(&output);
                assert_eq!((output, code), ("end\n", Some(4)), "{way:?} {other:?}");
                kernel.destroy().unwrap();
            }
        }
    }
}

#[test]
fn what_a_client_has_left_that_was_killed_goes_on_and_is_attached_to() {
    let lab = Lab::new();
    for way in WAYS {
        for mode in [ExecuteMode::from(LONG), exec(LONG)] {
            let kernel = lab.kernel(way, "bash");
            let mut first = kernel.execute(mode);
            until(&mut first, "begun\n");
            drop((first, kernel));
            let kernel = lab.kernel(way, "bash");
            assert!(kernel.run("1").unwrap_err().is_busy());
            lab.put(&kernel, "go");
            let result = kernel.attach().finish().unwrap();
            let stdout = result.stdout();
            assert!(stdout.ends_with("end\n"), "{way:?}: {stdout}");
            assert_eq!(result.exit_code(), Some(4));
            kernel.destroy().unwrap();
        }
    }
}

#[test]
fn clients_attach_one_after_the_other_and_nothing_is_lost_between_them() {
    const CODE: &str = "for i in $(seq 600); do echo $i; sleep 0.002; done";
    let lab = Lab::new();
    for way in WAYS {
        let kernel = lab.kernel(way, "bash");
        kernel.execute_detached(CODE).finish().unwrap();
        let mut output = String::new();
        for _ in 0..4 {
            let mut attached = lab.kernel(way, "bash").attach();
            let next = output.lines().count() + 20;
            output += &until(&mut attached, &format!("\n{next}\n"));
        }
        output += &lab.kernel(way, "bash").attach().finish().unwrap().stdout();
        // What a client has received just before it has gone may come once more, since that is not known.
        let mut lines: Vec<u32> = output.lines().map(|line| line.parse().unwrap()).collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines, (1..=600).collect::<Vec<_>>(), "{way:?}");
        kernel.destroy().unwrap();
    }
}

#[test]
fn a_client_that_is_interrupted_by_another_one_stays() {
    let lab = Lab::new();
    for way in WAYS {
        let kernel = lab.kernel(way, "python3");
        let code = "import time\nprint('begun', flush=True)\ntime.sleep(60)";
        kernel.execute_detached(code).finish().unwrap();
        let mut attached = kernel.attach();
        until(&mut attached, "begun\n");
        kernel.interrupt().unwrap();
        while attached.next_event().unwrap().is_some() {}
        assert_eq!(attached.result().unwrap().exit_code(), Some(130), "{way:?}");

        kernel.execute_detached(code).finish().unwrap();
        let mut attached = kernel.attach();
        until(&mut attached, "begun\n");
        attached.give_up();
        while let Ok(Some(_)) = attached.next_event() {}
        assert_eq!(kernel.run("print(1)").unwrap().stdout(), "1\n", "{way:?}");
        kernel.destroy().unwrap();
    }
}

#[test]
fn a_busy_kernel_says_who_keeps_it_busy() {
    let lab = Lab::new();
    for way in WAYS {
        let kernel = lab.kernel(way, "bash");
        kernel.execute_detached("sleep 60").finish().unwrap();
        let execution = kernel.execute("echo 1").with_busy_wait(Duration::ZERO);
        let error = execution.finish().unwrap_err();
        let busy = error.busy().unwrap();
        assert_eq!(busy.client.as_deref(), Some("a test"), "{way:?}");
        assert!(
            error.to_string().ends_with(", started by a test"),
            "{error}"
        );
        kernel.destroy().unwrap();
    }
}

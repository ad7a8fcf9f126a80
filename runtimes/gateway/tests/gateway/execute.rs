//! Executions: continuation, large output, time limits, and clients that disappear.

use std::io::Write;
use std::time::{Duration, SystemTime};

use crate::common::{Client, gateway, gateway_with, wait_until};
use sorna_core::{
    Continuation, Destroy, Execute, ExecuteMode, ExecutionStatus, Info, Limits, Restart,
};

#[test]
fn a_sleeping_program_is_continued() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code = "import time, os\nprint('start')\nwhile not os.path.exists('go'): time.sleep(.01)\nprint('end')";
    let (start, first) = client.query(&kernel, code);
    assert_eq!(first.status, ExecutionStatus::Continued);
    assert_eq!(first.console.stdout(), "start\n");
    let again = client.call(&start.proceed(Continuation::Continue)).unwrap();
    assert_eq!(
        (again.status, again.console.is_empty()),
        (ExecutionStatus::Continued, true)
    );
    // Code that is sent while something runs is neither run nor swallowed.
    let other = Execute::start(kernel.clone(), ExecuteMode::query("print('lost')"));
    assert_eq!(client.error_of(&other), (409, "kernel-busy".to_owned()));
    client.upload(&kernel, &[("go", b"")]).unwrap();
    let next = client.call(&start.proceed(Continuation::Continue)).unwrap();
    assert_eq!(client.finish(&start, next).finished().0, "end\n");
    // A continuation finishes at once if nothing runs.
    let idle = client.call(&start.proceed(Continuation::Continue)).unwrap();
    assert_eq!(
        (idle.status, idle.console.is_empty()),
        (ExecutionStatus::Finished, true)
    );
    assert_eq!(gateway.stats().executions, 1);
}

#[test]
fn large_output_arrives_whole_and_in_portions() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let python = client.create("python3");
    let outcome = client.run(&python, "print('é' * (512 * 1024), end='')");
    assert_eq!(outcome.finished().0, "é".repeat(512 * 1024));
    let outcome = client.run(&python, "for i in range(400000): print(i)");
    assert!(
        outcome.responses >= 2 && outcome.records <= outcome.responses,
        "{}",
        outcome.responses
    );
    let expected: String = (0..400_000).map(|i| format!("{i}\n")).collect();
    assert!(outcome.finished().0 == expected);

    let bash = client.create("bash");
    let outcome = client.run(&bash, "seq 1 500000; echo end >&2");
    assert!(outcome.responses >= 3, "{}", outcome.responses);
    let (stdout, stderr) = outcome.finished();
    let expected: String = (1..=500_000).map(|i| format!("{i}\n")).collect();
    assert!(stdout == expected);
    assert_eq!(stderr, "end\n");
}

#[test]
fn characters_split_over_writes_are_joined() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code = "import os, time\n\
        for byte in '<é€😀>'.encode(): os.write(1, bytes([byte])); time.sleep(.02)\n\
        os.write(1, b'\\xf0\\x9f')";
    assert_eq!(client.run(&kernel, code).finished().0, "<é€😀>\u{fffd}");
    let code = "import sys\n\
        for byte in '<é€😀>'.encode(): sys.stdout.buffer.write(bytes([byte])); sys.stdout.flush()\n\
        sys.stdout.buffer.write(b'\\xff')";
    assert_eq!(client.run(&kernel, code).finished().0, "<é€😀>\u{fffd}");
}

#[test]
fn a_time_limit_that_passes_while_the_interpreter_starts_is_a_timeout() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let limits = Limits::new().with_exec_timeout(Duration::from_millis(1));
    let kernel = client.create_with("python3", limits);
    // Each one replaces the interpreter, which takes longer to start than the next one may take.
    for _ in 0..3 {
        let outcome = client.run(&kernel, "import time; time.sleep(1000)");
        assert_eq!(
            outcome.status,
            Some(ExecutionStatus::ExecTimeout),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_run_that_takes_too_long_is_stopped_and_the_kernel_survives() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let limits = Limits::new().with_exec_timeout(Duration::from_secs(4));
    for lang in ["python3", "bash", "c"] {
        let kernel = client.create_with(lang, limits);
        let (endless, after, expected) = match lang {
            "python3" => (
                "import os\nprint('begun', flush=True)\nos.system('sleep 1000')",
                "print(1)",
                "1\n",
            ),
            "bash" => (
                "echo begun; while true; do sleep 0.01; done",
                "echo 1",
                "1\n",
            ),
            _ => (
                "#include <stdio.h>\nint main(void) { puts(\"begun\"); for (;;); }",
                "int main(void) { return 0; }",
                "",
            ),
        };
        let outcome = client.run(&kernel, endless);
        assert_eq!(
            outcome.status,
            Some(ExecutionStatus::ExecTimeout),
            "{lang}: {outcome:?}"
        );
        assert_eq!(outcome.stdout, "begun\n");
        assert_eq!(client.run(&kernel, after).finished().0, expected);
    }
    // The time that a program waits for its user does not count.
    let kernel = client.create_with("python3", limits);
    assert_eq!(client.run(&kernel, "print(input())").asks(), Some(false));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(client.input(&kernel, "late").finished().0, "late\n");
}

#[test]
fn a_client_that_hangs_up_loses_nothing() {
    let gateway = gateway_with(|config| config.with_continuation_interval(Duration::from_secs(50)));
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code = "import time, os\nprint('one')\nwhile not os.path.exists('go'): time.sleep(.01)\nprint('two')";
    let start = Execute::start(kernel.clone(), ExecuteMode::query(code));
    let mut stream = client.connect();
    stream
        .write_all(&client.bytes_of(&start, SystemTime::now()))
        .unwrap();
    wait_until("the run starts", || gateway.stats().executions == 1);
    drop(stream);
    client.upload(&kernel, &[("go", b"")]).unwrap();
    let next = client.call(&start.proceed(Continuation::Continue)).unwrap();
    let next = client.finish(&start, next);
    assert_eq!(next.finished().0, "one\ntwo\n");

    // Nor if a new execution follows instead of a continuation.
    let code = "print('three')";
    let start = Execute::start(kernel.clone(), ExecuteMode::query(code));
    let mut stream = client.connect();
    stream
        .write_all(&client.bytes_of(&start, SystemTime::now()))
        .unwrap();
    wait_until("the run starts", || gateway.stats().executions == 2);
    drop(stream);
    // While the first still runs, the kernel is busy.
    let next = Execute::start(kernel, ExecuteMode::query("print('four')"));
    let first = loop {
        match client.call(&next) {
            Ok(first) => break first,
            Err(error) => {
                let status = error.gateway().expect("an error response").status();
                assert_eq!(status.as_u16(), 409, "{error:?}");
            }
        }
    };
    let output = client.finish(&next, first).finished().0;
    // The first response may have been delivered before the client hung up.
    assert!(
        ["three\nfour\n", "four\n"].contains(&&*output),
        "{output:?}"
    );
}

#[test]
fn requests_of_two_clients_to_one_kernel_alternate() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code = "import time\nfor i in range(50): print(i); time.sleep(.02)";
    let (start, first) = client.query(&kernel, code);
    let mut all = first.console.stdout().into_owned();
    let parts: Vec<String> = std::thread::scope(|scope| {
        let poll = || {
            let (client, start) = (&client, &start);
            scope.spawn(move || {
                let next = client.call(&start.proceed(Continuation::Continue)).unwrap();
                client.finish(start, next).stdout
            })
        };
        let threads = [poll(), poll(), poll()];
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    all.extend(parts);
    let mut numbers: Vec<u32> = all.lines().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..50).collect::<Vec<_>>());
}

#[test]
fn restart_keeps_files_and_drops_state() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    client
        .run(&kernel, "x = 1\nopen('kept', 'w').write('file')")
        .finished();
    client.call(&Restart::new(kernel.clone())).unwrap();
    let (stdout, stderr) = client
        .run(&kernel, "print(open('kept').read())\nprint(x)")
        .finished();
    assert_eq!(stdout, "file\n");
    assert!(stderr.contains("NameError"), "{stderr}");
    // A restart during a run stops the run, and reports that to its client.
    let (start, first) = client.query(&kernel, "import time\ntime.sleep(1000)");
    assert_eq!(first.status, ExecutionStatus::Continued);
    client.call(&Restart::new(kernel.clone())).unwrap();
    let error = client.error_of(&start.proceed(Continuation::Continue));
    assert_eq!(error, (500, "kernel-execution-failed".to_owned()));
    assert_eq!(client.run(&kernel, "print(2)").finished().0, "2\n");
}

#[test]
fn destroying_a_kernel_ends_the_request_that_waits_for_it() {
    let gateway = gateway_with(|config| config.with_continuation_interval(Duration::from_secs(50)));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let start = Execute::start(kernel.clone(), ExecuteMode::query("sleep 1000"));
            client.error_of(&start)
        });
        wait_until("the run starts", || gateway.stats().executions == 1);
        client.call(&Destroy::new(kernel.clone())).unwrap();
        assert_eq!(
            waiting.join().unwrap(),
            (404, "kernel-not-found".to_owned())
        );
    });
    assert_eq!(client.error_of(&Info::new(kernel)).0, 404);
}

#[test]
fn info_reports_the_state_of_a_kernel() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python");
    client.run(&kernel, "sum(range(20_000_000))").finished();
    let info = client.call(&Info::new(kernel)).unwrap();
    assert_eq!(info.language(), Some("python"));
    assert_eq!(info.executions(), Some(1));
    assert_eq!(info.exec_timeout(), Some(Duration::from_secs(30)));
    assert!(info.age().unwrap() > Duration::ZERO && info.idle().is_some());
    assert!(info.memory_used().unwrap() > 1_000_000, "{info:?}");
    assert!(info.cpu_time_used().unwrap() > Duration::ZERO, "{info:?}");
    assert_eq!(
        info.max_cpu_time(),
        Some(Duration::ZERO),
        "there is no limit"
    );
}

/// The same fields as those of the original gateway, and of the same types: age and CPU time alone have fractions. Also before
/// the first snippet, and where there are no limits or odd ones.
#[test]
fn info_has_the_fields_and_types_of_the_original() {
    let odd = Duration::from_micros(7_000_500);
    let limits = [
        (odd, odd, 100_000_001),
        (Duration::from_secs(30), Duration::from_secs(600), 0),
    ];
    for (exec_timeout, idle_timeout, memory) in limits {
        let gateway = gateway_with(|config| {
            let config = config
                .with_exec_timeout(exec_timeout)
                .with_idle_timeout(idle_timeout);
            match memory {
                0 => config,
                bytes => config.with_max_memory(bytes),
            }
        });
        let client = Client::new(&gateway);
        let kernel = client.create("bash");
        let path = format!("/v2/kernel/{kernel}");
        let expected = [
            "age",
            "cpuCreditUsed",
            "idle",
            "idleTimeout",
            "lang",
            "maxCpuCredit",
            "memoryLimit",
            "memoryUsed",
            "numQueriesExecuted",
            "queryTimeout",
        ];
        for runs in 0..3 {
            let response = client.raw("GET", &path, "application/octet-stream", b"");
            let info: serde_json::Map<_, serde_json::Value> =
                serde_json::from_slice(response.body()).unwrap();
            let mut names: Vec<&str> = info.keys().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, expected);
            for name in expected {
                let value = &info[name];
                match name {
                    "lang" => assert_eq!(value, "bash"),
                    "numQueriesExecuted" => assert_eq!(value, runs),
                    "age" | "cpuCreditUsed" => assert!(value.is_f64(), "{name}: {value}"),
                    _ => assert!(value.is_u64(), "{name}: {value}"),
                }
            }
            client.run(&kernel, ":");
        }
    }
}

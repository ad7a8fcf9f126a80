//! What results say of what programs have used, and the limit on what they write.

use std::time::Duration;

use sorna_core::{
    Batch, Continuation, Execute, ExecuteMode, ExecutionResult, ExecutionStatus, KernelId, Limit,
    RunMark, Usage,
};
use sorna_gateway::{GatewayConfig, IsolationLevel, RunningGateway};
use sorna_test_tools::need;

use crate::common::{Client, gateway, gateway_with};

const MIB: u64 = 1 << 20;
/// Spends 300 ms of processor time, by its own clock.
const BUSY: &str = "import time\nwhile time.process_time() < 0.3: pass\n";
/// The same in an interpreter that has run before.
const BUSY_AGAIN: &str =
    "import time\nuntil = time.process_time() + 0.3\nwhile time.process_time() < until: pass\n";

/// Without and with what gateways learn it from.
fn gateways() -> Vec<(&'static str, RunningGateway)> {
    let boxed = |config: GatewayConfig| {
        config
            .with_isolation(IsolationLevel::Namespaces)
            .with_box_program(env!("CARGO_BIN_EXE_sorna-box"), [""; 0])
    };
    let ungrouped = |config: GatewayConfig| config.with_cgroup("/dev");
    vec![
        ("processes", gateway_with(ungrouped)),
        ("groups", gateway()),
        ("boxes", gateway_with(|config| ungrouped(boxed(config)))),
        ("boxes and groups", gateway_with(boxed)),
    ]
}

fn run(client: &Client, kernel: &KernelId, mode: impl Into<ExecuteMode>) -> Vec<ExecutionResult> {
    run_as(client, kernel, mode, RunMark::new("run"))
}

/// All results of an execution, with their output.
fn run_as(
    client: &Client,
    kernel: &KernelId,
    mode: impl Into<ExecuteMode>,
    mark: RunMark,
) -> Vec<ExecutionResult> {
    let mut mark = mark;
    mark.id = sorna_core::SessionToken::from_random(random()).to_string();
    let mut request = Execute::start(kernel.clone(), mode.into())
        .with_bytes(true)
        .with_mark(Some(mark));
    let mut all = vec![client.call(&request).unwrap()];
    while !all.last().unwrap().status.is_end() {
        request = request.proceed(Continuation::Continue);
        all.push(client.call(&request).unwrap());
    }
    all
}

fn random() -> [u8; 16] {
    use std::hash::{BuildHasher, RandomState};
    let number = || RandomState::new().hash_one(0).to_le_bytes();
    [number(), number()].concat().try_into().unwrap()
}

#[track_caller]
fn last(results: &[ExecutionResult]) -> Usage {
    let last = results.last().unwrap();
    last.usage().unwrap_or_else(|| panic!("{last:?}"))
}

fn exec(command: &str) -> Batch {
    Batch::new().without_build().with_exec(command)
}

fn output(results: &[ExecutionResult]) -> Vec<u8> {
    let stdout = results.iter().map(ExecutionResult::stdout_bytes);
    stdout.flat_map(|bytes| bytes.into_owned()).collect()
}

#[test]
fn time_and_memory_are_those_of_the_program() {
    if !need("python3") {
        return;
    }
    let spent = Duration::from_millis(250);
    for (name, gateway) in gateways() {
        let client = Client::new(&gateway);
        let kernel = client.create("python3");
        // It sleeps for longer than others compute.
        let idle = last(&run(&client, &kernel, "import time; time.sleep(0.4)"));
        assert!(idle.wall_time.unwrap() >= Duration::from_millis(400));
        assert!(idle.processor_time.unwrap() < spent, "{name}: {idle:?}");
        let large = format!("x = bytes(b'x' * {}); print(len(x)); del x", 200 * MIB);
        for code in [
            BUSY_AGAIN,
            "import subprocess\nsubprocess.run(['python3', '-c', 'import time\\nwhile time.process_time() < 0.3: pass'])",
        ] {
            let busy = last(&run(&client, &kernel, code));
            assert!(busy.processor_time.unwrap() >= spent, "{name}: {busy:?}");
            assert!(busy.peak_memory.unwrap() < 150 * MIB, "{name}: {busy:?}");
        }
        let used = last(&run(&client, &kernel, &large[..]));
        assert!(used.peak_memory.unwrap() >= 200 * MIB, "{name}: {used:?}");
        assert_eq!(used.output, Some(10));
        // That is over.
        let small = last(&run(&client, &kernel, "x = 1"));
        let peak = small.peak_memory.unwrap();
        assert!((MIB..150 * MIB).contains(&peak), "{name}: {small:?}");
        assert!(small.processor_time.unwrap() < spent, "{name}: {small:?}");

        let files = [
            ("main.py", BUSY.as_bytes()),
            ("sleep.py", b"import time; time.sleep(0.4)"),
        ];
        client.upload(&kernel, &files).unwrap();
        let busy = last(&run(&client, &kernel, exec("python3 main.py")));
        assert!(busy.processor_time.unwrap() >= spent, "{name}: {busy:?}");
        assert!(busy.wall_time.unwrap() >= spent, "{name}: {busy:?}");
        let idle = last(&run(&client, &kernel, exec("python3 sleep.py")));
        assert!(idle.processor_time.unwrap() < spent, "{name}: {idle:?}");
        assert!(idle.wall_time.unwrap() >= Duration::from_millis(400));
        // Without a box, memory is only looked at from time to time.
        let wait = if name.contains("boxes") {
            ""
        } else {
            "; import time; time.sleep(0.5)"
        };
        let code = format!("x = b'x' * {}{wait}", 200 * MIB);
        client
            .upload(&kernel, &[("main.py", code.as_bytes())])
            .unwrap();
        let used = last(&run(&client, &kernel, exec("python3 main.py")));
        assert!(used.peak_memory.unwrap() >= 200 * MIB, "{name}: {used:?}");
        client.destroy(&kernel);
    }
}

#[test]
fn an_interpreter_that_ends_has_used_what_others_have() {
    if !need("python3") {
        return;
    }
    for (name, gateway) in gateways() {
        let client = Client::new(&gateway);
        let kernel = client.create("python3");
        let code = format!(
            "{BUSY_AGAIN}\nx = b'x' * {}\nimport os\nprint('x', flush=True)\ntime.sleep(0.2)\nos._exit(3)",
            200 * MIB
        );
        let results = run(&client, &kernel, &code[..]);
        assert_eq!(results.last().unwrap().exit_code(), Some(3));
        let used = last(&results);
        assert!(
            used.processor_time.unwrap() >= Duration::from_millis(250),
            "{name}: {used:?}"
        );
        assert!(used.peak_memory.unwrap() >= 200 * MIB, "{name}: {used:?}");
        // One that is killed for its time as well.
        let mark = RunMark::new("x").with_time_limit(Some(Duration::from_millis(500)));
        let late = run_as(&client, &kernel, "while True: pass", mark);
        assert_eq!(late.last().unwrap().status, ExecutionStatus::ExecTimeout);
        let used = last(&late);
        assert!(
            used.wall_time.unwrap() >= Duration::from_millis(500),
            "{name}: {used:?}"
        );
        assert!(
            used.processor_time.unwrap() > Duration::ZERO,
            "{name}: {used:?}"
        );
        client.destroy(&kernel);
    }
}

#[test]
fn each_step_of_a_batch_has_its_own() {
    if !need("python3") {
        return;
    }
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    client
        .upload(&kernel, &[("main.py", BUSY.as_bytes())])
        .unwrap();
    let batch = Batch::new()
        .with_build("python3 main.py; echo built")
        .with_exec("sleep 0.1; printf abc; printf de >&2");
    let results = run(&client, &kernel, batch);
    let built = results
        .iter()
        .find(|it| it.status == ExecutionStatus::BuildFinished)
        .unwrap();
    let built = built.usage().unwrap();
    assert!(
        built.processor_time.unwrap() >= Duration::from_millis(250),
        "{built:?}"
    );
    assert_eq!(built.output, Some(6));
    let used = last(&results);
    assert!(
        used.processor_time.unwrap() < Duration::from_millis(250),
        "{used:?}"
    );
    assert!(
        used.wall_time.unwrap() >= Duration::from_millis(100),
        "{used:?}"
    );
    assert_eq!(used.output, Some(5));
    // A result that is not the end says nothing of it.
    assert!(
        results[..results.len() - 1]
            .iter()
            .filter(|it| it.usage().is_some())
            .count()
            == 1
    );
}

#[test]
fn who_does_not_mark_executions_is_told_nothing_of_it() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let outcome = client.run(&kernel, "echo x");
    assert_eq!(outcome.last.unwrap().usage(), None);
}

#[test]
fn what_goes_beyond_the_limit_on_output_is_cut() {
    let mark = || RunMark::new("x").with_max_output(Some(1000));
    // As much as is allowed.
    let exact = "head -c 600 /dev/zero | tr '\\0' x; head -c 400 /dev/zero | tr '\\0' y >&2";
    let more = format!("{exact}; printf z; sleep 1000");
    let endless = "yes 0123456789";
    for (name, gateway) in gateways() {
        let client = Client::new(&gateway);
        let kernel = client.create("bash");
        let modes = |code: &str| [ExecuteMode::query(code), exec(code).into()];
        for mode in modes(exact) {
            let results = run_as(&client, &kernel, mode, mark());
            let last = results.last().unwrap();
            assert_eq!(
                (last.exceeded(), last.exit_code()),
                (None, Some(0)),
                "{name}"
            );
            assert_eq!(last.usage().unwrap().output, Some(1000));
        }
        for code in [&more, endless] {
            for mode in modes(code) {
                let results = run_as(&client, &kernel, mode, mark());
                let last = results.last().unwrap();
                let exceeded = last.exceeded().unwrap();
                assert_eq!((exceeded.limit, exceeded.max), (Limit::Output, Some(1000)));
                assert_eq!(last.exit_code(), Some(137), "{name}: {last:?}");
                assert_eq!(last.status, ExecutionStatus::Finished);
                assert!(last.usage().unwrap().output.unwrap() > 1000);
                let stdout = output(&results);
                let expected = if code == endless { 1000 } else { 600 };
                assert_eq!(stdout.len(), expected, "{name}: {code}");
                let stderr = results.iter().map(ExecutionResult::stderr);
                let stderr: String = stderr.map(std::borrow::Cow::into_owned).collect();
                let said = "killed: the program exceeded its output limit of 1000 bytes\n";
                assert!(stderr.ends_with(said), "{name}: {stderr}");
                assert_eq!(stderr.len(), 1000 - expected + said.len(), "{stderr}");
            }
        }
        // The next one has no limit, and a kernel to run in.
        let results = run(&client, &kernel, "yes | head -c 5000");
        assert_eq!(output(&results).len(), 5000, "{name}");
        client.destroy(&kernel);
    }
}

#[test]
fn output_of_a_runner_counts_as_well() {
    if !need("python3") {
        return;
    }
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let mark = || RunMark::new("x").with_max_output(Some(100));
    for (code, printed) in [
        ("while True: print('x' * 9)", 100),
        // No character is cut in two.
        ("print('x' + 'é' * 60)", 99),
        (
            "import sys; sys.stdout.buffer.write(b'\\xff' * 200); sys.stdout.flush()",
            100,
        ),
    ] {
        let results = run_as(&client, &kernel, code, mark());
        let last = results.last().unwrap();
        assert_eq!(
            last.exceeded().map(|it| it.limit),
            Some(Limit::Output),
            "{code}: {results:?}"
        );
        assert_eq!(last.exit_code(), Some(137), "{code}");
        assert_eq!(output(&results).len(), printed, "{code}");
    }
    let results = run_as(&client, &kernel, "print('x' * 99)", mark());
    assert_eq!(results.last().unwrap().exceeded(), None);
    assert_eq!(output(&results).len(), 100);
}

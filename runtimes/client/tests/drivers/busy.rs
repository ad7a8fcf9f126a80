//! Kernels that are busy, in all drivers and both dialects.

#![cfg(all(
    feature = "tokio",
    feature = "smol",
    feature = "async-std",
    feature = "ureq"
))]

use std::future::Future;
use std::time::Duration;

use sorna::{
    ApiVersion, Batch, Config, Dialect, ExecuteMode, ExecutionEvent, KernelSpec, Limits,
    SessionToken, UploadFile,
};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};

const LONG: &str = "echo begun; until [ -e go ]; do sleep 0.005; done; echo end";

fn exec(command: &str) -> ExecuteMode {
    Batch::new().without_build().with_exec(command).into()
}

/// A client that holds something to run against another one, of the same kernel.
macro_rules! scenario {
    ($client:expr, $wait:ident, $long:expr, $other:expr) => {{
        let client = $client;
        let token = SessionToken::new("a-busy-session").unwrap();
        let limits = Limits::new();
        let kernel =
            $wait!(client.get_or_create(KernelSpec::new("bash").with_limits(limits), &token))
                .unwrap();
        let mut first = kernel.execute($long);
        let mut output = String::new();
        while !output.contains("begun\n") {
            match $wait!(first.next_event()).unwrap().unwrap() {
                ExecutionEvent::Console(console) => output += &console.stdout(),
                _ => {}
            }
        }
        let again = $wait!(client.get_or_create("bash", &token)).unwrap();
        let error = $wait!(again.run($other)).unwrap_err();
        assert!(error.is_busy() && !error.may_have_acted(), "{error}");
        let limited = again
            .execute($other)
            .with_busy_wait(Duration::from_millis(1));
        assert!($wait!(limited.finish()).unwrap_err().is_busy());

        let mut second = again.execute($other).with_busy_wait(Duration::MAX);
        let event = $wait!(second.next_event()).unwrap();
        assert!(
            matches!(event, Some(ExecutionEvent::KernelBusy(_))),
            "{event:?}"
        );
        let go = UploadFile::from_bytes("go", "").unwrap();
        $wait!(kernel.upload(vec![go])).unwrap();
        let rest = $wait!(first.finish()).unwrap();
        assert_eq!(output + &rest.stdout(), "begun\nend\n");
        let (mut is_free, mut heard) = (false, String::new());
        while let Some(event) = $wait!(second.next_event()).unwrap() {
            match event {
                ExecutionEvent::KernelFree => is_free = true,
                ExecutionEvent::Console(console) => heard += &console.stdout(),
                _ => {}
            }
        }
        assert_eq!((is_free, heard.as_str()), (true, "other\n"));
        $wait!(kernel.destroy()).unwrap();
    }};
}

macro_rules! awaited {
    ($future:expr) => {
        $future.await
    };
}

macro_rules! at_once {
    ($result:expr) => {
        $result
    };
}

macro_rules! on {
    ($name:ident, $driver:ident, $block_on:path) => {
        fn $name(config: Config, long: ExecuteMode, other: ExecuteMode) {
            let client = sorna::$driver::Client::new(config);
            $block_on(async { scenario!(client, awaited, long.clone(), other.clone()) })
        }
    };
}

on!(on_tokio, tokio, tokio_block_on);
on!(on_smol, smol, smol::block_on);
on!(on_async_std, async_std, async_std::task::block_on);

fn tokio_block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

fn blocking(config: Config, long: ExecuteMode, other: ExecuteMode) {
    let client = sorna::blocking::Client::new(config);
    scenario!(client, at_once, long.clone(), other.clone());
}

type Driver = fn(Config, ExecuteMode, ExecuteMode);

fn config(gateway: &RunningGateway, dialect: Dialect) -> Config {
    let keys = gateway.credentials()[0].clone();
    let config = Config::new(gateway.endpoint().parse().unwrap(), keys);
    match dialect {
        Dialect::SornaV2 => config.with_version(ApiVersion::V2_20170315),
        _ => config.with_version(ApiVersion::V9_20250722),
    }
}

#[test]
fn a_busy_kernel_is_an_error_or_waited_for_and_nothing_is_lost() {
    let interval = Duration::from_millis(300);
    let gateway = GatewayConfig::new().with_continuation_interval(interval);
    let gateway = Gateway::spawn(gateway).unwrap();
    let drivers: [Driver; 4] = [on_tokio, on_smol, on_async_std, blocking];
    for dialect in [Dialect::SornaV2, Dialect::BackendAi] {
        for driver in drivers {
            for (long, other) in [
                (ExecuteMode::query(LONG), ExecuteMode::query("echo other")),
                (exec(LONG), exec("echo other")),
                (ExecuteMode::query(LONG), exec("echo other")),
            ] {
                driver(config(&gateway, dialect), long, other);
            }
        }
    }
    // Over a WebSocket, where the gateway says what it is.
    let keys = gateway.credentials()[0].clone();
    let negotiated = Config::new(gateway.endpoint().parse().unwrap(), keys);
    for driver in drivers {
        let (long, other) = (ExecuteMode::query(LONG), ExecuteMode::query("echo other"));
        driver(negotiated.clone(), long, other);
    }
}

#[test]
fn the_time_limit_that_is_asked_for_counts_in_a_living_kernel() {
    let gateway = Gateway::spawn(GatewayConfig::new()).unwrap();
    let client = sorna::blocking::Client::new(config(&gateway, Dialect::SornaV2));
    let token = SessionToken::new("a-limited-session").unwrap();
    for (lang, endless) in [
        ("python3", ExecuteMode::query("while True: pass")),
        ("bash", ExecuteMode::query("sleep 1000")),
        ("bash", exec("sleep 1000")),
    ] {
        let unlimited = client.get_or_create(lang, &token).unwrap();
        let limits = Limits::new().with_exec_timeout(Duration::from_millis(300));
        let spec = KernelSpec::new(lang).with_limits(limits);
        let limited = client.get_or_create(spec, &token).unwrap();
        assert_eq!(limited.id(), unlimited.id());
        let status = limited.run(endless).unwrap().status;
        assert_eq!(status, sorna::ExecutionStatus::ExecTimeout, "{lang}");
        let slept = unlimited.run(exec("sleep 0.4; echo slept")).unwrap();
        assert_eq!(slept.stdout(), "slept\n");
    }
}

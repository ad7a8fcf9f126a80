//! The same in all drivers, and with gateways that do not offer it.

use std::future::Future;

use sorna::Config;

use super::lab::{Lab, WAYS};

macro_rules! scenario {
    ($client:expr, $wait:ident) => {{
        let kernel = $wait!($client.create("bash")).unwrap();
        $wait!(kernel.execute_detached("echo a; read x; echo $x").finish()).unwrap();
        let mut attached = kernel.attach();
        let mut output = String::new();
        while let Some(event) = $wait!(attached.next_event()).unwrap() {
            match event {
                sorna::ExecutionEvent::Console(console) => output += &console.stdout(),
                sorna::ExecutionEvent::InputRequested { .. } => attached.answer("b").unwrap(),
                _ => {}
            }
        }
        assert_eq!(output, "a\nb\n");
        let error = $wait!(kernel.attach().finish()).unwrap_err();
        assert!(error.is_nothing_to_attach(), "{error}");
        $wait!(kernel.execute_detached(r"printf '\xff\xe9'").finish()).unwrap();
        let result = $wait!(kernel.attach().finish()).unwrap();
        assert_eq!(&*result.console.stdout_bytes(), b"\xff\xe9");
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
        fn $name(config: Config) {
            let client = sorna::$driver::Client::new(config);
            $block_on(async { scenario!(client, awaited) })
        }
    };
}

on!(on_tokio, tokio, tokio_block_on);
on!(on_smol, smol, smol::block_on);
on!(on_async_std, async_std, async_std::task::block_on);

fn tokio_block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

fn blocking(config: Config) {
    scenario!(sorna::blocking::Client::new(config), at_once);
}

#[test]
fn all_drivers_attach() {
    let lab = Lab::new();
    for way in WAYS {
        for driver in [on_tokio, on_smol, on_async_std, blocking] {
            driver(lab.config(way, &lab.endpoint()));
        }
    }
}

#[test]
fn a_client_that_knows_only_the_id_of_a_kernel_asks_whether_it_can_attach() {
    let lab = Lab::new();
    for way in WAYS {
        let kernel = lab.kernel(way, "bash");
        let client = sorna::blocking::Client::new(lab.config(way, &lab.endpoint()));
        let same = client.kernel(kernel.id().clone());
        same.execute_detached(r"printf 'a\n\xff'").finish().unwrap();
        let client = sorna::blocking::Client::new(lab.config(way, &lab.endpoint()));
        let result = client.kernel(kernel.id().clone()).attach().finish();
        let console = result.unwrap().console;
        assert_eq!(&*console.stdout_bytes(), b"a\n\xff", "{way:?}");
        // One that cannot take bytes says so.
        same.execute_detached(r"printf '\xff'").finish().unwrap();
        let text = same.with_bytes(false).attach().finish().unwrap();
        assert!(!text.console.has_bytes(), "{way:?}");
        assert_eq!(text.stdout(), "\u{fffd}", "{way:?}");
        kernel.destroy().unwrap();
    }
}

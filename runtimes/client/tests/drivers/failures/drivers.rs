//! The four drivers, and what they report.

use std::future::Future;

use sorna::protocol::{AccessKey, Config, Credentials, KernelId, SecretKey};
use sorna::{ClientOptions, Error, TerminalOptions};

/// What a client does when it fails.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    Request,
    Terminal,
    /// A terminal, which is open already.
    Reading,
}

pub(crate) type Driver = fn(Config, ClientOptions, Work) -> Error;

pub(crate) const DRIVERS: [(&str, Driver); 4] = [
    ("tokio", on_tokio),
    ("smol", on_smol),
    ("async-std", on_async_std),
    ("blocking", blocking),
];

pub(crate) fn id() -> KernelId {
    KernelId::new("k").unwrap()
}

macro_rules! on {
    ($name:ident, $driver:ident, $block_on:path) => {
        fn $name(config: Config, options: ClientOptions, work: Work) -> Error {
            let client = sorna::$driver::Client::with_options(config, options);
            $block_on(async {
                let kernel = client.kernel(id());
                match work {
                    Work::Request => client.version().await.unwrap_err(),
                    Work::Terminal => {
                        let pty = kernel.stream_pty(TerminalOptions::default()).await;
                        pty.err().unwrap()
                    }
                    Work::Reading => {
                        let pty = kernel.stream_pty(TerminalOptions::default()).await;
                        pty.unwrap().next_event().await.unwrap_err()
                    }
                }
            })
        }
    };
}

on!(on_tokio, tokio, tokio_block_on);
on!(on_smol, smol, smol::block_on);
on!(on_async_std, async_std, async_std::task::block_on);

pub(crate) fn tokio_block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

pub(crate) fn blocking(config: Config, options: ClientOptions, work: Work) -> Error {
    let client = sorna::blocking::Client::with_options(config, options);
    let terminal = || client.kernel(id()).stream_pty(TerminalOptions::default());
    match work {
        Work::Request => client.version().unwrap_err(),
        Work::Terminal => terminal().unwrap_err(),
        Work::Reading => terminal().unwrap().next_event().unwrap_err(),
    }
}

/// What each driver reports for each work.
pub(crate) fn failures(
    endpoint: &str,
    options: &ClientOptions,
    works: &[Work],
) -> Vec<(&'static str, Work, Error)> {
    let keys = Credentials::new(AccessKey::new("AK").unwrap(), SecretKey::new("SK").unwrap());
    let config =
        Config::new(endpoint.parse().unwrap(), keys).with_version(sorna::ApiVersion::V2_20170315);
    let works = DRIVERS
        .iter()
        .flat_map(|driver| works.iter().map(move |work| (driver, *work)));
    works
        .map(|((name, driver), work)| (*name, work, driver(config.clone(), options.clone(), work)))
        .collect()
}

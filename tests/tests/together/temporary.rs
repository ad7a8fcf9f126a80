//! The guard of a temporary kernel, in every driver: however it is dropped, the kernel is destroyed.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use sorna::Config;
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};

const PATIENCE: Duration = Duration::from_secs(30);

fn gateway() -> RunningGateway {
    Gateway::spawn(GatewayConfig::default()).unwrap()
}

fn config(gateway: &RunningGateway) -> Config {
    let credentials = gateway.credentials()[0].clone();
    Config::new(gateway.endpoint().parse().unwrap(), credentials)
        .with_version(sorna::ApiVersion::V2_20170315)
}

fn kernels(gateway: &RunningGateway) -> u64 {
    gateway.stats().kernels
}

/// Work in the background takes a moment.
#[track_caller]
fn eventually_none(gateway: &RunningGateway) {
    let start = Instant::now();
    while kernels(gateway) > 0 {
        assert!(
            start.elapsed() < PATIENCE,
            "{} kernels stay",
            kernels(gateway)
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The same for each async driver: how it blocks, and how it waits.
macro_rules! tests {
    ($($driver:ident: $block_on:expr, $sleep:expr;)*) => {$(
        mod $driver {
            use sorna::$driver::Client;

            use super::*;

            #[test]
            fn every_way_to_end_it() {
                let gateway = gateway();
                let client = Client::new(config(&gateway));
                $block_on(async {
                    let kernel = client.temporary("bash").await.unwrap();
                    let result = kernel.execute("echo here").finish().await.unwrap();
                    assert_eq!(result.console.stdout(), "here\n");
                    assert_eq!(kernels(&gateway), 1);
                    kernel.close().await.unwrap();
                    assert_eq!(kernels(&gateway), 0);

                    let kernel = client.temporary("bash").await.unwrap();
                    kernel.destroy().await.unwrap();
                    kernel.close().await.unwrap();

                    let kernel = client.temporary("bash").await.unwrap().keep();
                    assert_eq!(kernels(&gateway), 1);
                    kernel.destroy().await.unwrap();

                    let error = client.temporary("cobol").await.unwrap_err();
                    assert!(error.gateway().unwrap().is_creation_failed());
                    assert!(!error.may_have_acted());

                    client.settled().await;
                    drop(client.temporary("bash").await.unwrap());
                    drop(client.temporary("bash").await.unwrap());
                    client.settled().await;
                    assert_eq!(kernels(&gateway), 0);

                    drop(client.temporary("bash").await.unwrap());
                    // Work in the background continues while this waits.
                    let start = Instant::now();
                    while kernels(&gateway) > 0 {
                        assert!(start.elapsed() < PATIENCE, "it is not destroyed");
                        $sleep(Duration::from_millis(5)).await;
                    }
                });
                gateway.stop();
            }

            #[test]
            fn creation_dropped_halfway() {
                let gateway = gateway();
                let client = Client::new(config(&gateway));
                $block_on(async {
                    for polls in 0..12 {
                        {
                            let mut creating = pin!(client.temporary("bash"));
                            for _ in 0..polls {
                                let mut context = Context::from_waker(Waker::noop());
                                if let Poll::Ready(kernel) = creating.as_mut().poll(&mut context) {
                                    drop(kernel.unwrap());
                                    break;
                                }
                                // The work that it waits for continues meanwhile.
                                $sleep(Duration::from_millis(2)).await;
                            }
                        }
                        let start = Instant::now();
                        while kernels(&gateway) > 0 && start.elapsed() < PATIENCE {
                            $sleep(Duration::from_millis(5)).await;
                        }
                        assert_eq!(kernels(&gateway), 0, "after {polls} polls");
                    }
                    // The connections still work.
                    client.authorize("").await.unwrap();
                });
                assert!(gateway.stats().kernels_created > 0);
                eventually_none(&gateway);
                gateway.stop();
            }
        }
    )*};
}

fn tokio_block_on<F: Future>(future: F) -> F::Output {
    ::tokio::runtime::Runtime::new().unwrap().block_on(future)
}

async fn smol_sleep(time: Duration) {
    ::smol::Timer::after(time).await;
}

tests! {
    tokio: tokio_block_on, ::tokio::time::sleep;
    smol: ::smol::block_on, smol_sleep;
    async_std: ::async_std::task::block_on, ::async_std::task::sleep;
}

mod blocking {
    use sorna::blocking::Client;

    use super::*;

    #[test]
    fn every_way_to_end_it() {
        let gateway = gateway();
        let client = Client::new(config(&gateway));
        let kernel = client.temporary("bash").unwrap();
        let result = kernel.execute("echo here").finish().unwrap();
        assert_eq!(result.console.stdout(), "here\n");
        assert_eq!(kernels(&gateway), 1);
        kernel.close().unwrap();
        assert_eq!(kernels(&gateway), 0);

        let kernel = client.temporary("bash").unwrap();
        kernel.destroy().unwrap();
        kernel.close().unwrap();

        let kernel = client.temporary("bash").unwrap().keep();
        assert_eq!(kernels(&gateway), 1);
        kernel.destroy().unwrap();

        let error = client.temporary("cobol").unwrap_err();
        assert!(error.gateway().unwrap().is_creation_failed());

        drop(client.temporary("bash").unwrap());
        assert_eq!(kernels(&gateway), 0);
        let panicking = client.clone();
        let thread = std::thread::spawn(move || {
            let _kernel = panicking.temporary("bash").unwrap();
            panic!("for the test");
        });
        assert!(thread.join().is_err());
        assert_eq!(kernels(&gateway), 0);
        gateway.stop();
    }
}

//! Negotiations that are dropped in the middle, or stopped. The blocking driver cannot do that.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use sorna::{Cleanup, ClientOptions, Ending, RetryPolicy, RunPlan};

use super::server::{SILENCE, Server};
use super::{drivers::id, manager_26};

/// Polls a future until the server has seen a request of it, and drops it.
async fn abandon<F: Future>(future: F, server: &Server) {
    let mut future = pin!(future);
    poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending());
        if server.seen().is_empty() {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}

fn silent(_: &str) -> (u16, &'static str) {
    (SILENCE, "")
}

macro_rules! abandoned {
    ($module:ident, $block_on:expr) => {
        mod $module {
            use super::*;

            #[test]
            fn a_negotiation_that_is_dropped_harms_no_other() {
                let server = Server::start(silent);
                let client = sorna::$module::Client::new(server.config());
                $block_on(async {
                    abandon(client.kernel(id()).info(), &server).await;
                    server.becomes(manager_26);
                    client.kernel(id()).info().await.unwrap();
                    assert_eq!(server.seen(), ["GET /", "GET /session/k1"]);
                });
            }

            #[test]
            fn a_run_is_cancelled_before_the_version_is_known() {
                let server = Server::start(silent);
                let options = ClientOptions::new().with_retry(RetryPolicy::never());
                let client = sorna::$module::Client::with_options(server.config(), options);
                $block_on(async {
                    let mut run = client.run(RunPlan::temporary("c", ["1"]));
                    abandon(run.next_event(), &server).await;
                    run.canceller().cancel().await.unwrap();
                    assert!(run.next_event().await.unwrap().is_none());
                    let report = run.into_report().unwrap();
                    assert!(matches!(report.ending, Ending::Cancelled));
                    assert!(matches!(report.cleanup, Cleanup::NoKernel));
                    // Dropped, it has nothing to clean up.
                    let mut run = client.run(RunPlan::temporary("c", ["1"]));
                    abandon(run.next_event(), &server).await;
                    drop(run);
                    client.settled().await;
                    assert_eq!(server.seen(), [""; 0]);
                });
            }
        }
    };
}

abandoned!(tokio, |future| {
    ::tokio::runtime::Runtime::new().unwrap().block_on(future)
});
abandoned!(smol, ::smol::block_on);
abandoned!(async_std, ::async_std::task::block_on);

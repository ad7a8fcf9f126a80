//! Connections that break after any byte of the request or of the response.

use std::fs;
use std::time::Duration;

use sorna::protocol::Info;
use sorna::{ApiVersion, ClientOptions, Error, RetryPolicy};
use sorna_tests::drivers::{AsyncStd, Blocking, Driver, Smol, Tokio};
use sorna_tests::proxy::{End, Fault, Place, Target, Times};

use crate::cell::Ground;

/// Longer than any message here.
const FAR: usize = 100_000;

/// After this time a test counts as hanging.
const LIMIT: Duration = Duration::from_secs(600);

/// The fault that breaks a connection after this many bytes.
fn cut(bytes: usize, is_response: bool) -> Fault {
    let at = Place::After(bytes);
    let end = if bytes.is_multiple_of(2) {
        End::Close
    } else {
        End::Reset
    };
    if is_response {
        Fault::CutResponse { at, end }
    } else {
        Fault::CutRequest { at, end }
    }
}

fn check<D: Driver>(name: &str, is_response: bool) {
    let _watchdog = sorna_test_tools::watch(name, LIMIT);
    let ground = Ground::new(ApiVersion::V2_20170315);
    let proxy = ground.proxy();
    let kernel = ground.kernel();
    let retry = RetryPolicy::default().with_backoff(Duration::ZERO, Duration::ZERO);
    let options = ClientOptions::new().with_retry(retry);
    let driver = D::connect(ground.config(&proxy), options);
    let marks = ground.marks(name);
    let code = format!("echo ran >> {} && echo ran", marks.display());
    let executions = || {
        let marks = fs::read_to_string(&marks).unwrap_or_default();
        marks.lines().count()
    };
    D::block_on(async {
        // A repeatable request is retried.
        let mut whole = false;
        for bytes in 0..FAR {
            proxy.arm(cut(bytes, is_response), Target::Any, Times::Once);
            let before = proxy.seen().requests.len();
            let info = driver.call(Info::new(kernel.clone())).await;
            let info = info.unwrap_or_else(|error| panic!("after {bytes} bytes: {error:?}"));
            assert_eq!(info.value.language(), Some("bash"));
            let requests = proxy.seen().requests.len() - before;
            if requests == 1 {
                assert!(bytes > 100, "{bytes} bytes are no whole message");
                whole = true;
                break;
            }
            assert_eq!(requests, 2, "after {bytes} bytes");
        }
        assert!(whole, "the loop gets to the end");
        // An execution is not.
        for bytes in 0..FAR {
            proxy.arm(cut(bytes, is_response), Target::Any, Times::Once);
            let before = executions();
            let executed = driver
                .execute(kernel.clone(), code.as_str().into(), &[])
                .await;
            let times = executions() - before;
            match executed {
                Err(Error::MayHaveRun(_)) => {
                    assert_eq!(times, usize::from(is_response), "after {bytes} bytes");
                }
                Ok(executed) => {
                    assert_eq!(executed.result.console.stdout(), "ran\n");
                    assert_eq!(times, 1, "after {bytes} bytes");
                    assert!(bytes > 100, "{bytes} bytes are no whole message");
                    return;
                }
                error => panic!("after {bytes} bytes: {error:?}"),
            }
        }
        panic!("the loop gets to the end");
    });
    ground.destroy(&kernel);
    assert_eq!(ground.kernels(), 0);
}

/// For each driver, in the request and in the response.
macro_rules! any_byte {
    ($($driver:ident: $request:ident, $response:ident;)+) => {
        $(
            #[test]
            fn $request() {
                check::<$driver>(stringify!($request), false);
            }

            #[test]
            fn $response() {
                check::<$driver>(stringify!($response), true);
            }
        )+
    };
}

any_byte! {
    Blocking: blocking_request_cut_after_any_byte, blocking_response_cut_after_any_byte;
    Tokio: tokio_request_cut_after_any_byte, tokio_response_cut_after_any_byte;
    Smol: smol_request_cut_after_any_byte, smol_response_cut_after_any_byte;
    AsyncStd: async_std_request_cut_after_any_byte, async_std_response_cut_after_any_byte;
}

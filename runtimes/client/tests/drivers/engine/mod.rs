//! The HTTP engine of the async drivers, against hand-written servers on the loopback interface.
//!
//! Every check is one function, generic over the runtime; `on_every_driver!` makes a test of it for
//! each driver that is built.

#![cfg(any(feature = "tokio", feature = "smol", feature = "async-std"))]

/// Defines one test per driver from checks of the form `async fn check<R: Runtime>(runtime: R)`.
macro_rules! on_every_driver {
    ($($check:ident),+ $(,)?) => {
        #[cfg(feature = "tokio")]
        mod tokio {
            $(#[test] fn $check() { crate::engine::lab::on_tokio(super::$check(sorna::runtime::Tokio)); })+
        }
        #[cfg(feature = "smol")]
        mod smol {
            $(#[test] fn $check() { crate::engine::lab::on_smol(super::$check(sorna::runtime::Smol)); })+
        }
        #[cfg(feature = "async-std")]
        mod async_std {
            $(#[test] fn $check() {
                crate::engine::lab::on_async_std(super::$check(sorna::runtime::AsyncStd));
            })+
        }
    };
}

mod lab;
mod limits;
mod proxies;
mod requests;
mod responses;
mod reuse;
mod server;
mod streams;
mod tls;
mod upgrades;

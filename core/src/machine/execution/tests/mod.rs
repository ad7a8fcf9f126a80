//! Executions in virtual time.

mod attached;
mod backend_ai;
mod marked;
mod script;
mod sorna_v2;
mod steps;
mod stream;

use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::machine::State;
use super::*;
use crate::error::{Error, Sent, TransportError, TransportErrorKind, UsageError};
use crate::machine::Step;
use crate::machine::testing::{Driver, caller, caller_for, problem, reply};
use crate::ops::testing::kernel;
use crate::ops::{ExecuteMode, ExecutionStatus};

fn result(status: &str, rest: &str) -> Response<Bytes> {
    reply(
        200,
        &format!(r#"{{"result": {{"status": "{status}"{rest}}}}}"#),
    )
}

#[track_caller]
fn stdout(execution: &mut Driver<Execution>) -> String {
    match execution.event() {
        ExecutionEvent::Console(console) => console.stdout().into_owned(),
        event => panic!("{event:?}"),
    }
}

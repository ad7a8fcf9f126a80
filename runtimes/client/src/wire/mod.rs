//! HTTP/1.1 as bytes, without I/O: writes requests and reads responses. Heads are parsed by
//! `httparse`, as in hyper.

mod chunks;
mod request;
mod response;
mod words;

pub(crate) use request::{Encoded, RequestError, encode};
#[cfg(feature = "ureq")]
pub(crate) use response::interim;
pub(crate) use response::{ResponseError, ResponseParser};

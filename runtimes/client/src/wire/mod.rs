//! HTTP/1.1 as bytes, without I/O: requests out, responses in. The protocol itself is spoken by
//! `ureq-proto`.

mod request;
mod response;

pub(crate) use request::{Encoded, RequestError, encode};
#[cfg(feature = "ureq")]
pub(crate) use response::interim;
pub(crate) use response::{ResponseError, ResponseParser};

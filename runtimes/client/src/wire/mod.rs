//! HTTP/1.1 as bytes, without I/O: requests out, answers in. The protocol itself is spoken by
//! `ureq-proto`.

mod answer;
mod request;

#[cfg(feature = "ureq")]
pub(crate) use answer::interim;
pub(crate) use answer::{Answer, AnswerError};
pub(crate) use request::RequestError;
pub(crate) use request::{Encoded, encode};

//! HTTP/1.1 as bytes, without I/O: requests out, answers in. The protocol itself is spoken by
//! `ureq-proto`.

#[cfg_attr(
    not(feature = "engine"),
    allow(
        dead_code,
        reason = "bodies and reuse concern requests, which ureq sends"
    )
)]
mod answer;
#[cfg_attr(
    not(feature = "engine"),
    allow(
        dead_code,
        reason = "bodies and reuse concern requests, which ureq sends"
    )
)]
mod request;

#[cfg(feature = "ureq")]
pub(crate) use answer::interim;
pub(crate) use answer::{Answer, AnswerError};
#[cfg(feature = "engine")]
pub(crate) use request::RequestError;
pub(crate) use request::{Encoded, encode};

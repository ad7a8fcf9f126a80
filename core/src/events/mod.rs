//! Events of sessions, as they happen, in Backend.AI (`GET /events/session`).
//!
//! [`SubscribeEvents`] makes the signed request, an [`EventStream`] makes [`SessionEvent`]s of the response's
//! bytes while they come. The form of the stream is that of Server-Sent Events (WHATWG HTML, "Interpreting an
//! event stream").

mod event;
mod sse;
mod stream;
mod subscribe;

pub use event::SessionEvent;
pub use stream::EventStream;
pub use subscribe::{EventScope, SubscribeEvents};

//! The gateway's half of Backend.AI: routes, and the bodies and parameters of requests.
//!
//! Signatures are checked by [`SignedRequest`](super::SignedRequest) and problems written by
//! [`ProblemReply`](super::ProblemReply), in either dialect.

mod create;
mod execute;
mod parameters;
mod query;
mod resources;
mod route;
mod web;

pub use create::CreateSession;
pub use execute::ExecuteInSession;
pub use parameters::Parameters;
pub use query::{QueryField, parse_query};
pub use resources::{parse_cores, parse_size};
pub use route::{SessionRoute, SessionVerb};
pub use web::{LoginRequest, WebRoute};

//! Backend.AI: what the requests to a session have in common.

use http::Method;

use crate::error::BuildError;
use crate::ident::KernelId;
use crate::unsigned::UnsignedRequest;

/// A request to `/session/{name or id}`, with room for a body of about this many bytes.
pub(super) fn to_session(
    method: Method,
    kernel: &KernelId,
    about: usize,
) -> Result<UnsignedRequest, BuildError> {
    kernel.check_for_backend_ai()?;
    Ok(UnsignedRequest::with_room(method, "/session", about).segment(kernel.as_str()))
}

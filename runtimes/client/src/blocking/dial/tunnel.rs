//! `CONNECT`: a proxy that forwards bytes.

use std::io::{self, Read as _, Write as _};

use http::StatusCode;

use super::socket::Socket;
use crate::net::hop::connect_request;
use crate::net::{Origin, Proxy, SizeLimits};
use crate::wire::{Answer, Encoded, encode};

/// Asks the proxy at the other end to connect the socket to `origin`; hands over its answer, which
/// need not be a good one.
pub(super) fn open(
    socket: &mut Socket,
    proxy: &Proxy,
    origin: &Origin,
    sizes: &SizeLimits,
) -> io::Result<StatusCode> {
    let request = connect_request(proxy, origin).map_err(io::Error::other)?;
    let Encoded { head, call, .. } = encode(request, None)
        .map_err(|_| io::Error::other("the request cannot be written as HTTP/1.1"))?;
    socket.write_all(&head)?;

    let mut answer = Answer::new(call, sizes);
    let mut buffer = [0; 4096];
    while !answer.is_done() {
        let fed = match socket.read(&mut buffer) {
            Ok(0) => answer.end(),
            Ok(read) => answer.feed(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => return Err(error),
        };
        fed.map_err(|error| io::Error::other(format!("{proxy} {}", error.message)))?;
    }
    let stray = answer.has_stray_bytes();
    let response = answer.take_response().expect("the answer is done");
    if response.status().is_success() && stray {
        // Whoever is asked speaks second, in HTTP and in TLS.
        return Err(io::Error::other("somebody speaks before being asked"));
    }
    Ok(response.status())
}

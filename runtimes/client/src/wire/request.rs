//! A request's head as bytes.

use http::header::{CONTENT_LENGTH, PROXY_AUTHORIZATION, TRANSFER_ENCODING};
use http::{Method, Request, Version};
use sorna_core::Body;
use ureq_proto::Error;
use ureq_proto::client::state::{RecvResponse, SendBody};
use ureq_proto::client::{Await100Result, Call, SendRequestResult};

use crate::net::Proxy;

/// A request, ready to be written.
pub(crate) struct Encoded {
    /// Request line and headers, with the empty line.
    pub(crate) head: Vec<u8>,
    pub(crate) body: Body,
    /// The protocol's state after the whole body: how much of it was sent is counted elsewhere.
    pub(crate) call: Call<RecvResponse>,
}

/// Why a request cannot be sent at all.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// `Content-Length` is not the body's, or `Transfer-Encoding` is set.
    Length,
    Protocol(Error),
}

impl From<Error> for RequestError {
    fn from(error: Error) -> Self {
        Self::Protocol(error)
    }
}

/// Writes the head. If a proxy will read it, it has the absolute form and the proxy's credentials.
pub(crate) fn encode(
    request: Request<Body>,
    proxy: Option<&Proxy>,
) -> Result<Encoded, RequestError> {
    let (mut parts, body) = request.into_parts();
    parts.version = Version::HTTP_11;
    let len = body.len();
    match parts.headers.get(CONTENT_LENGTH) {
        _ if parts.headers.contains_key(TRANSFER_ENCODING) => return Err(RequestError::Length),
        Some(value) if value.as_bytes() != len.to_string().as_bytes() => {
            return Err(RequestError::Length);
        }
        Some(_) => {}
        None if len > 0 || [Method::POST, Method::PUT, Method::PATCH].contains(&parts.method) => {
            parts.headers.insert(CONTENT_LENGTH, len.into());
        }
        None => {}
    }
    let mut absolute = None;
    if let Some(proxy) = proxy {
        if let Some(value) = proxy.authorization() {
            parts.headers.insert(PROXY_AUTHORIZATION, value);
        }
        if let (Some(scheme), Some(authority)) = (parts.uri.scheme_str(), parts.uri.authority()) {
            // After the '@' of credentials, which do not belong in a request line.
            let authority = authority.as_str().rsplit('@').next().unwrap_or_default();
            absolute = Some((
                parts.method.as_str().len() + 1,
                format!("{scheme}://{authority}"),
            ));
        }
    }

    let mut call = Call::new(Request::from_parts(parts, ()))?;
    call.allow_non_standard_methods(true);
    let mut call = call.proceed();
    // Enough for a short body, too.
    let mut head = vec![0; 2048];
    let mut used = 0;
    loop {
        match call.write(&mut head[used..]) {
            Ok(n) => used += n,
            Err(Error::OutputOverflow) => {}
            Err(error) => return Err(error.into()),
        }
        if call.can_proceed() {
            break;
        }
        head.resize(head.len() * 2, 0);
    }
    head.truncate(used);
    if let Some((position, prefix)) = absolute {
        head.splice(position..position, prefix.into_bytes());
    }

    let next = call.proceed()?.expect("the whole head was written");
    let call = match next {
        SendRequestResult::RecvResponse(call) => call,
        SendRequestResult::SendBody(call) => after_body(call, len)?,
        // The caller set `Expect: 100-continue`. Waiting for the 100 is optional, and not done here.
        SendRequestResult::Await100(call) => match call.proceed()? {
            Await100Result::SendBody(call) => after_body(call, len)?,
            Await100Result::RecvResponse(call) => call,
        },
    };
    Ok(Encoded { head, body, call })
}

/// The state after a body of `len` bytes, of which none was sent yet.
fn after_body(mut call: Call<SendBody>, len: u64) -> Result<Call<RecvResponse>, RequestError> {
    let mut left = len;
    while left > 0 {
        let n = usize::try_from(left).unwrap_or(usize::MAX);
        call.consume_direct_write(n)?;
        left -= n as u64;
    }
    call.proceed().ok_or(RequestError::Length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(request: http::request::Builder, body: &'static str, proxy: Option<&Proxy>) -> String {
        let request = request.body(Body::from(body.as_bytes().to_vec()));
        let encoded = encode(request.expect("a request"), proxy);
        let head = encoded.expect("a good request").head;
        String::from_utf8(head).expect("an ASCII head")
    }

    #[test]
    fn headers_are_kept_and_missing_ones_added() {
        let signed = Request::post("http://gw.example:8081/v2/kernel/%7Eid?x=%2B")
            .header("host", "gw.example:8081")
            .header("content-length", "2")
            .header("authorization", "Sorna x");
        assert_eq!(
            head(signed, "{}", None),
            "POST /v2/kernel/%7Eid?x=%2B HTTP/1.1\r\nhost: gw.example:8081\r\n\
             content-length: 2\r\nauthorization: Sorna x\r\n\r\n"
        );
        assert_eq!(
            head(Request::patch("http://gw.example"), "", None),
            "PATCH / HTTP/1.1\r\nhost: gw.example\r\ncontent-length: 0\r\n\r\n"
        );
        assert_eq!(
            head(Request::get("http://gw.example/v2/authorize"), "{}", None),
            "GET /v2/authorize HTTP/1.1\r\nhost: gw.example\r\ncontent-length: 2\r\n\r\n"
        );
    }

    #[test]
    fn a_proxy_reads_the_absolute_form_without_the_users_credentials() {
        let proxy = Proxy::parse("http://u:p@proxy:1").expect("a proxy");
        let head = head(
            Request::get("http://me:secret@gw.example:8081/v2?q")
                .header("authorization", "Sorna x"),
            "",
            Some(&proxy),
        );
        assert!(
            head.starts_with("GET http://gw.example:8081/v2?q HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(
            head.contains("\r\nproxy-authorization: Basic dTpw\r\n"),
            "{head}"
        );
        assert!(!head.contains("secret"), "{head}");
    }

    #[test]
    fn long_heads_are_written_whole() {
        let value = "v".repeat(20_000);
        let request = Request::get("http://gw.example/").header("x-long", &value);
        let head = head(request.header("x-last", "1"), "", None);
        assert!(head.contains(&value));
        assert!(head.ends_with("\r\nx-last: 1\r\n\r\n"));
    }

    #[test]
    fn wrong_content_length_is_rejected() {
        for (name, value) in [("content-length", "3"), ("transfer-encoding", "chunked")] {
            let request = Request::post("http://gw.example/").header(name, value);
            let request = request.body(Body::from(b"{}".to_vec()));
            let error = encode(request.expect("a request"), None).err();
            assert!(matches!(error, Some(RequestError::Length)), "{name}");
        }
    }
}

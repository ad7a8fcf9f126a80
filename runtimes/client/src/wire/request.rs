//! A request's head as bytes.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, PROXY_AUTHORIZATION, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, Method, Request, Uri};
use sorna_core::Body;

use super::words::has_word;
use crate::net::Proxy;

/// Enough for most heads, with a short body, bytes.
const ROOM: usize = 2048;

/// A request, ready to be written.
pub(crate) struct Encoded {
    /// Request line and headers, with the empty line.
    pub(crate) head: Vec<u8>,
    pub(crate) body: Body,
    pub(crate) asked: Asked,
}

/// What a request says about its response.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// It has no body, whatever its headers say (`HEAD`).
    pub(crate) head_only: bool,
    /// What follows a success is not HTTP (`CONNECT`).
    pub(crate) tunnel: bool,
    /// The connection ends with it.
    pub(crate) close: bool,
}

/// Why a request cannot be sent at all.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// `Content-Length` is not the body's, or `Transfer-Encoding` is set.
    Length,
    /// It has no host or more than one, or a body where there can be none.
    Form,
}

/// Writes the head. If a proxy will read it, it has the absolute form and the proxy's credentials.
///
/// Nothing in it can end a line early: the types of `http` do not hold a CR or LF.
pub(crate) fn encode(
    request: Request<Body>,
    proxy: Option<&Proxy>,
) -> Result<Encoded, RequestError> {
    let (parts, body) = request.into_parts();
    let (method, uri, headers) = (&parts.method, &parts.uri, &parts.headers);
    let length = missing_length(method, headers, body.len())?;
    let asked = Asked {
        head_only: method == Method::HEAD,
        tunnel: method == Method::CONNECT,
        close: has_word(headers, &CONNECTION, "close"),
    };
    if (asked.head_only || asked.tunnel) && !body.is_empty() {
        return Err(RequestError::Form);
    }

    let mut head = Head(Vec::with_capacity(ROOM));
    head.put(&[method.as_str().as_bytes(), b" "]);
    head.target(uri, asked.tunnel, proxy.is_some())?;
    head.put(&[b" HTTP/1.1\r\n"]);
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => head.host(uri, asked.tunnel)?,
        (Some(_), None) => {}
        (Some(_), Some(_)) => return Err(RequestError::Form),
    }
    if let Some(user) = user_of(uri)
        && !headers.contains_key(AUTHORIZATION)
    {
        head.header(&AUTHORIZATION, basic(user).as_bytes());
    }
    let replaced = proxy.and_then(Proxy::authorization);
    for (name, value) in headers {
        if replaced.is_none() || name != PROXY_AUTHORIZATION {
            head.header(name, value.as_bytes());
        }
    }
    if let Some(length) = length {
        head.header(&CONTENT_LENGTH, length.to_string().as_bytes());
    }
    if let Some(value) = replaced {
        head.header(&PROXY_AUTHORIZATION, value.as_bytes());
    }
    head.put(&[b"\r\n"]);
    Ok(Encoded {
        head: head.0,
        body,
        asked,
    })
}

/// The body's length, if a header has to state it and none does.
fn missing_length(
    method: &Method,
    headers: &HeaderMap,
    len: u64,
) -> Result<Option<u64>, RequestError> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err(RequestError::Length);
    }
    let mut stated = headers.get_all(CONTENT_LENGTH).iter();
    let Some(value) = stated.next() else {
        let usual = [Method::POST, Method::PUT, Method::PATCH].contains(method);
        return Ok((len > 0 || usual).then_some(len));
    };
    let digits = value.to_str().ok().filter(|text| !text.starts_with('+'));
    let fits = digits.and_then(|text| text.parse().ok()) == Some(len);
    match fits && stated.next().is_none() {
        true => Ok(None),
        false => Err(RequestError::Length),
    }
}

/// The user and password in a URL.
fn user_of(uri: &Uri) -> Option<&str> {
    let authority = uri.authority()?.as_str();
    Some(authority.rsplit_once('@')?.0)
}

fn basic(user: &str) -> String {
    let colon = if user.contains(':') { "" } else { ":" };
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}{colon}")))
}

/// A head that is being written.
struct Head(Vec<u8>);

impl Head {
    fn put(&mut self, pieces: &[&[u8]]) {
        for piece in pieces {
            self.0.extend_from_slice(piece);
        }
    }

    fn header(&mut self, name: &HeaderName, value: &[u8]) {
        self.put(&[name.as_str().as_bytes(), b": ", value, b"\r\n"]);
    }

    fn target(&mut self, uri: &Uri, tunnel: bool, absolute: bool) -> Result<(), RequestError> {
        if tunnel {
            let authority = uri.authority().ok_or(RequestError::Form)?;
            self.put(&[authority.as_str().as_bytes()]);
            return Ok(());
        }
        if absolute && let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) {
            // After the '@' of credentials, which do not belong in a request line.
            let authority = authority.as_str().rsplit('@').next().unwrap_or_default();
            self.put(&[scheme.as_bytes(), b"://", authority.as_bytes()]);
        }
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        if target.starts_with('?') {
            self.put(&[b"/"]);
        }
        self.put(&[target.as_bytes()]);
        Ok(())
    }

    /// The header that the URL implies: its host, with a port that is not the scheme's.
    fn host(&mut self, uri: &Uri, tunnel: bool) -> Result<(), RequestError> {
        let host = uri.host().ok_or(RequestError::Form)?.as_bytes();
        let usual = match uri.scheme_str() {
            Some("https" | "wss") => 443,
            _ => 80,
        };
        match uri.port() {
            Some(port) if tunnel || port.as_u16() != usual => {
                self.put(&[b"host: ", host, b":", port.as_str().as_bytes(), b"\r\n"]);
            }
            _ => self.header(&HOST, host),
        }
        Ok(())
    }
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
    fn a_host_and_credentials_are_taken_from_the_url() {
        for (url, expected) in [
            ("https://h:443/?q", "GET /?q HTTP/1.1\r\nhost: h\r\n\r\n"),
            ("wss://h:80", "GET / HTTP/1.1\r\nhost: h:80\r\n\r\n"),
            (
                "http://[::1]:80/x#y",
                "GET /x HTTP/1.1\r\nhost: [::1]\r\n\r\n",
            ),
            (
                "http://u:p@h?q",
                "GET /?q HTTP/1.1\r\nhost: h\r\nauthorization: Basic dTpw\r\n\r\n",
            ),
        ] {
            assert_eq!(head(Request::get(url), "", None), expected);
        }
        let connect = head(Request::connect("h:443"), "", None);
        assert_eq!(connect, "CONNECT h:443 HTTP/1.1\r\nhost: h:443\r\n\r\n");
    }

    #[test]
    fn a_request_of_an_impossible_form_is_rejected() {
        let two = Request::get("http://h/")
            .header("host", "a")
            .header("host", "b");
        for (request, body) in [
            (two, ""),
            (Request::head("http://h/"), "x"),
            (Request::connect("h:443"), "x"),
        ] {
            let request = request.body(Body::from(body.as_bytes().to_vec()));
            let error = encode(request.expect("a request"), None).err();
            assert!(matches!(error, Some(RequestError::Form)));
        }
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
        for (name, value) in [
            ("content-length", "3"),
            ("content-length", "+2"),
            ("content-length", "2, 2"),
            ("transfer-encoding", "chunked"),
        ] {
            let request = Request::post("http://gw.example/").header(name, value);
            let request = request.body(Body::from(b"{}".to_vec()));
            let error = encode(request.expect("a request"), None).err();
            assert!(matches!(error, Some(RequestError::Length)), "{name}");
        }
    }
}

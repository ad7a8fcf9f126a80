//! What the tests of operations share.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response};

use super::operation::{Operation, Success};
use crate::body::Body;
use crate::config::{AccessKey, Config, Credentials, SecretKey};
use crate::error::Error;
use crate::ident::KernelId;
use crate::signing::Signer;
use crate::version::ApiVersion;

pub(crate) fn signer() -> Signer {
    signer_for(ApiVersion::default())
}

pub(crate) fn signer_for(version: ApiVersion) -> Signer {
    let keys = Credentials::new(
        AccessKey::new("AKIAIOSFODNN7EXAMPLE").unwrap(),
        SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").unwrap(),
    );
    let config = Config::new("http://127.0.0.1:8081".parse().unwrap(), keys);
    Signer::new(config.with_version(version))
}

/// What an operation sends in this version: method and target, and the body as text.
pub(crate) fn sent<O: Operation>(operation: &O, version: ApiVersion) -> (String, String) {
    let request = operation.prepare(version).unwrap();
    let line = format!("{} {}", request.method(), request.path());
    let body = request.texts[request.path_len..].to_vec();
    (line, String::from_utf8(body).unwrap())
}

pub(crate) fn kernel() -> KernelId {
    KernelId::new("k1").unwrap()
}

pub(crate) fn signed<O: Operation>(operation: &O) -> Request<Body> {
    let now = UNIX_EPOCH + Duration::from_secs(1_498_699_425);
    operation.request(&signer(), now).unwrap()
}

pub(crate) fn response(status: u16, body: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::copy_from_slice(body.as_bytes()));
    *response.status_mut() = status.try_into().unwrap();
    response
}

/// A success with this body, not yet read.
pub(crate) fn success(body: &str) -> Success {
    let (parts, body) = response(200, body).into_parts();
    Success::new(parts, body)
}

pub(crate) fn headers<'r>(request: &'r Request<Body>, names: &[&str]) -> Vec<&'r str> {
    names
        .iter()
        .map(|name| request.headers()[*name].to_str().unwrap())
        .collect()
}

/// Checks an operation on a kernel whose success has no content.
pub(crate) fn has_no_content(operation: &impl Operation<Output = ()>, method: &str) {
    let request = signed(operation);
    assert_eq!(
        (request.method().as_str(), request.uri().path()),
        (method, "/v2/kernel/k1")
    );
    let read = |status, body: &'static str| {
        operation.read_response(ApiVersion::default(), response(status, body))
    };
    assert!(read(204, "").is_ok());
    // Later gateways send a body.
    assert!(read(200, r#"{"stats": {}}"#).is_ok());
    // Something else responded instead of the gateway.
    let page = read(200, "<html>Log in first</html>");
    assert!(matches!(page, Err(Error::Parse(_))));
    let gone = r#"{"type": "https://api.sorna.io/probs/kernel-not-found"}"#;
    assert!(read(404, gone).unwrap_err().is_not_found());
}

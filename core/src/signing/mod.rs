//! Signs requests: from an operation's unsigned request to the `http::Request` that is sent.
//!
//! [`Signer`] does it all. Its stages are public, too, to find out why a gateway rejects a
//! signature, and for use in gateways:
//!
//! ```text
//!   Authorization: Sorna signMethod=HMAC-SHA256, credential=<access key>:<signature>
//!
//!   string to sign, lines joined by "\n":           key:
//!     METHOD                                          HMAC(HMAC(secret, yyyymmdd), host)
//!     path and query as on the request line
//!     Date, byte for byte                           signature:
//!     host:<Host>                                     hex(HMAC(key, string to sign))
//!     content-type:<type without parameters>
//!     x-sorna-version:<version>
//!     hex(hash of the body; of nothing for multipart/form-data)
//! ```
//!
//! ```
//! use sorna_core::HashAlgorithm;
//! use sorna_core::signing::{SigningKey, StringToSign, body_hash};
//!
//! let string = StringToSign {
//!     method: "GET",
//!     target: "/v2/kernel/zuF1OzMIhFknyjUl7Apbvg",
//!     date: "Thu, 29 Jun 2017 01:23:45 GMT",
//!     host: "api.sorna.io",
//!     media_type: "application/octet-stream",
//!     version_header: "x-sorna-version",
//!     version: "v2.20170315",
//!     body_hash: &body_hash(HashAlgorithm::Sha256, b""),
//! };
//! assert_eq!(string.to_string(), "\
//! GET
//! /v2/kernel/zuF1OzMIhFknyjUl7Apbvg
//! Thu, 29 Jun 2017 01:23:45 GMT
//! host:api.sorna.io
//! content-type:application/octet-stream
//! x-sorna-version:v2.20170315
//! e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
//!
//! let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
//! let key = SigningKey::derive(HashAlgorithm::Sha256, secret, b"20170629", "api.sorna.io");
//! assert_eq!(
//!     key.sign(&string).to_string(),
//!     "f25e1cbef3910b8c461b10fe3237bca27e84d2424a4dd52a0c79bb631257fbc2",
//! );
//! ```
//!
//! Source: the API manual of 2017, "Authentication", checked against the original client's function. (The
//! signature in the manual's own example does not fit its inputs.) Observed on gateway 0.9.11: the host is
//! signed as sent, case included; a request without `Content-Type` is signed as
//! `application/octet-stream`, which the original client sends without a body, and so does this one; the
//! path is signed after `%7E` became `~` and `%2B` became `+`; and dates more than 15 minutes off are rejected
//! with 400 `invalid-auth-params`.

mod date;
pub(crate) mod hash;
mod signer;
mod stages;
#[cfg(test)]
mod vectors;

pub use date::text as http_date;
pub use hash::HashAlgorithm;
pub use signer::Signer;
pub use stages::{Signature, SigningKey, StringToSign, body_hash};

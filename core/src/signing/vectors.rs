//! The vectors computed with the original client's signing function.

use std::time::{Duration, UNIX_EPOCH};

use http::Method;
use http::header::{AUTHORIZATION, DATE};
use serde::Deserialize;

use super::*;
use crate::config::{AccessKey, Config, Credentials, Endpoint, SecretKey};
use crate::unsigned::{Auth, UnsignedRequest};
use crate::version::Dialect;

#[derive(Deserialize)]
struct Vector {
    name: String,
    method: String,
    endpoint: String,
    path: String,
    date: String,
    content_type: String,
    body_hex: String,
    hash: String,
    version: String,
    access_key: String,
    secret_key: String,
    authorization: String,
    signature: String,
    string_to_sign: Option<String>,
    signing_key_hex: Option<String>,
}

impl Vector {
    fn all() -> Vec<Self> {
        let all: Vec<Self> =
            serde_json::from_str(include_str!("../../tests/data/vectors/signing.json")).unwrap();
        assert!(all.len() >= 31, "{} vectors", all.len());
        all
    }

    /// The hash, if this build includes it.
    fn hash(&self) -> Option<HashAlgorithm> {
        let hash = self.hash.parse().ok();
        assert!(
            hash.is_some() || cfg!(not(feature = "all-hashes")),
            "{}",
            self.hash
        );
        hash
    }

    fn body(&self) -> Vec<u8> {
        base16ct::lower::decode_vec(&self.body_hex).unwrap()
    }

    fn endpoint(&self) -> Endpoint {
        self.endpoint.parse().unwrap()
    }

    /// `yyyymmdd` in the date's own zone, read from the text.
    fn day(&self) -> [u8; 8] {
        match httpdate::parse_http_date(&self.date) {
            Ok(time) => date::http_date(time).unwrap().1,
            Err(_) => self.date[..10]
                .replace('-', "")
                .into_bytes()
                .try_into()
                .unwrap(),
        }
    }

    fn string_to_sign(&self, hash: HashAlgorithm) -> (String, Signature) {
        let media_type = self.content_type.split(';').next().unwrap();
        let hashed = Dialect::SornaV2.hashes_body(media_type);
        let body = if hashed { self.body() } else { Vec::new() };
        let body_hash = body_hash(hash, &body);
        let endpoint = self.endpoint();
        let string = StringToSign {
            method: &self.method,
            target: &self.path,
            date: &self.date,
            host: endpoint.host(),
            media_type,
            version_header: "x-sorna-version",
            version: &self.version,
            body_hash: &body_hash,
        };
        let key = SigningKey::derive(hash, &self.secret_key, &self.day(), endpoint.host());
        (string.to_string(), key.sign(&string))
    }
}

#[test]
fn stage_1_string_to_sign() {
    let mut checked = 0;
    for vector in Vector::all() {
        let (Some(hash), Some(expected)) = (vector.hash(), &vector.string_to_sign) else {
            continue;
        };
        assert_eq!(&vector.string_to_sign(hash).0, expected, "{}", vector.name);
        checked += 1;
    }
    assert!(checked >= 4);
}

#[test]
fn stage_2_signing_key() {
    let mut checked = 0;
    for vector in Vector::all() {
        let (Some(hash), Some(expected)) = (vector.hash(), &vector.signing_key_hex) else {
            continue;
        };
        let key = SigningKey::derive_bytes(
            hash,
            &vector.secret_key,
            &vector.day(),
            vector.endpoint().host(),
        );
        assert_eq!(key.hex(&mut [0; 128]), expected, "{}", vector.name);
        checked += 1;
    }
    assert!(checked >= 4);
}

#[test]
fn stage_3_signature() {
    for vector in Vector::all() {
        let Some(hash) = vector.hash() else { continue };
        let signature = vector.string_to_sign(hash).1.to_string();
        assert_eq!(signature, vector.signature, "{}", vector.name);
    }
}

/// All stages, for the vectors whose date has the form that this client sends.
#[test]
fn signed_requests_carry_the_vector_s_authorization() {
    let mut checked = 0;
    for vector in Vector::all() {
        let Ok(time) = httpdate::parse_http_date(&vector.date) else {
            continue;
        };
        let credentials = Credentials::new(
            AccessKey::new(vector.access_key.clone()).unwrap(),
            SecretKey::new(vector.secret_key.clone()).unwrap(),
        );
        let config = Config::new(vector.endpoint(), credentials).with_hash(vector.hash().unwrap());
        let unsigned = UnsignedRequest {
            method: vector.method.parse().unwrap(),
            auth: Auth::Signed,
            versioned: true,
            outside_api: false,
            media_type: vector.content_type.clone().leak(),
            content_type: None,
            path_len: vector.path.len(),
            query_at: vector.path.len(),
            texts: [vector.path.as_bytes(), &vector.body()].concat(),
            streamed: None,
        };
        let request = Signer::new(config).sign(unsigned, time).unwrap();
        assert_eq!(
            request.headers()[AUTHORIZATION],
            vector.authorization.as_str()
        );
        assert_eq!(request.headers()[DATE], vector.date.as_str());
        assert_eq!(
            request.uri().path_and_query().unwrap().as_str(),
            vector.path
        );
        checked += 1;
    }
    assert!(checked >= 4);
}

#[cfg(feature = "server")]
#[test]
fn verification_accepts_only_the_signature() {
    for vector in Vector::all() {
        let Some(hash) = vector.hash() else { continue };
        let endpoint = vector.endpoint();
        let key = SigningKey::derive(hash, &vector.secret_key, &vector.day(), endpoint.host());
        let string = StringToSign {
            method: &vector.method,
            target: "/other",
            date: &vector.date,
            host: endpoint.host(),
            media_type: &vector.content_type,
            version_header: "x-sorna-version",
            version: &vector.version,
            body_hash: "",
        };
        let right = key.sign(&string).to_string();
        assert!(key.verify(&string, &right));
        assert!(!key.verify(&string, &right.to_uppercase()));
        assert!(!key.verify(&string, &right[..right.len() - 2]));
        assert!(!key.verify(&string, &format!("{right}00")));
        assert!(!key.verify(&string, &vector.signature));
        assert!(!key.verify(&string, ""));
    }
}

#[test]
fn the_derived_key_follows_the_day() {
    let credentials =
        Credentials::new(AccessKey::new("AK").unwrap(), SecretKey::new("SK").unwrap());
    let config = Config::new("http://h:1".parse().unwrap(), credentials);
    let shared = Signer::new(config.clone());
    let sign = |signer: &Signer, seconds: u64| {
        let unsigned = UnsignedRequest::new(Method::GET, "/v2");
        let now = UNIX_EPOCH + Duration::from_secs(seconds);
        signer.sign(unsigned, now).unwrap().headers()[AUTHORIZATION].clone()
    };
    for seconds in [0, 1, 86_399, 86_400, 1, 86_401, 172_800] {
        let fresh = Signer::new(config.clone());
        assert_eq!(sign(&shared, seconds), sign(&fresh, seconds), "{seconds}");
    }
}

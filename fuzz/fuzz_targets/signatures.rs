//! Signatures, from both sides.
//!
//! An input whose first line ends in `HTTP/1.1` is a request as text, as in the recorded exchanges,
//! with the gateway's time in a header `X-Now`. It must verify if and only if its signature is the
//! one according to the rules, computed here with nothing but HMAC-SHA256.
//!
//! Any other input is one field a line: endpoint, access key, secret key, kernel, seconds since
//! 1970, hash, and then code. The client's requests must verify, only with that secret, and not if
//! any signed byte is changed. (Parameters and case of the media type are not signed, nor is an
//! upload's body.)

#![no_main]

use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit, Mac};
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HOST};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};
use sorna_core::server::{Route, SignedRequest};
use sorna_core::{
    AccessKey, ApiVersion, Config, Credentials, Execute, ExecuteMode, HashAlgorithm, Info,
    KernelId, Operation, ProblemKind, SecretKey, Signer,
};
use sorna_fuzz::{Message, RECORDED, SECRET_KEY, at, civil, secret};

fuzz_target!(|data: &[u8]| {
    let message = Message::read(data);
    if message.first.ends_with(b" HTTP/1.1") {
        let now = message.header("x-now").and_then(|now| now.parse().ok());
        let now = now.filter(|now| *now < 1 << 40);
        if let Some(request) = message.into_request() {
            let (parts, body) = request.into_parts();
            check_received(&parts, &body, at(now.unwrap_or(RECORDED.as_secs())));
        }
    } else if let Some(client) = std::str::from_utf8(data).ok().and_then(Client::read) {
        check_signed(&client, data);
    }
});

// --------------------------------------------------------------------- what the gateway receives

fn check_received(parts: &Parts, body: &[u8], now: SystemTime) {
    let signed = match SignedRequest::parse(parts, now) {
        Ok(signed) => signed,
        Err(error_response) => {
            // Of Backend.AI, a request that is not signed at all is another kind of error.
            let kinds = [ProblemKind::AuthFailed, ProblemKind::InvalidAuthParams];
            assert!(kinds.contains(&error_response.kind()), "{error_response}");
            return;
        }
    };
    let header = parts.headers[AUTHORIZATION].to_str().expect("it was read");
    assert!(header.contains(&format!("{}:", signed.access_key())));
    let verified = signed.verify(&secret(), body);
    if let Err(error_response) = &verified {
        assert_eq!(error_response.kind(), ProblemKind::AuthFailed);
    }
    let other = SecretKey::new("other").expect("it is not empty");
    assert!(signed.verify(&other, body).is_err());

    // The rules below are those of SHA-256. What names another hash anywhere may be signed with that one.
    let names = header.to_ascii_lowercase();
    if names.matches("hmac-").count() != names.matches("hmac-sha256").count() {
        return;
    }
    // The day is that of the date's own zone, which is at most two days from ours.
    let seconds = now.duration_since(at(0)).unwrap_or_default().as_secs();
    let expected = (-2..=2).any(|days: i64| {
        let day = day_of(seconds.saturating_add_signed(days * 86_400));
        header.contains(&format!(":{}", signature(parts, body, &day)))
    });
    if verified.is_ok() {
        assert!(expected, "it is not the signature of any day");
    }
    // The reverse holds only without several credentials, dates or types to choose from.
    let is_plain = parts.headers.len() == parts.headers.keys_len()
        && header.matches("credential").count() == 1
        && header.matches(':').count() == 1
        && header
            .split(':')
            .next_back()
            .is_some_and(|hex| hex.len() == 64);
    if expected && is_plain {
        assert!(verified.is_ok(), "its signature is right");
    }
}

/// An independent implementation of the protocol's rules.
fn signature(parts: &Parts, body: &[u8], day: &str) -> String {
    let text = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let media_type = text("content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let media_type = match media_type.to_ascii_lowercase() {
        empty if empty.is_empty() => "application/octet-stream".to_owned(),
        media_type => media_type,
    };
    let body = if media_type == "multipart/form-data" {
        &[][..]
    } else {
        body
    };
    let date = ["date", "x-backendai-date", "x-sorna-date"];
    let date = date.iter().find_map(|name| text(name)).unwrap_or_default();
    let version = ["x-backendai-version", "x-sorna-version"];
    let version = version
        .iter()
        .find_map(|name| Some(format!("{name}:{}", text(name)?)));
    let host = text("host").unwrap_or_default();
    let lines = [
        parts.method.as_str().to_owned(),
        parts
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str())
            .to_owned(),
        date.to_owned(),
        format!("host:{host}"),
        format!("content-type:{media_type}"),
        version.unwrap_or_default(),
        hex(&Sha256::digest(body)),
    ];
    let key = mac(SECRET_KEY.as_bytes(), day.as_bytes());
    let key = mac(&key, host.as_bytes());
    hex(&mac(&key, lines.join("\n").as_bytes()))
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The day as `yyyymmdd`.
fn day_of(seconds: u64) -> String {
    let (year, month, day) = civil(seconds / 86_400);
    format!("{year:04}{month:02}{day:02}")
}

// -------------------------------------------------------------------------- what the client sends

struct Client {
    signer: Signer,
    secret: SecretKey,
    kernel: KernelId,
    now: SystemTime,
    code: String,
}

impl Client {
    fn read(text: &str) -> Option<Self> {
        let mut lines = text.splitn(7, '\n');
        let endpoint = lines.next()?.parse().ok()?;
        let access_key = AccessKey::new(lines.next()?).ok()?;
        let secret = SecretKey::new(lines.next()?).ok()?;
        let kernel = KernelId::new(lines.next()?).ok()?;
        kernel.check(ApiVersion::default()).ok()?;
        let seconds: u64 = lines.next()?.parse().ok()?;
        let hash: HashAlgorithm = lines.next()?.parse().ok()?;
        let keys = Credentials::new(access_key, secret.clone());
        Some(Self {
            signer: Signer::new(Config::new(endpoint, keys).with_hash(hash)),
            secret,
            kernel,
            now: at(0).checked_add(Duration::from_secs(seconds))?,
            code: lines.next()?.to_owned(),
        })
    }
}

fn check_signed(client: &Client, data: &[u8]) {
    let execute = Execute::start(
        client.kernel.clone(),
        ExecuteMode::query(client.code.as_str()),
    );
    let info = Info::new(client.kernel.clone());
    let seconds = client
        .now
        .duration_since(at(0))
        .unwrap_or_default()
        .as_secs();
    let Ok(request) = execute.request(&client.signer, client.now) else {
        assert!(
            seconds > 253_402_300_799,
            "a date in the years 1970 to 9999"
        );
        return;
    };
    // The gateway's calendar ends a day before the client's.
    if seconds > 253_402_207_200 {
        return;
    }
    let (parts, body) = through_proxy(request, client);
    let body = body.as_bytes().expect("it is in one piece").to_vec();
    assert!(verifies(client, &parts, &body, &client.secret));
    let config = client.signer.config();
    let signed = SignedRequest::parse(&parts, client.now).expect("it did just now");
    assert_eq!(
        signed.access_key(),
        config
            .credentials()
            .expect("it has keys")
            .access_key()
            .as_str()
    );
    assert_eq!(parts.headers[HOST], config.endpoint().host());

    let route = Route::parse(&parts.method, parts.uri.path());
    assert_eq!(route.ok(), Some(Route::Execute(client.kernel.clone())));

    // The same signer, another request in the same second.
    let bodyless = info.request(&client.signer, client.now).expect("a date");
    let (bodyless, _) = through_proxy(bodyless, client);
    assert!(verifies(client, &bodyless, b"", &client.secret));
    assert!(!verifies(client, &bodyless, b"x", &client.secret));

    // Not a zero at the end, since HMAC pads keys with zeros.
    let other = format!("{}x", client.secret.expose());
    let other = SecretKey::new(other).expect("it is not empty");
    assert!(
        !verifies(client, &parts, &body, &other),
        "any secret will do"
    );

    // One change for each input, chosen by its bytes.
    let choice = data.iter().fold(7usize, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(usize::from(*byte))
    });
    let (mut changed, mut changed_body) = (parts, body);
    match choice % 8 {
        0 => {
            changed.method = if changed.method == Method::POST {
                Method::PUT
            } else {
                Method::POST
            }
        }
        1 => {
            let target = changed.uri.path_and_query().expect("a target").as_str();
            changed.uri = format!("{target}?").parse().expect("still a target");
        }
        2 => change_header(&mut changed, DATE.as_str(), choice),
        3 => change_header(&mut changed, HOST.as_str(), choice),
        4 => change_header(&mut changed, "x-sorna-version", choice),
        5 => {
            let at = choice / 8 % changed_body.len();
            changed_body[at] ^= 1 << (choice / 8 % 8);
        }
        6 => {
            let other = HeaderValue::from_static("application/jsom");
            changed.headers.insert(CONTENT_TYPE, other);
        }
        _ => change_signature(&mut changed, choice),
    }
    assert!(
        !verifies(client, &changed, &changed_body, &client.secret),
        "{changed:?}"
    );
}

/// What the gateway receives: a proxy strips the prefix of the endpoint, which is not signed.
fn through_proxy<B>(request: Request<B>, client: &Client) -> (Parts, B) {
    let (mut parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().expect("a target").as_str();
    let prefix = client.signer.config().endpoint().prefix();
    let stripped = target.strip_prefix(prefix).expect("the prefix is sent");
    parts.uri = stripped.parse().expect("still a target");
    (parts, body)
}

fn verifies(client: &Client, parts: &Parts, body: &[u8], secret: &SecretKey) -> bool {
    SignedRequest::parse(parts, client.now).is_ok_and(|signed| signed.verify(secret, body).is_ok())
}

/// Replaces a character.
fn change_header(parts: &mut Parts, name: &str, choice: usize) {
    let mut value = parts.headers[name].as_bytes().to_vec();
    let at = choice / 8 % value.len();
    value[at] = if value[at] == b'1' { b'2' } else { b'1' };
    let value = HeaderValue::from_bytes(&value).expect("digits can be in a header");
    parts.headers.insert(
        HeaderName::from_bytes(name.as_bytes()).expect("a name"),
        value,
    );
}

/// Changes one digit of the signature, or its case, or its length.
fn change_signature(parts: &mut Parts, choice: usize) {
    let value = parts.headers[AUTHORIZATION]
        .to_str()
        .expect("it is ASCII")
        .to_owned();
    let (head, hex) = value.rsplit_once(':').expect("a signature");
    let changed = match choice / 8 % 4 {
        0 => hex.to_ascii_uppercase(),
        1 => hex[..hex.len() - 2].to_owned(),
        2 => format!("{hex}00"),
        _ => {
            let at = choice / 32 % hex.len();
            let digit = if &hex[at..=at] == "0" { "1" } else { "0" };
            format!("{}{digit}{}", &hex[..at], &hex[at + 1..])
        }
    };
    // Digits only have no case to change.
    let changed = if changed == hex {
        String::new()
    } else {
        changed
    };
    let value = HeaderValue::try_from(format!("{head}:{changed}")).expect("it is ASCII");
    parts.headers.insert(AUTHORIZATION, value);
}

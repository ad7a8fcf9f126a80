//! Building and signing an execute request, beside bare hashing and beside other signers.

use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials as AwsCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::HeaderValue;
use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::uri::PathAndQuery;
use rusty_s3::S3Action;
use serde::Serialize;
use sha2::{Digest, Sha256};
use sorna_benchmarks::{Ratio, compare, head, row, time};
use sorna_core::{
    AccessKey, Config, Credentials, Execute, ExecuteMode, KernelId, Operation, SecretKey, Signer,
};

const ACCESS: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const KERNEL: &str = "zuF1OzMIhFknyjUl7Apbvg";
const HOST: &str = "127.0.0.1:8081";

#[derive(Serialize)]
struct Body<'a> {
    mode: &'a str,
    code: &'a str,
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_498_699_425)
}

/// Code that makes the body 300 bytes long.
fn code() -> String {
    let empty = serde_json::to_vec(&Body {
        mode: "query",
        code: "",
    })
    .expect("JSON")
    .len();
    "x".repeat(300 - empty)
}

fn main() {
    let keys = Credentials::new(
        AccessKey::new(ACCESS).expect("a key"),
        SecretKey::new(SECRET).expect("a key"),
    );
    let endpoint = format!("http://{HOST}").parse().expect("an endpoint");
    let signer = Signer::new(Config::new(endpoint, keys));
    let code = code();
    let kernel = KernelId::new(KERNEL).expect("an id");
    let execute = Execute::start(kernel, ExecuteMode::query(code.as_str()));
    let ours = || execute.request(&signer, now()).expect("a request");

    let request = ours();
    let body = request.body().as_bytes().expect("bytes").to_vec();
    assert_eq!(body.len(), 300);
    let string_to_sign = format!(
        "POST\n{}\n{}\nhost:{HOST}\ncontent-type:application/json\nx-sorna-version:v2.20170315\n{}",
        request.uri().path(),
        request.headers()["date"].to_str().expect("text"),
        "0".repeat(64),
    );
    // Blocks of 64 bytes, with at least 9 bytes of padding; the MAC's keys are kept, its outer hash
    // is one block.
    let blocks = |bytes: usize| (bytes + 9).div_ceil(64);
    let compressions = blocks(body.len()) + blocks(string_to_sign.len()) + 1;
    let bare = vec![b'x'; compressions * 64 - 9];

    head();
    let against = format!("{compressions} compressions of SHA-256, and the body's JSON");
    let hashing = || {
        let json = serde_json::to_vec(&Body {
            mode: "query",
            code: &code,
        })
        .expect("JSON");
        (Sha256::digest(&bare), json)
    };
    row(
        "build and sign an execute request",
        &against,
        compare(ours, hashing),
        "at most 1.25",
    );

    // The part that this crate could save: the rest is hashing, JSON, and the time of crate http to
    // store a target and seven ready-made headers.
    let kept = request.headers().clone();
    let text = |name| Bytes::copy_from_slice(kept[name].as_bytes());
    let (authorization, length) = (text(AUTHORIZATION), text(CONTENT_LENGTH));
    let target = Bytes::copy_from_slice(request.uri().path().as_bytes());
    let bare_request = || {
        let (hash, json) = hashing();
        let value = |text: &Bytes| HeaderValue::from_maybe_shared(text.clone()).expect("a value");
        let mut headers = kept.clone();
        headers.insert(AUTHORIZATION, value(&authorization));
        headers.insert(CONTENT_LENGTH, value(&length));
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(http::uri::Scheme::HTTP);
        uri.authority = request.uri().authority().cloned();
        uri.path_and_query =
            Some(PathAndQuery::from_maybe_shared(target.clone()).expect("a target"));
        let mut request = http::Request::new(json);
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = uri.try_into().expect("a URI");
        *request.headers_mut() = headers;
        (request, hash)
    };
    row(
        "the same",
        "that, and an http::Request of the same form",
        compare(ours, bare_request),
        "-",
    );
    row(
        "an http::Request of the same form",
        &against,
        compare(bare_request, hashing),
        "-",
    );

    let identity = AwsCredentials::new(ACCESS, SECRET, None, None, "benchmark").into();
    let url = format!("http://{HOST}/v2/kernel/{KERNEL}");
    let aws = || {
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("service")
            .time(now())
            .settings(SigningSettings::default())
            .build()
            .expect("parameters")
            .into();
        let json = serde_json::to_vec(&Body {
            mode: "query",
            code: &code,
        })
        .expect("JSON");
        let headers = [("content-type", "application/json"), ("host", HOST)];
        let request = SignableRequest::new(
            "POST",
            &url,
            headers.into_iter(),
            SignableBody::Bytes(&json),
        )
        .expect("a request");
        let (instructions, _) = sign(request, &parameters)
            .expect("a signature")
            .into_parts();
        let mut request = http::Request::post(&url)
            .header("content-type", "application/json")
            .body(json)
            .expect("a request");
        instructions.apply_to_request_http1x(&mut request);
        request
    };
    row("the same", "aws-sigv4", compare(ours, aws), "at most 0.20");

    let base = format!("http://{HOST}").parse().expect("a URL");
    let bucket = rusty_s3::Bucket::new(base, rusty_s3::UrlStyle::Path, "v2", "us-east-1");
    let bucket = bucket.expect("a bucket");
    let s3_keys = rusty_s3::Credentials::new(ACCESS, SECRET);
    let s3 = || {
        let json = serde_json::to_vec(&Body {
            mode: "query",
            code: &code,
        })
        .expect("JSON");
        let action = bucket.put_object(Some(&s3_keys), KERNEL);
        (action.sign(Duration::from_secs(60)), json)
    };
    row(
        "the same",
        "rusty-s3 (signs no body)",
        compare(ours, s3),
        "-",
    );

    match python() {
        Some(theirs) => {
            let mut rounds = Vec::new();
            for theirs in theirs {
                rounds.push(time(10_000, &mut { ours }) / theirs);
            }
            row(
                "the same",
                "sorna-client 0.9.8 (Python)",
                Ratio::of(rounds),
                "-",
            );
        }
        None => eprintln!("SKIPPED: there is no target/python-client; see the README"),
    }
}

/// The seconds that the original client takes for one such request, several times.
fn python() -> Option<Vec<f64>> {
    const SCRIPT: &str = "
import sys, time
from datetime import datetime
from sorna.config import APIConfig
from sorna.auth import generate_signature
from sorna.request import Request
import json
access, secret, host, path, code = sys.argv[1:]
config = APIConfig(endpoint='http://' + host, access_key=access, secret_key=secret)
for _ in range(11):
    start = time.process_time()
    for _ in range(300):
        request = Request('POST', '/' + path, {'mode': 'query', 'code': code}, config=config)
        request._sign()
    print((time.process_time() - start) / 300)
";
    let python = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../target/python-client/bin/python"
    );
    let output = Command::new(python)
        .args([
            "-c",
            SCRIPT,
            ACCESS,
            SECRET,
            HOST,
            &format!("kernel/{KERNEL}"),
            &code(),
        ])
        .stderr(Stdio::inherit())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().map(|line| line.parse().ok()).collect()
}

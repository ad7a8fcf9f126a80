//! Uploads: encoded by core, decoded by another decoder (multer).
//!
//! The input alternates between file names and contents, with two bytes `0xff` between them. Properties:
//!
//! - Uploads that the gateway would reject (names, sizes, too many files, duplicate names) are
//!   rejected before anything is sent, and no others are.
//! - The announced length is the length of the body.
//! - The decoder finds the same files, names and contents, however the body is split in transit.
//!
//! The boundary is made of the whole input, so that contents do not contain it.

#![no_main]

use std::collections::BTreeSet;
use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use libfuzzer_sys::fuzz_target;
use multer::Multipart;
use sorna_core::server::upload_file_name;
use sorna_core::{Boundary, BuildError, Operation, Segment, UploadFile, UploadFiles};
use sorna_fuzz::{at, kernel, signer};

/// The largest file and the most files that a gateway accepts.
const LARGEST: u64 = 1024 * 1024;
const MOST: usize = 19;

fuzz_target!(|data: &[u8]| {
    let pieces = split(data);
    let mut files = Vec::new();
    for pair in pieces.chunks(2) {
        let name = String::from_utf8_lossy(pair[0]);
        let content = pair.get(1).copied().unwrap_or_default();
        match file(&name, content) {
            Ok(file) => {
                assert!(is_below_work_directory(&name), "{name:?}");
                files.push(file);
            }
            Err(error) => {
                assert!(matches!(error, BuildError::FileName { .. }), "{error:?}");
                assert!(!is_below_work_directory(&name), "{name:?}: {error}");
            }
        }
    }

    let upload = UploadFiles::new(kernel(), files, boundary(data));
    match upload.request(&signer(), at(1_498_699_425)) {
        Ok(request) => {
            assert!(is_taken(&upload.files));
            let headers = request.headers();
            let length = headers[CONTENT_LENGTH].to_str().expect("it is a number");
            assert_eq!(length.parse(), Ok(request.body().len()));
            let content_type = headers[CONTENT_TYPE].to_str().expect("it is ASCII");
            if let Some(body) = collect(request.body().segments()) {
                check_decoded(content_type, &body, &upload.files, data);
            }
        }
        Err(error) => {
            assert!(!is_taken(&upload.files), "{error}");
            assert!(
                matches!(
                    error,
                    BuildError::FileTooLarge { .. }
                        | BuildError::DuplicateFile { .. }
                        | BuildError::TooManyFiles { .. }
                ),
                "{error:?}"
            );
        }
    }
});

/// Splits at each pair of `0xff`.
fn split(data: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut rest = data;
    while let Some(end) = rest.windows(2).position(|pair| pair == [0xff, 0xff]) {
        pieces.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    pieces.push(rest);
    pieces
}

/// `@` and a number is a local file of that size; anything else is in memory.
fn file(name: &str, content: &[u8]) -> Result<UploadFile, BuildError> {
    let size = content.strip_prefix(b"@").and_then(|digits| {
        let digits = std::str::from_utf8(digits).ok()?;
        digits.parse().ok()
    });
    match size {
        Some(size) => UploadFile::from_file(name, "local", size),
        None => UploadFile::from_bytes(name, content.to_vec()),
    }
}

/// The rules for names, written independently of core's.
fn is_below_work_directory(name: &str) -> bool {
    !name.contains(['\0', '\\']) && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn is_taken(files: &[UploadFile]) -> bool {
    let names: BTreeSet<&str> = files.iter().map(UploadFile::name).collect();
    files.len() <= MOST
        && names.len() == files.len()
        && files.iter().all(|file| file.size() <= LARGEST)
}

fn boundary(data: &[u8]) -> Boundary {
    let hash = data.iter().fold(0x6c62_272e_07bb_0142_u128, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    Boundary::from_random(hash.to_be_bytes())
}

/// The body in one piece, local files as zeros; `None` if it is too large for the test.
fn collect(segments: &[Segment]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    for segment in segments {
        match segment {
            Segment::Bytes(bytes) => body.extend_from_slice(bytes),
            Segment::File { len, .. } if *len <= 4096 => {
                body.resize(body.len() + usize::try_from(*len).ok()?, 0);
            }
            _ => return None,
        }
    }
    Some(body)
}

fn check_decoded(content_type: &str, body: &[u8], files: &[UploadFile], data: &[u8]) {
    let boundary = multer::parse_boundary(content_type).expect("a boundary");
    let marker = format!("--{boundary}");
    let found = body
        .windows(marker.len())
        .filter(|at| *at == marker.as_bytes());
    assert_eq!(
        found.count(),
        files.len() + 1,
        "a name or content holds the boundary"
    );

    // Cut somewhere, or into pieces of one size.
    let size = data.len() % 61 + 1;
    let chunks: Vec<Result<Bytes, Infallible>> = if data.len().is_multiple_of(2) {
        let (head, tail) = body.split_at(body.len() * size / 62);
        [head, tail]
            .map(|half| Ok(Bytes::copy_from_slice(half)))
            .into()
    } else {
        body.chunks(size)
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect()
    };
    let mut parts = Multipart::new(stream::iter(chunks), boundary);
    for file in files {
        let field = parts
            .next_field()
            .now_or_never()
            .expect("all of it is there");
        let field = field.expect("a part").expect("one for each file");
        assert_eq!(field.name(), Some("src"));
        let media_type = field.content_type().expect("a content type");
        assert_eq!(media_type.essence_str(), "application/octet-stream");
        let disposition = field.headers()["content-disposition"].to_str();
        let disposition = disposition.expect("it is ASCII").to_owned();
        assert_eq!(upload_file_name(&disposition).as_deref(), Some(file.name()));
        // The decoder reads only `filename`, which is the whole name if a quoted string can express it.
        let is_plain = !disposition.contains("filename*=");
        if is_plain {
            assert_eq!(field.file_name(), Some(file.name()));
        }
        let content = field.bytes().now_or_never().expect("all of it is there");
        let content = content.expect("a content");
        match file.content() {
            sorna_core::FileContent::Bytes(bytes) => assert_eq!(content, bytes),
            _ => assert_eq!(content.len() as u64, file.size()),
        }
    }
    let end = parts
        .next_field()
        .now_or_never()
        .expect("all of it is there");
    assert!(end.expect("the end").is_none(), "a part that was not sent");
}

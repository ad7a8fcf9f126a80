//! Downloads, from a gateway that may send anything.
//!
//! The input is a line with the paths that were requested, between spaces, and then the response to it: its
//! headers and its body. If the line begins with `!`, checksums of archives are made right first. What holds:
//!
//! - However the body is cut, there are the same events, and the same error.
//! - No path leaves the directory, and none is outside of what was requested.
//! - A file starts, has as many bytes as it said, and ends; nothing comes in between.
//! - An error stays, and can be shown: see [`sorna_fuzz::check_error`].

#![no_main]

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use sorna_core::download::{UnpackEvent, UnpackLimits, Unpacker};
use sorna_core::{Error, UnpackError};
use sorna_fuzz::{Message, check_error};

/// Small, so that limits are reached.
const MAX_SIZE: u64 = 3000;
const MAX_ENTRIES: usize = 3;

fuzz_target!(|data: &[u8]| {
    let message = Message::read(data);
    let line = String::from_utf8_lossy(message.first);
    let is_mended = line.starts_with('!');
    let files: Vec<&str> = line.trim_start_matches('!').split(' ').collect();
    let mut body = message.body.to_vec();
    if is_mended {
        repair(&mut body);
    }
    let mut headers = HeaderMap::new();
    if let Some(value) = message.header(CONTENT_TYPE.as_str()) {
        let value = HeaderValue::from_str(value).expect("it was a header");
        headers.insert(CONTENT_TYPE, value);
    }
    let limits = UnpackLimits::new()
        .with_max_size(MAX_SIZE)
        .with_max_entries(MAX_ENTRIES);
    let unpacker = || Unpacker::new(&files, &headers, limits);
    let mut whole = match unpacker() {
        Ok(unpacker) => unpacker,
        // It shows the caller's own path, however long that is.
        Err(Error::Build(_)) => return,
        Err(error) => return check_error(&error),
    };
    let (events, end) = unpack(&mut whole, &[&body]);
    check(&events, &files);
    match &end {
        Ok(()) => assert!(body.len() as u64 <= MAX_SIZE),
        Err(error) => check_error(error),
    }
    for size in [1, data.len() % 61 + 1] {
        let pieces: Vec<&[u8]> = body.chunks(size).collect();
        let mut unpacker = unpacker().expect("it could be made before");
        assert_eq!(
            unpack(&mut unpacker, &pieces),
            (events.clone(), end.clone())
        );
    }
});

/// Gives a checksum to whatever looks like a header.
fn repair(body: &mut [u8]) {
    let magic: Vec<usize> = body
        .windows(5)
        .enumerate()
        .filter_map(|(at, word)| (word == b"ustar").then_some(at))
        .collect();
    for at in magic {
        let Some(start) = at
            .checked_sub(257)
            .filter(|start| start + 512 <= body.len())
        else {
            continue;
        };
        let block = &mut body[start..start + 512];
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }
}

/// The events, each file's data in one piece, and how it ended.
fn unpack(
    unpacker: &mut Unpacker,
    pieces: &[&[u8]],
) -> (Vec<UnpackEvent>, Result<(), UnpackError>) {
    let mut events = Vec::new();
    for piece in pieces {
        unpacker.feed(Bytes::copy_from_slice(piece));
        loop {
            match unpacker.next_event() {
                Ok(Some(event)) => match (&event, events.last_mut()) {
                    (UnpackEvent::Data(more), Some(UnpackEvent::Data(data))) => {
                        *data = [&data[..], &more[..]].concat().into();
                    }
                    _ => events.push(event),
                },
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(unpacker.next_event(), Err(error.clone()));
                    assert_eq!(unpacker.finish(), Err(error.clone()));
                    return (events, Err(error));
                }
            }
        }
    }
    let end = unpacker.finish();
    (events, end)
}

fn check(events: &[UnpackEvent], files: &[&str]) {
    let mut left = None;
    let mut entries = 0;
    let mut size = 0;
    for event in events {
        match event {
            UnpackEvent::Directory(entry) | UnpackEvent::FileStart(entry) => {
                assert_eq!(left, None, "an entry inside of a file");
                assert!(is_safe(&entry.path), "{:?}", entry.path);
                assert!(
                    files.iter().any(|file| is_within(&entry.path, file)),
                    "{:?} was not requested",
                    entry.path
                );
                assert_eq!(entry.mode & !0o777, 0);
                entries += 1;
                size += entry.size;
                if matches!(event, UnpackEvent::FileStart(_)) {
                    left = Some(entry.size);
                } else {
                    assert_eq!(entry.size, 0);
                }
            }
            UnpackEvent::Data(data) => {
                assert!(!data.is_empty());
                let more = left.and_then(|left| left.checked_sub(data.len() as u64));
                left = Some(more.expect("a file has room for it"));
            }
            UnpackEvent::FileEnd => assert_eq!(left.take(), Some(0)),
            UnpackEvent::LeftOut { path, .. } => {
                assert_eq!(left, None, "inside of a file");
                assert!(is_safe(path), "{path:?}");
                assert!(files.iter().any(|file| is_within(path, file)), "{path:?}");
                entries += 1;
            }
            event => panic!("{event:?}"),
        }
    }
    assert!(entries <= MAX_ENTRIES && size <= MAX_SIZE);
}

/// The rules for paths, written independently of core's.
fn is_safe(path: &str) -> bool {
    // On Unix, colons and backslashes are parts of names.
    let odd: &[char] = if cfg!(windows) {
        &['\0', '\\', ':']
    } else {
        &['\0']
    };
    !path.contains(odd) && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Whether a path is that of a file that was requested, or below it.
fn is_within(path: &str, file: &str) -> bool {
    let file = match file.strip_prefix("/home/work") {
        Some(rest) if rest.starts_with('/') => rest,
        _ => file,
    };
    let file = file.split('/').filter(|part| !matches!(*part, "" | "."));
    let mut path = path.split('/');
    file.into_iter().all(|part| path.next() == Some(part))
}

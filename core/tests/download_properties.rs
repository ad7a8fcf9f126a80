//! What holds for all downloads: how they are cut does not matter, and no path leaves its directory.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use sorna_core::download::{UnpackEvent, UnpackLimits, Unpacker};
use sorna_core::*;

/// Few enough cases for a build without optimization; the fuzz target tries more.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// An entry of an archive, as it is written, not as it should be.
#[derive(Clone, Debug)]
struct Entry {
    kind: u8,
    path: Vec<u8>,
    /// Whether the path comes by GNU's header for long names, or by records of pax.
    long: Option<u8>,
    content: Vec<u8>,
    /// What the header says in place of the length.
    size: Option<u64>,
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    let odd = select(vec![
        "..",
        "",
        ".",
        "C:",
        "c:y",
        "a\\b",
        "é",
        "\0",
        "...",
        "y:z",
        "long-name/",
    ]);
    let odd = (
        select(vec!["x/", "x/y/", "xx/", "/", ""]),
        odd,
        select(vec!["", "/", "/z"]),
    );
    prop_oneof![
        4 => "x(/[a-z]{1,60}){0,4}/?".prop_map(String::into_bytes),
        3 => odd.prop_map(|(start, odd, end)| format!("{start}{odd}{end}").into_bytes()),
        1 => vec(any::<u8>(), 0..8),
    ]
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..1500),
        "(\r\n--b|\r\n--|\r|\r\n--b-){0,40}".prop_map(String::into_bytes),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let kind =
        prop_oneof![8 => Just(b'0'), 2 => Just(b'5'), 1 => select(b"\x0012345678gxLKSVZ".to_vec())];
    let long = prop_oneof![2 => Just(None), 1 => select(vec![Some(b'L'), Some(b'x')])];
    let size = prop_oneof![12 => Just(None), 1 => any::<u64>().prop_map(Some)];
    (kind, path(), long, content(), size).prop_map(|(kind, path, long, content, size)| Entry {
        kind,
        content: if kind == b'5' { Vec::new() } else { content },
        path,
        long,
        size,
    })
}

fn push(archive: &mut Vec<u8>, kind: u8, path: &[u8], content: &[u8], size: u64) {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::new(kind));
    let path = &path[..path.len().min(100)];
    header.as_mut_bytes()[..path.len()].copy_from_slice(path);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    archive.extend_from_slice(header.as_bytes());
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(512), 0);
}

fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut archive = Vec::new();
    for entry in entries {
        match entry.long {
            Some(b'L') => {
                let path = [&entry.path[..], b"\0"].concat();
                push(
                    &mut archive,
                    b'L',
                    b"././@LongLink",
                    &path,
                    path.len() as u64,
                );
            }
            Some(kind) => {
                // The length counts its own digits: two for these paths, or three.
                let rest = [b" path=", &entry.path[..], b"\n"].concat();
                let digits = if rest.len() + 2 < 100 { 2 } else { 3 };
                let record = format!("{:02}", rest.len() + digits).into_bytes();
                let record = [record, rest].concat();
                push(
                    &mut archive,
                    kind,
                    b"././@PaxHeader",
                    &record,
                    record.len() as u64,
                );
            }
            None => {}
        }
        let size = entry.size.unwrap_or(entry.content.len() as u64);
        push(&mut archive, entry.kind, &entry.path, &entry.content, size);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn body(archives: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for archive in archives {
        body.extend_from_slice(b"--b-0\r\nContent-Encoding: identity\r\n\r\n");
        body.extend_from_slice(archive);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b-0--\r\n");
    body
}

fn unpacker(files: &[&str]) -> Unpacker {
    let value = HeaderValue::from_static("multipart/mixed; boundary=b-0");
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, value)]);
    let limits = UnpackLimits::new().with_max_size(1 << 20);
    Unpacker::new(files, &headers, limits).expect("a boundary")
}

/// The events, each file's data in one piece, and how it ended.
fn unpack(files: &[&str], pieces: &[&[u8]]) -> (Vec<UnpackEvent>, Result<(), UnpackError>) {
    let mut unpacker = unpacker(files);
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
                Err(error) => return (events, Err(error)),
            }
        }
    }
    let end = unpacker.finish();
    (events, end)
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

/// Starts, data and ends come in this order, and data has the length that was said.
fn check(events: &[UnpackEvent], files: &[&str]) -> Result<(), TestCaseError> {
    let mut left = None;
    for event in events {
        match event {
            UnpackEvent::Directory(entry) | UnpackEvent::FileStart(entry) => {
                prop_assert_eq!(left, None);
                prop_assert!(is_safe(&entry.path), "{:?}", entry.path);
                let is_requested = files.iter().any(|file| {
                    let rest = entry.path.strip_prefix(file);
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                });
                prop_assert!(is_requested, "{:?}", entry.path);
                prop_assert_eq!(entry.mode, entry.mode & 0o777);
                if matches!(event, UnpackEvent::FileStart(_)) {
                    left = Some(entry.size);
                }
            }
            UnpackEvent::Data(data) => {
                prop_assert!(!data.is_empty());
                left = left.and_then(|left| left.checked_sub(data.len() as u64));
                prop_assert!(left.is_some());
            }
            UnpackEvent::FileEnd => prop_assert_eq!(left.take(), Some(0)),
            UnpackEvent::LeftOut { path, .. } => {
                prop_assert_eq!(left, None);
                prop_assert!(is_safe(path), "{:?}", path);
                let is_requested = files.iter().any(|file| {
                    path.strip_prefix(file)
                        .is_some_and(|rest| rest.starts_with('/'))
                });
                prop_assert!(is_requested, "{:?}", path);
            }
            event => return Err(TestCaseError::fail(format!("{event:?}"))),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn files_are_what_was_packed_however_the_bytes_are_cut(
        contents in vec(content(), 1..4),
        cuts in vec(any::<Index>(), 0..20),
        is_long in any::<bool>(),
    ) {
        let directory = if is_long { "long/".repeat(40) } else { String::new() };
        let mut entries = vec![("d/", None)];
        let names: Vec<_> = (0..contents.len()).map(|i| format!("d/{directory}{i}")).collect();
        entries.extend(names.iter().map(|name| &name[..]).zip(contents.iter().map(Some)));
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in &entries {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o755);
            let content = content.map_or(&[][..], |content| &content[..]);
            header.set_size(content.len() as u64);
            if name.ends_with('/') {
                header.set_entry_type(tar::EntryType::Directory);
            }
            builder.append_data(&mut header, name, content).expect("in memory");
        }
        let body = body(&[builder.into_inner().expect("in memory")]);
        let (events, end) = unpack(&["a/d"], &cut(&body, &cuts));
        prop_assert_eq!(end, Ok(()));
        check(&events, &["a/d"])?;
        let mut expected = vec!["a/d".to_owned()];
        let mut found = Vec::new();
        for (name, content) in &entries[1..] {
            let content = content.expect("a file");
            expected.push(format!("a/{name} {}", content.len()));
            if !content.is_empty() {
                expected.push(format!("{content:?}"));
            }
        }
        for event in &events {
            match event {
                UnpackEvent::Directory(entry) => found.push(entry.path.clone()),
                UnpackEvent::FileStart(entry) => found.push(format!("{} {}", entry.path, entry.size)),
                UnpackEvent::Data(data) => found.push(format!("{:?}", data.to_vec())),
                _ => {}
            }
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn no_archive_leaves_its_directory_and_cuts_do_not_matter(
        archives in prop_oneof![7 => vec(vec(entry(), 1..5), 2), 1 => vec(vec(entry(), 0..2), 0..4)],
        damage in prop_oneof![7 => Just(None), 1 => (any::<Index>(), any::<u8>()).prop_map(Some)],
        end in prop_oneof![7 => Just(None), 1 => any::<Index>().prop_map(Some)],
        cuts in vec(any::<Index>(), 0..20),
    ) {
        let archives: Vec<_> = archives.iter().map(|entries| archive(entries)).collect();
        let mut body = body(&archives);
        if let Some((place, byte)) = damage {
            let place = place.index(body.len());
            body[place] = byte;
        }
        if let Some(end) = end {
            body.truncate(end.index(body.len() + 1));
        }
        let files = ["x", "b/x"];
        let (events, end) = unpack(&files, &[&body]);
        check(&events, &files)?;
        prop_assert_eq!(unpack(&files, &cut(&body, &cuts)), (events, end));
    }

    #[test]
    fn arbitrary_bytes_are_an_error(bytes in vec(any::<u8>(), 0..2000), is_part in any::<bool>()) {
        let start = if is_part { &b"--b-0\r\n\r\n"[..] } else { b"" };
        let bytes = [start, &bytes].concat();
        let (events, end) = unpack(&["x"], &[&bytes]);
        prop_assert!(events.is_empty() && end.is_err());
        let pieces: Vec<_> = bytes.chunks(7).collect();
        prop_assert_eq!(unpack(&["x"], &pieces), (events, end));
    }
}

/// Cuts bytes at these places.
fn cut<'b>(bytes: &'b [u8], cuts: &[Index]) -> Vec<&'b [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut start = 0;
    for place in places {
        pieces.push(&bytes[start..place]);
        start = place;
    }
    pieces.push(&bytes[start..]);
    pieces
}

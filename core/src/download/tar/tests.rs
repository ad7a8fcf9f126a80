use super::*;

/// Archives written by crate `tar`.
fn archive(write: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    write(&mut builder);
    builder.into_inner().unwrap()
}

fn header(kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o4755);
    header.set_cksum();
    header
}

/// Entries and contents by turns, as text; then whether the end was found.
fn read(archive: &[u8], size: usize) -> Result<(Vec<String>, bool), &'static str> {
    let mut reader = Reader::new();
    let mut items = Vec::new();
    for chunk in archive.chunks(size) {
        let mut input = Bytes::copy_from_slice(chunk);
        while let Some(item) = reader.next(&mut input)? {
            match item {
                Item::Entry(entry) => {
                    let path = String::from_utf8_lossy(&entry.path).into_owned();
                    items.push(format!(
                        "{path} {:?} {} {:o}",
                        entry.kind, entry.size, entry.mode
                    ));
                    if let Kind::Other(_) = entry.kind {
                        return Ok((items, false));
                    }
                    items.push(String::new());
                }
                Item::Data(data) => {
                    *items.last_mut().unwrap() += std::str::from_utf8(&data).unwrap();
                }
                Item::FileEnd => *items.last_mut().unwrap() += "$",
            }
        }
    }
    Ok((items, reader.is_finished()))
}

#[track_caller]
fn reads(archive: &[u8], expected: &[&str]) {
    for size in [1, 2, 511, 512, 513, 4096, archive.len()] {
        let (items, is_finished) = read(archive, size).unwrap();
        assert_eq!(items, expected, "in chunks of {size}");
        assert!(is_finished);
    }
}

#[test]
fn files_and_directories_are_read_in_pieces_of_any_size() {
    let block = "x".repeat(512);
    let archive = archive(|tar| {
        let directory = &mut header(tar::EntryType::Directory, 0);
        tar.append_data(directory, "d/", &[][..]).unwrap();
        let mut file = |path, content: &str| {
            let header = &mut header(tar::EntryType::Regular, content.len() as u64);
            tar.append_data(header, path, content.as_bytes()).unwrap();
        };
        file("d/a", "1");
        file("empty", "");
        file("block", &block);
    });
    let content = block + "$";
    reads(
        &archive,
        &[
            "d/ Directory 0 755",
            "",
            "d/a File 1 755",
            "1$",
            "empty File 0 755",
            "$",
            "block File 512 755",
            &content,
        ],
    );
}

#[test]
fn long_names_come_from_gnu_from_pax_and_from_a_prefix() {
    let long = "long/".repeat(40) + "name";
    let gnu = archive(|tar| {
        let header = &mut header(tar::EntryType::Regular, 1);
        tar.append_data(header, &long, &b"1"[..]).unwrap();
    });
    assert_eq!(gnu[156], b'L');
    let pax = archive(|tar| {
        tar.append_pax_extensions([
            ("mtime", &b"1.5"[..]),
            ("path", long.as_bytes()),
            ("size", b"1"),
        ])
        .unwrap();
        let header = &mut header(tar::EntryType::Regular, 7);
        tar.append_data(header, "short", &b"1"[..]).unwrap();
    });
    let prefix = archive(|tar| {
        let mut header = tar::Header::new_ustar();
        header.set_path(&long).unwrap();
        header.set_size(1);
        header.set_mode(0o755);
        header.set_cksum();
        tar.append(&header, &b"1"[..]).unwrap();
    });
    let entry = format!("{long} File 1 755");
    for archive in [gnu, pax, prefix] {
        reads(&archive, &[&entry, "1$"]);
    }
}

#[test]
fn what_is_neither_file_nor_directory_has_a_name() {
    for (kind, text) in [
        (tar::EntryType::Symlink, "a symbolic link"),
        (tar::EntryType::Link, "a hard link"),
        (tar::EntryType::Char, "a device"),
        (tar::EntryType::Block, "a device"),
        (tar::EntryType::Fifo, "a named pipe"),
        (tar::EntryType::GNUSparse, "a sparse file"),
        (tar::EntryType::new(b'Z'), "an entry of an unknown kind"),
    ] {
        let archive = archive(|tar| {
            tar.append_data(&mut header(kind, 0), "x", &[][..]).unwrap();
        });
        let (items, _) = read(&archive, 512).unwrap();
        let is_last = matches!(kind, tar::EntryType::GNUSparse) || kind.as_byte() == b'Z';
        let name = if is_last { "Other" } else { "Special" };
        assert_eq!(items[0], format!("x {name}({text:?}) 0 755"));
    }
    let archive = archive(|tar| {
        tar.append_pax_extensions([("GNU.sparse.major", &b"1"[..])])
            .unwrap();
        let file = &mut header(tar::EntryType::Regular, 0);
        tar.append_data(file, "x", &[][..]).unwrap();
    });
    assert!(read(&archive, 512).unwrap().0[0].contains("a sparse file"));
}

#[test]
fn damaged_headers_are_errors() {
    let good = archive(|tar| {
        let header = &mut header(tar::EntryType::Regular, 1);
        tar.append_data(header, "x", &b"1"[..]).unwrap();
    });
    for at in [0, 100, 130, 156, 400] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert_eq!(read(&bad, 512), Err("a header's checksum is wrong"), "{at}");
    }
    let with = |field: std::ops::Range<usize>, value: &[u8]| {
        let mut header = header(tar::EntryType::Regular, 1);
        header.as_mut_bytes()[field][..value.len()].copy_from_slice(value);
        header.set_cksum();
        read(header.as_bytes(), 512)
    };
    assert_eq!(with(124..136, b"+1"), Err("a size is not a number"));
    assert_eq!(with(124..136, &[0xff; 12]), Err("a size is not a number"));
    assert_eq!(with(124..136, &[0x80, 1]), Err("a size is not a number"));
    assert_eq!(with(100..108, b"rwx"), Err("a mode is not a number"));
    assert_eq!(with(156..157, b"5"), Err("a directory has content"));
}

#[test]
fn extensions_are_bounded_and_checked() {
    let extension = |kind: u8, size: u64, content: &[u8]| {
        let mut bytes = header(tar::EntryType::new(kind), size).as_bytes().to_vec();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes.extend_from_slice(&[0; 512]);
        read(&bytes, 512)
    };
    let too_long = Err("a header's extension is too long");
    assert_eq!(extension(b'x', MAX_EXTENSION + 1, b""), too_long);
    assert_eq!(extension(b'L', u64::from(u32::MAX), b""), too_long);
    let malformed = Err("a record of pax is malformed");
    for record in [
        "6 a=b",
        "5 ab\n",
        "x a=b\n",
        "0 a=b\n",
        "99 a=b\n",
        "9 size=x\n",
        "+6 a=b\n",
        " ",
    ] {
        assert_eq!(
            extension(b'x', record.len() as u64, record.as_bytes()),
            malformed,
            "{record}"
        );
    }
    let missing = Err("a header is missing after its extension");
    assert_eq!(extension(b'L', 1, b"x"), missing);
    assert_eq!(extension(b'g', 6, b"6 a=b\n"), Ok((vec![], true)));
}

#[test]
fn an_archive_that_ends_early_is_not_finished() {
    let archive = archive(|tar| {
        let header = &mut header(tar::EntryType::Regular, 1);
        tar.append_data(header, "x", &b"1"[..]).unwrap();
    });
    for end in [0, 1, 512, 513, 1024, 1025, 1535] {
        assert!(!read(&archive[..end], 512).unwrap().1, "{end}");
    }
    assert!(read(&archive[..1536], 512).unwrap().1);
}

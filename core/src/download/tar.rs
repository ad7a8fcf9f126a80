//! Archives in tar's format (POSIX `ustar` and `pax`, and GNU's long names), read as they arrive.

use bytes::Bytes;

const BLOCK: usize = 512;

/// The most bytes of a header that continues the next one: a long name, or records of pax.
const MAX_EXTENSION: u64 = 64 * 1024;

/// Reads one archive.
#[derive(Debug)]
pub(super) struct Reader {
    state: State,
    /// The block that is being collected, as far as it came.
    block: [u8; BLOCK],
    filled: usize,
    /// What the headers before an entry say of it.
    long_name: Option<Vec<u8>>,
    pax: Pax,
}

#[derive(Debug)]
enum State {
    Header,
    Extension {
        kind: Extension,
        content: Vec<u8>,
        left: u64,
    },
    File {
        left: u64,
        padding: usize,
    },
    Padding(usize),
    End,
}

#[derive(Clone, Copy, Debug)]
enum Extension {
    LongName,
    Pax,
    /// What does not matter here: the target of a link, or records for the whole archive.
    Ignored,
}

#[derive(Debug, Default)]
struct Pax {
    path: Option<Vec<u8>>,
    size: Option<u64>,
    is_sparse: bool,
}

/// What comes next in an archive.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    Entry(Entry),
    Data(Bytes),
    FileEnd,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) size: u64,
    pub(super) mode: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    /// What is not unpacked and has no content, and what it is.
    Special(&'static str),
    /// What cannot be read, nor anything after it, and what it is.
    Other(&'static str),
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            state: State::Header,
            block: [0; BLOCK],
            filled: 0,
            long_name: None,
            pax: Pax::default(),
        }
    }

    /// Whether the archive's end was read.
    pub(super) fn is_finished(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// Takes bytes from the front, up to the next item; `None` if it takes more bytes for one. An error says
    /// what is wrong with the archive.
    pub(super) fn next(&mut self, input: &mut Bytes) -> Result<Option<Item>, &'static str> {
        loop {
            // The end of a file is known without another byte.
            if let State::File { left: 0, padding } = self.state {
                self.state = State::Padding(padding);
                return Ok(Some(Item::FileEnd));
            }
            if input.is_empty() {
                return Ok(None);
            }
            match &mut self.state {
                State::File { left, .. } => {
                    let data = take(input, *left);
                    *left -= data.len() as u64;
                    return Ok(Some(Item::Data(data)));
                }
                State::Padding(left) => {
                    *left -= take(input, *left as u64).len();
                    if *left == 0 {
                        self.state = State::Header;
                    }
                }
                State::Extension { left, content, .. } => {
                    let data = take(input, *left);
                    *left -= data.len() as u64;
                    content.extend_from_slice(&data);
                    if *left == 0 {
                        self.end_extension()?;
                    }
                }
                State::Header => {
                    let data = take(input, (BLOCK - self.filled) as u64);
                    self.block[self.filled..][..data.len()].copy_from_slice(&data);
                    self.filled += data.len();
                    if self.filled == BLOCK {
                        self.filled = 0;
                        if let Some(entry) = self.header()? {
                            return Ok(Some(Item::Entry(entry)));
                        }
                    }
                }
                // More blocks of zeros.
                State::End => input.clear(),
            }
        }
    }

    /// Reads a block that is a header. `None` if it is none of an entry.
    fn header(&mut self) -> Result<Option<Entry>, &'static str> {
        if self.block.iter().all(|byte| *byte == 0) {
            self.state = if self.has_extension() {
                return Err("a header is missing after its extension");
            } else {
                State::End
            };
            return Ok(None);
        }
        if !has_checksum(&self.block) {
            return Err("a header's checksum is wrong");
        }
        let size = number(&self.block[124..136]).ok_or("a size is not a number")?;
        let extension = match self.block[156] {
            b'L' => Extension::LongName,
            b'x' => Extension::Pax,
            b'K' | b'g' => Extension::Ignored,
            _ => return self.entry(size).map(Some),
        };
        if size > MAX_EXTENSION {
            return Err("a header's extension is too long");
        }
        self.state = if size == 0 {
            State::Header
        } else {
            State::Extension {
                kind: extension,
                content: Vec::new(),
                left: size,
            }
        };
        Ok(None)
    }

    fn has_extension(&self) -> bool {
        self.long_name.is_some() || self.pax.path.is_some() || self.pax.size.is_some()
    }

    fn end_extension(&mut self) -> Result<(), &'static str> {
        let State::Extension { kind, content, .. } =
            std::mem::replace(&mut self.state, State::Header)
        else {
            return Ok(());
        };
        self.state = padding_after(content.len() as u64);
        match kind {
            Extension::LongName => self.long_name = Some(text(&content).to_owned()),
            Extension::Pax => self
                .pax
                .read(&content)
                .ok_or("a record of pax is malformed")?,
            Extension::Ignored => {}
        }
        Ok(())
    }

    fn entry(&mut self, size: u64) -> Result<Entry, &'static str> {
        let block = &self.block;
        let pax = std::mem::take(&mut self.pax);
        let path = pax
            .path
            .or(self.long_name.take())
            .unwrap_or_else(|| name(block));
        let size = pax.size.unwrap_or(size);
        // Programs do not agree on whether content follows one that has a size.
        let special = |what| match size {
            0 => Kind::Special(what),
            _ => Kind::Other(what),
        };
        let kind = match block[156] {
            _ if pax.is_sparse => Kind::Other("a sparse file"),
            b'\0' if path.ends_with(b"/") => Kind::Directory,
            b'0' | b'\0' | b'7' => Kind::File,
            b'1' => special("a hard link"),
            b'2' => special("a symbolic link"),
            b'3' | b'4' => special("a device"),
            b'5' => Kind::Directory,
            b'6' => special("a named pipe"),
            b'S' => Kind::Other("a sparse file"),
            _ => Kind::Other("an entry of an unknown kind"),
        };
        if kind == Kind::Directory && size > 0 {
            return Err("a directory has content");
        }
        // Without set-user-ID, set-group-ID and sticky bits: who owns it here did not choose them.
        let mode = number(&block[100..108]).ok_or("a mode is not a number")? & 0o777;
        self.state = match kind {
            Kind::File => State::File {
                left: size,
                padding: padding(size),
            },
            Kind::Directory | Kind::Special(_) | Kind::Other(_) => State::Header,
        };
        Ok(Entry {
            path,
            kind,
            size,
            mode: u32::try_from(mode).expect("it has nine bits"),
        })
    }
}

impl Pax {
    /// Records of the form `length key=value\n`.
    fn read(&mut self, mut records: &[u8]) -> Option<()> {
        while !records.is_empty() {
            let space = records.iter().position(|byte| *byte == b' ')?;
            let length: usize = digits(&records[..space])?.try_into().ok()?;
            if length <= space || length > records.len() {
                return None;
            }
            let (record, rest) = records.split_at(length);
            records = rest;
            let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|byte| *byte == b'=')?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.path = Some(value.to_owned()),
                b"size" => self.size = Some(digits(value)?),
                _ => self.is_sparse |= key.starts_with(b"GNU.sparse."),
            }
        }
        Some(())
    }
}

fn take(input: &mut Bytes, most: u64) -> Bytes {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    input.split_to(most.min(input.len()))
}

/// How many bytes fill up the last block.
fn padding(size: u64) -> usize {
    let last = (size % BLOCK as u64) as usize;
    (BLOCK - last) % BLOCK
}

fn padding_after(size: u64) -> State {
    match padding(size) {
        0 => State::Header,
        padding => State::Padding(padding),
    }
}

/// A field up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0);
    &field[..end.unwrap_or(field.len())]
}

/// The path in a header without extensions. Only POSIX has a prefix; GNU has other things there.
fn name(block: &[u8; BLOCK]) -> Vec<u8> {
    let name = text(&block[..100]);
    let prefix = text(&block[345..500]);
    if &block[257..263] != b"ustar\0" || prefix.is_empty() {
        return name.to_owned();
    }
    [prefix, b"/", name].concat()
}

/// Octal digits between spaces or NULs; or binary, marked by the first bit. An empty field is 0.
fn number(field: &[u8]) -> Option<u64> {
    if let [0x80, rest @ ..] = field {
        let (high, low) = rest.split_at(rest.len().saturating_sub(8));
        let value = low
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte));
        return high.iter().all(|byte| *byte == 0).then_some(value);
    }
    let field = text(field).trim_ascii();
    if field.is_empty() {
        return Some(0);
    }
    let is_octal = field.iter().all(|byte| matches!(byte, b'0'..=b'7'));
    let field = std::str::from_utf8(field).ok().filter(|_| is_octal)?;
    u64::from_str_radix(field, 8).ok()
}

/// Decimal digits alone.
fn digits(field: &[u8]) -> Option<u64> {
    let is_decimal = field.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(field)
        .ok()
        .filter(|_| is_decimal)?
        .parse()
        .ok()
}

/// The sum of all bytes, with the checksum's own field taken for spaces. Some old programs added signed bytes.
fn has_checksum(block: &[u8; BLOCK]) -> bool {
    let Some(expected) = number(&block[148..156]) else {
        return false;
    };
    let bytes = || block[..148].iter().chain(&[b' '; 8]).chain(&block[156..]);
    let unsigned: u64 = bytes().map(|byte| u64::from(*byte)).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
    expected == unsigned || i64::try_from(expected) == Ok(signed)
}

#[cfg(test)]
mod tests;

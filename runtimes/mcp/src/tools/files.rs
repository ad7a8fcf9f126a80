//! Tools for files of a session.

use std::time::{Duration, UNIX_EPOCH};

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine};
use serde::Deserialize;
use serde_json::json;
use sorna::tokio::Kernel;
use sorna::{Error, UnpackEvent, UploadFile};
use tokio::time::timeout;

use crate::answer::Answer;
use crate::client_id::ClientId;
use crate::failure::Failure;
use crate::image;
use crate::run::Image;
use crate::session::Session;
use crate::sessions::Sessions;

/// How much of a file is read at once, and the largest file that is, in bytes.
const USUAL_LENGTH: u64 = 16 * 1024;
const MOST_LENGTH: u64 = 1024 * 1024;
const MOST_FILE: usize = 64 * 1024 * 1024;
/// How long the gateway has to say whether there is a session.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most files that are listed.
const MOST_FILES: usize = 500;

/// How the content of a file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
enum Encoding {
    #[default]
    #[serde(rename = "utf-8", alias = "utf8", alias = "text")]
    Utf8,
    #[serde(rename = "base64")]
    Base64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteFile {
    path: String,
    content: String,
    encoding: Option<Encoding>,
    session: Option<String>,
    language: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadFile {
    path: String,
    session: Option<String>,
    encoding: Option<Encoding>,
    offset: Option<f64>,
    length: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListFiles {
    path: Option<String>,
    session: Option<String>,
}

pub(super) async fn write_file(
    sessions: &Sessions,
    arguments: WriteFile,
    client: &ClientId,
) -> Result<Answer, Failure> {
    let path = below(&arguments.path);
    let content = match arguments.encoding.unwrap_or_default() {
        Encoding::Utf8 => arguments.content.into_bytes(),
        Encoding::Base64 => STANDARD
            .decode(arguments.content.split_whitespace().collect::<String>())
            .map_err(|error| {
                Failure::new(format!(
                    "`content` is not Base64, as `encoding` says: {}. Without `encoding`, it is text.",
                    why_not_base64(error)
                ))
            })?,
    };
    if path.is_empty() {
        return Err(Failure::new(
            "`path` is the work directory itself: it needs the name of a file, such as `data/a.csv`.",
        ));
    }
    let bytes = content.len();
    let file = UploadFile::from_bytes(path, content)
        .map_err(|error| Failure::new(format!("This path cannot be written: {error}.")))?;
    let name = arguments.session.as_deref();
    let language = arguments.language.as_deref();
    let (session, _writing) = sessions.for_writing(client, name, language).await?;
    let kernel = session.kernel(sessions.options().patience).await?;
    if let Err(error) = kernel.upload(vec![file]).await {
        return Err(failure(&session, &kernel, "The file was not written", &error).await);
    }
    Ok(Answer::new(
        format!("Wrote {bytes} bytes to {path} in session {}.", session.name),
        json!({"session": session.name, "path": path, "bytes": bytes}),
    ))
}

pub(super) async fn read_file(
    sessions: &Sessions,
    arguments: ReadFile,
    client: &ClientId,
) -> Result<Answer, Failure> {
    let path = inside(&arguments.path, "The file cannot be read")?;
    let session = sessions
        .of_files(client, arguments.session.as_deref(), false)
        .await?;
    let kernel = session.kernel(sessions.options().patience).await?;
    let content = download(&session, &kernel, path).await?;
    let size = content.len() as u64;
    let mut fields = json!({"session": session.name, "path": path, "size": size});
    let offset = position("offset", arguments.offset)?.unwrap_or_default();
    let length = position("length", arguments.length)?;
    let is_whole = offset == 0 && length.is_none();
    if let Some(media_type) = image::media_type(&content)
        && arguments.encoding.is_none()
        && is_whole
    {
        if let Some(why) = image::why_not(media_type, &content) {
            return Err(Failure::new(format!(
                "{path} is {media_type} of {size} bytes, and cannot be shown: {why}. `encoding` `base64` returns its bytes."
            )));
        }
        fields["media_type"] = media_type.into();
        let image = Image {
            media_type: media_type.to_owned(),
            data: STANDARD.encode(&content),
        };
        return Ok(Answer {
            images: vec![image],
            ..Answer::new(format!("{path}: {media_type} of {size} bytes"), fields)
        });
    }
    if offset > size {
        return Err(Failure::new(format!(
            "`offset` is beyond the end: {path} has {size} bytes."
        )));
    }
    let length = length.unwrap_or(USUAL_LENGTH).min(MOST_LENGTH);
    let end = offset.saturating_add(length).min(size);
    let (mut begin, mut end) = (index(offset), index(end));
    let text = match arguments.encoding {
        Some(Encoding::Base64) => STANDARD.encode(&content[begin..end]),
        asked => {
            (begin, end) = whole_characters(&content, begin, end);
            let part = &content[begin..end];
            match std::str::from_utf8(part) {
                Ok(text) => text.to_owned(),
                Err(_) if asked.is_some() => String::from_utf8_lossy(part).into_owned(),
                Err(_) => {
                    return Err(Failure::new(format!(
                        "{path} is not text: it has {size} bytes. Ask for encoding `base64`."
                    )));
                }
            }
        }
    };
    let (begin, end) = (begin as u64, end as u64);
    fields["content"] = text.as_str().into();
    fields["truncated"] = (end < size || begin > 0).into();
    let mut shown = text;
    if end < size {
        fields["next_offset"] = end.into();
        shown.push_str(&format!(
            "\n[{} of {size} bytes follow: offset {end}]",
            size - end
        ));
    } else if shown.is_empty() {
        shown.push_str("[It is empty.]");
    }
    if begin != offset {
        fields["offset"] = begin.into();
        shown.push_str(&format!(
            "\n[It begins at offset {begin}: that which was asked for is inside of a character]"
        ));
    }
    Ok(Answer::new(shown, fields))
}

pub(super) async fn list_files(
    sessions: &Sessions,
    arguments: ListFiles,
    client: &ClientId,
) -> Result<Answer, Failure> {
    let given = arguments.path.as_deref().unwrap_or(".");
    let path = inside(given, "The files cannot be listed")?;
    let session = sessions
        .of_files(client, arguments.session.as_deref(), false)
        .await?;
    let kernel = session.kernel(sessions.options().patience).await?;
    let mut files = match kernel.list_files(path).await {
        Ok(listing) => listing.files,
        Err(error) => {
            return Err(failure(&session, &kernel, "The files cannot be listed", &error).await);
        }
    };
    files.sort_by(|one, other| one.name.cmp(&other.name));
    let left_out = files.len().saturating_sub(MOST_FILES);
    files.truncate(MOST_FILES);
    let lines = files.iter().map(|file| match file.is_directory() {
        true => format!("{}/", file.name),
        false => format!("{} ({} bytes)", file.name, file.size),
    });
    let mut text = lines.collect::<Vec<_>>().join("\n");
    if left_out > 0 {
        text.push_str(&format!("\n[{left_out} more are left out]"));
    } else if text.is_empty() {
        text.push_str("There are no files.");
    }
    let list: Vec<_> = files
        .iter()
        .map(|file| {
            let modified = file
                .modified
                .and_then(|it| it.duration_since(UNIX_EPOCH).ok());
            json!({
                "name": file.name,
                "size": file.size,
                "directory": file.is_directory(),
                "modified": modified.map(|it: Duration| it.as_secs()),
            })
        })
        .collect();
    Ok(Answer::new(
        text,
        json!({"session": session.name, "path": path, "files": list, "truncated": left_out > 0}),
    ))
}

/// Whether a path goes up further than down, at some place.
fn leaves(path: &str) -> bool {
    let mut depth = 0_usize;
    path.split('/').any(|part| match part {
        "" | "." => false,
        ".." => depth.checked_sub(1).map(|above| depth = above).is_none(),
        _ => {
            depth += 1;
            false
        }
    })
}

/// Why text without spaces is not Base64.
fn why_not_base64(error: DecodeError) -> String {
    match error {
        DecodeError::InvalidByte(at, byte) if byte.is_ascii_graphic() => format!(
            "it has `{}` as its character {}, spaces not counted",
            char::from(byte),
            at + 1
        ),
        DecodeError::InvalidByte(at, _) => {
            format!(
                "its character {}, spaces not counted, is none of Base64",
                at + 1
            )
        }
        DecodeError::InvalidPadding => "it does not end with as many `=` as it needs".to_owned(),
        _ => "it is cut off".to_owned(),
    }
}

/// A path below the work directory, which some call by its name there.
fn below(path: &str) -> &str {
    let path = match path.strip_prefix("/home/work") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest.trim_start_matches('/'),
        _ => path,
    };
    match path.trim_start_matches("./") {
        "." => "",
        path => path,
    }
}

/// The same for what is read, where the work directory itself is `.`. If it is elsewhere, the error begins with `failed`.
fn inside<'p>(given: &'p str, failed: &str) -> Result<&'p str, Failure> {
    match below(given) {
        "" => Ok("."),
        path if path.starts_with('/') || leaves(path) => Err(Failure::new(format!(
            "{failed}: {path:?} is not in the work directory, and paths are below that. run_code sees other directories."
        ))),
        path => Ok(path),
    }
}

async fn download(session: &Session, kernel: &Kernel, path: &str) -> Result<Vec<u8>, Failure> {
    let is_directory = || {
        Failure::new(format!(
            "{path} is a directory: list_files shows what is in it."
        ))
    };
    if path == "." {
        return Err(is_directory());
    }
    let mut content = Vec::new();
    let mut download = kernel.download([path]);
    loop {
        match download.next_event().await {
            Err(error) => {
                return Err(failure(session, kernel, "The file was not read", &error).await);
            }
            Ok(Some(UnpackEvent::Directory(_))) => {
                return Err(is_directory());
            }
            Ok(Some(UnpackEvent::Data(bytes))) => {
                content.extend_from_slice(&bytes);
                if content.len() > MOST_FILE {
                    return Err(Failure::new(format!(
                        "{path} has more than {MOST_FILE} bytes: read parts of it with run_code."
                    )));
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => return Ok(content),
        }
    }
}

/// Why something could not be done with files. Gateways say in many ways that there is no such session, and so it is asked for.
async fn failure(session: &Session, kernel: &Kernel, what: &str, error: &Error) -> Failure {
    if error.gateway().is_some() && is_gone(kernel).await {
        session.close();
        return Failure::new(format!(
            "{what}: session `{}` is gone, with its files: the gateway has ended it.",
            session.name
        ));
    }
    match error {
        Error::FilesUnavailable(files) => Failure::new(format!(
            "{what}: {files}. list_files shows what is in session {}.",
            session.name
        )),
        Error::Build(error) => Failure::new(format!(
            "{what}: {error}. Paths are below the work directory of the session."
        )),
        error => Failure::of(what, error),
    }
}

/// Whether the gateway has a kernel no more.
async fn is_gone(kernel: &Kernel) -> bool {
    let asked = timeout(PATIENCE, kernel.info()).await;
    let Ok(Err(error)) = asked else {
        return false;
    };
    let kind = error.gateway().and_then(sorna::GatewayError::kind);
    error.is_not_found() && kind != Some(sorna::ProblemKind::UrlNotFound)
}

/// A number of bytes that a client has given.
fn position(name: &str, given: Option<f64>) -> Result<Option<u64>, Failure> {
    match given {
        None => Ok(None),
        Some(given) if given >= 0.0 && given.fract() == 0.0 => Ok(Some(given as u64)),
        Some(_) => Err(Failure::new(format!(
            "`{name}` is a whole number of bytes, from 0."
        ))),
    }
}

/// An index into what is in memory.
fn index(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

/// The part from `begin` to `end` without half a character: it begins with the one in whose middle `begin` is, and ends before that of
/// `end`, unless that is the only one.
fn whole_characters(content: &[u8], begin: usize, end: usize) -> (usize, usize) {
    let (from, _) = character(content, begin);
    let (last, after) = character(content, end);
    match last > from || end <= begin {
        true => (from, last.max(from)),
        false => (from, after),
    }
}

/// Where the character begins that this byte is of, and where it ends. A byte that is of none is by itself.
fn character(content: &[u8], at: usize) -> (usize, usize) {
    let starts = (at.saturating_sub(3)..=at).rev();
    for start in starts {
        let there = content.get(start..).unwrap_or_default();
        let there = &there[..there.len().min(4)];
        let valid = match std::str::from_utf8(there) {
            Ok(valid) => valid,
            Err(error) => std::str::from_utf8(&there[..error.valid_up_to()]).unwrap_or_default(),
        };
        if let Some(first) = valid.chars().next() {
            let end = start + first.len_utf8();
            return match end > at {
                true => (start, end),
                false => (at, at + 1),
            };
        }
    }
    (at, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_below_the_work_directory() {
        for (path, below_it) in [
            ("a.txt", "a.txt"),
            ("./a/b", "a/b"),
            ("/home/work/a", "a"),
            ("/home/work", ""),
            ("/home/work/.", ""),
            ("/home/work/./a", "a"),
            (".", ""),
            ("/home/worker", "/home/worker"),
            ("/etc/passwd", "/etc/passwd"),
            (".hidden", ".hidden"),
            ("../a", "../a"),
        ] {
            assert_eq!(below(path), below_it, "{path}");
        }
    }

    #[test]
    fn paths_that_leave_the_work_directory_are_known() {
        for path in ["..", "a/../..", "./../a", "a/b/../../../a/b", "../a"] {
            assert!(leaves(path), "{path}");
        }
        for path in ["", ".", "a", "a/..", "a/../b", "..a", "a/b/../../c"] {
            assert!(!leaves(path), "{path}");
        }
    }

    #[test]
    fn characters_are_not_split() {
        let text = "aé€😀".as_bytes();
        for (begin, end, whole) in [
            (0, 10, "aé€😀"),
            (0, 2, "a"),
            (1, 2, "é"),
            (2, 3, "é"),
            (2, 5, "é"),
            (4, 8, "€"),
            (7, 9, "😀"),
            (9, 10, "😀"),
            (3, 3, ""),
            (2, 2, ""),
            (10, 10, ""),
        ] {
            let (from, to) = whole_characters(text, begin, end);
            assert_eq!(&text[from..to], whole.as_bytes(), "{begin} to {end}");
        }
        let none = b"\xff\xfe\x80\x80";
        assert_eq!(whole_characters(none, 1, 3), (1, 3));
        assert_eq!(whole_characters(b"a\x80\x80", 1, 2), (1, 2));
        assert_eq!(whole_characters(b"", 0, 0), (0, 0));
    }
}

//! Uploads: from the parts of a form to files in a kernel's work directory.
//!
//! Files are first written to a staging directory. They are moved into place once all have arrived
//! and all can be stored, so a rejected upload stores no file. No symbolic link in the work
//! directory is followed: the program could have made it point anywhere.

mod arrived;
mod place;

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use hyper::body::Incoming;
use multer::{Constraints, Multipart, SizeLimit};
use percent_encoding::percent_decode_str;
use sorna_core::FileMode;
use sorna_core::server::{ProblemReply, upload_file_name};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

pub(super) use self::arrived::no_room;
use self::arrived::{Arrived, bad, internal, outside, rejected};
use self::place::{Place, Shut};
use super::pieces::{Gauge, Pieces, TooMuch};
use crate::kernel::{Home, Reservation, size as in_words};

/// What an upload may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UploadLimits {
    pub(crate) files: usize,
    pub(crate) file_size: u64,
    /// For files of any size: the least pace at which they must arrive.
    pub(crate) pace: Option<Pace>,
    /// Whether names are percent-encoded, as the official clients of Backend.AI send them.
    pub(crate) encoded_names: bool,
}

/// How long an upload may take for what has arrived of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    start: Instant,
    /// From the beginning.
    time: Duration,
}

impl Pace {
    /// What must arrive each second, in bytes: our client waits for uploads that are as slow.
    const RATE: u64 = 64 * 1024;

    /// With this much time besides.
    pub(crate) fn from_now(time: Duration) -> Self {
        let start = Instant::now();
        Self { start, time }
    }

    /// Waits for more, after so many bytes.
    async fn wait<T>(
        pace: Option<Self>,
        bytes: u64,
        next: impl Future<Output = T>,
    ) -> Result<T, ProblemReply> {
        let Some(Self { start, time }) = pace else {
            return Ok(next.await);
        };
        let end = start + time + Duration::from_secs(bytes / Self::RATE);
        let waited = tokio::time::timeout_at(end.into(), next).await;
        waited.map_err(|_| bad("upload too slow"))
    }
}

/// The most bytes before the first part, and of the head of each.
const PART_HEAD: u64 = 16 * 1024;

/// Stores the files of a form in the work directory.
///
/// # Errors
///
/// 400 `generic-bad-request` for a malformed form, or more than there is room for; `invalid-api-params` for too many or too
/// large files, for a name outside the directory, or one below a file.
pub(crate) async fn store(
    body: &mut Incoming,
    content_type: &str,
    home: &Home,
    limits: UploadLimits,
    room: Reservation,
) -> Result<(), ProblemReply> {
    let boundary = multer::parse_boundary(content_type)
        .map_err(|_| bad("the body is not multipart/form-data with a boundary"))?;
    let part = limits.file_size.saturating_add(PART_HEAD);
    let whole = part.saturating_mul(limits.files as u64 + 1);
    let constraints = Constraints::new().size_limit(SizeLimit::new().whole_stream(whole));
    let gauge = Gauge::default();
    let stream = Pieces::new(body, gauge.clone());
    let mut form = Multipart::with_constraints(stream, boundary, constraints);
    let root = home.outside(home.root());
    let staging = TempDir::new_in(root).map_err(|error| internal(&error, home.root()))?;

    let mut arrived = Vec::new();
    let mut total = 0;
    loop {
        // The parser keeps what it reads until a head is whole.
        gauge.allow(PART_HEAD);
        let next = Pace::wait(limits.pace, total, form.next_field()).await?;
        gauge.allow_all();
        let Some(field) = next.map_err(|error| malformed(&error))? else {
            break;
        };
        // It may have arrived with what precedes it.
        let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (name.as_str().len() + value.len() + 4) as u64
        };
        if field.headers().iter().map(line).sum::<u64>() > PART_HEAD {
            return Err(too_long());
        }
        if arrived.len() == limits.files {
            return Err(rejected(&format!(
                "Too many files (limit {})",
                limits.files
            )));
        }
        room.check_files(arrived.len() as u64 + 1)
            .map_err(no_room)?;
        let name = field
            .headers()
            .get(http::header::CONTENT_DISPOSITION)
            .and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
            .and_then(upload_file_name)
            .ok_or_else(|| bad("a part has no file name"))?;
        let name = if limits.encoded_names {
            percent_decode_str(&name).decode_utf8_lossy().into_owned()
        } else {
            name
        };
        let mode = match field.headers().get(FileMode::HEADER) {
            None => None,
            Some(value) => Some(
                value
                    .to_str()
                    .ok()
                    .and_then(FileMode::parse)
                    .ok_or_else(|| rejected(&format!("the mode of {name:?} is not one of a file or a directory, such as 100755 or 040755")))?,
            ),
        };
        let target = relative_path(&name).ok_or_else(|| outside(&name))?;
        let staged = staging.path().join(arrived.len().to_string());
        let part = Part {
            path: &staged,
            name: &name,
            limit: limits.file_size,
            before: total,
            pace: limits.pace,
            mode,
        };
        total += write_part(field, home, part, &room).await?;
        arrived.push(Arrived {
            staged,
            target,
            name,
            mode,
        });
    }

    let own = home.clone();
    let moved = tokio::task::spawn_blocking(move || {
        // The directory must exist until the files have been moved out of it.
        let _staging = staging;
        let is_file = |file: &&Arrived| !file.is_directory();
        let mut files = arrived.iter().filter(is_file).count() as u64;
        let mut shut = Shut::default();
        let places = arrived
            .iter()
            .map(|file| Place::prepare(&own, file, &room, &mut files, &mut shut))
            .collect::<Result<Vec<_>, _>>()?;
        let now = SystemTime::now();
        let mut both = arrived.iter().zip(&places);
        both.try_for_each(|(file, place)| place.take(file, now))?;
        drop(shut);
        // Last, since a directory may allow nothing more.
        let mut both = arrived.iter().zip(&places);
        both.try_for_each(|(file, place)| place.set_mode(file))
    });
    moved
        .await
        .map_err(|error| internal(&error.into(), home.root()))?
}

/// A file that arrives.
struct Part<'a> {
    path: &'a Path,
    name: &'a str,
    limit: u64,
    /// The size of those before it.
    before: u64,
    pace: Option<Pace>,
    mode: Option<FileMode>,
}

/// Writes a file, and returns its size.
async fn write_part(
    mut field: multer::Field<'_>,
    home: &Home,
    part: Part<'_>,
    room: &Reservation,
) -> Result<u64, ProblemReply> {
    let Part {
        path, name, limit, ..
    } = part;
    let file = File::create_new(path).map_err(|error| internal(&error, path))?;
    if let Some(mode) = part.mode.filter(|mode| !mode.is_directory) {
        let permissions = Permissions::from_mode(mode.permissions);
        let set = file.set_permissions(permissions);
        set.map_err(|error| internal(&error, path))?;
    }
    home.give(&file).map_err(|error| internal(&error, path))?;
    let mut file = tokio::fs::File::from_std(file);
    let mut size = 0;
    loop {
        let chunk = Pace::wait(part.pace, part.before + size, field.chunk()).await?;
        let Some(bytes) = chunk.map_err(|error| malformed(&error))? else {
            break;
        };
        size += bytes.len() as u64;
        if size > 0 && part.mode.is_some_and(|mode| mode.is_directory) {
            return Err(rejected(&format!(
                "{name:?} is a directory, and has content"
            )));
        }
        if size > limit {
            let most = match part.pace {
                None => format!("limit {limit} bytes"),
                Some(_) => format!(
                    "the limit is {}, as for files that a kernel writes",
                    in_words(limit)
                ),
            };
            return Err(rejected(&format!("Too large file: {name:?} ({most})")));
        }
        room.check(part.before + size).map_err(no_room)?;
        file.write_all(&bytes)
            .await
            .map_err(|error| internal(&error, path))?;
        room.arrived(bytes.len() as u64);
    }
    file.flush().await.map_err(|error| internal(&error, path))?;
    Ok(size)
}

/// The path in the work directory that a name refers to. Leading slashes are ignored, as on the
/// original gateway. `None` if it leaves the directory or names no file.
fn relative_path(name: &str) -> Option<PathBuf> {
    if name.contains('\0') || name.ends_with('/') {
        return None;
    }
    let mut path = PathBuf::new();
    for component in Path::new(name).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    (!path.as_os_str().is_empty()).then_some(path)
}

fn malformed(error: &multer::Error) -> ProblemReply {
    match error {
        multer::Error::StreamSizeExceeded { .. } => rejected("the upload is too large in total"),
        multer::Error::StreamReadFailed(error) if error.is::<TooMuch>() => too_long(),
        _ => bad("the form is malformed or incomplete"),
    }
}

fn too_long() -> ProblemReply {
    bad(&format!(
        "the head of a part, or what precedes the first, is larger than {PART_HEAD} bytes"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_the_work_directory() {
        for (name, path) in [
            ("a.c", Some("a.c")),
            ("a/b/c.c", Some("a/b/c.c")),
            ("/a", Some("a")),
            ("./a//b", Some("a/b")),
            ("..", None),
            ("../a", None),
            ("a/../../b", None),
            ("a/..", None),
            ("", None),
            ("/", None),
            ("a/", None),
            ("a\0b", None),
        ] {
            assert_eq!(
                relative_path(name).as_deref(),
                path.map(Path::new),
                "{name:?}"
            );
        }
    }
}

//! Files of a kernel: lists and downloads, in both dialects.

mod archive;
mod tree;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;
use sorna_core::server::backend_ai::Parameters;
use sorna_core::server::{ProblemReply, reply};
use sorna_core::{Download, ProblemKind};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::body::ReplyBody;
use super::context::Context;
use crate::kernels::Entry;
use crate::random;
use crate::shortage;

/// How many bytes of a file are read at once.
const CHUNK: usize = 64 * 1024;
/// How many chunks are read ahead of a slow client.
const AHEAD: usize = 4;

/// How long a download waits for its turn.
const TURN: Duration = Duration::from_secs(10);

type Result<T = Response<ReplyBody>> = std::result::Result<T, ProblemReply>;

/// A piece of a response.
enum Piece {
    Bytes(Bytes),
    /// This many bytes of a file.
    File(File, u64),
}

/// `GET /session/{name}/files`, `GET /v2/kernel/{id}/files`
pub(super) async fn list(entry: Arc<Entry>, parameters: &Parameters) -> Result {
    entry.kernel.touch();
    let path = parameters.text("path").unwrap_or(".".into()).into_owned();
    let (work, wanted) = (work(&entry), path.clone());
    let listed = blocking(move || tree::open(&work, &wanted).and_then(tree::list)).await?;
    let (files, errors) = match listed {
        Ok(files) => {
            let files = serde_json::to_string(&files).map_err(|_| internal())?;
            (format!("{files}\n"), String::new())
        }
        Err(error) if tree::is_outside(&error) => return Err(outside(&path)),
        Err(error) => match shortage::problem(&error, Path::new(&path)) {
            Some(problem) => return Err(problem),
            None => (
                String::new(),
                format!("{}\n", tree::describe(&error, &path)),
            ),
        },
    };
    let listing = json!({"files": files, "errors": errors, "abspath": path});
    Ok(reply::json(StatusCode::OK, &listing).map(ReplyBody::new))
}

/// A directory of the kernel, relative to its work directory.
pub(super) async fn directory(entry: &Entry, path: &str) -> Result<PathBuf> {
    let (work, wanted) = (work(entry), path.to_owned());
    let found = blocking(move || tree::directory(&work, &wanted)).await?;
    found.map_err(|error| {
        if tree::is_outside(&error) {
            return outside(path);
        }
        let missing = shortage::problem(&error, Path::new(path));
        missing.unwrap_or_else(|| {
            ProblemKind::InvalidApiParams.reply_with(&tree::describe(&error, path))
        })
    })
}

/// `POST` or `GET /session/{name}/download`, `GET /v2/kernel/{id}/download`
pub(super) async fn download(
    context: &Context,
    entry: Arc<Entry>,
    parameters: &Parameters,
) -> Result {
    entry.kernel.touch();
    let files = parameters.list("files");
    if files.is_empty() {
        return Err(missing("files"));
    }
    if files.len() > Download::MAX_FILES {
        let most = Download::MAX_FILES;
        let detail = format!("Too many files (maximum {most} files allowed)");
        return Err(ProblemKind::VfolderOperationFailed.reply_with(&detail));
    }
    let boundary = random::run_id().map_err(|_| internal())?;
    let turn = Arc::clone(&context.downloads).acquire_owned();
    let turn = match tokio::time::timeout(TURN, turn).await {
        Ok(Ok(turn)) => turn,
        _ => {
            let detail = "too many files are being downloaded: try again later";
            return Err(ProblemKind::ServiceUnavailable.reply_with(detail));
        }
    };
    let (work, scratch) = places(&entry);
    // Kept by the work itself, which goes on if the client is gone.
    let archived = blocking(move || {
        let mut left = archive::MAX_SIZE;
        let archive = |path: &String| {
            let made = archive::of(&work, &scratch, path, &mut left);
            made.map_err(|error| {
                let missing = shortage::problem(&error, &scratch);
                missing.unwrap_or_else(|| unavailable(&error, path))
            })
        };
        let archives = files.iter().map(archive).collect::<Result<Vec<_>>>()?;
        Ok((archives, turn))
    });
    let mut pieces = Vec::new();
    let (archives, turn) = archived.await??;
    for (file, size) in archives {
        let head = format!(
            "--{boundary}\r\nContent-Type: application/octet-stream\r\n\
             Content-Encoding: identity\r\nContent-Length: {size}\r\n\r\n"
        );
        pieces.extend([Piece::Bytes(head.into()), Piece::File(file, size)]);
        pieces.push(Piece::Bytes(Bytes::from_static(b"\r\n")));
    }
    pieces.push(Piece::Bytes(format!("--{boundary}--\r\n").into()));
    let content_type = format!("multipart/mixed; boundary={boundary}");
    let content_type = HeaderValue::try_from(content_type).map_err(|_| internal())?;
    Ok(in_pieces(pieces, content_type, entry, Some(turn)))
}

/// `POST` or `GET /session/{name}/download_single`, `GET /v2/kernel/{id}/download_single`
pub(super) async fn download_single(entry: Arc<Entry>, parameters: &Parameters) -> Result {
    entry.kernel.touch();
    let path = parameters
        .text("file")
        .ok_or_else(|| missing("file"))?
        .into_owned();
    let (work, wanted) = (work(&entry), path.clone());
    let opened = blocking(move || {
        let file = tree::open(&work, &wanted)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        Ok((file, metadata.len()))
    });
    let (file, size) = opened.await?.map_err(|error| {
        let missing = shortage::problem(&error, Path::new(&path));
        missing.unwrap_or_else(|| unavailable(&error, &path))
    })?;
    let content_type = HeaderValue::from_static("application/octet-stream");
    Ok(in_pieces(
        vec![Piece::File(file, size)],
        content_type,
        entry,
        None,
    ))
}

/// The work directory, and where temporary files of the kernel may be.
fn places(entry: &Entry) -> (PathBuf, PathBuf) {
    let home = entry.kernel.home();
    (work(entry), home.root().to_owned())
}

/// The work directory.
fn work(entry: &Entry) -> PathBuf {
    let home = entry.kernel.home();
    home.outside(&home.work())
}

/// A response whose pieces are read as the client takes them. The kernel is kept until then, and the turn.
fn in_pieces(
    pieces: Vec<Piece>,
    content_type: HeaderValue,
    entry: Arc<Entry>,
    turn: Option<OwnedSemaphorePermit>,
) -> Response<ReplyBody> {
    let length = pieces.iter().map(|piece| match piece {
        Piece::Bytes(bytes) => bytes.len() as u64,
        Piece::File(_, size) => *size,
    });
    let length = length.sum();
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let _kept = (entry, turn);
        for piece in pieces {
            let sent = match piece {
                Piece::Bytes(bytes) => sender.blocking_send(bytes).is_ok(),
                Piece::File(file, size) => send_file(&sender, file, size),
            };
            // The client is gone, or the file has become shorter: then the response is, too, which clients notice.
            if !sent {
                return;
            }
        }
    });
    let next = |mut receiver: mpsc::Receiver<Bytes>| async move {
        let bytes = receiver.recv().await?;
        Some((bytes, receiver))
    };
    let body = ReplyBody::Stream(Box::pin(stream::unfold(receiver, next)), Some(length));
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Sends this many bytes of a file; `false` if there are less, or the client is gone. Blocks.
fn send_file(sender: &mpsc::Sender<Bytes>, mut file: File, size: u64) -> bool {
    let mut left = size;
    while left > 0 {
        let chunk = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let mut buffer = vec![0; chunk];
        match file.read(&mut buffer) {
            Ok(read @ 1..) => {
                buffer.truncate(read);
                left -= read as u64;
                if sender.blocking_send(buffer.into()).is_err() {
                    return false;
                }
            }
            _ => return false,
        }
    }
    true
}

async fn blocking<T: Send + 'static>(action: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(action).await;
    done.map_err(|_| ProblemKind::ServiceUnavailable.reply())
}

/// The error response for a file that cannot be downloaded. (Managers send a 500, which says nothing in 26.9.6.)
fn unavailable(error: &io::Error, path: &str) -> ProblemReply {
    if tree::is_outside(error) {
        return outside(path);
    }
    ProblemKind::VfolderOperationFailed.reply_with(&tree::describe(error, path))
}

fn outside(path: &str) -> ProblemReply {
    let path: String = path.chars().take(200).collect();
    ProblemKind::InvalidApiParams.reply_with(&format!("{path:?} is not in the work directory"))
}

fn missing(name: &str) -> ProblemReply {
    ProblemKind::GenericBadRequest
        .reply_with(&format!("{name}: Field required"))
        .with_title("Invalid or Missing API Parameters.")
        .with_error_code("api_parsing_invalid-parameters")
}

fn internal() -> ProblemReply {
    ProblemKind::InternalServerError.reply()
}

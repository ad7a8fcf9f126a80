//! Images, HTML and other output that is not text: shown, saved, or at least mentioned.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use sorna::Media;
use tempfile::{NamedTempFile, TempPath};

use super::args::{Images, MediaArgs};
use super::images::Protocol;
use crate::streams::{self, Stream};

/// Where such output goes.
#[derive(Debug)]
pub(crate) struct Gallery {
    directory: Option<PathBuf>,
    protocol: Option<Protocol>,
    /// What images were to be drawn by, though standard output is no terminal.
    refused: Option<Protocol>,
    /// The number of the next file.
    next: u32,
    lost: bool,
}

/// The file that something was saved in, or why it was not.
pub(super) type Saved = Result<PathBuf, SaveError>;

/// Something could not be saved.
#[derive(Debug)]
pub(super) struct SaveError {
    directory: PathBuf,
    error: io::Error,
}

impl fmt::Display for SaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { directory, error } = self;
        write!(f, "cannot save output in {}: {error}", directory.display())
    }
}

/// What happened to such output.
#[derive(Debug)]
pub(super) struct Placed {
    /// It was shown on the terminal.
    pub(super) shown: bool,
    /// It is in this file, or could not be saved there.
    pub(super) file: Option<Saved>,
    /// Type and size, for a person.
    pub(super) description: String,
}

impl Gallery {
    pub(crate) fn new(arguments: &MediaArgs, shows: bool) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let asked = match arguments.images {
            _ if !shows => None,
            Images::Auto if is_terminal => {
                Protocol::of_environment(|name| std::env::var(name).ok())
            }
            Images::Kitty => Some(Protocol::Kitty),
            Images::Iterm2 => Some(Protocol::Iterm2),
            Images::Sixel => Some(Protocol::Sixel),
            Images::Auto | Images::Never => None,
        };
        Self {
            directory: arguments.media_dir.clone(),
            protocol: asked.filter(|_| is_terminal),
            refused: asked.filter(|_| !is_terminal),
            next: 1,
            lost: false,
        }
    }

    /// Creates the directory before the run, so that no output can be lost.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        self.directory.as_ref().map_or(Ok(()), fs::create_dir_all)
    }

    /// Shows and saves it, as far as that is requested and possible.
    ///
    /// # Errors
    ///
    /// It could not be shown, because standard output is closed.
    pub(super) fn place(&mut self, media: &Media<'_>) -> io::Result<Placed> {
        let decoded = media.bytes();
        let readable = decoded.is_some();
        // Keep content that cannot be decoded as it is.
        let bytes = decoded.unwrap_or_else(|| media.content().as_bytes().into());
        let drawing = self
            .protocol
            .filter(|protocol| readable && protocol.shows(media.media_type()))
            .and_then(|protocol| protocol.encode(&bytes));
        if let Some(drawing) = &drawing {
            streams::write(Stream::Stdout, drawing.as_bytes())?;
        }
        let shown = drawing.is_some();
        let extension = if readable {
            extension(media.media_type())
        } else {
            "txt"
        };
        let mut description = format!("{}, {} bytes", media.media_type(), bytes.len());
        if !readable {
            description.push_str(", not decodable");
        } else if self.refused.is_some_and(|it| it.shows(media.media_type())) {
            description.push_str(", not drawn: standard output is not a terminal");
        }
        Ok(Placed {
            shown,
            file: self.save(extension, &bytes),
            description,
        })
    }

    /// Saves it under a new name, never replacing another file; `None` without a directory.
    pub(super) fn save(&mut self, extension: &str, bytes: &[u8]) -> Option<Saved> {
        let directory = self.directory.clone()?;
        let saved = write(&directory, bytes).and_then(|mut file| {
            loop {
                let path = directory.join(format!("output-{}.{extension}", self.next));
                self.next += 1;
                match file.persist_noclobber(&path) {
                    Ok(_) => return Ok(path),
                    Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => {
                        file = refused.file;
                    }
                    Err(refused) => return Err(refused.error),
                }
            }
        });
        self.lost |= saved.is_err();
        Some(saved.map_err(|error| SaveError { directory, error }))
    }

    /// Whether something that should have been saved is lost.
    pub(super) fn has_lost(&self) -> bool {
        self.lost
    }
}

/// Writes a file under a name for the meantime: what is cut off by a full disk must not pass for whole.
fn write(directory: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let path = directory.join(format!(".output-{}", sorna::random_token()));
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)?;
    let mut file = NamedTempFile::from_parts(file, TempPath::try_from_path(path)?);
    file.as_file_mut().write_all(bytes)?;
    Ok(file)
}

/// The extension for this type. The type is untrusted input, so only known ones are used.
fn extension(media_type: &str) -> &'static str {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    match essence.to_ascii_lowercase().as_str() {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "image/bmp" => "bmp",
        "image/tiff" => "tiff",
        "image/svg+xml" => "svg",
        "text/html" => "html",
        "text/plain" => "txt",
        "text/csv" => "csv",
        "text/markdown" => "md",
        "text/latex" => "tex",
        "application/json" => "json",
        "application/pdf" => "pdf",
        "application/xml" | "text/xml" => "xml",
        "application/zip" => "zip",
        "audio/mpeg" => "mp3",
        "audio/ogg" => "ogg",
        "audio/wav" | "audio/x-wav" => "wav",
        "video/mp4" => "mp4",
        "video/webm" => "webm",
        _ => "bin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gallery(directory: &std::path::Path) -> Gallery {
        let arguments = MediaArgs {
            media_dir: Some(directory.join("new/media")),
            images: Images::Never,
        };
        let gallery = Gallery::new(&arguments, true);
        gallery.prepare().unwrap();
        gallery
    }

    #[test]
    fn files_get_new_names_and_replace_none() {
        let directory = tempfile::tempdir().unwrap();
        let place = |gallery: &mut Gallery, media: Media<'_>| {
            let placed = gallery.place(&media).unwrap();
            assert!(!placed.shown);
            let file = placed.file.unwrap().unwrap();
            let name = file.strip_prefix(directory.path()).unwrap();
            (
                name.to_str().unwrap().to_owned(),
                fs::read(&file).unwrap(),
                placed.description,
            )
        };
        let mut first = gallery(directory.path());
        let png = Media::new("image/png", "data:image/png;base64,iVBORw==");
        let (name, content, description) = place(&mut first, png.clone());
        assert_eq!(name, "new/media/output-1.png");
        assert_eq!(content, b"\x89PNG");
        assert_eq!(description, "image/png, 4 bytes");
        let nasty = Media::new("../../etc/passwd", "x");
        assert_eq!(place(&mut first, nasty).0, "new/media/output-2.bin");
        let broken = Media::new("image/png", "data:image/png;base64,a");
        let (name, content, description) = place(&mut first, broken);
        assert_eq!(name, "new/media/output-3.txt");
        assert_eq!(content, b"data:image/png;base64,a");
        assert_eq!(description, "image/png, 23 bytes, not decodable");
        let mut second = gallery(directory.path());
        assert_eq!(place(&mut second, png).0, "new/media/output-2.png");
    }
}

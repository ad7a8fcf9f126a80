//! Downloads, unpacked as they arrive.
//!
//! The response to a [`Download`](crate::Download) is `multipart/mixed`, whose parts are archives in tar's format:
//! one for each file that was requested. An [`Unpacker`] is fed with bytes in pieces of any size, and gives
//! directories, and files with their contents, so that any size is written to disk in constant memory:
//!
//! ```
//! use std::io::Write;
//! use http::HeaderMap;
//! use sorna_core::{Download, KernelId};
//! use sorna_core::download::{UnpackEvent, UnpackLimits, Unpacker};
//!
//! fn save(
//!     unpacker: &mut Unpacker,
//!     body: impl Iterator<Item = std::io::Result<bytes::Bytes>>,
//!     directory: &std::path::Path,
//! ) -> Result<(), Box<dyn std::error::Error>> {
//!     let mut open = None;
//!     for chunk in body {
//!         unpacker.feed(chunk?);
//!         while let Some(event) = unpacker.next_event()? {
//!             match event {
//!                 UnpackEvent::Directory(entry) => {
//!                     std::fs::create_dir_all(directory.join(entry.path))?;
//!                 }
//!                 UnpackEvent::FileStart(entry) => {
//!                     let path = directory.join(entry.path);
//!                     std::fs::create_dir_all(path.parent().expect("it is below the directory"))?;
//!                     open = Some(std::fs::File::create(path)?);
//!                 }
//!                 UnpackEvent::Data(bytes) => open.as_mut().expect("a file").write_all(&bytes)?,
//!                 UnpackEvent::FileEnd => open = None,
//!                 _ => {}
//!             }
//!         }
//!     }
//!     Ok(unpacker.finish()?)
//! }
//!
//! let download = Download::new(KernelId::new("k1")?, vec!["main.py".to_owned()]);
//! let headers = [("content-type".parse()?, "multipart/mixed; boundary=b".parse()?)];
//! let headers = HeaderMap::from_iter(headers);
//! let mut unpacker = download.unpacker(&headers, UnpackLimits::default())?;
//! let cut_off = std::iter::once(Ok("--b\r\n".into()));
//! let error = save(&mut unpacker, cut_off, &std::env::temp_dir()).unwrap_err();
//! assert_eq!(error.to_string(), "the download ended before it was complete");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Gateways are untrusted. No path leaves the directory that it is joined to; no entry has a name that
//! was not requested; links and devices in a directory are left out, and named; sparse files are errors; and
//! [limits](UnpackLimits) hold for sizes and numbers. What is on the disk already is the caller's to mind:
//! a link there leads where it leads.

mod multipart;
mod path;
mod tar;
mod unpack;

pub(crate) use path::Requested;
pub use unpack::{UnpackEvent, UnpackLimits, UnpackedEntry, Unpacker};

#[cfg(test)]
mod tests;

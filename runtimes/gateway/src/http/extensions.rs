//! What this gateway understands besides the protocols.

use sorna_core::{Execute, UploadFiles};

/// The names of the extensions, for clients that use them.
pub(super) const EXTENSIONS: &[&str] = &[Execute::FINAL, Execute::BYTES, UploadFiles::MODES];

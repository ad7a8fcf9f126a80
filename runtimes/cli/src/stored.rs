//! Uploads that may not be stored.

use sorna::UploadProgress;

use crate::reporter::Reporter;
use crate::units::count;

/// Says how many of the uploaded files may not be stored.
pub(crate) fn show_unchecked(reporter: &mut Reporter, uploaded: UploadProgress) {
    if uploaded.unchecked > 0 {
        let files = count(uploaded.unchecked, "file");
        let are = if uploaded.unchecked == 1 { "is" } else { "are" };
        reporter.advice(format_args!(
            "It could not be checked whether {files} {are} stored: look with `sorna ls`."
        ));
    }
}

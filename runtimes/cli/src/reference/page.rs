//! What the pages share.

use std::path::{Path, PathBuf};

/// The directory of these pages, unless this is a package of the command without the book.
pub(super) fn directory() -> Option<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("book/reference");
    directory.exists().then_some(directory)
}

/// Compares a page, or writes it.
pub(super) fn check(name: &str, page: &str) {
    let Some(directory) = directory() else { return };
    let path = directory.join(name);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, page).expect("a page");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "{name} is out of date: UPDATE_REFERENCE=1 cargo test -p sorna-cli --all-features --lib reference"
    );
}

/// Text as Markdown in a cell of a table: what is not code already shows its characters as they are.
pub(super) fn cell(text: &str) -> String {
    let paragraphs = text.trim().split("\n\n");
    let paragraphs = paragraphs.map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "));
    let text = paragraphs.collect::<Vec<_>>().join("<br>");
    escaped(&text).replace('|', "\\|")
}

pub(super) fn escaped(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(index, part)| match index % 2 {
        0 => part
            .replace('*', "\\*")
            .replace('<', "\\<")
            .replace("\\<br>", "<br>"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}

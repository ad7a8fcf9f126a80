//! The settings, which are written by hand.

use std::path::Path;

use super::page::directory;

/// The names of variables in a file of the source.
fn variables(source: &str) -> impl Iterator<Item = &str> {
    let words = source.split('"');
    words.filter(|word| {
        ["SORNA_", "BACKEND_"].iter().any(|it| word.starts_with(it))
            && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
            && !word.ends_with('_')
    })
}

/// Variables that are of the command's own processes, or of tests.
const INTERNAL: &[&str] = &["SORNA_ALLOCATOR_CHOSEN"];

#[test]
fn every_variable_is_among_the_settings() {
    let Some(directory) = directory() else { return };
    let page = std::fs::read_to_string(directory.join("settings.md")).expect("the page");
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let (mut missing, mut found) = (Vec::new(), 0);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).expect("a source");
            for name in variables(&source).filter(|name| !INTERNAL.contains(name)) {
                found += 1;
                if !page.contains(&format!("`{name}`")) {
                    missing.push(name.to_owned());
                }
            }
        }
    }
    assert!(found > 5, "only {found} variables");
    missing.sort_unstable();
    missing.dedup();
    assert!(missing.is_empty(), "{missing:?}");
}

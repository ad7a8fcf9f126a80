//! What the pages for those who change the code say is there.

use std::path::Path;

/// The paths that a page names: those that begin in a folder at the top.
fn paths(page: &str) -> impl Iterator<Item = &str> {
    page.split(|c: char| c.is_whitespace() || "`()[]|,;".contains(c))
        .map(|word| word.trim_end_matches(['.', ':']))
        .filter(|word| {
            ["core/", "runtimes/", "tests/", "fuzz/", ".ci/"]
                .iter()
                .any(|root| word.starts_with(root))
        })
        .filter(|word| !word.contains('*'))
        .map(|word| word.split('#').next().unwrap_or(word))
}

#[test]
fn paths_that_are_named_exist() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (page, least) in [
        ("runtimes/client/ARCHITECTURE.md", 40),
        ("CONTRIBUTING.md", 5),
    ] {
        let text = std::fs::read_to_string(top.join(page)).expect("the page is there");
        let missing: Vec<&str> = paths(&text)
            .filter(|path| !top.join(path).exists())
            .collect();
        assert!(missing.is_empty(), "{page} names {missing:?}");
        let named = paths(&text).count();
        assert!(named >= least, "{page} names only {named} paths");
    }
}

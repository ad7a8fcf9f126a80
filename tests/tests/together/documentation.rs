//! Paths and links in the documentation exist.

use std::path::Path;

/// The paths that a page names: those that begin with a top-level folder.
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
fn named_paths_exist() {
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

/// The targets of a page's links.
fn links(page: &str) -> impl Iterator<Item = &str> {
    page.match_indices("](").map(|(at, _)| {
        let rest = &page[at + 2..];
        &rest[..rest.find(')').expect("a link's end")]
    })
}

/// The name of a heading in a link.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-')
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn linked_files_and_headings_exist() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut followed = 0;
    for page in [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "core/README.md",
        "fuzz/README.md",
        "runtimes/cli/README.md",
        "runtimes/client/ARCHITECTURE.md",
        "runtimes/client/README.md",
        "runtimes/gateway/README.md",
        "runtimes/jupyter/README.md",
        "runtimes/mcp/README.md",
        "tests/CRATES.md",
        "tests/README.md",
    ] {
        let path = top.join(page);
        let text = std::fs::read_to_string(&path).expect(page);
        for link in links(&text).filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                path.clone()
            } else {
                path.with_file_name(file)
            };
            assert!(target.exists(), "{page} links to {link}");
            if !heading.is_empty() {
                let text = std::fs::read_to_string(&target).expect(link);
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                assert!(
                    headings.any(|line| anchor(line) == heading),
                    "{page} links to {link}"
                );
            }
            followed += 1;
        }
    }
    assert!(followed > 20, "only {followed} links");
}

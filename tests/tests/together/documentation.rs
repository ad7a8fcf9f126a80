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

/// Pages below a directory, by their paths from the top.
fn pages_below(top: &Path, directory: &str) -> Vec<String> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(top.join(directory)).expect("a directory") {
        let entry = entry.expect("an entry");
        let path = format!("{directory}/{}", entry.file_name().display());
        if entry.path().is_dir() {
            pages.extend(pages_below(top, &path));
        } else if path.ends_with(".md") {
            pages.push(path);
        }
    }
    pages.sort_unstable();
    pages
}

#[test]
fn the_summary_of_the_book_has_every_page_once() {
    const BOOK: &str = "runtimes/cli/book";
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let summary = std::fs::read_to_string(top.join(BOOK).join("SUMMARY.md")).expect("a summary");
    let mut listed: Vec<String> = links(&summary).map(|it| format!("{BOOK}/{it}")).collect();
    listed.push(format!("{BOOK}/SUMMARY.md"));
    listed.sort_unstable();
    assert_eq!(pages_below(&top, BOOK), listed);
    for line in summary.lines().filter(|line| line.contains("](")) {
        let (_, rest) = line.split_once('[').expect("a title");
        let (title, page) = rest.split_once("](").expect("a link");
        let page = top.join(BOOK).join(page.trim_end_matches(')'));
        let page = std::fs::read_to_string(page).expect("it was found above");
        let heading = page.lines().next().expect("a heading");
        assert_eq!(heading, format!("# {title}"));
    }
}

#[test]
fn linked_files_and_headings_exist() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut followed = 0;
    let book = pages_below(&top, "runtimes/cli/book");
    let book = book.iter().map(String::as_str);
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
    ]
    .into_iter()
    .chain(book)
    {
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

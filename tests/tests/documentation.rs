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

/// The targets of a page's links.
fn links(page: &str) -> impl Iterator<Item = &str> {
    page.match_indices("](").map(|(at, _)| {
        let rest = &page[at + 2..];
        &rest[..rest.find(')').expect("a link's end")]
    })
}

/// What a heading is called in a link.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-')
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn links_lead_to_what_is_there() {
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

/// The lines of a file, or of all files in a folder, without tests, comments and empty ones.
fn lines(path: &Path) -> usize {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).expect("a folder");
        return entries
            .map(|entry| lines(&entry.expect("an entry").path()))
            .sum();
    }
    let text = std::fs::read_to_string(path).expect("a file");
    let code = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    code.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

#[test]
fn drivers_are_as_little_as_is_said() {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtimes/client");
    let page = std::fs::read_to_string(client.join("ARCHITECTURE.md")).expect("the page is there");
    let (_, table) = page
        .split_once("| part | lines | counted |")
        .expect("the table is there");
    let (table, _) = table.split_once("\n\n").expect("the table ends");
    let mut rows = 0;
    for row in table.lines().skip(2) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let said: usize = cells[2].parse().expect("a number");
        let counted: usize = cells[3]
            .split_whitespace()
            .map(|path| lines(&client.join("src").join(path.trim_matches('`'))))
            .sum();
        assert!(
            said.abs_diff(counted) * 5 <= said,
            "{}: {counted} lines, not {said}",
            cells[1]
        );
        rows += 1;
    }
    assert!(rows > 5, "{rows} rows");
}

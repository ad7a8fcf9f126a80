//! Templates of paths, such as `/session/{session}/logs`.

/// What stands for the segment in braces, if there is one, in a path that fits a template; `None` if it does not fit. An empty
/// segment stands for nothing.
pub(super) fn fit<'p>(template: &str, path: &'p str) -> Option<Option<&'p str>> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut found = None;
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(found),
            (Some(wanted), Some(given)) if wanted.starts_with('{') && !given.is_empty() => {
                found = Some(given);
            }
            (wanted, given) if wanted == given => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_in_braces_stands_for_any_text() {
        for (template, path, found) in [
            ("/v2", "/v2", Some(None)),
            ("/v2", "/v2/", None),
            ("/", "/", Some(None)),
            ("/", "//", None),
            ("/a/{id}", "/a/b", Some(Some("b"))),
            ("/a/{id}/c", "/a/b%2Fb/c", Some(Some("b%2Fb"))),
            ("/a/{id}", "/a/", None),
            ("/a/{id}", "/a", None),
            ("/a/{id}", "/a/b/c", None),
        ] {
            assert_eq!(fit(template, path), found, "{template} {path}");
        }
    }
}

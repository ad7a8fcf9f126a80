//! References to images, which stand for languages.

/// How much of a reference messages show, in characters. Usual ones are shorter.
const SHOWN: usize = 160;

/// What an image may stand for, the most exact name first: `python` is the language of
/// `cr.backend.ai/stable/python:3.9-ubuntu20.04`, of `python` and of `python-tensorflow`.
pub(super) fn names_in(image: &str) -> impl Iterator<Item = &str> {
    let path = image.split('@').next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    // A tag follows a colon; before the last slash it is a port.
    let name = name.split(':').next().unwrap_or_default();
    let family = name.split('-').next().unwrap_or_default();
    let mut names = vec![image, name, family];
    names.dedup();
    names.into_iter().filter(|name| !name.is_empty())
}

/// A reference for a message: whole, unless it is overlong.
pub(crate) fn excerpt(image: &str) -> String {
    match image.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &image[..end]),
        None => image.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_stand_for_languages() {
        for (image, names) in [
            ("python", &["python"][..]),
            (
                "cr.backend.ai/stable/python:3.9-ubuntu20.04",
                &["cr.backend.ai/stable/python:3.9-ubuntu20.04", "python"],
            ),
            (
                "localhost:5000/python-tensorflow:2.0",
                &[
                    "localhost:5000/python-tensorflow:2.0",
                    "python-tensorflow",
                    "python",
                ],
            ),
            ("c++", &["c++"]),
            ("gcc@sha256:abc", &["gcc@sha256:abc", "gcc"]),
            ("a/", &["a/"]),
            ("", &[]),
        ] {
            let found: Vec<&str> = names_in(image).collect();
            assert_eq!(found, names, "{image}");
        }
    }

    #[test]
    fn only_overlong_references_are_cut() {
        let usual = "registry.example.com:5000/some/project/python-tensorflow:2.15-py311-cuda12.4-ubuntu22.04";
        assert_eq!(excerpt(usual), usual);
        let long = "é".repeat(SHOWN + 1);
        assert_eq!(excerpt(&long), "é".repeat(SHOWN) + "…");
    }
}

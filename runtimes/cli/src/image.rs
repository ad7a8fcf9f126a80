//! Names of images of Backend.AI.

/// What an image may be called, the most exact name first: `cr.backend.ai/stable/python-tensorflow:2.15` is also
/// `python-tensorflow`, and one of the family `python`.
pub(crate) fn names_in(image: &str) -> impl Iterator<Item = &str> {
    let path = image.split('@').next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    // A tag follows a colon; before the last slash it is a port.
    let name = name.split(':').next().unwrap_or_default();
    let family = name.split('-').next().unwrap_or_default();
    [image, name, family].into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_a_name_and_a_family() {
        let names: Vec<_> = names_in("localhost:5000/python-tensorflow:2.15").collect();
        let expected = [
            "localhost:5000/python-tensorflow:2.15",
            "python-tensorflow",
            "python",
        ];
        assert_eq!(names, expected);
    }
}

//! Finds the name that was probably meant by one that does not exist.

/// The name that was probably meant.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    /// The threshold that clap uses for the names of options.
    const NEAR: f64 = 0.7;
    known
        .map(|known| match strsim::osa_distance(name, known) {
            // A single typing error counts as near even in a short name.
            0 | 1 => (1.0, known),
            _ => (strsim::jaro(name, known), known),
        })
        .filter(|(near, _)| *near > NEAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_found_and_an_unrelated_name_is_not() {
        let known = ["endpoint", "access_key", "secret_key", "ca_file"];
        let meant = |name| nearest(name, known.into_iter());
        assert_eq!(meant("endpont"), Some("endpoint"));
        assert_eq!(meant("secretkey"), Some("secret_key"));
        assert_eq!(nearest("rnu", ["run", "man"].into_iter()), Some("run"));
        assert_eq!(meant("timeout"), None);
    }
}

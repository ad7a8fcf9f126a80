//! Code of a shell that is run beside the cells.

/// In a shell of its own, on which traps and options of the program have no effect.
pub(super) fn apart(code: &str) -> String {
    format!("( trap - DEBUG ERR EXIT; set +eux; {code} )")
}

/// As a shell takes it literally.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_taken_literally() {
        assert_eq!(quoted("a'b $c"), r"'a'\''b $c'");
    }
}

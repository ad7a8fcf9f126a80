//! The key that leaves the terminal.

/// Ctrl-], as in telnet.
const DETACH: u8 = 0x1d;
pub(super) const DETACH_NAME: &str = "Ctrl-]";

/// Watches what is typed.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Inside a paste, where the key is just a character.
    pasting: Paste,
}

/// How much of the marks around a bracketed paste has been seen.
#[derive(Debug, Default)]
struct Paste {
    inside: bool,
    seen: usize,
}

impl Paste {
    /// Notes a byte; whether it belongs to a paste.
    fn note(&mut self, byte: u8) -> bool {
        let mark = if self.inside {
            b"\x1b[201~"
        } else {
            b"\x1b[200~"
        };
        self.seen = match byte {
            _ if mark.get(self.seen) == Some(&byte) => self.seen + 1,
            0x1b => 1,
            _ => 0,
        };
        if self.seen == mark.len() {
            self.inside = !self.inside;
            self.seen = 0;
        }
        self.inside
    }
}

impl Keys {
    /// What to send of this, and whether the detach key follows it.
    pub(super) fn until_detach<'t>(&mut self, typed: &'t [u8]) -> (&'t [u8], bool) {
        for (at, byte) in typed.iter().enumerate() {
            if !self.pasting.note(*byte) && *byte == DETACH {
                return (&typed[..at], true);
            }
        }
        (typed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_ends_what_is_sent() {
        let mut keys = Keys::default();
        assert_eq!(keys.until_detach(b"ls\n"), (&b"ls\n"[..], false));
        assert_eq!(keys.until_detach(b"a\x1db"), (&b"a"[..], true));
    }

    #[test]
    fn inside_a_paste_it_is_a_character() {
        let mut keys = Keys::default();
        for part in [&b"\x1b[20"[..], b"0~a\x1db", b"\x1b[201", b"~"] {
            assert_eq!(keys.until_detach(part), (part, false));
        }
        assert_eq!(keys.until_detach(b"\x1d"), (&b""[..], true));
    }
}

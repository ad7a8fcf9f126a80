//! How much a program has written, and how much it may write.

/// Of standard output and standard error together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// In bytes, also what was dropped.
    written: u64,
    /// The most that is passed on; `None` for no limit.
    most: Option<u64>,
}

impl Tally {
    /// Of a program that begins.
    pub(crate) fn new(most: Option<u64>) -> Self {
        Self { written: 0, most }
    }

    /// How much was written.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// The limit, if more than that was written.
    pub(crate) fn exceeded(&self) -> Option<u64> {
        self.most.filter(|most| self.written > *most)
    }

    /// The next program begins, with the same limit.
    pub(crate) fn restart(&mut self) {
        self.written = 0;
    }

    /// Counts text, and returns what of it is passed on. No character is cut in two, and nothing follows one that was not passed
    /// on.
    pub(crate) fn pass_text<'t>(&mut self, text: &'t str) -> &'t str {
        let room = self.room_for(text.len());
        let end = (0..=room).rev().find(|at| text.is_char_boundary(*at));
        &text[..end.unwrap_or(0)]
    }

    /// The same with bytes.
    pub(crate) fn pass_bytes<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let room = self.room_for(bytes.len());
        &bytes[..room]
    }

    /// Counts so many bytes, and returns how many of them may be passed on.
    fn room_for(&mut self, length: usize) -> usize {
        let before = self.written;
        self.written = before.saturating_add(length as u64);
        let room = self.most.map(|most| most.saturating_sub(before));
        let room = room.and_then(|room| usize::try_from(room).ok());
        room.map_or(length, |room| room.min(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_beyond_the_limit_is_counted_and_dropped() {
        let mut tally = Tally::new(Some(5));
        assert_eq!(tally.pass_text("abc"), "abc");
        assert_eq!(tally.exceeded(), None);
        assert_eq!(tally.pass_bytes(b"de"), b"de");
        assert_eq!(tally.exceeded(), None);
        assert_eq!(tally.pass_text("fgh"), "");
        assert_eq!((tally.exceeded(), tally.written()), (Some(5), 8));
        tally.restart();
        assert_eq!(tally.pass_text("abcdé!"), "abcd");
        // There is a byte of room, but not for what comes later.
        assert_eq!(tally.pass_text("x"), "");
        assert_eq!(tally.exceeded(), Some(5));
        let mut free = Tally::new(None);
        assert_eq!(free.pass_text("abc"), "abc");
        assert_eq!((free.exceeded(), free.written()), (None, 3));
    }
}

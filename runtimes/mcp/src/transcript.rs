//! The text that a program prints: all of it as far as there is room, and what of it was shown.

/// How much of the beginning and of the end is kept, in bytes.
const KEPT: usize = 8 * 1024 * 1024;

/// What a program has printed, in order.
#[derive(Debug)]
pub(crate) struct Transcript {
    head: String,
    tail: String,
    /// How much was dropped between the two.
    dropped: usize,
    kept: usize,
    /// How much of all was taken.
    taken: usize,
}

/// A part of it to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) text: String,
    /// How many bytes of it are left out in the middle.
    pub(crate) left_out: usize,
}

impl Default for Transcript {
    fn default() -> Self {
        Self::keeping(KEPT)
    }
}

impl Transcript {
    fn keeping(kept: usize) -> Self {
        Self {
            head: String::new(),
            tail: String::new(),
            dropped: 0,
            kept,
            taken: 0,
        }
    }

    /// More was printed.
    pub(crate) fn push(&mut self, text: &str) {
        let room = match self.dropped == 0 && self.tail.is_empty() {
            true => self.kept.saturating_sub(self.head.len()),
            false => 0,
        };
        let (head, tail) = text.split_at(floor(text, room));
        self.head.push_str(head);
        self.tail.push_str(tail);
        // Seldom, so that it costs little.
        if self.tail.len() > 2 * self.kept {
            self.drop_middle();
        }
    }

    /// The length of all, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.dropped + self.tail.len()
    }

    /// Keeps no more than this many bytes of it from now on, half of them from the beginning.
    pub(crate) fn shrink(&mut self, most: usize) {
        if self.head.len() + self.tail.len() <= most {
            return;
        }
        let half = most / 2;
        let rest = self.head.split_off(floor(&self.head, half));
        match self.dropped {
            0 => self.tail.insert_str(0, &rest),
            _ => self.dropped += rest.len(),
        }
        let at = ceil(&self.tail, self.tail.len().saturating_sub(half));
        self.tail.drain(..at);
        self.dropped += at;
        self.head.shrink_to_fit();
        self.tail.shrink_to_fit();
    }

    /// What is kept of it, with a note where something was dropped, and what that is, in words.
    pub(crate) fn whole(&mut self) -> (String, String) {
        if self.head.len() + self.tail.len() > 2 * self.kept {
            self.drop_middle();
        }
        let Self { head, tail, .. } = self;
        match self.dropped {
            0 => (format!("{head}{tail}"), "all of it".to_owned()),
            dropped => (
                format!("{head}\n[{dropped} bytes were not kept]\n{tail}"),
                format!(
                    "its first {} and its last {} bytes, as it was too long to keep",
                    head.len(),
                    tail.len()
                ),
            ),
        }
    }

    /// Drops what is more than is kept of the end.
    fn drop_middle(&mut self) {
        let at = ceil(&self.tail, self.tail.len().saturating_sub(self.kept));
        self.tail.drain(..at);
        self.dropped += at;
    }

    /// The last line that is not empty, as far as it fits in this many bytes.
    pub(crate) fn last_line(&self, most: usize) -> &str {
        let text = match self.tail.trim_end().is_empty() {
            true => &self.head,
            false => &self.tail,
        };
        let text = text.trim_end();
        let line = text.rsplit(['\n', '\r']).next().unwrap_or_default();
        &line[..floor(line, most)]
    }

    /// All of it counts as taken.
    pub(crate) fn take_all(&mut self) {
        self.taken = self.len();
    }

    /// What was not taken yet, at most this many bytes: the middle is left out if it is more. `how` says how to get that.
    pub(crate) fn part(&self, most: usize, how: &str) -> Part {
        let from = self.taken;
        let all = self.len() - from;
        if all <= most && (self.dropped == 0 || from >= self.head.len() + self.dropped) {
            let head = self.head.get(from..).unwrap_or_default();
            let tail_from = from.saturating_sub(self.head.len() + self.dropped);
            let tail = &self.tail[tail_from..];
            return Part {
                text: format!("{head}{tail}"),
                left_out: 0,
            };
        }
        let half = most / 2;
        let first = match from.checked_sub(self.head.len() + self.dropped) {
            Some(from) => self.tail.get(from..),
            None => self.head.get(from..),
        };
        let first = first.unwrap_or_default();
        let first = &first[..floor(first, half)];
        // No more than what comes after the first half.
        let rest = all - first.len();
        let last = match self.tail.is_empty() {
            true => &self.head,
            false => &self.tail,
        };
        let last = &last[ceil(last, last.len().saturating_sub(half.min(rest)))..];
        let left_out = rest - last.len();
        Part {
            text: format!("{first}\n[... {left_out} bytes left out{how} ...]\n{last}"),
            left_out,
        }
    }
}

/// The last place of a character that is not beyond this one.
fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The first place of a character that is not before this one.
fn ceil(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Transcript {
        /// What is shown of it, which counts as taken.
        fn shown(&mut self, most: usize, how: &str) -> Part {
            let part = self.part(most, how);
            self.take_all();
            part
        }
    }

    #[test]
    fn what_was_taken_is_not_shown_again() {
        let mut all = Transcript::default();
        assert_eq!(all.shown(100, ""), Part::default());
        all.push("one\n");
        all.push("two\n");
        assert_eq!(all.shown(100, "").text, "one\ntwo\n");
        all.push("é\n\n");
        assert_eq!(all.last_line(100), "é");
        assert_eq!(all.shown(100, "").text, "é\n\n");
        assert_eq!(all.shown(100, "").text, "");
        let whole = ("one\ntwo\né\n\n".to_owned(), "all of it".to_owned());
        assert_eq!(all.whole(), whole);
    }

    #[test]
    fn the_middle_is_left_out() {
        let mut all = Transcript::default();
        all.push(&"é".repeat(50));
        let part = all.shown(11, ", see it");
        assert_eq!(part.text, "éé\n[... 92 bytes left out, see it ...]\néé");
        assert_eq!(part.left_out, 92);
        all.push("end");
        assert_eq!(all.shown(11, "").text, "end");
    }

    #[test]
    fn less_is_kept_later() {
        let whole: String = (0..30).map(|number| format!("{number:03}\n")).collect();
        for kept in [10, 30, 100, 200] {
            for taken in [false, true] {
                let mut all = Transcript::keeping(kept);
                let mut whole = whole.as_str();
                if taken {
                    all.push(&whole[..50]);
                    all.shown(100, "");
                    all.push(&whole[50..]);
                    whole = &whole[50..];
                } else {
                    all.push(whole);
                }
                all.shrink(16);
                assert_eq!(all.len(), 120);
                assert!(all.head.len() + all.tail.len() <= 16);
                let part = all.shown(16, "");
                let shown = part.text.replace(
                    &format!("\n[... {} bytes left out ...]\n", part.left_out),
                    "",
                );
                assert_eq!(
                    shown.len() + part.left_out,
                    whole.len(),
                    "{kept} {taken}: {part:?}"
                );
                assert!(part.text.ends_with("028\n029\n"), "{part:?}");
            }
        }
        let mut little = Transcript::default();
        little.push("a");
        little.shrink(16);
        assert_eq!(little.whole().0, "a");
    }

    #[test]
    fn only_so_much_is_kept() {
        let mut all = Transcript::keeping(10);
        for number in 0..30 {
            all.push(&format!("{number:03}\n"));
        }
        assert_eq!(all.len(), 120);
        let (whole, what) = all.whole();
        assert_eq!(
            whole,
            "000\n001\n00\n[100 bytes were not kept]\n7\n028\n029\n"
        );
        assert_eq!(
            what,
            "its first 10 and its last 10 bytes, as it was too long to keep"
        );
        let part = all.shown(16, "");
        assert!(
            part.text.starts_with("000\n001\n\n[... 104"),
            "{}",
            part.text
        );
        assert!(part.text.ends_with("028\n029\n"), "{}", part.text);
        assert_eq!(all.shown(16, ""), Part::default());
        all.push("x");
        assert_eq!(all.shown(16, "").text, "x");
        // More than is kept comes at once.
        all.push(&"y".repeat(100));
        let part = all.shown(16, "");
        assert_eq!(part.left_out, 92);
        assert!(part.text.ends_with("]\nyyyyyyyy"), "{}", part.text);
    }
}

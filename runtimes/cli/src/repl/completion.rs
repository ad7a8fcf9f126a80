//! Tab: what the kernel would complete.

use std::sync::{Arc, Mutex};

use sorna::blocking::Client;
use sorna::protocol::Complete;
use sorna::{Dialect, KernelId};

use crate::harmless::safe;
use crate::lock::lock;
use crate::release::release;

/// Asks the kernel.
#[derive(Clone, Debug)]
pub(super) struct Completion {
    client: Client,
    kernel: Arc<Mutex<KernelId>>,
    /// Whether the gateway is asked; `None` if that is not known yet.
    is_asked: Arc<Mutex<Option<bool>>>,
    dialect: Dialect,
}

/// What may be put in place of what is before the cursor.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidates {
    /// How many bytes before the cursor are replaced.
    pub(super) replaced: usize,
    pub(super) texts: Vec<String>,
}

impl Completion {
    pub(super) fn new(client: Client, kernel: KernelId, dialect: Dialect) -> Self {
        Self {
            client,
            kernel: Arc::new(Mutex::new(kernel)),
            is_asked: Arc::default(),
            dialect,
        }
    }

    /// From now on, this kernel is asked.
    pub(super) fn set_kernel(&self, kernel: KernelId) {
        *lock(&self.kernel) = kernel;
    }

    /// The candidates at this place, a number of bytes. There are none if the gateway does not complete.
    pub(super) fn at(&self, code: &str, at: usize) -> Candidates {
        let (before, after) = code.split_at(at);
        let row = before.matches('\n').count();
        let line = before.rsplit('\n').next().unwrap_or_default();
        let texts = match self.is_asked() {
            true => self.ask(code, row, line, after),
            false => Vec::new(),
        };
        choose(line, texts)
    }

    /// Managers have no candidates.
    fn is_asked(&self) -> bool {
        let mut is_asked = lock(&self.is_asked);
        *is_asked.get_or_insert_with(|| {
            let is_manager = || {
                let info = self.client.version();
                info.is_ok_and(|info| release(&info).is_some())
            };
            self.dialect != Dialect::BackendAi || !is_manager()
        })
    }

    fn ask(&self, code: &str, row: usize, line: &str, after: &str) -> Vec<String> {
        let kernel = lock(&self.kernel).clone();
        let mut complete = Complete::at_end(kernel, code);
        complete.row = row as u64;
        complete.col = line.chars().count() as u64;
        complete.line = line.to_owned();
        complete.post = after.split('\n').next().unwrap_or_default().to_owned();
        match self.client.call(complete) {
            Ok(reply) => reply.value,
            Err(error) => {
                // The original gateway does not complete.
                if error
                    .gateway()
                    .is_some_and(|it| it.status().is_server_error())
                {
                    *lock(&self.is_asked) = Some(false);
                }
                Vec::new()
            }
        }
    }
}

/// The candidates that go on where the line ends. Gateways say whole words, of which a part is there.
fn choose(line: &str, texts: Vec<String>) -> Candidates {
    let overlap = |text: &str| {
        let ends = text.char_indices().map(|(at, one)| at + one.len_utf8());
        ends.rev()
            .find(|end| line.ends_with(&text[..*end]))
            .unwrap_or(0)
    };
    let replaced = texts.iter().map(|text| overlap(text)).max().unwrap_or(0);
    let there = &line[line.len() - replaced..];
    // A word that is there only in part is not completed by another one.
    let is_in_word = replaced == 0 && line.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let mut texts = texts;
    texts.retain(|text| text.starts_with(there) && !is_in_word && safe(text) == *text);
    Candidates { replaced, texts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_begin_with_what_is_there() {
        for (line, texts, replaced, chosen) in [
            (
                "os.pa",
                &["os.path", "os.pardir"][..],
                5,
                &["os.path", "os.pardir"][..],
            ),
            (
                "x = sorna_",
                &["sorna_one", "sorna_two"],
                6,
                &["sorna_one", "sorna_two"],
            ),
            ("os.p", &["path"], 1, &["path"]),
            ("f(", &["a", "b"], 0, &["a", "b"]),
            ("abc", &["x"], 0, &[]),
            ("pri", &["print(", "x"], 3, &["print("]),
            ("é", &["été"], 2, &["été"]),
            ("a", &["a\u{1b}[2J"], 1, &[]),
            ("", &[], 0, &[]),
        ] {
            let texts = texts.iter().map(|&text| text.to_owned()).collect();
            let expected = Candidates {
                replaced,
                texts: chosen.iter().map(|&text| text.to_owned()).collect(),
            };
            assert_eq!(choose(line, texts), expected, "{line}");
        }
    }
}

//! What a program has used, as its helper tells the gateway when it has ended.

/// What a process has used that has ended, with all that it has waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    /// Processor time, in µs.
    pub(crate) cpu: u64,
    /// The most resident memory of one of them, in bytes; 0 if that is not known.
    pub(crate) peak: u64,
    /// The system counts the memory of the helper as well, which it shares with the program until that is executed: unless
    /// `peak` is more than this, the program had less.
    pub(crate) least: u64,
}

impl Spent {
    /// As bytes.
    pub(crate) fn encode(self) -> Vec<u8> {
        [self.cpu, self.peak, self.least]
            .map(u64::to_le_bytes)
            .concat()
    }

    /// From bytes; `None` if these are none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        match (numbers, rest) {
            ([cpu, peak, least], []) => Some(Self {
                cpu: u64::from_le_bytes(*cpu),
                peak: u64::from_le_bytes(*peak),
                least: u64::from_le_bytes(*least),
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded() {
        let spent = Spent {
            cpu: 1,
            peak: u64::MAX,
            least: 3,
        };
        let bytes = spent.encode();
        assert_eq!(Spent::decode(&bytes), Some(spent));
        assert_eq!(Spent::decode(&bytes[1..]), None);
        assert_eq!(Spent::decode(b""), None);
    }
}

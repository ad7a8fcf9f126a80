//! Random values that the protocol needs.

use sorna_core::{Boundary, SessionToken};

/// A new client session token of 32 random hexadecimal digits.
///
/// # Panics
///
/// If the operating system has no random numbers, which no supported one does once it has started.
#[must_use]
pub fn random_token() -> SessionToken {
    SessionToken::from_random(random())
}

/// A new boundary between the files of an upload.
///
/// # Panics
///
/// As [`random_token`].
#[must_use]
pub fn random_boundary() -> Boundary {
    Boundary::from_random(random())
}

/// As [`random_token`].
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has random numbers");
    bytes
}

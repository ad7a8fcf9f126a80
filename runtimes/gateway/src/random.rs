//! Identifiers and keys that cannot be guessed.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sorna_core::{AccessKey, Credentials, KernelId, SecretKey, SessionCookie};

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// The sizes of the alphabets divide 256, so every letter is equally likely.
fn letters<const N: usize>(alphabet: &[u8]) -> io::Result<String> {
    let letter = |byte: u8| char::from(alphabet[usize::from(byte) % alphabet.len()]);
    Ok(bytes::<N>()?.into_iter().map(letter).collect())
}

/// 22 URL-safe characters.
pub(crate) fn kernel_id() -> io::Result<KernelId> {
    let text = URL_SAFE_NO_PAD.encode(bytes::<16>()?);
    KernelId::new(text).map_err(io::Error::other)
}

/// A random UUID (version 4), as sessions of Backend.AI have it.
pub(crate) fn session_id() -> io::Result<KernelId> {
    let mut bytes = bytes::<16>()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = hex(&bytes);
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    KernelId::new(text).map_err(io::Error::other)
}

/// 32 hexadecimal digits, as IDs of runs have them.
pub(crate) fn run_id() -> io::Result<String> {
    Ok(hex(&bytes::<16>()?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key pair that looks like those of the original service.
pub(crate) fn credentials() -> io::Result<Credentials> {
    let access_key = format!("AKIA{}", letters::<16>(BASE32)?);
    let access_key = AccessKey::new(access_key).map_err(io::Error::other)?;
    let secret_key = SecretKey::new(letters::<40>(BASE64)?).map_err(io::Error::other)?;
    Ok(Credentials::new(access_key, secret_key))
}

/// The cookie of a session: 256 bits and a little more.
pub(crate) fn session_cookie() -> io::Result<SessionCookie> {
    SessionCookie::new(letters::<43>(BASE64)?).map_err(io::Error::other)
}

/// A mark for the processes of this gateway that no other gateway has.
pub(crate) fn mark() -> io::Result<String> {
    letters::<16>(BASE32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn keys_and_identifiers_have_the_original_forms() {
        let keys = credentials().unwrap();
        assert_eq!(keys.access_key().as_str().len(), 20);
        assert!(keys.access_key().as_str().starts_with("AKIA"));
        assert_eq!(keys.secret_key().expose().len(), 40);
        let id = kernel_id().unwrap();
        assert_eq!(id.as_str().len(), 22);
        assert_eq!(id.path_segment(), id.as_str());
        assert_ne!(id, kernel_id().unwrap());
        let id = session_id().unwrap();
        let parts: Vec<usize> = id.as_str().split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(id.as_str().as_bytes()[14], b'4');
        assert_eq!(run_id().unwrap().len(), 32);
    }
}

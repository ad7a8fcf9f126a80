//! The hash functions a signature may be made with.

use std::fmt;
use std::str::FromStr;

use hmac::digest::Digest;
use hmac::{Hmac, KeyInit, Mac};
use zeroize::Zeroize;

use crate::error::ConfigError;

/// A digest or a MAC: up to 64 bytes.
#[derive(Clone, Copy)]
pub(crate) struct Tag {
    bytes: [u8; 64],
    len: u8,
}

/// Digests that are used as keys.
impl Zeroize for Tag {
    fn zeroize(&mut self) {
        self.bytes.zeroize();
    }
}

impl Tag {
    fn new(digest: &[u8]) -> Self {
        let mut bytes = [0; 64];
        bytes[..digest.len()].copy_from_slice(digest);
        Self {
            bytes,
            len: u8::try_from(digest.len()).expect("digests have at most 64 bytes"),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Lower-case hexadecimal, in a buffer that the caller keeps on its stack.
    pub(crate) fn hex<'b>(&self, buffer: &'b mut [u8; 128]) -> &'b str {
        base16ct::lower::encode_str(self.as_bytes(), buffer)
            .expect("128 digits are enough for 64 bytes")
    }
}

/// Defines the enum, its names, and the keyed state. SHA-256 is the default; the SHA-2 family is
/// always included; the rest needs feature `all-hashes`.
macro_rules! algorithms {
    ($($(#[$meta:meta])* $variant:ident, $name:literal, $wire:literal, $digest:ty, $mac:ty;)*) => {
        /// A hash function for signing: any that the gateway's `hashlib` guarantees. `signMethod`
        /// names it in upper case.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum HashAlgorithm {
            $($(#[$meta])* #[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl HashAlgorithm {
            /// Every function compiled in.
            pub const ALL: &'static [Self] = &[$($(#[$meta])* Self::$variant,)*];

            /// The name as in Python's `hashlib`: `sha256`, `sha3_256`, `blake2b`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $($(#[$meta])* Self::$variant => $name,)* }
            }

            /// The value of `signMethod`: `HMAC-SHA256`.
            #[must_use]
            pub fn sign_method(self) -> &'static str {
                match self { $($(#[$meta])* Self::$variant => concat!("HMAC-", $wire),)* }
            }

            pub(crate) fn digest(self, data: &[u8]) -> Tag {
                match self {
                    $($(#[$meta])* Self::$variant => Tag::new(&<$digest>::digest(data)),)*
                }
            }
        }

        /// An HMAC with its key mixed in, ready for a message. Clone it to use the key again. It is
        /// wiped when it is dropped (the crates' feature `zeroize`).
        #[derive(Clone)]
        pub(crate) enum KeyedMac {
            $($(#[$meta])* $variant($mac),)*
        }

        impl KeyedMac {
            pub(crate) fn new(hash: HashAlgorithm, key: &[u8]) -> Self {
                match hash {
                    $($(#[$meta])* HashAlgorithm::$variant => Self::$variant(
                        <$mac>::new_from_slice(key).expect("HMAC takes keys of any length"),
                    ),)*
                }
            }

            pub(crate) fn update(&mut self, data: &[u8]) {
                match self { $($(#[$meta])* Self::$variant(mac) => mac.update(data),)* }
            }

            pub(crate) fn finish(self) -> Tag {
                match self {
                    $($(#[$meta])* Self::$variant(mac) => Tag::new(&mac.finalize().into_bytes()),)*
                }
            }

            /// Compares the message's MAC with the given one in constant time.
            #[cfg(feature = "server")]
            pub(crate) fn verify(self, tag: &[u8]) -> bool {
                match self { $($(#[$meta])* Self::$variant(mac) => mac.verify_slice(tag).is_ok(),)* }
            }
        }
    };
}

algorithms! {
    Sha256, "sha256", "SHA256", sha2::Sha256, Hmac<sha2::Sha256>;
    Sha224, "sha224", "SHA224", sha2::Sha224, Hmac<sha2::Sha224>;
    Sha384, "sha384", "SHA384", sha2::Sha384, Hmac<sha2::Sha384>;
    Sha512, "sha512", "SHA512", sha2::Sha512, Hmac<sha2::Sha512>;
    #[cfg(feature = "all-hashes")]
    Md5, "md5", "MD5", md5::Md5, Hmac<md5::Md5>;
    #[cfg(feature = "all-hashes")]
    Sha1, "sha1", "SHA1", sha1::Sha1, Hmac<sha1::Sha1>;
    #[cfg(feature = "all-hashes")]
    Sha3_224, "sha3_224", "SHA3_224", sha3::Sha3_224, hmac::SimpleHmac<sha3::Sha3_224>;
    #[cfg(feature = "all-hashes")]
    Sha3_256, "sha3_256", "SHA3_256", sha3::Sha3_256, hmac::SimpleHmac<sha3::Sha3_256>;
    #[cfg(feature = "all-hashes")]
    Sha3_384, "sha3_384", "SHA3_384", sha3::Sha3_384, hmac::SimpleHmac<sha3::Sha3_384>;
    #[cfg(feature = "all-hashes")]
    Sha3_512, "sha3_512", "SHA3_512", sha3::Sha3_512, hmac::SimpleHmac<sha3::Sha3_512>;
    #[cfg(feature = "all-hashes")]
    Blake2b, "blake2b", "BLAKE2B", blake2::Blake2b512, hmac::SimpleHmac<blake2::Blake2b512>;
    #[cfg(feature = "all-hashes")]
    Blake2s, "blake2s", "BLAKE2S", blake2::Blake2s256, hmac::SimpleHmac<blake2::Blake2s256>;
}

#[allow(
    clippy::derivable_impls,
    reason = "the macro puts a variant's attributes on match arms too"
)]
impl Default for HashAlgorithm {
    fn default() -> Self {
        Self::Sha256
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for HashAlgorithm {
    type Err = ConfigError;

    /// Reads a name in any case.
    fn from_str(name: &str) -> Result<Self, ConfigError> {
        Self::ALL
            .iter()
            .copied()
            .find(|hash| hash.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| ConfigError::Hash {
                name: name.to_owned(),
            })
    }
}

impl fmt::Debug for KeyedMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedMac(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case() {
        assert_eq!("SHA512".parse(), Ok(HashAlgorithm::Sha512));
        assert_eq!(HashAlgorithm::Sha512.sign_method(), "HMAC-SHA512");
        assert!("crc32".parse::<HashAlgorithm>().is_err());
    }

    #[test]
    fn the_digest_of_empty_input_is_the_known_one() {
        let mut buffer = [0; 128];
        assert_eq!(
            HashAlgorithm::Sha256.digest(b"").hex(&mut buffer),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}

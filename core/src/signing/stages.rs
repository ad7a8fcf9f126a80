//! The stages of a signature, each testable on its own: the string to sign, the key, the MAC.
//!
//! Source: the Sorna API manual of 2017, "Authentication", checked against the original client's
//! signing function.

use std::fmt;

use zeroize::Zeroizing;

use super::hash::{HashAlgorithm, KeyedMac, Tag};

/// Stage 1: the seven lines that are signed.
///
/// ```
/// use sorna_core::signing::StringToSign;
///
/// let text = StringToSign {
///     method: "GET",
///     target: "/v2/kernel/zuF1OzMIhFknyjUl7Apbvg",
///     date: "Thu, 29 Jun 2017 01:23:45 GMT",
///     host: "api.sorna.io",
///     media_type: "application/octet-stream",
///     version_header: "x-sorna-version",
///     version: "v2.20170315",
///     body_hash: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
/// }
/// .to_string();
/// assert_eq!(text.lines().nth(3), Some("host:api.sorna.io"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct StringToSign<'a> {
    /// The method, in upper case.
    pub method: &'a str,
    /// The path and query as on the request line, but without the [prefix](crate::Endpoint::prefix) of the endpoint.
    pub target: &'a str,
    /// The `Date` header's value, byte for byte.
    pub date: &'a str,
    /// The `Host` header's value as sent.
    pub host: &'a str,
    /// The media type without parameters; signed in lower case.
    pub media_type: &'a str,
    /// The name of the version header, in lower case.
    pub version_header: &'a str,
    /// The version header's value.
    pub version: &'a str,
    /// The hexadecimal digest of the body, or of nothing where the body is not signed.
    pub body_hash: &'a str,
}

impl StringToSign<'_> {
    /// Passes the string on in pieces, so that signing need not build it.
    fn for_each_piece(&self, mut take: impl FnMut(&str)) {
        for piece in [
            self.method,
            "\n",
            self.target,
            "\n",
            self.date,
            "\nhost:",
            self.host,
            "\ncontent-type:",
        ] {
            take(piece);
        }
        if self
            .media_type
            .bytes()
            .any(|byte| byte.is_ascii_uppercase())
        {
            take(&self.media_type.to_ascii_lowercase());
        } else {
            take(self.media_type);
        }
        for piece in [
            "\n",
            self.version_header,
            ":",
            self.version,
            "\n",
            self.body_hash,
        ] {
            take(piece);
        }
    }
}

impl fmt::Display for StringToSign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        self.for_each_piece(|piece| {
            if result.is_ok() {
                result = f.write_str(piece);
            }
        });
        result
    }
}

/// Stage 2: the key of one user for one day and one host.
///
/// `HMAC(HMAC(secret, yyyymmdd), host)`. It changes once a day for each host, so cache it.
#[derive(Clone, Debug)]
pub struct SigningKey {
    mac: KeyedMac,
}

impl SigningKey {
    /// Derives the key. `day` is `yyyymmdd` in the zone of the request's date.
    #[must_use]
    pub fn derive(hash: HashAlgorithm, secret: &str, day: &[u8; 8], host: &str) -> Self {
        let key = Self::derive_bytes(hash, secret, day, host);
        Self {
            mac: KeyedMac::new(hash, key.as_bytes()),
        }
    }

    pub(super) fn derive_bytes(
        hash: HashAlgorithm,
        secret: &str,
        day: &[u8; 8],
        host: &str,
    ) -> Zeroizing<Tag> {
        let mut mac = KeyedMac::new(hash, secret.as_bytes());
        mac.update(day);
        let day_key = Zeroizing::new(mac.finish());
        let mut mac = KeyedMac::new(hash, day_key.as_bytes());
        mac.update(host.as_bytes());
        Zeroizing::new(mac.finish())
    }

    fn mac_of(&self, string: &StringToSign<'_>) -> KeyedMac {
        // Hashing many short pieces one by one takes longer than copying them together first.
        let mut gathered = [0; 256];
        let mut len = 0;
        let mut mac = self.mac.clone();
        string.for_each_piece(|piece| {
            if piece.len() > gathered.len() - len {
                mac.update(&gathered[..len]);
                len = 0;
            }
            match gathered.get_mut(len..len + piece.len()) {
                Some(room) => {
                    room.copy_from_slice(piece.as_bytes());
                    len += piece.len();
                }
                None => mac.update(piece.as_bytes()),
            }
        });
        mac.update(&gathered[..len]);
        mac
    }

    /// Stage 3: the signature, in lower-case hexadecimal.
    #[must_use]
    pub fn sign(&self, string: &StringToSign<'_>) -> Signature {
        Signature(self.mac_of(string).finish())
    }

    /// Whether `signature` (lower-case hexadecimal) signs the string; compared in constant time.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn verify(&self, string: &StringToSign<'_>, signature: &str) -> bool {
        let mut buffer = [0; 64];
        base16ct::lower::decode(signature, &mut buffer)
            .is_ok_and(|tag| self.mac_of(string).verify(tag))
    }
}

/// A finished signature.
#[derive(Clone, Copy)]
pub struct Signature(Tag);

impl Signature {
    pub(super) fn hex<'b>(&self, buffer: &'b mut [u8; 128]) -> &'b str {
        self.0.hex(buffer)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hex(&mut [0; 128]))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

/// The hexadecimal digest of a body, as in the last line of the string to sign.
#[must_use]
pub fn body_hash(hash: HashAlgorithm, body: &[u8]) -> String {
    hash.digest(body).hex(&mut [0; 128]).to_owned()
}

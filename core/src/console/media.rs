//! Media records: images and other media to show.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

/// An image or another medium to show. Text and XML types (SVG) are text, the rest is a data URI (RFC 2397).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media<'a> {
    media_type: Cow<'a, str>,
    content: Cow<'a, str>,
}

impl<'a> Media<'a> {
    /// Pairs a media type with its content: text, or a data URI.
    #[must_use]
    pub fn new(media_type: impl Into<Cow<'a, str>>, content: impl Into<Cow<'a, str>>) -> Self {
        Self {
            media_type: media_type.into(),
            content: content.into(),
        }
    }

    /// The media type, such as `image/png`.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// The content as it was sent.
    #[must_use]
    pub fn content(&self) -> &str {
        &self.content
    }

    /// The content's bytes: a data URI is decoded, anything else is text. `None` if it is
    /// a data URI that cannot be decoded.
    ///
    /// ```
    /// use sorna_core::Media;
    ///
    /// let png = Media::new("image/png", "data:image/png;base64,iVBORw==");
    /// assert_eq!(png.bytes().unwrap(), &b"\x89PNG"[..]);
    /// let svg = Media::new("image/svg+xml", "<svg/>");
    /// assert_eq!(svg.bytes().unwrap(), &b"<svg/>"[..]);
    /// ```
    #[must_use]
    pub fn bytes(&self) -> Option<Cow<'_, [u8]>> {
        let Some(uri) = self.content.strip_prefix("data:") else {
            return Some(Cow::Borrowed(self.content.as_bytes()));
        };
        let (header, data) = uri.split_once(',')?;
        let data: Vec<u8> = percent_decode_str(data).collect();
        if !header.ends_with(";base64") {
            return Some(Cow::Owned(data));
        }
        let data: Vec<u8> = data
            .into_iter()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        STANDARD.decode(data).ok().map(Cow::Owned)
    }

    pub(super) fn into_owned(self) -> Media<'static> {
        Media {
            media_type: Cow::Owned(self.media_type.into_owned()),
            content: Cow::Owned(self.content.into_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(content: &str) -> Option<Vec<u8>> {
        Media::new("x/y", content).bytes().map(Cow::into_owned)
    }

    #[test]
    fn data_uris_are_decoded() {
        assert_eq!(bytes("data:;base64,aGk="), Some(b"hi".to_vec()));
        assert_eq!(bytes("data:text/plain,a%20b"), Some(b"a b".to_vec()));
        assert_eq!(bytes("data:x/y;base64,aG\nk%3D"), Some(b"hi".to_vec()));
        assert_eq!(bytes("data:x/y;base64,a"), None);
        assert_eq!(bytes("data:x/y;base64"), None);
        assert_eq!(
            bytes("database, not a URI"),
            Some(b"database, not a URI".to_vec())
        );
    }
}

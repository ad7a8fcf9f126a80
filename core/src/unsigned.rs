//! Requests before they are signed.

use std::fmt;

use http::{HeaderValue, Method};
use serde::Serialize;

use crate::body::Body;
use crate::error::BuildError;
use crate::path;

/// A request of an [`Operation`](crate::Operation) before it is signed: method, path, whether it
/// is signed, and body. A [`Signer`](crate::Signer) makes an `http::Request` of it.
///
/// ```
/// use http::Method;
/// use sorna_core::UnsignedRequest;
///
/// let request = UnsignedRequest::new(Method::POST, "/v2/kernel")
///     .segment("a/b")
///     .segment("notes")
///     .json(&["remember the milk"])?;
/// assert_eq!(request.path(), "/v2/kernel/a%2Fb/notes");
/// # Ok::<(), sorna_core::BuildError>(())
/// ```
pub struct UnsignedRequest {
    pub(crate) method: Method,
    pub(crate) auth: Auth,
    /// Whether it names the version of the API.
    pub(crate) versioned: bool,
    /// Whether a web server handles it itself, and does not pass it on to a manager.
    pub(crate) outside_api: bool,
    pub(crate) media_type: &'static str,
    /// The whole `Content-Type`, where it has parameters.
    pub(crate) content_type: Option<HeaderValue>,
    /// Path and query below the endpoint's prefix, already escaped, then a body that is in memory.
    /// The signer appends the texts that it writes, so that all parts of the request share one
    /// buffer.
    pub(crate) texts: Vec<u8>,
    /// Where path and query end.
    pub(crate) path_len: usize,
    /// Where the query begins, at its question mark; without one, where the path ends.
    pub(crate) query_at: usize,
    /// A body that is not in memory.
    pub(crate) streamed: Option<Body>,
}

/// Whether and how a request is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// By a signature in `Authorization`; for a [session](crate::Config::with_session) with a web server, by its cookie.
    Signed,
    /// Not at all. The other headers are sent as well.
    None,
}

/// Room for a path and what the signer adds: signature and length.
const ROOM: usize = 512;

impl UnsignedRequest {
    /// A signed request without a body. `path` starts with a slash and is escaped where needed.
    ///
    /// Its media type is `application/octet-stream`, which the original client sends and signs without a
    /// body.
    #[must_use]
    pub fn new(method: Method, path: &str) -> Self {
        let mut request = Self::with_room(method, path, 0);
        if let Some(query_at) = path.find('?') {
            request.query_at = query_at;
        }
        request
    }

    /// As [`new`](Self::new), with room for a body of about this many bytes, and for a path without a query.
    #[inline]
    pub(crate) fn with_room(method: Method, path: &str, about: usize) -> Self {
        let mut texts = Vec::with_capacity(ROOM + about);
        texts.extend_from_slice(path.as_bytes());
        Self {
            method,
            auth: Auth::Signed,
            versioned: true,
            outside_api: false,
            media_type: "application/octet-stream",
            content_type: None,
            path_len: path.len(),
            query_at: path.len(),
            texts,
            streamed: None,
        }
    }

    /// Adds a slash and this text, escaped, to the path; before the query, if there is one.
    #[must_use]
    #[inline]
    pub fn segment(mut self, text: &str) -> Self {
        self.push_segment("/");
        for piece in path::segment(text) {
            self.push_segment(piece);
        }
        self
    }

    /// Adds `name=value`, both escaped, to the query. It is part of what is signed.
    ///
    /// ```
    /// use http::Method;
    /// use sorna_core::UnsignedRequest;
    ///
    /// let request = UnsignedRequest::new(Method::DELETE, "/session")
    ///     .query("forced", "true")
    ///     .query("owner", "a+b&c")
    ///     .segment("s1");
    /// assert_eq!(request.path(), "/session/s1?forced=true&owner=a%2Bb%26c");
    /// ```
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        let mark = if self.query_at == self.path_len {
            "?"
        } else {
            "&"
        };
        self.push(self.path_len, mark);
        for piece in path::query(name) {
            self.push(self.path_len, piece);
        }
        self.push(self.path_len, "=");
        for piece in path::query(value) {
            self.push(self.path_len, piece);
        }
        self
    }

    #[inline]
    fn push_segment(&mut self, text: &str) {
        self.push(self.query_at, text);
        self.query_at += text.len();
    }

    /// Inserts text into the path or query.
    #[inline]
    fn push(&mut self, at: usize, text: &str) {
        if at == self.texts.len() {
            self.texts.extend_from_slice(text.as_bytes());
        } else {
            self.texts.splice(at..at, text.bytes());
        }
        self.path_len += text.len();
    }

    /// With this value as a body of JSON.
    ///
    /// # Errors
    ///
    /// [`BuildError::Body`] if the value cannot be written as JSON.
    #[inline]
    pub fn json(mut self, value: &impl Serialize) -> Result<Self, BuildError> {
        self.texts.truncate(self.path_len);
        serde_json::to_writer(&mut self.texts, value).map_err(|error| BuildError::Body {
            reason: error.to_string(),
        })?;
        self.media_type = "application/json";
        self.content_type = None;
        self.streamed = None;
        Ok(self)
    }

    /// With files as its body. `content_type` names the boundary.
    pub(crate) fn multipart(mut self, content_type: HeaderValue, body: Body) -> Self {
        self.texts.truncate(self.path_len);
        self.media_type = "multipart/form-data";
        self.content_type = Some(content_type);
        self.streamed = Some(body);
        self
    }

    /// Sends it without a signature, for public paths.
    #[must_use]
    pub fn without_signature(mut self) -> Self {
        self.auth = Auth::None;
        self
    }

    /// Sends it without the header that names the version: for a request that finds out which versions there are,
    /// since a gateway may reject those that it does not know.
    ///
    /// Use it together with [`without_signature`](Self::without_signature), since the version is signed.
    #[must_use]
    pub fn without_version(mut self) -> Self {
        self.versioned = false;
        self
    }

    /// Sends it to the web server of Backend.AI itself, which does not pass it on to a manager: the path is not put below
    /// `/func`. It makes a difference only for a configuration [of a web server](crate::Config::of_web_server).
    #[must_use]
    pub fn outside_api(mut self) -> Self {
        self.outside_api = true;
        self
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Path and query, escaped, below the prefix of the endpoint.
    #[must_use]
    pub fn path(&self) -> &str {
        std::str::from_utf8(&self.texts[..self.path_len]).expect("it was made of texts")
    }

    /// Whether it is signed.
    #[must_use]
    pub fn auth(&self) -> Auth {
        self.auth
    }

    /// The length of the body in bytes.
    #[must_use]
    pub fn body_len(&self) -> u64 {
        match &self.streamed {
            Some(body) => body.len(),
            None => (self.texts.len() - self.path_len) as u64,
        }
    }
}

impl fmt::Debug for UnsignedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnsignedRequest")
            .field("method", &self.method)
            .field("path", &self.path())
            .field("auth", &self.auth)
            .field("body_len", &self.body_len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_not_json_is_an_error() {
        let keys = std::collections::BTreeMap::from([([1], 2)]);
        let request = UnsignedRequest::new(Method::POST, "/x");
        let error = request.json(&keys).unwrap_err();
        assert!(matches!(error, BuildError::Body { .. }), "{error:?}");
    }

    #[test]
    fn the_last_body_is_used() {
        let request = UnsignedRequest::new(Method::POST, "/x");
        let request = request.json(&"long enough").unwrap().json(&1).unwrap();
        let request = request.segment("y");
        assert_eq!((request.path(), request.body_len()), ("/x/y", 1));
    }

    #[test]
    fn segments_go_before_the_query_and_the_body_after_it() {
        let request = UnsignedRequest::new(Method::GET, "/x?a=b").segment("y?");
        assert_eq!(request.path(), "/x/y%3F?a=b");
        let request = request.json(&1).unwrap().query("é", "1 2+3=/*");
        let request = request.segment("z");
        let expected = "/x/y%3F/z?a=b&%C3%A9=1%202%2B3%3D%2F*";
        assert_eq!((request.path(), request.body_len()), (expected, 1));
        assert_eq!(request.texts.last(), Some(&b'1'));
    }
}

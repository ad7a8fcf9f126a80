//! The same bytes, read by hyper.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::peer::Script;

/// hyper reads this response from it, too, and then another request may follow if one did here.
pub(crate) fn check(method: &Method, script: Script, expected: &Response<Bytes>, reused: bool) {
    let mut context = Context::from_waker(Waker::noop());
    let mut builder = http1::Builder::new();
    builder.max_headers(128);
    let handshake = builder.handshake::<_, Empty<Bytes>>(Io {
        script,
        asked: false,
    });
    let Poll::Ready(made) = pin!(handshake).poll(&mut context) else {
        panic!("it has nothing to wait for");
    };
    let (mut sender, connection) = made.expect("it does no I/O");
    let mut connection = pin!(connection);
    let request = Request::builder().method(method).uri("/v2");
    let request = request.body(Empty::new()).expect("a request");
    let mut work = pin!(async {
        let response = sender.send_request(request).await?;
        let (parts, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        let mut failure = None;
        while let Some(frame) = body.frame().await {
            match frame.map(|frame| frame.into_data()) {
                Ok(Ok(data)) => bytes.extend_from_slice(&data),
                Ok(Err(_trailers)) => {}
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        Ok::<_, hyper::Error>((Response::from_parts(parts, bytes), failure, sender))
    });
    // It may want to be polled again, to let others have their turn.
    for _ in 0..1000 {
        let _ = connection.as_mut().poll(&mut context);
        let Poll::Ready(outcome) = work.as_mut().poll(&mut context) else {
            continue;
        };
        let (response, failure, mut sender) = match outcome {
            Ok(done) => done,
            Err(error) => panic!("hyper does not accept this: {error:?}"),
        };
        assert_eq!(response.status(), expected.status());
        assert_eq!(response.version(), expected.version());
        assert_eq!(response.headers(), expected.headers());
        assert_eq!(response.body(), expected.body());
        if let Some(error) = failure {
            // It reads trailers as headers, and here they are ignored.
            let chunked = response.headers().contains_key("transfer-encoding");
            assert!(chunked, "hyper does not accept this body: {error:?}");
        } else if reused {
            let _ = connection.as_mut().poll(&mut context);
            assert!(matches!(
                sender.poll_ready(&mut context),
                Poll::Ready(Ok(()))
            ));
        }
        return;
    }
    panic!("hyper waits for more");
}

struct Io {
    script: Script,
    /// Nothing is sent before a request came: hyper would take it for one too many.
    asked: bool,
}

impl Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.asked {
            return Poll::Pending;
        }
        let mut bytes = [0; 4096];
        let room = buffer.remaining().min(bytes.len());
        let n = ready!(self.script.read(&mut bytes[..room]));
        buffer.put_slice(&bytes[..n]);
        Poll::Ready(Ok(()))
    }
}

impl Write for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.asked = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

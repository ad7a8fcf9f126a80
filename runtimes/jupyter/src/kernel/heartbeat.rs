//! The socket that shows that a kernel is alive: what clients send comes back to them.

use std::io;

use tokio::io::{AsyncWriteExt, BufReader};

use super::places::{Listener, Listening, Place, Stream, listen};
use super::zmtp::{Frames, Limits, Pieces, Said, answer, greet, said};

/// What a beat may have.
const LIMITS: Limits = Limits {
    size: 4096,
    parts: 16,
};

/// Answers for as long as what it returns is kept.
pub(super) fn beat(listener: Listener) -> io::Result<Listening> {
    listen(listener, attend)
}

/// Echoes what a client sends: the envelope of its requests, too, so that any type of socket can ask.
async fn attend(stream: impl Stream, place: Place) -> io::Result<()> {
    let (from, mut to) = tokio::io::split(stream);
    let mut from = BufReader::new(from);
    greet(&mut from, &mut to, "ROUTER").await?;
    place.greeted();
    loop {
        let echo = match said(&mut from, LIMITS, &mut |_| {}).await? {
            Said::Message(parts) => {
                place.user();
                Some(Frames::of(parts))
            }
            Said::Command(command) => answer(&command),
        };
        // Who does not read gets no more of its own read.
        if let Some(echo) = echo {
            to.write_all_buf(&mut Pieces::from(&echo)).await?;
        }
        // Whoever floods it gets no more than a share.
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use bytes::Bytes;

    use super::*;
    use crate::kernel::places::some_place;

    #[tokio::test]
    async fn beats_come_back_with_their_envelopes() {
        let (client, server) = tokio::io::duplex(1024);
        let beating = tokio::spawn(attend(server, some_place(true)));
        let (mut from, mut to) = tokio::io::split(client);
        greet(&mut from, &mut to, "REQ").await.unwrap();
        let beats: Vec<Vec<Bytes>> = vec![vec!["".into(), "ping".into()], vec!["x".into(); 16]];
        for beat in beats {
            let frames = Frames::of(beat.clone());
            to.write_all_buf(&mut Pieces::from(&frames)).await.unwrap();
            let echo = said(&mut from, LIMITS, &mut |_| {}).await.unwrap();
            assert_eq!(echo, Said::Message(beat));
        }
        let frames = Frames::of(vec![vec![0; 5000].into()]);
        let _ = to.write_all_buf(&mut Pieces::from(&frames)).await;
        assert!(beating.await.unwrap().is_err());
    }
}

//! Between a page's WebSocket and the terminal of a kernel.
//!
//! Binary messages contain typed bytes, or output. Text messages of the page are `size ROWS COLS`,
//! and `shown` for each message that it has displayed.

use std::error::Error;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sorna::tokio::Client;
use sorna::{KernelSpec, Limits, TerminalEvent, TerminalOptions};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const LANGUAGE: &str = "bash";
const MEMORY: u64 = 512 << 20;
/// How many messages the page may not have displayed yet. A browser's WebSocket accepts messages
/// without a limit, so the shell has to wait.
const WINDOW: usize = 16;
/// How often to check whether the browser is still there.
const PING: Duration = Duration::from_secs(20);

type Failure = Box<dyn Error + Send + Sync>;

/// Serves until the page or the shell ends, or the server stops. Then the kernel is destroyed.
pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    socket: WebSocketStream<S>,
    client: &Client,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let limits = Limits::new().with_max_memory(MEMORY);
    let spec = KernelSpec::new(LANGUAGE).with_limits(limits);
    let kernel = client.temporary(spec).await?;
    let pty = kernel.stream_pty(TerminalOptions::default()).await?;
    let (mut output, mut typing) = pty.split();
    let (mut to_page, mut from_page) = socket.split();
    let window = Semaphore::new(WINDOW);

    let show = async {
        loop {
            let Ok(event) = timeout(PING, output.next_event()).await else {
                to_page.send(Message::Ping("".into())).await?;
                continue;
            };
            let bytes = match event? {
                Some(TerminalEvent::Output(bytes)) => bytes,
                Some(TerminalEvent::Error(words)) => words.into(),
                Some(_) => continue,
                None => break,
            };
            window.acquire().await?.forget();
            to_page.send(Message::Binary(bytes)).await?;
        }
        to_page.close().await?;
        Ok::<(), Failure>(())
    };
    let take = async {
        while let Some(message) = from_page.next().await {
            match message? {
                Message::Binary(bytes) => typing.write(&bytes).await?,
                Message::Text(words) => match size(&words) {
                    Some((rows, cols)) => typing.resize(rows, cols).await?,
                    // `shown`, which the page may send too often.
                    None if window.available_permits() < WINDOW => window.add_permits(1),
                    None => {}
                },
                _ => {}
            }
        }
        Ok(())
    };
    let ended = tokio::select! {
        ended = show => ended,
        ended = take => ended,
        _ = stopping.wait_for(|stop| *stop) => Ok(()),
    };
    kernel.close().await?;
    ended
}

fn size(words: &str) -> Option<(u16, u16)> {
    let (rows, cols) = words.strip_prefix("size ")?.split_once(' ')?;
    Some((rows.parse().ok()?, cols.parse().ok()?))
}

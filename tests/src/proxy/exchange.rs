//! One connection of a client, and its exchanges.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::message::Reader;
use super::shared::Shared;
use super::{Accept, End, Fault, Message, Pace, Stream};

/// The time between two bytes that are sent one by one.
const DRIP: Duration = Duration::from_millis(20);

pub(super) async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let fault = shared.accept_fault();
    let mut connection = Connection {
        client: Reader::new(client),
        gateway: None,
        shared,
    };
    let _broken = match fault {
        None => connection.exchanges().await,
        Some(Accept::Reset | Accept::Refuse) => connection.end(End::Reset).await,
        Some(Accept::Close) => connection.end(End::Close).await,
        Some(Accept::Ignore) => std::future::pending().await,
    };
}

struct Connection {
    client: Reader<TcpStream>,
    gateway: Option<Reader<TcpStream>>,
    shared: Arc<Shared>,
}

impl Connection {
    async fn exchanges(&mut self) -> io::Result<()> {
        self.client.stream.set_nodelay(true)?;
        while let Some(request) = self.client.request().await? {
            let fault = self.shared.request_fault(&request);
            let fault = fault.filter(|fault| match fault {
                Fault::CutRequest { at, .. } => at.of(&request) < request.bytes().len(),
                _ => true,
            });
            let latency = self.shared.state().latency;
            let (response, pace, end, stream) = match fault {
                None => {
                    let response = self.pass_on(&request, Pace::Whole).await?;
                    let pace = if latency.is_zero() {
                        Pace::Whole
                    } else {
                        Pace::After(latency)
                    };
                    (
                        response.bytes(),
                        pace,
                        End::Next,
                        is_stream(&response).then_some(None),
                    )
                }
                Some(Fault::PaceRequest(pace)) => {
                    let response = self.pass_on(&request, pace).await?;
                    let stream = is_stream(&response).then_some(None);
                    (response.bytes(), Pace::Whole, End::Next, stream)
                }
                Some(Fault::Response {
                    bodies_only,
                    change,
                    pace,
                    end,
                }) => {
                    let response = self.pass_on(&request, Pace::Whole).await?;
                    let (change, end): (fn(Message) -> Vec<u8>, End) =
                        if bodies_only && response.body.is_empty() {
                            (|response| response.bytes(), End::Next)
                        } else {
                            (change, end)
                        };
                    let goes_on = is_stream(&response) && end == End::Next;
                    let stream = goes_on.then_some(Some(Stream::Paced(pace)));
                    (change(response), pace, end, stream)
                }
                Some(Fault::CutResponse { at, end }) => {
                    let response = self.pass_on(&request, Pace::Whole).await?;
                    let mut bytes = response.bytes();
                    let place = at.of(&response);
                    if place < bytes.len() {
                        bytes.truncate(place);
                        (bytes, Pace::Whole, end, None)
                    } else {
                        let stream = is_stream(&response).then_some(None);
                        (bytes, Pace::Whole, End::Next, stream)
                    }
                }
                Some(Fault::Stream(fault)) => {
                    let response = self.pass_on(&request, Pace::Whole).await?;
                    let stream = is_stream(&response).then_some(Some(fault));
                    (response.bytes(), Pace::Whole, End::Next, stream)
                }
                Some(Fault::CutRequest { at, end }) => {
                    let part = &request.bytes()[..at.of(&request)];
                    let gateway = self.gateway().await?;
                    gateway.stream.write_all(part).await?;
                    let mut gateway = self.gateway.take().expect("it is connected");
                    if end == End::Reset {
                        gateway.stream.set_zero_linger()?;
                    } else {
                        gateway.stream.shutdown().await?;
                    }
                    drop(gateway);
                    (Vec::new(), Pace::Whole, end, None)
                }
                Some(Fault::Instead { say, end }) => (say(), Pace::Whole, end, None),
                Some(Fault::Gone | Fault::Accept(_)) => (Vec::new(), Pace::Whole, End::Reset, None),
            };
            write(&mut self.client.stream, &response, pace).await?;
            if let Some(fault) = stream {
                return self.stream(fault).await;
            }
            if end != End::Next {
                return self.end(end).await;
            }
        }
        Ok(())
    }

    async fn gateway(&mut self) -> io::Result<&mut Reader<TcpStream>> {
        if self.gateway.is_none() {
            let stream = TcpStream::connect(self.shared.gateway).await?;
            stream.set_nodelay(true)?;
            self.gateway = Some(Reader::new(stream));
        }
        Ok(self.gateway.as_mut().expect("it was just connected"))
    }

    /// Sends the gateway's response.
    async fn pass_on(&mut self, request: &Message, pace: Pace) -> io::Result<Message> {
        let shared = Arc::clone(&self.shared);
        let gateway = self.gateway().await?;
        write(&mut gateway.stream, &request.bytes(), pace).await?;
        let response = gateway.response().await?;
        let response = response.ok_or(io::ErrorKind::UnexpectedEof)?;
        if response.status() == 201 {
            let created: serde_json::Value =
                serde_json::from_slice(&response.body).unwrap_or_default();
            let id = ["kernelId", "sessionId"].map(|name| created[name].as_str());
            let id = id.into_iter().flatten().next().map(str::to_owned);
            shared.state().seen.kernels.extend(id);
        }
        Ok(response)
    }

    /// Passes bytes on in both directions until one side ends.
    async fn stream(&mut self, fault: Option<Stream>) -> io::Result<()> {
        let mut gateway = self.gateway.take().expect("it has responded");
        gateway.stream.write_all(&self.client.rest).await?;
        let end = both_ways(&mut self.client.stream, gateway, fault).await?;
        self.end(end).await
    }

    /// Ends the connection.
    async fn end(&mut self, end: End) -> io::Result<()> {
        let stream = &mut self.client.stream;
        match end {
            End::Next => {}
            End::Reset => stream.set_zero_linger()?,
            End::Close => {
                stream.shutdown().await?;
                drain(stream).await?;
            }
            End::Silence => drain(stream).await?,
            End::Drip => loop {
                stream.write_all(b"x").await?;
                sleep(DRIP).await;
            },
        }
        Ok(())
    }
}

/// Whether bytes without a known end follow this response: of another protocol, or events.
fn is_stream(response: &Message) -> bool {
    response.status() == 101 || response.is_of_events()
}

/// Reads until the client closes.
async fn drain(stream: &mut TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

async fn write<S: tokio::io::AsyncWrite + Unpin>(
    stream: &mut S,
    bytes: &[u8],
    pace: Pace,
) -> io::Result<()> {
    match pace {
        Pace::Whole => stream.write_all(bytes).await,
        Pace::After(time) => {
            sleep(time).await;
            stream.write_all(bytes).await
        }
        Pace::Bytewise => {
            for byte in bytes {
                stream.write_all(std::slice::from_ref(byte)).await?;
                tokio::task::yield_now().await;
            }
            Ok(())
        }
    }
}

/// Passes bytes on until one side ends; returns how to end the client's side.
async fn both_ways(
    client: &mut TcpStream,
    mut gateway: Reader<TcpStream>,
    fault: Option<Stream>,
) -> io::Result<End> {
    let (mut from_gateway, mut to_gateway) = gateway.stream.into_split();
    let (mut from_client, mut to_client) = client.split();
    let up = async {
        tokio::io::copy(&mut from_client, &mut to_gateway).await?;
        to_gateway.shutdown().await
    };
    let down = async {
        let mut left = usize::MAX;
        let mut pace = Pace::Whole;
        let mut end = End::Close;
        match fault {
            None => {}
            Some(Stream::Paced(paced)) => pace = paced,
            Some(Stream::Cut(bytes, ended)) => (left, end) = (bytes, ended),
            Some(Stream::Say(say, ended)) => {
                write(&mut to_client, &say(), Pace::Whole).await?;
                if ended != End::Next {
                    return io::Result::Ok(ended);
                }
            }
        }
        let mut buffer = std::mem::take(&mut gateway.rest);
        loop {
            let part = buffer.len().min(left);
            write(&mut to_client, &buffer[..part], pace).await?;
            left -= part;
            if left == 0 {
                return Ok(end);
            }
            buffer.resize(16 * 1024, 0);
            let read = from_gateway.read(&mut buffer).await?;
            buffer.truncate(read);
            if read == 0 {
                to_client.shutdown().await?;
                return Ok(end);
            }
        }
    };
    let (mut up, mut down) = (std::pin::pin!(up), std::pin::pin!(down));
    tokio::select! {
        ended = &mut up => {
            ended?;
            down.await
        }
        end = &mut down => end,
    }
}

//! A terminal's halves on different tasks, through the traits of the runtimes, on a real gateway.

#![cfg(all(feature = "tokio", feature = "smol"))]

use sorna::{
    AccessKey, Config, Credentials, KernelId, SecretKey, TerminalOptions, TransportErrorKind,
};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};

/// More than all buffers of a round trip can hold.
const SIZE: usize = 2 << 20;

fn gateway() -> (RunningGateway, Config) {
    let gateway = Gateway::spawn(GatewayConfig::default()).expect("a gateway");
    let keys = Credentials::new(
        AccessKey::new(gateway.access_key()).expect("a key"),
        SecretKey::new(gateway.secret_key()).expect("a key"),
    );
    let config = Config::new(gateway.endpoint().parse().expect("an endpoint"), keys);
    (gateway, config)
}

fn pattern() -> Vec<u8> {
    (0..SIZE).map(|at| b"0123456789abcdef!"[at % 17]).collect()
}

const ECHO: &[u8] = b"stty raw -echo; printf REA; printf DY; cat; exit\n";

#[tokio::test]
async fn tokio_reads_and_writes_on_different_tasks() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let (gateway, config) = gateway();
    let kernel = sorna::tokio::Client::new(config)
        .create("bash")
        .await
        .expect("a kernel");
    let pty = kernel
        .stream_pty(TerminalOptions::default())
        .await
        .expect("a terminal");
    let (mut reader, mut writer) = pty.split();
    writer.write_all(ECHO).await.expect("typed");
    let mut seen = Vec::new();
    while !seen.ends_with(b"READY") {
        seen.push(reader.read_u8().await.expect("output"));
    }
    let writing = tokio::spawn(async move {
        writer.write_all(&pattern()).await.expect("typed");
        AsyncWriteExt::flush(&mut writer).await.expect("sent");
        writer
    });
    let mut back = vec![0; SIZE];
    reader.read_exact(&mut back).await.expect("all of it");
    assert!(back == pattern());
    let mut writer = writing.await.expect("it ended");
    AsyncWriteExt::shutdown(&mut writer).await.expect("closed");
    kernel.destroy().await.expect("destroyed");
    tokio::task::spawn_blocking(|| gateway.stop())
        .await
        .expect("stopped");
}

#[test]
fn smol_reads_and_writes_on_different_tasks() {
    use smol::io::{AsyncReadExt, AsyncWriteExt};

    let (gateway, config) = gateway();
    smol::block_on(async {
        let kernel = sorna::smol::Client::new(config)
            .create("bash")
            .await
            .expect("a kernel");
        let pty = kernel
            .stream_pty(TerminalOptions::default())
            .await
            .expect("a terminal");
        let (mut reader, mut writer) = pty.split();
        writer.write_all(ECHO).await.expect("typed");
        let mut seen = Vec::new();
        let mut byte = [0];
        while !seen.ends_with(b"READY") {
            reader.read_exact(&mut byte).await.expect("output");
            seen.push(byte[0]);
        }
        let writing = smol::spawn(async move {
            writer.write_all(&pattern()).await.expect("typed");
            AsyncWriteExt::flush(&mut writer).await.expect("sent");
            writer
        });
        let mut back = vec![0; SIZE];
        reader.read_exact(&mut back).await.expect("all of it");
        assert!(back == pattern());
        let mut writer = writing.await;
        AsyncWriteExt::close(&mut writer).await.expect("closed");
        kernel.destroy().await.expect("destroyed");
    });
    gateway.stop();
}

#[tokio::test]
async fn oversized_message_is_rejected() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let mut socket = tungstenite::accept(stream).expect("a handshake");
        // The client may close the connection before the whole message is sent.
        let _ = socket.send(tungstenite::Message::text("x".repeat(5 * 1024 * 1024)));
    });
    let keys = Credentials::new(
        AccessKey::new("AK").expect("a key"),
        SecretKey::new("SK").expect("a key"),
    );
    let config = Config::new(endpoint.parse().expect("a URL"), keys);
    let client = sorna::tokio::Client::new(config.with_version(sorna::ApiVersion::V2_20170315));
    let kernel = client.kernel(KernelId::new("k").expect("an id"));
    let pty = kernel.stream_pty(TerminalOptions::default()).await;
    let mut pty = pty.expect("a terminal");
    let error = pty.next_event().await.expect_err("it is too large");
    let failure = error.transport().expect("a failure");
    assert_eq!(failure.kind(), TransportErrorKind::TooLarge, "{failure}");
    drop(pty);
    server.join().expect("it ended");
}

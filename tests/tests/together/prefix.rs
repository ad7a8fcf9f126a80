//! An endpoint with a path prefix, which a proxy strips: the gateway behind it neither sees nor verifies the prefix.

use std::io;
use std::net::SocketAddr;

use sorna::{
    AccessKey, ApiVersion, ClientOptions, Config, Credentials, ExecuteMode, KernelSpec, SecretKey,
    TerminalOptions, UploadFile, random_token,
};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};
use sorna_tests::drivers::{Driver, PtyDriver, read_until};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

const PREFIX: &str = "/team/sorna";

/// Passes requests below the prefix on without it. Its connections end with it.
struct Stripping {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Stripping {
    fn start(gateway: SocketAddr) -> Self {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // If a connection breaks, the client has to notice.
                tokio::spawn(serve(client, gateway));
            }
        });
        Self {
            address,
            _runtime: runtime,
        }
    }

    fn config(&self, gateway: &RunningGateway, version: ApiVersion) -> Config {
        let keys = Credentials::new(
            AccessKey::new(gateway.access_key()).unwrap(),
            SecretKey::new(gateway.secret_key()).unwrap(),
        );
        let endpoint = format!("http://{}{PREFIX}/", self.address);
        Config::new(endpoint.parse().unwrap(), keys).with_version(version)
    }
}

async fn serve(client: TcpStream, gateway: SocketAddr) -> io::Result<()> {
    let (from_client, mut to_client) = client.into_split();
    let (mut from_gateway, mut to_gateway) = TcpStream::connect(gateway).await?.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_gateway, &mut to_client).await });
    let mut from_client = BufReader::new(from_client);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if from_client.read_line(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let (method, target) = head.split_once(' ').unwrap();
        let Some(stripped) = target.strip_prefix(PREFIX) else {
            return Ok(());
        };
        let head_of_gateway = format!("{method} {stripped}");
        to_gateway.write_all(head_of_gateway.as_bytes()).await?;
        let headers = head.to_ascii_lowercase();
        if headers.contains("\r\nupgrade: websocket\r\n") {
            tokio::io::copy(&mut from_client, &mut to_gateway).await?;
            return Ok(());
        }
        let length = headers
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"));
        let length = length.map_or(0, |length| length.trim().parse().unwrap());
        tokio::io::copy(&mut (&mut from_client).take(length), &mut to_gateway).await?;
    }
}

async fn works<D: Driver>(client: D) {
    let created = client.get_or_create(KernelSpec::new("bash"), random_token());
    let kernel = created.await.unwrap();
    let file = UploadFile::from_bytes("a.txt", "uploaded").unwrap();
    client.upload(kernel.clone(), vec![file]).await.unwrap();
    let code = ExecuteMode::from("read x; echo \"[$x] $(< a.txt)\"");
    let executed = client.execute(kernel.clone(), code, &["typed"]).await;
    let executed = executed.unwrap().result.console;
    assert_eq!(executed.stdout(), "[typed] uploaded\n");
    let info = sorna::protocol::Info::new(kernel.clone());
    client.call(info).await.unwrap();

    let opened = client.stream_pty(kernel.clone(), TerminalOptions::default());
    let mut pty = opened.await.unwrap();
    pty.write(b"echo $((6 * 7))-\n").await.unwrap();
    read_until(&mut pty, |all| {
        all.windows(5).any(|part| part == b"42-\r\n")
    })
    .await;
    pty.close().await.unwrap();
    let destroy = sorna::protocol::Destroy::new(kernel);
    client.call(destroy).await.unwrap();
}

fn check<D: Driver>() {
    let _watchdog = sorna_test_tools::watch("a prefix", std::time::Duration::from_secs(120));
    let gateway = Gateway::spawn(GatewayConfig::new()).unwrap();
    let address = gateway.endpoint().strip_prefix("http://").unwrap();
    let proxy = Stripping::start(address.parse().unwrap());
    for version in [ApiVersion::V2_20170315, ApiVersion::V9_20250722] {
        let config = proxy.config(&gateway, version);
        D::block_on(works(D::connect(config, ClientOptions::default())));
    }
    assert_eq!(gateway.stats().kernels, 0);
    gateway.stop();
}

sorna_tests::with_every_driver!(check);

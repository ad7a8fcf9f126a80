//! In a session with a web server of Backend.AI, every driver works without keys.

use std::sync::{Arc, Mutex};

use sorna::net::TlsOptions;
use sorna::protocol::{Login, LoginCheck, Logout};
use sorna::{
    AccessKey, ClientOptions, Config, Credentials, Error, KernelId, KernelSpec, ListSessions,
    Observer, SecretKey, SessionToken, SubscribeEvents, TerminalOptions, UploadFile,
};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway, TlsIdentity};
use sorna_tests::drivers::{PtyDriver, SessionDriver, read_until};

fn gateway() -> RunningGateway {
    let pairs = ["AKIAFIRST", "AKIASECOND"].map(|access_key| {
        let secret = format!("secret-of-{access_key}");
        Credentials::new(
            AccessKey::new(access_key).unwrap(),
            SecretKey::new(secret).unwrap(),
        )
    });
    Gateway::spawn(GatewayConfig::new().with_credentials(pairs)).unwrap()
}

fn web_server(gateway: &RunningGateway) -> Config {
    Config::of_web_server(gateway.endpoint().parse().unwrap())
}

/// A client in a session of this user, and one without.
async fn log_in<D: SessionDriver>(gateway: &RunningGateway, user: &str) -> D {
    let anonymous = D::connect(web_server(gateway), ClientOptions::default());
    let error = anonymous.call(Login::new(user, "wrong")).await.unwrap_err();
    assert!(matches!(error, Error::Login(_)), "{error}");
    assert_eq!(anonymous.call(LoginCheck::new()).await.unwrap().value, None);
    let error = anonymous.create("bash").await.unwrap_err();
    assert!(error.is_auth(), "{error}");
    let login = Login::new(user, format!("secret-of-{user}"));
    let session = anonymous.call(login).await.unwrap().value;
    assert_eq!(session.access_key.as_deref(), Some(user));
    let config = web_server(gateway).with_session(session.cookie);
    D::connect(config, ClientOptions::default())
}

fn named(name: &str) -> KernelId {
    KernelId::new(name).unwrap()
}

async fn works<D: SessionDriver>(gateway: &RunningGateway) {
    let client: D = log_in(gateway, "AKIAFIRST").await;
    let user = client.call(LoginCheck::new()).await.unwrap().value.unwrap();
    assert_eq!(user.access_key.as_deref(), Some("AKIAFIRST"));
    let mut events = client.events(SubscribeEvents::new()).await.unwrap();

    let name = SessionToken::new("by-cookie").unwrap();
    let kernel = client.get_or_create(KernelSpec::new("bash"), name).await;
    let kernel = kernel.unwrap();
    let executed = client.execute(kernel.clone(), "read x; echo [$x]".into(), &["typed"]);
    assert_eq!(executed.await.unwrap().result.console.stdout(), "[typed]\n");

    let content = "x".repeat(300_000);
    let file = UploadFile::from_bytes("sub/a", content.clone()).unwrap();
    client.upload(kernel.clone(), vec![file]).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let paths = vec!["sub".to_owned()];
    let saved = client.download(kernel.clone(), paths, directory.path());
    saved.await.unwrap();
    let saved = std::fs::read_to_string(directory.path().join("sub/a")).unwrap();
    assert!(saved == content);

    let pty = client.stream_pty(kernel.clone(), TerminalOptions::default());
    let mut pty = pty.await.unwrap();
    pty.write(b"echo $((6 * 7))-\n").await.unwrap();
    read_until(&mut pty, |all| {
        all.windows(5).any(|part| part == b"42-\r\n")
    })
    .await;
    pty.close().await.unwrap();

    // Another user's sessions are not found.
    let other: D = log_in(gateway, "AKIASECOND").await;
    assert_eq!(client.find("by-coo").await.unwrap().len(), 1);
    assert!(other.find("by-coo").await.unwrap().is_empty());
    assert_eq!(client.list(ListSessions::living()).await.unwrap().len(), 1);
    let error = other.execute(named("by-cookie"), "true".into(), &[]).await;
    assert!(error.unwrap_err().is_not_found());

    let destroy = sorna::protocol::Destroy::new(kernel);
    client.call(destroy).await.unwrap();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|name| name != "session_terminated") {
        let event = D::next_event(&mut events).await.unwrap().unwrap();
        seen.push(event.name);
    }
    assert!(seen.iter().any(|name| name == "kernel_started"), "{seen:?}");

    client.call(Logout::new()).await.unwrap();
    assert_eq!(client.call(LoginCheck::new()).await.unwrap().value, None);
    let error = client.list(ListSessions::living()).await.unwrap_err();
    assert!(error.is_auth(), "{error}");
    let pty = client.stream_pty(named("by-cookie"), TerminalOptions::default());
    assert!(pty.await.err().unwrap().is_auth());
}

fn check<D: SessionDriver>() {
    let gateway = gateway();
    D::block_on(works::<D>(&gateway));
    assert_eq!(gateway.stats().kernels, 0);
    gateway.stop();
}

sorna_tests::with_every_driver!(check);

#[test]
fn the_cookie_is_for_https_only_if_it_was_set_there() {
    let identity = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (identity.cert.pem(), identity.signing_key.serialize_pem());
    let identity = TlsIdentity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    for (config, is_secure) in [
        (GatewayConfig::new().with_tls(identity), true),
        (GatewayConfig::new(), false),
    ] {
        let gateway = Gateway::spawn(config).unwrap();
        let set = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&set);
        let observer = Observer::new(move |exchange| {
            let headers = exchange.outcome.ok().map(|(_, headers)| headers);
            let value = headers.and_then(|headers| headers.get("set-cookie").cloned());
            seen.lock().unwrap().extend(value);
        });
        let options = ClientOptions::new()
            .with_tls(TlsOptions::new().with_ca_pem(certificate.clone()))
            .with_observer(observer);
        let client = sorna::blocking::Client::with_options(web_server(&gateway), options);
        let login = Login::new(gateway.access_key(), gateway.secret_key());
        client.call(login).unwrap();
        let set = set.lock().unwrap();
        let [set] = &set[..] else {
            panic!("{} cookies", set.len())
        };
        let attributes = set.to_str().unwrap().split_once("; ").unwrap().1;
        assert_eq!(attributes.ends_with("; Secure"), is_secure, "{attributes}");
        gateway.stop();
    }
}

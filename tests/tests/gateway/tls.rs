//! HTTPS.

use std::time::Duration;

use sorna::net::TlsOptions;
use sorna::{ClientOptions, Config, TerminalOptions};
use sorna_gateway::{Gateway, GatewayConfig, TlsIdentity};

#[test]
fn clients_use_https_when_they_trust_the_certificate() {
    let identity = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (identity.cert.pem(), identity.signing_key.serialize_pem());
    let config = GatewayConfig::new()
        .with_tls(TlsIdentity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap());
    let gateway = Gateway::spawn(config).unwrap();
    assert!(gateway.endpoint().starts_with("https://127.0.0.1:"));
    let credentials = gateway.credentials()[0].clone();
    let config = Config::new(gateway.endpoint().parse().unwrap(), credentials);
    let options = ClientOptions::new().with_tls(TlsOptions::new().with_ca_pem(certificate));

    let client = sorna::blocking::Client::with_options(config.clone(), options.clone());
    let kernel = client.create("bash").unwrap();
    let result = kernel.execute("echo safe").finish().unwrap();
    assert_eq!(result.console.stdout(), "safe\n");
    kernel.destroy().unwrap();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = sorna::tokio::Client::with_options(config.clone(), options);
        let kernel = client.create("bash").await.unwrap();
        let terminal = kernel.stream_pty(TerminalOptions::default()).await;
        terminal.unwrap().close().await.unwrap();
        kernel.destroy().await.unwrap();
        // Without trust in the certificate, no request is sent.
        let untrusting = sorna::tokio::Client::new(config);
        let error = untrusting.version().await.unwrap_err();
        assert!(error.transport().is_some(), "{error}");
    });
    assert_eq!(gateway.stats().kernels, 0);
    // A silent client delays no other.
    let silent = std::net::TcpStream::connect(gateway.endpoint().trim_start_matches("https://"));
    silent
        .unwrap()
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    gateway.stop();
}

#[test]
fn incomplete_identities_are_rejected() {
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (identity.cert.pem(), other.signing_key.serialize_pem());
    for (certificate, key, words) in [
        ("", key.as_str(), "no certificate"),
        (certificate.as_str(), "", "no private key"),
        (certificate.as_str(), key.as_str(), "cannot be used"),
    ] {
        let error = TlsIdentity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

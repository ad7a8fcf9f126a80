//! No secret is shown: not by `{}` or `{:?}`, not in errors, and not in the most verbose logs of the
//! gateway and of its dependencies.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::error::Error as StdError;
use std::fmt::{Debug, Display};
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use sorna::net::ProxyOptions;
use sorna::protocol::machine::{Call, Machine, Run, Step};
use sorna::protocol::{
    Authorize, Caller, Instant, Login, LoginCheck, Logout, Moment, Operation, Signer,
};
use sorna::{
    AccessKey, ClientOptions, Config, Credentials, KernelId, Observer, RetryPolicy, RunPlan,
    SecretKey, SessionCookie, SessionToken, UploadFile,
};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};
use tracing_subscriber::filter::LevelFilter;

const SECRET: &str = "a-secret-that-no-one-may-see-7d1f";
const WRONG: &str = "another-that-no-one-may-see-93ac";
const PASSWORD: &str = "the-password-of-a-proxy-51be";
const OTP: &str = "one-time-that-no-one-may-see-0a6e";
/// Of a session with a web server.
const COOKIE: &str = "cookie-that-no-one-may-see-e4c8";
const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";

/// Everything that is shown anywhere.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<u8>>>);

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shown {
    fn value(&self, value: &impl Debug) {
        writeln!(self.clone(), "{value:?}\n{value:#?}").unwrap();
    }

    fn words(&self, words: &impl Display) {
        writeln!(self.clone(), "{words}").unwrap();
    }

    /// An error with all its causes.
    fn error(&self, error: &(dyn StdError + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            writeln!(self.clone(), "{error}\n{error:?}").unwrap();
            next = error.source();
        }
    }

    fn result<T: Debug, E: StdError + 'static>(&self, result: &Result<T, E>) {
        match result {
            Ok(value) => self.value(value),
            Err(error) => self.error(error),
        }
    }

    #[track_caller]
    fn check(&self) {
        self.check_with(&[]);
    }

    /// The same with these secrets besides.
    #[track_caller]
    fn check_with(&self, more: &[String]) {
        let text = String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned();
        let more = more.iter().map(String::as_str);
        for secret in [SECRET, WRONG, PASSWORD, OTP, COOKIE]
            .into_iter()
            .chain(more)
        {
            assert!(!text.contains(secret), "{}", around(&text, secret));
            let base64 = base64_of(&format!("user:{secret}"));
            assert!(!text.contains(&base64), "{}", around(&text, &base64));
        }
        // A signature is valid for 15 minutes, for the same request.
        let digits = text.split(|c: char| !c.is_ascii_hexdigit());
        let signature = digits.into_iter().find(|word| word.len() == 64);
        assert!(
            signature.is_none(),
            "{}",
            around(&text, signature.unwrap_or_default())
        );
    }
}

/// The line that shows the secret, without the secret.
fn around(text: &str, secret: &str) -> String {
    let line = text
        .lines()
        .find(|line| line.contains(secret))
        .unwrap_or_default();
    line.replace(secret, "<SECRET>")
}

/// Base64 without padding, as `Proxy-Authorization` has it.
fn base64_of(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let mut block = [0; 3];
        block[..chunk.len()].copy_from_slice(chunk);
        let number = u32::from_be_bytes([0, block[0], block[1], block[2]]);
        for place in 0..=chunk.len() {
            let digit = number >> (18 - 6 * place) & 63;
            encoded.push(char::from(DIGITS[digit as usize]));
        }
    }
    encoded
}

fn credentials(secret: &str) -> Credentials {
    let secret = SecretKey::new(secret).unwrap();
    Credentials::new(AccessKey::new(ACCESS_KEY).unwrap(), secret)
}

fn config(endpoint: &str, secret: &str) -> Config {
    Config::new(endpoint.parse().unwrap(), credentials(secret))
        .with_version(sorna::ApiVersion::V2_20170315)
}

fn options(shown: &Shown) -> ClientOptions {
    let shown = shown.clone();
    ClientOptions::new()
        .with_retry(RetryPolicy::never())
        .with_observer(Observer::new(move |exchange| shown.value(exchange)))
}

fn gateway() -> RunningGateway {
    let config = GatewayConfig::new().with_credentials([credentials(SECRET)]);
    Gateway::spawn(config).unwrap()
}

fn web_server(endpoint: &str) -> Config {
    Config::of_web_server(endpoint.parse().unwrap())
}

/// Logs in and out; returns the cookie.
fn log_in_and_out(shown: &Shown, endpoint: &str) -> String {
    let client = |config| sorna::blocking::Client::with_options(config, options(shown));
    let anonymous = client(web_server(endpoint));
    shown.result(&anonymous.call(Login::new(ACCESS_KEY, WRONG).with_otp(OTP)));
    let login = anonymous.call(Login::new(ACCESS_KEY, SECRET).with_otp(OTP));
    shown.result(&login);
    let cookie = login.unwrap().value.cookie;
    let config = web_server(endpoint).with_session(cookie.clone());
    let user = client(config.clone());
    shown.value(&user);
    shown.result(&user.call(LoginCheck::new()));
    shown.result(&user.authorize("x"));
    let missing = user.kernel(KernelId::new("missing").unwrap());
    shown.result(&missing.info());
    shown.result(&missing.stream_pty(Default::default()));
    for endpoint in [
        "http://127.0.0.1:1",
        &garbage(),
        &endpoint.replace("http:", "https:"),
    ] {
        let lost = client(web_server(endpoint).with_session(cookie.clone()));
        shown.error(&lost.authorize("x").unwrap_err());
        shown.error(&lost.call(Login::new(ACCESS_KEY, SECRET)).unwrap_err());
        shown.error(&lost.call(Logout::new()).unwrap_err());
    }
    shown.result(&user.call(Logout::new()));
    shown.error(&user.authorize("x").unwrap_err());
    cookie.expose().to_owned()
}

/// The same for a driver of a runtime.
async fn log_in_and_out_in_a_task(shown: &Shown, endpoint: &str) -> String {
    let client = |config| sorna::tokio::Client::with_options(config, options(shown));
    let anonymous = client(web_server(endpoint));
    shown.result(&anonymous.call(Login::new(ACCESS_KEY, WRONG)).await);
    let login = anonymous.call(Login::new(ACCESS_KEY, SECRET)).await;
    shown.result(&login);
    let cookie = login.unwrap().value.cookie;
    let user = client(web_server(endpoint).with_session(cookie.clone()));
    shown.value(&user);
    shown.result(&user.call(LoginCheck::new()).await);
    let missing = user.kernel(KernelId::new("missing").unwrap());
    shown.result(&missing.stream_pty(Default::default()).await);
    shown.result(&user.call(Logout::new()).await);
    shown.error(&user.authorize("x").await.unwrap_err());
    cookie.expose().to_owned()
}

/// Reads a request and sends an invalid response.
fn garbage() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"garbage\r\n\r\n");
        }
    });
    endpoint
}

fn plan() -> RunPlan {
    let files = vec![UploadFile::from_bytes("f", "x").unwrap()];
    RunPlan::temporary("bash", ["echo $0"])
        .with_token(SessionToken::new("a-token-of-mine").unwrap())
        .with_files(files)
}

#[test]
fn machines_and_requests_show_no_secret() {
    let shown = Shown::default();
    let signer = Signer::new(config("http://127.0.0.1:1", SECRET));
    shown.value(&credentials(SECRET));
    shown.value(&SecretKey::new(SECRET).unwrap());
    shown.value(signer.config());
    shown.value(&signer);
    let caller = Caller::new(signer);
    shown.value(&caller);
    let now = Moment::new(SystemTime::now(), Instant::default(), 1);
    let mut call = Call::new(Authorize::new("x"), caller.clone());
    let Step::Send(transmit) = call.poll(now) else {
        panic!("it asks");
    };
    let authorization = transmit.request.headers()["authorization"]
        .to_str()
        .unwrap();
    assert_eq!(authorization.rsplit(':').next().unwrap().len(), 64);
    shown.value(&transmit);
    shown.value(&call);
    let mut run = Run::new(plan(), caller, [1; 32]);
    let _ = run.poll(now);
    shown.value(&run);
    let unusable = SecretKey::new(format!("{SECRET}\n"));
    shown.result(&unusable);
    shown.check();
}

#[test]
fn logins_and_sessions_of_web_servers_show_no_secret() {
    let shown = Shown::default();
    let cookie = SessionCookie::new(COOKIE).unwrap();
    shown.value(&cookie);
    let config = web_server("http://127.0.0.1:1").with_session(cookie);
    shown.value(&config);
    let signer = Signer::new(config);
    shown.value(&signer);
    let login = Login::new("me", SECRET).with_otp(OTP);
    shown.value(&login);
    let now = Moment::new(SystemTime::now(), Instant::default(), 1);
    let mut call = Call::new(login.clone(), Caller::new(signer.clone()));
    let Step::Send(transmit) = call.poll(now) else {
        panic!("it asks");
    };
    shown.value(&transmit);
    shown.value(&call);
    let mut call = Call::new(Logout::new(), Caller::new(signer.clone()));
    let Step::Send(transmit) = call.poll(now) else {
        panic!("it asks");
    };
    assert!(
        transmit.request.headers()["cookie"]
            .to_str()
            .unwrap()
            .contains(COOKIE)
    );
    shown.value(&transmit);
    let version = signer.config().version();
    let response = |body: String| {
        http::Response::builder()
            .header("Set-Cookie", format!("AIOHTTP_SESSION={COOKIE}; Path=/"))
            .header("X-BackendAI-SessionID", COOKIE)
            .body(body.into())
            .unwrap()
    };
    for data in ["null", "{}", "1"] {
        for authenticated in ["true", "false", "0"] {
            let body = format!(
                r#"{{"authenticated": {authenticated}, "data": {data}, "session_id": "{COOKIE}"}}"#
            );
            shown.result(&LoginCheck::new().read_response(version, response(body)));
            let body = format!(r#"{{"authenticated": {authenticated}, "data": {data}}}"#);
            shown.result(&login.read_response(version, response(body)));
        }
    }
    shown.result(&SessionCookie::new(format!("{COOKIE}\n")));
    shown.check();
}

#[test]
fn gateway_log_and_clients_show_no_secret() {
    let shown = Shown::default();
    let writer = shown.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // For all threads of this program, the gateway's among them.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let gateway = gateway();
    shown.value(&gateway);
    let endpoint = gateway.endpoint().to_owned();

    let client = sorna::blocking::Client::with_options(config(&endpoint, SECRET), options(&shown));
    shown.value(&client);
    shown.value(client.options());
    shown.result(&client.authorize("x"));
    let mut run = client.run(plan());
    while let Ok(Some(event)) = run.next_event() {
        shown.value(&event);
    }
    shown.value(&run);
    let kernel = client.create("bash").unwrap();
    shown.value(&kernel);
    shown.result(&kernel.info());
    shown.result(&kernel.stream_pty(Default::default()));
    shown.result(&kernel.destroy());
    shown.result(&kernel.info());
    for (endpoint, secret) in [
        (endpoint.as_str(), WRONG),
        ("http://127.0.0.1:1", SECRET),
        ("https://127.0.0.1:1", SECRET),
        (&garbage(), SECRET),
        (&endpoint.replace("http:", "https:"), SECRET),
    ] {
        let client =
            sorna::blocking::Client::with_options(config(endpoint, secret), options(&shown));
        let error = client.authorize("x").unwrap_err();
        shown.error(&error);
        let error = client
            .kernel(KernelId::new("k").unwrap())
            .stream_pty(Default::default());
        shown.error(&error.unwrap_err());
    }
    let proxy = ProxyOptions::url(&format!("http://user:{PASSWORD}@127.0.0.1:1")).unwrap();
    let through = options(&shown).with_proxy(proxy);
    shown.value(&through);
    let client = sorna::blocking::Client::with_options(config("http://a.invalid", SECRET), through);
    shown.error(&client.authorize("x").unwrap_err());
    let unusable = ProxyOptions::url(&format!("ftp://user:{PASSWORD}@127.0.0.1:1"));
    shown.result(&unusable);

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(tasks(&shown, &endpoint));
    let cookies = [
        log_in_and_out(&shown, &endpoint),
        runtime.block_on(log_in_and_out_in_a_task(&shown, &endpoint)),
    ];
    gateway.stop();
    for path in ["/v2/authorize", "/server/login", "/func/auth"] {
        let log = String::from_utf8_lossy(&shown.0.lock().unwrap()).contains(path);
        assert!(log, "there is no log of {path}");
    }
    shown.check_with(&cookies);
}

/// The same for a driver of a runtime.
async fn tasks(shown: &Shown, endpoint: &str) {
    let client = sorna::tokio::Client::with_options(config(endpoint, SECRET), options(shown));
    shown.value(&client);
    shown.result(&client.authorize("x").await);
    let mut run = client.run(plan());
    while let Ok(Some(event)) = run.next_event().await {
        shown.value(&event);
    }
    shown.value(&run);
    for (endpoint, secret) in [
        (endpoint, WRONG),
        ("http://127.0.0.1:1", SECRET),
        (&garbage(), SECRET),
        (&endpoint.replace("http:", "https:"), SECRET),
    ] {
        let client = sorna::tokio::Client::with_options(config(endpoint, secret), options(shown));
        let error = client.authorize("x").await.unwrap_err();
        shown.error(&error);
        let kernel = client.kernel(KernelId::new("k").unwrap());
        let error = kernel.stream_pty(Default::default()).await;
        shown.error(&error.unwrap_err());
    }
    let proxy = ProxyOptions::url(&format!("http://user:{PASSWORD}@127.0.0.1:1")).unwrap();
    let through = options(shown).with_proxy(proxy);
    let client = sorna::tokio::Client::with_options(config("http://a.invalid", SECRET), through);
    shown.error(&client.authorize("x").await.unwrap_err());
}

#[test]
fn the_check_finds_secrets() {
    let shows = |text: &str| {
        let shown = Shown::default();
        shown.words(&text);
        std::panic::catch_unwind(|| shown.check()).is_err()
    };
    assert!(!shows("nothing of interest"));
    assert!(shows(&format!("key={SECRET}")));
    assert!(shows(&format!("Cookie: a={COOKIE}")));
    assert!(shows(&base64_of(&format!("user:{PASSWORD}"))));
    assert!(shows(&"0a".repeat(32)));
}

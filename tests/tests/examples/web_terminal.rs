//! A terminal in a browser.

use std::net::TcpStream;

use sorna_gateway::{Gateway, GatewayConfig};
use sorna_test_tools::browser::Browser;
use sorna_tests::npm;
use tungstenite::client::IntoClientRequest;

use crate::lab::{Server, example_on, has_kernels};

/// The versions that the page names, for npm.
const XTERM: [&str; 2] = ["@xterm/xterm@6.0.0", "@xterm/addon-fit@0.11.0"];
const PLACE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/xterm");

/// All lines, with wrapped ones joined.
const SCREEN: &str = "(() => { const buffer = terminal.buffer.active; let text = ''; \
    for (let line = 0; line < buffer.length; line++) { \
    const of = buffer.getLine(line); text += (of.isWrapped ? '' : '\\n') + of.translateToString(true); } \
    return text; })()";

#[test]
fn a_shell_works_in_the_browser() {
    let Some(modules) = npm::node_modules(PLACE, &XTERM) else {
        return;
    };
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let gateway = Gateway::spawn(GatewayConfig::default()).unwrap();
    let mut command = example_on(&gateway, "web_terminal");
    command
        .args(["--listen", "127.0.0.1:0", "--xterm"])
        .arg(modules);
    let server = Server::start(&mut command);
    browser.resize(800, 600);
    // The browser compares the files that it loads with the hashes in the page.
    browser.open(&server.url);
    let enter = |browser: &mut Browser, line: &str| {
        browser.type_text(line);
        browser.press_enter();
    };
    let shows = |words: &str| format!("{SCREEN}.includes({words:?})");

    enter(&mut browser, "PS1=; echo $((6 * 7))-é");
    browser.wait_for(&shows("\n42-é"));
    // The page shows the content of the terminal.
    browser.wait_for("document.querySelector('.xterm-rows').textContent.includes('42-é')");
    for (width, height) in [(800, 600), (500, 300)] {
        browser.resize(width, height);
        browser.wait_for(&format!("document.body.clientWidth === {width}"));
        let size = browser.evaluate("new Promise((done) => requestAnimationFrame(() => done(`${terminal.rows} ${terminal.cols}`)))");
        enter(&mut browser, "clear; echo size $(stty size)");
        browser.wait_for(&shows(&format!("\nsize {}", size.as_str().unwrap())));
    }
    // More messages than the page may not have displayed yet.
    enter(&mut browser, "yes | head -c 3000000; echo done-$((1 + 1))");
    browser.wait_for(&shows("\ndone-2"));
    assert_eq!(browser.complaints(), [""; 0]);

    has_kernels(&gateway, 1);
    browser.open("about:blank");
    has_kernels(&gateway, 0);
    browser.open(&server.url);
    enter(&mut browser, "exit");
    browser.wait_for(&shows("[closed]"));
    has_kernels(&gateway, 0);
    browser.open(&server.url);
    has_kernels(&gateway, 1);
    server.interrupt();
    browser.wait_for(&shows("[closed]"));
    assert!(server.ended().success());
    assert_eq!(gateway.stats().kernels, 0);
}

#[test]
fn other_pages_get_no_shell() {
    let gateway = Gateway::spawn(GatewayConfig::default()).unwrap();
    let mut command = example_on(&gateway, "web_terminal");
    let server = Server::start(command.args(["--listen", "127.0.0.1:0"]));
    let address = server.url.strip_prefix("http://").unwrap();
    let connect = |origin: Option<&str>| {
        let mut request = format!("ws://{address}/terminal")
            .into_client_request()
            .unwrap();
        if let Some(origin) = origin {
            request
                .headers_mut()
                .insert("origin", origin.parse().unwrap());
        }
        let connected = tungstenite::client(request, TcpStream::connect(address).unwrap());
        connected.map_err(|error| error.to_string())
    };
    for origin in [None, Some("http://example.com"), Some("null")] {
        let error = connect(origin).unwrap_err();
        assert!(error.contains("403"), "{error}");
    }
    assert!(connect(Some(&server.url)).is_ok());

    let mut page = ureq::get(&server.url).call().unwrap();
    let page = page.body_mut().read_to_string().unwrap();
    assert!(!page.contains(gateway.secret_key()) && !page.contains(gateway.access_key()));
    assert!(page.contains("https://cdn.jsdelivr.net/npm/@xterm/xterm@6.0.0/lib/xterm.js"));
    let closed = ureq::get(format!(
        "{}/npm/@xterm/xterm@6.0.0/lib/xterm.js",
        server.url
    ))
    .call();
    assert!(closed.is_err(), "only with --xterm");
}

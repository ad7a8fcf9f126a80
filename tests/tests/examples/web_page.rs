//! Running code from a web page.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use serde_json::{Value, json};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};
use sorna_test_tools::browser::Browser;
use sorna_test_tools::need;
use ureq::http::Response;
use ureq::{Agent, Body};

use crate::lab::{Server, example, example_on, has_kernels};

fn start() -> (RunningGateway, Server) {
    let gateway = Gateway::spawn(GatewayConfig::default()).unwrap();
    let server = Server::start(example_on(&gateway, "web_page").arg("127.0.0.1:0"));
    (gateway, server)
}

fn post(server: &Server, path: &str, origin: &str, body: &str) -> Response<Body> {
    let config = Agent::config_builder().http_status_as_error(false).build();
    Agent::from(config)
        .post(format!("{}{path}", server.url))
        .header("origin", origin)
        .content_type("application/json")
        .send(body)
        .unwrap()
}

/// The events of a response, as they arrive.
struct Events(Box<dyn BufRead>);

impl Events {
    fn of(server: &Server, language: &str, code: &str) -> Self {
        let job = json!({"language": language, "code": code}).to_string();
        let response = post(server, "/run", &server.url, &job);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(Box::new(BufReader::new(response.into_body().into_reader())))
    }

    fn next(&mut self) -> Option<(String, Value)> {
        let (mut name, mut data) = (String::new(), Value::Null);
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("event", words)) => name = words.to_owned(),
                Some(("data", json)) => data = serde_json::from_str(json).unwrap(),
                _ if !name.is_empty() => return Some((name, data)),
                // A keep-alive comment.
                _ => {}
            }
        }
    }

    fn until(&mut self, wanted: &str) -> Value {
        let event = std::iter::from_fn(|| self.next()).find(|(name, _)| name == wanted);
        event.unwrap_or_else(|| panic!("no {wanted}")).1
    }

    /// All events, with consecutive text joined.
    fn all(self) -> Vec<(String, Value)> {
        let mut all: Vec<(String, Value)> = Vec::new();
        let mut events = self;
        while let Some((name, data)) = events.next() {
            match all.last_mut() {
                Some((last, Value::String(text))) if *last == name && name.starts_with("std") => {
                    text.push_str(data.as_str().unwrap());
                }
                _ => all.push((name, data)),
            }
        }
        all
    }
}

fn run(server: &Server, language: &str, code: &str) -> Vec<(String, Value)> {
    let mut all = Events::of(server, language, code).all();
    assert_eq!(all.remove(0).0, "run");
    all
}

fn expect(all: &[(String, Value)], expected: Value) {
    let all: Vec<_> = all.iter().map(|(name, data)| json!([name, data])).collect();
    assert_eq!(Value::from(all), expected);
}

#[test]
fn output_arrives_as_events() {
    if !need("python3") || !need("gcc") {
        return;
    }
    let (gateway, server) = start();
    let code = "import sys, sorna_kernel\nprint('a\\n\\nb')\nprint('c', file=sys.stderr)\n\
                sorna_kernel.media('image/svg+xml', '<svg/>')\nsorna_kernel.html('<b>d</b>')";
    expect(
        &run(&server, "python3", code),
        json!([
            ["status", "running"],
            ["stdout", "a\n\nb\n"],
            ["stderr", "c\n"],
            ["media", ["image/svg+xml", "<svg/>"]],
            ["html", "<b>d</b>"],
            ["end", "exit code 0"],
        ]),
    );
    expect(
        &run(&server, "c", "int main(void) { return 3; }"),
        json!([
            ["status", "running"],
            ["status", "built"],
            ["end", "exit code 3"]
        ]),
    );
    let all = run(&server, "c", "int main(void) { return 3 }");
    let words = all[1].1.as_str().unwrap();
    assert!(
        all[1].0 == "stderr" && words.contains("main.c:1:"),
        "{all:?}"
    );
    assert_eq!(all.last().unwrap().1, "exit code 1");
    assert_eq!(
        gateway.stats().kernels,
        0,
        "each is gone before its answer ends"
    );
}

#[test]
fn the_page_gives_input_to_a_program() {
    let (gateway, server) = start();
    let mut events = Events::of(
        &server,
        "bash",
        "read -s word; echo got $word; read line; echo $line",
    );
    let id = events.until("run");
    let answer = |line| {
        post(
            &server,
            &format!("/input/{}", id.as_str().unwrap()),
            &server.url,
            line,
        )
    };
    assert_eq!(events.until("input"), true);
    assert_eq!(answer("one").status(), 204);
    assert_eq!(events.until("stdout"), "got one\n");
    assert_eq!(events.until("input"), false);
    assert_eq!(answer("two").status(), 204);
    assert_eq!(events.until("stdout"), "two\n");
    assert_eq!(events.until("end"), "exit code 0");
    assert_eq!(events.next(), None);
    assert_eq!(answer("three").status(), 404);
    assert_eq!(gateway.stats().kernels, 0);
}

#[test]
fn a_run_ends_when_its_page_is_closed() {
    let (gateway, server) = start();
    // A program without output, and one that asks for input.
    for (code, sign) in [
        ("echo started; sleep 1000", "stdout"),
        ("read line", "input"),
    ] {
        let mut events = Events::of(&server, "bash", code);
        events.until(sign);
        has_kernels(&gateway, 1);
        drop(events);
        has_kernels(&gateway, 0);
    }
}

#[test]
fn ctrl_c_ends_running_programs() {
    let (gateway, server) = start();
    let mut events = Events::of(&server, "bash", "echo started; sleep 1000");
    events.until("stdout");
    server.interrupt();
    assert_eq!(events.until("end"), "stopped by the server");
    assert_eq!(gateway.stats().kernels, 0);
    drop(events);
    assert!(server.ended().success());
}

#[test]
fn limits_hold() {
    let (gateway, server) = start();
    let run = |code| run(&server, "bash", code).pop().unwrap().1;
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(run("sleep 1000"), "ran for too long"));
        assert_eq!(run("yes"), "put out too much");
    });
    assert_eq!(gateway.stats().kernels, 0);

    let status =
        |origin: &str, job: Value| post(&server, "/run", origin, &job.to_string()).status();
    let own = server.url.as_str();
    assert_eq!(
        status(
            own,
            json!({"language": "bash", "code": " ".repeat(64 * 1024)})
        ),
        413
    );
    assert_eq!(status(own, json!({"language": "cobol", "code": ""})), 400);
    assert_eq!(
        status(
            "http://example.com",
            json!({"language": "bash", "code": ""})
        ),
        403
    );

    let mut running: Vec<_> = (0..8)
        .map(|_| Events::of(&server, "bash", "sleep 1000"))
        .collect();
    assert_eq!(status(own, json!({"language": "bash", "code": ""})), 503);
    running.pop();
    has_kernels(&gateway, 7);
    // The example hears of the kernel's end a little later, and then has room for another.
    let free = (0..1000).find_map(|_| {
        let status = status(own, json!({"language": "bash", "code": ""}));
        if status == 503 {
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(status).filter(|status| *status != 503)
    });
    assert_eq!(free.expect("there is room in time"), 200);
}

#[test]
fn the_page_works_in_a_browser() {
    if !need("python3") {
        return;
    }
    let Some(mut browser) = Browser::start() else {
        return;
    };
    // The example starts its own gateway.
    let server = Server::start(example("web_page").arg("127.0.0.1:0"));
    browser.open(&server.url);
    let run = |browser: &mut Browser, code: &str| {
        let code = Value::from(code);
        browser.evaluate(&format!("$('code').value = {code}; $('run').click()"));
    };
    run(
        &mut browser,
        "name = input('name? ')\nprint('hi', name, '<b>')",
    );
    browser.wait_for("!$('answer').hidden");
    browser.type_text("lablup");
    browser.press_enter();
    browser.wait_for("$('status').textContent === 'exit code 0'");
    assert_eq!(
        browser.evaluate("$('output').textContent"),
        "name? lablup\nhi lablup <b>\n"
    );

    let svg = "<svg xmlns='http://www.w3.org/2000/svg' width='7' height='5'/>";
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    run(
        &mut browser,
        &format!(
            "import base64, sorna_kernel\nsorna_kernel.media('image/svg+xml', \"{svg}\")\n\
             sorna_kernel.media('image/png', base64.b64decode('{png}'))\n\
             sorna_kernel.html('<script>parent.evil = true</script>')\n1/0"
        ),
    );
    browser.wait_for("$('status').textContent === 'exit code 1'");
    browser.wait_for("document.querySelectorAll('#output img').length === 2");
    let widths = "Promise.all([...document.querySelectorAll('#output img')].map(async (image) => { \
                  await image.decode(); return image.naturalWidth; }))";
    assert_eq!(browser.evaluate(widths), json!([7, 1]));
    // It may come in pieces.
    let errors = "[...document.querySelectorAll('.stderr')].map((it) => it.textContent).join('')";
    let errors = browser.evaluate(errors);
    assert!(
        errors.as_str().unwrap().contains("ZeroDivisionError"),
        "{errors}"
    );
    assert_eq!(browser.evaluate("window.evil === undefined"), true);

    run(&mut browser, "print('started')\nwhile True: pass");
    browser.wait_for("$('output').textContent === 'started\\n'");
    browser.evaluate("$('stop').click()");
    browser.wait_for("$('status').textContent === 'stopped'");
    let ours = browser
        .complaints()
        .iter()
        .filter(|words| !words.contains("sandboxed"));
    assert_eq!(ours.count(), 0, "{:?}", browser.complaints());
}

#[test]
fn the_browser_gets_no_secret() {
    let (gateway, server) = start();
    for path in ["/", "/page.js"] {
        let mut page = ureq::get(format!("{}{path}", server.url)).call().unwrap();
        let page = page.body_mut().read_to_string().unwrap();
        for secret in [
            gateway.secret_key(),
            gateway.access_key(),
            gateway.endpoint(),
        ] {
            assert!(!page.contains(secret));
        }
    }
    // A gateway that cannot be reached any more: the client's errors about it are not sent to the browser.
    let (access_key, secret_key) = (
        gateway.access_key().to_owned(),
        gateway.secret_key().to_owned(),
    );
    let endpoint = gateway.endpoint().to_owned();
    gateway.stop();
    let all = format!("{:?}", run(&server, "bash", "env"));
    assert!(all.contains("could not be run"), "{all}");
    for secret in [access_key, secret_key, endpoint.replace("http://", "")] {
        assert!(!all.contains(&secret), "{all}");
    }
}

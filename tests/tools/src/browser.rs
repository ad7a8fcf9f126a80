//! A headless Chromium, driven through its DevTools protocol.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::need_one_of;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

/// Only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page. It is closed when this is dropped.
pub struct Browser {
    process: Child,
    socket: WebSocket<TcpStream>,
    commands: u64,
    page: Option<String>,
    complaints: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    /// Starts one, if it is installed. It can reach only this machine.
    ///
    /// # Panics
    ///
    /// If it is missing and `CI` is set, or does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        let names = ["chromium-headless-shell", "chromium", "google-chrome"];
        let program = need_one_of(&names)?;
        let profile = tempfile::tempdir().expect("a directory");
        let process = Command::new(program)
            .args(["--headless", "--disable-gpu", "--no-first-run"])
            // It opens only pages of these tests; its sandbox is not available to root.
            .args(["--no-sandbox", "--disable-dev-shm-usage"])
            .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
            .arg("--remote-debugging-port=0")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it is on the path");
        // The port and a path, one on each line.
        let file = profile.path().join("DevToolsActivePort");
        let words = wait_for("the browser", || {
            let words = std::fs::read_to_string(&file).ok()?;
            words.contains("\n/").then_some(words)
        });
        let (port, path) = words.trim().split_once('\n').expect("two lines");
        let stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("its DevTools");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let (socket, _) = tungstenite::client(format!("ws://127.0.0.1:{port}{path}"), stream)
            .expect("a WebSocket");
        let mut browser = Self {
            process,
            socket,
            commands: 0,
            page: None,
            complaints: Vec::new(),
            _profile: profile,
        };
        let page = browser.command("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        let session = browser.command("Target.attachToTarget", attach);
        browser.page = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            browser.command(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Opens a page.
    ///
    /// # Panics
    ///
    /// If it cannot be opened.
    pub fn open(&mut self, url: &str) {
        let opened = self.command("Page.navigate", json!({"url": url}));
        assert!(opened["errorText"].is_null(), "{opened}");
        self.wait_for("document.readyState === 'complete'");
    }

    /// The value of an expression on the page; for a promise, its result.
    ///
    /// # Panics
    ///
    /// If it throws.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let evaluate =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut result = self.command("Runtime.evaluate", evaluate);
        assert!(result["exceptionDetails"].is_null(), "{result}");
        result["result"]["value"].take()
    }

    /// Waits until an expression on the page is true.
    ///
    /// # Panics
    ///
    /// If it does not become true.
    pub fn wait_for(&mut self, condition: &str) {
        let start = Instant::now();
        while self.evaluate(condition) != true {
            if start.elapsed() > PATIENCE {
                let text = self.evaluate("document.body.innerText");
                panic!("never {condition}: {text}\n{:?}", self.complaints);
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Types into the focused element.
    pub fn type_text(&mut self, text: &str) {
        self.command("Input.insertText", json!({"text": text}));
    }

    /// Presses Enter.
    pub fn press_enter(&mut self) {
        for (kind, text) in [("keyDown", "\r"), ("keyUp", "")] {
            let key = json!({
                "type": kind, "key": "Enter", "code": "Enter", "text": text,
                "windowsVirtualKeyCode": 13,
            });
            self.command("Input.dispatchKeyEvent", key);
        }
    }

    /// Presses and releases the tab key.
    pub fn press_tab(&mut self) {
        for kind in ["rawKeyDown", "keyUp"] {
            let key = json!({
                "type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9,
            });
            self.command("Input.dispatchKeyEvent", key);
        }
    }

    /// Changes the window's size.
    pub fn resize(&mut self, width: u32, height: u32) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// What the window shows, as PNG.
    ///
    /// # Panics
    ///
    /// If the browser does not say.
    pub fn screenshot(&mut self) -> Vec<u8> {
        let shot = self.command("Page.captureScreenshot", json!({"format": "png"}));
        let text = shot["data"].as_str().expect("a picture");
        STANDARD.decode(text).expect("base64")
    }

    /// Errors of the page so far: exceptions, and actions that the browser refused.
    #[must_use]
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    fn command(&mut self, method: &str, parameters: Value) -> Value {
        self.commands += 1;
        let mut command = json!({"id": self.commands, "method": method, "params": parameters});
        if let Some(page) = &self.page {
            command["sessionId"] = page.as_str().into();
        }
        let message = Message::text(command.to_string());
        self.socket.send(message).expect("the browser listens");
        loop {
            let message = self.socket.read().expect("an answer");
            let Message::Text(text) = message else {
                continue;
            };
            let mut answer: Value = serde_json::from_str(&text).expect("JSON");
            if answer["id"] == self.commands {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
            let is_error = answer["params"]["entry"]["level"] == "error";
            if is_error || answer["method"] == "Runtime.exceptionThrown" {
                self.complaints.push(answer["params"].to_string());
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its other processes end with it.
        let close = json!({"id": 0, "method": "Browser.close"}).to_string();
        if self.socket.send(Message::text(close)).is_err() {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

fn wait_for<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "{what} did not come");
        thread::sleep(Duration::from_millis(20));
    }
}

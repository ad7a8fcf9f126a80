//! JupyterLab in a browser.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sorna_test_tools::browser::Browser;
use sorna_test_tools::need_jupyter;

use super::peer::{House, TOKEN};
use crate::support::{eventually, here, program, write};
use crate::{Lab, notebook};

/// Jupyter's own server, which ends when this is dropped.
struct Own(Child);

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const PLOT: &str = "\
import matplotlib.pyplot as plt
x = range(50)
plt.figure(figsize=(6, 2.4))
plt.plot(x, [n * n for n in x], label='squares')
plt.plot(x, [40 * n for n in x], label='40 n')
plt.legend()
plt.show()";

/// Carries out a command of JupyterLab.
fn command(browser: &mut Browser, name: &str) {
    browser.evaluate(&format!("(jupyterapp.commands.execute('{name}'), true)"));
}

/// Puts code into a new cell at the end, and runs it.
fn run(browser: &mut Browser, code: &str) {
    let code = Value::from(code);
    browser.evaluate(&format!(
        "(async () => {{
            const panel = jupyterapp.shell.currentWidget;
            await jupyterapp.commands.execute('notebook:move-cursor-down');
            panel.content.activeCellIndex = panel.content.widgets.length - 1;
            await jupyterapp.commands.execute('notebook:insert-cell-below');
            panel.content.activeCell.model.sharedModel.setSource({code});
            jupyterapp.commands.execute('notebook:run-cell');
            return true;
        }})()"
    ));
}

/// The text of the last cell's output.
const OUTPUT: &str = "[...document.querySelectorAll('.jp-CodeCell')].at(-1)?.querySelector('.jp-OutputArea')?.innerText ?? ''";

#[test]
fn a_notebook_is_used_in_the_browser() {
    let Some(python) = need_jupyter() else {
        return;
    };
    let Some(mut browser) = Browser::start() else {
        return;
    };
    // The kernels' Python is the one that has matplotlib.
    let prefix = python.parent().and_then(Path::parent).expect("a prefix");
    let house = House::with(|command| command.arg("--venv").arg(prefix));
    let lab = Lab {
        directory: here(),
        python: python.clone(),
    };
    let text = notebook(&[PLOT, "6 * 7"]).replace("sorna-local-python3", "python3");
    write(lab.path(), &[("squares.ipynb", &text)]);
    let port = {
        let free = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        free.local_addr().expect("an address").port()
    };
    let log = File::create(lab.path().join("log")).expect("a file");
    let mut server = lab.prepared(program(&python, lab.path()));
    server
        .args([
            "-m",
            "jupyterlab",
            "--allow-root",
            "--no-browser",
            "--expose-app-in-browser",
        ])
        .args([
            "--ServerApp.port_retries=0",
            "--IdentityProvider.token=own",
            "--ServerApp.root_dir=.",
        ])
        .arg(format!("--ServerApp.port={port}"))
        // What it would load from elsewhere.
        .args([
            "--LabApp.news_url=None",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ])
        .arg(format!("--gateway-url={}", house.url()))
        .env("JUPYTER_GATEWAY_AUTH_TOKEN", TOKEN)
        .stderr(log);
    let _own = Own(server.spawn().expect("it starts"));
    eventually("JupyterLab listens", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    browser.resize(1000, 760);
    browser.open(&format!(
        "http://127.0.0.1:{port}/lab/tree/squares.ipynb?token=own"
    ));
    // It is told of a kernel before it has connected to it.
    let is_idle = "(() => {
        const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
        return kernel?.connectionStatus === 'connected' && kernel?.status === 'idle' && document.querySelector('.jp-CodeCell') !== null;
    })()";
    browser.wait_for(is_idle);

    browser.wait_for("window.jupyterapp.shell.currentWidget.context.isReady");

    // What matplotlib says when it looks for fonts is no part of the notebook.
    browser.evaluate(
        "(() => {
            const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            const code = 'import matplotlib.pyplot';
            kernel.requestExecute({code, silent: true, store_history: false}).done.then(() => window.isWarm = true);
            return true;
        })()",
    );
    browser.wait_for("window.isWarm === true");

    // A plot, and a value.
    command(&mut browser, "notebook:run-all-cells");
    browser.wait_for("document.querySelector('.jp-OutputArea-output img')?.naturalWidth > 100");
    browser.wait_for(&format!("({OUTPUT}).includes('42')"));
    if let Some(path) = std::env::var_os("SORNA_TEST_SCREENSHOT") {
        command(&mut browser, "application:toggle-left-area");
        browser.wait_for(is_idle);
        fs::write(path, browser.screenshot()).expect("a file");
    }

    // An answer.
    run(&mut browser, "print('Hello', input('Who? '))");
    browser.wait_for("document.activeElement?.classList.contains('jp-Stdin-input') ?? false");
    browser.type_text("Née");
    browser.press_enter();
    browser.wait_for(&format!("({OUTPUT}).includes('Hello Née')"));

    // An interrupt keeps variables.
    run(
        &mut browser,
        "kept = 'kept'\nprint('begun')\nwhile True: pass",
    );
    browser.wait_for(&format!("({OUTPUT}).includes('begun')"));
    command(&mut browser, "notebook:interrupt-kernel");
    browser.wait_for(&format!("({OUTPUT}).includes('KeyboardInterrupt')"));
    run(&mut browser, "print('still', kept)");
    browser.wait_for(&format!("({OUTPUT}).includes('still kept')"));

    // Completion, as the page asks for it.
    let matches = browser.evaluate(
        "(async () => {
            const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            const reply = await kernel.requestComplete({code: 'kep', cursor_pos: 3});
            return reply.content.matches;
        })()",
    );
    assert_eq!(matches, json!(["kept"]));

    // And by the key, which shows the candidates, or takes the only one at once.
    run(&mut browser, "");
    browser.evaluate(
        "(async () => {
            const panel = jupyterapp.shell.currentWidget;
            panel.content.activeCellIndex = panel.content.widgets.length - 1;
            await jupyterapp.commands.execute('notebook:enter-edit-mode');
            panel.content.activeCell.editor.focus();
            return true;
        })()",
    );
    browser.wait_for("jupyterapp.shell.currentWidget.content.activeCell.editor.hasFocus()");
    browser.type_text("kep");
    browser.wait_for(
        "(document.activeElement?.closest('.jp-mod-completer-enabled') ?? null) !== null",
    );
    let candidates = "document.querySelector('.jp-Completer:not(.lm-mod-hidden)')?.innerText ?? ''";
    let code = "jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.getSource()";
    let is_there = format!("(({candidates}) + ({code})).includes('kept')");
    // The page takes no notice of the key before it has made a completer for the cell.
    eventually("the candidate", || {
        browser.press_tab();
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until && browser.evaluate(&is_there) != true {
            thread::sleep(Duration::from_millis(50));
        }
        browser.evaluate(&is_there) == true
    });

    // A restart loses them.
    command(&mut browser, "notebook:restart-kernel");
    browser.wait_for("document.querySelector('.jp-Dialog .jp-mod-accept') !== null");
    browser.evaluate("(document.querySelector('.jp-Dialog .jp-mod-accept').click(), true)");
    browser.wait_for("document.querySelector('.jp-Dialog') === null");
    browser.wait_for(is_idle);
    run(&mut browser, "print('kept' in globals(), 'after')");
    browser.wait_for(&format!("({OUTPUT}).includes('False after')"));

    // The end of the notebook is that of its kernel.
    browser.evaluate("(jupyterapp.shell.currentWidget.sessionContext.shutdown(), true)");
    eventually("the kernel ends", || {
        house.call("GET /api/kernels", "").1 == json!([])
    });
}

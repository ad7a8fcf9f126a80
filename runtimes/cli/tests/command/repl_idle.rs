//! An open `sorna repl` keeps its kernel; and kernels that end nevertheless. In a real terminal, in both dialects.

use std::time::Duration;

use rustix::process::Signal;
use sorna::blocking::Client;
use sorna::{ApiVersion, KernelId};
use sorna_gateway::{GatewayConfig, RunningGateway};
use sorna_test_tools::need;

use crate::support::prompt::{open, runs};
use crate::support::terminal::Terminal;
use crate::support::{eventually, gateway_with, here};

const DIALECTS: [&str; 2] = ["sorna", "backend-ai"];
/// So long that a prompt has asked for its kernel many times meanwhile, also on a machine that is busy.
const IDLE: Duration = Duration::from_secs(3);

/// In each language, a snippet, and one that shows what that has left.
const LANGUAGES: [(&str, &str, &str, &str); 3] = [
    ("python3", "x = 41", "print(x + 1)", "42"),
    ("bash", "x=41", "echo $((x + 1))", "42"),
    ("perl", "$x = 41", "print $x + 1, \"\\n\"", "42"),
];

fn client(gateway: &RunningGateway, api: &str) -> Client {
    Client::new(match api {
        "sorna" => gateway.config(),
        _ => gateway.config().with_version(ApiVersion::V9_20250722),
    })
}

/// The ID that is shown first.
fn id(terminal: &Terminal) -> KernelId {
    let shown = terminal.transcript();
    let id = shown.split("(ID: ").nth(1);
    let id = id.and_then(|it| it.split(')').next()).expect("an ID");
    KernelId::new(id).expect("an ID")
}

/// Whether there is this kernel, without using it.
fn lives(client: &Client, id: &KernelId) -> bool {
    client.kernel(id.clone()).info().is_ok()
}

/// Creates a kernel that no one uses, and waits until it ends: by then, any other that is not in use has ended, too.
fn pass(client: &Client) {
    let kernel = client.create("bash").expect("a kernel");
    eventually("a kernel that nobody uses ends", || {
        !lives(client, kernel.id())
    });
}

#[test]
fn an_open_prompt_keeps_its_kernel_and_a_closed_one_does_not() {
    let gateway = gateway_with(GatewayConfig::default().with_idle_timeout(IDLE));
    let directory = here();
    let all: Vec<_> = DIALECTS
        .iter()
        .flat_map(|api| LANGUAGES.map(|language| (*api, language)))
        .filter(|(_, language)| need(language.0))
        .collect();
    let mut terminals: Vec<_> = all
        .iter()
        .map(|(api, (lang, first, ..))| {
            let token = format!("kept-{lang}");
            let mut terminal = open(directory.path(), &gateway, api, &["-t", &token, lang]);
            runs(&mut terminal, first, "");
            terminal
        })
        .collect();
    // It asks for that, and executes nothing.
    let before = gateway.stats().executions;
    let other = client(&gateway, DIALECTS[0]);
    pass(&other);
    pass(&other);
    assert_eq!(gateway.stats().executions, before);
    for (terminal, (_, (.., then, shown))) in terminals.iter_mut().zip(&all) {
        runs(terminal, then, shown);
        let transcript = terminal.transcript();
        assert!(!transcript.contains("had ended"), "{transcript}");
        terminal.types("\x04");
        assert_eq!(terminal.ends(), Some(0));
    }
    eventually("what is left ends", || gateway.stats().kernels == 0);
    gateway.stop();
}

#[test]
fn an_idle_timeout_that_is_asked_for_is_kept_to_as_well() {
    let gateway = gateway_with(GatewayConfig::default());
    let directory = here();
    for api in DIALECTS {
        let arguments = ["--idle-timeout", "2s", "-t", "kept-short", "bash"];
        let mut terminal = open(directory.path(), &gateway, api, &arguments);
        runs(&mut terminal, "x=41", "");
        let (client, own) = (client(&gateway, api), id(&terminal));
        for _ in 0..2 {
            let other = client.create("bash").expect("a kernel");
            other.keep_alive(Some(IDLE)).expect("it is offered");
            eventually("its end", || !lives(&client, other.id()));
        }
        runs(&mut terminal, "echo $((x + 1))", "42");
        // The kernel that replaces it has the same time.
        client.kernel(own).destroy().expect("it is destroyed");
        runs(&mut terminal, "echo", "had ended");
        // It is told beside what is typed, and some of it has passed.
        eventually("the same time", || {
            runs(&mut terminal, "%info", "if nothing uses it");
            let shown = terminal.transcript();
            shown[shown.rfind("Ends").expect("its line")..].contains(" s if nothing")
        });
        terminal.types("\x04");
        assert_eq!(terminal.ends(), Some(0));
        eventually("its end", || gateway.stats().kernels == 0);
    }
    gateway.stop();
}

#[test]
fn what_was_typed_for_a_kernel_that_has_ended_is_not_run() {
    let gateway = gateway_with(GatewayConfig::default().with_idle_timeout(IDLE));
    let directory = here();
    for api in DIALECTS {
        for (lang, code, then, shown) in LANGUAGES {
            if !need(lang) {
                continue;
            }
            let mut terminal = open(directory.path(), &gateway, api, &[lang]);
            let first = id(&terminal);
            // As on a machine that sleeps.
            terminal.signal(Signal::STOP);
            let client = client(&gateway, api);
            eventually("its end", || !lives(&client, &first));
            terminal.signal(Signal::CONT);
            let executions = gateway.stats().executions;
            runs(&mut terminal, code, "what you typed was not run");
            let transcript = terminal.transcript();
            let words = format!(
                " {first} had ended: the kernel was destroyed after 3 s in which nothing ran in it, printed or was attached. This is a new one"
            );
            assert!(
                transcript.replace("\r\n", "").contains(&words),
                "{transcript}"
            );
            assert_eq!(gateway.stats().executions, executions, "{lang}");
            // The arrow has it.
            runs(&mut terminal, "\x1b[A", "");
            runs(&mut terminal, then, shown);
            terminal.types("\x04");
            assert_eq!(terminal.ends(), Some(0), "{lang}");
            assert_eq!(gateway.stats().kernels, 0, "the kernel is destroyed");
        }
    }
    gateway.stop();
}

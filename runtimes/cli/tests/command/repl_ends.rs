//! How interpreters end in `sorna repl`, in a real terminal, in both dialects.

use std::time::Duration;

use sorna::KernelId;
use sorna::blocking::Client;
use sorna_gateway::GatewayConfig;
use sorna_test_tools::need;

use crate::support::prompt::{open, prompts, runs};
use crate::support::{eventually, gateway, gateway_with, here};

const DIALECTS: [&str; 2] = ["sorna", "backend-ai"];

/// In each language, its command, what prints `bye` at the end of an interpreter, and the exit code that it makes.
const HOOKS: &[(&str, &str, &str, i32)] = &[
    (
        "python3",
        "python3",
        "import atexit; atexit.register(lambda: print('b' + 'ye')); None",
        0,
    ),
    (
        "python3",
        "python3",
        "import atexit, os; atexit.register(lambda: (print('b' + 'ye', flush=True), os._exit(6))); None",
        6,
    ),
    ("bash", "bash", "trap 'echo b\"\"ye' EXIT", 0),
    ("bash", "bash", "trap 'echo b\"\"ye; exit 5' EXIT", 5),
    ("ruby", "ruby", "at_exit { puts 'b' + 'ye'; exit 7 }", 7),
    ("perl", "perl", "END { print 'b' . \"ye\\n\"; $? = 3 }", 3),
    (
        "nodejs",
        "node",
        "process.on('exit', () => { console.log('b' + 'ye'); process.exitCode = 4 })",
        4,
    ),
    (
        "php",
        "php",
        "register_shutdown_function(function() { echo 'b' . \"ye\\n\"; });",
        0,
    ),
    (
        "lua",
        "lua",
        "g = setmetatable({}, {__gc = function() print('b' .. 'ye') end})",
        0,
    ),
    (
        "r",
        "Rscript",
        ".Last <- function() cat(paste0('b', 'ye'))",
        0,
    ),
    (
        "r",
        "Rscript",
        "e <- new.env(); reg.finalizer(e, function(x) cat(paste0('b', 'ye')), onexit = TRUE)",
        0,
    ),
];

#[test]
fn what_interpreters_do_at_their_end_is_shown() {
    let (gateway, directory) = (gateway(), here());
    for (at, (language, command, hook, code)) in HOOKS.iter().enumerate() {
        if !need(command) {
            continue;
        }
        let api = DIALECTS[at % 2];
        let mut terminal = open(directory.path(), &gateway, api, &[language]);
        runs(&mut terminal, hook, "");
        terminal.types(["\x04", "exit\r", "%quit\r"][at % 3]);
        terminal.shows("bye");
        terminal.shows("Cleaned up the ");
        assert_eq!(terminal.ends(), Some(*code), "{hook}");
        assert!(terminal.shows_typing(), "the terminal is restored");
        assert_eq!(gateway.stats().kernels, 0, "the kernel is destroyed");
    }
    gateway.stop();
}

#[test]
fn what_is_typed_before_the_next_prompt_is_for_it() {
    for api in DIALECTS {
        // Ctrl-D ends it, also after a whole line. What is unfinished it does not end.
        for (ahead, shown) in [
            ("\x04", ""),
            ("7 * 6\n\x04", "42\r\n"),
            ("1 + \x041\n\x04", "2\r\n"),
        ] {
            let (gateway, directory) = (gateway(), here());
            let sign = directory.path().join("go");
            let mut terminal = open(directory.path(), &gateway, api, &["python3"]);
            terminal.types(&format!(
                "import os; print('be' + 'gun', flush=True)\rwhile not os.path.exists({sign:?}): pass\r\r"
            ));
            terminal.shows("begun");
            terminal.shows("pass");
            terminal.shows("\x1b[?2004l");
            eventually("the usual mode", || terminal.shows_typing());
            terminal.types(ahead);
            std::fs::write(&sign, "").expect("a file");
            terminal.shows(shown);
            terminal.shows("Cleaned up the ");
            assert_eq!(terminal.ends(), Some(0), "{ahead:?}");
            gateway.stop();
        }
        // Ctrl-Space, which looks the same, does not, and nothing at all changes nothing.
        let (gateway, directory) = (gateway(), here());
        let mut terminal = open(directory.path(), &gateway, api, &["python3"]);
        terminal.types("\0");
        runs(&mut terminal, "7 * 6", "42\r\n");
        terminal.types("\x04");
        assert_eq!(terminal.ends(), Some(0));
        gateway.stop();
    }
}

#[test]
fn kernels_that_are_kept_run_no_hooks() {
    let (gateway, directory) = (gateway(), here());
    for (at, (language, command, hook, _)) in HOOKS.iter().enumerate() {
        if !need(command) {
            continue;
        }
        let token = format!("session-{at}");
        let arguments = ["-t", &token, language];
        let mut terminal = open(directory.path(), &gateway, DIALECTS[at % 2], &arguments);
        runs(&mut terminal, hook, "");
        terminal.types("\x04");
        let rest = terminal.rest();
        assert!(!rest.contains("bye"), "{hook}: {rest}");
        assert_eq!(terminal.ends(), Some(0), "{hook}");
    }
    gateway.stop();
}

#[test]
fn hooks_may_ask_for_lines() {
    for api in DIALECTS {
        let (gateway, directory) = (gateway(), here());
        for (language, hook) in [
            (
                "python3",
                "import atexit; atexit.register(lambda: print('hi-' + input('who? '))); None",
            ),
            ("bash", "trap 'read -rp \"who? \" x; echo \"hi-$x\"' EXIT"),
        ] {
            let mut terminal = open(directory.path(), &gateway, api, &[language]);
            runs(&mut terminal, hook, "");
            terminal.types("\x04");
            terminal.shows("who? ");
            eventually("the usual mode", || terminal.shows_typing());
            terminal.types("Ada\n");
            terminal.shows("hi-Ada");
            assert_eq!(terminal.ends(), Some(0), "{hook}");
        }
        gateway.stop();
    }
}

#[test]
fn ctrl_c_ends_hooks_that_do_not_end() {
    for api in DIALECTS {
        let (gateway, directory) = (gateway(), here());
        // Once for those that can be interrupted, and twice for others.
        for (language, hook, is_deaf) in [
            (
                "python3",
                "import atexit, time; atexit.register(lambda: (print('up-%d' % 1), time.sleep(600))); None",
                false,
            ),
            ("bash", "trap 'echo up-$((1)); sleep 600' EXIT", false),
            (
                "python3",
                "import atexit, signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); atexit.register(lambda: (print('up-%d' % 1), time.sleep(600))); None",
                true,
            ),
        ] {
            let mut terminal = open(directory.path(), &gateway, api, &[language]);
            runs(&mut terminal, hook, "");
            terminal.types("\x04");
            terminal.shows("up-1");
            terminal.types("\x03");
            if is_deaf {
                terminal.shows("Press Ctrl-C again to leave.");
                // At once it would be the same signal.
                std::thread::sleep(Duration::from_millis(300));
                terminal.types("\x03");
                assert_eq!(terminal.ends(), Some(130), "{hook}");
            } else {
                terminal.shows("Cleaned up the ");
                assert!(terminal.ends().is_some(), "{hook}");
            }
            assert!(terminal.shows_typing(), "the terminal is restored");
            assert_eq!(gateway.stats().kernels, 0, "the kernel is destroyed");
        }
        gateway.stop();
    }
}

#[test]
fn an_end_that_takes_too_long_is_bounded() {
    let gateway = gateway_with(GatewayConfig::default().with_exec_timeout(Duration::from_secs(1)));
    let directory = here();
    let hook = "import atexit, time; atexit.register(time.sleep, 600); None";
    let mut terminal = open(directory.path(), &gateway, "sorna", &["python3"]);
    runs(&mut terminal, hook, "");
    terminal.types("\x04");
    terminal.shows("The interpreter exceeded its time limit at its end and was killed.");
    assert_eq!(terminal.ends(), Some(124));
    gateway.stop();
    // Where the gateway allows more, the command does not.
    let gateway =
        gateway_with(GatewayConfig::default().with_exec_timeout(Duration::from_secs(600)));
    let mut terminal = open(directory.path(), &gateway, "sorna", &["python3"]);
    runs(&mut terminal, hook, "");
    terminal.types("\x04");
    terminal.shows("The interpreter has not ended yet");
    terminal.shows("It is killed.");
    terminal.shows("Cleaned up the kernel.");
    assert_eq!(terminal.ends(), Some(1));
    assert_eq!(gateway.stats().kernels, 0, "the kernel is destroyed");
    gateway.stop();
}

#[test]
fn the_interpreter_of_a_kernel_that_was_replaced_ends_as_well() {
    for api in DIALECTS {
        let (gateway, directory) = (gateway(), here());
        let mut terminal = open(directory.path(), &gateway, api, &["python3"]);
        let shown = terminal.transcript();
        let id = shown.split("(ID: ").nth(1);
        let id = id.and_then(|it| it.split(')').next()).expect("an ID");
        let id = KernelId::new(id).expect("an ID");
        let config = match api {
            "sorna" => gateway.config(),
            _ => gateway
                .config()
                .with_version(sorna::ApiVersion::V9_20250722),
        };
        Client::new(config)
            .kernel(id)
            .destroy()
            .expect("it is destroyed");
        let hook = "import atexit; atexit.register(lambda: print('b' + 'ye')); None";
        runs(&mut terminal, hook, "had ended");
        // That one was not run.
        runs(&mut terminal, hook, "");
        terminal.types("\x04");
        terminal.shows("bye");
        terminal.shows("Cleaned up the ");
        assert_eq!(terminal.ends(), Some(0));
        assert_eq!(gateway.stats().kernels, 0);
        gateway.stop();
    }
}

#[test]
fn what_is_lost_with_an_interpreter_is_said() {
    const LOST: &str =
        "variables are lost, and files are kept. What you type next runs in a new one.";
    for api in DIALECTS {
        let config = GatewayConfig::default().with_exec_timeout(Duration::from_secs(2));
        let gateway = gateway_with(config.with_max_memory(300 << 20));
        let directory = here();
        for (language, code, words) in [
            (
                "python3",
                "import os; os._exit(6)",
                "The program has ended its interpreter, with exit code 6",
            ),
            (
                "bash",
                "exit 0",
                "The program has ended its interpreter, with exit code 0",
            ),
            (
                "bash",
                "exec false",
                "The program has ended its interpreter, with exit code 1",
            ),
            (
                "python3",
                "import time; time.sleep(600)",
                "The program exceeded its time limit of 2.0 s and was killed.",
            ),
            (
                "python3",
                "import os; [os.fork() for _ in range(2)]; x = bytearray(120 << 20); x[::4096] = bytes(len(x[::4096])); import time; time.sleep(600)",
                "The program exceeded its memory limit of 300 MiB and was killed.",
            ),
        ] {
            let mut terminal = open(directory.path(), &gateway, api, &[language]);
            terminal.types(&format!("{code}\r"));
            terminal.shows("\x1b[?2004l");
            terminal.shows(words);
            terminal.shows(LOST);
            prompts(&mut terminal);
            terminal.types("\x04");
            assert!(terminal.ends().is_some());
        }
        // These go on.
        let mut terminal = open(directory.path(), &gateway, api, &["python3"]);
        runs(&mut terminal, "x = 41", "");
        runs(
            &mut terminal,
            "raise SystemExit(3)",
            "The program has ended with exit code 3. Variables are kept.",
        );
        runs(&mut terminal, "x + 1", "42");
        terminal.types("\x04");
        assert_eq!(terminal.ends(), Some(0));
        gateway.stop();
    }
}

//! `sorna repl`, in a real terminal, in both dialects.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use sorna::KernelId;
use sorna::blocking::Client;
use sorna_gateway::RunningGateway;

use crate::support::prompt::{open, prompts, runs};
use crate::support::terminal::Terminal;
use crate::support::{check, eventually, gateway, here, sorna, sorna_at, stub, write};

const DIALECTS: [&str; 2] = ["sorna", "backend-ai"];

/// Leaves by Ctrl-D.
#[track_caller]
fn leaves(mut terminal: Terminal, gateway: &RunningGateway, code: i32) {
    terminal.types("\x04");
    terminal.shows("Cleaned up the ");
    assert_eq!(terminal.ends(), Some(code));
    assert!(terminal.shows_typing(), "the terminal is restored");
    assert_eq!(gateway.stats().kernels, 0, "the kernel is destroyed");
}

/// What was typed before, by the file of python3.
fn history(directory: &Path) -> String {
    std::fs::read_to_string(directory.join(".state/sorna/history/python3")).expect("a file")
}

#[test]
fn values_lines_and_state() {
    for api in DIALECTS {
        let (gateway, directory) = (gateway(), here());
        let mut terminal = open(directory.path(), &gateway, api, &["python3"]);
        runs(&mut terminal, "x = 6", "");
        runs(&mut terminal, "x * 7", "42\r\n");
        runs(&mut terminal, "'it' + 's'", "'its'\r\n");
        runs(&mut terminal, "1 / 0", "ZeroDivisionError");
        // An open bracket, a block that an empty line ends, and what does not end in its line.
        terminal.types("f(\r");
        terminal.types("\x03");
        prompts(&mut terminal);
        terminal.types("def double(n):\r    return n * 2\r");
        runs(&mut terminal, "", "");
        runs(&mut terminal, "double(x + 15)", "42\r\n");
        // Alt-Enter starts a line where the code could end.
        terminal.types("y = 1\x1b\r");
        runs(&mut terminal, "y + 41", "42\r\n");
        // Pasted lines are one snippet, empty ones among them.
        terminal.types("\x1b[200~def g():\n    a = 1\n\n    return a + 41\n\ng()\x1b[201~");
        runs(&mut terminal, "", "42\r\n");
        leaves(terminal, &gateway, 0);
        gateway.stop();
    }
}

#[test]
fn tab_completes_by_the_kernel_and_indents() {
    for api in DIALECTS {
        let (gateway, directory) = (gateway(), here());
        let mut terminal = open(directory.path(), &gateway, api, &["python3"]);
        runs(&mut terminal, "sorna_number = 42", "");
        terminal.types("1000 + sorna_n\t");
        terminal.shows("sorna_number");
        runs(&mut terminal, "", "1042\r\n");
        // What is ambiguous is listed.
        runs(&mut terminal, "sorna_name = 'x'", "");
        terminal.types("sorna_\t");
        terminal.types("\t");
        terminal.shows("sorna_name");
        terminal.shows("sorna_number");
        terminal.types("\x03");
        prompts(&mut terminal);
        terminal.types("if True:\r\tprint(sorna_number + 1)\r");
        runs(&mut terminal, "", "43\r\n");
        leaves(terminal, &gateway, 0);
        gateway.stop();
    }
}

#[test]
fn programs_ask_for_lines_and_passwords_which_no_history_has() {
    for api in DIALECTS {
        let (gateway, directory) = (gateway(), here());
        let mut terminal = open(directory.path(), &gateway, api, &["python3"]);
        terminal.types("name = input('who? '); 'hello ' + name\r");
        terminal.shows("\x1b[?2004l");
        terminal.shows("who? ");
        eventually("the usual mode", || terminal.shows_typing());
        terminal.types("you-and-me\n");
        terminal.shows("'hello you-and-me'");
        prompts(&mut terminal);
        terminal.types("import getpass; p = getpass.getpass('word: '); len(p)\r");
        terminal.shows("\x1b[?2004l");
        terminal.shows("word: ");
        eventually("hidden typing", || !terminal.shows_typing());
        terminal.types("a-secret-word\n");
        terminal.shows("13\r\n");
        prompts(&mut terminal);
        // Ctrl-D is the end of the input.
        terminal.types("import sys; len(sys.stdin.read()) + 42\r");
        terminal.shows("\x1b[?2004l");
        eventually("the usual mode", || terminal.shows_typing());
        terminal.types("\x04");
        terminal.shows("42\r\n");
        prompts(&mut terminal);
        let typed = history(directory.path());
        assert!(typed.contains("getpass") && !typed.contains("you-and-me"));
        assert!(!typed.contains("secret-word"));
        assert!(!terminal.transcript().contains("secret-word"));
        leaves(terminal, &gateway, 0);
        gateway.stop();
    }
}

#[test]
fn ctrl_c_interrupts_a_program_and_the_state_stays() {
    for api in DIALECTS {
        let (gateway, directory) = (gateway(), here());
        let mut terminal = open(directory.path(), &gateway, api, &["python3"]);
        runs(&mut terminal, "state = 40 + 2", "");
        terminal.types("\x1b[200~print('up-%d' % 1, flush=True)\nwhile True: pass\x1b[201~\r");
        terminal.shows("up-1");
        terminal.types("\x03");
        terminal.shows("KeyboardInterrupt");
        prompts(&mut terminal);
        runs(&mut terminal, "state", "42\r\n");
        // The same while it waits for input.
        terminal.types("input('now-%d? ' % 1)\r");
        terminal.shows("now-1? ");
        eventually("the usual mode", || terminal.shows_typing());
        terminal.types("\x03");
        terminal.shows("KeyboardInterrupt");
        prompts(&mut terminal);
        runs(&mut terminal, "state + 1", "43\r\n");
        leaves(terminal, &gateway, 0);
        gateway.stop();
    }
}

#[test]
fn where_programs_cannot_be_interrupted_that_is_said() {
    let has_run = AtomicBool::new(false);
    let address = stub::stub(move |request| {
        let result = |status: &str, console: &str| {
            let result =
                format!(r#"{{"result": {{"status": "{status}", "console": [{console}]}}}}"#);
            Some((200, result))
        };
        match (request.method.as_str(), request.path.as_str()) {
            (_, "/v2" | "/v2/") => Some((200, r#"{"version": "v2.20170315"}"#.to_owned())),
            (_, "/v2/kernel/create") => Some((201, r#"{"kernelId": "k1"}"#.to_owned())),
            ("POST", "/v2/kernel/k1") if has_run.swap(true, Ordering::Relaxed) => {
                std::thread::sleep(Duration::from_millis(100));
                result("continued", "")
            }
            ("POST", "/v2/kernel/k1") => result("continued", r#"["stdout", "up-1"]"#),
            ("DELETE", _) => Some((204, String::new())),
            _ => Some((404, "{}".to_owned())),
        }
    });
    let directory = here();
    let endpoint = format!("http://{address}");
    let environment = stub::environment(&endpoint);
    let arguments = ["repl", "--api", "sorna", "-t", "my-session", "python3"];
    let mut terminal = Terminal::open(directory.path(), None, 200, &environment, &arguments);
    prompts(&mut terminal);
    terminal.types("loop()\r");
    terminal.shows("up-1");
    terminal.types("\x03");
    terminal.shows("∙ The program cannot be interrupted: the gateway does not offer interrupts");
    terminal.shows("Press Ctrl-C again to leave.");
    // At once it would be the same signal.
    std::thread::sleep(Duration::from_millis(300));
    terminal.types("\x03");
    terminal.shows("∙ The program may still run in kernel k1");
    assert_eq!(terminal.ends(), Some(130));
}

#[test]
fn ctrl_c_twice_leaves_a_program_that_does_not_end() {
    for api in DIALECTS {
        let (gateway, directory) = (gateway(), here());
        let mut terminal = open(directory.path(), &gateway, api, &["python3"]);
        let code = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n\
                    print('up-%d' % 1, flush=True)\nwhile True: pass";
        terminal.types(&format!("\x1b[200~{code}\x1b[201~\r"));
        terminal.shows("up-1");
        terminal.types("\x03");
        terminal.shows("Press Ctrl-C again to leave.");
        // At once it would be the same signal.
        std::thread::sleep(Duration::from_millis(300));
        terminal.types("\x03");
        assert_eq!(terminal.ends(), Some(130));
        assert!(terminal.shows_typing(), "the terminal is restored");
        assert_eq!(gateway.stats().kernels, 0, "the kernel is destroyed");
        gateway.stop();
    }
}

#[test]
fn a_second_ctrl_c_counts_before_it_is_asked_for() {
    for (api, is_kept) in [("sorna", true), ("backend-ai", false)] {
        let (gateway, directory) = (gateway(), here());
        let arguments: &[&str] = match is_kept {
            true => &["-t", "my-session", "python3"],
            false => &["python3"],
        };
        let mut terminal = open(directory.path(), &gateway, api, arguments);
        let code = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n\
                    print('up-%d' % 1, flush=True)\nwhile True: pass";
        terminal.types(&format!("\x1b[200~{code}\x1b[201~\r"));
        terminal.shows("up-1");
        terminal.types("\x03");
        // A signal that comes at once is the same one.
        std::thread::sleep(Duration::from_millis(150));
        terminal.types("\x03");
        terminal.shows("Leaving");
        if is_kept {
            terminal.shows("The program may still run in");
        }
        assert_eq!(terminal.ends(), Some(130));
        assert_eq!(gateway.stats().kernels, u64::from(is_kept));
        gateway.stop();
    }
}

#[test]
fn the_next_session_has_the_history_of_the_last_one() {
    let (gateway, directory) = (gateway(), here());
    let mut first = open(directory.path(), &gateway, "sorna", &["python3"]);
    runs(&mut first, "6 * 7", "42\r\n");
    runs(&mut first, " 'not kept'", "");
    leaves(first, &gateway, 0);
    assert_eq!(history(directory.path()), "6 * 7\n");
    let file = directory.path().join(".state/sorna/history/python3");
    let mode = file.metadata().expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let mut second = open(directory.path(), &gateway, "sorna", &["python3"]);
    second.types("\x1b[A");
    second.shows("6 * 7");
    runs(&mut second, " + 1", "43\r\n");
    leaves(second, &gateway, 0);
    assert_eq!(history(directory.path()), "6 * 7\n6 * 7 + 1\n");

    let arguments = ["--no-history", "python3"];
    let mut third = open(directory.path(), &gateway, "sorna", &arguments);
    runs(&mut third, "\x1b[A'none'", "'none'\r\n");
    leaves(third, &gateway, 0);
    assert_eq!(history(directory.path()).lines().count(), 2);
    gateway.stop();
}

#[test]
fn commands_of_the_prompt() {
    for api in DIALECTS {
        let (gateway, directory) = (gateway(), here());
        write(directory.path(), &[("a b.txt", "forty-two")]);
        let mut terminal = open(directory.path(), &gateway, api, &["python3"]);
        runs(&mut terminal, "%help", "%download FILE...");
        runs(&mut terminal, "%info", "Age");
        runs(
            &mut terminal,
            "%upload 'a b.txt'",
            "Uploaded 1 file (9 bytes).",
        );
        runs(&mut terminal, "len(open('a b.txt').read())", "9\r\n");
        runs(&mut terminal, "%upload none.txt", "none.txt");
        runs(&mut terminal, "%nothing", "there is no command %nothing");
        let _ = std::fs::remove_file(directory.path().join("a b.txt"));
        runs(&mut terminal, "%download 'a b.txt'", "Downloaded 1 file.");
        let text = std::fs::read_to_string(directory.path().join("a b.txt"));
        assert_eq!(text.expect("a file"), "forty-two");
        runs(&mut terminal, "%download none.txt", "none.txt");
        runs(&mut terminal, "x = 1", "");
        runs(
            &mut terminal,
            "%restart",
            "variables are lost, files are kept.",
        );
        runs(&mut terminal, "x", "NameError");
        runs(&mut terminal, "len(open('a b.txt').read())", "9\r\n");
        leaves(terminal, &gateway, 0);
        gateway.stop();
    }
}

#[test]
fn programs_that_end_their_interpreter() {
    for api in DIALECTS {
        let (gateway, directory) = (gateway(), here());
        let mut terminal = open(directory.path(), &gateway, api, &["python3"]);
        runs(&mut terminal, "x = 1", "");
        let code = "import os; os._exit(4)";
        runs(
            &mut terminal,
            code,
            "The program has ended its interpreter, with exit code 4: variables are lost",
        );
        runs(&mut terminal, "x", "NameError");
        runs(&mut terminal, "6 * 7", "42\r\n");
        runs(
            &mut terminal,
            "exit(3)",
            "The program has ended with exit code 3.",
        );
        leaves(terminal, &gateway, 3);
        // What ends other prompts ends this one.
        let mut terminal = open(directory.path(), &gateway, api, &["python3"]);
        runs(&mut terminal, "exit(3)", "exit code 3.");
        terminal.types("exit()\r");
        terminal.shows("Cleaned up the ");
        assert_eq!(terminal.ends(), Some(0));
        gateway.stop();
    }
}

#[test]
fn a_kernel_with_a_token_is_kept() {
    for api in DIALECTS {
        let (gateway, directory) = (gateway(), here());
        let arguments = ["-t", "my-session", "python3"];
        let mut first = open(directory.path(), &gateway, api, &arguments);
        runs(&mut first, "kept = 42", "");
        first.types("\x04");
        assert_eq!(first.ends(), Some(0));
        assert_eq!(gateway.stats().kernels, 1);
        let mut second = open(directory.path(), &gateway, api, &arguments);
        runs(&mut second, "kept + 1", "43\r\n");
        second.types("\x04");
        assert_eq!(second.ends(), Some(0));
        assert_eq!(gateway.stats().kernels_created, 1);
        gateway.stop();
    }
}

#[test]
fn whether_the_session_existed_is_said() {
    let (gateway, directory) = (gateway(), here());
    for (language, words) in [
        ("python3", &["is ready, and new."][..]),
        ("python3", &["is ready."]),
        (
            "bash",
            &[
                "is ready, and new.",
                "This token has another kernel already, of python3",
            ],
        ),
    ] {
        let arguments = ["-t", "my-session", language];
        let mut terminal =
            Terminal::start_command("repl", directory.path(), Some(&gateway), &arguments);
        for words in words {
            terminal.shows(words);
        }
        prompts(&mut terminal);
        terminal.types("\x04");
        assert_eq!(terminal.ends(), Some(0));
    }
    gateway.stop();
}

#[test]
fn a_kernel_that_is_gone_is_replaced_and_the_new_one_destroyed() {
    let (gateway, directory) = (gateway(), here());
    let mut terminal = open(directory.path(), &gateway, "sorna", &["python3"]);
    let shown = terminal.transcript();
    let id = shown
        .split("(ID: ")
        .nth(1)
        .and_then(|it| it.split(')').next());
    let id = KernelId::new(id.expect("an ID")).expect("an ID");
    let client = Client::new(gateway.config());
    client.kernel(id).destroy().expect("it is destroyed");
    runs(&mut terminal, "6 * 7", "had ended");
    runs(&mut terminal, "6 * 8", "48\r\n");
    leaves(terminal, &gateway, 0);
    gateway.stop();
}

#[test]
fn signals_restore_the_terminal_and_destroy_the_kernel() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::QUIT, 131)] {
        let (gateway, directory) = (gateway(), here());
        let mut terminal = open(directory.path(), &gateway, "sorna", &["bash"]);
        eventually("raw mode", || !terminal.shows_typing());
        terminal.signal(signal);
        assert_eq!(terminal.ends(), Some(code));
        assert!(terminal.shows_typing(), "the terminal is restored");
        assert_eq!(gateway.stats().kernels, 0);
        gateway.stop();
    }
}

#[test]
fn pictures_are_shown_where_the_terminal_is_known_to_show_them() {
    let directory = here();
    let code =
        "type('P', (), {'_repr_png_': lambda s: b'\\x89PNG', '__repr__': lambda s: 'pic'})()";
    for (terminal, shown) in [("xterm-kitty", "\x1b_G"), ("xterm", "pic\r\n")] {
        let arguments = ["repl", "--local", "--media-dir", "out", "python3"];
        let environment = [("TERM", terminal)];
        let mut terminal = Terminal::open(directory.path(), None, 90, &environment, &arguments);
        prompts(&mut terminal);
        runs(&mut terminal, code, shown);
        terminal.types("\x04");
        assert_eq!(terminal.ends(), Some(0));
    }
    assert!(directory.path().join("out/output-2.png").exists());
}

#[test]
fn text_of_any_kind_is_shown_and_what_cannot_be_is_mentioned() {
    let (gateway, directory) = (gateway(), here());
    let mut terminal = open(directory.path(), &gateway, "sorna", &["python3"]);
    for (form, value, shown) in [
        ("markdown", "'*4' '2*'", "*42*\r\n"),
        ("latex", "'$4' '2$'", "$42$\r\n"),
        ("json", "{'4' '2': 1}", "{\"42\": 1}\r\n"),
        (
            "html",
            "'<b>'",
            "Output that cannot be shown here: text/html, 3 bytes.",
        ),
    ] {
        let code = format!("display(type('Form', (), {{'_repr_{form}_': lambda s: {value}}})())");
        runs(&mut terminal, &code, shown);
    }
    leaves(terminal, &gateway, 0);
    gateway.stop();
}

#[test]
fn without_a_terminal_there_is_advice() {
    let directory = here();
    let mut command = sorna(directory.path());
    command.args(["repl", "--local", "python3"]);
    check(command).code(2).stdout_eq("").stderr_eq(
        "✘ a prompt needs a terminal, and standard input is not one\n\
         ∙ To run code from a file or a pipe, use `sorna run LANG < FILE`, or `COMMAND | sorna run LANG`.\n",
    );
}

#[test]
fn shells_and_other_languages() {
    let (gateway, directory) = (gateway(), here());
    let mut terminal = open(directory.path(), &gateway, "sorna", &["bash"]);
    terminal.types("for i in 1 2; do\recho n$((i + 40))\r");
    runs(&mut terminal, "done", "n42\r\n");
    runs(&mut terminal, "false", "");
    runs(&mut terminal, "exit 4", "exit code 4: variables are lost");
    leaves(terminal, &gateway, 4);
    let mut command = sorna_at(directory.path(), &gateway);
    command.args(["repl", "cobol"]);
    check(command).code(2);
    gateway.stop();
}

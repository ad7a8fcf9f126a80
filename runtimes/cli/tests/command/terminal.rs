//! `sorna run` in a real terminal: colors, signs, progress lines and their width.

use crate::support::terminal::{Terminal, screen};
use crate::support::{gateway, here, sorna, stub, write};

/// A program that ends once this file exists.
fn waits_for(directory: &std::path::Path) -> (std::path::PathBuf, String) {
    let sign = directory.join("go");
    let code = format!(
        "import os, time\nwhile not os.path.exists({sign:?}): time.sleep(0.01)\nprint('went', end='')"
    );
    (sign, code)
}

#[test]
fn a_spinner_moves_while_the_program_is_silent_and_leaves_nothing() {
    let directory = here();
    let gateway = gateway();
    let (sign, code) = waits_for(directory.path());
    let arguments = ["run", "python3", "-c", &code];
    let mut terminal = Terminal::open(directory.path(), Some(&gateway), 90, &[], &arguments);
    terminal.shows("is ready.");
    terminal.shows("\u{1b}[93m⋯ Running your code...");
    for turn in ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏', '⠋'] {
        terminal.shows(&turn.to_string());
    }
    std::fs::write(sign, "").expect("a file");
    // The line is erased before the program's output, which is unchanged; what follows it starts a new line.
    terminal.shows("\r\x1b[2Kwent\r\n");
    let rest = terminal.rest();
    let after = screen(&rest);
    assert_eq!(after, "✔ Cleaned up the kernel.\n", "{rest:?}");
    assert_eq!(terminal.ends(), Some(0));
    gateway.stop();
}

#[test]
fn nothing_moves_when_quiet_on_build_servers_or_dumb_terminals() {
    let directory = here();
    let gateway = gateway();
    let run = |environment: &[(&str, &str)], arguments: &[&str]| {
        let arguments = [&["run"], arguments, &["bash", "-c", "sleep 0.3; echo done"]].concat();
        Terminal::open(
            directory.path(),
            Some(&gateway),
            90,
            environment,
            &arguments,
        )
        .rest()
    };
    for environment in [("CI", "true"), ("TERM", "dumb"), ("TERM", "")] {
        let text = run(&[environment], &["--color", "never"]);
        assert!(!text.contains('\x1b') && !text.contains('⋯'), "{text:?}");
        assert!(text.contains("✔ Cleaned up the kernel.\r\n"), "{text:?}");
    }
    assert_eq!(run(&[], &["-q"]), "done\r\n");
    gateway.stop();
}

#[test]
fn colors_follow_options_and_environment() {
    let directory = here();
    let gateway = gateway();
    let colored = |environment: &[(&str, &str)], options: &[&str]| {
        let arguments = [options, &["run", "bash", "-c", "printf '\\033[7mx'"]].concat();
        let text = Terminal::open(
            directory.path(),
            Some(&gateway),
            90,
            environment,
            &arguments,
        )
        .rest();
        assert!(text.contains("\x1b[7mx"), "the program's own: {text:?}");
        text.contains("\x1b[92m✔")
    };
    assert!(colored(&[], &[]));
    assert!(!colored(&[("NO_COLOR", "1")], &[]));
    assert!(colored(&[("NO_COLOR", "1")], &["--color", "always"]));
    assert!(!colored(&[], &["--color", "never"]));
    assert!(!colored(&[("TERM", "dumb")], &[]));
    gateway.stop();
}

#[test]
fn pipes_are_colored_on_request() {
    let directory = here();
    for (environment, option, expected) in [
        (None, "--color=auto", false),
        (None, "--color=always", true),
        (Some(("CLICOLOR_FORCE", "1")), "--color=auto", true),
        (Some(("CLICOLOR_FORCE", "1")), "--color=never", false),
    ] {
        let mut command = sorna(directory.path());
        command.envs(environment);
        command.args(["run", option, "python3", "-c", "1"]);
        let words = String::from_utf8(command.output().expect("sorna runs").stderr).expect("text");
        assert_eq!(words.contains("\x1b[91m✘"), expected, "{option}: {words:?}");
        assert!(!words.contains("\x1b[2K"), "{words:?}");
    }
}

#[test]
fn signs_are_ascii_where_the_locale_is() {
    let directory = here();
    let gateway = gateway();
    let (sign, code) = waits_for(directory.path());
    let arguments = ["run", "python3", "-c", &code];
    let environment = [("LC_ALL", "C"), ("NO_COLOR", "1")];
    let mut terminal = Terminal::open(
        directory.path(),
        Some(&gateway),
        90,
        &environment,
        &arguments,
    );
    terminal.shows("* Client session token: ");
    terminal.shows("+ Kernel (ID: ");
    terminal.shows(". Running your code... |");
    terminal.shows(". Running your code... /");
    std::fs::write(sign, "").expect("a file");
    let rest = terminal.rest();
    assert!(rest.is_ascii(), "{rest:?}");
    assert!(rest.ends_with("+ Cleaned up the kernel.\r\n"), "{rest:?}");
    gateway.stop();
}

fn many_files(directory: &std::path::Path) {
    let content = "x".repeat(300 * 1024);
    for number in 0..40 {
        write(directory, &[(&format!("data/{number}.txt"), &content)]);
    }
}

#[test]
fn an_upload_shows_its_progress() {
    let directory = here();
    let gateway = gateway();
    many_files(directory.path());
    let arguments = ["run", "bash", "data", "-b", "", "-e", "ls data | wc -l"];
    let mut terminal = Terminal::open(
        directory.path(),
        Some(&gateway),
        100,
        &[("NO_COLOR", "1")],
        &arguments,
    );
    terminal.shows("⋯ Uploading source files... ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ 0/40 files, 0.0/11.7 MiB");
    terminal.shows("⋯ Uploading source files... ━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌ 19/40 files, 5.5/11.7 MiB");
    terminal.shows("38/40 files, 11.1/11.7 MiB");
    terminal.shows("✔ Uploaded 40 files.\r\n");
    terminal.shows("40\r\n");
    assert_eq!(terminal.ends(), Some(0));
    gateway.stop();
}

#[test]
fn in_a_narrow_window_no_progress_line_wraps() {
    let directory = here();
    let gateway = gateway();
    many_files(directory.path());
    let arguments = ["run", "bash", "data", "-b", "", "-e", "sleep 0.3"];
    for columns in [12, 40, 60] {
        let text = Terminal::open(
            directory.path(),
            Some(&gateway),
            columns,
            &[("NO_COLOR", "1")],
            &arguments,
        )
        .rest();
        let mut moving = 0;
        // Each is drawn from the start of its line, and ends with an erased rest.
        for line in text.split('\r').filter(|part| part.starts_with('⋯')) {
            let line = line.split("\x1b[K").next().expect("a part");
            let width = line.chars().count();
            assert!(
                width < usize::from(columns),
                "{width} in {columns}: {line:?}"
            );
            moving += 1;
        }
        assert!(moving > 4, "{text:?}");
    }
    gateway.stop();
}

#[test]
fn images_are_shown_where_the_terminal_supports_them() {
    let directory = here();
    let gateway = gateway();
    let code = "import _sorna_runner as runner\n\
        runner.record('media', ['image/png', 'data:image/png;base64,iVBORw=='])\n\
        print('after')";
    let run = |environment: &[(&str, &str)], options: &[&str]| {
        let arguments = [&["run", "-q"], options, &["python3", "-c", code]].concat();
        Terminal::open(
            directory.path(),
            Some(&gateway),
            90,
            environment,
            &arguments,
        )
        .rest()
    };
    let kitty = "\x1b_Ga=T,f=100,q=2,m=0;iVBORw==\x1b\\\r\nafter\r\n";
    let iterm2 = "\x1b]1337;File=inline=1;size=4;preserveAspectRatio=1:iVBORw==\x07\r\nafter\r\n";
    assert_eq!(run(&[("TERM", "xterm-kitty")], &[]), kitty);
    assert_eq!(run(&[("TERM_PROGRAM", "iTerm.app")], &[]), iterm2);
    assert_eq!(run(&[], &["--images", "iterm2"]), iterm2);
    let notice = run(&[], &["--color", "never"]);
    assert_eq!(
        notice,
        "∙ Output that cannot be shown here: image/png, 4 bytes. Save it with --media-dir DIR.\r\nafter\r\n"
    );
    let hidden = run(
        &[("TERM", "xterm-kitty")],
        &["--images", "never", "--color", "never"],
    );
    assert_eq!(hidden, notice);
    // Four bytes are not an image, which matters only where it must be decoded.
    let undrawn = run(&[], &["--images", "sixel", "--color", "never"]);
    assert_eq!(undrawn, notice);
    gateway.stop();
}

#[test]
fn a_png_is_drawn_as_sixels() {
    let directory = here();
    let gateway = gateway();
    // A red pixel above a blue one.
    let code = "import base64, struct, zlib, _sorna_runner as runner\n\
        def chunk(kind, data):\n    \
            return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))\n\
        head = chunk(b'IHDR', struct.pack('>IIBBBBB', 1, 2, 8, 2, 0, 0, 0))\n\
        data = chunk(b'IDAT', zlib.compress(b'\\0\\xff\\0\\0\\0\\0\\0\\xff'))\n\
        png = b'\\x89PNG\\r\\n\\x1a\\n' + head + data + chunk(b'IEND', b'')\n\
        runner.record('media', ['image/png', 'data:image/png;base64,' + base64.b64encode(png).decode()])";
    let text = Terminal::open(
        directory.path(),
        Some(&gateway),
        90,
        &[("TERM", "foot")],
        &["run", "-q", "python3", "-c", code],
    )
    .rest();
    let red_above_blue = "#5;2;0;0;100#5A$#180;2;100;0;0#180@$-";
    assert_eq!(
        text,
        format!("\x1bP0;1q\"1;1;1;2{red_above_blue}\x1b\\\r\n")
    );
    gateway.stop();
}

/// The gateway receives everything and does not respond: the bytes sent are shown anyway.
#[test]
fn an_upload_in_flight_shows_progress_and_ctrl_c_ends_it() {
    let directory = here();
    many_files(directory.path());
    let endpoint = format!("http://{}", stub::stub(|_| None));
    let environment = [&stub::environment(&endpoint)[..], &[("NO_COLOR", "1")]].concat();
    let arguments = ["upload", "AAAAAAAAAAAAAAAAAAAAAA", "data"];
    let mut terminal = Terminal::open(directory.path(), None, 100, &environment, &arguments);
    terminal.shows("⋯ Uploading files... ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ 0/40 files, 0.0/11.7 MiB");
    terminal.shows("⋯ Uploading files... ━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌ 0/40 files, 5.5/11.7 MiB");
    terminal.types("\x03");
    let rest = terminal.rest();
    assert_eq!(terminal.ends(), Some(130));
    assert!(rest.ends_with("\r\x1b[2K"), "{rest:?}");
}

#[test]
fn nothing_moves_at_a_prompt() {
    let directory = here();
    let gateway = gateway();
    let (sign, wait) = waits_for(directory.path());
    let code = "print([input('name? ')])";
    let arguments = ["run", "python3", "-c", &wait, "-c", code];
    let mut terminal = Terminal::open(directory.path(), Some(&gateway), 90, &[], &arguments);
    terminal.shows("Running your code... ⠋");
    std::fs::write(sign, "").expect("a file");
    terminal.shows("\r\x1b[2Kwent");
    // The second snippet's line began below the first one's output.
    terminal.shows("\r\x1b[2Kname? ");
    // Longer than a frame of the spinner: what is checked is that nothing is drawn, so there is no event to
    // wait for.
    std::thread::sleep(std::time::Duration::from_millis(300));
    terminal.types("lablup\r");
    terminal.shows("lablup\r\n['lablup']\r\n");
    let rest = terminal.rest();
    assert_eq!(screen(&rest), "✔ Cleaned up the kernel.\n", "{rest:?}");
    gateway.stop();
}

#[test]
fn status_lines_start_a_new_line_after_a_prompt() {
    let directory = here();
    let code = "while True:\n  try: input('name? ')\n  except EOFError: pass";
    let arguments = ["run", "--local", "--color", "never", "python3", "-c", code];
    let mut terminal = Terminal::open(directory.path(), None, 90, &[], &arguments);
    terminal.shows("is ready.");
    terminal.shows("name? ");
    terminal.types("me\r");
    terminal.shows("me\r\n");
    terminal.shows("name? ");
    // The end of the input is not a line, so the program's line is not ended.
    terminal.types("\x04");
    terminal.shows("name? ");
    terminal.types("\x04");
    let rest = terminal.rest();
    let shown = screen(&rest);
    assert!(
        shown.starts_with("\n✘ the program asks for input, but"),
        "{rest:?}"
    );
    assert_eq!(terminal.ends(), Some(1));
}

#[test]
fn status_lines_start_a_new_line_only_after_unfinished_standard_error() {
    let directory = here();
    let run = |code: &str| {
        let mut command = sorna(directory.path());
        command.args(["run", "--local", "bash", "-c", code]);
        let output = command.output().expect("sorna runs");
        let stderr = String::from_utf8(output.stderr).expect("text");
        let (_, words) = stderr.split_once("is ready.\n").expect("a kernel");
        let stdout = String::from_utf8(output.stdout).expect("text");
        (stdout, words.to_owned())
    };
    let words = |error: &str| format!("{error}✔ Cleaned up the kernel.\n");
    assert_eq!(run("printf out"), ("out".to_owned(), words("")));
    assert_eq!(run("printf err >&2"), (String::new(), words("err\n")));
    assert_eq!(run("echo err >&2"), (String::new(), words("err\n")));
}

//! `lcc` and `lpython`.

use std::process::Command;

use snapbox::cmd::cargo_bin;
use snapbox::str;

use crate::support::{check, gateway, here, program, write};

const C_PROGRAM: &[(&str, &str)] = &[
    (
        "main.c",
        "#include <stdio.h>\n#include \"mylib.h\"\nint main(void) { printf(\"myvalue is %d\\n\", myvalue()); }\n",
    ),
    (
        "mylib.c",
        "#include \"mylib.h\"\nint myvalue(void) { return 42; }\n",
    ),
    ("mylib.h", "int myvalue(void);\n"),
];

#[test]
fn lcc_compiles_and_runs() {
    let directory = here();
    write(directory.path(), C_PROGRAM);
    let mut command = program(cargo_bin!("lcc"), directory.path());
    command.args(["main.c", "mylib.c", "mylib.h", "--local"]);
    check(command)
        .success()
        .stdout_eq("myvalue is 42\n")
        .stderr_eq(str![[r#"
∙ Client session token: [TOKEN]
✔ Kernel (ID: [KERNEL]) is ready.
✔ Uploaded 3 files.
✔ Build finished.
✔ Cleaned up the kernel.

"#]]);
}

#[test]
fn lpython_runs_snippets_and_files() {
    let directory = here();
    write(
        directory.path(),
        &[
            ("main.py", "import helper\nprint(helper.VALUE)\n"),
            ("helper.py", "VALUE = 42\n"),
        ],
    );
    for arguments in [
        &["--local", "-q", "-c", "print(42)"][..],
        &["--local", "-q", "main.py", "helper.py"],
    ] {
        let mut command = program(cargo_bin!("lpython"), directory.path());
        command.args(arguments);
        check(command).success().stdout_eq("42\n").stderr_eq("");
    }
}

#[test]
fn shortcuts_have_the_options_and_exit_codes_of_run() {
    let gateway = gateway();
    let directory = here();
    let mut command = program(cargo_bin!("lpython"), directory.path());
    command
        .env("SORNA_ACCESS_KEY", gateway.access_key())
        .env("SORNA_SECRET_KEY", gateway.secret_key())
        .args(["--endpoint", gateway.endpoint(), "-t", "my-session", "-q"])
        .args(["-c", "raise SystemExit(3)"]);
    check(command).code(3);
    assert_eq!(gateway.stats().kernels, 1);
    gateway.stop();
    write(
        directory.path(),
        &[("main.c", "int main(void) { return 0; }\n")],
    );
    let mut command = program(cargo_bin!("lcc"), directory.path());
    command.args(["--local", "-q", "main.c"]);
    command.args(["-b", "gcc -o other main.c", "-e", "./other; exit 7"]);
    check(command).code(7);
}

#[test]
fn the_command_line_of_shortcuts_has_no_language() {
    let directory = here();
    let run = |path: &std::path::Path, arguments: &[&str]| {
        let mut command: Command = program(path, directory.path());
        command.args(arguments);
        check(command)
    };
    run(cargo_bin!("lcc"), &["--help"])
        .success()
        .stdout_eq(str![[r#"
Compile and run a C program in a remote Sorna kernel, or on this machine: `sorna run c`.

Usage: lcc [OPTIONS] [FILES]... [-- <ARGS>...]

...
Examples:
  lcc main.c mylib.c mylib.h
...
"#]]);
    run(cargo_bin!("lpython"), &["--version"])
        .success()
        .stdout_eq(concat!("lpython ", env!("CARGO_PKG_VERSION"), "\n"));
    // Standard input is the code, and empty.
    run(cargo_bin!("lpython"), &["--local", "-q"])
        .success()
        .stdout_eq("");
    run(cargo_bin!("lpython"), &["missing.py", "--local"])
        .code(2)
        .stderr_eq("✘ cannot read missing.py: No such file or directory (os error 2)\n");
}

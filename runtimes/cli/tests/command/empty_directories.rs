//! `sorna run` with directories that hold no files, in both dialects.

use crate::support::{backend_at, check, gateway, here, sorna, sorna_at};

#[test]
fn a_command_finds_empty_directories() {
    for at in [sorna_at, backend_at] {
        let (gateway, directory) = (gateway(), here());
        let make = |path: &str| {
            std::fs::create_dir_all(directory.path().join(path)).expect("a directory");
        };
        make("empty");
        make("outer/inner");
        make("own");
        std::fs::write(directory.path().join("list.sh"), "find . -type d | sort").expect("a file");
        for (files, stdout) in [
            (&["empty", "--exec", "ls -p"][..], "empty/\n"),
            (&["empty", "-e", "ls -A empty | wc -l"], "0\n"),
            (&["outer", "--exec", "ls -p outer"], "inner/\n"),
            (&["empty", "outer", "--exec", "ls -p"], "empty/\nouter/\n"),
            (&["empty", "--build", "echo 'echo made' >main.sh"], "made\n"),
            (
                &["empty", "list.sh", "--exec", "bash list.sh"],
                ".\n./empty\n",
            ),
        ] {
            let mut command = at(directory.path(), &gateway);
            command.args(["run", "-q", "bash"]).args(files);
            check(command).success().stdout_eq(stdout).stderr_eq("");
        }
        // The current directory is the work directory.
        let mut command = at(directory.path(), &gateway);
        command.current_dir(directory.path().join("own"));
        command.args(["run", "-q", "bash", ".", "--exec", "ls -A | wc -l"]);
        check(command).success().stdout_eq("0\n").stderr_eq("");
        gateway.stop();
    }
}

#[test]
fn without_a_command_there_is_no_program_in_them() {
    let directory = here();
    for path in ["empty", "s p", "outer/inner"] {
        std::fs::create_dir_all(directory.path().join(path)).expect("a directory");
    }
    for (arguments, why, again) in [
        (
            &["bash", "empty"][..],
            "in empty: it is an empty directory",
            "bash empty",
        ),
        (
            &["python3", "empty", "--exec", "*"],
            "in empty: it is an empty directory",
            "python3 empty",
        ),
        (
            &["c", "s p"],
            "in 's p': it is an empty directory",
            "c 's p'",
        ),
        (
            &["c", "outer"],
            "in outer: it holds empty directories only",
            "c outer",
        ),
        (
            &["c", "empty", "outer"],
            "in empty or outer: they hold no files",
            "c empty outer",
        ),
    ] {
        let mut command = sorna(directory.path());
        command.args(["run", "--local"]).args(arguments);
        check(command).code(2).stdout_eq("").stderr_eq(format!(
            "✘ there is no program {why}\n∙ Name the files of the program as well, or give a command to run there: \
             sorna run {again} --exec COMMAND\n"
        ));
    }
}

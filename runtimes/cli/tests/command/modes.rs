//! The modes of files and directories, there and back, in both dialects.

#![cfg(unix)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use sorna_gateway::RunningGateway;

use crate::support::{backend_at, check, gateway, here, sorna_at, write};

const SESSION: &str = "modes-of-a-test";

/// A command on the gateway in each dialect, in a new directory.
fn both(test: impl Fn(&Path, &dyn Fn(&[&str]) -> Command)) {
    for at in [
        sorna_at as fn(&Path, &RunningGateway) -> Command,
        backend_at,
    ] {
        let gateway = gateway();
        let directory = here();
        test(directory.path(), &|arguments| {
            let mut command = at(directory.path(), &gateway);
            command.args(arguments);
            command
        });
        open(directory.path());
        gateway.stop();
    }
}

/// So that it can be removed.
fn open(directory: &Path) {
    let _ = fs::set_permissions(directory, Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_dir() {
            open(&entry.path());
        }
    }
}

fn set(directory: &Path, name: &str, mode: u32) {
    fs::set_permissions(directory.join(name), Permissions::from_mode(mode)).expect("a mode");
}

fn mode(path: &Path) -> u32 {
    let found = fs::metadata(path).expect("it is there");
    found.permissions().mode() & 0o7777
}

/// The umask of the test may take something from others.
#[track_caller]
fn same(directory: &Path, expected: &[(&str, u32)]) {
    for &(name, of_kernel) in expected {
        let found = mode(&directory.join(name));
        let (of_owner, more) = (found & 0o700, found & !of_kernel);
        assert_eq!(
            (of_owner, more),
            (of_kernel & 0o700, 0),
            "{name}: {found:o}"
        );
    }
}

/// What a shell says of these names.
fn look(names: &[(&str, u32)]) -> String {
    let names: Vec<_> = names.iter().map(|(name, _)| *name).collect();
    format!("stat -c '%n %a' {}", names.join(" "))
}

fn said(names: &[(&str, u32)]) -> String {
    let lines = names
        .iter()
        .map(|(name, mode)| format!("{name} {mode:o}\n"));
    lines.collect()
}

/// The innermost first, as they are set.
const TREE: [(&str, u32); 13] = [
    ("tree/run.sh", 0o755),
    ("tree/private", 0o600),
    ("tree/fixed", 0o444),
    ("tree/tool", 0o500),
    ("tree/empty", 0o700),
    ("tree/shut/empty", 0o750),
    ("tree/shut", 0o500),
    ("tree/src/deep/f", 0o644),
    ("tree/src/deep", 0o555),
    ("tree/src", 0o755),
    ("tree/own/f", 0o664),
    ("tree/own", 0o700),
    ("tree", 0o711),
];

fn make_tree(directory: &Path) {
    for (name, _) in TREE {
        if name.ends_with("empty") {
            fs::create_dir_all(directory.join(name)).expect("a directory");
        } else if !TREE
            .iter()
            .any(|(other, _)| other.starts_with(&format!("{name}/")))
        {
            write(directory, &[(name, "#!/bin/sh\necho ran\n")]);
        }
    }
    for (name, mode) in TREE {
        set(directory, name, mode);
    }
}

#[test]
fn modes_of_files_and_directories_survive_there_and_back() {
    both(|here, sorna| {
        make_tree(here);
        let expected = said(&TREE);
        let look = look(&TREE);
        check(sorna(&["run", "-q", "bash", "tree", "-e", &look]))
            .success()
            .stdout_eq(&expected);
        check(sorna(&["run", "-q", "-t", SESSION, "bash", "-c", "true"])).success();
        let in_session =
            |code: &str| check(sorna(&["run", "-q", "-t", SESSION, "bash", "-c", code]));
        // Also into directories that are shut, and with another mode.
        for time in 1..=2 {
            check(sorna(&["upload", SESSION, "tree"]))
                .success()
                .stderr_eq("✔ Uploaded 6 files (114 bytes).\n");
            in_session(&look).success().stdout_eq(&expected);
            if time == 1 {
                in_session("chmod 700 tree/src; chmod 755 tree/own").success();
            }
        }
        check(sorna(&["download", SESSION, "tree", "-o", "back"]))
            .success()
            .stderr_eq("✔ Downloaded 6 files to back.\n");
        same(&here.join("back"), &TREE);
        // Again, also into what is shut. What is there keeps its mode.
        set(&here.join("back"), "tree/src", 0o700);
        in_session("chmod u+w tree/shut; echo > tree/shut/new; chmod u-w tree/shut").success();
        check(sorna(&[
            "download",
            SESSION,
            "tree",
            "-o",
            "back",
            "--overwrite",
        ]))
        .success();
        let kept = TREE.map(|(name, mode)| match name {
            "tree/src" => (name, 0o700),
            _ => (name, mode),
        });
        same(&here.join("back"), &kept);
        assert!(here.join("back/tree/shut/new").is_file());
    });
}

#[test]
fn directories_that_are_not_sent_are_those_of_a_usual_umask_and_nothing_gets_special_bits() {
    both(|here, sorna| {
        write(here, &[("made/by/us/f", "x"), ("special/f", "x")]);
        for name in ["made", "made/by", "made/by/us"] {
            set(here, name, 0o755);
        }
        set(here, "special", 0o3770);
        set(here, "special/f", 0o6755);
        let expected = [
            ("made", 0o755),
            ("made/by", 0o755),
            ("made/by/us", 0o755),
            ("special", 0o770),
            ("special/f", 0o755),
        ];
        let names = ["made/by/us/f", "special/f"];
        check(sorna(
            &[&["upload", "-q", "-t", SESSION, "bash"], &names[..]].concat(),
        ))
        .success();
        let code = look(&expected);
        check(sorna(&["run", "-q", "-t", SESSION, "bash", "-c", &code]))
            .success()
            .stdout_eq(said(&expected));
        let code = "chmod 6755 special/f; chmod 3770 special; stat -c %a special special/f";
        check(sorna(&["run", "-q", "-t", SESSION, "bash", "-c", code])).success();
        check(sorna(&["download", SESSION, "special", "-o", "back"])).success();
        same(&here.join("back"), &expected[3..]);
    });
}

#[test]
fn output_brings_modes_back() {
    both(|here, sorna| {
        write(here, &[("main.sh", "
            mkdir -p out/deep out/empty in/new
            echo 1 > out/deep/f; echo 2 > out/g; echo 3 > in/new/h
            chmod 600 out/g; chmod 750 out/empty in; chmod 500 out/deep; chmod 700 out; chmod 555 in/new
        "), ("in/data", "1")]);
        let run = ["run", "--output", "made", "bash", "main.sh", "in"];
        check(sorna(&[&run[..], &["-e", "bash main.sh"]].concat()))
            .success()
            .stderr_eq("...\n✔ Saved 3 files to made: in/new/h, out/deep/f, out/g\n...\n");
        same(
            &here.join("made"),
            &[
                ("out/deep/f", 0o644),
                ("out/deep", 0o500),
                ("out/empty", 0o750),
                ("out/g", 0o600),
                ("out", 0o700),
                ("in/new", 0o555),
                ("in", 0o750),
            ],
        );
    });
}

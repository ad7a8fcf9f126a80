//! Lists and downloads of files from gateways of `sorna serve`, in both dialects.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use sorna_gateway::{GatewayConfig, RunningGateway};
use tempfile::TempDir;

use crate::support::{backend_at, check, gateway_with, here, sorna_at, stub};

/// A session, or kernel, of bash on a gateway.
struct Lab {
    gateway: RunningGateway,
    directory: TempDir,
    is_backend_ai: bool,
    /// How commands name it.
    name: String,
}

impl Lab {
    fn new(is_backend_ai: bool) -> Self {
        Self::with(GatewayConfig::default(), is_backend_ai)
    }

    fn with(config: GatewayConfig, is_backend_ai: bool) -> Self {
        let mut lab = Self {
            gateway: gateway_with(config),
            directory: here(),
            is_backend_ai,
            name: "files-of-a-test".to_owned(),
        };
        let output = lab.output(&["run", "-t", "files-of-a-test", "bash", "-c", "true"]);
        if !is_backend_ai {
            let (_, rest) = output.split_once("(ID: ").expect("an ID");
            rest.split(')')
                .next()
                .expect("an ID")
                .clone_into(&mut lab.name);
        }
        lab
    }

    fn both(test: impl Fn(&Self)) {
        for is_backend_ai in [false, true] {
            let lab = Self::new(is_backend_ai);
            test(&lab);
            lab.gateway.stop();
        }
    }

    fn sorna(&self, arguments: &[&str]) -> Command {
        let mut command = match self.is_backend_ai {
            true => backend_at(self.directory.path(), &self.gateway),
            false => sorna_at(self.directory.path(), &self.gateway),
        };
        command.args(arguments);
        command
    }

    /// A command on the session: `NAME` stands for it.
    fn on(&self, arguments: &[&str]) -> Command {
        let name = |argument: &&str| match *argument {
            "NAME" => self.name.clone(),
            argument => argument.to_owned(),
        };
        let arguments: Vec<_> = arguments.iter().map(name).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        self.sorna(&arguments)
    }

    /// What a command that succeeds says, after what it prints.
    fn output(&self, arguments: &[&str]) -> String {
        let output = self.on(arguments).output().expect("sorna runs");
        assert!(output.status.success(), "{output:?}");
        let both = [output.stdout, output.stderr].concat();
        String::from_utf8(both).expect("text")
    }

    fn run(&self, code: &str) -> String {
        self.output(&["run", "-q", "-t", "files-of-a-test", "bash", "-c", code])
    }

    fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.directory.path().join(path)).expect("a file")
    }
}

#[test]
fn files_are_listed_and_downloaded_in_both_dialects() {
    Lab::both(|lab| {
        lab.run("mkdir -p out/deep; echo one > out/a.txt; printf '\\0\\377\\n' > out/deep/b; echo three > 'c d'");
        check(lab.on(&["ls", "NAME", "out"]))
            .success()
            .stderr_eq("")
            .stdout_eq("-rw[..]  4[..]  20[..]  a.txt\ndrwx[..]  20[..]  deep/\n");
        let listed = lab.output(&["ls", "NAME", "--json"]);
        assert!(listed.contains(r#""name":"c d""#), "{listed}");
        check(lab.on(&["download", "NAME", "out", "c d", "-o", "here"]))
            .success()
            .stdout_eq("")
            .stderr_eq("✔ Downloaded 3 files to here.\n");
        assert_eq!(lab.read("here/out/a.txt"), b"one\n");
        assert_eq!(lab.read("here/out/deep/b"), b"\0\xff\n");
        assert_eq!(lab.read("here/c d"), b"three\n");
    });
}

#[test]
fn what_cannot_be_listed_or_downloaded_is_named_in_both_dialects() {
    Lab::both(|lab| {
        lab.run("mkdir d; echo 1 > d/one; head -c 2M /dev/zero > large; ln -s /etc out");
        check(lab.on(&["ls", "NAME", "nowhere"]))
            .code(1)
            .stdout_eq("")
            .stderr_eq("✘ the directory cannot be listed: [..]nowhere[..]\n");
        for path in ["..", "/etc", "out"] {
            let output = lab.on(&["ls", "NAME", path]).output().expect("sorna runs");
            assert_eq!((output.status.code(), output.stdout), (Some(1), vec![]));
        }
        // The large one is not why the other is missing.
        check(lab.on(&[
            "download", "NAME", "none", "large", "d/none", "d", "-o", "some",
        ]))
        .code(1)
        .stderr_eq(
            "✔ Downloaded 2 files to some.\n✘ none does not exist, d/none does not exist\n...\n",
        );
        assert_eq!(lab.read("some/large").len(), 2 * 1024 * 1024);
        assert_eq!(lab.read("some/d/one"), b"1\n");
        for path in ["../../etc/passwd", "out/passwd"] {
            check(lab.on(&["download", "NAME", path]))
                .code(1)
                .stderr_eq("✘ [..]\n...\n");
        }
    });
}

#[test]
fn other_gateways_of_sorna_v2_are_asked_once_and_then_it_is_said() {
    for (command, what) in [
        (&["ls", "abcdefgh"][..], "lists of files"),
        (&["ls", "abcdefgh", "d", "--json"], "lists of files"),
        (&["download", "abcdefgh", "a"], "downloads"),
    ] {
        let address = stub::stub(|request| {
            assert_eq!(
                (request.method.as_str(), request.path.as_str()),
                ("GET", "/v2")
            );
            Some((200, r#"{"version": "v2.20170315"}"#.to_owned()))
        });
        let directory = here();
        let mut sorna = stub::at(crate::support::sorna(directory.path()), address);
        sorna.args(command);
        check(sorna).code(2).stdout_eq("").stderr_eq(format!(
            "✘ the gateway does not offer {what}: they are an extension of `sorna-gateway`, and no part of any API\n\
             ∙ Gateways of `sorna serve` have it, and so does Backend.AI: if the gateway speaks that, use --api backend-ai, or put api = \"backend-ai\" into the profile.\n"
        ));
    }
}

#[test]
fn a_kernel_that_does_not_exist_has_no_files() {
    let lab = Lab::new(false);
    for command in ["ls", "download"] {
        let mut sorna = lab.sorna(&[command, "nosuchkernel", "a"]);
        sorna.stdin(std::process::Stdio::null());
        check(sorna)
            .code(1)
            .stdout_eq("")
            .stderr_eq("✘ [..]\n...\n");
    }
    lab.gateway.stop();
}

#[test]
fn patterns_are_those_of_shells() {
    Lab::both(|lab| {
        lab.run(
            "mkdir -p out/deep plots; echo 1 > a.png; echo 2 > b.txt; echo 3 > .hidden.png; echo 4 > out/c.png
             echo 5 > out/deep/d.png; echo 6 > out/deep/e.txt; ln -s a.png link.png; echo 7 > '[x]*.png'",
        );
        let download = |files: &[&str], to: &str| {
            let command = [&["download", "NAME"], files, &["-o", to]].concat();
            lab.on(&command)
        };
        let files_in = |directory: &str| {
            let mut files = Vec::new();
            let mut directories = vec![lab.directory.path().join(directory)];
            let root = directories[0].clone();
            while let Some(directory) = directories.pop() {
                for entry in std::fs::read_dir(directory).expect("a directory") {
                    let path = entry.expect("an entry").path();
                    match path.is_dir() {
                        true => directories.push(path),
                        false => {
                            let below = path.strip_prefix(&root).expect("it is below");
                            files.push(below.to_str().expect("text").to_owned());
                        }
                    }
                }
            }
            files.sort();
            files
        };
        check(download(&["*.png"], "one"))
            .success()
            .stdout_eq("")
            .stderr_eq(
                "∙ Left out link.png: it is a symbolic link.\n✔ Downloaded 2 files to one.\n",
            );
        assert_eq!(files_in("one"), ["[x]*.png", "a.png"]);
        check(download(&["out/**"], "two"))
            .success()
            .stderr_eq("✔ Downloaded 3 files to two.\n");
        assert_eq!(
            files_in("two"),
            ["out/c.png", "out/deep/d.png", "out/deep/e.txt"]
        );
        check(download(&["out/**/[cd].png", "?.txt", "[x]*.png"], "three"))
            .success()
            .stderr_eq("✔ Downloaded 4 files to three.\n");
        assert_eq!(
            files_in("three"),
            ["[x]*.png", "b.txt", "out/c.png", "out/deep/d.png"]
        );
        check(download(&["*.none", "none/*", "b.*"], "four"))
            .code(1)
            .stderr_eq(
                "✔ Downloaded 1 file to four.\n\
             ✘ No file matches *.none\n\
             ✘ No file matches none/*\n\
             ∙ `sorna ls [..]` lists the files.\n",
            );
        check(download(&["../*"], "five")).code(1).stdout_eq("");
        assert!(!lab.directory.path().join("five").exists());
    });
}

#[test]
fn one_file_is_written_to_standard_output_as_it_is() {
    Lab::both(|lab| {
        lab.run("head -c 3000000 /dev/urandom > random; printf '\\0\\r\\n\\377' > bytes; : > empty; mkdir d; echo x > d/f; sha256sum random > sum");
        for (file, form) in [
            ("bytes", &["-"][..]),
            ("d/f", &["-o", "-"]),
            ("empty", &["-"]),
            ("byte?", &["--output=-"]),
        ] {
            let command = [&["download", "NAME", file], form].concat();
            let expected: &[u8] = match file {
                "empty" => b"",
                "d/f" => b"x\n",
                _ => b"\0\r\n\xff",
            };
            let output = lab.on(&command).output().expect("sorna runs");
            assert!(output.status.success(), "{output:?}");
            assert_eq!(
                (&*output.stdout, &*output.stderr),
                (expected, &b""[..]),
                "{file}"
            );
        }
        let output = lab
            .on(&["download", "NAME", "random", "-"])
            .output()
            .expect("sorna runs");
        assert_eq!(output.stdout.len(), 3_000_000);
        std::fs::write(lab.directory.path().join("random"), &output.stdout).expect("a file");
        check(lab.on(&["download", "NAME", "sum"])).success();
        let mut sum = Command::new("sha256sum");
        sum.args(["--check", "--status", "sum"])
            .current_dir(lab.directory.path());
        assert!(sum.status().expect("sha256sum runs").success());

        for (files, code, words) in [
            (
                &["d", "-"][..],
                2,
                "d is a directory, and standard output takes one file",
            ),
            (
                &["bytes", "empty", "-"],
                2,
                "standard output takes one file, and 2 are named",
            ),
            (
                &["-"],
                2,
                "there is no file to be written to standard output",
            ),
            (
                &["bytes", "-", "-o", "here"],
                2,
                "`-`, standard output, cannot be used with a directory (-o)",
            ),
            (&["none", "-"], 1, "none does not exist[..]"),
            (&["n*", "-"], 1, "No file matches n*"),
        ] {
            let command = [&["download", "NAME"], files].concat();
            check(lab.on(&command))
                .code(code)
                .stdout_eq("")
                .stderr_eq(format!("✘ {words}\n...\n"));
        }
    });
}

#[test]
fn what_is_there_is_replaced_only_where_that_is_wanted() {
    Lab::both(|lab| {
        lab.run("mkdir d; echo new > a; echo new > d/b; echo new > d/c");
        crate::support::write(lab.directory.path(), &[("a", "old\n"), ("d/b", "old\n")]);
        check(lab.on(&["download", "NAME", "a", "d"]))
            .code(1)
            .stdout_eq("")
            .stderr_eq(
                "✘ a exists already, and was not replaced.\n\
             ✘ d/b exists already, and was not replaced.\n\
             ∙ To replace files, add --overwrite.\n\
             ✔ Downloaded 1 file.\n",
            );
        assert_eq!(
            (lab.read("a"), lab.read("d/b"), lab.read("d/c")),
            (b"old\n".into(), b"old\n".into(), b"new\n".into())
        );
        check(lab.on(&["download", "NAME", "a", "d", "--overwrite"]))
            .success()
            .stderr_eq("✔ Downloaded 3 files.\n");
        assert_eq!(
            (lab.read("a"), lab.read("d/b")),
            (b"new\n".into(), b"new\n".into())
        );
        // The same one twice is no other.
        check(lab.on(&["download", "NAME", "d", "d/b", "-o", "new"]))
            .success()
            .stderr_eq("✔ Downloaded 3 files to new.\n");
    });
}

#[test]
fn files_of_any_size_are_uploaded_within_the_disk_limit() {
    for is_backend_ai in [false, true] {
        let lab = Lab::with(
            GatewayConfig::default().with_max_disk(96 << 20),
            is_backend_ai,
        );
        let write = |name: &str, size: usize| {
            let content: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            std::fs::write(lab.directory.path().join(name), &content).expect("a file");
            content
        };
        let large = write("large.bin", 40 << 20);
        for (name, size) in [
            ("exact", 1 << 20),
            ("one-more", (1 << 20) + 1),
            ("small", 3),
        ] {
            write(name, size);
        }
        check(lab.on(&["upload", "NAME", "large.bin", "exact", "one-more", "small"]))
            .success()
            .stdout_eq("")
            .stderr_eq(format!("✔ Uploaded 4 files ({} bytes).\n", (42 << 20) + 4));
        assert_eq!(
            lab.run("stat -c %s large.bin exact one-more small"),
            "41943040\n1048576\n1048577\n3\n"
        );
        check(lab.on(&["download", "NAME", "large.bin", "-o", "back"])).success();
        assert!(lab.read("back/large.bin") == large);
        write("too-large", 80 << 20);
        check(lab.on(&["upload", "NAME", "too-large"]))
            .code(1)
            .stderr_eq(
                "✘ [..]no room for the upload: the kernel has a disk limit of 96 MiB[..]\n...\n",
            );
        assert_eq!(lab.run("ls too-large 2>/dev/null || echo none"), "none\n");
        lab.gateway.stop();
    }
}

#[test]
fn other_gateways_are_sent_no_large_files() {
    let address = stub::stub(|request| {
        assert_eq!(request.path.as_str(), "/v2");
        Some((200, r#"{"version": "v2.20170315"}"#.to_owned()))
    });
    let directory = here();
    std::fs::write(directory.path().join("large"), vec![0; (1 << 20) + 1]).expect("a file");
    for command in [&["upload", "abcdefgh", "large"][..], &["run", "c", "large"]] {
        let mut sorna = stub::at(crate::support::sorna(directory.path()), address);
        sorna.args(command);
        check(sorna).code(2).stdout_eq("").stderr_eq(
            "✘ large has 1048577 bytes, and the gateway accepts files of at most 1048576
∙ Split it, let the program fetch it, or mount a folder that has it (--mount).\n",
        );
    }
}

#[test]
fn programs_have_files_of_any_size() {
    let count = "wc -c <large.bin; wc -c <sub/larger.bin";
    let expected = "1048577\n3000000\n";
    let write = |directory: &Path| {
        std::fs::write(directory.join("large.bin"), vec![1; (1 << 20) + 1]).expect("a file");
        std::fs::create_dir_all(directory.join("sub")).expect("a directory");
        std::fs::write(directory.join("sub/larger.bin"), vec![2; 3_000_000]).expect("a file");
        std::fs::write(directory.join("main.sh"), count).expect("a file");
    };
    let files = ["bash", "main.sh", "large.bin", "sub/larger.bin"];
    Lab::both(|lab| {
        write(lab.directory.path());
        check(lab.sorna(&[&["run", "-q"], &files[..]].concat()))
            .success()
            .stdout_eq(expected);
        check(lab.sorna(&[&["run", "-q", "-t", "large-files"], &files[..]].concat()))
            .success()
            .stdout_eq(expected);
    });
    let directory = here();
    write(directory.path());
    let mut local = crate::support::sorna(directory.path());
    local.args(["run", "-q", "--local"]).args(files);
    check(local).success().stdout_eq(expected);
}

/// Runs a bash program of files in a temporary kernel, with these options.
fn run_files(lab: &Lab, code: &str, options: &[&str]) -> Command {
    crate::support::write(
        lab.directory.path(),
        &[("main.sh", code), ("data.txt", "1\n"), ("same.txt", "2\n")],
    );
    let command = [
        &["run", "-q"],
        options,
        &["bash", "main.sh", "data.txt", "same.txt"],
    ]
    .concat();
    lab.sorna(&command)
}

const MAKE: &str = "mkdir -p out/deep out/empty __pycache__; echo new > out/deep/f; echo x > 'a b'; echo more >> data.txt
echo c > __pycache__/c; ln -s data.txt link; echo done";

#[test]
fn what_a_program_makes_is_brought_back_and_what_was_uploaded_is_not() {
    Lab::both(|lab| {
        check(run_files(lab, MAKE, &["--output", "made", "--show-files"]))
            .success()
            .stdout_eq("done\n")
            .stderr_eq(
                "∙ Made a b (2 bytes)\n∙ Made data.txt (7 bytes)\n∙ Made out/\n∙ Made out/deep/\n\
                 ∙ Made out/deep/f (4 bytes)\n∙ Made out/empty/\n\
                 ∙ Left out, since they are links or pipes, not files: link\n",
            );
        assert_eq!(lab.read("made/out/deep/f"), b"new\n");
        assert_eq!(lab.read("made/data.txt"), b"1\nmore\n");
        assert_eq!(lab.read("data.txt"), b"1\n");
        assert!(lab.directory.path().join("made/out/empty").is_dir());
        for absent in ["same.txt", "main.sh", "__pycache__", "link"] {
            assert!(
                !lab.directory.path().join("made").join(absent).exists(),
                "{absent}"
            );
        }
        // It is replaced only where that is wanted.
        check(run_files(lab, MAKE, &["--output", "made"]))
            .success()
            .stdout_eq("done\n")
            .stderr_eq(
                "∙ Left out, since they are links or pipes, not files: link\n\
             ∙ made/a b exists already: the new one is made/a b.1.\n\
             ∙ made/data.txt exists already: the new one is made/data.txt.1.\n\
             ∙ made/out/deep/f exists already: the new one is made/out/deep/f.1.\n\
             ∙ To replace files, add --overwrite.\n",
            );
        check(run_files(lab, "echo third > 'a b'", &["--output", "made"]))
            .success()
            .stderr_eq(
                "∙ made/a b exists already: the new one is made/a b.2.\n\
             ∙ To replace files, add --overwrite.\n",
            );
        // Nothing is lost.
        assert_eq!(lab.read("made/a b"), b"x\n");
        assert_eq!(lab.read("made/a b.1"), b"x\n");
        assert_eq!(lab.read("made/a b.2"), b"third\n");
        assert_eq!(lab.read("made/out/deep/f.1"), b"new\n");
        check(run_files(
            lab,
            "echo y > 'a b'",
            &["--output", "made", "--overwrite"],
        ))
        .success();
        assert_eq!(lab.read("made/a b"), b"y\n");
    });
}

#[test]
fn what_is_in_the_way_of_one_path_does_not_cost_the_others() {
    // With `.1` it is too long for most file systems; permissions mean nothing to root.
    let long = "n".repeat(255);
    let code = format!(
        "mkdir -p d f s/deep; echo 1 > d/a; echo 3 > s/deep/b; echo 4 > f/c; echo 5 > z; echo 6 > q; echo 7 > {long}"
    );
    Lab::both(|lab| {
        for overwrites in [false, true] {
            let output = lab.directory.path().join(format!("made-{overwrites}"));
            let at = |name: &str| output.join(name);
            std::fs::create_dir_all(at("q/inside")).expect("a directory");
            std::fs::write(at("d"), "before").expect("a file");
            std::fs::write(at("f"), "before").expect("a file");
            std::os::unix::fs::symlink(".", at("s")).expect("a link");
            let is_long = match overwrites {
                false => std::fs::write(at(&long), "before"),
                true => std::fs::create_dir(at(&long)),
            };
            is_long.expect("a file");
            let name = format!("made-{overwrites}");
            let mut options = vec!["--output", &name];
            options.extend(overwrites.then_some("--overwrite"));
            let run = check(run_files(lab, &code, &options)).code(1);
            run.stderr_eq(
                format!(
                    "∙ {name}/d exists already: the new one is {name}/d.1.\n\
                 ∙ {name}/f exists already: the new one is {name}/f.1.\n\
                 ∙ {name}/q exists already: the new one is {name}/q.1.\n\
                 ∙ {name}/s exists already: the new one is {name}/s.1.\n\
                 ...\n\
                 ✘ cannot write {name}/[LONG].1: File name too long (os error 36)\n"
                )
                .replace("[LONG]", &long),
            );
            for (path, content) in [
                ("d", "before"),
                ("f", "before"),
                ("d.1/a", "1\n"),
                ("f.1/c", "4\n"),
                ("q.1", "6\n"),
                ("s.1/deep/b", "3\n"),
                ("z", "5\n"),
            ] {
                let found = std::fs::read_to_string(at(path)).expect("a file");
                assert_eq!(found, content, "{path}");
            }
        }
        // The program's own exit code says more.
        check(run_files(
            lab,
            "mkdir d; echo 1 > d/a; exit 3",
            &["--output", "made-false"],
        ))
        .code(3)
        .stderr_eq("∙ made-false/d exists already: the new one is made-false/d.2.\n");
    });
}

#[test]
fn a_download_goes_on_after_what_cannot_be_written() {
    Lab::both(|lab| {
        lab.run("mkdir d; echo 1 > d/a; echo 2 > z");
        std::fs::write(lab.directory.path().join("d"), "before").expect("a file");
        check(lab.on(&["download", "NAME", "d", "z"]))
            .code(1)
            .stderr_eq("✘ cannot write ./d: it is not a directory\n✔ Downloaded 1 file.\n");
        assert_eq!(lab.read("z"), b"2\n");
        assert_eq!(lab.read("d"), b"before");
    });
}

#[test]
fn it_is_brought_back_after_ctrl_c() {
    Lab::both(|lab| {
        let code = "echo part > file; echo begun; sleep 1000";
        for (directory, token) in [("stopped", None), ("kept", Some("stopped-in-a-test"))] {
            let mut arguments = vec!["run", "--output", directory, "bash", "-c", code];
            if let Some(token) = token {
                arguments.splice(1..1, ["-t", token]);
            }
            let mut running = lab.sorna(&arguments);
            running.stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut running = running.spawn().expect("sorna runs");
            let mut begun = [0; 6];
            let stdout = running.stdout.as_mut().expect("a pipe");
            stdout.read_exact(&mut begun).expect("output");
            let id = i32::try_from(running.id()).expect("an ID");
            let id = Pid::from_raw(id).expect("an ID");
            kill_process(id, Signal::INT).expect("it lives");
            let output = running.wait_with_output().expect("it ends");
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(130), "{stderr}");
            assert!(stderr.contains("Saved 1 file to"), "{stderr}");
            assert_eq!(lab.read(&format!("{directory}/file")), b"part\n");
        }
        // What cannot be written is known before anything runs.
        check(lab.sorna(&["run", "--output", "/proc/none", "bash", "-c", "echo ran"]))
            .code(2)
            .stdout_eq("")
            .stderr_eq("✘ cannot create the directory /proc/none (from --output): [..]\n");
    });
}

#[test]
fn it_is_brought_back_after_a_failure_and_from_kernels_that_are_kept() {
    Lab::both(|lab| {
        check(run_files(
            lab,
            "echo 1 > log; exit 3",
            &["--output", "failed"],
        ))
        .code(3)
        .stdout_eq("");
        assert_eq!(lab.read("failed/log"), b"1\n");
        lab.run("echo before > old; echo before > other");
        for (code, words) in [
            (
                "echo 7 > new; echo changed > old",
                "✔ Saved 2 files to kept: new, old\n",
            ),
            ("true", "✔ The program made no files to be saved.\n"),
        ] {
            let command = [
                "run",
                "-t",
                "files-of-a-test",
                "--output",
                "kept",
                "bash",
                "-c",
                code,
            ];
            check(lab.sorna(&command))
                .success()
                .stderr_eq(format!("...\n{words}"));
        }
        assert_eq!(
            (lab.read("kept/new"), lab.read("kept/old")),
            (b"7\n".into(), b"changed\n".into())
        );
        assert!(!lab.directory.path().join("kept/other").exists());
        check(lab.sorna(&["run", "-q", "--show-files", "bash", "-c", "true"]))
            .success()
            .stderr_eq("∙ The program made no files.\n");
        check(lab.sorna(&["run", "--output", "data.txt", "bash", "-c", "true"]))
            .code(2)
            .stderr_eq("✘ data.txt (from --output) is not a directory\n...\n");
    });
}

#[test]
fn other_gateways_of_sorna_v2_run_nothing_whose_files_they_cannot_list() {
    let address = stub::stub(|request| {
        assert_eq!(request.path.as_str(), "/v2");
        Some((200, r#"{"version": "v2.20170315"}"#.to_owned()))
    });
    let directory = here();
    let mut sorna = stub::at(crate::support::sorna(directory.path()), address);
    sorna.args(["run", "--output", "made", "bash", "-c", "true"]);
    check(sorna)
        .code(2)
        .stdout_eq("")
        .stderr_eq("✘ the gateway does not offer lists of files[..]\n...\n");
}

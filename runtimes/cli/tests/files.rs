//! Lists and downloads of files from gateways of `sorna serve`, in both dialects.

mod support;

use std::process::Command;

use sorna_gateway::{GatewayConfig, RunningGateway};
use tempfile::TempDir;

use support::{backend_at, check, gateway_with, here, sorna_at, stub};

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
        let mut sorna = stub::at(support::sorna(directory.path()), address);
        sorna.args(command);
        check(sorna).code(2).stdout_eq("").stderr_eq(format!(
            "✘ the gateway does not offer {what}: they are no part of Sorna v2, but an extension of `sorna-gateway`\n\
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

//! What works in namespaces as it does without.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use sorna_core::ExecutionStatus;
use sorna_gateway::GatewayConfig;
use sorna_test_tools::need;

use crate::backend_ai;
use crate::common::{Client, wait_until};
use crate::setting::{gateway, gateway_with, run};

#[test]
fn every_language_runs() {
    // The first program in Go takes long.
    let patient = |config: GatewayConfig| config.with_exec_timeout(Duration::from_secs(300));
    let Some(gateway) = gateway_with(patient) else {
        return;
    };
    let client = Client::new(&gateway);
    let c = "#include <stdio.h>\nint main(void) { printf(\"%d\\n\", 6 * 7); }";
    let java =
        "public class Main { public static void main(String[] a) { System.out.println(6 * 7); } }";
    let go = "package main\nimport \"fmt\"\nfunc main() { fmt.Println(6 * 7) }";
    for (language, tool, code) in [
        ("bash", "bash", "echo $((6 * 7))"),
        ("python3", "python3", "print(6 * 7)"),
        ("nodejs", "node", "console.log(6 * 7)"),
        ("c", "gcc", c),
        ("cpp", "g++", c),
        ("rust", "rustc", "println!(\"{}\", 6 * 7);"),
        ("go", "go", go),
        ("java", "javac", java),
        ("perl", "perl", "print 6 * 7, \"\\n\""),
        ("ruby", "ruby", "puts 6 * 7"),
        ("lua", "lua", "print(6 * 7)"),
        ("php", "php", "echo 6 * 7, \"\\n\";"),
        ("r", "R", "cat(6 * 7, \"\\n\", sep = '')"),
    ] {
        if need(tool) && is_reachable(tool) {
            assert_eq!(run(&client, language, code), "42\n", "{language}");
        }
    }
}

/// Whether this user can start the tool: one in the home of another may be on the path.
fn is_reachable(tool: &str) -> bool {
    std::process::Command::new(tool)
        .arg("--version")
        .output()
        .is_ok()
}

#[test]
fn programs_ask_for_input() {
    let Some(gateway) = gateway() else { return };
    let client = Client::new(&gateway);
    for (language, code) in [
        ("python3", "print(input('name? '))"),
        ("bash", "read -r name; echo $name"),
        ("bash", "head -n 1"),
        (
            "c",
            "#include <stdio.h>\nint main(void) { char a[9]; scanf(\"%8s\", a); puts(a); }",
        ),
    ] {
        if language == "c" && !need("gcc") {
            continue;
        }
        let kernel = client.create(language);
        assert_eq!(client.run(&kernel, code).asks(), Some(false), "{code}");
        let (stdout, _) = client.input(&kernel, "Ada").finished();
        assert_eq!(stdout, "Ada\n", "{code}");
        client.destroy(&kernel);
    }
}

#[test]
fn files_can_be_uploaded_changed_and_read_by_both() {
    let Some(gateway) = gateway() else { return };
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let files: [(&str, &[u8]); 2] = [("one", b"1\n"), ("a/b/two", b"2\n")];
    client.upload(&kernel, &files).unwrap();
    let change = "cat one a/b/two; echo 3 >>one; echo 4 >a/b/new; rm a/b/two; ls a/b; echo error >/dev/stderr";
    let (stdout, stderr) = client.run(&kernel, change).finished();
    assert_eq!(
        (stdout.as_str(), stderr.as_str()),
        ("1\n2\nnew\n", "error\n")
    );
    client.upload(&kernel, &[("a/b/new", b"5\n")]).unwrap();
    let (stdout, _) = client.run(&kernel, "cat one a/b/new; pwd").finished();
    let work = stdout.strip_prefix("1\n3\n5\n").unwrap().trim_end();
    assert_eq!(fs::read_to_string(format!("{work}/one")).unwrap(), "1\n3\n");
}

#[test]
fn temporary_files_can_be_made_in_all_places_for_them() {
    let Some(gateway) = gateway() else { return };
    let client = Client::new(&gateway);
    let code = "import os, tempfile, multiprocessing, ctypes\n\
        with tempfile.NamedTemporaryFile() as it: print(it.name.startswith(os.environ['TMPDIR'] + '/'))\n\
        open('/tmp/x', 'w').close()\n\
        open('/var/tmp/y', 'w').close()\n\
        assert os.path.isdir('/home') and os.path.isdir('/run')\n\
        print(ctypes.CDLL(None).tmpfile() != 0)\n\
        lock = multiprocessing.Lock(); print(lock.acquire())\n\
        print(os.path.expanduser('~') == os.getcwd(), __import__('pwd').getpwuid(os.getuid()).pw_name != '', __import__('grp').getgrgid(os.getgid()).gr_name != '')";
    assert_eq!(
        run(&client, "python3", code),
        "True\nTrue\nTrue\nTrue True True\n"
    );
}

#[test]
fn what_a_build_starts_is_there_for_the_program() {
    let Some(gateway) = gateway() else { return };
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let batch = sorna_core::Batch::new()
        .with_build("mkfifo /tmp/pipe; (echo from the build >/tmp/pipe) & echo built")
        .with_exec("cat /tmp/pipe");
    let (statuses, outcome) = client.batch(&kernel, batch);
    let expected = [ExecutionStatus::BuildFinished, ExecutionStatus::Finished];
    assert_eq!(statuses, expected);
    assert_eq!(outcome.stdout, "built\nfrom the build\n");
}

#[test]
fn what_runs_is_interrupted() {
    let Some(gateway) = gateway() else { return };
    let client = backend_ai::Client::new(&gateway);
    for (image, set, long, show) in [
        (
            "python",
            "x = 1",
            "import time; print('begun'); time.sleep(1000)",
            "print(x)",
        ),
        ("bash", "x=1", "echo begun; sleep 1000", "echo $x"),
    ] {
        let session = client.create(&format!("interrupted-{image}"), image);
        client.run(&session, set);
        let body = json!({"mode": "query", "code": long, "runId": null});
        let mut result = client.execute(&session, &body);
        wait_until("it has begun", || {
            let begun = backend_ai::text(&result, "stdout").contains("begun");
            let body = json!({"mode": "continue", "code": "", "run_id": result["runId"]});
            if !begun {
                result = client.execute(&session, &body);
            }
            begun
        });
        let target = format!("/session/{session}/interrupt");
        assert_eq!(client.json("POST", &target, &Value::Null).0, 204);
        let body = json!({"mode": "continue", "code": "", "run_id": result["runId"]});
        let next = client.execute(&session, &body);
        assert_eq!(client.finish(&session, next)["status"], "finished");
        let shown = client.run(&session, show);
        assert_eq!(backend_ai::text(&shown, "stdout"), "1\n", "{image}");
    }
}

#[test]
fn places_that_are_allowed_can_be_read_and_written() {
    let outside = tempfile::tempdir().unwrap();
    let path = |name: &str| outside.path().join(name);
    for name in ["read", "write"] {
        fs::create_dir(path(name)).unwrap();
        fs::write(path(name).join("file"), "text\n").unwrap();
    }
    std::os::unix::fs::symlink(path("read"), path("link")).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(path("write"), open).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(outside.path(), open).unwrap();
    let Some(gateway) = gateway_with(|config| {
        config
            .with_readable([path("link")])
            .with_writable([path("write")])
    }) else {
        return;
    };
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let there = outside.path().display();
    let code = format!(
        "cd {there}; cat link/file read/file; echo new >write/new; ls write; echo x >read/file"
    );
    let outcome = client.run(&kernel, &code);
    assert_eq!(outcome.stdout, "text\ntext\nfile\nnew\n", "{outcome:?}");
    assert!(outcome.stderr.contains("Read-only"), "{outcome:?}");
    assert_eq!(
        fs::read_to_string(path("write").join("new")).unwrap(),
        "new\n"
    );
}

#[test]
fn relative_paths_begin_at_the_current_directory() {
    let directory = tempfile::tempdir_in(".").unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(directory.path(), open).unwrap();
    fs::write(directory.path().join("file"), "text\n").unwrap();
    let name = directory.path().file_name().unwrap();
    let there = directory.path().canonicalize().unwrap();
    let code = format!("cat {}/file", there.display());
    for given in [
        Path::new(name).to_owned(),
        Path::new(".").join(name).join(""),
    ] {
        let Some(gateway) = gateway_with(|config| config.with_readable([given])) else {
            return;
        };
        assert_eq!(run(&Client::new(&gateway), "bash", &code), "text\n");
    }
}

#[test]
fn temporary_files_are_those_of_the_machine_where_that_is_asked_for() {
    let file = tempfile::NamedTempFile::new_in("/tmp").unwrap();
    let name = file.path().file_name().unwrap().to_str().unwrap();
    let in_shared = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
    let shared = in_shared.path().display();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(file.path(), open).unwrap();
    fs::write(file.path(), "text\n").unwrap();
    // The gateway's own files are hidden, whatever is around them.
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    let made = format!("{name}-new");
    for is_writable in [false, true] {
        let Some(gateway) = gateway_with(|config| {
            let config = config.with_directory(directory.path());
            match is_writable {
                true => config.with_writable(["/tmp", "/dev/shm"]),
                false => config.with_readable(["/tmp/../tmp/", "/dev/shm"]),
            }
        }) else {
            return;
        };
        let client = Client::new(&gateway);
        let kernel = client.create("bash");
        let there = directory.path().display();
        let code = format!(
            "cat /tmp/{name}; ls {shared}; echo >x && ls; ls -d {there}/*/box 2>/dev/null | wc -l; echo new >/tmp/{made}; touch /bin/x || echo closed"
        );
        let outcome = client.run(&kernel, &code);
        let expected = format!("text\n{shared}\nx\n0\nclosed\n");
        assert_eq!(outcome.stdout, expected, "{outcome:?}");
        let is_there = Path::new("/tmp").join(&made).exists();
        assert_eq!(is_there, is_writable, "{outcome:?}");
    }
    fs::remove_file(Path::new("/tmp").join(made)).unwrap();
}

#[test]
fn the_address_sanitizer_works() {
    // It reserves more addresses than a limit on memory allows.
    let Some(gateway) = gateway_with(GatewayConfig::with_unlimited_memory) else {
        return;
    };
    if !need("gcc") {
        return;
    }
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let code = "printf '#include <stdlib.h>\nint main(int n, char **a) { char *p = malloc(9); return n > 1 ? p[n + 9] : 0; }' >a.c\n\
        gcc -fsanitize=address a.c -o a && ./a && echo ends; ./a x 2>&1 | grep -o -m 1 heap-buffer-overflow";
    let outcome = client.run(&kernel, code);
    assert_eq!(
        outcome.stdout, "ends\nheap-buffer-overflow\n",
        "{outcome:?}"
    );
}

#[test]
fn the_isolation_is_told() {
    let gateway = sorna_gateway::Gateway::bind(crate::setting::config());
    let Ok(gateway) = gateway else { return };
    let told = gateway.isolation().to_string();
    assert!(told.starts_with("files: namespaces"), "{told}");
    assert!(told.ends_with("network: none"), "{told}");
}

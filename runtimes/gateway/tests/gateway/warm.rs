//! Kernels in stock, which are started before anybody asks for them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::backend_ai::client as backend_ai;
use crate::common::{Client, gateway_with, random, running, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use sorna_core::{
    AccessKey, CreateKernel, Credentials, ExecutionStatus, Info, KernelId, Limits, Restart,
    SecretKey, SessionToken,
};
use sorna_gateway::{GatewayConfig, IsolationLevel, RunningGateway};
use sorna_test_tools::need;

const MIB: u64 = 1 << 20;

/// A gateway with kernels of bash in stock, and the directory of its files.
fn gateway(
    change: impl FnOnce(GatewayConfig) -> GatewayConfig,
) -> (RunningGateway, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let gateway = gateway_with(|config| {
        let config = config.with_warm_kernels("bash", 1);
        change(config.with_directory(directory.path()))
    });
    (gateway, directory)
}

/// Uses a language, and waits until there are so many kernels in stock.
#[track_caller]
fn fill(gateway: &RunningGateway, client: &Client, language: &str, count: u64) {
    let kernel = client.create(language);
    client.destroy(&kernel);
    wait_until("there are some in stock", || {
        gateway.stats().warm_kernels == count
    });
}

/// The directories of kernels.
fn homes(directory: &Path) -> Vec<String> {
    let base = fs::read_dir(directory).unwrap().next().unwrap().unwrap();
    let entries = fs::read_dir(base.path()).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("kernel-")).collect()
}

/// The directory of a kernel, as its programs see it.
fn home_of(client: &Client, kernel: &KernelId) -> String {
    let (path, _) = client.run(kernel, "echo $HOME").finished();
    let path = path.trim_end().strip_suffix("/work").unwrap();
    path.rsplit('/').next().unwrap().to_owned()
}

#[test]
fn a_kernel_in_stock_is_given_to_who_asks_for_one() {
    let (gateway, directory) = gateway(|config| config);
    let client = Client::new(&gateway);
    fill(&gateway, &client, "bash", 1);
    let stats = gateway.stats();
    assert_eq!((stats.kernels, stats.kernels_created), (0, 1));
    assert_eq!(stats.warm_kernels_taken, 0);
    let home = homes(directory.path());
    assert_eq!(home.len(), 1);
    // Its age is not that.
    thread::sleep(Duration::from_millis(300));

    let before = Instant::now();
    let kernel = client.create("bash");
    let info = client.call(&Info::new(kernel.clone())).unwrap();
    assert!(info.age().unwrap() <= before.elapsed(), "{info:?}");
    assert!(info.idle().unwrap() <= before.elapsed(), "{info:?}");
    assert_eq!(
        (info.language(), info.executions()),
        (Some("bash"), Some(0))
    );
    assert_eq!(home_of(&client, &kernel), home[0]);
    let stats = gateway.stats();
    assert_eq!((stats.kernels, stats.kernels_created), (1, 2));
    assert_eq!(stats.warm_kernels_taken, 1);

    // It is a kernel like others.
    client.upload(&kernel, &[("d/f", b"uploaded\n")]).unwrap();
    let read = client.run(
        &kernel,
        "x=kept; cat d/f; echo a > $TMPDIR/f && cat $TMPDIR/f",
    );
    assert_eq!(read.finished().0, "uploaded\na\n");
    assert_eq!(client.run(&kernel, "echo $x").finished().0, "kept\n");
    client.call(&Restart::new(kernel.clone())).unwrap();
    assert_eq!(
        client.run(&kernel, "echo \"<$x>\"; cat d/f").finished().0,
        "<>\nuploaded\n"
    );
    client.destroy(&kernel);
    wait_until("there is another", || gateway.stats().warm_kernels == 1);
    assert_ne!(homes(directory.path()), home);
}

#[test]
fn programs_see_no_difference() {
    if !need("python3") {
        return;
    }
    let (gateway, _directory) = gateway(|config| config.with_warm_kernels("python", 1));
    let client = Client::new(&gateway);
    // All that belongs to the kernel itself is left out.
    let code = "import glob, os, sys\n\
        mark, home = os.environ['SORNA_KERNEL_MARK'], os.environ['HOME'].rsplit('/', 1)[0]\n\
        environ = open('/proc/self/environ').read().split('\\0')\n\
        files = sorted(glob.glob('*') + os.listdir(os.environ['TMPDIR']))\n\
        seen = [sorted(os.environ.items()), sorted(environ), os.getcwd(), sys.argv, sys.path, sys.flags, files,\n\
        len(os.listdir('/proc/self/fd')), sorted(sys.modules), os.path.realpath('/proc/self/exe'), os.getpgid(0) == os.getpid()]\n\
        print(*(repr(it).replace(mark, 'MARK').replace(home, 'HOME') for it in seen), sep='\\n')\n";
    let look = |client: &Client| {
        let kernel = client.create("python3");
        let (seen, stderr) = client.run(&kernel, code).finished();
        assert_eq!(stderr, "");
        assert!(seen.contains("MARK") && seen.contains("HOME"), "{seen}");
        let hash = client.run(&kernel, "print(hash('a'))").finished().0;
        client.destroy(&kernel);
        (seen, hash)
    };
    let (cold, one) = look(&client);
    wait_until("there is one", || gateway.stats().warm_kernels == 1);
    let (warm, other) = look(&client);
    assert_eq!(gateway.stats().warm_kernels_taken, 1);
    assert_eq!(warm, cold);
    assert_ne!(one, other, "the seeds of hashes");
}

#[test]
fn both_dialects_take_kernels_from_stock() {
    let (gateway, _directory) = gateway(|config| config);
    fill(&gateway, &Client::new(&gateway), "bash", 1);
    let client = backend_ai::Client::new(&gateway);
    client.create("first", "cr.backend.ai/stable/bash:5.1-ubuntu20.04");
    assert_eq!(gateway.stats().warm_kernels_taken, 1);
    let result = client.run("first", "echo here");
    assert_eq!(backend_ai::text(&result, "stdout"), "here\n", "{result}");
    let environ = serde_json::json!({"environ": {"ASKED": "for"}});
    wait_until("there is another", || gateway.stats().warm_kernels == 1);
    let body = serde_json::json!({"name": "second", "image": "bash", "config": environ});
    assert_eq!(client.json("POST", "/session", &body).0, 201);
    assert_eq!(
        gateway.stats().warm_kernels_taken,
        1,
        "its environment is another"
    );
    let result = client.run("second", "echo $ASKED");
    assert_eq!(backend_ai::text(&result, "stdout"), "for\n", "{result}");
}

#[test]
fn a_kernel_is_named_as_its_client_names_the_language() {
    let (gateway, _directory) = gateway(|config| config);
    let client = Client::new(&gateway);
    fill(&gateway, &client, "bash", 1);
    let token = SessionToken::from_random(random());
    let kernel = client.create_as("bash:5", token.clone());
    assert_eq!(gateway.stats().warm_kernels_taken, 1);
    let info = client.call(&Info::new(kernel.clone())).unwrap();
    assert_eq!(info.language(), Some("bash:5"));
    assert_eq!(client.create_as("bash:5", token), kernel);
}

#[test]
fn what_differs_from_those_in_stock_starts_as_usual() {
    let (gateway, _directory) = gateway(|config| config.with_max_memory(256 * MIB));
    let client = Client::new(&gateway);
    fill(&gateway, &client, "bash", 1);
    let kernel = client.create_with("bash", Limits::new().with_max_memory(64 * MIB));
    assert_eq!(gateway.stats().warm_kernels_taken, 0);
    let info = client.call(&Info::new(kernel.clone())).unwrap();
    assert_eq!(info.max_memory(), Some(64 * MIB));
    // As much as it has anyway makes no difference.
    let kernel = client.create_with("bash", Limits::new().with_max_memory(1024 * MIB));
    assert_eq!(gateway.stats().warm_kernels_taken, 1);
    let info = client.call(&Info::new(kernel.clone())).unwrap();
    assert_eq!(info.max_memory(), Some(256 * MIB));
    assert_eq!(info.extra()["memoryAsked"], 1024 * 1024);
}

#[test]
fn the_limits_of_a_kernel_from_stock_hold() {
    if !need("python3") {
        return;
    }
    let (gateway, _directory) = gateway(|config| {
        config
            .with_warm_kernels("python3", 1)
            .with_max_memory(128 * MIB)
            .with_exec_timeout(Duration::from_secs(1000))
    });
    let client = Client::new(&gateway);
    fill(&gateway, &client, "python3", 1);
    let limits = Limits::new().with_exec_timeout(Duration::from_millis(500));
    let kernel = client.create_with("python3", limits);
    assert_eq!(gateway.stats().warm_kernels_taken, 1);
    let info = client.call(&Info::new(kernel.clone())).unwrap();
    assert_eq!(info.exec_timeout(), Some(Duration::from_millis(500)));
    let endless = client.run(&kernel, "while True: pass");
    assert_eq!(
        endless.status,
        Some(ExecutionStatus::ExecTimeout),
        "{endless:?}"
    );
    client.destroy(&kernel);

    wait_until("there is another", || gateway.stats().warm_kernels == 1);
    let kernel = client.create("python3");
    assert_eq!(gateway.stats().warm_kernels_taken, 2);
    let info = client.call(&Info::new(kernel.clone())).unwrap();
    assert_eq!(info.exec_timeout(), Some(Duration::from_secs(1000)));
    let large = client.run(
        &kernel,
        "x = bytearray(500 << 20); import time; time.sleep(1000)",
    );
    let text = format!("{large:?}");
    assert!(
        text.contains("memory limit of 128 MiB") || text.contains("MemoryError"),
        "{text}"
    );
}

#[test]
fn those_in_stock_count_against_no_limit_and_belong_to_no_key() {
    let pair = |access: &str| {
        let secret = SecretKey::new("secret").unwrap();
        Credentials::new(AccessKey::new(access).unwrap(), secret)
    };
    let (gateway, _directory) = gateway(|config| {
        config
            .with_credentials([pair("AKIAONE"), pair("AKIATWO")])
            .with_max_kernels_per_key(1)
    });
    let (first, second) = (Client::with_key(&gateway, 0), Client::with_key(&gateway, 1));
    fill(&gateway, &first, "bash", 1);
    let kernel = first.create("bash");
    assert_eq!(gateway.stats().warm_kernels_taken, 1);
    let another = CreateKernel::new("bash", SessionToken::from_random(random()));
    assert_eq!(first.error_of(&another), (412, "quota-exceeded".to_owned()));
    assert_eq!(second.error_of(&Info::new(kernel.clone())).0, 404);
    wait_until("there is another", || gateway.stats().warm_kernels == 1);
    // The key's kernels end with it, and others do not.
    gateway.keys().replace([pair("AKIATWO")]);
    wait_until("its kernel ends", || gateway.stats().kernels == 0);
    assert_eq!(first.error_of(&another).0, 401);
    assert_eq!(gateway.stats().warm_kernels, 1);
    second.create("bash");
    assert_eq!(gateway.stats().warm_kernels_taken, 2);
}

#[test]
fn several_clients_at_once_have_kernels_of_their_own() {
    let (gateway, _directory) = gateway(|config| config.with_warm_kernels("bash", 2));
    fill(&gateway, &Client::new(&gateway), "bash", 2);
    let create = || {
        let client = Client::new(&gateway);
        let kernel = client.create("bash");
        home_of(&client, &kernel)
    };
    let homes: HashSet<String> = thread::scope(|scope| {
        let tasks: Vec<_> = (0..5).map(|_| scope.spawn(create)).collect();
        tasks.into_iter().map(|task| task.join().unwrap()).collect()
    });
    assert_eq!(homes.len(), 5);
    assert!(gateway.stats().warm_kernels_taken >= 2);
}

#[test]
fn none_is_made_while_something_runs() {
    let (gateway, _directory) = gateway(|config| config);
    let client = Client::new(&gateway);
    let busy = client.create("bash");
    let (_, running) = client.query(&busy, "sleep 1000");
    assert_eq!(running.status, ExecutionStatus::Continued);
    let kernel = client.create("bash");
    client.destroy(&kernel);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(gateway.stats().warm_kernels, 0);
    client.destroy(&busy);
    wait_until("there is one", || gateway.stats().warm_kernels == 1);

    // A program that waits for input does not count.
    let waiting = client.create("bash");
    let asked = client.run(&waiting, "read line; echo $line");
    assert!(asked.asks().is_some(), "{asked:?}");
    wait_until("there is another", || gateway.stats().warm_kernels == 1);
    assert_eq!(client.input(&waiting, "typed").finished().0, "typed\n");
}

#[test]
fn interpreters_of_all_languages_wait() {
    let rows = [
        ("nodejs", "node", "var x = 41", "console.log(x + 1)"),
        ("ruby", "ruby", "x = 41", "puts x + 1"),
        ("r", "Rscript", "x <- 41", "cat(x + 1, '\\n', sep = '')"),
        ("perl", "perl", "our $x = 41;", "print $x + 1, qq(\\n);"),
        ("php", "php", "$x = 41;", "echo $x + 1, PHP_EOL;"),
        ("lua", "lua", "x = 41", "print(x + 1)"),
    ];
    let (gateway, _directory) = gateway(|config| {
        let all = rows.iter().map(|(language, ..)| *language);
        all.fold(config, |config, language| {
            config.with_warm_kernels(language, 1)
        })
    });
    let client = Client::new(&gateway);
    let (mut taken, mut in_stock) = (0, 0);
    for (language, tool, first, second) in rows {
        if !need(tool) {
            continue;
        }
        fill(&gateway, &client, language, in_stock + 1);
        let kernel = client.create(language);
        (taken, in_stock) = (taken + 1, in_stock + 1);
        assert_eq!(gateway.stats().warm_kernels_taken, taken, "{language}");
        client.run(&kernel, first).finished();
        let said = client.run(&kernel, second).finished();
        assert_eq!(said, ("42\n".to_owned(), String::new()), "{language}");
        client.destroy(&kernel);
        wait_until("there is another", || {
            gateway.stats().warm_kernels == in_stock
        });
    }
}

#[test]
fn none_is_kept_for_long() {
    let (gateway, directory) = gateway(|config| config.with_warm_time(Duration::from_secs(2)));
    let client = Client::new(&gateway);
    fill(&gateway, &client, "bash", 1);
    wait_until("it ends", || gateway.stats().warm_kernels == 0);
    wait_until("its files are removed", || {
        homes(directory.path()).is_empty()
    });
    // Nor is another one made.
    thread::sleep(Duration::from_millis(500));
    assert_eq!(gateway.stats().warm_kernels, 0);
    let kernel = client.create("bash");
    assert_eq!(gateway.stats().warm_kernels_taken, 0);
    assert_eq!(client.run(&kernel, "echo here").finished().0, "here\n");
}

#[test]
fn one_that_was_killed_is_given_to_nobody() {
    let (gateway, directory) = gateway(|config| config);
    let client = Client::new(&gateway);
    fill(&gateway, &client, "bash", 1);
    let home = homes(directory.path()).remove(0);
    let base = fs::read_dir(directory.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let variable = format!("HOME={}/work", base.path().join(&home).display());
    let mut killed = 0;
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environ
            .split(|byte| *byte == 0)
            .any(|it| it == variable.as_bytes())
        {
            let id = entry.file_name().to_str().unwrap().parse().unwrap();
            let _ = kill_process(Pid::from_raw(id).unwrap(), Signal::KILL);
            killed += 1;
        }
    }
    assert!(killed > 0);
    wait_until("that is noticed", || gateway.stats().warm_kernels == 0);
    let kernel = client.create("bash");
    assert_eq!(gateway.stats().warm_kernels_taken, 0);
    let said = client.run(&kernel, "echo here").finished();
    assert_eq!(said, ("here\n".to_owned(), String::new()));
    assert_ne!(home_of(&client, &kernel), home);
    wait_until("there is another", || gateway.stats().warm_kernels == 1);
    assert!(!homes(directory.path()).contains(&home));
}

#[test]
fn a_language_may_have_none() {
    let (gateway, directory) = gateway(|config| {
        let config = config
            .with_warm_kernels("perl", 1)
            .with_warm_kernels("perl", 0);
        config.with_warm_kernels("klingon", 1)
    });
    let client = Client::new(&gateway);
    if need("perl") {
        client.destroy(&client.create("perl"));
    }
    fill(&gateway, &client, "bash", 1);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(gateway.stats().warm_kernels, 1);
    assert_eq!(homes(directory.path()).len(), 1);
}

#[test]
fn a_gateway_has_none_by_default() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = gateway_with(|config| config.with_directory(directory.path()));
    let client = Client::new(&gateway);
    client.destroy(&client.create("bash"));
    thread::sleep(Duration::from_millis(500));
    assert_eq!(gateway.stats().warm_kernels, 0);
    assert!(homes(directory.path()).is_empty());
}

#[test]
fn they_end_with_the_gateway() {
    let (gateway, directory) = gateway(|config| config.with_warm_kernels("bash", 3));
    let client = Client::new(&gateway);
    fill(&gateway, &client, "bash", 3);
    let word = directory.path().to_str().unwrap();
    assert!(running(word) > 0);
    gateway.stop();
    assert_eq!(running(word), 0);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_gateway_may_end_while_one_is_made() {
    for pause in [0, 20, 22, 24, 26, 28, 30, 40] {
        let (gateway, directory) = gateway(|config| config.with_warm_kernels("bash", 3));
        let client = Client::new(&gateway);
        client.destroy(&client.create("bash"));
        thread::sleep(Duration::from_millis(pause));
        gateway.stop();
        assert_eq!(running(directory.path().to_str().unwrap()), 0, "{pause}");
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            0,
            "{pause}"
        );
    }
}

#[test]
fn their_files_may_be_in_memory() {
    let (gateway, _directory) = gateway(|config| config.with_memory_disk(8 * MIB));
    let client = Client::new(&gateway);
    fill(&gateway, &client, "bash", 1);
    let kernel = client.create("bash");
    assert_eq!(gateway.stats().warm_kernels_taken, 1);
    client.upload(&kernel, &[("f", b"uploaded\n")]).unwrap();
    assert_eq!(client.run(&kernel, "cat f").finished().0, "uploaded\n");
    if gateway.isolation().level() == IsolationLevel::Namespaces {
        let full = client.run(&kernel, "head -c 20M /dev/zero > g");
        assert!(full.stderr.contains("No space left"), "{full:?}");
    }
}

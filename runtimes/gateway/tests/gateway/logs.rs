//! What kernels have printed, as the extension `logs` sends it in Sorna v2. In Backend.AI, it is the same.

use std::time::{Duration, Instant};

use crate::common::{Client, gateway, gateway_with, wait_until};
use sorna_core::{
    AccessKey, Console, Continuation, Credentials, Execute, ExecuteMode, ExecutionStatus,
    FollowLogs, KeepAlive, KernelId, LogPart, Logs, SecretKey,
};

const PATIENCE: Duration = Duration::from_secs(60);

fn part(client: &Client, kernel: &KernelId, from: u64, wait: Duration) -> LogPart {
    let follow = FollowLogs::new(kernel.clone(), from).with_wait(wait);
    client.call(&follow.with_extension(true)).unwrap()
}

/// All that is there, until it ends or has this at its end.
fn read_until(client: &Client, kernel: &KernelId, end: &str) -> (Console, LogPart) {
    let (mut all, mut next) = (Console::new(), 0);
    let until = Instant::now() + PATIENCE;
    loop {
        let part = part(client, kernel, next, Duration::from_secs(2));
        assert_eq!(part.from, next, "nothing is gone");
        next = part.next;
        all.append(part.console.clone());
        if part.has_ended || all.stdout().ends_with(end) {
            return (all, part);
        }
        assert!(Instant::now() < until, "{all:?}");
    }
}

/// What the client of an execution gets until its end.
fn fetch(client: &Client, mut last: Execute) -> Console {
    let mut console = Console::new();
    loop {
        last = last.proceed(Continuation::Continue);
        let result = client.call(&last).unwrap();
        console.append(result.console);
        if result.status == ExecutionStatus::Finished {
            return console;
        }
    }
}

fn start(client: &Client, kernel: &KernelId, code: &str) -> Execute {
    let start = Execute::start(kernel.clone(), ExecuteMode::query(code));
    let result = client.call(&start).unwrap();
    assert_eq!(result.status, ExecutionStatus::Continued);
    start
}

#[test]
fn a_log_grows_while_nobody_fetches_and_takes_nothing_from_who_does() {
    for (lang, code, late) in [
        (
            "python3",
            "import sys, time\nprint('one', flush=True); print('oops', file=sys.stderr, flush=True)\ntime.sleep(1); print('two')",
            "two\n",
        ),
        (
            "bash",
            "echo one; echo oops >&2; sleep 1; echo two",
            "two\n",
        ),
        (
            "perl",
            "$| = 1; print \"one\\n\"; print STDERR \"oops\\n\"; sleep 1; print \"two\\n\"",
            "two\n",
        ),
    ] {
        // So short that the first response has nothing yet.
        let gateway =
            gateway_with(|config| config.with_continuation_interval(Duration::from_millis(1)));
        let client = Client::new(&gateway);
        let kernel = client.create(lang);
        let begun = start(&client, &kernel, code);
        let (log, _) = read_until(&client, &kernel, late);
        assert_eq!(
            (&*log.stdout(), &*log.stderr()),
            ("one\ntwo\n", "oops\n"),
            "{lang}"
        );
        // A second reader, and the client itself.
        let (again, _) = read_until(&client, &kernel, late);
        assert_eq!(again, log, "{lang}");
        let text = client
            .call(&Logs::new(kernel.clone()).with_extension(true))
            .unwrap();
        let lines = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(lines(&text), ["one", "oops", "two"], "{lang}");
        let console = fetch(&client, begun);
        assert!(console.stdout().ends_with(late), "{lang}: {console:?}");
        gateway.stop();
    }
}

#[test]
fn what_is_there_is_sent_at_once_and_silence_is_waited_for() {
    let interval = Duration::from_millis(500);
    let gateway = gateway_with(|config| config.with_continuation_interval(interval));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    client.run(&kernel, "echo hello").finished();
    let first = part(&client, &kernel, 0, Duration::from_secs(100));
    assert_eq!((&*first.console.stdout(), first.next), ("hello\n", 6));
    // No longer than the gateway waits.
    let begun = Instant::now();
    let none = part(&client, &kernel, 6, Duration::from_secs(100));
    assert!(none.console.is_empty() && !none.has_ended && none.next == 6);
    assert!(begun.elapsed() >= interval);
    let none = part(&client, &kernel, 6, Duration::ZERO);
    assert!(none.console.is_empty());
    for query in ["from=x", "from=-1", "from=0&wait=x"] {
        let path = format!("/v2/kernel/{}/logs?{query}", kernel.path_segment());
        let response = client.raw("GET", &path, "application/json", b"");
        assert_eq!(response.status(), 400, "{query}");
    }
}

#[test]
fn only_the_last_output_is_kept_and_the_rest_is_counted() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let (stdout, _) = client
        .run(&kernel, "for i in range(100_000): print(f'{i:09}')")
        .finished();
    assert_eq!(stdout.len(), 1_000_000, "its client gets all");
    let part = part(&client, &kernel, 0, Duration::ZERO);
    assert_eq!(part.next, 1_000_000);
    let kept = part.console.stdout();
    assert!(
        kept.len() > 200 * 1024 && kept.len() <= 256 * 1024,
        "{}",
        kept.len()
    );
    assert_eq!(part.from + kept.len() as u64, part.next);
    assert!(stdout.ends_with(&*kept));
}

#[test]
fn a_log_ends_with_its_kernel_and_belongs_to_its_key() {
    let pair = |key: &str| {
        let secret = SecretKey::new("secret").unwrap();
        Credentials::new(AccessKey::new(key).unwrap(), secret)
    };
    let gateway = gateway_with(|config| config.with_credentials([pair("KEYONE"), pair("KEYTWO")]));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    client.run(&kernel, "echo last words").finished();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read_until(&Client::new(&gateway), &kernel, "never"));
        client.destroy(&kernel);
        let (log, part) = reader.join().unwrap();
        assert_eq!(log.stdout(), "last words\n");
        assert!(part.has_ended);
    });
    // Those who come late, too.
    let (log, part) = read_until(&client, &kernel, "never");
    assert_eq!((&*log.stdout(), part.has_ended), ("last words\n", true));
    let not_found = (404, "kernel-not-found".to_owned());
    let stranger = Client::with_key(&gateway, 1);
    let logs = Logs::new(kernel).with_extension(true);
    assert_eq!(stranger.error_of(&logs), not_found);
    let unknown = Logs::new(KernelId::new("never-was").unwrap()).with_extension(true);
    assert_eq!(
        client.error_of(&unknown),
        (404, "kernel-not-found".to_owned())
    );
    wait_until("it is gone", || gateway.stats().kernels == 0);
}

#[test]
fn a_log_s_last_part_says_why_its_kernel_ended() {
    let pair = || {
        let secret = SecretKey::new("secret").unwrap();
        Credentials::new(AccessKey::new("KEYONE").unwrap(), secret)
    };
    let gateway = gateway_with(|config| config.with_credentials([pair()]));
    let client = Client::new(&gateway);
    type End<'e> = &'e dyn Fn(&KernelId);
    let ends: [(&str, End); 3] = [
        ("the kernel was destroyed by a request", &|kernel| {
            client.destroy(kernel);
        }),
        (
            "the kernel was destroyed, as its access key was revoked",
            &|_| {
                gateway.keys().replace([]);
            },
        ),
        (
            "the kernel was destroyed after 1 s in which nothing ran in it, printed or was attached",
            &|kernel| {
                let keep = KeepAlive::new(kernel.clone());
                let keep = keep.with_idle_timeout(Duration::from_secs(1));
                client.call(&keep.with_extension(true)).unwrap();
            },
        ),
    ];
    for (reason, end) in ends {
        let kernel = client.create("bash");
        client.run(&kernel, "echo last words").finished();
        let (_, living) = read_until(&client, &kernel, "last words\n");
        assert_eq!((living.has_ended, living.end_reason), (false, None));
        end(&kernel);
        wait_until("it is gone", || gateway.stats().kernels == 0);
        gateway.keys().replace([pair()]);
        let (_, last) = read_until(&client, &kernel, "never");
        assert_eq!(last.end_reason.as_deref(), Some(reason));
    }
}

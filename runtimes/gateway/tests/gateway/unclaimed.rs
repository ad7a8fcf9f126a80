//! Output of executions whose clients have gone.

use std::io::{Read, Write};
use std::time::{Duration, Instant, SystemTime};

use crate::common::{Client, gateway, gateway_with};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use sorna_core::{Continuation, Execute, ExecuteMode, ExecutionResult, KernelId, RunMark};

fn marked(kernel: &KernelId, code: &str, id: &str) -> Execute {
    let mark = RunMark::new(id).with_unclaimed(true).with_wait(true);
    Execute::start(kernel.clone(), ExecuteMode::query(code)).with_mark(Some(mark))
}

/// The whole execution.
fn run(client: &Client, start: &Execute) -> ExecutionResult {
    let mut result = loop {
        match client.call(start) {
            Err(error) => assert!(error.is_busy(), "{error}"),
            Ok(result) => break result,
        }
    };
    let mut request = start.clone();
    while !result.status.is_end() {
        request = request.proceed(Continuation::Continue);
        let mut next = client.call(&request).unwrap();
        let mut console = std::mem::take(&mut result.console);
        console.append(std::mem::take(&mut next.console));
        next.console = console;
        result = next;
    }
    result
}

#[test]
fn a_response_that_breaks_off_is_not_received() {
    const MUCH: usize = 1_900_000;
    let gateway = gateway_with(|config| config.with_max_console_size(2 << 20));
    let client = Client::new(&gateway);
    for (lang, code) in [
        ("python3", format!("print('x' * {MUCH}, end='')")),
        ("bash", format!("head -c {MUCH} /dev/zero | tr '\\0' x")),
        (
            "nodejs",
            format!("process.stdout.write('x'.repeat({MUCH}))"),
        ),
    ] {
        let kernel = client.create(lang);
        let mut connection = client.connect();
        set_socket_recv_buffer_size(&connection, 4096).unwrap();
        let first = marked(&kernel, &code, "first");
        let bytes = client.bytes_of(&first, SystemTime::now());
        connection.write_all(&bytes).unwrap();
        let mut head = [0; 400];
        connection.read_exact(&mut head).unwrap();
        drop(connection);
        let began = Instant::now();
        let unclaimed = loop {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "{lang}: it is lost"
            );
            // The gateway may not know yet that it has gone.
            let id = format!("{:?}", SystemTime::now());
            let result = run(&client, &marked(&kernel, "1", &id));
            if let Some(unclaimed) = result.console.unclaimed() {
                break unclaimed;
            }
        };
        assert_eq!(unclaimed.stdout().len(), MUCH, "{lang}");
        assert_eq!(unclaimed.stderr(), "", "{lang}");
        let last = run(&client, &marked(&kernel, "2", "last"));
        assert_eq!(last.console.unclaimed(), None, "{lang}");
    }
}

#[test]
fn only_who_takes_it_gets_it_and_once() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for (lang, begin, next) in [
        (
            "python3",
            "print('old', flush=True)\nimport time\nwhile not __import__('os').path.exists('go'): time.sleep(.005)\nprint('end')",
            "print('new')",
        ),
        (
            "bash",
            "echo old; until [ -e go ]; do sleep 0.005; done; echo end",
            "echo new",
        ),
        (
            "ruby",
            "puts 'old'; $stdout.flush; sleep 0.005 until File.exist?('go'); puts 'end'",
            "puts 'new'",
        ),
    ] {
        let kernel = client.create(lang);
        let begun = client.call(&marked(&kernel, begin, "first")).unwrap();
        assert_eq!(begun.stdout(), "old\n");
        client.upload(&kernel, &[("go", b"")]).unwrap();
        let plain = RunMark::new("plain").with_wait(true);
        let plain = Execute::start(kernel.clone(), ExecuteMode::query(next)).with_mark(Some(plain));
        let plain = run(&client, &plain);
        assert_eq!(
            (&*plain.stdout(), plain.console.unclaimed()),
            ("new\n", None)
        );
        let second = run(&client, &marked(&kernel, next, "second"));
        assert_eq!(second.stdout(), "new\n");
        // That its first part has arrived is not known: it has not asked for more.
        assert_eq!(second.console.unclaimed().unwrap().stdout(), "old\nend\n");
        let third = run(&client, &marked(&kernel, next, "third"));
        assert_eq!(third.console.unclaimed(), None);
        let (_, after) = client.query(&kernel, next);
        assert_eq!(after.console.stdout(), "new\n");
    }
}

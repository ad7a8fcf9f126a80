//! Output that no one fetches.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use sorna::blocking::{Client, Kernel};
use sorna::protocol::{Continuation, Execute};
use sorna::{ExecuteMode, ExecutionStatus, Record};
use sorna_test_tools::need;

use crate::attack::{
    connect, first_of, other_key, serve, serve_two_keys, signed, signed_with, under_attack,
};
use crate::support::served::Served;
use crate::support::{PATIENCE, here};

/// How many characters of media each of the kernels makes.
const MEDIA: usize = 15 << 20;

/// Makes media some time after the first response. No client asks for it.
fn make_media(client: &Client) -> Kernel {
    let kernel = client.create("python3").expect("a kernel");
    let code = format!(
        "import sorna_kernel, time\ntime.sleep(3)\nsorna_kernel.media('image/png', bytes({MEDIA} * 3 // 4))\nprint('made')"
    );
    let request = Execute::start(kernel.id().clone(), ExecuteMode::query(&code));
    let result = client.call(request).expect("a response").value;
    assert_eq!(result.status, ExecutionStatus::Continued);
    kernel
}

/// Asks for the rest until the execution ends. Output in responses that no one read does not come again.
fn fetch_some(client: &Client, kernel: &Kernel) {
    let until = Instant::now() + PATIENCE;
    loop {
        let start = Execute::start(kernel.id().clone(), ExecuteMode::query(""));
        let next = start.proceed(Continuation::Continue);
        let result = client.call(next).expect("a response").value;
        if result.status == ExecutionStatus::Finished {
            break;
        }
        assert!(Instant::now() < until, "it does not end");
    }
}

/// Asks for the rest, which must all be there.
fn fetch(client: &Client, kernel: &Kernel) {
    let (mut media, mut text) = (0, String::new());
    let until = Instant::now() + PATIENCE;
    loop {
        let start = Execute::start(kernel.id().clone(), ExecuteMode::query(""));
        let next = start.proceed(Continuation::Continue);
        let result = client.call(next).expect("a response").value;
        for record in &result.console {
            if let Record::Media(one) = &record {
                media += one.content().len();
            }
        }
        text += &result.console.stdout();
        if result.status == ExecutionStatus::Finished {
            break;
        }
        assert!(Instant::now() < until, "it does not end");
    }
    let whole = MEDIA + "data:image/png;base64,".len();
    assert_eq!((media, text.as_str()), (whole, "made\n"));
}

#[test]
fn media_that_nobody_fetches_waits_in_its_programs() {
    if !need("python3") {
        return;
    }
    let directory = here();
    let mut command = serve(directory.path());
    // They wait until they are fetched, one after the other, however busy the machine is.
    command.args(["--exec-timeout", "10m"]);
    let served = Served::start(command);
    let client = served.client();
    let kernels = under_attack("unfetched media", &served, || {
        let kernels: Vec<_> = thread::scope(|scope| {
            let started: Vec<_> = (0..12)
                .map(|_| scope.spawn(|| make_media(&client)))
                .collect();
            started
                .into_iter()
                .map(|it| it.join().expect("a kernel"))
                .collect()
        });
        // Long enough for all of it to be made.
        thread::sleep(Duration::from_secs(5));
        kernels
    });
    for kernel in &kernels {
        fetch(&client, kernel);
    }
}

#[test]
fn media_whose_responses_nobody_reads_waits_in_its_programs() {
    if !need("python3") {
        return;
    }
    let directory = here();
    let mut command = serve_two_keys(directory.path());
    command.args(["--exec-timeout", "10m"]);
    let served = first_of(Served::start(command));
    let clients = [served.client(), Client::new(other_key(&served))];
    under_attack("unread media of two keys", &served, || {
        let kernels: Vec<_> = thread::scope(|scope| {
            let started: Vec<_> = (0..12)
                .map(|number| {
                    scope.spawn({
                        let client = &clients[number % 2];
                        move || (client, make_media(client))
                    })
                })
                .collect();
            let joined = started.into_iter().map(|it| it.join());
            joined.map(|it| it.expect("a kernel")).collect()
        });
        let mut streams = Vec::new();
        for (client, kernel) in &kernels {
            let start = Execute::start(kernel.id().clone(), ExecuteMode::query(""));
            let next = start.proceed(Continuation::Continue);
            let mut stream = connect(&served);
            let request = signed_with(client.config(), &next, "");
            let _ = stream.write_all(&request);
            streams.push(stream);
        }
        thread::sleep(Duration::from_secs(6));
        // One after the other is there for those who read.
        drop(streams);
        fetch_some(kernels[0].0, &kernels[0].1);
    });
}

#[test]
fn text_that_nobody_reads_waits_in_its_programs() {
    if !need("bash") {
        return;
    }
    let directory = here();
    let served = Served::start(serve(directory.path()));
    let client = served.client();
    under_attack("unread responses", &served, || {
        let mut streams = Vec::new();
        for _ in 0..20 {
            let kernel = client.create("bash").expect("a kernel");
            let start = Execute::start(
                kernel.id().clone(),
                ExecuteMode::query("yes | head -c 100M"),
            );
            let mut stream = connect(&served);
            let _ = stream.write_all(&signed(&served, &start, ""));
            // Ten more, which wait for their turn, or get the next part.
            let next = signed(&served, &start.proceed(Continuation::Continue), "");
            let _ = stream.write_all(&next.repeat(10));
            streams.push(stream);
        }
        thread::sleep(Duration::from_secs(3));
    });
}

//! Output that nobody fetches.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use sorna::blocking::{Client, Kernel};
use sorna::protocol::{Continuation, Execute};
use sorna::{ExecuteMode, ExecutionStatus, Record};
use sorna_test_tools::need;

use crate::attack::{connect, serve, signed, under_attack};
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

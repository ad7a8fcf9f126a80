//! Large output whose client goes while it arrives, where there is no room for it: others get theirs all the same.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::{Client, gateway_with};
use sorna_core::{
    Continuation, Execute, ExecuteMode, ExecutionResult, ExecutionStatus, KernelId, Record, RunMark,
};

/// How many bytes of media each kernel makes. There is room for one of them.
const MEDIA: usize = 11 << 20;

/// Starts a program that makes media some time after its first response was sent.
fn start(client: &Client, kernel: &KernelId, is_marked: bool) -> Execute {
    let code = format!(
        "import sorna_kernel, time\ntime.sleep(.5)\nsorna_kernel.media('image/png', bytes({MEDIA}))\nprint('made')"
    );
    let mark = is_marked.then(|| RunMark::new("run"));
    let start = Execute::start(kernel.clone(), ExecuteMode::query(&code)).with_mark(mark);
    let result = client.call(&start).unwrap();
    assert_eq!(result.status, ExecutionStatus::Continued);
    start
}

/// How long the media of a response are.
fn media_len(result: &ExecutionResult) -> usize {
    let of = |record: Record<'_>| match record {
        Record::Media(one) => one.content().len(),
        _ => 0,
    };
    result.console.iter().map(of).sum()
}

/// Its end: how long the media are, and what it has printed.
fn fetch(client: &Client, mut last: Execute) -> (usize, String) {
    let (mut media, mut text) = (0, String::new());
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        last = last.proceed(Continuation::Continue);
        let result = client.call(&last).unwrap();
        media += media_len(&result);
        text += &result.console.stdout();
        text += &result.console.stderr();
        if result.status == ExecutionStatus::Finished {
            return (media, text);
        }
        assert!(Instant::now() < until, "it does not end");
    }
}

#[test]
fn output_whose_client_has_gone_makes_way_for_others() {
    // So short that a request ends while media arrive that it has let in.
    let gateway =
        gateway_with(|config| config.with_continuation_interval(Duration::from_millis(5)));
    let client = Client::new(&gateway);
    let whole = MEDIA.div_ceil(3) * 4 + "data:image/png;base64,".len();
    let first = start(&client, &client.create("python3"), false);
    for is_marked in [false, true] {
        let gone = start(&client, &client.create("python3"), is_marked);
        // Long enough for it to wait for room.
        sleep(Duration::from_secs(2));
        let last = gone.proceed(Continuation::Continue);
        // Where the machine is busy, the response may have the media already.
        let early = media_len(&client.call(&last).unwrap());
        // Long enough for the media to arrive that this has let in.
        sleep(Duration::from_secs(1));
        let other = start(&client, &client.create("python3"), is_marked);
        assert_eq!(fetch(&client, other), (whole, "made\n".to_owned()));
        let (media, text) = fetch(&client, last);
        let is_lost = text.contains("bytes of output were lost, since its client had gone");
        assert!(early > 0 || text.contains("made\n"), "{text}");
        assert_ne!(early + media == whole, is_lost, "{media} {text}");
    }
    assert_eq!(fetch(&client, first), (whole, "made\n".to_owned()));
}

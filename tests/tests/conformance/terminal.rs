//! The terminal.

use sorna::{KernelId, TerminalEvent, TerminalOptions};

use crate::lab::{Check, Lab, PATIENCE};
use sorna_tests::drivers::{Driver, PtyDriver, read_until};

fn contains(all: &[u8], text: &str) -> bool {
    all.windows(text.len())
        .any(|window| window == text.as_bytes())
}

async fn open<D: Driver>(lab: &Lab<D>, kernel: &KernelId) -> D::Pty {
    let opened = lab
        .driver
        .stream_pty(kernel.clone(), TerminalOptions::default())
        .await;
    let opened = opened.expect("a terminal");
    if lab.gateway().is_none() {
        // On a busy machine, some gateways lose what is typed in the first moments.
        D::sleep(std::time::Duration::from_secs(1)).await;
    }
    opened
}

async fn types(pty: &mut impl PtyDriver, text: &str) {
    pty.write(text.as_bytes()).await.expect("typed");
}

pub(crate) fn echo<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("bash").await;
        let mut pty = open(lab, &kernel).await;
        types(&mut pty, "echo $((6 * 7))-é\n").await;
        let all = read_until(&mut pty, |all| contains(all, "42-é\r\n")).await;
        assert!(
            contains(&all, "echo $((6 * 7))-é"),
            "what is typed is echoed"
        );
        pty.close().await.expect("closed");
        // The kernel keeps living.
        assert_eq!(
            lab.run(&kernel, "echo alive").await.console.stdout(),
            "alive\n"
        );
        lab.destroy(kernel).await;
    })
}

/// Also before a program that reads whole lines, without an editor like that of bash.
pub(crate) fn backspace_erases_characters<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("bash").await;
        let mut pty = open(lab, &kernel).await;
        types(&mut pty, "stty -echo; echo $((6 * 7)); cat\n").await;
        read_until(&mut pty, |all| contains(all, "42\r\n")).await;
        for (typed, read) in [
            ("x漢\x7fy\n", "xy"),
            ("é\x7f\x7f-\n", "-"),
            ("aéb\x7f\x7fc\n", "ac"),
            ("😀漢\x7f!\n", "😀!"),
        ] {
            types(&mut pty, typed).await;
            let all = read_until(&mut pty, |all| all.ends_with(b"\r\n")).await;
            assert_eq!(String::from_utf8_lossy(&all), format!("{read}\r\n"));
        }
        lab.destroy(kernel).await;
    })
}

pub(crate) fn resize<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("bash").await;
        let mut pty = open(lab, &kernel).await;
        types(&mut pty, "stty size\n").await;
        read_until(&mut pty, |all| contains(all, "24 80\r\n")).await;
        pty.resize(50, 132).await.expect("resized");
        types(&mut pty, "stty size\n").await;
        read_until(&mut pty, |all| contains(all, "50 132\r\n")).await;
        lab.destroy(kernel).await;
    })
}

/// Before each prompt, bash sets the window's size to the one that it has just read, which may undo a change.
const UNDOES_A_CHANGE: &str = r#"python3 -c '
import fcntl, os, termios, time
old = fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8))
print("rea" + "dy", flush=True)
for _ in "undone", "kept":
    fcntl.ioctl(0, termios.TIOCSWINSZ, old)
    while fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8)) == old:
        time.sleep(0.001)
print("lines:", os.get_terminal_size().lines)
'
"#;

pub(crate) fn resize_that_is_undone<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("bash").await;
        let mut pty = open(lab, &kernel).await;
        types(&mut pty, UNDOES_A_CHANGE).await;
        read_until(&mut pty, |all| contains(all, "ready\r\n")).await;
        pty.resize(50, 132).await.expect("resized");
        read_until(&mut pty, |all| contains(all, "lines: 50\r\n")).await;
        lab.destroy(kernel).await;
    })
}

pub(crate) fn restart_in_the_terminal<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("bash").await;
        let mut pty = open(lab, &kernel).await;
        types(&mut pty, "x=before; echo x-is-$x\n").await;
        read_until(&mut pty, |all| contains(all, "x-is-before\r\n")).await;
        pty.restart().await.expect("restarted");
        types(&mut pty, "echo x-is-[$x]\n").await;
        read_until(&mut pty, |all| contains(all, "x-is-[]\r\n")).await;
        pty.close().await.expect("closed");
        lab.destroy(kernel).await;
    })
}

pub(crate) fn closed_with_the_kernel<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("bash").await;
        let mut pty = open(lab, &kernel).await;
        types(&mut pty, "echo on\n").await;
        read_until(&mut pty, |all| contains(all, "on\r\n")).await;
        lab.destroy(kernel).await;
        let code = loop {
            match pty.event().await.expect("an event") {
                Some(TerminalEvent::Closed { code, .. }) => break code,
                Some(_) => {}
                None => panic!("it ends with an event"),
            }
        };
        assert_eq!(code, Some(1000));
        assert_eq!(pty.event().await.expect("the end"), None);
        assert!(pty.write(b"x").await.is_err());
    })
}

pub(crate) fn error_response_is_reported<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let missing = KernelId::new("zuF1OzMIhFknyjUl7Apbvg").expect("an id");
        let opened = lab
            .driver
            .stream_pty(missing, TerminalOptions::default())
            .await;
        let error = opened.err().expect("refused");
        let error_response = error.gateway().expect("an error response");
        assert_eq!(error_response.kind(), Some(lab.not_found()));
    })
}

pub(crate) fn ten_mebibytes<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("bash").await;
        let mut pty = open(lab, &kernel).await;
        let code =
            "stty raw -echo; printf '<<<'; seq 1000000 2310719; printf '>>>\\n'; sleep 1000\n";
        types(&mut pty, code).await;
        let mut end = 0;
        let all = read_until(&mut pty, |all| {
            // Look only at what is new.
            let found = all[end..].windows(3).any(|window| window == b">>>");
            end = all.len().saturating_sub(2);
            found && all.len() > 10 << 20
        })
        .await;
        let start = all
            .windows(3)
            .rposition(|window| window == b"<<<")
            .expect("a start")
            + 3;
        let stop = all
            .windows(3)
            .rposition(|window| window == b">>>")
            .expect("a stop");
        let sent = &all[start..stop];
        assert_eq!(sent.len(), 10 << 20);
        let lines = sent.split_inclusive(|byte| *byte == b'\n');
        for (index, line) in lines.enumerate() {
            assert_eq!(line, format!("{}\n", 1_000_000 + index).as_bytes());
        }
        lab.destroy(kernel).await;
    })
}

/// A program that writes more than is read has to wait, and continues when its output is read.
pub(crate) fn slow_reader<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("bash").await;
        let mut pty = open(lab, &kernel).await;
        let code = "i=0; while :; do printf '%04096d' 0; i=$((i+1)); echo $i > progress; done\n";
        types(&mut pty, code).await;
        let progress = || async {
            let code = "cat progress 2> /dev/null || echo 0";
            let result = lab.run(&kernel, code).await;
            result
                .console
                .stdout()
                .trim()
                .parse::<u64>()
                .unwrap_or_default()
        };
        let mut stalled = 0;
        let mut last = 0;
        let start = std::time::Instant::now();
        while stalled < 5 {
            assert!(start.elapsed() < PATIENCE, "it never waits, at {last}");
            D::sleep(std::time::Duration::from_millis(100)).await;
            let now = progress().await;
            stalled = if now > 0 && now == last {
                stalled + 1
            } else {
                0
            };
            last = now;
        }
        assert!(last < 16 * 1024, "less than 64 MiB wait for the reader");
        let much = usize::try_from(last).expect("a number") * 4096 + (1 << 20);
        let mut read = 0;
        while read < much {
            if let Some(TerminalEvent::Output(bytes)) = pty.event().await.expect("an event") {
                read += bytes.len();
            }
        }
        lab.destroy(kernel).await;
    })
}

/// A kernel has one terminal: all its clients see the same output, and all may type.
pub(crate) fn several_clients<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("bash").await;
        let mut first = open(lab, &kernel).await;
        types(&mut first, "x=shared; echo from-$((1 + 0))\n").await;
        read_until(&mut first, |all| contains(all, "from-1\r\n")).await;
        let mut second = open(lab, &kernel).await;
        types(&mut second, "echo from-$((1 + 1))-$x\n").await;
        read_until(&mut first, |all| contains(all, "from-2-shared\r\n")).await;
        read_until(&mut second, |all| contains(all, "from-2-shared\r\n")).await;
        // Closing one does not close the terminal for the other.
        first.close().await.expect("closed");
        types(&mut second, "echo from-$((1 + 2))\n").await;
        read_until(&mut second, |all| contains(all, "from-3\r\n")).await;
        lab.destroy(kernel).await;
    })
}

/// All output arrives, even if the shell has ended before it is read.
pub(crate) fn output_before_the_end<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("bash").await;
        let mut pty = open(lab, &kernel).await;
        let code = "echo $$ > shell; stty raw -echo; \
            (trap '' HUP; seq 1000000 2999999; printf '%s%s' EN D) & exit\n";
        types(&mut pty, code).await;
        // Nothing is read until the shell has ended, and its output exceeds all buffers.
        let state = "[ -s shell ] && sed 's/.*) //; s/ .*//' /proc/$(< shell)/stat 2> /dev/null \
            || { [ -s shell ] && echo ended; }";
        let start = std::time::Instant::now();
        loop {
            let result = lab.run(&kernel, state).await;
            match result.console.stdout().trim() {
                "ended" | "Z" => break,
                state => assert!(start.elapsed() < PATIENCE, "the shell stays: {state:?}"),
            }
            D::sleep(std::time::Duration::from_millis(20)).await;
        }
        let mut all = Vec::new();
        while let Some(event) = pty.event().await.expect("an event") {
            match event {
                TerminalEvent::Output(bytes) => all.extend_from_slice(&bytes),
                TerminalEvent::Closed { code, .. } => assert_eq!(code, Some(1000)),
                _ => {}
            }
        }
        assert!(
            contains(&all, "2999999\nEND"),
            "the end came, after {} bytes",
            all.len()
        );
        lab.destroy(kernel).await;
    })
}

/// Writing more than the program reads has to wait.
pub(crate) fn fast_writer<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        // A blocking write cannot be dropped; its driver has its own test.
        if !D::IS_ASYNC {
            return;
        }
        let kernel = lab.kernel("bash").await;
        let mut pty = open(lab, &kernel).await;
        types(&mut pty, "stty raw -echo; printf READY; sleep 1000\n").await;
        read_until(&mut pty, |all| all.ends_with(b"READY")).await;
        let much = vec![b'x'; 64 << 20];
        let write = std::pin::pin!(pty.write(&much));
        let time = std::pin::pin!(D::sleep(std::time::Duration::from_secs(1)));
        let first = futures_util::future::select(write, time).await;
        assert!(
            matches!(first, futures_util::future::Either::Right(_)),
            "it does not wait for the program"
        );
        lab.destroy(kernel).await;
    })
}

pub(crate) fn binary<D: Driver>(lab: &Lab<D>) -> Check<'_> {
    Box::pin(async {
        let kernel = lab.kernel("bash").await;
        let mut pty = open(lab, &kernel).await;
        // All bytes in both directions, through a raw terminal.
        types(
            &mut pty,
            "stty raw -echo; printf READY; head -c 256; printf DONE; sleep 1000\n",
        )
        .await;
        read_until(&mut pty, |all| all.ends_with(b"READY")).await;
        let bytes: Vec<u8> = (0..=255).collect();
        pty.write(&bytes).await.expect("typed");
        let all = read_until(&mut pty, |all| all.ends_with(b"DONE")).await;
        assert_eq!(&all[..all.len() - 4], bytes.as_slice());
        lab.destroy(kernel).await;
    })
}

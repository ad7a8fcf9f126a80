//! Output and input that are not UTF-8, over a real socket.

use crate::common::{Client, PATIENCE, gateway, gateway_with};
use sorna_core::{
    Batch, Console, Continuation, Execute, ExecuteMode, ExecutionResult, ExecutionStatus, Record,
};

/// Executes code, with this as its input, and returns all output.
fn execute(client: &Client, start: &Execute, input: &[u8]) -> Console {
    let mut pieces = input.chunks(50_000);
    let mut all = Console::new();
    let mut result = client.call(start).unwrap();
    loop {
        all.append(std::mem::take(&mut result.console));
        let next = match result.status {
            ExecutionStatus::Finished => return all,
            ExecutionStatus::WaitingInput => {
                assert!(result.takes_bytes());
                match pieces.next() {
                    Some(piece) => Continuation::InputBytes(piece.to_vec()),
                    None => Continuation::Input("\u{4}".to_owned()),
                }
            }
            _ => Continuation::Continue,
        };
        result = client.call(&start.proceed(next)).unwrap();
    }
}

/// Continues a run until it does anything but print; on a busy machine, what it prints may come before that. Returns all output.
fn continued(client: &Client, start: &Execute, first: ExecutionResult) -> ExecutionResult {
    let mut result = first;
    let mut all = std::mem::take(&mut result.console);
    while result.status == ExecutionStatus::Continued {
        result = client.call(&start.proceed(Continuation::Continue)).unwrap();
        all.append(std::mem::take(&mut result.console));
    }
    result.console = all;
    result
}

/// All bytes in many orders.
fn bytes() -> Vec<u8> {
    (0..300_000_usize)
        .map(|index| (index * 167 + index / 256) as u8)
        .collect()
}

#[test]
fn bytes_go_in_and_come_out_as_they_are() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let latin = b"\xe9t\xe9\r\nno line end: \xfc".to_vec();
    for input in [bytes(), latin, b"\xc3".to_vec(), b"x\0\xff\n".to_vec()] {
        let start = Execute::start(kernel.clone(), ExecuteMode::query("tee /dev/stderr"));
        let all = execute(&client, &start.with_bytes(true), &input);
        assert!(all.stdout_bytes() == input, "{all:?}");
        assert!(all.stderr_bytes() == input, "{all:?}");
    }
}

#[test]
fn clients_that_do_not_ask_get_text_as_before() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let input = bytes();
    let start = Execute::start(kernel, ExecuteMode::query("cat"));
    let all = execute(&client, &start, &input);
    assert!(!all.has_bytes());
    assert!(all.stdout() == String::from_utf8_lossy(&input));
}

#[test]
fn text_stays_text_and_keeps_its_place() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    // The last character comes in pieces.
    let code = r"printf 'é\n'; sleep 0.1; printf '\377\376'; sleep 0.1; printf 'e\n' >&2; sleep 0.1; printf '\303'; sleep 0.1; printf '\251\n'";
    let start = Execute::start(kernel, ExecuteMode::query(code)).with_bytes(true);
    let all = execute(&client, &start, b"");
    let records: Vec<_> = all.iter_exact().collect();
    let expected = [
        Record::Stdout("é\n".into()),
        Record::StdoutBytes(b"\xff\xfe"[..].into()),
        Record::Stderr("e\n".into()),
        Record::Stdout("é\n".into()),
    ];
    assert_eq!(records, expected);
}

#[test]
fn nothing_is_held_back_before_a_question_or_the_end_of_a_step() {
    let gateway = gateway_with(|config| config.with_continuation_interval(PATIENCE));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let start = Execute::start(
        kernel.clone(),
        ExecuteMode::query(r"printf '?\303'; head -c 1"),
    );
    let start = start.with_bytes(true);
    let asked = continued(&client, &start, client.call(&start).unwrap());
    assert_eq!(asked.status, ExecutionStatus::WaitingInput);
    assert_eq!(&*asked.stdout_bytes(), b"?\xc3");
    let input = start.proceed(Continuation::InputBytes(b"\xc3".to_vec()));
    let all = continued(&client, &start, client.call(&input).unwrap());
    assert_eq!(&*all.stdout_bytes(), b"\xc3");

    let batch = Batch::new()
        .with_build(r"printf '\303'")
        .with_exec(r"printf '\303'");
    let start = Execute::start(kernel, batch.into()).with_bytes(true);
    let built = continued(&client, &start, client.call(&start).unwrap());
    assert_eq!(built.status, ExecutionStatus::BuildFinished);
    assert_eq!(&*built.stdout_bytes(), b"\xc3");
    let ran = client.call(&start.proceed(Continuation::Continue)).unwrap();
    let ran = continued(&client, &start, ran);
    assert_eq!(&*ran.stdout_bytes(), b"\xc3");
}

#[test]
fn bytes_that_nothing_asked_for_start_nothing() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let start = Execute::start(kernel.clone(), ExecuteMode::query("true"));
    let input = start.proceed(Continuation::InputBytes(b"touch made".to_vec()));
    client.call(&input).unwrap();
    let listed = Execute::start(kernel, ExecuteMode::query("ls"));
    assert_eq!(execute(&client, &listed, b"").stdout(), "");
}

//! Examples that end on their own.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};
use sorna_test_tools::need;

use crate::lab::{example, example_on};

fn output(command: &mut Command) -> String {
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn gateway() -> RunningGateway {
    Gateway::spawn(GatewayConfig::default()).unwrap()
}

#[test]
fn every_submission_gets_the_right_verdict() {
    if !need("python3") || !need("gcc") {
        return;
    }
    let table = output(&mut example("autograder"));
    let (table, summary) = table.split_once("\n\n").unwrap();
    let mut verdicts = BTreeMap::new();
    for line in table.lines().skip(1) {
        let mut words = line.splitn(3, char::is_whitespace);
        let (_, name) = words.next().unwrap().split_once('-').unwrap();
        let (used, verdict) = (&line[22..39], line[41..].to_owned());
        let expected = match name {
            "right" => "OK   accepted",
            "minus" | "abs" | "silent" => "WA   wrong answer",
            "typo" | "exit" | "null" => "RE   crashes",
            "syntax" => "CE   does not compile",
            "loop" | "sleep" => "TLE  too slow",
            "hoard" => "MLE  too much memory",
            // Whichever is exceeded first.
            "bomb" if verdict.starts_with("PLE") => "PLE  too many processes",
            "bomb" => "MLE  too much memory",
            "babble" => "OLE  too much output",
            "curious" => "ILE  wants more input",
            name => panic!("{name}"),
        };
        assert_eq!(verdict, expected, "{line}");
        let numbers: Vec<_> = used.split_whitespace().collect();
        match name {
            // It is cancelled.
            "curious" => assert_eq!(numbers, ["-", "-"], "{line}"),
            _ => assert!(matches!(numbers[..], [_, "ms", _, "MiB"]), "{line}"),
        }
        let time: u64 = numbers[0].parse().unwrap_or_default();
        match name {
            "sleep" => assert!(time < 1000, "{line}"),
            "loop" => assert!(time > 100, "{line}"),
            _ => {}
        }
        *verdicts.entry(verdict).or_insert(0) += 1;
    }
    assert_eq!(verdicts.values().sum::<usize>(), 100);
    for (verdict, number) in verdicts {
        assert!(
            summary.contains(&format!("{number:>4} {verdict}\n")),
            "{summary}"
        );
    }
}

#[test]
fn a_custom_gateway_runs_a_snippet() {
    let exchange = output(&mut example("own_gateway"));
    assert!(
        exchange.ends_with("output: \"hi <answer>!\"; kernel: Destroyed\n"),
        "{exchange}"
    );
}

#[test]
fn another_http_client_sends_the_requests() {
    if !need("python3") {
        return;
    }
    let gateway = gateway();
    assert_eq!(
        output(&mut example_on(&gateway, "own_transport")),
        "hello world\n"
    );
    assert_eq!(gateway.stats().kernels, 0);
}

#[test]
fn a_runtime_that_holds_a_handle_drives_a_client() {
    if !need("python3") {
        return;
    }
    let gateway = gateway();
    assert_eq!(
        output(&mut example_on(&gateway, "own_runtime")),
        "hello world\n"
    );
    assert_eq!(gateway.stats().kernels, 0);
}

#[test]
fn curl_sends_requests_that_core_has_signed() {
    if !need("curl") {
        return;
    }
    let gateway = gateway();
    let send = |words: &[&str]| {
        let command = output(example_on(&gateway, "curl").args(words));
        assert!(!command.contains(gateway.secret_key()));
        output(Command::new("sh").args(["-c", &command]))
    };
    let version = send(&["version"]);
    assert!(version.contains(r#""version":"v2.20170315""#), "{version}");
    assert_eq!(
        send(&["authorize"]),
        r#"{"authorized":"yes","echo":"hello"}"#
    );
    let created = send(&["create", "bash", "a token; it's mine"]);
    let (_, kernel) = created.split_once(r#""kernelId":""#).unwrap();
    let (kernel, _) = kernel.split_once('"').unwrap();
    let result = send(&["execute", kernel, "echo @\"it's\" $((6 * 7)) é"]);
    assert!(
        result.contains(r#"[["stdout","@it's 42 é\n"]]"#),
        "{result}"
    );
    assert_eq!(send(&["destroy", kernel]), "");
    assert_eq!(gateway.stats().kernels, 0);
}

//! Reading a large result, beside the leanest struct that borrows from the same bytes, and a message of a terminal.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Response;
use serde::Deserialize;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use sorna_benchmarks::{compare, head, row};
use sorna_core::terminal::Message;
use sorna_core::{ApiVersion, Execute, ExecuteMode, KernelId, Operation};

#[path = "../shared/results.rs"]
mod results;

/// The fields that a program needs, and nothing more.
#[derive(Deserialize)]
struct Lean<'a> {
    #[serde(borrow)]
    result: LeanResult<'a>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "it is read, and that is all")]
struct LeanResult<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    console: Vec<Record<'a>>,
}

#[allow(dead_code, reason = "it is read, and that is all")]
struct Record<'a> {
    kind: Text<'a>,
    text: Text<'a>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "it is read, and that is all")]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Record<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;

        impl<'de> Visitor<'de> for Pair {
            type Value = Record<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
                let missing = || serde::de::Error::custom("half a record");
                let kind = parts.next_element()?.ok_or_else(missing)?;
                let text = parts.next_element()?.ok_or_else(missing)?;
                while parts.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Record { kind, text })
            }
        }

        deserializer.deserialize_seq(Pair)
    }
}

fn main() {
    let kernel = KernelId::new("zuF1OzMIhFknyjUl7Apbvg").expect("an id");
    let execute = Execute::start(kernel, ExecuteMode::query(""));
    head();
    for (name, body) in results::all() {
        let ours = || {
            let response = Response::new(body.clone());
            execute
                .read_response(ApiVersion::default(), response)
                .expect("a result")
        };
        let lean = || serde_json::from_slice::<Lean<'_>>(&body).expect("a result");
        assert_eq!(
            ours().value.console.iter().count(),
            lean().result.console.len()
        );
        row(
            name,
            "serde_json into borrowed strings",
            compare(ours, lean),
            "at most 1.05",
        );
    }
    terminal_message();
}

/// The form in which gateways write what a terminal shows.
#[derive(Deserialize)]
struct Shown<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    data: Cow<'a, str>,
}

fn terminal_message() {
    let shown: Vec<u8> = (0..4096).map(|number| (number % 251) as u8).collect();
    let text = Message::Out(shown.into()).encode();
    let ours = || Message::decode(&text);
    let by_libraries = || {
        let message: Shown<'_> = serde_json::from_str(&text).expect("JSON");
        assert_eq!(message.kind, "out");
        STANDARD.decode(&*message.data).expect("base64")
    };
    let data = serde_json::from_str::<Shown<'_>>(&text).expect("JSON").data;
    let base64_alone = || STANDARD.decode(&*data).expect("base64");
    let name = "a message of a terminal, 4 KiB";
    let ratio = compare(ours, by_libraries);
    row(name, "serde_json and base64", ratio, "at most 0.65");
    row("the same", "base64 alone", compare(ours, base64_alone), "-");
}

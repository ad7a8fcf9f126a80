//! Reading a large result, beside the leanest struct that borrows from the same bytes.

use std::borrow::Cow;
use std::fmt;

use http::Response;
use serde::Deserialize;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use sorna_benchmarks::{compare, head, row};
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
}

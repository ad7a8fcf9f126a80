//! Bodies of large results.

use bytes::Bytes;
use serde_json::json;

/// Each with its name.
pub fn all() -> [(&'static str, Bytes); 3] {
    let mebibyte = 1024 * 1024;
    let line = "The quick brown fox jumps over the lazy dog, time and again\n";
    [
        (
            "a result with 1 MiB of text, lines of 60 bytes in records of 4 KiB",
            {
                let text = line.repeat(mebibyte / line.len());
                result(text.as_bytes().chunks(4096).map(text_of))
            },
        ),
        (
            "a result with 1 MiB of text without line ends, in records of 4 KiB",
            {
                let text = "x".repeat(mebibyte);
                result(text.as_bytes().chunks(4096).map(text_of))
            },
        ),
        ("a result with 10,000 records of 16 bytes", {
            result((0..10_000).map(|number| format!("{number:15}\n")))
        }),
    ]
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("ASCII")
}

fn result(records: impl Iterator<Item = String>) -> Bytes {
    // Two streams alternate, so that no records are joined.
    let streams = ["stdout", "stderr"].into_iter().cycle();
    let console: Vec<_> = streams
        .zip(records)
        .map(|(stream, text)| json!([stream, text]))
        .collect();
    let result = json!({"result": {"status": "finished", "console": console, "options": {}}});
    result.to_string().into()
}

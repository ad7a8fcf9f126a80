//! Bytes that are not UTF-8, in and out of programs, by all drivers and in both dialects.

use sorna::{ApiVersion, Batch, ClientOptions, ExecuteMode};
use sorna_gateway::{Gateway, GatewayConfig};
use sorna_tests::drivers::Driver;

/// All bytes in many orders, Latin-1, and what ends in the middle of a character or of a line.
fn inputs() -> [Vec<u8>; 4] {
    let all = (0..200_000_usize).map(|index| (index * 167 + index / 256) as u8);
    [
        all.collect(),
        b"\xe9t\xe9\r\n\xfc".to_vec(),
        b"a\xc3".to_vec(),
        "text é\r\nno end".into(),
    ]
}

fn filters<D: Driver>() {
    for version in [ApiVersion::V2_20170315, ApiVersion::V9_20250722] {
        let gateway = Gateway::spawn(GatewayConfig::default()).unwrap();
        let config = gateway.config().with_version(version);
        for options in [
            ClientOptions::default(),
            ClientOptions::default().with_streaming(false),
        ] {
            let driver = D::connect(config.clone(), options);
            let batch = Batch::new().without_build().with_exec("cat");
            for mode in [ExecuteMode::query("cat"), batch.into()] {
                for input in inputs() {
                    let filtered = driver.filter("bash", mode.clone(), &input);
                    let output = D::block_on(filtered).unwrap();
                    let length = input.len();
                    assert!(output == input, "{version} {mode:?}: {length} bytes");
                }
            }
        }
    }
}

sorna_tests::with_every_driver!(filters);

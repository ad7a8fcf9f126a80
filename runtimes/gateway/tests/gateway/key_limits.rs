//! What the kernels of one key may have in sum.

use crate::common::{Client, gateway_with, random};
use sorna_core::{
    AccessKey, CreateKernel, Credentials, Info, KernelId, KernelSpec, Limits, SecretKey,
    SessionToken,
};
use sorna_gateway::{GatewayConfig, RunningGateway};

const MIB: u64 = 1 << 20;

type Change = fn(GatewayConfig) -> GatewayConfig;

/// A gateway with two keys.
fn gateway(change: impl FnOnce(GatewayConfig) -> GatewayConfig) -> RunningGateway {
    let pair = |access: &str| {
        let secret = SecretKey::new("secret").unwrap();
        Credentials::new(AccessKey::new(access).unwrap(), secret)
    };
    gateway_with(|config| change(config.with_credentials([pair("AKIAONE"), pair("AKIATWO")])))
}

/// Creates a kernel, with this much memory if it says so.
fn create(client: &Client, memory: Option<u64>) -> Result<KernelId, String> {
    let limits = match memory {
        Some(bytes) => Limits::new().with_max_memory(bytes),
        None => Limits::new(),
    };
    let spec = KernelSpec::new("bash").with_limits(limits);
    let create = CreateKernel::new(spec, SessionToken::from_random(random()));
    client
        .call(&create)
        .map(|created| created.id)
        .map_err(|error| {
            let response = error.gateway().expect("an error response");
            assert_eq!(
                (response.status().as_u16(), response.kind_name()),
                (412, Some("quota-exceeded"))
            );
            error.to_string()
        })
}

#[test]
fn a_kernel_for_which_not_enough_is_left_is_refused() {
    let rows: [(&str, &str, Change); 3] = [
        (
            "memory",
            "come to 96 MiB: they come to 64 MiB, and this one would add 64 MiB",
            |config| {
                config
                    .with_max_memory(64 * MIB)
                    .with_max_memory_per_key(96 * MIB)
            },
        ),
        (
            "processes",
            "come to 50 processes: they come to 40 processes, and this one would add 40 processes",
            |config| config.with_max_processes(40).with_max_processes_per_key(50),
        ),
        (
            "disk",
            "come to 15 MiB: they come to 8 MiB, and this one would add 8 MiB",
            |config| {
                config
                    .with_max_disk(8 * MIB)
                    .with_max_disk_per_key(15 * MIB)
            },
        ),
    ];
    for (what, words, change) in rows {
        let gateway = gateway(change);
        let (first, second) = (Client::with_key(&gateway, 0), Client::with_key(&gateway, 1));
        let kernel = create(&first, None).unwrap();
        let refused = create(&first, None).unwrap_err();
        let start = format!("the limits on {what} of all kernels of a key may {words}");
        assert!(refused.contains(&start), "{refused}");
        // The other key has a share of its own, and what a kernel had is free when it has ended.
        create(&second, None).unwrap();
        first.destroy(&kernel);
        create(&first, None).unwrap();
        create(&first, None).unwrap_err();
    }
}

#[test]
fn a_client_may_ask_for_kernels_with_less_memory() {
    let gateway = gateway(|config| config.with_max_memory_per_key(256 * MIB));
    let client = Client::new(&gateway);
    for bytes in [128, 64, 64] {
        create(&client, Some(bytes * MIB)).unwrap();
    }
    create(&client, Some(4 * MIB)).unwrap_err();
    assert_eq!(gateway.stats().kernels, 3);
}

#[test]
fn no_kernel_has_more_than_its_key_may_have() {
    for unlimited in [true, false] {
        let gateway = gateway(|config| {
            let config = config
                .with_max_memory_per_key(96 * MIB)
                .with_max_processes_per_key(20);
            if unlimited {
                config.with_unlimited_memory()
            } else {
                config
            }
        });
        let client = Client::new(&gateway);
        let kernel = create(&client, None).unwrap();
        let info = client.call(&Info::new(kernel.clone())).unwrap();
        assert_eq!(info.max_memory(), Some(96 * MIB));
        create(&client, None).unwrap_err();
        let code = "for i in $(seq 40); do sleep 100 & done; sleep 100";
        let outcome = client.run(&kernel, code);
        let is_limited = outcome.stderr.contains("20 processes") || outcome.stderr.contains("fork");
        assert!(is_limited, "{outcome:?}");
    }
}

#[test]
fn a_kernel_that_could_not_be_created_counts_nothing() {
    let gateway = gateway(|config| {
        config
            .with_max_memory(64 * MIB)
            .with_max_memory_per_key(64 * MIB)
    });
    let client = Client::new(&gateway);
    for language in ["nonesuch", "another"] {
        let create = CreateKernel::new(language, SessionToken::from_random(random()));
        assert_eq!(client.error_of(&create).0, 500);
    }
    create(&client, None).unwrap();
    create(&client, None).unwrap_err();
}

//! What holds for all specifications of kernels: what is asked for is sent as it is, or an error before anything is sent.

use std::time::{Duration, UNIX_EPOCH};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use sorna_core::*;

/// Few enough cases for a build without optimization.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Texts of any characters, and some that repeat each other.
fn text() -> impl Strategy<Value = String> {
    let known = select(vec!["a", "a:b", "a:c", "b", "mem"]).prop_map(str::to_owned);
    prop_oneof![4 => known, 1 => "[ab:é\"\\\\]{0,3}", 1 => any::<String>()]
}

/// A specification with any of the settings that some dialect has.
fn spec() -> impl Strategy<Value = KernelSpec> {
    type Set = fn(KernelSpec, String, String) -> KernelSpec;
    let settings: Vec<Set> = vec![
        KernelSpec::with_env,
        KernelSpec::with_resource,
        KernelSpec::with_resource_option,
        |spec, a, b| {
            let mounts = spec.mounts().to_vec();
            spec.with_mounts(mounts.into_iter().chain([a, b]))
        },
        |spec, a, _| spec.with_scaling_group(a),
        |spec, a, _| spec.with_architecture(a),
        |spec, a, _| spec.with_bootstrap_script(a),
        |spec, a, _| spec.with_startup_command(a),
        |spec, a, _| spec.with_tag(a),
        |spec, a, _| spec.with_callback_url(a),
        |spec, a, b| spec.with_domain(a).with_group(b),
        |spec, a, _| spec.with_preopen_ports(a.bytes().map(u16::from)),
        |spec, a, _| spec.with_cluster_size(a.len() as u32),
        |spec, _, _| spec.with_cluster_mode(ClusterMode::MultiNode),
        |spec, _, _| spec.with_enqueue_only(true),
        |spec, a, _| spec.with_max_wait(Duration::from_millis(a.len() as u64)),
        |spec, _, _| spec.with_reuse(false),
        |spec, a, _| spec.with_limits(Limits::new().with_max_memory(a.len() as u64)),
        |spec, _, _| spec.with_limits(Limits::new().with_exec_timeout(Duration::ZERO)),
    ];
    (text(), vec((select(settings), text(), text()), 0..6)).prop_map(|(image, settings)| {
        let spec = KernelSpec::new(image);
        settings
            .into_iter()
            .fold(spec, |spec, (set, a, b)| set(spec, a, b))
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_session_is_created_as_it_was_asked_for_or_not_at_all(
        spec in spec(),
        name in "\\w[a-z.-]{2,62}\\w",
        version in select(ApiVersion::ALL),
    ) {
        let create = CreateKernel::new(spec.clone(), SessionToken::new(name).expect("a name"));
        let keys = Credentials::new(
            AccessKey::new("AKIAIOSFODNN7EXAMPLE").expect("a key"),
            SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").expect("a key"),
        );
        let endpoint = "http://127.0.0.1:8081".parse().expect("an endpoint");
        let signer = Signer::new(Config::new(endpoint, keys).with_version(version));
        let checked = spec.check(version).and_then(|()| create.token.check(version));
        let request = match create.request(&signer, UNIX_EPOCH) {
            Ok(request) => request,
            Err(error) => {
                prop_assert_eq!(checked, Err(error));
                return Ok(());
            }
        };
        prop_assert_eq!(checked, Ok(()));
        let sent: Value = serde_json::from_slice(request.body().as_bytes().expect("in memory")).expect("JSON");
        if version.dialect() == Dialect::SornaV2 {
            prop_assert_eq!(&sent["lang"], spec.language());
            return Ok(());
        }
        let map = |value: &Value| -> Vec<(String, String)> {
            let fields = value.as_object().into_iter().flatten();
            fields
                .map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned()))
                .collect()
        };
        let config = &sent["config"];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        prop_assert_eq!(map(&config["environ"]), spec.env().map(owned).collect::<Vec<_>>());
        let options: Vec<_> = spec.resource_options().map(owned).collect();
        prop_assert_eq!(map(&config["resource_opts"]), options);
        for (slot, amount) in spec.resources() {
            prop_assert_eq!(&config["resources"][slot], amount);
        }
        let aliases = map(&config["mount_map"]);
        let mounts = config["mounts"].as_array().into_iter().flatten();
        let mounts: Vec<_> = mounts
            .map(|folder| {
                let folder = folder.as_str().expect("a text");
                match aliases.iter().find(|(of, _)| of == folder) {
                    Some((_, alias)) => format!("{folder}:{alias}"),
                    None => folder.to_owned(),
                }
            })
            .collect();
        prop_assert_eq!(&*mounts, spec.mounts());
        for (key, text) in [
            ("image", Some(spec.language())),
            ("name", Some(create.token.as_str())),
            ("architecture", spec.architecture()),
            ("bootstrap_script", spec.bootstrap_script()),
            ("startupCommand", spec.startup_command()),
            ("tag", spec.tag()),
            ("callback_url", spec.callback_url()),
            ("domain", spec.domain()),
            ("group", spec.group()),
        ] {
            prop_assert_eq!(sent.get(key).map(|text| text.as_str()), text.map(Some), "{}", key);
        }
        prop_assert_eq!(&sent["reuseIfExists"], spec.reuse());
        prop_assert_eq!(sent["enqueueOnly"].as_bool().unwrap_or(false), spec.enqueue_only());
        prop_assert_eq!(sent["clusterSize"].as_u64(), spec.cluster_size().map(u64::from));
    }
}

//! The body of `POST /session`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::parameters::{invalid, malformed};
use crate::error::BuildError;
use crate::ident::SessionToken;
use crate::ops::{ClusterMode, KernelSpec};
use crate::problem::ProblemKind;
use crate::server::object::Object;
use crate::server::problem::ProblemReply;
use crate::version::ApiVersion;

/// The body of `POST /session`. Names of any release are understood, and unknown keys ignored.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreateSession {
    /// What to create. Its language is the image; its resources are as they were sent.
    pub spec: KernelSpec,
    /// The session's name.
    pub name: SessionToken,
    /// Whether it only runs its startup command: type `batch`, in place of `interactive`.
    pub is_batch: bool,
    /// The access key of the session's owner, if it was sent.
    pub owner: Option<String>,
    /// What the session waits for before it starts: a time, or other sessions.
    pub waits_for: Option<&'static str>,
}

#[derive(Deserialize)]
struct RawCreate {
    #[serde(
        alias = "clientSessionToken",
        alias = "session_name",
        alias = "sessionName"
    )]
    name: Option<String>,
    #[serde(alias = "lang")]
    image: Option<String>,
    #[serde(rename = "type", alias = "sessionType", alias = "session_type")]
    kind: Option<String>,
    architecture: Option<String>,
    #[serde(alias = "domainName", alias = "domain_name")]
    domain: Option<String>,
    #[serde(alias = "groupName", alias = "group_name")]
    group: Option<String>,
    #[serde(alias = "clusterSize")]
    cluster_size: Option<u32>,
    #[serde(alias = "clusterMode")]
    cluster_mode: Option<String>,
    tag: Option<String>,
    #[serde(alias = "enqueueOnly")]
    enqueue_only: Option<bool>,
    #[serde(alias = "maxWaitSeconds", alias = "max_wait_seconds")]
    max_wait: Option<f64>,
    #[serde(alias = "reuseIfExists", alias = "reuse_if_exists")]
    reuse: Option<bool>,
    #[serde(alias = "startupCommand")]
    startup_command: Option<String>,
    #[serde(alias = "bootstrapScript")]
    bootstrap_script: Option<String>,
    #[serde(alias = "callbackUrl", alias = "callbackURL")]
    callback_url: Option<String>,
    #[serde(alias = "ownerAccessKey")]
    owner_access_key: Option<String>,
    #[serde(alias = "startsAt")]
    starts_at: Option<String>,
    dependencies: Option<Vec<String>>,
    #[serde(default)]
    config: Option<Object<RawConfig>>,
}

#[derive(Default, Deserialize)]
struct RawConfig {
    mounts: Option<Vec<String>>,
    #[serde(alias = "mountMap")]
    mount_map: Option<BTreeMap<String, String>>,
    #[serde(alias = "mountIds")]
    mount_ids: Option<Vec<Value>>,
    environ: Option<BTreeMap<String, Value>>,
    resources: Option<BTreeMap<String, Value>>,
    #[serde(alias = "resourceOpts")]
    resource_opts: Option<BTreeMap<String, Value>>,
    #[serde(alias = "scalingGroup")]
    scaling_group: Option<String>,
    #[serde(alias = "preopenPorts")]
    preopen_ports: Option<Vec<RawPort>>,
}

impl CreateSession {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// 400 `generic-bad-request` if it is not JSON, or a field is missing or of the wrong type; `invalid-api-params`
    /// for a name that sessions cannot have, and an unknown type or cluster mode.
    pub fn parse(body: &[u8]) -> Result<Self, ProblemReply> {
        let value: Value =
            serde_json::from_slice(body).map_err(|error| malformed(&error.to_string()))?;
        let Object(raw) =
            Object::<RawCreate>::deserialize(value).map_err(|error| invalid(&error.to_string()))?;
        let is_batch = match raw.kind.as_deref() {
            None | Some("interactive") => false,
            Some("batch") => true,
            Some(other) => return Err(bad_value("type", other)),
        };
        let name = raw.name.ok_or_else(|| invalid("name: Field required"))?;
        let name = SessionToken::for_version(name, ApiVersion::V9_20250722).map_err(
            |error: BuildError| ProblemKind::InvalidApiParams.reply_with(&error.to_string()),
        )?;
        let image = raw.image.ok_or_else(|| invalid("image: Field required"))?;
        let Object(config) = raw.config.unwrap_or_default();
        let mut spec = KernelSpec::new(image)
            .with_reuse(raw.reuse.unwrap_or(true))
            .with_enqueue_only(raw.enqueue_only.unwrap_or(false))
            .with_preopen_ports(ports(config.preopen_ports.unwrap_or_default())?)
            .with_mounts(mounts(
                config.mounts.unwrap_or_default(),
                &config.mount_map.unwrap_or_default(),
                config.mount_ids.unwrap_or_default(),
            ));
        for (name, value) in config.environ.unwrap_or_default() {
            spec = spec.with_env(name, text_of(value));
        }
        for (slot, amount) in config.resources.unwrap_or_default() {
            spec = spec.with_resource(slot, text_of(amount));
        }
        for (name, value) in config.resource_opts.unwrap_or_default() {
            spec = spec.with_resource_option(name, text_of(value));
        }
        if let Some(mode) = raw.cluster_mode {
            spec = spec.with_cluster_mode(match mode.as_str() {
                "single-node" | "SINGLE_NODE" => ClusterMode::SingleNode,
                "multi-node" | "MULTI_NODE" => ClusterMode::MultiNode,
                other => return Err(bad_value("clusterMode", other)),
            });
        }
        // Zero stands for no limit.
        if let Some(wait) = raw.max_wait.filter(|seconds| *seconds > 0.0) {
            let wait = Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX);
            spec = spec.with_max_wait(wait);
        }
        let set =
            |spec: KernelSpec, text: Option<String>, with: fn(KernelSpec, String) -> _| match text
                .filter(|text| !text.is_empty())
            {
                Some(text) => with(spec, text),
                None => spec,
            };
        spec = set(spec, raw.architecture, KernelSpec::with_architecture);
        spec = set(spec, raw.domain, KernelSpec::with_domain);
        spec = set(spec, raw.group, KernelSpec::with_group);
        spec = set(spec, config.scaling_group, KernelSpec::with_scaling_group);
        spec = set(spec, raw.tag, KernelSpec::with_tag);
        spec = set(spec, raw.startup_command, KernelSpec::with_startup_command);
        spec = set(
            spec,
            raw.bootstrap_script,
            KernelSpec::with_bootstrap_script,
        );
        spec = set(spec, raw.callback_url, KernelSpec::with_callback_url);
        if let Some(size) = raw.cluster_size {
            spec = spec.with_cluster_size(size);
        }
        let starts_at = raw.starts_at.filter(|time| !time.is_empty());
        let dependencies = raw.dependencies.filter(|sessions| !sessions.is_empty());
        Ok(Self {
            spec,
            name,
            is_batch,
            owner: raw.owner_access_key,
            waits_for: starts_at
                .map(|_| "starts_at")
                .or(dependencies.map(|_| "dependencies")),
        })
    }
}

/// Mounts as `name` or `name:alias`.
fn mounts(names: Vec<String>, aliases: &BTreeMap<String, String>, ids: Vec<Value>) -> Vec<String> {
    let names = names.into_iter().map(|name| match aliases.get(&name) {
        Some(alias) => format!("{name}:{alias}"),
        None => name,
    });
    names.chain(ids.into_iter().map(text_of)).collect()
}

/// A value that may be sent as text, as a number, or as a truth.
fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn bad_value(name: &str, value: &str) -> ProblemReply {
    let value: String = value.chars().take(40).collect();
    ProblemKind::InvalidApiParams.reply_with(&format!("{name} has an unsupported value: {value:?}"))
}

/// A port; the command of the official client 23.9.10 sends text.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawPort {
    Number(u16),
    Text(String),
}

fn ports(raw: Vec<RawPort>) -> Result<Vec<u16>, ProblemReply> {
    let port = |raw| match raw {
        RawPort::Number(port) => Ok(port),
        RawPort::Text(text) => {
            let port = text.trim().parse();
            port.map_err(|_| bad_value("preopen_ports", &text))
        }
    };
    raw.into_iter().map(port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::CreateKernel;
    use crate::ops::testing::sent;

    #[test]
    fn what_the_client_sends_is_read_back() {
        let spec = KernelSpec::new("python:3.9")
            .with_mounts(["data", "models:/models"])
            .with_env("A", "1")
            .with_resource("cpu", "2")
            .with_resource("mem", "4g")
            .with_resource_option("shmem", "256m")
            .with_scaling_group("gpu")
            .with_architecture("aarch64")
            .with_cluster_size(3)
            .with_cluster_mode(ClusterMode::MultiNode)
            .with_bootstrap_script("echo hi")
            .with_startup_command("make")
            .with_tag("t")
            .with_callback_url("https://example.com/")
            .with_preopen_ports([8080, 9090])
            .with_domain("d")
            .with_group("g")
            .with_enqueue_only(true)
            .with_max_wait(Duration::from_secs(2))
            .with_reuse(false);
        let name = SessionToken::new("abcd").unwrap();
        let create = CreateKernel::new(spec.clone(), name.clone());
        let (_, body) = sent(&create, ApiVersion::V7_20230615);
        let request = CreateSession::parse(body.as_bytes()).unwrap();
        assert_eq!((request.spec, request.name), (spec, name));
        assert!(request.is_batch);
        assert_eq!((request.owner, request.waits_for), (None, None));
    }

    #[test]
    fn ports_are_numbers_or_text() {
        let parse = |ports: &str| {
            let body = format!(
                r#"{{"name": "abcd", "image": "i", "config": {{"preopen_ports": {ports}}}}}"#
            );
            CreateSession::parse(body.as_bytes())
        };
        let request = parse(r#"[8080, "9090"]"#).unwrap();
        assert_eq!(request.spec.preopen_ports(), [8080, 9090]);
        for ports in [r#"["http"]"#, r#"["70000"]"#, "[70000]"] {
            assert!(parse(ports).is_err(), "{ports}");
        }
    }

    #[test]
    fn what_the_official_client_sends_is_read() {
        // Recorded.
        let body = br#"{"tag": null, "name": "cap-56568", "config": {"mounts": [], "mount_ids": [], "environ": null,
            "resources": {"cpu": 1, "mem": "256m"}, "resource_opts": {}, "scalingGroup": null,
            "attach_network": null, "mount_map": {}, "mount_id_map": {}, "mount_options": {},
            "preopen_ports": null}, "dependencies": null, "callback_url": null, "architecture": "x86_64",
            "clusterSize": 1, "clusterMode": "single-node", "starts_at": null, "bootstrap_script": null,
            "owner_access_key": null, "domain": "default", "group": "default", "type": "interactive",
            "enqueueOnly": false, "maxWaitSeconds": 0, "reuseIfExists": true, "startupCommand": null,
            "image": "python"}"#;
        let request = CreateSession::parse(body).unwrap();
        let expected = KernelSpec::new("python")
            .with_resource("cpu", "1")
            .with_resource("mem", "256m")
            .with_architecture("x86_64")
            .with_cluster_size(1)
            .with_cluster_mode(ClusterMode::SingleNode)
            .with_domain("default")
            .with_group("default");
        assert_eq!(request.spec, expected);
        assert!(!request.is_batch);
    }

    #[test]
    fn old_names_and_the_least_body_are_enough() {
        let body =
            br#"{"clientSessionToken": "abcd", "lang": "c", "starts_at": "10m", "new": [1]}"#;
        let request = CreateSession::parse(body).unwrap();
        assert_eq!((request.spec.language(), request.spec.reuse()), ("c", true));
        assert_eq!(request.waits_for, Some("starts_at"));
    }

    #[test]
    fn malformed_bodies_are_bad_requests() {
        let kind = |body: &str| CreateSession::parse(body.as_bytes()).unwrap_err().kind();
        for body in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"name": "abcd"}"#,
            r#"{"image": "c"}"#,
            r#"{"name": "abcd", "image": 1}"#,
            r#"{"name": "abcd", "image": "c", "config": {"mounts": 1}}"#,
        ] {
            assert_eq!(kind(body), ProblemKind::GenericBadRequest, "{body}");
        }
        for body in [
            r#"{"name": "abc", "image": "c"}"#,
            r#"{"name": "a b c d", "image": "c"}"#,
            r#"{"name": "abcd", "image": "c", "type": "inference"}"#,
            r#"{"name": "abcd", "image": "c", "clusterMode": "flat"}"#,
        ] {
            assert_eq!(kind(body), ProblemKind::InvalidApiParams, "{body}");
        }
    }
}

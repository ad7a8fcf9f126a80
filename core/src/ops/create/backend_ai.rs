//! Backend.AI: `POST /session`.
//!
//! What is not set is not sent, so that the manager's defaults hold. Where managers know several names for a key, it is the
//! original client's: `scalingGroup` and `scaling_group`, say, are the same from 22.06 (read there) to 26.9.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::created::CreatedKernel;
use super::spec::{KernelSpec, split_mount};
use crate::error::{BuildError, Error};
use crate::ident::{KernelId, SessionToken};
use crate::ops::operation::Success;
use crate::unsigned::UnsignedRequest;

/// Left out where it is `None` or empty.
#[derive(Serialize)]
struct Body<'a> {
    image: &'a str,
    name: &'a SessionToken,
    #[serde(skip_serializing_if = "Option::is_none")]
    architecture: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    session_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(rename = "clusterSize", skip_serializing_if = "Option::is_none")]
    cluster_size: Option<u32>,
    #[serde(rename = "clusterMode", skip_serializing_if = "Option::is_none")]
    cluster_mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    #[serde(rename = "enqueueOnly", skip_serializing_if = "is_false")]
    enqueue_only: bool,
    #[serde(rename = "maxWaitSeconds", skip_serializing_if = "Option::is_none")]
    max_wait: Option<u64>,
    #[serde(rename = "reuseIfExists")]
    reuse: bool,
    #[serde(rename = "startupCommand", skip_serializing_if = "Option::is_none")]
    startup_command: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bootstrap_script: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_url: Option<&'a str>,
    config: ConfigBody<'a>,
}

#[derive(Serialize)]
struct ConfigBody<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mounts: Vec<&'a str>,
    /// Where folders are mounted that have an alias.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    mount_map: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "is_empty")]
    environ: &'a BTreeMap<String, String>,
    /// Amounts are texts: managers read them as the original command sends them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    resources: BTreeMap<&'a str, Cow<'a, str>>,
    #[serde(skip_serializing_if = "is_empty")]
    resource_opts: &'a BTreeMap<String, String>,
    #[serde(rename = "scalingGroup", skip_serializing_if = "Option::is_none")]
    scaling_group: Option<&'a str>,
    #[serde(skip_serializing_if = "<[u16]>::is_empty")]
    preopen_ports: &'a [u16],
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_empty(map: &&BTreeMap<String, String>) -> bool {
    map.is_empty()
}

/// Zero is no limit.
fn whole_seconds(time: Duration) -> u64 {
    let rounded = u64::from(time.subsec_nanos() != 0);
    time.as_secs().saturating_add(rounded).max(1)
}

pub(super) fn prepare(
    spec: &KernelSpec,
    token: &SessionToken,
) -> Result<UnsignedRequest, BuildError> {
    let mounts = spec.mounts().iter().map(|mount| split_mount(mount));
    let mut resources: BTreeMap<_, Cow<'_, str>> = spec
        .resources()
        .map(|(slot, amount)| (slot, amount.into()))
        .collect();
    if let Some(bytes) = spec.limits().max_memory() {
        let bytes = || bytes.to_string().into();
        resources.entry("mem").or_insert_with(bytes);
    }
    let session = &spec.session;
    UnsignedRequest::new(Method::POST, "/session").json(&Body {
        image: spec.language(),
        name: token,
        architecture: spec.architecture(),
        // Else the default, `interactive`, in which there are no startup commands.
        session_type: spec.startup_command().map(|_| "batch"),
        domain: spec.domain(),
        group: spec.group(),
        cluster_size: spec.cluster_size(),
        cluster_mode: spec.cluster_mode().map(|mode| mode.as_str()),
        tag: spec.tag(),
        enqueue_only: spec.enqueue_only(),
        max_wait: spec.max_wait().map(whole_seconds),
        reuse: spec.reuse(),
        startup_command: spec.startup_command(),
        bootstrap_script: spec.bootstrap_script(),
        callback_url: spec.callback_url(),
        config: ConfigBody {
            mounts: mounts.clone().map(|(name, _)| name).collect(),
            mount_map: mounts
                .filter_map(|(name, alias)| Some((name, alias?)))
                .collect(),
            environ: &session.env,
            resources,
            resource_opts: &session.resource_options,
            scaling_group: spec.scaling_group(),
            preopen_ports: spec.preopen_ports(),
        },
    })
}

pub(super) fn read(success: &Success) -> Result<CreatedKernel, Error> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "sessionId")]
        session_id: String,
        #[serde(flatten)]
        extra: Map<String, Value>,
    }
    const EXPECTED: &str = r#"{"sessionId": …}"#;
    let body: Body = success.json(EXPECTED)?;
    let id = KernelId::new(body.session_id)
        .ok()
        .filter(|id| id.check_for_backend_ai().is_ok())
        .ok_or_else(|| success.unexpected(EXPECTED))?;
    Ok(CreatedKernel::new(id, body.extra))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::CreateKernel;
    use super::super::options::ClusterMode;
    use super::super::spec::Limits;
    use super::*;
    use crate::ops::testing::sent;
    use crate::version::ApiVersion;

    fn body(spec: impl Into<KernelSpec>) -> String {
        let token = SessionToken::new("abcd").unwrap();
        let (line, body) = sent(&CreateKernel::new(spec, token), ApiVersion::V7_20230615);
        assert_eq!(line, "POST /session");
        body
    }

    #[test]
    fn what_is_not_set_is_not_sent() {
        assert_eq!(
            body("python"),
            r#"{"image":"python","name":"abcd","reuseIfExists":true,"config":{}}"#
        );
    }

    #[test]
    fn settings_have_the_keys_of_the_original_client() {
        let spec = KernelSpec::new("python:3.9")
            .with_mounts(["data", "models:/models", "in:a:b"])
            .with_env("A", "1")
            .with_env("B", "2")
            .with_resource("cpu", "2")
            .with_resource("mem", "4g")
            .with_resource_option("shmem", "256m")
            .with_limits(Limits::new().with_max_memory(1))
            .with_scaling_group("gpu")
            .with_architecture("aarch64")
            .with_cluster_size(3)
            .with_cluster_mode(ClusterMode::MultiNode)
            .with_bootstrap_script("echo hi")
            .with_tag("t")
            .with_callback_url("https://example.com/")
            .with_preopen_ports([8080, 9090])
            .with_domain("d")
            .with_group("g")
            .with_enqueue_only(true)
            .with_max_wait(Duration::from_millis(1001))
            .with_reuse(false);
        let sent: Value = serde_json::from_str(&body(spec)).unwrap();
        assert_eq!(
            sent,
            json!({
                "image": "python:3.9", "name": "abcd", "reuseIfExists": false, "architecture": "aarch64",
                "clusterSize": 3, "clusterMode": "multi-node", "bootstrap_script": "echo hi", "tag": "t",
                "callback_url": "https://example.com/", "domain": "d", "group": "g", "enqueueOnly": true,
                "maxWaitSeconds": 2,
                "config": {
                    "mounts": ["data", "models", "in"], "mount_map": {"models": "/models", "in": "a:b"},
                    "environ": {"A": "1", "B": "2"}, "resources": {"cpu": "2", "mem": "4g"},
                    "resource_opts": {"shmem": "256m"}, "scalingGroup": "gpu", "preopen_ports": [8080, 9090],
                },
            })
        );
    }

    #[test]
    fn a_startup_command_makes_a_batch_session() {
        let body = body(KernelSpec::new("python").with_startup_command("make"));
        assert!(
            body.contains(r#""type":"batch""#) && body.contains(r#""startupCommand":"make""#),
            "{body}"
        );
    }

    #[test]
    fn a_limit_of_memory_is_sent_in_bytes() {
        let limits = Limits::new().with_max_memory((256 << 20) + 1);
        let body = body(KernelSpec::new("python").with_limits(limits));
        assert!(
            body.contains(r#""resources":{"mem":"268435457"}"#),
            "{body}"
        );
    }

    #[test]
    fn a_wait_is_sent_in_seconds_and_is_not_zero() {
        for (time, seconds) in [
            (Duration::ZERO, 1),
            (Duration::from_nanos(1), 1),
            (Duration::from_secs(5), 5),
            (Duration::MAX, u64::MAX),
        ] {
            assert_eq!(whole_seconds(time), seconds, "{time:?}");
        }
    }
}

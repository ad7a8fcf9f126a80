//! What is around sessions in a cluster: images, groups, policies and the like, as far as a single machine has it.

use serde_json::{Value, json};
use sorna_core::LanguageInfo;

use super::fields::AGENT;
use crate::http::backend_ai::info;
use crate::http::context::Context;

/// The name of the only domain, group, scaling group and policy.
const ONLY: &str = "default";
/// What stands for a registry, and for the tag of an image, in references to this machine's languages.
const REGISTRY: &str = "local";
const TAG: &str = "latest";

/// A field of the query, if it is one of these.
pub(super) async fn field(context: &Context, key: &str, name: &str) -> Option<Value> {
    Some(match name {
        "images" => {
            let languages = context.kernels.languages().await;
            let available = languages.iter().filter(|language| language.available);
            available.map(image).collect()
        }
        "domain" => domain(),
        "domains" => json!([domain()]),
        "group" => group(),
        "groups" | "groups_by_name" => json!([group()]),
        "scaling_group" => scaling_group(),
        "scaling_groups" | "scaling_groups_for_domain" | "scaling_groups_for_user_group" => {
            json!([scaling_group()])
        }
        "keypair_resource_policy" => policy(context),
        "keypair_resource_policies" => json!([policy(context)]),
        "user" | "user_from_uuid" => user(key),
        _ => return None,
    })
}

/// Why a field of managers is not here, if it is one.
pub(super) fn missing(name: &str) -> Option<&'static str> {
    let begins = |prefix: &str| name.starts_with(prefix);
    Some(if begins("agent") {
        "this gateway has no agents: sessions are processes of its own machine"
    } else if begins("vfolder") || begins("storage_volume") || begins("quota_scope") {
        "this gateway has no folders (vfolders)"
    } else if begins("endpoint") || begins("routing") || begins("model_") {
        "this gateway has no services of models"
    } else if begins("user") || begins("keypair") {
        "this gateway has no users beside the keys that it was started with, and lists only the key that asks (keypair)"
    } else {
        return None;
    })
}

/// Any of the names of a language would do for a session.
fn image(language: &LanguageInfo) -> Value {
    let name = &language.name;
    let aliases: Vec<&String> = [name].into_iter().chain(&language.aliases).collect();
    json!({
        "id": null,
        "name": name,
        "namespace": name,
        "base_image_name": name,
        "project": REGISTRY,
        "humanized_name": name,
        "tag": TAG,
        "tags": [],
        "version": TAG,
        "registry": REGISTRY,
        "architecture": std::env::consts::ARCH,
        "is_local": true,
        "digest": "",
        "labels": [],
        "aliases": aliases,
        "size_bytes": 0,
        "status": "ALIVE",
        "resource_limits": [],
        "supported_accelerators": [],
        "installed": true,
        "installed_agents": [AGENT],
        "last_used_at": null,
        "hash": "",
    })
}

fn domain() -> Value {
    json!({
        "name": ONLY,
        "description": "",
        "is_active": true,
        "created_at": null,
        "modified_at": null,
        "total_resource_slots": "{}",
        "allowed_vfolder_hosts": "{}",
        "allowed_docker_registries": [REGISTRY],
        "integration_id": null,
        "scaling_groups": [ONLY],
    })
}

fn group() -> Value {
    json!({
        "id": info::NIL,
        "name": ONLY,
        "description": "",
        "is_active": true,
        "created_at": null,
        "modified_at": null,
        "domain_name": ONLY,
        "total_resource_slots": "{}",
        "allowed_vfolder_hosts": "{}",
        "integration_id": null,
        "resource_policy": ONLY,
        "type": "GENERAL",
        "container_registry": "{}",
        "scaling_groups": [ONLY],
    })
}

fn scaling_group() -> Value {
    json!({
        "name": ONLY,
        "description": "",
        "is_active": true,
        "is_public": true,
        "created_at": null,
        "driver": "static",
        "driver_opts": "{}",
        "scheduler": "fifo",
        "scheduler_opts": "{}",
        "use_host_network": true,
        "wsproxy_addr": null,
        "wsproxy_api_token": null,
        "status": "active",
    })
}

fn policy(context: &Context) -> Value {
    let memory = context.kernels.share().memory;
    let slots = memory.map_or(json!({}), |bytes| json!({"mem": bytes.to_string()}));
    json!({
        "name": ONLY,
        "created_at": null,
        "default_for_unspecified": "UNLIMITED",
        "total_resource_slots": slots.to_string(),
        "max_session_lifetime": 0,
        "max_concurrent_sessions": context.kernels.share().kernels(),
        "max_concurrent_sftp_sessions": 0,
        "max_pending_session_count": null,
        "max_pending_session_resource_slots": null,
        "max_containers_per_session": 1,
        "max_vfolder_count": 0,
        "max_vfolder_size": 0,
        "max_quota_scope_size": 0,
        "idle_timeout": context.kernels.idle_timeout().as_secs(),
        "allowed_vfolder_hosts": "{}",
    })
}

/// The user of the key that asks.
fn user(key: &str) -> Value {
    json!({
        "id": info::NIL,
        "uuid": info::NIL,
        "username": "local",
        "email": "local",
        "need_password_change": false,
        "full_name": null,
        "description": "",
        "is_active": true,
        "status": "active",
        "status_info": null,
        "created_at": null,
        "modified_at": null,
        "domain_name": ONLY,
        "role": "user",
        "resource_policy": ONLY,
        "groups": [{"id": info::NIL, "name": ONLY}],
        "allowed_client_ip": null,
        "totp_activated": false,
        "totp_activated_at": null,
        "sudo_session_enabled": false,
        "main_access_key": key,
        "container_uid": null,
        "container_main_gid": null,
        "container_gids": null,
    })
}

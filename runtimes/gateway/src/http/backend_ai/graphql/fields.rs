//! The fields of what can be queried.

use serde::Serialize;
use serde_json::{Map, Value, json};
use sorna_core::server::backend_ai::QueryField;
use sorna_core::server::iso_date;
use sorna_core::{KernelInfo, SessionStatus};

use crate::http::backend_ai::answer::Ordered;
use crate::http::backend_ai::info;
use crate::http::context::Context;
use crate::sessions::Session;

/// What a query is answered with: fields in the order in which it asks for them.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Answer {
    Value(Value),
    Object(Ordered<Answer>),
    List(Vec<Answer>),
}

/// Those fields of an object that a query asks for. `kind` is the name of its type.
pub(super) fn select(
    field: &QueryField,
    object: &Map<String, Value>,
    kind: &str,
) -> Result<Answer, String> {
    if field.fields.is_empty() {
        return Err(format!(
            "Field '{}' of type '{kind}' must have a selection of subfields.",
            field.name
        ));
    }
    let kind_below = |name: &str| match name {
        "items" if kind == "KeyPairList" => "KeyPair",
        "items" | "dependencies" => "ComputeSession",
        "containers" => "ComputeContainer",
        _ => "Object",
    };
    let mut selected = Vec::new();
    for wanted in &field.fields {
        let value = object.get(&wanted.name).ok_or_else(|| {
            let name: String = wanted.name.chars().take(60).collect();
            format!("Cannot query field '{name}' on type '{kind}'.")
        })?;
        let value = match value {
            Value::Object(inner) if !wanted.fields.is_empty() => {
                select(wanted, inner, kind_below(&wanted.name))?
            }
            Value::Array(items) if !wanted.fields.is_empty() => {
                let items = items.iter().filter_map(Value::as_object);
                let items = items.map(|inner| select(wanted, inner, kind_below(&wanted.name)));
                Answer::List(items.collect::<Result<_, _>>()?)
            }
            value => Answer::Value(value.clone()),
        };
        selected.push((wanted.key.clone(), value));
    }
    Ok(Answer::Object(Ordered(selected)))
}

/// As [`select`] for an object, or for each of a list.
pub(super) fn select_all(field: &QueryField, value: &Value, kind: &str) -> Result<Answer, String> {
    match value {
        Value::Object(object) => select(field, object, kind),
        Value::Array(items) => {
            let items = items.iter().map(|item| select_all(field, item, kind));
            Ok(Answer::List(items.collect::<Result<_, _>>()?))
        }
        value => Ok(Answer::Value(value.clone())),
    }
}

/// A session's fields.
pub(super) fn session(context: &Context, session: &Session) -> Map<String, Value> {
    let kernel = session.entry().map(|entry| context.kernels.info(&entry));
    let id = session.id.as_str();
    let spec = &session.spec;
    let status = session.status();
    let slots = slots(session, kernel.as_ref());
    let image = spec.language();
    let mut fields = object(json!({
        "id": id,
        "session_id": id,
        "main_kernel_id": id,
        "tag": spec.tag(),
        "name": session.name(),
        "type": if session.is_batch { "BATCH" } else { "INTERACTIVE" },
        "image": image,
        "registry": info::registry(image),
        "architecture": std::env::consts::ARCH,
        "cluster_template": null,
        "cluster_mode": "single-node",
        "cluster_size": 1,
        "domain_name": info::domain(session),
        "group_name": spec.group().unwrap_or("default"),
        "group_id": info::NIL,
        "agent_ids": [AGENT],
        "agents": [AGENT],
        "user_email": null,
        "full_name": null,
        "user_id": info::NIL,
        "access_key": session.owner,
        "created_user_email": null,
        "created_user_id": null,
        "status": status.as_str(),
        "status_info": session.reason(),
        "status_data": "{}",
        "status_changed": iso_date(session.changed()),
        "status_history": history(session),
        "created_at": session.since(&SessionStatus::Pending).map(iso_date),
        "terminated_at": info::ended(session),
        "starts_at": null,
        "scheduled_at": session.since(&SessionStatus::Scheduled).map(iso_date),
        "startup_command": spec.startup_command(),
        "result": session.result(),
    }));
    // In two parts, as the macro is not made for so many.
    fields.extend(object(json!({
        "resource_opts": resource_options(session),
        "scaling_group": spec.scaling_group().unwrap_or("default"),
        "service_ports": Value::from(info::service_ports(session)).to_string(),
        "mounts": [],
        "vfolder_mounts": [],
        "priority": 10,
        "is_preemptible": false,
        "occupied_slots": slots,
        "occupying_slots": slots,
        "requested_slots": slots,
        "num_queries": kernel.as_ref().and_then(KernelInfo::executions).unwrap_or_default(),
        "containers": [container(session, kernel.as_ref())],
        "dependencies": [],
        "abusing_reports": [null],
        "idle_checks": "{}",
        "inference_metrics": "{}",
        "commit_status": "ready",
    })));
    fields
}

/// The agent that runs all sessions.
pub(super) const AGENT: &str = "local";

/// The only container of a session, or what stands in for it.
fn container(session: &Session, kernel: Option<&KernelInfo>) -> Value {
    let id = session.id.as_str();
    let slots = slots(session, kernel);
    let stats = info::stats(kernel).map(|stats| stats.to_string());
    json!({
        "id": id,
        "role": "main",
        "cluster_role": "main",
        "cluster_idx": 1,
        "cluster_hostname": "main1",
        "session_id": id,
        "image": session.spec.language(),
        "registry": info::registry(session.spec.language()),
        "status": session.status().as_str(),
        "status_info": session.reason(),
        "status_data": "{}",
        "status_changed": iso_date(session.changed()),
        "agent": AGENT,
        "container_id": info::container(session),
        "resource_opts": resource_options(session),
        "occupied_slots": slots,
        "preopen_ports": session.spec.preopen_ports(),
        "live_stat": stats,
        "last_stat": stats,
    })
}

/// The fields of the key that asks.
pub(super) fn keypair(context: &Context, key: &str) -> Map<String, Value> {
    object(json!({
        "user_id": "local",
        "user_info": {"full_name": null, "email": null},
        "full_name": null,
        "projects": ["default"],
        "access_key": key,
        // No one has it from here who does not have it already.
        "secret_key": null,
        "is_active": true,
        "is_admin": false,
        "created_at": null,
        "modified_at": null,
        "last_used": null,
        "resource_policy": "default",
        "rate_limit": null,
        "concurrency_used": context.sessions.living(key).len(),
        "num_queries": null,
        "ssh_public_key": null,
        "ssh_private_key": null,
        "dotfiles": "[]",
        "bootstrap_script": "",
    }))
}

/// GraphQL has JSON as text.
fn slots(session: &Session, kernel: Option<&KernelInfo>) -> String {
    let slots = info::slots(session, kernel);
    let slots = slots
        .into_iter()
        .map(|(slot, amount)| (slot.to_owned(), amount.to_string().into()));
    Value::Object(slots.collect()).to_string()
}

fn resource_options(session: &Session) -> String {
    let options = session.spec.resource_options();
    let options = options.map(|(name, value)| (name.to_owned(), value.into()));
    Value::Object(options.collect()).to_string()
}

fn history(session: &Session) -> String {
    let history = session.history().into_iter();
    let history = history.map(|(status, time)| (status.as_str().to_owned(), iso_date(time).into()));
    Value::Object(history.collect()).to_string()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

//! What there is to say of a session.

use serde_json::{Map, Value, json};
use sorna_core::server::iso_date;
use sorna_core::{KernelInfo, SessionStatus};

use crate::http::context::Context;
use crate::sessions::Session;

/// The ID of the only group and the only user.
pub(super) const NIL: &str = "00000000-0000-0000-0000-000000000000";

/// The response to `GET /session/{name}`, with all keys that managers send.
pub(super) fn of(context: &Context, session: &Session) -> Value {
    let kernel = session.entry().map(|entry| context.kernels.info(&entry));
    let image = session.spec.language();
    let slots = python_slots(&slots(session, kernel.as_ref()));
    let runs = kernel.as_ref().and_then(KernelInfo::executions);
    let mut info = json!({
        "age": u64::try_from(session.born.elapsed().as_millis()).unwrap_or(u64::MAX),
        "domainName": domain(session),
        "groupId": NIL,
        "userId": NIL,
        "lang": image,
        "image": image,
        "architecture": std::env::consts::ARCH,
        "registry": registry(image),
        "tag": session.spec.tag().unwrap_or_default(),
        "containerId": container(session),
        "occupiedSlots": slots,
        "occupyingSlots": slots,
        "requestedSlots": python_slots(&requested_slots(session, kernel.as_ref())),
        "occupiedShares": "{}",
        "environ": python_dictionary(session.spec.env()),
        "resourceOpts": python_dictionary(session.spec.resource_options()),
        "status": session.status().as_str(),
        "statusInfo": session.reason().unwrap_or_else(|| "None".to_owned()),
        "statusData": null,
        "creationTime": session.since(&SessionStatus::Pending).map(iso_date),
        "terminationTime": ended(session),
        "numQueriesExecuted": runs.unwrap_or_default(),
        "lastStat": stats(kernel.as_ref()),
        "idleChecks": kernel.as_ref().and_then(idle_checks).unwrap_or_else(|| json!({})),
    });
    if let Some(busy) = kernel.as_ref().and_then(KernelInfo::busy) {
        info["busy"] = json!(busy);
    }
    // Managers do not say these either.
    if let Some(limit) = kernel.as_ref().and_then(KernelInfo::exec_timeout) {
        info["queryTimeout"] = json!(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
    }
    if let Some(idle) = kernel.as_ref().and_then(KernelInfo::idle) {
        info["idle"] = json!(u64::try_from(idle.as_millis()).unwrap_or(u64::MAX));
    }
    info
}

/// After how many seconds in which nothing uses it it will be destroyed.
fn idle_checks(kernel: &KernelInfo) -> Option<Value> {
    let left = kernel.idle_timeout()?.saturating_sub(kernel.idle()?);
    let check = json!({"remaining": left.as_secs_f64(), "remaining_time_type": "expire_after", "extra": null});
    Some(json!({"network_timeout": check}))
}

/// When it ended, if it has.
pub(super) fn ended(session: &Session) -> Option<String> {
    let times = [SessionStatus::Terminated, SessionStatus::Cancelled];
    times
        .iter()
        .find_map(|status| session.since(status))
        .map(iso_date)
}

/// The domain that it was created in.
pub(super) fn domain(session: &Session) -> &str {
    session.spec.domain().unwrap_or("default")
}

/// The registry in the full reference of an image.
pub(super) fn registry(image: &str) -> Option<&str> {
    let (registry, _) = image.split_once('/')?;
    Some(registry).filter(|name| name.contains(['.', ':']) || *name == "localhost")
}

/// The ID of what stands in for a container: that of the session without its hyphens, twice, which is as long as real
/// ones are. `None` before there is a kernel.
pub(super) fn container(session: &Session) -> Option<String> {
    let id = session.id.as_str().replace('-', "");
    session.entry().map(|_| format!("{id}{id}"))
}

/// The amounts of its resource slots: cores, and bytes of memory.
pub(super) fn slots(session: &Session, kernel: Option<&KernelInfo>) -> Vec<(&'static str, u64)> {
    use sorna_core::server::backend_ai::{parse_cores, parse_size};
    let of = |slot| session.spec.resources().find(|(name, _)| *name == slot);
    let cores = of("cpu").and_then(|(_, amount)| parse_cores(amount));
    let cores = cores.map(|cores| match std::thread::available_parallelism() {
        // It has no more than there are.
        Ok(most) => cores.min(u64::try_from(most.get()).unwrap_or(u64::MAX)),
        Err(_) => cores,
    });
    let memory = kernel
        .and_then(KernelInfo::max_memory)
        .or_else(|| of("mem").and_then(|(_, amount)| parse_size(amount)));
    [("cpu", Some(cores.unwrap_or(1))), ("mem", memory)]
        .into_iter()
        .filter_map(|(slot, amount)| Some((slot, amount?)))
        .collect()
}

/// The amounts that it was asked to have, and what it has of the rest.
fn requested_slots(session: &Session, kernel: Option<&KernelInfo>) -> Vec<(&'static str, u64)> {
    use sorna_core::server::backend_ai::{parse_cores, parse_size};
    let of = |slot| session.spec.resources().find(|(name, _)| *name == slot);
    let has = slots(session, kernel).into_iter();
    has.map(|(slot, has)| {
        let (_, asked) = of(slot).unwrap_or_default();
        let asked = match slot {
            "mem" => parse_size(asked),
            _ => parse_cores(asked),
        };
        (slot, asked.filter(|asked| *asked > 0).unwrap_or(has))
    })
    .collect()
}

/// The ports that it was created with for its own servers, which are those of this machine: nothing is between a
/// session's processes and the network.
pub(super) fn service_ports(session: &Session) -> Vec<Value> {
    let ports = session.spec.preopen_ports().iter();
    let service = |port: &u16| {
        json!({
            "name": port.to_string(),
            "protocol": "preopen",
            "ports": [port],
            "container_ports": [port],
            "host_ports": [port],
            "is_inference": false,
        })
    };
    ports.map(service).collect()
}

/// What it uses, in the form that managers have it.
pub(super) fn stats(kernel: Option<&KernelInfo>) -> Option<Value> {
    let kernel = kernel?;
    let metric = |current: String, unit: &str| {
        let mut metric = Map::new();
        metric.insert("current".to_owned(), current.into());
        metric.insert("unit_hint".to_owned(), unit.into());
        Value::Object(metric)
    };
    let cpu = kernel.cpu_time_used()?.as_millis().to_string();
    let memory = kernel.memory_used()?.to_string();
    Some(json!({"cpu_used": metric(cpu, "msec"), "mem": metric(memory, "bytes")}))
}

/// `{'cpu': Decimal('1'), 'mem': Decimal('268435456')}`: managers send what Python shows.
fn python_slots(slots: &[(&str, u64)]) -> String {
    let items = slots
        .iter()
        .map(|(slot, amount)| format!("'{slot}': Decimal('{amount}')"));
    format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
}

/// `{'A': 'b'}`
fn python_dictionary<'a>(items: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let items = items.map(|(name, value)| format!("{}: {}", python_text(name), python_text(value)));
    format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
}

/// A text as Python shows it; always in single quotes.
fn python_text(text: &str) -> String {
    let mut shown = String::from("'");
    for c in text.chars() {
        match c {
            '\'' | '\\' => shown.extend(['\\', c]),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if c.is_control() => shown.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => shown.push(c),
        }
    }
    shown.push('\'');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries_are_those_of_python() {
        assert_eq!(
            python_slots(&[("cpu", 1), ("mem", 268_435_456)]),
            "{'cpu': Decimal('1'), 'mem': Decimal('268435456')}"
        );
        let items = [("A", "it's"), ("B", "a\\b\n\u{1}é")];
        assert_eq!(
            python_dictionary(items.into_iter()),
            r"{'A': 'it\'s', 'B': 'a\\b\n\x01é'}"
        );
        assert_eq!(python_dictionary([].into_iter()), "{}");
    }

    #[test]
    fn a_registry_is_the_host_of_a_reference() {
        assert_eq!(
            registry("cr.backend.ai/stable/python:3.9"),
            Some("cr.backend.ai")
        );
        assert_eq!(registry("localhost:5000/python"), Some("localhost:5000"));
        assert_eq!(registry("stable/python"), None);
        assert_eq!(registry("python"), None);
    }
}

//! The result of a creation.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::status::SessionStatus;
use crate::fields::{take, take_text};
use crate::ident::KernelId;
use crate::ops::execute::Execute;
use crate::ops::interrupt::Interrupt;
use crate::ops::upload::UploadFiles;

/// A kernel that was created, or found by its token.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CreatedKernel {
    /// The gateway's identifier of the kernel.
    pub id: KernelId,
    /// The name of the session: its token. `None` if the gateway does not say, like those of 2017.
    pub name: Option<String>,
    /// Whether it is new: `false` for a living one that was found by its token. `None` if the gateway does not
    /// say, like those of 2017.
    pub created: Option<bool>,
    /// The languages of other living kernels with the same token: in Sorna v2, each language has its own. Empty if the gateway does
    /// not say, like those of 2017; that in `sorna-gateway` sends `{"otherLanguages": ["bash"]}`.
    pub other_languages: Vec<String>,
    /// The state of the kernel, such as `RUNNING`. `None` if the gateway does not say, like those of 2017.
    pub status: Option<SessionStatus>,
    /// The services in its container that have ports; empty while it does not run yet.
    pub service_ports: Vec<ServicePort>,
    /// What its gateway understands besides the protocol: [`Execute::FINAL`](crate::Execute::FINAL),
    /// [`Execute::RUNS`](crate::Execute::RUNS), [`Execute::BYTES`](crate::Execute::BYTES),
    /// [`UploadFiles::MODES`](crate::UploadFiles::MODES), [`Execute::ECHO`](crate::Execute::ECHO). Empty for real gateways; that in `sorna-gateway` sends
    /// `{"extensions": ["final", "bytes", …]}`.
    pub extensions: Vec<String>,
    /// The other fields of the response, and those above if they were of another type.
    pub extra: Map<String, Value>,
}

impl CreatedKernel {
    /// The kernel, as described by `fields`, the rest of the response.
    pub(super) fn new(id: KernelId, mut fields: Map<String, Value>) -> Self {
        Self {
            id,
            name: take_text(&mut fields, "sessionName"),
            created: take(&mut fields, "created", Value::as_bool),
            other_languages: take(&mut fields, "otherLanguages", |value| {
                Vec::deserialize(value).ok()
            })
            .unwrap_or_default(),
            status: take(&mut fields, "status", |value| {
                value.as_str().map(SessionStatus::from_name)
            }),
            service_ports: take_ports(&mut fields),
            extensions: take(&mut fields, "extensions", |value| {
                Vec::deserialize(value).ok()
            })
            .unwrap_or_default(),
            extra: fields,
        }
    }

    /// Whether its gateway understands [final executions](crate::Execute::with_final).
    #[must_use]
    pub fn has_final_executions(&self) -> bool {
        self.extensions.iter().any(|name| name == Execute::FINAL)
    }

    /// Whether its gateway understands the [modes of files, and directories](crate::UploadFiles::with_modes).
    #[must_use]
    pub fn has_file_modes(&self) -> bool {
        self.extensions
            .iter()
            .any(|name| name == UploadFiles::MODES)
    }

    /// Whether its gateway carries [output and input that are not UTF-8](crate::Execute::with_bytes).
    #[must_use]
    pub fn carries_bytes(&self) -> bool {
        self.extensions.iter().any(|name| name == Execute::BYTES)
    }

    /// Whether its gateway recognizes [marked executions](crate::Execute::with_mark).
    #[must_use]
    pub fn has_marked_executions(&self) -> bool {
        self.extensions.iter().any(|name| name == Execute::RUNS)
    }

    /// Whether its gateway understands [`Interrupt`](crate::Interrupt) in Sorna v2.
    #[must_use]
    pub fn has_interrupts(&self) -> bool {
        let name = Interrupt::EXTENSION;
        self.extensions.iter().any(|it| it == name)
    }

    /// Whether executions may be started [without a client](crate::RunMark::with_detached), and clients may
    /// [attach](crate::Execute::attach).
    #[must_use]
    pub fn has_attaching(&self) -> bool {
        self.extensions.iter().any(|name| name == Execute::ATTACH)
    }

    /// Whether its gateway sends [values of expressions](crate::Execute::with_echo) of its language.
    #[must_use]
    pub fn echoes(&self) -> bool {
        self.extensions.iter().any(|name| name == Execute::ECHO)
    }

    /// Whether it can run code now: it is [running](SessionStatus::is_running), or the gateway does not say, which
    /// responds only when it is.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.status.as_ref().is_none_or(SessionStatus::is_running)
    }

    /// Whether it does not run yet, but is to: after a creation [without](crate::KernelSpec::with_enqueue_only) or with
    /// a [limited](crate::KernelSpec::with_max_wait) wait, or if the session that was found is still starting.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.status.as_ref().is_some_and(SessionStatus::is_pending)
    }

    /// Whether it has ended or is about to. Wait until [`Info`](crate::Info) of its name is
    /// [not found](crate::GatewayError::is_not_found), then create it again.
    ///
    /// Observed on manager 26.9.6: for 3 s after a [`Destroy`](crate::Destroy), its name gives the session that was
    /// destroyed.
    #[must_use]
    pub fn is_dying(&self) -> bool {
        self.status.as_ref().is_some_and(SessionStatus::is_dying)
    }
}

/// A service in a session's container, such as `sshd` or `jupyter`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServicePort {
    /// Its name.
    pub name: String,
    /// What it speaks: `tcp`, `http`, …; empty if the gateway did not say.
    pub protocol: String,
    /// Its ports in the container.
    pub ports: Vec<u16>,
    /// The ports of the machine that lead there, where there are some.
    pub host_ports: Vec<u16>,
    /// Its other fields (`is_inference`, `url_template`, …).
    pub extra: Map<String, Value>,
}

/// Both forms of it: new sessions have `ports`, reused ones have `container_ports` and `host_ports`, whose items may be
/// null. (Observed on managers 23.09.10 and 26.9.6.)
#[derive(Deserialize)]
struct RawPort {
    name: String,
    protocol: Option<String>,
    ports: Option<Vec<u16>>,
    container_ports: Option<Vec<u16>>,
    host_ports: Option<Vec<Option<u16>>>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl From<RawPort> for ServicePort {
    fn from(raw: RawPort) -> Self {
        let host_ports = raw.host_ports.unwrap_or_default();
        Self {
            name: raw.name,
            protocol: raw.protocol.unwrap_or_default(),
            ports: raw.ports.or(raw.container_ports).unwrap_or_default(),
            host_ports: host_ports.into_iter().flatten().collect(),
            extra: raw.extra,
        }
    }
}

/// The services. Manager 23.09.10 lists those of a reused session as `service_ports`; 26.9.6 lists the same under both
/// names.
fn take_ports(fields: &mut Map<String, Value>) -> Vec<ServicePort> {
    let read = |value: &Value| -> Option<Vec<ServicePort>> {
        let raw = Option::<Vec<RawPort>>::deserialize(value).ok()?;
        Some(
            raw.unwrap_or_default()
                .into_iter()
                .map(Into::into)
                .collect(),
        )
    };
    let ports = take(fields, "servicePorts", read);
    let older = take(fields, "service_ports", read);
    ports.or(older).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn created(fields: Value) -> CreatedKernel {
        let Value::Object(fields) = fields else {
            panic!("no object")
        };
        CreatedKernel::new(KernelId::new("k1").unwrap(), fields)
    }

    #[test]
    fn what_a_status_means() {
        let phases = |status: Option<&str>| {
            let kernel = created(match status {
                Some(status) => json!({ "status": status }),
                None => json!({}),
            });
            (kernel.is_usable(), kernel.is_pending(), kernel.is_dying())
        };
        assert_eq!(phases(None), (true, false, false));
        assert_eq!(phases(Some("RUNNING")), (true, false, false));
        for status in ["PENDING", "TIMEOUT", "PULLING", "RESTARTING"] {
            assert_eq!(phases(Some(status)), (false, true, false), "{status}");
        }
        for status in ["TERMINATING", "TERMINATED", "CANCELLED", "ERROR"] {
            assert_eq!(phases(Some(status)), (false, false, true), "{status}");
        }
        for status in ["PREEMPTED", "DREAMING", "running", ""] {
            assert_eq!(phases(Some(status)), (false, false, false), "{status}");
        }
    }

    #[test]
    fn services_have_two_forms_and_two_names() {
        let short =
            json!([{"name": "a", "protocol": "tcp", "ports": [2200], "url_template": "/x"}]);
        let kernel = created(json!({ "servicePorts": short }));
        let [service] = &*kernel.service_ports else {
            panic!("{kernel:?}")
        };
        assert_eq!((&*service.name, &*service.protocol), ("a", "tcp"));
        assert_eq!(
            (&*service.ports, &*service.host_ports),
            (&[2200][..], &[][..])
        );
        assert_eq!(service.extra["url_template"], "/x");

        let long = json!([{"name": "a", "protocol": "tcp", "host_ports": [null, 30000],
                           "is_inference": false, "container_ports": [2200, 2201]}]);
        for fields in [
            json!({ "service_ports": long }),
            json!({ "servicePorts": long }),
            json!({ "service_ports": long, "servicePorts": long }),
        ] {
            let kernel = created(fields);
            let service = &kernel.service_ports[0];
            assert_eq!(service.ports, [2200, 2201]);
            assert_eq!(service.host_ports, [30000]);
            assert_eq!(service.extra["is_inference"], false);
            assert!(kernel.extra.is_empty(), "{kernel:?}");
        }
        assert_eq!(created(json!({ "service_ports": null })).extra.len(), 0);
    }

    #[test]
    fn extensions_are_those_that_the_gateway_names() {
        assert!(created(json!({"extensions": ["x", "final"]})).has_final_executions());
        for other in [
            json!({}),
            json!({"extensions": null}),
            json!({"extensions": "final"}),
            json!({"extensions": ["finals"]}),
        ] {
            assert!(!created(other.clone()).has_final_executions(), "{other}");
        }
    }

    #[test]
    fn fields_of_other_types_are_kept() {
        for fields in [
            json!({"servicePorts": {"sshd": 22}}),
            json!({"servicePorts": [{"name": "a", "ports": [70000]}]}),
            json!({"servicePorts": [{"ports": [1]}]}),
            json!({"sessionName": 7, "status": 3, "created": "yes", "extensions": [1]}),
        ] {
            let kernel = created(fields.clone());
            assert!(kernel.service_ports.is_empty(), "{kernel:?}");
            assert_eq!((kernel.name, kernel.created), (None, None));
            assert_eq!(Value::from(kernel.extra), fields);
        }
    }
}

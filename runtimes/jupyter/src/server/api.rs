//! What the requests of the API are about: kernels, sessions and kernelspecs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};
use sorna::tokio::Client;
use sorna::{KernelSpec, Limits};

use super::access::Access;
use super::body::new_id;
use super::kernels::{Entry, Kernels};
use super::once::Once;
use super::reply::Problem;
use super::sessions::{Session, Sessions};
use super::specs;
use crate::engine::Completeness;

/// As long as executions may take: users interrupt them.
const UNLIMITED: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What requests are about.
pub(super) struct Inner {
    pub(super) client: Client,
    /// For kernels with variables, which Sorna v2 has not.
    pub(super) session_client: Client,
    pub(super) access: Access,
    pub(super) judge: fn(&str, &str) -> Completeness,
    pub(super) kernels: Arc<Kernels>,
    pub(super) sessions: Sessions,
    /// Kernels that are being started, by the IDs that clients have chosen.
    pub(super) kernel_starts: Once<Arc<Entry>>,
    /// Sessions whose kernels are being started, by their paths.
    pub(super) session_starts: Once<Session>,
    pub(super) started: Timestamp,
    pub(super) last_activity: Mutex<Timestamp>,
}

impl Inner {
    /// The kernels that are still there.
    pub(super) async fn kernels(&self) -> Vec<Arc<Entry>> {
        let looks = self.kernels.all().into_iter().map(|it| async move {
            it.look().await;
        });
        futures_util::future::join_all(looks).await;
        let kernels = self.kernels.all();
        self.sessions.keep_those_of(&kernels);
        kernels
    }

    /// The models of kernelspecs, by their names.
    pub(super) async fn specs(&self) -> Result<Map<String, Value>, Problem> {
        specs::of(&self.client).await
    }

    /// Starts a kernel of this name, or the usual one.
    pub(super) async fn start_kernel(
        &self,
        name: Option<&str>,
        env: Option<&Value>,
        id: Option<&str>,
    ) -> Result<Arc<Entry>, Problem> {
        let specs = self.specs().await?;
        let name = match name.filter(|name| !name.is_empty()) {
            Some(name) if specs.contains_key(name) => name,
            Some(name) => {
                let known: Vec<_> = specs.keys().map(String::as_str).collect();
                let known = known.join(", ");
                return Err(Problem::not_found(format!(
                    "No such kernel: {name} (there are: {known})"
                ))
                .with_short(format!("{name} not found")));
            }
            None => specs::usual(&specs)
                .ok_or_else(|| Problem::not_found("the gateway can run no language"))?,
        };
        let mut spec = KernelSpec::new(name);
        let mut has_env = false;
        let env = match env {
            None | Some(Value::Null) => None,
            Some(Value::Object(env)) => Some(env),
            Some(_) => return Err(Problem::bad("env must be an object")),
        };
        for (name, value) in env.into_iter().flatten() {
            let value = value
                .as_str()
                .filter(|value| !value.contains('\0'))
                .filter(|_| !name.is_empty() && !name.contains(['=', '\0']));
            let value = value.ok_or_else(|| {
                Problem::bad("env must have names of variables and texts as values")
            })?;
            // JupyterLab always sends these, which are for the servers of clusters.
            has_env |= !name.starts_with("KERNEL_");
            spec = spec.with_env(name, value);
        }
        let client = match has_env {
            true => &self.session_client,
            false => {
                let limits = Limits::new().with_exec_timeout(UNLIMITED);
                spec = KernelSpec::new(spec.language()).with_limits(limits);
                &self.client
            }
        };
        let id = id.map_or_else(new_id, str::to_owned);
        let (client, judge) = (client.clone(), self.judge);
        let entry = self.kernels.start(client, spec, id, judge).await?;
        tracing::info!(
            kernel = entry.id,
            lang = entry.name,
            "a kernel of Jupyter was started"
        );
        Ok(entry)
    }
}

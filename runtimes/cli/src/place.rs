//! Where kernels run: on a gateway that the environment names, or on this machine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sorna::ClientOptions;
use sorna::blocking::Client;
use sorna::core::{AccessKey, Config, Credentials, SecretKey, variables};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};

use crate::failure::Failure;

/// A client, and the local gateway it talks to, if there is one.
pub(crate) struct Place {
    pub(crate) client: Client,
    gateway: LocalGateway,
}

/// The gateway on this machine, shared with whoever may have to stop it in a hurry.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocalGateway(Arc<Mutex<Option<RunningGateway>>>);

impl LocalGateway {
    /// Stops it and waits until its processes and files are gone.
    pub(crate) fn stop(&self) {
        let gateway = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(gateway) = gateway {
            gateway.stop();
        }
    }
}

impl Place {
    /// The gateway that the environment names.
    pub(crate) fn remote() -> Result<Self, Failure> {
        let lookup = |name: &str| std::env::var(name).ok();
        let config = Config::from_lookup(lookup).map_err(Failure::Settings)?;
        let options = ClientOptions::from_env().map_err(Failure::Proxy)?;
        Ok(Self {
            client: Client::with_options(config, options),
            gateway: LocalGateway::default(),
        })
    }

    /// A gateway of our own.
    pub(crate) fn local() -> Result<Self, Failure> {
        let mut config = GatewayConfig::default();
        // Whoever runs a program on their own machine stops it themselves.
        config.exec_timeout = Duration::from_secs(365 * 24 * 60 * 60);
        config.idle_timeout = config.exec_timeout;
        let gateway = Gateway::spawn(config).map_err(Failure::Gateway)?;
        let credentials = Credentials::new(
            AccessKey::new(gateway.access_key()).map_err(Failure::Settings)?,
            SecretKey::new(gateway.secret_key()).map_err(Failure::Settings)?,
        );
        let endpoint = gateway.endpoint().parse().map_err(Failure::Settings)?;
        Ok(Self {
            client: Client::new(Config::new(endpoint, credentials)),
            gateway: LocalGateway(Arc::new(Mutex::new(Some(gateway)))),
        })
    }

    pub(crate) fn gateway(&self) -> LocalGateway {
        self.gateway.clone()
    }

    /// The endpoint, and where it comes from, for messages.
    pub(crate) fn endpoint(&self) -> String {
        let endpoint = self.client.config().endpoint();
        let set = std::env::var_os(variables::ENDPOINT).is_some_and(|value| !value.is_empty());
        if self.is_local() {
            format!("{endpoint} (started for --local)")
        } else if set {
            format!("{endpoint} (from {})", variables::ENDPOINT)
        } else {
            format!(
                "{endpoint} (the default, since {} is not set)",
                variables::ENDPOINT
            )
        }
    }

    pub(crate) fn is_local(&self) -> bool {
        self.gateway
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gateway.stop();
    }
}

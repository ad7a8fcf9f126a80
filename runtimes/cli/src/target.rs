//! Where kernels run: on the gateway in the settings, or on this machine.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use sorna::blocking::Client;
use sorna::net::TlsOptions;
use sorna::{ApiVersion, ClientOptions, Config, Dialect, Observer};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};

use crate::failure::Failure;
use crate::globals::Globals;
use crate::lock::lock;
use crate::reporter::Reporter;
use crate::settings::{Api, Login, Settings};
use crate::terms::Terms;

/// A client, and the settings it was made from or the local gateway it talks to.
pub(crate) struct Target {
    pub(crate) client: Client,
    pub(crate) settings: Option<Settings>,
    /// The API that was asked for.
    pub(crate) api: Api,
    gateway: LocalGateway,
    contact: Contact,
    #[cfg(any(feature = "jupyter", feature = "mcp"))]
    options: ClientOptions,
}

/// Whether any response came from the gateway.
#[derive(Clone, Debug, Default)]
struct Contact(Arc<AtomicBool>);

impl Contact {
    /// An observer that notes it, and calls the next one.
    fn observer(&self, next: Option<Observer>) -> Observer {
        let Self(made) = self.clone();
        Observer::new(move |exchange| {
            if exchange.outcome.is_ok() {
                made.store(true, Relaxed);
            }
            if let Some(next) = &next {
                next.notify(exchange);
            }
        })
    }
}

/// The gateway on this machine, shared with the signal handlers that stop it.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocalGateway(Arc<Mutex<Option<RunningGateway>>>);

impl LocalGateway {
    /// Stops it and waits until its processes and files are gone.
    pub(crate) fn stop(&self) {
        let gateway = lock(&self.0).take();
        if let Some(gateway) = gateway {
            gateway.stop();
        }
    }
}

/// What others are told whose kernel is busy with what this command runs.
fn client_name() -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    format!("sorna on {host} (process {})", std::process::id())
}

impl Target {
    /// A local gateway with this configuration, with which this API is spoken unless `--api` says otherwise, or the gateway
    /// in the settings.
    pub(crate) fn open_with(
        local: Option<(GatewayConfig, Api)>,
        globals: &Globals,
    ) -> Result<Self, Failure> {
        match (globals.names_a_gateway(), local) {
            (Some(option), Some(_)) => Err(Failure::LocalAnd(option)),
            (_, Some((config, api))) => Self::local(config, globals, globals.api.unwrap_or(api)),
            (_, None) => Self::open(globals),
        }
    }

    /// The gateway in the settings.
    pub(crate) fn open(globals: &Globals) -> Result<Self, Failure> {
        let settings = Self::settings(globals)?;
        let config = settings.client_config().map_err(Failure::Settings)?;
        Self::of_settings(settings, config, globals, |options| options)
    }

    /// The settings; warnings about them are shown.
    pub(crate) fn settings(globals: &Globals) -> Result<Settings, Failure> {
        let settings = Settings::load(globals).map_err(Failure::Settings)?;
        for warning in &settings.warnings {
            Reporter::new(false).advice(warning);
        }
        Ok(settings)
    }

    /// The gateway in these settings, by a client with this configuration, whose options can be changed.
    pub(crate) fn of_settings(
        settings: Settings,
        config: Config,
        globals: &Globals,
        change: impl FnOnce(ClientOptions) -> ClientOptions,
    ) -> Result<Self, Failure> {
        let mut options = ClientOptions::from_env().map_err(Failure::Proxy)?;
        if let Some(file) = &settings.ca_file {
            // Opened even if no connection will read it: otherwise the mistake would show only later.
            std::fs::File::open(&file.value).map_err(|error| {
                let (path, source) = (file.value.display(), &file.source);
                Failure::usage(format!(
                    "cannot read the CA file {path} ({source}): {error}"
                ))
            })?;
            options = options.with_tls(TlsOptions::new().with_ca_file(&file.value));
        }
        let contact = Contact::default();
        let options = options.with_client_name(client_name());
        let options = change(options.with_observer(contact.observer(globals.observer())));
        Ok(Self {
            #[cfg(any(feature = "jupyter", feature = "mcp"))]
            options: options.clone(),
            client: Client::with_options(config, options),
            api: settings.api.value,
            settings: Some(settings),
            gateway: LocalGateway::default(),
            contact,
        })
    }

    /// A client with this configuration.
    #[cfg(test)]
    pub(crate) fn of(config: sorna::Config) -> Self {
        Self {
            #[cfg(any(feature = "jupyter", feature = "mcp"))]
            options: ClientOptions::new(),
            client: Client::new(config),
            api: Api::Auto,
            settings: None,
            gateway: LocalGateway::default(),
            contact: Contact::default(),
        }
    }

    /// As after a response.
    #[cfg(test)]
    pub(crate) fn with_contact(self) -> Self {
        self.contact.0.store(true, Relaxed);
        self
    }

    fn local(config: GatewayConfig, globals: &Globals, api: Api) -> Result<Self, Failure> {
        sorna_gateway::raise_open_files();
        let gateway = Gateway::spawn(config).map_err(Failure::Gateway)?;
        let contact = Contact::default();
        let options = ClientOptions::new()
            .with_client_name(client_name())
            .with_observer(contact.observer(globals.observer()));
        Ok(Self {
            #[cfg(any(feature = "jupyter", feature = "mcp"))]
            options: options.clone(),
            client: Client::with_options(config_of(&gateway, api), options),
            api,
            settings: None,
            gateway: LocalGateway(Arc::new(Mutex::new(Some(gateway)))),
            contact,
        })
    }

    /// A client of the same gateway that does not block.
    #[cfg(any(feature = "jupyter", feature = "mcp"))]
    pub(crate) fn concurrent(&self) -> sorna::tokio::Client {
        let config = self.client.config().clone();
        sorna::tokio::Client::with_options(config, self.options.clone())
    }

    /// Asks the local gateway something, if there is one.
    pub(crate) fn on_gateway<T>(
        &self,
        ask: impl FnOnce(&RunningGateway) -> Option<T>,
    ) -> Option<T> {
        lock(&self.gateway.0).as_ref().and_then(ask)
    }

    pub(crate) fn gateway(&self) -> LocalGateway {
        self.gateway.clone()
    }

    /// Whether the gateway has responded to any request.
    pub(crate) fn has_responded(&self) -> bool {
        self.contact.0.load(Relaxed)
    }

    /// The endpoint, and where it comes from, for messages.
    pub(crate) fn endpoint(&self) -> String {
        let endpoint = self.client.config().endpoint();
        match self.settings.as_ref().and_then(|all| all.endpoint.as_ref()) {
            Some(setting) => format!("{endpoint} (from {})", setting.source),
            None => format!("{endpoint} (started for --local)"),
        }
    }

    /// The dialect of the API, once it is known.
    fn dialect(&self) -> Option<Dialect> {
        match self.client.config().fixed_version() {
            Some(version) => Some(version.dialect()),
            None if self.has_responded() => {
                let negotiated = self.client.negotiated().ok()?;
                Some(negotiated.dialect())
            }
            None => None,
        }
    }

    /// What its users call a kernel.
    pub(crate) fn terms(&self) -> Terms {
        self.dialect().map_or(Terms::KERNEL, Terms::of)
    }

    /// Whether requests are made in a session with a web server.
    pub(crate) fn is_of_web_server(&self) -> bool {
        self.client.config().is_of_web_server()
    }

    /// The access key that the user's sessions belong to, as far as it is known.
    pub(crate) fn owner(&self) -> Option<String> {
        match self.client.config().credentials() {
            Some(keys) => Some(keys.access_key().to_string()),
            None => self.login()?.access_key,
        }
    }

    /// The login that was kept.
    pub(crate) fn login(&self) -> Option<Login> {
        let settings = self.settings.as_ref()?;
        settings.login_file().ok()?.read().ok()?
    }

    /// The access key, and where it comes from, for messages; `None` in a session with a web server.
    pub(crate) fn access_key(&self) -> Option<String> {
        let key = self.client.config().credentials()?.access_key();
        let settings = self.settings.as_ref();
        Some(match settings.and_then(|all| all.access_key.as_ref()) {
            Some(setting) => format!("{key} (from {})", setting.source),
            None => format!("{key} (made for --local)"),
        })
    }
}

/// The configuration for a gateway of this project, which speaks all versions.
fn config_of(gateway: &RunningGateway, api: Api) -> Config {
    let config = gateway.config();
    match api {
        Api::Sorna => config,
        Api::BackendAi | Api::Auto => config.with_version(ApiVersion::V9_20250722),
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.gateway.stop();
    }
}

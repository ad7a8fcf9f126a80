//! Where the gateway is and how to sign for it.

mod credentials;
mod endpoint;
mod env;
mod session;

pub use credentials::{AccessKey, Credentials, SecretKey};
pub use endpoint::Endpoint;
pub use env::EnvNames;
pub use session::SessionCookie;

use crate::error::ConfigError;
use crate::signing::hash::HashAlgorithm;
use crate::version::ApiVersion;
use http::HeaderValue;

/// Everything a [`Signer`](crate::Signer) needs to know about one gateway and one user.
///
/// ```
/// use sorna_core::{Config, HashAlgorithm};
///
/// let config = Config::from_lookup(|name| match name {
///     "SORNA_ENDPOINT" => Some("http://127.0.0.1:8081".into()),
///     "SORNA_ACCESS_KEY" => Some("AKIAIOSFODNN7EXAMPLE".into()),
///     "SORNA_SECRET_KEY" => Some("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into()),
///     _ => None,
/// })?
/// .with_hash(HashAlgorithm::Sha512);
/// assert_eq!(config.endpoint().host(), "127.0.0.1:8081");
/// # Ok::<(), sorna_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    endpoint: Endpoint,
    identity: Identity,
    /// `None` if it is to be negotiated.
    version: Option<ApiVersion>,
    domain: Option<String>,
    group: Option<String>,
    hash: HashAlgorithm,
    user_agent: HeaderValue,
}

/// Who the user is.
#[derive(Clone, Debug)]
enum Identity {
    Keys(Credentials),
    /// A session with a web server; `None` before the login.
    Session(Option<SessionCookie>),
}

impl Config {
    /// The version that is spoken with a web server unless it is negotiated: all managers of 23.09 and later speak it.
    const WITH_WEB_SERVER: ApiVersion = ApiVersion::V7_20230615;

    /// A configuration for a web server of Backend.AI, to which users log in with a password, and which passes their
    /// requests on to a manager: `BACKEND_ENDPOINT_TYPE=session`. A [`Login`](crate::Login) gives the session without
    /// which it rejects all other requests: [`with_session`](Self::with_session).
    ///
    /// Requests go below `/func`, and are not signed.
    #[must_use]
    pub fn of_web_server(endpoint: Endpoint) -> Self {
        Self::with_identity(endpoint, Identity::Session(None))
    }

    /// A configuration for the given gateway and user, signing with SHA-256. The version of the API is not fixed: see
    /// [`version`](Self::version).
    #[must_use]
    pub fn new(endpoint: Endpoint, credentials: Credentials) -> Self {
        Self::with_identity(endpoint, Identity::Keys(credentials))
    }

    fn with_identity(endpoint: Endpoint, identity: Identity) -> Self {
        Self {
            endpoint,
            identity,
            version: None,
            domain: None,
            group: None,
            hash: HashAlgorithm::default(),
            user_agent: HeaderValue::from_static(concat!("sorna-rust/", env!("CARGO_PKG_VERSION"))),
        }
    }

    /// Reads the settings through a function, typically `|name| std::env::var(name).ok()`: core itself reads no
    /// environment.
    ///
    /// All of them come from [one family of names](EnvNames): [`EnvNames::BACKEND`] if `BACKEND_ENDPOINT` is set, else
    /// [`EnvNames::SORNA`]. With the latter the version is fixed to that of Sorna v2, which is what programs that set them
    /// were written for, also where the endpoint speaks both dialects; [`negotiated`](Self::negotiated) changes that.
    ///
    /// # Errors
    ///
    /// As [`from_lookup_with`](Self::from_lookup_with). A key that is missing in one family and set in the other is
    /// [`ConfigError::OtherFamily`].
    pub fn from_lookup(
        mut lookup: impl FnMut(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let names = EnvNames::choose(&mut lookup)?;
        let config = Self::from_lookup_with(&names, lookup)?;
        Ok(match config.identity {
            Identity::Keys(_) if names == EnvNames::SORNA => {
                config.with_version(ApiVersion::V2_20170315)
            }
            _ => config,
        })
    }

    /// Reads the settings of these names through a function. Whitespace around a value is ignored.
    ///
    /// # Errors
    ///
    /// A variable that is not set or empty, or a value that is not valid; the error names it.
    pub fn from_lookup_with(
        names: &EnvNames,
        lookup: impl FnMut(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let read = env::read(names, lookup)?;
        Ok(Self {
            domain: read.domain,
            group: read.group,
            ..match read.credentials {
                Some(credentials) => Self::new(read.endpoint, credentials),
                None => Self::of_web_server(read.endpoint),
            }
        })
    }

    /// Speaks this version of the API, without finding out what the gateway speaks.
    #[must_use]
    pub fn with_version(mut self, version: ApiVersion) -> Self {
        self.version = Some(version);
        self
    }

    /// Finds out what the gateway speaks before the first request, even if the version was fixed.
    #[must_use]
    pub fn negotiated(mut self) -> Self {
        self.version = None;
        self
    }

    /// Makes requests in this session with a web server, in place of keys.
    #[must_use]
    pub fn with_session(mut self, cookie: SessionCookie) -> Self {
        self.identity = Identity::Session(Some(cookie));
        self
    }

    /// Creates sessions of Backend.AI in this domain, unless their [`KernelSpec`](crate::KernelSpec) names one. Sorna v2
    /// has none.
    #[must_use]
    pub fn with_domain(mut self, name: impl Into<String>) -> Self {
        self.domain = Some(name.into());
        self
    }

    /// Creates sessions of Backend.AI in this group (project), unless their [`KernelSpec`](crate::KernelSpec) names one.
    /// Sorna v2 has none.
    #[must_use]
    pub fn with_group(mut self, name: impl Into<String>) -> Self {
        self.group = Some(name.into());
        self
    }

    /// Signs with this hash function.
    #[must_use]
    pub fn with_hash(mut self, hash: HashAlgorithm) -> Self {
        self.hash = hash;
        self
    }

    /// Sends this `User-Agent`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::UserAgent`] if the text cannot be a header value.
    pub fn with_user_agent(mut self, user_agent: &str) -> Result<Self, ConfigError> {
        self.user_agent = HeaderValue::from_str(user_agent).map_err(|_| ConfigError::UserAgent)?;
        Ok(self)
    }

    /// The gateway's address.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The user's keys. A user of a [web server](Self::of_web_server) has none.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        match &self.identity {
            Identity::Keys(credentials) => Some(credentials),
            Identity::Session(_) => None,
        }
    }

    /// Whether it is for a [web server](Self::of_web_server).
    #[must_use]
    pub fn is_of_web_server(&self) -> bool {
        matches!(self.identity, Identity::Session(_))
    }

    /// The session with a web server, once the user has logged in.
    #[must_use]
    pub fn session(&self) -> Option<&SessionCookie> {
        match &self.identity {
            Identity::Session(cookie) => cookie.as_ref(),
            Identity::Keys(_) => None,
        }
    }

    /// The version of the API that is spoken: the fixed one, else [the default](ApiVersion::default), or with a web
    /// server v7.20230615.
    ///
    /// If it is not fixed, it should be negotiated before the first request, since the endpoint may speak another
    /// dialect: by [`Negotiate`](crate::machine::Negotiate), as the clients of crate `sorna` do, and then
    /// [`Caller::with_version`](crate::Caller::with_version).
    #[must_use]
    pub fn version(&self) -> ApiVersion {
        self.version.unwrap_or(match self.identity {
            Identity::Keys(_) => ApiVersion::default(),
            Identity::Session(_) => Self::WITH_WEB_SERVER,
        })
    }

    /// The version of the API, if it is [fixed](Self::with_version).
    #[must_use]
    pub fn fixed_version(&self) -> Option<ApiVersion> {
        self.version
    }

    /// The domain of new sessions, for those that name none.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// The group of new sessions, for those that name none.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// The hash function of the signatures.
    #[must_use]
    pub fn hash(&self) -> HashAlgorithm {
        self.hash
    }

    /// The `User-Agent` sent.
    #[must_use]
    pub fn user_agent(&self) -> &HeaderValue {
        &self.user_agent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(config: &Config) -> &Credentials {
        config.credentials().expect("it has keys")
    }

    fn sample() -> Config {
        Config::from_lookup(|name| match name {
            "SORNA_ENDPOINT" => Some("http://127.0.0.1:8081".to_owned()),
            "SORNA_ACCESS_KEY" => Some("AKIAIOSFODNN7EXAMPLE".to_owned()),
            "SORNA_SECRET_KEY" => Some("wJalrXUtnFEMI".to_owned()),
            _ => None,
        })
        .unwrap()
    }

    #[test]
    fn a_version_is_fixed_only_by_choice() {
        let open = sample().negotiated();
        assert_eq!(open.version(), ApiVersion::default());
        assert_eq!(open.fixed_version(), None);
        for version in ApiVersion::ALL {
            let fixed = sample().with_version(*version);
            assert_eq!(fixed.version(), *version);
            assert_eq!(fixed.fixed_version(), Some(*version));
        }
    }

    #[test]
    fn debug_output_hides_the_secret() {
        let shown = format!("{:?}", sample());
        assert!(shown.contains("AKIAIOSFODNN7EXAMPLE"));
        assert!(!shown.contains("wJalrXUtnFEMI"), "{shown}");
    }

    const URL: &str = "http://127.0.0.1:8081";

    /// Reads what is set, such as `A=b`.
    fn config(variables: &[&str]) -> Result<Config, ConfigError> {
        Config::from_lookup(|name| {
            let mut pairs = variables.iter().filter_map(|pair| pair.split_once('='));
            let (_, value) = pairs.find(|(other, _)| *other == name)?;
            Some(value.to_owned())
        })
    }

    #[test]
    fn missing_variables_are_named() {
        let [url, access, secret] = [
            "SORNA_ENDPOINT=http://h",
            "SORNA_ACCESS_KEY=AK",
            "SORNA_SECRET_KEY=SK",
        ];
        for (variables, name) in [
            (&[access, secret][..], "SORNA_ENDPOINT"),
            (&["SORNA_ENDPOINT= \n", access, secret], "SORNA_ENDPOINT"),
            (&[secret], "SORNA_ENDPOINT"),
            (&["BACKEND_ACCESS_KEY=AK", access], "BACKEND_ENDPOINT"),
            (&[url, secret], "SORNA_ACCESS_KEY"),
            (&[url, "SORNA_ACCESS_KEY=", secret], "SORNA_ACCESS_KEY"),
            (&[url, access], "SORNA_SECRET_KEY"),
            (&["BACKEND_ENDPOINT=http://h"], "BACKEND_ACCESS_KEY"),
        ] {
            let error = config(variables).unwrap_err();
            assert_eq!(
                error,
                ConfigError::MissingVariable { name },
                "{variables:?}"
            );
        }
        let error = config(&["HOME=/"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "neither BACKEND_ENDPOINT nor SORNA_ENDPOINT is set"
        );
    }

    #[test]
    fn sorna_names_fix_sorna_v2() {
        let lines = |family: &str| {
            ["ENDPOINT=http://h", "ACCESS_KEY=A", "SECRET_KEY=S"]
                .map(|line| format!("{family}_{line}"))
        };
        let read = |family: &str| {
            let lines = lines(family);
            config(&lines.each_ref().map(String::as_str)).unwrap()
        };
        let sorna = read("SORNA");
        assert_eq!(sorna.fixed_version(), Some(ApiVersion::V2_20170315));
        assert_eq!(sorna.negotiated().fixed_version(), None);
        assert_eq!(read("BACKEND").fixed_version(), None);
    }

    #[test]
    fn settings_of_two_families_are_never_mixed() {
        let sorna = [
            "SORNA_ENDPOINT=http://sorna",
            "SORNA_ACCESS_KEY=SA",
            "SORNA_SECRET_KEY=SS",
            "SORNA_GROUP=g",
        ];
        let backend = [
            "BACKEND_ENDPOINT=http://backend",
            "BACKEND_ACCESS_KEY=BA",
            "BACKEND_SECRET_KEY=BS",
        ];
        let read = config(&[&sorna[..], &backend[..]].concat()).unwrap();
        assert_eq!(read.endpoint().host(), "backend");
        assert_eq!(keys(&read).access_key().as_str(), "BA");
        assert_eq!(keys(&read).secret_key().expose(), "BS");
        assert_eq!((read.domain(), read.group()), (None, None));
        // Keys alone do not select a family.
        let read = config(&[&sorna[..], &backend[1..]].concat()).unwrap();
        assert_eq!(read.endpoint().host(), "sorna");
        assert_eq!(keys(&read).access_key().as_str(), "SA");
        assert_eq!(read.group(), Some("g"));

        let error = config(&[&sorna[..], &backend[..2]].concat()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "BACKEND_SECRET_KEY is not set, and SORNA_SECRET_KEY, which is, belongs to another endpoint: set the endpoint and both keys under one prefix"
        );
        let error = config(&[&sorna[..1], &backend[1..]].concat()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("SORNA_ACCESS_KEY is not set, and BACKEND_ACCESS_KEY"),
            "{error}"
        );
    }

    #[test]
    fn domain_and_group_are_optional() {
        let all = [
            "BACKEND_ENDPOINT=http://h",
            "BACKEND_ACCESS_KEY=AK",
            "BACKEND_SECRET_KEY=SK",
        ];
        let read = config(&all).unwrap();
        assert_eq!((read.domain(), read.group()), (None, None));
        let more = [
            "BACKEND_DOMAIN= d ",
            "BACKEND_GROUP=g h",
            "BACKEND_ENDPOINT_TYPE=api",
        ];
        let read = config(&[&all[..], &more[..]].concat()).unwrap();
        assert_eq!((read.domain(), read.group()), (Some("d"), Some("g h")));
        let error = config(&[&all[..], &["BACKEND_GROUP=a\nb"]].concat()).unwrap_err();
        assert_eq!(
            error,
            ConfigError::LineBreak {
                name: "BACKEND_GROUP"
            }
        );
        let error = config(&[&all[..], &["BACKEND_ENDPOINT_TYPE=sesame"]].concat()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "BACKEND_ENDPOINT_TYPE: `sesame` is not a type of endpoint: use `api` or `session`"
        );
        // Keys are not needed, and not used.
        let web = ["BACKEND_ENDPOINT=http://h", "BACKEND_ENDPOINT_TYPE=session"];
        for variables in [&web[..], &[&web[..], &all[1..]].concat()] {
            let read = config(variables).unwrap();
            assert!(read.is_of_web_server());
            assert!(read.credentials().is_none() && read.session().is_none());
        }
    }

    #[test]
    fn space_around_values_is_ignored() {
        let read = config(&[
            "SORNA_ENDPOINT= http://127.0.0.1:8081\r\n",
            "SORNA_ACCESS_KEY=\tAK\n",
            "SORNA_SECRET_KEY= SK \n",
        ])
        .unwrap();
        assert_eq!(read.endpoint().to_string(), URL);
        assert_eq!(keys(&read).access_key().as_str(), "AK");
        assert_eq!(keys(&read).secret_key().expose(), "SK");
    }

    #[test]
    fn variables_with_values_that_cannot_be_used_are_named() {
        let read = |url: &str, access: &str| {
            let (url, access) = (
                format!("SORNA_ENDPOINT={url}"),
                format!("SORNA_ACCESS_KEY={access}"),
            );
            config(&[&url, &access, "SORNA_SECRET_KEY=SK"])
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            read("localhost:1", "AK"),
            "SORNA_ENDPOINT: the endpoint must start with https:// or http://"
        );
        assert_eq!(
            read(URL, "A K"),
            "SORNA_ACCESS_KEY: the access key must be printable ASCII without spaces, `:` or `,`, and not empty"
        );
    }

    #[test]
    fn line_breaks_inside_are_named() {
        for (variables, name) in [
            (["http://a\nb", "AK", "SK"], "SORNA_ENDPOINT"),
            ([URL, "A\nK", "SK"], "SORNA_ACCESS_KEY"),
            ([URL, "AK", "S\rK"], "SORNA_SECRET_KEY"),
        ] {
            let names = ["SORNA_ENDPOINT", "SORNA_ACCESS_KEY", "SORNA_SECRET_KEY"];
            let pairs: Vec<String> = names
                .iter()
                .zip(variables)
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let pairs: Vec<&str> = pairs.iter().map(String::as_str).collect();
            assert_eq!(config(&pairs).unwrap_err(), ConfigError::LineBreak { name });
        }
    }

    #[test]
    fn other_names_can_be_read() {
        let names = EnvNames::new("MY_URL", "MY_KEY", "MY_SECRET");
        let config = Config::from_lookup_with(&names, |name| match name {
            "MY_URL" => Some("https://cluster.example".to_owned()),
            "MY_KEY" => Some("AK".to_owned()),
            "MY_SECRET" => Some("SK".to_owned()),
            other => panic!("{other} is read"),
        })
        .unwrap();
        assert_eq!(config.endpoint().host(), "cluster.example");
    }
}

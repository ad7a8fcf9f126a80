//! What all requests of one user share: the keys, the retry policy, and the known rate limit.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::instant::Instant;
use crate::lock::lock;
use crate::moment::Moment;
use crate::rate_limit::RateLimit;
use crate::retry::RetryPolicy;
use crate::signing::Signer;
use crate::version::ApiVersion;

/// What every machine needs for its requests: the [`Signer`], the [`RetryPolicy`], and what earlier
/// responses said about the rate limit.
///
/// Cheap to clone; clones share what is known of the rate limit, so create one for each user of a
/// gateway and give clones of it to all machines. Their [`Moment`]s must have the same origin of
/// time.
///
/// ```
/// use sorna_core::machine::Call;
/// use sorna_core::{Caller, RetryPolicy, Version};
/// # use sorna_core::{AccessKey, Config, Credentials, SecretKey, Signer};
/// # let keys = Credentials::new(AccessKey::new("AK")?, SecretKey::new("SK")?);
/// # let signer = Signer::new(Config::new("http://127.0.0.1:8081".parse()?, keys));
///
/// let caller = Caller::new(signer);
/// let patient = Call::new(Version::new(), caller.clone());
/// let once = Call::new(Version::new(), caller.with_retry(RetryPolicy::never()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Caller {
    signer: Signer,
    retry: RetryPolicy,
    /// When the window of the rate limit ends.
    window_end: Arc<Mutex<Option<Instant>>>,
    client: Option<Arc<str>>,
}

impl Caller {
    /// A caller with the default policy, which does not know a rate limit yet.
    #[must_use]
    pub fn new(signer: Signer) -> Self {
        Self {
            signer,
            retry: RetryPolicy::default(),
            window_end: Arc::default(),
            client: None,
        }
    }

    /// The same caller, whose executions say to others that their kernel is busy with those of this client: see
    /// [`RunMark::with_client`](crate::RunMark::with_client). Without this, they say nothing.
    #[must_use]
    pub fn with_client_name(mut self, name: &str) -> Self {
        self.client = Some(name.into());
        self
    }

    /// The name of its client.
    #[must_use]
    pub fn client_name(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// The same caller with this policy.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The same caller, speaking this version: that which a [`Negotiate`](crate::machine::Negotiate) found.
    #[must_use]
    pub fn with_version(mut self, version: ApiVersion) -> Self {
        let config = self.signer.config();
        if config.fixed_version() != Some(version) {
            self.signer = Signer::new(config.clone().with_version(version));
        }
        self
    }

    /// Signs the requests.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// When requests are retried, and how long they may take.
    #[must_use]
    pub fn retry(&self) -> &RetryPolicy {
        &self.retry
    }

    /// The API version spoken.
    #[must_use]
    pub fn version(&self) -> ApiVersion {
        self.signer.config().version()
    }

    /// Remembers what a response says about the rate limit.
    pub(crate) fn observe(&self, now: Moment, limit: Option<&RateLimit>) {
        if let Some(left) = limit.and_then(|limit| limit.reset) {
            *lock(&self.window_end) = now.instant.checked_add(left);
        }
    }

    /// The time until the window of the rate limit ends, if a response said so and it is not over.
    pub(crate) fn window_left(&self, now: Moment) -> Option<Duration> {
        let end = (*lock(&self.window_end))?;
        Some(end.saturating_duration_since(now.instant)).filter(|left| !left.is_zero())
    }
}

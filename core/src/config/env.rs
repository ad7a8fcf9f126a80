//! The names of environment variables.

/// The names of the variables that hold the settings of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnvNames {
    /// The gateway's URL.
    pub endpoint: &'static str,
    /// The access key, which names the user.
    pub access_key: &'static str,
    /// The secret key, with which requests are signed.
    pub secret_key: &'static str,
}

impl EnvNames {
    /// `SORNA_ENDPOINT`, `SORNA_ACCESS_KEY` and `SORNA_SECRET_KEY`.
    pub const SORNA: Self = Self::new("SORNA_ENDPOINT", "SORNA_ACCESS_KEY", "SORNA_SECRET_KEY");

    /// Custom names.
    #[must_use]
    pub const fn new(
        endpoint: &'static str,
        access_key: &'static str,
        secret_key: &'static str,
    ) -> Self {
        Self {
            endpoint,
            access_key,
            secret_key,
        }
    }
}

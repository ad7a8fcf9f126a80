//! Which API is spoken with a gateway.

use std::fmt;

use clap::ValueEnum;

/// The API to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Api {
    /// Sorna v2, of 2017.
    Sorna,
    /// Backend.AI, in the highest version that both sides speak.
    BackendAi,
    /// Backend.AI if the gateway speaks it, else Sorna v2.
    Auto,
}

impl Api {
    /// Its name in settings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sorna => "sorna",
            Self::BackendAi => "backend-ai",
            Self::Auto => "auto",
        }
    }

    /// The API of this name.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        let known = [Self::Sorna, Self::BackendAi, Self::Auto];
        known.into_iter().find(|api| api.name() == name)
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

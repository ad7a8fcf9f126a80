//! What the users of each dialect call things.

use std::fmt::Display;

use sorna::{Dialect, KernelId};

/// The words for a kernel and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// In the middle of a sentence.
    pub(crate) kernel: &'static str,
    /// At the beginning of one.
    pub(crate) capital: &'static str,
    /// The client's own name for it.
    pub(crate) token: &'static str,
}

impl Terms {
    pub(crate) const KERNEL: Self = Self {
        kernel: "kernel",
        capital: "Kernel",
        token: "Client session token",
    };
    pub(crate) const SESSION: Self = Self {
        kernel: "session",
        capital: "Session",
        token: "Session name",
    };

    pub(crate) fn of(dialect: Dialect) -> Self {
        match dialect {
            Dialect::SornaV2 => Self::KERNEL,
            _ => Self::SESSION,
        }
    }

    /// That it is ready; and new, if that is worth saying: what was in one of this name before is gone.
    pub(crate) fn ready(self, id: &KernelId, is_new: bool) -> String {
        let new = if is_new { ", and new" } else { "" };
        format!("{} (ID: {id}) is ready{new}.", self.capital)
    }

    /// For one that is new under a token that has kernels of other languages already.
    pub(crate) fn beside_others(self, languages: &[String]) -> Option<String> {
        let languages = languages.join(", ");
        (!languages.is_empty()).then(|| {
            format!(
                "This token has another {} already, of {languages}: each language has its own, with variables and files of its own. Other commands need its ID.",
                self.kernel
            )
        })
    }

    /// For a creation that failed, or got no response that can be read; with the name that was to be its, if that is
    /// known.
    pub(crate) fn may_be_left(self, token: Option<&dyn Display>) -> String {
        match (self, token) {
            (Self::SESSION, Some(name)) => format!(
                "Session {name} may have been created anyway: `sorna ps` lists it if it was, and `sorna destroy {name}` ends it."
            ),
            (Self::SESSION, None) => "A session may have been created anyway: `sorna ps` lists it if it was, and `sorna destroy` ends it.".to_owned(),
            _ => "The gateway may have created a kernel anyway; it ends when the gateway's idle timeout has passed.".to_owned(),
        }
    }

    /// For a kernel that is to be kept, if the command ends before it runs.
    pub(crate) fn may_start(self, token: &dyn Display) -> String {
        match self {
            Self::SESSION => format!(
                "Session {token} is kept, and may still start. `sorna info {token}` shows its status, and `sorna destroy {token}` ends it."
            ),
            _ => self.may_be_left(Some(token)),
        }
    }

    /// For one that was made to be kept, if the command ends before it runs anything in it, since the directory is missing
    /// that it was given, or for another reason.
    pub(crate) fn stays(self, id: &KernelId, wants_directory: bool) -> String {
        let kernel = self.kernel;
        let upload = match wants_directory {
            true => "put the directory into it with `sorna upload`, or ",
            false => "",
        };
        format!("The {kernel} is new and stays: {upload}end it with `sorna destroy {id}`.")
    }

    /// For one that could not be destroyed.
    pub(crate) fn is_left(self, id: &str) -> String {
        match self {
            Self::SESSION => format!("End it with `sorna destroy {id}`."),
            _ => "It ends when the gateway's idle timeout has passed.".to_owned(),
        }
    }

    /// The same of one whose access key is refused, so that this can be tried only with a valid one.
    pub(crate) fn is_left_for_its_key(self, id: &str) -> String {
        match self {
            Self::SESSION => format!(
                "The access key is refused. If it was revoked, gateways of `sorna serve` destroy the session as well; otherwise end it with `sorna destroy {id}` once the key is accepted."
            ),
            _ => "The access key is refused. If it was revoked, gateways of `sorna serve` destroy the kernel as well; otherwise it ends when the gateway's idle timeout has passed.".to_owned(),
        }
    }
}

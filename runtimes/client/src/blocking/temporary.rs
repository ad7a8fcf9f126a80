//! A kernel that does not outlive its guard.

use std::ops::Deref;

use sorna_core::machine::SessionPending;
use sorna_core::{Error, KernelSpec, SessionToken};

use super::Kernel;
use super::client::Client;
use super::transport::UreqTransport;
use super::wait::wait;

/// A guard: the kernel is destroyed when this is dropped. It can do everything that a [`Kernel`] can.
///
/// ```no_run
/// use sorna::blocking::Client;
///
/// let client = Client::from_env()?;
/// let kernel = client.temporary("python3")?;
/// let result = kernel.run("print('hello world')");
/// kernel.close()?;
/// print!("{}", result?.stdout());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`close`](Self::close) destroys the kernel, retries where that may help, and reports the
/// outcome. Dropping the guard, however the function is left (even by a panic), does the same for
/// at most 5 s, without a report. No guard can help if the process is killed or the connection
/// stays broken: then the kernel lives until the gateway's idle timeout.
#[must_use = "the kernel is destroyed when this is dropped"]
#[derive(Debug)]
pub struct TemporaryKernel {
    kernel: Kernel,
    guard: crate::TemporaryKernel<UreqTransport>,
}

impl Client {
    /// Creates a kernel that is destroyed when its guard is dropped: of a language (`"python3"`), or of a
    /// [`KernelSpec`] with limits and mounts.
    ///
    /// # Errors
    ///
    /// As those of [`create`](Self::create).
    pub fn temporary(&self, spec: impl Into<KernelSpec>) -> Result<TemporaryKernel, Error> {
        wait(self.0.temporary(spec)).map(TemporaryKernel::new)
    }

    /// As [`temporary`](Self::temporary), reporting why a session of Backend.AI does not run yet, whenever that changes.
    ///
    /// # Errors
    ///
    /// As those of [`create`](Self::create).
    pub fn temporary_with(
        &self,
        spec: impl Into<KernelSpec>,
        pending: impl FnMut(SessionPending),
    ) -> Result<TemporaryKernel, Error> {
        wait(self.0.temporary_with(spec, pending)).map(TemporaryKernel::new)
    }
}

impl TemporaryKernel {
    pub(super) fn new(guard: crate::TemporaryKernel<UreqTransport>) -> Self {
        let kernel = Kernel((*guard).clone());
        Self { kernel, guard }
    }

    /// The kernel's random session token. While the kernel lives,
    /// [`Client::get_or_create`](super::Client::get_or_create) finds it by this token.
    #[must_use]
    pub fn token(&self) -> &SessionToken {
        self.guard.token()
    }

    /// Destroys the kernel. If it is gone already, that is a success.
    ///
    /// # Errors
    ///
    /// It could not be destroyed, and lives until the gateway's idle timeout; see [`Error`].
    pub fn close(self) -> Result<(), Error> {
        wait(self.guard.close())
    }

    /// Keeps the kernel: it will not be destroyed.
    #[must_use]
    pub fn keep(self) -> Kernel {
        Kernel(self.guard.keep())
    }
}

impl Deref for TemporaryKernel {
    type Target = Kernel;

    fn deref(&self) -> &Kernel {
        &self.kernel
    }
}

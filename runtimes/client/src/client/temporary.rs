//! A kernel that does not outlive its guard.

use std::fmt;
use std::ops::Deref;

use sorna_core::machine::{Cleanup, Ending, RunEvent, RunPlan, SessionPending};
use sorna_core::{Error, ExecuteMode, KernelSpec, SessionToken};

use super::handle::Client;
use super::{Kernel, Run};
use crate::net::Transport;
use crate::random_token;

/// A guard: the kernel is destroyed when this is dropped. It can do everything that a [`Kernel`] can.
///
/// ```no_run
/// # use sorna::net::Transport;
/// # async fn example<T: Transport + 'static>(client: sorna::Client<T>) -> Result<(), Box<dyn std::error::Error>> {
///
/// let kernel = client.temporary("python3").await?;
/// let result = kernel.run("print('hello world')").await;
/// kernel.close().await?;
/// print!("{}", result?.stdout());
/// # Ok(())
/// # }
/// ```
///
/// [`close`](Self::close) destroys the kernel, retries where that may help, and reports the
/// outcome. Dropping the guard, however the function is left, does the same in the background, on
/// the runtime that the [`Transport`] names, without a report. Runtimes end with `main`, and their
/// background work ends with them: before that, wait with [`Client::settled`]. No guard can help if
/// the process is killed, the runtime is gone or the connection stays broken: then the kernel lives
/// until the gateway's idle timeout.
#[must_use = "the kernel is destroyed when this is dropped"]
pub struct TemporaryKernel<T: Transport + 'static> {
    kernel: Kernel<T>,
    token: SessionToken,
    /// A run without executions, stopped before its last step.
    run: Run<T>,
}

impl<T: Transport + 'static> Client<T> {
    /// Creates a kernel that is destroyed when its guard is dropped: of a language (`"python3"`), or of a
    /// [`KernelSpec`] with limits and mounts.
    ///
    /// Dropping the future in the middle is safe, too: a kernel that is just being created is
    /// destroyed in the background once it exists.
    ///
    /// # Errors
    ///
    /// As those of [`create`](Self::create).
    pub async fn temporary(
        &self,
        spec: impl Into<KernelSpec>,
    ) -> Result<TemporaryKernel<T>, Error> {
        self.temporary_with(spec, |_| ()).await
    }

    /// As [`temporary`](Self::temporary), reporting why a session of Backend.AI does not run yet, whenever that changes.
    ///
    /// # Errors
    ///
    /// As those of [`create`](Self::create).
    pub async fn temporary_with(
        &self,
        spec: impl Into<KernelSpec>,
        mut pending: impl FnMut(SessionPending),
    ) -> Result<TemporaryKernel<T>, Error> {
        let token = random_token();
        let spec = spec.into();
        let limits = *spec.limits();
        let plan = RunPlan::temporary(spec, Vec::<ExecuteMode>::new()).with_token(token.clone());
        let mut run = self.run(plan);
        while let Ok(Some(event)) = run.next_event().await {
            match event {
                RunEvent::SessionPending(event) => pending(event),
                RunEvent::KernelReady(id) => {
                    let (carries_bytes, echoes) = (run.carries_bytes(), run.echoes());
                    let kernel = self.kernel(id).temporary().limited(limits);
                    let kernel = kernel.with_bytes(carries_bytes);
                    let kernel = kernel.that_echoes(echoes == Some(true));
                    return Ok(TemporaryKernel { kernel, token, run });
                }
                _ => {}
            }
        }
        match run.into_report().map(|report| report.ending) {
            Some(Ending::Failed(error)) => Err(error),
            _ => unreachable!("a run that is not cancelled creates its kernel or fails"),
        }
    }
}

impl<T: Transport + 'static> TemporaryKernel<T> {
    /// The kernel's random session token. While the kernel lives, [`Client::get_or_create`] finds
    /// it by this token.
    #[must_use]
    pub fn token(&self) -> &SessionToken {
        &self.token
    }

    /// Destroys the kernel. If it is gone already, that is a success.
    ///
    /// # Errors
    ///
    /// It could not be destroyed, and lives until the gateway's idle timeout; see [`Error`].
    pub async fn close(mut self) -> Result<(), Error> {
        while let Ok(Some(_)) = self.run.next_event().await {}
        match self.run.into_report().map(|report| report.cleanup) {
            Some(Cleanup::Failed(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Keeps the kernel: it will not be destroyed.
    #[must_use]
    pub fn keep(self) -> Kernel<T> {
        self.run.forget();
        self.kernel.kept()
    }
}

impl<T: Transport + 'static> Deref for TemporaryKernel<T> {
    type Target = Kernel<T>;

    fn deref(&self) -> &Kernel<T> {
        &self.kernel
    }
}

impl<T: Transport + 'static> fmt::Debug for TemporaryKernel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TemporaryKernel")
            .field(self.kernel.id())
            .finish()
    }
}

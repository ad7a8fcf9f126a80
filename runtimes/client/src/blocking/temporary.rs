//! A kernel that does not outlive its guard.

use std::fmt;
use std::ops::Deref;

use sorna_core::machine::{Cleanup, Ending, RunEvent, RunPlan};
use sorna_core::{CreateKernel, Error};

use super::{Client, Kernel, Run};

/// A kernel that is destroyed when its guard goes. It can do what a [`Kernel`] can.
///
/// ```no_run
/// use sorna::blocking::Client;
/// use sorna::core::CreateKernel;
/// use sorna::random_token;
///
/// let client = Client::from_env()?;
/// let kernel = client.temporary(CreateKernel::new("python3", random_token()))?;
/// let result = kernel.execute("print('hello world')").finish()?;
/// print!("{}", result.console.stdout());
/// kernel.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`close`](Self::close) destroys it, tries again where that may help, and reports. Dropping the
/// guard, on whichever way out of a function (a panic, too), does the same for at most 5 s, and
/// nobody hears how it went. What no guard can promise: a process that is killed and a connection
/// that stays broken leave the kernel to the gateway's idle timeout.
#[must_use = "the kernel is destroyed when this is dropped"]
pub struct TemporaryKernel {
    kernel: Kernel,
    /// A run without executions, which stands before its last step.
    run: Run,
}

impl Client {
    /// Creates a kernel that is destroyed when its guard goes. Give it a token of its own: a living
    /// kernel with this token would be taken, and destroyed.
    ///
    /// # Errors
    ///
    /// As those of [`create`](Self::create). If [`Error::may_have_acted`] is true the kernel may
    /// exist all the same.
    pub fn temporary(&self, create: CreateKernel) -> Result<TemporaryKernel, Error> {
        let mut run = self.run(RunPlan::temporary(create, Vec::new()));
        while let Ok(Some(event)) = run.next_event() {
            if let RunEvent::KernelReady(id) = event {
                let kernel = self.kernel(id);
                return Ok(TemporaryKernel { kernel, run });
            }
        }
        match run.into_report().map(|report| report.ending) {
            Some(Ending::Failed(error)) => Err(error),
            _ => unreachable!("a run that nobody cancels makes its kernel or fails"),
        }
    }
}

impl TemporaryKernel {
    /// Destroys the kernel. One that is gone already is as good.
    ///
    /// # Errors
    ///
    /// It could not be destroyed, and lives until the gateway's idle timeout; see [`Error`].
    pub fn close(mut self) -> Result<(), Error> {
        while let Ok(Some(_)) = self.run.next_event() {}
        match self.run.into_report().map(|report| report.cleanup) {
            Some(Cleanup::Failed(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Keeps the kernel: from now on it goes on living.
    #[must_use]
    pub fn keep(self) -> Kernel {
        self.run.forget();
        self.kernel
    }
}

impl Deref for TemporaryKernel {
    type Target = Kernel;

    fn deref(&self) -> &Kernel {
        &self.kernel
    }
}

impl fmt::Debug for TemporaryKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TemporaryKernel")
            .field(self.kernel.id())
            .finish()
    }
}

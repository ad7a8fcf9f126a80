//! What kernels have printed, as it grows.

use sorna_core::{Console, Error};

use super::transport::UreqTransport;
use super::wait::wait;

/// What a kernel has printed, and what it prints, until it ends: see [`Kernel::follow_logs`](super::Kernel::follow_logs). An
/// iterator of its parts, the first of which is what is there.
///
/// ```no_run
/// # fn example(kernel: sorna::blocking::Kernel) -> Result<(), sorna::Error> {
/// for part in kernel.follow_logs() {
///     print!("{}", part?.stdout());
/// }
/// # Ok(())
/// # }
/// ```
///
/// It is a copy, which takes nothing from the clients of the kernel's executions. Gateways of `sorna serve` send what is printed as
/// it comes, by stream. Managers of Backend.AI have only a text of all, for which they are asked every second; it is standard
/// output here.
#[derive(Debug)]
pub struct LogStream(pub(super) crate::LogStream<UreqTransport>);

impl LogStream {
    /// Waits until more was printed; `None` once the kernel has ended. The first part is what is there, even if that is
    /// nothing.
    ///
    /// # Errors
    ///
    /// As [`Kernel::logs`](super::Kernel::logs). It may be called again, and continues then.
    pub fn next_part(&mut self) -> Result<Option<Console>, Error> {
        wait(self.0.next_part())
    }

    /// How many bytes were gone before they could be received, up to now: gateways keep only the last ones. Managers do not
    /// tell: what they drop is not counted.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost()
    }

    /// Why the kernel has ended, as the gateway tells people: `the kernel was destroyed by a request`. Gateways of `sorna serve` say
    /// that with the last part.
    #[must_use]
    pub fn end_reason(&self) -> Option<&str> {
        self.0.end_reason()
    }
}

impl Iterator for LogStream {
    type Item = Result<Console, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_part().transpose()
    }
}

//! What the kernels of a key may have in sum.
//!
//! The limits of kernels are summed up, not what they use: so no kernel suffers from what others of its key do, and a key
//! never uses more than it may, however fast.

use sorna_core::ProblemKind;
use sorna_core::server::ProblemReply;

use crate::config::GatewayConfig;
use crate::kernel::size;

/// The most that the kernels of a key may have in sum. `None` means as much as there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    kernels: usize,
    /// In bytes.
    pub(crate) memory: Option<u64>,
    pub(super) processes: Option<u64>,
    /// In bytes.
    pub(super) disk: Option<u64>,
}

/// The limits of one kernel, as they count against a share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Portion {
    pub(super) memory: u64,
    pub(super) processes: u64,
    pub(super) disk: u64,
}

/// What a key has, including kernels that are being created or destroyed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Owned {
    pub(super) kernels: usize,
    sum: Portion,
}

impl Share {
    pub(super) fn new(config: &GatewayConfig) -> Self {
        Self {
            kernels: config.max_kernels_per_key(),
            memory: config.max_memory_per_key(),
            processes: config.max_processes_per_key(),
            disk: config.max_disk_per_key(),
        }
    }

    pub(crate) fn kernels(&self) -> usize {
        self.kernels
    }
}

impl Owned {
    /// Adds a kernel.
    ///
    /// # Errors
    ///
    /// 412 `quota-exceeded` if the key would have more than its share.
    pub(super) fn add(&mut self, portion: Portion, share: &Share) -> Result<(), ProblemReply> {
        if self.kernels >= share.kernels {
            let kernels = match share.kernels {
                1 => "1 kernel".to_owned(),
                count => format!("{count} kernels"),
            };
            let detail = format!("a key may have {kernels} at a time; destroy one");
            return Err(ProblemKind::QuotaExceeded.reply_with(&detail));
        }
        self.check(portion, share)?;
        self.kernels += 1;
        self.sum = self.sum.plus(portion);
        Ok(())
    }

    pub(super) fn remove(&mut self, portion: Portion) {
        self.kernels = self.kernels.saturating_sub(1);
        self.sum = Portion {
            memory: self.sum.memory.saturating_sub(portion.memory),
            processes: self.sum.processes.saturating_sub(portion.processes),
            disk: self.sum.disk.saturating_sub(portion.disk),
        };
    }

    /// Whether there is room for so much more.
    fn check(&self, portion: Portion, share: &Share) -> Result<(), ProblemReply> {
        let (sum, wanted) = (&self.sum, &portion);
        let number = |processes: u64| format!("{processes} processes");
        let exceeded = [
            (
                sum.memory,
                wanted.memory,
                share.memory,
                "memory",
                &size as &dyn Fn(u64) -> String,
            ),
            (
                sum.processes,
                wanted.processes,
                share.processes,
                "processes",
                &number,
            ),
            (sum.disk, wanted.disk, share.disk, "disk", &size),
        ]
        .into_iter()
        .find(|(sum, wanted, most, ..)| {
            most.is_some_and(|most| sum.saturating_add(*wanted) > most)
        });
        let Some((sum, wanted, most, what, text)) = exceeded else {
            return Ok(());
        };
        let (most, sum, wanted) = (text(most.unwrap_or_default()), text(sum), text(wanted));
        let less = if what == "memory" {
            ", or ask for less"
        } else {
            ""
        };
        let detail = format!(
            "the limits on {what} of all kernels of a key may come to {most}: they come to {sum}, and this one would add \
             {wanted}; destroy a kernel{less}"
        );
        Err(ProblemKind::QuotaExceeded.reply_with(&detail))
    }
}

impl Portion {
    fn plus(self, other: Self) -> Self {
        Self {
            memory: self.memory.saturating_add(other.memory),
            processes: self.processes.saturating_add(other.processes),
            disk: self.disk.saturating_add(other.disk),
        }
    }
}

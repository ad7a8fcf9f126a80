//! How long a kernel may be idle, which its client may say.

use std::sync::Arc;
use std::time::Duration;

use sorna_core::server::{KeepAliveRequest, ProblemReply};
use sorna_core::{KernelInfo, ProblemKind};

use super::ended::span;
use super::table::{Entry, Kernels};

impl Kernels {
    /// How long this kernel may be idle.
    pub(super) fn idle_timeout_of(&self, entry: &Entry) -> Duration {
        entry.kernel.idle_timeout().unwrap_or(self.idle_timeout)
    }

    /// The shortest time for which one of the kernels may be idle.
    pub(super) fn shortest_idle_timeout(&self) -> Duration {
        let table = self.table();
        let own = table
            .kernels
            .values()
            .filter_map(|it| it.kernel.idle_timeout());
        own.chain([self.idle_timeout])
            .min()
            .unwrap_or(self.idle_timeout)
    }

    /// Keeps a kernel, and returns for how long it may be idle from now on.
    ///
    /// # Errors
    ///
    /// 400 `invalid-api-params` if that is more than is allowed.
    pub(crate) fn keep_alive(
        &self,
        entry: &Arc<Entry>,
        request: KeepAliveRequest,
    ) -> Result<Duration, ProblemReply> {
        let most = self.max_idle_timeout;
        if let Some(time) = request.idle_timeout {
            if time > most {
                let detail = format!(
                    "the gateway allows an idle timeout of at most {}, and {} were asked for",
                    span(most),
                    span(time)
                );
                return Err(ProblemKind::InvalidApiParams.reply_with(&detail));
            }
            entry.kernel.set_idle_timeout(time);
            self.idle_changed.notify_one();
        }
        entry.kernel.touch();
        Ok(self.idle_timeout_of(entry))
    }

    /// Information about a kernel.
    pub(crate) fn info(&self, entry: &Entry) -> KernelInfo {
        let info = entry.kernel.info(&entry.lang, self.idle_timeout_of(entry));
        match entry.asked_memory.filter(|bytes| *bytes > 0) {
            Some(bytes) => info.with_extra("memoryAsked", bytes.div_ceil(1024)),
            None => info,
        }
    }
}

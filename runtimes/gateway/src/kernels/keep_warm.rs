//! Keeping kernels in stock.
//!
//! Most of the time of a short execution goes into the start of its interpreter. So kernels of some languages are started
//! before anybody asks for them, just as they are created for a client that asks for nothing special. One that is taken gets
//! its owner and its limit of time then.

use std::sync::Arc;
use std::time::Duration;

use super::create::Wanted;
use super::table::Kernels;
use super::warm::Need;
use crate::kernel::Kernel;

/// How often to look whether something still runs.
const BUSY: Duration = Duration::from_millis(100);
/// How often to look for kernels that are too old or have ended.
const CHECK: Duration = Duration::from_secs(1);

/// A kernel in stock that is being made or destroyed, until this is dropped.
struct Moving(Arc<Kernels>);

impl Drop for Moving {
    fn drop(&mut self) {
        self.0.warm.settle();
    }
}

impl Kernels {
    /// Keeps kernels in stock, forever.
    pub(crate) async fn keep_warm(self: Arc<Self>) {
        if self.warm.is_off() {
            return std::future::pending().await;
        }
        loop {
            for kernel in self.warm.take_outdated() {
                // Not awaited: one that hangs must not keep others from being made.
                drop(self.destroy_warm(kernel));
            }
            let wait = match self.warm.need() {
                Need::Kernel(_) if self.is_at_work() => Some(BUSY),
                Need::Kernel(language) => {
                    self.make_warm(language).await;
                    continue;
                }
                Need::Nothing(wait) => wait,
            };
            let check = (self.warm.count() > 0).then_some(CHECK);
            match wait.into_iter().chain(check).min() {
                Some(time) => {
                    let _ = tokio::time::timeout(time, self.warm.changed()).await;
                }
                None => self.warm.changed().await,
            }
        }
    }

    /// Destroys all kernels in stock.
    pub(super) async fn destroy_all_warm(self: &Arc<Self>) {
        let kernels = self.warm.empty().into_iter();
        let tasks: Vec<_> = kernels.map(|it| self.destroy_warm(it)).collect();
        for task in tasks {
            let _ = task.await;
        }
    }

    /// Destroys one that was taken for that.
    fn destroy_warm(self: &Arc<Self>, kernel: Kernel) -> tokio::task::JoinHandle<()> {
        let moving = Moving(Arc::clone(self));
        tokio::spawn(async move {
            kernel.destroy().await;
            drop(moving);
        })
    }

    /// Makes one, unless that fails.
    async fn make_warm(self: &Arc<Self>, language: String) {
        self.warm.begin();
        let moving = Moving(Arc::clone(self));
        // In a separate task, so that a gateway that ends does not leave half a kernel.
        let task = tokio::spawn(async move {
            let this = &moving.0;
            let wanted = Wanted {
                language,
                ..Wanted::default()
            };
            let language = &wanted.language;
            match this.start(&wanted).await {
                Ok(kernel) => {
                    if let Some(kernel) = this.warm.put(language, kernel, &this.closing) {
                        kernel.destroy().await;
                    }
                }
                Err(problem) => {
                    tracing::debug!(language, %problem, "no kernel could be put in stock");
                    this.warm.note_failure(language);
                }
            }
        });
        let _ = task.await;
    }

    /// Whether a kernel runs something, is being created or is being destroyed.
    fn is_at_work(&self) -> bool {
        let table = self.table();
        let owned: usize = table.owned.values().map(|it| it.kernels).sum();
        owned != table.kernels.len() || table.kernels.values().any(|it| it.kernel.is_running())
    }
}

//! An open prompt counts as in use, as an open terminal does: its kernel is kept where the gateway can do that.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use sorna::blocking::Client;
use sorna::{BuildError, Error, KernelId};

use crate::threads::start;

/// The least and the most time between two requests. Others may shorten the idle timeout meanwhile.
const LEAST: Duration = Duration::from_millis(200);
const MOST: Duration = Duration::from_secs(300);
/// The time until the next request after failures, while nothing is known of the idle timeout.
const UNKNOWN: Duration = Duration::from_secs(5);

/// Begins the idle time of a kernel anew, long before it is over, until this is dropped. A request may be in flight then, which
/// no one waits for.
#[derive(Debug)]
pub(super) struct Keeper(Sender<KernelId>);

impl Keeper {
    /// Keeps this kernel. Those that replace it get the idle timeout that was asked for.
    pub(super) fn start(client: Client, kernel: KernelId, asked: Option<Duration>) -> Self {
        let (change, changed) = mpsc::channel();
        // Without a thread, it is as on a gateway that does not offer it.
        let _ = start("keep-alive", move || keep(&client, kernel, asked, &changed));
        Self(change)
    }

    /// From now on, this kernel is kept.
    pub(super) fn set_kernel(&self, kernel: KernelId) {
        // The thread has ended if there is nothing that it could do.
        let _ = self.0.send(kernel);
    }
}

/// Returns when the prompt is closed, or if the gateway does not offer it. Failures are silent: what is typed next shows them.
fn keep(
    client: &Client,
    mut kernel: KernelId,
    asked: Option<Duration>,
    changed: &Receiver<KernelId>,
) {
    let (mut pause, mut new_timeout) = (UNKNOWN, None);
    loop {
        let kept = client.kernel(kernel.clone()).keep_alive(new_timeout.take());
        let next = match kept {
            Ok(timeout) => {
                pause = (timeout / 3).clamp(LEAST, MOST);
                changed.recv_timeout(pause)
            }
            Err(Error::Build(BuildError::NotOffered { .. })) => return,
            // There is nothing to keep until there is another one.
            Err(error) if error.is_not_found() => {
                changed.recv().map_err(|_| RecvTimeoutError::Disconnected)
            }
            Err(_) => changed.recv_timeout(pause),
        };
        match next {
            Ok(other) => (kernel, new_timeout) = (other, asked),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

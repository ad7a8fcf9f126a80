//! The kernels that clients have started.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use sorna::KernelSpec;
use sorna::tokio::{Client, Kernel};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::{oneshot, watch};

use super::frames::Incoming;
use super::hub::Hub;
use super::reply::Problem;
use crate::engine::{
    Arrivals, Completeness, Engine, Link, NoKernel, Published, Replies, Restarted,
};
use crate::lock::lock;
use crate::message::{Channel, Message, Request};

/// How often to look whether a kernel is still there, whose clients are to be told.
const LOOK: Duration = Duration::from_secs(10);
/// How long that may take.
const LOOKED: Duration = Duration::from_secs(5);

/// How long to wait until clients were told of a restart.
const TOLD: Duration = Duration::from_secs(5);

/// A kernel.
pub(super) struct Entry {
    pub(super) id: String,
    /// Of its kernelspec.
    pub(super) name: String,
    pub(super) hub: Hub,
    arrivals: Arrivals,
    restarts: UnboundedSender<Restarted>,
    current: watch::Receiver<Option<Kernel>>,
    stop: watch::Sender<bool>,
    ended: watch::Receiver<bool>,
}

/// What became of a message of a client.
pub(super) enum Taken {
    Passed,
    /// For this reason. Nothing follows from it.
    Ignored(&'static str),
    /// Its requests that wait are too many.
    TooMany,
}

/// All of them, in the order in which they were started.
#[derive(Default)]
pub(super) struct Kernels(Mutex<Vec<Arc<Entry>>>);

/// Where replies go: to the client whose session their identities name.
struct ToClient {
    hub: Weak<Entry>,
    published: Published,
    channel: Channel,
}

impl Replies for ToClient {
    async fn send(&mut self, message: Message) -> bool {
        let session = message.identities.first();
        let entry = self.hub.upgrade();
        let is_reached = entry
            .zip(session)
            .is_some_and(|(entry, session)| entry.hub.reaches(session));
        // With all others, so that what follows from a request comes in its order.
        if is_reached {
            self.published.send(message.on(self.channel)).await;
        }
        is_reached
    }
}

/// The response if there is no kernel.
fn no_kernel(reason: NoKernel, what: &str) -> Problem {
    match reason {
        NoKernel::Refused(error) => Problem::of_gateway(&error, what),
        NoKernel::Unopened(failure) => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("{what}: {}", failure.value),
        ),
    }
}

impl Kernels {
    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        lock(&self.0).clone()
    }

    pub(super) fn find(&self, id: &str) -> Result<Arc<Entry>, Problem> {
        let all = lock(&self.0);
        let found = all.iter().find(|it| it.id == id).cloned();
        found.ok_or_else(|| Problem::not_found(format!("Kernel does not exist: {id}")))
    }

    /// Starts a kernel, which is there when this returns.
    pub(super) async fn start(
        self: &Arc<Self>,
        client: Client,
        spec: KernelSpec,
        id: String,
        judge: fn(&str, &str) -> Completeness,
    ) -> Result<Arc<Entry>, Problem> {
        let name = spec.language().to_owned();
        let mut engine = Engine::new(client, spec).with_judge(judge);
        // If the client leaves before, the kernel is destroyed as soon as it is there.
        if let Err(error) = engine.create().await {
            let what = format!("cannot start a kernel of {name}");
            let problem = no_kernel(error, &what);
            tracing::warn!("{}", problem.message());
            return Err(problem);
        }
        let (arrivals, requests) = Arrivals::new();
        let (published, messages) = Published::new();
        let (restarts, to_restart) = unbounded_channel();
        let stop = watch::Sender::new(false);
        let (over, ended) = watch::channel(false);
        let mut stopped = stop.subscribe();
        let mut lost = engine.current();
        let entry = Arc::new_cyclic(|hub| {
            let to_client = |channel| ToClient {
                hub: Weak::clone(hub),
                published: published.clone(),
                channel,
            };
            let link = Link {
                requests,
                shell: to_client(Channel::Shell),
                control: to_client(Channel::Control),
                stdin: to_client(Channel::Stdin),
                iopub: published.clone(),
            };
            let entry = Entry {
                id,
                name,
                hub: Hub::new(engine.in_use()),
                arrivals,
                restarts,
                current: engine.current(),
                stop,
                ended,
            };
            let last = published.clone();
            tokio::spawn(async move {
                let end = async { drop(stopped.wait_for(|it| *it).await) };
                drop(engine.serve(link, Some(to_restart), end).await);
                last.state_alone("dead").await;
            });
            entry
        });
        let (all, mut messages) = (Arc::clone(self), messages);
        let (of, weak) = (Arc::clone(&entry), Arc::downgrade(&entry));
        entry.hub.set_state("idle");
        lock(&self.0).push(Arc::clone(&entry));
        tokio::spawn(async move {
            while let Some(message) = messages.recv().await {
                of.hub.deliver(message).await;
            }
            lock(&all.0).retain(|it| !Arc::ptr_eq(it, &of));
            of.hub.close();
            over.send_replace(true);
            tracing::info!(kernel = of.id, "a kernel of Jupyter has ended");
        });
        // A kernel that is lost while it is used is replaced by the next cell. One that is not used is over.
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    lost = lost.changed() => match lost {
                        Ok(()) => {}
                        Err(_) => return,
                    },
                    () = tokio::time::sleep(LOOK) => {
                        let Some(entry) = weak.upgrade() else {
                            return;
                        };
                        // Its end is not waited for: it comes when this task is over as well, since it could say more.
                        if entry.is_gone().await {
                            entry.stop.send_replace(true);
                            return;
                        }
                        continue;
                    }
                }
                if lost.borrow_and_update().is_none() {
                    published.state_alone("restarting").await;
                }
            }
        });
        Ok(entry)
    }
}

impl Entry {
    /// What clients are told of it.
    pub(super) fn model(&self) -> Value {
        let report = self.hub.report();
        json!({
            "id": self.id,
            "name": self.name,
            "last_activity": format!("{:.6}", report.last_activity),
            "execution_state": report.execution,
            "connections": report.connections,
        })
    }

    /// Takes a message of a client.
    pub(super) fn take(&self, message: &Incoming, session: &str) -> Taken {
        let identities = vec![Bytes::copy_from_slice(session.as_bytes())];
        let Some(request) = Request::read(identities, &message.header, &message.content) else {
            return Taken::Ignored("it has no type, or is no JSON");
        };
        let arrivals = match message.channel {
            Channel::Control => &self.arrivals.control,
            Channel::Stdin if request.kind() != "input_reply" => {
                return Taken::Ignored("only answers are sent on this channel");
            }
            Channel::Stdin if !self.hub.takes_answer() => {
                return Taken::Ignored("no one has asked for it");
            }
            Channel::Stdin => {
                let _ = self.arrivals.stdin.send(request);
                return Taken::Passed;
            }
            Channel::Shell | Channel::Iopub => &self.arrivals.shell,
        };
        let size = message.header.len() + message.content.len();
        let kind = request.kind();
        if !self.hub.request(session, kind, &message.header, size) {
            return Taken::TooMany;
        }
        // If it ends just now, its clients are told.
        let _ = arrivals.send(request);
        Taken::Passed
    }

    /// Interrupts what runs.
    pub(super) fn interrupt(&self) {
        let header = json!({"msg_id": "", "msg_type": "interrupt_request"}).to_string();
        if let Some(request) = Request::read(Vec::new(), &header.into(), b"{}") {
            let _ = self.arrivals.control.send(request);
        }
    }

    /// Restarts it.
    pub(super) async fn restart(&self) -> Result<(), Problem> {
        let (outcome, told) = oneshot::channel();
        let is_over = || Problem::not_found(format!("Kernel does not exist: {}", self.id));
        let mut renewed = self.hub.restarting();
        let _restarting = Restarting(&self.hub);
        self.restarts.send(outcome).map_err(|_| is_over())?;
        match told.await {
            Ok(Ok(())) => {
                // What tells clients of it may still wait for them. After that, the state is the one that they see.
                let _ = tokio::time::timeout(TOLD, renewed.changed()).await;
                Ok(())
            }
            Ok(Err(error)) => Err(no_kernel(error, "cannot restart the kernel")),
            Err(_) => Err(is_over()),
        }
    }

    /// Ends it, and waits until it has.
    pub(super) async fn end(&self) {
        self.stop.send_replace(true);
        let _ = self.ended.clone().wait_for(|it| *it).await;
    }

    /// Looks whether it is still there: ends it if it is not.
    pub(super) async fn look(&self) {
        if self.is_gone().await {
            self.end().await;
        }
    }

    /// Whether the gateway has it no longer. One that runs something finds out by itself.
    async fn is_gone(&self) -> bool {
        let Some(kernel) = self.current.borrow().clone() else {
            return false;
        };
        if self.hub.report().execution == "busy" {
            return false;
        }
        let info = tokio::time::timeout(LOOKED, kernel.info()).await;
        let is_gone = info.is_ok_and(|info| info.is_err_and(|error| error.is_not_found()));
        // It may have been replaced meanwhile.
        let current = self.current.borrow().as_ref().map(|it| it.id().clone());
        is_gone && current.as_ref() == Some(kernel.id())
    }
}

/// Someone waits for a restart.
struct Restarting<'h>(&'h Hub);

impl Drop for Restarting<'_> {
    fn drop(&mut self) {
        self.0.restarted();
    }
}

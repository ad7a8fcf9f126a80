//! The key pairs that a gateway accepts, which may change while it serves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use sorna_core::{AccessKey, Credentials, SecretKey};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::lock::lock;

/// Secret keys by access keys.
pub(crate) type Secrets = HashMap<String, SecretKey>;

/// The key pairs of a gateway that serves. All copies of this change the same ones.
///
/// It is had from [`Gateway::keys`](crate::Gateway::keys) and [`RunningGateway::keys`](crate::RunningGateway::keys).
#[derive(Clone, Debug)]
pub struct GatewayKeys(pub(crate) Arc<Keys>);

/// What [`GatewayKeys::replace`] has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyChanges {
    /// Access keys that were not accepted before.
    pub added: Vec<AccessKey>,
    /// Access keys that are accepted no more. Their kernels end.
    pub revoked: Vec<AccessKey>,
    /// Access keys that have another secret key now. They keep their kernels.
    pub changed: Vec<AccessKey>,
}

/// The key pairs, and a queue of what has to end.
#[derive(Debug)]
pub(crate) struct Keys {
    secrets: Mutex<Arc<Secrets>>,
    withdrawals: UnboundedSender<Withdrawal>,
}

/// A key pair is not accepted any more.
#[derive(Debug)]
pub(crate) struct Withdrawal {
    pub(crate) access_key: String,
    /// Whether the access key has no other secret key, so that its kernels end, too.
    pub(crate) is_revoked: bool,
}

impl Keys {
    pub(crate) fn new(pairs: &[Credentials]) -> (Arc<Self>, UnboundedReceiver<Withdrawal>) {
        let (withdrawals, received) = unbounded_channel();
        let keys = Self {
            secrets: Mutex::new(Arc::new(secrets(pairs.iter().cloned()))),
            withdrawals,
        };
        (Arc::new(keys), received)
    }

    /// The key pairs at this moment.
    pub(crate) fn current(&self) -> Arc<Secrets> {
        Arc::clone(&lock(&self.secrets))
    }

    /// Whether this access key is accepted.
    pub(crate) fn has(&self, access_key: &str) -> bool {
        lock(&self.secrets).contains_key(access_key)
    }
}

impl GatewayKeys {
    /// From now on, the gateway accepts these key pairs, and no others.
    ///
    /// What belongs to access keys that were accepted before and are not among them is ended in the background: their
    /// kernels as by a request to destroy them, so that hooks of their interpreters run, for a second at most; then
    /// their connections and logins. An access key with another secret key keeps its kernels, but not its connections and
    /// logins. Other keys are not affected. Of pairs with the same access key, the last one counts.
    pub fn replace(&self, pairs: impl IntoIterator<Item = Credentials>) -> KeyChanges {
        let new = Arc::new(secrets(pairs));
        // Held until the withdrawals are queued: they are in the order of the changes.
        let mut current = lock(&self.0.secrets);
        let old = std::mem::replace(&mut *current, Arc::clone(&new));
        let mut changes = KeyChanges::default();
        for (access_key, secret) in &*old {
            let is_revoked = match new.get(access_key) {
                Some(same) if same.is(secret.expose()) => continue,
                other => other.is_none(),
            };
            let list = match is_revoked {
                true => &mut changes.revoked,
                false => &mut changes.changed,
            };
            list.extend(AccessKey::new(access_key.as_str()));
            let access_key = access_key.clone();
            // Nothing has to end if the gateway has ended.
            let _ = self.0.withdrawals.send(Withdrawal {
                access_key,
                is_revoked,
            });
        }
        let added = new.keys().filter(|key| !old.contains_key(*key));
        let added = added.flat_map(|key| AccessKey::new(key.as_str()));
        changes.added.extend(added);
        for list in [
            &mut changes.added,
            &mut changes.revoked,
            &mut changes.changed,
        ] {
            list.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        }
        changes
    }
}

fn secrets(pairs: impl IntoIterator<Item = Credentials>) -> Secrets {
    let pairs = pairs.into_iter().map(|pair| {
        let access_key = pair.access_key().as_str().to_owned();
        (access_key, pair.secret_key().clone())
    });
    pairs.collect()
}

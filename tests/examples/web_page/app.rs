//! What all requests and runs share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sorna::tokio::Client;
use tokio::sync::{Semaphore, mpsc, watch};

/// How many programs may run at the same time.
const RUNS: usize = 8;

pub(crate) struct App {
    pub(crate) client: Client,
    /// The origin of the page, as browsers send it.
    pub(crate) origin: String,
    pub(crate) places: Arc<Semaphore>,
    /// The senders of input for running programs.
    inputs: Mutex<HashMap<String, mpsc::Sender<String>>>,
    pub(crate) stopping: watch::Sender<bool>,
}

impl App {
    pub(crate) fn new(client: Client, origin: String) -> Self {
        Self {
            client,
            origin,
            places: Arc::new(Semaphore::new(RUNS)),
            inputs: Mutex::default(),
            stopping: watch::Sender::new(false),
        }
    }

    pub(crate) fn inputs(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<String>>> {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

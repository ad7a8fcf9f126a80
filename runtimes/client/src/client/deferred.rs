//! Machines that are made when the version is known.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use sorna_core::machine::Machine;
use sorna_core::{Caller, Error};

use super::driver::{Driven, Driver};
use super::handle::Client;
use crate::net::{BoxFuture, Transport};

/// Makes a machine that speaks for this caller.
type Make<M> = Box<dyn FnOnce(Caller) -> M + Send + Sync>;

/// A machine that is made when the version is known, and driven from then on.
pub(super) struct Deferred<T, M> {
    client: Client<T>,
    state: State<T, M>,
}

enum State<T, M> {
    /// The mutex is never locked: it makes this `Sync`.
    Waiting(Mutex<BoxFuture<Result<Caller, Error>>>, Make<M>),
    Driving(Driver<T, M>),
    /// The version could not be found out.
    Failed(Option<Make<M>>),
}

impl<T: Transport + 'static, M: Machine> Deferred<T, M> {
    pub(super) fn new(
        client: &Client<T>,
        make: impl FnOnce(Caller) -> M + Send + Sync + 'static,
    ) -> Self {
        let state = match client.known_caller() {
            Some(caller) => State::Driving(client.drive(make(caller))),
            None => {
                let client = client.clone();
                let caller = async move { client.caller().await };
                State::Waiting(Mutex::new(Box::pin(caller)), Box::new(make))
            }
        };
        let client = client.clone();
        Self { client, state }
    }

    /// Of a machine that is made when the client knows whether its gateway offers this extension: see [`Client::offers`].
    pub(super) fn after_asking(
        client: &Client<T>,
        extension: &'static str,
        make: impl FnOnce(Caller) -> M + Send + Sync + 'static,
    ) -> Self {
        if client.has_extension(extension) {
            return Self::new(client, make);
        }
        let asking = client.clone();
        let caller = async move {
            asking.offers(extension).await?;
            asking.caller().await
        };
        Self {
            client: client.clone(),
            state: State::Waiting(Mutex::new(Box::pin(caller)), Box::new(make)),
        }
    }

    /// As [`Driver::poll`].
    ///
    /// # Errors
    ///
    /// The version could not be found out, so nothing was sent for the machine. From then on it is idle.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Driven<M>, Error>> {
        loop {
            match &mut self.state {
                State::Driving(driver) => return driver.poll(context).map(Ok),
                State::Failed(_) => return Poll::Ready(Ok(Driven::Idle)),
                State::Waiting(caller, _) => {
                    let caller = caller.get_mut().unwrap_or_else(PoisonError::into_inner);
                    let caller = ready!(Pin::new(caller).poll(context));
                    let State::Waiting(_, make) =
                        std::mem::replace(&mut self.state, State::Failed(None))
                    else {
                        unreachable!("it waited for the version");
                    };
                    match caller {
                        Ok(caller) => self.state = State::Driving(self.client.drive(make(caller))),
                        Err(error) => {
                            self.state = State::Failed(Some(make));
                            return Poll::Ready(Err(error));
                        }
                    }
                }
            }
        }
    }

    /// Changes the machine, now or when it is made.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut M) + Send + Sync + 'static)
    where
        M: 'static,
    {
        let make = match &mut self.state {
            State::Driving(driver) => return change(&mut driver.machine),
            State::Waiting(_, make) => make,
            State::Failed(Some(make)) => make,
            State::Failed(None) => return,
        };
        let unchanged: Make<M> = Box::new(|_| unreachable!("it is replaced at once"));
        let unchanged = std::mem::replace(make, unchanged);
        *make = Box::new(move |caller| {
            let mut machine = unchanged(caller);
            change(&mut machine);
            machine
        });
    }

    /// The machine, if it was made.
    pub(super) fn machine(&mut self) -> Option<&mut M> {
        match &mut self.state {
            State::Driving(driver) => Some(&mut driver.machine),
            State::Waiting(..) | State::Failed(_) => None,
        }
    }

    /// The machine, made in any case: for one that ends without a request.
    pub(super) fn machine_without_version(&mut self) -> &mut M {
        let make = match std::mem::replace(&mut self.state, State::Failed(None)) {
            State::Driving(driver) => {
                self.state = State::Driving(driver);
                None
            }
            State::Waiting(_, make) => Some(make),
            State::Failed(make) => make,
        };
        if let Some(make) = make {
            let machine = make(self.client.inner.caller.clone());
            self.state = State::Driving(self.client.drive(machine));
        }
        match &mut self.state {
            State::Driving(driver) => &mut driver.machine,
            _ => unreachable!("only here is what makes the machine taken"),
        }
    }

    /// As [`Driver::wake`].
    pub(super) fn wake(&mut self) {
        if let State::Driving(driver) = &mut self.state {
            driver.wake();
        }
    }
}

impl<T, M: Unpin> Unpin for Deferred<T, M> {}

impl<T, M: fmt::Debug> fmt::Debug for Deferred<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Driving(driver) => driver.fmt(f),
            State::Waiting(..) | State::Failed(_) => f.write_str("Deferred"),
        }
    }
}

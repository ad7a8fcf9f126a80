//! All sessions of a server, and the programs that have run in them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use sorna::tokio::Client;
use sorna::{Dialect, KernelSpec, LanguageInfo, Limits};
use tokio::sync::{OwnedMutexGuard, OwnedRwLockReadGuard};
use tokio::task::JoinSet;

use crate::client_id::ClientId;
use crate::failure::Failure;
use crate::options::Options;
use crate::report::report;
use crate::run::{Run, Task};
use crate::session::Session;

/// The longest name of a session.
const MOST_NAME: usize = 64;
/// How many sessions that have ended because they were not used are remembered.
const MOST_EXPIRED: usize = 64;
/// How many programs are remembered.
const MOST_RUNS: usize = 64;
/// How long sessions have to end at the end of the server.
const FAREWELL: Duration = Duration::from_secs(12);
/// How much longer than this server the gateway lets a program run.
const LATER: Duration = Duration::from_secs(60);
/// What models call languages, besides the names and aliases that gateways have.
const SHORT: &[(&str, &str)] = &[
    ("js", "javascript"),
    ("py", "python"),
    ("rb", "ruby"),
    ("sh", "bash"),
    ("shell", "bash"),
];
/// The language of sessions that are made for files.
const USUAL: &str = "python3";

/// Sessions and programs. Cloning it gives another handle to the same.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    options: Options,
    table: Mutex<Table>,
    languages: tokio::sync::OnceCell<Vec<LanguageInfo>>,
    /// Calls that run code go through this, one after the other, until each has its place in the queue of its session.
    entry: tokio::sync::Mutex<()>,
}

/// A place in the queue of those that are to run in a session.
pub(crate) type Place = Pin<Box<dyn Future<Output = OwnedMutexGuard<()>> + Send>>;

/// A session that has ended without a word to its clients.
#[derive(Debug)]
struct Expired {
    clients: BTreeSet<ClientId>,
    /// Why it has ended, in words.
    reason: &'static str,
    /// The program whose end says so, if that was read.
    told_by: Option<Arc<Run>>,
}

impl Expired {
    fn new(session: &Session, reason: &'static str) -> Self {
        Self {
            clients: session.clients(),
            reason,
            told_by: None,
        }
    }
}

const UNUSED: &str = "as it was not used for long";
const ENDED: &str = "as the gateway has ended it";
const CLOSED: &str = "as another client has closed it";

#[derive(Debug, Default)]
struct Table {
    /// By name. Some may be closed already.
    sessions: BTreeMap<String, Arc<Session>>,
    /// The name of the one that each client has used last.
    last: BTreeMap<ClientId, String>,
    /// The names of those that clients have for languages.
    usual: BTreeMap<(ClientId, String), String>,
    /// Those that have ended without a word to their clients, by name: the next ones say so.
    expired: BTreeMap<String, Expired>,
    runs: VecDeque<Arc<Run>>,
    /// How many programs there were.
    count: u64,
    lives: JoinSet<()>,
    is_closed: bool,
}

impl Table {
    /// Forgets sessions that are closed.
    fn tidy(&mut self) {
        let Self {
            sessions, expired, ..
        } = self;
        sessions.retain(|name, session| {
            let run = session.last_run().filter(|run| run.is_lost());
            if let Some(run) = run {
                let told_by = Some(run);
                let ended = Expired::new(session, ENDED);
                expired.insert(name.clone(), Expired { told_by, ..ended });
            } else if session.has_expired() || (session.is_closed() && session.is_silent()) {
                expired.insert(name.clone(), Expired::new(session, UNUSED));
            }
            !session.is_closed()
        });
        while expired.len() > MOST_EXPIRED {
            expired.pop_first();
        }
        self.last.retain(|_, name| sessions.contains_key(name));
        self.usual.retain(|_, name| sessions.contains_key(name));
        while self.lives.try_join_next().is_some() {}
    }

    /// Whether a session of this client has ended because it was not used.
    fn has_expired(&self, client: &ClientId) -> bool {
        self.expired.values().any(|it| it.clients.contains(client))
    }

    /// The session of this name, which this client uses now.
    fn used(&mut self, name: &str, client: &ClientId) -> Option<Arc<Session>> {
        let session = Arc::clone(self.sessions.get(name)?);
        session.touch_for(client);
        self.last.insert(client.clone(), name.to_owned());
        Some(session)
    }

    /// The name of the session that a client has for a language if it names none: none of another client.
    fn usual(&mut self, language: &str, client: &ClientId) -> String {
        let key = (client.clone(), language.to_owned());
        if let Some(name) = self.usual.get(&key) {
            return name.clone();
        }
        let first = name_of(language);
        let mut name = first.clone();
        let mut number = 1;
        while let Some(session) = self.sessions.get(&name)
            && !(session.is_of(client) && session.language == language)
        {
            number += 1;
            name = format!("{first}-{number}");
        }
        self.usual.insert(key, name.clone());
        name
    }

    /// The names of all sessions, for a client: those of others alone apart.
    fn names(&self, client: &ClientId) -> String {
        let (own, others): (Vec<_>, Vec<_>) =
            self.sessions.values().partition(|it| it.is_of(client));
        let joined = |all: Vec<&Arc<Session>>| {
            let names = all.into_iter().map(|it| it.name.as_str());
            names.collect::<Vec<_>>().join(", ")
        };
        match (own.is_empty(), others.is_empty()) {
            (true, true) => "none".to_owned(),
            (false, true) => joined(own),
            (true, false) => format!("{} (of other clients)", joined(others)),
            (false, false) => format!("{}; of other clients: {}", joined(own), joined(others)),
        }
    }
}

impl Sessions {
    pub(crate) fn new(client: Client, options: Options) -> Self {
        let inner = Inner {
            client,
            options,
            table: Mutex::default(),
            languages: tokio::sync::OnceCell::new(),
            entry: tokio::sync::Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.inner.options
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        let table = &self.inner.table;
        table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All languages of the gateway, also those that are not available.
    pub(crate) async fn languages(&self) -> Result<&[LanguageInfo], sorna::Error> {
        let ask = || self.inner.client.languages();
        let known = self.inner.languages.get_or_try_init(ask).await?;
        Ok(known)
    }

    /// Whether languages are images of a cluster, of which little is known.
    pub(crate) async fn are_images(&self) -> bool {
        let negotiated = self.inner.client.negotiated().await;
        negotiated.is_ok_and(|it| it.dialect() == Dialect::BackendAi)
    }

    /// The name that the gateway has for a language. Fails if it is sure that there is none.
    async fn language(&self, name: &str) -> Result<String, Failure> {
        let known = match self.languages().await {
            Ok(known) => known,
            // Not every gateway lists its languages. The creation of a session says what is wrong.
            Err(error) if error.transport().is_none() && !error.is_auth() => {
                return Ok(name.to_owned());
            }
            Err(error) => return Err(Failure::of("The languages are not known", &error)),
        };
        let of = |name: &str| {
            let is_it = |it: &&LanguageInfo| {
                let mut names = std::iter::once(&it.name).chain(&it.aliases);
                names.any(|known| known.eq_ignore_ascii_case(name))
            };
            known.iter().find(is_it)
        };
        let short = SHORT
            .iter()
            .find(|(short, _)| short.eq_ignore_ascii_case(name));
        let found = of(name).or_else(|| of(short?.1));
        if let Some(language) = found.filter(|it| it.available) {
            return Ok(language.name.clone());
        }
        if self.are_images().await && found.is_none_or(|it| it.missing.is_none()) {
            return Ok(name.to_owned());
        }
        let available = known.iter().filter(|it| it.available);
        let available: Vec<_> = available
            .map(|it| match it.aliases.is_empty() {
                true => it.name.clone(),
                false => format!("{} ({})", it.name, it.aliases.join(", ")),
            })
            .collect();
        let available = available.join(", ");
        Err(Failure::new(
            match found.and_then(|it| it.missing.as_deref()) {
                Some(missing) => format!(
                    "Language `{name}` is not available: {missing}. There are: {available}."
                ),
                None => format!("There is no language `{name}`. There are: {available}."),
            },
        ))
    }

    /// What sessions may take.
    async fn limits(&self) -> Limits {
        let options = &self.inner.options;
        let mut limits = Limits::new();
        if let Some(memory) = options.max_memory {
            limits = limits.with_max_memory(memory);
        }
        // The gateway's own limit may be far less. It ends the interpreter, so that programs are interrupted before.
        let negotiated = self.inner.client.negotiated().await;
        if negotiated.is_ok_and(|it| it.dialect() == Dialect::SornaV2) {
            limits = limits.with_exec_timeout(options.max_time.saturating_add(LATER));
        }
        limits
    }

    /// The session of this name, or the one that a client has for this language, which are made if there is none.
    pub(crate) async fn for_language(
        &self,
        client: &ClientId,
        name: Option<&str>,
        language: &str,
    ) -> Result<Arc<Session>, Failure> {
        let language = self.language(language).await?;
        let name = name.map(checked).transpose()?;
        let limits = self.limits().await;
        let mut table = self.table();
        table.tidy();
        let name = match name {
            Some(name) => name.to_owned(),
            None => table.usual(&language, client),
        };
        if let Some(session) = table.sessions.get(&name)
            && session.language != language
        {
            return Err(Failure::new(format!(
                "Session `{name}` is of language {}, not {language}. Use another name, or leave `session` out.",
                session.language
            )));
        }
        if let Some(session) = table.used(&name, client) {
            return Ok(session);
        }
        if table.is_closed {
            return Err(Failure::new("The server is being stopped."));
        }
        let most = self.inner.options.max_sessions;
        if table.sessions.len() >= most {
            let own = table
                .sessions
                .values()
                .filter(|it| it.is_of(client))
                .count();
            return Err(Failure::new(match own {
                0 => format!(
                    "There are {most} sessions of other clients already, which is the most. Call again later."
                ),
                _ => format!(
                    "There are {most} sessions already, which is the most: {}. Use one of yours, or close_session one of yours that is not needed.",
                    table.names(client)
                ),
            }));
        }
        let spec = KernelSpec::new(language).with_limits(limits);
        let gateway = self.inner.client.clone();
        let idle_timeout = self.inner.options.idle_timeout;
        let (session, life) = Session::open(name.clone(), spec, gateway, idle_timeout);
        let expired = table.expired.remove(&name);
        let is_told = |it: &Expired| it.told_by.as_ref().is_some_and(|run| run.is_told());
        if let Some(expired) = expired.filter(|it| it.clients.contains(client) && !is_told(it)) {
            session.replace(expired.reason);
        }
        table.lives.spawn(life);
        table.sessions.insert(name.clone(), Arc::clone(&session));
        table.used(&name, client);
        Ok(session)
    }

    /// The session of this name, which must be there.
    pub(crate) fn named(&self, client: &ClientId, name: &str) -> Result<Arc<Session>, Failure> {
        let mut table = self.table();
        table.tidy();
        table.used(name, client).ok_or_else(|| {
            Failure::new(format!(
                "There is no session `{name}`; one that is not used ends after a while, with its files. With a language, run_code and write_file make it. Sessions: {}.",
                table.names(client)
            ))
        })
    }

    /// Waits until the gateway answers for the kernel of a session. Not at all, if it has none.
    pub(crate) async fn is_reached(&self, name: &str) {
        let session = self.table().sessions.get(name).cloned();
        if let Some(session) = session
            && let Ok(kernel) = session.kernel(Duration::ZERO).await
            && kernel.info().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }

    /// The session whose files are meant: that of this name, else the one that the client has used last. If there is none and it may
    /// be made, one of the usual language.
    pub(crate) async fn of_files(
        &self,
        client: &ClientId,
        name: Option<&str>,
        is_made: bool,
    ) -> Result<Arc<Session>, Failure> {
        if let Some(name) = name {
            return self.named(client, name);
        }
        let last = {
            let mut table = self.table();
            table.tidy();
            let own = table.sessions.values().find(|it| it.is_of(client));
            let name = table.last.get(client).or(own.map(|it| &it.name));
            let name = name.cloned();
            name.and_then(|name| table.used(&name, client))
        };
        match last {
            Some(session) => Ok(session),
            None if is_made => self.for_language(client, None, USUAL).await,
            None => Err(Failure::new(match self.table().has_expired(client) {
                true => {
                    "All sessions have ended, as they were not used for long, and their files with them: run_code and write_file make a new one."
                }
                false => {
                    "There is no session yet, and so there are no files: run_code and write_file make one."
                }
            })),
        }
    }

    /// The sessions that a client has used, by name, and how many others there are.
    pub(crate) fn of(&self, client: &ClientId) -> (Vec<Arc<Session>>, usize) {
        let mut table = self.table();
        table.tidy();
        let own = table.sessions.values().filter(|it| it.is_of(client));
        let own: Vec<_> = own.cloned().collect();
        let others = table.sessions.len() - own.len();
        (own, others)
    }

    /// Closes the sessions that no one has used but a client that has gone.
    pub(crate) fn forget(&self, client: &ClientId) {
        let mut table = self.table();
        for session in table.sessions.values() {
            if session.leave(client) {
                session.close();
            }
        }
        table.last.remove(client);
        table
            .expired
            .retain(|_, it| !it.clients.remove(client) || !it.clients.is_empty());
        table.usual.retain(|(of, _), _| of != client);
    }

    /// Closes a session for a client. Others who have used it are told when they come back.
    pub(crate) async fn close_for(&self, client: &ClientId, session: &Session) -> bool {
        let mut others = Expired::new(session, CLOSED);
        others.clients.remove(client);
        if !others.clients.is_empty() {
            self.table().expired.insert(session.name.clone(), others);
        }
        session.close();
        // The gateway may not give as much again before.
        session.gone().await
    }

    /// The session to write a file to, and a lock that keeps programs that come later from beginning before it is written.
    pub(crate) async fn for_writing(
        &self,
        client: &ClientId,
        name: Option<&str>,
        language: Option<&str>,
    ) -> Result<(Arc<Session>, OwnedRwLockReadGuard<()>), Failure> {
        let entry = self.inner.entry.lock().await;
        let session = match language {
            Some(language) => self.for_language(client, name, language).await?,
            None => self.of_files(client, name, true).await?,
        };
        let mut writing = Box::pin(Arc::clone(&session.writing).read_owned());
        // As for programs: it has its place once it has been polled.
        let polled = std::future::poll_fn(|cx| Poll::Ready(writing.as_mut().poll(cx))).await;
        drop(entry);
        let writing = match polled {
            Poll::Ready(guard) => guard,
            Poll::Pending => writing.await,
        };
        session.note_files();
        Ok((session, writing))
    }

    /// As [`for_language`](Self::for_language), with a place in its queue: calls have theirs in the order in which they came.
    pub(crate) async fn queue(
        &self,
        client: &ClientId,
        name: Option<&str>,
        language: &str,
    ) -> Result<(Arc<Session>, Place), Failure> {
        let _entry = self.inner.entry.lock().await;
        let session = self.for_language(client, name, language).await?;
        let mut turn: Place = Box::pin(Arc::clone(&session.turn).lock_owned());
        // It is in the queue as soon as it has been polled.
        let polled = std::future::poll_fn(|cx| Poll::Ready(turn.as_mut().poll(cx))).await;
        if let Poll::Ready(guard) = polled {
            turn = Box::pin(std::future::ready(guard));
        }
        Ok((session, turn))
    }

    /// Starts a program, after those that were to run in its session before. Fails if it cannot be started within this time.
    pub(crate) async fn start(
        &self,
        client: &ClientId,
        session: &Arc<Session>,
        turn: Place,
        task: Task,
        patience: Duration,
    ) -> Result<Arc<Run>, Failure> {
        let since = tokio::time::Instant::now();
        let turn = tokio::time::timeout(patience, turn).await;
        let rest = patience.saturating_sub(since.elapsed());
        let kernel = session.kernel(rest).await?;
        if session.is_closed() {
            return Err(Failure::new(format!(
                "Session `{}` has ended before the program began: nothing has run. The next call makes a new one.",
                session.name
            )));
        }
        let Ok(turn) = turn else {
            let busy = match session.running() {
                Some(run) => format!(
                    " with run {}: `wait` for it, `interrupt` it, or use another session",
                    run.id
                ),
                None => ": call again later, or use another session".to_owned(),
            };
            return Err(Failure::new(format!(
                "Session `{}` is busy{busy}.",
                session.name
            )));
        };
        let rest = patience.saturating_sub(since.elapsed());
        // For files that were sent before it. If that takes too long, it begins without them.
        drop(tokio::time::timeout(rest, session.writing.write()).await);
        let id = {
            let mut table = self.table();
            table.count += 1;
            format!("r{}", table.count)
        };
        let most = self.inner.options.max_output;
        let max_output = task.max_output.unwrap_or(most).min(most);
        let (run, orders) = Run::new(id, session.name.clone(), client.clone(), max_output);
        session.begin(&run);
        {
            let mut table = self.table();
            // Those that run are kept.
            let most = table.runs.len().saturating_sub(MOST_RUNS - 1);
            for _ in 0..most {
                // Rather those whose end was told.
                let mut runs = table.runs.iter();
                let at = runs.position(|run| run.is_told());
                let at = at.or_else(|| table.runs.iter().position(|run| !run.is_running()));
                if let Some(at) = at {
                    table.runs.remove(at);
                }
            }
            table.runs.push_back(Arc::clone(&run));
        }
        let (session, running) = (Arc::clone(session), Arc::clone(&run));
        let work = async move {
            let _turn = turn;
            tokio::select! {
                () = running.carry_out(&kernel, task, orders) => {}
                () = session.closed() => {
                    running.fail(Failure::new("The session was closed while the program ran."));
                }
            }
            if running.is_lost() {
                session.close();
            }
            session.touch();
        };
        tokio::spawn(work);
        Ok(run)
    }

    /// The program with this handle, of any client.
    pub(crate) fn run(&self, client: &ClientId, id: &str) -> Result<Arc<Run>, Failure> {
        let mut table = self.table();
        let found = table.runs.iter().find(|run| run.id == id).cloned();
        if let Some(run) = &found {
            // Tools for files mean its session from now on.
            table.used(&run.session, client);
        }
        found.ok_or_else(|| {
            let ids: Vec<_> = table
                .runs
                .iter()
                .rev()
                .filter(|run| run.client == *client)
                .take(10)
                .map(|run| run.id.as_str())
                .collect();
            let known = match ids.is_empty() {
                true => "No program has run yet.".to_owned(),
                false => format!("The last ones are: {}.", ids.join(", ")),
            };
            Failure::new(format!("There is no run `{id}`. {known}"))
        })
    }

    /// Closes all sessions, and waits until their kernels are gone, the first time.
    pub(crate) async fn close(&self) {
        let mut lives = {
            let mut table = self.table();
            if std::mem::replace(&mut table.is_closed, true) {
                return;
            }
            for session in table.sessions.values() {
                session.close();
            }
            table.sessions.clear();
            std::mem::take(&mut table.lives)
        };
        let all = async {
            while lives.join_next().await.is_some() {}
            self.inner.client.settled().await;
        };
        if tokio::time::timeout(FAREWELL, all).await.is_err() {
            report(format_args!("some sessions are still being destroyed"));
        }
    }
}

/// A name that a client has for a session.
fn checked(name: &str) -> Result<&str, Failure> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match !name.is_empty() && name.len() <= MOST_NAME && name.chars().all(is_plain) {
        true => Ok(name),
        false => Err(Failure::new(
            "The name of a session has 1 to 64 letters, digits, `-`, `_` and `.`.",
        )),
    }
}

/// The name of the session for a language, which may be the reference of an image. There is room for a number after it.
fn name_of(language: &str) -> String {
    let last = language.rsplit('/').next().unwrap_or(language);
    let plain = |c: char| match c.is_ascii_alphanumeric() || matches!(c, '_' | '.') {
        true => c,
        false => '-',
    };
    last.chars().take(MOST_NAME - 4).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        assert!(checked("my-session_1.a").is_ok());
        for name in ["", "a b", "é", "../x", &"x".repeat(65)] {
            assert!(checked(name).is_err(), "{name}");
        }
        assert_eq!(
            name_of("cr.example/stable/python:3.9-ubuntu"),
            "python-3.9-ubuntu"
        );
        assert_eq!(name_of("c++"), "c--");
    }
}

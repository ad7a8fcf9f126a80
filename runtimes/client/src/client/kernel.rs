//! A kernel.

use std::collections::HashSet;
use std::fmt;

use sorna_core::machine::{Create, Removal, SessionPending, Upload, UploadProgress};
#[cfg(feature = "terminal")]
use sorna_core::terminal::TerminalOptions;
use sorna_core::{
    BuildError, Complete, CreateKernel, Destroy, Dialect, Error, Execute, ExecuteMode,
    ExecutionResult, Info, Interrupt, KernelId, KernelInfo, KernelSpec, Limits, ProblemKind,
    Restart, RunMark, SessionToken, UploadFile, UploadFiles, UsageError,
};

use super::Execution;
use super::driver::Driven;
use super::execution::Way;
use super::handle::Client;
use crate::net::Transport;
#[cfg(feature = "terminal")]
use crate::net::UpgradeTransport;
#[cfg(feature = "terminal")]
use crate::terminal::{self, Pty};
use crate::{random_boundary, random_token};

/// A kernel on the gateway.
///
/// Dropping it does not destroy it: call [`destroy`](Self::destroy), or use [`Client::temporary`]
/// or [`Client::run`], which do so for you.
///
/// | the original client | here |
/// |---|---|
/// | `Kernel.get_or_create(lang, token)` | [`Client::get_or_create`] |
/// | `kernel.execute(code, mode)` | [`run`](Self::run) and [`execute`](Self::execute), with a [`Batch`](sorna_core::Batch) for `batch` |
/// | `kernel.execute(code, mode='complete')` | [`complete`](Self::complete) |
/// | `kernel.upload(files)` | [`upload`](Self::upload) |
/// | `kernel.get_info()` | [`info`](Self::info) |
/// | `kernel.restart()`, `kernel.destroy()` | [`restart`](Self::restart), [`destroy`](Self::destroy) |
pub struct Kernel<T> {
    client: Client<T>,
    id: KernelId,
    /// Whether it is used again, and must not be blocked.
    is_kept: bool,
    /// Whether its programs outlast their connections though it is not.
    persists: bool,
    /// Whether its gateway carries output that is not UTF-8; `None` if it has not said so for this kernel.
    carries_bytes: Option<bool>,
    /// Whether its gateway sends values of expressions of its language, as far as it has said so, and whether they are wanted.
    echoes: bool,
    wants_echo: bool,
    /// Whether what was printed between executions is to be apart from their output.
    has_earlier_apart: bool,
    /// What was said when it was created, or found by its token.
    created: Option<bool>,
    other_languages: Vec<String>,
    /// The limits that were asked for, of each execution.
    limits: Limits,
}

impl<T: Transport + 'static> Client<T> {
    /// Creates a kernel: of a language (`"python3"`), or of a [`KernelSpec`] with limits and mounts.
    ///
    /// It lives until it is [destroyed](Kernel::destroy), or idle for longer than the gateway
    /// allows. For one that is destroyed automatically, use [`temporary`](Self::temporary).
    ///
    /// In Backend.AI it is a session, and this waits until it runs: for 10 minutes, or as long as the specification
    /// [says](KernelSpec::with_max_wait).
    ///
    /// # Errors
    ///
    /// See [`Error`]; for a language that the gateway does not have, a
    /// [`GatewayError`](sorna_core::GatewayError) whose `is_creation_failed` is true. If
    /// [`Error::may_have_acted`] is true the kernel may exist all the same. [`Error::NotRunning`] names a session that
    /// exists, but does not run in time.
    pub async fn create(&self, spec: impl Into<KernelSpec>) -> Result<Kernel<T>, Error> {
        self.create_with(spec, &random_token(), |_| ()).await
    }

    /// Gets the kernel with this session token and language if it is alive, or creates it.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create). If the kernel was created despite the error, calling this again finds it.
    ///
    /// A living kernel keeps the memory limit and the mounts that it was created with: see [`Kernel::info`]. The time limit of
    /// `spec` counts for what is executed by the result where the gateway has such limits, as that in `sorna-gateway`; others
    /// keep that one, too.
    pub async fn get_or_create(
        &self,
        spec: impl Into<KernelSpec>,
        token: &SessionToken,
    ) -> Result<Kernel<T>, Error> {
        self.create_with(spec, token, |_| ()).await
    }

    /// As [`get_or_create`](Self::get_or_create), reporting why a session of Backend.AI does not run yet, whenever that
    /// changes.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub async fn create_with(
        &self,
        spec: impl Into<KernelSpec>,
        token: &SessionToken,
        mut pending: impl FnMut(SessionPending),
    ) -> Result<Kernel<T>, Error> {
        let spec = spec.into();
        let limits = *spec.limits();
        let create = CreateKernel::new(spec, token.clone());
        let mut create = self.drive(Create::new(create, self.caller().await?));
        loop {
            match create.next().await {
                Driven::Event(event) => pending(event),
                Driven::Done(result) => {
                    let created = result?;
                    let (carries_bytes, echoes) = (created.carries_bytes(), created.echoes());
                    self.note_marks(created.has_marked_executions());
                    self.learn_extensions(created.extensions);
                    let mut kernel = self.kernel(created.id).limited(limits);
                    kernel.created = created.created;
                    kernel.other_languages = created.other_languages;
                    return Ok(kernel.with_bytes(carries_bytes).that_echoes(echoes));
                }
                Driven::Idle => unreachable!("a creation idles only while a request is in flight"),
            }
        }
    }

    /// A kernel that exists already. Sends no request. See [`Kernel::with_bytes`].
    #[must_use]
    pub fn kernel(&self, id: KernelId) -> Kernel<T> {
        Kernel::new(self.clone(), id)
    }
}

impl<T: Transport + 'static> Kernel<T> {
    pub(super) fn new(client: Client<T>, id: KernelId) -> Self {
        let is_kept = true;
        Self {
            client,
            id,
            is_kept,
            persists: false,
            carries_bytes: None,
            echoes: false,
            wants_echo: false,
            has_earlier_apart: false,
            created: None,
            other_languages: Vec::new(),
            limits: Limits::new(),
        }
    }

    /// With limits for each execution, on time and output, where the gateway has such limits.
    pub(super) fn limited(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether its gateway carries output that is not UTF-8, as it is written: see
    /// [`Execute::with_bytes`](sorna_core::Execute::with_bytes). A kernel that was created, or found by its token, knows that
    /// from the gateway. For one that is known by its ID, this is what the gateway has said to the client so far; if it
    /// has said nothing, `false`, except that [`execute_detached`](Self::execute_detached) and [`attach`](Self::attach) ask.
    #[must_use]
    pub fn with_bytes(mut self, carries_bytes: bool) -> Self {
        self.carries_bytes = Some(carries_bytes);
        self
    }

    /// Whether executions of snippets by this one send the [value of their last
    /// expression](sorna_core::Execute::with_echo), where the gateway can do that. A kernel that was created, or found by its
    /// token, knows that from the gateway; one that is known by its ID has none.
    #[must_use]
    pub fn with_echo(mut self, wants_echo: bool) -> Self {
        self.wants_echo = wants_echo;
        self
    }

    /// Whether what was printed since the execution before has ended, as by a thread, is apart from the output of an execution: a
    /// [`Record::Unclaimed`](sorna_core::Record::Unclaimed) at its beginning. For gateways that can do
    /// [that](sorna_core::Execute::BETWEEN); elsewhere, and without this, it is the beginning of its output.
    #[must_use]
    pub fn with_earlier_apart(mut self, is_apart: bool) -> Self {
        self.has_earlier_apart = is_apart;
        self
    }

    /// Whether programs of this one keep running when their connection ends, on gateways that
    /// [recognize](sorna_core::Execute::with_mark) its executions: then these go on as soon as the gateway can be reached again, and
    /// [`attach`](Self::attach) takes over those that have failed. That is so for every kernel but [temporary](Client::temporary) ones,
    /// whose programs are interrupted, unless this says otherwise.
    #[must_use]
    pub fn with_persistence(mut self, persists: bool) -> Self {
        self.persists = persists;
        self
    }

    /// Whether its gateway sends values of expressions of its language, as far as it has said so.
    #[must_use]
    pub fn echoes(&self) -> bool {
        self.echoes
    }

    /// Whether its gateway keeps executions apart, as far as it has said so: see
    /// [`Execute::with_mark`](sorna_core::Execute::with_mark). Only those of this project do.
    #[must_use]
    pub fn has_marked_executions(&self) -> bool {
        self.client.uses_marks()
    }

    pub(super) fn that_echoes(mut self, echoes: bool) -> Self {
        self.echoes = echoes;
        self
    }

    /// Whether it is new, and none that was found by its token. `None` if the gateway did not say, or nothing was asked.
    #[must_use]
    pub fn is_new(&self) -> Option<bool> {
        self.created
    }

    /// The languages of other kernels that were alive with the same token when it was created or found. Empty if the gateway
    /// did not say, like those of 2017.
    #[must_use]
    pub fn other_languages(&self) -> &[String] {
        &self.other_languages
    }

    /// Of a guard that destroys it.
    pub(super) fn temporary(mut self) -> Self {
        self.is_kept = false;
        self
    }

    pub(super) fn kept(mut self) -> Self {
        self.is_kept = true;
        self
    }

    pub(super) fn client(&self) -> &Client<T> {
        &self.client
    }

    /// The ID that the gateway gave it.
    #[must_use]
    pub fn id(&self) -> &KernelId {
        &self.id
    }

    /// An execution of a snippet (`&str`, `String`) or of the files in the work directory
    /// ([`Batch`](sorna_core::Batch)). It starts when its first event is asked for.
    pub fn execute(&self, mode: impl Into<ExecuteMode>) -> Execution<T> {
        self.execution(mode.into(), Way::Whole)
    }

    /// An execution that is only started: ask for its events to the end, or [`finish`](Execution::finish) it, and its program
    /// runs, without any client. Its result is that it is [`Continued`](sorna_core::ExecutionStatus::Continued).
    /// [`attach`](Self::attach) to it later, from wherever you are.
    ///
    /// The program does not wait for anybody to fetch what it prints: the gateway keeps the last of it, 1 MiB by default, and says
    /// how many bytes it dropped. The kernel is in use as long as it runs. A program that asks for input waits until the
    /// time limit for someone who attaches.
    ///
    /// For the gateway of `sorna serve`; the end with others is [`BuildError::NotOffered`](sorna_core::BuildError::NotOffered),
    /// and nothing is executed.
    ///
    /// ```no_run
    /// # use sorna::net::Transport;
    /// # async fn example<T: Transport + 'static>(kernel: sorna::Kernel<T>) -> Result<(), sorna::Error> {
    /// kernel.execute_detached("train()").finish().await?;
    /// // Later, perhaps in another program:
    /// let result = kernel.attach().finish().await?;
    /// println!("{}, exit code {:?}", result.stdout(), result.exit_code());
    /// # Ok(())
    /// # }
    /// ```
    pub fn execute_detached(&self, mode: impl Into<ExecuteMode>) -> Execution<T> {
        self.execution(mode.into(), Way::Detached)
    }

    /// Takes over what runs in the kernel, whoever started it: its events are all output that no client has received, as far as
    /// the gateway knows, then what is printed, questions for input, and the end with the exit code. If what ran last has
    /// ended, and no client has received that, it is the end of that. Starts nothing.
    ///
    /// A client that waits for what runs gets an error for which [`Error::is_taken_over`] is true. If nothing runs, and all
    /// output has been received, the end of this one is an error for which [`Error::is_nothing_to_attach`] is true. For the
    /// gateway of `sorna serve`; the end with others is [`BuildError::NotOffered`](sorna_core::BuildError::NotOffered).
    pub fn attach(&self) -> Execution<T> {
        self.execution(ExecuteMode::query(""), Way::Attached)
    }

    fn execution(&self, mode: ExecuteMode, way: Way) -> Execution<T> {
        let start = Execute::start(self.id.clone(), mode)
            .with_echo(self.echoes && self.wants_echo && way == Way::Whole);
        let mark = RunMark::default()
            .with_time_limit(self.limits.exec_timeout())
            .with_max_output(self.limits.max_output())
            .with_earlier_apart(self.has_earlier_apart && way == Way::Whole);
        Execution::new(
            self.client.clone(),
            start,
            way,
            self.carries_bytes,
            self.is_kept,
            self.is_kept || self.persists,
            mark,
        )
    }

    /// Waits for output that belongs to no execution that runs: what threads and processes print that executions have left behind.
    /// It disturbs none, and does not keep the kernel in use. The result is what is there, which comes nowhere else, with
    /// the status [`Finished`](sorna_core::ExecutionStatus::Finished). Without output, after half a minute or when something
    /// starts, it is [`Continued`](sorna_core::ExecutionStatus::Continued), and so it is when a program that waits for input has printed
    /// something, which its execution then brings: see [`RunMark::of_listening`](sorna_core::RunMark::of_listening).
    ///
    /// Dropping the future loses nothing: executions to come have it.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`BuildError::NotOffered`] if the gateway is not that of `sorna serve`.
    pub async fn listen(&self) -> Result<ExecutionResult, Error> {
        let client = &self.client;
        if !client.offers(Execute::BETWEEN).await? {
            let what = "requests that listen between executions";
            return Err(BuildError::NotOffered { what }.into());
        }
        let carries_bytes = self.carries_bytes;
        let mark = RunMark::of_listening(random_token().to_string());
        let listen = Execute::start(self.id.clone(), ExecuteMode::query(""))
            .with_bytes(carries_bytes.unwrap_or_else(|| client.has_extension(Execute::BYTES)))
            .with_mark(Some(mark));
        Ok(client.call(listen).await?.value)
    }

    /// Executes a snippet (`&str`, `String`) or the files in the work directory
    /// ([`Batch`](sorna_core::Batch)), waits for the end, and returns all output.
    ///
    /// A program that fails is not an error: see [`ExecutionResult::exit_code`] and
    /// [`ExecutionResult::stderr`]. To get output as it arrives, or to answer input requests, use
    /// [`execute`](Self::execute).
    ///
    /// # Errors
    ///
    /// See [`Error`]. [`UsageError::InputUnavailable`] if the program asks for input, which cannot be given
    /// here. Such a program would take the code of the next execution for its input, so it is
    /// stopped: it is [interrupted](Execution::give_up), or, with gateways of Sorna v2 that cannot do that, the kernel is
    /// [restarted](Self::restart), by which files are kept and the interpreter's state is lost. If that fails, its
    /// error is returned.
    pub async fn run(&self, mode: impl Into<ExecuteMode>) -> Result<ExecutionResult, Error> {
        let mut execution = self.execute(mode).polled();
        match execution.collect().await {
            Err(Error::Usage(UsageError::InputExpected)) => {
                self.stop(execution).await?;
                Err(UsageError::InputUnavailable.into())
            }
            result => result,
        }
    }

    /// Stops a program that waits for input.
    async fn stop(&self, mut execution: Execution<T>) -> Result<(), Error> {
        let dialect = self.client.negotiated().await?.version.dialect();
        if dialect == Dialect::BackendAi || self.client.has_extension(Interrupt::EXTENSION) {
            execution.give_up();
            match execution.collect().await {
                Err(Error::Aborted(aborted)) if !aborted.is_freed => {
                    if dialect == Dialect::BackendAi {
                        return Err((*aborted).into());
                    }
                }
                // It is interrupted, or has ended by itself.
                Err(Error::Aborted(_)) | Ok(_) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.restart().await?;
        // A gateway may report the end of the stopped program in response to the next execution.
        let _ = self.execute("").finish().await;
        Ok(())
    }

    /// Completes `code` at its end: the candidates, in the gateway's order.
    ///
    /// # Errors
    ///
    /// See [`Error`]; the original gateway does not have this and responds with 500.
    pub async fn complete(&self, code: &str) -> Result<Vec<String>, Error> {
        let complete = Complete::at_end(self.id.clone(), code);
        Ok(self.client.call(complete).await?.value)
    }

    /// Puts files into the work directory, in as many requests as needed. See
    /// [`files::relative_to`](crate::files::relative_to) for local ones.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::FilesRejected`] names the files that the gateway rejected, and those that a manager of
    /// Backend.AI accepted and did not store. Files of more than 1 MiB, unless the gateway has the extension
    /// [`UploadFiles::ANY_SIZE`], and two of the same name, are reported before anything is sent.
    pub async fn upload(&self, files: Vec<UploadFile>) -> Result<UploadProgress, Error> {
        self.upload_with(files, |_| ()).await
    }

    /// As [`upload`](Self::upload), reporting how far it has come after each request.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn upload_with(
        &self,
        files: Vec<UploadFile>,
        mut progress: impl FnMut(UploadProgress),
    ) -> Result<UploadProgress, Error> {
        let client = &self.client;
        let caller = client.caller().await?;
        let limit = caller.version().upload_limits().max_file_size;
        let is_large = files.iter().any(|file| file.size() > limit);
        let is_any_size = is_large && client.offers(UploadFiles::ANY_SIZE).await?;
        // A gateway that has not said what it understands is asked only if that makes a difference. Without a response, the
        // upload itself says what is wrong.
        let has_modes = has_modes(&files);
        let sends_modes = match has_modes {
            true => client.offers(UploadFiles::MODES).await.unwrap_or(false),
            false => client.has_extension(UploadFiles::MODES),
        };
        let upload = Upload::new(self.id.clone(), files, random_boundary(), caller)
            .with_any_size(is_any_size)
            .with_check(client.may_lose_uploads())
            .with_modes(sends_modes);
        let mut upload = client.drive(upload);
        loop {
            match upload.next().await {
                Driven::Event(event) => progress(event),
                Driven::Done(result) => return result,
                Driven::Idle => unreachable!("an upload idles only while a request is in flight"),
            }
        }
    }

    /// What the gateway knows about it: times as [`Duration`](std::time::Duration)s, memory in bytes.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn info(&self) -> Result<KernelInfo, Error> {
        Ok(self.client.call(Info::new(self.id.clone())).await?.value)
    }

    /// Drops the interpreter's state; the files stay.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::MayHaveRun`] if no response came, since a restart is not retried.
    pub async fn restart(&self) -> Result<(), Error> {
        self.client.call(Restart::new(self.id.clone())).await?;
        Ok(())
    }

    /// Ends the kernel and discards its files.
    ///
    /// A session of Backend.AI that is still being prepared is destroyed as soon as its manager allows it, within a
    /// minute. Its name can be used again a few seconds later: [`Client::create`] waits for that. Until then manager
    /// 26.9.6 still runs code that is sent to it.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::is_not_found`] is true if it was gone already.
    pub async fn destroy(&self) -> Result<(), Error> {
        let caller = self.client.caller().await?;
        let version = caller.version();
        let destroy = Destroy::new(self.id.clone());
        match self.client.call_with(destroy, caller.clone()).await {
            // Rejected: it is being prepared, or destroyed already. Or its manager has failed.
            Err(Error::Gateway(error))
                if (Destroy::is_gone(version, &error) && !error.is_not_found())
                    || (version.dialect() == Dialect::BackendAi
                        && error.kind() == Some(ProblemKind::InternalServerError)) => {}
            result => return result.map(|_| ()),
        }
        self.remove(Removal::new(self.id.clone(), caller)).await
    }

    /// As [`destroy`](Self::destroy), and waits until a session of Backend.AI is gone, so that its name can be used again.
    /// One that goes on starting all the same, as managers of release 26 sometimes let it, is destroyed again. One that is
    /// still ending after a minute is left to end. If it was gone already, that is a success.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn destroy_until_gone(&self) -> Result<(), Error> {
        let caller = self.client.caller().await?;
        let removal = Removal::new(self.id.clone(), caller);
        self.remove(removal.until_gone()).await
    }

    async fn remove(&self, removal: Removal) -> Result<(), Error> {
        match self.client.drive(removal).next().await {
            Driven::Done(result) => result,
            Driven::Event(never) => match never {},
            Driven::Idle => unreachable!("a removal idles only while a request is in flight"),
        }
    }

    /// Ends a session of Backend.AI whatever its state, also one that [`destroy`](Self::destroy) cannot end because its
    /// agent was lost while it prepared it.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::is_not_found`] is true if it was gone already. In Sorna v2 it is an error before anything
    /// is sent.
    pub async fn destroy_by_force(&self) -> Result<(), Error> {
        let destroy = Destroy::new(self.id.clone()).with_force();
        self.client.call(destroy).await?;
        Ok(())
    }
}

#[cfg(feature = "terminal")]
impl<T: UpgradeTransport + 'static> Kernel<T> {
    /// Opens a terminal. Several may be open on one kernel; it depends on the gateway what each of them shows.
    ///
    /// # Errors
    ///
    /// See [`Error`]; an error response of the gateway is a [`GatewayError`](sorna_core::GatewayError), and
    /// [`BuildError::NotOffered`](sorna_core::BuildError::NotOffered) means that it starts no terminals in a
    /// [directory](TerminalOptions::with_directory).
    pub async fn stream_pty(&self, options: TerminalOptions) -> Result<Pty<T>, Error> {
        terminal::open(&self.client, self.id.clone(), options).await
    }
}

impl<T> Clone for Kernel<T> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            id: self.id.clone(),
            is_kept: self.is_kept,
            persists: self.persists,
            carries_bytes: self.carries_bytes,
            echoes: self.echoes,
            wants_echo: self.wants_echo,
            has_earlier_apart: self.has_earlier_apart,
            created: self.created,
            other_languages: self.other_languages.clone(),
            limits: self.limits,
        }
    }
}

impl<T> fmt::Debug for Kernel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kernel").field(&self.id).finish()
    }
}

/// Whether there is something else than the files, and directories of these, that gateways make without being told.
fn has_modes(files: &[UploadFile]) -> bool {
    let of_files: HashSet<_> = files
        .iter()
        .filter(|file| !file.is_directory())
        .flat_map(|file| {
            let name = file.name();
            name.match_indices('/').map(|(end, _)| &name[..end])
        })
        .collect();
    files.iter().any(|file| match file.is_directory() {
        true => file.mode().is_some_and(|mode| mode != 0o755) || !of_files.contains(file.name()),
        false => file.mode().is_some_and(|mode| mode != 0o644),
    })
}

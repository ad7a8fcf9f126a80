//! A kernel.

use sorna_core::machine::{SessionPending, UploadProgress};
use sorna_core::terminal::TerminalOptions;
use sorna_core::{
    Error, ExecuteMode, ExecutionResult, KernelId, KernelInfo, KernelSpec, SessionToken, UploadFile,
};

use super::client::Client;
use super::transport::UreqTransport;
use super::wait::wait;
use super::{Execution, Pty};

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
#[derive(Clone, Debug)]
pub struct Kernel(pub(super) crate::Kernel<UreqTransport>);

impl Client {
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
    pub fn create(&self, spec: impl Into<KernelSpec>) -> Result<Kernel, Error> {
        wait(self.0.create(spec)).map(Kernel)
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
    pub fn get_or_create(
        &self,
        spec: impl Into<KernelSpec>,
        token: &SessionToken,
    ) -> Result<Kernel, Error> {
        wait(self.0.get_or_create(spec, token)).map(Kernel)
    }

    /// As [`get_or_create`](Self::get_or_create), reporting why a session of Backend.AI does not run yet, whenever that
    /// changes.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn create_with(
        &self,
        spec: impl Into<KernelSpec>,
        token: &SessionToken,
        pending: impl FnMut(SessionPending),
    ) -> Result<Kernel, Error> {
        wait(self.0.create_with(spec, token, pending)).map(Kernel)
    }

    /// A kernel that exists already. Sends no request. See [`Kernel::with_bytes`].
    #[must_use]
    pub fn kernel(&self, id: KernelId) -> Kernel {
        Kernel(self.0.kernel(id))
    }
}

impl Kernel {
    /// Whether its gateway carries output that is not UTF-8, as it is written: see
    /// [`Execute::with_bytes`](sorna_core::Execute::with_bytes). A kernel that was created, or found by its token, knows that
    /// from the gateway. For one that is known by its ID, this is what the gateway has said to the client so far; if it
    /// has said nothing, `false`, except that [`execute_detached`](Self::execute_detached) and [`attach`](Self::attach) ask.
    #[must_use]
    pub fn with_bytes(self, carries_bytes: bool) -> Self {
        Self(self.0.with_bytes(carries_bytes))
    }

    /// Whether executions of snippets by this one send the [value of their last
    /// expression](sorna_core::Execute::with_echo), where the gateway can do that. A kernel that was created, or found by its
    /// token, knows that from the gateway; one that is known by its ID has none.
    #[must_use]
    pub fn with_echo(self, wants_echo: bool) -> Self {
        Self(self.0.with_echo(wants_echo))
    }

    /// Whether what was printed since the execution before has ended, as by a thread, is apart from the output of an execution: a
    /// [`Record::Unclaimed`](sorna_core::Record::Unclaimed) at its beginning. For gateways that can do
    /// [that](sorna_core::Execute::BETWEEN); elsewhere, and without this, it is the beginning of its output.
    #[must_use]
    pub fn with_earlier_apart(self, is_apart: bool) -> Self {
        Self(self.0.with_earlier_apart(is_apart))
    }

    /// Whether programs of this one keep running when their connection ends, on gateways that
    /// [recognize](sorna_core::Execute::with_mark) its executions: then these go on as soon as the gateway can be reached again, and
    /// [`attach`](Self::attach) takes over those that have failed. That is so for every kernel but [temporary](Client::temporary) ones,
    /// whose programs are interrupted, unless this says otherwise.
    #[must_use]
    pub fn with_persistence(self, persists: bool) -> Self {
        Self(self.0.with_persistence(persists))
    }

    /// Whether its gateway sends values of expressions of its language, as far as it has said so.
    #[must_use]
    pub fn echoes(&self) -> bool {
        self.0.echoes()
    }

    /// Whether it is new, and none that was found by its token. `None` if the gateway did not say, or nothing was asked.
    #[must_use]
    pub fn is_new(&self) -> Option<bool> {
        self.0.is_new()
    }

    /// The languages of other kernels that were alive with the same token when it was created or found. Empty if the gateway
    /// did not say, like those of 2017.
    #[must_use]
    pub fn other_languages(&self) -> &[String] {
        self.0.other_languages()
    }

    /// The ID that the gateway gave it.
    #[must_use]
    pub fn id(&self) -> &KernelId {
        self.0.id()
    }

    /// An execution of a snippet (`&str`, `String`) or of the files in the work directory
    /// ([`Batch`](sorna_core::Batch)). It starts when its first event is asked for.
    pub fn execute(&self, mode: impl Into<ExecuteMode>) -> Execution {
        Execution(self.0.execute(mode))
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
    /// # let kernel = sorna::blocking::Client::from_env()?.create("python3")?;
    /// kernel.execute_detached("train()").finish()?;
    /// // Later, perhaps in another program:
    /// let result = kernel.attach().finish()?;
    /// println!("{}, exit code {:?}", result.stdout(), result.exit_code());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn execute_detached(&self, mode: impl Into<ExecuteMode>) -> Execution {
        Execution(self.0.execute_detached(mode))
    }

    /// Takes over what runs in the kernel, whoever started it: its events are all output that no client has received, as far as
    /// the gateway knows, then what is printed, questions for input, and the end with the exit code. If what ran last has
    /// ended, and no client has received that, it is the end of that. Starts nothing.
    ///
    /// A client that waits for what runs gets an error for which [`Error::is_taken_over`] is true. If nothing runs, and all
    /// output has been received, the end of this one is an error for which [`Error::is_nothing_to_attach`] is true. For the
    /// gateway of `sorna serve`; the end with others is [`BuildError::NotOffered`](sorna_core::BuildError::NotOffered).
    pub fn attach(&self) -> Execution {
        Execution(self.0.attach())
    }

    /// Waits for output that belongs to no execution that runs: what threads and processes print that executions have left behind.
    /// It disturbs none, and does not keep the kernel in use. The result is what is there, which comes nowhere else, with
    /// the status [`Finished`](sorna_core::ExecutionStatus::Finished). Without output, after half a minute or when something
    /// starts, it is [`Continued`](sorna_core::ExecutionStatus::Continued), and so it is when a program that waits for input has printed
    /// something, which its execution then brings: see [`RunMark::of_listening`](sorna_core::RunMark::of_listening).
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`BuildError::NotOffered`](sorna_core::BuildError::NotOffered) if the gateway is not that of `sorna serve`.
    pub fn listen(&self) -> Result<ExecutionResult, Error> {
        wait(self.0.listen())
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
    /// See [`Error`]. [`UsageError::InputUnavailable`](sorna_core::UsageError::InputUnavailable) if the
    /// program asks for input, which cannot be given here. Such a program would take the code of
    /// the next execution for its input, so it is stopped: it is [interrupted](Execution::give_up), or, with gateways of
    /// Sorna v2 that cannot do that, the kernel is [restarted](Self::restart), by which files are kept and the interpreter's
    /// state is lost. If that fails, its error is returned.
    pub fn run(&self, mode: impl Into<ExecuteMode>) -> Result<ExecutionResult, Error> {
        wait(self.0.run(mode))
    }

    /// Completes `code` at its end: the candidates, in the gateway's order.
    ///
    /// # Errors
    ///
    /// See [`Error`]; the original gateway does not have this and responds with 500.
    pub fn complete(&self, code: &str) -> Result<Vec<String>, Error> {
        wait(self.0.complete(code))
    }

    /// Puts files into the work directory, in as many requests as needed. See
    /// [`files::relative_to`](crate::files::relative_to) for local ones.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::FilesRejected`] names the files that the gateway rejected, and those that a manager of
    /// Backend.AI accepted and did not store. Files of more than 1 MiB, unless the gateway has the extension
    /// [`UploadFiles::ANY_SIZE`](sorna_core::UploadFiles::ANY_SIZE), and two of the same name, are reported before anything is
    /// sent.
    pub fn upload(&self, files: Vec<UploadFile>) -> Result<UploadProgress, Error> {
        self.upload_with(files, |_| ())
    }

    /// As [`upload`](Self::upload), reporting how far it has come after each request.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn upload_with(
        &self,
        files: Vec<UploadFile>,
        progress: impl FnMut(UploadProgress),
    ) -> Result<UploadProgress, Error> {
        wait(self.0.upload_with(files, progress))
    }

    /// What the gateway knows about it: times as [`Duration`](std::time::Duration)s, memory in bytes.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn info(&self) -> Result<KernelInfo, Error> {
        wait(self.0.info())
    }

    /// Opens a terminal on it; the options say how large its window is.
    ///
    /// # Errors
    ///
    /// See [`Error`]; an error response of the gateway is a [`GatewayError`](sorna_core::GatewayError), and
    /// [`BuildError::NotOffered`](sorna_core::BuildError::NotOffered) means that it starts no terminals in a
    /// [directory](TerminalOptions::with_directory).
    pub fn stream_pty(&self, options: TerminalOptions) -> Result<Pty, Error> {
        super::terminal::open(&self.0, options)
    }

    /// Drops the interpreter's state; the files stay.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::MayHaveRun`] if no response came, since a restart is not retried.
    pub fn restart(&self) -> Result<(), Error> {
        wait(self.0.restart())
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
    pub fn destroy(&self) -> Result<(), Error> {
        wait(self.0.destroy())
    }

    /// As [`destroy`](Self::destroy), and waits until a session of Backend.AI is gone, so that its name can be used again.
    /// One that goes on starting all the same, as managers of release 26 sometimes let it, is destroyed again. One that is
    /// still ending after a minute is left to end. If it was gone already, that is a success.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn destroy_until_gone(&self) -> Result<(), Error> {
        wait(self.0.destroy_until_gone())
    }

    /// Ends a session of Backend.AI whatever its state, also one that [`destroy`](Self::destroy) cannot end because its
    /// agent was lost while it prepared it.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::is_not_found`] is true if it was gone already. In Sorna v2 it is an error before anything
    /// is sent.
    pub fn destroy_by_force(&self) -> Result<(), Error> {
        wait(self.0.destroy_by_force())
    }
}

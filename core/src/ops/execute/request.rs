//! The parts of an execute request.

use super::mark::RunMark;
use super::mode::{Continuation, ExecuteMode};
use super::result::ExecutionResult;
use crate::ident::KernelId;

/// `POST /v2/kernel/{id}`: starts or continues an execution.
///
/// One execution may take many of these requests: [`Execution`](crate::machine::Execution) makes them
/// all. Machines do not retry one if the gateway may have acted on it
/// ([`Repeat::IfUnsent`](crate::Repeat::IfUnsent)). (API manual of 2017, "Code execution".)
///
/// Making the request fails with [`BuildError::CodeTooLong`](crate::BuildError::CodeTooLong) if its body has 1 MiB or more, which the
/// original gateway rejects: upload such code as a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Execute {
    /// The kernel to run it in.
    pub kernel: KernelId,
    /// What to run.
    pub mode: ExecuteMode,
    /// Whether this starts the execution or continues it.
    pub continuation: Continuation,
    /// The ID that all requests of one execution share, in dialects with such IDs. Sorna v2 has
    /// none, so it is not sent there.
    pub run_id: Option<String>,
    /// Whether its snippet is the last one of the kernel: see [`with_final`](Self::with_final).
    pub is_final: bool,
    /// Whether the value of its last expression is sent: see [`with_echo`](Self::with_echo).
    pub echoes: bool,
    /// Whether output may come as bytes: see [`with_bytes`](Self::with_bytes).
    pub wants_bytes: bool,
    /// By what the gateway recognizes it: see [`with_mark`](Self::with_mark).
    pub mark: Option<RunMark>,
}

impl Execute {
    /// The name of the extension that [`with_final`](Self::with_final) needs, and of the option that is sent then.
    pub const FINAL: &str = "final";

    /// The name of the extension that [`with_bytes`](Self::with_bytes) needs, and of what is sent then.
    pub const BYTES: &str = "bytes";

    /// The name of the extension that [`with_mark`](Self::with_mark) needs.
    pub const RUNS: &str = "runs";

    /// The name of the extension that executions [without a client](RunMark::with_detached) need, and those that
    /// [attach](Self::attach). A gateway that offers it knows [marks](Self::with_mark) as well.
    pub const ATTACH: &str = "attach";

    /// The name of the extension that [`with_echo`](Self::with_echo) needs, and of the option that is sent then.
    pub const ECHO: &str = "echo";

    /// The name of the extension by which results say what an execution has [used](crate::ExecutionResult::usage).
    pub const USAGE: &str = "usage";

    /// The name of the extension that [`RunMark::with_max_output`] needs.
    pub const MAX_OUTPUT: &str = "max-output";

    /// The name of the extension for what happens between executions: that
    /// [output from there comes apart](RunMark::with_earlier_apart), that clients [listen](RunMark::of_listening), and that
    /// code with [`QUESTION`](Self::QUESTION) as its first line is a question.
    pub const BETWEEN: &str = "between";

    /// The first line of a snippet that is no part of the program, and answers a question of its client. In python3 it has names
    /// of its own, which are those of Python whatever the program has replaced: the program's variables are in `space`,
    /// `answer(text)` answers, and `number(n)` gives the next snippet its number, as notebooks count. In bash, it is
    /// executed by the program's shell with the descriptor 62 open for messages of the kernel; elsewhere, the line has to be
    /// a comment, and is nothing else.
    ///
    /// An answer is a [`Record::Value`](crate::Record::Value) that [is displayed](crate::ValueForms::display) as `{"answer": text}`.
    pub const QUESTION: &str = "# sorna: question";

    /// The name of the extension by which [`REFUSAL`](Self::REFUSAL) is understood.
    pub const REFUSALS: &str = "refusals";

    /// The answer to a request for input when there is no one to ask: the control character NAK, as text. In python3, the
    /// function that reads raises a `StdinNotImplementedError`; in other languages, the program sees the end of its input.
    pub const REFUSAL: &str = "\u{15}";

    /// Starts an execution.
    #[must_use]
    pub fn start(kernel: KernelId, mode: ExecuteMode) -> Self {
        Self {
            kernel,
            mode,
            continuation: Continuation::Start,
            run_id: None,
            is_final: false,
            echoes: false,
            wants_bytes: false,
            mark: None,
        }
    }

    /// Takes over what runs in a kernel: see [`RunMark::of_attached`].
    #[must_use]
    pub fn attach(kernel: KernelId) -> Self {
        Self::start(kernel, ExecuteMode::query("")).with_mark(Some(RunMark::of_attached()))
    }

    /// Asks for output that is not UTF-8 as it was written, or not.
    ///
    /// Responses then have `["stdout-bytes", Base64]` and `["stderr-bytes", Base64]` among their console records where
    /// output is not UTF-8: see [`Console::iter_exact`](crate::Console::iter_exact). Gateways without this put U+FFFD in place of it.
    ///
    /// An extension of the gateway in `sorna-gateway`, `{"bytes": true}` in each request of the execution: send it only to
    /// gateways that say [`"bytes"`](Self::BYTES) when they [create](crate::CreatedKernel::extensions) a kernel.
    /// A [`Run`](crate::machine::Run) uses it by itself.
    #[must_use]
    pub fn with_bytes(mut self, wants_bytes: bool) -> Self {
        self.wants_bytes = wants_bytes;
        self
    }

    /// Makes its snippet the last one of the kernel, or not. A batch is not changed by this.
    ///
    /// After the snippet, also after one that failed, the interpreter ends as the language does: threads are waited for,
    /// hooks (`atexit`, `trap EXIT`, `END`) run and may ask for input, and all of their output belongs to the execution,
    /// which ends with the exit code of the interpreter's process. The snippet may be empty. If the kernel is used again,
    /// it begins with a new interpreter.
    ///
    /// An extension of the gateway in `sorna-gateway`, `{"options": {"final": true}}`: send it only to gateways that say
    /// [`"final"`](Self::FINAL) when they [create](crate::CreatedKernel::extensions) a kernel. Others do not know it, and
    /// take an empty snippet for a continuation. A [`Run`](crate::machine::Run) in a temporary kernel uses it by itself.
    #[must_use]
    pub fn with_final(mut self, is_final: bool) -> Self {
        self.is_final = is_final;
        self
    }

    /// Lets the gateway recognize the requests of the execution by a mark, or not. Then
    ///
    /// - an execution starts only if no other runs in the kernel: else the response is an error that
    ///   [says so](crate::GatewayError::busy), and nothing is lost of either;
    /// - a request whose response did not arrive may be sent again: nothing is executed twice, and the response is the same;
    /// - the execution may have a time limit of its own.
    ///
    /// Without marks, Sorna v2 cannot tell new code from input or a continuation.
    ///
    /// An extension of the gateway in `sorna-gateway`, `{"options": {"run": …}}` in each request: send it only to gateways
    /// that say [`"runs"`](Self::RUNS) when they [create](crate::CreatedKernel::extensions) a kernel or [tell their
    /// version](crate::VersionInfo::extensions).
    #[must_use]
    pub fn with_mark(mut self, mark: Option<RunMark>) -> Self {
        self.mark = mark;
        self
    }

    /// Asks for the value of the snippet's last expression, as an interactive prompt shows it, or not. A batch is not
    /// changed by this.
    ///
    /// The value is a [`Record::Value`](crate::Record::Value) of the console, with text and, where it has them, other forms. What
    /// programs display comes in all its forms as well, where the language can do that: [`ValueForms::display`](crate::ValueForms::display) tells it
    /// from values.
    /// What the language's own prompt shows nothing of (`None` in python, `undefined` in nodejs, an invisible value in R) has
    /// no record. An error while the value is turned into text is an error of the snippet.
    ///
    /// An extension of the gateway in `sorna-gateway`, `{"options": {"echo": true}}`: send it only to gateways that say
    /// [`"echo"`](Self::ECHO) when they [create](crate::CreatedKernel::extensions) a kernel. That gateway says so for languages
    /// that have such values: python, nodejs, ruby, lua, perl and R. A [`Run`](crate::machine::Run) uses it if its plan [says
    /// so](crate::machine::RunPlan::with_echo).
    #[must_use]
    pub fn with_echo(mut self, echoes: bool) -> Self {
        self.echoes = echoes;
        self
    }

    /// Keeps the part of a result that the next request needs: its run ID, if it has one.
    pub fn remember(&mut self, result: &ExecutionResult) {
        if let Some(run_id) = result.run_id()
            && self.run_id.as_deref() != Some(run_id)
        {
            self.run_id = Some(run_id.to_owned());
        }
    }

    /// The next request of the same execution. Neither the code nor that it is final is sent again:
    /// gateways ignore code in a continuation. Its [mark](Self::with_mark) has the next number.
    #[must_use]
    pub fn proceed(&self, continuation: Continuation) -> Self {
        Self {
            kernel: self.kernel.clone(),
            // The code need not be kept: the gateway has it.
            mode: match &self.mode {
                ExecuteMode::Query { .. } => ExecuteMode::query(""),
                batch @ ExecuteMode::Batch(_) => batch.clone(),
            },
            continuation,
            run_id: self.run_id.clone(),
            is_final: false,
            echoes: false,
            wants_bytes: self.wants_bytes,
            mark: self.mark.as_ref().map(|mark| RunMark {
                id: mark.id.clone(),
                request: mark.request.saturating_add(1),
                ..RunMark::default()
            }),
        }
    }
}

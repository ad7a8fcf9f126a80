//! What an execute request runs.

use std::collections::VecDeque;
use std::path::PathBuf;

use sorna_core::server::{BatchSteps, Step as Wanted};

use super::home::Home;
use super::language::{Installed, Query};
use super::launch::{Arguments, Launcher};

/// What to run.
#[derive(Debug)]
pub(crate) enum Plan {
    /// A snippet for the interpreter.
    Snippet {
        code: String,
        /// Whether the interpreter ends after it, as its language does.
        is_final: bool,
        /// Whether the value of its last expression is wanted.
        echoes: bool,
    },
    /// Processes, one after another.
    Steps(Steps),
}

/// Processes to run one after another.
#[derive(Debug)]
pub(crate) struct Steps {
    /// A source file to write first.
    pub(crate) source: Option<(PathBuf, String)>,
    pub(crate) steps: VecDeque<Step>,
    /// The batch, whose steps are reported to the client; `None` for a compiled snippet.
    pub(crate) batch: Option<BatchSteps>,
}

/// One process.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) kind: StepKind,
    /// The command. Empty: there is nothing to do, and only its end is reported.
    pub(crate) arguments: Arguments,
    pub(crate) directory: PathBuf,
}

/// What a step is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepKind {
    Clean,
    Build,
    Exec,
}

impl StepKind {
    /// Its name in the API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Build => "build",
            Self::Exec => "exec",
        }
    }
}

impl Plan {
    /// A query. Where each is a program of its own, none needs to be final.
    pub(crate) fn query(
        code: &str,
        is_final: bool,
        echoes: bool,
        installed: &Installed,
        home: &Home,
        launcher: &Launcher,
    ) -> Self {
        match &installed.language.query {
            Query::Interpreter(_) => Self::Snippet {
                code: code.to_owned(),
                is_final,
                echoes,
            },
            Query::Program(program) => {
                let build = (!program.build.is_empty()).then(|| Step {
                    kind: StepKind::Build,
                    arguments: installed.command(&program.build, home),
                    directory: home.snippet(),
                });
                let exec = Step {
                    kind: StepKind::Exec,
                    arguments: launcher.line_buffered(installed.command(&program.run, home)),
                    directory: home.work(),
                };
                let code = program.source_text(code).into_owned();
                Self::Steps(Steps {
                    source: Some((home.snippet().join(&program.source), code)),
                    steps: build.into_iter().chain([exec]).collect(),
                    batch: None,
                })
            }
        }
    }

    /// A batch; `None` if it has no steps.
    pub(crate) fn batch(
        wanted: &BatchSteps,
        installed: &Installed,
        home: &Home,
        launcher: &Launcher,
    ) -> Option<Self> {
        let language = &installed.language;
        let log_build = wanted.build_log;
        let step = |kind, wanted: &Wanted, default: &str| {
            let command = match wanted {
                Wanted::Command(command) => Some(command.clone()),
                Wanted::Default => installed.default_command(default),
                _ => None,
            }?;
            // The log of a build is the trace of its shell on stderr.
            let log = kind == StepKind::Build && log_build;
            let flag = if log { "-xc" } else { "-c" };
            let shell = vec!["bash".into(), flag.into(), command.into()];
            Some(Step {
                kind,
                arguments: match kind {
                    StepKind::Clean | StepKind::Build => shell,
                    StepKind::Exec => launcher.line_buffered(shell),
                },
                directory: home.work(),
            })
        };
        let steps = [
            (StepKind::Clean, step(StepKind::Clean, &wanted.clean, "")),
            (
                StepKind::Build,
                step(StepKind::Build, &wanted.build, &language.build),
            ),
            (
                StepKind::Exec,
                step(StepKind::Exec, &wanted.exec, &language.exec),
            ),
        ];
        let nothing = |kind| Step {
            kind,
            arguments: Arguments::new(),
            directory: home.work(),
        };
        let steps = steps
            .into_iter()
            .filter_map(|(kind, step)| step.or_else(|| wanted.reports_all.then(|| nothing(kind))));
        let steps: VecDeque<Step> = steps.collect();
        (!steps.is_empty()).then(|| {
            Self::Steps(Steps {
                source: None,
                steps,
                batch: Some(wanted.clone()),
            })
        })
    }

    /// The batch, if it is one.
    pub(crate) fn batch_steps(&self) -> Option<&BatchSteps> {
        match self {
            Self::Snippet { .. } => None,
            Self::Steps(steps) => steps.batch.as_ref(),
        }
    }

    /// Whether this is the batch that the last response asked the client to continue.
    pub(crate) fn continues(&self, awaited: Option<&BatchSteps>) -> bool {
        awaited.is_some() && awaited == self.batch_steps()
    }
}

//! What a kernel has of what was asked for.

use std::time::Duration;

use sorna::{Dialect, Exceeded, ExecutionResult, KernelId, Limit};

use super::args::RunArgs;
use crate::asked::Asked;
use crate::harmless;
use crate::target::Target;
use crate::units::{count, size, time};

/// What to say of a program that exceeded a limit.
#[derive(Debug)]
pub(crate) struct OverLimit {
    pub(crate) message: String,
    pub(crate) advice: Option<&'static str>,
}

/// How to ask for more memory.
const MORE_MEMORY: &str = "Ask for more with --max-mem, such as --max-mem 2g.";
/// The same for a kernel that is kept.
const MORE_MEMORY_LATER: &str = "Ask for more with --max-mem, such as --max-mem 2g, when the kernel is created: destroy it first, or choose another name.";

/// What was asked for, on the command line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes<'r> {
    arguments: &'r RunArgs,
    dialect: Dialect,
    /// Whether each execution has the time limit that is asked for, also in a kernel that existed.
    limits_executions: bool,
}

impl<'r> Wishes<'r> {
    pub(super) fn new(arguments: &'r RunArgs, dialect: Dialect) -> Self {
        Self {
            arguments,
            dialect,
            limits_executions: false,
        }
    }

    /// Notes whether the gateway recognizes marked executions.
    pub(super) fn note_marks(&mut self, are_recognized: bool) {
        self.limits_executions = are_recognized;
    }

    /// The time limit of executions that was asked for, if the gateway may not keep it: only ours is known to.
    pub(super) fn own_limit(self) -> Option<Duration> {
        let asked = self.arguments.limits.exec_timeout;
        asked.filter(|_| self.dialect == Dialect::SornaV2 && !self.limits_executions)
    }

    /// How much a program may write, if that was asked for.
    pub(super) fn max_output(self) -> Option<u64> {
        self.arguments.max_output
    }

    /// Whether the program is left running, for which no time limit was asked for.
    pub(super) fn leaves(self) -> bool {
        self.arguments.detach && self.arguments.limits.exec_timeout.is_none()
    }

    /// What was asked for, for a kernel that may have existed.
    pub(super) fn asked(self) -> Asked {
        let arguments = self.arguments;
        let limits = &arguments.limits;
        let asked = Asked {
            max_mem: limits.max_mem,
            exec_timeout: limits.exec_timeout.filter(|_| !self.limits_executions),
            resources: arguments.resources().to_vec(),
            others: Vec::new(),
            is_kept: arguments.token.is_some(),
        };
        asked.with_others(
            arguments.variables().map(|(name, _)| name),
            &arguments.env_files,
            arguments.resource_options(),
            &limits.mounts,
        )
    }

    /// What to say of a program that exceeded a limit: how much that is, who set it, and how to change it. `None` where the
    /// gateway does not say that it was killed for one.
    pub(super) fn over_limit(
        self,
        target: &Target,
        kernel: &KernelId,
        result: &ExecutionResult,
    ) -> Option<OverLimit> {
        let exceeded = result.exceeded()?;
        Some(match exceeded.limit {
            Limit::Time => self.over_time(target, kernel),
            Limit::Memory => self.over_memory(exceeded.max),
            Limit::Output => OverLimit {
                message: over_output(exceeded.max.or(self.max_output()), " (--max-output)"),
                advice: None,
            },
            limit => over_other(&limit, exceeded.max),
        })
    }

    fn over_memory(self, max: Option<u64>) -> OverLimit {
        let asked = self.arguments.limits.max_mem;
        let text = max.map(|max| size(max as f64 / 1024.0));
        let limit = match (text, asked) {
            (None, _) => String::new(),
            (Some(max), Some(asked)) if max == size(asked.0 as f64) => {
                format!(" of {max} (--max-mem)")
            }
            (Some(max), Some(asked)) => {
                format!(" of {max} (asked for: {})", size(asked.0 as f64))
            }
            (Some(max), None) => format!(" of {max}, which the gateway sets,"),
        };
        OverLimit {
            message: format!("The program exceeded its memory limit{limit} and was killed."),
            advice: asked.is_none().then_some(match self.arguments.token {
                Some(_) => MORE_MEMORY_LATER,
                None => MORE_MEMORY,
            }),
        }
    }

    fn over_time(self, target: &Target, kernel: &KernelId) -> OverLimit {
        let info = target.client.kernel(kernel.clone()).info().ok();
        // Gateways of 2017 report 0 for what they do not know (yet).
        let has = info.and_then(|info| info.exec_timeout());
        let has = has.filter(|time| !time.is_zero());
        let asked = self.arguments.limits.exec_timeout;
        let has = asked.filter(|_| self.limits_executions).or(has);
        let text = |limit: Duration| time(limit.as_secs_f64() * 1000.0);
        let limit = match (has.or(asked), asked) {
            (None, _) => String::new(),
            (Some(has), Some(asked)) if has == asked => {
                format!(" of {} (--exec-timeout)", text(has))
            }
            (Some(has), Some(asked)) => {
                format!(" of {} (asked for: {})", text(has), text(asked))
            }
            (Some(has), None) => format!(" of {}, which the gateway sets,", text(has)),
        };
        OverLimit {
            message: format!("The program exceeded its time limit{limit} and was killed."),
            advice: (self.dialect == Dialect::SornaV2 && asked.is_none()).then_some(
                match self.arguments.token {
                    Some(_) if !self.limits_executions => {
                        "Ask for more with --exec-timeout, such as --exec-timeout 5m, when the kernel is created."
                    }
                    _ => "Ask for more with --exec-timeout, such as --exec-timeout 5m.",
                },
            ),
        }
    }
}

/// That a program exceeded a limit, where nothing is known of who has set that.
pub(crate) fn words(exceeded: &Exceeded) -> String {
    match (&exceeded.limit, exceeded.max) {
        (Limit::Time, max) => {
            let max = max.map(|max| format!(" of {}", time(max as f64)));
            let max = max.unwrap_or_default();
            format!("The program exceeded its time limit{max} and was killed.")
        }
        (Limit::Memory, max) => {
            let max = max.map(|max| format!(" of {}", size(max as f64 / 1024.0)));
            let max = max.unwrap_or_default();
            format!("The program exceeded its memory limit{max} and was killed.")
        }
        (Limit::Output, max) => over_output(max, ""),
        (limit, max) => over_other(limit, max).message,
    }
}

/// That a program has written too much.
fn over_output(max: Option<u64>, set_by: &str) -> String {
    let max = max.map_or(String::new(), |max| format!(" of {}", bytes(max)));
    format!("The program exceeded its output limit{max}{set_by} and was killed.")
}

/// A size in bytes, as text.
pub(super) fn bytes(number: u64) -> String {
    match number {
        0..1024 => count(usize::try_from(number).unwrap_or_default(), "byte"),
        _ => size(number as f64 / 1024.0),
    }
}

/// What to say of a limit that only the gateway's operator sets.
fn over_other(limit: &Limit, max: Option<u64>) -> OverLimit {
    let number = |things: &str| max.map_or(String::new(), |max| format!(" of {max} {things}"));
    let (text, advice) = match limit {
        Limit::Disk => {
            let max = max.map_or(String::new(), |max| {
                format!(" of {}", size(max as f64 / 1024.0))
            });
            let advice = "Remove files that are not needed. Who runs the gateway sets this limit (`sorna serve --max-disk`; with --local, --disk).";
            (format!("disk limit{max}"), Some(advice))
        }
        Limit::Files => (
            format!("limit{}", number("files and directories")),
            Some("Who runs the gateway sets this limit (`sorna serve --max-files`)."),
        ),
        Limit::Processes => (
            format!("limit{}", number("processes and threads")),
            Some("Who runs the gateway sets this limit (`sorna serve --max-processes`)."),
        ),
        Limit::OpenFiles => (format!("limit{}", number("open files")), None),
        Limit::Sockets => (format!("limit{}", number("sockets")), None),
        other => (
            format!("limit \"{}\"", harmless::safe(other.as_str())),
            None,
        ),
    };
    OverLimit {
        message: format!(
            "The program exceeded its {text}, which the gateway sets, and was killed."
        ),
        advice,
    }
}

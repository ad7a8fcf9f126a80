//! What a kernel has of what was asked for.

use std::time::Duration;

use sorna::{Dialect, ExecutionResult, KernelId, KernelInfo, Limit};

use super::args::RunArgs;
use crate::harmless;
use crate::kernels::slot;
use crate::target::Target;
use crate::units::{size, time};
use crate::values::amount;

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

    /// What the kernel has, where that is not what was asked for: a gateway may allow less, and a kernel that existed
    /// keeps what it has. As far as the gateway says.
    pub(super) fn remarks(
        self,
        target: &Target,
        kernel: &KernelId,
        is_new: Option<bool>,
    ) -> Vec<String> {
        let resources = self.resources();
        let limits = &self.arguments.limits;
        let is_asked = match self.dialect {
            Dialect::SornaV2 => limits.max_mem.is_some() || limits.exec_timeout.is_some(),
            _ => !resources.is_empty(),
        };
        let info = is_asked.then(|| target.client.kernel(kernel.clone()).info());
        let info = info.and_then(Result::ok);
        let compared = match self.dialect {
            Dialect::SornaV2 => info.as_ref().and_then(|info| self.limits_of(info)),
            _ => info
                .as_ref()
                .and_then(|info| resources_of(info, &resources)),
        };
        let existed = is_new == Some(false) && self.dialect != Dialect::SornaV2;
        let existed = existed.then(|| self.without_effect(info.as_ref()));
        compared.into_iter().chain(existed.flatten()).collect()
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

    /// The resources that a session is to have.
    fn resources(self) -> Vec<(String, String)> {
        let mut resources = self.arguments.resources().to_vec();
        if let Some(memory) = self.arguments.limits.max_mem
            && !resources.iter().any(|(name, _)| name == "mem")
        {
            let bytes = memory.0.saturating_mul(1024);
            resources.push(("mem".to_owned(), bytes.to_string()));
        }
        resources
    }

    /// What a kernel of Sorna v2 has.
    fn limits_of(self, info: &KernelInfo) -> Option<String> {
        let limits = &self.arguments.limits;
        // Gateways of 2017 report 0 for what they do not know (yet).
        let memory = info.max_memory().filter(|bytes| *bytes > 0);
        let memory = limits.max_mem.zip(memory).and_then(|(asked, has)| {
            let [asked, has] = [asked.0 as f64, has as f64 / 1024.0].map(size);
            (asked != has).then(|| format!("a memory limit of {has} (asked for: {asked})"))
        });
        let limit = info.exec_timeout();
        let limit = limit.filter(|time| !time.is_zero() && !self.limits_executions);
        let limit = limits.exec_timeout.zip(limit).and_then(|(asked, has)| {
            let [asked, has] = [asked, has].map(|limit| time(limit.as_secs_f64() * 1000.0));
            (asked != has).then(|| format!("a time limit of {has} (asked for: {asked})"))
        });
        let differences: Vec<_> = memory.into_iter().chain(limit).collect();
        let advice = match self.arguments.token {
            Some(_) => {
                " A kernel keeps the limits that it was created with: to change them, destroy it first, or choose another name."
            }
            None => "",
        };
        (!differences.is_empty())
            .then(|| format!("The kernel has {}.{advice}", differences.join(" and ")))
    }

    /// What was asked of a session that existed, and is not compared.
    fn without_effect(self, info: Option<&KernelInfo>) -> Option<String> {
        let arguments = self.arguments;
        let has = info
            .and_then(KernelInfo::occupied_slots)
            .unwrap_or_default();
        let resources = self.resources().into_iter();
        let resources = resources.filter(|(name, _)| !has.contains_key(name));
        let variables = arguments.variables().map(|(name, _)| format!("-e {name}"));
        let resources = resources.map(|(name, _)| format!("-r {name}"));
        let options = arguments.resource_options().iter();
        let options = options.map(|(name, _)| format!("--resource-opt {name}"));
        let mounts = arguments.limits.mounts.iter();
        let mounts = mounts.map(|name| format!("--mount {name}"));
        let files = arguments.env_files.iter();
        let files = files.map(|file| format!("--env-file {}", file.display()));
        let all: Vec<_> = variables
            .chain(files)
            .chain(resources)
            .chain(options)
            .chain(mounts)
            .collect();
        (!all.is_empty()).then(|| {
            format!(
                "The session existed already and keeps what it was created with, so these have no effect: {}. To apply them, destroy the session first, or choose another name.",
                all.join(", ")
            )
        })
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

/// What a session has of resources.
fn resources_of(info: &KernelInfo, asked: &[(String, String)]) -> Option<String> {
    let has = info.occupied_slots()?;
    let differences = asked.iter().filter_map(|(name, asked)| {
        let has = has.get(name)?;
        let differs = amount(name, asked)? != amount(name, has)?;
        let asked = match asked.parse::<f64>() {
            Ok(bytes) if name == "mem" => size(bytes / 1024.0),
            _ => asked.clone(),
        };
        differs.then(|| format!("{} (asked for: {asked})", slot(name, has)))
    });
    let differences: Vec<String> = differences.collect();
    (!differences.is_empty()).then(|| format!("The session has {}.", differences.join(", ")))
}

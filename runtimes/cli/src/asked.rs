//! What was asked for when a command uses a kernel, against what the kernel has.

use std::time::Duration;

use sorna::{Dialect, KernelId, KernelInfo};

use crate::kernels::slot;
use crate::target::Target;
use crate::units::{size, time};
use crate::values::{Kib, amount};

/// What a kernel was asked to have.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) max_mem: Option<Kib>,
    /// The time limit of executions, unless each has its own whatever the kernel was created with.
    pub(crate) exec_timeout: Option<Duration>,
    /// Amounts of resources.
    pub(crate) resources: Vec<(String, String)>,
    /// Options whose values cannot be compared, such as `-e NAME`.
    pub(crate) others: Vec<String>,
    /// Whether the kernel is one that is kept, and may have existed.
    pub(crate) is_kept: bool,
}

/// What there is to say before anything runs.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// Why nothing is to run: a kernel that existed keeps its limits, and they are not those that were asked for.
    pub(crate) refusal: Option<String>,
    pub(crate) remarks: Vec<String>,
}

impl Asked {
    /// The options with these environment variables and files of them, and folders.
    pub(crate) fn with_others<'a>(
        mut self,
        variables: impl IntoIterator<Item = &'a str>,
        files: &[std::path::PathBuf],
        options: &[(String, String)],
        mounts: &[String],
    ) -> Self {
        let variables = variables.into_iter().map(|name| format!("-e {name}"));
        let files = files.iter();
        let files = files.map(|file| format!("--env-file {}", file.display()));
        let options = options.iter();
        let options = options.map(|(name, _)| format!("--resource-opt {name}"));
        let mounts = mounts.iter().map(|name| format!("--mount {name}"));
        let all = variables.chain(files).chain(options).chain(mounts);
        self.others.extend(all);
        self
    }

    /// Compares it with a kernel, as far as its gateway says what that has. A gateway may allow less than was asked for; a
    /// kernel that existed keeps what it has.
    pub(crate) fn compare(
        &self,
        target: &Target,
        kernel: &KernelId,
        dialect: Dialect,
        is_new: Option<bool>,
    ) -> Compared {
        let resources = self.all_resources();
        let is_asked = match dialect {
            Dialect::SornaV2 => self.max_mem.is_some() || self.exec_timeout.is_some(),
            _ => !resources.is_empty(),
        };
        let info = is_asked.then(|| target.client.kernel(kernel.clone()).info());
        let info = info.and_then(Result::ok);
        let existed = is_new == Some(false);
        let mut compared = match (&info, dialect) {
            (Some(info), Dialect::SornaV2) => self.compare_limits(info, existed),
            (Some(info), _) => compare_resources(info, &resources, existed),
            (None, _) => Compared::default(),
        };
        if existed && !self.others.is_empty() {
            compared.remarks.push(format!(
                "The session existed already and keeps what it was created with, so these have no effect: {}. To apply them, destroy the session first, or choose another name.",
                self.others.join(", ")
            ));
        }
        compared
    }

    /// The resources that a session is to have, memory among them.
    fn all_resources(&self) -> Vec<(String, String)> {
        let mut resources = self.resources.clone();
        if let Some(memory) = self.max_mem
            && !resources.iter().any(|(name, _)| name == "mem")
        {
            let bytes = memory.0.saturating_mul(1024);
            resources.push(("mem".to_owned(), bytes.to_string()));
        }
        resources
    }

    /// In Sorna v2.
    fn compare_limits(&self, info: &KernelInfo, existed: bool) -> Compared {
        // Gateways of 2017 report 0 for what they do not know (yet).
        let memory = info.max_memory().filter(|bytes| *bytes > 0);
        let memory = self.max_mem.zip(memory).and_then(|(asked, has)| {
            let [asked, has] = [asked.0 as f64, has as f64 / 1024.0].map(size);
            (asked != has).then(|| format!("a memory limit of {has} (asked for: {asked})"))
        });
        // It has less than was asked for, then as now.
        let was_asked = info.extra().get("memoryAsked").and_then(|it| it.as_u64());
        let is_same = was_asked.is_some() && was_asked == self.max_mem.map(|memory| memory.0);
        if let Some(memory) = memory.as_ref().filter(|_| existed && !is_same) {
            return Compared::refused("kernel", memory);
        }
        let limit = info.exec_timeout().filter(|time| !time.is_zero());
        let limit = self.exec_timeout.zip(limit).and_then(|(asked, has)| {
            let [asked, has] = [asked, has].map(|limit| time(limit.as_secs_f64() * 1000.0));
            (asked != has).then(|| format!("a time limit of {has} (asked for: {asked})"))
        });
        let differences: Vec<_> = memory.into_iter().chain(limit).collect();
        let advice = match self.is_kept {
            true => {
                " A kernel keeps the limits that it was created with: to change them, destroy it first, or choose another name."
            }
            false => "",
        };
        let remark = (!differences.is_empty())
            .then(|| format!("The kernel has {}.{advice}", differences.join(" and ")));
        Compared {
            refusal: None,
            remarks: remark.into_iter().collect(),
        }
    }
}

impl Compared {
    fn refused(noun: &str, differences: &str) -> Self {
        let text = format!(
            "the {noun} existed already and has {differences}, which cannot be changed: leave that out, destroy the {noun} first, or choose another name"
        );
        Self {
            refusal: Some(text),
            remarks: Vec::new(),
        }
    }
}

/// In Backend.AI: a session that existed was asked for the same before, or is another one.
fn compare_resources(info: &KernelInfo, asked: &[(String, String)], existed: bool) -> Compared {
    let occupied = info.occupied_slots().unwrap_or_default();
    let requested = info.requested_slots().unwrap_or_default();
    let of = |name: &str| requested.get(name).or_else(|| occupied.get(name));
    let differs = |name: &str, one: &str, other: &str| {
        let (one, other) = (amount(name, one), amount(name, other));
        one.zip(other).is_some_and(|(one, other)| one != other)
    };
    let text = |name: &str, asked: &str| match asked.parse::<f64>() {
        Ok(bytes) if name == "mem" => size(bytes / 1024.0),
        _ => asked.to_owned(),
    };
    if existed && !requested.is_empty() {
        let others = asked.iter().filter_map(|(name, asked)| match of(name) {
            Some(has) => differs(name, asked, has)
                .then(|| format!("{} (asked for: {})", slot(name, has), text(name, asked))),
            None => Some(format!("no {name} (asked for: {})", text(name, asked))),
        });
        let others: Vec<String> = others.collect();
        if !others.is_empty() {
            return Compared::refused("session", &others.join(", "));
        }
    }
    let differences = asked.iter().filter_map(|(name, asked)| {
        let has = occupied.get(name)?;
        differs(name, asked, has)
            .then(|| format!("{} (asked for: {})", slot(name, has), text(name, asked)))
    });
    let differences: Vec<String> = differences.collect();
    let remark =
        (!differences.is_empty()).then(|| format!("The session has {}.", differences.join(", ")));
    Compared {
        refusal: None,
        remarks: remark.into_iter().collect(),
    }
}

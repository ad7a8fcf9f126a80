//! `sorna info`, `sorna interrupt`, `sorna restart` and `sorna destroy`: kernels by their IDs.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use sorna::{BuildError, Dialect, Error, GatewayError, KernelId, KernelInfo};

use crate::advice::{NO_ID, show_error_of};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::harmless::safe;
use crate::left::{self, State};
use crate::print::{self, columns, print};
use crate::reporter::Reporter;
use crate::sessions::{Found, find_any, moment};
use crate::spoken;
use crate::target::Target;
use crate::terms::Terms;
use crate::units::{size, time};
use crate::values;

/// Show what the gateway reports about kernels.
///
/// On the original gateway most numbers are 0 for a kernel's first 5 seconds.
///
/// Exit code: 0; 1 if a kernel could not be queried; 2 for a usage error or a wrong setting.
#[derive(Debug, Args)]
#[command(override_usage = "sorna info [OPTIONS] <ID>...", after_help = INFO_EXAMPLES)]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    which: Which,

    /// Print the gateway's responses as JSON, one kernel per line, with the ID as kernelId, and as endsIn the time after
    /// which it ends if nothing uses it, where that is known. Times are in ms, sizes in KiB.
    #[arg(long)]
    json: bool,
}

const INFO_EXAMPLES: &str = "\
Examples:
  sorna info zuF1OzMIhFknyjUl7Apbvg
  sorna info --json zuF1OzMIhFknyjUl7Apbvg | jq .memoryUsed

In Backend.AI, also with names of sessions:
  sorna info my-session
  sorna info --json my-session | jq -r .status";

/// Interrupt the program that a kernel runs, as Ctrl-C does: the interpreter's state is kept.
///
/// In Sorna v2, gateways of `sorna serve` can do that; others have no such request.
///
/// Exit code: 0, even if nothing runs; 1 if a kernel could not be interrupted; 2 for a usage error or a wrong
/// setting.
#[derive(Debug, Args)]
#[command(override_usage = "sorna interrupt [OPTIONS] <ID>...", after_help = INTERRUPT_EXAMPLES)]
pub(crate) struct InterruptArgs {
    #[command(flatten)]
    which: Which,
}

const INTERRUPT_EXAMPLES: &str = "\
Examples:
  sorna interrupt zuF1OzMIhFknyjUl7Apbvg

With the token of a session, or its name in Backend.AI:
  sorna interrupt my-session";

/// Restart kernels: interpreter state is lost, files are kept.
///
/// Managers of Backend.AI from 26.4 on do not restart sessions.
///
/// Exit code: 0; 1 if a kernel could not be restarted; 2 for a usage error or a wrong setting.
#[derive(Debug, Args)]
#[command(override_usage = "sorna restart [OPTIONS] <ID>...", after_help = RESTART_EXAMPLES)]
pub(crate) struct RestartArgs {
    #[command(flatten)]
    which: Which,
}

const RESTART_EXAMPLES: &str = "\
Examples:
  sorna restart zuF1OzMIhFknyjUl7Apbvg

In Backend.AI before 26.4, also with names of sessions:
  sorna restart my-session";

/// Destroy kernels and their files.
///
/// Exit code: 0; 1 if a kernel could not be destroyed or did not exist; 2 for a usage error or a wrong
/// setting.
#[derive(Debug, Args)]
#[command(override_usage = "sorna destroy [OPTIONS] <ID>...", after_help = DESTROY_EXAMPLES)]
pub(crate) struct DestroyArgs {
    #[command(flatten)]
    which: Which,

    /// Destroy sessions of Backend.AI whatever their status, also those that hang while they start or end.
    #[arg(long)]
    force: bool,
}

const DESTROY_EXAMPLES: &str = "\
Examples:
  sorna destroy zuF1OzMIhFknyjUl7Apbvg
  sorna destroy zuF1OzMIhFknyjUl7Apbvg kJ6CgWR7Tz3_v2WsDHOwLQ

In Backend.AI, also with names of sessions:
  sorna destroy my-session
  sorna ps -q | xargs -r sorna destroy   # all of them";

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// IDs of the kernels, as `sorna run` and `sorna shell` show them, and, on gateways of `sorna serve`, their session
    /// tokens. In Backend.AI also names of sessions, and what a name or an ID starts with.
    #[arg(
        value_name = "ID",
        required = true,
        allow_hyphen_values = true,
        value_parser = id_or_token
    )]
    ids: Vec<String>,
}

/// An argument that may be an ID, or, so that it can be explained that there is none, the option with a token.
fn id_or_token(text: &str) -> Result<String, String> {
    match is_token(text) {
        true => Ok(text.to_owned()),
        false => values::kernel_or_lang(text),
    }
}

/// Whether it is the option by which other commands take a token, or a session's name. Kernel IDs may begin like it.
fn is_token(text: &str) -> bool {
    text.starts_with("--client-token") || (text.starts_with("-t") && !values::is_id(text))
}

/// Why an operation on a kernel failed.
pub(crate) enum Stop {
    /// The request failed; the other kernels are still attempted.
    Kernel(Error),
    /// The session cannot be destroyed in its status, which it keeps.
    Hanging(Error),
    /// The command itself cannot continue.
    Command(Failure),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Kernel(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Command(failure)
    }
}

impl Which {
    /// The IDs, and what may be one or a token.
    fn ids(&self, globals: &Globals) -> Result<Vec<KernelId>, Failure> {
        if self.ids.iter().any(|id| is_token(id)) {
            return Err(Failure::NeedsIds);
        }
        let ids = self.ids.iter().map(|id| spoken::kernel_id(id, globals));
        ids.collect()
    }

    /// Does the same with each kernel, even if it fails for another one.
    pub(crate) fn each(
        &self,
        globals: &Globals,
        mut act: impl FnMut(&Target, &mut Reporter, &Found) -> Result<(), Stop>,
    ) -> Result<Exit, Failure> {
        let ids = self.ids(globals)?;
        let target = Target::open(globals)?;
        let finds = spoken::version(&target)?.dialect() == Dialect::BackendAi;
        // All before anything is done: it may change what the others are found by, or whether they are.
        let found = ids.iter().map(|id| find_any(&target, id.as_str()));
        let found: Vec<_> = found.collect();
        let mut reporter = Reporter::new(false);
        let mut exit = Exit::SUCCESS;
        let mut done: Vec<KernelId> = Vec::new();
        for found in found {
            let found = match found {
                Ok(found) => found,
                Err(failure) if failure.is_of_one_session() => {
                    failure.show();
                    exit = Exit::FAILURE;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let kernel = &found.kernel;
            // It may have been given twice, by its name and its ID, too.
            if done.contains(kernel.id()) {
                continue;
            }
            done.push(kernel.id().clone());
            match act(&target, &mut reporter, &found) {
                Ok(()) => {}
                Err(Stop::Command(failure)) => return Err(failure),
                Err(Stop::Kernel(error)) => {
                    reporter.clear();
                    let capital = target.terms().capital;
                    reporter.advice(format_args!("{capital} {}:", kernel.id()));
                    show_error_of(&mut reporter, &error, &target, kernel.id(), NO_ID);
                    if finds && let Some(advice) = found.advice(&target, &error) {
                        reporter.advice(advice);
                    }
                    exit = Exit::FAILURE;
                }
                Err(Stop::Hanging(error)) => {
                    reporter.clear();
                    reporter.fail(&error);
                    reporter.advice(format_args!(
                        "If it hangs, use `sorna destroy --force {}`.",
                        kernel.id()
                    ));
                    exit = Exit::FAILURE;
                }
            }
        }
        Ok(exit)
    }
}

/// Carries out `info`.
pub(crate) fn info(arguments: &InfoArgs, globals: &Globals) -> Result<Exit, Failure> {
    let mut is_first = true;
    arguments.which.each(globals, |_, _, found| {
        let kernel = &found.kernel;
        let info = kernel.info()?;
        let mut text = String::new();
        if arguments.json {
            text = json(kernel.id(), &info);
        } else {
            if !is_first {
                text.push('\n');
            }
            text.push_str(&describe(kernel.id(), &info));
        }
        is_first = false;
        print(text.as_bytes())?;
        Ok(())
    })
}

/// Carries out `interrupt`.
pub(crate) fn interrupt(arguments: &InterruptArgs, globals: &Globals) -> Result<Exit, Failure> {
    let mut is_blocked = false;
    let exit = arguments.which.each(globals, |target, reporter, found| {
        let (kernel, noun) = (&found.kernel, target.terms().kernel);
        match kernel.interrupt() {
            Err(Error::Build(error @ BuildError::NotOffered { .. })) => {
                return Err(Stop::Command(Failure::Usage {
                    message: error.to_string(),
                    advice: Some(
                        format!(
                            "Stop what runs with `sorna restart {}`, which keeps the files and loses variables.",
                            kernel.id()
                        )
                        .into(),
                    ),
                }));
            }
            result => result?,
        }
        let state = left::free(target, kernel, reporter);
        reporter.done(format_args!("Interrupted {noun} {found}."));
        if state == State::Blocked {
            reporter.advice(left::blocked(kernel.id()));
            is_blocked = true;
        }
        Ok(())
    })?;
    Ok(if is_blocked { Exit::FAILURE } else { exit })
}

/// Carries out `restart`.
pub(crate) fn restart(arguments: &RestartArgs, globals: &Globals) -> Result<Exit, Failure> {
    arguments.which.each(globals, |target, reporter, found| {
        found.kernel.restart()?;
        left::forget_executions(target, found.kernel.id());
        let noun = target.terms().kernel;
        reporter.done(format_args!("Restarted {noun} {found}."));
        Ok(())
    })
}

/// Why a kernel was not destroyed.
fn not_destroyed(error: Error) -> Stop {
    let stays = |error: &GatewayError| error.is_forbidden() || error.status().is_success();
    if error.gateway().is_some_and(stays) {
        Stop::Hanging(error)
    } else {
        Stop::Kernel(error)
    }
}

/// Carries out `destroy`.
pub(crate) fn destroy(arguments: &DestroyArgs, globals: &Globals) -> Result<Exit, Failure> {
    arguments.which.each(globals, |target, reporter, found| {
        let (kernel, noun) = (&found.kernel, target.terms().kernel);
        if arguments.force {
            kernel.destroy_by_force()?;
        } else if target.terms() == Terms::SESSION && found.is_pending()? {
            // Managers may go on starting it.
            reporter.wait("Waiting until the session is gone...");
            kernel.destroy_until_gone().map_err(not_destroyed)?;
        } else {
            kernel.destroy().map_err(not_destroyed)?;
        }
        left::forget(target, kernel.id());
        reporter.done(format_args!("Destroyed {noun} {found}."));
        Ok(())
    })
}

fn json(id: &KernelId, info: &KernelInfo) -> String {
    let left = time_left(info).and_then(|left| u64::try_from(left.as_millis()).ok());
    let mut info = serde_json::to_value(info).expect("a kernel's fields are JSON");
    for value in info
        .as_object_mut()
        .into_iter()
        .flat_map(|o| o.values_mut())
    {
        if let Some(whole) = whole(value) {
            *value = whole.into();
        }
    }
    info["kernelId"] = id.as_str().into();
    if let Some(left) = left {
        info["endsIn"] = left.into();
    }
    print::line(&info)
}

/// A number without a fraction, as the gateway most likely wrote it.
fn whole(value: &Value) -> Option<i64> {
    /// Up to here, each whole number is one in floating point, too.
    const MOST: f64 = 9_007_199_254_740_992.0;
    let number = value.as_f64().filter(|_| value.is_f64())?;
    if number.fract() != 0.0 || number.abs() > MOST {
        return None;
    }
    format!("{number:.0}").parse().ok()
}

/// What is known of a kernel, line by line.
pub(crate) fn describe(id: &KernelId, info: &KernelInfo) -> String {
    columns(&fields(id, info))
}

fn fields(id: &KernelId, info: &KernelInfo) -> Vec<[String; 2]> {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let kib = |bytes: u64| bytes as f64 / 1024.0;
    // Of Backend.AI, whose fields have names of their own: see `SHOWN`.
    let language = info.language().filter(|_| info.image().is_none());
    let mut fields = vec![("ID", Some(id.to_string()))];
    fields.extend([
        ("Language", language.map(str::to_owned)),
        ("Image", info.image().map(safe)),
        ("Status", info.status().map(safe)),
        ("Reason", info.status_info().map(safe)),
        ("Created", info.creation_time().map(moment)),
        ("Resources", info.occupied_slots().map(slots)),
        ("Age", info.age().map(ms).map(time)),
        ("Idle for", info.idle().map(ms).map(time)),
        ("Idle timeout", info.idle_timeout().map(ms).map(limit)),
        ("Ends", end(info)),
        ("Busy", info.busy().map(|busy| safe(&busy.to_string()))),
        ("Queries so far", info.executions().map(|n| n.to_string())),
        (
            "Execution time limit",
            info.exec_timeout().map(ms).map(limit),
        ),
        ("Memory used", info.memory_used().map(kib).map(size)),
        (
            "Memory limit",
            info.max_memory().map(kib).map(|kib| or_none(kib, size)),
        ),
        ("CPU time used", info.cpu_time_used().map(ms).map(time)),
        ("CPU time limit", info.max_cpu_time().map(ms).map(limit)),
    ]);
    let mut lines: Vec<_> = fields
        .into_iter()
        .filter_map(|(name, value)| Some([name.to_owned(), value?]))
        .collect();
    let extra = info.extra().iter();
    let extra = extra.filter(|(name, _)| {
        !["busy", "memoryAsked"].contains(&name.as_str())
            && (info.status().is_none() || !SHOWN.contains(&name.as_str()))
    });
    lines.extend(extra.filter_map(|(name, value)| {
        let text = readable(value).filter(|text| !text.is_empty())?;
        let title = TITLES.iter().find(|(known, _)| known == name);
        let title = title.map_or_else(|| safe(name), |(_, title)| (*title).to_owned());
        Some([title, text])
    }));
    lines
}

/// When the kernel ends by itself, if its gateway says for how long one may be idle.
fn end(info: &KernelInfo) -> Option<String> {
    let left = time_left(info)?.as_secs_f64() * 1000.0;
    Some(format!("in {} if nothing uses it", time(left)))
}

/// For how long the kernel will stay if nothing uses it, as far as its gateway says.
pub(crate) fn time_left(info: &KernelInfo) -> Option<Duration> {
    let most = info.idle_timeout().filter(|time| !time.is_zero());
    let idle = most.zip(info.idle());
    let left = idle.map(|(most, idle)| most.saturating_sub(idle));
    // Of Backend.AI: the first check that fails ends the session.
    let checks = info.idle_checks().into_iter().flat_map(|all| all.values());
    let checks = checks.filter_map(|check| check.get("remaining")?.as_f64());
    let checks = checks.filter_map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok());
    left.into_iter().chain(checks).min()
}

/// What people call fields of Backend.AI.
const TITLES: &[(&str, &str)] = &[
    ("architecture", "Architecture"),
    ("domainName", "Domain"),
    ("tag", "Tag"),
];

/// A value without the signs of JSON; `None` if there is none.
fn readable(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => match whole(value) {
            Some(whole) => whole.to_string(),
            None => number.to_string(),
        },
        Value::String(text) => safe(text),
        Value::Array(values) => {
            let values: Vec<_> = values.iter().filter_map(readable).collect();
            values.join(", ")
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                let value = readable(value).filter(|text| !text.is_empty())?;
                Some(format!("{} {value}", safe(name)))
            };
            let fields: Vec<_> = fields.iter().filter_map(field).collect();
            fields.join(", ")
        }
    })
}

/// Fields of Backend.AI that are shown by another name, and those that are of no use to people.
const SHOWN: &[&str] = &[
    "image",
    "status",
    "statusInfo",
    "statusData",
    "creationTime",
    "terminationTime",
    "occupiedSlots",
    "occupyingSlots",
    "requestedSlots",
    "occupiedShares",
    "resourceOpts",
    "environ",
    "lastStat",
    "idleChecks",
    "containerId",
    "userId",
    "groupId",
    "registry",
    "lang",
];

/// Amounts of resources, such as `cpu 1, mem 256 MiB`.
fn slots(slots: BTreeMap<String, String>) -> String {
    let slots = slots.iter().map(|(name, amount)| slot(name, amount));
    slots.collect::<Vec<_>>().join(", ")
}

/// An amount of a resource, such as `mem 256 MiB`.
pub(crate) fn slot(name: &str, amount: &str) -> String {
    let number: Option<f64> = amount.parse().ok();
    match number {
        Some(bytes) if name == "mem" => format!("mem {}", size(bytes / 1024.0)),
        Some(number) => format!("{} {number}", safe(name)),
        None => format!("{} {}", safe(name), safe(amount)),
    }
}

fn limit(ms: f64) -> String {
    or_none(ms, time)
}

/// A limit; 0 means that there is none.
fn or_none(number: f64, show: impl FnOnce(f64) -> String) -> String {
    if number == 0.0 {
        "(none)".to_owned()
    } else {
        show(number)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_shown_without_the_signs_of_json() {
        for (value, text) in [
            (json!(null), None),
            (json!("x86_64"), Some("x86_64")),
            (json!(""), Some("")),
            (json!(true), Some("yes")),
            (json!(2.0), Some("2")),
            (json!(2.5), Some("2.5")),
            (json!(["a", null, 1]), Some("a, 1")),
            (
                json!({"a": "x", "b": null, "c": {"d": [1, 2]}}),
                Some("a x, c d 1, 2"),
            ),
            (json!("\u{1b}[2J"), Some("\u{fffd}[2J")),
        ] {
            assert_eq!(readable(&value).as_deref(), text, "{value}");
        }
    }
}

//! `sorna events`.

use std::time::SystemTime;

use clap::Args;
use serde_json::{Value, json};
use sorna::blocking::Events;
use sorna::{Error, SessionEvent, SubscribeEvents};

use super::{find, open};
use crate::advice::show_error;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::harmless::safe;
use crate::print::{self, print};
use crate::reporter::Reporter;
use crate::units::since_1970;

/// Print events of sessions as they happen.
///
/// Prints events of all your sessions, or of one session until it ends. Backend.AI only.
///
/// Exit code: 0 if the session has ended, or the gateway ends the stream; 1 if the gateway returned an error
/// or could not be reached, or there is no such session; 2 for a usage error or a wrong setting.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EventsArgs {
    /// Name or ID of the session, or what it starts with.
    #[arg(value_name = "NAME")]
    session: Option<String>,

    /// Print events as JSON, one per line.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  sorna events
  sorna events --json my-session | jq -r .event";

/// Carries out the command.
pub(crate) fn events(arguments: &EventsArgs, globals: &Globals) -> Result<Exit, Failure> {
    let target = open(globals, "events")?;
    let stream = match &arguments.session {
        Some(text) => find(&target, text)?.kernel.events(),
        None => target.client.events(SubscribeEvents::new()),
    };
    let mut reporter = Reporter::new(false);
    match stream.map(|stream| show(arguments, stream, &mut reporter)) {
        Ok(Ok(result)) => result,
        Ok(Err(error)) | Err(error) => {
            show_error(&mut reporter, &error, &target);
            Ok(Exit::FAILURE)
        }
    }
}

fn show(
    arguments: &EventsArgs,
    mut stream: Events,
    reporter: &mut Reporter,
) -> Result<Result<Exit, Failure>, Error> {
    reporter.info("Waiting for events (Ctrl-C ends it).");
    while let Some(event) = stream.next_event()? {
        let text = match arguments.json {
            true => line(&event),
            false => words(&event),
        };
        if let Err(failure) = print(text.as_bytes()) {
            return Ok(Err(failure));
        }
        if arguments.session.is_some() && (event.is_terminated() || event.is_failure()) {
            break;
        }
    }
    Ok(Ok(Exit::SUCCESS))
}

fn line(event: &SessionEvent) -> String {
    let mut fields = json!({ "event": event.name, "reason": event.reason });
    let mut set = |name: &str, value: Value| {
        if !value.is_null() {
            fields[name] = value;
        }
    };
    set("sessionId", event.session_id.as_deref().into());
    set("sessionName", event.session_name.as_deref().into());
    set("kernelId", event.kernel_id.as_deref().into());
    set("exitCode", event.exit_code.into());
    set("clusterRole", event.cluster_role.as_deref().into());
    set("clusterIdx", event.cluster_index.into());
    set("raw", event.raw.as_deref().into());
    for (name, value) in &event.extra {
        set(name, value.clone());
    }
    print::line(&fields)
}

/// On one line: when, what, of which session, and why.
fn words(event: &SessionEvent) -> String {
    let now = since_1970(SystemTime::now()).map(|time| time.strftime("%H:%M:%SZ").to_string());
    let session = event
        .session_name
        .as_deref()
        .or(event.session_id.as_deref());
    let mut words = format!("{} {}", now.unwrap_or_default(), safe(&event.name));
    if let Some(session) = session {
        words.push(' ');
        words.push_str(&safe(session));
    }
    if !event.reason.is_empty() {
        words.push_str(&format!(" ({})", safe(&event.reason)));
    }
    words.push('\n');
    words
}

//! `sorna ps`.

use clap::Args;
use serde_json::json;
use sorna::{ListSessions, SessionSummary};

use super::{moment, open};
use crate::advice::show_error;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::harmless::safe;
use crate::print::{self, columns, print};
use crate::reporter::Reporter;

/// List your sessions that have not ended.
///
/// Backend.AI only.
///
/// Exit code: 0, even without sessions; 1 if the gateway returned an error or could not be reached; 2 for a
/// usage error or a wrong setting.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PsArgs {
    /// List those that have ended, too.
    #[arg(short, long)]
    all: bool,

    /// Print only the names, one per line.
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,

    /// Print only the IDs, one per line; with --quiet, the names and then the IDs.
    #[arg(long, conflicts_with = "json")]
    ids: bool,

    /// Print the list as JSON, one session per line.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  sorna ps
  sorna ps --all --json | jq -r 'select(.status == \"TERMINATED\").id'
  sorna ps -q | xargs -r sorna destroy";

/// Carries out the command.
pub(crate) fn ps(arguments: &PsArgs, globals: &Globals) -> Result<Exit, Failure> {
    let target = open(globals, "lists of sessions")?;
    let list = match arguments.all {
        true => ListSessions::new(),
        false => ListSessions::living(),
    };
    let list = list.with_limit(100).with_order("-created_at");
    let list = match target.owner() {
        Some(key) => list.with_owner(key),
        None => list,
    };
    let sessions = match target.client.list(list) {
        Ok(sessions) => sessions,
        Err(error) => {
            show_error(&mut Reporter::new(false), &error, &target);
            return Ok(Exit::FAILURE);
        }
    };
    if arguments.quiet || arguments.ids {
        let names = sessions.iter().map(|session| match session.name.as_str() {
            "" => session.id.as_str(),
            name => name,
        });
        let ids = sessions.iter().map(|session| session.id.as_str());
        let names = names.filter(|_| arguments.quiet);
        let ids = ids.filter(|_| arguments.ids);
        let lines = names.chain(ids).map(|text| format!("{}\n", safe(text)));
        return print(lines.collect::<String>().as_bytes());
    }
    if arguments.json {
        let text: String = sessions.iter().map(line).collect();
        return print(text.as_bytes());
    }
    let mut lines = vec![["NAME", "STATUS", "IMAGE", "CREATED", "ID"].map(str::to_owned)];
    lines.extend(sessions.iter().map(|session| {
        [
            session.name.clone(),
            session.status.to_string(),
            session.image.clone().unwrap_or_default(),
            moment(session.created_at.as_deref().unwrap_or_default()),
            session.id.to_string(),
        ]
    }));
    match sessions.is_empty() {
        true => {
            Reporter::new(false).info("No sessions.");
            Ok(Exit::SUCCESS)
        }
        false => print(columns(&lines).as_bytes()),
    }
}

fn line(session: &SessionSummary) -> String {
    let mut fields = json!({
        "id": session.id,
        "name": session.name,
        "status": session.status,
        "image": session.image,
        "createdAt": session.created_at,
    });
    if let Some(kind) = session.extra.get("type") {
        fields["type"] = kind.clone();
    }
    if let Some(info) = session.extra.get("status_info") {
        fields["statusInfo"] = info.clone();
    }
    print::line(&fields)
}

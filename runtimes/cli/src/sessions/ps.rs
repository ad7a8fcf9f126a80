//! `sorna ps`.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use sorna::{KernelInfo, ListSessions, SessionSummary};

use super::{moment, open};
use crate::advice::show_error;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::harmless::safe;
use crate::kernels::time_left;
use crate::print::{self, columns, print};
use crate::reporter::Reporter;
use crate::target::Target;
use crate::units::time;

/// List your sessions that have not ended.
///
/// Of those that run, the gateway is asked what uses them: it may say what runs in them and since when, or for how long
/// nothing has, and after which time they end if that stays so. Backend.AI only.
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

    /// Print the list as JSON, one session per line. Of those that run, as far as the gateway says: busy, with what runs in it;
    /// idle, for how long nothing has; and endsIn, after which time it ends if nothing uses it. Times are in ms.
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
    let infos: Vec<_> = infos(&target, &sessions);
    let with_infos = sessions.iter().zip(infos.iter().map(Option::as_ref));
    if arguments.json {
        let text: String = with_infos
            .map(|(session, info)| line(session, info))
            .collect();
        return print(text.as_bytes());
    }
    let mut lines = vec![["NAME", "STATUS", "IMAGE", "CREATED", "ID", "USE"].map(str::to_owned)];
    lines.extend(with_infos.map(|(session, info)| {
        [
            session.name.clone(),
            session.status.to_string(),
            session.image.clone().unwrap_or_default(),
            moment(session.created_at.as_deref().unwrap_or_default()),
            session.id.to_string(),
            info.map(usage).unwrap_or_default(),
        ]
    }));
    if lines.iter().skip(1).all(|line| line[5].is_empty()) {
        lines[0][5].clear();
    }
    match sessions.is_empty() {
        true => {
            Reporter::new(false).info("No sessions.");
            Ok(Exit::SUCCESS)
        }
        false => print(columns(&lines).as_bytes()),
    }
}

/// The most sessions that are asked about one by one.
const ASKED: usize = 20;

/// What the gateway says of the first sessions that run. What it does not say is left out: they may end meanwhile.
fn infos(target: &Target, sessions: &[SessionSummary]) -> Vec<Option<KernelInfo>> {
    let mut left = ASKED;
    let info = |session: &SessionSummary| {
        if session.status != "RUNNING" || left == 0 {
            return None;
        }
        left -= 1;
        target.client.kernel(session.id.clone()).info().ok()
    };
    sessions.iter().map(info).collect()
}

/// What uses a session, for people, and when it ends.
fn usage(info: &KernelInfo) -> String {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    if let Some(busy) = info.busy() {
        return format!("busy: {}", safe(&busy.to_string()));
    }
    let idle = info
        .idle()
        .map(|idle| format!("idle for {}", time(ms(idle))));
    let end = time_left(info).map(|left| format!("ends in {}", time(ms(left))));
    let both: Vec<_> = idle.into_iter().chain(end).collect();
    both.join(", ")
}

fn line(session: &SessionSummary, info: Option<&KernelInfo>) -> String {
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
    if let Some(info) = info {
        let ms = |time: Duration| json!(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        if let Some(busy) = info.busy() {
            fields["busy"] = json!(busy);
        }
        let times = [("idle", info.idle()), ("endsIn", time_left(info))];
        for (name, time) in times {
            if let Some(time) = time {
                fields[name] = ms(time);
            }
        }
    }
    print::line(&fields)
}

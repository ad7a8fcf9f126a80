//! Tools that show what there is, and end sessions.

use serde::Deserialize;
use serde_json::json;

use crate::answer::{Answer, shown};
use crate::client_id::ClientId;
use crate::failure::Failure;
use crate::sessions::Sessions;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoArguments {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CloseSession {
    session: String,
}

pub(super) async fn languages(sessions: &Sessions) -> Result<Answer, Failure> {
    let all = sessions.languages().await;
    let all = all.map_err(|error| Failure::of("The languages are not known", &error))?;
    let are_images = sessions.are_images().await;
    // Images of a cluster are fetched when they are needed.
    let usable: Vec<_> = all
        .iter()
        .filter(|it| it.available || it.missing.is_none())
        .collect();
    let lines = usable.iter().map(|it| {
        let aliases = match it.aliases.is_empty() {
            true => String::new(),
            false => format!(" (also {})", it.aliases.join(", ")),
        };
        let state = match it.keeps_state || are_images {
            true => "",
            false => ", whole programs",
        };
        format!("{}{aliases}{state}", it.name)
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let list: Vec<_> = usable
        .iter()
        .map(|it| match are_images {
            true => json!({"name": it.name, "aliases": it.aliases}),
            false => {
                json!({"name": it.name, "aliases": it.aliases, "keeps_state": it.keeps_state})
            }
        })
        .collect();
    Ok(Answer::new(text, json!({"languages": list})))
}

pub(super) fn sessions(sessions: &Sessions, client: &ClientId) -> Answer {
    let (own, others) = sessions.of(client);
    let mut lines = Vec::new();
    let mut list = Vec::new();
    for session in &own {
        let (runs, idle) = session.usage();
        let running = session.running();
        let state = match &running {
            Some(run) => format!("runs {}, since {}", run.id, shown(run.time())),
            None => format!("unused for {}", shown(idle)),
        };
        lines.push(format!("{}: {}, {state}", session.name, session.language));
        list.push(json!({
            "session": session.name,
            "language": session.language,
            "running": running.map(|run| run.id.clone()),
            "runs": runs,
            "idle_seconds": idle.as_secs(),
        }));
    }
    let mut fields = json!({"sessions": list});
    if lines.is_empty() {
        lines.push("There are no sessions.".to_owned());
    }
    if others > 0 {
        lines.push(format!("[Other clients have {others} more.]"));
        fields["others"] = others.into();
    }
    Answer::new(lines.join("\n"), fields)
}

pub(super) async fn close_session(
    sessions: &Sessions,
    arguments: CloseSession,
    client: &ClientId,
) -> Result<Answer, Failure> {
    let session = sessions.named(client, &arguments.session)?;
    if !sessions.close_for(client, &session).await {
        return Err(Failure::new(format!(
            "The gateway has not ended session {} yet: it cannot be reached, or is silent. That is tried again as long as this server runs, for 10 minutes at most; its variables and files are lost.",
            session.name
        )));
    }
    Ok(Answer::new(
        format!("Closed {}, with its variables and files.", session.name),
        json!({"session": session.name, "closed": true}),
    ))
}

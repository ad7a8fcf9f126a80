//! What calls of tools come to.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::caller::Caller;
use super::tool::Tool;
use super::{files, list, runs};
use crate::answer::Answer;
use crate::failure::Failure;
use crate::sessions::Sessions;

/// Does what a tool is there for.
pub(crate) async fn call(
    tool: Tool,
    sessions: &Sessions,
    arguments: Map<String, Value>,
    caller: &Caller,
) -> Result<Answer, Failure> {
    let client = &caller.client;
    let patience = sessions.options().patience;
    match tool {
        Tool::RunCode => runs::run_code(sessions, read(tool, arguments)?, caller).await,
        Tool::Start => runs::start(sessions, read(tool, arguments)?, caller).await,
        Tool::Wait => runs::wait(sessions, read(tool, arguments)?, caller).await,
        Tool::Interrupt => runs::interrupt(sessions, read(tool, arguments)?, caller).await,
        Tool::WriteFile => {
            let written = files::write_file(sessions, read(tool, arguments)?, client);
            let what = "the file may be written later, or not at all";
            within(patience, what, written).await
        }
        Tool::ReadFile => {
            let read = files::read_file(sessions, read(tool, arguments)?, client);
            within(patience, "the file was not read", read).await
        }
        Tool::ListFiles => {
            let listed = files::list_files(sessions, read(tool, arguments)?, client);
            within(patience, "the files are not known", listed).await
        }
        Tool::ListLanguages => {
            let list::NoArguments {} = read(tool, arguments)?;
            let listed = list::languages(sessions);
            within(patience, "the languages are not known", listed).await
        }
        Tool::ListSessions => {
            let list::NoArguments {} = read(tool, arguments)?;
            Ok(list::sessions(sessions, client))
        }
        Tool::CloseSession => list::close_session(sessions, read(tool, arguments)?, client).await,
    }
}

/// What a call comes to, unless the gateway is silent for longer than a client waits.
async fn within(
    patience: Duration,
    what: &str,
    called: impl Future<Output = Result<Answer, Failure>>,
) -> Result<Answer, Failure> {
    let called = tokio::time::timeout(patience, called).await;
    called.unwrap_or_else(|_| Err(runs::silent(patience, what)))
}

/// The arguments of a tool. What is null is taken as left out.
fn read<T: DeserializeOwned>(tool: Tool, arguments: Map<String, Value>) -> Result<T, Failure> {
    let given: Map<_, _> = arguments
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .collect();
    let description = tool.description();
    if let Some(wrong) = description.wrong_type(&given) {
        return Err(Failure::new(wrong));
    }
    serde_json::from_value(Value::Object(given)).map_err(|error| {
        let allowed = description.arguments();
        Failure::new(format!(
            "Wrong arguments: {error}. {} takes: {allowed}.",
            tool.name()
        ))
    })
}

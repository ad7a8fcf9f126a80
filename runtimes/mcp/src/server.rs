//! The tools, by the SDK's protocol.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomRequest,
    CustomResult, ErrorCode, ErrorData, Implementation, ListToolsResult, PaginatedRequestParams,
    ProgressNotificationParam, ProtocolVersion, ServerCapabilities, ServerConfig,
    Tool as ToolModel, ToolAnnotations,
};
use rmcp::service::RequestContext;
use rmcp::transport::common::http_header::HEADER_SESSION_ID;
use rmcp::{RoleServer, ServerHandler};
use serde_json::Value;

use crate::answer::Answer;
use crate::client_id::ClientId;
use crate::failure::Failure;
use crate::sessions::Sessions;
use crate::tools::{Caller, Hints, Progress, Tool, call};

/// The revisions that it is tested with.
const VERSIONS: &[ProtocolVersion] = &[
    ProtocolVersion::V_2025_06_18,
    ProtocolVersion::V_2025_11_25,
    ProtocolVersion::V_2026_07_28,
];

/// For how long a client that says nothing is known at least: a person may come back to it after a night.
const MEMORY: Duration = Duration::from_secs(24 * 60 * 60);

/// What answers a client.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    sessions: Sessions,
    /// Whether there may be other clients.
    is_shared: bool,
}

impl Service {
    /// What answers one client, with all sessions for itself.
    pub(crate) fn new(sessions: Sessions) -> Self {
        Self {
            sessions,
            is_shared: false,
        }
    }

    /// What answers any number of clients.
    pub(crate) fn shared(sessions: Sessions) -> Self {
        Self {
            sessions,
            is_shared: true,
        }
    }

    /// A client that began with a handshake has ended it.
    pub(crate) fn forget(&self, id: &str) {
        self.sessions.forget(&ClientId::new(Some(id)));
    }

    /// For how long a client may say nothing, and is still known.
    pub(crate) fn memory(&self) -> Duration {
        self.sessions.options().idle_timeout.max(MEMORY)
    }
}

impl ServerHandler for Service {
    fn get_info(&self) -> ServerConfig {
        let name = Implementation::new("sorna", env!("CARGO_PKG_VERSION"))
            .with_title("Sorna: run code in a sandbox");
        let place = &self.sessions.options().place;
        let others = match self.is_shared {
            true => {
                "Other clients may use this server, too: a session is yours alone if its name is one that no other client would choose. "
            }
            false => "",
        };
        let instructions = format!(
            "Runs code in sessions of many languages. run_code is enough for most things: variables and files stay in the session of the language. \
             Use `start` and `wait` for what takes longer than a minute. {others}{place}"
        );
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(name)
            .with_instructions(instructions.trim_end())
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(VERSIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut tools: Vec<_> = Tool::ALL.into_iter().map(model).collect();
        if shows_objects_alone(&context) {
            for tool in &mut tools {
                tool.output_schema = None;
            }
        }
        Ok(ListToolsResult::with_all_items(tools))
    }

    fn get_tool(&self, name: &str) -> Option<ToolModel> {
        Tool::named(name).map(model)
    }

    /// What the SDK does not know, and what it knows by other parameters.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = request.method;
        let given = request.params.unwrap_or_default();
        let reason = match method.as_str() {
            "tools/call" => serde_json::from_value::<CallToolRequestParams>(given).err(),
            "tools/list" => serde_json::from_value::<PaginatedRequestParams>(given).err(),
            "server/discover" => None,
            // Also those that the revision of a request has no more.
            _ => {
                let text = format!("There is no method `{method}`.");
                return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, text, None));
            }
        };
        let reason = reason.map_or_else(|| "not understood".to_owned(), |it| it.to_string());
        let text = format!("The parameters of `{method}` are wrong: {reason}.");
        Err(ErrorData::invalid_params(text, None))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = Tool::named(&request.name) else {
            let names: Vec<_> = Tool::ALL.into_iter().map(Tool::name).collect();
            return Err(ErrorData::invalid_params(
                format!(
                    "There is no tool `{}`. There are: {}.",
                    request.name,
                    names.join(", ")
                ),
                None,
            ));
        };
        let arguments = request.arguments.unwrap_or_default();
        let caller = caller(&context);
        let result = call(tool, &self.sessions, arguments, &caller).await;
        Ok(match result {
            Ok(answer) => succeeded(answer, !shows_objects_alone(&context)),
            Err(failure) => failed(&failure),
        }
        .into())
    }
}

/// Whether this is a client whose model sees nothing but the object of an answer, where there is one: no images, and none of the text
/// that is made for models. (Reported for Claude Code, anthropics/claude-code#54737 and #79944; Codex serializes the object
/// in place of all else.)
fn shows_objects_alone(context: &RequestContext<RoleServer>) -> bool {
    let client = context.client_info();
    client.is_some_and(|client| {
        let name = client.name.to_ascii_lowercase();
        ["claude-code", "codex"]
            .iter()
            .any(|it| name.starts_with(it))
    })
}

fn caller(context: &RequestContext<RoleServer>) -> Caller {
    let progress = context.meta.get_progress_token().map(|token| {
        let peer = context.peer.clone();
        let progress: Progress = Arc::new(move |seconds, line| {
            let mut note = ProgressNotificationParam::new(token.clone(), seconds);
            note = note.with_message(match line.is_empty() {
                true => format!("running for {seconds:.0} s"),
                false => line,
            });
            let peer = peer.clone();
            Box::pin(async move {
                // A client that does not listen gets its answer all the same.
                let _ = peer.notify_progress(note).await;
            })
        });
        progress
    });
    let head = context.extensions.get::<http::request::Parts>();
    let id = head.and_then(|head| head.headers.get(HEADER_SESSION_ID));
    Caller {
        client: ClientId::new(id.and_then(|id| id.to_str().ok())),
        cancelled: context.ct.clone(),
        progress,
    }
}

fn model(tool: Tool) -> ToolModel {
    let description = tool.description();
    let Hints {
        reads_only,
        is_destructive,
        is_idempotent,
        is_open,
    } = description.hints;
    let annotations = ToolAnnotations::with_title(description.title)
        .read_only(reads_only)
        .destructive(is_destructive)
        .idempotent(is_idempotent)
        .open_world(is_open);
    ToolModel::new(tool.name(), description.text, object(description.input))
        .with_title(description.title)
        .with_raw_output_schema(object(description.output))
        .with_annotations(annotations)
}

fn object(schema: Value) -> Arc<serde_json::Map<String, Value>> {
    match schema {
        Value::Object(schema) => Arc::new(schema),
        _ => Arc::default(),
    }
}

fn succeeded(answer: Answer, with_object: bool) -> CallToolResult {
    let mut content = Vec::new();
    // Some models refuse text that has nothing to read.
    let is_blank = answer.text.trim().is_empty();
    if !is_blank {
        content.push(ContentBlock::text(answer.text));
    } else if answer.images.is_empty() {
        content.push(ContentBlock::text(format!(
            "{}[White space only.]",
            answer.text
        )));
    }
    let images = answer.images.into_iter();
    content.extend(images.map(|image| ContentBlock::image(image.data, image.media_type)));
    let mut result = CallToolResult::success(content);
    result.structured_content = with_object.then_some(Value::Object(answer.fields));
    result
}

fn failed(failure: &Failure) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(failure.to_string())])
}

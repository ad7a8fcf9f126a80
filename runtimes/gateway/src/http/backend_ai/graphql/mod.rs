//! `POST /admin/gql`: the queries that clients send, for sessions, the key itself, and what is around them.

mod cluster;
mod fields;

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sorna_core::KernelId;
use sorna_core::server::backend_ai::{QueryField, parse_query};

use self::fields::{Answer, keypair, select, select_all, session};
use super::answer::{Ordered, Result, ok};
use crate::http::context::Context;
use crate::sessions::Session;

/// How many sessions one page has at most.
const MAX_PAGE: usize = 100;

#[derive(Deserialize)]
struct Request {
    query: String,
    variables: Option<Map<String, Value>>,
}

/// Errors come with 200, too.
pub(super) async fn respond(context: &Context, key: &str, bytes: &[u8]) -> Result {
    // A derived implementation alone reads arrays as well.
    let request = serde_json::from_slice(bytes).map(Value::Object);
    let answer = match request.and_then(Request::deserialize) {
        Ok(request) => answer(context, key, request).await,
        Err(error) => Err(format!("the body is no query: {error}")),
    };
    let (data, errors) = match answer {
        Ok(data) => (data, Value::Null),
        Err(message) => (Answer::Value(Value::Null), json!([{"message": message}])),
    };
    Ok(ok(&Ordered(vec![
        ("data".to_owned(), data),
        ("errors".to_owned(), Answer::Value(errors)),
    ])))
}

async fn answer(
    context: &Context,
    key: &str,
    request: Request,
) -> std::result::Result<Answer, String> {
    let variables = request.variables.unwrap_or_default();
    let mut data = Vec::new();
    for field in parse_query(&request.query, &variables)? {
        let value = match field.name.as_str() {
            "compute_session_list" => list(context, key, &field)?,
            "compute_session" => one(context, key, &field)?,
            "keypair" => select(&field, &keypair(context, key), "KeyPair")?,
            "keypairs" => {
                let keys = Value::from(vec![Value::Object(keypair(context, key))]);
                select_all(&field, &keys, "KeyPair")?
            }
            "keypair_list" => {
                let items = json!([keypair(context, key)]);
                let page = json!({"items": items, "total_count": 1});
                select_all(&field, &page, "KeyPairList")?
            }
            other => match cluster::field(context, key, other).await {
                Some(value) => select_all(&field, &value, type_of(other))?,
                None => return Err(unknown(other)),
            },
        };
        data.push((field.key, value));
    }
    Ok(Answer::Object(Ordered(data)))
}

/// The name of a field's type, for messages.
fn type_of(field: &str) -> &'static str {
    match field {
        "images" => "Image",
        "domain" | "domains" => "Domain",
        "keypair_resource_policy" | "keypair_resource_policies" => "KeyPairResourcePolicy",
        "user" | "user_from_uuid" => "User",
        _ if field.starts_with("group") => "Group",
        _ => "ScalingGroup",
    }
}

fn unknown(field: &str) -> String {
    let field: String = field.chars().take(60).collect();
    match cluster::missing(&field) {
        Some(why) => format!("{field} is not offered: {why}"),
        None => format!("Cannot query field '{field}' on type 'Query'."),
    }
}

fn list(context: &Context, key: &str, field: &QueryField) -> std::result::Result<Answer, String> {
    let text = |name: &str| field.arguments.get(name).and_then(Value::as_str);
    let number = |name: &str| field.arguments.get(name).and_then(Value::as_u64);
    if text("access_key").is_some_and(|owner| owner != key) {
        return Err("a key can only see its own sessions".to_owned());
    }
    let statuses: Option<Vec<&str>> = text("status").map(|list| list.split(',').collect());
    let mut sessions = context.sessions.list(key);
    sessions.retain(|session| {
        let status = session.status();
        statuses
            .as_ref()
            .is_none_or(|wanted| wanted.iter().any(|it| it.trim() == status.as_str()))
    });
    if let Some(filter) = text("filter").filter(|filter| !filter.trim().is_empty()) {
        keep(&mut sessions, filter)?;
    }
    if let Some(order) = text("order").filter(|order| !order.trim().is_empty()) {
        sort(&mut sessions, order)?;
    }
    let total = sessions.len();
    let offset = usize::try_from(number("offset").unwrap_or_default()).unwrap_or(usize::MAX);
    let limit = usize::try_from(number("limit").unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let page = sessions.iter().skip(offset).take(limit.min(MAX_PAGE));
    let items: Vec<Value> = page.map(|it| Value::Object(session(context, it))).collect();
    let mut found = Map::new();
    found.insert("items".to_owned(), items.into());
    found.insert("total_count".to_owned(), total.into());
    select(field, &found, "ComputeSessionList")
}

fn one(context: &Context, key: &str, field: &QueryField) -> std::result::Result<Answer, String> {
    let id = field.arguments.get("id").and_then(Value::as_str);
    let id = id.ok_or("compute_session needs the argument 'id'")?;
    let found = KernelId::new(id)
        .ok()
        .and_then(|id| context.sessions.find_any(key, &id).ok());
    match found {
        Some(found) => select(field, &session(context, &found), "ComputeSession"),
        None => Ok(Answer::Value(Value::Null)),
    }
}

/// Keeps those that fulfil a filter: comparisons with `==` or `!=`, joined by `&`.
fn keep(sessions: &mut Vec<Arc<Session>>, filter: &str) -> std::result::Result<(), String> {
    let unsupported =
        || format!("the filter {filter:?} is not supported: use `name == \"…\"`, joined by `&`");
    for comparison in filter.split('&') {
        let (name, value, wanted) = match (comparison.split_once("=="), comparison.split_once("!="))
        {
            (Some((name, value)), None) => (name, value, true),
            (None, Some((name, value))) => (name, value, false),
            _ => return Err(unsupported()),
        };
        let value = value.trim().trim_matches(['"', '\'']);
        let get = by_name(name.trim()).ok_or_else(unsupported)?;
        sessions.retain(|session| (get(session) == value) == wanted);
    }
    Ok(())
}

/// Sorts by fields such as `-created_at,name`; the first counts most.
fn sort(sessions: &mut [Arc<Session>], order: &str) -> std::result::Result<(), String> {
    for name in order.rsplit(',') {
        let name = name.trim();
        let plain = name.trim_start_matches(['-', '+']);
        if plain == "created_at" {
            sessions.sort_by_key(|session| session.born);
        } else {
            let get = by_name(plain).ok_or_else(|| format!("cannot order by {plain:?}"))?;
            sessions.sort_by_key(|session| get(session));
        }
        if name.starts_with('-') {
            sessions.reverse();
        }
    }
    Ok(())
}

/// The text fields by which sessions can be filtered and ordered.
fn by_name(name: &str) -> Option<fn(&Session) -> String> {
    Some(match name {
        "name" => Session::name,
        "id" | "session_id" => |session| session.id.as_str().to_owned(),
        "status" => |session| session.status().as_str().to_owned(),
        "image" => |session| session.spec.language().to_owned(),
        "tag" => |session| session.spec.tag().unwrap_or_default().to_owned(),
        _ => return None,
    })
}

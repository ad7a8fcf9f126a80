//! `compute_session_list` of `POST /admin/gql`: all sessions, a page at a time.

use serde::{Deserialize, Serialize};

use super::summary::SessionSummary;
use crate::error::{BuildError, Error};
use crate::ops::graphql;
use crate::ops::operation::{Operation, Success};
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// The query. Its fields are those of `ComputeSession` in managers 23.09.10 and 26.8.1 alike (read in their
/// sources; a field that a manager does not know is an error of the whole query).
const QUERY: &str = "query($limit:Int!,$offset:Int!,$status:String,$access_key:String,$filter:String,\
                     $order:String){compute_session_list(limit:$limit,offset:$offset,status:$status,\
                     access_key:$access_key,filter:$filter,order:$order){items{session_id name image \
                     status created_at type status_info}total_count}}";

/// Backend.AI's list of sessions, by GraphQL (`POST /admin/gql`): one page of it. The list has sessions that
/// ended, too, unless [`statuses`](Self::statuses) or [`filter`](Self::filter) leave them out.
///
/// A query that the manager does not accept, such as one with an unknown status, comes back with status 200, and
/// is an [`Error::Gateway`] with the manager's [message](crate::GatewayError::message).
///
/// ```
/// use sorna_core::{ApiVersion, ListSessions, Operation};
///
/// let list = ListSessions::new().with_statuses(["PENDING", "RUNNING"]).with_limit(2);
/// let response = http::Response::new(
///     r#"{"data": {"compute_session_list": {"total_count": 3, "items": [
///         {"session_id": "7c548299-6be3-4613-8cf0-f11deb896755", "name": "a", "status": "RUNNING"},
///         {"session_id": "39d513e9-1d7b-48d4-9f24-1ee130b6d39b", "name": "b", "status": "PENDING"}
///     ]}}, "errors": null}"#.into(),
/// );
/// let page = list.read_response(ApiVersion::V9_20250722, response)?.value;
/// assert_eq!(page.sessions[1].name, "b");
/// assert_eq!(list.next(&page).map(|next| next.offset), Some(2));
/// # Ok::<(), sorna_core::Error>(())
/// ```
///
/// Sorna v2 has no such list ([`BuildError::Unsupported`]).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListSessions {
    /// The most sessions in the page.
    pub limit: u32,
    /// How many sessions come before the page.
    pub offset: u64,
    /// Only sessions of these statuses, in capitals: `RUNNING`; all, if it is empty. Each release has others, and
    /// one that a manager does not know is an error. Releases 23.09 and 26.8 both know `PENDING`, `SCHEDULED`,
    /// `PULLING`, `PREPARING`, `RUNNING`, `RESTARTING`, `RUNNING_DEGRADED`, `TERMINATING`, `TERMINATED`, `ERROR` and
    /// `CANCELLED`; 26.8 also has `PREPARED` and `CREATING`, among others.
    pub statuses: Vec<String>,
    /// Only sessions of this access key. Without, those that the caller may see: everyone's, for a superadmin.
    pub owner: Option<String>,
    /// A condition in the manager's language for filters, such as `name == "a"`.
    pub filter: Option<String>,
    /// The order, as fields with `+` or `-`: `-created_at`. Without, it is the manager's.
    pub order: Option<String>,
    /// Without statuses: only those of sessions that have not ended.
    is_of_living: bool,
}

/// A page of the list of sessions.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SessionPage {
    /// The sessions of this page, in the order of the list.
    pub sessions: Vec<SessionSummary>,
    /// How many sessions the list has on all pages.
    pub total_count: u64,
}

impl ListSessions {
    /// The first 20 sessions, of any status.
    #[must_use]
    pub fn new() -> Self {
        Self {
            limit: 20,
            offset: 0,
            statuses: Vec::new(),
            owner: None,
            filter: None,
            order: None,
            is_of_living: false,
        }
    }

    /// The first 20 sessions that have not ended: of the statuses `PENDING` to `TERMINATING`, and `ERROR`. Which they
    /// are depends on the version; setting [`statuses`](Self::statuses) replaces them.
    #[must_use]
    pub fn living() -> Self {
        Self {
            is_of_living: true,
            ..Self::new()
        }
    }

    /// With this [`limit`](Self::limit).
    #[must_use]
    pub fn with_limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// With this [`offset`](Self::offset).
    #[must_use]
    pub fn with_offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// With these [`statuses`](Self::statuses).
    #[must_use]
    pub fn with_statuses<S: Into<String>>(mut self, statuses: impl IntoIterator<Item = S>) -> Self {
        self.statuses = statuses.into_iter().map(Into::into).collect();
        self
    }

    /// With this [`owner`](Self::owner).
    #[must_use]
    pub fn with_owner(mut self, access_key: impl Into<String>) -> Self {
        self.owner = Some(access_key.into());
        self
    }

    /// With this [`filter`](Self::filter).
    #[must_use]
    pub fn with_filter(mut self, filter: impl Into<String>) -> Self {
        self.filter = Some(filter.into());
        self
    }

    /// With this [`order`](Self::order).
    #[must_use]
    pub fn with_order(mut self, order: impl Into<String>) -> Self {
        self.order = Some(order.into());
        self
    }

    /// The operation for the page after this one; `None` if this is the last.
    ///
    /// Pages are counted from the start of the list, which changes meanwhile: a session may be on two pages, or
    /// on none.
    #[must_use]
    pub fn next(&self, page: &SessionPage) -> Option<Self> {
        let offset = self.offset.saturating_add(page.sessions.len() as u64);
        let has_more = offset < page.total_count && !page.sessions.is_empty();
        has_more.then(|| self.clone().with_offset(offset))
    }
}

/// As [`ListSessions::new`].
impl Default for ListSessions {
    fn default() -> Self {
        Self::new()
    }
}

/// The statuses of sessions that have not ended, that managers 23.09 and later know (read in the sources of 23.09.10).
const LIVING: &str =
    "PENDING,SCHEDULED,PULLING,PREPARING,RUNNING,RESTARTING,RUNNING_DEGRADED,TERMINATING,ERROR";

/// Those that came later (read in the sources of 26.8.1, and observed on 26.9.6).
const LIVING_OF_V9: &str = ",PREPARED,CREATING";

/// The query has 32-bit integers.
const MOST: u64 = i32::MAX as u64;

#[derive(Serialize)]
struct Variables<'a> {
    limit: u64,
    offset: u64,
    status: Option<String>,
    access_key: Option<&'a str>,
    filter: Option<&'a str>,
    order: Option<&'a str>,
}

#[derive(Deserialize)]
struct Data {
    compute_session_list: List,
}

#[derive(Deserialize)]
struct List {
    // Managers may send null for a session that is gone in the middle of the query (read in 23.09.10).
    items: Vec<Option<SessionSummary>>,
    total_count: u64,
}

impl ListSessions {
    fn status(&self, version: ApiVersion) -> Option<String> {
        match (self.statuses.is_empty(), self.is_of_living) {
            (false, _) => Some(self.statuses.join(",")),
            (true, true) if version >= ApiVersion::V9_20250722 => {
                Some([LIVING, LIVING_OF_V9].concat())
            }
            (true, true) => Some(LIVING.to_owned()),
            (true, false) => None,
        }
    }
}

impl Operation for ListSessions {
    type Output = SessionPage;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        match version.dialect() {
            Dialect::SornaV2 => Err(BuildError::Unsupported {
                what: "the list of kernels",
                version,
            }),
            Dialect::BackendAi => graphql::prepare(
                QUERY,
                Variables {
                    limit: u64::from(self.limit).min(MOST),
                    offset: self.offset.min(MOST),
                    status: self.status(version),
                    access_key: self.owner.as_deref(),
                    filter: self.filter.as_deref(),
                    order: self.order.as_deref(),
                },
            ),
        }
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<SessionPage, Error> {
        let data: Data = graphql::read(
            success,
            r#"{"data": {"compute_session_list": {"items": […], "total_count": …}}}"#,
        )?;
        let list = data.compute_session_list;
        Ok(SessionPage {
            sessions: list.items.into_iter().flatten().collect(),
            total_count: list.total_count,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ops::testing::{response, sent};

    const VERSION: ApiVersion = ApiVersion::V7_20230615;

    fn variables(list: &ListSessions) -> Value {
        let (line, body) = sent(list, VERSION);
        assert_eq!(line, "POST /admin/gql");
        let mut body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["query"], QUERY);
        body["variables"].take()
    }

    #[test]
    fn living_sessions_are_asked_for_by_the_statuses_that_a_version_knows() {
        let status = |list: &ListSessions, version| {
            let (_, body) = sent(list, version);
            let body: Value = serde_json::from_str(&body).unwrap();
            body["variables"]["status"].as_str().map(str::to_owned)
        };
        let living = ListSessions::living();
        let of_v7 = status(&living, VERSION).unwrap();
        assert!(of_v7.starts_with("PENDING,SCHEDULED") && of_v7.ends_with("TERMINATING,ERROR"));
        let of_v9 = status(&living, ApiVersion::V9_20250722).unwrap();
        assert_eq!(of_v9, of_v7 + ",PREPARED,CREATING");
        let running = living.with_statuses(["RUNNING"]);
        assert_eq!(status(&running, VERSION).as_deref(), Some("RUNNING"));
        assert_eq!(status(&ListSessions::new(), VERSION), None);
    }

    #[test]
    fn a_page_is_asked_for_with_variables() {
        let null = Value::Null;
        assert_eq!(
            variables(&ListSessions::new()),
            json!({"limit": 20, "offset": 0, "status": null, "access_key": null, "filter": null, "order": null})
        );
        let list = ListSessions::new()
            .with_limit(u32::MAX)
            .with_offset(40)
            .with_statuses(["PENDING", "RUNNING"])
            .with_owner("AK")
            .with_filter("name == \"a\"")
            .with_order("-created_at");
        let expected = json!({
            "limit": 2_147_483_647, "offset": 40, "status": "PENDING,RUNNING", "access_key": "AK",
            "filter": "name == \"a\"", "order": "-created_at",
        });
        assert_eq!(variables(&list), expected);
        assert_eq!(variables(&ListSessions::default())["status"], null);
    }

    #[test]
    fn the_query_uses_every_variable_that_it_declares() {
        for name in ["limit", "offset", "status", "access_key", "filter", "order"] {
            assert_eq!(QUERY.matches(&format!("${name}:")).count(), 1, "{name}");
            assert_eq!(
                QUERY.matches(&format!("{name}:${name}")).count(),
                1,
                "{name}"
            );
        }
        let count = |c| QUERY.matches(c).count();
        assert_eq!((count('{'), count('(')), (count('}'), count(')')));
    }

    #[test]
    fn pages_follow_each_other_until_the_last() {
        let list = ListSessions::new().with_limit(2);
        let page = |count: usize| {
            let item = json!({"session_id": "u1", "name": "a", "status": "RUNNING"});
            let data =
                json!({"compute_session_list": {"items": vec![item; count], "total_count": 3}});
            let body = json!({"data": data}).to_string();
            let reply = list.read_response(VERSION, response(200, &body));
            reply.unwrap().value
        };
        let second = list.next(&page(2)).unwrap();
        assert_eq!((second.offset, second.limit), (2, 2));
        assert!(second.next(&page(1)).is_none());
        // It became shorter meanwhile.
        assert!(list.next(&page(0)).is_none());
    }

    #[test]
    fn a_list_may_have_gaps_but_not_be_missing() {
        let read = |list: Value| {
            let body = json!({"data": {"compute_session_list": list}}).to_string();
            ListSessions::new().read_response(VERSION, response(200, &body))
        };
        let page = read(json!({"items": [null], "total_count": 1}))
            .unwrap()
            .value;
        assert_eq!((page.sessions.len(), page.total_count), (0, 1));
        for list in [
            json!(null),
            json!({"items": []}),
            json!({"items": [{}], "total_count": 1}),
        ] {
            assert!(matches!(read(list), Err(Error::Parse(_))));
        }
    }

    #[test]
    fn sorna_v2_has_no_such_list() {
        let error = ListSessions::new()
            .prepare(ApiVersion::V2_20170315)
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.ends_with("does not support the list of kernels"),
            "{text}"
        );
    }
}

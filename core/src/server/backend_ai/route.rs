//! Routes: from a request's method and path to its operation.

use http::Method;
use percent_encoding::percent_decode_str;

use crate::ident::KernelId;
use crate::problem::ProblemKind;
use crate::server::problem::ProblemReply;
use crate::server::template::fit;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionRoute {
    /// `GET /`: version and manager, unsigned.
    Hello,
    /// `GET /health`, unsigned.
    Health,
    /// `POST /auth`, also `GET`, and `/auth/test`.
    Authorize,
    /// `POST /session`
    Create,
    /// `GET /session/_/match`
    Match,
    /// `POST /admin/gql` and `/admin/graphql`.
    Query,
    /// `GET /events/session`, a stream of server-sent events.
    Events,
    /// `GET /scaling-groups`
    ScalingGroups,
    /// What else managers have, in words: `folders`.
    Unoffered(&'static str),
    /// A request to one session, by its name or ID.
    Session(KernelId, SessionVerb),
}

/// What a request asks a session for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionVerb {
    /// `GET /session/{name}`
    Info,
    /// `PATCH /session/{name}`
    Restart,
    /// `DELETE /session/{name}`
    Destroy,
    /// `POST /session/{name}`
    Execute,
    /// `POST /session/{name}/complete`
    Complete,
    /// `POST /session/{name}/interrupt`
    Interrupt,
    /// `POST /session/{name}/keep-alive`, an extension: [`KeepAlive`](crate::KeepAlive).
    KeepAlive,
    /// `POST /session/{name}/rename`
    Rename,
    /// `POST /session/{name}/upload`
    Upload,
    /// `POST` or `GET /session/{name}/download`
    Download,
    /// `POST` or `GET /session/{name}/download_single`
    DownloadSingle,
    /// `GET /session/{name}/files`
    ListFiles,
    /// `GET /session/{name}/logs`
    Logs,
    /// `GET /session/{name}/status-history`
    StatusHistory,
    /// `GET /stream/session/{name}/pty`, to be upgraded to a WebSocket.
    Terminal,
    /// `GET /stream/session/{name}/execute`, to be upgraded to a WebSocket.
    ExecuteStream,
    /// `GET /stream/session/{name}/apps`: the services that can be opened.
    Apps,
    /// What else managers do with a session, in words: `services of sessions`.
    Unoffered(&'static str),
}

use Meaning::{OfSession, Plain};

/// What a method of a path means.
enum Meaning {
    Plain(SessionRoute),
    OfSession(SessionVerb),
}

/// The methods of each path. The first path that fits counts.
const ROUTES: &[(Method, &str, Meaning)] = &[
    (Method::GET, "/", Plain(SessionRoute::Hello)),
    (Method::GET, "/health", Plain(SessionRoute::Health)),
    (Method::GET, "/auth", Plain(SessionRoute::Authorize)),
    (Method::POST, "/auth", Plain(SessionRoute::Authorize)),
    (Method::GET, "/auth/test", Plain(SessionRoute::Authorize)),
    (Method::POST, "/auth/test", Plain(SessionRoute::Authorize)),
    (Method::POST, "/admin/gql", Plain(SessionRoute::Query)),
    (Method::POST, "/admin/graphql", Plain(SessionRoute::Query)),
    (Method::GET, "/events/session", Plain(SessionRoute::Events)),
    (
        Method::GET,
        "/scaling-groups",
        Plain(SessionRoute::ScalingGroups),
    ),
    (Method::POST, "/session", Plain(SessionRoute::Create)),
    (Method::GET, "/session/_/match", Plain(SessionRoute::Match)),
    (
        Method::GET,
        "/session/{session}",
        OfSession(SessionVerb::Info),
    ),
    (
        Method::POST,
        "/session/{session}",
        OfSession(SessionVerb::Execute),
    ),
    (
        Method::PATCH,
        "/session/{session}",
        OfSession(SessionVerb::Restart),
    ),
    (
        Method::DELETE,
        "/session/{session}",
        OfSession(SessionVerb::Destroy),
    ),
    (
        Method::POST,
        "/session/{session}/complete",
        OfSession(SessionVerb::Complete),
    ),
    (
        Method::POST,
        "/session/{session}/interrupt",
        OfSession(SessionVerb::Interrupt),
    ),
    (
        Method::POST,
        "/session/{session}/keep-alive",
        OfSession(SessionVerb::KeepAlive),
    ),
    (
        Method::POST,
        "/session/{session}/rename",
        OfSession(SessionVerb::Rename),
    ),
    (
        Method::POST,
        "/session/{session}/upload",
        OfSession(SessionVerb::Upload),
    ),
    // 23.09 has GET, 26 has POST.
    (
        Method::GET,
        "/session/{session}/download",
        OfSession(SessionVerb::Download),
    ),
    (
        Method::POST,
        "/session/{session}/download",
        OfSession(SessionVerb::Download),
    ),
    (
        Method::GET,
        "/session/{session}/download_single",
        OfSession(SessionVerb::DownloadSingle),
    ),
    (
        Method::POST,
        "/session/{session}/download_single",
        OfSession(SessionVerb::DownloadSingle),
    ),
    (
        Method::GET,
        "/session/{session}/files",
        OfSession(SessionVerb::ListFiles),
    ),
    (
        Method::GET,
        "/session/{session}/logs",
        OfSession(SessionVerb::Logs),
    ),
    (
        Method::GET,
        "/session/{session}/status-history",
        OfSession(SessionVerb::StatusHistory),
    ),
    (
        Method::GET,
        "/stream/session/{session}/pty",
        OfSession(SessionVerb::Terminal),
    ),
    (
        Method::GET,
        "/stream/session/{session}/execute",
        OfSession(SessionVerb::ExecuteStream),
    ),
    (
        Method::GET,
        "/stream/session/{session}/apps",
        OfSession(SessionVerb::Apps),
    ),
    (
        Method::GET,
        "/stream/session/{session}/httpproxy",
        OfSession(SessionVerb::Unoffered(SERVICES)),
    ),
    (
        Method::GET,
        "/stream/session/{session}/tcpproxy",
        OfSession(SessionVerb::Unoffered(SERVICES)),
    ),
];

const SERVICES: &str = "services of sessions, such as Jupyter";

/// What managers have below a path, beside sessions, for any method.
const UNOFFERED: &[(&str, &str)] = &[
    ("/folders", "folders (vfolders)"),
    ("/vfolders", "folders (vfolders)"),
    ("/services", "services of models"),
    ("/resource", "resource presets and statistics"),
    ("/config", "settings of a cluster"),
    ("/manager", "settings of a cluster"),
    ("/scaling-groups", GROUPS),
    ("/group-config", GROUPS),
    ("/domain-config", GROUPS),
    ("/user-config", GROUPS),
    ("/template", "templates of sessions and clusters"),
    ("/image", "images to import"),
    ("/logs", "logs of errors of a cluster"),
];

const GROUPS: &str = "settings of groups, domains and users";

/// What managers do with a session beyond the routes, for any method.
const UNOFFERED_OF_SESSION: &[(&str, &str)] = &[
    ("/session/{session}/start-service", SERVICES),
    ("/session/{session}/shutdown-service", SERVICES),
    ("/session/{session}/direct-access-info", SERVICES),
    ("/session/{session}/commit", "images made of sessions"),
    ("/session/{session}/imagify", "images made of sessions"),
    ("/session/{session}/abusing-report", "reports of schedulers"),
    (
        "/session/{session}/dependency-graph",
        "reports of schedulers",
    ),
];

impl SessionRoute {
    /// Every method of every path, with `{session}` for the name or ID of a session, but for those that
    /// [mean nothing here](Self::unoffered).
    pub fn all() -> impl Iterator<Item = (&'static Method, &'static str)> {
        let offered = |meaning: &Meaning| !matches!(meaning, OfSession(SessionVerb::Unoffered(_)));
        let all = ROUTES
            .iter()
            .filter(move |(_, _, meaning)| offered(meaning));
        all.map(|(method, path, _)| (method, *path))
    }

    /// The paths that managers have and that are known here only to be named in an error. Those of one segment stand for all
    /// that is below them, too, but for what [is there](Self::all).
    pub fn unoffered() -> impl Iterator<Item = &'static str> {
        let streams = ROUTES
            .iter()
            .filter(|(_, _, meaning)| matches!(meaning, OfSession(SessionVerb::Unoffered(_))));
        let others = UNOFFERED
            .iter()
            .chain(UNOFFERED_OF_SESSION)
            .map(|(path, _)| *path);
        others.chain(streams.map(|(_, path, _)| *path))
    }

    /// Finds the route.
    ///
    /// # Errors
    ///
    /// 404 `url-not-found` for an unknown path; 405 `method-not-allowed` for a method that the path does not have;
    /// 404 `object-not-found` for a name that no session can have. As on managers, these come before authentication.
    pub fn parse(method: &Method, path: &str) -> Result<Self, ProblemReply> {
        let fitting = ROUTES
            .iter()
            .find_map(|(_, of_route, _)| Some((of_route, fit(of_route, path)?)));
        let Some((path, name)) = fitting else {
            return Self::parse_unoffered(path);
        };
        let route = ROUTES
            .iter()
            .find(|(of_route, of_path, _)| of_route == method && of_path == path);
        match (route, name) {
            (Some((_, _, OfSession(verb))), Some(name)) => Ok(Self::Session(session(name)?, *verb)),
            (Some((_, _, Plain(route))), None) => Ok(route.clone()),
            _ => Err(ProblemKind::MethodNotAllowed.reply()),
        }
    }

    fn parse_unoffered(path: &str) -> Result<Self, ProblemReply> {
        for (of_route, what) in UNOFFERED_OF_SESSION {
            if let Some(Some(name)) = fit(of_route, path) {
                return Ok(Self::Session(session(name)?, SessionVerb::Unoffered(what)));
            }
        }
        let is_below = |of_route: &str| {
            let rest = path.strip_prefix(of_route);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let unoffered = UNOFFERED.iter().find(|(of_route, _)| is_below(of_route));
        unoffered
            .map(|(_, what)| Self::Unoffered(what))
            .ok_or_else(|| not_found(path))
    }

    /// Whether the request needs no signature.
    #[must_use]
    pub fn is_public(&self) -> bool {
        matches!(self, Self::Hello | Self::Health)
    }
}

/// The name or ID in a path.
fn session(segment: &str) -> Result<KernelId, ProblemReply> {
    percent_decode_str(segment)
        .decode_utf8()
        .ok()
        .and_then(|name| KernelId::new(name).ok())
        .filter(|name| name.check_for_backend_ai().is_ok())
        .ok_or_else(|| {
            let reply = ProblemKind::ObjectNotFound.reply();
            reply.with_title("No such session.")
        })
}

fn not_found(path: &str) -> ProblemReply {
    let path: String = path.chars().take(200).collect();
    ProblemKind::UrlNotFound.reply().with_data(path.into())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::ops::testing::signer_for;
    use crate::ops::{
        Authorize, Continuation, CreateKernel, Destroy, Download, DownloadSingle, Execute, Info,
        Interrupt, KeepAlive, ListFiles, ListSessions, Logs, MatchSessions, Operation, Rename,
        Restart, StatusHistory, Version,
    };
    use crate::version::ApiVersion;
    use crate::{Complete, ExecuteMode, SessionToken};

    fn id() -> KernelId {
        KernelId::new("a/b é").unwrap()
    }

    fn route_of<O: Operation>(operation: &O, version: ApiVersion) -> SessionRoute {
        let request = operation.request(&signer_for(version), UNIX_EPOCH).unwrap();
        SessionRoute::parse(request.method(), request.uri().path()).unwrap()
    }

    #[test]
    fn every_request_of_the_client_is_routed() {
        for version in [ApiVersion::V7_20230615, ApiVersion::V9_20250722] {
            let token = SessionToken::new("abcd").unwrap();
            assert_eq!(route_of(&Version::new(), version), SessionRoute::Hello);
            assert_eq!(
                route_of(&Authorize::new("x"), version),
                SessionRoute::Authorize
            );
            let create = CreateKernel::new("python", token.clone());
            assert_eq!(route_of(&create, version), SessionRoute::Create);
            assert_eq!(
                route_of(&MatchSessions::new("x"), version),
                SessionRoute::Match
            );
            assert_eq!(route_of(&ListSessions::new(), version), SessionRoute::Query);
            let verb = |route| match route {
                SessionRoute::Session(name, verb) if name == id() => verb,
                other => panic!("{other:?}"),
            };
            assert_eq!(verb(route_of(&Info::new(id()), version)), SessionVerb::Info);
            assert_eq!(
                verb(route_of(&Restart::new(id()), version)),
                SessionVerb::Restart
            );
            assert_eq!(
                verb(route_of(&Destroy::new(id()), version)),
                SessionVerb::Destroy
            );
            let execute =
                Execute::start(id(), ExecuteMode::query("1")).proceed(Continuation::Continue);
            assert_eq!(verb(route_of(&execute, version)), SessionVerb::Execute);
            assert_eq!(
                verb(route_of(&Complete::at_end(id(), "x"), version)),
                SessionVerb::Complete
            );
            assert_eq!(
                verb(route_of(&Interrupt::new(id()), version)),
                SessionVerb::Interrupt
            );
            let keep = KeepAlive::new(id()).with_extension(true);
            assert_eq!(verb(route_of(&keep, version)), SessionVerb::KeepAlive);
            assert_eq!(
                verb(route_of(&Rename::new(id(), token), version)),
                SessionVerb::Rename
            );
            let files = vec!["a".to_owned()];
            let download = Download::new(id(), files);
            assert_eq!(verb(route_of(&download, version)), SessionVerb::Download);
            let download = DownloadSingle::new(id(), "a");
            assert_eq!(
                verb(route_of(&download, version)),
                SessionVerb::DownloadSingle
            );
            assert_eq!(
                verb(route_of(&ListFiles::new(id(), "."), version)),
                SessionVerb::ListFiles
            );
            assert_eq!(verb(route_of(&Logs::new(id()), version)), SessionVerb::Logs);
            let history = StatusHistory::new(id());
            assert_eq!(
                verb(route_of(&history, version)),
                SessionVerb::StatusHistory
            );
        }
    }

    #[test]
    fn other_paths_and_methods_are_rejected_as_managers_do() {
        let kind = |method: Method, path: &str| {
            SessionRoute::parse(&method, path)
                .unwrap_err()
                .kind()
                .name()
        };
        for path in [
            "/v2",
            "/kernel/x",
            "/session/",
            "/session/x/nope",
            "/session/x/logs/y",
            "//",
            "/stream/x",
        ] {
            assert_eq!(kind(Method::GET, path), "url-not-found", "{path}");
        }
        let route = |path: &str| SessionRoute::parse(&Method::GET, path).unwrap();
        assert!(matches!(route("/folders"), SessionRoute::Unoffered(_)));
        assert!(matches!(
            route("/folders/x/files"),
            SessionRoute::Unoffered(_)
        ));
        for path in ["/session/x/commit", "/stream/session/x/httpproxy"] {
            let verb = match route(path) {
                SessionRoute::Session(_, verb) => verb,
                other => panic!("{other:?}"),
            };
            assert!(matches!(verb, SessionVerb::Unoffered(_)), "{path}");
        }
        for (method, path) in [
            (Method::HEAD, "/session/x"),
            (Method::GET, "/session"),
            (Method::POST, "/"),
            (Method::PUT, "/session/x"),
            (Method::GET, "/session/x/upload"),
            (Method::POST, "/session/x/files"),
            (Method::POST, "/stream/session/x/pty"),
            (Method::GET, "/admin/gql"),
        ] {
            assert_eq!(kind(method, path), "method-not-allowed", "{path}");
        }
        for path in [
            "/session/%2e%2E",
            "/session/_",
            "/session/%ff",
            "/session/a%00b",
        ] {
            assert_eq!(kind(Method::GET, path), "object-not-found", "{path}");
        }
    }
}

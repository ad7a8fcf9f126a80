//! Routes: from a request's method and path to its operation.

use http::Method;
use percent_encoding::percent_decode_str;

use crate::ident::KernelId;
use crate::problem::ProblemKind;
use crate::server::problem::ProblemReply;

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

impl SessionRoute {
    /// Finds the route.
    ///
    /// # Errors
    ///
    /// 404 `url-not-found` for an unknown path; 405 `method-not-allowed` for a method that the path does not have;
    /// 404 `object-not-found` for a name that no session can have. As on managers, these come before authentication.
    pub fn parse(method: &Method, path: &str) -> Result<Self, ProblemReply> {
        let get = *method == Method::GET;
        let post = *method == Method::POST;
        let only = |allowed: bool, route: Self| allowed.then_some(route).ok_or_else(wrong_method);
        let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        match segments.as_slice() {
            [""] => only(get, Self::Hello),
            ["health"] => only(get, Self::Health),
            ["auth"] | ["auth", "test"] => only(get || post, Self::Authorize),
            ["admin", "gql" | "graphql"] => only(post, Self::Query),
            ["events", "session"] => only(get, Self::Events),
            ["session"] => only(post, Self::Create),
            ["session", "_", "match"] => only(get, Self::Match),
            ["session", name] if !name.is_empty() => {
                let verb = match *method {
                    Method::GET => SessionVerb::Info,
                    Method::POST => SessionVerb::Execute,
                    Method::PATCH => SessionVerb::Restart,
                    Method::DELETE => SessionVerb::Destroy,
                    _ => return Err(wrong_method()),
                };
                Ok(Self::Session(session(name)?, verb))
            }
            ["session", name, verb] if !name.is_empty() => {
                if let Some(what) = unoffered_verb(verb) {
                    return Ok(Self::Session(session(name)?, SessionVerb::Unoffered(what)));
                }
                let (verb, allowed) = match *verb {
                    "complete" => (SessionVerb::Complete, post),
                    "interrupt" => (SessionVerb::Interrupt, post),
                    "keep-alive" => (SessionVerb::KeepAlive, post),
                    "rename" => (SessionVerb::Rename, post),
                    "upload" => (SessionVerb::Upload, post),
                    // 23.09 has GET, 26 has POST.
                    "download" => (SessionVerb::Download, get || post),
                    "download_single" => (SessionVerb::DownloadSingle, get || post),
                    "files" => (SessionVerb::ListFiles, get),
                    "logs" => (SessionVerb::Logs, get),
                    "status-history" => (SessionVerb::StatusHistory, get),
                    _ => return Err(not_found(path)),
                };
                if !allowed {
                    return Err(wrong_method());
                }
                Ok(Self::Session(session(name)?, verb))
            }
            ["stream", "session", name, verb] if !name.is_empty() => {
                let verb = match *verb {
                    "pty" => SessionVerb::Terminal,
                    "execute" => SessionVerb::ExecuteStream,
                    "apps" => SessionVerb::Apps,
                    "httpproxy" | "tcpproxy" => SessionVerb::Unoffered(SERVICES),
                    _ => return Err(not_found(path)),
                };
                if !get {
                    return Err(wrong_method());
                }
                Ok(Self::Session(session(name)?, verb))
            }
            ["scaling-groups"] => only(get, Self::ScalingGroups),
            [first, ..] => unoffered(first)
                .map(Self::Unoffered)
                .ok_or_else(|| not_found(path)),
            [] => Err(not_found(path)),
        }
    }

    /// Whether the request needs no signature.
    #[must_use]
    pub fn is_public(&self) -> bool {
        matches!(self, Self::Hello | Self::Health)
    }
}

const SERVICES: &str = "services of sessions, such as Jupyter";

/// What managers have below a path, beside sessions.
fn unoffered(first: &str) -> Option<&'static str> {
    Some(match first {
        "folders" | "vfolders" => "folders (vfolders)",
        "services" => "services of models",
        "resource" => "resource presets and statistics",
        "config" | "manager" => "settings of a cluster",
        "scaling-groups" | "group-config" | "domain-config" | "user-config" => {
            "settings of groups, domains and users"
        }
        "template" => "templates of sessions and clusters",
        "image" => "images to import",
        "logs" => "logs of errors of a cluster",
        _ => return None,
    })
}

/// What managers do with a session beyond the routes here.
fn unoffered_verb(verb: &str) -> Option<&'static str> {
    Some(match verb {
        "start-service" | "shutdown-service" | "direct-access-info" => SERVICES,
        "commit" | "imagify" => "images made of sessions",
        "abusing-report" | "dependency-graph" => "reports of schedulers",
        _ => return None,
    })
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

fn wrong_method() -> ProblemReply {
    ProblemKind::MethodNotAllowed.reply()
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

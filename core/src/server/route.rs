//! Routes: from a request's method and path to its operation.

use http::Method;
use percent_encoding::percent_decode_str;

use super::problem::ProblemReply;
use super::template::fit;
use crate::ident::KernelId;
use crate::problem::ProblemKind;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    /// `GET /v2`: needs a date and a known access key, but no valid signature.
    Version,
    /// `GET /v2/authorize`
    Authorize,
    /// `GET /v2/languages`, an extension.
    Languages,
    /// `GET /v2/kernels`, an extension: [`MatchSessions`](crate::MatchSessions).
    Match,
    /// `POST /v2/kernel/create`
    Create,
    /// `GET /v2/kernel/{id}`
    Info(KernelId),
    /// `PATCH /v2/kernel/{id}`
    Restart(KernelId),
    /// `DELETE /v2/kernel/{id}`
    Destroy(KernelId),
    /// `POST /v2/kernel/{id}`: execute or complete, by the body's mode.
    Execute(KernelId),
    /// `POST /v2/kernel/{id}/upload`
    Upload(KernelId),
    /// `POST /v2/kernel/{id}/interrupt`, an extension.
    Interrupt(KernelId),
    /// `POST /v2/kernel/{id}/keep-alive`, an extension: [`KeepAlive`](crate::KeepAlive).
    KeepAlive(KernelId),
    /// `GET /v2/kernel/{id}/logs`, an extension: [`Logs`](crate::Logs) and [`FollowLogs`](crate::FollowLogs).
    Logs(KernelId),
    /// `GET /v2/kernel/{id}/files`, an extension: [`ListFiles`](crate::ListFiles).
    ListFiles(KernelId),
    /// `GET /v2/kernel/{id}/download`, an extension: [`Download`](crate::Download).
    Download(KernelId),
    /// `GET /v2/kernel/{id}/download_single`, an extension: [`DownloadSingle`](crate::DownloadSingle).
    DownloadSingle(KernelId),
    /// `GET /v2/stream/kernel/{id}/pty`, to be upgraded to a WebSocket.
    Terminal(KernelId),
}

use Meaning::{OfKernel, Plain};

/// What a method of a path means.
enum Meaning {
    Plain(Route),
    OfKernel(fn(KernelId) -> Route),
}

/// The methods of each path. The first path that fits counts.
const ROUTES: &[(Method, &str, Meaning)] = &[
    (Method::GET, "/v2", Plain(Route::Version)),
    (Method::GET, "/v2/authorize", Plain(Route::Authorize)),
    (Method::GET, "/v2/languages", Plain(Route::Languages)),
    (Method::GET, "/v2/kernels", Plain(Route::Match)),
    (Method::POST, "/v2/kernel/create", Plain(Route::Create)),
    (Method::GET, "/v2/kernel/{id}", OfKernel(Route::Info)),
    (Method::PATCH, "/v2/kernel/{id}", OfKernel(Route::Restart)),
    (Method::DELETE, "/v2/kernel/{id}", OfKernel(Route::Destroy)),
    (Method::POST, "/v2/kernel/{id}", OfKernel(Route::Execute)),
    (
        Method::POST,
        "/v2/kernel/{id}/upload",
        OfKernel(Route::Upload),
    ),
    (
        Method::POST,
        "/v2/kernel/{id}/interrupt",
        OfKernel(Route::Interrupt),
    ),
    (
        Method::POST,
        "/v2/kernel/{id}/keep-alive",
        OfKernel(Route::KeepAlive),
    ),
    (Method::GET, "/v2/kernel/{id}/logs", OfKernel(Route::Logs)),
    (
        Method::GET,
        "/v2/kernel/{id}/files",
        OfKernel(Route::ListFiles),
    ),
    (
        Method::GET,
        "/v2/kernel/{id}/download",
        OfKernel(Route::Download),
    ),
    (
        Method::GET,
        "/v2/kernel/{id}/download_single",
        OfKernel(Route::DownloadSingle),
    ),
    (
        Method::GET,
        "/v2/stream/kernel/{id}/pty",
        OfKernel(Route::Terminal),
    ),
];

impl Route {
    /// Every method of every path, with `{id}` for a kernel's ID.
    pub fn all() -> impl Iterator<Item = (&'static Method, &'static str)> {
        ROUTES.iter().map(|(method, path, _)| (method, *path))
    }

    /// Finds the route.
    ///
    /// # Errors
    ///
    /// 404 `generic-not-found` for an unknown path below `/v2`; 400
    /// `generic-bad-request` for the root, another version, or a method that the path does not
    /// have, as the original gateway responds.
    pub fn parse(method: &Method, path: &str) -> Result<Self, ProblemReply> {
        if path.split('/').nth(1) != Some("v2") {
            return Err(ProblemKind::GenericBadRequest.reply_with("Unsupported API version."));
        }
        let fitting = ROUTES
            .iter()
            .find_map(|(_, of_route, _)| Some((of_route, fit(of_route, path)?)));
        let (path, id) = fitting.ok_or_else(|| ProblemKind::GenericNotFound.reply())?;
        let id = id.map(kernel).transpose()?;
        let route = ROUTES
            .iter()
            .find(|(of_route, of_path, _)| of_route == method && of_path == path);
        match (route, id) {
            (Some((_, _, OfKernel(route))), Some(id)) => Ok(route(id)),
            (Some((_, _, Plain(route))), None) => Ok(route.clone()),
            _ => Err(ProblemKind::GenericBadRequest.reply_with("Wrong HTTP method.")),
        }
    }
}

/// The ID in a path.
fn kernel(segment: &str) -> Result<KernelId, ProblemReply> {
    percent_decode_str(segment)
        .decode_utf8()
        .ok()
        .and_then(|id| KernelId::new(id).ok())
        .filter(|id| id.check_for_sorna_v2().is_ok())
        .ok_or_else(|| ProblemKind::KernelNotFound.reply())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: Method, path: &str) -> u16 {
        Route::parse(&method, path)
            .unwrap_err()
            .kind()
            .status()
            .as_u16()
    }

    #[test]
    fn every_path_of_the_client_is_routed() {
        let id = || KernelId::new("a/b é").unwrap();
        let path = format!("/v2/kernel/{}", id().path_segment());
        for (method, path, route) in [
            (Method::GET, "/v2".to_owned(), Route::Version),
            (Method::GET, "/v2/authorize".to_owned(), Route::Authorize),
            (Method::GET, "/v2/languages".to_owned(), Route::Languages),
            (Method::GET, "/v2/kernels".to_owned(), Route::Match),
            (Method::POST, "/v2/kernel/create".to_owned(), Route::Create),
            (Method::GET, path.clone(), Route::Info(id())),
            (Method::PATCH, path.clone(), Route::Restart(id())),
            (Method::DELETE, path.clone(), Route::Destroy(id())),
            (Method::POST, path.clone(), Route::Execute(id())),
            (Method::POST, format!("{path}/upload"), Route::Upload(id())),
            (
                Method::POST,
                format!("{path}/interrupt"),
                Route::Interrupt(id()),
            ),
            (
                Method::POST,
                format!("{path}/keep-alive"),
                Route::KeepAlive(id()),
            ),
            (Method::GET, format!("{path}/logs"), Route::Logs(id())),
            (Method::GET, format!("{path}/files"), Route::ListFiles(id())),
            (
                Method::GET,
                format!("{path}/download"),
                Route::Download(id()),
            ),
            (
                Method::GET,
                format!("{path}/download_single"),
                Route::DownloadSingle(id()),
            ),
        ] {
            assert_eq!(Route::parse(&method, &path).unwrap(), route);
        }
    }

    #[test]
    fn other_paths_are_rejected_as_the_original_gateway_does() {
        assert_eq!(status(Method::GET, "/"), 400);
        assert_eq!(status(Method::GET, "/v3"), 400);
        assert_eq!(status(Method::GET, "/v2/"), 404);
        assert_eq!(status(Method::GET, "/v2/kernel/"), 404);
        assert_eq!(status(Method::GET, "/v2/kernel/x/y/z"), 404);
        assert_eq!(status(Method::PUT, "/v2/kernel/x"), 400);
        assert_eq!(status(Method::POST, "/v2"), 400);
        assert_eq!(status(Method::GET, "/v2/kernel/%2e%2E"), 404);
        assert_eq!(status(Method::GET, "/v2/kernel/%ff"), 404);
        assert_eq!(status(Method::DELETE, "/v2/kernel/%63reate"), 404);
    }
}

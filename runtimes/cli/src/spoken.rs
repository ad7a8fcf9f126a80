//! Which version of the API is spoken, and what that requires of values.

use sorna::{ApiVersion, BuildError, Dialect, KernelId, SessionToken};

use crate::advice::{NO_ID, advice};
use crate::ended::end_reason;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::settings::{self, Api};
use crate::target::Target;

/// The version of the API that is spoken. It is found out by a request or two, if it is not fixed.
pub(crate) fn version(target: &Target) -> Result<ApiVersion, Failure> {
    let negotiated = target.client.negotiated();
    let negotiated = negotiated.map_err(|error| Failure::Request {
        advice: advice(&error, target),
        error: Box::new(error),
    })?;
    let is_other = negotiated.dialect() == Dialect::SornaV2 && target.api == Api::BackendAi;
    if is_other {
        return Err(Failure::NotBackendAi {
            endpoint: target.endpoint(),
        });
    }
    Ok(negotiated.version)
}

/// Checks what the API requires of a token.
pub(crate) fn check_token(target: &Target, token: Option<&SessionToken>) -> Result<(), Failure> {
    let version = version(target)?;
    match token {
        Some(token) => {
            token.check(version).map_err(Failure::Argument)?;
            check_living(target, version, token)
        }
        None => Ok(()),
    }
}

/// Checks that there is a session, if it is given by an ID: managers would create another one with that name, and
/// then not find it by that name (observed on 23.09.10 and 26.9.6).
pub(crate) fn check_living(
    target: &Target,
    version: ApiVersion,
    token: &SessionToken,
) -> Result<(), Failure> {
    let id = KernelId::new(token.as_str()).ok();
    let id = id.filter(|id| version.dialect() == Dialect::BackendAi && id.is_uuid());
    match id.map(|id| target.client.kernel(id).info()) {
        Some(Err(error)) if error.is_not_found() => Err(Failure::NoSession {
            text: token.to_string(),
            endpoint: target.endpoint(),
            reason: end_reason(&error),
        }),
        _ => Ok(()),
    }
}

/// A session token that may be accepted, so that most wrong ones are errors before anything is done. Later,
/// [`check_token`] knows the API.
pub(crate) fn session_token(text: &str, globals: &Globals) -> Result<SessionToken, BuildError> {
    check(globals, |version| {
        SessionToken::for_version(text, version).map(drop)
    })?;
    SessionToken::new(text)
}

/// Checks what a gateway may accept while it is not known what it speaks: what Sorna v2 requires, or, unless the
/// settings say that it is spoken, Backend.AI. An error is about Backend.AI then.
pub(crate) fn check(
    globals: &Globals,
    check: impl Fn(ApiVersion) -> Result<(), BuildError>,
) -> Result<(), BuildError> {
    match check(ApiVersion::V2_20170315) {
        Err(_) if !settings::speak_sorna_v2(globals) => check(ApiVersion::V9_20250722),
        result => result,
    }
}

/// A name that a session of Backend.AI can have.
pub(crate) fn session_name(text: &str) -> Result<SessionToken, BuildError> {
    SessionToken::for_version(text, ApiVersion::V9_20250722)
}

/// Checks that a session, or kernel, is named at all: a variable of a shell may have been empty.
pub(crate) fn check_name(text: &str, is_sorna_v2: bool) -> Result<(), Failure> {
    let (message, advice) = match is_sorna_v2 {
        _ if !text.trim().is_empty() => return Ok(()),
        true => ("the ID of a kernel must not be empty", NO_ID),
        false => (
            "the name or ID of a session must not be empty",
            "`sorna ps` lists your sessions that have not ended.",
        ),
    };
    Err(Failure::usage(message.to_owned()).with_advice(advice))
}

/// A kernel ID that may be accepted, as with [`session_token`].
pub(crate) fn kernel_id(text: &str, globals: &Globals) -> Result<KernelId, Failure> {
    check_name(text, settings::speak_sorna_v2(globals))?;
    let id = KernelId::new(text).and_then(|id| {
        check(globals, |version| id.check(version))?;
        Ok(id)
    });
    id.map_err(|error| match settings::speak_sorna_v2(globals) {
        true => Failure::Argument(error),
        false => Failure::usage(format!(
            "{text:?} cannot be the name or the ID of a session"
        )),
    })
}

//! Requests that failed: what is shown, and what to do about it.

use std::time::SystemTime;

use sorna::protocol::MatchSessions;
use sorna::{
    ApiVersion, Error, GatewayError, Hop, KernelId, LanguageInfo, LoginError, NegotiationError,
    ProblemKind, SessionStatus, TransportCause, TransportError, TransportErrorKind,
};

use crate::chain::message;
use crate::ended::end_reason;
use crate::failure::build_advice;
use crate::image::names_in;
use crate::nearest::nearest;
use crate::release::release;
use crate::reporter::Reporter;
use crate::settings::Setting;
use crate::target::Target;
use crate::terms::Terms;
use crate::values::is_id;

/// What to do about a kernel's ID that was none.
pub(crate) const NO_ID: &str =
    "`sorna run` and `sorna shell` show the ID, if they are not --quiet.";

/// For settings of Sorna v2 that lead to a manager of Backend.AI.
const MANAGER: &str = "This is a manager of Backend.AI, which does not speak Sorna v2. Use --api backend-ai, put api = \"backend-ai\" into the profile, or set BACKEND_ENDPOINT, BACKEND_ACCESS_KEY and BACKEND_SECRET_KEY in place of SORNA_ENDPOINT and its keys.";

/// Reports a temporary kernel that could not be destroyed.
pub(crate) fn show_left(reporter: &mut Reporter, terms: Terms, kernel: &str, error: &Error) {
    reporter.note_error(error);
    reporter.fail(format_args!(
        "The {} {kernel} could not be destroyed: {}",
        terms.kernel,
        message(error)
    ));
    reporter.advice(left_after(terms, kernel, error));
}

/// What becomes of a kernel that could not be destroyed for this reason.
pub(crate) fn left_after(terms: Terms, kernel: &str, error: &Error) -> String {
    match error.is_auth() {
        true => terms.is_left_for_its_key(kernel),
        false => terms.is_left(kernel),
    }
}

/// Shows what failed, what the gateway reported, and what to do next.
pub(crate) fn show_error(reporter: &mut Reporter, error: &Error, target: &Target) {
    reporter.fail(message(error));
    for advice in advice(error, target) {
        reporter.advice(advice);
    }
}

/// As [`show_error`], for a request that may have created a kernel of this language.
pub(crate) fn show_error_creating(
    reporter: &mut Reporter,
    error: &Error,
    target: &Target,
    lang: &str,
) {
    show_error(reporter, error, target);
    if let Some(advice) = error.gateway().and_then(|it| ownership_advice(it, target)) {
        reporter.advice(advice);
    }
    let failed = error.gateway().filter(|it| it.is_creation_failed());
    if let Some(advice) = failed.and_then(|response| creation_advice(response, target, lang)) {
        reporter.advice(advice);
    }
}

/// What to do about a creation for a domain or group that may not exist, or be another user's. Manager 23.09.10 says
/// "Invalid group" with 400, and 26.9.6 that there is no row of a project with 404, whichever of the two is wrong.
fn ownership_advice(response: &GatewayError, target: &Target) -> Option<String> {
    let settings = target.settings.as_ref()?;
    let is_about_it = response.status().is_client_error()
        && matches!(
            response.kind_name(),
            Some(
                "entity-not-found"
                    | "invalid-api-params"
                    | "generic-bad-request"
                    | "generic-forbidden"
            )
        );
    let named = [("domain", &settings.domain), ("group", &settings.group)];
    let named = named.iter().filter_map(|(what, setting)| {
        let Setting { value, source } = setting.as_ref()?;
        Some(format!("the {what} {value} (from {source})"))
    });
    let named: Vec<_> = named.collect();
    (is_about_it && !named.is_empty()).then(|| {
        format!(
            "If that is about {}: check it, or leave it out.",
            named.join(" or ")
        )
    })
}

/// What to do about a creation that failed. Managers from 25 on say by the code of the error what it is about.
fn creation_advice(response: &GatewayError, target: &Target, lang: &str) -> Option<String> {
    let subject = response
        .error_code()
        .and_then(|code| code.split('_').next());
    let is_other = target.terms() == Terms::SESSION
        && response.kind() == Some(ProblemKind::KernelCreationFailed);
    match subject {
        None if is_other => None,
        None | Some("image") => language_advice(target, lang),
        Some("vfolder") => Some("Check the names of the folders (--mount).".to_owned()),
        Some("session") => Some(
            "The session ended before it ran: it may have been destroyed, or its start may have failed.".to_owned(),
        ),
        Some(_) => None,
    }
}

/// What to do about an execution that the gateway ended, or failed to report, in a session that still exists or was
/// temporary.
pub(crate) fn aborted_advice(target: &Target, kernel: &KernelId, is_kept: bool) -> String {
    let info = is_kept.then(|| target.client.kernel(kernel.clone()).info());
    let has_ended = match &info {
        Some(Ok(info)) => {
            let status = info.status().map(SessionStatus::from_name);
            status.is_some_and(|status| status.is_dying())
        }
        Some(Err(error)) => error.is_not_found(),
        None => false,
    };
    // The gateway of this project reports all output.
    let version = target.client.version();
    let is_manager = version.is_ok_and(|info| release(&info).is_some());
    match (has_ended, is_kept, is_manager) {
        (true, _, _) => "The session has ended.".to_owned(),
        (false, true, true) => "The session still exists. The program may have shown HTML, on which managers of Backend.AI fail.".to_owned(),
        (false, false, true) => "The session may have been destroyed meanwhile, or the program may have shown HTML, on which managers of Backend.AI fail.".to_owned(),
        (false, _, false) => "The session may have been destroyed meanwhile.".to_owned(),
    }
}

/// As [`show_error`], for a kernel given by its ID; `otherwise` is what to do if that was not an ID at all.
pub(crate) fn show_error_of(
    reporter: &mut Reporter,
    error: &Error,
    target: &Target,
    id: &KernelId,
    otherwise: &str,
) {
    let is_unknown =
        error.gateway().and_then(GatewayError::kind) == Some(ProblemKind::KernelNotFound);
    // Of what has ended, the gateway has said so.
    if is_unknown && !is_id(id.as_str()) && end_reason(error).is_none() {
        reporter.fail(message(error));
        let is_no_token = target.terms() == Terms::KERNEL
            && target
                .client
                .offers(MatchSessions::EXTENSION)
                .unwrap_or(false);
        if is_no_token {
            let otherwise = match otherwise {
                NO_ID => "",
                other => &format!(" {other}"),
            };
            return reporter.advice(format_args!(
                "There is no kernel with the ID or the session token {id}.{otherwise}"
            ));
        }
        reporter.advice(format_args!(
            "{id} was taken as a {} ID. {otherwise}",
            target.terms().kernel
        ));
    } else {
        show_error(reporter, error, target);
    }
}

/// What to do about it.
pub(crate) fn advice(error: &Error, target: &Target) -> Vec<String> {
    if let Some(transport) = error.transport() {
        return vec![transport_advice(transport, target)];
    }
    if let Error::Build(error) = error {
        return build_advice(error).map(str::to_owned).into_iter().collect();
    }
    if let Error::NotRunning(session) = error
        && session.status.is_pending()
    {
        return vec![
            "The cluster may lack what was asked for, or still pull the image: ask for less with -r, or wait longer with --max-wait.".to_owned(),
        ];
    }
    if let Error::Negotiation(negotiation) = error
        && let NegotiationError::NoWebServer { .. } = &**negotiation
    {
        return vec![format!(
            "The endpoint is {}. It must be that of a web server; for a manager or gateway, the endpoint type is api, and there are keys.",
            target.endpoint()
        )];
    }
    if let Error::Negotiation(negotiation) = error
        && let NegotiationError::Unknown { root, v2 } = &**negotiation
    {
        let endpoint = target.endpoint();
        return vec![match root.is_page() || v2.is_page() {
            true => format!(
                "The endpoint is {endpoint}, where there are web pages. For a web server of Backend.AI, set BACKEND_ENDPOINT_TYPE=session, and log in with `sorna login`; keys are for the manager, which has another address."
            ),
            false => format!("The endpoint is {endpoint}. Check its host, port and path."),
        }];
    }
    if let Error::FilesRejected(files) = error
        && speaks_sorna_v2(target)
        && files
            .iter()
            .all(|file| is_without_directory(&file.name, &file.error))
    {
        return vec![
            "The gateway may make no directories. Run the files with `sorna run`, which moves them to theirs, or upload them from within their directory.".to_owned(),
        ];
    }
    if let Error::Login(login) = error {
        return login_advice(login).map(str::to_owned).into_iter().collect();
    }
    let Some(response) = error.gateway() else {
        return Vec::new();
    };
    if is_of_a_manager(response) && speaks_sorna_v2(target) {
        vec![MANAGER.to_owned()]
    } else if let Some(origin) = response
        .redirect_origin()
        .filter(|origin| !target.endpoint().starts_with(*origin))
    {
        vec![format!(
            "The endpoint is {}. Requests are signed for it, so redirects are not followed. If {origin} is to be trusted, make it the endpoint.",
            target.endpoint()
        )]
    } else if response.is_auth() {
        vec![match target.access_key() {
            Some(key) => format!(
                "Check that the access key {key} and its secret key are valid for {}.",
                target.endpoint(),
            ),
            None => session_advice(target),
        }]
    } else if response.is_clock_skew() {
        vec![clock_advice(response.gateway_date())]
    } else if response.is_quota_exceeded() {
        vec![format!(
            "{} has reached a limit for all of its {}s: destroy some (`sorna destroy ID`), or wait until idle ones end.",
            match target.access_key() {
                Some(key) => format!("The access key {key}"),
                None => "Your user".to_owned(),
            },
            target.terms().kernel
        )]
    } else if response.is_name_taken() {
        vec![
            "A session of this name exists, with another image. To use that session, give its image, which `sorna ps` shows; for a new one, choose another name.".to_owned(),
        ]
    } else if response.is_not_found() && response.kind() == Some(ProblemKind::KernelNotFound) {
        vec![format!(
            "The {} has ended, or belongs to another key or gateway. The endpoint is {}.",
            target.terms().kernel,
            target.endpoint()
        )]
    } else if response.is_rate_limited() {
        let wait = response.retry_after().map_or_else(
            || "when the rate limit resets, within 15 minutes".to_owned(),
            |wait| format!("in {} s", wait.as_secs() + 1),
        );
        vec![format!(
            "This key has sent too many requests. Try again {wait}."
        )]
    } else if response.is_unsupported() {
        vec!["Managers of Backend.AI from 26.4 on do not restart sessions: stop a program with `sorna interrupt`, or destroy the session and create it anew.".to_owned()]
    } else if is_elsewhere(response, target) {
        let endpoint = target.client.config().endpoint();
        let scheme = if endpoint.is_https() { "https" } else { "http" };
        vec![format!(
            "The endpoint has a path ({}), but gateways are usually at the root. Try {scheme}://{}.",
            endpoint.prefix(),
            endpoint.host()
        )]
    } else if error.may_have_acted() {
        vec!["The request may have been carried out; check before retrying.".to_owned()]
    } else {
        Vec::new()
    }
}

/// What to do about a login that was rejected.
fn login_advice(error: &LoginError) -> Option<&'static str> {
    if error.is_blocked() {
        Some("Wait before you try again, 20 minutes by default: each attempt makes it longer.")
    } else if error.needs_otp() {
        Some(
            "The one-time password is missing: type it when asked, or give it as the second line with --password-stdin.",
        )
    } else if error.needs_otp_registration() {
        Some("Set up two-factor authentication in the web pages of the server first.")
    } else {
        Some(
            "Check name and password. After several attempts that fail, the server blocks the user for a while.",
        )
    }
}

/// For a session with a web server that is none any more.
pub(crate) fn session_advice(target: &Target) -> String {
    format!(
        "Your session at {} has probably ended. Log in again with `sorna login`.",
        target.endpoint()
    )
}

fn transport_advice(error: &TransportError, target: &Target) -> String {
    if target.has_responded() && is_loss(error) {
        return lost_advice(error, target);
    }
    if error.hop() == Hop::Proxy || error.kind() == TransportErrorKind::Proxy {
        return "Check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.".to_owned();
    }
    let host = target.client.config().endpoint().host();
    let is_https = target.client.config().endpoint().is_https();
    let endpoint = target.endpoint();
    match (error.kind(), error.cause()) {
        (_, Some(TransportCause::CaCertificate)) => {
            "The gateway presents a CA certificate. Issue a server certificate: with openssl req -x509, add -addext basicConstraints=critical,CA:FALSE and -addext subjectAltName=DNS:NAME or IP:ADDRESS.".to_owned()
        }
        (_, Some(TransportCause::CertificateName)) => format!(
            "The endpoint is {endpoint}. Use a name in it that the gateway's certificate is for, or issue a certificate for this one."
        ),
        (_, Some(TransportCause::CertificateExpired)) => {
            "Renew the gateway's certificate, or set this machine's clock if that is wrong.".to_owned()
        }
        (_, Some(TransportCause::NotTls)) => {
            format!("The gateway may not use TLS. Try http://{host}.")
        }
        (_, Some(TransportCause::HandshakeClosed)) => format!(
            "The endpoint is {endpoint}. The server closed or reset the connection during the TLS handshake: it may not use TLS (try http://{host}), or a proxy or firewall on the way may have closed the connection."
        ),
        (_, Some(TransportCause::HandshakeRefused)) => format!(
            "The endpoint is {endpoint}. The server refused the TLS handshake: it may require another host name, or a TLS version or client certificate that sorna does not offer."
        ),
        (_, Some(TransportCause::ExpectsTls)) if !is_https => {
            format!("The gateway requires TLS. Try https://{host}.")
        }
        (_, Some(TransportCause::OtherProtocol)) => format!(
            "The endpoint is {endpoint}. Check its host and port: what is there is no gateway that speaks HTTP/1.1."
        ),
        // A server that expects TLS may send what is not HTTP, or close the connection.
        (_, Some(TransportCause::NotHttp)) if !is_https => {
            format!("The gateway may require TLS. Try https://{host}.")
        }
        (_, Some(TransportCause::NoResponse)) if !is_https => format!(
            "The endpoint is {endpoint}. If the gateway requires TLS, try https://{host}."
        ),
        (TransportErrorKind::Resolve | TransportErrorKind::Connect, _) => format!(
            "The endpoint is {endpoint}. Check that it is right and that the gateway is running, or use `sorna run --local`."
        ),
        (TransportErrorKind::Tls, _) => tls_advice(target),
        _ => format!("The endpoint is {endpoint}."),
    }
}

/// Whether a connection was lost, or none could be made.
fn is_loss(error: &TransportError) -> bool {
    use TransportErrorKind::{Connect, Proxy, Receive, Resolve, Send, Timeout};

    let kinds = [Connect, Proxy, Receive, Resolve, Send, Timeout];
    kinds.contains(&error.kind()) || error.cause() == Some(TransportCause::HandshakeClosed)
}

/// For a connection that was lost although the settings are right.
fn lost_advice(error: &TransportError, target: &Target) -> String {
    let endpoint = target.endpoint();
    let failed = match error.hop() {
        Hop::Proxy => "The proxy or the gateway",
        _ => "The gateway or the network on the way to it",
    };
    let next = match target.settings {
        Some(_) => " Try again when `sorna status` succeeds.",
        None => "",
    };
    format!("{endpoint} has responded before. {failed} may have failed since.{next}")
}

/// Whether the problem is one of Backend.AI: the URI of its kind says so, for a path that a manager does not have just as
/// for a version that it does not speak.
fn is_of_a_manager(response: &GatewayError) -> bool {
    let kind = response.problem().map(|problem| problem.type_uri.as_str());
    kind.is_some_and(|uri| uri.starts_with("https://api.backend.ai/probs/"))
}

/// Whether gateway 0.9.11 responds like this for a file in a directory. (Observed: it makes none.)
fn is_without_directory(name: &str, error: &GatewayError) -> bool {
    name.contains('/') && error.kind() == Some(ProblemKind::KernelExecutionFailed)
}

/// Whether requests are those of Sorna v2.
fn speaks_sorna_v2(target: &Target) -> bool {
    target.client.config().fixed_version() == Some(ApiVersion::V2_20170315)
}

/// Whether the response is that of a path at which there is no gateway.
fn is_elsewhere(response: &GatewayError, target: &Target) -> bool {
    let is_no_route = match (response.kind(), response.kind_name()) {
        (Some(ProblemKind::GenericBadRequest | ProblemKind::GenericNotFound), _) => true,
        (_, name) => name.is_none() && response.is_not_found(),
    };
    is_no_route && !target.client.config().endpoint().prefix().is_empty()
}

/// What to do about a language of which no kernel could be created, by the gateway's list of languages.
fn language_advice(target: &Target, lang: &str) -> Option<String> {
    let is_session = target.terms() == Terms::SESSION;
    let Ok(languages) = target.client.languages() else {
        let text = match is_session {
            true => "Check the name of the image, and that the gateway has it.",
            false => "Check the name of the language, and that it is installed on the gateway.",
        };
        return Some(text.to_owned());
    };
    let names = |language: &LanguageInfo| {
        let aliases = language.aliases.iter();
        let mut names = aliases.chain([&language.name]);
        names.any(|name| names_in(lang).any(|part| part == name))
    };
    let is_manager = is_session && languages.iter().any(|it| it.name.contains('/'));
    let known = |language: &&LanguageInfo| match is_manager {
        // An image with another tag is another one.
        true => language.name == lang || language.aliases.iter().any(|name| name == lang),
        false => names(language),
    };
    if let Some(language) = languages.iter().find(known) {
        // If it is available, the reason is another one, which the gateway has reported.
        let missing = language.missing.as_deref().unwrap_or("unknown reason");
        return (!language.available)
            .then(|| format!("The gateway cannot run {lang} at present: {missing}."));
    }
    if is_session && languages.is_empty() {
        return Some("The manager lists no images: ask for the full reference of one.".to_owned());
    }
    let known = languages.iter().flat_map(|language| {
        let aliases = language.aliases.iter().map(String::as_str);
        aliases.chain([language.name.as_str()])
    });
    let usual = USUAL.iter().find(|(name, _)| *name == lang);
    if let Some((_, meant)) = usual
        && languages.iter().any(|language| {
            language.name == *meant || language.aliases.iter().any(|alias| alias == meant)
        })
    {
        return Some(format!("Did you mean {meant}?"));
    }
    // A name of one letter is similar to every name that contains it.
    Some(match nearest(lang, known.filter(|name| name.len() > 1)) {
        Some(meant) => format!("Did you mean {meant}?"),
        None if target.settings.is_none() => {
            "List this machine's languages with `sorna langs --local`.".to_owned()
        }
        None if is_session => "List the gateway's images with `sorna langs`.".to_owned(),
        None => "List the gateway's languages with `sorna langs`.".to_owned(),
    })
}

/// Other names of languages, by the ending of their files for instance.
const USUAL: &[(&str, &str)] = &[
    ("js", "nodejs"),
    ("py", "python3"),
    ("rb", "ruby"),
    ("pl", "perl"),
    ("sh", "bash"),
    ("shell", "bash"),
    ("zsh", "bash"),
    ("c++", "cpp"),
    ("golang", "go"),
];

fn tls_advice(target: &Target) -> String {
    let file = target.settings.as_ref().and_then(|s| s.ca_file.as_ref());
    let authority = match file {
        Some(file) => format!(
            "The authorities of the system and of {} (from {}) are trusted.",
            file.value.display(),
            file.source
        ),
        None => "If the gateway uses a private certificate, give its authority's PEM file with --ca-file, SORNA_CA_FILE, or ca_file in a profile.".to_owned(),
    };
    format!("The endpoint is {}. {authority}", target.endpoint())
}

/// A signed request is valid for 15 minutes by the gateway's clock.
fn clock_advice(gateway: Option<&str>) -> String {
    let here = sorna::protocol::http_date(SystemTime::now())
        .unwrap_or_else(|_| "outside the years 1970 to 9999".to_owned());
    let there = gateway.map_or_else(String::new, |date| {
        format!(", and the gateway's response is dated {date}")
    });
    format!(
        "This machine's clock is probably wrong by more than 15 minutes: it shows {here}{there}. Set the clock, then try again."
    )
}

#[cfg(test)]
mod tests {
    use sorna::{AccessKey, Config, Credentials, SecretKey, Sent};

    use super::*;

    fn target(endpoint: &str) -> Target {
        let access_key = AccessKey::new("AKIAIOSFODNN7EXAMPLE").unwrap();
        let secret_key = SecretKey::new("secret").unwrap();
        let credentials = Credentials::new(access_key, secret_key);
        Target::of(Config::new(endpoint.parse().unwrap(), credentials))
    }

    #[test]
    fn transport_advice_follows_facts_whatever_the_message() {
        use TransportErrorKind::{Connect, Receive, Tls};

        let [plain, secure] = ["http://host:1", "https://host:1"].map(target);
        for (kind, cause, target, expected) in [
            (Connect, None, &plain, "Check that it is right"),
            (
                Receive,
                Some(TransportCause::NotHttp),
                &plain,
                "Try https://host:1.",
            ),
            (
                Receive,
                Some(TransportCause::NotHttp),
                &secure,
                "The endpoint is https://host:1",
            ),
            (
                Receive,
                Some(TransportCause::NoResponse),
                &plain,
                "try https://host:1.",
            ),
            (
                Receive,
                Some(TransportCause::NoResponse),
                &secure,
                "The endpoint is https://host:1",
            ),
            (Receive, None, &plain, "The endpoint is http://host:1"),
            (
                Tls,
                Some(TransportCause::NotTls),
                &secure,
                "Try http://host:1.",
            ),
            (
                Tls,
                Some(TransportCause::CaCertificate),
                &secure,
                "Issue a server certificate",
            ),
            (
                Tls,
                Some(TransportCause::CertificateName),
                &secure,
                "Use a name",
            ),
            (
                Tls,
                Some(TransportCause::CertificateExpired),
                &secure,
                "Renew the gateway's",
            ),
            (
                Tls,
                Some(TransportCause::UntrustedCertificate),
                &secure,
                "--ca-file",
            ),
            (
                Tls,
                Some(TransportCause::HandshakeClosed),
                &secure,
                "try http://host:1",
            ),
            (
                Tls,
                Some(TransportCause::HandshakeRefused),
                &secure,
                "refused the TLS handshake",
            ),
            (
                Receive,
                Some(TransportCause::ExpectsTls),
                &plain,
                "requires TLS. Try https://host:1.",
            ),
            (
                Receive,
                Some(TransportCause::OtherProtocol),
                &plain,
                "Check its host and port",
            ),
            (Tls, None, &secure, "--ca-file"),
        ] {
            let mut error = TransportError::new(kind, Sent::Nothing, "any message");
            if let Some(cause) = cause {
                error = error.with_cause(cause);
            }
            let advice = transport_advice(&error, target);
            assert!(advice.contains(expected), "{kind:?}, {cause:?}: {advice}");
            let advice = transport_advice(&error.with_hop(Hop::Proxy), target);
            assert!(
                advice.contains("HTTPS_PROXY"),
                "{kind:?}, {cause:?}: {advice}"
            );
        }
    }
    #[test]
    fn a_gateway_that_has_responded_needs_no_other_settings() {
        use TransportErrorKind::{Connect, Receive, Resolve, Send, Timeout, Tls};

        let [plain, secure] = ["http://host:1", "https://host:1"].map(target);
        let (plain, secure) = (plain.with_contact(), secure.with_contact());
        for (kind, cause) in [
            (Connect, None),
            (Resolve, None),
            (Send, None),
            (Timeout, None),
            (Receive, None),
            (Receive, Some(TransportCause::NoResponse)),
            (Receive, Some(TransportCause::NotHttp)),
            (Receive, Some(TransportCause::ExpectsTls)),
            (Tls, Some(TransportCause::HandshakeClosed)),
        ] {
            for (hop, failed) in [
                (Hop::Gateway, "The gateway or the network"),
                (Hop::Proxy, "The proxy or the gateway"),
            ] {
                let error = TransportError::new(kind, Sent::Maybe, "any message").with_hop(hop);
                let error = match cause {
                    Some(cause) => error.with_cause(cause),
                    None => error,
                };
                for target in [&plain, &secure] {
                    let advice = transport_advice(&error, target);
                    assert!(advice.contains("has responded before"), "{advice}");
                    assert!(advice.contains(failed), "{advice}");
                    assert!(!advice.contains("TLS"), "{advice}");
                }
            }
        }
        // The certificate may have changed.
        let error = TransportError::new(Tls, Sent::Nothing, "any message")
            .with_cause(TransportCause::CertificateExpired);
        assert!(transport_advice(&error, &secure).contains("Renew"));
    }
}

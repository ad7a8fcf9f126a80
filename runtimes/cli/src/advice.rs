//! Requests that failed: what is shown, and what to do about it.

use std::time::SystemTime;

use sorna::core::{
    Error, GatewayError, KernelId, ProblemKind, TransportError, TransportErrorKind, variables,
};

use crate::chain::{chain, message};
use crate::nearest::nearest;
use crate::reporter::Reporter;
use crate::settings::Source;
use crate::target::Target;
use crate::values::is_id;

/// For a creation that failed, or got no response that can be read.
pub(crate) const MAY_LEAVE_A_KERNEL: &str = "The gateway may have created a kernel anyway; it ends when the gateway's idle timeout has passed.";

/// Reports a temporary kernel that could not be destroyed.
pub(crate) fn show_left(reporter: &mut Reporter, kernel: &str, error: &Error) {
    reporter.note_error(error);
    reporter.fail(format_args!(
        "The kernel {kernel} could not be destroyed: {}",
        message(error)
    ));
    reporter.advice("It ends when the gateway's idle timeout has passed.");
}

/// Tells what failed, what the gateway said, and what to do next.
pub(crate) fn show_error(reporter: &mut Reporter, error: &Error, target: &Target) {
    reporter.fail(message(error));
    for advice in advice(error, target) {
        reporter.advice(advice);
    }
}

/// The same for a kernel that was named by its id; `otherwise` is what to do if that was no id at all.
pub(crate) fn show_error_of(
    reporter: &mut Reporter,
    error: &Error,
    target: &Target,
    id: &KernelId,
    otherwise: &str,
) {
    let is_unknown =
        error.gateway().and_then(GatewayError::kind) == Some(ProblemKind::KernelNotFound);
    if is_unknown && !is_id(id.as_str()) {
        reporter.fail(message(error));
        reporter.advice(format_args!("{id} is taken for a kernel's ID. {otherwise}"));
    } else {
        show_error(reporter, error, target);
    }
}

/// What to do about it.
pub(crate) fn advice(error: &Error, target: &Target) -> Vec<String> {
    if let Some(transport) = error.transport() {
        return vec![transport_advice(transport, error, target)];
    }
    let Some(refusal) = error.gateway() else {
        return Vec::new();
    };
    if refusal.is_auth() {
        let check = match target.keys_source() {
            Some(Source::File { .. }) => "its access_key and secret_key".to_owned(),
            _ => format!("{} and {}", variables::ACCESS_KEY, variables::SECRET_KEY),
        };
        vec![format!(
            "{} refuses the access key {}: check {check}, and that they belong to this endpoint.",
            target.endpoint(),
            target.access_key(),
        )]
    } else if refusal.is_clock_skew() {
        vec![clock_advice(refusal.gateway_date())]
    } else if refusal.is_quota_exceeded() {
        vec![format!(
            "The access key {} has as many kernels at a time as it may: destroy some (`sorna destroy ID`), or wait until idle ones end.",
            target.access_key()
        )]
    } else if refusal.is_not_found() && refusal.kind() == Some(ProblemKind::KernelNotFound) {
        vec![format!(
            "It has ended, or belongs to another key or gateway. The endpoint is {}.",
            target.endpoint()
        )]
    } else if refusal.is_rate_limited() {
        let wait = refusal.retry_after().map_or_else(
            || "when its window has ended, within 15 minutes".to_owned(),
            |wait| format!("in {} s", wait.as_secs() + 1),
        );
        vec![format!(
            "This key has made too many requests: try again {wait}."
        )]
    } else if refusal.is_creation_failed() {
        language_advice(refusal).into_iter().collect()
    } else if is_elsewhere(refusal, target) {
        let endpoint = target.client.config().endpoint();
        let scheme = if endpoint.is_https() { "https" } else { "http" };
        vec![format!(
            "The endpoint has a path ({}): gateways are mostly at the root. Try {scheme}://{}.",
            endpoint.prefix(),
            endpoint.host()
        )]
    } else if error.may_have_acted() {
        vec![
            "That does not tell whether it was done all the same: look before you ask again."
                .to_owned(),
        ]
    } else {
        Vec::new()
    }
}

fn transport_advice(transport: &TransportError, error: &Error, target: &Target) -> String {
    let words = chain(error);
    let host = target.client.config().endpoint().host();
    let is_https = target.client.config().endpoint().is_https();
    match transport.kind() {
        TransportErrorKind::Resolve | TransportErrorKind::Connect => format!(
            "The endpoint is {}: is it right, and is the gateway running? With --local none is needed.",
            target.endpoint()
        ),
        TransportErrorKind::Proxy => {
            "Check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.".to_owned()
        }
        TransportErrorKind::Tls if words.contains("CaUsedAsEndEntity") => {
            "The gateway's certificate is that of an authority. Make it one of a server: with openssl req -x509, add -addext basicConstraints=critical,CA:FALSE and -addext subjectAltName=DNS:NAME or IP:ADDRESS.".to_owned()
        }
        // What is no record of TLS at all, such as an answer in plain HTTP.
        TransportErrorKind::Tls if words.contains("InvalidContentType") => {
            format!("It may not speak TLS: try http://{host}.")
        }
        TransportErrorKind::Tls => tls_advice(target),
        // An alert of TLS.
        TransportErrorKind::Receive if !is_https && words.contains("is not HTTP") => {
            format!("It may speak TLS: try https://{host}.")
        }
        TransportErrorKind::Receive if !is_https && words.contains("without an answer") => format!(
            "The endpoint is {}. If it speaks TLS, try https://{host}.",
            target.endpoint()
        ),
        _ => format!("The endpoint is {}.", target.endpoint()),
    }
}

/// Whether it answers as where no gateway is, below a path.
fn is_elsewhere(refusal: &GatewayError, target: &Target) -> bool {
    let is_no_route = match (refusal.kind(), refusal.kind_name()) {
        (Some(ProblemKind::GenericBadRequest | ProblemKind::GenericNotFound), _) => true,
        (_, name) => name.is_none() && refusal.is_not_found(),
    };
    is_no_route && !target.client.config().endpoint().prefix().is_empty()
}

/// For a kernel that could not be created, unless the gateway says that it is for something else.
fn language_advice(refusal: &GatewayError) -> Option<String> {
    let details = refusal.problem().and_then(|p| p.agent_details.as_ref());
    let words = details.map_or_else(String::new, |details| {
        let words = [&details.title, &details.exception];
        words.map(|words| words.as_deref().unwrap_or("")).join(" ")
    });
    if let Some(meant) = meant_language(&words) {
        return Some(format!("Did you mean {meant}?"));
    }
    (!words.contains("mount")).then(|| {
        "Is the language's name right, and is it installed on the gateway? `sorna langs` lists them."
            .to_owned()
    })
}

/// The language that was probably meant, in the words of this repository's gateway.
fn meant_language(words: &str) -> Option<&str> {
    let (_, rest) = words.split_once("unknown language \"")?;
    let (wrong, known) = rest.split_once("\"; known are ")?;
    // Every word that has a `c` in it is near to `c`.
    let known = known.trim_end().split(", ");
    nearest(wrong, known.filter(|name| name.len() > 1))
}

fn tls_advice(target: &Target) -> String {
    let file = target.settings.as_ref().and_then(|s| s.ca_file.as_ref());
    let authority = match file {
        Some(file) => format!(
            "Besides the system's, the authorities in {} (from {}) are trusted.",
            file.value.display(),
            file.source
        ),
        None => "If the gateway has a private certificate, name its authority's PEM file: --ca-file, SORNA_CA_FILE, or ca_file in a profile.".to_owned(),
    };
    format!("The endpoint is {}. {authority}", target.endpoint())
}

/// A request lives for 15 minutes by the gateway's clock.
fn clock_advice(gateway: Option<&str>) -> String {
    let here = sorna::core::http_date(SystemTime::now())
        .unwrap_or_else(|_| "outside the years 1970 to 9999".to_owned());
    let there = gateway.map_or_else(String::new, |date| {
        format!(", and the gateway's answer is dated {date}")
    });
    format!(
        "This machine's clock is probably wrong by more than 15 minutes: it says {here}{there}. Set it, then try again."
    )
}

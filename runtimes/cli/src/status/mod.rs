//! `sorna status`: checks from the settings to the rate limit.

mod limits;

use std::fmt::Display;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use anstyle::{AnsiColor, Style};
use clap::Args;
use sorna::protocol::{Authorize, LoginCheck, RateLimit};
use sorna::{Dialect, Error, Exchange, Observer, RetryPolicy};

use crate::advice::{advice, session_advice};
use crate::chain::message;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::harmless::{self, safe};
use crate::lock::lock;
use crate::settings::{SettingsError, keys_are_not_used};
use crate::style;
use crate::target::Target;
use crate::units::time;

/// Check settings, gateway, clock and keys or login: try this first when something fails.
///
/// Says which API is spoken, the release of the manager if it is one of Backend.AI, and what is known not to
/// work with that.
///
/// Exit code: 0 if all checks pass; 1 if one fails; 2 for a usage error or a wrong setting.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StatusArgs {}

const EXAMPLES: &str = "\
Examples:
  sorna status
  sorna status --profile work
  sorna status -v                     # also log each request";

/// Observations of the requests so far.
#[derive(Clone, Debug, Default)]
struct Seen(Arc<Mutex<Vec<Sighting>>>);

#[derive(Clone, Debug)]
struct Sighting {
    time: Duration,
    clock: Option<Clock>,
}

impl Sighting {
    /// The time between the request and the response.
    fn text(&self) -> String {
        time(self.time.as_secs_f64() * 1000.0)
    }
}

/// Two clocks at about the same time.
#[derive(Clone, Copy, Debug)]
struct Clock {
    ours: SystemTime,
    gateways: SystemTime,
}

impl Seen {
    /// Notes each request, and passes it on.
    fn observer(&self, next: Option<Observer>) -> Observer {
        let seen = Arc::clone(&self.0);
        Observer::new(move |exchange: &Exchange<'_>| {
            let date = exchange.outcome.ok().and_then(|(_, headers)| {
                let date = headers.get("date")?.to_str().ok()?;
                httpdate::parse_http_date(date).ok()
            });
            let sighting = Sighting {
                time: exchange.time,
                clock: date.map(|gateways| Clock {
                    ours: SystemTime::now(),
                    gateways,
                }),
            };
            lock(&seen).push(sighting);
            if let Some(next) = &next {
                next.notify(exchange);
            }
        })
    }

    fn first(&self) -> Option<Sighting> {
        let seen = lock(&self.0);
        seen.first().cloned()
    }

    fn last(&self) -> Option<Sighting> {
        let seen = lock(&self.0);
        seen.last().cloned()
    }
}

/// Carries out the command.
pub(crate) fn status(_: &StatusArgs, globals: &Globals) -> Result<Exit, Failure> {
    let seen = Seen::default();
    let settings = Target::settings(globals)?;
    let (config, not_logged_in) = match settings.client_config() {
        Ok(config) => (config, None),
        // What does not need a login is checked all the same.
        Err(error @ SettingsError::NotLoggedIn { .. }) => {
            let config = settings.login_config().map_err(Failure::Settings)?;
            (config, Some(error))
        }
        Err(error) => return Err(Failure::Settings(error)),
    };
    let target = Target::of_settings(settings, config, globals, |options| {
        // A check reports what it finds at the first attempt.
        let observer = seen.observer(options.observer().cloned());
        options
            .with_retry(RetryPolicy::never())
            .with_observer(observer)
    })?;
    let mut report = Report::default();
    report.fact(format_args!("Endpoint: {}", target.endpoint()));

    // In Sorna v2, it needs an access key that the gateway knows, and the clock.
    let limits = match spoken(&target) {
        Ok((what, limits)) => {
            match what {
                What::Same(text) => report.good(text),
                What::Other(text) => report.fact(text),
            }
            limits
        }
        Err(error) if is_about_us(&error) => {
            let why = match error.is_auth() {
                true => " (it requires valid keys)",
                false => "",
            };
            report.fact(format_args!(
                "Gateway: responds, but does not report its version{why}"
            ));
            Vec::new()
        }
        Err(error) => {
            report.bad(
                format_args!("Gateway: {}", message(&error)),
                &error,
                &target,
            );
            return Ok(report.exit());
        }
    };
    if let Some(error) = not_logged_in {
        report.without_login(&error);
        return Ok(report.exit());
    }
    let round_trip = round_trip(&target, &seen);
    if target.is_of_web_server() && !report.login(&target) {
        return Ok(report.exit());
    }
    let settings = target.settings.as_ref();
    if let Some(source) = settings.and_then(|settings| settings.unused_keys()) {
        report.fact(format_args!("Keys: {}", keys_are_not_used(source)));
    }

    let authorized = target.client.call(Authorize::new("sorna status"));
    if let (Some(round_trip), Some(checked)) = (round_trip, seen.last()) {
        let what = match target.is_of_web_server() {
            true => "session",
            false => "keys",
        };
        report.good(format_args!(
            "Round trip: {round_trip}, {} with the check of the {what})",
            checked.text()
        ));
    }
    let clock = seen.last().and_then(|sighting| sighting.clock);
    match authorized {
        Ok(reply) => {
            report.clock(clock);
            match target.access_key() {
                Some(key) => report.good(format_args!("Keys: the gateway accepts {key}")),
                None => report.good("Session: the gateway accepts it"),
            }
            report.rate_limit(reply.rate_limit);
        }
        Err(error) => {
            let response = error.gateway();
            let what = if response.is_some_and(|response| response.is_clock_skew()) {
                "Clock"
            } else if response.is_some_and(|response| response.is_rate_limited()) {
                "Rate limit"
            } else {
                report.clock(clock);
                match error.is_auth() {
                    true if target.is_of_web_server() => "Session",
                    true => "Keys",
                    false => "Gateway",
                }
            };
            report.bad(format_args!("{what}: {}", message(&error)), &error, &target);
        }
    }
    for limit in limits {
        report.fact(format_args!("Does not work here: {limit}"));
    }
    Ok(report.exit())
}

/// What the gateway speaks.
enum What {
    /// The same version as this client.
    Same(String),
    /// Another one, too, or none that is known.
    Other(String),
}

/// What the gateway speaks, and what does not work with it.
fn spoken(target: &Target) -> Result<(What, Vec<String>), Error> {
    let client = &target.client;
    let negotiated = client.negotiated()?;
    let ours = negotiated.version.as_str();
    let info = match &negotiated.info {
        Some(info) => info.clone(),
        None => client.version()?,
    };
    let limits = limits::of(negotiated.version, &info);
    let (dialect, release) = match negotiated.dialect() {
        Dialect::SornaV2 => ("Sorna v2", String::new()),
        _ => {
            let manager = info.manager.as_deref().unwrap_or("of an unknown release");
            ("Backend.AI", format!(", manager {}", safe(manager)))
        }
    };
    let what = match info.version.as_str() {
        theirs if theirs == ours => What::Same(format!("Gateway: {dialect}{release}, API {ours}")),
        theirs => What::Other(format!(
            "Gateway: {dialect}{release}, API {} (this client uses {ours})",
            safe(theirs)
        )),
    };
    Ok((what, limits))
}

/// The time of a request for the version, which is the smallest there is. It is repeated, since the first one had to
/// connect.
fn round_trip(target: &Target, seen: &Seen) -> Option<String> {
    let first = seen.first()?;
    // An error response is one, too.
    let _ = target.client.version();
    let again = seen.last()?;
    Some(format!(
        "{} ({} with connection setup",
        again.text(),
        first.text()
    ))
}

/// Whether the gateway understood the request and rejects the keys, the clock or the number of requests.
fn is_about_us(error: &Error) -> bool {
    error.gateway().is_some_and(|response| {
        response.is_auth() || response.is_clock_skew() || response.is_rate_limited()
    })
}

/// The report, on standard output.
#[derive(Debug, Default)]
struct Report {
    failed: bool,
}

impl Report {
    fn good(&mut self, text: impl Display) {
        line(style::signs().done, AnsiColor::BrightGreen, text);
    }

    fn fact(&mut self, text: impl Display) {
        line(style::signs().info, AnsiColor::BrightCyan, text);
    }

    fn bad(&mut self, text: impl Display, error: &Error, target: &Target) {
        self.failed = true;
        line(style::signs().fail, AnsiColor::BrightRed, text);
        for advice in advice(error, target) {
            self.fact(advice);
        }
    }

    /// The user is not logged in to the web server.
    fn without_login(&mut self, error: &SettingsError) {
        self.failed = true;
        let text = format_args!("Login: {error}");
        line(style::signs().fail, AnsiColor::BrightRed, text);
        if let Some(advice) = error.advice() {
            self.fact(advice);
        }
    }

    /// Who is logged in to the web server; `false` if it is no one.
    fn login(&mut self, target: &Target) -> bool {
        let web_user = match target.client.call(LoginCheck::new()) {
            Ok(reply) => reply.value,
            Err(error) => {
                self.bad(format_args!("Login: {}", message(&error)), &error, target);
                return false;
            }
        };
        let Some(web_user) = web_user else {
            self.failed = true;
            let text = "Login: the session has ended";
            line(style::signs().fail, AnsiColor::BrightRed, text);
            self.fact(session_advice(target));
            return false;
        };
        let facts = [
            ("access key", web_user.access_key),
            ("role", web_user.role),
            ("status", web_user.status),
        ];
        let facts = facts.into_iter().filter_map(|(name, fact)| {
            let fact = fact?;
            Some(format!(", {name} {}", safe(&fact)))
        });
        let facts: String = facts.collect();
        let name = target.login().map(|login| login.user).unwrap_or_default();
        self.good(format_args!("Login: {}{facts}", safe(&name)));
        true
    }

    /// Never a failure: the `Date` of the original gateway drifts by a minute and more.
    fn clock(&mut self, clock: Option<Clock>) {
        const ODD: Duration = Duration::from_secs(60);

        let Some(Clock { ours, gateways }) = clock else {
            return self.fact("Clock: unknown (the gateway sends no Date header)");
        };
        let (apart, which) = match gateways.duration_since(ours) {
            Ok(behind) => (behind, "behind"),
            Err(error) => (error.duration(), "ahead of"),
        };
        if apart <= ODD {
            // A date has no fractions of a second.
            let seconds = apart.as_secs();
            self.good(format_args!("Clock: {seconds} s {which} the gateway's"));
        } else {
            self.fact(format_args!(
                "Clock: {} {which} the gateway's by its Date header, which may be wrong; requests are rejected when the difference is more than 15 min",
                time(apart.as_secs_f64() * 1000.0)
            ));
        }
    }

    fn rate_limit(&mut self, rate_limit: Option<RateLimit>) {
        let Some(RateLimit {
            limit,
            remaining,
            reset,
            ..
        }) = rate_limit
        else {
            return self.fact("Rate limit: not reported");
        };
        let number = |number: Option<u64>| number.map_or("?".to_owned(), |n| n.to_string());
        let reset = reset.map_or(String::new(), |reset| {
            format!(", resets in {}", time(reset.as_secs_f64() * 1000.0))
        });
        let text = format!(
            "Rate limit: {} of {} requests left{reset}",
            number(remaining),
            number(limit)
        );
        if remaining == Some(0) {
            self.fact(text);
        } else {
            self.good(text);
        }
    }

    fn exit(&self) -> Exit {
        if self.failed {
            Exit::FAILURE
        } else {
            Exit::SUCCESS
        }
    }
}

fn line(sign: char, of: AnsiColor, text: impl Display) {
    let style = Style::new().fg_color(Some(of.into()));
    // Standard output may be closed; the exit code still reports the result.
    let _ = writeln!(
        anstream::stdout(),
        "{style}{sign} {}{style:#}",
        harmless::lines(text)
    );
}

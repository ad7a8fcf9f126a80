//! `sorna login` and `sorna logout`: sessions with web servers of Backend.AI.

mod ask;

use clap::Args;
use sorna::protocol::{Login, Logout, WebSession};
use sorna::{Config, Error, RetryPolicy, SessionCookie, with_causes};
use zeroize::Zeroizing;

use crate::advice::{advice, show_error};
use crate::chain::message;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::reporter::Reporter;
use crate::settings::{self, LoginFile};
use crate::signals;
use crate::target::Target;
use ask::Source;

/// Log in to a web server of Backend.AI.
///
/// For an endpoint of type session (BACKEND_ENDPOINT_TYPE=session, or endpoint_type = "session" in a
/// profile), which needs no keys. Asks for the user's name, the password and, if the server requires one, a
/// one-time password; neither password is shown. The session is kept for other commands until it ends or
/// `sorna logout`, in sorna/logins in the user's state directory ($XDG_STATE_HOME, usually ~/.local/state),
/// in a file that only this user can read.
///
/// Passwords are never options, since other users of the machine could read them.
///
/// Exit code: 0; 1 if the server rejected the login, returned an error or could not be reached; 2 for a usage
/// error or a wrong setting.
#[derive(Debug, Args)]
#[command(after_help = LOGIN_EXAMPLES)]
pub(crate) struct LoginArgs {
    /// Name of the user, usually an e-mail address; asked for by default.
    #[arg(short, long, value_name = "NAME")]
    user: Option<String>,

    /// Read the password from the first line of standard input, and from the second line the one-time password,
    /// if the server requires one.
    #[arg(long, requires = "user")]
    password_stdin: bool,
}

const LOGIN_EXAMPLES: &str = "\
Examples:
  export BACKEND_ENDPOINT=https://web.example.com BACKEND_ENDPOINT_TYPE=session
  sorna login
  sorna login --user me@example.com --password-stdin < password.txt";

/// Log out of a web server of Backend.AI.
///
/// Ends the session at the server and removes what was kept of it. If the server cannot be reached, or what
/// was kept cannot be used, it is removed all the same.
///
/// Exit code: 0, even without a session; 1 if the server returned an error or could not be reached, or what
/// was kept could not be used; 2 for a usage error or a wrong setting.
#[derive(Debug, Args)]
#[command(after_help = LOGOUT_EXAMPLES)]
pub(crate) struct LogoutArgs {}

const LOGOUT_EXAMPLES: &str = "\
Examples:
  sorna logout
  sorna logout --profile work";

/// Carries out `login`.
pub(crate) fn login(arguments: &LoginArgs, globals: &Globals) -> Result<Exit, Failure> {
    let settings = Target::settings(globals)?;
    let file = settings.login_file().map_err(Failure::Settings)?;
    let config = settings.login_config().map_err(Failure::Settings)?;
    let source = Source::choose(arguments.password_stdin)?;
    let target = Target::of_settings(settings, config, globals, |options| options)?;
    let mut reporter = Reporter::new(false);
    // The password is sent only to what is known to be a web server.
    if let Err(error) = target.client.negotiated() {
        show_error(&mut reporter, &error, &target);
        return Ok(Exit::FAILURE);
    }
    // Ctrl-C must not leave a terminal that shows nothing.
    signals::clean_up_at_exit()?;
    let user = match &arguments.user {
        Some(user) => user.clone(),
        None => source.required("User", ask::Echo::Shown)?.to_string(),
    };
    let password = source.required("Password", ask::Echo::Hidden)?;
    match log_in(&target, &source, &user, &password)? {
        Ok(session) => {
            keep(&file, &target, &user, session)?;
            let endpoint = target.client.config().endpoint();
            reporter.done(format_args!("Logged in to {endpoint} as {user}."));
            Ok(Exit::SUCCESS)
        }
        Err(error) => {
            show_error(&mut reporter, &error, &target);
            Ok(Exit::FAILURE)
        }
    }
}

/// Logs in; a second time, with a one-time password, if the server requires one.
fn log_in(
    target: &Target,
    source: &Source,
    user: &str,
    password: &Zeroizing<String>,
) -> Result<Result<WebSession, Error>, Failure> {
    let login = Login::new(user, password.as_str());
    let error = match target.client.call(login.clone()) {
        Ok(reply) => return Ok(Ok(reply.value)),
        Err(error) => error,
    };
    if !matches!(&error, Error::Login(rejected) if rejected.needs_otp()) {
        return Ok(Err(error));
    }
    let Some(otp) = source.line("One-time password", ask::Echo::Hidden)? else {
        return Ok(Err(error));
    };
    let reply = target.client.call(login.with_otp(otp.as_str()));
    Ok(reply.map(|reply| reply.value))
}

/// Keeps a session for other commands; ends it if it cannot be kept.
fn keep(file: &LoginFile, target: &Target, user: &str, session: WebSession) -> Result<(), Failure> {
    let login = settings::Login {
        user: user.to_owned(),
        access_key: session.access_key,
        cookie: session.cookie,
    };
    file.write(&login).map_err(|error| {
        let config = ending(target.client.config().clone(), login.cookie);
        // That it cannot be kept is what went wrong.
        let _ = sorna::blocking::Client::with_options(config, target.client.options().clone())
            .call(Logout::new());
        Failure::Settings(error)
    })
}

/// The configuration for ending a session. The web server is asked for nothing else.
fn ending(config: Config, cookie: SessionCookie) -> Config {
    let version = config.version();
    config.with_session(cookie).with_version(version)
}

/// Carries out `logout`.
pub(crate) fn logout(_: &LogoutArgs, globals: &Globals) -> Result<Exit, Failure> {
    let settings = Target::settings(globals)?;
    let file = settings.login_file().map_err(Failure::Settings)?;
    let config = settings.login_config().map_err(Failure::Settings)?;
    let endpoint = config.endpoint().clone();
    let mut reporter = Reporter::new(false);
    let login = match file.read_to_end_it() {
        Ok(Some(login)) => login,
        Ok(None) => {
            reporter.info(format_args!("Not logged in to {endpoint}."));
            return Ok(Exit::SUCCESS);
        }
        Err(error) => {
            // What cannot be read is of no more use.
            file.remove().map_err(Failure::Settings)?;
            reporter.fail(format_args!("{}; it was removed", with_causes(&error)));
            reporter.advice(format_args!(
                "If you were logged in to {endpoint}, the session may live on at the server until it expires."
            ));
            return Ok(Exit::FAILURE);
        }
    };
    let config = ending(config, login.cookie);
    let target = Target::of_settings(settings, config, globals, |options| {
        options.with_retry(RetryPolicy::never())
    })?;
    let ended = target.client.call(Logout::new());
    file.remove().map_err(Failure::Settings)?;
    match ended {
        Ok(_) => {
            reporter.done(format_args!("Logged out of {endpoint}."));
            Ok(Exit::SUCCESS)
        }
        Err(error) => {
            reporter.note_error(&error);
            reporter.fail(format_args!(
                "the session was removed here, but may live on at the server: {}",
                message(&error)
            ));
            for advice in advice(&error, &target) {
                reporter.advice(advice);
            }
            Ok(Exit::FAILURE)
        }
    }
}

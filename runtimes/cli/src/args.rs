//! The command line.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::complete::CompleteArgs;
use crate::config::ConfigArgs;
use crate::globals::{self, Globals};
#[cfg(feature = "jupyter")]
use crate::jupyter::args::JupyterArgs;
use crate::keep_alive::KeepAliveArgs;
use crate::kernels::{DestroyArgs, InfoArgs, InterruptArgs, RestartArgs};
use crate::langs::LangsArgs;
use crate::login::{LoginArgs, LogoutArgs};
#[cfg(feature = "mcp")]
use crate::mcp::args::McpArgs;
use crate::order;
use crate::pages::args::{CompletionsArgs, ManArgs};
use crate::repl::args::ReplArgs;
use crate::run::args::RunArgs;
use crate::run::attach::AttachArgs;
use crate::serve::args::ServeArgs;
use crate::sessions::control::RenameArgs;
use crate::sessions::download::DownloadArgs;
use crate::sessions::events::EventsArgs;
use crate::sessions::files::LsArgs;
use crate::sessions::logs::LogsArgs;
use crate::sessions::ps::PsArgs;
use crate::shell::args::ShellArgs;
use crate::status::StatusArgs;
use crate::upload::args::UploadArgs;

/// Run code in remote Sorna kernels, or on this machine.
///
/// Three environment variables select the gateway: SORNA_ENDPOINT (its URL), SORNA_ACCESS_KEY and
/// SORNA_SECRET_KEY; or BACKEND_ENDPOINT, BACKEND_ACCESS_KEY and BACKEND_SECRET_KEY, for a manager of
/// Backend.AI; for a web server, see `sorna login --help`. A profile of the settings file can replace them (see `sorna config --help`).
/// --local needs none of them: it runs a temporary gateway on this machine.
#[derive(Debug, Parser)]
#[command(name = "sorna", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Commands that contact no gateway; their help hides the options about one.
const WITHOUT_GATEWAY: &[&str] = &["serve", "completions", "man"];

impl Cli {
    /// The description of the command line.
    pub(crate) fn whole() -> clap::Command {
        let mut sorna = Self::command();
        let settings = sorna.get_arguments();
        let settings = settings.filter(|arg| arg.get_help_heading() == Some(globals::HEADING));
        let hidden: Vec<_> = settings.map(|arg| arg.clone().hide(true)).collect();
        for name in WITHOUT_GATEWAY {
            sorna = sorna.mut_subcommand(name, |command| command.args(hidden.clone()));
        }
        sorna
    }

    /// Parses a command line that starts with the program's name. Afterwards `sorna` is built, so that it
    /// can describe an error.
    pub(crate) fn read(
        sorna: &mut clap::Command,
        arguments: &[OsString],
    ) -> Result<Self, clap::Error> {
        sorna.build();
        let arguments = order::options_first(sorna, order::joined(sorna, arguments));
        let matches = sorna.try_get_matches_from_mut(arguments)?;
        let cli = Self::from_arg_matches(&matches).map_err(|error| error.format(sorna))?;
        if let Command::Run(run) = &cli.command
            && let (Err(conflict), Some(command)) = (run.check(), sorna.find_subcommand_mut("run"))
        {
            return Err(command.error(ErrorKind::ArgumentConflict, conflict));
        }
        Ok(cli)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(
        override_usage = "sorna run [OPTIONS] <LANG> <FILES>... [-- <ARGS>...]\n       sorna run [OPTIONS] <LANG> --code <CODE>...\n       sorna run [OPTIONS] <LANG> < FILE"
    )]
    Run(RunArgs),
    Repl(ReplArgs),
    Shell(ShellArgs),
    Upload(UploadArgs),
    Serve(ServeArgs),
    Status(StatusArgs),
    Langs(LangsArgs),
    Info(InfoArgs),
    Restart(RestartArgs),
    Destroy(DestroyArgs),
    Ps(PsArgs),
    Logs(LogsArgs),
    Attach(AttachArgs),
    Ls(LsArgs),
    Download(DownloadArgs),
    Interrupt(InterruptArgs),
    KeepAlive(KeepAliveArgs),
    Rename(RenameArgs),
    Events(EventsArgs),
    Complete(CompleteArgs),
    #[cfg(feature = "jupyter")]
    Jupyter(JupyterArgs),
    #[cfg(feature = "mcp")]
    Mcp(Box<McpArgs>),
    Login(LoginArgs),
    Logout(LogoutArgs),
    Config(ConfigArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

const EXAMPLES: &str = "\
Examples:
  sorna run --local python3 -c \"print('hello world')\"
  sorna run c main.c mylib.c mylib.h
  sorna repl --local python3
  sorna shell --local bash
  sorna status                        # try this first when something fails";

#[cfg(test)]
mod tests {
    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::whole().debug_assert();
    }
}

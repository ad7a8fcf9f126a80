//! The command line of `sorna jupyter`.

use std::path::PathBuf;

use clap::builder::Resettable;
use clap::{Args, Id, Subcommand};

use crate::local::LocalArgs;
use crate::run::args::LimitArgs;
use crate::values;

/// Kernels for Jupyter: the cells of a notebook run on a gateway, or on this machine.
///
/// `install` registers them with Jupyter; then JupyterLab, VS Code, papermill and the like offer them as they do their own, and start
/// `sorna jupyter run` for each notebook. That creates a kernel on the gateway, and destroys it when the notebook is closed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct JupyterArgs {
    #[command(subcommand)]
    pub(super) command: JupyterCommand,
}

const EXAMPLES: &str = "\
Examples:
  sorna jupyter install --local python3     # on this machine
  sorna jupyter install --profile cluster   # all languages of a gateway
  jupyter lab";

#[derive(Debug, Subcommand)]
pub(super) enum JupyterCommand {
    Install(InstallArgs),
    List(ListArgs),
    Uninstall(UninstallArgs),
    Run(RunArgs),
}

/// Where kernelspecs are.
#[derive(Debug, Args)]
pub(super) struct PlaceArgs {
    /// For this user; the default.
    #[arg(long, group = "place")]
    pub(super) user: bool,

    /// For the active virtual environment (VIRTUAL_ENV or CONDA_PREFIX).
    #[arg(long, group = "place")]
    pub(super) sys_prefix: bool,

    /// In the subdirectory share/jupyter/kernels of DIR.
    #[arg(long, group = "place", value_name = "DIR", value_parser = values::path())]
    pub(super) prefix: Option<PathBuf>,
}

/// Register kernels with Jupyter: one for each language of the gateway, or for those that are named.
///
/// The kernels use the gateway of the profile that is named here, and its keys, whatever variables (SORNA_ENDPOINT and so on) are set
/// here or where Jupyter is started; these count for what the profile does not have. Without a profile, they use the gateway of the
/// variables with which Jupyter is started, or of the default profile. No keys are written anywhere. A kernel that this command has
/// installed before is replaced by one of the same name.
///
/// A cell ends after the time limit that the gateway sets (30 s, unless `sorna serve --exec-timeout` says otherwise): --exec-timeout asks
/// for another one. With --local there is none. Files that a program is to see or to leave behind are those of --allow-read and
/// --allow-write, by absolute paths; the others are gone with the kernel.
///
/// Exit code: 0; 1 if the gateway could not be asked, or a file not written; 2 for a usage error or a wrong setting.
#[derive(Debug, Args)]
#[command(after_help = INSTALL_EXAMPLES, mut_arg("local", |arg| arg.conflicts_with(Resettable::<Id>::Reset)))]
pub(super) struct InstallArgs {
    /// Languages, such as python3 or bash. In Backend.AI images: `sorna langs` lists them.
    pub(super) langs: Vec<String>,

    #[command(flatten)]
    pub(super) place: PlaceArgs,

    /// Name of the kernel, for one language [default: sorna-LANG, sorna-local-LANG or sorna-PROFILE-LANG]
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,

    /// Name shown to users, for one language.
    #[arg(long, value_name = "NAME")]
    pub(super) display_name: Option<String>,

    /// Environment variable of the kernel on the gateway. Without a value, as is right for secrets, it has the one that it has
    /// where Jupyter runs; else its value is written to the kernelspec. Can be given several times.
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = variable)]
    pub(super) env: Vec<(String, Option<String>)>,

    #[command(flatten)]
    pub(super) limits: LimitArgs,

    #[command(flatten)]
    pub(super) local: LocalArgs,
}

const INSTALL_EXAMPLES: &str = "\
Examples:
  sorna jupyter install --local python3
  sorna jupyter install --local python3 --network host --allow-write ~/data
  sorna jupyter install --profile cluster --sys-prefix --exec-timeout 2h
  sorna jupyter install --profile cluster -e AWS_PROFILE -e EPOCHS=3 python3";

/// List the kernels registered by `install`.
///
/// Those of the user, of the active virtual environment (VIRTUAL_ENV or CONDA_PREFIX), of /usr/local and of /usr.
///
/// Exit code: 0; 2 for a usage error.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Print the list as JSON, one kernel per line.
    #[arg(long)]
    pub(super) json: bool,

    /// Look in the subdirectory share/jupyter/kernels of DIR as well.
    #[arg(long, value_name = "DIR", value_parser = values::path())]
    pub(super) prefix: Option<PathBuf>,
}

/// Remove kernels registered by `install`; those of other programs are left alone.
///
/// Looks where `list` does, or only in the place that is named. Only the files that `install` has written are removed.
///
/// Exit code: 0; 1 if there is no such kernel, or it could not be removed; 2 for a usage error.
#[derive(Debug, Args)]
#[command(after_help = UNINSTALL_EXAMPLES)]
pub(super) struct UninstallArgs {
    /// Names of kernels, as `sorna jupyter list` shows them.
    pub(super) names: Vec<String>,

    /// Remove all of them.
    #[arg(long, conflicts_with = "names")]
    pub(super) all: bool,

    /// Only those of this user.
    #[arg(long, group = "place")]
    pub(super) user: bool,

    /// Only those of the active virtual environment (VIRTUAL_ENV or CONDA_PREFIX).
    #[arg(long, group = "place")]
    pub(super) sys_prefix: bool,

    /// Only those in the subdirectory share/jupyter/kernels of DIR.
    #[arg(long, group = "place", value_name = "DIR", value_parser = values::path())]
    pub(super) prefix: Option<PathBuf>,
}

const UNINSTALL_EXAMPLES: &str = "\
Examples:
  sorna jupyter uninstall sorna-local-python3
  sorna jupyter uninstall --all
  sorna jupyter uninstall --all --prefix /opt/jupyter";

/// Run a kernel for Jupyter, which calls this.
///
/// It creates a kernel on the gateway at once, and destroys it at the end: when Jupyter asks for it, when the process that has
/// started this one is gone, or at SIGTERM. SIGINT is ignored, as cells are interrupted by a message. What is wrong with the gateway, or
/// with the settings, is shown in the cells, and tried again by the next one. With --profile, the variables of the environment
/// (SORNA_ENDPOINT and so on) count only for what the profile does not have.
///
/// Exit code: 0; 1 if its addresses are in use; 2 for a usage error or a wrong connection file.
#[derive(Clone, Debug, Args)]
#[command(mut_arg("local", |arg| arg.conflicts_with(Resettable::<Id>::Reset)))]
pub(super) struct RunArgs {
    /// Language or runtime of the cells. In Backend.AI an image.
    pub(super) lang: String,

    /// What clients of Jupyter add to the command of a kernel, such as the files that `jupyter run` runs. Has no effect.
    #[arg(hide = true)]
    pub(super) others: Vec<std::ffi::OsString>,

    /// The connection file that Jupyter has written: addresses, and the key that signs messages.
    #[arg(short = 'f', long, value_name = "FILE", value_parser = values::path())]
    pub(super) connection_file: PathBuf,

    /// Environment variable of the kernel on the gateway; without a value, the one of this process. Can be given several
    /// times.
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = variable)]
    pub(super) env: Vec<(String, Option<String>)>,

    #[command(flatten)]
    pub(super) limits: LimitArgs,

    #[command(flatten)]
    pub(super) local: LocalArgs,
}

/// A variable, and its value if it is given.
fn variable(text: &str) -> Result<(String, Option<String>), String> {
    match text.contains('=') {
        true => values::variable(text).map(|(name, value)| (name, Some(value))),
        false => values::variable(&format!("{text}=")).map(|(name, _)| (name, None)),
    }
}

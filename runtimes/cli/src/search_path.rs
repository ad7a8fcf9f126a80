//! Where the gateway of this machine looks for programs: `--path` and `--venv`.

use std::env;
use std::ffi::OsString;
use std::path::{self, PathBuf};

use clap::Args;
use sorna_gateway::GatewayConfig;

use crate::failure::Failure;

/// Where to look for programs.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SearchPathArgs {
    /// Where to look for interpreters, compilers and other programs, in place of PATH: directories joined by colons.
    #[arg(long, value_name = "DIRS")]
    path: Option<OsString>,

    /// Look in this virtual environment of Python first, or in another directory that has a `bin`.
    #[arg(long, value_name = "DIR")]
    venv: Option<PathBuf>,
}

impl SearchPathArgs {
    /// The first option that is given.
    pub(crate) fn option(&self) -> Option<&'static str> {
        let path = self.path.as_ref().map(|_| "--path");
        path.or(self.venv.as_ref().map(|_| "--venv"))
    }

    /// The name of the virtual environment, for people: that of its directory, or of the one above if all are named alike.
    #[cfg(feature = "jupyter")]
    pub(crate) fn environment(&self) -> Option<String> {
        let venv = self.venv.as_ref()?;
        let venv = path::absolute(venv).unwrap_or_else(|_| venv.clone());
        let names = venv.iter().rev().map(|name| name.to_string_lossy());
        let names: Vec<_> = names.take(2).collect();
        Some(match names.as_slice() {
            [own, above] if matches!(&**own, "venv" | ".venv" | "env" | ".env") => {
                format!("{above}/{own}")
            }
            [own, ..] => own.to_string(),
            [] => return None,
        })
    }

    /// The options as words, with paths that hold from anywhere.
    #[cfg(any(feature = "jupyter", feature = "mcp"))]
    pub(crate) fn words(&self) -> Vec<OsString> {
        let mut words = Vec::new();
        if let Some(path) = &self.path {
            let parts = env::split_paths(path).filter(|it| !it.as_os_str().is_empty());
            let parts = parts.map(|it| path::absolute(&it).unwrap_or(it));
            // A current directory with a colon in its name cannot be a part.
            let path = env::join_paths(parts).unwrap_or_else(|_| path.clone());
            words.extend(["--path".into(), path]);
        }
        if let Some(venv) = &self.venv {
            let venv = path::absolute(venv).unwrap_or_else(|_| venv.clone());
            words.extend(["--venv".into(), venv.into_os_string()]);
        }
        words
    }

    /// Sets the path of kernels, and lets them read what is in the virtual environment.
    pub(crate) fn apply(&self, config: GatewayConfig) -> Result<GatewayConfig, Failure> {
        if self.option().is_none() {
            return Ok(config);
        }
        let given = self.path.clone();
        let path = given.or_else(|| env::var_os("PATH")).unwrap_or_default();
        let mut directories = Vec::new();
        if let Some(venv) = &self.venv {
            let bin = venv.join("bin");
            if !bin.is_dir() {
                return Err(Failure::usage(format!(
                    "--venv {}: there is no directory `bin` in it, so it is no virtual environment",
                    venv.display()
                ))
                .with_advice("Make one with `python3 -m venv DIR`."));
            }
            directories.push(bin);
        }
        if let Some(given) = &self.path
            && !env::split_paths(given).any(|directory| directory.is_dir())
        {
            return Err(Failure::usage(format!(
                "--path {}: none of these directories exists",
                given.display()
            ))
            .with_advice("Name directories that have programs, such as --path /usr/bin:/bin."));
        }
        directories.extend(env::split_paths(&path));
        // Kernels have another current directory.
        let directories = directories
            .iter()
            .filter(|directory| !directory.as_os_str().is_empty())
            .map(|directory| path::absolute(directory).unwrap_or_else(|_| directory.clone()));
        let path = env::join_paths(directories).map_err(|_| {
            Failure::usage(
                "--venv: there is a colon in the path, which separates directories".to_owned(),
            )
        })?;
        Ok(config.with_path(path).with_readable(&self.venv))
    }
}

//! The kernel that is wanted.

use std::env;

use sorna::KernelSpec;

use crate::run::args::LimitArgs;

/// What a kernel is to be.
pub(super) fn spec(lang: &str, env: &[(String, Option<String>)], limits: &LimitArgs) -> KernelSpec {
    let mut spec = KernelSpec::new(lang)
        .with_limits(limits.limits())
        .with_mounts(limits.mounts.clone());
    for (name, value) in env {
        let own = || env::var(name).ok();
        // One that is not set is not set there either.
        if let Some(value) = value.clone().or_else(own) {
            spec = spec.with_env(name, value);
        }
    }
    spec
}

//! What a program in a box has not: privileges, and places to write to.

use std::io;
use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope, path_beneath_rules,
};
use rustix::process::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use super::failure::{At, Failure};
use crate::NetworkAccess;

/// The newest version of Landlock whose rights are requested.
const VERSION: ABI = ABI::V9;

/// Gives up all capabilities for good, and becomes another user.
pub(super) fn drop_privileges(user: Option<u32>) -> Result<(), Failure> {
    set_no_new_privs(true).at("no_new_privs")?;
    for capability in CapabilitySet::all().iter() {
        // Fails for those that this system does not know.
        let _ = remove_capability_from_bounding_set(capability);
    }
    let _ = clear_ambient_capability_set();
    if let Some(user) = user {
        set_thread_groups(&[]).at("setgroups")?;
        let (group, user) = (Gid::from_raw(user), Uid::from_raw(user));
        set_thread_res_gid(group, group, group).at("setgid")?;
        set_thread_res_uid(user, user, user).at("setuid")?;
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).at("capabilities")
}

/// Lets this process write only to these places, by Landlock. All that is in the box may be read.
///
/// Each program that enters a box has rules of its own, and what these scope it can share with no other. So they leave to the
/// namespaces what those separate: signals, and sockets with abstract names unless the network is that of the machine.
pub(super) fn limit_writing(writable: &[PathBuf], network: NetworkAccess) -> Result<(), Failure> {
    let (all, read) = (AccessFs::from_all(VERSION), AccessFs::from_read(VERSION));
    let rules = || -> Result<_, landlock::RulesetError> {
        let mut rules = Ruleset::default().handle_access(all)?;
        if network == NetworkAccess::Host {
            rules = rules.scope(Scope::AbstractUnixSocket)?;
        }
        rules
            .create()?
            .add_rules(path_beneath_rules(["/"], read))?
            .add_rules(path_beneath_rules(writable, all))?
            .restrict_self()
    };
    rules().map(|_| ()).map_err(io::Error::other).at("Landlock")
}

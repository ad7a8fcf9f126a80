//! What a hostile program in a kernel reaches: one attempt for each row of a table, at each level of isolation, as root and
//! as an ordinary user, and in the boxes of other tools. The table in the gateway's page is what this finds.
//!
//! An attempt is a small program, run in a kernel by the gateway's API. It is judged by what happened outside, where anything
//! can be seen there. The gateway is a process of its own, since it is what programs attack.
//!
//! `SORNA_TEST_ROW=memfd` tries the rows whose name contains that, and prints what the programs say.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;
mod gateway;
mod outside;
mod page;
mod peers;
mod rows;
mod start;
mod system;
mod user;

use std::collections::BTreeMap;
use std::sync::Mutex;

use sorna_test_tools::need_that;

use outside::World;
use page::{Cell, Table};
use system::{KINDS, Kind};
use user::User;

/// Columns that are tried at the same time: most of the time passes by waiting.
const AT_ONCE: usize = 4;

#[test]
fn the_table_in_the_page_is_what_is_seen() {
    // The programs have numbers of system calls.
    let is_known = cfg!(target_arch = "x86_64");
    if !need_that(
        is_known && user::python_is_there(),
        "python3 in /usr/bin, on x86-64",
    ) {
        return;
    }
    let mut wanted = Vec::new();
    for user in User::all() {
        for kind in KINDS.into_iter().chain([Kind::Nothing]) {
            let missing = start::missing(kind, &user);
            if need_that(missing.is_none(), &missing.unwrap_or_default()) {
                wanted.push((kind, user.clone()));
            }
        }
    }
    wanted.reverse();
    let (queue, table) = (Mutex::new(wanted), Mutex::new(Table::default()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().pop();
                    let Some((kind, user)) = next else { return };
                    let column = column(kind, &user);
                    table.lock().unwrap().add(kind, user.is_root(), column);
                }
            });
        }
    });
    page::compare(&table.into_inner().unwrap());
}

/// Tries everything in one system.
fn column(kind: Kind, user: &User) -> BTreeMap<&'static str, Cell> {
    let mut world = World::new(kind, user.clone());
    let only = std::env::var("SORNA_TEST_ROW").unwrap_or_default();
    let rows = rows::all().filter(|row| row.name.contains(&only));
    rows.map(|row| {
        let reached = (row.reaches)(&mut world);
        if !only.is_empty() {
            eprintln!("{kind:?} {user:?}: {}: {reached}\n{}", row.name, world.said);
        }
        let has_no_limits = kind.is_peer() && row.is_limit;
        (row.name, Cell::of(reached, has_no_limits))
    })
    .collect()
}

//! Exchanges recorded with managers 23.09.10 and 26.9.6 of Backend.AI.

mod create;
mod events;
mod execute;
mod files;
mod list;
mod login;
mod negotiate;
mod streamed;
mod support;

/// A recording that nothing reads proves nothing.
#[test]
fn every_recorded_exchange_is_read() {
    let tests = concat!(
        include_str!("create.rs"),
        include_str!("events.rs"),
        include_str!("execute.rs"),
        include_str!("files.rs"),
        include_str!("list.rs"),
        include_str!("negotiate.rs"),
        include_str!("streamed.rs"),
    );
    let mut count = 0;
    for release in ["23.09.10", "26.9.6"] {
        for name in support::names(release) {
            count += 1;
            assert!(tests.contains(&format!("\"{name}\"")), "{name} is not read");
        }
    }
    assert!(count > 120, "{count}");
}

//! Boxes: what is around the processes of a kernel, by namespaces of Linux.
//!
//! A box is made and entered by a program with a single thread, which the gateway starts with two words:
//!
//! - `hold`: [`hold`] makes the namespaces and starts itself again within them. That is the first process of
//!   the box, [`first`]: it waits until a kernel needs a box, puts the root of that together, reaps what is orphaned
//!   in it, and ends when the gateway does. All others in the box die with it.
//! - `enter`: [`enter`] moves into a box, gives up all privileges, and starts a program there. It stays outside, so
//!   that the program cannot reach it, passes on interrupts, and reports how the program ended.
//!
//! A third word, `disk`, is for [`disk`], which keeps the files of a kernel in memory.
//!
//! All get everything else as a [`plan`] by a socket, their standard input. Its end is the end of the gateway. Their own
//! environment is empty: variables of a client must not act before its program is confined.

mod descriptors;
pub(crate) mod disk;
mod enter;
mod failure;
mod filter;
mod first;
mod hold;
pub(crate) mod message;
pub(crate) mod open_files;
pub(crate) mod plan;
mod root;
mod spent;
pub(crate) mod utf8;
mod walls;
mod words;

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

pub use descriptors::close_files_on_exec;
pub(crate) use enter::{INTERRUPT, KILL, SEEN, URGE};
use failure::Failure;
pub(crate) use filter::{Around, filter_calls, supports_filter};
pub(crate) use hold::{HOST_NETWORK, MAPPED_BY_GATEWAY, WITHIN};
use message::Kind;
pub(crate) use spent::Spent;
use words::FIRST;
pub(crate) use words::{DISK, ENTER, HOLD};

/// The exit code of a helper that could not do what it should.
pub(crate) const FAILED: u8 = 125;

/// The helper that makes and enters the boxes of kernels, for [`GatewayConfig::with_box_program`]. A program whose
/// gateway isolates kernels by namespaces calls this first when it is started with the arguments that it has named
/// there, and passes the arguments that follow. It must have no other threads yet.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// fn main() -> ExitCode {
///     let mut arguments = std::env::args_os().skip(1);
///     if arguments.next().is_some_and(|word| word == "__box") {
///         return sorna_gateway::box_main(arguments);
///     }
///     // Gateway::spawn(GatewayConfig::new().with_box_program("/proc/self/exe", ["__box"]) ...
///     ExitCode::SUCCESS
/// }
/// ```
///
/// [`GatewayConfig::with_box_program`]: crate::GatewayConfig::with_box_program
pub fn box_main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    // Before anything is opened: what this program was started with must not reach kernels.
    descriptors::close_foreign();
    let _ = open_files::raise();
    let Ok(control) = std::io::stdin().as_fd().try_clone_to_owned() else {
        return FAILED.into();
    };
    let control = UnixStream::from(control);
    let mut arguments = arguments.into_iter();
    let role = arguments.next().unwrap_or_default();
    let done = match role.to_str() {
        Some(HOLD) => hold::hold(&control, arguments),
        Some(DISK) => disk::disk(&control, arguments),
        Some(FIRST) => first::first(&control),
        Some(ENTER) => enter::enter(&control),
        _ => {
            eprintln!("this is a part of a gateway, which starts it by itself");
            return FAILED.into();
        }
    };
    match done {
        Ok(code) => code,
        Err(Failure(reason)) => {
            let _ = message::send(&control, Kind::Failed, reason.as_bytes(), &[]);
            FAILED.into()
        }
    }
}

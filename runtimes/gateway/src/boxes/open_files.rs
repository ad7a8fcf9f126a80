//! How many files processes may have open.
//!
//! The same limits say how many files may be on their way between processes: one cannot send more if those that its user has
//! sent, and no one has received, are more than its limit. So what a gateway needs must be well above what programs of
//! kernels can get, or one of them could keep all others from starting.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many files a program may have open, and to how many it may raise that: far more than programs need, and far less than
/// most systems allow a gateway.
const USUAL: u64 = 1024;
const MOST: u64 = 65_536;

/// Raises the limit of this process to the most that it may have.
pub(crate) fn raise() -> io::Result<()> {
    let own = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: own.maximum,
        maximum: own.maximum,
    };
    Ok(setrlimit(Resource::Nofile, most)?)
}

/// The limit of programs of kernels.
pub(crate) fn of_programs() -> Rlimit {
    let own = getrlimit(Resource::Nofile).maximum;
    let most = own.map_or(MOST, |own| MOST.min(own - own / 4));
    Rlimit {
        current: Some(USUAL.min(most)),
        maximum: Some(most),
    }
}

/// Puts this process under the limit of programs, which what it starts gets as well.
pub(super) fn limit() {
    let _ = setrlimit(Resource::Nofile, of_programs());
}

//! How memory is allocated.

/// What is allocated.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Use {
    /// Memory for many clients, which do not all need it at a time. Large pieces are given back to the system at once: what
    /// many clients, or large output, have once made a gateway take would never be.
    Shared,
    /// Memory for one client, whose output needs large pieces over and over. To take each from the system anew takes a third
    /// of the processor time of all that is done with it.
    #[cfg(feature = "jupyter")]
    Own,
}

impl Use {
    /// The largest piece that is taken from the heap, and how much of that is kept free, in bytes.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Shared => &[("MALLOC_MMAP_THRESHOLD_", "262144")],
            #[cfg(feature = "jupyter")]
            Self::Own => &[
                ("MALLOC_MMAP_THRESHOLD_", "8388608"),
                ("MALLOC_TRIM_THRESHOLD_", "8388608"),
            ],
        }
    }
}

/// Has the C library allocate all memory from one heap, but large pieces from the system. Otherwise, it has a heap for each
/// thread, and chooses itself, from the first large piece on, which ones are large.
///
/// It reads these settings when a program starts, so the program starts again, in the same process; once, and not where
/// the user has chosen settings.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn choose(for_what: Use) {
    use std::env;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    /// Says that this has been done: where the program has capabilities, the library removes the others.
    const DONE: &str = "SORNA_ALLOCATOR_CHOSEN";

    let is_chosen = env::vars_os().any(|(name, _)| {
        let name = name.as_encoded_bytes();
        name == DONE.as_bytes() || name == b"GLIBC_TUNABLES" || name.starts_with(b"MALLOC_")
    });
    let program = env::current_exe().ok().filter(|program| program.is_file());
    let mut arguments = env::args_os();
    if let (false, Some(program), Some(name)) = (is_chosen, program, arguments.next()) {
        let mut again = Command::new(program);
        again.arg0(name).args(arguments);
        again.env("MALLOC_ARENA_MAX", "1");
        again.envs(for_what.settings().iter().copied());
        again.env(DONE, "1");
        // It only returns if that fails. Nothing depends on it but the memory that is taken.
        let _ = again.exec();
    }
}

/// Other allocators have no such settings.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn choose(_: Use) {}

//! How memory is allocated.

/// Has the C library allocate all memory from one heap, but large pieces from the system, to which they are given back at
/// once. Otherwise, it has a heap for each thread, and from the first large piece on takes others of that size from these:
/// what many clients at a time, or large output, have once made a gateway take is never given back.
///
/// It reads these settings when a program starts, so the program starts again, in the same process; once, and not where
/// the user has chosen settings.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(super) fn choose() {
    use std::env;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    /// The largest piece that is taken from the heap, in bytes.
    const LARGE: &str = "262144";
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
        again.env("MALLOC_MMAP_THRESHOLD_", LARGE);
        again.env(DONE, "1");
        // It only returns if that fails. Nothing depends on it but the memory that is taken.
        let _ = again.exec();
    }
}

/// Other allocators have no such settings.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn choose() {}

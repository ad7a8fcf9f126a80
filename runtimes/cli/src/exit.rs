//! Exit codes, as documented in `sorna run --help`.

use std::process::ExitCode;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit(u8);

impl Exit {
    /// Success.
    pub(crate) const SUCCESS: Self = Self(0);
    /// The gateway returned an error or could not be reached.
    pub(crate) const FAILURE: Self = Self(1);
    /// A usage error, or a wrong setting.
    pub(crate) const USAGE: Self = Self(2);
    /// The program exceeded its time limit; the code of timeout(1).
    pub(crate) const TIMEOUT: Self = Self(124);

    /// There was nothing to attach to; no code of most programs.
    pub(crate) const NOTHING: Self = Self(125);

    /// The code of the program that was run. A program killed by a signal (a negative code) ends as
    /// in a shell.
    pub(crate) fn of_program(code: i64) -> Self {
        match code {
            0 => Self::SUCCESS,
            1..=255 => Self(u8::try_from(code).unwrap_or(1)),
            -127..=-1 => Self(u8::try_from(128 - code).unwrap_or(1)),
            _ => Self::FAILURE,
        }
    }

    /// Stopped by a signal.
    pub(crate) fn of_signal(signal: i32) -> Self {
        Self(u8::try_from(128 + signal).unwrap_or(1))
    }

    /// The number.
    pub(crate) fn code(self) -> u8 {
        self.0
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_programs_are_passed_on() {
        for (program, exit) in [(0, 0), (3, 3), (255, 255), (-9, 137), (256, 1), (-300, 1)] {
            assert_eq!(Exit::of_program(program).code(), exit, "{program}");
        }
        assert_eq!(Exit::of_signal(2).code(), 130);
    }
}

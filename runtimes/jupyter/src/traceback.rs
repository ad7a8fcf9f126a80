//! Errors, recognized in what interpreters write about them to standard error.
//!
//! Gateways say how a cell ended by an exit code at most; the name of the error and its message are in its traceback alone.
//! Where they say no exit code, as those of 2017, or 0 for exceptions too, as managers of Backend.AI 23.09, the traceback is
//! also all that says *that* a cell failed: see [`Family::is_certain`].

mod found;
mod others;
mod python;

pub use found::{Failure, Found};

use found::{last_line, lines};
use others::{begins_r, head_of_node, lua, may_be_thrown, node, r, ruby};
use python::{
    ipython, is_header_of_group, is_of_syntax, is_place, is_rule, name_in_header, python, uncolored,
};

/// What writes tracebacks, as far as their form is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Python.
    Python,
    /// R.
    R,
    /// Node.js.
    Node,
    /// Ruby.
    Ruby,
    /// Anything else.
    Other,
}

impl Family {
    /// Whether a traceback of this kind at the end of the output tells that the cell failed, if nothing else does. That is
    /// wrong where a program shows a traceback of its own as the last thing that it does, as `traceback.print_exc()` and
    /// `logging.exception` do, and then ends well. Only the tracebacks of Python are told from other output that surely.
    #[must_use]
    pub fn is_certain(self) -> bool {
        self == Self::Python
    }

    /// Whether a line begins something that may be a traceback, and so is worth waiting for its end.
    #[must_use]
    pub fn begins(self, line: &str) -> bool {
        match self {
            Self::Python => {
                let line = &*uncolored(line);
                line.trim_start_matches(['+', ' ', '|'])
                    .starts_with("Traceback (most")
                    || is_header_of_group(line)
                    || is_of_syntax(line)
                    || is_rule(line)
                    || name_in_header(line).is_some()
                    || is_place(line)
            }
            Self::R => begins_r(line),
            Self::Node => {
                line.starts_with("Uncaught ")
                    || line.starts_with("[eval]:")
                    || head_of_node(line).is_some()
                    || may_be_thrown(line)
            }
            Self::Ruby | Self::Other => false,
        }
    }

    /// The traceback with which this text ends, if it does.
    #[must_use]
    pub fn find(self, text: &str) -> Option<Found> {
        if text.trim().is_empty() {
            return None;
        }
        match self {
            Self::Python => python(text).or_else(|| ipython(text)),
            Self::R => r(text),
            Self::Node => node(text),
            Self::Ruby => ruby(text),
            // Anything may call its interpreter.
            Self::Other => lua(text),
        }
    }

    /// The error of a cell that ended with this exit code, having written this text to standard error last: a traceback, or
    /// else all of the text.
    #[must_use]
    pub fn of_exit(self, text: &str, exit_code: i64) -> Found {
        if let Some(found) = self.find(text) {
            return found;
        }
        let failure = match self {
            // Of `sys.exit` and the like.
            Self::Python => Failure::new("SystemExit", exit_code.to_string()),
            _ => Failure::new("ExitCode", exit_code.to_string()),
        };
        if text.trim().is_empty() || self == Self::Python {
            // What Python wrote before that has nothing to do with it.
            return Found {
                start: text.len(),
                end: text.len(),
                failure,
            };
        }
        let value = match self {
            Self::Other => format!("{exit_code}: {}", telling(text)),
            _ => last_line(text).to_owned(),
        };
        let name = if self == Self::Other {
            "ExitCode"
        } else {
            "Error"
        };
        Found {
            start: 0,
            end: text.len(),
            failure: Failure {
                name: name.to_owned(),
                value,
                traceback: lines(text),
            },
        }
    }
}

/// The line that says most of why a command or a whole program has failed. Compilers say what is wrong first, and then more about
/// it.
pub(crate) fn telling(text: &str) -> &str {
    let is_error = |line: &&str| line.contains("error: ") || line.starts_with("error[");
    let line = text.lines().find(is_error);
    line.map_or_else(|| last_line(text), str::trim)
}

/// Where a traceback begins behind what was written before without an end of its line, in bytes.
#[must_use]
pub(crate) fn begins_within(family: Family, text: &str) -> Option<usize> {
    match family {
        Family::Python => python::begins_within(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

//! Programs behave in a kernel as they do at home: each row of a table is run by the language's own command on this
//! machine and by a client in a kernel, and what comes of it is compared.
//!
//! A kind of behavior is a file with a table, one row a line, and a test for each language. Rows say what may differ.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod compare;
mod descriptors;
mod ends;
mod ends_of_kernels;
mod ends_outside;
mod forks;
mod guards;
mod home;
mod interrupts;
mod kernel;
mod outcome;
mod row;
mod ticks;
mod traces;
mod words;

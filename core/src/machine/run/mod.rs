//! A whole run: create a kernel, upload files, execute, destroy the kernel.

mod flat;
mod machine;
mod placing;
mod plan;
mod report;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_backend_ai;

pub use machine::Run;
pub use plan::RunPlan;
pub use report::{Cleanup, Ending, RunEvent, RunReport};

//! What an execution has used of the machine: an extension.

use std::time::Duration;

use serde_json::{Map, Value};

/// What a program has used of the machine, as its gateway measured it: see
/// [`ExecutionResult::usage`](super::ExecutionResult::usage). What a gateway does not say is `None`.
///
/// In a batch, each step has its own: that of the build comes with its
/// [end](crate::machine::ExecutionEvent::StepFinished), that of the program with the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// The time from its start to its end, without that in which it waited for its client to give input.
    pub wall_time: Option<Duration>,
    /// The time that processors spent on it, in user mode and in the system, with all of its threads and processes.
    pub processor_time: Option<Duration>,
    /// The most memory that it had at any time, in bytes.
    pub peak_memory: Option<u64>,
    /// How much it wrote to standard output and standard error, in bytes, also if some of that was cut.
    pub output: Option<u64>,
}

impl Usage {
    /// What a gateway says in the options of a result: `"usage": {"wallUs": …, "cpuUs": …, "peakMemory": …, "output": …}`.
    /// What is no whole number is taken to be missing.
    pub(super) fn of(options: &Map<String, Value>) -> Option<Self> {
        let usage = options.get("usage")?;
        let number = |name| usage.get(name).and_then(Value::as_u64);
        let all = Self {
            wall_time: number("wallUs").map(Duration::from_micros),
            processor_time: number("cpuUs").map(Duration::from_micros),
            peak_memory: number("peakMemory"),
            output: number("output"),
        };
        (all != Self::default()).then_some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::ExecutionResult;

    fn usage(options: &str) -> Option<Usage> {
        let text = format!(r#"{{"status": "finished", "options": {options}}}"#);
        let result: ExecutionResult = serde_json::from_str(&text).unwrap();
        assert_eq!(result.exceeded(), None);
        result.usage()
    }

    #[test]
    fn what_is_no_number_is_missing() {
        let all = usage(
            r#"{"usage": {"wallUs": 1500000, "cpuUs": 250, "peakMemory": 4096, "output": 0, "later": {}}}"#,
        );
        let all = all.unwrap();
        assert_eq!(all.wall_time, Some(Duration::from_millis(1500)));
        assert_eq!(all.processor_time, Some(Duration::from_micros(250)));
        assert_eq!((all.peak_memory, all.output), (Some(4096), Some(0)));
        let one = usage(
            r#"{"usage": {"wallUs": -1, "cpuUs": "7", "peakMemory": 18446744073709551615, "output": 1.5}}"#,
        );
        let expected = Usage {
            peak_memory: Some(u64::MAX),
            ..Usage::default()
        };
        assert_eq!(one, Some(expected));
        for none in [
            "null",
            "{}",
            r#"{"usage": null}"#,
            r#"{"usage": 7}"#,
            r#"{"usage": []}"#,
            r#"{"usage": {}}"#,
            r#"{"usage": {"wallUs": null, "cpuUs": 1e300}}"#,
            r#"{"usage": {"wallUs": 18446744073709551616}}"#,
        ] {
            assert_eq!(usage(none), None, "{none}");
        }
    }
}

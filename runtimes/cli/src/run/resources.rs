//! What a session has of the resources that were asked for.

use parse_size::Config;
use sorna::KernelId;

use crate::kernels::slot;
use crate::target::Target;

/// The resources that were asked for: names and amounts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resources<'r>(pub(super) &'r [(String, String)]);

impl Resources<'_> {
    /// What the session has, where that is not what was asked for: a gateway may allow less, and a session that existed
    /// keeps what it has. `None` also if the gateway does not say.
    pub(super) fn compared(self, target: &Target, kernel: &KernelId) -> Option<String> {
        let Self(asked) = self;
        if asked.is_empty() {
            return None;
        }
        let info = target.client.kernel(kernel.clone()).info().ok()?;
        let has = info.occupied_slots()?;
        let differences = asked.iter().filter_map(|(name, asked)| {
            let has = has.get(name)?;
            let differs = amount(name, asked)? != amount(name, has)?;
            differs.then(|| format!("{} (asked for: {asked})", slot(name, has)))
        });
        let differences: Vec<String> = differences.collect();
        (!differences.is_empty()).then(|| format!("The session has {}.", differences.join(", ")))
    }
}

/// An amount as a number, for comparing; memory in bytes. `None` if it is none.
fn amount(name: &str, text: &str) -> Option<f64> {
    let number = text.trim().parse().ok();
    if name != "mem" || number.is_some() {
        return number;
    }
    let bytes = Config::new().with_binary().parse_size(text).ok()?;
    Some(bytes as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_memory_may_have_units() {
        for (name, text, number) in [
            ("mem", "1g", Some(1_073_741_824.0)),
            ("mem", "1.5 GiB", Some(1_610_612_736.0)),
            ("mem", "1073741824.000000", Some(1_073_741_824.0)),
            ("cpu", "2", Some(2.0)),
            ("cpu", "2.000000", Some(2.0)),
            ("cpu", "2m", None),
            ("mem", "plenty", None),
        ] {
            assert_eq!(amount(name, text), number, "{name}={text}");
        }
    }
}

//! Releases of managers.

use sorna::protocol::VersionInfo;

/// Year and month of the release, if it is a manager of Backend.AI; `None` of the gateway of this project, which has none
/// of the managers' defects.
pub(crate) fn release(info: &VersionInfo) -> Option<(u32, u32)> {
    let mut numbers = info.manager.as_deref()?.split('.');
    let mut next = || numbers.next()?.parse().ok();
    Some((next()?, next()?))
}

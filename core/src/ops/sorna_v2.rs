//! Sorna v2: what the requests to a kernel have in common.

use http::Method;

use crate::error::BuildError;
use crate::ident::KernelId;
use crate::unsigned::UnsignedRequest;

/// A request to `/v2/kernel/{id}`, with room for a body of about this many bytes.
#[inline]
pub(super) fn to_kernel(
    method: Method,
    kernel: &KernelId,
    about: usize,
) -> Result<UnsignedRequest, BuildError> {
    kernel.check_for_sorna_v2()?;
    Ok(UnsignedRequest::with_room(method, "/v2/kernel", about).segment(kernel.as_str()))
}

/// A request to read something of a kernel that is an extension.
pub(super) fn to_extension(
    kernel: &KernelId,
    is_offered: bool,
    what: &'static str,
) -> Result<UnsignedRequest, BuildError> {
    match is_offered {
        true => to_kernel(Method::GET, kernel, 0),
        false => Err(BuildError::NotOffered { what }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::operation::Operation;
    use super::super::{
        Complete, Destroy, Execute, Info, Interrupt, ListFiles, Logs, Restart, UploadFiles,
    };
    use super::*;
    use crate::ops::Boundary;
    use crate::version::ApiVersion;

    #[test]
    fn no_request_to_a_kernel_creates_one() {
        let kernel = || KernelId::new("create").unwrap();
        let boundary = Boundary::from_random([7; 16]);
        let prepare = |operation: &dyn Fn(ApiVersion) -> Result<UnsignedRequest, BuildError>| {
            let expected = BuildError::KernelId {
                id: "create".to_owned(),
            };
            assert_eq!(operation(ApiVersion::V2_20170315).unwrap_err(), expected);
        };
        prepare(&|version| Info::new(kernel()).prepare(version));
        prepare(&|version| Restart::new(kernel()).prepare(version));
        prepare(&|version| Interrupt::new(kernel()).prepare(version));
        prepare(&|version| Destroy::new(kernel()).prepare(version));
        prepare(&|version| {
            let list = ListFiles::new(kernel(), ".").with_extension(true);
            list.prepare(version)
        });
        prepare(&|version| {
            let logs = Logs::new(kernel()).with_extension(true);
            logs.prepare(version)
        });
        prepare(&|version| Complete::at_end(kernel(), "a").prepare(version));
        prepare(&|version| Execute::start(kernel(), "1".into()).prepare(version));
        prepare(&|version| UploadFiles::new(kernel(), vec![], boundary).prepare(version));
    }
}

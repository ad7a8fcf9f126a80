//! What clients learn of what programs have used, in both dialects.

use std::time::Duration;

use sorna::blocking::Client;
use sorna::{KernelSpec, Limit, Limits};
use sorna_gateway::{Gateway, GatewayConfig};

#[test]
fn kernels_say_what_programs_have_used_and_keep_limits_on_output() {
    let gateway = Gateway::spawn(GatewayConfig::default()).unwrap();
    for config in [gateway.config(), gateway.config().negotiated()] {
        let client = Client::new(config);
        let limits = Limits::new().with_max_output(10);
        let kernel = client
            .create(KernelSpec::new("bash").with_limits(limits))
            .unwrap();
        let result = kernel.run("printf 0123456789; sleep 0.2").unwrap();
        assert_eq!(result.exceeded(), None);
        let usage = result.usage().unwrap();
        assert!(
            usage.wall_time >= Some(Duration::from_millis(200)),
            "{usage:?}"
        );
        assert!(
            usage.processor_time < Some(Duration::from_millis(200)),
            "{usage:?}"
        );
        assert!(usage.peak_memory > Some(0), "{usage:?}");
        assert_eq!(usage.output, Some(10));
        let result = kernel.run("printf 0123456789x; sleep 1000").unwrap();
        let exceeded = result.exceeded().unwrap();
        assert_eq!((exceeded.limit, exceeded.max), (Limit::Output, Some(10)));
        assert_eq!(
            (&*result.stdout(), result.exit_code()),
            ("0123456789", Some(137))
        );
        assert_eq!(result.usage().unwrap().output, Some(11));
        kernel.destroy().unwrap();
    }
}

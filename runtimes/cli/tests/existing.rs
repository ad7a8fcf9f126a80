//! Kernels and sessions that exist already, by `-t`.

mod support;

use std::process::Command;

use sorna_gateway::RunningGateway;

use support::{backend_at, check, gateway, here, sorna_at};

/// The ID in a message such as `Session (ID: …) is ready.`
fn id_in(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let (_, rest) = text.split_once("(ID: ").expect("an ID");
    rest.split_once(')').expect("its end").0.to_owned()
}

#[test]
fn an_id_names_the_kernel_that_exists() {
    type At = fn(&std::path::Path, &RunningGateway) -> Command;
    for at in [sorna_at as At, backend_at] {
        let gateway = gateway();
        let directory = here();
        let run = |token: &str, lang: &str, code: &str| {
            let mut command = at(directory.path(), &gateway);
            command.args(["run", "-t", token, lang, "-c", code]);
            command.output().expect("sorna runs")
        };
        let id = id_in(&run("my-session", "python", "x = 41").stderr);
        let again = run(&id, "python3", "print(x + 1)");
        assert_eq!(String::from_utf8_lossy(&again.stdout), "42\n");
        assert_eq!(id_in(&again.stderr), id);
        assert_eq!(gateway.stats().kernels_created, 1);
        let mut command = at(directory.path(), &gateway);
        command.args(["destroy", &id]);
        check(command).success();
        gateway.stop();
    }
}

//! The clients that people have.

use super::peer::{House, TOKEN};
use crate::support::{here, write};
use crate::{Lab, shown};
use sorna_test_tools::need_jupyter;

/// A script beside this file, with the address of the server and its token in its environment.
fn script(text: &str) {
    let Some(python) = need_jupyter() else {
        return;
    };
    let house = House::open();
    let lab = Lab {
        directory: here(),
        python,
    };
    write(lab.path(), &[("script.py", text)]);
    let path = lab.python.clone();
    let mut command = lab.prepared(crate::support::program(&path, lab.path()));
    let output = command
        .arg("script.py")
        .env("URL", house.url())
        .env("TOKEN", TOKEN)
        .output()
        .expect("python runs");
    assert!(
        output.status.success(),
        "{}\n{}",
        shown(&output),
        house.log()
    );
    assert!(!house.log().contains(TOKEN));
}

#[test]
fn jupyter_kernel_client_runs_code() {
    script(include_str!("kernel_client.py"));
}

#[test]
fn jupyters_own_server_has_its_kernels_here() {
    script(include_str!("gateway.py"));
}

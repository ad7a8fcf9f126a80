//! Images of Backend.AI as languages of the gateway on this machine.

use crate::support::{check, here, sorna};

#[test]
fn a_local_gateway_takes_references_and_names_of_images_in_both_apis() {
    let directory = here();
    for api in [&[][..], &["--api", "sorna"], &["--api", "backend-ai"]] {
        for image in [
            "cr.backend.ai/stable/python:3.9-ubuntu20.04",
            "python:3.9",
            "localhost:5000/python-tensorflow:2.15-py311",
        ] {
            let mut command = sorna(directory.path());
            command.args(api);
            command.args(["run", "-q", "--local", image, "-c", "print(6 * 7)"]);
            check(command).success().stdout_eq("42\n").stderr_eq("");
        }
        for image in ["gcc", "cr.backend.ai/stable/gcc:11.2-ubuntu20.04"] {
            let mut command = sorna(directory.path());
            command.args(api);
            let program = "#include <stdio.h>\nint main() { puts(\"built\"); }";
            command.args(["run", "-q", "--local", image, "-c", program]);
            check(command).success().stdout_eq("built\n").stderr_eq("");
        }
    }
}

#[test]
fn an_unknown_image_is_named_in_full() {
    let directory = here();
    for api in ["sorna", "backend-ai"] {
        let image = "cr.backend.ai/stable/cobol-for-everyone:3.9-ubuntu20.04";
        let mut command = sorna(directory.path());
        command.args(["--api", api, "run", "--local", image, "-c", "x"]);
        let output = command.output().expect("sorna runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(image), "{text}");
        assert_eq!(output.status.code(), Some(1));
    }
}

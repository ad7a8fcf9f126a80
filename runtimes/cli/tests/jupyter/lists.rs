//! `sorna jupyter install`, `list` and `uninstall`.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sorna_gateway::RunningGateway;

use crate::support::{check, gateway, here, sorna, sorna_at};

fn jupyter(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = sorna(directory);
    command
        .env("HOME", directory)
        .arg("jupyter")
        .args(arguments);
    command
}

fn spec(directory: &Path, name: &str) -> Value {
    let path = directory.join(".local/share/jupyter/kernels").join(name);
    let text = std::fs::read(path.join("kernel.json")).expect("a kernelspec");
    let logo = std::fs::read_to_string(path.join("logo-svg.svg")).expect("a logo");
    assert!(logo.starts_with("<svg "), "{logo}");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn kernels_are_installed_listed_and_removed() {
    let directory = here();
    let at = directory.path();
    std::fs::create_dir(at.join("data")).expect("a directory");
    let arguments = [
        "install",
        "--local",
        "--network",
        "host",
        "--allow-read",
        "data",
        "python3",
        "bash",
        "python3",
    ];
    check(jupyter(at, &arguments)).success().stderr_eq(
        "✔ Installed sorna-local-python3 in [DIR]/.local/share/jupyter/kernels/sorna-local-python3.\n\
         ✔ Installed sorna-local-bash in [DIR]/.local/share/jupyter/kernels/sorna-local-bash.\n",
    );
    let python = spec(at, "sorna-local-python3");
    assert_eq!(python["interrupt_mode"], "message");
    assert_eq!(python["language"], "python");
    let argv: Vec<_> = python["argv"]
        .as_array()
        .expect("words")
        .iter()
        .map(|it| it.as_str().expect("text"))
        .collect();
    assert!(
        Path::new(argv[0]).is_absolute() && Path::new(argv[0]).exists(),
        "{argv:?}"
    );
    let data = at.join("data");
    let expected = [
        "jupyter",
        "run",
        "-f",
        "{connection_file}",
        "--local",
        "--network",
        "host",
        "--allow-read",
        data.to_str().expect("text"),
        "--",
        "python3",
    ];
    assert_eq!(argv[1..], expected);
    check(jupyter(at, &["list"])).success().stdout_eq(
        "sorna-local-bash     Bash (Sorna, this machine)    [DIR]/.local/share/jupyter/kernels/sorna-local-bash\n\
         sorna-local-python3  Python (Sorna, this machine)  [DIR]/.local/share/jupyter/kernels/sorna-local-python3\n",
    );
    check(jupyter(at, &["uninstall", "sorna-local-bsh"])).code(1).stderr_eq(
        "✘ no kernel of this program is named `sorna-local-bsh`\n∙ Did you mean `sorna-local-bash`?\n",
    );
    check(jupyter(at, &["uninstall", "--all"])).success();
    check(jupyter(at, &["list"]))
        .success()
        .stdout_eq("")
        .stderr_eq("∙ No kernels are installed. `sorna jupyter install` installs them.\n");
}

#[test]
fn a_gateway_is_asked_for_its_languages_and_no_keys_are_written() {
    let directory = here();
    let at = directory.path();
    let gateway = gateway();
    let mut command = sorna_at(at, &gateway);
    command
        .env("HOME", at)
        .env("TOKEN", "a-value-from-the-environment");
    command.args(["jupyter", "install", "-e", "TOKEN", "-e", "EPOCHS=3"]);
    check(command).success();
    let python = spec(at, "sorna-python3");
    assert_eq!(python["env"], serde_json::json!({"EPOCHS": "3"}));
    let text = python.to_string();
    assert!(
        !text.contains(gateway.secret_key()) && !text.contains("a-value-from"),
        "{text}"
    );
    assert!(!python["argv"].to_string().contains("EPOCHS=3"), "{text}");
    let path = at.join(".local/share/jupyter/kernels/sorna-python3/kernel.json");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&path.metadata().expect("a file").permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(spec(at, "sorna-bash")["language"], "bash");
}

/// With the settings of a profile `here` for this gateway, and these lines.
fn with_profile(at: &Path, gateway: &RunningGateway, lines: &str) {
    let text = format!(
        "[profiles.here]\nendpoint = \"{}\"\naccess_key = \"{}\"\nsecret_key = \"{}\"\n{lines}",
        gateway.endpoint(),
        gateway.access_key(),
        gateway.secret_key(),
    );
    std::fs::write(at.join("config.toml"), text).expect("a file");
}

#[test]
fn a_profile_comes_before_the_environment() {
    let directory = here();
    let at = directory.path();
    let gateway = gateway();
    with_profile(at, &gateway, "");
    let install = |arguments: &[&str]| {
        let mut command = jupyter(at, arguments);
        command
            .env("SORNA_CONFIG", at.join("config.toml"))
            .env("SORNA_ENDPOINT", "http://127.0.0.1:1")
            .env("SORNA_ACCESS_KEY", "AKIAOTHER")
            .env("SORNA_SECRET_KEY", "other");
        command.output().expect("sorna runs")
    };
    let output = install(&["install", "--profile", "here", "--exec-timeout", "2h"]);
    assert!(output.status.success(), "{output:?}");
    let argv = spec(at, "sorna-here-bash")["argv"].to_string();
    for words in [r#""--profile","here""#, r#""--exec-timeout","2h""#] {
        assert!(argv.contains(words), "{argv}");
    }
    // Without one, the environment counts.
    assert_eq!(install(&["install"]).status.code(), Some(1));
    // What the gateway does not have is known at once, if it can be asked.
    let output = install(&["install", "--profile", "here", "bash", "cobol"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("✘ the gateway has no language `cobol`\n∙ There are: "),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(1), "{text}");
    let output = install(&["install", "cobol"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn what_a_profile_cannot_have_is_refused() {
    let directory = here();
    let at = directory.path();
    let gateway = gateway();
    for (lines, option, said) in [
        ("", ["-e", "TOKEN"], Some("api = \"backend-ai\"")),
        ("api = \"backend-ai\"\n", ["-e", "TOKEN"], None),
        ("", ["--exec-timeout", "1h"], None),
        (
            "api = \"backend-ai\"\n",
            ["--exec-timeout", "1h"],
            Some("does not have that"),
        ),
    ] {
        with_profile(at, &gateway, lines);
        let mut command = jupyter(at, &["install", "--profile", "here", "bash"]);
        command.args(option);
        command.env("SORNA_CONFIG", at.join("config.toml"));
        let output = command.output().expect("sorna runs");
        let text = String::from_utf8_lossy(&output.stderr);
        let expected = if said.is_some() { 2 } else { 0 };
        assert_eq!(output.status.code(), Some(expected), "{text}");
        assert!(said.is_none_or(|said| text.contains(said)), "{text}");
    }
}

#[test]
fn the_name_of_a_kernel_says_which_environment_it_has() {
    let directory = here();
    let at = directory.path();
    std::fs::create_dir_all(at.join("work/.venv/bin")).expect("a directory");
    let arguments = ["install", "--local", "--venv", "work/.venv", "bash"];
    check(jupyter(at, &arguments)).success();
    let title = &spec(at, "sorna-local-bash")["display_name"];
    assert_eq!(title, "Bash (Sorna, this machine, work/.venv)");
}

#[test]
fn kernels_of_others_stay() {
    let directory = here();
    let at = directory.path();
    let kernels = at.join("p/share/jupyter/kernels/mine");
    std::fs::create_dir_all(&kernels).expect("a directory");
    std::fs::write(kernels.join("kernel.json"), "{\"argv\": []}").expect("a file");
    let arguments = [
        "install", "--local", "--prefix", "p", "--name", "mine", "bash",
    ];
    check(jupyter(at, &arguments)).code(1).stderr_eq(
        "✘ [DIR]/p/share/jupyter/kernels/mine is a kernel of another program, which stays; choose another name\n",
    );
    check(jupyter(at, &["uninstall", "--prefix", "p", "mine"])).code(1);
    assert!(kernels.exists());
}

#[test]
fn images_of_the_same_name_are_two_kernels() {
    let directory = here();
    let at = directory.path();
    let images = ["stable", "testing"].map(|project| format!("cr.example/{project}/python:3.9"));
    let [stable, testing] = &images;
    check(jupyter(at, &["install", stable, testing])).success();
    let mut names: Vec<_> = std::fs::read_dir(at.join(".local/share/jupyter/kernels"))
        .expect("a directory")
        .flatten()
        .map(|it| it.file_name().into_string().expect("text"))
        .collect();
    names.sort();
    let expected = ["stable", "testing"].map(|it| format!("sorna-cr.example-{it}-python-3.9"));
    assert_eq!(names, expected);
}

#[test]
fn files_of_the_user_stay() {
    let directory = here();
    let at = directory.path();
    check(jupyter(at, &["install", "--local", "bash"])).success();
    let kernel = at.join(".local/share/jupyter/kernels/sorna-local-bash");
    std::fs::write(kernel.join("notes.txt"), "mine").expect("a file");
    check(jupyter(at, &["uninstall", "--all"]))
        .success()
        .stderr_eq(
            "✔ Removed sorna-local-bash from [DIR]/.local/share/jupyter/kernels/sorna-local-bash.\n\
         ∙ [DIR]/.local/share/jupyter/kernels/sorna-local-bash has other files, which stay.\n",
        );
    let names = std::fs::read_dir(&kernel).expect("a directory").flatten();
    let names: Vec<_> = names.map(|it| it.file_name()).collect();
    assert_eq!(names, ["notes.txt"]);
    // They keep no kernel from coming back.
    check(jupyter(at, &["install", "--local", "bash"])).success();
    assert!(kernel.join("notes.txt").exists() && kernel.join("kernel.json").exists());
}

#[test]
fn languages_that_are_not_there_are_refused() {
    let directory = here();
    let at = directory.path();
    let output = jupyter(at, &["install", "--local", "bash", "nosuchlang"]).output();
    let output = output.expect("sorna runs");
    let text = String::from_utf8_lossy(&output.stderr);
    let refused = "✘ this machine has no language `nosuchlang`\n∙ There are: python3, bash";
    assert!(text.starts_with(refused), "{text}");
    assert_eq!(output.status.code(), Some(1), "{text}");
    check(jupyter(at, &["list"])).success().stdout_eq("");
    // Other names of a language do.
    check(jupyter(at, &["install", "--local", "python"])).success();
}

#[test]
fn mistakes_are_named() {
    let directory = here();
    let at = directory.path();
    for (arguments, message) in [
        (
            &["install", "--local", "--name", "x"][..],
            "--name needs exactly one language",
        ),
        (
            &["install", "--local", "--name", "a/b", "bash"],
            "`a/b` is not a valid kernel name",
        ),
        (
            &["install", "--sys-prefix", "--local", "bash"],
            "no virtual environment is active",
        ),
        (
            &["install", "--network", "host", "bash"],
            "--network needs --local",
        ),
        (&["install", "--profile", "none", "bash"], "none"),
        (&["install"], "`sorna jupyter install --local`"),
        (&["uninstall"], "--all"),
        (
            &["run", "-f", "missing.json", "--local", "bash"],
            "cannot read the connection file missing.json",
        ),
    ] {
        let output = jupyter(at, arguments).output().expect("sorna runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(message), "{arguments:?}: {text}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    }
}

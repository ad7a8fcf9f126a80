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
fn only_the_named_place_is_cleared() {
    let directory = here();
    let at = directory.path();
    let places = [
        (vec!["--user"], ".local"),
        (vec!["--prefix", "other"], "other"),
        (vec!["--sys-prefix"], "venv"),
    ];
    let run = |command: &str, place: &[&str], rest: &[&str]| {
        let mut jupyter = jupyter(at, &[command]);
        jupyter.env("VIRTUAL_ENV", at.join("venv"));
        jupyter.args(place).args(rest);
        check(jupyter).success();
    };
    for (removed, _) in &places {
        for (place, _) in &places {
            run("install", place, &["--local", "bash"]);
        }
        run("uninstall", removed, &["--all"]);
        for (place, path) in &places {
            let path = at.join(path).join("share/jupyter/kernels/sorna-local-bash");
            assert_eq!(path.exists(), place != removed, "{removed:?}: {path:?}");
        }
    }
    run("uninstall", &[], &["--all"]);
    let exists = |path| {
        at.join(path)
            .join("share/jupyter/kernels/sorna-local-bash")
            .exists()
    };
    assert_eq!(
        [".local", "venv", "other"].map(exists),
        [false, false, true]
    );
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
    check(jupyter(at, &arguments))
        .success()
        .stderr_eq("✔ Installed sorna-local-bash in [..]\n");
    check(jupyter(at, &["install", "--local", "bash"]))
        .success()
        .stderr_eq(
            "✔ Installed sorna-local-bash in [..]\n\
             ∙ It has replaced \"Bash (Sorna, this machine, work/.venv)\": with --name, both can be there.\n",
        );
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
fn one_place_is_listed_once_by_whatever_paths() {
    let directory = here();
    let at = directory.path();
    std::fs::create_dir_all(at.join(".local")).expect("a directory");
    std::os::unix::fs::symlink(".local", at.join("link")).expect("a link");
    check(jupyter(at, &["install", "--local", "bash", "python3"])).success();
    let bash = "[DIR]/.local/share/jupyter/kernels/sorna-local-bash";
    for prefix in [
        ".local",
        "./.local/",
        "link",
        at.join(".local").to_str().expect("text"),
    ] {
        let command = || {
            let mut command = jupyter(at, &["list", "--prefix", prefix]);
            command.env("VIRTUAL_ENV", at.join("link"));
            command
        };
        check(command()).success().stdout_eq(format!(
            "sorna-local-bash     Bash (Sorna, this machine)    {bash}\n\
             sorna-local-python3  Python (Sorna, this machine)  [DIR]/.local/share/jupyter/kernels/sorna-local-python3\n",
        ));
    }
    // A relative path is shown as one that holds from anywhere.
    let arguments = [
        "install", "--local", "--prefix", "p", "--name", "there", "bash",
    ];
    check(jupyter(at, &arguments)).success();
    let output = jupyter(at, &["list", "--prefix", "p", "--json"]).output();
    let text = String::from_utf8(output.expect("sorna runs").stdout).expect("text");
    let path = at.join("p/share/jupyter/kernels/there");
    assert!(text.contains(path.to_str().expect("text")), "{text}");
    // One that is named twice is removed once.
    let names = ["sorna-local-bash", "SORNA-local-bash"];
    let arguments = ["uninstall", "--prefix", "link", names[0], names[1]];
    check(jupyter(at, &arguments)).success().stderr_eq(
        "✔ Removed sorna-local-bash from [DIR]/link/share/jupyter/kernels/sorna-local-bash.\n",
    );
}

#[test]
fn names_are_those_of_jupyter_which_knows_no_capitals() {
    let directory = here();
    let at = directory.path();
    let kernels = at.join(".local/share/jupyter/kernels");
    let install = ["install", "--local", "--name", "MyBash", "bash"];
    check(jupyter(at, &install))
        .success()
        .stderr_eq("✔ Installed mybash in [DIR]/.local/share/jupyter/kernels/mybash.\n");
    // One that was written with capitals is the same one.
    std::fs::rename(kernels.join("mybash"), kernels.join("MYbash")).expect("a directory");
    check(jupyter(at, &install))
        .success()
        .stderr_eq("✔ Installed mybash in [DIR]/.local/share/jupyter/kernels/MYbash.\n");
    let line = "mybash  Bash (Sorna, this machine)  [DIR]/.local/share/jupyter/kernels/MYbash\n";
    check(jupyter(at, &["list"]))
        .success()
        .stdout_eq(line)
        .stderr_eq("");
    // Another one of the name, which Jupyter does not show.
    let other = [
        "install", "--local", "--prefix", "p", "--name", "mybash", "bash",
    ];
    check(jupyter(at, &other)).success().stderr_eq(
        "✔ Installed mybash in [DIR]/p/share/jupyter/kernels/mybash.\n\
         ∙ Another kernel with this name is in [DIR]/.local/share/jupyter/kernels/MYbash: Jupyter shows only one of them, the one that it finds first.\n",
    );
    check(jupyter(at, &["list", "--prefix", "p"])).success().stderr_eq(
        "∙ There are 2 kernels with the name mybash: Jupyter shows only one of them, the one that it finds first.\n",
    );
    check(jupyter(at, &["uninstall", "myBASH"]))
        .success()
        .stderr_eq("✔ Removed mybash from [DIR]/.local/share/jupyter/kernels/MYbash.\n");
    // Those of other programs are not hidden either.
    std::fs::create_dir_all(kernels.join("Mine")).expect("a directory");
    std::fs::write(kernels.join("Mine/kernel.json"), "{}").expect("a file");
    let mine = ["install", "--local", "--name", "mine", "bash"];
    check(jupyter(at, &mine)).code(1).stderr_eq(
        "✘ [DIR]/.local/share/jupyter/kernels/Mine is a kernel of another program, which stays; choose another name\n",
    );
}

#[test]
fn a_link_to_a_kernel_is_removed_alone() {
    let directory = here();
    let at = directory.path();
    let install = ["install", "--local", "--prefix", "p", "bash"];
    check(jupyter(at, &install)).success();
    let kernels = at.join(".local/share/jupyter/kernels");
    std::fs::create_dir_all(&kernels).expect("a directory");
    let there = at.join("p/share/jupyter/kernels/sorna-local-bash");
    std::os::unix::fs::symlink(&there, kernels.join("linked")).expect("a link");
    check(jupyter(at, &["uninstall", "linked"]))
        .success()
        .stderr_eq("✔ Removed linked from [DIR]/.local/share/jupyter/kernels/linked.\n");
    assert!(there.join("kernel.json").exists() && !kernels.join("linked").is_symlink());
}

#[test]
fn the_link_by_which_the_command_was_called_is_what_jupyter_starts() {
    let directory = here();
    let at = directory.path();
    let program = sorna(at).get_program().to_owned();
    for name in ["bin", "opt"] {
        std::fs::create_dir(at.join(name)).expect("a directory");
    }
    let versioned = at.join("opt/sorna-0.1");
    std::fs::hard_link(&program, &versioned)
        .or_else(|_| std::fs::copy(&program, &versioned).map(drop))
        .expect("a program");
    let link = at.join("bin/sorna");
    std::os::unix::fs::symlink(&versioned, &link).expect("a link");
    // By its name, as a shell does it, and by its path.
    for called in ["sorna", "bin/sorna"] {
        let mut command = Command::new("sh");
        let prepared = jupyter(at, &[]);
        command.current_dir(at).env_clear();
        for (name, value) in prepared.get_envs() {
            value.map(|value| command.env(name, value));
        }
        let path = std::env::var("PATH").expect("a path");
        command.env("PATH", format!("{}:{path}", at.join("bin").display()));
        command.args(["-c", &format!("exec {called} jupyter install --local bash")]);
        let output = command.output().expect("sh runs");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(
            spec(at, "sorna-local-bash")["argv"][0],
            link.to_str().expect("text"),
            "{called}"
        );
    }
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

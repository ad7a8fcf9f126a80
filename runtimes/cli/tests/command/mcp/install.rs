//! `sorna mcp install`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use snapbox::cmd::cargo_bin;

use super::client::Client;
use crate::support::{gateway, here, sorna, write};

fn install(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = sorna(directory);
    command
        .env("HOME", directory)
        .env_remove("XDG_CONFIG_HOME")
        .args(["mcp", "install"])
        .args(arguments);
    command.output().expect("sorna runs")
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("a file");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn each_agent_gets_what_it_reads() {
    let directory = here();
    let at = directory.path();
    let program = cargo_bin!("sorna").to_str().expect("text").to_owned();
    for (agent, file, table) in [
        ("claude", ".claude.json", "mcpServers"),
        ("gemini", ".gemini/settings.json", "mcpServers"),
        ("cursor", ".cursor/mcp.json", "mcpServers"),
        ("vscode", ".config/Code/User/mcp.json", "servers"),
    ] {
        let output = install(
            at,
            &[agent, "--local", "--network", "host", "--max-mem", "1g"],
        );
        assert!(output.status.success(), "{output:?}");
        let entry = read(&at.join(file))[table]["sorna"].clone();
        assert_eq!(entry["command"], program);
        assert_eq!(
            entry["args"],
            json!(["mcp", "--local", "--network", "host", "--max-mem", "1g"])
        );
    }
    let output = install(at, &["codex", "--local"]);
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(at.join(".codex/config.toml")).expect("a file");
    let expected =
        format!("[mcp_servers.sorna]\ncommand = \"{program}\"\nargs = [\"mcp\", \"--local\"]\n");
    assert_eq!(text, expected);
    // In a project, beside what is there, with the same settings once more.
    write(
        at,
        &[(
            ".mcp.json",
            "{\n  \"mcpServers\": {\n    \"other\": {}\n  }\n}\n",
        )],
    );
    for _ in 0..2 {
        let output = install(at, &["claude", "--project", "--local", "--name", "box"]);
        assert!(output.status.success(), "{output:?}");
        let servers = &read(&at.join(".mcp.json"))["mcpServers"];
        assert_eq!(servers["other"], json!({}));
        assert_eq!(servers["box"]["args"], json!(["mcp", "--local"]));
    }
}

#[test]
fn what_is_installed_starts() {
    let directory = here();
    let output = install(
        directory.path(),
        &["cursor", "--print", "--local", "--max-wait", "20s"],
    );
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    let printed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let entry = &printed["mcpServers"]["sorna"];
    let words = entry["args"].as_array().expect("words").iter();
    let mut command = Command::new(entry["command"].as_str().expect("text"));
    command
        .env_clear()
        .args(words.map(|it| it.as_str().expect("text")));
    let output = command
        .stdin(std::process::Stdio::null())
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");
    assert!(!directory.path().join(".cursor").exists());
}

#[test]
fn what_is_not_understood_stays() {
    let directory = here();
    let at = directory.path();
    for (agent, file, old) in [
        ("cursor", ".cursor/mcp.json", "// mine\n{}\n"),
        (
            "gemini",
            ".gemini/settings.json",
            "{\"mcpServers\": {\"sorna\": {\"command\": \"other\"}}}",
        ),
        ("codex", ".codex/config.toml", "mcp_servers = 1\n"),
    ] {
        write(at, &[(file, old)]);
        let output = install(at, &[agent, "--local"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            stderr.contains("was not changed") && stderr.contains("--print"),
            "{stderr}"
        );
        assert_eq!(std::fs::read_to_string(at.join(file)).expect("a file"), old);
    }
    for arguments in [
        &["claude"][..],
        &["claude", "--local", "--name", "a b"],
        &["other", "--local"],
        &["claude", "--profile", "none"],
    ] {
        let output = install(at, arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}

#[test]
fn permissions_and_links_stay() {
    let directory = here();
    let at = directory.path();
    write(at, &[("dotfiles/claude.json", "{\"secret\": 1}")]);
    let file = at.join("dotfiles/claude.json");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("a mode");
    std::os::unix::fs::symlink(&file, at.join(".claude.json")).expect("a link");
    assert!(install(at, &["claude", "--local"]).status.success());
    let metadata = std::fs::symlink_metadata(at.join(".claude.json")).expect("a link");
    assert!(metadata.is_symlink());
    assert_eq!(
        std::fs::metadata(&file)
            .expect("a file")
            .permissions()
            .mode()
            & 0o777,
        0o640
    );
    assert_eq!(read(&file)["secret"], 1);
    assert!(install(at, &["codex", "--local"]).status.success());
    let mode = std::fs::metadata(at.join(".codex/config.toml"))
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let names = std::fs::read_dir(at.join(".codex"))
        .expect("a list")
        .count();
    assert_eq!(names, 1);
}

/// What is said, in one text.
fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn people_are_told_whether_an_entry_is_new() {
    let directory = here();
    let at = directory.path();
    for agent in ["claude", "codex"] {
        for (options, words) in [
            (&["--local"][..], "Added sorna to "),
            (&["--local", "--max-mem", "1g"], "Replaced sorna in "),
            (&["--local", "--max-mem", "1g"], " has sorna as it is to be"),
        ] {
            let output = install(at, &[&[agent], options].concat());
            assert!(output.status.success(), "{output:?}");
            assert!(said(&output).contains(words), "{}", said(&output));
        }
    }
}

/// Agents hand on what the shell has that started them.
#[test]
fn a_profile_that_is_named_comes_before_the_environment() {
    let directory = here();
    let at = directory.path();
    let served = gateway();
    let profile = format!(
        "[profiles.work]\nendpoint = \"{}\"\naccess_key = \"{}\"\nsecret_key = \"{}\"\n",
        served.endpoint(),
        served.access_key(),
        served.secret_key()
    );
    write(at, &[("settings.toml", &profile)]);
    let settings = at.join("settings.toml");
    std::fs::set_permissions(&settings, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let mut command = sorna(at);
    command
        .env("SORNA_ENDPOINT", "http://127.0.0.1:9")
        .env("SORNA_CONFIG", &settings)
        .args(["mcp", "--profile", "work"]);
    let mut client = Client::begin(command, directory, "2025-11-25");
    assert_eq!(client.run("bash", "echo 1").ended().0, "1\n");
}

#[test]
fn variables_that_select_settings_are_options_of_the_entry() {
    let directory = here();
    let at = directory.path();
    write(
        at,
        &[(
            "settings.toml",
            "[profiles.far]\nendpoint = \"https://sorna.example\"\naccess_key = \"AKIA\"\nsecret_key = \"a-key-that-no-one-may-see\"\n",
        )],
    );
    let settings = at.join("settings.toml");
    std::fs::set_permissions(&settings, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let install = |arguments: &[&str], set: &[(&str, &str)]| {
        let mut command = sorna(at);
        command
            .env("HOME", at)
            .args(["mcp", "install", "cursor", "--print"])
            .args(arguments)
            .envs(set.iter().copied());
        command.output().expect("sorna runs")
    };
    let config = settings.to_str().expect("text");
    let output = install(
        &["--profile", "far"],
        &[("SORNA_CONFIG", "settings.toml"), ("SORNA_CA_FILE", "ca")],
    );
    assert!(output.status.success(), "{output:?}");
    let printed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let ca_file = at.join("ca");
    assert_eq!(
        printed["mcpServers"]["sorna"]["args"],
        json!([
            "mcp",
            "--profile",
            "far",
            "--config",
            config,
            "--ca-file",
            ca_file.to_str().expect("text")
        ])
    );
    // The profile may be one of them.
    let set = [("SORNA_CONFIG", config), ("SORNA_PROFILE", "far")];
    let output = install(&[], &set);
    assert!(output.status.success(), "{output:?}");
    let printed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        printed["mcpServers"]["sorna"]["args"],
        json!(["mcp", "--profile", "far", "--config", config])
    );
    // On this machine, none of them counts.
    let output = install(&["--local"], &set);
    assert!(
        !said(&output).contains("settings.toml"),
        "{}",
        said(&output)
    );
    // What no server could use is not written.
    for endpoint in [
        "https://user:hidden@sorna.example",
        "ftp://sorna.example",
        "no URL",
    ] {
        let output = install(&["--endpoint", endpoint], &[]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(!said(&output).contains("hidden"), "{}", said(&output));
    }
}

#[test]
fn keys_of_the_environment_are_not_written() {
    let directory = here();
    let mut command = sorna(directory.path());
    command
        .env("HOME", directory.path())
        .env("SORNA_ACCESS_KEY", "AKIA")
        .env("SORNA_SECRET_KEY", "a-key-that-no-one-may-see")
        .args([
            "mcp",
            "install",
            "cursor",
            "--endpoint",
            "https://sorna.example",
        ]);
    let output = command.output().expect("sorna runs");
    assert!(output.status.success(), "{output:?}");
    let words = "The key of SORNA_SECRET_KEY is not written there";
    assert!(said(&output).contains(words), "{}", said(&output));
    let file = directory.path().join(".cursor/mcp.json");
    let text = std::fs::read_to_string(file).expect("a file");
    assert!(!text.contains("no-one-may-see"), "{text}");
}

#[test]
fn line_ends_and_a_mark_stay() {
    let directory = here();
    let at = directory.path();
    let old = "\u{feff}{\r\n  \"mcpServers\": {\r\n    \"other\": {}\r\n  }\r\n}\r\n";
    write(at, &[(".cursor/mcp.json", old)]);
    assert!(install(at, &["cursor", "--local"]).status.success());
    let new = std::fs::read_to_string(at.join(".cursor/mcp.json")).expect("a file");
    assert!(
        new.starts_with("\u{feff}{\r\n") && new.contains("\"sorna\""),
        "{new:?}"
    );
    assert_eq!(new.matches('\n').count(), new.matches("\r\n").count());
}

#[test]
fn what_is_no_file_is_not_replaced() {
    let directory = here();
    let at = directory.path();
    std::os::unix::fs::symlink(at.join("gone.json"), at.join(".claude.json")).expect("a link");
    std::fs::create_dir(at.join(".codex")).expect("a directory");
    let mkfifo = Command::new("mkfifo")
        .arg(at.join(".codex/config.toml"))
        .status();
    assert!(mkfifo.expect("it runs").success());
    std::fs::create_dir_all(at.join(".cursor/mcp.json")).expect("a directory");
    for (agent, words) in [
        ("claude", "it is a link to "),
        ("codex", "it is no regular file"),
        ("cursor", "it is no regular file"),
    ] {
        let output = install(at, &[agent, "--local"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(said(&output).contains(words), "{}", said(&output));
    }
    let link = std::fs::symlink_metadata(at.join(".claude.json")).expect("a link");
    assert!(link.is_symlink() && !at.join("gone.json").exists());
}

#[test]
fn the_owner_of_a_file_stays() {
    use std::os::unix::fs::{MetadataExt, chown};
    let directory = here();
    let at = directory.path();
    write(at, &[(".claude.json", "{}")]);
    let file = at.join(".claude.json");
    // Root alone can give a file away.
    if chown(&file, Some(65534), Some(65534)).is_err() {
        return;
    }
    assert!(install(at, &["claude", "--local"]).status.success());
    let metadata = std::fs::metadata(&file).expect("a file");
    assert_eq!((metadata.uid(), metadata.gid()), (65534, 65534));
}

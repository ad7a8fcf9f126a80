//! What is advised in Backend.AI: facts decide, and not what the gateway writes.

use std::net::SocketAddr;

use crate::support::stub::{self, Request};
use crate::support::{backend_at, check, gateway, here, sorna, sorna_at};

const UUID: &str = "7c548299-6be3-4613-8cf0-f11deb896755";
const IMAGE: &str = "cr.backend.ai/stable/python:3.9-ubuntu20.04";

/// A manager of this release that has one image, and responds so to each creation.
fn manager(release: &'static str, status: u16, creation: &'static str) -> SocketAddr {
    stub::stub(move |request: &Request| {
        let text = |text: &str| text.to_owned();
        Some(match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/") => (
                200,
                format!(r#"{{"version": "v7.20230615", "manager": "{release}"}}"#),
            ),
            ("POST", "/admin/gql") => (
                200,
                text(
                    r#"{"data": {"images": [{"name": "stable/python", "tag": "3.9-ubuntu20.04", "registry": "cr.backend.ai", "architecture": "x86_64", "aliases": ["python"], "digest": "", "installed": true}]}}"#,
                ),
            ),
            ("POST", "/session") => (status, text(creation)),
            ("DELETE", _) => (200, text(r#"{"stats": {}}"#)),
            ("GET", _) => (
                404,
                text(r#"{"type": "https://api.backend.ai/probs/object-not-found"}"#),
            ),
            _ => (
                500,
                text(
                    r#"{"type": "https://api.backend.ai/probs/internal-server-error", "title": "Internal server error."}"#,
                ),
            ),
        })
    })
}

/// What is printed after the error itself.
fn advice_at(address: SocketAddr, arguments: &[&str]) -> String {
    let directory = here();
    let mut command = stub::at(sorna(directory.path()), address);
    command.args(["--api", "auto", "run", "-q"]).args(arguments);
    let output = command.output().expect("sorna runs");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).expect("text");
    let (first, rest) = text.split_once('\n').expect("a line");
    assert!(first.starts_with("✘ "), "{text}");
    rest.to_owned()
}

#[test]
fn images_are_listed_if_the_image_is_the_reason() {
    const SESSION: &str = "∙ The session ended before it ran: it may have been destroyed, or its start may have failed.\n";
    const LIST: &str = "∙ List the gateway's images with `sorna langs`.\n";
    // The texts say something else on purpose.
    for (code, image, advice) in [
        (r#", "error_code": "image_read_not-found""#, "cobol", LIST),
        (
            r#", "error_code": "vfolder_read_not-found""#,
            "cobol",
            "∙ Check the names of the folders (--mount).\n",
        ),
        (
            r#", "error_code": "session_read_not-found""#,
            "cobol",
            SESSION,
        ),
        (
            r#", "error_code": "scaling-group_read_not-found""#,
            "cobol",
            "",
        ),
        // Release 23.09 has no codes, but a list of its images.
        ("", "cobol", LIST),
        ("", IMAGE, ""),
        ("", "python", ""),
    ] {
        let body = format!(
            r#"{{"type": "https://api.backend.ai/probs/object-not-found", "title": "Unknown image reference"{code}}}"#
        );
        let address = manager("23.09.10", 404, body.leak());
        let printed = advice_at(address, &[image, "-c", "1"]);
        assert_eq!(printed, advice, "{code}, {image}");
    }
}

#[test]
fn a_group_or_domain_that_does_not_exist_is_named() {
    for (status, body) in [
        (
            404,
            r#"{"type": "https://api.backend.ai/probs/entity-not-found", "title": "No row", "error_code": "project_read_not-found"}"#,
        ),
        (
            400,
            r#"{"type": "https://api.backend.ai/probs/invalid-api-params", "title": "Invalid group"}"#,
        ),
    ] {
        let address = manager("26.9.6", status, body);
        for (variables, advice) in [
            (
                vec![("BACKEND_GROUP", "team")],
                "∙ If that is about the group team (from BACKEND_GROUP): check it, or leave it out.\n",
            ),
            (
                vec![("BACKEND_DOMAIN", "lab"), ("BACKEND_GROUP", "team")],
                "∙ If that is about the domain lab (from BACKEND_DOMAIN) or the group team (from BACKEND_GROUP): check it, or leave it out.\n",
            ),
            (vec![], ""),
        ] {
            let directory = here();
            let endpoint = format!("http://{address}");
            let mut command = sorna(directory.path());
            command
                .env("BACKEND_ENDPOINT", endpoint)
                .env("BACKEND_ACCESS_KEY", "AKIAIOSFODNN7EXAMPLE")
                .env("BACKEND_SECRET_KEY", "a-secret-that-must-not-be-shown")
                .envs(variables)
                .args(["run", "-q", IMAGE, "-c", "1"]);
            let output = command.output().expect("sorna runs");
            let text = String::from_utf8(output.stderr).expect("text");
            let (_, rest) = text.split_once('\n').expect("a line");
            assert_eq!(rest, advice);
        }
    }
}

#[test]
fn the_session_s_status_explains_what_fails() {
    const GONE: &str = "∙ The session has ended, or belongs to another user. `sorna ps` lists yours. The endpoint is http://[ADDRESS] (from SORNA_ENDPOINT).\n";
    let pending =
        format!("∙ The session does not run yet (PREPARING): `sorna info {UUID}` says why.\n");
    let dying = "∙ The session does not run any more (TERMINATING).\n";
    for (status, advice) in [
        (None, GONE),
        (Some("PREPARING"), pending.as_str()),
        (Some("TERMINATING"), dying),
        (Some("RUNNING"), ""),
    ] {
        let address = stub::stub(move |request: &Request| {
            let is_info = request.path == format!("/session/{UUID}") && request.method == "GET";
            Some(match (request.path.as_str(), status) {
                ("/", _) => (
                    200,
                    r#"{"version": "v7.20230615", "manager": "23.09.10"}"#.to_owned(),
                ),
                (_, Some(status)) if is_info => (200, format!(r#"{{"status": "{status}"}}"#)),
                _ if is_info => (
                    404,
                    r#"{"type": "https://api.backend.ai/probs/object-not-found"}"#.to_owned(),
                ),
                _ => (
                    400,
                    r#"{"type": "https://api.backend.ai/probs/invalid-api-params"}"#.to_owned(),
                ),
            })
        });
        for arguments in [
            &["ls", UUID][..],
            &["logs", UUID],
            &["interrupt", UUID],
            &["rename", UUID, "other"],
            &["restart", UUID],
            &["upload", UUID, "file"],
        ] {
            let directory = here();
            crate::support::write(directory.path(), &[("file", "1")]);
            let mut command = stub::at(sorna(directory.path()), address);
            command.args(["--api", "auto"]).args(arguments);
            let expected = format!("...\n✘ [..]\n{advice}");
            check(command).code(1).stderr_eq(expected);
        }
    }
}

#[test]
fn a_session_that_is_gone_did_not_show_html() {
    let created = format!(
        r#"{{"sessionId": "{UUID}", "sessionName": "work", "status": "RUNNING", "created": true, "servicePorts": []}}"#
    );
    let address = manager("23.09.10", 201, created.leak());
    let printed = advice_at(address, &["-t", "work", "python", "-c", "1"]);
    assert!(printed.contains("∙ The session has ended.\n"), "{printed}");
    assert!(!printed.contains("HTML"), "{printed}");
    // Of a temporary one it is not known.
    let printed = advice_at(address, &["python", "-c", "1"]);
    assert!(printed.contains("∙ The session may have been destroyed meanwhile, or "));
}

#[test]
fn advice_on_settings_does_not_lead_in_circles() {
    let gateway = gateway();
    let directory = here();
    let mut command = backend_at(directory.path(), &gateway);
    command.args(["run", "--exec-timeout", "1s", "python", "-c", "1"]);
    let output = command.output().expect("sorna runs");
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(text.contains("does not support"), "{text}");
    assert!(
        text.ends_with("∙ This version of Backend.AI does not have that: leave it out.\n"),
        "{text}"
    );
    gateway.stop();
}

#[test]
fn what_cannot_be_an_id_is_called_what_it_is_in_the_api() {
    let gateway = gateway();
    let directory = here();
    for (at, message) in [
        (
            sorna_at as fn(&std::path::Path, _) -> _,
            "✘ \"..\" is not a valid kernel ID\n",
        ),
        (
            backend_at,
            "✘ \"..\" cannot be the name or the ID of a session\n",
        ),
    ] {
        for command in ["info", "restart", "destroy"] {
            let mut sorna = at(directory.path(), &gateway);
            sorna.args([command, ".."]);
            check(sorna).code(2).stderr_eq(message);
        }
    }
    assert_eq!(gateway.stats().requests, 0);
    gateway.stop();
}

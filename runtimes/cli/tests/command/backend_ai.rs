//! Settings of Backend.AI, and which API is spoken.

use std::path::Path;
use std::process::Command;

use snapbox::str;

use crate::support::{backend_at, check, gateway, here, sorna, sorna_at, write};

fn config(directory: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = sorna(directory);
    let variables = variables.iter().copied();
    command.arg("config").args(arguments).envs(variables);
    command
}

const BACKEND: [(&str, &str); 3] = [
    ("BACKEND_ENDPOINT", "https://backend.example.com"),
    ("BACKEND_ACCESS_KEY", "AKIABACKEND"),
    ("BACKEND_SECRET_KEY", "backend-secret"),
];
const SORNA: [(&str, &str); 3] = [
    ("SORNA_ENDPOINT", "https://sorna.example.com"),
    ("SORNA_ACCESS_KEY", "AKIASORNA"),
    ("SORNA_SECRET_KEY", "sorna-secret"),
];

#[test]
fn the_variables_of_backend_ai_go_first_and_are_taken_as_a_whole() {
    let directory = here();
    let both: Vec<_> = BACKEND.into_iter().chain(SORNA).collect();
    let more = [("BACKEND_DOMAIN", "lab"), ("SORNA_GROUP", "not-used")];
    let all: Vec<_> = both.iter().copied().chain(more).collect();
    check(config(directory.path(), &all, &[]))
        .success()
        .stderr_eq("")
        .stdout_eq(str![[r#"
...
endpoint    https://backend.example.com[..]  from BACKEND_ENDPOINT
access_key  AKIABACKEND[..]  from BACKEND_ACCESS_KEY
secret_key  (set)[..]  from BACKEND_SECRET_KEY
ca_file     (not set)
api         auto[..]  from BACKEND_ENDPOINT
domain      lab[..]  from BACKEND_DOMAIN

"#]]);
    // Keys without an endpoint do not replace those of the other family.
    let mixed: Vec<_> = BACKEND[1..].iter().copied().chain(SORNA).collect();
    check(config(directory.path(), &mixed, &[]))
        .success()
        .stdout_eq(str![[r#"
...
endpoint    https://sorna.example.com[..]  from SORNA_ENDPOINT
access_key  AKIASORNA[..]  from SORNA_ACCESS_KEY
secret_key  (set)[..]  from SORNA_SECRET_KEY
ca_file     (not set)
api         sorna[..]  the default

"#]]);
}

#[test]
fn keys_of_the_other_family_are_not_used_and_that_is_said() {
    let directory = here();
    let mut command = sorna(directory.path());
    command.envs([BACKEND[0], SORNA[1], SORNA[2]]).arg("status");
    check(command).code(2).stderr_eq(str![[r#"
✘ no access key and secret key are set
∙ SORNA_ACCESS_KEY is not used beside BACKEND_ENDPOINT: set BACKEND_ACCESS_KEY and BACKEND_SECRET_KEY.

"#]]);
    let mut command = sorna(directory.path());
    command.envs([BACKEND[0], BACKEND[1]]).arg("status");
    check(command).code(2).stderr_eq(str![[r#"
✘ BACKEND_ACCESS_KEY is set, but BACKEND_SECRET_KEY is not
∙ Both keys must come from the same source: set both there, or neither. `sorna config` shows all settings.

"#]]);
}

#[test]
fn the_kind_of_endpoint_is_checked() {
    let directory = here();
    let with = |kind| {
        let variables = [
            BACKEND[0],
            BACKEND[1],
            BACKEND[2],
            ("BACKEND_ENDPOINT_TYPE", kind),
        ];
        check(config(directory.path(), &variables, &[]))
    };
    with("api").success();
    with("session").success().stdout_eq(
        "...\nendpoint_type  session[..]from BACKEND_ENDPOINT_TYPE\nlogin          (not logged in)\n...\n",
    );
    with("other")
        .code(2)
        .stderr_eq("✘ [..]other[..]\n∙ Check BACKEND_ENDPOINT_TYPE.\n");
}

#[test]
fn a_profile_chooses_the_api_and_the_command_line_overrides_it() {
    let directory = here();
    let profile = "[profiles.lab]\nendpoint = \"https://lab.example.com\"\napi = \"backend-ai\"\n\
                   domain = \"d\"\ngroup = \"g\"\n[profiles.odd]\napi = \"v3\"\n";
    write(directory.path(), &[(".config/sorna/config.toml", profile)]);
    let shown = |arguments: &[&str]| check(config(directory.path(), &[], arguments));
    let error = "✘ [..], line 7: `api` must be sorna, backend-ai or auto\n";
    shown(&["--profile", "lab"]).code(2).stderr_eq(error);
    let (profile, _) = profile.split_once("[profiles.odd]").expect("two");
    write(directory.path(), &[(".config/sorna/config.toml", profile)]);
    shown(&["--profile", "lab"]).success().stdout_eq(
        "...\napi         backend-ai[..]from profile `lab`, line 3\n\
         domain      d[..]from profile `lab`, line 4\n\
         group       g[..]from profile `lab`, line 5\n",
    );
    shown(&["--profile", "lab", "--api", "sorna"])
        .success()
        .stdout_eq("...\napi         sorna[..]from --api\n...\n");
    shown(&["--api", "v3"])
        .code(2)
        .stderr_eq("...\n  [possible values: sorna, backend-ai, auto]\n...\n");
}

#[test]
fn which_api_is_spoken() {
    let gateway = gateway();
    let directory = here();
    let requests = |mut command: Command, arguments: &[&str]| {
        command
            .args(["-v", "run", "-q", "bash", "-c", "echo hi"])
            .args(arguments);
        let output = command.output().expect("sorna runs");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stdout, b"hi\n");
        String::from_utf8(output.stderr).expect("text")
    };
    let sorna_v2 = || sorna_at(directory.path(), &gateway);
    let backend = || backend_at(directory.path(), &gateway);
    for (command, arguments, is_backend_ai) in [
        (sorna_v2(), &[][..], false),
        (sorna_v2(), &["--api", "auto"], true),
        (sorna_v2(), &["--api", "backend-ai"], true),
        (backend(), &[], true),
        (backend(), &["--api", "sorna"], false),
        (sorna(directory.path()), &["--local"], false),
        (sorna(directory.path()), &["--local", "--api", "auto"], true),
    ] {
        let log = requests(command, arguments);
        assert_eq!(log.contains(" /session"), is_backend_ai, "{log}");
        assert_eq!(log.contains(" /v2/kernel/create"), !is_backend_ai, "{log}");
    }
    gateway.stop();
}

#[test]
fn a_gateway_of_sorna_v2_where_backend_ai_was_asked_for() {
    let address = crate::support::stub::stub(|request| match request.path.as_str() {
        "/v2" => Some((200, r#"{"version": "v2.20170315"}"#.to_owned())),
        _ => Some((404, "{}".to_owned())),
    });
    let directory = here();
    let arguments = ["run", "--api", "backend-ai", "bash", "-c", "echo hi"];
    let mut command = crate::support::stub::at(sorna(directory.path()), address);
    command.args(arguments);
    check(command).code(1).stderr_eq(str![[r#"
✘ http://[ADDRESS] (from SORNA_ENDPOINT) speaks Sorna v2, and not Backend.AI
∙ Check the endpoint, or use --api auto or --api sorna.

"#]]);
}

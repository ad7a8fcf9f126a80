//! Creations of sessions.

use serde_json::Value;
use sorna_core::*;

use crate::support::{V7, V9, message, names, response};

fn operation() -> CreateKernel {
    let token = SessionToken::new("cap-1").expect("a name");
    CreateKernel::new("python", token)
}

fn read(version: ApiVersion, name: &str) -> Result<CreatedKernel, Error> {
    let reply = operation().read_response(version, response(name))?;
    Ok(reply.value)
}

fn created(version: ApiVersion, name: &str) -> CreatedKernel {
    let kernel = read(version, name).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(kernel.extra.is_empty(), "{name}: {:?}", kernel.extra);
    kernel
}

fn rejected(version: ApiVersion, name: &str) -> Box<GatewayError> {
    match read(version, name) {
        Err(Error::Gateway(error)) => error,
        other => panic!("{name}: {other:?}"),
    }
}

/// Names and ports of its services.
fn services(kernel: &CreatedKernel) -> Vec<(&str, &[u16])> {
    kernel
        .service_ports
        .iter()
        .map(|service| {
            assert!(service.host_ports.is_empty(), "{service:?}");
            (&*service.name, &*service.ports)
        })
        .collect()
}

const SERVICES: [(&str, &[u16]); 3] = [("sshd", &[2200]), ("ttyd", &[7681]), ("jupyter", &[8081])];

#[test]
fn new_sessions_run() {
    for (version, name, session, id) in [
        (
            V7,
            "23.09.10/04-create",
            "cap-86981",
            "640133fd-e52d-4b07-b24c-78a4fcf27251",
        ),
        (
            V9,
            "26.9.6/44-client-create",
            "cap-56568",
            "c821cb1e-5f13-4b4b-94e8-d72af89913f1",
        ),
    ] {
        let kernel = created(version, name);
        assert_eq!(kernel.id.as_str(), id);
        assert_eq!(kernel.name.as_deref(), Some(session));
        assert_eq!(kernel.created, Some(true));
        assert_eq!(kernel.status, Some(SessionStatus::Running));
        assert!(kernel.is_usable(), "{name}");
        assert_eq!(services(&kernel), SERVICES);
        assert_eq!(kernel.service_ports[1].protocol, "http");
    }
}

#[test]
fn reused_sessions_have_services_of_another_form() {
    for (version, name) in [
        (V7, "23.09.10/05-create-reuse"),
        (V9, "26.9.6/45-client-create-reuse"),
    ] {
        let kernel = created(version, name);
        assert_eq!(kernel.created, Some(false));
        assert!(kernel.is_usable(), "{name}");
        assert_eq!(services(&kernel), SERVICES);
        assert_eq!(kernel.service_ports[0].extra["is_inference"], false);
    }
}

#[test]
fn a_creation_right_after_a_destroy_gives_the_dying_session() {
    let kernel = created(V9, "26.9.6/257-recreate-at-once");
    assert_eq!(kernel.created, Some(false));
    assert_eq!(kernel.status, Some(SessionStatus::Terminating));
    assert!(kernel.is_dying() && !kernel.is_usable() && !kernel.is_pending());
}

#[test]
fn sessions_that_do_not_run_yet_are_pending() {
    for (name, status) in [
        ("26.9.6/67-create-enqueue-only", SessionStatus::Pending),
        ("26.9.6/71-create-least", SessionStatus::Pending),
        ("26.9.6/68-create-max-wait", SessionStatus::Timeout),
    ] {
        let kernel = created(V9, name);
        assert_eq!(
            (kernel.created, kernel.status.as_ref()),
            (Some(true), Some(&status))
        );
        assert!(kernel.is_pending() && !kernel.is_usable() && !kernel.is_dying());
        assert!(kernel.service_ports.is_empty());
    }
}

#[test]
fn what_was_wrong_with_a_creation_is_told_apart() {
    let image = rejected(V9, "26.9.6/66-create-unknown-image");
    assert!(image.is_creation_failed() && image.is_not_found() && !image.is_name_taken());
    assert_eq!(
        image.message(),
        Some("Unknown image reference: nope:1 (x86_64)")
    );

    let taken = rejected(V9, "26.9.6/47-create-no-reuse");
    assert!(taken.is_name_taken() && !taken.is_creation_failed());
    let problem = taken.problem().expect("a problem document");
    assert_eq!(
        problem.extra["data"]["existingSessionId"],
        "39d513e9-1d7b-48d4-9f24-1ee130b6d39b"
    );

    let invalid = rejected(V7, "23.09.10/29-invalid-params");
    assert!(!invalid.is_creation_failed() && !invalid.is_name_taken());
    assert_eq!(invalid.kind(), Some(ProblemKind::InvalidApiParams));
    assert!(!image.is_retryable() && !taken.is_retryable() && !invalid.is_retryable());
}

#[test]
fn only_a_creation_can_have_failed_as_one() {
    let error = Info::new(KernelId::new("cap-1").expect("a name"))
        .read_response(V9, response("26.9.6/66-create-unknown-image"))
        .expect_err("an error response");
    let error = error.gateway().expect("an error response");
    assert!(error.is_not_found() && !error.is_creation_failed());
    // The path is wrong, and the same of any session.
    let path = rejected(V9, "26.9.6/39-url-not-found");
    assert!(!path.is_creation_failed());
}

#[test]
fn requests_have_no_keys_that_the_original_clients_do_not_send() {
    let spec = KernelSpec::new("python")
        .with_mounts(["a:b"])
        .with_env("A", "1")
        .with_resource("cpu", "1")
        .with_resource_option("shmem", "64m")
        .with_scaling_group("x")
        .with_architecture("x86_64")
        .with_cluster_size(1)
        .with_cluster_mode(ClusterMode::SingleNode)
        .with_bootstrap_script("x")
        .with_startup_command("x")
        .with_tag("x")
        .with_callback_url("x")
        .with_preopen_ports([8080])
        .with_domain("default")
        .with_group("default")
        .with_enqueue_only(true)
        .with_max_wait(std::time::Duration::from_secs(1))
        .with_reuse(false);
    let create = CreateKernel::new(spec, operation().token);
    let ours = sent(&create, V7);
    for name in ["23.09.10/04-create", "26.9.6/44-client-create"] {
        let recorded = message(&format!("{name}.request"));
        assert_eq!(recorded.line(), "POST /session");
        let theirs: Value = serde_json::from_slice(&recorded.body).expect("JSON");
        for (ours, theirs) in [(&ours, &theirs), (&ours["config"], &theirs["config"])] {
            for key in ours.as_object().expect("an object").keys() {
                assert!(theirs.get(key).is_some(), "{name}: {key}");
            }
        }
    }
}

/// The body that is sent.
fn sent(create: &CreateKernel, version: ApiVersion) -> Value {
    let keys = Credentials::new(
        AccessKey::new("AKIAIOSFODNN7EXAMPLE").expect("a key"),
        SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").expect("a key"),
    );
    let endpoint = "http://127.0.0.1:8094".parse().expect("an endpoint");
    let signer = Signer::new(Config::new(endpoint, keys).with_version(version));
    let request = create
        .request(&signer, std::time::UNIX_EPOCH)
        .expect("a request");
    let body = request.body().as_bytes().expect("a body in memory");
    serde_json::from_slice(body).expect("JSON")
}

#[test]
fn every_recorded_creation_is_covered() {
    let read = [
        "23.09.10/04-create",
        "23.09.10/05-create-reuse",
        "23.09.10/29-invalid-params",
        "26.9.6/44-client-create",
        "26.9.6/45-client-create-reuse",
        "26.9.6/47-create-no-reuse",
        "26.9.6/66-create-unknown-image",
        "26.9.6/67-create-enqueue-only",
        "26.9.6/68-create-max-wait",
        "26.9.6/71-create-least",
        "26.9.6/257-recreate-at-once",
    ];
    let mut all = [names("23.09.10"), names("26.9.6")].concat();
    all.retain(|name| message(&format!("{name}.request")).first == "POST /session HTTP/1.1");
    all.sort_unstable();
    let mut read = read.map(str::to_owned);
    read.sort_unstable();
    assert_eq!(all, read);
}

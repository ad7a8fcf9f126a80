//! Queries.

use serde_json::{Value, json};
use sorna_core::{ApiVersion, ListLanguages, ListSessions};

use super::client::{Client, Signing, gateway};

#[test]
fn sessions_are_listed_page_by_page() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let ids: Vec<String> = ["one-one", "two-two", "three"]
        .map(|name| client.create(name, "bash"))
        .into();
    client.json("DELETE", "/session/three", &Value::Null);
    let list = |list: &ListSessions| {
        let page = client.call(list).unwrap();
        let names: Vec<String> = page.sessions.iter().map(|it| it.name.clone()).collect();
        (names, page.total_count)
    };
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|&name| name.to_owned())
            .collect::<Vec<_>>()
    };
    let running = ListSessions::new().with_statuses(["RUNNING"]);
    assert_eq!(list(&running), (names(&["two-two", "one-one"]), 2));
    assert_eq!(
        list(&running.clone().with_limit(1)),
        (names(&["two-two"]), 2)
    );
    assert_eq!(
        list(&running.clone().with_offset(1)),
        (names(&["one-one"]), 2)
    );
    assert_eq!(
        list(&running.clone().with_order("name")),
        (names(&["one-one", "two-two"]), 2)
    );
    assert_eq!(
        list(&running.clone().with_filter("name == \"one-one\"")),
        (names(&["one-one"]), 1)
    );
    let ended = ListSessions::new().with_statuses(["TERMINATED", "CANCELLED"]);
    assert_eq!(list(&ended), (names(&["three"]), 1));
    let page = client.call(&running).unwrap();
    assert_eq!(page.sessions[1].id.as_str(), ids[0]);
    assert_eq!(page.sessions[1].image.as_deref(), Some("bash"));
    assert!(
        page.sessions[1]
            .created_at
            .as_ref()
            .unwrap()
            .ends_with("+00:00")
    );
    for list in [
        ListSessions::new().with_owner("AKOTHER"),
        ListSessions::new().with_filter("name ilike \"%\""),
        ListSessions::new().with_order("color"),
    ] {
        assert!(client.call(&list).is_err(), "{list:?}");
    }
}

#[test]
fn what_official_clients_ask_for_is_there() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let id = client.create("details", "bash");
    let gql = |path: &str, query: &str, variables: Value| {
        let (status, body) = client.json(
            "POST",
            path,
            &json!({"query": query, "variables": variables}),
        );
        assert_eq!(status, 200);
        body
    };
    // Of 26.9.6, recorded.
    let query = "query($limit:Int!, $offset:Int!, $status: String, $access_key: String, $filter: String, $order: String) {\n  compute_session_list(\n      limit:$limit, offset:$offset, status:$status, access_key:$access_key, filter:$filter, order:$order) {\n    items { id image type status status_info status_changed result abusing_reports }\n    total_count\n  }\n}";
    let variables = json!({"status": "RUNNING", "access_key": null, "filter": null, "order": null, "limit": 20, "offset": 0});
    let body = gql("/admin/gql", query, variables);
    assert_eq!(body["errors"], Value::Null);
    let list = &body["data"]["compute_session_list"];
    assert_eq!(list["total_count"], 1);
    let item = list["items"][0].as_object().unwrap();
    assert_eq!(item.len(), 8);
    assert_eq!(
        (&item["id"], &item["type"], &item["result"]),
        (&json!(id), &json!("INTERACTIVE"), &json!("UNDEFINED"))
    );
    // Of 23.09.10.
    let query = "query($id: UUID!) {  compute_session(id: $id) {    name id main_kernel_id image tag created_at terminated_at status status_info status_data occupying_slots idle_checks containers { id cluster_role cluster_idx cluster_hostname session_id image registry status status_info status_data status_changed agent container_id resource_opts occupied_slots preopen_ports live_stat last_stat } dependencies { name id }  }}";
    let body = gql("/admin/graphql", query, json!({"id": id}));
    let session = &body["data"]["compute_session"];
    assert_eq!(
        (&session["name"], &session["dependencies"]),
        (&json!("details"), &json!([]))
    );
    assert_eq!(session["containers"][0]["session_id"], id);
    let slots: Value = serde_json::from_str(session["occupying_slots"].as_str().unwrap()).unwrap();
    assert_eq!(slots["cpu"], "1");
    let query = "query {  keypair {    user_id user_info { full_name } access_key secret_key is_active is_admin }}";
    let body = gql("/admin/gql", query, json!({}));
    let keypair = &body["data"]["keypair"];
    assert_eq!(keypair["access_key"], gateway.access_key());
    assert_eq!(
        (&keypair["is_admin"], &keypair["secret_key"]),
        (&json!(false), &Value::Null)
    );
}

#[test]
fn images_are_the_languages_that_are_installed() {
    let gateway = gateway();
    for version in [ApiVersion::V7_20230615, ApiVersion::V9_20250722] {
        let client = Client::with_version(&gateway, version);
        let images = client.call(&ListLanguages::new()).unwrap();
        let bash = images
            .iter()
            .find(|image| image.name == "local/bash:latest");
        assert_eq!(bash.unwrap().aliases, ["bash"]);
        // Either name is that of an image.
        client.create(
            &format!("by-name-{}", version.as_str().len()),
            "local/bash:latest",
        );
        client.json("DELETE", "/session/by-name-11", &Value::Null);
    }
}

#[test]
fn what_is_around_sessions_is_there_once() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let gql = |query: &str| {
        let (status, body) = client.json("POST", "/admin/gql", &json!({"query": query}));
        assert_eq!(status, 200);
        assert_eq!(body["errors"], Value::Null, "{query}: {body}");
        body["data"].clone()
    };
    // As official clients ask.
    for query in [
        "query { domains { name description is_active created_at total_resource_slots allowed_vfolder_hosts allowed_docker_registries integration_id } }",
        "query { domain(name: \"default\") { name } }",
        "query { groups(domain_name: \"default\") { id name description is_active created_at domain_name total_resource_slots allowed_vfolder_hosts integration_id } }",
        "query { scaling_groups(is_active: true) { name description is_active is_public created_at driver driver_opts scheduler scheduler_opts use_host_network wsproxy_addr wsproxy_api_token } }",
        "query { keypairs(is_active: true) { user_id access_key is_active } }",
        "query { keypair_list(limit: 20, offset: 0) { items { user_id access_key is_active } total_count } }",
        "query { keypair_resource_policies { name created_at total_resource_slots max_concurrent_sessions max_vfolder_count max_vfolder_size idle_timeout max_containers_per_session allowed_vfolder_hosts } }",
        "query { keypair_resource_policy { name } }",
        "query { user { uuid username role email groups { id name } main_access_key } }",
        "query($is_operation: Boolean) { images(is_operation: $is_operation) { id name registry architecture tag digest size_bytes aliases last_used_at labels { key value } } }",
    ] {
        let data = gql(query);
        let (_, value) = data.as_object().unwrap().iter().next().unwrap();
        assert!(
            value.is_object() || value.as_array().is_some_and(|list| !list.is_empty()),
            "{query}: {data}"
        );
    }
    assert_eq!(
        gql("{ user { groups { name } } }"),
        json!({"user": {"groups": [{"name": "default"}]}})
    );
}

#[test]
fn what_a_single_machine_does_not_have_is_an_error_that_says_so() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("here", "bash");
    for field in [
        "agent_list",
        "vfolder_list",
        "storage_volume_list",
        "endpoint_list",
        "user_list",
    ] {
        let query =
            json!({"query": format!("{{ {field}(limit: 1, offset: 0) {{ total_count }} }}")});
        let (status, body) = client.json("POST", "/admin/gql", &query);
        let message = body["errors"][0]["message"].as_str().unwrap();
        assert_eq!(status, 200);
        assert!(
            message.starts_with(&format!("{field} is not offered: this gateway has no ")),
            "{message}"
        );
    }
    for (method, path, what) in [
        ("GET", "/folders", "folders"),
        ("POST", "/folders/x/mkdir", "folders"),
        ("GET", "/services", "services of models"),
        ("GET", "/resource/presets", "resource presets"),
        (
            "POST",
            "/session/here/start-service",
            "services of sessions",
        ),
        (
            "GET",
            "/stream/session/here/httpproxy?app=jupyter",
            "services of sessions",
        ),
        ("POST", "/session/here/commit", "images made of sessions"),
    ] {
        let (status, body) = client.json(method, path, &Value::Null);
        assert_eq!(status, 501, "{path}: {body}");
        let text = body["msg"].as_str().or(body["title"].as_str()).unwrap();
        assert!(
            text.contains(what) && text.contains("not offered"),
            "{path}: {body}"
        );
    }
    let (status, body) = client.json("GET", "/stream/session/here/apps", &Value::Null);
    assert_eq!((status, body), (200, json!([])));
    let (status, body) = client.json("GET", "/scaling-groups?group=default", &Value::Null);
    assert_eq!(
        (status, body),
        (200, json!({"scaling_groups": [{"name": "default"}]}))
    );
    // Without a session, that is what is wrong.
    assert_eq!(
        client
            .json("POST", "/session/nope/start-service", &Value::Null)
            .0,
        404
    );
}

#[test]
fn ports_of_a_session_s_own_servers_are_listed() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let body = json!({"name": "ports", "image": "bash", "config": {"preopen_ports": [18080]}});
    let (status, created) = client.json("POST", "/session", &body);
    assert_eq!(status, 201);
    let service = &created["servicePorts"][0];
    assert_eq!(
        (&service["name"], &service["protocol"], &service["ports"]),
        (&json!("18080"), &json!("preopen"), &json!([18080]))
    );
    let query = json!({"query": "{ compute_session_list(limit: 1) { items { service_ports containers { preopen_ports } } } }"});
    let (_, body) = client.json("POST", "/admin/gql", &query);
    let item = &body["data"]["compute_session_list"]["items"][0];
    assert_eq!(item["containers"][0]["preopen_ports"], json!([18080]));
    let services: Value = serde_json::from_str(item["service_ports"].as_str().unwrap()).unwrap();
    assert_eq!(services[0], *service);
}

#[test]
fn fields_come_in_the_order_of_the_query() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("order", "bash");
    let query = "{ compute_session_list(limit: 1) { total_count items { status name image } } }";
    let body = json!({ "query": query }).to_string();
    let response = client.send("POST", "/admin/gql", body.as_bytes(), &Signing::default());
    let expected = r#"{"data":{"compute_session_list":{"total_count":1,"items":[{"status":"RUNNING","name":"order","image":"bash"}]}},"errors":null}"#;
    assert_eq!(std::str::from_utf8(response.body()).unwrap(), expected);
    let response = client.send(
        "GET",
        "/session/order/status-history",
        b"",
        &Signing::default(),
    );
    let history = String::from_utf8(response.body().clone()).unwrap();
    let at = |status: &str| history.find(status).unwrap();
    assert!(
        at("PENDING") < at("CREATING") && at("CREATING") < at("RUNNING"),
        "{history}"
    );
}

#[test]
fn errors_come_with_success() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for (body, part) in [
        (
            json!({"query": "query{nope{x}}", "variables": {}}),
            "Cannot query field 'nope' on type 'Query'",
        ),
        (
            json!({"query": "{ keypair { nope } }"}),
            "Cannot query field 'nope' on type 'KeyPair'",
        ),
        (json!({"query": "{ keypair }"}), "must have a selection"),
        (json!({"query": "mutation { x }"}), "only queries"),
        (json!({"query": "{"}), "Syntax Error"),
        (json!({}), "query"),
        (json!([]), "query"),
    ] {
        let (status, answer) = client.json("POST", "/admin/gql", &body);
        assert_eq!((status, &answer["data"]), (200, &Value::Null), "{body}");
        let message = answer["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(part), "{body}: {message}");
    }
    client.create("some-one", "bash");
    for (below, kind) in [
        ("nope", "ComputeSession"),
        ("containers { nope }", "ComputeContainer"),
    ] {
        let query = format!("{{ compute_session_list(limit: 1) {{ items {{ {below} }} }} }}");
        let (_, answer) = client.json("POST", "/admin/gql", &json!({ "query": query }));
        let expected = format!("Cannot query field 'nope' on type '{kind}'.");
        assert_eq!(answer["errors"][0]["message"], expected);
    }
    let query = json!({"query": "{ compute_session(id: \"01a21b47-c9f0-799d-b5c3-f19ac4b5e0bc\") { id } }"});
    let (_, answer) = client.json("POST", "/admin/gql", &query);
    assert_eq!(
        answer,
        json!({"data": {"compute_session": null}, "errors": null})
    );
}

//! The protocol: its revisions, what the server says about itself, and how a connection begins.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use snapbox::cmd::cargo_bin;

use super::client::{Client, local};
use crate::support::here;
use crate::support::terminal::Terminal;

/// Gives a server all of this input at once, and waits for its end.
fn piped(mut command: Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("sorna runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn messages(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("nothing but JSON"))
        .collect()
}

const BEGIN: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;

#[test]
fn an_input_that_ends_at_once_gets_its_answers() {
    let directory = here();
    // The last line has no end.
    let input = format!(
        "{BEGIN}\n{}\n{}",
        r#"{"jsonrpc":"2.0","id":"two","method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"run_code","arguments":{"language":"bash","code":"sleep 6; echo done"}}}"#,
    );
    let output = piped(local(directory.path(), &[]), &input);
    assert!(output.status.success(), "{output:?}");
    let mut answers = messages(&output);
    answers.sort_by_key(|answer| answer["id"].to_string());
    let ids: Vec<_> = answers.iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(ids, [json!("two"), json!(1), json!(3)]);
    // That takes longer than the SDK would wait.
    assert_eq!(
        answers[2]["result"]["structuredContent"]["output"],
        "done\n"
    );
    assert_eq!(
        super::client::files_of(directory.path()),
        Vec::<String>::new()
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn it_works_in_an_empty_environment() {
    let directory = here();
    let mut command = Command::new(cargo_bin!("sorna"));
    command
        .env_clear()
        .current_dir(directory.path())
        .args(["mcp", "--local"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let call = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"run_code","arguments":{"language":"bash","code":"echo here"}}}"#;
    let output = piped(command, &format!("{BEGIN}\n{call}\n"));
    assert!(output.status.success(), "{output:?}");
    let answers = messages(&output);
    assert_eq!(
        answers[1]["result"]["structuredContent"]["output"],
        "here\n"
    );
}

#[test]
fn an_input_without_requests_is_no_error() {
    for (input, codes) in [
        ("", &[][..]),
        ("\n\n", &[]),
        (
            "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n",
            &[],
        ),
        ("no JSON\n", &[-32700]),
    ] {
        let directory = here();
        let output = piped(local(directory.path(), &[]), input);
        assert!(output.status.success(), "{input}: {output:?}");
        let answers = messages(&output);
        let answered: Vec<_> = answers.iter().map(|it| &it["error"]["code"]).collect();
        assert_eq!(answered, codes, "{input}");
    }
}

#[test]
fn what_is_no_message_gets_an_answer() {
    let mut client = Client::local(&[]);
    let line = |id: &str, text: &[u8]| {
        let head = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"list_sessions\",\"arguments\":{{\"a\":\""
        );
        [head.as_bytes(), text, b"\"}}}"].concat()
    };
    for (number, text) in [(901, &b"\\ud800"[..]), (902, b"\xff\xfe"), (903, b"\\x")] {
        client.send_line(&line(&number.to_string(), text));
        let is_error = |message: &Value| message["error"].is_object();
        let answer = client.message(is_error);
        assert_eq!(answer["error"]["code"], -32700, "{answer}");
        if number != 903 {
            assert_eq!(answer["id"], number, "{answer}");
        }
    }
    // Its ID cannot be read.
    client.send_line(b"{\"jsonrpc\":\"2.0\",\"id\":");
    let answer = client.message(|message| message["error"].is_object());
    assert_eq!(
        (&answer["error"]["code"], &answer["id"]),
        (&json!(-32700), &Value::Null)
    );
    assert_eq!(client.run("bash", "echo 1").ended().0, "1\n");
}

#[test]
fn wrong_parameters_are_told_from_wrong_methods() {
    let mut client = Client::local(&[]);
    for (method, parameters, code, words) in [
        ("tools/call", json!({"name": 5}), -32602, "tools/call"),
        ("tools/call", json!({"arguments": {}}), -32602, "name"),
        (
            "tools/call",
            json!({"name": "run_code", "arguments": []}),
            -32602,
            "tools/call",
        ),
        ("tools/none", json!({}), -32601, "tools/none"),
    ] {
        let error = client.ask(method, parameters)["error"].clone();
        assert_eq!(error["code"], code, "{error}");
        let message = error["message"].as_str().expect("text");
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn all_revisions_are_spoken() {
    for revision in ["2025-06-18", "2025-11-25"] {
        let directory = here();
        let command = local(directory.path(), &[]);
        let mut client = Client::begin(command, directory, revision);
        assert_eq!(client.run("bash", "echo 1").ended().0, "1\n");
        let (status, _) = client.close();
        assert!(status.success());
    }
    // Without a handshake: each request says who asks.
    let directory = here();
    let command = local(directory.path(), &[]);
    let mut client = Client::start(command, directory);
    let about = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let discovered = client.ask("server/discover", json!({"_meta": about}));
    let result = &discovered["result"];
    assert_eq!(
        result["supportedVersions"],
        json!(["2025-06-18", "2025-11-25", "2026-07-28"]),
        "{discovered}"
    );
    let call = |code: &str| {
        let arguments = json!({"language": "python3", "code": code, "session": "mine"});
        json!({"name": "run_code", "arguments": arguments, "_meta": about})
    };
    client.ask("tools/call", call("x = 6"));
    let called = client.ask("tools/call", call("x * 7"));
    assert_eq!(
        called["result"]["structuredContent"]["value"], "42",
        "{called}"
    );
    assert_eq!(called["result"]["resultType"], "complete", "{called}");
    let (status, _) = client.close();
    assert!(status.success());
    // One that no one knows gets one that the server has.
    let directory = here();
    let mut client = Client::start(local(directory.path(), &[]), directory);
    let parameters = json!({"protocolVersion": "1999-01-01", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let begun = client.ask("initialize", parameters);
    assert_eq!(begun["result"]["protocolVersion"], "2025-11-25");
}

#[test]
fn the_server_and_its_tools_are_described() {
    let directory = here();
    let command = local(directory.path(), &["--max-mem", "512m"]);
    let mut client = Client::start(command, directory);
    let parameters = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let begun = client.ask("initialize", parameters);
    let result = &begun["result"];
    assert_eq!(result["serverInfo"]["name"], "sorna");
    assert_eq!(result["serverInfo"]["version"], env!("CARGO_PKG_VERSION"));
    let instructions = result["instructions"].as_str().expect("text");
    assert!(
        instructions.contains("without network") && instructions.contains("512 MiB"),
        "{instructions}"
    );
    drop(client);

    let client = Client::local(&[]);
    let tools = client.tools().as_array().expect("a list");
    let names: Vec<_> = tools
        .iter()
        .map(|tool| tool["name"].as_str().expect("text"))
        .collect();
    assert_eq!(
        names,
        [
            "run_code",
            "start",
            "wait",
            "interrupt",
            "write_file",
            "read_file",
            "list_files",
            "list_languages",
            "list_sessions",
            "close_session",
        ]
    );
    for tool in tools {
        for schema in ["inputSchema", "outputSchema"] {
            assert_eq!(tool[schema]["type"], "object", "{tool}");
        }
        for hint in [
            "readOnlyHint",
            "destructiveHint",
            "idempotentHint",
            "openWorldHint",
        ] {
            assert!(tool["annotations"][hint].is_boolean(), "{tool}");
        }
        assert!(
            tool["title"].is_string() && tool["description"].is_string(),
            "{tool}"
        );
    }
    assert_eq!(tools[0]["annotations"]["destructiveHint"], true);
    assert_eq!(tools[7]["annotations"]["readOnlyHint"], true);
    // All of it is read by a model before it does anything.
    let length = client.tools().to_string().len();
    assert!(length < 16_000, "{length}");
}

#[test]
fn wrong_options_are_told_at_once() {
    for (arguments, words) in [
        (
            &["mcp", "--max-processes", "5"][..],
            "--max-processes needs --local",
        ),
        (
            &["mcp", "--local", "--profile", "x"],
            "--local cannot be used with --profile",
        ),
        (&["mcp", "--local", "--allow-read", "/no/such"], "/no/such"),
        (&["mcp", "--local", "--max-sessions", "0"], "1 or more"),
        (&["mcp", "--local", "--max-processes", "0"], "1 or more"),
        (&["mcp", "--local", "--max-output", "2m"], "1m at most"),
        (&["mcp"], "endpoint"),
        (&["mcp"], "`sorna mcp --local` needs none of this"),
    ] {
        let directory = here();
        let output = crate::support::sorna(directory.path())
            .args(arguments)
            .output()
            .expect("sorna runs");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(words), "{stderr}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn people_are_told_that_it_is_for_agents() {
    let directory = here();
    let mut terminal = Terminal::open(directory.path(), None, 90, &[], &["mcp", "--local"]);
    terminal.shows("`sorna mcp install` adds it to an agent");
    terminal.types("\u{4}");
    assert_eq!(terminal.ends(), Some(0));
}

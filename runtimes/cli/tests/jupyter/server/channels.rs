//! The WebSockets of kernels.

use serde_json::json;
use tungstenite::Message;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

use super::peer::{House, V1, parts};
use crate::support::eventually;

fn kinds(all: &[(String, String)]) -> Vec<&str> {
    all.iter().map(|(kind, _)| kind.as_str()).collect()
}

#[test]
fn cells_run_in_both_subprotocols() {
    let house = House::open();
    let id = house.start("python3");
    for protocol in [
        None,
        Some(V1),
        Some("other, v1.kernel.websocket.jupyter.org"),
    ] {
        let protocol = protocol
            .filter(|it| !it.contains(','))
            .or(protocol.and(Some(V1)));
        let mut channels = house.channels(&id, &format!("s-{}", protocol.is_some()), protocol);
        let request = channels.execute("print('é')\n6 * 7");
        let all = channels.follow(&request);
        assert_eq!(
            kinds(&all),
            [
                "status",
                "execute_input",
                "stream",
                "execute_result",
                "execute_reply",
                "status"
            ]
        );
        assert_eq!((&*all[2].1, &*all[3].1, &*all[4].1), ("é\n", "42", "ok"));
        let request = channels.execute("1 / 0");
        let all = channels.follow(&request);
        assert!(
            all.contains(&("error".to_owned(), "ZeroDivisionError".to_owned())),
            "{all:?}"
        );
        let request = channels.send("control", "kernel_info_request", &json!({}));
        assert_eq!(
            kinds(&channels.follow(&request)),
            ["status", "kernel_info_reply", "status"]
        );
        let content = json!({"code": "impor", "cursor_pos": 5});
        channels.send("shell", "complete_request", &content);
        let reply = channels.wait("complete_reply");
        assert_eq!(reply["channel"], "shell");
        assert!(
            reply["content"]["matches"]
                .as_array()
                .is_some_and(|it| it.contains(&json!("import"))),
            "{reply}"
        );
        // An answer goes over stdin, and a password is not shown.
        let request = channels
            .execute("import getpass; print(input('name? ') + getpass.getpass('secret? '))");
        for (prompt, answer) in [("name? ", "née"), ("secret? ", "hush")] {
            let question = channels.wait("input_request");
            assert_eq!(
                (&question["channel"], &question["content"]["prompt"]),
                (&json!("stdin"), &json!(prompt))
            );
            channels.send("stdin", "input_reply", &json!({"value": answer}));
        }
        let all = channels.follow(&request);
        assert!(
            all.contains(&("stream".to_owned(), "néehush\n".to_owned())),
            "{all:?}"
        );
    }
}

#[test]
fn garbage_ends_nothing() {
    let house = House::open();
    let id = house.start("bash");
    let mut other = house.channels(&id, "other", None);
    for protocol in [None, Some(V1)] {
        let mut channels = house.channels(&id, "s", protocol);
        let header = r#"{"msg_id":"a","msg_type":"execute_request"}"#;
        let code = r#"{"code":"echo no"}"#;
        let json = |channel: &str, header: &str| {
            Message::text(format!(
                r#"{{"channel":{channel},"header":{header},"content":{code}}}"#
            ))
        };
        for message in [
            Message::text(""),
            Message::text("{"),
            Message::text("[]"),
            Message::text("null"),
            Message::text("{\"header\": {}}"),
            json("\"iopub\"", header),
            json("\"nothing\"", header),
            json("7", header),
            json("\"shell\"", "[\"execute_request\"]"),
            json("\"shell\"", "\"execute_request\""),
            Message::binary(vec![]),
            Message::binary(vec![0xff; 64]),
            Message::binary(vec![0; 4096]),
            Message::binary(parts("iopub", [header, "{}", "{}", code])),
            Message::binary(parts("shell", ["", "{}", "{}", code])),
            Message::binary(parts("shell", ["[\"execute_request\"]", "{}", "{}", code])),
            Message::binary(parts("shell", [header, "{}", "{}", "{"])),
            Message::binary(parts("shell", [header, "{}", "{}", code])[..100].to_vec()),
            Message::Ping(vec![1; 100].into()),
        ] {
            channels.socket.send(message).expect("it reads");
        }
        // What has no meaning has no answer, and what is odd has.
        channels.send("shell", "nonsense_request", &json!({"a": [1]}));
        channels.send("stdin", "input_reply", &json!({"value": "nobody asked"}));
        channels.send("shell", "execute_request", &json!({"code": 7}));
        channels.send(
            "shell",
            "complete_request",
            &json!({"code": "é", "cursor_pos": 1u64 << 40}),
        );
        channels.send(
            "shell",
            "history_request",
            &json!({"n": -1, "hist_access_type": {}}),
        );
        assert_eq!(channels.run("echo yes"), "yes\n");
    }
    assert_eq!(other.run("echo other"), "other\n");
}

#[test]
fn a_message_that_is_too_large_ends_its_connection_alone() {
    let house = House::open();
    let id = house.start("bash");
    let mut other = house.channels(&id, "other", None);
    // All of it is read, so that the reason is not lost.
    let large = "x".repeat(40 << 20);
    let cut = [b'{'; 100];
    for (protocol, message, code) in [
        (None, Message::text(large.clone()), CloseCode::Size),
        (
            Some(V1),
            Message::binary(large.into_bytes()),
            CloseCode::Size,
        ),
        (None, text_of(&[0xff; 100]), CloseCode::Invalid),
        (
            None,
            frame_of(OpCode::Data(Data::Reserved(3)), &cut),
            CloseCode::Protocol,
        ),
    ] {
        let mut channels = house.channels(&id, "s", protocol);
        channels.socket.send(message).expect("it reads");
        let end = loop {
            if let Message::Close(frame) = channels.socket.read().expect("a close frame") {
                break frame.expect("a reason");
            }
        };
        assert_eq!(end.code, code);
        assert!(!end.reason.is_empty());
        // It is not waited for when it is gone.
        while channels.socket.read().is_ok() {}
    }
    assert_eq!(other.run("echo other"), "other\n");
}

fn text_of(bytes: &[u8]) -> Message {
    frame_of(OpCode::Data(Data::Text), bytes)
}

fn frame_of(code: OpCode, bytes: &[u8]) -> Message {
    Message::Frame(Frame::message(bytes.to_vec(), code, true))
}

#[test]
fn all_clients_see_what_happens_and_only_one_is_answered() {
    let house = House::open();
    let id = house.start("bash");
    let mut first = house.channels(&id, "first", Some(V1));
    let mut second = house.channels(&id, "second", None);
    let path = format!("GET /api/kernels/{id}");
    eventually("both connections", || {
        house.call(&path, "").1["connections"] == 2
    });
    let request = first.execute("echo shared");
    assert!(kinds(&first.follow(&request)).contains(&"execute_reply"));
    let mut seen = Vec::new();
    loop {
        let message = second.next();
        let kind = message["header"]["msg_type"]
            .as_str()
            .expect("a type")
            .to_owned();
        let is_over = message["content"]["execution_state"] == "idle";
        assert_eq!(
            (&message["channel"], &message["parent_header"]["msg_id"]),
            (&json!("iopub"), &json!(request))
        );
        seen.push(kind);
        if is_over {
            break;
        }
    }
    assert_eq!(seen, ["status", "execute_input", "stream", "status"]);
    // The state is that of the kernel while a cell runs.
    let request = first.execute("read line; echo $line");
    first.wait("input_request");
    assert_eq!(house.call(&path, "").1["execution_state"], "busy");
    first.send("stdin", "input_reply", &json!({"value": "done"}));
    assert!(
        first
            .follow(&request)
            .contains(&("stream".to_owned(), "done\n".to_owned()))
    );
    drop(second);
    eventually("one has left", || {
        house.call(&path, "").1["connections"] == 1
    });
}

#[test]
fn who_comes_back_gets_what_was_missed() {
    let house = House::open();
    let id = house.start("python3");
    for protocol in [None, Some(V1)] {
        let mut channels = house.channels(&id, "s", protocol);
        let request = channels.execute(
            "try:\n    print('begun')\n    while True: pass\nexcept KeyboardInterrupt: print('missed')\n6 * 7",
        );
        channels.wait("stream");
        drop(channels);
        let path = format!("GET /api/kernels/{id}");
        eventually("it has left", || {
            house.call(&path, "").1["connections"] == 0
        });
        // Another client lets it go on, and does not get its reply.
        let mut other = house.channels(&id, "other", None);
        house.call(&format!("POST /api/kernels/{id}/interrupt"), "");
        other.wait("stream");
        eventually("the cell ends", || {
            house.call(&path, "").1["execution_state"] == "idle"
        });
        let answered = other.send("control", "kernel_info_request", &json!({}));
        loop {
            let message = other.next();
            assert_ne!(message["header"]["msg_type"], "execute_reply");
            if message["parent_header"]["msg_id"] == answered {
                break;
            }
        }
        drop(other);
        let mut again = house.channels(&id, "s", protocol);
        let all = again.follow(&request);
        assert!(
            all.contains(&("stream".to_owned(), "missed\n".to_owned())),
            "{all:?}"
        );
        assert!(
            all.contains(&("execute_reply".to_owned(), "ok".to_owned())),
            "{all:?}"
        );
        // Once, and nothing else is left.
        assert_eq!(again.run("print(1)"), "1\n");
    }
}

#[test]
fn the_same_session_has_one_connection() {
    let house = House::open();
    let id = house.start("bash");
    let mut older = house.channels(&id, "s", None);
    let mut newer = house.channels(&id, "s", None);
    let end = loop {
        if let Message::Close(frame) = older.socket.read().expect("a message") {
            break frame.expect("a reason");
        }
    };
    assert_eq!(end.reason.as_str(), "another connection has this session");
    assert_eq!(newer.run("echo here"), "here\n");
}

#[test]
fn cells_are_interrupted_and_kernels_restarted() {
    let house = House::open();
    let id = house.start("python3");
    let mut channels = house.channels(&id, "s", None);
    channels.run("x = 1\nopen('kept', 'w').write('file')");
    let request = channels.execute("print('begun')\nwhile True: pass");
    channels.wait("stream");
    assert_eq!(
        house
            .call(&format!("POST /api/kernels/{id}/interrupt"), "")
            .0,
        204
    );
    let all = channels.follow(&request);
    assert!(
        all.contains(&("error".to_owned(), "KeyboardInterrupt".to_owned())),
        "{all:?}"
    );
    assert_eq!(channels.run("print(x)"), "1\n");

    // A cell that runs is aborted, and those that wait; files stay.
    let running = channels.execute("print('begun')\nwhile True: pass");
    channels.wait("stream");
    let waiting = channels.execute("print('never')");
    // The restart comes over another connection, and this is read by now.
    channels.send("control", "kernel_info_request", &json!({}));
    channels.wait("kernel_info_reply");
    let (status, model) = house.call(&format!("POST /api/kernels/{id}/restart"), "");
    assert_eq!(
        (status, &model["execution_state"]),
        (200, &json!("idle")),
        "{model}"
    );
    // As if it had not been there, since JupyterLab says of kernels that restart that they have died.
    let mut aborted = Vec::new();
    let last = channels.send("shell", "kernel_info_request", &json!({}));
    loop {
        let message = channels.next();
        assert_ne!(message["content"]["execution_state"], "restarting");
        if message["content"]["status"] == "aborted" {
            aborted.push(message["parent_header"]["msg_id"].clone());
        }
        if message["header"]["msg_type"] == "kernel_info_reply"
            && message["parent_header"]["msg_id"] == last
        {
            break;
        }
    }
    assert_eq!(aborted, [running, waiting]);
    assert_eq!(
        channels.run("print('x' in globals(), open('kept').read())"),
        "False file\n"
    );

    // Over the channels as well.
    let request = channels.send("control", "shutdown_request", &json!({"restart": true}));
    let all = channels.follow(&request);
    assert!(kinds(&all).contains(&"shutdown_reply"), "{all:?}");
    assert_eq!(channels.run("print(open('kept').read())"), "file\n");
    channels.send("control", "shutdown_request", &json!({"restart": false}));
    channels.wait("shutdown_reply");
    loop {
        let message = channels.wait("status");
        if message["content"]["execution_state"] == "dead" {
            break;
        }
    }
    eventually("it is gone", || {
        house.call("GET /api/kernels", "").1 == json!([])
    });
}

/// Whatever is carried out when the kernel is restarted is answered.
#[test]
fn questions_that_a_restart_comes_between_are_answered() {
    let house = House::open();
    let id = house.start("python3");
    let mut channels = house.channels(&id, "s", None);
    let slow = "import time\nclass Slow:\n  def __getattr__(self, name): time.sleep(1000)\n  def __dir__(self): time.sleep(1000)\nslow = Slow()";
    channels.run(slow);
    for kind in ["inspect", "complete"] {
        channels.run(slow);
        let content = json!({"code": "slow.", "cursor_pos": 5, "detail_level": 0});
        let request = channels.send("shell", &format!("{kind}_request"), &content);
        loop {
            let message = channels.wait("status");
            if message["parent_header"]["msg_id"] == request {
                break;
            }
        }
        let restart = format!("POST /api/kernels/{id}/restart");
        assert_eq!(house.call(&restart, "").0, 200);
        let all = channels.follow(&request);
        let reply = format!("{kind}_reply");
        assert!(kinds(&all).contains(&reply.as_str()), "{all:?}");
    }
}

/// What else comes on the channel of answers takes no question from who is asked.
#[test]
fn only_answers_are_answers() {
    let house = House::open();
    let id = house.start("python3");
    let mut channels = house.channels(&id, "s", None);
    let request = channels.execute("print(input('? '))");
    channels.wait("input_request");
    channels.send("stdin", "comm_msg", &json!({"comm_id": "x", "data": {}}));
    channels.send("stdin", "input_reply", &json!({"value": "here"}));
    let all = channels.follow(&request);
    assert!(
        all.contains(&("stream".to_owned(), "here\n".to_owned())),
        "{all:?}"
    );
}

/// Output is kept for a client that is slow to read it, and arrives complete.
#[test]
fn slow_clients_get_all() {
    let house = House::open();
    let id = house.start("python3");
    let mut channels = house.channels(&id, "s", Some(V1));
    let request = channels.execute("for n in range(150): print('x' * 99_999)");
    std::thread::sleep(std::time::Duration::from_millis(500));
    let all = channels.follow(&request);
    let size: usize = all
        .iter()
        .filter(|(kind, _)| kind == "stream")
        .map(|(_, text)| text.len())
        .sum();
    assert_eq!(size, 150 * 100_000);
}

#[test]
fn who_takes_nothing_holds_up_nobody() {
    let house = House::open();
    let id = house.start("python3");
    let mut stuck = house.channels(&id, "stuck", None);
    let mut other = house.channels(&id, "other", Some(V1));
    let request = other.execute("for n in range(400): print('x' * 99_999)");
    let all = other.follow(&request);
    let size: usize = all
        .iter()
        .filter(|(kind, _)| kind == "stream")
        .map(|(_, text)| text.len())
        .sum();
    assert_eq!(size, 400 * 100_000);
    // The slow client is still connected. It is told that messages are missing, and receives the later ones.
    let (_, model) = house.call(&format!("GET /api/kernels/{id}"), "");
    assert_eq!(
        (&model["connections"], &model["execution_state"]),
        (&json!(2), &json!("idle"))
    );
    let (mut size, mut is_told) = (0, false);
    loop {
        let message = stuck.next();
        if message["content"]["execution_state"] == "idle" {
            break;
        }
        let text = message["content"]["text"].as_str().unwrap_or_default();
        if text.contains("left out") {
            assert!(!is_told);
            is_told = true;
        } else {
            size += text.len();
        }
    }
    assert!(is_told && size < 400 * 100_000, "{is_told} {size}");
    assert_eq!(stuck.run("print('here')"), "here\n");
}

/// Though the older connection is in the middle of a message.
#[test]
fn who_comes_back_from_a_connection_that_is_stuck_is_served_at_once() {
    let house = House::open();
    let id = house.start("python3");
    let mut older = house.channels(&id, "s", None);
    let request = older.execute("for n in range(120): print(n, 'x' * 99_999)");
    let path = format!("GET /api/kernels/{id}");
    eventually("the cell ends", || {
        house.call(&path, "").1["execution_state"] == "idle"
    });
    let mut newer = house.channels(&id, "s", None);
    let got = newer.follow(&request);
    assert!(
        got.contains(&("execute_reply".to_owned(), "ok".to_owned())),
        "{:?}",
        kinds(&got)
    );
    assert_eq!(house.call(&path, "").1["connections"], 1);
    assert_eq!(newer.run("print('here')"), "here\n");
    // What the newer one has not got, the older one has: it is in its connection.
    let mut texts: Vec<_> = got
        .into_iter()
        .filter(|(kind, _)| kind == "stream")
        .collect();
    while let Ok(message) = older.socket.read() {
        if let Message::Text(text) = message {
            let message: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let text = message["content"]["text"].as_str().unwrap_or_default();
            texts.push(("stream".to_owned(), text.to_owned()));
        }
    }
    let text: String = texts.into_iter().map(|(_, text)| text).collect();
    for number in 0..120 {
        let line = format!("{number} xxx");
        assert!(text.contains(&line), "{number} is lost");
    }
}

#[test]
fn who_asks_for_too_much_is_sent_away() {
    let house = House::open();
    let id = house.start("python3");
    let mut other = house.channels(&id, "other", None);
    // It runs until its question is answered.
    let request = other.execute("print(input())");
    other.wait("input_request");
    for large in [0, 8 << 20] {
        let mut channels = house.channels(&id, &format!("s-{large}"), None);
        let content = json!({"code": "x".repeat(large)});
        let end = loop {
            // So many that it is sent away before the end.
            let most = if large == 0 { 10_001 } else { 8 };
            for _ in 0..most {
                // The reason can be read also where it was sent away before the last one.
                if channels
                    .try_send("shell", "comm_info_request", &content)
                    .is_err()
                {
                    break;
                }
            }
            if let Message::Close(frame) = channels.socket.read().expect("a close frame") {
                break frame.expect("a reason");
            }
        };
        assert_eq!(end.code, CloseCode::Policy);
    }
    // What comes without a question is not its answer.
    other.send("stdin", "input_reply", &json!({"value": "here"}));
    for _ in 0..100 {
        other.send("stdin", "input_reply", &json!({"value": "nobody asked"}));
    }
    let all = other.follow(&request);
    assert!(
        all.contains(&("stream".to_owned(), "here\n".to_owned())),
        "{all:?}"
    );
    // Those that are carried out do not count.
    for _ in 0..3 {
        for _ in 0..4000 {
            other.send("shell", "comm_info_request", &json!({}));
        }
        let last = other.send("shell", "kernel_info_request", &json!({}));
        other.follow(&last);
    }
}

#[test]
fn cells_that_are_too_large_are_refused_as_such() {
    let house = House::open();
    let id = house.start("python3");
    for protocol in [None, Some(V1)] {
        let mut channels = house.channels(&id, "s", protocol);
        assert_eq!(
            channels.run(&format!("x = '{}'; print(len(x))", "é".repeat(400_000))),
            "400000\n"
        );
        for size in [1 << 20, 2 << 20, 10 << 20] {
            let request = channels.execute(&format!("x = '{}'", "x".repeat(size)));
            let all = channels.follow(&request);
            assert_eq!(kinds(&all), ["status", "error", "execute_reply", "status"]);
            assert_eq!(all[1].1, "CellTooLarge");
        }
        // In its turn, and as any cell that fails.
        let first = channels.execute("import time\nprint('begun')\ntime.sleep(0.5)\nprint('done')");
        let large = channels.execute(&format!("x = '{}'", "x".repeat(2 << 20)));
        let last = channels.execute("print('never')");
        assert_eq!(channels.follow(&first)[2].1, "begun\n");
        let (mut all, mut left) = (Vec::new(), vec![large, last]);
        while !left.is_empty() {
            let message = channels.next();
            let kind = message["header"]["msg_type"].as_str().expect("a type");
            if let Some(status) = message["content"]["status"].as_str() {
                all.push((kind.to_owned(), status.to_owned()));
                left.retain(|it| message["parent_header"]["msg_id"] != **it);
            }
        }
        let of = |status: &str| ("execute_reply".to_owned(), status.to_owned());
        assert_eq!(all, [of("error"), of("aborted")]);
        assert_eq!(channels.run("print(len(x))"), "400000\n");
    }
}

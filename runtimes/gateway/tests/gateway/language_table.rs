//! Custom languages from TOML.

use crate::common::Client;

use sorna_core::{Batch, CreateKernel, ListLanguages, ProblemKind, SessionToken};
use sorna_gateway::{Gateway, GatewayConfig, LanguageTable, RunningGateway};

fn spawn(languages: &str) -> RunningGateway {
    let config = GatewayConfig::new()
        .with_languages(LanguageTable::built_in().with_toml(languages).unwrap());
    Gateway::spawn(config).unwrap()
}

#[test]
fn a_language_whose_queries_are_programs() {
    let gateway = spawn(
        r#"
        [[language]]
        name = "shout"
        aliases = ["loud"]
        tools = ["no-such-tool", "tr"]
        build = "tr a-z A-Z < words > main"
        exec = "cat main; echo by {tool}"
        shell = ["bash", "--noprofile", "--norc"]
        [language.program]
        source = "words"
        build = ["bash", "-c", "{program} a-z A-Z < words > loud"]
        run = ["cat", "{snippet}/loud"]
        wrap = { unless = "THE END", before = "<", after = ">\n" }
        "#,
    );
    let client = Client::new(&gateway);
    let kernel = client.create("loud");
    let output = |text: &str| (text.to_owned(), String::new());
    assert_eq!(client.run(&kernel, "hi").finished(), output("<HI>\n"));
    assert_eq!(
        client.run(&kernel, "x THE END").finished(),
        output("X THE END")
    );
    client.upload(&kernel, &[("words", b"file\n")]).unwrap();
    let (_, outcome) = client.batch(&kernel, Batch::new());
    assert_eq!(outcome.finished(), output("FILE\nby tr\n"));
}

/// A whole interpreter, in bash: it adds numbers.
const ADDER: &str = r#"
total=0
printf '+ 0\n' >&3
while read -r letter length <&3 && IFS= read -r -d '' -n "$length" code <&3; do
    if [ "$code" = ask ]; then read -r code; fi
    total=$((total + code)) status=0
    echo "$total"
    printf 'r 15\n["html", "<b>"]d 1\n%s' "$status" >&3
done
"#;

#[test]
fn custom_interpreters_keep_state_and_ask_for_input() {
    let directory = tempfile::tempdir().unwrap();
    let runner = directory.path().join("adder.bash");
    std::fs::write(&runner, ADDER).unwrap();
    let gateway = spawn(&format!(
        "[[language]]\nname = \"adder\"\ntools = [\"bash\"]\ninterpreter = [\"{{program}}\", {:?}]",
        runner.to_str().unwrap()
    ));
    let client = Client::new(&gateway);
    let kernel = client.create("adder");
    assert_eq!(client.run(&kernel, "2").stdout, "2\n");
    let asked = client.run(&kernel, "ask");
    assert_eq!(asked.asks(), Some(false), "{asked:?}");
    let answered = client.input(&kernel, "40");
    assert_eq!(
        (answered.stdout.as_str(), answered.exit_code()),
        ("42\n", Some(0))
    );
}

#[test]
fn the_list_and_the_error_name_missing_tools() {
    let gateway = spawn(
        "[[language]]\nname = \"x\"\ntools = [\"no-such-a\", \"no-such-b\"]\nrunner = \"bash\"",
    );
    let client = Client::new(&gateway);
    let list = client.call(&ListLanguages::new()).unwrap();
    let find = |name: &str| list.iter().find(|language| language.name == name).unwrap();
    assert!(find("bash").available && find("bash").keeps_state);
    assert_eq!(find("python3").aliases, ["python"]);
    assert!(!find("c").keeps_state);
    assert_eq!(find("x").missing.as_deref(), Some("no-such-a or no-such-b"));
    let token = SessionToken::from_random(crate::common::random());
    let error = client.call(&CreateKernel::new("x", token)).unwrap_err();
    let response = error.gateway().unwrap();
    assert_eq!(
        response.status(),
        ProblemKind::KernelCreationFailed.status()
    );
    assert!(
        response.to_string().contains("no-such-a or no-such-b"),
        "{response}"
    );
}

#!/usr/bin/env bash
# The Rust crate jupyter-protocol cannot read searches of the history as jupyter_client sends them.
#
# Versions: jupyter-protocol 2.0.3 (crates.io), jupyter_client 8.10.0 (PyPI), Python 3.11, installed in a temporary folder.
#
# Behavior: `client.history(hist_access_type="search", pattern=...)` sends the fields that it was given, and no others. The
# crate takes a search without `n`, but not one without `unique`: then the whole message is an error. So a kernel that
# reads requests by the crate's types, and drops what they do not accept, never answers, and the client waits. A kernel
# has to read the fields of such requests one by one, with defaults.
#
# Output seen:
#   tail, n: read
#   search, n, pattern, unique: read
#   search, pattern: missing field `unique`
#   search, n, pattern: missing field `unique`
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install 'jupyter_client==8.10.0'

# What the client would send, one content a line.
cat > "$folder/requests.py" <<'PYTHON'
import json

from jupyter_client.blocking import BlockingKernelClient


class Channel:
    def send(self, message):
        print(json.dumps(message["content"]))


client = BlockingKernelClient()
client._shell_channel = Channel()
client.history(hist_access_type="tail", n=10)
client.history(hist_access_type="search", pattern="a*", n=10, unique=True)
client.history(hist_access_type="search", pattern="a*")
client.history(hist_access_type="search", pattern="a*", n=10)
PYTHON

mkdir "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"

[dependencies]
jupyter-protocol = "=2.0.3"
serde_json = "1"

[workspace]
TOML
cat > "$folder/src/main.rs" <<'RUST'
use jupyter_protocol::JupyterMessageContent;
use serde_json::Value;

fn main() {
    for line in std::io::stdin().lines() {
        let content: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let mut words = vec![content["hist_access_type"].as_str().unwrap().to_owned()];
        let fields = content.as_object().unwrap().keys();
        words.extend(
            fields
                .filter(|it| !["hist_access_type", "output", "raw"].contains(&it.as_str()))
                .cloned(),
        );
        let read = JupyterMessageContent::from_type_and_content("history_request", content);
        let result = read.map_or_else(|error| error.to_string(), |_| "read".to_owned());
        println!("{}: {result}", words.join(", "));
    }
}
RUST

expected='tail, n: read
search, n, pattern, unique: read
search, pattern: missing field `unique`
search, n, pattern: missing field `unique`'
seen=$("$folder/venv/bin/python" "$folder/requests.py" | (cd "$folder" && cargo run --quiet))
echo "$seen"
[ "$seen" = "$expected" ] || { echo "this is not what was seen before"; exit 1; }

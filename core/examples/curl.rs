//! The protocol without any I/O: requests are made and signed here, and curl sends them.
//!
//! With `SORNA_ENDPOINT`, `SORNA_ACCESS_KEY` and `SORNA_SECRET_KEY` set (`sorna serve` prints them
//! for a gateway on this machine), this prints a command for curl:
//!
//! ```console
//! $ cargo run -q -p sorna-core --example curl -- create python3 my-session
//! $ cargo run -q -p sorna-core --example curl -- execute KERNEL 'print(6 * 7)'
//! $ cargo run -q -p sorna-core --example curl -- destroy KERNEL
//! ```
//!
//! and ` | sh` sends it. `version` and `authorize` take no arguments.
//!
//! The secret key is not in the command. The signature is: anyone who sees it can send the same
//! request again until its date is 15 minutes old.

// Core reads neither a clock nor the environment, so this program does.
#![allow(clippy::disallowed_methods)]

use std::error::Error;
use std::process::ExitCode;
use std::time::SystemTime;

use http::Request;
use sorna_core::{
    Authorize, Body, Config, CreateKernel, Destroy, Execute, ExecuteMode, KernelId, Operation,
    SessionToken, Signer, Version,
};

const USAGE: &str = "usage: curl version | authorize | create LANGUAGE TOKEN | \
                     execute KERNEL CODE | destroy KERNEL";

fn request(arguments: &[&str], signer: &Signer) -> Result<Request<Body>, Box<dyn Error>> {
    let now = SystemTime::now();
    let request = match arguments {
        ["version"] => Version::new().request(signer, now)?,
        ["authorize"] => Authorize::new("hello").request(signer, now)?,
        ["create", language, token] => {
            CreateKernel::new(*language, SessionToken::new(*token)?).request(signer, now)?
        }
        ["execute", kernel, code] => {
            let mode = ExecuteMode::query(*code);
            Execute::start(KernelId::new(*kernel)?, mode).request(signer, now)?
        }
        ["destroy", kernel] => Destroy::new(KernelId::new(*kernel)?).request(signer, now)?,
        _ => return Err(USAGE.into()),
    };
    Ok(request)
}

/// The request as it is: what is signed must arrive unchanged.
fn command(request: &Request<Body>) -> Result<String, Box<dyn Error>> {
    let mut words = vec![
        "curl".to_owned(),
        "--silent".to_owned(),
        "--show-error".to_owned(),
    ];
    words.extend(["--request".to_owned(), request.method().to_string()]);
    for (name, value) in request.headers() {
        words.extend([
            "--header".to_owned(),
            quoted(&format!("{name}: {}", value.to_str()?)),
        ]);
    }
    // Only uploads have bodies in more than one segment.
    let body = request
        .body()
        .as_bytes()
        .ok_or("a body in several segments")?;
    if !body.is_empty() {
        let text = std::str::from_utf8(body)?;
        // `--data-raw`, since the other forms take a file's name after an `@`.
        words.extend(["--data-raw".to_owned(), quoted(text)]);
    }
    words.push(quoted(&request.uri().to_string()));
    Ok(words.join(" "))
}

/// One word for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn main() -> ExitCode {
    match print_command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn print_command() -> Result<(), Box<dyn Error>> {
    let config = Config::from_lookup(|name| std::env::var(name).ok())?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    println!("{}", command(&request(&arguments, &Signer::new(config))?)?);
    Ok(())
}

//! Values on the command line.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use jiff::SignedDuration;
use parse_size::Config;

/// Memory in KiB, as the protocol counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kib(pub(crate) u64);

/// As an argument, in the largest unit in which it is whole.
#[cfg(any(feature = "jupyter", feature = "mcp"))]
impl std::fmt::Display for Kib {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            kib if kib > 0 && kib % (1 << 20) == 0 => write!(f, "{}g", kib >> 20),
            kib if kib > 0 && kib % (1 << 10) == 0 => write!(f, "{}m", kib >> 10),
            kib => write!(f, "{kib}k"),
        }
    }
}

/// A time as an argument, in the largest unit in which it is whole.
#[cfg(any(feature = "jupyter", feature = "mcp"))]
pub(crate) fn time_word(time: Duration) -> String {
    match time.as_millis() {
        ms if ms > 0 && ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms > 0 && ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms > 0 && ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

/// A time such as `30s`, `500ms` or `1m30s`.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    const HINT: &str = "expected a number and a unit, such as 500ms, 30s or 2m";
    if is_negative(text) {
        return Err("a time cannot be negative; the minimum is 1ms".to_owned());
    }
    let time: SignedDuration = text.parse().map_err(|_| HINT)?;
    let time = Duration::try_from(time).map_err(|_| HINT)?;
    if time < Duration::from_millis(1) {
        return Err("the minimum is 1ms".to_owned());
    }
    Ok(time)
}

fn is_negative(text: &str) -> bool {
    text.trim_start().starts_with('-')
}

/// A whole number.
pub(crate) fn number<T: FromStr>(text: &str) -> Result<T, String> {
    let number = text.trim().parse();
    number.map_err(|_| "expected a whole number that is not negative, such as 100".to_owned())
}

/// How many there may be, of what is of no use without any.
#[cfg(feature = "mcp")]
pub(crate) fn count<T: FromStr + Default + PartialEq>(text: &str) -> Result<T, String> {
    match number(text) {
        Ok(number) if number == T::default() => Err("expected 1 or more".to_owned()),
        number => number,
    }
}

/// A time to wait: a number is one of seconds.
pub(crate) fn wait(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
        _ => time(text),
    }
}

/// A name and a value.
pub(crate) fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("expected a name and a value, such as cpu=2".to_owned()),
    }
}

/// An environment variable and its value, which may be empty.
pub(crate) fn variable(text: &str) -> Result<(String, String), String> {
    let is_name = |name: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        name.bytes().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && is_name(name) => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("expected NAME=VALUE, with a name of letters, digits and `_`".to_owned()),
    }
}

/// A language, and how many of its kernels to keep in stock.
pub(crate) fn stock(text: &str) -> Result<(String, usize), String> {
    const MAX: usize = 16;
    let (language, count) = text.split_once('=').unwrap_or_default();
    let count = count.trim().parse().ok().filter(|count| *count <= MAX);
    match (language.trim(), count) {
        (language, Some(count)) if !language.is_empty() => Ok((language.to_owned(), count)),
        _ => Err(format!(
            "expected a language and a number from 0 to {MAX}, such as python3=2"
        )),
    }
}

/// Memory such as `512MiB`, `64m` or a number of bytes, rounded up to KiB.
pub(crate) fn memory(text: &str) -> Result<Kib, String> {
    if is_negative(text) {
        return Err("a size cannot be negative; the minimum is 1k".to_owned());
    }
    let bytes = Config::new()
        .with_binary()
        .parse_size(text)
        .map_err(|_| "expected a number and a unit, such as 512MiB, 64m or 1g")?;
    if bytes == 0 {
        return Err("the minimum is 1k".to_owned());
    }
    Ok(Kib(bytes.div_ceil(1024)))
}

/// A number of bytes, or a size such as `64k`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    if is_negative(text) {
        return Err("a size cannot be negative; the minimum is 1".to_owned());
    }
    let bytes = Config::new()
        .with_binary()
        .parse_size(text)
        .map_err(|_| "expected a number and a unit, such as 512, 64k or 1m")?;
    match bytes {
        0 => Err("the minimum is 1".to_owned()),
        bytes => Ok(bytes),
    }
}

/// The memory of a kernel. Without a unit, a number is one of bytes, which is hardly meant.
pub(crate) fn kernel_memory(text: &str) -> Result<Kib, String> {
    const MINIMUM: u64 = 4 << 10;
    let Kib(kib) = memory(text)?;
    if kib >= MINIMUM {
        return Ok(Kib(kib));
    }
    Err(match text.trim().parse::<u64>() {
        Ok(number) => {
            format!("{number} bytes are too little for any program; for MiB, write {number}m")
        }
        Err(_) => "the minimum for a program is 4m".to_owned(),
    })
}

/// As [`memory`], or `0`.
pub(crate) fn memory_or_none(text: &str) -> Result<Kib, String> {
    match text {
        "0" => Ok(Kib(0)),
        text => memory(text),
    }
}

/// An address and a port, where `localhost` is 127.0.0.1.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    let text = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    text.parse().map_err(|_| {
        "expected an IP address and a port up to 65535, such as 127.0.0.1:8081, [::1]:8081 or localhost:0"
            .to_owned()
    })
}

/// The path of a file here.
pub(crate) fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|path| match path.is_empty() {
        true => Err("a file must have a name"),
        false => Ok(PathBuf::from(path)),
    })
}

/// A name, without white space around it, which is not part of a setting wherever it comes from.
#[expect(clippy::unnecessary_wraps, reason = "clap expects a result")]
pub(crate) fn name(text: &str) -> Result<String, Infallible> {
    Ok(text.trim().to_owned())
}

/// A folder's name, with or without an alias after a colon.
pub(crate) fn mount(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() > 2 || parts.contains(&"") {
        return Err("expected the folder's name, or name:alias".to_owned());
    }
    Ok(text.to_owned())
}

/// The length of the IDs that gateways make: 16 bytes in URL-safe base64.
const ID_LENGTH: usize = 22;

/// Whether it has the form of the IDs that gateways make.
pub(crate) fn is_id(text: &str) -> bool {
    let in_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.len() == ID_LENGTH && text.bytes().all(in_base64)
}

/// A kernel's ID, or a language. What starts with a hyphen must have the form of an ID, since it may be a
/// misspelled option.
pub(crate) fn kernel_or_lang(text: &str) -> Result<String, String> {
    if text.starts_with('-') && !is_id(text) {
        return Err(
            "not an option, and not a kernel ID; put a space between an option and its value"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// An amount as a number, for comparing; memory in bytes. `None` if it is none.
pub(crate) fn amount(name: &str, text: &str) -> Option<f64> {
    let number = text.trim().parse().ok();
    if name != "mem" || number.is_some() {
        return number;
    }
    let bytes = Config::new().with_binary().parse_size(text).ok()?;
    Some(bytes as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_kernels() {
        assert_eq!(kernel_memory("4m"), Ok(Kib(4096)));
        assert_eq!(kernel_memory("4194304"), Ok(Kib(4096)));
        let error = kernel_memory("10").unwrap_err();
        assert_eq!(
            error,
            "10 bytes are too little for any program; for MiB, write 10m"
        );
        assert_eq!(
            kernel_memory("1k").unwrap_err(),
            "the minimum for a program is 4m"
        );
        assert!(kernel_memory("x").is_err());
    }

    #[test]
    #[cfg(any(feature = "jupyter", feature = "mcp"))]
    fn words_say_the_same() {
        for (text, word) in [
            ("90s", "90s"),
            ("2h", "2h"),
            ("1m30s", "90s"),
            ("120s", "2m"),
            ("1500ms", "1500ms"),
        ] {
            let time = time(text).expect("a time");
            assert_eq!(time_word(time), word);
        }
        for (text, word) in [
            ("4m", "4m"),
            ("2g", "2g"),
            ("1025m", "1025m"),
            ("5000k", "5000k"),
        ] {
            let memory = kernel_memory(text).expect("memory");
            assert_eq!(memory.to_string(), word);
        }
    }

    #[test]
    fn times() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("2m", 120_000),
            ("1m30s", 90_000),
            ("1.5 s", 1500),
            ("1h", 3_600_000),
        ] {
            assert_eq!(
                time(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for text in ["", "30", "x", "-1s", "0s", "10us", "1 parsec"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn memory_sizes() {
        for (text, kib) in [
            ("512MiB", 512 * 1024),
            ("64m", 64 * 1024),
            ("64M", 64 * 1024),
            ("64MB", 64 * 1024),
            ("1g", 1024 * 1024),
            ("1.5 GiB", 1536 * 1024),
            ("10k", 10),
            ("1025", 2),
        ] {
            assert_eq!(memory(text), Ok(Kib(kib)), "{text}");
        }
        for text in ["", "x", "-1", "0", "5 apples"] {
            assert!(memory(text).is_err(), "{text}");
        }
    }

    #[test]
    fn mounts() {
        assert_eq!(mount("data"), Ok("data".to_owned()));
        assert_eq!(mount("data:input"), Ok("data:input".to_owned()));
        for text in ["", ":", "a:", ":b", "a:b:c"] {
            assert!(mount(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ids_may_begin_with_a_hyphen_but_are_no_options() {
        for text in [
            "python3",
            "-Oxyz_7890123456789-AB",
            "--yz_7890123456789-AB0",
        ] {
            assert!(kernel_or_lang(text).is_ok(), "{text}");
        }
        for text in ["--no-ignroe", "-x", "-tmy-token"] {
            assert!(kernel_or_lang(text).is_err(), "{text}");
        }
    }

    #[test]
    fn amounts_of_memory_may_have_units() {
        for (name, text, number) in [
            ("mem", "1g", Some(1_073_741_824.0)),
            ("mem", "1.5 GiB", Some(1_610_612_736.0)),
            ("mem", "1073741824.000000", Some(1_073_741_824.0)),
            ("cpu", "2", Some(2.0)),
            ("cpu", "2.000000", Some(2.0)),
            ("cpu", "2m", None),
            ("mem", "plenty", None),
        ] {
            assert_eq!(amount(name, text), number, "{name}={text}");
        }
    }
}

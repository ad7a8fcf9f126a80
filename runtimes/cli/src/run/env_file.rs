//! Files with environment variables: `--env-file`.

use std::fs;
use std::path::{Path, PathBuf};

use super::args::is_assignment;
use crate::failure::Failure;

/// The variables in files, in their order.
pub(crate) fn read_all(files: &[PathBuf]) -> Result<Vec<(String, String)>, Failure> {
    let mut all = Vec::new();
    for file in files {
        all.extend(read(file)?);
    }
    Ok(all)
}

/// The variables in a file, in its order. Errors never quote it: values may be secrets.
fn read(file: &Path) -> Result<Vec<(String, String)>, Failure> {
    let path = file.display();
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("--env-file {path}: {error}")))?;
    parse(&text).map_err(|line| {
        Failure::usage(format!(
            "--env-file {path}, line {line}: expected NAME=VALUE"
        ))
    })
}

/// One variable per line. An error is the number of a line.
fn parse(text: &str) -> Result<Vec<(String, String)>, usize> {
    let lines = text
        .lines()
        .zip(1_usize..)
        .map(|(line, number)| (line.trim(), number));
    let lines = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    let variables = lines.map(|(line, number)| {
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let pair = line.split_once('=').filter(|_| is_assignment(line));
        let (name, value) = pair.ok_or(number)?;
        Ok((name.to_owned(), unquoted(value).to_owned()))
    });
    variables.collect()
}

/// A value without the quotes around it.
fn unquoted(value: &str) -> &str {
    let within = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_a_line() {
        let text =
            "# mine\n\nA=1\r\nexport B=two words\n  C=\"quoted # text\"\nD='x'\nE=\nF=a=b\nG=\"\n";
        let pairs = parse(text).unwrap_or_default();
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "quoted # text"),
            ("D", "x"),
            ("E", ""),
            ("F", "a=b"),
            ("G", "\""),
        ];
        assert_eq!(pairs, expected);
        for (text, line) in [("A", 1), ("A=1\n1A=2", 2), ("A=1\n\n=x", 3), ("A B=1", 1)] {
            assert_eq!(parse(text), Err(line), "{text:?}");
        }
    }
}

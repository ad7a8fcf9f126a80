//! Results on standard output.

use std::io::{self, Write};

use serde_json::Value;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::harmless::{json, safe};

/// Writes the text.
pub(crate) fn print(text: &[u8]) -> Result<Exit, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        // A closed pipe is no failure: the reader needs no more.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::System("cannot write to standard output", error))
        }
        _ => Ok(Exit::SUCCESS),
    }
}

/// A value as a line of JSON.
pub(crate) fn line(value: &Value) -> String {
    let text = json(value).expect("a value is JSON");
    text + "\n"
}

/// Lines of cells in columns; the last cell of a line is not padded. Cells may be text from a gateway.
pub(crate) fn columns<const N: usize>(lines: &[[String; N]]) -> String {
    let lines: Vec<_> = lines
        .iter()
        .map(|line| line.each_ref().map(|cell| safe(cell)))
        .collect();
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let mut text = String::new();
    for line in &lines {
        let last = line.iter().rposition(|cell| !cell.is_empty()).unwrap_or(0);
        for (column, cell) in line.iter().enumerate().take(last + 1) {
            text.push_str(cell);
            if column < last {
                let filling = 2 + width(column) - cell.chars().count();
                text.extend(std::iter::repeat_n(' ', filling));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let lines = [["é", "1", "x"], ["abc", "", "y"], ["d", "2", ""]];
        let text = columns(&lines.map(|line| line.map(str::to_owned)));
        assert_eq!(text, "é    1  x\nabc     y\nd    2\n");
    }
}

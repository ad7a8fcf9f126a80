//! What the terminal can show: colors, signs, and lines that move.

use std::env;
use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use rustix::termios::tcgetwinsize;

/// The signs before status lines, and the spinner and bar behind them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signs {
    pub(crate) info: char,
    pub(crate) wait: char,
    pub(crate) done: char,
    pub(crate) fail: char,
    /// A bar: what is done, and what is left.
    pub(crate) bar: (char, char),
    /// Shown one after the other while something is under way.
    pub(crate) spinner: &'static [char],
}

/// The original client's.
const UNICODE: Signs = Signs {
    info: '∙',
    wait: '⋯',
    done: '✔',
    fail: '✘',
    bar: ('━', '╌'),
    spinner: &['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'],
};

const ASCII: Signs = Signs {
    info: '*',
    wait: '.',
    done: '+',
    fail: 'x',
    bar: ('=', '-'),
    spinner: &['|', '/', '-', '\\'],
};

/// The signs that this locale can show.
pub(crate) fn signs() -> &'static Signs {
    static SIGNS: OnceLock<&'static Signs> = OnceLock::new();
    SIGNS.get_or_init(|| signs_of(variable))
}

pub(crate) fn signs_of(lookup: impl Fn(&str) -> Option<String>) -> &'static Signs {
    // As in setlocale(3): the first one that is set and not empty counts.
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(lookup);
    let is_utf8 = locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    });
    if is_utf8 { &UNICODE } else { &ASCII }
}

/// A variable of the environment, unless it is empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The style of this color on standard error, or none where `--color`, `NO_COLOR`, `CLICOLOR_FORCE` or
/// the kind of output rule it out.
pub(crate) fn color(of: AnsiColor) -> Style {
    static COLORS: OnceLock<bool> = OnceLock::new();
    let colored =
        *COLORS.get_or_init(|| !matches!(AutoStream::choice(&io::stderr()), ColorChoice::Never));
    if colored {
        Style::new().fg_color(Some(of.into()))
    } else {
        Style::new()
    }
}

/// Whether a line on standard error may be replaced by another one: on a terminal that supports it, and
/// not in the log of a build server.
pub(crate) fn may_move() -> bool {
    io::stderr().is_terminal()
        && variable("CI").is_none()
        && variable("TERM").is_some_and(|kind| kind != "dumb")
}

/// The width of the terminal at standard error, in columns.
pub(crate) fn width() -> usize {
    let size = tcgetwinsize(io::stderr()).map_or(0, |size| size.ws_col);
    if size == 0 { 80 } else { usize::from(size) }
}

/// The width of the terminal at standard output, in pixels, if it reports it.
pub(crate) fn width_in_pixels() -> Option<usize> {
    let pixels = tcgetwinsize(io::stdout()).ok()?.ws_xpixel;
    (pixels > 0).then_some(usize::from(pixels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_locale_that_is_set_decides() {
        for (settings, expected) in [
            (&[("LANG", "de_DE.UTF-8")][..], &UNICODE),
            (&[("LANG", "C.utf8")], &UNICODE),
            (&[("LANG", "de_DE.ISO-8859-1")], &ASCII),
            (&[("LANG", "en_GB.UTF-8"), ("LC_ALL", "C")], &ASCII),
            (&[("LC_CTYPE", "en_GB.UTF-8"), ("LANG", "C")], &UNICODE),
            (&[], &ASCII),
        ] {
            let lookup = |name: &str| {
                let setting = settings.iter().find(|(set, _)| *set == name);
                setting.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(signs_of(lookup), expected, "{settings:?}");
        }
    }
}

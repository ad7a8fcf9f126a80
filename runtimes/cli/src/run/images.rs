//! Images on a terminal.
//!
//! Protocols: <https://sw.kovidgoyal.net/kitty/graphics-protocol/> and
//! <https://iterm2.com/documentation-images.html>.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The most base64 characters in one of kitty's commands.
const CHUNK: usize = 4096;

/// How a terminal takes images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Kitty,
    Iterm2,
}

impl Protocol {
    /// What the terminal that the environment names can do. It is not asked: its answer would come
    /// among what the user types for the program.
    pub(super) fn of_environment(lookup: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let variable = |name: &str| lookup(name).unwrap_or_default();
        let kind = variable("TERM");
        let program = variable("TERM_PROGRAM");
        // Those do not pass images on.
        let multiplexed = ["screen", "tmux"].iter().any(|name| kind.starts_with(name))
            || !variable("TMUX").is_empty()
            || !variable("STY").is_empty();
        if multiplexed {
            None
        } else if kind.contains("kitty")
            || kind.contains("ghostty")
            || program == "ghostty"
            || !variable("KITTY_WINDOW_ID").is_empty()
        {
            Some(Self::Kitty)
        } else if matches!(program.as_str(), "iTerm.app" | "WezTerm" | "mintty")
            || variable("LC_TERMINAL") == "iTerm2"
        {
            Some(Self::Iterm2)
        } else {
            None
        }
    }

    /// Whether it has this type of image.
    pub(super) fn shows(self, media_type: &str) -> bool {
        match self {
            Self::Kitty => media_type == "image/png",
            Self::Iterm2 => matches!(
                media_type,
                "image/png" | "image/jpeg" | "image/gif" | "image/webp" | "image/bmp"
            ),
        }
    }

    /// Puts the image where the cursor is, and the cursor on the line below.
    pub(super) fn write(self, image: &[u8], to: &mut impl Write) -> io::Result<()> {
        let text = STANDARD.encode(image);
        match self {
            Self::Kitty => {
                let chunks = text.as_bytes().chunks(CHUNK);
                let last = chunks.len().saturating_sub(1);
                for (index, chunk) in chunks.enumerate() {
                    // q=2: no answers, which the program would read as its input.
                    let what = if index == 0 { "a=T,f=100,q=2," } else { "" };
                    write!(to, "\x1b_G{what}m={};", u8::from(index < last))?;
                    to.write_all(chunk)?;
                    to.write_all(b"\x1b\\")?;
                }
            }
            Self::Iterm2 => write!(
                to,
                "\x1b]1337;File=inline=1;size={};preserveAspectRatio=1:{text}\x07",
                image.len()
            )?,
        }
        to.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(protocol: Protocol, image: &[u8]) -> String {
        let mut written = Vec::new();
        protocol.write(image, &mut written).unwrap();
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn kitty_gets_chunks() {
        assert_eq!(
            written(Protocol::Kitty, b"\x89PNG"),
            "\x1b_Ga=T,f=100,q=2,m=0;iVBORw==\x1b\\\n"
        );
        let large = written(Protocol::Kitty, &[0; 3 * CHUNK]);
        let commands: Vec<&str> = large.split_terminator("\x1b\\").collect();
        assert_eq!(commands.len(), 5, "four chunks and the line end");
        assert!(commands[0].starts_with("\x1b_Ga=T,f=100,q=2,m=1;AAAA"));
        assert!(commands[1].starts_with("\x1b_Gm=1;AAAA"));
        assert!(commands[3].starts_with("\x1b_Gm=0;AAAA"));
    }

    #[test]
    fn iterm2_gets_one_sequence() {
        assert_eq!(
            written(Protocol::Iterm2, b"\x89PNG"),
            "\x1b]1337;File=inline=1;size=4;preserveAspectRatio=1:iVBORw==\x07\n"
        );
    }

    #[test]
    fn the_environment_names_the_terminal() {
        for (settings, expected) in [
            (&[("TERM", "xterm-kitty")][..], Some(Protocol::Kitty)),
            (
                &[("TERM", "xterm-256color"), ("KITTY_WINDOW_ID", "1")],
                Some(Protocol::Kitty),
            ),
            (
                &[("TERM", "xterm-256color"), ("TERM_PROGRAM", "WezTerm")],
                Some(Protocol::Iterm2),
            ),
            (&[("LC_TERMINAL", "iTerm2")], Some(Protocol::Iterm2)),
            (
                &[("TERM", "tmux-256color"), ("LC_TERMINAL", "iTerm2")],
                None,
            ),
            (&[("TERM", "xterm-kitty"), ("TMUX", "/tmp/tmux-0")], None),
            (&[("TERM", "xterm-256color")], None),
            (&[], None),
        ] {
            let lookup = |name: &str| {
                let setting = settings.iter().find(|(set, _)| *set == name);
                setting.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(Protocol::of_environment(lookup), expected, "{settings:?}");
        }
    }
}

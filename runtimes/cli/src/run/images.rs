//! Images on a terminal.
//!
//! Protocols: <https://sw.kovidgoyal.net/kitty/graphics-protocol/>,
//! <https://iterm2.com/documentation-images.html>, and [`sixel`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::sixel;
use crate::style;

/// The maximum number of base64 characters in one of kitty's commands.
const CHUNK: usize = 4096;

/// The maximum width in pixels on a terminal that does not report its own.
const WIDTH: usize = 800;

/// How a terminal receives images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Kitty,
    Iterm2,
    Sixel,
}

impl Protocol {
    /// What the terminal supports, judging by the environment. The terminal is not queried: its reply would
    /// be mixed with what the user types for the program.
    pub(super) fn of_environment(lookup: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let variable = |name: &str| lookup(name).unwrap_or_default();
        let kind = variable("TERM");
        let program = variable("TERM_PROGRAM");
        // Terminal multiplexers do not pass images on.
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
        } else if ["foot", "mlterm", "contour", "yaft"]
            .iter()
            .any(|name| kind.starts_with(name))
            || kind.contains("sixel")
        {
            Some(Self::Sixel)
        } else {
            None
        }
    }

    /// Whether it supports this type of image.
    pub(super) fn shows(self, media_type: &str) -> bool {
        match self {
            Self::Kitty | Self::Sixel => media_type == "image/png",
            Self::Iterm2 => matches!(
                media_type,
                "image/png" | "image/jpeg" | "image/gif" | "image/webp" | "image/bmp"
            ),
        }
    }

    /// The bytes that draw the image at the cursor, and move the cursor to the line below; `None` if the
    /// image cannot be decoded.
    pub(super) fn encode(self, image: &[u8]) -> Option<String> {
        let mut text = match self {
            Self::Kitty => kitty(image),
            Self::Iterm2 => format!(
                "\x1b]1337;File=inline=1;size={};preserveAspectRatio=1:{}\x07",
                image.len(),
                STANDARD.encode(image)
            ),
            Self::Sixel => sixel::encode(image, style::width_in_pixels().unwrap_or(WIDTH))?,
        };
        text.push('\n');
        Some(text)
    }
}

fn kitty(image: &[u8]) -> String {
    let mut text = String::new();
    let content = STANDARD.encode(image);
    let mut rest = content.as_str();
    loop {
        let (chunk, after) = rest.split_at(rest.len().min(CHUNK));
        // q=2: no replies, which the program would read as its input.
        let what = if text.is_empty() {
            "a=T,f=100,q=2,"
        } else {
            ""
        };
        let more = u8::from(!after.is_empty());
        text.push_str(&format!("\x1b_G{what}m={more};{chunk}\x1b\\"));
        if after.is_empty() {
            return text;
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(protocol: Protocol, image: &[u8]) -> String {
        protocol.encode(image).unwrap()
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
            (&[("TERM", "foot")], Some(Protocol::Sixel)),
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

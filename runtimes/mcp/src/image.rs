//! Images, as clients take them: one that they cannot read may make them refuse all of a conversation.

/// The largest image that clients take, in bytes.
pub(crate) const MOST: usize = 1024 * 1024;
/// The longest side of one, in pixels.
const LONGEST: u32 = 8000;
/// How far from its end the last piece of an image may be: some programs write more after it.
const AFTER: usize = 64;

/// What kind of image this is, by its first bytes.
pub(crate) fn media_type(content: &[u8]) -> Option<&'static str> {
    if content.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if content.starts_with(b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else if content.starts_with(b"GIF87a") || content.starts_with(b"GIF89a") {
        Some("image/gif")
    } else if content.starts_with(b"RIFF") && content.get(8..12) == Some(b"WEBP") {
        Some("image/webp")
    } else {
        None
    }
}

/// Why bytes cannot be shown as an image of this type, in words that follow a colon.
pub(crate) fn why_not(wanted: &str, content: &[u8]) -> Option<String> {
    if media_type(content) != Some(wanted) || !is_whole(wanted, content) {
        return Some("it is no whole image".to_owned());
    }
    if let Some((width, height)) = size_of_png(content)
        && width.max(height) > LONGEST
    {
        return Some(format!(
            "it has {width} x {height} pixels, and a side may have {LONGEST}"
        ));
    }
    (content.len() > MOST).then(|| format!("an image may have {} KiB", MOST / 1024))
}

/// Whether the end of an image is there, as far as its format tells.
fn is_whole(media_type: &str, content: &[u8]) -> bool {
    let near_end = &content[content.len().saturating_sub(AFTER)..];
    let ends_with = |mark: &[u8]| near_end.windows(mark.len()).any(|it| it == mark);
    match media_type {
        "image/png" => size_of_png(content).is_some() && ends_with(b"IEND\xaeB\x60\x82"),
        "image/jpeg" => ends_with(b"\xff\xd9"),
        "image/gif" => {
            let last = content.iter().rfind(|byte| **byte != 0);
            content.len() > 13 && last == Some(&b';')
        }
        "image/webp" => {
            let length = content.get(4..8).and_then(|it| it.try_into().ok());
            let length = length.map(u32::from_le_bytes).unwrap_or_default();
            length > 4 && content.len() as u64 >= u64::from(length) + 8
        }
        _ => false,
    }
}

/// The width and the height of a PNG image, which are at its beginning.
fn size_of_png(content: &[u8]) -> Option<(u32, u32)> {
    let side = |at: usize| {
        let bytes = content.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes)).filter(|side| *side > 0)
    };
    let is_png = media_type(content) == Some("image/png") && content.get(12..16) == Some(b"IHDR");
    is_png.then(|| Some((side(16)?, side(20)?))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32) -> Vec<u8> {
        let size = [width.to_be_bytes(), 1u32.to_be_bytes()].concat();
        let begin = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        let rest = b"\x08\x00\x00\x00\x00....\0\0\0\0IEND\xaeB\x60\x82";
        [begin.as_slice(), &size, rest].concat()
    }

    #[test]
    fn whole_images_are_shown() {
        let jpeg = b"\xff\xd8\xff\xe0....\xff\xd9".to_vec();
        let gif = b"GIF89a\x01\0\x01\0\0\0\0....\x3b".to_vec();
        let webp = b"RIFF\x0c\0\0\0WEBPVP8 ....".to_vec();
        for (wanted, content) in [
            ("image/png", png(1)),
            ("image/jpeg", jpeg),
            ("image/gif", gif),
            ("image/webp", webp),
        ] {
            assert_eq!(media_type(&content), Some(wanted));
            assert_eq!(why_not(wanted, &content), None, "{wanted}");
            let half = &content[..content.len() / 2];
            let why = why_not(wanted, half).expect("half of it");
            assert_eq!(why, "it is no whole image", "{wanted}");
            assert!(why_not(wanted, b"").is_some());
        }
        assert!(why_not("image/jpeg", &png(1)).is_some());
        assert_eq!(media_type(b"RIFF1234WAVE"), None);
        assert_eq!(media_type(b""), None);
    }

    #[test]
    fn images_that_are_too_large_are_not() {
        let why = why_not("image/png", &png(12_000)).expect("too wide");
        assert_eq!(why, "it has 12000 x 1 pixels, and a side may have 8000");
        let mut large = png(10);
        let at = large.len() - 12;
        large.splice(at..at, vec![0; MOST]);
        let why = why_not("image/png", &large).expect("too many bytes");
        assert_eq!(why, "an image may have 1024 KiB");
    }
}

//! Images as sixels, the format of DEC's terminals.
//!
//! A band is six rows of pixels, drawn color by color: each character is a column of six pixels in the color
//! selected before. (VT330/VT340 Programmer Reference Manual, chapter 14.)

use std::fmt::Write;
use std::io::Cursor;

use png::{ColorType, Decoder, Limits, Transformations};

/// The maximum number of pixels, which bounds memory.
const MOST_PIXELS: usize = 16 * 1024 * 1024;
/// Levels of red, green and blue each. Terminals have 256 colors to choose from.
const LEVELS: usize = 6;
/// Rows of pixels in a band.
const BAND: usize = 6;

/// An image without partial transparency.
struct Picture {
    width: usize,
    /// Red, green, blue of each pixel, or nothing if it is transparent, row by row.
    pixels: Vec<Option<[u8; 3]>>,
}

/// A PNG as sixels, scaled down to at most this many pixels in width; `None` if it is not a PNG, or too
/// large.
pub(super) fn encode(image: &[u8], most_width: usize) -> Option<String> {
    let picture = decode(image)?.no_wider_than(most_width.max(1));
    let colors = picture.dithered();
    let height = colors.len() / picture.width;
    // Pixels are square, and those not drawn keep the terminal's color.
    let mut text = format!("\x1bP0;1q\"1;1;{};{height}", picture.width);
    let mut known = [false; LEVELS * LEVELS * LEVELS];
    for band in colors.chunks(picture.width * BAND) {
        let mut used: Vec<u8> = band.iter().flatten().copied().collect();
        used.sort_unstable();
        used.dedup();
        for color in used {
            if !std::mem::replace(&mut known[usize::from(color)], true) {
                let [red, green, blue] = levels(color).map(|level| level * 100 / (LEVELS - 1));
                let _ = write!(text, "#{color};2;{red};{green};{blue}");
            }
            let _ = write!(text, "#{color}");
            draw(&mut text, band, picture.width, color);
            // Back to the left, for the next color.
            text.push('$');
        }
        // Next band.
        text.push('-');
    }
    text.push_str("\x1b\\");
    Some(text)
}

/// One color of a band, run-length encoded.
fn draw(text: &mut String, band: &[Option<u8>], width: usize, color: u8) {
    let column = |x: usize| {
        let rows = band.chunks(width).enumerate();
        let bits: u8 = rows
            .filter(|(_, row)| row[x] == Some(color))
            .map(|(y, _)| 1 << y)
            .sum();
        char::from(b'?' + bits)
    };
    let mut x = 0;
    while x < width {
        let sixel = column(x);
        let count = (x..width).take_while(|x| column(*x) == sixel).count();
        match count {
            1..=3 => text.extend(std::iter::repeat_n(sixel, count)),
            _ => {
                let _ = write!(text, "!{count}{sixel}");
            }
        }
        x += count;
    }
}

fn levels(color: u8) -> [usize; 3] {
    let color = usize::from(color);
    [
        color / (LEVELS * LEVELS),
        color / LEVELS % LEVELS,
        color % LEVELS,
    ]
}

fn decode(image: &[u8]) -> Option<Picture> {
    let mut decoder = Decoder::new_with_limits(
        Cursor::new(image),
        Limits {
            bytes: MOST_PIXELS * 8,
        },
    );
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().ok()?;
    let info = reader.info();
    let (width, height) = (info.width as usize, info.height as usize);
    if width.checked_mul(height)? > MOST_PIXELS {
        return None;
    }
    let mut bytes = vec![0; reader.output_buffer_size()?];
    let frame = reader.next_frame(&mut bytes).ok()?;
    bytes.truncate(frame.buffer_size());
    let size = frame.color_type.samples();
    let pixels = bytes.chunks_exact(size).map(|pixel| {
        let (color, alpha) = match frame.color_type {
            ColorType::Grayscale => ([pixel[0]; 3], 255),
            ColorType::GrayscaleAlpha => ([pixel[0]; 3], pixel[1]),
            ColorType::Rgba => ([pixel[0], pixel[1], pixel[2]], pixel[3]),
            _ => ([pixel[0], pixel[1], pixel[2]], 255),
        };
        (alpha >= 128).then_some(color)
    });
    Some(Picture {
        width,
        pixels: pixels.collect(),
    })
}

impl Picture {
    /// Scales down by a whole number: each pixel is the average of those it replaces.
    fn no_wider_than(self, most: usize) -> Self {
        let by = self.width.div_ceil(most);
        if by <= 1 {
            return self;
        }
        let width = self.width.div_ceil(by);
        let height = self.pixels.len() / self.width;
        let mut pixels = Vec::with_capacity(width * height.div_ceil(by));
        for y in (0..height).step_by(by) {
            for x in (0..self.width).step_by(by) {
                let rows = y..height.min(y + by);
                let columns = x..self.width.min(x + by);
                let all = rows.flat_map(|y| columns.clone().map(move |x| (x, y)));
                let seen: Vec<[u8; 3]> = all
                    .filter_map(|(x, y)| self.pixels[y * self.width + x])
                    .collect();
                let average = |part: usize| {
                    let sum: usize = seen.iter().map(|color| usize::from(color[part])).sum();
                    u8::try_from(sum / seen.len().max(1)).unwrap_or(u8::MAX)
                };
                pixels.push((!seen.is_empty()).then(|| [average(0), average(1), average(2)]));
            }
        }
        Self { width, pixels }
    }

    /// The nearest available colors; the error is diffused to the pixels to the right and below (Floyd and
    /// Steinberg).
    fn dithered(&self) -> Vec<Option<u8>> {
        let step = 255 / (LEVELS as i32 - 1);
        // The error to add to the pixels of this row and the next, with one more on both sides.
        let mut here = vec![[0_i32; 3]; self.width + 2];
        let mut below = here.clone();
        let mut colors = Vec::with_capacity(self.pixels.len());
        for row in self.pixels.chunks(self.width) {
            for (x, pixel) in row.iter().enumerate() {
                let color = pixel.map(|pixel| {
                    let mut color = 0;
                    for part in 0..3 {
                        let wanted = i32::from(pixel[part]) + here[x + 1][part] / 16;
                        let level = ((wanted + step / 2) / step).clamp(0, LEVELS as i32 - 1);
                        color = color * LEVELS as i32 + level;
                        let lost = (wanted - level * step).clamp(-step, step);
                        here[x + 2][part] += lost * 7;
                        below[x][part] += lost * 3;
                        below[x + 1][part] += lost * 5;
                        below[x + 2][part] += lost;
                    }
                    u8::try_from(color).unwrap_or(u8::MAX)
                });
                colors.push(color);
            }
            std::mem::swap(&mut here, &mut below);
            below.fill([0; 3]);
        }
        colors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32, kind: ColorType, bytes: &[u8]) -> Vec<u8> {
        let mut image = Vec::new();
        let mut encoder = png::Encoder::new(&mut image, width, height);
        encoder.set_color(kind);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(bytes).unwrap();
        writer.finish().unwrap();
        image
    }

    #[test]
    fn a_red_pixel_above_a_blue_one() {
        let image = png(1, 2, ColorType::Rgb, &[255, 0, 0, 0, 0, 255]);
        // Red is 5·36, blue is 5; `@` is the upper of six pixels, `A` the one below it.
        assert_eq!(
            encode(&image, 100).unwrap(),
            "\x1bP0;1q\"1;1;1;2#5;2;0;0;100#5A$#180;2;100;0;0#180@$-\x1b\\"
        );
    }

    #[test]
    fn repeated_columns_are_counted_and_transparent_ones_left_out() {
        let mut bytes = vec![255; 4 * 10 * 7];
        bytes[4 * 10 * 6..].fill(0);
        let image = png(10, 7, ColorType::Rgba, &bytes);
        assert_eq!(
            encode(&image, 100).unwrap(),
            "\x1bP0;1q\"1;1;10;7#215;2;100;100;100#215!10~$--\x1b\\"
        );
    }

    #[test]
    fn images_are_made_no_wider_than_the_terminal() {
        let grey = png(10, 4, ColorType::Grayscale, &[0; 40]);
        assert!(encode(&grey, 5).unwrap().starts_with("\x1bP0;1q\"1;1;5;2#"));
        assert!(encode(&grey, 4).unwrap().starts_with("\x1bP0;1q\"1;1;4;2#"));
    }

    #[test]
    fn a_color_between_two_levels_is_drawn_with_both() {
        let grey = png(20, 6, ColorType::Grayscale, &[25; 120]);
        let text = encode(&grey, 100).unwrap();
        assert!(
            text.contains("#0;2;0;0;0") && text.contains("#43;2;20;20;20"),
            "{text}"
        );
    }

    #[test]
    fn content_that_is_not_an_image_is_not_drawn() {
        let image = png(1, 1, ColorType::Grayscale, &[0]);
        for end in 0..image.len() - 20 {
            assert_eq!(encode(&image[..end], 100), None, "{end}");
        }
        let mut huge = image;
        huge[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        assert_eq!(encode(&huge, 100), None);
    }
}

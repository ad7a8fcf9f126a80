//! Small charts as SVG, both axes logarithmic.

use std::fmt;

/// Two panels in a row.
const COLUMNS: usize = 2;
const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 240.0;
/// Around the plot of a panel: for numbers on the left, and for a title above.
const LEFT: f64 = 60.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 34.0;

/// Panels under one title.
pub struct Chart<'t> {
    pub title: &'t str,
    pub panels: Vec<Panel<'t>>,
}

/// One line, and what it shows.
pub struct Panel<'t> {
    pub title: &'t str,
    pub series: Series,
}

/// Points, by their first number in ascending order; all are positive.
pub struct Series(pub Vec<(f64, f64)>);

/// From the power of ten below all values to the one above.
struct Axis {
    from: f64,
    to: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let least = values.clone().fold(f64::MAX, f64::min);
        let most = values.fold(f64::MIN, f64::max);
        assert!(least > 0.0, "a logarithm of {least}");
        let from = least.log10().floor();
        Self {
            from,
            to: most.log10().ceil().max(from + 1.0),
        }
    }

    /// Where a value is, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        (value.log10() - self.from) / (self.to - self.from)
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        (self.from as i32..=self.to as i32).map(|power| 10f64.powi(power))
    }
}

impl fmt::Display for Chart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.panels.len().div_ceil(COLUMNS);
        let (width, height) = (WIDTH * COLUMNS as f64, HEIGHT * rows as f64);
        writeln!(
            f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
             font-size=\"11\" fill=\"#333\">\n<title>{}</title>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>",
            self.title
        )?;
        for (number, panel) in self.panels.iter().enumerate() {
            let left = WIDTH * (number % COLUMNS) as f64;
            let top = HEIGHT * (number / COLUMNS) as f64;
            writeln!(f, "<g transform=\"translate({left} {top})\">\n{panel}</g>")?;
        }
        writeln!(f, "</svg>")
    }
}

impl fmt::Display for Panel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let points = &self.series.0;
        let across = Axis::of(points.iter().map(|point| point.0));
        let up = Axis::of(points.iter().map(|point| point.1));
        let x = |value| LEFT + across.place(value) * (WIDTH - LEFT - RIGHT);
        let y = |value| HEIGHT - BOTTOM - up.place(value) * (HEIGHT - TOP - BOTTOM);
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        writeln!(
            f,
            "<text x=\"{LEFT}\" y=\"24\" font-size=\"13\">{}</text>",
            self.title
        )?;
        for value in up.powers() {
            let y = y(value);
            writeln!(
                f,
                "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#ddd\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
                LEFT - 6.0,
                y + 4.0
            )?;
        }
        for (value, _) in points {
            let x = x(*value);
            writeln!(
                f,
                "<path d=\"M{x:.1} {bottom}v5\" stroke=\"#333\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value}</text>",
                bottom + 18.0
            )?;
        }
        let places = points.iter().map(|(across, up)| (x(*across), y(*up)));
        let line: Vec<String> = places
            .clone()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        writeln!(
            f,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"#0b61a4\" stroke-width=\"2\"/>",
            line.join(" ")
        )?;
        for (x, y) in places {
            writeln!(
                f,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"#0b61a4\"/>"
            )?;
        }
        Ok(())
    }
}

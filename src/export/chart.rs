//! Curves as SVG: axes with words, a legend, colours for light and dark pages.

use crate::kernels::float::Float;
use std::fmt::Write;

/// A point, and how far its measurements reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Along the lower axis.
    pub x: f64,
    /// Along the left axis.
    pub y: f64,
    /// The least and the largest of what y stands for.
    pub reach: Option<(f64, f64)>,
}

/// One curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its words in the legend.
    pub name: String,
    /// Which colour, from 0.
    pub color: usize,
    /// Whether it is dashed.
    pub dashed: bool,
    /// In the order of x.
    pub points: Vec<Point>,
}

/// A picture of curves.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Above it.
    pub title: String,
    /// Below the lower axis.
    pub x: String,
    /// Beside the left axis.
    pub y: String,
    /// What is drawn.
    pub curves: Vec<Curve>,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 56.0;
/// Curves with more points are drawn by the means of so many columns.
const COLUMNS: usize = 400;

/// Colours that are told apart by most eyes (Okabe and Ito), on light and on dark.
const COLORS: [(&str, &str); 8] = [
    ("#0072b2", "#56b4e9"),
    ("#d55e00", "#ff9d5c"),
    ("#009e73", "#3fd6a8"),
    ("#cc79a7", "#f0a6cf"),
    ("#8a6d00", "#f0e442"),
    ("#5b3fa0", "#b9a3f5"),
    ("#444444", "#cccccc"),
    ("#a01c3c", "#ff8fa8"),
];

/// One axis: values to places.
struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Axis {
    /// Over these values, with a share of room around them; logarithmic where they are positive, and reach further than a factor of 20.
    fn of(values: impl Iterator<Item = f64> + Clone, may_be_logarithmic: bool, margin: f64) -> Axis {
        let values = values.filter(|value| value.is_finite());
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        if low > high {
            return Axis { low: 0.0, high: 1.0, logarithmic: false };
        }
        let logarithmic = may_be_logarithmic && low > 0.0 && high / low > 20.0;
        let room = if low == high { low.abs().max(1.0) / 2.0 } else { 0.0 };
        let room = if room == 0.0 && !logarithmic { (high - low) * margin } else { room };
        Axis { low: low - room, high: high + room, logarithmic }
    }

    /// Where a value stands, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let scale = |value: f64| if self.logarithmic { Float::ln(value) } else { value };
        let (low, high) = (scale(self.low), scale(self.high));
        ((scale(value) - low) / (high - low)).clamp(0.0, 1.0)
    }

    /// Round values to write beside it.
    fn ticks(&self) -> Vec<f64> {
        let mut power = 1.0;
        while power > self.high.abs().max(self.low.abs()) && power > 1e-300 {
            power /= 10.0;
        }
        while power * 10.0 <= self.high.abs().max(self.low.abs()) && power < 1e300 {
            power *= 10.0;
        }
        if self.logarithmic {
            let mut ticks = vec![];
            while power * 10.0 >= self.low && power > 1e-300 {
                ticks.extend([5.0, 2.0, 1.0].map(|digit| digit * power));
                power /= 10.0;
            }
            ticks.retain(|tick| (self.low..=self.high).contains(tick));
            if ticks.len() > 9 {
                let first = |tick: &f64| format!("{tick:e}").starts_with("1e");
                ticks.retain(first);
            }
            return ticks;
        }
        let mut step = power * 10.0;
        let fits = |step: f64| (self.high - self.low) / step;
        while fits(step) < 4.0 && step > 1e-300 {
            step = [step / 2.0, step / 2.5, step / 2.0][usize::from(format!("{step:e}").starts_with('5'))];
        }
        let first = (self.low / step).ceil();
        (0..12).map(|i| (first + f64::from(i)) * step).filter(|tick| *tick <= self.high + step * 1e-9).collect()
    }
}

/// A number beside an axis.
fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || size < 1e-12 {
        "0".into()
    } else if (1e-3..1e6).contains(&size) {
        let text = format!("{value:.4}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        if size >= 10_000.0 && size % 1000.0 == 0.0 { format!("{}k", value / 1000.0) } else { text.to_string() }
    } else {
        format!("{value:.0e}")
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The points, or the means of columns of them.
fn thinned(points: &[Point]) -> Vec<Point> {
    let points: Vec<Point> =
        points.iter().copied().filter(|point| point.x.is_finite() && point.y.is_finite()).collect();
    if points.len() <= COLUMNS {
        return points;
    }
    let each = points.len().div_ceil(COLUMNS);
    let mean = |part: &[Point]| {
        let of = |value: fn(&Point) -> f64| part.iter().map(value).sum::<f64>() / part.len() as f64;
        Point { x: of(|point| point.x), y: of(|point| point.y), reach: None }
    };
    points.chunks(each).map(mean).collect()
}

impl Chart {
    /// The picture, whole: it needs no other file.
    pub fn svg(&self) -> String {
        let curves: Vec<(&Curve, Vec<Point>)> =
            self.curves.iter().map(|curve| (curve, thinned(&curve.points))).collect();
        let all = curves.iter().flat_map(|(_, points)| points);
        // Measurements that reach up and down must not lie upon the axes.
        let margin = if all.clone().any(|point| point.reach.is_some()) { 0.05 } else { 0.0 };
        let (x, y) = (
            Axis::of(all.clone().map(|point| point.x), false, margin),
            Axis::of(
                all.flat_map(|point| {
                    [point.y, point.reach.map_or(point.y, |r| r.0), point.reach.map_or(point.y, |r| r.1)]
                }),
                true,
                margin,
            ),
        );
        let across = |value: f64| LEFT + x.place(value) * (WIDTH - LEFT - RIGHT);
        let up = |value: f64| HEIGHT - BOTTOM - y.place(value) * (HEIGHT - TOP - BOTTOM);
        let mut svg = self.head();
        // Writing to a string cannot fail.
        for tick in y.ticks() {
            let at = up(tick);
            let _ = write!(svg, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{:.1}\"/>", WIDTH - RIGHT);
            let _ = writeln!(
                svg,
                "<text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT - 8.0,
                at + 4.0,
                short(tick)
            );
        }
        for tick in x.ticks() {
            let at = across(tick);
            let _ = write!(svg, "<path class=\"axis\" d=\"M{at:.1} {:.1}v5\"/>", HEIGHT - BOTTOM);
            let _ = writeln!(
                svg,
                "<text class=\"mid\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
                HEIGHT - BOTTOM + 19.0,
                short(tick)
            );
        }
        let _ = writeln!(svg, "<path class=\"axis\" d=\"M{LEFT} {TOP}V{:.1}H{:.1}\"/>", HEIGHT - BOTTOM, WIDTH - RIGHT);
        for (curve, points) in &curves {
            let (class, dash) = (curve.color % COLORS.len(), if curve.dashed { " dashed" } else { "" });
            let place = |point: &Point| format!("{:.1} {:.1}", across(point.x), up(point.y));
            let line: Vec<String> = points.iter().map(place).collect();
            if line.len() > 1 {
                let _ = writeln!(svg, "<path class=\"curve c{class}{dash}\" d=\"M{}\"/>", line.join("L"));
            }
            for point in points.iter().filter(|point| point.reach.is_some() || points.len() == 1) {
                let at = across(point.x);
                let _ =
                    write!(svg, "<circle class=\"dot c{class}\" cx=\"{at:.1}\" cy=\"{:.1}\" r=\"3.5\"/>", up(point.y));
                if let Some((low, high)) = point.reach {
                    let _ =
                        write!(svg, "<path class=\"curve c{class}\" d=\"M{at:.1} {:.1}V{:.1}\"/>", up(low), up(high));
                }
                svg.push('\n');
            }
        }
        self.legend(&mut svg);
        svg.push_str("</svg>\n");
        svg
    }

    fn head(&self) -> String {
        let rules = |pick: fn(&(&'static str, &'static str)) -> &'static str| {
            let one = |(i, color): (usize, &(&'static str, &'static str))| {
                format!(".c{i}{{stroke:{0}}}.dot.c{i}{{fill:{0}}}", pick(color))
            };
            COLORS.iter().enumerate().map(one).collect::<String>()
        };
        let (title, x, y) = (escape(&self.title), escape(&self.x), escape(&self.y));
        let (middle, centre) = ((LEFT + WIDTH - RIGHT) / 2.0, (TOP + HEIGHT - BOTTOM) / 2.0);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\">\n\
             <title>{title}</title>\n\
             <style>\n\
             svg{{background:#ffffff;font:12px system-ui,sans-serif}}text{{fill:#222222}}.end{{text-anchor:end}}.mid{{text-anchor:middle}}\n\
             .title{{font-size:15px;font-weight:600}}.grid{{stroke:#dddddd}}.box{{fill:#ffffff;fill-opacity:0.8}}.axis{{stroke:#555555;fill:none}}\n\
             .curve{{fill:none;stroke-width:1.8;stroke-linejoin:round}}.dashed{{stroke-dasharray:6 4}}{}\n\
             @media(prefers-color-scheme:dark){{svg{{background:#16181d}}text{{fill:#e6e6e6}}.grid{{stroke:#333842}}.box{{fill:#16181d}}.axis{{stroke:#999999}}{}}}\n\
             </style>\n\
             <text class=\"title\" x=\"{LEFT}\" y=\"24\">{title}</text>\n\
             <text class=\"mid\" x=\"{middle}\" y=\"{}\">{x}</text>\n\
             <text class=\"mid\" transform=\"translate(18 {centre}) rotate(-90)\">{y}</text>\n",
            rules(|color| color.0),
            rules(|color| color.1),
            HEIGHT - 14.0,
        )
    }

    /// In the upper right corner, where a falling curve leaves room.
    fn legend(&self, svg: &mut String) {
        let widest = self.curves.iter().map(|curve| curve.name.chars().count()).max().unwrap_or(0);
        let left = (WIDTH - RIGHT - 40.0 - 7.0 * widest as f64).max(LEFT + 10.0);
        let lines = self.curves.len().min(16) as f64;
        let (width, height) = (WIDTH - RIGHT - left + 6.0, 18.0 * lines + 4.0);
        let _ = writeln!(
            svg,
            "<rect class=\"box\" x=\"{}\" y=\"{TOP}\" width=\"{width}\" height=\"{height}\"/>",
            left - 6.0
        );
        for (i, curve) in self.curves.iter().enumerate().take(16) {
            let y = TOP + 10.0 + 18.0 * i as f64;
            let (class, dash) = (curve.color % COLORS.len(), if curve.dashed { " dashed" } else { "" });
            let _ = write!(svg, "<path class=\"curve c{class}{dash}\" d=\"M{left} {y}h26\"/>");
            let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\">{}</text>", left + 32.0, y + 4.0, escape(&curve.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: &[f64]) -> Chart {
        let points = values.iter().enumerate().map(|(i, &y)| Point { x: i as f64, y, reach: None }).collect();
        let curves = vec![Curve { name: "a < b & \"c\"".into(), color: 0, dashed: false, points }];
        Chart { title: "loss".into(), x: "step".into(), y: "loss".into(), curves }
    }

    #[test]
    fn a_picture_is_whole_whatever_the_numbers() {
        let odd: [&[f64]; 8] = [
            &[],
            &[1.0],
            &[2.0, 2.0],
            &[f64::NAN, f64::INFINITY],
            &[1e-300, 1e300],
            &[-5.0, 5.0, 0.0],
            &[0.0; 3],
            &[1e9, 1e9 + 1.0],
        ];
        for values in odd {
            let svg = chart(values).svg();
            assert!(
                svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("inf"),
                "{svg}"
            );
            assert!(svg.contains("a &lt; b &amp; &quot;c&quot;") && svg.contains("prefers-color-scheme:dark"));
        }
        let many: Vec<f64> = (0..100_000).map(|i| 10.0 / f64::from(i + 1)).collect();
        assert!(chart(&many).svg().len() < 20_000);
    }

    #[test]
    fn ticks_are_round() {
        let ticks = |low, high, logarithmic| Axis { low, high, logarithmic }.ticks();
        assert_eq!(ticks(0.0, 10.0, false), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(
            ticks(0.0, 1.0, false).iter().map(|&t| short(t)).collect::<Vec<_>>(),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
        assert_eq!(
            ticks(0.05, 3.0, true).iter().map(|&t| short(t)).collect::<Vec<_>>(),
            ["2", "1", "0.5", "0.2", "0.1", "0.05"]
        );
        assert_eq!((short(20_000.0), short(0.25), short(3e-7)), ("20k".into(), "0.25".into(), "3e-7".into()));
    }
}

//! The loss curve at the end of a training run: braille dots, or stars where only ASCII can be shown.

use crate::export::braille;

/// Draws (step, value) points as a curve of `width` columns (labels included) and `height` rows; empty for fewer than
/// two finite points.
///
/// Columns show the mean of their points. The scale is logarithmic where the values are positive and span more than a
/// factor of 20, since a loss falls fast and then slowly.
pub fn draw(points: &[(u64, f64)], width: usize, height: usize, unicode: bool) -> String {
    let points: Vec<(u64, f64)> = points.iter().copied().filter(|(_, value)| value.is_finite()).collect();
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
    if points.len() < 2 || last.0 <= first.0 {
        return String::new();
    }
    let low = points.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
    let logarithmic = low > 0.0 && high / low > 20.0;
    let labels = [short(high), short(low)];
    let margin = labels.iter().map(String::len).max().unwrap_or(0) + 1;
    let columns = width.saturating_sub(margin + 1).clamp(10, 200);
    let height = height.clamp(2, 50);

    // A braille cell has two columns and four rows of dots.
    let (across, down) = if unicode { (2 * columns, 4 * height) } else { (columns, height) };
    let means = means(&points, across);
    let row = |value: f64| {
        let share = if high <= low {
            0.5
        } else if logarithmic {
            // The bits of a positive float grow almost as its logarithm: enough for a picture.
            let rank = |v: f64| (v as f32).to_bits() as f64;
            (rank(value) - rank(low)) / (rank(high) - rank(low))
        } else {
            (value - low) / (high - low)
        };
        ((1.0 - share) * (down - 1) as f64).round() as usize
    };
    let mut dots = vec![vec![false; across]; down];
    let mut before: Option<usize> = None;
    for (x, mean) in means.iter().enumerate() {
        let Some(mean) = mean else { continue };
        let y = row(*mean).min(down - 1);
        // From just beside the last dot, so that a steep fall is a line.
        let from = before.map_or(y, |b| {
            if b < y {
                (b + 1).min(y)
            } else if b > y {
                b - 1
            } else {
                y
            }
        });
        (from.min(y)..=from.max(y)).for_each(|y| dots[y][x] = true);
        before = Some(y);
    }

    let mut out = String::new();
    let (wall, corner, floor) = if unicode { ('│', '└', '─') } else { ('|', '+', '-') };
    for line in 0..height {
        let label = if line == 0 {
            &labels[0]
        } else if line + 1 == height {
            &labels[1]
        } else {
            ""
        };
        let cells: String = (0..columns)
            .map(|x| if unicode { braille::sign(braille::bits(&dots, line, x)) } else { star(dots[line][x]) })
            .collect();
        out.push_str(format!("{label:>w$} {wall}{cells}", w = margin - 1).trim_end());
        out.push('\n');
    }
    out.push_str(&format!("{:margin$}{corner}{}\n", "", floor.to_string().repeat(columns)));
    let (from, to) = (first.0.to_string(), format!("step {}", last.0));
    let gap = columns.saturating_sub(from.len() + to.len()).max(1);
    out.push_str(&format!("{:margin$} {from}{}{to}\n", "", " ".repeat(gap)));
    out
}

/// The mean of the points of each column; `None` where there is none.
fn means(points: &[(u64, f64)], columns: usize) -> Vec<Option<f64>> {
    let (from, to) = (points[0].0, points[points.len() - 1].0);
    let mut sums = vec![(0.0, 0u32); columns];
    for (step, value) in points {
        let share = step.saturating_sub(from) as f64 / (to - from) as f64;
        let column = (share * (columns - 1) as f64).round() as usize;
        sums[column.min(columns - 1)].0 += value;
        sums[column.min(columns - 1)].1 += 1;
    }
    sums.into_iter().map(|(sum, count)| (count > 0).then(|| sum / f64::from(count))).collect()
}

fn star(dot: bool) -> char {
    if dot { '*' } else { ' ' }
}

/// Three significant digits.
fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if value == 0.0 => "0".into(),
        _ if !(0.001..100_000.0).contains(&size) => format!("{value:.1e}"),
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_falling_loss() {
        let points: Vec<(u64, f64)> = (1..=40).map(|step| (step, 2.0 / step as f64)).collect();
        let drawn = draw(&points, 30, 5, false);
        assert_eq!(drawn.lines().count(), 7);
        assert!(drawn.starts_with(" 2.00 |*") && drawn.contains("0.050 |"), "{drawn}");
        assert!(drawn.ends_with("step 40\n") && drawn.is_ascii(), "{drawn}");
        assert!(draw(&points, 30, 5, true).contains('│'));
    }

    #[test]
    fn odd_points() {
        assert_eq!(draw(&[], 40, 5, true), "");
        assert_eq!(draw(&[(1, 0.5)], 40, 5, true), "");
        assert_eq!(draw(&[(1, f64::NAN), (2, 1.0)], 40, 5, true), "");
        for unicode in [false, true] {
            let flat = draw(&[(1, 0.0), (u64::MAX, 0.0)], 1, 0, unicode);
            assert!(flat.lines().count() == 4, "{flat}");
            assert!(!draw(&[(1, -1e300), (2, 1e300), (3, 0.0)], 1000, 1000, unicode).is_empty());
        }
    }
}

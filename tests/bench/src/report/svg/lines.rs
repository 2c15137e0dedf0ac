// Copyright (C) 2026 The Android Open Source Project
//
// Licensed under the Apache License, Version 2.0 (the "License");
// you may not use this file except in compliance with the License.
// You may obtain a copy of the License at
//
//     http://www.apache.org/licenses/LICENSE-2.0
//
// Unless required by applicable law or agreed to in writing, software
// distributed under the License is distributed on an "AS IS" BASIS,
// WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
// See the License for the specific language governing permissions and
// limitations under the License.

//! Lines over a linear or logarithmic x. Pure.

use super::super::table::Lines;
use super::canvas::{colour, ticks, width, Anchor, Canvas, MARGIN};

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 260.0;

/// One axis: its values and how they are laid out.
struct Axis {
    ticks: Vec<f64>,
    log: bool,
}

/// Draws them.
pub fn draw(picture: &Lines) -> String {
    let points = || picture.lines.iter().flat_map(|line| &line.points);
    let xs = Axis::new(points().map(|p| p.0), picture.log_x);
    let ys = Axis::new(points().map(|p| p.1), picture.log_y);
    let labels = picture.lines.iter().map(|line| width(&line.label)).fold(0.0, f64::max);
    let (left, top) = (MARGIN + 52.0, MARGIN + 48.0);
    let (right, bottom) = (left + WIDTH, top + HEIGHT);
    let total = right + 14.0 + labels + MARGIN;
    let mut canvas = Canvas::new(total, bottom + 40.0 + MARGIN, &picture.title);
    canvas.text(MARGIN, top - 14.0, Anchor::Start, &picture.y);
    canvas.text((left + right) / 2.0, bottom + 36.0, Anchor::Middle, &picture.x);
    for tick in &ys.ticks {
        let y = bottom - ys.place(*tick) * HEIGHT;
        canvas.rule([left, y, right, y]);
        canvas.text(left - 6.0, y + 4.0, Anchor::End, &text(*tick));
    }
    for tick in &xs.ticks {
        let x = left + xs.place(*tick) * WIDTH;
        canvas.rule([x, top, x, bottom]);
        canvas.text(x, bottom + 18.0, Anchor::Middle, &text(*tick));
    }
    // Labels stand at the ends of their lines, and not on each other.
    let mut ends = Vec::new();
    for (number, line) in picture.lines.iter().enumerate() {
        let place =
            |(x, y): &(f64, f64)| (left + xs.place(*x) * WIDTH, bottom - ys.place(*y) * HEIGHT);
        let points: Vec<_> = line.points.iter().map(place).collect();
        canvas.curve(&points, colour(Some(number)));
        if let Some((_, y)) = points.last() {
            ends.push((*y, line.label.as_str(), colour(Some(number))));
        }
    }
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = f64::NEG_INFINITY;
    for (y, label, colour) in ends {
        let y = y.max(free);
        free = y + 16.0;
        canvas.area([right + 6.0, y - 4.0, 8.0, 8.0], colour, label);
        canvas.text(right + 20.0, y + 4.0, Anchor::Start, label);
    }
    canvas.finish()
}

impl Axis {
    fn new(values: impl Iterator<Item = f64> + Clone, log: bool) -> Self {
        let most = values.clone().fold(0.0, f64::max);
        if !log {
            return Self { ticks: ticks(most), log };
        }
        let least = values.filter(|v| *v > 0.0).fold(f64::INFINITY, f64::min).min(most.max(1.0));
        let first = least.max(f64::MIN_POSITIVE).log10().floor() as i32;
        let last = (most.max(least).log10().ceil() as i32).max(first + 1);
        Self { ticks: (first..=last).map(|power| 10f64.powi(power)).collect(), log }
    }

    /// Where a value is, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let [first, last] =
            [self.ticks.first(), self.ticks.last()].map(|t| t.copied().unwrap_or(1.0));
        let part = if self.log {
            (value.max(first).log10() - first.log10()) / (last.log10() - first.log10())
        } else {
            (value - first) / (last - first)
        };
        part.clamp(0.0, 1.0)
    }
}

fn text(tick: f64) -> String {
    let text = format!("{tick:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::super::table::Line;
    use super::*;

    fn picture() -> Lines {
        let line = |label: &str, points: &[(f64, f64)]| Line {
            label: label.to_owned(),
            points: points.to_vec(),
        };
        Lines {
            id: "x".into(),
            title: "Title".into(),
            x: "guests".into(),
            y: "ms".into(),
            log_x: true,
            log_y: false,
            lines: vec![
                line("a", &[(1.0, 1.0), (10.0, 1.0), (1000.0, 4.0)]),
                line("b", &[(1.0, 4.0), (1000.0, 4.0)]),
            ],
        }
    }

    #[test]
    fn a_golden_picture() {
        let golden = include_str!("golden/lines.svg");
        assert_eq!(draw(&picture()), golden);
    }

    #[test]
    fn a_logarithmic_axis_has_a_tick_for_each_power() {
        let axis = Axis::new([1.0, 1000.0].into_iter(), true);
        assert_eq!(axis.ticks, [1.0, 10.0, 100.0, 1000.0]);
        for (value, place) in [(0.5, 0.0), (1.0, 0.0), (1000.0, 1.0), (5000.0, 1.0)] {
            assert_eq!(axis.place(value), place);
        }
        assert!((axis.place(10.0) - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn labels_of_equal_ends_do_not_cover_each_other() {
        let svg = draw(&picture());
        let y = |label: &str| {
            let line = svg.lines().find(|l| l.ends_with(&format!(">{label}</text>"))).unwrap();
            let y = line.split("y=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
            y.parse::<f64>().unwrap()
        };
        assert!((y("a") - y("b")).abs() >= 16.0);
    }

    #[test]
    fn no_lines_and_no_points_are_no_reason_to_fail() {
        for log in [true, false] {
            let empty = Lines { log_x: log, log_y: log, ..Lines::default() };
            assert!(!draw(&empty).contains("NaN") && !draw(&empty).contains("inf"));
        }
    }
}

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

//! Pictures, drawn by plotters.

use plotters::coord::ranged1d::SegmentValue;
use plotters::prelude::*;

use super::cells::digits;
use super::table::{Bars, Lines, Picture};

/// What drawing into a string can fail with.
type Failed = Box<dyn std::error::Error>;

/// Pixels.
const WIDTH: u32 = 960;
const BAR: u32 = 30;
/// The width of a letter of a label, about: what shows the file has its own font.
const LETTER: u32 = 7;
/// What the kinds of parts, and the lines, are drawn in; colour-blind people tell them apart (Okabe, Ito).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(240, 228, 66),
    RGBColor(120, 120, 120),
];
const FONT: &str = "sans-serif";

/// A picture as an SVG file.
pub fn draw(picture: &Picture) -> Result<String, Failed> {
    let mut svg = String::new();
    match picture {
        Picture::Bars(bars) => draw_bars(bars, &mut svg)?,
        Picture::Lines(lines) => draw_lines(lines, &mut svg)?,
    }
    Ok(svg)
}

/// Horizontal bars from the top down, each with its length behind it.
fn draw_bars(bars: &Bars, svg: &mut String) -> Result<(), Failed> {
    let count = bars.bars.len();
    let length = |bar: &super::table::Bar| bar.parts.iter().map(|part| part.value).sum::<f64>();
    let longest = bars.bars.iter().map(length).fold(f64::MIN_POSITIVE, f64::max);
    let labels = bars.bars.iter().map(|bar| bar.label.chars().count() as u32).max().unwrap_or(0);
    let labels = LETTER * labels + 10;
    let mut kinds: Vec<&str> = Vec::new();
    for part in bars.bars.iter().flat_map(|bar| &bar.parts) {
        if !kinds.contains(&part.name.as_str()) {
            kinds.push(&part.name);
        }
    }
    let legend = kinds.iter().filter(|kind| !kind.is_empty()).count() as u32;
    let height = 90 + BAR * count as u32 + 20 * legend;
    let root = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let (plot, below) = root.split_vertically(height - 20 * legend);
    let mut chart = ChartBuilder::on(&plot)
        .caption(&bars.title, (FONT, 18))
        .margin(10)
        .y_label_area_size(labels)
        .x_label_area_size(40)
        .build_cartesian_2d(0.0..longest * 1.1, (0..count.saturating_sub(1)).into_segmented())?;
    let label = |at: &SegmentValue<usize>| match at {
        SegmentValue::CenterOf(at) if *at < count => bars.bars[count - 1 - at].label.clone(),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .x_max_light_lines(0)
        .y_labels(count)
        .y_label_formatter(&label)
        .x_label_formatter(&|value| digits(*value))
        .x_desc(&bars.unit)
        .label_style((FONT, 13))
        .draw()?;
    for (at, bar) in bars.bars.iter().rev().enumerate() {
        let mut from = 0.0;
        for part in &bar.parts {
            let to = from + part.value;
            let kind = kinds.iter().position(|kind| *kind == part.name).unwrap_or_default();
            let corners = [(from, SegmentValue::Exact(at)), (to, SegmentValue::Exact(at + 1))];
            let mut piece = Rectangle::new(corners, colour(kind).filled());
            piece.set_margin(4, 4, 0, 0);
            chart.draw_series([piece])?;
            from = to;
        }
        let style =
            TextStyle::from((FONT, 13).into_font()).pos(plotters::style::text_anchor::Pos::new(
                plotters::style::text_anchor::HPos::Left,
                plotters::style::text_anchor::VPos::Center,
            ));
        let end = (from + longest / 200.0, SegmentValue::CenterOf(at));
        chart.draw_series([Text::new(digits(from), end, style)])?;
    }
    for (row, (kind, name)) in
        kinds.iter().enumerate().filter(|(_, name)| !name.is_empty()).enumerate()
    {
        let (x, y) = (labels as i32 + 20, 20 * row as i32);
        below.draw(&Rectangle::new([(x, y), (x + 12, y + 12)], colour(kind).filled()))?;
        below.draw(&Text::new(*name, (x + 20, y), (FONT, 13)))?;
    }
    root.present()?;
    Ok(())
}

/// Lines with a point at each measurement.
fn draw_lines(lines: &Lines, svg: &mut String) -> Result<(), Failed> {
    let points = || lines.lines.iter().flat_map(|line| &line.points);
    let least = points().map(|point| point.0).fold(f64::INFINITY, f64::min);
    let most = points().map(|point| point.0).fold(f64::MIN_POSITIVE, f64::max);
    let highest = points().map(|point| point.1).fold(f64::MIN_POSITIVE, f64::max);
    let root = SVGBackend::with_string(svg, (WIDTH, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(&lines.title, (FONT, 18))
        .margin(10)
        .margin_right(30)
        .y_label_area_size(60)
        .x_label_area_size(40)
        .build_cartesian_2d((least..most).log_scale(), 0.0..highest * 1.1)?;
    chart
        .configure_mesh()
        .max_light_lines(0)
        .x_label_formatter(&|value| format!("{value:.0}"))
        .y_label_formatter(&|value| digits(*value))
        .x_desc(&lines.x)
        .y_desc(&lines.y)
        .label_style((FONT, 13))
        .draw()?;
    for (at, line) in lines.lines.iter().enumerate() {
        let colour = colour(at);
        chart
            .draw_series(
                LineSeries::new(line.points.iter().copied(), colour.stroke_width(2)).point_size(4),
            )?
            .label(&line.label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font((FONT, 13))
        .draw()?;
    root.present()?;
    Ok(())
}

fn colour(kind: usize) -> RGBColor {
    COLOURS[kind % COLOURS.len()]
}

#[cfg(test)]
mod tests {
    use super::super::table::{Bar, Line, Part};
    use super::*;

    #[test]
    fn bars_have_their_labels_lengths_and_kinds() {
        let bar = |label: &str, parts: Vec<Part>| Bar { label: label.into(), parts };
        let bars = Bars {
            id: "attach".into(),
            title: "Attach & detach".into(),
            unit: "milliseconds".into(),
            bars: vec![
                bar("guestnetd", vec![Part::new("the pair", 0.5), Part::new("rest", 0.25)]),
                bar("the original", vec![Part::new("rest", 45.0)]),
            ],
        };
        let svg = draw(&Picture::Bars(bars)).unwrap();
        for text in [
            "Attach &amp; detach",
            "guestnetd",
            "the original",
            "0.750",
            "45.0",
            "the pair",
            "milliseconds",
        ] {
            assert!(svg.contains(text), "{text} is not in\n{svg}");
        }
        // Pieces from the bottom up, and the legend; in pixels.
        let widths: Vec<u32> = svg
            .lines()
            .filter(|line| line.starts_with("<rect") && !line.contains("#FFFFFF"))
            .filter_map(|line| line.split("width=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert!(widths.len() == 5 && widths[0] > 20 * (widths[1] + widths[2]), "{widths:?}\n{svg}");
    }

    #[test]
    fn lines_have_their_labels_and_points() {
        let line = |label: &str, points: &[(f64, f64)]| Line {
            label: label.into(),
            points: points.to_vec(),
        };
        let lines = Lines {
            id: "scale".into(),
            title: "Attach of guest N".into(),
            x: "guests".into(),
            y: "milliseconds".into(),
            lines: vec![
                line("guestnetd", &[(1.0, 1.0), (10.0, 1.1), (1000.0, 1.5)]),
                line("the floor", &[(1.0, 0.5), (10.0, 0.5), (1000.0, 0.8)]),
            ],
        };
        let svg = draw(&Picture::Lines(lines)).unwrap();
        assert_eq!(svg.matches("<circle").count(), 6, "{svg}");
        for text in ["Attach of guest N", "guestnetd", "the floor", "guests", "1000"] {
            assert!(svg.contains(text), "{text} is not in\n{svg}");
        }
    }
}

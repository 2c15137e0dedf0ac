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

//! Horizontal bars made of parts, with a legend of the parts' names. Pure.

use super::super::cells::digits;
use super::super::table::{Bar, Bars};
use super::canvas::{colour, ticks, width, Anchor, Canvas, LINE, MARGIN};

const LENGTH: f64 = 560.0;
const BAR: f64 = 18.0;
const STEP: f64 = 26.0;
/// The legend's columns.
const COLUMN: f64 = 330.0;

/// Draws them.
pub fn draw(picture: &Bars) -> String {
    let labels = picture.bars.iter().map(|bar| width(&bar.label)).fold(0.0, f64::max);
    let names = names(&picture.bars);
    let (left, top) = (MARGIN + labels + 10.0, MARGIN + 30.0);
    let total = left + LENGTH + 70.0 + MARGIN;
    let columns = ((total - 2.0 * MARGIN) / COLUMN).max(1.0) as usize;
    let bottom = top + picture.bars.len() as f64 * STEP;
    let legend = bottom + 44.0;
    let height = legend + names.len().div_ceil(columns) as f64 * LINE + MARGIN;
    let mut canvas = Canvas::new(total, height, &picture.title);

    let ticks = ticks(picture.bars.iter().map(length).fold(0.0, f64::max));
    let scale = LENGTH / ticks.last().copied().unwrap_or(1.0);
    for tick in &ticks {
        let x = left + tick * scale;
        canvas.rule([x, top - 4.0, x, bottom]);
        canvas.text(x, bottom + 14.0, Anchor::Middle, &tick_text(*tick));
    }
    canvas.text(left + LENGTH / 2.0, bottom + 30.0, Anchor::Middle, &picture.unit);

    for (at, bar) in picture.bars.iter().enumerate() {
        let y = top + at as f64 * STEP;
        canvas.text(left - 8.0, y + 13.0, Anchor::End, &bar.label);
        let mut x = left;
        for part in &bar.parts {
            let long = part.value * scale;
            let number = names.iter().position(|name| *name == part.name);
            let what = if part.hint.is_empty() { &part.name } else { &part.hint };
            let hint = format!("{what} {} {}", digits(part.value), picture.unit);
            canvas.area([x, y, long, BAR], colour(number), hint.trim());
            x += long;
        }
        canvas.text(x + 6.0, y + 13.0, Anchor::Start, &digits(length(bar)));
    }

    for (at, name) in names.iter().enumerate() {
        let x = MARGIN + (at % columns) as f64 * COLUMN;
        let y = legend + (at / columns) as f64 * LINE;
        canvas.area([x, y - 10.0, 12.0, 12.0], colour(Some(at)), name);
        canvas.text(x + 18.0, y, Anchor::Start, &shortened(name));
    }
    canvas.finish()
}

fn length(bar: &Bar) -> f64 {
    bar.parts.iter().map(|part| part.value).sum()
}

/// The parts' names, each once.
fn names(bars: &[Bar]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for part in bars.iter().flat_map(|bar| &bar.parts) {
        if !part.name.is_empty() && !names.contains(&part.name) {
            names.push(part.name.clone());
        }
    }
    names
}

fn tick_text(tick: f64) -> String {
    let text = format!("{tick:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Cut where the next column begins.
fn shortened(name: &str) -> String {
    let most = ((COLUMN - 24.0) / width("x")) as usize;
    if name.chars().count() <= most {
        return name.to_owned();
    }
    name.chars().take(most - 1).chain(['\u{2026}']).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::table::Part;
    use super::*;

    fn picture() -> Bars {
        let bar = |label: &str, parts: Vec<Part>| Bar { label: label.to_owned(), parts };
        Bars {
            id: "x".into(),
            title: "Title".into(),
            unit: "ms".into(),
            bars: vec![
                bar("a", vec![Part::new("one", 1.0), Part::new("two", 3.0)]),
                bar("b", vec![Part::new("two", 1.0), Part::new("", 1.0)]),
            ],
        }
    }

    #[test]
    fn a_golden_picture() {
        let golden = include_str!("golden/bars.svg");
        assert_eq!(draw(&picture()), golden);
    }

    #[test]
    fn parts_of_one_name_have_one_colour_and_one_legend() {
        let svg = draw(&picture());
        assert_eq!(svg.matches(colour(Some(1))).count(), 3, "two parts and the legend");
        assert_eq!(svg.matches(colour(None)).count(), 1, "the unnamed one");
        assert_eq!(svg.matches(">two<").count(), 2, "hint and text of the legend");
    }

    #[test]
    fn no_bars_and_no_lengths_are_no_reason_to_fail() {
        assert!(!draw(&Bars::default()).contains("NaN"));
        let flat = Bars { bars: vec![Bar::default()], ..picture() };
        assert!(!draw(&flat).contains("NaN"));
    }

    #[test]
    fn a_long_name_is_cut() {
        let name = "x".repeat(100);
        assert!(width(&shortened(&name)) < COLUMN - 18.0);
        assert_eq!(shortened("short"), "short");
    }
}

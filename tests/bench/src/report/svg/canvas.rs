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

//! What both kinds of pictures are drawn with: shapes, colours, axes' steps. Pure.

use std::fmt::Write;

/// Height of a line of text.
pub const LINE: f64 = 18.0;
/// The space around everything.
pub const MARGIN: f64 = 16.0;
/// Colours that the usual kinds of colour blindness leave apart, in the order of use.
const COLOURS: [&str; 10] = [
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#994f00", "#77aadd",
    "#bbcc33", "#ffaabb",
];
/// What is left, the unnamed.
const GREY: &str = "#999999";

/// A picture in the making.
#[derive(Debug)]
pub struct Canvas {
    width: f64,
    height: f64,
    body: String,
}

/// Where a text stands at its point.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    /// To the right of it.
    Start,
    /// Around it.
    Middle,
    /// To the left of it.
    End,
}

impl Canvas {
    /// An empty one with a heading.
    pub fn new(width: f64, height: f64, title: &str) -> Self {
        let mut canvas = Self { width, height, body: String::new() };
        canvas.add(format_args!(
            r##"<text x="{MARGIN}" y="{}" font-weight="bold" font-size="15" fill="#222222">{}</text>"##,
            MARGIN + 12.0,
            escaped(title),
        ));
        canvas
    }

    /// A text.
    pub fn text(&mut self, x: f64, y: f64, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        self.add(format_args!(
            r##"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="#222222">{text}</text>"##
        ));
    }

    /// A filled box that says what it is when pointed at.
    pub fn area(&mut self, [x, y, width, height]: [f64; 4], colour: &str, hint: &str) {
        let hint = escaped(hint);
        self.add(format_args!(
            r##"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}" stroke="#ffffff" stroke-width="0.5"><title>{hint}</title></rect>"##
        ));
    }

    /// A thin line.
    pub fn rule(&mut self, [x1, y1, x2, y2]: [f64; 4]) {
        self.add(format_args!(
            r##"<path d="M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}" stroke="#dddddd"/>"##
        ));
    }

    /// A line through points, with a dot on each.
    pub fn curve(&mut self, points: &[(f64, f64)], colour: &str) {
        let mut path = String::new();
        for (at, (x, y)) in points.iter().enumerate() {
            let verb = if at == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{verb}{x:.1} {y:.1}");
        }
        self.add(format_args!(
            r#"<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>"#
        ));
        for (x, y) in points {
            self.add(format_args!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"/>"#));
        }
    }

    /// The picture.
    pub fn finish(self) -> String {
        let Self { width, height, body } = self;
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#ffffff"/>
{body}</svg>
"##
        )
    }

    fn add(&mut self, shape: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = writeln!(self.body, "{shape}");
    }
}

/// The colour with this number; grey without.
pub fn colour(number: Option<usize>) -> &'static str {
    number.map_or(GREY, |number| COLOURS[number % COLOURS.len()])
}

/// About how wide a text is.
pub fn width(text: &str) -> f64 {
    text.chars().count() as f64 * 6.6
}

/// Round values from 0 to `most` or a little more, at most seven.
pub fn ticks(most: f64) -> Vec<f64> {
    if !most.is_finite() || most <= 0.0 {
        return vec![0.0, 1.0];
    }
    let power = 10f64.powf((most / 6.0).log10().floor());
    let wide = |factor: &&f64| power * **factor * 6.0 >= most * 0.999;
    let step = power * [1.0, 2.0, 5.0, 10.0].iter().find(wide).unwrap_or(&10.0);
    let count = (most / step * 0.999).ceil() as usize;
    (0..=count).map(|at| at as f64 * step).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_few_and_reach_the_end() {
        assert_eq!(ticks(6.0), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(ticks(45.0), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        assert_eq!(ticks(0.0), [0.0, 1.0]);
        for most in [0.003, 0.7, 1.0, 9.99, 17.0, 1234.5, 1e7] {
            let ticks = ticks(most);
            let last = ticks.last().copied().unwrap();
            assert!(last >= most * 0.998 && last < most * 2.0, "{most}: {ticks:?}");
            assert!((2..=7).contains(&ticks.len()), "{most}: {ticks:?}");
        }
    }

    #[test]
    fn markup_in_a_text_is_none() {
        let mut canvas = Canvas::new(10.0, 10.0, "a < b");
        canvas.text(0.0, 0.0, Anchor::Middle, "c & d");
        let svg = canvas.finish();
        assert!(svg.contains("a &lt; b") && svg.contains("c &amp; d"), "{svg}");
    }
}

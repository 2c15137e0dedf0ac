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

//! A table of the report: what a bench hands over. Everything that is printed, written and drawn
//! is made from it, so it can be read back from a results file as well.

/// A table with its targets and its pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Its name: of `--only`, and of its place in the report (`attach`).
    pub id: String,
    /// Its heading.
    pub title: String,
    /// How it was measured, as paragraphs of Markdown.
    pub method: Vec<String>,
    /// Heads of the columns; the first one is the subjects'.
    pub columns: Vec<String>,
    /// One row per subject.
    pub rows: Vec<Row>,
    /// The numbers to be reached, each beside what was measured.
    pub targets: Vec<Target>,
    /// What a reader has to know to read it rightly, as Markdown.
    pub notes: Vec<String>,
    /// What is to be drawn of it.
    pub pictures: Vec<Picture>,
}

/// One subject.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Who it is.
    pub subject: String,
    /// Its figures, one for each column but the first.
    pub cells: Vec<Cell>,
    /// Why there are none: what is missing on this machine.
    pub skipped: Option<String>,
}

/// One figure.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cell {
    /// There is none.
    #[default]
    Empty,
    /// A time in microseconds.
    Micros(f64),
    /// How many times as much as something else.
    Ratio(f64),
    /// An amount, and its unit for people (`KiB`); the unit may be empty.
    Number(f64, String),
    /// Words.
    Text(String),
}

/// A number to be reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Of what.
    pub what: String,
    /// The number, in words: `at most 1.5x`.
    pub wanted: String,
    /// What was measured, in words.
    pub measured: String,
    /// Whether it was reached; None where it could not be measured.
    pub met: Option<bool>,
}

/// Something to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Picture {
    /// Horizontal bars, one below the other, each made of parts.
    Bars(Bars),
    /// Lines over a logarithmic axis; y begins at 0.
    Lines(Lines),
}

/// Horizontal bars.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    /// Its file in the folder of pictures, without `.svg`.
    pub id: String,
    /// Its heading.
    pub title: String,
    /// What the length is: `milliseconds`.
    pub unit: String,
    /// From the top down.
    pub bars: Vec<Bar>,
}

/// One bar.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bar {
    /// Its label.
    pub label: String,
    /// What it is made of, from the left; their values add up to its length.
    pub parts: Vec<Part>,
}

/// A part of a bar.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// What it stands for; parts of one name have one colour. May be empty.
    pub name: String,
    /// Its length.
    pub value: f64,
}

/// Lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    /// Its file in the folder of pictures, without `.svg`.
    pub id: String,
    /// Its heading.
    pub title: String,
    /// What x is.
    pub x: String,
    /// What y is.
    pub y: String,
    /// The lines.
    pub lines: Vec<Line>,
}

/// One line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// Its label.
    pub label: String,
    /// Its points, by x.
    pub points: Vec<(f64, f64)>,
}

impl Table {
    /// An empty one.
    pub fn new(id: &str, title: &str, columns: &[&str]) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            columns: columns.iter().map(|&c| c.to_owned()).collect(),
            ..Self::default()
        }
    }

    /// Adds a row.
    pub fn row(&mut self, subject: impl Into<String>, cells: Vec<Cell>) {
        self.rows.push(Row { subject: subject.into(), cells, skipped: None });
    }

    /// Adds a row that only says why there are no figures.
    pub fn skipped(&mut self, subject: impl Into<String>, why: impl Into<String>) {
        let (subject, skipped) = (subject.into(), Some(why.into()));
        self.rows.push(Row { subject, cells: Vec::new(), skipped });
    }

    /// Adds a target. `measured` is None where it could not be measured.
    pub fn target(&mut self, what: &str, wanted: &str, measured: Option<(String, bool)>) {
        let (measured, met) = match measured {
            Some((text, met)) => (text, Some(met)),
            None => ("not measured".to_owned(), None),
        };
        let (what, wanted) = (what.to_owned(), wanted.to_owned());
        self.targets.push(Target { what, wanted, measured, met });
    }
}

impl Picture {
    /// Its file in the folder of pictures, without `.svg`.
    pub fn id(&self) -> &str {
        match self {
            Self::Bars(bars) => &bars.id,
            Self::Lines(lines) => &lines.id,
        }
    }
}

impl Part {
    /// A part.
    pub fn new(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), value }
    }
}

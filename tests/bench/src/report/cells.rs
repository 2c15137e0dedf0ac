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

//! Figures, as cells and as people read them. Pure.

use super::table::Cell;

/// A time in microseconds.
pub fn micros(value: Option<f64>) -> Cell {
    value.map_or(Cell::Empty, Cell::Micros)
}

/// How many times as much as something else.
pub fn ratio(value: Option<f64>) -> Cell {
    value.map_or(Cell::Empty, Cell::Ratio)
}

/// As people read it: three digits that matter, and the unit.
pub fn text(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => text.clone(),
        Cell::Ratio(times) => format!("{}x", digits(*times)),
        Cell::Number(value, unit) if unit.is_empty() => digits(*value),
        Cell::Number(value, unit) => format!("{} {unit}", digits(*value)),
        Cell::Micros(us) if *us >= 1e6 => format!("{} s", digits(us / 1e6)),
        Cell::Micros(us) if *us >= 1e3 => format!("{} ms", digits(us / 1e3)),
        Cell::Micros(us) => format!("{} us", digits(*us)),
    }
}

/// Three digits that matter; all digits before the point.
pub fn digits(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || size >= 99.95 {
        format!("{value:.0}")
    } else if size >= 9.995 {
        format!("{value:.1}")
    } else if size >= 0.9995 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_that_matter() {
        for (value, wanted) in [
            (0.0, "0"),
            (0.0123, "0.012"),
            (0.9999, "1.00"),
            (1.0, "1.00"),
            (9.999, "10.0"),
            (12.34, "12.3"),
            (99.99, "100"),
            (12345.6, "12346"),
        ] {
            assert_eq!(digits(value), wanted);
        }
    }

    #[test]
    fn each_kind_has_its_unit() {
        for (cell, wanted) in [
            (Cell::Empty, ""),
            (Cell::Micros(4.2), "4.20 us"),
            (Cell::Micros(45_700.0), "45.7 ms"),
            (Cell::Micros(2_500_000.0), "2.50 s"),
            (Cell::Ratio(1.5), "1.50x"),
            (Cell::Number(6.25, "MiB".into()), "6.25 MiB"),
            (Cell::Number(12.0, String::new()), "12.0"),
            (micros(None), ""),
            (ratio(None), ""),
        ] {
            assert_eq!(text(&cell), wanted);
        }
    }
}

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

//! What the reader of a text can show.

/// How text may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether it may be coloured.
    pub colour: bool,
    /// Whether it has to be ASCII.
    pub ascii: bool,
    /// Columns of a line of words.
    pub width: usize,
    /// Columns of a table: those of the terminal. Where there is none, a program reads, which wants all.
    pub columns: usize,
}

/// Columns of a line that people read with ease, and of the narrowest terminal that most have.
const WIDTH: usize = 80;
/// Narrower than this nothing is of use.
const NARROWEST: usize = 20;

impl Look {
    /// For a file, a pipe, a log.
    pub const PLAIN: Self = Self { colour: false, ascii: false, width: WIDTH, columns: usize::MAX };

    /// On a terminal, of so many columns.
    pub fn on_terminal(self, columns: usize) -> Self {
        let columns = columns.max(NARROWEST);
        Self { width: columns.min(WIDTH), columns, ..self }
    }

    /// Whether this locale, of LC_ALL, LC_CTYPE or LANG, can show ASCII alone: C, POSIX, or none.
    pub fn is_ascii(locale: &str) -> bool {
        let locale = locale.to_lowercase().replace('-', "");
        !locale.contains("utf8")
    }

    /// A paragraph behind `first`, as wide as may be.
    pub fn wrap(&self, first: &str, indent: usize, text: &str) -> String {
        super::wrap::wrap(self.width, first, indent, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_as_wide_as_it_is_and_lines_no_wider_than_80() {
        for (columns, width, table) in [(200, 80, 200), (40, 40, 40), (3, 20, 20)] {
            let look = Look::PLAIN.on_terminal(columns);
            assert_eq!((look.width, look.columns), (width, table));
        }
    }

    #[test]
    fn locales() {
        for (locale, ascii) in
            [("", true), ("C", true), ("POSIX", true), ("C.UTF-8", false), ("de_DE.utf8", false)]
        {
            assert_eq!(Look::is_ascii(locale), ascii, "{locale}");
        }
    }
}

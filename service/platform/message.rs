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

//! The words of a failed call, which libbinder_rs gives only inside a description:
//! `Status(-8, EX_SERVICE_SPECIFIC): '304: no guest of that name'`.

/// What stands between the quotes, without the code that some exceptions put first.
pub(crate) fn words(description: &str) -> Option<&str> {
    let (head, rest) = description.split_once("): '")?;
    let quoted = rest.strip_suffix('\'')?;
    let coded = head.ends_with("EX_SERVICE_SPECIFIC") || head.ends_with("EX_TRANSACTION_FAILED");
    match quoted.split_once(": ") {
        Some((_, words)) if coded => Some(words),
        _ => Some(quoted),
    }
}

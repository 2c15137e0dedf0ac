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

//! One service for a name: the service manager would give it to whoever comes last. Asks nobody itself.

use std::thread;
use std::time::{Duration, Instant};

use crate::PlatformError;

/// How long the service manager may take to learn of a predecessor's death, and how often it is asked.
const FORGETS: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until nobody has the name, which a predecessor has that died just now.
pub(crate) fn wait_until_free(
    name: &str,
    is_taken: impl Fn() -> bool,
) -> Result<(), PlatformError> {
    let end = Instant::now() + FORGETS;
    while is_taken() {
        if Instant::now() > end {
            return Err(PlatformError::AlreadyRegistered { name: name.to_owned() });
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

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

//! Who is calling.

use std::ffi::CStr;

pub struct ThreadState;

impl ThreadState {
    /// Over a Unix socket the user that made the connection; `u32::MAX` when the kernel does not
    /// tell, which is nobody and never root.
    pub fn get_calling_uid() -> u32 {
        rsbinder::get_calling_uid()
    }

    /// Over a Unix socket the process that made the connection, which may be gone by now.
    pub fn get_calling_pid() -> i32 {
        rsbinder::get_calling_pid()
    }

    pub fn is_handling_transaction() -> bool {
        rsbinder::is_handling_transaction()
    }

    /// Over a Unix socket there is none.
    pub fn with_calling_sid<T, F>(check_permission: F) -> T
    where
        for<'a> F: FnOnce(Option<&'a CStr>) -> T,
    {
        check_permission(rsbinder::get_calling_sid().as_deref())
    }
}

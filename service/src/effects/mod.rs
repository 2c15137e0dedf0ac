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

//! What is outside of guestnetd: read from anywhere, changed from here alone. A function that writes is
//! `pub(in crate::effects)`, and is called by the executor or by a resource; a write from elsewhere
//! does not compile. Decides nothing.
//!
//! ```compile_fail,E0603
//! use guestnetd::effects::kernel::link::set_up;
//! ```
//!
//! A resource is applied by [`resource::Managed`] alone: nobody else can make a `Task`.

pub mod executor;
pub mod firewall;
pub mod kernel;
pub(crate) mod platform;
pub(crate) mod resource;

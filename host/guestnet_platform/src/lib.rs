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

//! How a service is reached: kernel Binder, or RPC Binder on a Unix socket.
//!
//! The stand-in for `service/platform` in builds outside the Android tree, with the same API:
//! the one crate that a service's source needs beside `binder` to run on both. It decides how a
//! caller's bytes arrive and never what a caller may do: that is the service's own check.

mod accept;
mod client;
#[path = "../../../service/platform/endpoint.rs"]
mod endpoint;
#[path = "../../../service/platform/error.rs"]
mod error;
mod kernel;
#[path = "../../../service/platform/limits.rs"]
mod limits;
mod line;
#[path = "../../../service/platform/name.rs"]
mod name;
mod places;
mod refusal;
mod server;
mod socket;

pub use client::{connect, connect_with_timeout, Connection};
pub use endpoint::Endpoint;
pub use error::PlatformError;
pub use limits::Limits;
pub use server::{reserve, serve, Reserved, Server};

/// The words of a failed call, without the codes: `no guest of that name: "box"`.
pub fn status_message(status: &binder::Status) -> String {
    match status.message() {
        Some(words) if !words.is_empty() => words.to_owned(),
        _ => status.to_string(),
    }
}

/// `impl Interface` with a dump, the one signature that differs between libbinder_rs and rsbinder.
///
/// The type has `fn dump_text(&self, w: &mut dyn std::io::Write, args: &[&str]) ->
/// std::io::Result<()>`.
#[macro_export]
macro_rules! impl_interface {
    ($t:ty) => {
        impl binder::Interface for $t {
            fn dump(
                &self,
                w: &mut dyn std::io::Write,
                args: &[String],
            ) -> binder::__rsbinder::Result<()> {
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                self.dump_text(w, &args).map_err(|_| binder::StatusCode::UNKNOWN_ERROR)
            }
        }
    };
}

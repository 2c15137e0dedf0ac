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

//! Generates the contract's Rust with rsbinder-aidl, as Soong does with aidl.

use std::path::PathBuf;

fn main() {
    // Asked for when it runs: a build directory may be shared by several checkouts.
    let crate_dir = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let aidl = PathBuf::from(crate_dir).join("../../aidl/android");
    println!("cargo:rerun-if-changed={}", aidl.display());
    rsbinder_aidl::Builder::new()
        .source(aidl)
        .output(PathBuf::from("gen.rs"))
        .generate()
        .unwrap_or_else(|e| {
            eprintln!("{:?}", miette::Report::new(e));
            std::process::exit(1);
        });
}

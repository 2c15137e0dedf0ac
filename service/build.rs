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

//! How the daemon is linked by cargo. Soong never looks here, and links so by itself.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=release.ld");
    let target = |key| std::env::var(key).unwrap_or_default();
    if target("CARGO_CFG_TARGET_OS") == "linux" && target("CARGO_CFG_TARGET_ENV") == "gnu" {
        // Relative relocations as a bitmap (DT_RELR), as Android has them: a twentieth of the binary.
        // glibc 2.36 and later load it; older ones say so and end.
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
        // A panic aborts in a release: nobody looks up where to unwind to.
        if target("PROFILE") == "release" {
            println!("cargo:rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
            println!("cargo:rustc-link-arg-bins=-T{}/release.ld", target("CARGO_MANIFEST_DIR"));
        }
    }
}

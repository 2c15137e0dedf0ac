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

//! What the Debian package is made of is there, or is made by its script.

use std::path::Path;

use crate::{root, text};

/// Source, destination, mode.
fn assets() -> Vec<[String; 3]> {
    let manifest = text("service/Cargo.toml");
    let (_, assets) = manifest.split_once("\nassets = [\n").expect("the assets");
    let (assets, _) = assets.split_once("\n]").expect("their end");
    let row = |line: &str| {
        let words: Vec<String> = line.split('"').skip(1).step_by(2).map(str::to_owned).collect();
        words.try_into().unwrap_or_else(|words| panic!("{line}: {words:?}"))
    };
    assets.lines().map(row).collect()
}

/// `*.md`: any file there that ends so.
fn is_there(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    let Some(end) = name.strip_prefix('*') else { return path.is_file() };
    let files = path.parent().expect("a folder").read_dir().expect("a folder").flatten();
    files.map(|file| file.file_name()).any(|file| file.to_string_lossy().ends_with(end))
}

#[test]
fn everything_in_the_package_is_there() {
    let script = text("packaging/deb/build");
    let all = assets();
    assert!(all.len() > 8, "{all:?}");
    for [source, destination, mode] in &all {
        assert!(
            !destination.starts_with('/') && ["644", "755"].contains(&mode.as_str()),
            "{source}"
        );
        if let Some(made) = source.strip_prefix("../target/deb/") {
            // With the name that the script writes, or that guestnetctl gives.
            let folder = made.split('/').next().expect("a folder");
            let by_name = made.replace(&format!("{folder}/"), &format!(">$made/{folder}/"));
            assert!(script.contains(&by_name) || made == "man/*.1", "{source} is not made");
        } else if let Some(program) = source.strip_prefix("target/release/") {
            assert!(script.contains(&format!("-p {program}")), "{source} is not built");
        } else {
            assert!(is_there(&root().join("service").join(source)), "{source} is not there");
        }
    }
    let from = |part: &str| all.iter().any(|[source, ..]| source.ends_with(part));
    assert!(from("sysusers.d/guestnet.conf") && from("tmpfiles.d/guestnet.conf"), "{all:?}");
    let manifest = text("service/Cargo.toml");
    for folder in ["../init/systemd", "../packaging/deb/scripts"] {
        assert!(
            manifest.contains(&format!("\"{folder}\""))
                && root().join("service").join(folder).is_dir()
        );
    }
    for script in ["postinst", "postrm", "prerm"] {
        // What systemd's helpers add goes there.
        assert!(
            text(&format!("packaging/deb/scripts/{script}")).contains("\n#DEBHELPER#\n"),
            "{script}"
        );
    }
}

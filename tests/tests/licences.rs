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

//! Every crate that Cargo.lock names has a licence that deny.toml allows, and comes from the registry that it
//! allows. Advisories need the network: tests/soak/deny looks for them.

use std::path::Path;
use std::process::Command;

use guestnet_tests::said;
use serde_json::Value;

/// The texts of a list in deny.toml.
fn list(key: &str) -> Vec<String> {
    let rules = include_str!("../../deny.toml");
    let start = rules.find(&format!("\n{key} = [")).unwrap_or_else(|| panic!("{key} is missing"));
    let rest = &rules[start..];
    let end = rest.find(']').expect("the list's end");
    rest[..end].split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whether an SPDX expression can be met by what is allowed. `/` is crates.io's old OR.
fn is_met(expression: &str, allowed: &[String]) -> bool {
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let (met, rest) = any(&words, allowed);
    met && rest.is_empty()
}

/// Alternatives, and the words behind them.
fn any<'a>(words: &'a [&'a str], allowed: &[String]) -> (bool, &'a [&'a str]) {
    let (mut met, mut rest) = all(words, allowed);
    while let ["OR", others @ ..] = rest {
        let (one, behind) = all(others, allowed);
        met |= one;
        rest = behind;
    }
    (met, rest)
}

fn all<'a>(words: &'a [&'a str], allowed: &[String]) -> (bool, &'a [&'a str]) {
    let (mut met, mut rest) = one(words, allowed);
    while let ["AND", others @ ..] = rest {
        let (one, behind) = one(others, allowed);
        met &= one;
        rest = behind;
    }
    (met, rest)
}

fn one<'a>(words: &'a [&'a str], allowed: &[String]) -> (bool, &'a [&'a str]) {
    match words {
        ["(", inner @ ..] => match any(inner, allowed) {
            (met, [")", rest @ ..]) => (met, rest),
            (_, rest) => (false, rest),
        },
        [licence, "WITH", exception, rest @ ..] => {
            (allowed.contains(&format!("{licence} WITH {exception}")), rest)
        }
        [licence, rest @ ..] => (allowed.iter().any(|allowed| allowed == licence), rest),
        [] => (false, words),
    }
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("GPL-3.0 OR MIT AND ISC", true),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        ("(GPL-3.0 OR MIT) AND BSL-1.0", false),
        ("Apache-2.0", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("MIT WITH LLVM-exception", false),
        ("MIT)", false),
        ("(MIT", false),
        ("", false),
    ] {
        assert_eq!(is_met(expression, &allowed), met, "{expression:?}");
    }
}

#[test]
fn every_crate_may_be_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--locked", "--all-features", "--format-version", "1"]);
    let out = metadata.current_dir(root).output().expect("cargo");
    assert!(out.status.success(), "{}", said(&out));
    let found: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let packages = found["packages"].as_array().expect("packages");
    let (licences, registries) = (list("allow"), list("allow-registry"));
    let mut others = 0;
    for package in packages {
        let name = format!("{} {}", package["name"], package["version"]);
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(is_met(licence, &licences), "{name}: {licence:?} is not allowed by deny.toml");
        let Some(source) = package["source"].as_str() else { continue };
        others += 1;
        let known = registries.iter().any(|registry| source == format!("registry+{registry}"));
        assert!(known, "{name}: {source} is not allowed by deny.toml");
    }
    assert!(others > 50, "{others} crates of others");
}

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

//! Every parser of what comes from outside takes its seeds (fuzz/seeds), their beginnings, and some thousand
//! damaged ones; and what is fuzzed is what SECURITY.md says. libFuzzer goes on from there: tests/soak/fuzz.

mod firewall_cases;
mod firewall_rig;
mod fuzz_inputs;

use fuzz_inputs::{damage::Damage, seeds};
use guestnetd::fuzzing::{Target, METHODS, TARGETS};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// How many damaged inputs each target takes; GUESTNET_INPUTS says another number.
const INPUTS: u64 = 2000;

fn root() -> PathBuf {
    let service = Path::new(env!("CARGO_MANIFEST_DIR"));
    service.parent().expect("the repository").to_path_buf()
}

/// The seeds of a target: what they are called, and their bytes.
fn seeds_of(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = root().join("fuzz/seeds").join(target.name);
    let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut seeds: Vec<_> = files
        .flatten()
        .map(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            (name, fs::read(file.path()).expect("a seed"))
        })
        .collect();
    seeds.sort();
    seeds
}

/// Gives it an input; one that makes it panic is printed, so that it can become a seed.
fn take(target: &Target, what: &str, input: &[u8]) {
    let taken = std::panic::catch_unwind(|| (target.run)(input));
    if taken.is_err() {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{} panics at {what}: {hex}", target.name);
    }
}

#[test]
fn every_parser_takes_whatever_comes() {
    let asked = std::env::var("GUESTNET_INPUTS").ok().and_then(|text| text.parse().ok());
    let inputs: u64 = asked.unwrap_or(INPUTS);
    for target in TARGETS {
        let seeds = seeds_of(target);
        assert!(!seeds.is_empty(), "{} has no seed", target.name);
        for (name, seed) in &seeds {
            take(target, name, seed);
            let step = 1 + seed.len() / 64;
            for end in (0..seed.len()).step_by(step) {
                take(target, &format!("the beginning of {name}"), &seed[..end]);
            }
        }
        let mut damage = Damage::new(target.name);
        for n in 0..inputs {
            let input = damage.of(&seeds);
            take(target, &format!("damage {n}"), &input);
        }
    }
}

/// The names in the first column of SECURITY.md's table of fuzzers.
fn promised() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("SECURITY.md")).expect("SECURITY.md");
    let (_, table) = text.split_once("| fuzzer |").expect("the table of fuzzers");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.filter_map(|row| row.split('`').nth(1).map(str::to_owned)).collect()
}

#[test]
fn security_md_names_every_fuzzer() {
    let names: BTreeSet<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names.len(), TARGETS.len(), "a name stands twice");
    assert_eq!(promised(), names);
    let files = fs::read_dir(root().join("fuzz/fuzz_targets")).expect("the fuzzers").flatten();
    let files: BTreeSet<_> = files
        .filter_map(|file| file.path().file_stem().map(|s| s.to_string_lossy().into_owned()))
        .collect();
    assert_eq!(files, names, "fuzz/fuzz_targets");
    let folders = fs::read_dir(root().join("fuzz/seeds")).expect("the seeds").flatten();
    let folders: BTreeSet<_> =
        folders.map(|folder| folder.file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(folders, names, "fuzz/seeds");
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).expect("fuzz/Cargo.toml");
    for name in &names {
        let source = fs::read_to_string(root().join(format!("fuzz/fuzz_targets/{name}.rs")));
        assert!(
            source.expect("a fuzzer").contains(&format!("guestnetd::fuzzing::{name}(input)")),
            "{name}"
        );
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}: fuzz/Cargo.toml");
    }
}

/// The methods of an interface in AIDL, in their order.
fn methods(aidl: &str) -> Vec<String> {
    let code: String = aidl
        .split("/*")
        .map(|part| part.split_once("*/").map_or(part, |(_, code)| code))
        .flat_map(|code| code.lines())
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let (_, code) = code.split_once("interface ").expect("an interface");
    let statements = code.split(';').filter_map(|one| one.split_once('('));
    let named = |(before, _): (&str, &str)| before.split_whitespace().last().map(str::to_owned);
    statements.filter(|(before, _)| !before.contains('=')).filter_map(named).collect()
}

#[test]
fn the_contracts_every_method_is_called() {
    let aidl = root().join("aidl/android/system/guestnet/IGuestNet.aidl");
    assert_eq!(methods(&fs::read_to_string(aidl).expect("the contract")), METHODS);
    for (number, method) in (1_u32..).zip(METHODS) {
        let seed = fs::read(root().join("fuzz/seeds/contract").join(method));
        let seed = seed.unwrap_or_else(|e| panic!("fuzz/seeds/contract/{method}: {e}"));
        assert_eq!(seed.first_chunk(), Some(&number.to_ne_bytes()), "{method}");
    }
}

/// Writes the seeds again, from this kernel's own answers: `cargo test -p guestnetd --features fuzzing --test
/// fuzz -- --ignored`.
#[test]
#[ignore = "writes fuzz/seeds"]
fn seeds_are_written() {
    seeds::write(&root().join("fuzz/seeds"));
}

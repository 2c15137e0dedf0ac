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

//! Which command lines the real wrapper lets through. It searches the words, joined by spaces, for
//! regular expressions that hold at the start and nowhere at the end; these do the same. Left out:
//! `ndc network`, which nobody here has.

/// Whether Android of this major version runs the line, `iptables -w -t nat -N oem_mine`.
pub fn is_allowed(android: u32, line: &str) -> bool {
    if let Some(rest) = line.strip_prefix("ndc ipfwd ") {
        return ["enable ", "disable "].iter().any(|verb| rest.starts_with(verb))
            || after(rest, &["add ", "remove "]).is_some_and(|names| {
                (0..names.len()).any(|at| names.get(at..).is_some_and(|n| interface(android, n)))
            });
    }
    let tables = line.strip_prefix("iptables -w").or(line.strip_prefix("ip6tables -w"));
    let Some(rest) = tables else { return false };
    // Only the newest takes -C of a chain.
    let verbs: &[&str] = match android {
        15.. => &[" -A ", " -C ", " -D ", " -F ", " -I ", " -N ", " -X "],
        _ => &[" -A ", " -D ", " -F ", " -I ", " -N ", " -X "],
    };
    let directions = [" -i ", " -o "];
    anywhere(rest, verbs, chain)
        || anywhere(rest, &directions, |name| interface(android, name))
        || rest.strip_prefix(' ').is_some_and(|rest| anywhere(rest, &[" -j "], chain))
        || socket_rule(line)
}

/// A vendor's chain.
fn chain(name: &str) -> bool {
    ["oem_", "nm_", "qcom_"].iter().any(|prefix| name.starts_with(prefix))
}

/// A vendor's interface; what comes behind its number does not matter.
fn interface(android: u32, name: &str) -> bool {
    let digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let word = name.split(' ').next().unwrap_or_default();
    let oem = word.match_indices("oem").any(|(at, oem)| digit(&word[at + oem.len()..]));
    let rmnet = word.strip_prefix("r_").unwrap_or(word).strip_prefix("rmnet_");
    let rmnet = rmnet.is_some_and(|rest| digit(rest.strip_prefix("data").unwrap_or(rest)));
    let ccmni = after(word, &["cc3mni", "ccmni"]).is_some_and(digit);
    oem || rmnet || ccmni || android >= 14 && after(word, &["wwan"]).is_some_and(digit)
}

/// The one rule of a carrier's that the list names whole.
fn socket_rule(line: &str) -> bool {
    let rest = after(line, &["iptables -w -t mangle -A ", "iptables -w -t mangle -D "]);
    let rule = "PREROUTING -m socket --nowildcard --restore-skmark -j ACCEPT";
    rest.is_some_and(|rest| rest.starts_with(rule))
}

/// What follows the prefix that fits.
fn after<'a>(text: &'a str, prefixes: &[&str]) -> Option<&'a str> {
    prefixes.iter().find_map(|prefix| text.strip_prefix(prefix))
}

/// Whether something that fits follows one of the words, wherever that is.
fn anywhere(text: &str, words: &[&str], fits: impl Fn(&str) -> bool) -> bool {
    let at = |word: &str| text.match_indices(word).any(|(at, w)| fits(&text[at + w.len()..]));
    words.iter().any(|word| at(word))
}

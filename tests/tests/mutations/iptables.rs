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

//! What a run of iptables changes, by its arguments, or by the lines that it is given.

/// guestnetd's own chains begin so.
const OURS: &str = "oem_guestnet_";

/// The key of one command, without the program's name: `-w -t filter -N oem_guestnet_fwd`. None if
/// it only asks for the program's version.
pub fn command(program: &str, words: &[&str]) -> Option<String> {
    match words {
        ["-V"] => None,
        ["-w", "-t", table, rest @ ..] => Some(key(program, table, rest)),
        other => Some(format!("{program} {}", other.join(" "))),
    }
}

/// The keys of the lines that `iptables-restore --noflush` reads. Which of the two programs it will
/// be is not known yet.
pub fn lines(text: &str) -> Vec<(String, String)> {
    let (mut table, mut keys) = ("", Vec::new());
    for line in text.lines() {
        match line.strip_prefix('*') {
            Some(name) => table = name,
            None if line == "COMMIT" => {}
            None => keys.push((table.to_owned(), line.to_owned())),
        }
    }
    keys
}

/// A chain of ours is like any other of ours; where it is jumped to from is what counts.
pub fn key(program: &str, table: &str, words: &[&str]) -> String {
    let ours = |chain: &str| chain.starts_with(OURS);
    match words {
        [verb @ ("-N" | "-F" | "-X"), chain] if ours(chain) => {
            format!("iptables {verb} {OURS}*")
        }
        ["-A", chain, rest @ ..] if ours(chain) => match rest {
            ["-j", to] if ours(to) => format!("iptables -A {OURS}* -j {OURS}*"),
            _ => format!("iptables -A {OURS}*"),
        },
        ["-I", chain, at, ..] if ours(chain) && at.parse::<usize>().is_ok() => {
            format!("iptables -I {OURS}*")
        }
        ["-D", chain, at] if ours(chain) && at.parse::<usize>().is_ok() => {
            format!("iptables -D {OURS}*")
        }
        // A question, for which the kernel may load a module.
        ["-C", ..] => "iptables -C".to_owned(),
        [verb @ .., "-j", to] if ours(to) => {
            format!("{program} -t {table} {} -j {OURS}*", verb.join(" "))
        }
        other => format!("{program} -t {table} {}", other.join(" ")),
    }
}

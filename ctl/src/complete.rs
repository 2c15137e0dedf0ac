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

//! What a shell completes: commands and options as clap knows them, and what there is now: guests, interfaces,
//! network namespaces. The shell's script runs guestnetctl for each; nothing is said where something fails.

use crate::client;
use android_system_guestnet::aidl::android::system::guestnet::Guest::Guest;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use std::io;

/// By which guestnetctl knows that a script asks, and which shell's.
const VARIABLE: &str = "_GUESTNETCTL_COMPLETE";
const NAME: &str = "guestnetctl";

/// Answers the script of a shell about this command line and ends, if one asks.
pub fn answer(line: fn() -> clap::Command) {
    CompleteEnv::with_factory(|| offered(line())).var(VARIABLE).complete();
}

/// Commands are offered by one name: their others are understood.
fn offered(line: clap::Command) -> clap::Command {
    line.mut_subcommands(|one| {
        // clap keeps names for as long as the process lives, which ends with its answer.
        let others: Vec<&str> =
            one.get_visible_aliases().map(|name| &*name.to_owned().leak()).collect();
        one.visible_alias(None).aliases(others)
    })
}

/// A shell's script.
pub fn script(shell: clap_complete::Shell, to: &mut dyn io::Write) -> io::Result<()> {
    let shells = Shells::builtins();
    let name = shell.to_string();
    let shell = shells.completer(&name).ok_or(io::ErrorKind::Unsupported)?;
    shell.write_registration(VARIABLE, NAME, NAME, NAME, to)?;
    if name == "zsh" {
        // As a file that zsh loads with the first question, which it has to answer, too.
        to.write_all(
            b"[[ $funcstack[1] != _guestnetctl ]] || _clap_dynamic_completer_guestnetctl\n",
        )?;
    }
    Ok(())
}

/// The attached guests.
pub fn guests() -> ArgValueCandidates {
    ArgValueCandidates::new(|| offer(list().into_iter().map(|guest| guest.name)))
}

/// What may be an uplink: interfaces that are not guests'.
pub fn uplinks() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let guests = list();
        let is_guests = |name: &String| guests.iter().any(|guest| guest.hostInterface == *name);
        offer(files("/sys/class/net").filter(|name| name != "lo" && !is_guests(name)))
    })
}

/// What `ip netns` lists.
pub fn namespaces() -> ArgValueCandidates {
    ArgValueCandidates::new(|| offer(files("/run/netns")))
}

/// What `--vpn` takes, with each tun.
pub fn vpns() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let is_tun = |name: &String| {
            std::path::Path::new("/sys/class/net").join(name).join("tun_flags").exists()
        };
        let tuns = files("/sys/class/net").filter(is_tun).map(|name| format!("tun:{name}"));
        offer(["follow", "block"].map(str::to_owned).into_iter().chain(tuns))
    })
}

/// What `--dns-mode` takes but servers.
pub fn dns_modes() -> ArgValueCandidates {
    ArgValueCandidates::new(|| offer(["auto", "dnat", "forward"].map(str::to_owned)))
}

/// Of the guestnetd that the command line names, or the usual one.
fn list() -> Vec<Guest> {
    let words: Vec<_> = std::env::args().collect();
    let guests = client::connect(connect_in(&words)).and_then(|guestnet| Ok(guestnet.list()?));
    guests.unwrap_or_default()
}

/// The last `--connect` of a command line.
fn connect_in(words: &[String]) -> Option<&str> {
    let apart = words.windows(2).filter(|pair| pair[0] == "--connect").map(|pair| pair[1].as_str());
    apart.chain(words.iter().filter_map(|word| word.strip_prefix("--connect="))).last()
}

fn files(directory: &str) -> impl Iterator<Item = String> {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    files.filter_map(|file| file.file_name().into_string().ok())
}

/// Sorted; without what a shell would not take as one plain word: the script does not quote.
fn offer(words: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    let is_plain = |word: &String| {
        word.chars().all(|c| c.is_ascii_alphanumeric() || "._:@-".contains(c))
            && !word.starts_with('-')
    };
    let mut words: Vec<_> = words.into_iter().filter(is_plain).collect();
    words.sort();
    words.into_iter().map(CompletionCandidate::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_read_otherwise_is_not_offered() {
        let words = ["wlan0", "eth0.7", "$(reboot)", "*", "a b", "-x", "a;b", "tun:tun0"];
        let shown = offer(words.map(str::to_owned));
        let shown: Vec<_> = shown.iter().map(|one| one.get_value().to_str().unwrap()).collect();
        assert_eq!(shown, ["eth0.7", "tun:tun0", "wlan0"]);
    }

    #[test]
    fn the_guestnetd_that_is_meant() {
        let of = |line: &str| {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            connect_in(&words).map(str::to_owned)
        };
        assert_eq!(of("guestnetctl -- guestnetctl detach "), None);
        assert_eq!(
            of("guestnetctl -- guestnetctl --connect unix:///x detach "),
            Some("unix:///x".to_owned())
        );
        assert_eq!(
            of("guestnetctl -- guestnetctl --connect=binder:// detach "),
            Some("binder://".to_owned())
        );
        assert_eq!(of("guestnetctl detach --connect"), None);
    }
}

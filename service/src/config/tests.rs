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

//! Files that are right, and the words for those that are wrong.

use super::*;
use crate::api::sections::FIELDS;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

/// A file, gone when it is dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn new(text: impl AsRef<[u8]>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("guestnetd-{}-{number}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        Self(path)
    }

    /// guestnetd with this file and these words.
    fn with(&self, words: &str) -> Result<Settings, ConfigError> {
        let all = ["guestnetd", "--config"].into_iter().map(OsString::from);
        let all = all.chain([self.0.clone().into()]);
        let words = words.split_whitespace().map(OsString::from);
        load(&all.chain(words).collect::<Vec<_>>())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn settings(text: &str, words: &str) -> Settings {
    let loaded = Temporary::new(text).with(words);
    loaded.unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// As `FILE:LINE: cause`, without the file.
#[track_caller]
fn refused(text: impl AsRef<[u8]>) -> String {
    let file = Temporary::new(text);
    let said = file.with("").map(|_| ()).unwrap_err().to_string();
    let path = file.0.display().to_string();
    said.strip_prefix(&path).unwrap_or_else(|| panic!("{said}")).to_owned()
}

/// One for each option, none of them its default.
const EVERY: [(&str, &str, &str); 14] = [
    ("listen", "\"unix:///tmp/x.sock\"", "unix:///tmp/x.sock"),
    ("uplink", "\"eth0,rmnet*\"", "eth0,rmnet*"),
    ("firewall", "\"iptables\"", "iptables"),
    ("iptables", "\"/opt/iptables\"", "/opt/iptables"),
    ("state-dir", "\"/tmp/state\"", "/tmp/state"),
    ("allow-uid", "[1000, \"1001:own\"]", "1000 1001:own"),
    ("keep-forwarding", "true", "true"),
    ("ndc", "\"/opt/ndc\"", "/opt/ndc"),
    ("dnsproxyd", "\"/tmp/dnsproxyd\"", "/tmp/dnsproxyd"),
    ("guest-zone", "\"lab\"", "lab"),
    ("dns", "[\"192.0.2.1\", \"192.0.2.2\"]", "192.0.2.1 192.0.2.2"),
    ("resolv-conf", "\"/tmp/resolv.conf\"", "/tmp/resolv.conf"),
    ("guest-connections", "512", "512"),
    ("check-every", "0x5", "5"),
];

fn said(settings: &Settings, key: &str) -> String {
    let values = settings
        .values
        .get(key)
        .into_iter()
        .flatten()
        .map(|word| word.to_string_lossy().into_owned());
    values.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_option_is_a_key_and_says_the_same() {
    let command = Args::command();
    let options: Vec<_> = flags::keys(&command).map(|(key, _)| key).collect();
    assert_eq!(options, EVERY.map(|(key, ..)| key));
    let text: String = EVERY.iter().map(|(key, value, _)| format!("{key} = {value}\n")).collect();
    let settings = settings(&text, "");
    for (key, _, expected) in EVERY {
        assert_eq!(said(&settings, key), expected, "{key}");
    }
    assert_eq!(settings.args.dns.len(), 2);
    assert!(settings.args.keep_forwarding && settings.found);
}

#[test]
fn the_command_line_wins_and_a_default_is_no_word_of_it() {
    let text: String = EVERY.iter().map(|(key, value, _)| format!("{key} = {value}\n")).collect();
    let settings = settings(&text, "--uplink wlan0 --dns 192.0.2.9 --check-every=60");
    assert_eq!(said(&settings, "uplink"), "wlan0");
    assert_eq!(said(&settings, "dns"), "192.0.2.9");
    assert_eq!(said(&settings, "check-every"), "60");
    assert_eq!(said(&settings, "guest-connections"), "512");
    // A file may say that a switch is off; the command line that it is on.
    let off = super::tests::settings("keep-forwarding = false", "--keep-forwarding");
    assert!(off.args.keep_forwarding);
    assert!(!super::tests::settings("keep-forwarding = false", "").args.keep_forwarding);
    assert!(matches!(Temporary::new("").with("--bogus"), Err(ConfigError::Usage(_))));
}

#[test]
fn what_can_change_at_once_are_keys() {
    let command = Args::command();
    for key in reload::LIVE {
        assert!(flags::keys(&command).any(|(one, _)| one == key), "{key}");
    }
}

#[test]
fn a_section_has_a_key_for_each_field() {
    let text = "\
[guest.vm]
kind = \"tap\"
interface = \"eth7\"
address = \"10.9.0.7\"
gateway = \"10.9.0.1\"
prefix = 24
mtu = 1300
vpn = \"tun:tun0\"
dns-mode = [\"9.9.9.9\", \"2620:fe::fe\"]
lifeline = \"namespace\"
lease = 60
dhcp = \"off\"
queues = 4
segment = \"cockpit\"
[guest.web]
keep = true
mtu = \"uplink\"
vpn = \"block\"
dns-mode = \"forward\"
";
    for (_, key) in FIELDS {
        assert!(text.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key}");
    }
    let settings = settings(text, "");
    assert_eq!(settings.sections.len(), 2);
    assert!(praise(&settings).ends_with(": is right, with 2 guests"));
}

#[test]
fn a_section_can_be_without_an_uplink() {
    use android_system_guestnet::aidl::android::system::guestnet::VpnPolicy::VpnPolicy;
    for (text, policy) in [
        ("no-uplink = true", VpnPolicy::NO_UPLINK),
        ("no-uplink = false\nvpn = \"block\"", VpnPolicy::BLOCK_UNDER_LOCKDOWN),
        ("no-uplink = false", VpnPolicy::FOLLOW_UPLINK),
    ] {
        let settings = settings(&format!("[guest.a]\n{text}"), "");
        let (_, section) = settings.sections.iter().next().unwrap();
        let (config, _) = section.complete(&Default::default());
        assert_eq!(config.vpnPolicy, policy, "{text}");
    }
}

/// The example that is shipped: what stands there behind a # is what counts without it.
#[test]
fn the_example_has_every_key_with_its_default() {
    let example = include_str!("../../../packaging/guestnetd.toml");
    let bare = settings("", "");
    let as_shipped = settings(example, "");
    let text = example.replace("\n#", "\n");
    let open: Vec<_> = text.lines().filter(|line| !line.starts_with(' ')).collect();
    let all = settings(&open.join("\n"), "");
    for (key, ..) in EVERY {
        let there = open.iter().any(|line| line.starts_with(&format!("{key} = ")));
        assert!(there, "{key} is not in the example");
        // On a service's machine the uplink is whatever leads out.
        let expected = if key == "uplink" { "default".to_owned() } else { said(&bare, key) };
        assert_eq!(said(&as_shipped, key), expected, "{key}");
        // Options that have no default to show have an example.
        if !["iptables", "allow-uid", "ndc", "dns", "resolv-conf"].contains(&key) {
            assert_eq!(said(&all, key), expected, "{key}");
        }
    }
    assert!(as_shipped.sections.is_empty());
    let (_, section) = all.sections.iter().next().unwrap();
    assert_eq!(section.keys().count(), FIELDS.len() - 2, "all but kind and queues");
}

#[test]
fn what_is_wrong_has_its_line_and_cause() {
    for (text, expected) in [
        ("uplnk = \"wlan0\"", r#":1: unknown key "uplnk": the nearest is "uplink""#),
        ("\n\nzebra = 1", r#":3: unknown key "zebra": guestnetd --help lists the options, which are the keys"#),
        ("config = \"/x\"", r#":1: unknown key "config": guestnetd --help lists the options, which are the keys"#),
        ("# one\nuplink = 5", ":2: uplink needs a string in quotes, and this is of type integer"),
        ("check-every = \"60\"", ":1: check-every needs a number, and this is of type string"),
        ("check-every = 0", r#":1: check-every = "0": 0 is not in 1..=86400"#),
        ("guest-connections = -1", r#":1: guest-connections = "-1": -1 is not in 0..=4294967295"#),
        ("guest-connections = 99999999999999999999", ":1: guest-connections: the number is too large"),
        ("keep-forwarding = 1", ":1: keep-forwarding needs true or false, and this is of type integer"),
        ("state-dir = \"run\"", r#":1: state-dir = "run": "run" is not an absolute path"#),
        ("firewall = \"nft\"", r#":1: firewall = "nft": "nft" is none of auto, nftables, iptables"#),
        ("allow-uid = [\"7:all\"]", r#":1: allow-uid = "7:all": "all" is not a scope: use UID, or UID:own"#),
        ("dns = [1.5]", r#":1: dns needs strings in quotes, ["...", "..."], and this is of type float"#),
        ("dns = \"::1\"", r#":1: dns = "::1": "::1" is not an IPv4 address of a resolver that guests can reach"#),
        ("uplink = \"a\"\nuplink = \"b\"", ":2: duplicate key"),
        ("uplink = ", ":1: string values must be quoted, expected literal string"),
        ("guest = 5", ":1: guest needs sections, [guest.NAME]"),
        ("[guest]\nweb = 5", ":2: guest.web needs to be a section, [guest.web]"),
        ("[guest.\"a b\"]", r#":1: "a b" is not a guest's name: 1 to 63 of A-Z a-z 0-9 . _ - with a letter or digit first"#),
        ("[guest.a]\ngatway = \"\"", r#":2: unknown key of [guest.a] "gatway": the nearest is "gateway""#),
        ("[guest.a]\nmtu = 5", ":2: [guest.a] MTU 5 is not possible: use 68 to 65535, or -1 for the uplink's"),
        ("[guest.a]\nmtu = \"x\"", r#":2: mtu needs a number, or "uplink""#),
        ("[guest.a]\nprefix = 24\n\naddress = \"10.9.0.7\"", ":4: [guest.a] address 10.9.0.7 is not in 172.17.3.0/24, the gateway's subnet"),
        ("[guest.a]\nvpn = \"tun\"", r#":2: vpn needs "follow", "tun:NAME" or "block""#),
        ("[guest.a]\nvpn = \"none\"", r#":2: vpn needs "follow", "tun:NAME" or "block""#),
        ("[guest.a]\nvpn = \"block\"\nno-uplink = true", ":3: of vpn and no-uplink = true a guest can have one"),
        ("[guest.a]\nno-uplink = 1", ":2: no-uplink needs true or false, and this is of type integer"),
        ("[guest.a]\ndhcp = \"on\"", r#":2: dhcp = "on": use "auto" or "off""#),
        ("[guest.a]\nqueues = 2", ":2: [guest.a] 2 queues are not possible: use 1 to 16, and more than 1 with a TAP only"),
        ("[guest.a]\nkind = \"tap\"\nkeep = true", ":3: [guest.a] GuestConfig.keep with GuestKind.TAP is not supported by this version of guestnetd"),
        ("[guest.a]\nmtu = 1400\n[guest.b]\n[guest.a]", ":4: duplicate key"),
        ("[guest.b]\naddress = \"172.17.3.9\"\n[guest.a]\n\naddress = \"172.17.3.9\"", ":5: [guest.a] address 172.17.3.9 is [guest.b]'s, in line 2"),
        (
            "[guest.a]\ngateway = \"10.9.0.1\"\n[guest.b]\nprefix = 24\ngateway = \"10.9.1.1\"",
            ":5: [guest.b] 10.9.1.0/24 with gateway 10.9.1.1 overlaps 10.9.0.0/16 with gateway 10.9.0.1 of \
             [guest.a], in line 2: use one gateway and prefix for both, or subnets apart",
        ),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
    assert_eq!(refused(b"# caf\xc3\xa9\n# caf\xe9\n"), ":2: this is not text in UTF-8");
    let many = "[guest.a]\n".to_owned() + &"#\n".repeat(140_000);
    assert!(refused(many).starts_with(": it cannot be read: it has more than 262144 bytes"));
}

/// Whatever is in it: one line, and an end.
#[test]
fn garbage_is_refused() {
    let mut seed = 1u32;
    let mut random = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed >> 24
    };
    let words =
        ["guest", ".", "[", "]", "=", "\n", "\"", "mtu", "dns", "1", "{", "}", ",", "-", "a"];
    for _ in 0..2_000 {
        let text: String = (0..40).map(|_| words[random() as usize % words.len()]).collect();
        if let Err(e) = Temporary::new(&text).with("") {
            assert!(!e.to_string().contains('\n') && e.to_string().len() < 600, "{text}: {e}");
        }
    }
    let deep = format!("dns = {}{}", "[".repeat(50_000), "]".repeat(50_000));
    assert!(refused(deep).starts_with(":1: "));
}

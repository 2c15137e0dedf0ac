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

//! Configurations that can be no guest's, and beside each kind the last one that can.

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::GuestKind::GuestKind;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet as codes;
use android_system_guestnet::aidl::android::system::guestnet::VpnPolicy::VpnPolicy;
use guestnet_tests::bed::Bed;
use guestnet_tests::client::config;
use guestnet_tests::{Probe, Snapshot};

/// Names that are none. A lone surrogate, the one other trick of UTF-16, cannot be put into a
/// Rust string: what comes off the wire with one is refused before there is a name to look at.
const BAD_NAMES: [&str; 29] = [
    "",
    "a/b",
    "/",
    "a b",
    " a",
    "a ",
    "a\nb",
    "a\n",
    "a\tb",
    "a\0b",
    "\0",
    ".",
    "..",
    "../a",
    ".a",
    "-a",
    "_a",
    "a:b",
    "a;b",
    "a'b",
    "a\\b",
    "a%n",
    "\u{ff41}bc",     // a fullwidth a
    "e\u{301}",       // a combining acute accent
    "\u{430}bc",      // a Cyrillic a
    "a\u{202e}cb",    // right-to-left override
    "a\u{200b}b",     // a space without width
    "\u{feff}a",      // a byte order mark
    "guest\u{1f427}", // a penguin
];

/// The configuration of the original, with one field changed.
fn with(change: impl FnOnce(&mut GuestConfig)) -> GuestConfig {
    let mut config = config("bad");
    change(&mut config);
    config
}

/// One row for each configuration: all three calls refuse it.
fn refuses(bed: &Bed, rows: Vec<(String, GuestConfig, i32, &[&str])>) {
    let before = bed.before();
    for (what, config, code, words) in rows {
        bed.all_refuse(&before, &what, &config, &bed.target(), (code, words));
    }
}

/// The guest is attached with this, and detached again.
fn takes(bed: &Bed, what: &str, config: &GuestConfig) {
    let guest = bed.service.attach(config, &bed.target(), None);
    let guest = guest.unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(guest.name, config.name);
    assert_eq!(guest.interfaceName, config.interfaceName);
    let length = format!("/{}", config.prefixLength);
    assert!(guest.addresses.iter().all(|a| a.ends_with(&length)), "{what}: {guest:?}");
    assert!(bed.guest.link(&config.interfaceName).is_some(), "{what}");
    bed.service.detach(&config.name).unwrap_or_else(|e| panic!("{what}: {e}"));
}

#[test]
fn a_name_that_is_none() {
    let bed = Bed::with_neighbour();
    let long = "a".repeat(64);
    let before = bed.before();
    let words: &[&str] = &["is not a guest's name", "1 to 63", "letter or digit first"];
    let refusal = (codes::ERROR_BAD_NAME, words);
    for name in BAD_NAMES.iter().copied().chain([long.as_str()]) {
        let config = with(|c| c.name = name.to_owned());
        let what = format!("the name {name:?}");
        bed.refused_quietly(&before, &what, refusal, |s| s.detach(name));
        bed.refused_quietly(&before, &what, refusal, |s| s.get(name));
        bed.refused_quietly(&before, &what, refusal, |s| s.status(Some(name)));
        bed.all_refuse(&before, &what, &config, &bed.target(), refusal);
    }
}

#[test]
fn a_name_that_only_just_is_one() {
    let bed = Bed::with_neighbour();
    let before = Snapshot::of(&bed.device);
    for name in ["0", "a", "Z..--__9", &"z".repeat(63)] {
        takes(&bed, name, &config(name));
    }
    before.assert_same(&Snapshot::of(&bed.device));
}

#[test]
fn an_interface_name_that_is_none() {
    let bed = Bed::with_neighbour();
    let names = [
        "",
        "sixteen-bytes-xx",
        "lo",
        "a/b",
        "all%d",
        "%d",
        "a b",
        "a\n",
        "a\0",
        ".",
        "..",
        "w:1",
        "\u{ff57}lan0",
        "wl\u{202e}an",
    ];
    let rows = names.map(|name| {
        let words: &[&str] = &["is not a name for the guest's interface", "1 to 15"];
        let config = with(|c| c.interfaceName = name.to_owned());
        (format!("the interface {name:?}"), config, codes::ERROR_BAD_INTERFACE_NAME, words)
    });
    refuses(&bed, rows.into());
    for name in ["w", "fifteen-bytes-x", "vm_wlan", "lo0"] {
        takes(&bed, name, &with(|c| c.interfaceName = name.to_owned()));
    }
}

/// Each interface has a directory of its name among the sysctls, and these two are taken there.
#[test]
fn an_interface_name_that_the_kernel_has_taken() {
    let bed = Bed::with_neighbour();
    let rows = ["all", "default"].map(|name| {
        let words: &[&str] = &["is not a name for the guest's interface"];
        let config = with(|c| c.interfaceName = name.to_owned());
        (format!("the interface {name:?}"), config, codes::ERROR_BAD_INTERFACE_NAME, words)
    });
    refuses(&bed, rows.into());
}

#[test]
fn a_text_that_is_no_address() {
    let bed = Bed::with_neighbour();
    let texts = [
        "",
        "1.2.3",
        "1.2.3.4.5",
        "::1 ",
        "172.17.3.9.1/16",
        "/16",
        "172.017.3.9",
        "01.2.3.4",
        " 172.17.3.9",
        "172.17.3.9 ",
        "172.17.3.9\0",
        "172.17.3.256",
        "0x7f.1",
        "2886796041",
        "localhost",
        "172.17.3.\u{669}",
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
    ];
    let address = texts.map(|text| {
        let words: &[&str] = &["address", "is not an IPv4 unicast address", "such as"];
        let config = with(|c| c.addresses = vec![text.to_owned()]);
        (format!("the address {text:?}"), config, codes::ERROR_BAD_ADDRESS, words)
    });
    // The gateway is read in the same way: the odd ones of each kind will do.
    let gateway =
        ["", "1.2.3", "::1", "01.2.3.4", "172.17.3.2/16", "0.0.0.0", "224.0.0.1"].map(|text| {
            let words: &[&str] = &["gateway", "is not an IPv4 unicast address", "such as"];
            let config = with(|c| c.gateway = text.to_owned());
            (format!("the gateway {text:?}"), config, codes::ERROR_BAD_ADDRESS, words)
        });
    refuses(&bed, address.into_iter().chain(gateway).collect());
}

#[test]
fn an_address_that_cannot_be_the_guests() {
    let bed = Bed::with_neighbour();
    let reserved = codes::ERROR_ADDRESS_RESERVED;
    let address = |text: &str| with(|c| c.addresses = vec![text.to_owned()]);
    let gateway = |text: &str| with(|c| c.gateway = text.to_owned());
    let outside: &[&str] = &["is not in 172.17.0.0/16", "gateway's subnet"];
    let another = "choose another";
    let rows: [(&str, GuestConfig, i32, &[&str]); 10] = [
        (
            "an address before the subnet",
            address("172.16.255.255"),
            codes::ERROR_ADDRESS_OUTSIDE_SUBNET,
            outside,
        ),
        (
            "an address behind the subnet",
            address("172.18.0.0"),
            codes::ERROR_ADDRESS_OUTSIDE_SUBNET,
            outside,
        ),
        ("an address far away", address("8.8.8.8"), codes::ERROR_ADDRESS_OUTSIDE_SUBNET, outside),
        (
            "an address with another length",
            address("172.17.3.9/24"),
            codes::ERROR_BAD_PREFIX,
            &["172.17.3.9/24", "another prefix length than the subnet, 16", "use that, or none"],
        ),
        (
            "the gateway's address",
            address("172.17.3.2"),
            reserved,
            &["172.17.3.2 is the gateway", another],
        ),
        (
            "the network's address",
            address("172.17.0.0"),
            reserved,
            &["172.17.0.0 is the network", another],
        ),
        (
            "the broadcast address",
            address("172.17.255.255"),
            reserved,
            &["172.17.255.255 is the broadcast", another],
        ),
        (
            "the network as gateway",
            gateway("172.17.0.0"),
            reserved,
            &["172.17.0.0 is the network", another],
        ),
        (
            "broadcast as gateway",
            gateway("172.17.255.255"),
            reserved,
            &["172.17.255.255 is the broadcast", another],
        ),
        (
            "the broadcast address of a small subnet",
            with(|c| {
                (c.gateway, c.prefixLength, c.addresses) =
                    ("10.9.8.1".into(), 30, vec!["10.9.8.3".into()])
            }),
            reserved,
            &["10.9.8.3 is the broadcast address of 10.9.8.0/30", another],
        ),
    ];
    refuses(
        &bed,
        rows.map(|(what, config, code, words)| (what.into(), config, code, words)).into(),
    );
    takes(&bed, "the first address", &address("172.17.0.1"));
    takes(&bed, "the last address", &address("172.17.255.254"));
    takes(&bed, "an address with the subnet's length", &address("172.17.3.9/16"));
}

#[test]
fn a_number_out_of_its_range() {
    let bed = Bed::with_neighbour();
    let prefix = [0, 31, 32, 33, -1, 272, i32::MIN, i32::MAX].map(|n| {
        let words: &[&str] = &["prefix length", "use 1 to 30"];
        (format!("prefix {n}"), with(|c| c.prefixLength = n), codes::ERROR_BAD_PREFIX, words)
    });
    let mtu = [0, 1, 67, 65_536, 70_000, -2, i32::MIN, i32::MAX].map(|n| {
        let words: &[&str] = &["MTU", "use 68 to 65535", "-1 for the uplink's"];
        (format!("MTU {n}"), with(|c| c.mtu = n), codes::ERROR_BAD_MTU, words)
    });
    let kind = [3, -1, i32::MAX].map(|n| {
        let words: &[&str] = &["GuestKind", "unknown to this version"];
        (format!("kind {n}"), with(|c| c.kind = GuestKind(n)), codes::ERROR_BAD_ENUM, words)
    });
    let policy = [4, -1, i32::MIN].map(|n| {
        let words: &[&str] = &["VpnPolicy", "unknown to this version"];
        (format!("policy {n}"), with(|c| c.vpnPolicy = VpnPolicy(n)), codes::ERROR_BAD_ENUM, words)
    });
    let rows = prefix.into_iter().chain(mtu).chain(kind).chain(policy);
    refuses(&bed, rows.collect());
    for mtu in [68, 1500, 65_535] {
        takes(&bed, "an MTU at the edge", &with(|c| c.mtu = mtu));
    }
    let small = with(|c| (c.gateway, c.prefixLength) = ("10.9.8.1".into(), 30));
    takes(&bed, "the smallest subnet", &small);
}

#[test]
fn a_configuration_of_megabytes() {
    let bed = Bed::with_neighbour();
    let much = |n| bed.letters(n);
    let words: &[&str] = &["bytes of text", "no valid one holds more"];
    let row = |what: &str, config| (what.to_owned(), config, codes::ERROR_CONFIG_TOO_LARGE, words);
    let rows = vec![
        row("a name of 2 MB", with(|c| c.name = much(2 << 20))),
        row("2 MB in all", with(|c| (c.name, c.gateway) = (much(1 << 20), much(1 << 20)))),
        row("a name of 5 kB", with(|c| c.name = much(5000))),
    ];
    refuses(&bed, rows);
}

#[test]
fn a_name_of_megabytes_is_a_bad_name() {
    let bed = Bed::with_neighbour();
    let (before, name) = (bed.before(), bed.letters(2 << 20));
    let refusal: (i32, &[&str]) = (codes::ERROR_BAD_NAME, &["1 to 63"]);
    bed.refused(&before, "detach() of 2 MB", refusal, |s| s.detach(&name));
    bed.refused(&before, "get() of 2 MB", refusal, |s| s.get(&name));
    bed.refused(&before, "status() of 2 MB", refusal, |s| s.status(Some(&name)));
}

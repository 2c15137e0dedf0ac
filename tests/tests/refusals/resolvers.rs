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

//! Resolvers that can be none, behind uplinks that can be none.

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet as codes;

use guestnet_tests::bed::Bed;

const SERVER: &str = "192.0.2.53";

fn servers(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn an_uplink_that_is_none() {
    let bed = Bed::with_neighbour();
    let before = bed.before();
    let words: &[&str] = &["is not a valid uplink", "such as wlan0"];
    let long = bed.letters(1 << 20);
    let names =
        ["", "lo", "vm_wlan", "vm_wlan1", "default", "wlan*", "wlan0,eth0", "a b", "w\0", &long];
    for name in names {
        let refusal = (codes::ERROR_BAD_INTERFACE_NAME, words);
        let what = format!("setDns() of {:.20}", name);
        bed.refused(&before, &what, refusal, |s| s.setDns(name, &servers(&[SERVER])));
        bed.refused(&before, &what, refusal, |s| s.setDns(name, &[]));
    }
}

#[test]
fn a_resolver_that_is_none_is_refused_with_all_others() {
    let bed = Bed::with_neighbour();
    let before = bed.before();
    for (text, cause) in [
        ("", "not an IPv4 address"),
        ("dns.example", "not an IPv4 address"),
        ("192.0.2.53:53", "not an IPv4 address"),
        ("192.0.2.053", "not an IPv4 address"),
        ("2001:db8::53", "no IPv6"),
        ("::ffff:192.0.2.53", "no IPv6"),
        ("0.0.0.0", "0.0.0.0/8"),
        ("127.0.0.53", "loopback"),
        ("224.0.0.251", "multicast"),
        ("255.255.255.255", "240.0.0.0/4"),
    ] {
        let refusal: (i32, &[&str]) = (codes::ERROR_BAD_ADDRESS, &["cannot be a resolver", cause]);
        let what = format!("the resolver {text:?}");
        let asked = servers(&[SERVER, text]);
        bed.refused(&before, &what, refusal, |s| s.setDns("wlan0", &asked));
        let status = bed.service.status(None).expect("status");
        assert!(!status.uplink.dnsServers.iter().any(|known| known == SERVER), "{status:?}");
    }
}

#[test]
fn more_than_anybody_needs() {
    let bed = Bed::with_neighbour();
    let before = bed.before();
    let most = usize::try_from(codes::MAX_DNS_SERVERS).expect("a number");
    let words: &[&str] = &["resolvers are too many", "name 8 at most"];
    for many in [most + 1, 10_000] {
        let refusal = (codes::ERROR_CONFIG_TOO_LARGE, words);
        let asked = servers(&vec![SERVER; many]);
        bed.refused(&before, "setDns() of many", refusal, |s| s.setDns("wlan0", &asked));
    }
    bed.service.setDns("wlan0", &servers(&vec![SERVER; most])).expect("as many as there may be");
}

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

//! A subnet that the device uses already, in whatever way: refused, and what is in the way named.

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet as codes;
use guestnet_tests::bed::{distant_neighbour, Bed};
use guestnet_tests::client::config;
use guestnet_tests::{Device, InNetns, Internet, Probe};

/// One way to be in the way of 172.17.0.0/16: how it comes, how it goes, and what names it.
struct Case {
    come: &'static [&'static str],
    go: &'static [&'static str],
    words: &'static [&'static str],
}

const ADDRESSES: [Case; 5] = [
    Case {
        come: &["ip link add docker0 type bridge", "ip addr add 172.17.0.1/16 dev docker0"],
        go: &["ip link del docker0"],
        words: &["172.17.0.0/16", "docker0"],
    },
    Case {
        come: &["ip link add wide type bridge", "ip addr add 172.16.0.9/12 dev wide"],
        go: &["ip link del wide"],
        words: &["172.16.0.0/12", "wide"],
    },
    Case {
        come: &["ip addr add 172.17.200.1/32 dev lo"],
        go: &["ip addr del 172.17.200.1/32 dev lo"],
        words: &["172.17.200.1/32", "lo"],
    },
    Case {
        come: &["ip addr add 172.17.0.0/31 dev wlan0"],
        go: &["ip addr del 172.17.0.0/31 dev wlan0"],
        words: &["172.17.0.0/31", "wlan0"],
    },
    Case {
        come: &[
            "ip link add tun9 type veth peer name other",
            "ip addr add 198.51.100.1 peer 172.17.7.7/32 dev tun9",
            "ip link set tun9 up",
        ],
        go: &["ip link del tun9"],
        words: &["172.17.7.7/32", "tun9"],
    },
];

const ROUTES: [Case; 9] = [
    Case {
        come: &["ip route add 172.17.5.0/24 via 192.0.2.1"],
        go: &["ip route del 172.17.5.0/24"],
        words: &["172.17.5.0/24", "wlan0", "table main"],
    },
    Case {
        come: &["ip route add 172.17.0.0/16 dev wlan0 table 100"],
        go: &["ip route flush table 100"],
        words: &["172.17.0.0/16", "wlan0", "table 100"],
    },
    Case {
        come: &["ip route add 172.16.0.0/12 dev wlan0 table 70000"],
        go: &["ip route flush table 70000"],
        words: &["172.16.0.0/12", "wlan0", "table 70000"],
    },
    Case {
        come: &["ip route add blackhole 172.17.0.0/16"],
        go: &["ip route del blackhole 172.17.0.0/16"],
        words: &["172.17.0.0/16", "table main"],
    },
    Case {
        come: &["ip route add unreachable 172.17.9.0/24 table 7"],
        go: &["ip route flush table 7"],
        words: &["172.17.9.0/24", "table 7"],
    },
    Case {
        come: &["ip route add prohibit 172.17.9.0/25"],
        go: &["ip route del prohibit 172.17.9.0/25"],
        words: &["172.17.9.0/25"],
    },
    Case {
        come: &["ip route add throw 172.17.9.0/26 table 8"],
        go: &["ip route flush table 8"],
        words: &["172.17.9.0/26", "table 8"],
    },
    Case {
        come: &["ip route add local 172.17.8.0/24 dev lo"],
        go: &["ip route del local 172.17.8.0/24 dev lo table local"],
        words: &["172.17.8.0/24", "lo", "table local"],
    },
    Case {
        come: &["ip route add 172.17.3.3/32 via 192.0.2.1 proto 99"],
        go: &["ip route del 172.17.3.3/32"],
        words: &["172.17.3.3/32", "wlan0"],
    },
];

/// A route that may leave by one of several next hops.
const SEVERAL: Case = Case {
    come: &["ip route add 172.17.6.0/24 nexthop via 192.0.2.1 dev wlan0 \
             nexthop via 192.0.2.9 dev wlan0"],
    go: &["ip route del 172.17.6.0/24"],
    words: &["172.17.6.0/24", "wlan0"],
};

/// One that goes, unannounced, with the next hop that it is made with.
const NEXTHOP: Case = Case {
    come: &["ip nexthop add id 5 via 192.0.2.1 dev wlan0", "ip route add 172.17.7.0/24 nhid 5"],
    go: &["ip nexthop del id 5"],
    words: &["172.17.7.0/24", "wlan0"],
};

/// Each comes and goes while guestnetd runs: it has to see both.
fn each_is_in_the_way(cases: &[Case]) {
    let bed = Bed::on(Device::new()).neighbour(distant_neighbour()).build();
    let code = codes::ERROR_SUBNET_OVERLAP;
    for case in cases {
        case.come.iter().for_each(|line| drop(bed.device.run(line)));
        let before = bed.before();
        let what = case.come.last().expect("a command");
        let mut words = vec!["172.17.0.0/16 overlaps", "choose a gateway in another subnet"];
        words.extend(case.words);
        bed.all_refuse(&before, what, &config("b"), &bed.target(), (code, &words));
        case.go.iter().for_each(|line| drop(bed.device.run(line)));
        let plan = bed.service.plan(&config("b"), &bed.target());
        assert!(!plan.unwrap_or_else(|e| panic!("without {what}: {e}")).is_empty());
    }
    bed.service.attach(&config("b"), &bed.target(), None).expect("attach");
    assert!(bed.guest.ping(Internet::ADDRESS));
    bed.assert_neighbour_talks("the end");
}

#[test]
fn an_address_of_the_device() {
    each_is_in_the_way(&ADDRESSES);
}

#[test]
fn a_route_of_the_device() {
    each_is_in_the_way(&ROUTES);
}

#[test]
fn a_route_with_several_next_hops() {
    each_is_in_the_way(&[SEVERAL]);
}

#[test]
fn a_route_with_a_next_hop_of_its_own() {
    each_is_in_the_way(&[NEXTHOP]);
}

#[test]
fn a_subnet_of_another_guest() {
    let bed = Bed::on(Device::new()).neighbour(distant_neighbour()).build();
    let before = bed.before();
    let code = codes::ERROR_SUBNET_OVERLAP;
    let gateway = |gateway: &str, prefix| GuestConfig {
        gateway: gateway.to_owned(),
        prefixLength: prefix,
        ..config("b")
    };
    let words: &[&str] = &["10.77.0.0/24", "guest neighbour", "gateway 10.77.0.1"];
    for (what, config) in [
        ("another gateway in it", gateway("10.77.0.9", 24)),
        ("a wider subnet", gateway("10.77.0.1", 16)),
        ("a narrower subnet", gateway("10.77.0.129", 25)),
    ] {
        bed.all_refuse(&before, what, &config, &bed.target(), (code, words));
    }
}

#[test]
fn the_uplinks_own_subnet() {
    let bed = Bed::with_neighbour();
    let before = bed.before();
    let config = GuestConfig { gateway: "192.0.2.77".into(), prefixLength: 28, ..config("b") };
    let words: &[&str] = &["192.0.2.64/28 overlaps 192.0.2.0/24", "wlan0"];
    let refusal = (codes::ERROR_SUBNET_OVERLAP, words);
    bed.all_refuse(&before, "the uplink's subnet", &config, &bed.target(), refusal);
}

#[test]
fn default_routes_are_in_nobodys_way() {
    let bed = Bed::on(Device::new()).neighbour(distant_neighbour()).build();
    bed.device.run("ip route add default via 192.0.2.1 table 100");
    bed.device.run("ip route add default via 192.0.2.1 metric 700");
    bed.device.run("ip route add blackhole default table 101");
    bed.device.run("ip addr add 172.16.0.1/16 dev lo");
    bed.device.run("ip addr add 172.18.0.1/16 dev lo");
    bed.service.attach(&config("b"), &bed.target(), None).expect("attach");
    assert!(bed.guest.ping(Internet::ADDRESS));
}

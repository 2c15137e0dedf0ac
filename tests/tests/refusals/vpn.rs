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

//! A VPN policy and an uplink that do not belong together, and a way out that is not there.

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet as codes;
use android_system_guestnet::aidl::android::system::guestnet::VpnPolicy::VpnPolicy;
use guestnet_tests::bed::Bed;
use guestnet_tests::client::config;

fn under(vpn_policy: VpnPolicy, uplink: Option<&str>) -> GuestConfig {
    GuestConfig { vpnPolicy: vpn_policy, uplink: uplink.map(str::to_owned), ..config("b") }
}

#[test]
fn an_uplink_of_its_own_is_a_tuns_name_and_belongs_to_one_policy() {
    let bed = Bed::with_neighbour();
    let before = bed.before();
    let refuses = |policy, uplink: Option<&str>, words: &[&str]| {
        let what = format!("{policy:?} with {uplink:?}");
        let refusal = (codes::ERROR_BAD_VPN_POLICY, words);
        bed.all_refuse(&before, &what, &under(policy, uplink), &bed.target(), refusal);
    };
    refuses(VpnPolicy::NAMED_TUN, None, &["NAMED_TUN", "GuestConfig.uplink", "tun0"]);
    // The neighbour's link is vm_wlan; that vm_wlan1 is nobody's does not make it a way out.
    for name in ["", "lo", "vm_wlan", "vm_wlan1", "tun*", "tun0,tun1", "default", "a b", "a\0"] {
        refuses(VpnPolicy::NAMED_TUN, Some(name), &["valid name of a VPN's interface", "tun0"]);
    }
    for policy in [VpnPolicy::FOLLOW_UPLINK, VpnPolicy::BLOCK_UNDER_LOCKDOWN] {
        for name in ["tun0", "wlan0", ""] {
            refuses(policy, Some(name), &["GuestConfig.uplink", "NAMED_TUN only"]);
        }
    }
}

#[test]
fn a_tun_that_is_not_there() {
    let bed = Bed::with_neighbour();
    let before = bed.before();
    let words: &[&str] = &["the device has no interface tun7", "start the VPN first"];
    let refusal = (codes::ERROR_NO_SUCH_TUN, words);
    let config = under(VpnPolicy::NAMED_TUN, Some("tun7"));
    bed.all_refuse(&before, "a tun of nobody", &config, &bed.target(), refusal);
}

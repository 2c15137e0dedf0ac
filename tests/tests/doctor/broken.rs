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

//! A device by table main, with both packet filters, broken by a script: doctor names the cause.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::VpnPolicy::VpnPolicy;
use guestnet_tests::bed::{eventually, second_way};
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::{Device, InNetns, Probe};

use crate::beyond::{Beyond, Mood};
use crate::Ward;

#[test]
fn every_cause_is_named_with_nftables() {
    all("nftables");
}

#[test]
fn every_cause_is_named_with_iptables() {
    all("iptables");
}

fn all(firewall: &str) {
    crate::cases!(firewall;
        no_carrier,
        no_address,
        no_default_route,
        ipv6_alone,
        no_masquerade,
        no_masquerading_rule,
        answers_go_elsewhere,
        answers_go_elsewhere_by_a_rule,
        forwarding_is_off_at_the_uplink,
        forwarding_is_off_at_the_link,
        the_guests_route_is_taken_away_again_and_again,
        a_strict_reverse_path,
        a_strict_reverse_path_at_the_uplink,
        tethering_drops,
        what_guests_send_is_dropped,
        what_guests_are_answered_is_dropped,
        what_guests_ask_the_device_is_dropped,
        another_source,
        not_translated,
        not_tracked,
        lockdown,
        a_vpn_captures,
        a_kill_switch,
        a_rule_forbids,
        a_subnet_conflict,
        a_captive_portal,
        no_resolver,
        a_silent_resolver,
        a_resolver_that_refuses,
        a_resolver_elsewhere,
        large_packets_vanish,
        no_checksums,
        no_checksums_of_datagrams,
        the_guests_rules_drop_what_it_sends,
        the_guests_rules_drop_what_it_is_answered,
        the_guest_lost_its_address,
        the_guest_lost_its_route,
        the_guest_has_another_route,
        the_guests_own_bridge_has_the_gateway,
        a_neighbour_by_hand,
        arp_that_the_device_drops,
        arp_that_the_device_does_not_send,
        a_queue_that_nothing_leaves,
        a_policy_of_ipsec,
        upstream_is_down,
        upstream_answers_the_device_alone,
    );
}

fn nft(on: &impl InNetns, rule: &str) {
    on.run(&format!("nft {rule}"));
}

/// A base chain of somebody else's, with one rule.
pub fn hook(on: &impl InNetns, kind: &str, hook: &str, priority: i32, rule: &str) {
    nft(on, "add table ip others");
    let chain = format!("{kind}_{hook}");
    nft(
        on,
        &format!("add chain ip others {chain} {{ type {kind} hook {hook} priority {priority}; }}"),
    );
    nft(on, &format!("add rule ip others {chain} {rule}"));
}

fn a_neighbour_by_hand(firewall: &str) {
    let ward = Ward::new(firewall);
    let by_hand = "ip neigh replace 172.17.3.3 lladdr 02:00:00:00:00:99 dev vm_wlan nud permanent";
    ward.bed.device.run(by_hand);
    ward.is(Cause::NEIGHBOUR_WRONG, "172.17.3.3");
}

/// The guest may learn its gateway's link-layer address by the device's own question, and not the other
/// way round.
fn arp_that_the_device_drops(firewall: &str) {
    arp_is_dropped(&Ward::new(firewall), "input", "iifname \"vm_wlan*\" drop");
}

fn arp_that_the_device_does_not_send(firewall: &str) {
    arp_is_dropped(&Ward::new(firewall), "output", "oifname != \"wlan0\" drop");
}

fn arp_is_dropped(ward: &Ward, hook: &str, rule: &str) {
    let device = &ward.bed.device;
    nft(device, "add table arp others");
    let chain = format!("{{ type filter hook {hook} priority 0; }}");
    nft(device, &format!("add chain arp others a {chain}"));
    nft(device, &format!("add rule arp others a {rule}"));
    device.run("ip neigh flush dev vm_wlan");
    ward.guest.run("ip neigh flush all");
    ward.is(Cause::NEIGHBOUR_WRONG, "");
    ward.is(Cause::NEIGHBOUR_WRONG, "ARP");
}

fn a_queue_that_nothing_leaves(firewall: &str) {
    let ward = Ward::new(firewall);
    ward.bed.device.run("tc qdisc replace dev vm_wlan root pfifo limit 0");
    ward.is(Cause::FORWARD_DROPPED, "vm_wlan's queue (pfifo)");
}

fn a_policy_of_ipsec(firewall: &str) {
    let ward = Ward::new(firewall);
    let policy = "ip xfrm policy add dir fwd src 172.17.0.0/16 dst 0.0.0.0/0 action block";
    ward.bed.device.run(policy);
    ward.is(Cause::FORWARD_DROPPED, "IPsec's policy");
}

fn no_carrier(firewall: &str) {
    let ward = Ward::new(firewall);
    ward.out_there("ip link set device down");
    ward.is(Cause::NO_CARRIER, "");
}

fn no_address(firewall: &str) {
    let ward = Ward::new(firewall);
    ward.bed.device.run("ip addr flush dev wlan0");
    ward.is(Cause::UPLINK_NO_ADDRESS, "");
}

fn no_default_route(firewall: &str) {
    let ward = Ward::new(firewall);
    ward.bed.device.run("ip route del default");
    ward.is(Cause::NO_DEFAULT_ROUTE, "");
}

/// An interface that leads nowhere.
/// The uplink has no IPv4, and a way out by IPv6.
fn ipv6_alone(firewall: &str) {
    let device = Device::options().ipv6().build();
    let ward = Ward::on(device, &format!("--firewall {firewall} --uplink wlan0"));
    ward.bed.device.run("ip -4 addr flush dev wlan0");
    ward.is(Cause::UPLINK_IPV6_ONLY, "wlan0");
}

/// nf_tables' table belongs to guestnetd: nobody else takes a rule out of it.
fn no_masquerade(firewall: &str) {
    if firewall != "iptables" {
        return;
    }
    let ward = Ward::on(Device::new(), "--firewall iptables --check-every 3600");
    ward.bed.device.run("iptables-legacy -w -t nat -F POSTROUTING");
    ward.is(Cause::MASQUERADE_MISSING, "POSTROUTING");
}

fn no_masquerading_rule(firewall: &str) {
    if firewall != "iptables" {
        return;
    }
    let ward = Ward::on(Device::new(), "--firewall iptables --check-every 3600");
    let chains = ward.bed.device.run("iptables-legacy -w -t nat -S");
    let ours = chains.lines().find_map(|line| line.strip_prefix("-N oem_guestnet_post"));
    let ours = format!("oem_guestnet_post{}", ours.expect("the chain"));
    ward.bed.device.run(&format!("iptables-legacy -w -t nat -F {ours}"));
    ward.is(Cause::MASQUERADE_MISSING, &ours);
}

pub fn nowhere(at: &impl InNetns, name: &str) {
    at.run(&format!("ip link add {name} type veth peer name {name}far"));
    at.run(&format!("ip link set {name} up"));
    at.run(&format!("ip link set {name}far up"));
}

/// A VPN's interface.
fn vpn(ward: &Ward) {
    nowhere(&ward.bed.device, "tun7");
}

fn answers_go_elsewhere(firewall: &str) {
    let ward = Ward::new(firewall);
    vpn(&ward);
    ward.bed.device.run("ip route prepend 172.17.3.3/32 dev tun7");
    ward.is(Cause::ANSWERS_ELSEWHERE, "tun7");
}

/// Nothing but this is said until guestnetd has mended it.
fn mended(ward: &Ward, meanwhile: Cause) {
    eventually("it is mended", || {
        let found = ward.diagnose();
        let known = [meanwhile, Cause::HEALTHY].contains(&found.cause);
        assert!(known, "{}", crate::shown(&found));
        found.cause == Cause::HEALTHY
    });
}

fn answers_go_elsewhere_by_a_rule(firewall: &str) {
    let ward = Ward::new(firewall);
    vpn(&ward);
    ward.bed.device.run("ip route add 172.16.0.0/12 dev tun7 table 52");
    ward.bed.device.run("ip rule add pref 5270 lookup 52");
    // guestnetd puts a rule before it.
    mended(&ward, Cause::ANSWERS_ELSEWHERE);
}

fn forwarding_is_off_at_the_uplink(firewall: &str) {
    let ward = Ward::new(firewall);
    ward.bed.device.set_sysctl("net/ipv4/conf/wlan0/forwarding", "0");
    ward.is(Cause::FORWARDING_OFF, "wlan0");
}

fn forwarding_is_off_at_the_link(firewall: &str) {
    let ward = Ward::new(firewall);
    ward.bed.device.set_sysctl("net/ipv4/conf/vm_wlan/forwarding", "0");
    // guestnetd puts it back.
    mended(&ward, Cause::FORWARDING_OFF);
}

/// What others keep taking is put back less and less often.
fn the_guests_route_is_taken_away_again_and_again(firewall: &str) {
    let ward = Ward::new(firewall);
    let take = |device: &Device| {
        let _ = device.try_run("ip route del 172.17.3.3/32 dev vm_wlan");
    };
    while_taken(&ward.bed.device, &take, || {
        eventually("it is missed", || ward.diagnose().cause == Cause::GUEST_ROUTE_MISSING);
    });
    eventually("it is put back", || ward.diagnose().cause == Cause::HEALTHY);
}

/// Does this while somebody takes something away, all the time.
pub fn while_taken<D: InNetns + Sync>(device: &D, take: &(dyn Fn(&D) + Sync), then: impl FnOnce()) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                take(device);
                thread::sleep(Duration::from_millis(20));
            }
        });
        let said = std::panic::catch_unwind(std::panic::AssertUnwindSafe(then));
        done.store(true, Ordering::Relaxed);
        said.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// The kernel looks a packet's source up as if it were to send there: with the answers' way wrong, and
/// the filter strict, the guest's own packets are dropped already. Either is true.
fn a_strict_reverse_path(firewall: &str) {
    let ward = Ward::new(firewall);
    vpn(&ward);
    ward.bed.device.set_sysctl("net/ipv4/conf/vm_wlan/rp_filter", "1");
    ward.bed.device.run("ip rule add pref 100 to 172.17.3.0/24 lookup 77");
    ward.bed.device.run("ip route add 172.17.3.0/24 dev tun7 table 77");
    // The filter drops because of that: it asks for the route that answers take.
    ward.is(Cause::ANSWERS_ELSEWHERE, "tun7");
}

/// Guests leave by the uplink, as somebody marks what they send, and the device itself by another way: the
/// filter asks for the way of packets without a mark.
fn a_strict_reverse_path_at_the_uplink(firewall: &str) {
    let ward = Ward::new(firewall);
    let beyond = second_way(&ward.bed.device, "tun7");
    ward.bed.device.run("ip route add default via 192.0.2.1 dev wlan0 table 77");
    ward.bed.device.run("ip rule add pref 100 fwmark 7 lookup 77");
    hook(&ward.bed.device, "filter", "prerouting", -150, "iifname vm_wlan* meta mark set 7");
    for half in ["0.0.0.0/1", "128.0.0.0/1"] {
        ward.bed.device.run(&format!("ip route add {half} via 198.51.100.1 dev tun7"));
    }
    // Of both, the greater number counts.
    for of in ["all", "wlan0"] {
        ward.bed.device.set_sysctl(&format!("net/ipv4/conf/{of}/rp_filter"), "1");
    }
    ward.is(Cause::RP_FILTER, "wlan0");
    drop(beyond);
}

/// netd's chain for tethering where guestnetd is told to do without iptables.
fn tethering_drops(firewall: &str) {
    if firewall != "nftables" {
        return;
    }
    let ward = Ward::new(firewall);
    for line in [
        "-N tetherctrl_FORWARD",
        "-A tetherctrl_FORWARD -j DROP",
        "-A FORWARD -j tetherctrl_FORWARD",
    ] {
        ward.bed.device.run(&format!("iptables-legacy -w {line}"));
    }
    ward.is(Cause::NETD_TETHERCTRL_DROP, "tetherctrl_FORWARD");
}

fn what_guests_send_is_dropped(firewall: &str) {
    let ward = Ward::new(firewall);
    hook(&ward.bed.device, "filter", "forward", 10, "iifname vm_wlan* drop");
    ward.is(Cause::FORWARD_DROPPED, "");
}

fn what_guests_are_answered_is_dropped(firewall: &str) {
    let ward = Ward::new(firewall);
    hook(&ward.bed.device, "filter", "forward", 10, "oifname vm_wlan* drop");
    ward.is(Cause::FORWARD_DROPPED, "");
}

fn what_guests_ask_the_device_is_dropped(firewall: &str) {
    let ward =
        Ward::empty(Device::new(), &format!("--firewall {firewall} --resolv-conf /nonexistent"));
    let resolver = Beyond::resolver_in(&ward.bed.device, "0.0.0.0");
    ward.bed.attach("demo", &ward.guest);
    ward.is_healthy();
    hook(&ward.bed.device, "filter", "input", 10, "udp dport 53 drop");
    ward.is(Cause::INPUT_DROPPED, "");
    drop(resolver);
}

fn another_source(firewall: &str) {
    let ward = Ward::new(firewall);
    hook(&ward.bed.device, "nat", "postrouting", 90, "ip saddr 172.17.0.0/16 snat to 198.51.100.7");
    ward.is(Cause::WRONG_SOURCE, "198.51.100.7");
}

/// iptables alone: a chain of nf_tables that accepts leaves the others to decide.
fn not_translated(firewall: &str) {
    if firewall != "iptables" {
        return;
    }
    let ward = Ward::on(Device::new(), "--firewall iptables --check-every 3600");
    ward.bed.device.run("iptables-legacy -t nat -I POSTROUTING -s 172.16.0.0/12 -j RETURN");
    ward.is(Cause::FILTER_CHANGED, "is not the first rule");
}

fn not_tracked(firewall: &str) {
    let ward = Ward::new(firewall);
    hook(&ward.bed.device, "filter", "prerouting", -300, "iifname vm_wlan* notrack");
    ward.is(Cause::NOT_TRACKED, "");
}

fn lockdown(firewall: &str) {
    let ward = Ward::empty(Device::new(), &format!("--firewall {firewall}"));
    let stopped = GuestConfig { vpnPolicy: VpnPolicy::BLOCK_UNDER_LOCKDOWN, ..config("demo") };
    ward.bed.attach_as(&stopped, &by_pid(ward.guest.pid()));
    let rule = "pref 12500 fwmark 0x0/0x20000 iif lo uidrange 0-99999 prohibit";
    ward.bed.device.run(&format!("ip rule add {rule}"));
    eventually("it is stopped", || ward.diagnose().cause != Cause::HEALTHY);
    ward.is(Cause::LOCKDOWN, "");
}

fn a_vpn_captures(firewall: &str) {
    let ward = Ward::new(firewall);
    let beyond = second_way(&ward.bed.device, "tun7");
    for half in ["0.0.0.0/1", "128.0.0.0/1"] {
        ward.bed.device.run(&format!("ip route add {half} via 198.51.100.1 dev tun7"));
    }
    ward.is(Cause::VPN_CAPTURES, "tun7");
    drop(beyond);
}

fn a_kill_switch(firewall: &str) {
    let ward = Ward::new(firewall);
    vpn(&ward);
    ward.bed.device.run("ip route add 0.0.0.0/1 dev tun7");
    ward.bed.device.run("ip route add 128.0.0.0/1 dev tun7");
    ward.is(Cause::KILL_SWITCH, "tun7");
}

fn a_rule_forbids(firewall: &str) {
    let ward = Ward::new(firewall);
    ward.bed.device.run("ip rule add pref 100 iif vm_wlan blackhole");
    ward.is(Cause::RULE_SHADOWED, "rule 100");
}

/// The new network gives the device the guest's own address.
fn a_subnet_conflict(firewall: &str) {
    let ward = Ward::new(firewall);
    ward.bed.device.run("ip addr add 172.17.3.3/24 dev wlan0");
    ward.is(Cause::SUBNET_CONFLICT, "172.17.3.3");
}

fn a_captive_portal(firewall: &str) {
    let ward = Ward::new(firewall);
    ward.beyond.is_now(Mood::Portal);
    ward.is(Cause::CAPTIVE_PORTAL, "http://192.0.2.1/sign-in");
    ward.beyond.is_now(Mood::Page);
    ward.is(Cause::CAPTIVE_PORTAL, "sign-in");
}

fn no_resolver(firewall: &str) {
    let ward =
        Ward::on(Device::new(), &format!("--firewall {firewall} --resolv-conf /nonexistent"));
    ward.is(Cause::DNS_NONE, "");
}

fn a_silent_resolver(firewall: &str) {
    let ward = Ward::new(firewall);
    ward.beyond.is_now(Mood::Silent);
    ward.is(Cause::DNS_SILENT, "");
}

fn a_resolver_that_refuses(firewall: &str) {
    let ward = Ward::new(firewall);
    ward.beyond.is_now(Mood::Refuses);
    ward.is(Cause::DNS_REFUSED, "");
}

fn a_resolver_elsewhere(firewall: &str) {
    let ward = Ward::new(firewall);
    let beyond = second_way(&ward.bed.device, "tun7");
    let resolver = Beyond::resolver_in(&beyond, "198.51.100.1");
    ward.bed.service.setDns("wlan0", &["198.51.100.1".to_owned()]).expect("setDns");
    ward.is(Cause::DNS_ELSEWHERE, "");
    drop(resolver);
}

fn large_packets_vanish(firewall: &str) {
    let ward = Ward::new(firewall);
    hook(&ward.bed.device.internet, "filter", "prerouting", 0, "ip length > 1430 drop");
    let found = ward.diagnose();
    assert_eq!(found.cause, Cause::MTU_BLACKHOLE, "{}", crate::shown(&found));
    assert_eq!(found.nextStep.as_deref(), Some("guestnetctl update demo --mtu 1420"));
}

/// What leaves a guest has a smaller time to live than what the device sends itself.
const GUESTS: &str = "ip ttl 63";

fn no_checksums(firewall: &str) {
    let ward = Ward::new(firewall);
    let internet = &ward.bed.device.internet;
    hook(internet, "filter", "prerouting", 0, &format!("{GUESTS} udp checksum != 0 drop"));
    hook(internet, "filter", "prerouting", 0, &format!("{GUESTS} meta l4proto tcp drop"));
    ward.is(Cause::TX_CHECKSUM, "");
}

fn no_checksums_of_datagrams(firewall: &str) {
    let ward = Ward::new(firewall);
    let rule = format!("{GUESTS} udp checksum != 0 drop");
    hook(&ward.bed.device.internet, "filter", "prerouting", 0, &rule);
    ward.is(Cause::TX_CHECKSUM, "");
}

fn the_guests_rules_drop_what_it_sends(firewall: &str) {
    let ward = Ward::new(firewall);
    hook(&ward.guest, "filter", "output", 0, "meta l4proto tcp drop");
    ward.is(Cause::GUEST_FIREWALL, "drops its TCP connections");
}

fn the_guests_rules_drop_what_it_is_answered(firewall: &str) {
    let ward = Ward::new(firewall);
    hook(&ward.guest, "filter", "input", 0, "iifname wlan0 drop");
    ward.is(Cause::GUEST_FIREWALL, "answered");
}

fn the_guest_lost_its_address(firewall: &str) {
    let ward = Ward::new(firewall);
    ward.guest.run("ip addr flush dev wlan0");
    ward.is(Cause::GUEST_ADDRESS_LOST, "172.17.3.3");
}

fn the_guest_lost_its_route(firewall: &str) {
    let ward = Ward::new(firewall);
    ward.guest.run("ip route del default");
    ward.is(Cause::GUEST_ROUTE_LOST, "");
}

fn the_guest_has_another_route(firewall: &str) {
    let ward = Ward::new(firewall);
    nowhere(&ward.guest, "vpn0");
    ward.guest.run("ip route add 0.0.0.0/1 dev vpn0");
    ward.guest.run("ip route add 128.0.0.0/1 dev vpn0");
    ward.is(Cause::GUEST_ROUTE_LOST, "");
}

fn the_guests_own_bridge_has_the_gateway(firewall: &str) {
    let ward = Ward::new(firewall);
    nowhere(&ward.guest, "docker0");
    ward.guest.run("ip addr add 172.17.3.1/24 dev docker0");
    ward.is(Cause::GUEST_RESOLVER, "172.17.3.2");
}

fn upstream_is_down(firewall: &str) {
    let ward = Ward::new(firewall);
    hook(&ward.bed.device.internet, "filter", "prerouting", 0, "ip daddr 203.0.113.0/24 drop");
    ward.is(Cause::UPSTREAM_DOWN, "neither");
}

fn upstream_answers_the_device_alone(firewall: &str) {
    let ward = Ward::new(firewall);
    hook(&ward.bed.device.internet, "filter", "prerouting", 0, &format!("{GUESTS} drop"));
    ward.is(Cause::UPSTREAM_DOWN, "not its guests");
    // Carrier of the link is what it was.
    assert!(ward.bed.device.link("vm_wlan").is_some());
}

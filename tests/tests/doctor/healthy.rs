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

//! Nothing is wrong, on devices of many shapes: doctor says so, and nothing else.

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::VpnPolicy::VpnPolicy;
use guestnet_tests::bed::second_way;
use guestnet_tests::client::{by_netns, by_pid, config};
use guestnet_tests::netd::{Variant, Vpn};
use guestnet_tests::{Container, Device, Guest, InNetns, NetdDevice, Probe};

use crate::beyond::{Beyond, Mood};
use crate::broken::{hook, nowhere};
use crate::Ward;

#[test]
fn the_healthy_are_healthy() {
    crate::cases!(
        nftables,
        iptables,
        a_second_guest,
        a_small_mtu,
        a_guest_of_a_small_mtu,
        a_guest_with_a_bridge_of_its_own,
        docker,
        firewalld,
        a_tun_of_its_own,
        another_subnet,
        the_devices_own_resolver,
        the_default_route,
        a_list_of_uplinks,
        a_silent_router,
        hosts_that_answer_no_ping,
        one_host_is_down,
        a_guest_that_lets_nothing_in,
        a_guest_with_a_bridge,
        a_strict_device,
        a_point_to_point_uplink,
        a_page_without_content,
        ipv6_too,
        no_lockdown,
        a_lockdown_that_is_not_for_it,
        no_ipv6_names,
        after_a_restart,
        a_container,
        netd_12,
        netd_13,
        netd_15,
        netd_16,
    );
}

fn nftables() {
    Ward::new("nftables").is_healthy();
}

fn iptables() {
    Ward::new("iptables").is_healthy();
}

fn a_second_guest() {
    let ward = Ward::empty(Device::new(), "--firewall nftables");
    let first = Guest::new();
    ward.bed.attach("first", &first);
    ward.bed.attach("demo", &ward.guest);
    ward.is_healthy();
}

/// An MTU as WireGuard's: larger packets are refused, and the sender is told so.
fn a_small_mtu() {
    let device = Device::new();
    device.run("ip link set wlan0 mtu 1420");
    device.internet.run("ip link set device mtu 1420");
    Ward::on(device, "--firewall iptables").is_healthy();
}

fn a_guest_of_a_small_mtu() {
    let ward = Ward::empty(Device::new(), "");
    ward.bed.attach_as(&GuestConfig { mtu: 1300, ..config("demo") }, &by_pid(ward.guest.pid()));
    ward.is_healthy();
}

fn a_guest_with_a_bridge_of_its_own() {
    let ward = Ward::new("nftables");
    for line in [
        "ip link add br0 type bridge",
        "ip link set wlan0 master br0",
        "ip link set br0 up",
        "ip addr flush dev wlan0",
        "ip addr add 172.17.3.3/16 dev br0",
        "ip route add default via 172.17.3.2",
    ] {
        ward.guest.run(line);
    }
    ward.guest.wait_until_up("br0");
    ward.is_healthy();
}

/// Its chains, and what its documentation says that others are to do.
fn docker() {
    let device = Device::new();
    for line in [
        "-P FORWARD DROP",
        "-N DOCKER-USER",
        "-A FORWARD -j DOCKER-USER",
        "-A DOCKER-USER -i vm_wlan+ -j ACCEPT",
        "-A DOCKER-USER -o vm_wlan+ -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
        "-t nat -A POSTROUTING -s 172.18.0.0/16 ! -o docker0 -j MASQUERADE",
    ] {
        device.run(&format!("iptables-legacy {line}"));
    }
    Ward::on(device, "--firewall iptables").is_healthy();
}

/// A chain that rejects in the end, and lets guests through before.
fn firewalld() {
    let device = Device::new();
    hook(&device, "filter", "forward", 10, "ct state established,related accept");
    hook(&device, "filter", "forward", 10, "iifname vm_wlan* accept");
    hook(&device, "filter", "forward", 10, "reject");
    Ward::on(device, "--firewall nftables").is_healthy();
}

fn a_tun_of_its_own() {
    let device = Device::new();
    let far = second_way(&device, "tun0");
    let servers = Beyond::behind(&far);
    let ward = Ward::empty(device, "--dns 198.51.100.1 --resolv-conf /nonexistent");
    let policy = VpnPolicy::NAMED_TUN;
    let tun = GuestConfig { vpnPolicy: policy, uplink: Some("tun0".to_owned()), ..config("demo") };
    ward.bed.attach_as(&tun, &by_pid(ward.guest.pid()));
    ward.is_healthy();
    drop(servers);
}

fn another_subnet() {
    let ward = Ward::empty(Device::new(), "");
    let elsewhere =
        GuestConfig { gateway: "10.77.0.1".to_owned(), prefixLength: 24, ..config("demo") };
    ward.bed.attach_as(&elsewhere, &by_netns(ward.guest.open_netns()));
    ward.is_healthy();
}

fn the_devices_own_resolver() {
    let ward = Ward::empty(Device::new(), "--resolv-conf /nonexistent");
    let resolver = Beyond::resolver_in(&ward.bed.device, "0.0.0.0");
    ward.bed.attach("demo", &ward.guest);
    ward.is_healthy();
    drop(resolver);
}

fn the_default_route() {
    Ward::on(Device::new(), "--uplink default").is_healthy();
}

fn a_list_of_uplinks() {
    Ward::on(Device::new(), "--uplink rmnet*,wlan0").is_healthy();
}

fn a_silent_router() {
    let ward = Ward::new("nftables");
    let rule = "ip daddr 192.0.2.1 icmp type echo-request drop";
    hook(&ward.bed.device.internet, "filter", "input", 0, rule);
    ward.is_healthy();
}

fn hosts_that_answer_no_ping() {
    let ward = Ward::new("nftables");
    hook(&ward.bed.device.internet, "filter", "input", 0, "icmp type echo-request drop");
    ward.is_healthy();
}

fn one_host_is_down() {
    let ward = Ward::new("nftables");
    hook(&ward.bed.device.internet, "filter", "input", 0, "ip daddr 203.0.113.81 drop");
    ward.is_healthy();
}

fn a_guest_that_lets_nothing_in() {
    let ward = Ward::new("nftables");
    hook(&ward.guest, "filter", "input", 0, "ct state established accept");
    hook(&ward.guest, "filter", "input", 0, "iifname wlan0 drop");
    ward.is_healthy();
}

fn a_guest_with_a_bridge() {
    let ward = Ward::new("iptables");
    nowhere(&ward.guest, "docker0");
    ward.guest.run("ip addr add 172.18.0.1/16 dev docker0");
    ward.is_healthy();
}

fn a_strict_device() {
    let device = Device::new();
    device.set_sysctl("net/ipv4/conf/all/rp_filter", "1");
    Ward::on(device, "--firewall nftables").is_healthy();
}

/// As PPP has it: no router is named.
fn a_point_to_point_uplink() {
    let device = Device::new();
    device.run("ip addr flush dev wlan0");
    device.run("ip addr add 192.0.2.2 peer 192.0.2.1/32 dev wlan0");
    device.run("ip route add default dev wlan0");
    device.internet.set_sysctl("net/ipv4/conf/device/proxy_arp", "1");
    for host in crate::HOSTS {
        device.run(&format!("ip neigh replace {host} dev wlan0 lladdr {}", far_mac(&device)));
    }
    Ward::on(device, "--firewall nftables").is_healthy();
}

fn far_mac(device: &Device) -> String {
    let link = device.internet.link("device").expect("the far end");
    link["address"].as_str().expect("its MAC").to_owned()
}

fn a_page_without_content() {
    let ward = Ward::new("nftables");
    ward.beyond.is_now(Mood::Empty);
    ward.is_healthy();
}

fn ipv6_too() {
    Ward::on(Device::options().ipv6().build(), "--firewall iptables").is_healthy();
}

fn blocked_under_lockdown() -> GuestConfig {
    GuestConfig { vpnPolicy: VpnPolicy::BLOCK_UNDER_LOCKDOWN, ..config("demo") }
}

fn no_lockdown() {
    let ward = Ward::empty(Device::new(), "");
    ward.bed.attach_as(&blocked_under_lockdown(), &by_pid(ward.guest.pid()));
    ward.is_healthy();
}

fn a_lockdown_that_is_not_for_it() {
    let ward = Ward::on_netd(NetdDevice::new(), "");
    ward.bed.device.vpn_up("tun0");
    ward.bed.device.lockdown(true);
    ward.is_healthy();
}

fn no_ipv6_names() {
    let ward = Ward::new("nftables");
    ward.beyond.is_now(Mood::NoAaaa);
    ward.is_healthy();
}

fn after_a_restart() {
    let mut ward = Ward::new("iptables");
    ward.bed.daemon.kill();
    ward.bed.start();
    ward.is_healthy();
}

fn a_container() {
    let ward = Ward::empty(Device::new(), "");
    let container = Container::new(&ward.bed.device);
    container.config("lxc.net.0.type = empty");
    container.start().expect("a container");
    let pid = container.pid().expect("its init");
    ward.bed.attach_as(&config("demo"), &by_pid(pid));
    ward.is_healthy();
    container.stop();
}

fn netd_12() {
    let ward = Ward::on_netd(NetdDevice::of(Variant::Android12), "");
    ward.bed.device.vpn_up("tun0");
    ward.bed.device.lockdown(true);
    ward.is_healthy();
}

fn netd_13() {
    let ward = Ward::on_netd(NetdDevice::of(Variant::Android13), "--uplink default");
    ward.bed.device.bypassable_vpn_up("tun0");
    ward.is_healthy();
}

fn netd_15() {
    let ward = Ward::on_netd(NetdDevice::of(Variant::Android15), "");
    ward.bed.device.add_local_network("thread0", "172.31.0.2/24");
    ward.bed.device.hotspot(true);
    ward.is_healthy();
}

fn netd_16() {
    let ward = Ward::on_netd(NetdDevice::of(Variant::Android16), "");
    let application = "10100-10100";
    ward.bed.device.vpn_up_for("tun0", Vpn::Secure, application);
    ward.bed.device.connect("rmnet0", NetdDevice::RMNET0);
    ward.bed.device.prefer("rmnet0", application);
    ward.bed.device.hotspot(true);
    ward.is_healthy();
}

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

//! Clients of other makes. tests/run installs them; the virtual device has not all.

use std::io::Write;
use std::path::Path;

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use guestnet_tests::bed::{eventually, Bed};
use guestnet_tests::client::config;
use guestnet_tests::{Guest, InNetns, Internet, Probe};

use crate::scene::{forget, script, Client};

/// Whether a program is there. It has to be, but on the virtual device, whose tests are over kernel Binder: there the
/// test is skipped, and says so.
fn there(path: &str) -> bool {
    let there = Path::new(path).exists();
    if !there {
        let on_virtual_device = std::env::var_os("GUESTNET_LISTEN").is_some();
        assert!(on_virtual_device, "there is no {path}: tests/run installs it");
        let name = std::thread::current().name().unwrap_or("?").to_owned();
        let _ = writeln!(std::io::stderr(), "SKIPPED {name}: there is no {path}");
    }
    there
}

fn moved(bed: &Bed, address: &str) {
    let to = GuestConfig { addresses: vec![address.to_owned()], ..config("box") };
    bed.service.update("box", &to).expect("update");
}

/// What a guest's end has, as the kernel says it.
fn addresses(guest: &Guest) -> String {
    guest.run("ip -4 -o addr show dev wlan0")
}

const DHCLIENT: &str = r#"#!/bin/sh
case $reason in
BOUND | RENEW | REBIND | REBOOT)
    ip addr flush dev $interface
    ip addr add $new_ip_address/$new_subnet_mask dev $interface
    ip route add default via $new_routers dev $interface
    echo "$reason $new_ip_address $new_subnet_mask $new_routers $new_domain_name_servers" \
        "$new_interface_mtu $new_dhcp_lease_time $new_classless"
    ;;
esac
"#;

#[test]
fn dhclient_gets_what_was_attached_and_takes_it_up_again() {
    if !there("/sbin/dhclient") {
        return;
    }
    let bed = Bed::new("nftables");
    bed.attach("box", &bed.guest);
    forget(&bed.guest);
    let files = tempfile::tempdir().expect("a folder");
    let file = |name: &str| files.path().join(name).display().to_string();
    let text = "option classless code 121 = array of unsigned integer 8;\n\
                request routers, subnet-mask, interface-mtu, domain-name-servers, classless;\n";
    std::fs::write(file("conf"), text).expect("its configuration");
    let run = || {
        let folder = tempfile::tempdir().expect("a folder");
        let script = script(&folder, "told", DHCLIENT);
        let line = format!(
            "dhclient -4 -d -1 -q -sf {} -cf {} -lf {} -pf {} wlan0",
            script.display(),
            file("conf"),
            file("leases"),
            file("pid")
        );
        Client::run(&bed.guest, &line, folder)
    };
    let lease = "172.17.3.3 255.255.0.0 172.17.3.2 172.17.3.2 1500 3600 0 172 17 3 2";
    let client = run();
    assert_eq!(client.told(), format!("BOUND {lease}"));
    assert_eq!(bed.guest.tcp(Internet::TCP, "hello").expect("internet"), "192.0.2.2 hello");
    drop(client);
    // On a busy machine its patience may end before the answer: then it begins with DISCOVER.
    let mut told = (0..5).map(|_| run().told());
    assert!(told.any(|told| told == format!("REBOOT {lease}")), "INIT-REBOOT");
    // It has another address when it comes back: it is refused the old one, and gets the new one.
    moved(&bed, "172.17.9.9");
    assert!(run().told().starts_with("BOUND 172.17.9.9 255.255.0.0 172.17.3.2"));
}

const DHCPCD: &str = r#"#!/bin/sh
case $reason in
BOUND | RENEW | REBIND | REBOOT)
    echo "$reason $new_ip_address/$new_subnet_cidr $new_routers $new_domain_name_servers $new_interface_mtu"
    ;;
esac
"#;

#[test]
fn dhcpcd_follows_another_address_by_its_carrier() {
    if !there("/usr/sbin/dhcpcd") {
        return;
    }
    let bed = Bed::new("nftables");
    bed.attach("box", &bed.guest);
    forget(&bed.guest);
    let folder = tempfile::tempdir().expect("a folder");
    let told = script(&folder, "told", DHCPCD);
    let conf = folder.path().join("conf");
    std::fs::write(&conf, "option interface_mtu, domain_name_servers\nnoarp\n").expect("conf");
    // With files of its own where it keeps them.
    let text = format!(
        "#!/bin/sh\nset -e\nmount -t tmpfs none /run\nmount -t tmpfs none /var/lib/dhcpcd\n\
         exec dhcpcd -4 -B -q -f {} -c {} wlan0\n",
        conf.display(),
        told.display()
    );
    let run = script(&folder, "run", &text);
    let client = Client::run(&bed.guest, &format!("unshare -m {}", run.display()), folder);
    assert_eq!(client.told(), "BOUND 172.17.3.3/16 172.17.3.2 172.17.3.2 1500");
    eventually("internet", || bed.guest.tcp(Internet::TCP, "hello").is_ok());
    moved(&bed, "172.17.9.9");
    assert_eq!(client.told(), "BOUND 172.17.9.9/16 172.17.3.2 172.17.3.2 1500");
    eventually("internet", || bed.guest.tcp(Internet::TCP, "hello").is_ok());
    assert!(!addresses(&bed.guest).contains("172.17.3.3/16"));
}

#[test]
fn networkd_follows_another_address_by_its_carrier() {
    const NETWORKD: &str = "/lib/systemd/systemd-networkd";
    if !there(NETWORKD) {
        return;
    }
    let bed = Bed::new("nftables");
    bed.attach("box", &bed.guest);
    forget(&bed.guest);
    let folder = tempfile::tempdir().expect("a folder");
    let network = "[Match]\nName=wlan0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n\
                   [DHCPv4]\nUseHostname=no\n";
    std::fs::write(folder.path().join("wlan0.network"), network).expect("its configuration");
    // /sys is read-only where no udev is to be waited for, as in a container.
    let text = format!(
        "#!/bin/sh\nset -e\nmount -t tmpfs none /run\nmount -t sysfs -o ro none /sys\n\
         mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases\n\
         chmod -R a+rwX /run/systemd\ncp {}/wlan0.network /run/systemd/network\n\
         chmod a+r /run/systemd/network/wlan0.network\nexec {NETWORKD}\n",
        folder.path().display()
    );
    let script = script(&folder, "run", &text);
    let _client = Client::run(&bed.guest, &format!("unshare -m {}", script.display()), folder);
    // What a lease gives ends with it; what attach and update set has no end.
    let leased = |address: &str| {
        let has = addresses(&bed.guest);
        has.lines().any(|line| line.contains(address) && line.contains("dynamic"))
    };
    eventually("its address", || leased("172.17.3.3/16"));
    eventually("internet", || bed.guest.tcp(Internet::TCP, "hello").is_ok());
    moved(&bed, "172.17.9.9");
    eventually("its new address", || leased("172.17.9.9/16"));
    eventually("internet", || bed.guest.tcp(Internet::TCP, "hello").is_ok());
}

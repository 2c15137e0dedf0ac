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

//! Guests: attach, list, show.

use super::look::Look;
use super::table::{Align, Align::Left, Align::Right, Table};
use super::{timeline, units};
use crate::names::Name;
use crate::resolv_conf::Done;
use crate::vpn;
use android_system_guestnet::aidl::android::system::guestnet::{
    Dhcp::Dhcp, DhcpCounters::DhcpCounters, DnsCounters::DnsCounters, DnsMode::DnsMode,
    Guest::Guest, GuestState::GuestState,
};

/// A guest in one line, without a newline.
pub fn line(guest: &Guest) -> String {
    format!(
        "{}: {} {} behind {}, default via {}",
        guest.name,
        guest.interfaceName,
        guest.addresses.join(" "),
        guest.hostInterface,
        guest.gateway
    )
}

/// Both of its ends, without its name and without a newline.
pub fn ends(guest: &Guest) -> String {
    format!(
        "{} {} behind {}, default via {}, MTU {}",
        guest.interfaceName,
        guest.addresses.join(" "),
        guest.hostInterface,
        guest.gateway,
        guest.mtu
    )
}

/// What attach did and how long it took; if wanted, with every step.
pub fn attached(guest: &Guest, timeline: bool, look: Look) -> String {
    let line = line(guest);
    match timeline::total(&guest.timeline) {
        0 => format!("{line}\n"),
        total if timeline => {
            format!("{line} ({})\n{}", units::micros(total), timeline::text(&guest.timeline, look))
        }
        total => format!("{line} ({})\n", units::micros(total)),
    }
}

/// Who answers for names, and what the guest still has to do about it.
pub fn names(guest: &Guest, file: Option<&Done>, look: Look) -> String {
    let gateway = &guest.gateway;
    if let Some(other) = &guest.gatewayShadowedBy {
        let text = format!(
            "the guest's own {} takes its way to {gateway}, where its names are resolved; in the guest: \
             ip route add {gateway}/32 dev {}",
            other.escape_debug(),
            guest.interfaceName
        );
        return look.wrap("names: ", 4, &text);
    }
    match file {
        Some(Done { path, left: None }) => {
            format!("names: {} says nameserver {gateway}\n", path.display())
        }
        // What was left is said elsewhere.
        Some(_) => String::new(),
        None => format!("names: the guest's resolv.conf has to say: nameserver {gateway}\n"),
    }
}

/// A column of the table: its head, its side, and what a guest has there.
type Column = (&'static str, Align, fn(&Guest) -> String);

const COLUMNS: [Column; 11] = [
    ("NAME", Left, |guest| guest.name.clone()),
    ("STATE", Left, |guest| guest.state.words()),
    ("INTERFACE", Left, |guest| guest.interfaceName.clone()),
    ("ADDRESS", Left, |guest| guest.addresses.join(" ")),
    ("GATEWAY", Left, |guest| guest.gateway.clone()),
    ("BEHIND", Left, |guest| guest.hostInterface.clone()),
    ("MTU", Right, |guest| guest.mtu.to_string()),
    ("SENT", Right, |guest| traffic(guest.rxBytes)),
    ("RECEIVED", Right, |guest| traffic(guest.txBytes)),
    ("DROPPED", Right, |guest| dropped(guest.droppedPackets)),
    ("MAC", Left, |guest| guest.mac.clone()),
];
/// One more, where some guest is on a segment.
const SEGMENT: Column = ("SEGMENT", Left, |guest| guest.segment.clone().unwrap_or_default());
/// Those that are left out where there is no room, the first one first; `show` has them.
const SPARE: [&str; 9] =
    ["MAC", "GATEWAY", "MTU", "DROPPED", "INTERFACE", "BEHIND", "RECEIVED", "SENT", "ADDRESS"];

/// A line for each guest, in as many columns as there is room for.
pub fn table(guests: &[Guest], look: Look) -> String {
    if guests.is_empty() {
        return "no guest is attached\n".to_owned();
    }
    let (unknown, known): (Vec<_>, Vec<_>) =
        guests.iter().partition(|guest| guest.state == GuestState::NOT_ADOPTED);
    let mut columns = COLUMNS.to_vec();
    if known.iter().any(|guest| guest.segment.is_some()) {
        columns.push(SEGMENT);
    }
    let mut spare = SPARE.iter();
    let mut text = rows(&known, &columns);
    while text.lines().any(|line| line.chars().count() > look.columns) {
        let Some(name) = spare.next() else { break };
        columns.retain(|(head, ..)| head != name);
        text = rows(&known, &columns);
    }
    text + &unknown.into_iter().map(|link| unadopted(link, look)).collect::<String>()
}

fn rows(guests: &[&Guest], columns: &[Column]) -> String {
    if guests.is_empty() {
        return String::new();
    }
    let mut table = Table::new(columns.iter().map(|(_, align, _)| *align));
    table.row(columns.iter().map(|(head, ..)| *head));
    for guest in guests {
        table.row(columns.iter().map(|(.., cell)| cell(guest)));
    }
    table.text()
}

fn unadopted(link: &Guest, look: Look) -> String {
    let name = &link.name;
    let text = format!(
        "has guestnetd's marks and belongs to no guest it knows: guestnetctl detach {name} removes it"
    );
    look.wrap(&format!("{name} "), 4, &text)
}

/// Packets of a guest's that were dropped.
fn dropped(packets: i64) -> String {
    match packets {
        ..=-1 => "-".to_owned(),
        some => some.to_string(),
    }
}

fn traffic(bytes: i64) -> String {
    if bytes < 0 {
        "-".to_owned()
    } else {
        units::bytes(bytes)
    }
}

/// Everything about one guest.
pub fn details(guest: &Guest, look: Look) -> String {
    let mut table = Table::new([Left, Left]);
    table.row(["name", &guest.name]);
    table.row(["state", &guest.state.words()]);
    let queues = Some(guest.queues).filter(|queues| *queues != 1);
    let queues = queues.map(|queues| format!(", {queues} queues")).unwrap_or_default();
    table.row(["kind", &(guest.kind.words() + &queues)]);
    if let Some(segment) = &guest.segment {
        table.row(["segment", segment]);
    }
    table.row(["interface", &guest.interfaceName]);
    table.row(["address", &guest.addresses.join(" ")]);
    table.row(["gateway", &guest.gateway]);
    table.row(["mac", &guest.mac]);
    table.row(["mtu", &guest.mtu.to_string()]);
    table.row(["under a VPN", &vpn::words(guest)]);
    if guest.keep {
        table.row(["kept", "what it loses of its own side is put back"]);
    }
    table.row(["dhcp", &dhcp(guest)]);
    table.row(["names", &questions(guest)]);
    table.row(["behind", &format!("{} (index {})", guest.hostInterface, guest.hostInterfaceIndex)]);
    if guest.rxBytes >= 0 {
        let amount =
            |bytes, packets| format!("{} in {}", units::bytes(bytes), units::packets(packets));
        table.row(["sent", &amount(guest.rxBytes, guest.rxPackets)]);
        table.row(["received", &amount(guest.txBytes, guest.txPackets)]);
    }
    if guest.droppedPackets >= 0 {
        table.row(["dropped", &units::packets(guest.droppedPackets)]);
    }
    table.row(["slot", &guest.slot.to_string()]);
    table.row(["attached", &units::date(guest.attachedAtMillis)]);
    table.row(["by uid", &guest.ownerUid.to_string()]);
    table.row(["took", &units::micros(timeline::total(&guest.timeline))]);
    table.text() + &timeline::text(&guest.timeline, look)
}

/// Whether its DHCP clients are answered, and how often they were.
fn dhcp(guest: &Guest) -> String {
    let DhcpCounters { offers, acks, naks, refused } = guest.dhcpCounters;
    match (guest.dhcp, offers + acks + naks + refused) {
        (Dhcp::OFF, _) => "off".to_owned(),
        (_, 0) => "auto, not asked".to_owned(),
        _ => {
            let of = |number: i64, what| units::counted(number, what);
            let (offers, acks, naks) = (of(offers, "offer"), of(acks, "ack"), of(naks, "nak"));
            format!("auto, {offers}, {acks}, {naks}, {refused} refused")
        }
    }
}

/// Who answers its questions for names, and what became of them where guestnetd does.
fn questions(guest: &Guest) -> String {
    let DnsCounters { asked, answered, failed, refused, odd } = guest.dnsCounters;
    let mode = match guest.dns {
        DnsMode::SERVERS => guest.dnsServers.join(" "),
        mode => mode.name().to_owned(),
    };
    match asked + odd {
        0 => mode,
        _ => format!(
            "{mode}, {asked} asked, {answered} answered, {failed} failed, {refused} refused, {odd} odd"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn one_line_of_what_was_done() {
        let line = "demo: wlan0 172.17.3.3/16 behind vm_wlan, default via 172.17.3.2";
        let mut guest = samples::guest();
        assert_eq!(attached(&guest, false, Look::PLAIN), format!("{line} (1.3 ms)\n"));
        let with_steps = attached(&guest, true, Look::PLAIN);
        assert!(with_steps.starts_with(&format!("{line} (1.3 ms)\n     0 us")), "{with_steps}");
        assert_eq!(with_steps.lines().count(), 4);
        guest.timeline.clear();
        assert_eq!(attached(&guest, true, Look::PLAIN), format!("{line}\n"));
    }

    #[test]
    fn who_answers_for_names_is_said_once() {
        let guest = samples::guest();
        let shown = names(&guest, None, Look::PLAIN);
        assert_eq!(shown, "names: the guest's resolv.conf has to say: nameserver 172.17.3.2\n");
        let hidden = Guest { gatewayShadowedBy: Some("docker0".to_owned()), ..samples::guest() };
        assert_eq!(
            names(&hidden, None, Look::PLAIN),
            "names: the guest's own docker0 takes its way to 172.17.3.2, where its names are\n    \
             resolved; in the guest: ip route add 172.17.3.2/32 dev wlan0\n"
        );
        let done = |left: Option<&str>| Done {
            path: "/etc/resolv.conf".into(),
            left: left.map(str::to_owned),
        };
        let shown = names(&guest, Some(&done(None)), Look::PLAIN);
        assert_eq!(shown, "names: /etc/resolv.conf says nameserver 172.17.3.2\n");
        assert_eq!(names(&guest, Some(&done(Some("it is another's"))), Look::PLAIN), "");
    }

    #[test]
    fn a_line_for_each_guest() {
        let mut cam = samples::guest();
        cam.name = "camera-2".to_owned();
        cam.state = GuestState::WAITING_FOR_UPLINK;
        cam.addresses = vec!["172.17.3.14/16".to_owned()];
        cam.hostInterface = "vm_wlan11".to_owned();
        cam.mtu = 576;
        let demo = Guest { rxBytes: 2048, txBytes: 1000, droppedPackets: 12, ..samples::guest() };
        let left = Guest {
            name: "vm_wlan7".to_owned(),
            state: GuestState::NOT_ADOPTED,
            ..Guest::default()
        };
        let guests = [cam, demo, left];
        assert_eq!(
            table(&guests, Look::PLAIN),
            "\
NAME      STATE               INTERFACE  ADDRESS         GATEWAY     BEHIND      MTU     SENT  RECEIVED  DROPPED  MAC
camera-2  waiting for uplink  wlan0      172.17.3.14/16  172.17.3.2  vm_wlan11   576        -         -        -  02:67:6e:01:02:03
demo      attached            wlan0      172.17.3.3/16   172.17.3.2  vm_wlan    1500  2.0 KiB    1000 B       12  02:67:6e:01:02:03
vm_wlan7 has guestnetd's marks and belongs to no guest it knows: guestnetctl
    detach vm_wlan7 removes it
"
        );
        assert_eq!(
            table(&guests[..2], Look::PLAIN.on_terminal(80)),
            "\
NAME      STATE               ADDRESS         BEHIND        SENT  RECEIVED
camera-2  waiting for uplink  172.17.3.14/16  vm_wlan11        -         -
demo      attached            172.17.3.3/16   vm_wlan    2.0 KiB    1000 B
"
        );
        assert_eq!(
            table(&guests[..2], Look::PLAIN.on_terminal(40)),
            "\
NAME      STATE
camera-2  waiting for uplink
demo      attached
"
        );
        assert_eq!(table(&[], Look::PLAIN), "no guest is attached\n");
    }

    #[test]
    fn everything_about_one() {
        let text = details(&samples::guest(), Look::PLAIN);
        assert_eq!(
            text.lines().take(16).map(|line| format!("{line}\n")).collect::<String>(),
            "\
name         demo
state        attached
kind         veth
interface    wlan0
address      172.17.3.3/16
gateway      172.17.3.2
mac          02:67:6e:01:02:03
mtu          1500
under a VPN  leaves via the uplink
dhcp         auto, not asked
names        auto
behind       vm_wlan (index 7)
slot         0
attached     2026-11-23 18:21:59 UTC
by uid       0
took         1.3 ms
"
        );
        assert_eq!(text.lines().count(), 19);
        let mut asked = samples::guest();
        asked.dhcpCounters = DhcpCounters { offers: 1, acks: 2, naks: 0, refused: 3 };
        assert_eq!(dhcp(&asked), "auto, 1 offer, 2 acks, 0 naks, 3 refused");
        asked.dhcp = Dhcp::OFF;
        assert_eq!(dhcp(&asked), "off");
        let (asked, answered, failed, refused, odd) = (9, 6, 1, 2, 3);
        let counters = DnsCounters { asked, answered, failed, refused, odd };
        let servers = ["192.0.2.53", "2001:db8::53"].map(str::to_owned).to_vec();
        let busy = Guest {
            dns: DnsMode::SERVERS,
            dnsServers: servers,
            dnsCounters: counters,
            ..samples::guest()
        };
        let counted = "9 asked, 6 answered, 1 failed, 2 refused, 3 odd";
        assert_eq!(questions(&busy), format!("192.0.2.53 2001:db8::53, {counted}"));
    }
}

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

//! Why guests have, or have not, internet.

use super::look::Look;
use super::{guest as guests, layers, units};
use crate::{verdict, vpn};
use android_system_guestnet::aidl::android::system::guestnet::{
    Guest::Guest, GuestStatus::GuestStatus, LayerState::LayerState, LayerStatus::LayerStatus,
    Status::Status, VpnPolicy::VpnPolicy,
};

/// The verdicts first, then why. One guest: all its layers. Several: what they share, then the
/// layers of their own of those that have a fault there.
pub fn text(status: &Status, look: Look) -> String {
    let dropped = dropped(status.droppedPackets);
    match status.guests.as_slice() {
        [] => {
            let way = verdict::way(&status.uplink);
            let words = verdict::words(status.verdict, status.reason.as_ref(), way);
            let layers = layers::text(&status.device, look);
            look.wrap("device: ", 4, &words) + &layers + &dropped + "no guest is attached\n"
        }
        [of] => {
            let layers = layers::text(&of.layers, look);
            verdict_line(status, of, look) + &facts(of, look) + &layers + &dropped
        }
        several => {
            let verdicts: String =
                several.iter().map(|of| verdict_line(status, of, look)).collect();
            let device = format!("device\n{}", layers::text(&status.device, look));
            let faults = several.iter().map(|of| of_its_own(status, of, look));
            verdicts + &device + &dropped + &faults.collect::<String>()
        }
    }
}

/// Nothing where none were dropped, or the packet filter cannot be read.
fn dropped(packets: i64) -> String {
    match packets {
        ..=0 => String::new(),
        some => format!("guestnetd's rules have dropped {} of guests\n", units::packets(some)),
    }
}

fn verdict_line(status: &Status, of: &GuestStatus, look: Look) -> String {
    let way = of.guest.uplink.as_deref().unwrap_or_else(|| verdict::way(&status.uplink));
    let words = verdict::words(of.verdict, of.reason.as_ref(), way);
    look.wrap(&format!("{}: ", of.guest.name), 4, &words)
}

/// What the guest has and what went through it.
fn facts(of: &GuestStatus, look: Look) -> String {
    let (sent, received) = (units::bytes(of.rxBytes), units::bytes(of.txBytes));
    let (out, into) = (units::packets(of.rxPackets), units::packets(of.txPackets));
    let mut traffic = format!("sent {sent} in {out}, received {received} in {into}");
    if of.droppedPackets > 0 {
        traffic += &format!("; {} dropped", units::packets(of.droppedPackets));
    }
    let line = |text: &str| look.wrap("  ", 4, text);
    line(&guests::ends(&of.guest))
        + &policy(&of.guest).map(|text| line(&text)).unwrap_or_default()
        + &line(&traffic)
}

/// Nothing for what nearly all guests have.
fn policy(guest: &Guest) -> Option<String> {
    (guest.vpnPolicy != VpnPolicy::FOLLOW_UPLINK).then(|| vpn::words(guest))
}

/// The layers that it does not share, if one of them is not ok.
fn of_its_own(status: &Status, of: &GuestStatus, look: Look) -> String {
    let facts_of = |l: &LayerStatus| (l.layer, l.state, l.cause, l.text.clone());
    let shared = |l: &LayerStatus| status.device.iter().any(|d| facts_of(d) == facts_of(l));
    let own: Vec<&LayerStatus> = of.layers.iter().filter(|l| !shared(l)).collect();
    if own.iter().all(|l| l.state == LayerState::OK) {
        return String::new();
    }
    format!("{}\n{}", of.guest.name, facts(of, look)) + &layers::text(own, look)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use android_system_guestnet::aidl::android::system::guestnet::{
        Cause::Cause, Layer::Layer, Verdict::Verdict,
    };

    #[track_caller]
    fn fits_one_screen(text: &str) {
        assert!(text.lines().count() <= 24, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_guest_that_has_internet() {
        let shown = text(&samples::well(), Look::PLAIN);
        assert_eq!(
            shown,
            "\
demo: internet via wlan0
  wlan0 172.17.3.3/16 behind vm_wlan, default via 172.17.3.2, MTU 1500
  sent 2.0 KiB in 20 packets, received 1000 B in 1 packet; 12 packets dropped
  ok    link        vm_wlan and the guest's wlan0 are up
  ok    address     172.17.3.2/16 here; 172.17.3.3/16 was set in the guest
  ok    route       172.17.3.3/32 dev vm_wlan; default via 172.17.3.2 was set in
                    the guest
  ok    rule        from 172.17.0.0/16 lookup 1021
  ok    forwarding  net.ipv4.ip_forward is 1
  ok    firewall    iptables rules in place
  ok    nat         masquerade via wlan0
  ok    dns         192.0.2.53, behind wlan0
  ok    uplink      wlan0 192.0.2.7, MTU 1500
"
        );
        fits_one_screen(&shown);
    }

    #[test]
    fn a_guest_whose_uplink_is_down() {
        let mut status = samples::well();
        let nothing = "no uplink, so nothing is forwarded";
        samples::set(&mut status, Layer::NAT, LayerState::WAITING, Cause::NO_CARRIER, nothing);
        let down = "wlan0 is down or has no carrier";
        samples::set(&mut status, Layer::UPLINK, LayerState::WAITING, Cause::NO_CARRIER, down);
        samples::judge(&mut status, Verdict::WAITING, Layer::UPLINK);
        let shown = text(&status, Look::PLAIN);
        let expected = "demo: no internet: uplink: wlan0 is down or has no carrier\n";
        assert!(shown.starts_with(expected), "{shown}");
        let expected = "  wait  nat         no uplink, so nothing is forwarded (no_carrier)\n";
        assert!(shown.contains(expected), "{shown}");
        let expected = "  wait  uplink      wlan0 is down or has no carrier (no_carrier)\n";
        assert!(shown.ends_with(expected), "{shown}");
        fits_one_screen(&shown);
    }

    #[test]
    fn every_layer_at_its_worst_still_fits() {
        let mut status = samples::well();
        status.guests[0].guest.name = "n".repeat(63);
        status.guests[0].guest.interfaceName = "fifteen-bytes-x".to_owned();
        status.guests[0].guest.vpnPolicy = VpnPolicy::NAMED_TUN;
        status.guests[0].guest.uplink = Some("fifteen-bytes-y".to_owned());
        let cause = "the state of this layer is not as it should be for some reason";
        let step = "do this and do that, and then see whether it has become better";
        for layer in Layer::enum_values() {
            samples::set(&mut status, layer, LayerState::OK, Cause::HEALTHY, "as it should be");
        }
        for layer in [Layer::ROUTE, Layer::FIREWALL, Layer::NAT, Layer::UPLINK] {
            samples::set(
                &mut status,
                layer,
                LayerState::BAD,
                Cause::DEFAULT_ROUTE_ELSEWHERE,
                cause,
            );
        }
        samples::judge(&mut status, Verdict::NO_INTERNET, Layer::ROUTE);
        let layers = status.guests[0].layers.iter_mut();
        for layer in layers.filter(|l| l.layer == Layer::ROUTE || l.layer == Layer::NAT) {
            layer.nextStep = Some(format!("{step}, {:?}", layer.layer));
        }
        let shown = text(&status, Look::PLAIN);
        assert!(shown.contains("leaves via fifteen-bytes-y only\n"), "{shown}");
        fits_one_screen(&shown);
    }

    #[test]
    fn forty_columns_are_enough() {
        let mut status = samples::well();
        let down = "wlan0 is down or has no carrier";
        samples::set(&mut status, Layer::UPLINK, LayerState::WAITING, Cause::NO_CARRIER, down);
        samples::judge(&mut status, Verdict::WAITING, Layer::UPLINK);
        let shown = text(&status, Look::PLAIN.on_terminal(40));
        assert!(shown.lines().all(|line| line.chars().count() <= 40), "{shown}");
        let last = "\n  wait  uplink      wlan0 is down or has\n        no carrier (no_carrier)\n";
        assert!(shown.ends_with(last), "{shown}");
    }

    #[test]
    fn no_guest_at_all() {
        let mut status = samples::status();
        status.guests.clear();
        assert_eq!(
            text(&status, Look::PLAIN),
            "\
device: no internet: firewall: iptables failed
  ok    forwarding  net.ipv4.ip_forward is 1
  BAD   firewall    iptables failed; tried again in 4 s (filter_program_failed)
  ?     nat         cannot be read: permission denied (unreadable)
  wait  uplink      no interface wlan0 (uplink_missing)
  next  uplink      start guestnetd with --uplink eth0
guestnetd's rules have dropped 12 packets of guests
no guest is attached
"
        );
    }

    #[test]
    fn several_guests_share_the_devices_layers() {
        let mut status = samples::well();
        let [mut lost, well] = [samples::well(), samples::well()];
        let down = "the guest's wlan0 is down";
        samples::set(&mut lost, Layer::LINK, LayerState::BAD, Cause::GUEST_LINK_DOWN, down);
        samples::judge(&mut lost, Verdict::NO_INTERNET, Layer::LINK);
        lost.guests[0].layers[0].nextStep = Some("in the guest: ip link set wlan0 up".to_owned());
        lost.guests[0].guest.name = "lost".to_owned();
        status.guests.extend(lost.guests.into_iter().chain(well.guests));
        assert_eq!(
            text(&status, Look::PLAIN),
            "\
demo: internet via wlan0
lost: no internet: link: the guest's wlan0 is down
demo: internet via wlan0
device
  ok    rule        from 172.17.0.0/16 lookup 1021
  ok    forwarding  net.ipv4.ip_forward is 1
  ok    firewall    iptables rules in place
  ok    nat         masquerade via wlan0
  ok    dns         192.0.2.53, behind wlan0
  ok    uplink      wlan0 192.0.2.7, MTU 1500
lost
  wlan0 172.17.3.3/16 behind vm_wlan, default via 172.17.3.2, MTU 1500
  sent 2.0 KiB in 20 packets, received 1000 B in 1 packet; 12 packets dropped
  BAD   link        the guest's wlan0 is down (guest_link_down)
  ok    address     172.17.3.2/16 here; 172.17.3.3/16 was set in the guest
  ok    route       172.17.3.3/32 dev vm_wlan; default via 172.17.3.2 was set in
                    the guest
  next  link        in the guest: ip link set wlan0 up
"
        );
    }

    #[test]
    fn a_guest_with_a_way_out_of_its_own() {
        let mut status = samples::well();
        status.guests[0].guest.vpnPolicy = VpnPolicy::NAMED_TUN;
        status.guests[0].guest.uplink = Some("tun0".to_owned());
        let shown = text(&status, Look::PLAIN);
        assert!(shown.starts_with("demo: internet via tun0\n  wlan0 172"), "{shown}");
        assert!(shown.contains("\n  leaves via tun0 only\n"), "{shown}");
    }
}

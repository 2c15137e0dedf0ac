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

//! What is known of an uplink, for people.

use super::look::Look;
use crate::names::Name;
use android_system_guestnet::aidl::android::system::guestnet::{
    DnsMode::DnsMode, DnsState::DnsState, GuestDns::GuestDns, Layer::Layer,
    NamedResolvers::NamedResolvers, Status::Status, UplinkInfo::UplinkInfo,
};

/// What is used for it from now on.
pub fn resolvers(uplink: &str, servers: &[String]) -> String {
    match servers {
        [] => format!("{uplink}: no resolvers are named; guestnetd uses what it finds\n"),
        named => servers_of(uplink, named, "also named"),
    }
}

/// What guests ask now, and where that was found; what else is named; and who answers each guest.
pub fn in_use(uplink: &str, status: &Status, state: &DnsState, look: Look) -> String {
    let first = match status.uplink.dnsServers.as_slice() {
        [] => format!("{uplink}: no resolver is known\n"),
        known => servers_of(uplink, known, "then"),
    };
    let layers = status.device.iter().filter(|layer| layer.layer == Layer::DNS);
    let mut text = first;
    text.extend(layers.map(|layer| look.wrap("  ", 2, &layer.text)));
    let others = state.named.iter().filter(|named| named.interfaceName != uplink);
    text.extend(others.map(|NamedResolvers { interfaceName, servers }| {
        let line = format!("named for {interfaceName}: {}", servers.join(", "));
        look.wrap("", 2, &line)
    }));
    text.extend(state.guests.iter().map(|guest| look.wrap("", 2, &answers(guest))));
    text
}

/// Who answers a guest.
fn answers(guest: &GuestDns) -> String {
    let servers = guest.servers.join(", ");
    let by = match (guest.mode, guest.servers.is_empty()) {
        _ if guest.netd => "netd's resolver, asked by guestnetd".to_owned(),
        (_, true) => "nobody to ask".to_owned(),
        (DnsMode::DNAT, _) => format!("{servers}, led there on the way (dnat)"),
        (DnsMode::SERVERS, _) => format!("{servers}, its own, asked by guestnetd (servers)"),
        (mode, _) => format!("{servers}, asked by guestnetd ({})", mode.name()),
    };
    format!("{}: {by}", guest.guest)
}

fn servers_of(uplink: &str, servers: &[String], more: &str) -> String {
    match servers {
        [first, rest @ ..] if !rest.is_empty() => {
            format!("{uplink}: resolver {first}; {more} {}\n", rest.join(", "))
        }
        one => format!("{uplink}: resolver {}\n", one.concat()),
    }
}

/// What guests that ask by DHCP are told of it.
pub fn info(uplink: &str, info: &UplinkInfo) -> String {
    let metered = if info.metered { "metered" } else { "not metered" };
    let portal = match &info.captivePortalUrl {
        Some(url) => format!("captive portal {url}"),
        None => "no captive portal".to_owned(),
    };
    let validated = if info.validated { "validated" } else { "not validated" };
    format!("{uplink}: {metered}, {portal}, {validated}\n")
}

/// What an idle device changes.
pub fn device(idle: bool) -> String {
    match idle {
        true => {
            "the device is idle: what nobody announces is looked for once in an hour\n".to_owned()
        }
        false => {
            "the device is in use: what nobody announces is looked for as --check-every says\n"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use android_system_guestnet::aidl::android::system::guestnet::{
        LayerStatus::LayerStatus, Uplink::Uplink,
    };

    fn list(servers: &str) -> Vec<String> {
        servers.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn none_one_and_more() {
        let text = |servers: &str| resolvers("wlan0", &list(servers));
        assert_eq!(text(""), "wlan0: no resolvers are named; guestnetd uses what it finds\n");
        assert_eq!(text("9.9.9.9"), "wlan0: resolver 9.9.9.9\n");
        assert_eq!(
            text("9.9.9.9 1.1.1.1 8.8.8.8"),
            "wlan0: resolver 9.9.9.9; also named 1.1.1.1, 8.8.8.8\n"
        );
    }

    #[test]
    fn those_in_use_and_where_they_are_from() {
        let text = |servers: &str| {
            let dns = LayerStatus {
                layer: Layer::DNS,
                text: "from /etc/resolv.conf".to_owned(),
                ..LayerStatus::default()
            };
            let uplink = Uplink { dnsServers: list(servers), ..Uplink::default() };
            let status = Status { uplink, device: vec![dns], ..Status::default() };
            in_use("wlan0", &status, &DnsState::default(), Look::PLAIN)
        };
        assert_eq!(text("9.9.9.9"), "wlan0: resolver 9.9.9.9\n  from /etc/resolv.conf\n");
        assert_eq!(text(""), "wlan0: no resolver is known\n  from /etc/resolv.conf\n");
        assert!(text("9.9.9.9 1.1.1.1").starts_with("wlan0: resolver 9.9.9.9; then 1.1.1.1\n"));
    }

    #[test]
    fn all_that_is_named_and_who_answers_each_guest() {
        let named = |name: &str, servers| NamedResolvers {
            interfaceName: name.to_owned(),
            servers: list(servers),
        };
        let guest = |name: &str, mode, servers, netd| GuestDns {
            guest: name.to_owned(),
            mode,
            netd,
            servers: list(servers),
        };
        let state = DnsState {
            named: vec![named("tun0", "10.8.0.1 10.8.0.2"), named("wlan0", "9.9.9.9")],
            guests: vec![
                guest("cam", DnsMode::DNAT, "9.9.9.9", false),
                guest("demo", DnsMode::FORWARD, "", true),
                guest("lab", DnsMode::DNAT, "", false),
                guest("own", DnsMode::SERVERS, "1.1.1.1 2620:fe::fe", false),
                guest("work", DnsMode::FORWARD, "10.8.0.1 10.8.0.2", false),
            ],
        };
        let uplink = Uplink { dnsServers: list("9.9.9.9"), ..Uplink::default() };
        let status = Status { uplink, ..Status::default() };
        assert_eq!(
            in_use("wlan0", &status, &state, Look::PLAIN),
            "\
wlan0: resolver 9.9.9.9
named for tun0: 10.8.0.1, 10.8.0.2
cam: 9.9.9.9, led there on the way (dnat)
demo: netd's resolver, asked by guestnetd
lab: nobody to ask
own: 1.1.1.1, 2620:fe::fe, its own, asked by guestnetd (servers)
work: 10.8.0.1, 10.8.0.2, asked by guestnetd (forward)
"
        );
    }

    #[test]
    fn what_is_known_of_one() {
        let plain = UplinkInfo::default();
        let text = "wlan0: not metered, no captive portal, validated\n";
        assert_eq!(info("wlan0", &plain), text);
        let url = Some("https://portal.test/api".to_owned());
        let known = UplinkInfo { metered: true, captivePortalUrl: url, validated: false };
        let text = "rmnet0: metered, captive portal https://portal.test/api, not validated\n";
        assert_eq!(info("rmnet0", &known), text);
    }
}

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

//! `guestnetctl graph`: guests, their host ends, the ways out and what went through, as a picture. Facts of
//! guestnetd's answers and nothing else. Not on Android, whose trees lack the crate that writes SVG.

mod dot;
mod svg;

#[cfg(test)]
mod recorded;

use crate::cli::Format;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::render::plain::plain;
use crate::render::units;
use android_system_guestnet::aidl::android::system::guestnet::{
    Cause::Cause, Guest::Guest, GuestKind::GuestKind, GuestState::GuestState, IGuestNet::IGuestNet,
    Uplink::Uplink, VpnPolicy::VpnPolicy,
};
use serde_json::json;

/// Asks and draws.
pub fn run(guestnet: &dyn IGuestNet, output: &Output, format: Format) -> Result<Exit, Failure> {
    let graph = Graph::of(&guestnet.list()?, &guestnet.status(None)?.uplink);
    let (name, text) = match format {
        Format::Svg => ("svg", svg::draw(&graph)),
        Format::Dot => ("dot", dot::draw(&graph)),
    };
    if output.is_json() {
        output.answer(|| json!({ "format": name, "text": text }), String::new)?;
    } else {
        crate::output::write(&text)?;
    }
    Ok(Exit::Ok)
}

/// What is drawn: ways out, each with those that leave by it.
#[derive(Debug, PartialEq, Eq)]
struct Graph {
    ways: Vec<Way>,
    /// Links with guestnetd's marks that belong to no guest.
    strays: Vec<String>,
}

/// A way out.
#[derive(Debug, PartialEq, Eq)]
struct Way {
    /// The interface; none: there is no uplink.
    interface: Option<String>,
    /// It is nowhere: whose guests leave via nothing, by their configuration.
    is_none: bool,
    is_tun: bool,
    /// The uplink's address.
    address: String,
    /// Whether traffic passes.
    open: bool,
    nodes: Vec<Node>,
}

/// A guest and its host end.
#[derive(Debug, PartialEq, Eq)]
struct Node {
    name: String,
    /// "wlan0 172.17.3.3/16".
    inside: String,
    host: String,
    /// The gateway's address.
    gateway: String,
    is_tap: bool,
    open: bool,
    traffic: Option<Traffic>,
}

/// As the guest sees it, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Traffic {
    sent: i64,
    received: i64,
}

impl Traffic {
    fn words(self) -> [String; 2] {
        [
            format!("sent {}", units::bytes(self.sent)),
            format!("received {}", units::bytes(self.received)),
        ]
    }
}

impl Way {
    fn title(&self) -> &str {
        let no = if self.is_none { "leave via nothing" } else { "no uplink" };
        self.interface.as_deref().unwrap_or(no)
    }

    fn kind(&self) -> &'static str {
        match (self.is_tun, &self.interface) {
            _ if self.is_none => "by configuration",
            (true, _) => "tun",
            (false, Some(_)) => "uplink",
            (false, None) => "guests wait",
        }
    }

    /// Of all that leave by it, as far as it is known.
    fn traffic(&self) -> Option<Traffic> {
        let known: Vec<_> = self.nodes.iter().filter_map(|node| node.traffic).collect();
        (!known.is_empty()).then(|| Traffic {
            sent: known.iter().map(|traffic| traffic.sent).sum(),
            received: known.iter().map(|traffic| traffic.received).sum(),
        })
    }
}

impl Graph {
    /// The uplink comes first, then the tuns by name, then who leaves via nothing; guests by name.
    fn of(guests: &[Guest], uplink: &Uplink) -> Self {
        let shown = |text: &str| plain(text, false);
        let first = Way {
            interface: Some(shown(&uplink.interfaceName)).filter(|name| !name.is_empty()),
            is_none: false,
            is_tun: false,
            address: shown(&uplink.address),
            open: uplink.up && uplink.cause == Cause::HEALTHY,
            nodes: Vec::new(),
        };
        let mut graph = Self { ways: vec![first], strays: Vec::new() };
        let mut guests: Vec<_> = guests.iter().collect();
        let stays = |guest: &Guest| guest.vpnPolicy == VpnPolicy::NO_UPLINK;
        guests.sort_by_key(|guest| {
            (stays(guest), guest.uplink.is_some(), &guest.uplink, &guest.name)
        });
        for guest in guests {
            if guest.state == GuestState::NOT_ADOPTED {
                graph.strays.push(shown(&guest.hostInterface));
                continue;
            }
            let tun = guest.uplink.as_deref().map(shown);
            let is_none = stays(guest);
            let is_last = |way: &&mut Way| match (&tun, is_none) {
                (None, false) => true,
                _ => way.is_none == is_none && way.is_tun != is_none && way.interface == tun,
            };
            let node = Node::of(guest);
            match graph.ways.last_mut().filter(is_last) {
                Some(way) => way.nodes.push(node),
                None => graph.ways.push(Way {
                    interface: tun,
                    is_none,
                    is_tun: !is_none,
                    address: String::new(),
                    open: node.open && !is_none,
                    nodes: vec![node],
                }),
            }
        }
        graph
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.ways.iter().flat_map(|way| &way.nodes)
    }
}

impl Node {
    fn of(guest: &Guest) -> Self {
        let shown = |text: &str| plain(text, false);
        let known = guest.rxBytes >= 0 && guest.txBytes >= 0;
        Self {
            name: shown(&guest.name),
            inside: shown(&match &guest.segment {
                Some(segment) => {
                    format!("{} {} on {segment}", guest.interfaceName, guest.addresses.join(" "))
                }
                None => format!("{} {}", guest.interfaceName, guest.addresses.join(" ")),
            }),
            host: shown(&guest.hostInterface),
            gateway: shown(&guest.gateway),
            is_tap: guest.kind == GuestKind::TAP,
            open: guest.state == GuestState::ATTACHED,
            traffic: known.then_some(Traffic { sent: guest.rxBytes, received: guest.txBytes }),
        }
    }

    fn kind(&self) -> &'static str {
        if self.is_tap {
            "virtual machine"
        } else {
            "container"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_stand_by_their_ways() {
        let graph = recorded::graph();
        let ways: Vec<_> = graph.ways.iter().map(|way| (way.title(), way.nodes.len())).collect();
        assert_eq!(ways, [("wlan0", 2), ("tun0", 1)]);
        assert_eq!(
            graph.ways[0].traffic(),
            Some(Traffic { sent: 2_000_000, received: 90_000_000 })
        );
        let nobody = Graph::of(&[], &Uplink::default());
        assert_eq!((nobody.ways[0].title(), nobody.ways[0].open), ("no uplink", false));
        assert_eq!(nobody.ways[0].traffic(), None);
    }

    #[test]
    fn a_link_of_nobodys_is_no_guest() {
        let stray = Guest {
            state: GuestState::NOT_ADOPTED,
            name: "vm_wlan7".to_owned(),
            hostInterface: "vm_wlan7".to_owned(),
            ..Guest::default()
        };
        let graph = Graph::of(&[stray], &Uplink::default());
        assert_eq!(
            (graph.nodes().count(), graph.strays.as_slice()),
            (0, &["vm_wlan7".to_owned()][..])
        );
        assert!(svg::draw(&graph).contains("vm_wlan7") && dot::draw(&graph).contains("vm_wlan7"));
    }

    /// What others have named may hold anything.
    #[test]
    fn names_end_nothing() {
        let odd = Guest {
            name: "demo".to_owned(),
            hostInterface: "a\"];<b>\u{1b}".to_owned(),
            ..Guest::default()
        };
        let graph = Graph::of(&[odd], &Uplink::default());
        let (svg, dot) = (svg::draw(&graph), dot::draw(&graph));
        assert!(!svg.contains("<b>") && !svg.contains('\u{1b}'), "{svg}");
        assert!(dot.contains(r#"a\"];<b>"#) && !dot.contains('\u{1b}'), "{dot}");
    }

    /// README's picture. `UPDATE_PICTURES=1 cargo test -p guestnetctl pictures` draws it again; look at the result.
    #[test]
    fn pictures_are_of_this_version() {
        let drawn = svg::draw(&recorded::graph());
        if std::env::var_os("UPDATE_PICTURES").is_some() {
            // cargo runs tests in the package's folder.
            return std::fs::write("../docs/pictures/topology.svg", drawn).unwrap();
        }
        let shown = include_str!("../../../docs/pictures/topology.svg");
        assert!(shown == drawn, "docs/pictures/topology.svg is of an older guestnetctl");
    }
}

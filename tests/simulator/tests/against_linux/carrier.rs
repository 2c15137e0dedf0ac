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

//! What of carrier, ports and states random histories have shown to be so, each by itself: both kernels do the same
//! steps, are the same after each and in the end, and have the link that it is about as the test says.

use crate::step::{self, link_header, message, Out, Step, ACK, CREATE, EXCL};
use crate::{here, pinned, views, Both};
use guestnet_simulator::ROUTE;
use libc::*;

const UP: u32 = IFF_UP as u32;

/// Three namespaces in both, unless they cannot be compared here.
pub struct Scene(pub Both);

impl Scene {
    pub fn new(test: &str) -> Option<Self> {
        here(test).then(|| Self(Both::new(&pinned())))
    }

    pub fn does(&mut self, at: usize, step: Step) {
        self.0.step(at, &step).unwrap_or_else(|words| panic!("{words}"));
    }

    /// What both have to say of a link.
    fn has(&mut self, at: usize, name: &str, words: &str) {
        let (pair, request) = (&self.0.pairs[at], step::dump(RTM_GETLINK));
        let linux = views(&pair.linux.send(&request), true);
        let simulator = views(&self.0.kernel.send(pair.netns, ROUTE, 1, &request), true);
        for (whose, lines) in [("Linux", linux), ("simulator", simulator)] {
            let line = lines.iter().find(|line| line.contains(&format!(" name {name} ")));
            let line = line.unwrap_or_else(|| panic!("{whose} has no {name}: {lines:#?}"));
            assert!(line.ends_with(words), "{whose} has not {words:?} of {name}: {line}");
        }
    }

    pub fn ends(mut self) {
        self.0.compare().unwrap_or_else(|words| panic!("{words}"));
    }
}

/// A link that is made: how its header's flags are, its name and the last byte of its MAC.
fn named(flags: u32, name: &str, mac: Option<u8>) -> Out {
    let mut out = link_header(0, flags, flags);
    out.text(IFLA_IFNAME, name);
    if let Some(last) = mac {
        out.put(IFLA_ADDRESS, &[2, 0, 0, 0, 0, last]);
    }
    out
}

fn bridge(flags: u32, name: &str, mac: Option<u8>) -> Step {
    let mut out = named(flags, name, mac);
    let mut info = Out(Vec::new());
    info.text(1, "bridge");
    out.put(IFLA_LINKINFO, &info.0);
    message(RTM_NEWLINK, ACK | CREATE | EXCL, out)
}

/// A veth, which `more` is added to, with its other end in the namespace of a descriptor, or here. The other end has
/// the lower index.
fn veth(mut out: Out, other: &str, there: Option<i32>) -> Step {
    let mut peer = named(0, other, Some(99));
    if let Some(file) = there {
        peer.u32(IFLA_NET_NS_FD, file as u32);
    }
    let (mut data, mut info) = (Out(Vec::new()), Out(Vec::new()));
    data.put(1, &peer.0);
    info.text(1, "veth");
    info.put(2, &data.0);
    out.put(IFLA_LINKINFO, &info.0);
    message(RTM_NEWLINK, ACK | CREATE | EXCL, out)
}

fn switch(index: u32, up: bool) -> Step {
    message(RTM_SETLINK, ACK, link_header(index, u32::from(up), UP))
}

pub fn set(index: u32, attribute: u16, value: u32) -> Step {
    let mut out = link_header(index, 0, 0);
    out.u32(attribute, value);
    message(RTM_SETLINK, ACK, out)
}

fn set_mac(index: u32, last: u8) -> Step {
    let mut out = link_header(index, 0, 0);
    out.put(IFLA_ADDRESS, &[2, 0, 0, 0, 0, last]);
    message(RTM_SETLINK, ACK, out)
}

/// `nbp_delete_promisc()`: of a port that was up this says what it sends by now, before it is no port.
#[test]
fn a_port_that_goes_elsewhere_is_told_of_while_it_is_still_a_port() {
    let Some(mut scene) = Scene::new("a port that goes elsewhere") else { return };
    let there = scene.0.files()[1];
    scene.does(0, bridge(UP, "br", Some(1)));
    scene.does(0, veth(named(0, "one", Some(2)), "two", None));
    scene.does(0, set(4, IFLA_MASTER, 2));
    scene.does(0, switch(4, true));
    scene.does(0, set(4, IFLA_NET_NS_FD, there as u32));
    scene.ends();
}

/// `br_add_if()` asks for the state, not for the carrier, and a new veth's is unknown until the link watch has looked.
#[test]
fn a_port_that_is_made_up_gives_its_bridge_a_carrier_for_a_moment() {
    let Some(mut scene) = Scene::new("a port that is made up") else { return };
    scene.does(0, bridge(UP, "br", Some(1)));
    let mut port = named(UP, "one", Some(2));
    port.u32(IFLA_MASTER, 2);
    scene.does(0, veth(port, "two", None));
    scene.has(0, "br", "carrier 0 ups 1 downs 2");
    scene.ends();
}

#[test]
fn a_port_that_is_up_later_gives_its_bridge_a_carrier_with_its_own() {
    let Some(mut scene) = Scene::new("a port that is up later") else { return };
    scene.does(0, bridge(UP, "br", Some(1)));
    scene.does(0, veth(named(0, "one", Some(2)), "two", None));
    scene.does(0, set(4, IFLA_MASTER, 2));
    scene.does(0, switch(4, true));
    scene.has(0, "br", "carrier 0 ups 0 downs 1");
    scene.does(0, switch(3, true));
    scene.has(0, "br", "carrier 1 ups 1 downs 1");
    scene.does(0, switch(3, false));
    scene.has(0, "br", "carrier 0 ups 1 downs 2");
    scene.ends();
}

/// The link watch looks at it where it is by then.
#[test]
fn a_port_that_lost_its_carrier_on_its_way_has_none_where_it_comes_to() {
    let Some(mut scene) = Scene::new("a port that lost its carrier on its way") else { return };
    let there = scene.0.files()[1];
    scene.does(0, veth(named(UP, "one", Some(2)), "two", None));
    scene.does(0, switch(2, true));
    scene.does(0, set(3, IFLA_NET_NS_FD, there as u32));
    scene.does(0, switch(2, false));
    scene.does(1, bridge(UP, "br", Some(1)));
    scene.does(1, set(3, IFLA_MASTER, 2));
    scene.does(1, switch(3, true));
    scene.has(1, "br", "carrier 0 ups 0 downs 1");
    scene.ends();
}

/// The link watch tells of it, and so when all else of the request is done.
#[test]
fn a_carrier_that_goes_with_the_other_end_is_told_of_with_where_that_is() {
    let Some(mut scene) = Scene::new("a carrier that goes with the other end") else { return };
    let files = scene.0.files();
    scene.does(0, veth(named(UP, "one", Some(2)), "two", Some(files[1])));
    scene.does(1, switch(2, true));
    scene.has(0, "one", "carrier 1 netnsid 0 ups 1 downs 1");
    scene.does(1, set(2, IFLA_NET_NS_FD, files[2] as u32));
    scene.has(0, "one", "carrier 0 netnsid 1 ups 1 downs 2");
    // Nothing is left to tell.
    let mut alias = link_header(2, 0, 0);
    alias.text(IFLA_IFALIAS, "");
    scene.does(0, message(RTM_SETLINK, ACK, alias));
    scene.ends();
}

/// A bridge looks at its ports for the first time when it gets a MAC or a port (`br_port_state_selection()`).
#[test]
fn a_bridge_without_a_mac_of_its_own_has_a_carrier_at_first() {
    let Some(mut scene) = Scene::new("a bridge without a MAC of its own") else { return };
    scene.does(0, bridge(0, "br", None));
    scene.does(0, switch(2, true));
    scene.has(0, "br", "carrier 1 ups 0 downs 0");
    scene.does(0, set_mac(2, 1));
    scene.has(0, "br", "carrier 0 ups 0 downs 1");
    scene.does(0, bridge(0, "other", Some(3)));
    scene.does(0, switch(3, true));
    scene.has(0, "other", "carrier 0 ups 0 downs 1");
    scene.ends();
}

/// `default_operstate()`: the other end is looked for here, and only when there is something new of a carrier.
#[test]
fn a_state_says_that_the_other_end_is_down_if_that_was_here() {
    let Some(mut scene) = Scene::new("a state says that the other end is down") else { return };
    let files = scene.0.files();
    scene.does(0, veth(named(UP, "one", Some(2)), "two", None));
    scene.does(0, veth(named(0, "three", Some(4)), "four", Some(files[1])));
    scene.does(1, switch(2, true));
    // Now both of it are in 1.
    scene.does(0, set(4, IFLA_NET_NS_FD, files[1] as u32));
    let request = step::dump(RTM_GETLINK);
    let linux = views(&scene.0.pairs[0].linux.send(&request), true);
    assert!(linux.iter().any(|line| line.contains(" name one ") && line.contains(" state 3 ")));
    let linux = views(&scene.0.pairs[1].linux.send(&request), true);
    assert!(linux.iter().any(|line| line.contains(" name four ") && line.contains(" state 2 ")));
    scene.ends();
}

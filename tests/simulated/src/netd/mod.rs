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

//! A device that netd shapes: its networks, its routing rules, what it does when it starts again, and what the
//! framework asks of it. What programs ask it is in `ndc.rs`, what happens there by chance in `doing.rs`.

mod chains;
mod doing;
mod filter;
pub mod ndc;
mod rules;
mod stopped;

pub use doing::{returns, some, Doing};
pub use filter::{others, spoil, take};
pub use rules::of_table;
pub use stopped::stays_stopped;

use crate::device::{self, link};
use crate::schedule::{inside, schedule, wait, Wait};
use crate::tables;
use crate::wire::Message;
use crate::world::world;
use guestnet_simulator::ROUTE;
use rules::Rule;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
/// As netd asks for a route: NLM_F_REQUEST, _ACK, _CREATE, _EXCL.
const CREATE: u16 = 0x0605;
const DELETE: u16 = 0x0005;
const MS: u64 = 1_000_000;

/// A network: its interface, its number, the device's address, the gateway.
type Uplink = (&'static str, u32, [u8; 4], Option<[u8; 4]>);

/// All of them.
const UPLINKS: [Uplink; 3] = [
    ("wlan0", 100, [192, 0, 2, 7], Some([192, 0, 2, 1])),
    ("rmnet0", 101, [203, 0, 113, 2], Some([203, 0, 113, 1])),
    (VPN, 102, [10, 8, 0, 2], None),
];
/// The VPN's interface. A veth: nobody asks what is behind it.
pub const VPN: &str = "tun0";
const HOTSPOT: &str = "ap0";

/// What the framework wants, and what is left of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The default network, while it is there.
    pub default: &'static str,
    /// Whether the VPN is up.
    pub vpn: bool,
    /// Whether users are kept off everything but a VPN.
    pub lockdown: bool,
    /// Whether the hotspot is on.
    pub hotspot: bool,
}

/// netd, and what it knows.
#[derive(Debug)]
pub struct Netd {
    /// Whether vendors have a chain in INPUT.
    sixteen: bool,
    ndc: ndc::Asked,
    /// What the framework wants of it.
    pub wanted: Wanted,
    /// Whether the framework has told it since its start.
    told: bool,
    /// Its networks: the interface's index, and the rules.
    networks: BTreeMap<&'static str, (i32, Vec<Rule>)>,
    /// The default network, and the rules that make it that.
    default: Option<(&'static str, Vec<Rule>)>,
    hotspot: Vec<Rule>,
    /// Whether the guest that a lockdown stops was seen stopped since it began.
    stopped: bool,
}

/// It, where there is one.
pub fn netd() -> Option<&'static mut Netd> {
    world().netd.as_mut()
}

fn its() -> &'static mut Netd {
    netd().expect("a device with netd")
}

/// One thing that netd does: now and then others go on afterwards, for so long.
fn piece(pause: u64, work: impl FnOnce()) {
    inside(work);
    if pause > 0 && inside(|| schedule().seed.once_in(4)) {
        pass(pause);
    }
}

fn pass(pause: u64) {
    wait(Wait::Quiet, Some(schedule().now() + pause * MS));
}

fn ask(message: Message) -> bool {
    let device = world().device;
    world().ask(device, ROUTE, &message.bytes()).0 == 0
}

fn add(rules: &[Rule]) {
    for rule in rules {
        ask(rule.message(false));
    }
}

fn remove(rules: &[Rule]) {
    for rule in rules {
        ask(rule.message(true));
    }
}

/// A transaction of its own: who watches the lock hears of it.
fn restore((program, text): &chains::Transaction) {
    let device = world().device;
    let ended = world().run(device, program, &["--noflush", "-w"], text);
    assert_eq!(ended.0, 0, "netd's own: {ended:?}\n{text}");
    world().unlock();
    // It may have taken guestnetd's jumps, which guestnetd puts back when it hears of it.
    world().opened = Some(tables::generation(world(), device));
}

/// A device with two networks, of which Wi-Fi is the default one, and a VPN. `sixteen`: of Android 16, else 13.
pub fn build(sixteen: bool) {
    let wanted = Wanted { default: "wlan0", vpn: true, lockdown: false, hotspot: false };
    let (ndc, networks, hotspot) = Default::default();
    let (told, default, stopped) = (true, None, false);
    world().netd = Some(Netd { sixteen, ndc, wanted, told, networks, default, hotspot, stopped });
    device::beyond();
    starts(false, 0);
    its().told = true;
    connect("rmnet0");
    connect("wlan0");
    connect(VPN);
    world().opened = None;
}

/// Everything up to the moment when it can be called.
fn starts(again: bool, pause: u64) {
    let sixteen = inside(|| {
        let netd = its();
        netd.ndc.dies();
        (netd.networks, netd.default, netd.hotspot) = Default::default();
        (netd.told, netd.wanted.hotspot) = (false, false);
        netd.sixteen
    });
    piece(pause, ndc::forwarding_off);
    for transaction in chains::at_start(sixteen, again) {
        piece(pause, || restore(&transaction));
    }
    // All rules but those of priority 0, each by its own.
    while again && inside(device::first_rule_goes) {
        piece(pause, || {});
    }
    if !again {
        inside(|| while device::first_rule_goes() {});
    }
    for rule in rules::at_start() {
        piece(pause, || add(&[rule]));
    }
    inside(|| {
        device::delete(world().device, HOTSPOT);
        world().netd_answers();
    });
}

/// netd ends and starts again: links, addresses and routes stay, and so does what others have in chains of
/// their own. The framework tells it nothing yet.
pub fn restarts(pause: u64) {
    starts(true, pause);
}

/// The framework brings everything back; `late`: the lockdown last, so long behind.
pub fn framework_returns(late: Option<u64>, pause: u64) {
    if its().told {
        return;
    }
    its().told = true;
    let lockdown = || {
        if its().wanted.lockdown {
            add(&[rules::lockdown()]);
        }
    };
    if late.is_none() {
        piece(pause, lockdown);
    }
    for (name, ..) in UPLINKS {
        piece(pause, || network_comes(name));
    }
    piece(pause, choose_default);
    if let Some(late) = late {
        pass(late);
        inside(lockdown);
    }
}

/// Its interface is there, and netd is told of its network.
pub fn connect(name: &'static str) {
    inside(|| {
        device::interface_comes(name);
        if let Some((_, _, address, _)) = UPLINKS.iter().find(|(own, ..)| *own == name) {
            let address = Ipv4Addr::from(*address).to_string();
            device::address(world().device, name, &address, 24, false);
        }
        if its().told {
            network_comes(name);
            choose_default();
        }
    });
}

/// A network whose interface is there; what of it is there already stays.
fn network_comes(name: &'static str) {
    let device = world().device;
    let Some(index) = link(device, name).map(|link| link.index) else { return };
    let Some((_, number, address, gateway)) = UPLINKS.iter().find(|(own, ..)| *own == name) else {
        return;
    };
    if its().networks.get(name).is_none_or(|(of, _)| *of != index) {
        network_goes(name);
        let table = rules::table(index);
        let rules = match name == VPN {
            true => rules::vpn(name, *number, table),
            false => rules::physical(name, *number, table),
        };
        add(&rules);
        its().networks.insert(name, (index, rules));
    }
    let on_link = |to: [u8; 4], length: u8| route(index, to, length, None);
    match gateway {
        Some(gateway) => {
            let [a, b, c, _] = *address;
            on_link([a, b, c, 0], 24);
            route(index, [0; 4], 0, Some(*gateway));
        }
        None => on_link([0; 4], 0),
    }
}

fn route(index: i32, to: [u8; 4], length: u8, via: Option<[u8; 4]>) {
    // RTPROT_STATIC; without a gateway of the link's scope.
    let scope = if via.is_some() { 0 } else { 253 };
    let header = [2, length, 0, 0, 0, 4, scope, 1, 0, 0, 0, 0];
    let mut message = Message::new(RTM_NEWROUTE, CREATE, &header)
        .with(15, &rules::table(index).to_ne_bytes())
        .with(4, &index.to_ne_bytes());
    if length > 0 {
        message = message.with(1, &to);
    }
    if let Some(via) = via {
        message = message.with(5, &via);
    }
    ask(message);
}

/// netd drops a network. What it had as the default one goes first.
fn network_goes(name: &'static str) {
    if its().default.as_ref().is_some_and(|(own, _)| *own == name) {
        hotspot(false);
        its().default.take().into_iter().for_each(|(_, rules)| remove(&rules));
    }
    its().networks.remove(name).into_iter().for_each(|(_, rules)| remove(&rules));
}

/// The interface is gone, and its network with it.
pub fn interface_goes(name: &'static str) {
    device::delete(world().device, name);
    network_goes(name);
    choose_default();
}

/// The rules of the default network that the framework wants: new ones first.
fn choose_default() {
    let netd = its();
    let there = netd.networks.get(netd.wanted.default).map(|(index, _)| *index);
    let rules = there.map(|index| {
        let vpn = netd.networks.contains_key(VPN);
        let left = if vpn { rules::fallthrough(102, index) } else { Vec::new() };
        (netd.wanted.default, [vec![rules::default(index)], left].concat())
    });
    if netd.default == rules {
        return;
    }
    let moves =
        netd.default.as_ref().map(|(name, _)| *name) != rules.as_ref().map(|(name, _)| *name);
    if moves {
        hotspot(false);
    }
    let new = rules.as_ref().map(|(_, rules)| rules.clone()).unwrap_or_default();
    let old = std::mem::replace(&mut its().default, rules);
    let old = old.map(|(_, rules)| rules).unwrap_or_default();
    let only = |of: &[Rule], other: &[Rule]| -> Vec<Rule> {
        of.iter().filter(|rule| !other.contains(rule)).cloned().collect()
    };
    add(&only(&new, &old));
    remove(&only(&old, &new));
}

/// The framework wants another default network.
pub fn default_to(name: &'static str) {
    its().wanted.default = name;
    if its().told {
        choose_default();
    }
}

/// A VPN comes or goes, its interface with it.
pub fn vpn(up: bool) {
    its().wanted.vpn = up;
    match up {
        true => connect(VPN),
        false => interface_goes(VPN),
    }
}

/// Users are kept off everything but a VPN, or no more.
pub fn lockdown(on: bool) {
    let netd = its();
    if std::mem::replace(&mut netd.wanted.lockdown, on) == on {
        return;
    }
    if !on {
        netd.stopped = false;
    }
    if netd.told {
        if on {
            add(&[rules::lockdown()])
        } else {
            remove(&[rules::lockdown()])
        }
    }
}

/// Its users change: netd takes its rule away and adds the next one, `pause` later.
pub fn lockdown_again(pause: u64) {
    if its().wanted.lockdown && its().told {
        inside(|| remove(&[rules::lockdown()]));
        if pause > 0 {
            pass(pause);
        }
        inside(|| add(&[rules::lockdown()]));
    }
}

/// The hotspot is switched on or off. It shares the default network.
pub fn hotspot(on: bool) {
    let netd = its();
    let up = netd.default.as_ref().map(|(name, _)| *name);
    if netd.wanted.hotspot == on || on && (up.is_none() || !netd.told) {
        return;
    }
    netd.wanted.hotspot = on;
    let device = world().device;
    if let Some(up) = up.filter(|_| on) {
        device::interface_comes(HOTSPOT);
        device::address(device, HOTSPOT, "192.168.43.1", 24, false);
        let upstream = its().networks.get(up).map(|(index, _)| *index);
        its().hotspot = rules::hotspot(HOTSPOT, upstream);
        add(&its().hotspot.clone());
        ndc::enable("Tethering");
        chains::tether_pair(HOTSPOT, up).iter().for_each(restore);
    } else {
        remove(&std::mem::take(&mut its().hotspot));
        chains::tether_defaults().iter().for_each(restore);
        ndc::disable("Tethering");
        device::delete(device, HOTSPOT);
    }
}

/// In every final state the default network is Wi-Fi, and there is no hotspot, so that fewer of them differ.
pub fn settles() {
    framework_returns(None, 0);
    inside(|| {
        hotspot(false);
        default_to("wlan0");
    });
}

/// What else it may want.
pub fn want(all: &Wanted) {
    inside(|| {
        lockdown(all.lockdown);
        if !all.vpn {
            vpn(false);
        }
    });
}

/// The route to everywhere of the default network goes.
pub fn default_route_goes() {
    let Some((name, _)) = its().default.as_ref() else { return };
    let gateway = UPLINKS.iter().find(|(own, ..)| own == name).and_then(|(.., via)| *via);
    if let (Some(table), Some(via)) = (default_table(), gateway) {
        let header = [2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        let message = Message::new(RTM_DELROUTE, DELETE, &header);
        ask(message.with(15, &table.to_ne_bytes()).with(5, &via));
    }
}

/// All that the framework wants is there: the end of whatever has gone wrong.
pub fn whole() {
    inside(|| {
        connect("wlan0");
        connect("rmnet0");
    });
    framework_returns(None, 0);
}

/// The interface that guests leave by who follow the uplink, and the address that they leave with.
pub fn way_out() -> Option<(&'static str, Ipv4Addr)> {
    let (name, _) = its().default.as_ref()?;
    address_of(name)
}

/// The same of those that leave by the VPN.
pub fn way_by_vpn() -> Option<(&'static str, Ipv4Addr)> {
    its().networks.contains_key(VPN).then(|| address_of(VPN)).flatten()
}

fn address_of(name: &str) -> Option<(&'static str, Ipv4Addr)> {
    let found = UPLINKS.iter().find(|(own, ..)| *own == name)?;
    Some((found.0, found.2.into()))
}

/// The table of the default network; none: there is none.
pub fn default_table() -> Option<u32> {
    let (name, _) = its().default.as_ref()?;
    its().networks.get(name).map(|(index, _)| rules::table(*index))
}

/// Who asks for forwarding.
pub fn requesters() -> Vec<String> {
    let all: &BTreeSet<String> = its().ndc.requesters();
    all.iter().cloned().collect()
}

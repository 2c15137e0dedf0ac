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

//! What of a guest's host end others may change without deleting it: how it is found again, and which
//! rules its packets meet. Pure.

use super::ownership::{Mac, LINK_GROUP};
use super::GuestNet;
use crate::model::if_index::IfIndex;
use std::fmt;

/// What a link shows.
#[derive(Clone, Copy, Debug)]
pub struct Marks<'a> {
    /// Name.
    pub name: &'a str,
    /// IFLA_MASTER: index of the bridge or bond that it is a port of; none: it is none's.
    pub master: Option<IfIndex>,
    /// IFLA_GROUP.
    pub group: u32,
    /// Link-layer address.
    pub mac: &'a [u8],
}

/// One mark that somebody else has changed, and what it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The name: rules that match by it match no more.
    Name(String),
    /// It is a port: its packets come in by its master, and meet that one's rules.
    Master(IfIndex),
    /// The group.
    Group(u32),
    /// The MAC.
    Mac(Vec<u8>),
}

/// What was changed, in the order in which it is put back: what rules match by first.
pub fn changed(net: &GuestNet, is: &Marks<'_>) -> Vec<Changed> {
    let mut changed = Vec::new();
    if is.name != net.host.name.as_str() {
        changed.push(Changed::Name(is.name.to_owned()));
    }
    changed.extend(is.master.map(Changed::Master));
    if is.group != LINK_GROUP {
        changed.push(Changed::Group(is.group));
    }
    if is.mac != net.host.mac.0 {
        changed.push(Changed::Mac(is.mac.to_vec()));
    }
    changed
}

impl Changed {
    /// Whether packets may have gone by other rules meanwhile.
    pub fn moves_packets(&self) -> bool {
        matches!(self, Self::Name(_) | Self::Master(_))
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "its name (it was called {name})"),
            Self::Master(index) => write!(f, "its place (it was a port of interface {index})"),
            Self::Group(group) => write!(f, "its group (it was {group:#x})"),
            Self::Mac(mac) => match <[u8; 6]>::try_from(mac.as_slice()) {
                Ok(mac) => write!(f, "its MAC (it was {})", Mac(mac)),
                Err(_) => f.write_str("its MAC"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{GuestName, GuestSpec, IfName, Mtu};

    #[test]
    fn each_mark_is_compared() {
        let (name, wlan0) = (GuestName::new("a").unwrap(), IfName::new("wlan0").unwrap());
        let spec = GuestSpec::new(name, wlan0, None, [172, 17, 3, 2].into(), 16, -1).unwrap();
        let net = GuestNet::new(&spec, 0, [172, 17, 3, 3].into(), Mtu::ETHERNET);
        let whole =
            Marks { name: "vm_wlan", master: None, group: LINK_GROUP, mac: &net.host.mac.0 };
        assert_eq!(changed(&net, &whole), []);
        let mac = [2, 0, 0, 0, 0, 1];
        let all = Marks { name: "enx", master: Some(IfIndex::of(7)), group: 0, mac: &mac };
        let all = changed(&net, &all);
        let text: Vec<_> = all.iter().map(Changed::to_string).collect();
        let words = [
            "its name (it was called enx)",
            "its place (it was a port of interface 7)",
            "its group (it was 0x0)",
            "its MAC (it was 02:00:00:00:00:01)",
        ];
        assert_eq!(text, words);
        assert_eq!(all.iter().filter(|one| one.moves_packets()).count(), 2);
    }
}

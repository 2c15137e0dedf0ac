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

//! Names as the kernel and the store take them. Pure; a value of these types cannot be a bad one.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Prefix of the device's ends: the first one is `vm_wlan`, the others are `vm_wlan<slot>`.
pub const HOST_PREFIX: &str = "vm_wlan";

/// A guest's name: 1 to 63 bytes of `[A-Za-z0-9._-]`, the first one a letter or digit.
///
/// It stands in the link's alias, in file content and in log lines: nothing in it can be taken
/// for a separator.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GuestName(String);

/// A segment's name, which is made as a guest's: guests that name one segment see each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SegmentName(GuestName);

/// A network interface's name: 1 to 15 bytes of `[A-Za-z0-9._-]`, not `.`, `..`, `all`, `default`.
///
/// Narrower than the kernel's `dev_valid_name()`: what is left out (`:`, `%`, `+`, quotes,
/// non-ASCII) means something to iptables, to sysctl paths or to the kernel's name templates.
///
/// The bytes, and zeros behind them: a table of a thousand guests is copied without a thousand
/// allocations.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IfName([u8; IfName::MAX + 1]);

/// Interfaces by name: one (`wlan0`), or all whose names begin alike (`rmnet*`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfPattern(String);

fn plain(text: &str, max: usize) -> bool {
    !text.is_empty()
        && text.len() <= max
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

impl GuestName {
    /// Longest name, in bytes.
    pub const MAX: usize = 63;

    /// Takes a name, or nothing if it is not one.
    pub fn new(text: &str) -> Option<Self> {
        let first = text.bytes().next()?;
        (plain(text, Self::MAX) && first.is_ascii_alphanumeric()).then(|| Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SegmentName {
    /// Takes a name, or nothing if it is not one.
    pub fn new(text: &str) -> Option<Self> {
        GuestName::new(text).map(Self)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl IfName {
    /// Longest name, in bytes: `IFNAMSIZ` without the final NUL.
    pub const MAX: usize = 15;

    /// Takes a name, or nothing if it is not one.
    pub fn new(text: &str) -> Option<Self> {
        // "all" and "default" are entries of /proc/sys/net/ipv4/conf: the kernel gives no interface
        // such a name (sysctl_dev_name_is_allowed()).
        let taken = [".", "..", "all", "default"].contains(&text);
        (plain(text, Self::MAX) && !taken).then(|| Self::of(text))
    }

    /// The device's end of the link in this slot.
    pub fn host_end(slot: u32) -> Self {
        match slot {
            0 => Self::of(HOST_PREFIX),
            _ => Self::of(&format!("{HOST_PREFIX}{slot}")),
        }
    }

    /// The device of a segment: of its number the lower 28 bits. It begins as host ends do, so that every rule
    /// for those is one for it, too.
    pub fn hub(number: u32) -> Self {
        Self::of(&format!("{HOST_PREFIX}_{:07x}", number & 0x0fff_ffff))
    }

    /// Of a segment's device: both ends of the pair that gives it its carrier.
    pub fn carriers(&self) -> [Self; 2] {
        let number = self.as_str().get(HOST_PREFIX.len() + 1..).unwrap_or_default();
        ['-', '.'].map(|mark| Self::of(&format!("{HOST_PREFIX}{mark}{number}")))
    }

    /// The segment's device that this one is such an end for.
    pub fn carried(&self) -> Option<Self> {
        let number = self.as_str().strip_prefix(HOST_PREFIX)?.strip_prefix(['-', '.'])?;
        let hub = Self::hub(u32::from_str_radix(number, 16).ok()?);
        hub.carriers().contains(self).then_some(hub)
    }

    /// Whether a segment's device has such a name.
    pub fn is_hub(&self) -> bool {
        let number =
            self.as_str().strip_prefix(HOST_PREFIX).and_then(|rest| rest.strip_prefix('_'));
        let number = number.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        number.is_some_and(|number| *self == Self::hub(number))
    }

    /// What does not fit is cut off.
    fn of(text: &str) -> Self {
        let mut bytes = [0; Self::MAX + 1];
        bytes.iter_mut().zip(text.bytes().take(Self::MAX)).for_each(|(to, from)| *to = from);
        Self(bytes)
    }

    /// The slot whose device's end has this name, if it is such a name.
    pub fn slot(&self) -> Option<u32> {
        let digits = self.as_str().strip_prefix(HOST_PREFIX)?;
        match digits {
            "" => Some(0),
            _ => digits.parse().ok().filter(|slot| *self == Self::host_end(*slot) && *slot != 0),
        }
    }

    /// Whether packets could leave the device by an interface of this name: not by `lo`, and not by
    /// a guest's link or a segment's device.
    pub fn leads_out(&self) -> bool {
        self.as_str() != "lo" && self.slot().is_none() && !self.is_hub()
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        let text = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        // It is one: it was made of one, and ASCII.
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl IfPattern {
    /// Takes a name, or the beginning of names and a `*`; nothing if it is neither.
    pub fn new(text: &str) -> Option<Self> {
        // With its mark it must still fit where iptables keeps a name.
        let beginning = text.strip_suffix('*').unwrap_or(text);
        IfName::new(beginning).filter(|_| text.len() <= IfName::MAX).map(|_| Self(text.to_owned()))
    }

    /// Whether an interface has such a name.
    pub fn matches(&self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == self.0,
        }
    }

    /// Whether guests' own links have such a name.
    pub fn matches_host_ends(&self) -> bool {
        let beginning = self.0.strip_suffix('*');
        IfName::of(&self.0).slot().is_some()
            || beginning.is_some_and(|b| HOST_PREFIX.starts_with(b) || b.starts_with(HOST_PREFIX))
    }

    /// The name, where it is one interface's.
    pub fn name(&self) -> Option<IfName> {
        IfName::new(&self.0)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<IfName> for IfPattern {
    fn from(name: IfName) -> Self {
        Self(name.into())
    }
}

impl fmt::Debug for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IfName").field(&self.as_str()).finish()
    }
}

impl fmt::Display for IfPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! text_of {
    ($name:ident, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                Self::new(&text).ok_or_else(|| format!(concat!("{:?} is not ", $what), text))
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.as_str().to_owned()
            }
        }
    };
}
text_of!(GuestName, "a guest's name");
text_of!(SegmentName, "a segment's name");
text_of!(IfName, "an interface name");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_taken_for_something_else_are_refused() {
        for bad in
            ["", "a/b", "a b", "a\nb", "a\0", ".a", "-a", "_a", "ä", "a:b", "../x", "%d", "+"]
        {
            assert!(GuestName::new(bad).is_none(), "{bad:?}");
        }
        for bad in [
            "",
            "a/b",
            "a b",
            ".",
            "..",
            "wlan0\n",
            "sixteen-bytes-xx",
            "vm_wlan+",
            "w%d",
            "é",
            "all",
        ] {
            assert!(IfName::new(bad).is_none(), "{bad:?}");
        }
        assert!(GuestName::new(&"a".repeat(63)).is_some());
        assert!(GuestName::new(&"a".repeat(64)).is_none());
        assert!(IfName::new("fifteen-bytes-x").is_some());
    }

    #[test]
    fn a_pattern_is_a_name_or_its_beginning() {
        let pattern = |text| IfPattern::new(text).unwrap();
        assert!(pattern("wlan0").matches("wlan0") && !pattern("wlan0").matches("wlan01"));
        assert!(pattern("rmnet*").matches("rmnet0") && pattern("rmnet*").matches("rmnet"));
        assert!(!pattern("rmnet*").matches("v4-rmnet0"));
        for bad in ["*", "", "a*b", "*a", "a**", "a b", "a+"] {
            assert!(IfPattern::new(bad).is_none(), "{bad:?}");
        }
        for ours in ["v*", "vm_wlan*", "vm_wlan1*", "vm_wlan", "vm_wlan7"] {
            assert!(pattern(ours).matches_host_ends(), "{ours}");
        }
        for other in ["w*", "vm_wlan0", "vm_x*", "v4-wlan0"] {
            assert!(!pattern(other).matches_host_ends(), "{other}");
        }
    }

    #[test]
    fn a_host_end_tells_its_slot() {
        for slot in [0, 1, 9, 1000, 99_999_999] {
            assert_eq!(IfName::host_end(slot).slot(), Some(slot));
        }
        for other in ["vm_wlan0", "vm_wlan01", "vm_wlanx", "vm_wla", "wlan0"] {
            assert_eq!(IfName::new(other).and_then(|n| n.slot()), None, "{other}");
        }
    }
    #[test]
    fn a_segments_device_has_a_name_that_no_host_end_has() {
        for number in [0, 1, 0x0fff_ffff, u32::MAX] {
            let hub = IfName::hub(number);
            assert!(hub.is_hub() && hub.slot().is_none() && !hub.leads_out(), "{hub}");
            assert!(hub.as_str().starts_with(HOST_PREFIX) && hub.as_str().len() == IfName::MAX);
            let carriers = hub.carriers();
            assert!(carriers.iter().all(|end| end.as_str().starts_with(HOST_PREFIX)));
            assert!(carriers[0] != carriers[1] && hub.carried().is_none());
            assert_eq!(carriers.map(|end| end.carried()), [Some(hub.clone()), Some(hub)]);
        }
        for other in ["vm_wlan_", "vm_wlan_1", "vm_wlan_00000G0", "vm_wlan_ABCDEF0", "vm_wlan7"] {
            assert!(!IfName::new(other).unwrap().is_hub(), "{other}");
        }
        assert!(SegmentName::new("cockpit-1").is_some());
        for bad in ["", "a b", "a\n", "-a", &"a".repeat(64)] {
            assert!(SegmentName::new(bad).is_none(), "{bad:?}");
        }
    }
}

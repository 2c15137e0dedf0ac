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

//! What the platform says of an uplink and of the device, beyond what the kernel has.

use super::IfName;

/// The longest URL of a captive portal, in bytes: what an option of DHCP holds.
const MOST: usize = 255;

/// What is known of an uplink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UplinkInfo {
    /// Whether its traffic costs money.
    pub metered: bool,
    /// URL of the API of the captive portal that it is behind (RFC 8908).
    pub portal: Option<String>,
    /// Whether the internet was reached by it.
    pub validated: bool,
}

/// What is known of the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceState {
    /// Whether nobody uses it, so that it is to rest.
    pub idle: bool,
}

/// What is known of several: of those that were named last.
#[derive(Clone, Debug, Default)]
pub struct UplinkInfos(Vec<(IfName, UplinkInfo)>);

impl UplinkInfos {
    /// As many as resolvers are kept for.
    const MOST: usize = 64;

    /// What was said of an uplink; of one that nobody has spoken of, nothing.
    pub fn of(&self, uplink: Option<&IfName>) -> Option<&UplinkInfo> {
        self.0.iter().find(|(name, _)| Some(name) == uplink).map(|(_, info)| info)
    }

    /// This is so from now on. The uplink in use is not forgotten for others.
    pub fn tell(&mut self, uplink: IfName, info: UplinkInfo, in_use: Option<&IfName>) {
        self.0.retain(|(name, _)| *name != uplink);
        if self.0.len() >= Self::MOST {
            let oldest = self.0.iter().position(|(name, _)| Some(name) != in_use);
            oldest.into_iter().for_each(|at| drop(self.0.remove(at)));
        }
        self.0.push((uplink, info));
    }
}

/// A captive portal's URL, or why it can be none, with the remedy.
pub fn portal(text: &str) -> Result<String, &'static str> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest else { return Err("it does not begin with https:// or http://") };
    if text.len() > MOST {
        return Err("it is longer than 255 bytes");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it holds a blank or what is not ASCII; write that in % notation");
    }
    match rest.split(['/', '?', '#']).next() {
        None | Some("") => Err("it names no host"),
        Some(_) => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_last_is_kept_and_the_uplink_in_use_is_not_forgotten() {
        let name = |n: usize| IfName::new(&format!("wlan{n}")).unwrap();
        let metered = |metered| UplinkInfo { metered, ..UplinkInfo::default() };
        let mut infos = UplinkInfos::default();
        (0..200).for_each(|n| infos.tell(name(n), metered(true), Some(&name(0))));
        infos.tell(name(199), metered(false), None);
        assert_eq!(infos.0.len(), UplinkInfos::MOST);
        assert_eq!(infos.of(Some(&name(0))), Some(&metered(true)));
        assert_eq!(infos.of(Some(&name(199))), Some(&metered(false)));
        assert_eq!((infos.of(Some(&name(1))), infos.of(None)), (None, None));
    }

    #[test]
    fn a_portal_has_a_url_that_fits_into_an_option() {
        let longest = format!("https://{}", "p".repeat(MOST - 8));
        for good in ["https://portal.example/api?x=1", "http://192.0.2.1", &longest] {
            assert_eq!(portal(good).as_deref(), Ok(good));
        }
        for (bad, cause) in [
            ("", "begin with"),
            ("ftp://portal.example", "begin with"),
            (" https://portal.example", "begin with"),
            ("https://", "no host"),
            ("https:///api", "no host"),
            ("https://?x", "no host"),
            ("https://portal.example/a b", "blank"),
            ("https://portal.example/\u{e4}", "ASCII"),
            ("https://portal.example/\0", "blank"),
            (&format!("{longest}p"), "longer"),
        ] {
            let why = portal(bad).unwrap_err();
            assert!(why.contains(cause), "{bad}: {why}");
        }
    }
}

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

//! Whether there is internet, and if not, which layer is the cause. Pure: nothing is asked here.

use crate::exit::Exit;
use crate::names::Name;
use android_system_guestnet::aidl::android::system::guestnet::{
    Layer::Layer, LayerState::LayerState, LayerStatus::LayerStatus, Status::Status,
};

/// What a guest's layers come to, with the layer that is the cause.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'a> {
    /// Every layer is as it should be.
    Internet,
    /// Addresses are reached, but no names are resolved.
    NoNames(&'a LayerStatus),
    /// Nothing is reached.
    None(&'a LayerStatus),
    /// A layer could not be read.
    Unsure(&'a LayerStatus),
}

/// Judges layers, which come from the bottom up. What is BAD is a cause, and the lowest is the
/// first to put right. What waits, waits for the uplink when that waits too. Without DNS there
/// is still internet.
pub fn of(layers: &[LayerStatus]) -> Verdict<'_> {
    let lowest = |state| layers.iter().find(|l| l.state == state && l.layer != Layer::DNS);
    let waits = |l: &&LayerStatus| l.layer == Layer::UPLINK && l.state == LayerState::WAITING;
    let uplink = || layers.iter().find(waits);
    let known = |state| matches!(state, LayerState::BAD | LayerState::WAITING);
    let stopped = lowest(LayerState::BAD).or_else(uplink).or_else(|| lowest(LayerState::WAITING));
    if let Some(cause) = stopped {
        Verdict::None(cause)
    } else if let Some(dns) = layers.iter().find(|l| known(l.state)) {
        Verdict::NoNames(dns)
    } else if let Some(unread) = layers.iter().find(|l| l.state != LayerState::OK) {
        Verdict::Unsure(unread)
    } else {
        Verdict::Internet
    }
}

impl Verdict<'_> {
    /// Its word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Internet => "yes",
            Verdict::NoNames(_) => "no_names",
            Verdict::None(_) => "no",
            Verdict::Unsure(_) => "unsure",
        }
    }

    /// The layer that is the cause.
    pub fn layer(&self) -> Option<&LayerStatus> {
        match self {
            Verdict::Internet => None,
            Verdict::NoNames(layer) | Verdict::None(layer) | Verdict::Unsure(layer) => Some(layer),
        }
    }

    /// The verdict in one sentence; `way` is what traffic leaves by.
    pub fn words(self, way: &str) -> String {
        match self {
            Verdict::Internet => format!("internet by {way}"),
            Verdict::NoNames(l) => format!("internet by {way}, but no names: {}", cause(l)),
            Verdict::None(l) => format!("no internet: {}", cause(l)),
            Verdict::Unsure(l) => format!("internet by {way} is unsure: {}", cause(l)),
        }
    }
}

/// A layer and what is wrong with it, without the next step.
fn cause(layer: &LayerStatus) -> String {
    let cause = layer.text.split_once(": ").map_or(layer.text.as_str(), |(cause, _)| cause);
    format!("{}: {cause}", layer.layer.name())
}

/// What `status` tells a script. What could not be read is no failure of a guest.
pub fn exit(status: &Status) -> Exit {
    let layers = || status.guests.iter().flat_map(|of| &of.layers).chain(&status.device);
    let any = |state| layers().any(|layer| layer.state == state);
    if any(LayerState::BAD) {
        Exit::System
    } else if any(LayerState::WAITING) {
        Exit::NoUplink
    } else {
        Exit::Ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use android_system_guestnet::aidl::android::system::guestnet::{
        GuestStatus::GuestStatus, LayerState::LayerState as S,
    };

    /// All layers, those named in another state than OK.
    fn layers(odd: &[(Layer, S)]) -> Vec<LayerStatus> {
        let one = |layer| {
            let state = odd.iter().find(|(l, _)| *l == layer).map_or(S::OK, |(_, state)| *state);
            LayerStatus { layer, state, text: "a cause: the next step".to_owned() }
        };
        Layer::enum_values().into_iter().map(one).collect()
    }

    #[test]
    fn the_lowest_cause_is_named() {
        use Layer as L;
        for (odd, words) in [
            (&[][..], "internet by wlan0"),
            (&[(L::FIREWALL, S::BAD)], "no internet: firewall: a cause"),
            (&[(L::NAT, S::BAD), (L::ROUTE, S::BAD)], "no internet: route: a cause"),
            (&[(L::LINK, S::UNKNOWN), (L::NAT, S::BAD)], "no internet: nat: a cause"),
            // What waits on the way to an uplink that waits is no cause.
            (&[(L::UPLINK, S::WAITING)], "no internet: uplink: a cause"),
            (&[(L::NAT, S::WAITING), (L::UPLINK, S::WAITING)], "no internet: uplink: a cause"),
            (&[(L::NAT, S::WAITING), (L::UPLINK, S::BAD)], "no internet: uplink: a cause"),
            (&[(L::LINK, S::BAD), (L::UPLINK, S::WAITING)], "no internet: link: a cause"),
            (&[(L::RULE, S::WAITING)], "no internet: rule: a cause"),
            (&[(L::DNS, S::BAD), (L::UPLINK, S::WAITING)], "no internet: uplink: a cause"),
            (&[(L::DNS, S::BAD)], "internet by wlan0, but no names: dns: a cause"),
            (
                &[(L::DNS, S::WAITING), (L::NAT, S::UNKNOWN)],
                "internet by wlan0, but no names: dns: a cause",
            ),
            (&[(L::DNS, S::UNKNOWN)], "internet by wlan0 is unsure: dns: a cause"),
            (&[(L::NAT, S::UNKNOWN)], "internet by wlan0 is unsure: nat: a cause"),
            (&[(L::NAT, S(9))], "internet by wlan0 is unsure: nat: a cause"),
        ] {
            assert_eq!(of(&layers(odd)).words("wlan0"), words);
        }
        assert_eq!(of(&[]).words("wlan0"), "internet by wlan0");
    }

    #[test]
    fn a_text_without_a_next_step_is_the_cause() {
        let text = "no uplink, so nothing is forwarded".to_owned();
        let nat = [LayerStatus { layer: Layer::NAT, state: S::WAITING, text }];
        assert_eq!(of(&nat).words(""), "no internet: nat: no uplink, so nothing is forwarded");
    }

    #[test]
    fn the_worst_layer_makes_the_exit_code() {
        for (device, guest, code) in [
            (S::OK, S::OK, Exit::Ok),
            (S::OK, S::UNKNOWN, Exit::Ok),
            (S::WAITING, S::OK, Exit::NoUplink),
            (S::OK, S::WAITING, Exit::NoUplink),
            (S::WAITING, S::BAD, Exit::System),
            (S::BAD, S::OK, Exit::System),
        ] {
            let guests = vec![GuestStatus {
                layers: layers(&[(Layer::LINK, guest)]),
                ..GuestStatus::default()
            }];
            let device = layers(&[(Layer::NAT, device)]);
            assert_eq!(exit(&Status { device, guests, ..Status::default() }), code);
        }
        assert_eq!(exit(&Status::default()), Exit::Ok);
    }
}

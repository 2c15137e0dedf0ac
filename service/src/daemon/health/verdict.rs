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

//! What layers come to, and which of them is to blame. Pure.

use crate::daemon::{Layer, LayerReport, LayerState, Verdict};
use crate::model::fault::Cause;
use crate::model::GuestNet;

/// Judges layers, which come from the bottom up. What is bad counts before what waits, and the lowest is
/// the first to put right. A lockdown stops a guest whatever its uplink does; what else waits, waits for
/// the uplink when that waits too. Without DNS there is still internet; but what may drop all that is sent is no
/// internet with a doubt about names.
pub(in crate::daemon) fn of(layers: &[LayerReport]) -> (Verdict, Option<&LayerReport>) {
    // Without its segment a guest has internet, too.
    let beside = [Layer::Dns, Layer::Segment];
    let not_names = || layers.iter().filter(|layer| !beside.contains(&layer.layer));
    let lowest = |state| not_names().find(|layer| layer.state == state);
    if let Some(bad) = lowest(LayerState::Bad) {
        return (Verdict::NoInternet, Some(bad));
    }
    let waiting = || not_names().filter(|layer| layer.state == LayerState::Waiting);
    let locked = waiting().find(|layer| layer.cause == Cause::Lockdown);
    let uplink = waiting().find(|layer| layer.layer == Layer::Uplink);
    if let Some(waits) = locked.or(uplink).or_else(|| waiting().next()) {
        return (Verdict::Waiting, Some(waits));
    }
    let doubt = |layer: &&LayerReport| {
        layer.state == LayerState::Unknown && layer.cause != Cause::Unreadable
    };
    if let Some(doubt) = not_names().find(doubt) {
        return (Verdict::Unsure, Some(doubt));
    }
    let known = |layer: &&LayerReport| matches!(layer.state, LayerState::Bad | LayerState::Waiting);
    if let Some(names) = layers.iter().filter(|l| l.layer == Layer::Dns).find(known) {
        return (Verdict::NoNames, Some(names));
    }
    let unread = |layer: &&LayerReport| layer.state == LayerState::Unknown;
    match layers.iter().find(unread) {
        Some(unread) => (Verdict::Unsure, Some(unread)),
        None => (Verdict::Internet, None),
    }
}

/// The same of a guest: to have no internet is as it should be where it is to leave by nothing.
pub(in crate::daemon) fn of_guest<'a>(
    net: &GuestNet,
    layers: &'a [LayerReport],
) -> (Verdict, Option<&'a LayerReport>) {
    match of(layers) {
        (Verdict::Internet, reason) if !net.vpn.leaves() => (Verdict::NoUplink, reason),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::{Layer as L, LayerState as S};
    use crate::model::fault::Fault;

    /// All layers, those named in another state than Ok.
    fn layers(odd: &[(L, S)]) -> Vec<LayerReport> {
        let all = [L::Link, L::Route, L::Segment, L::Rule, L::Firewall, L::Nat, L::Dns, L::Uplink];
        let state = |layer: &L| odd.iter().find(|(l, _)| l == layer).map_or(S::Ok, |(_, s)| *s);
        let fault = || Fault::new(Cause::Unreadable, "");
        all.map(|layer| LayerReport::new(layer, state(&layer), fault())).into()
    }

    #[test]
    fn the_lowest_cause_is_to_blame() {
        for (odd, verdict, blamed) in [
            (&[][..], Verdict::Internet, None),
            (&[(L::Firewall, S::Bad)], Verdict::NoInternet, Some(L::Firewall)),
            (&[(L::Nat, S::Bad), (L::Route, S::Bad)], Verdict::NoInternet, Some(L::Route)),
            (&[(L::Link, S::Unknown), (L::Nat, S::Bad)], Verdict::NoInternet, Some(L::Nat)),
            // What waits on the way to an uplink that waits is not to blame.
            (&[(L::Uplink, S::Waiting)], Verdict::Waiting, Some(L::Uplink)),
            (&[(L::Nat, S::Waiting), (L::Uplink, S::Waiting)], Verdict::Waiting, Some(L::Uplink)),
            (&[(L::Nat, S::Waiting), (L::Uplink, S::Bad)], Verdict::NoInternet, Some(L::Uplink)),
            (&[(L::Link, S::Bad), (L::Uplink, S::Waiting)], Verdict::NoInternet, Some(L::Link)),
            (&[(L::Rule, S::Waiting)], Verdict::Waiting, Some(L::Rule)),
            (&[(L::Dns, S::Bad), (L::Uplink, S::Waiting)], Verdict::Waiting, Some(L::Uplink)),
            (&[(L::Dns, S::Bad)], Verdict::NoNames, Some(L::Dns)),
            (&[(L::Dns, S::Waiting), (L::Nat, S::Unknown)], Verdict::NoNames, Some(L::Dns)),
            (&[(L::Dns, S::Unknown)], Verdict::Unsure, Some(L::Dns)),
            (&[(L::Nat, S::Unknown)], Verdict::Unsure, Some(L::Nat)),
            (&[(L::Segment, S::Bad)], Verdict::Internet, None),
            (&[(L::Segment, S::Bad), (L::Dns, S::Bad)], Verdict::NoNames, Some(L::Dns)),
        ] {
            let layers = layers(odd);
            let (is, reason) = of(&layers);
            assert_eq!((is, reason.map(|reason| reason.layer)), (verdict, blamed), "{odd:?}");
        }
        assert_eq!(of(&[]), (Verdict::Internet, None));
    }

    #[test]
    fn what_may_drop_everything_counts_before_names() {
        let mut layers = layers(&[(L::Firewall, S::Unknown), (L::Dns, S::Bad)]);
        assert_eq!(of(&layers).0, Verdict::NoNames, "it could only not be read");
        layers[4].cause = Cause::ForwardDropped;
        let (verdict, reason) = of(&layers);
        assert_eq!(
            (verdict, reason.map(|reason| reason.layer)),
            (Verdict::Unsure, Some(L::Firewall))
        );
    }

    #[test]
    fn a_lockdown_counts_before_the_uplink() {
        let mut layers = layers(&[(L::Rule, S::Waiting), (L::Uplink, S::Waiting)]);
        assert_eq!(of(&layers).1.map(|reason| reason.layer), Some(L::Uplink));
        layers[3].cause = Cause::Lockdown;
        assert_eq!(of(&layers).1.map(|reason| reason.layer), Some(L::Rule));
    }
}

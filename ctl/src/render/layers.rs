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

//! Layers with a mark each, for check and status.

use super::look::Look;
use super::units;
use crate::names::Name;
use android_system_guestnet::aidl::android::system::guestnet::{
    Cause::Cause, Layer::Layer, LayerState::LayerState, LayerStatus::LayerStatus,
};

/// Columns before a layer's text, and below which terminal it goes on further to the left.
const INDENT: usize = 20;
const NARROW: usize = 60;

/// Each layer: its mark, its name, what is there or what is wrong, and why in the contract's word. Then
/// what to do about it.
pub fn text<'a>(layers: impl IntoIterator<Item = &'a LayerStatus>, look: Look) -> String {
    let indent = if look.width < NARROW { 8 } else { INDENT };
    let (mut shown, mut steps) = (String::new(), Vec::<(Layer, &str)>::new());
    for layer in layers {
        let before = format!("  {}  {:<10}  ", mark(layer.state, look.colour), layer.layer.name());
        shown += &look.wrap(&before, indent, &sentence(layer));
        if let Some(step) = layer.nextStep.as_deref() {
            if steps.iter().all(|(_, known)| *known != step) {
                steps.push((layer.layer, step));
            }
        }
    }
    for (layer, step) in steps {
        shown += &look.wrap(&format!("  next  {:<10}  ", layer.name()), indent, step);
    }
    shown
}

fn sentence(layer: &LayerStatus) -> String {
    let mut text = layer.text.clone();
    if layer.retryInMillis >= 0 {
        text += &format!("; tried again in {}", units::seconds(layer.retryInMillis));
    }
    if layer.cause != Cause::HEALTHY {
        text += &format!(" ({})", layer.cause.name());
    }
    text
}

/// Four cells wide, whatever it is.
fn mark(state: LayerState, colour: bool) -> String {
    let (mark, paint) = match state {
        LayerState::OK => ("ok  ", "32"),
        LayerState::WAITING => ("wait", "33"),
        LayerState::BAD => ("BAD ", "1;31"),
        _ => ("?   ", "33"),
    };
    if colour {
        format!("\x1b[{paint}m{mark}\x1b[0m")
    } else {
        mark.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn marks_and_causes() {
        let layers = samples::status().device;
        assert_eq!(
            text(&layers, Look::PLAIN),
            concat!(
                "  ok    forwarding  net.ipv4.ip_forward is 1\n",
                "  BAD   firewall    iptables failed; tried again in 4 s (filter_program_failed)\n",
                "  ?     nat         cannot be read: permission denied (unreadable)\n",
                "  wait  uplink      no interface wlan0 (uplink_missing)\n",
                "  next  uplink      start guestnetd with --uplink eth0\n",
            )
        );
        assert_eq!(
            text(&layers, Look { colour: true, ..Look::PLAIN }).lines().next(),
            Some("  \x1b[32mok  \x1b[0m  forwarding  net.ipv4.ip_forward is 1")
        );
    }

    #[test]
    fn one_step_for_two_layers_is_said_once() {
        let mut layers = samples::status().device;
        for layer in &mut layers {
            layer.nextStep = Some("the same".to_owned());
        }
        assert_eq!(text(&layers, Look::PLAIN).matches("  next  forwarding  the same\n").count(), 1);
        assert_eq!(text(&layers, Look::PLAIN).matches("the same").count(), 1);
    }

    #[test]
    fn a_cause_of_a_newer_contract_is_shown_by_its_number() {
        let layers = [LayerStatus { cause: Cause(777), ..LayerStatus::default() }];
        assert_eq!(text(&layers, Look::PLAIN), "  ok    link        (777)\n");
    }
}

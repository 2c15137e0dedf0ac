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

use super::wrap::wrap;
use crate::names::Name;
use android_system_guestnet::aidl::android::system::guestnet::{
    LayerState::LayerState, LayerStatus::LayerStatus,
};

/// Columns before a layer's text.
const INDENT: usize = 20;

/// Each layer: its mark, its name, and what is there or what is wrong.
pub fn text<'a>(layers: impl IntoIterator<Item = &'a LayerStatus>, colour: bool) -> String {
    let one = |l: &LayerStatus| {
        let before = format!("  {}  {:<10}  ", mark(l.state, colour), l.layer.name());
        wrap(&before, INDENT, &l.text)
    };
    layers.into_iter().map(one).collect()
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
            text(&layers, false),
            concat!(
                "  ok    forwarding  net.ipv4.ip_forward is 1\n",
                "  BAD   firewall    chain FORWARD of table filter drops: add a rule for vm_wlan+\n",
                "  ?     nat         cannot be read: permission denied\n",
                "  wait  uplink      no interface wlan0\n",
            )
        );
        assert_eq!(
            text(&layers, true).lines().next(),
            Some("  \x1b[32mok  \x1b[0m  forwarding  net.ipv4.ip_forward is 1")
        );
    }
}

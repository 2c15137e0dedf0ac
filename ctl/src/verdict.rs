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

//! guestnetd's verdict in words, and what it tells a script. Decides by the contract's enums alone.

use crate::exit::Exit;
use crate::names::Name;
use android_system_guestnet::aidl::android::system::guestnet::{
    Cause::Cause, Diagnosis::Diagnosis, Layer::Layer, LayerState::LayerState,
    LayerStatus::LayerStatus, Status::Status, Uplink::Uplink, Verdict::Verdict,
};

/// Its word in JSON: whether there is internet.
pub fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::INTERNET => "yes",
        Verdict::NO_NAMES => "no_names",
        Verdict::NO_INTERNET | Verdict::WAITING => "no",
        Verdict::NO_UPLINK => "none",
        _ => "unsure",
    }
}

/// The verdict in one sentence; `way` is what traffic leaves by.
pub fn words(verdict: Verdict, reason: Option<&LayerStatus>, way: &str) -> String {
    let why = reason.map(|layer| format!("{}: {}", layer.layer.name(), layer.text));
    let why = why.unwrap_or_else(|| "guestnetd does not say why".to_owned());
    match verdict {
        Verdict::INTERNET => format!("internet via {way}"),
        Verdict::NO_NAMES => format!("internet via {way}, but no names: {why}"),
        Verdict::NO_INTERNET | Verdict::WAITING => format!("no internet: {why}"),
        Verdict::NO_UPLINK => "no uplink, by its configuration".to_owned(),
        _ => format!("internet via {way} is unsure: {why}"),
    }
}

/// What packets found, in short.
pub fn found(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::INTERNET => "internet",
        Verdict::NO_NAMES => "internet, but no names",
        Verdict::NO_INTERNET | Verdict::WAITING => "no internet",
        Verdict::NO_UPLINK => "no uplink, by its configuration",
        _ => "unsure",
    }
}

/// What `doctor` tells a script: the worst of them.
pub fn exit_of_all(all: &[Diagnosis]) -> Exit {
    let any = |bad: &dyn Fn(Verdict) -> bool| all.iter().any(|found| bad(found.verdict));
    let milder = [Verdict::INTERNET, Verdict::NO_UPLINK, Verdict::WAITING, Verdict::NO_NAMES];
    if any(&|verdict| !milder.contains(&verdict)) {
        Exit::System
    } else if any(&|verdict| verdict == Verdict::WAITING) {
        Exit::NoUplink
    } else if any(&|verdict| verdict == Verdict::NO_NAMES) {
        Exit::NoNames
    } else {
        Exit::Ok
    }
}

/// What is wrong and what to do about it, in one line.
pub fn advice(reason: &LayerStatus) -> String {
    match &reason.nextStep {
        Some(step) => format!("{}; {step}", reason.text),
        None => reason.text.clone(),
    }
}

/// What traffic leaves by: the uplink's name; what was asked for when there is none.
pub fn way(uplink: &Uplink) -> &str {
    match uplink.interfaceName.as_str() {
        "" => &uplink.choice,
        name => name,
    }
}

/// What `status` tells a script. What could not be read is not a guest's failure; a rule that may drop what it
/// sends may be one.
pub fn exit(status: &Status) -> Exit {
    // The device's count by the guests: one that leaves by a tun of its own does not need the uplink.
    let guests = || status.guests.iter().flat_map(|of| &of.layers);
    let device = status.device.iter().filter(|_| status.guests.is_empty());
    // Without names there is internet, which is another failure than none.
    let any = |state, names| {
        let mut all = guests().chain(device.clone());
        all.any(|layer| layer.state == state && (layer.layer == Layer::DNS) == names)
    };
    if any(LayerState::BAD, false) {
        Exit::System
    } else if any(LayerState::WAITING, false) {
        Exit::NoUplink
    } else if guests().chain(device.clone()).any(|l| l.layer != Layer::DNS && is_doubtful(l)) {
        Exit::Unsure
    } else if any(LayerState::BAD, true) || any(LayerState::WAITING, true) {
        Exit::NoNames
    } else if guests().chain(device.clone()).any(is_doubtful) {
        Exit::Unsure
    } else {
        Exit::Ok
    }
}

/// Whether something was found that may be wrong, and not only that nothing could be read.
pub fn is_doubtful(layer: &LayerStatus) -> bool {
    let unread = [Cause::HEALTHY, Cause::UNREADABLE].contains(&layer.cause);
    ![LayerState::OK, LayerState::BAD, LayerState::WAITING].contains(&layer.state) && !unread
}

#[cfg(test)]
mod tests {
    use super::*;
    use android_system_guestnet::aidl::android::system::guestnet::{
        GuestStatus::GuestStatus, LayerState::LayerState as S,
    };

    fn nat(next_step: Option<&str>) -> LayerStatus {
        LayerStatus {
            layer: Layer::NAT,
            text: "gone: all of it".to_owned(),
            nextStep: next_step.map(str::to_owned),
            ..LayerStatus::default()
        }
    }

    #[test]
    fn each_verdict_has_its_word_and_its_sentence() {
        let why = nat(Some("a step"));
        for (verdict, name, words) in [
            (Verdict::INTERNET, "yes", "internet via wlan0"),
            (Verdict::NO_UPLINK, "none", "no uplink, by its configuration"),
            (
                Verdict::NO_NAMES,
                "no_names",
                "internet via wlan0, but no names: nat: gone: all of it",
            ),
            (Verdict::NO_INTERNET, "no", "no internet: nat: gone: all of it"),
            (Verdict::WAITING, "no", "no internet: nat: gone: all of it"),
            (Verdict::UNSURE, "unsure", "internet via wlan0 is unsure: nat: gone: all of it"),
            (Verdict(9), "unsure", "internet via wlan0 is unsure: nat: gone: all of it"),
        ] {
            assert_eq!(super::name(verdict), name);
            assert_eq!(super::words(verdict, Some(&why), "wlan0"), words);
        }
        let silent = super::words(Verdict::NO_INTERNET, None, "");
        assert_eq!(silent, "no internet: guestnetd does not say why");
    }

    #[test]
    fn the_worst_diagnosis_makes_the_exit_code() {
        use Verdict as V;
        for (verdicts, code) in [
            (&[][..], Exit::Ok),
            (&[V::INTERNET, V::INTERNET], Exit::Ok),
            (&[V::INTERNET, V::WAITING], Exit::NoUplink),
            (&[V::NO_NAMES, V::WAITING], Exit::NoUplink),
            (&[V::NO_NAMES, V::INTERNET], Exit::NoNames),
            (&[V::NO_NAMES, V::UNSURE], Exit::System),
            (&[V::NO_INTERNET], Exit::System),
            (&[V::UNSURE], Exit::System),
        ] {
            let found = |verdict: &V| Diagnosis { verdict: *verdict, ..Diagnosis::default() };
            assert_eq!(exit_of_all(&verdicts.iter().map(found).collect::<Vec<_>>()), code);
        }
    }

    #[test]
    fn advice_is_the_text_and_the_next_step() {
        assert_eq!(advice(&nat(Some("a step"))), "gone: all of it; a step");
        assert_eq!(advice(&nat(None)), "gone: all of it");
    }

    #[test]
    fn the_worst_layer_makes_the_exit_code() {
        for (device, guest, code) in [
            (S::OK, Some(S::OK), Exit::Ok),
            (S::OK, Some(S::UNKNOWN), Exit::Ok),
            (S::OK, Some(S::WAITING), Exit::NoUplink),
            (S::WAITING, Some(S::BAD), Exit::System),
            // It leaves by a tun of its own.
            (S::BAD, Some(S::OK), Exit::Ok),
            (S::WAITING, None, Exit::NoUplink),
            (S::BAD, None, Exit::System),
        ] {
            let layers = |state| vec![LayerStatus { state, ..nat(None) }];
            let of = |state| GuestStatus { layers: layers(state), ..GuestStatus::default() };
            let guests = guest.into_iter().map(of).collect();
            let device = layers(device);
            assert_eq!(exit(&Status { device, guests, ..Status::default() }), code);
        }
        assert_eq!(exit(&Status::default()), Exit::Ok);
        let doubt = |cause| {
            let layer = LayerStatus { state: S::UNKNOWN, cause, ..nat(None) };
            exit(&Status { device: vec![layer], ..Status::default() })
        };
        assert_eq!(doubt(Cause::FORWARD_DROPPED), Exit::Unsure);
        assert_eq!(doubt(Cause::UNREADABLE), Exit::Ok);
        let names = |state, other| {
            let dns = LayerStatus { layer: Layer::DNS, state, ..nat(None) };
            let cause = Cause::FORWARD_DROPPED;
            let layers = vec![LayerStatus { state: other, cause, ..nat(None) }, dns];
            let guests = vec![GuestStatus { layers, ..GuestStatus::default() }];
            exit(&Status { guests, ..Status::default() })
        };
        assert_eq!(names(S::BAD, S::OK), Exit::NoNames);
        assert_eq!(names(S::WAITING, S::OK), Exit::NoNames);
        assert_eq!(names(S::UNKNOWN, S::OK), Exit::Ok);
        assert_eq!(names(S::BAD, S::WAITING), Exit::NoUplink);
        assert_eq!(names(S::BAD, S::UNKNOWN), Exit::Unsure, "what may drop all of it");
        assert_eq!(names(S::OK, S::BAD), Exit::System);
    }
}

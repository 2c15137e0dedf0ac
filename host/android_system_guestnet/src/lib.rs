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

//! The crate that Soong's aidl_interface makes as `android.system.guestnet-rust`, made with
//! rsbinder-aidl for builds outside the Android tree. The items are documented in `aidl/`.
#![allow(missing_docs)]

mod gen {
    #![allow(clippy::all, dead_code, unsafe_op_in_unsafe_fn)]
    include!(concat!(env!("OUT_DIR"), "/gen.rs"));
}

/// The module path that aidl's own Rust backend makes.
pub mod aidl {
    pub mod android {
        pub mod system {
            pub mod guestnet {
                pub use crate::gen::android::system::guestnet::{
                    Cause, Change, ChangeKind, DeviceState, Dhcp, DhcpCounters, DiagnoseOptions,
                    Diagnosis, DnsCounters, DnsMode, DnsState, EndCause, FirewallBackend, Guest,
                    GuestConfig, GuestDns, GuestEvent, GuestField, GuestKind, GuestState,
                    GuestStatus, GuestTarget, Layer, LayerState, LayerStatus, Lifeline,
                    NamedResolvers, Operation, Place, ProbeOutcome, ProbeReport, Reloaded,
                    ServiceInfo, Status, TargetKind, TimelineStep, Trace, TraceGap, TraceStep,
                    Uplink, UplinkInfo, Verdict, VpnPolicy,
                };
                binder::aidl_interface_module!(
                    crate::gen::android::system::guestnet,
                    IGuestNet,
                    BnGuestNet
                );
                binder::aidl_interface_module!(
                    crate::gen::android::system::guestnet,
                    IGuestNetListener,
                    BnGuestNetListener
                );
            }
        }
    }
}

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

//! The contract: any bytes as the arguments of any method, and what the service makes of them before it does
//! anything.

use crate::api::from_wire;
use crate::api::sections::Section;
use crate::error::Error;
use crate::spec::GuestSpec;
use android_system_guestnet::aidl::android::system::guestnet::{
    DeviceState::DeviceState, DiagnoseOptions::DiagnoseOptions, GuestConfig::GuestConfig,
    GuestTarget::GuestTarget, UplinkInfo::UplinkInfo,
};
use binder::__rsbinder::{from_bytes, Deserialize, Parcel, Result};

/// Who calls.
const UID: u32 = 1000;

/// The contract's methods in its order: the first one's number is 1.
pub const METHODS: [&str; 20] = [
    "attach",
    "update",
    "detach",
    "detachAll",
    "list",
    "get",
    "plan",
    "check",
    "status",
    "info",
    "registerListener",
    "unregisterListener",
    "dumpTo",
    "setDns",
    "diagnose",
    "repair",
    "setUplinkInfo",
    "getDns",
    "setDeviceState",
    "reload",
];

/// A call: the method, which is its first word, and its arguments, as the contract has them. Objects and
/// descriptors, which are nothing without a connection, are refused where they stand: what stands before
/// them is read.
pub fn call(bytes: &[u8]) {
    let _ = from_bytes::<Call>(bytes);
}

/// A call that is looked at as it is read.
struct Call;

impl Deserialize for Call {
    fn deserialize(parcel: &mut Parcel) -> Result<Self> {
        let number = parcel.read::<u32>()? as usize;
        match number.checked_sub(1).and_then(|at| METHODS.get(at)).copied().unwrap_or_default() {
            "attach" | "plan" | "check" => request(&parcel.read()?, Some(&parcel.read()?)),
            "update" => {
                name(&parcel.read::<String>()?);
                request(&parcel.read()?, None);
            }
            "detach" | "get" | "repair" => name(&parcel.read::<String>()?),
            "status" => name(&parcel.read::<Option<String>>()?.unwrap_or_default()),
            "dumpTo" => drop(parcel.read::<Vec<String>>()?),
            "setDns" => {
                let _ = from_wire::uplink(&parcel.read::<String>()?);
                let _ = from_wire::resolvers(&parcel.read::<Vec<String>>()?);
            }
            "diagnose" => {
                name(&parcel.read::<Option<String>>()?.unwrap_or_default());
                let _ = from_wire::targets(&parcel.read::<DiagnoseOptions>()?);
            }
            "setUplinkInfo" => {
                let _ = from_wire::uplink(&parcel.read::<String>()?);
                let _ = from_wire::uplink_info(&parcel.read::<UplinkInfo>()?);
            }
            "setDeviceState" => drop(from_wire::device_state(&parcel.read::<DeviceState>()?)),
            // The others have no arguments, or a listener; or there is no such method.
            _ => {}
        }
        Ok(Self)
    }
}

fn name(text: &str) {
    if let Err(e) = from_wire::name(text) {
        assert!(e.to_string().len() < 1024, "{e}");
    }
}

/// A configuration that is believed is such as may be written to the store and read again; one that is not
/// is refused in few words.
fn request(config: &GuestConfig, target: Option<&GuestTarget>) {
    let mut section = Section::default();
    section.say("mtu", config);
    let _ = section.complete(config);
    let _ = from_wire::unsupported(config);
    let spec = match from_wire::spec(config, UID) {
        Ok(spec) => spec,
        Err(e) => {
            assert!(e.to_string().len() < 4096, "{e}");
            return;
        }
    };
    let kept = serde_json::to_vec(&spec).expect("JSON");
    assert_eq!(serde_json::from_slice::<GuestSpec>(&kept).expect("a spec"), spec);
    if let Some(Err(e)) = target.map(|target| from_wire::target(target, spec.kind)) {
        assert!(!matches!(e, Error::GuestGone(_)));
    }
}

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

//! The way to guestnetd.

use crate::exit::Failure;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_platform::{Connection, Endpoint};

/// The name that guestnetd registers.
const NAME: &str = "android.system.guestnet.IGuestNet/default";

/// Connects to where the user says, or GUESTNET_URI, or to the platform's default.
pub fn connect(uri: Option<&str>) -> Result<Connection<dyn IGuestNet>, Failure> {
    let env = std::env::var("GUESTNET_URI").ok().filter(|uri| !uri.is_empty());
    let endpoint = match uri.or(env.as_deref()) {
        Some(uri) => uri.parse()?,
        None => Endpoint::platform_default(),
    };
    Ok(guestnet_platform::connect(&endpoint, NAME)?)
}

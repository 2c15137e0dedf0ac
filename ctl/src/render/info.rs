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

//! What this guestnetd is.

use super::table::{Align::Left, Table};
use crate::names::Name;
use android_system_guestnet::aidl::android::system::guestnet::ServiceInfo::ServiceInfo;

/// A line for each property.
pub fn text(info: &ServiceInfo) -> String {
    let forwarding =
        if info.ownsForwarding { "switched on by guestnetd" } else { "not guestnetd's" };
    let unsupported = match info.unsupported.as_slice() {
        [] => "nothing".to_owned(),
        some => some.join(", "),
    };
    let mut table = Table::new([Left, Left]);
    table.row(["guestnetd", &info.version]);
    table.row(["pid", &info.pid.to_string()]);
    table.row(["listens on", &info.listen]);
    table.row(["uplink", &info.uplink]);
    table.row(["routing", &info.routing]);
    table.row(["firewall", &format!("{} ({})", info.firewall.name(), info.firewallReason)]);
    table.row(["forwarding", forwarding]);
    table.row(["kernel", &info.kernel]);
    table.row(["state in", &info.stateDir]);
    table.row(["guests", &info.guests.to_string()]);
    table.row(["unsupported", &unsupported]);
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn every_property() {
        assert_eq!(
            text(&samples::info()),
            "\
guestnetd    0.2.0
pid          812
listens on   unix:///run/guestnet/guestnet.sock
uplink       wlan0
routing      main
firewall     nftables (asked for)
forwarding   switched on by guestnetd
kernel       6.18.44
state in     /run/guestnet
guests       3
unsupported  update, owner
"
        );
    }
}

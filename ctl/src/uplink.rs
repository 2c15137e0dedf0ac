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

//! What guestnetd is told of an uplink: the resolvers behind it, and what the platform knows of it.

use crate::cli::UplinkArgs;
use crate::exit::{Exit, Failure};
use crate::output::{self, Output};
use crate::{json, render};
use android_system_guestnet::aidl::android::system::guestnet::{
    DnsState::DnsState, IGuestNet::IGuestNet, Uplink::Uplink, UplinkInfo::UplinkInfo,
};

/// Which resolvers guests ask now, and all that are named.
pub fn resolvers(guestnet: &dyn IGuestNet, output: &Output) -> Result<(), Failure> {
    let status = guestnet.status(None)?;
    let name = crate::verdict::way(&status.uplink);
    let servers = &status.uplink.dnsServers;
    // An older guestnetd does not say.
    let state = match guestnet.getDns().map_err(Failure::from) {
        Err(e) if e.exit == Exit::Unsupported => DnsState::default(),
        other => other?,
    };
    output.answer(
        || json::dns_state(name, servers, &state),
        || render::uplink::in_use(name, &status, &state, output.look()),
    )
}

/// Names the resolvers behind an uplink, or forgets them.
pub fn name_resolvers(
    guestnet: &dyn IGuestNet,
    output: &Output,
    uplink: &str,
    servers: &[String],
) -> Result<(), Failure> {
    guestnet.setDns(uplink, servers)?;
    output.answer(|| json::dns(uplink, servers), || render::uplink::resolvers(uplink, servers))?;
    if !servers.is_empty() {
        doubt(guestnet, uplink, "dns");
    }
    Ok(())
}

/// Says what the platform knows of an uplink; what is not given is not so.
pub fn info(guestnet: &dyn IGuestNet, output: &Output, args: &UplinkArgs) -> Result<(), Failure> {
    let info = UplinkInfo {
        metered: args.metered,
        captivePortalUrl: args.captive_portal.clone(),
        validated: !args.not_validated,
    };
    guestnet.setUplinkInfo(&args.uplink, &info)?;
    output.answer(
        || json::uplink_info(&args.uplink, &info),
        || render::uplink::info(&args.uplink, &info),
    )?;
    if args.metered || args.captive_portal.is_some() || args.not_validated {
        doubt(guestnet, &args.uplink, "uplink-info");
    }
    Ok(())
}

/// An interface that does not exist is not an error: it may appear later. More often its name is mistyped.
fn doubt(guestnet: &dyn IGuestNet, name: &str, command: &str) {
    if nix::net::if_::if_nametoindex(name).is_ok() {
        return;
    }
    // It is done, whatever becomes of this question.
    let Ok(status) = guestnet.status(None) else { return };
    if !is_one_of(name, &status.uplink) {
        output::complain(&format!(
            "there is no interface {name} now, and guests leave by {}: this holds when there is one; \
             guestnetctl {command} {name} takes it back",
            crate::verdict::way(&status.uplink)
        ));
    }
}

/// Whether it is the uplink, or would be taken for it.
fn is_one_of(name: &str, uplink: &Uplink) -> bool {
    let fits = |choice: &str| match choice.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == choice,
    };
    name == uplink.interfaceName || uplink.choice.split(',').any(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_the_uplink_is_no_slip() {
        let of = |choice: &str, name: &str| Uplink {
            choice: choice.to_owned(),
            interfaceName: name.to_owned(),
            ..Uplink::default()
        };
        for (name, uplink, fits) in [
            ("wlan0", of("wlan0", "wlan0"), true),
            ("wlan0", of("wlan0", ""), true),
            ("eth0", of("default", "eth0"), true),
            ("rmnet1", of("wlan0,rmnet*", "wlan0"), true),
            ("wlna0", of("wlan0,rmnet*", "wlan0"), false),
            ("wlan", of("wlan0", "wlan0"), false),
        ] {
            assert_eq!(is_one_of(name, &uplink), fits, "{name} of {uplink:?}");
        }
    }
}

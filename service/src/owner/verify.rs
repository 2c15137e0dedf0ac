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

//! Reads back what was set up: an attach answers for what is there, not for what was done.

use crate::error::Error;
use crate::kernel::netlink::Netlink;
use crate::kernel::observe;
use crate::plan::{diff, GuestNet, Observed, Step};
use std::time::{Duration, Instant};

/// How long the kernel may take to find that both ends have carrier.
const SETTLE: Duration = Duration::from_secs(2);

/// Reads both ends back: nothing but the mark may be missing. Gives the host end's index.
///
/// The end that comes up first learns of its carrier from linkwatch, a work queue of the kernel:
/// until then what is sent by it is dropped. Asking for a single link works the queue off on
/// recent kernels (rtnl_getlink()); on others it is waited for.
pub(super) async fn read_back(
    net: &GuestNet,
    device: &Netlink,
    inside: &Netlink,
    mark: &Step,
) -> Result<u32, Error> {
    let began = Instant::now();
    loop {
        let host = observe::host_end(device, net).await?;
        let guest = observe::guest_side(inside, &net.guest.name).await?;
        let index = host.as_ref().map_or(0, |h| h.index);
        let running = host.as_ref().is_some_and(|h| h.running)
            && guest.link.as_ref().is_some_and(|l| l.running);
        let missing = diff::guest(net, &Observed { host, guest: Some(guest) });
        let mut missing: Vec<String> =
            missing.iter().filter(|s| *s != mark).map(Step::what).collect();
        if missing.is_empty() && running {
            return Ok(index);
        }
        if missing.is_empty() && began.elapsed() < SETTLE {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        if missing.is_empty() {
            missing.push(format!("carrier on {} and {}", net.host.name, net.guest.name));
        }
        return Err(Error::Verify(missing.join(", ")));
    }
}

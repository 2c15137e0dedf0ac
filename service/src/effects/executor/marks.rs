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

//! The marks of a guest's host end, put back when somebody else has changed them.

use crate::effects::kernel::link;
use crate::effects::kernel::netlink::Netlink;
use crate::error::{Error, KernelError};
use crate::model::identity::Changed;
use crate::model::if_index::IfIndex;
use crate::model::ownership::{self, LINK_GROUP};
use crate::model::GuestNet;

/// Puts back what was changed; the first failure is the answer. The link may be down afterwards.
pub(crate) fn put_back(
    netlink: &Netlink,
    net: &GuestNet,
    index: IfIndex,
    changed: &[Changed],
) -> Result<(), Error> {
    changed.iter().try_for_each(|one| {
        put_back_one(netlink, net, index, one)
            .map_err(|cause| Error::kernel(format!("put back {one} on {}", net.host.name), cause))
    })
}

fn put_back_one(
    netlink: &Netlink,
    net: &GuestNet,
    index: IfIndex,
    changed: &Changed,
) -> Result<(), KernelError> {
    match changed {
        Changed::Name(_) => {
            free_name(netlink, net.host.name.as_str(), index)?;
            rename(netlink, index, net.host.name.as_str())
        }
        Changed::Master(_) => link::set_master(netlink, index, None),
        Changed::Group(_) => link::set_group(netlink, index, LINK_GROUP),
        Changed::Mac(_) => link::set_mac(netlink, index, net.host.mac.0),
    }
}

fn rename(netlink: &Netlink, index: IfIndex, name: &str) -> Result<(), KernelError> {
    match link::rename(netlink, index, name) {
        // Before Linux 6.2 a link that is up keeps its name (dev_change_name()).
        Err(e) if e.errno == libc::EBUSY => {
            link::set_up(netlink, index, false)?;
            link::rename(netlink, index, name)
        }
        other => other,
    }
}

/// Takes a guest's name from another guest's end, whose own name may be taken in turn. That end is down until
/// its turn comes.
fn free_name(netlink: &Netlink, name: &str, index: IfIndex) -> Result<(), KernelError> {
    match link::by_name(netlink, name)? {
        Some(other) if other.is_ours() && other.index != index => {
            link::set_up(netlink, other.index, false)?;
            link::rename(netlink, other.index, &format!("guest{}", other.index))
        }
        _ => Ok(()),
    }
}

/// Writes the alias, which says the guest's VPN policy, too.
pub(crate) fn set_alias(netlink: &Netlink, net: &GuestNet, index: IfIndex) -> Result<(), Error> {
    let text = ownership::alias(net);
    link::set_alias(netlink, index, &text)
        .map_err(|cause| Error::kernel(format!("set alias {text} on {}", net.host.name), cause))
}

/// Sets a host end down: while its marks are not its own, nothing may come in by it.
pub(crate) fn shut(netlink: &Netlink, index: IfIndex) -> Result<(), KernelError> {
    link::set_up(netlink, index, false)
}

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

//! The executor of one guest's steps: each object, added, changed or removed.

use crate::effects::executor::link_deleter::Deleter;
use crate::effects::executor::Executor;
use crate::effects::kernel::address::{self, Address};
use crate::effects::kernel::link::{self, End, Link};
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::netns::Home;
use crate::effects::kernel::observe::{self, FoundGuest};
use crate::effects::kernel::{mirred, pin, route, sysctl, tun};
use crate::error::{Error, KernelError};
use crate::model::desired::desired_guest;
use crate::model::if_index::IfIndex;
use crate::model::object::{Ipv4Conf, LinkKind, Loopback, Setting};
use crate::model::ownership::{Mac, ROUTE_PROTOCOL};
use crate::model::segment::{Member, Place};
use crate::model::step::Op;
use crate::model::{GuestNet, Object, Reversible, Scope, Step};
use crate::spec::{Family, IfName};
use std::net::Ipv4Addr;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The kernel, as far as one guest's steps need it.
pub struct KernelExecutor<'a> {
    /// The guest's network as it should be.
    pub net: &'a GuestNet,
    /// A socket in the device's namespace.
    pub device: &'a Netlink,
    /// Deletes links.
    pub deleter: &'a Deleter,
    /// The calling thread's own namespace.
    pub home: &'a Home,
    /// The guest: its namespace and a socket in it.
    pub guest: Option<(BorrowedFd<'a>, &'a Netlink)>,
    /// Index of the host end, once it is known.
    pub host_index: Option<IfIndex>,
    /// Index of the guest end, once it is known.
    pub guest_index: Option<IfIndex>,
    /// The descriptors of the TAP device that it has made, which goes with them.
    pub tap: Vec<OwnedFd>,
}

impl Executor<Step> for KernelExecutor<'_> {
    fn run(&mut self, step: &Step) -> Result<(), Error> {
        let failed = |cause| Error::kernel(step.describe(), cause);
        match (&step.op, &step.object) {
            (Op::Add, Object::Link { .. }) => self.create(step),
            (Op::Remove, Object::Link { name, .. }) => self.delete(name),
            (Op::Add, Object::Route { .. }) => match self.change(step) {
                // A guest's only one is its default route. What is in the way may be by the same end.
                Err(e) if e.errno == libc::EEXIST && step.scope == Scope::Guest => {
                    let other = self.guest_side()?.other_default;
                    Err(Error::GuestRouteExists(other.unwrap_or_default()))
                }
                Err(e) if e.errno == libc::ENETUNREACH && step.scope == Scope::Guest => {
                    self.route_again(step).map_err(failed)
                }
                other => other.map_err(failed),
            },
            _ => self.change(step).map_err(failed),
        }
    }

    fn is_done(&mut self, step: &Step, error: &Error) -> bool {
        match (error, &step.op) {
            // It was there before us.
            (Error::Kernel { cause, .. }, Op::Add) if cause.errno == libc::EEXIST => false,
            (Error::Kernel { .. }, Op::Add) => self.is_there(step).unwrap_or(true),
            (Error::Kernel { .. }, Op::Remove) => !self.is_there(step).unwrap_or(true),
            // The value from before can be set again in any case.
            (Error::Kernel { .. }, Op::Change { .. }) => true,
            // The kernel's refusal, in words of ours.
            _ => false,
        }
    }
}

impl KernelExecutor<'_> {
    fn change(&mut self, step: &Step) -> Result<(), KernelError> {
        let removes = step.op == Op::Remove;
        let scope = step.scope;
        match &step.object {
            Object::Loopback(state) => self.loopback(*state),
            Object::Link { name, mtu, .. } => {
                let index = self.index(scope, name)?;
                link::set_mtu(self.netlink(scope)?, index, *mtu)
            }
            Object::Sysctl { dev, setting: Setting::DisableIpv6, value } => match scope {
                Scope::Device => Ok(sysctl::disable_ipv6(dev, *value)?),
                // /proc/sys/net is of the thread's namespace.
                Scope::Guest => Err(no_guest()),
            },
            Object::Ipv4Conf { dev, conf } => {
                let index = self.index(scope, dev)?;
                let netlink = self.netlink(scope)?;
                link::set_ipv4_conf(netlink, index, *conf)?;
                conf.source.map_or(Ok(()), |source| pin::set(netlink, index, source))
            }
            Object::Address { dev, address, prefix, prefix_route } => {
                let index = self.index(scope, dev)?;
                let netlink = self.netlink(scope)?;
                if removes {
                    address::delete(netlink, index, *address, *prefix)
                } else {
                    address::add(netlink, index, *address, *prefix, *prefix_route)
                }
            }
            Object::Up { dev } => {
                let index = self.index(scope, dev)?;
                link::set_up(self.netlink(scope)?, index, !removes)
            }
            Object::Route { to, via, dev, table } => {
                let index = self.index(scope, dev)?;
                let netlink = self.netlink(scope)?;
                if removes {
                    route::delete(netlink, index, *to, *via, *table)
                } else {
                    route::add(netlink, index, *to, *via, *table)
                }
            }
            Object::Member { dev, member } => {
                let index = self.index(scope, dev)?;
                let hub = link::by_name(self.device, member.hub.as_str())?;
                let hub = hub.filter(Link::is_hub).map(|hub| hub.index);
                match (removes, hub) {
                    (true, hub) => leave(self.device, member, index, hub)?,
                    (false, Some(hub)) => join(self.device, member, index, hub)?,
                    (false, None) => return Err(gone()),
                }
                // It has gone with the others.
                match self.net.host.pinned {
                    true => pin::set(self.device, index, self.net.guest.address),
                    false => Ok(()),
                }
            }
            Object::Alias { dev, text } => {
                let index = self.index(scope, dev)?;
                // An empty one is none (rtnl_set_ifalias()).
                link::set_alias(self.netlink(scope)?, index, if removes { "" } else { text })
            }
        }
    }

    /// A default route whose gateway cannot be reached: the guest's own network manager has taken the address away
    /// meanwhile, as it may do with a link that it sees for the first time.
    fn route_again(&mut self, step: &Step) -> Result<(), KernelError> {
        let is_its = |object: &Object| matches!(object, Object::Address { .. });
        for (scope, object) in desired_guest(self.net) {
            if scope == step.scope && is_its(&object) {
                match self.change(&Step { op: Op::Add, scope, object }) {
                    Err(e) if e.errno != libc::EEXIST => return Err(e),
                    _ => {}
                }
            }
        }
        self.change(step)
    }

    fn create(&mut self, step: &Step) -> Result<(), Error> {
        let Object::Link { name, kind, mac, mtu } = &step.object else { return Ok(()) };
        let host_end = End { name: name.as_str(), mac: mac.0, mtu: *mtu };
        match kind {
            LinkKind::Veth { peer, peer_mac } => {
                let guest_end = End { name: peer.as_str(), mac: peer_mac.0, mtu: *mtu };
                self.create_veth(step, name, &host_end, (peer, &guest_end))
            }
            LinkKind::Tap { queues, owner } => {
                self.create_tap(step, name, &host_end, (*queues, *owner))
            }
            LinkKind::VethPeer => Ok(()), // it comes with the device's end
        }
    }

    fn create_veth(
        &mut self,
        step: &Step,
        name: &IfName,
        host_end: &End<'_>,
        (peer, guest_end): (&IfName, &End<'_>),
    ) -> Result<(), Error> {
        let (netns, inside) =
            self.guest.ok_or_else(|| Error::kernel(step.describe(), no_guest()))?;
        match link::create_veth(self.device, host_end, guest_end, netns) {
            Ok(()) => {
                // Not to find it again is the next step's failure: this one is done.
                let _ = self.find_ends(name);
                Ok(())
            }
            // EEXIST does not say which end's name is taken.
            Err(e) if e.errno == libc::EEXIST => {
                let there = link::by_name(inside, peer.as_str());
                Err(match there {
                    Ok(Some(_)) => Error::GuestInterfaceExists(peer.clone()),
                    _ => Error::HostInterfaceExists(name.clone()),
                })
            }
            Err(cause) if cause.errno == libc::EOPNOTSUPP => {
                Err(Error::NoVeth { step: step.describe(), cause })
            }
            Err(e) => Err(Error::kernel(step.describe(), e)),
        }
    }

    /// The device is nobody's until it has its marks, and goes with its descriptors if it gets none.
    fn create_tap(
        &mut self,
        step: &Step,
        name: &IfName,
        end: &End<'_>,
        (queues, owner): (u8, u32),
    ) -> Result<(), Error> {
        let first = tun::open_for_tap()?;
        let tap = tun::Tap { name: name.as_str(), queues, owner };
        let made = tun::create_tap(first, &tap).map_err(|e| match e.raw_os_error() {
            Some(libc::EBUSY) => Error::HostInterfaceExists(name.clone()),
            Some(libc::EPERM | libc::EACCES) => {
                Error::NoTap { step: step.describe(), cause: e.into() }
            }
            _ => Error::kernel(step.describe(), e),
        })?;
        let marked = || -> Result<IfIndex, KernelError> {
            let index = link::by_name(self.device, name.as_str())?.ok_or_else(gone)?.index;
            link::mark(self.device, index, end)?;
            Ok(index)
        };
        let index = marked().map_err(|e| Error::kernel(step.describe(), e))?;
        (self.host_index, self.tap) = (Some(index), made);
        Ok(())
    }

    /// One question answers with the indexes of both ends.
    fn find_ends(&mut self, host: &IfName) -> Result<(), KernelError> {
        let made = link::by_name(self.device, host.as_str())?.ok_or_else(gone)?;
        self.host_index = Some(made.index);
        self.guest_index = made.other_end;
        Ok(())
    }

    /// Until it cannot be seen any more; the kernel's slow part goes on in the deleter.
    fn delete(&mut self, host: &IfName) -> Result<(), Error> {
        let failed = |cause| Error::kernel(format!("delete link {host}"), cause);
        let Some(link) = link::by_name(self.device, host.as_str()).map_err(failed)? else {
            return Ok(());
        };
        if !link.is_ours() {
            return Err(Error::HostInterfaceExists(host.clone()));
        }
        self.deleter.delete_now(self.device, link.index).map_err(failed)
    }

    fn loopback(&self, state: Loopback) -> Result<(), KernelError> {
        let inside = self.inside()?;
        link::set_up(inside, IfIndex::LOOPBACK, state == Loopback::Up)?;
        if state != Loopback::New {
            return Ok(());
        }
        match address::delete(inside, IfIndex::LOOPBACK, Ipv4Addr::LOCALHOST, 8) {
            Err(e) if e.errno != libc::EADDRNOTAVAIL => Err(e),
            _ => Ok(()),
        }
    }

    /// Whether the object is there, and is ours where that can be seen.
    fn is_there(&mut self, step: &Step) -> Result<bool, KernelError> {
        let scope = step.scope;
        let Some(dev) = step.object.dev() else { return Ok(true) };
        let Some(link) = link::by_name(self.netlink(scope)?, dev.as_str())? else {
            return Ok(false);
        };
        let netlink = self.netlink(scope)?;
        Ok(match &step.object {
            Object::Link { mac, .. } => is_half_made(&link, *mac),
            Object::Up { .. } => link.up,
            Object::Ipv4Conf { conf, .. } => {
                let pinned = match conf.source {
                    Some(source) => pin::is_there(netlink, link.index, source)?,
                    None => true,
                };
                pinned && link.ipv4 == Some(Ipv4Conf { source: None, ..*conf })
            }
            Object::Alias { text, .. } => link.alias.as_ref() == Some(text),
            Object::Address { address, prefix, prefix_route, .. } => {
                let is_it = |found: &Address| {
                    (found.address, found.prefix, found.prefix_route)
                        == (*address, *prefix, *prefix_route)
                };
                address::of(netlink, Family::V4, Some(link.index))?.iter().any(is_it)
            }
            Object::Route { to, via, table, .. } => {
                route::of(netlink, Family::V4, Some(*table), Some(link.index))?.iter().any(
                    |found| {
                        found.protocol == ROUTE_PROTOCOL
                            && (found.destination, found.gateway) == (*to, *via)
                    },
                )
            }
            // Some of it may be.
            Object::Sysctl { .. } | Object::Loopback(_) | Object::Member { .. } => true,
        })
    }

    fn guest_side(&self) -> Result<FoundGuest, Error> {
        let failed = |e| Error::kernel("read the guest's network", e);
        let (netns, inside) = self.guest.ok_or_else(|| failed(no_guest()))?;
        observe::guest_side(inside, || self.home.inside(netns, Netlink::open), self.net)
    }

    fn inside(&self) -> Result<&Netlink, KernelError> {
        self.guest.map(|(_, netlink)| netlink).ok_or_else(no_guest)
    }

    fn netlink(&self, scope: Scope) -> Result<&Netlink, KernelError> {
        match scope {
            Scope::Device => Ok(self.device),
            Scope::Guest => self.inside(),
        }
    }

    /// The index of one of both ends.
    fn index(&mut self, scope: Scope, name: &IfName) -> Result<IfIndex, KernelError> {
        let known = match scope {
            Scope::Device => self.host_index,
            Scope::Guest => self.guest_index,
        };
        if let Some(index) = known {
            return Ok(index);
        }
        let link = link::by_name(self.netlink(scope)?, name.as_str())?.ok_or_else(gone)?;
        if scope == Scope::Device && !link.is_ours() {
            return Err(KernelError {
                errno: libc::EEXIST,
                text: Some("it is not guestnetd's".into()),
            });
        }
        Ok(match scope {
            Scope::Device => *self.host_index.insert(link.index),
            Scope::Guest => *self.guest_index.insert(link.index),
        })
    }
}

/// Puts a guest into its segment, in place of whatever its host end has of that; the others see it last.
fn join(
    netlink: &Netlink,
    member: &Member,
    index: IfIndex,
    hub: IfIndex,
) -> Result<(), KernelError> {
    match mirred::add_clsact(netlink, index) {
        Err(e) if e.errno == libc::EEXIST => {
            mirred::delete_clsact(netlink, index)?;
            mirred::add_clsact(netlink, index)?;
        }
        other => other?,
    }
    for filter in &member.filters() {
        let (at, to) = match filter.place {
            Place::FromGuest | Place::ToGuest => (index, hub),
            Place::Hub => (hub, index),
        };
        mirred::add(netlink, &mirred::Led { filter, at, to })?;
    }
    Ok(())
}

fn leave(
    netlink: &Netlink,
    member: &Member,
    index: IfIndex,
    hub: Option<IfIndex>,
) -> Result<(), KernelError> {
    if let Some(hub) = hub {
        for found in mirred::of_member(netlink, hub, member.number)? {
            mirred::delete(netlink, hub, Place::Hub, &found)?;
        }
    }
    mirred::delete_clsact(netlink, index)
}

/// Ours, this guest's, and not whole: that has an alias.
fn is_half_made(link: &Link, mac: Mac) -> bool {
    link.is_ours() && link.mac == mac.0 && link.alias.is_none()
}

fn gone() -> KernelError {
    KernelError { errno: libc::ENODEV, text: None }
}

fn no_guest() -> KernelError {
    KernelError { errno: libc::ENXIO, text: Some("the guest's namespace is not at hand".into()) }
}

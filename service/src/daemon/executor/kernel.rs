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

//! Does the steps of one guest in the kernel. The only place that turns a `Step` into a change.

use crate::daemon::executor::Executor;
use crate::error::{Error, KernelError};
use crate::kernel::link::{self, End};
use crate::kernel::link_deleter::{self, Deleter};
use crate::kernel::netlink::Netlink;
use crate::kernel::{address, conntrack, observe, route, sysctl};
use crate::model::{ownership, Step};
use crate::spec::IfName;
use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;

/// The kernel, as far as one guest's steps need it.
pub struct KernelExecutor<'a> {
    /// A socket in the device's namespace.
    pub device: &'a Netlink,
    /// Deletes links.
    pub deleter: &'a Deleter,
    /// The guest: its namespace and a socket in it.
    pub guest: Option<(BorrowedFd<'a>, &'a Netlink)>,
    /// Index of the host end, once it is known.
    pub host_index: Option<u32>,
    /// Index of the guest end, once it is known.
    pub guest_index: Option<u32>,
}

impl Executor for KernelExecutor<'_> {
    fn run(&mut self, step: &Step) -> Result<(), Error> {
        match step {
            Step::ForgetConnections(address) => {
                // It must not cost a guest its network: the connections go with their timeouts too.
                if let Err(e) = conntrack::forget(*address) {
                    log::warn!("{} failed: {e}", step.what());
                }
                Ok(())
            }
            Step::DeleteLink(host) => self.delete(host),
            Step::DefaultRoute(guest, gateway) => self.default_route(step, guest, *gateway),
            Step::CreateLink { .. } => self.create(step),
            _ => self.change(step).map_err(|cause| Error::kernel(step.what(), cause)),
        }
    }
}

impl KernelExecutor<'_> {
    fn change(&mut self, step: &Step) -> Result<(), KernelError> {
        match step {
            Step::DisableIpv6(host) => Ok(sysctl::disable_ipv6(host)?),
            Step::HostAddress(host, address, prefix) => {
                address::add(self.device, self.host(host)?, *address, *prefix)
            }
            Step::HostMtu(host, mtu) => link::set_mtu(self.device, self.host(host)?, *mtu),
            Step::HostUp(host) => link::set_up(self.device, self.host(host)?, true),
            Step::HostRoute(host, to, table) => {
                route::add_direct(self.device, self.host(host)?, *to, *table)
            }
            Step::Name(host, name) => {
                link::set_alias(self.device, self.host(host)?, &ownership::alias(name))
            }
            Step::LoopbackUp { .. } => self.loopback(true, false),
            Step::LoopbackDown { bare } => self.loopback(false, *bare),
            Step::GuestAddress(guest, address, prefix) => {
                let index = self.guest(guest)?;
                address::add(self.inside()?, index, *address, *prefix)
            }
            Step::GuestUp(guest) => {
                let index = self.guest(guest)?;
                link::set_up(self.inside()?, index, true)
            }
            // Those of what guests share (`resource/`), and those that the caller has done.
            Step::AddRule(_)
            | Step::DeleteRule(_)
            | Step::ForwardingOn(_)
            | Step::ForwardingOff(_)
            | Step::Firewall { .. }
            | Step::ForgetConnections(_)
            | Step::CreateLink { .. }
            | Step::DefaultRoute(..)
            | Step::DeleteLink(_) => Ok(()),
        }
    }

    fn create(&mut self, step: &Step) -> Result<(), Error> {
        let Step::CreateLink { host, host_mac, guest, guest_mac, mtu } = step else {
            return Ok(());
        };
        let (netns, inside) = self.guest.ok_or_else(|| Error::kernel(step.what(), no_guest()))?;
        let host_end = End { name: host.as_str(), mac: host_mac.0, mtu: *mtu };
        let guest_end = End { name: guest.as_str(), mac: guest_mac.0, mtu: *mtu };
        match link::create_veth(self.device, &host_end, &guest_end, netns) {
            Ok(()) => {
                // Not to find it again is the next step's failure: this one is done.
                let _ = self.find_ends(host);
                Ok(())
            }
            // EEXIST does not say which end's name is taken.
            Err(e) if e.errno == libc::EEXIST => {
                let there = link::by_name(inside, guest.as_str());
                Err(match there {
                    Ok(Some(_)) => Error::GuestInterfaceExists(guest.clone()),
                    _ => Error::HostInterfaceExists(host.clone()),
                })
            }
            Err(e) => Err(Error::kernel(step.what(), e)),
        }
    }

    /// One question gives the indexes of both ends.
    fn find_ends(&mut self, host: &IfName) -> Result<(), KernelError> {
        let made = link::by_name(self.device, host.as_str())?.ok_or_else(gone)?;
        self.host_index = Some(made.index);
        self.guest_index = Some(made.other_end).filter(|index| *index != 0);
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
        self.deleter.delete_now(link.index);
        link_deleter::invisible(self.device, link.index).map_err(failed)
    }

    fn default_route(&mut self, step: &Step, guest: &IfName, by: Ipv4Addr) -> Result<(), Error> {
        let failed = |cause| Error::kernel(step.what(), cause);
        let index = self.guest(guest).map_err(failed)?;
        let inside = self.inside().map_err(failed)?;
        match route::add_gateway(inside, index, by) {
            Err(e) if e.errno == libc::EEXIST => {
                let other = observe::guest_side(inside, guest)?.other_default;
                Err(other.map_or_else(|| failed(e), Error::GuestRouteExists))
            }
            other => other.map_err(failed),
        }
    }

    fn loopback(&self, up: bool, without_address: bool) -> Result<(), KernelError> {
        let inside = self.inside()?;
        link::set_up(inside, link::LOOPBACK, up)?;
        if !without_address {
            return Ok(());
        }
        match address::delete(inside, link::LOOPBACK, Ipv4Addr::LOCALHOST, 8) {
            Err(e) if e.errno != libc::EADDRNOTAVAIL => Err(e),
            _ => Ok(()),
        }
    }

    fn inside(&self) -> Result<&Netlink, KernelError> {
        self.guest.map(|(_, netlink)| netlink).ok_or_else(no_guest)
    }

    fn host(&mut self, name: &IfName) -> Result<u32, KernelError> {
        if let Some(index) = self.host_index {
            return Ok(index);
        }
        let link = link::by_name(self.device, name.as_str())?.ok_or_else(gone)?;
        if !link.is_ours() {
            return Err(KernelError {
                errno: libc::EEXIST,
                text: Some("it is not guestnetd's".into()),
            });
        }
        Ok(*self.host_index.insert(link.index))
    }

    fn guest(&mut self, name: &IfName) -> Result<u32, KernelError> {
        if let Some(index) = self.guest_index {
            return Ok(index);
        }
        let link = link::by_name(self.inside()?, name.as_str())?.ok_or_else(gone)?;
        Ok(*self.guest_index.insert(link.index))
    }
}

fn gone() -> KernelError {
    KernelError { errno: libc::ENODEV, text: None }
}

fn no_guest() -> KernelError {
    KernelError { errno: libc::ENXIO, text: Some("the guest's namespace is not at hand".into()) }
}

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

//! Into a guest's namespace that may not be opened, or of which nothing is kept while the guest is
//! attached: a TUN device of ours is moved there and says where it is. The way there is a process in
//! it, by pid, or the id that the kernel has for the namespace behind the host end. Neither needs
//! rights over a process of the guest (/proc/PID/ns/net and a pidfd do: ptrace_may_access()).
//!
//! The guest sees the device, down and without address, for some 20 ms: the move sleeps in
//! rcu_barrier. So never with the owner's lock held.
//!
//! Nothing less sets what is beyond: RTM_NEWLINK and RTM_SETLINK look up their link in the sender's
//! namespace, and take IFLA_TARGET_NETNSID for where it should be moved to (do_setlink()). With the
//! index of a guest's end they move the device's link of the same index to the guest.

use super::handle::{self, NetnsHandle};
use super::Home;
use crate::effects::kernel::link::{self, Namespace};
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::tun;
use crate::error::{Error, KernelError};
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A namespace that was entered again, held until this is dropped.
#[derive(Debug)]
pub struct WayBack {
    // In this order: the namespace is let go first, for the device's end takes as long as its move.
    netns: OwnedFd,
    _tun: Option<File>,
}

/// Opens the namespace behind a host end: by its handle where the kernel has one for it, which takes
/// microseconds, else by its id.
pub fn behind(
    device: &Netlink,
    home: &Home,
    id: i32,
    handle: Option<&NetnsHandle>,
) -> Result<WayBack, Error> {
    match handle.and_then(|handle| handle::open(home.as_fd(), handle).ok()) {
        Some(netns) => Ok(WayBack { netns, _tun: None }),
        None => open(device, Namespace::Id(id)),
    }
}

impl AsFd for WayBack {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netns.as_fd()
    }
}

/// Opens a namespace. `device` is in the calling thread's, which is the one that an id is of.
pub fn open(device: &Netlink, namespace: Namespace) -> Result<WayBack, Error> {
    let failed = |what: &'static str| move |e: io::Error| Error::kernel(what, e);
    let tun = tun::open().map_err(|e| Error::kernel(format!("open {}", tun::PATH), e))?;
    // Nobody has it, here or there: the move to a namespace that has the name fails. std's own
    // random keys: no other source of randomness is at hand.
    let random = RandomState::new().build_hasher().finish();
    let name = format!("gn{:012x}", random >> 16);
    tun::create_tun(&tun, &name).map_err(failed("make a TUN device"))?;
    let moved = |e| Error::kernel("move a TUN device into the guest", e);
    let link = link::by_name(device, &name).map_err(moved)?;
    let link = link.ok_or_else(|| moved(KernelError { errno: libc::ENODEV, text: None }))?;
    link::set_netns(device, link.index, namespace).map_err(moved)?;
    let netns = tun::netns_of(&tun).map_err(failed("ask where a TUN device is"))?;
    Ok(WayBack { netns, _tun: Some(tun) })
}

/// Opens the namespace of a process. The device is gone when this returns.
pub fn of_process(pid: i32) -> Result<OwnedFd, Error> {
    let device = Netlink::open().map_err(|e| Error::kernel("open a netlink socket", e))?;
    let WayBack { netns, _tun: tun } = open(&device, Namespace::Process(pid))?;
    drop(tun);
    Ok(netns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::kernel::netns::NetnsId;
    use crate::effects::kernel::testing::in_a_netns;
    use crate::model::if_index::IfIndex;
    use nix::sched::{unshare, CloneFlags};
    use std::time::{Duration, Instant};

    /// A pair whose other end is in a namespace that nothing holds but `File`.
    fn pair(device: &Netlink) -> (File, i32) {
        let held = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            File::open("/proc/thread-self/ns/net").unwrap()
        };
        let guest = std::thread::spawn(held).join().unwrap();
        let [host, inside] = ["host", "inside"].map(|name| link::End {
            name,
            mac: [2, 0, 0, 0, 0, name.len() as u8],
            mtu: 1500,
        });
        link::create_veth(device, &host, &inside, guest.as_fd()).unwrap();
        let id = link::by_name(device, "host").unwrap().unwrap().elsewhere.unwrap();
        (guest, id)
    }

    fn names(netlink: &Netlink) -> Vec<String> {
        let mut names: Vec<_> =
            link::all(netlink).unwrap().into_iter().map(|link| link.name).collect();
        names.retain(|name| ["host", "inside"].contains(&name.as_str()) || name.starts_with("gn"));
        names
    }

    #[test]
    fn it_leads_where_the_other_end_is_and_leaves_nothing() {
        in_a_netns(|device| {
            let (guest, id) = pair(device);
            let wanted = NetnsId::of(&guest).unwrap();
            let way = open(device, Namespace::Id(id)).unwrap();
            let there = File::from(way.as_fd().try_clone_to_owned().unwrap());
            assert_eq!(NetnsId::of(&there).unwrap(), wanted);
            let home = Home::here().unwrap();
            let inside = home.inside(guest.as_fd(), Netlink::open).unwrap();
            assert_eq!(names(&inside).len(), 2, "the TUN device is in there: {:?}", names(&inside));
            let [guest_end] = link::all(&inside)
                .unwrap()
                .into_iter()
                .filter(|l| l.name == "inside")
                .collect::<Vec<_>>()
                .try_into()
                .unwrap();
            // What can be read from outside is the same.
            let seen = link::beyond(device, id, guest_end.index).unwrap().unwrap();
            assert_eq!((seen.name.as_str(), seen.mtu), ("inside", 1500));
            drop(way);
            // A child that another test forks has the descriptor until it calls exec().
            let until = Instant::now() + Duration::from_secs(2);
            while names(&inside) != ["inside"] && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(
                (names(device), names(&inside)),
                (vec!["host".into()], vec!["inside".into()])
            );
            link::set_mtu(&inside, guest_end.index, 1400).unwrap();
            assert_eq!(link::beyond(device, id, guest_end.index).unwrap().unwrap().mtu, 1400);
        });
    }

    #[test]
    fn without_such_a_namespace_it_leaves_nothing() {
        in_a_netns(|device| {
            let (_guest, id) = pair(device);
            let refused = open(device, Namespace::Id(id + 1)).unwrap_err();
            assert_eq!(refused.errno(), Some(libc::EINVAL), "{refused}");
            assert_eq!(names(device), ["host"]);
            let refused = link::beyond(device, id + 1, IfIndex::LOOPBACK).unwrap_err();
            assert_eq!(refused.errno, libc::EINVAL);
        });
    }
}

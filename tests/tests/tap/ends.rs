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

//! A TAP guest lives by its descriptor, and by nothing else.

use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::{
    EndCause::EndCause, GuestEvent::GuestEvent, IGuestNet::IGuestNet,
};
use guestnet_tests::bed::{deaf, eventually, Bed, Listener, Told, BOUND};
use guestnet_tests::{InNetns, Probe};

use super::{attach, nowhere, tap, INTERNET};
use guestnet_tests::vm::Vm;

/// The next guest that is gone: who, and why.
#[track_caller]
pub fn next_lost(listener: &Listener) -> (String, EndCause) {
    loop {
        match listener.next() {
            Told::Guest(GuestEvent::LOST, guest) => return (guest.name, guest.endCause),
            Told::Guest(GuestEvent::DETACHED, guest) => panic!("{} was detached", guest.name),
            _ => {}
        }
    }
}

/// Whether a process is this program by now.
fn is_called(pid: u32, name: &str) -> bool {
    let comm = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    comm.is_ok_and(|comm| comm.trim_end() == name)
}

#[test]
fn with_the_last_descriptor_it_is_gone_wherever_that_was() {
    let bed = Bed::with_neighbour();
    let listener = Listener::on(&**bed.service);
    let mut vm = Vm::of(&mut attach(&bed, "vm"));
    vm.boots();
    // As a process that it was passed to, or that it has leaked to.
    let passed_on = vm.descriptor();
    drop(vm);
    assert!(bed.device.link("vm_wlan1").is_some(), "one is open still");
    assert!(bed.names().contains(&"vm".to_owned()));
    drop(passed_on);
    assert_eq!(next_lost(&listener), ("vm".to_owned(), EndCause::TAP_CLOSED));
    assert!(bed.device.link("vm_wlan1").is_none());
    assert_eq!(bed.names(), ["neighbour"]);
    bed.assert_neighbour_talks("a TAP that was closed");
}

#[test]
fn a_holder_that_is_killed_takes_it_along() {
    let bed = Bed::new("auto");
    let listener = Listener::on(&**bed.service);
    let words = ["attach", "vm", "--tap", "--exec", "sleep", "1000"];
    let mut holder = bed.daemon.ctl(&words).spawn().expect("guestnetctl");
    eventually("it has become the program", || is_called(holder.id(), "sleep"));
    assert_eq!(bed.names(), ["vm"]);
    holder.kill().expect("killed");
    holder.wait().expect("ended");
    assert_eq!(next_lost(&listener), ("vm".to_owned(), EndCause::TAP_CLOSED));
    assert!(bed.device.link("vm_wlan").is_none());
}

/// The kernel itself takes the device along. A busy machine may be late now and then: the least of some times counts.
#[test]
fn the_link_is_gone_within_50_ms_of_its_holders_end() {
    let bed = Bed::new("auto");
    let mut times = Vec::new();
    for _ in 0..8 {
        let words = ["attach", "vm", "--tap", "--exec", "sleep", "1000"];
        let mut holder = bed.daemon.ctl(&words).spawn().expect("guestnetctl");
        eventually("it has become the program", || is_called(holder.id(), "sleep"));
        let there = || nix::net::if_::if_nametoindex("vm_wlan").is_ok();
        times.push(bed.device.enter(|| {
            assert!(there());
            let killed = Instant::now();
            holder.kill().expect("killed");
            while there() {
                assert!(killed.elapsed() < BOUND, "it stays");
                std::thread::sleep(Duration::from_micros(200));
            }
            killed.elapsed()
        }));
        holder.wait().expect("ended");
        eventually("its guest is gone", || bed.names().is_empty());
    }
    times.sort();
    eprintln!("{times:?}");
    assert!(times[0] < Duration::from_millis(50), "{times:?}");
}

/// A program that is killed at the end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Takes a descriptor that comes by a socket, says so, and keeps it until it is killed.
const TAKES: &str = "\
import signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print('listens', flush=True)
_, fds, _, _ = socket.recv_fds(server.accept()[0], 1, 1)
print('has', len(fds), flush=True)
signal.pause()";

/// Passes the one that it was started with on, and keeps it.
const PASSES_ON: &str = "\
import signal, socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
socket.send_fds(client, [b'x'], [int(sys.argv[2])])
signal.pause()";

#[test]
fn a_process_that_its_descriptor_was_passed_to_keeps_it_beyond_its_first_holder() {
    let bed = Bed::new("auto");
    let listener = Listener::on(&**bed.service);
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("socket").display().to_string();
    let mut takes = Command::new("python3");
    let takes = takes.args(["-c", TAKES, &socket]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut second = Running(takes.spawn().expect("python3"));
    let mut says = BufReader::new(second.0.stdout.take().expect("its output")).lines();
    let mut says = || says.next().expect("it says something").expect("text");
    assert_eq!(says(), "listens");
    let words = ["attach", "vm", "--tap", "--exec", "python3", "-c", PASSES_ON, &socket, "{fd}"];
    let mut first = Running(bed.daemon.ctl(&words).spawn().expect("guestnetctl"));
    assert_eq!(says(), "has 1");
    let there = || bed.device.link("vm_wlan").map(|link| link["ifindex"].to_string());
    let before = there().expect("the link");
    first.0.kill().expect("killed");
    first.0.wait().expect("ended");
    // Longer than it takes to be seen (`the_link_is_gone_within_50_ms_of_its_holders_end`).
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(there(), Some(before));
    assert_eq!(bed.names(), ["vm"]);
    second.0.kill().expect("killed");
    second.0.wait().expect("ended");
    assert_eq!(next_lost(&listener), ("vm".to_owned(), EndCause::TAP_CLOSED));
    assert_eq!(there(), None);
}

#[test]
fn a_device_that_its_holder_made_persistent_goes_all_the_same() {
    // linux/if_tun.h; it takes its argument by value.
    const TUNSETPERSIST: libc::c_ulong = 0x4004_54cb;
    let bed = Bed::new("auto");
    let listener = Listener::on(&**bed.service);
    let vm = Vm::of(&mut attach(&bed, "vm"));
    // SAFETY: the descriptor is open, and no memory is touched.
    let done = unsafe { libc::ioctl(vm.descriptor().as_raw_fd(), TUNSETPERSIST as _, 1) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    drop(vm);
    assert_eq!(next_lost(&listener), ("vm".to_owned(), EndCause::TAP_CLOSED));
    assert!(bed.device.link("vm_wlan").is_none());
}

#[test]
fn detach_removes_it_under_an_open_descriptor_and_its_name_is_free() {
    let bed = Bed::new("auto");
    let mut vm = Vm::of(&mut attach(&bed, "vm"));
    vm.boots();
    bed.detach("vm");
    assert!(bed.device.link("vm_wlan").is_none());
    // What is left of it is a descriptor that leads nowhere, and does not harm its successor.
    let mut next = Vm::of(&mut attach(&bed, "vm"));
    next.boots();
    drop(vm);
    assert!(next.pings(INTERNET), "{}", bed.daemon.log());
    assert_eq!(bed.service.detachAll().expect("detachAll"), 1);
    assert!(bed.device.link("vm_wlan").is_none() && bed.names().is_empty());
}

#[test]
fn a_link_that_somebody_deletes_is_a_guest_that_is_gone() {
    let bed = Bed::new("auto");
    let listener = Listener::on(&**bed.service);
    let guest = attach(&bed, "vm");
    bed.device.run("ip link del vm_wlan");
    assert_eq!(next_lost(&listener), ("vm".to_owned(), EndCause::TAP_CLOSED));
    drop(guest);
    let guest = attach(&bed, "vm");
    assert_eq!(guest.tap.len(), 1);
}

#[test]
fn an_owner_that_dies_takes_it_along_whoever_holds_the_descriptor() {
    let bed = Bed::new("auto");
    let listener = Listener::on(&**bed.service);
    let client = bed.daemon.connect();
    let owner = deaf();
    let attached = client.attach(&tap("vm"), &nowhere(), Some(&owner.as_binder()));
    let guest = attached.unwrap_or_else(|e| panic!("{e}\n{}", bed.daemon.log()));
    drop((owner, client));
    assert_eq!(next_lost(&listener), ("vm".to_owned(), EndCause::OWNER_DIED));
    assert!(bed.device.link("vm_wlan").is_none());
    drop(guest);
}

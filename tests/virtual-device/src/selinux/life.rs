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

//! A life of guestnetd in its own domain, as short as can be with all that it does on a device.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{channel, Sender};
use std::sync::Mutex;
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::DiagnoseOptions::DiagnoseOptions;
use android_system_guestnet::aidl::android::system::guestnet::Guest::Guest as WireGuest;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::GuestEvent::GuestEvent;
use android_system_guestnet::aidl::android::system::guestnet::GuestKind::GuestKind;
use android_system_guestnet::aidl::android::system::guestnet::GuestTarget::GuestTarget;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNetListener::{
    BnGuestNetListener, IGuestNetListener,
};
use android_system_guestnet::aidl::android::system::guestnet::ProbeOutcome::ProbeOutcome;
use android_system_guestnet::aidl::android::system::guestnet::ProbeReport::ProbeReport;
use android_system_guestnet::aidl::android::system::guestnet::TargetKind::TargetKind;
use android_system_guestnet::aidl::android::system::guestnet::Uplink::Uplink;
use binder::{BinderFeatures, Interface};
use guestnet_tests::client::{by_netns, by_pid, config};
use guestnet_tests::{poll, said, Guest, InNetns, NetdDevice, Probe};

use crate::init::bed::{Bed, Started, BOUND, STATE};

const CONTEXT: &str = "u:r:guestnetd:s0";

/// Says what it hears.
struct Ear(Mutex<Sender<String>>);

impl Interface for Ear {}

impl IGuestNetListener for Ear {
    fn onGuest(&self, _event: GuestEvent, guest: &WireGuest) -> binder::Result<()> {
        self.hear(&guest.name)
    }

    fn onUplink(&self, uplink: &Uplink, _before: &Uplink, _gap: i64) -> binder::Result<()> {
        self.hear(&uplink.interfaceName)
    }
}

impl Ear {
    fn hear(&self, what: &str) -> binder::Result<()> {
        let _ = self.0.lock().expect("a sender").send(what.to_owned());
        Ok(())
    }
}

/// Attach, detach, another MTU of the uplink, status, dumps, a listener, a crash and what comes after.
pub fn life(bed: &Bed, rc: &Path) -> Result<(), String> {
    let (mut started, service) = bed.start(rc)?;
    in_its_domain(&started)?;
    let (told, hears) = channel();
    let ear = BnGuestNetListener::new_binder(Ear(Mutex::new(told)), BinderFeatures::default());
    service.registerListener(&ear).map_err(|e| format!("a listener: {e}"))?;
    let (first, second) = (Guest::new(), Guest::new());
    let attached = service.attach(&config("first"), &by_pid(first.pid()), None);
    attached.map_err(|e| format!("attach by pid: {e}"))?;
    flows(&first)?;
    leases(&first)?;
    bed.resolves(&first)?;
    let heard = hears.recv_timeout(Duration::from_secs(20));
    heard.map_err(|_| "the listener hears nothing".to_owned())?;
    service.status(None).map_err(|e| format!("status: {e}"))?;
    let tap = GuestConfig { kind: GuestKind::TAP, queues: 2, ..config("vm") };
    let nowhere = GuestTarget { kind: TargetKind::NONE, ..GuestTarget::default() };
    let vm = service.attach(&tap, &nowhere, None).map_err(|e| format!("attach of a TAP: {e}"))?;
    if vm.tap.len() != 2 {
        return Err(format!("{} descriptors of a TAP", vm.tap.len()));
    }
    drop(vm);
    // A manager of guests passes it on to the program that it becomes.
    let vmm = "attach vm --tap --exec /system_ext/bin/guestnetctl --version";
    poll(Duration::from_secs(20), || service.get("vm").ok()?.is_none().then_some(()))
        .ok_or("a TAP stays")?;
    let out = visitor("guest_manager", vmm);
    if !out.0 || !out.1.contains("guestnetctl 0") {
        return Err(format!("a TAP for guest_manager: {}", out.1));
    }
    examined(&**service)?;
    for domain in ["guest_manager", "shell", "dumpstate"] {
        let out = visitor(domain, "dump");
        if !out.0 || !out.1.contains("first") {
            return Err(format!("a dump for {domain}: {}", out.1));
        }
    }
    // Guests follow the MTU: a way back into the guest, of whom nothing is held.
    bed.device.run("ip link set wlan0 mtu 1400");
    let follows = || first.link("wlan0").filter(|link| link["mtu"] == 1400);
    poll(Duration::from_secs(20), follows).ok_or("the MTU is not followed")?;
    bed.device.run("ip link set wlan0 mtu 1500");
    started.end(libc::SIGKILL);
    let (mut started, service) = bed.start(rc)?;
    flows(&first)?;
    service.detach("first").map_err(|e| format!("detach: {e}"))?;
    // The address's connections are forgotten before another guest has it.
    let next = GuestConfig { addresses: vec!["172.17.3.3".to_owned()], ..config("second") };
    let attached = service.attach(&next, &by_netns(second.open_netns()), None);
    attached.map_err(|e| format!("attach by netns: {e}"))?;
    flows(&second)?;
    service.detachAll().map_err(|e| format!("detachAll: {e}"))?;
    let none = || second.links().iter().all(|link| link != "wlan0").then_some(());
    poll(BOUND, none).ok_or("a link is left behind")?;
    // It takes its rules with it; who holds the lock keeps iptables waiting, which is killed then.
    let lock = File::open(bed.device.xtables_lock()).map_err(|e| e.to_string())?;
    // SAFETY: the descriptor is open, and flock() takes nothing else of ours.
    unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX) };
    started.end(libc::SIGTERM);
    Ok(())
}

/// Every probe of doctor's can be sent, from both sides, and is seen on its way.
fn examined(service: &dyn IGuestNet) -> Result<(), String> {
    let options = DiagnoseOptions {
        targets: vec![NetdDevice::SERVER.to_owned()],
        url: format!("http://{}/", NetdDevice::SERVER),
        ..DiagnoseOptions::default()
    };
    let found = service.diagnose(Some("first"), &options).map_err(|e| format!("diagnose: {e}"))?;
    for probe in &found.probes {
        let sent = |outcome| outcome != ProbeOutcome::NOT_SENT;
        if !sent(probe.guest) || !sent(probe.device) {
            return Err(format!("doctor cannot send {}: {}", probe.name, probe.detail));
        }
    }
    let seen = |probe: &ProbeReport| probe.detail.contains("sent, in by vm_wlan");
    if !found.probes.iter().any(seen) {
        return Err(format!("doctor sees no packet: {found:?}"));
    }
    Ok(())
}

/// A DHCP client is answered; what it is told is as it was.
fn leases(guest: &Guest) -> Result<(), String> {
    let line = "busybox udhcpc -f -q -n -t 10 -T 1 -i wlan0 -s /bin/true";
    match guest.try_run(line) {
        out if out.status.success() => Ok(()),
        out => Err(format!("no lease: {}", said(&out))),
    }
}

/// A packet comes back, to the address that the guest has.
fn flows(guest: &Guest) -> Result<(), String> {
    let answer = poll(Duration::from_secs(20), || guest.udp(NetdDevice::UDP, "x").ok());
    answer.map(drop).ok_or_else(|| "no packet comes back".to_owned())
}

/// That its label has made it what it is.
fn in_its_domain(started: &Started) -> Result<(), String> {
    let path = format!("/proc/{}/attr/current", started.pid);
    let context = fs::read_to_string(path).unwrap_or_default();
    let state = Command::new("stat").args(["-c", "%C", STATE]).output();
    let state = state.map(|out| said(&out)).unwrap_or_default();
    match context.trim_end_matches(['\0', '\n']) {
        CONTEXT if state.contains("guestnet_data_file") => Ok(()),
        other => Err(format!("it runs as {other}, its state is {state}")),
    }
}

/// guestnetctl in a domain: whether it succeeded, and what it said.
pub fn visitor(domain: &str, words: &str) -> (bool, String) {
    let mut command = Command::new("runcon");
    command.arg(format!("u:r:{domain}:s0")).arg("/system_ext/bin/guestnetctl");
    let out = command
        .args(words.split_whitespace())
        .env("GUESTNET_URI", "binder://")
        .output()
        .expect("runcon");
    (out.status.success(), said(&out))
}

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

//! guestnetd confined by sepolicy/: all that it does is allowed, and all that is allowed is needed.
//! `selinux-suite RC POLICIES STATEMENTS [NUMBER]...`: first a life under the policy `whole`, without one denial,
//! which logs what its statements grant. Then under those that each lack one statement: the kernel says of one
//! grant of that life that it would be none. What is not told so (a number of an ioctl, silence about a
//! denial) another life tells: something fails in it, or is denied.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_device_tests::init::bed::{Bed, BOUND};
use guestnet_device_tests::selinux::avc::{allows, decisions, denials, load, Denial, Grant};
use guestnet_device_tests::selinux::life::{life, visitor};
use guestnet_device_tests::selinux::vms::vms;
use guestnet_tests::client::{by_pid, config, NAME};
use guestnet_tests::{poll, said, Guest, InNetns, NetdDevice, Probe};

/// A user that is an app's.
const APP: u32 = 10123;

fn main() -> ExitCode {
    let args: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    let [rc, policies, statements, only @ ..] = &args[..] else {
        return ExitCode::from(2);
    };
    let mut bed = Bed::new();
    bed.by = ["runcon", "u:r:init:s0"].map(str::to_owned).to_vec();
    // Every domain may write its terminal; there is no logd.
    bed.log = "/dev/ttyS0".into();
    label(&bed);
    denials();
    let began = Instant::now();
    let whole = run(&bed, rc, &policies.join("whole"));
    let own: Vec<_> = whole.denials.iter().filter(|d| d.source == "guestnetd").collect();
    own.iter().for_each(|denial| println!("denied: {denial}"));
    if whole.result.is_err() || !own.is_empty() {
        println!("FAILED: under the whole policy: {:?}, {} denials", whole.result, own.len());
        return ExitCode::FAILURE;
    }
    println!("ok: nothing of what guestnetd does is denied; {} grants", whole.grants.len());
    // A file that guestnetd may write, to be read.
    bed.log = "/tmp/guestnetd.log".into();
    let _ = fs::write(&bed.log, "");
    bed.device.run(&format!("chcon u:object_r:guestnet_data_file:s0 {}", bed.log.display()));
    if let Err(why) = callers(&bed, rc) {
        println!("FAILED: who may call: {why}");
        return ExitCode::FAILURE;
    }
    println!("ok: its clients may find and call it, an app and a guest may not");
    if let Err(why) = vms(&bed, rc) {
        println!("FAILED: VMs: {why}");
        return ExitCode::FAILURE;
    }
    println!("ok: frames flow by a manager's descriptors and by its VMM's, and nothing is denied");
    if let Err(why) = events(&bed, rc) {
        println!("FAILED: uplinks and netd: {why}");
        return ExitCode::FAILURE;
    }
    println!("ok: nothing is denied as uplinks come and go, and netd starts anew");
    // Without all those lines.
    bed.log = "/dev/null".into();
    bed.patience = began.elapsed().min(BOUND);
    let statements = Statements::read(statements, only);
    match without_one(&bed, rc, policies, &whole, &statements) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Those of guestnetd.te, in their order.
struct Statements {
    all: Vec<String>,
    /// The numbers of those that are to be left out; none: each.
    only: Vec<usize>,
}

impl Statements {
    fn read(all: &Path, only: &[PathBuf]) -> Self {
        let text = fs::read_to_string(all).expect("the statements");
        let number = |word: &PathBuf| word.to_string_lossy().parse().expect("a number");
        Self {
            all: text.lines().map(str::to_owned).collect(),
            only: only.iter().map(number).collect(),
        }
    }
}

/// Under every policy that lacks one statement. How many of them nothing tells from the whole.
fn without_one(
    bed: &Bed,
    rc: &Path,
    policies: &Path,
    whole: &Outcome,
    statements: &Statements,
) -> usize {
    let mut needless = 0;
    for (number, statement) in statements.all.iter().enumerate() {
        if !statements.only.is_empty() && !statements.only.contains(&number) {
            continue;
        }
        let policy = policies.join(format!("{number:02}"));
        if let Some(why) = refused(&policy, &whole.grants) {
            println!("ok: without `{statement}`: {why}");
            continue;
        }
        let without = run(bed, rc, &policy);
        let new = without.denials.iter().find(|d| !whole.denials.iter().any(|k| k.is_like(d)));
        let told = match (&without.result, new) {
            (_, Some(denial)) => format!("denied: {denial}"),
            (Err(why), None) => why.lines().next().unwrap_or_default().to_owned(),
            (Ok(()), None) => {
                println!("FAILED: `{statement}` is not needed, or not exercised");
                needless += 1;
                continue;
            }
        };
        println!("ok: without `{statement}`: {told}");
    }
    let _ = load(&policies.join("whole"));
    needless
}

/// What was granted and would not be under another policy, as the kernel says; the policy is its own then.
fn refused(policy: &Path, grants: &BTreeSet<Grant>) -> Option<String> {
    take(policy);
    let refused = |grant: &&Grant| !grant.stands().unwrap_or_else(|e| panic!("{grant}: {e}"));
    may_find().err().or_else(|| Some(format!("not granted: {}", grants.iter().find(refused)?)))
}

/// Has the kernel go by this policy.
fn take(policy: &Path) {
    load(policy).unwrap_or_else(|e| panic!("{}: {e}", policy.display()));
}

/// The labels that file_contexts of a device give to what stands in for its programs here.
fn label(bed: &Bed) {
    let programs = bed.device.iptables();
    let dir = programs.parent().expect("a folder").display();
    bed.device.run(&format!("chcon -h -R u:object_r:netd_file:s0 {dir}"));
    bed.device.run(&format!("chcon u:object_r:system_file:s0 {dir}"));
    for link in fs::read_dir(programs.parent().expect("a folder")).expect("a folder").flatten() {
        if link.path().is_symlink() {
            bed.device
                .run(&format!("chcon -h u:object_r:system_file:s0 {}", link.path().display()));
        }
    }
}

/// What came of one policy.
struct Outcome {
    result: Result<(), String>,
    denials: BTreeSet<Denial>,
    /// Under the policy that has them logged.
    grants: BTreeSet<Grant>,
}

fn run(bed: &Bed, rc: &Path, policy: &Path) -> Outcome {
    // A phone's kernel has none, and guestnetd asks; it may not load them, but others may.
    bed.device.try_run("modprobe -r nf_tables");
    take(policy);
    let result = may_find().and_then(|()| life(bed, rc));
    bed.sweep();
    let (mut denials, grants) = decisions();
    denials.retain(|d| {
        d.source == "guestnetd"
            || d.target == "guestnetd"
            || d.source == "netutils_wrapper"
            || d.target.starts_with("guestnet_")
    });
    Outcome { result, denials, grants }
}

/// Who may find and add the service: what a service manager asks the kernel, and rsbinder's does not.
fn may_find() -> Result<(), String> {
    let contexts = fs::read_to_string("service_contexts").map_err(|e| e.to_string())?;
    let label = contexts.lines().find_map(|line| line.strip_prefix(NAME)).map(str::trim);
    let label = label.ok_or("the service has no context")?;
    for (domain, find, add) in [
        ("guestnetd", true, true),
        ("guest_manager", true, false),
        ("system_server", true, false),
        ("untrusted_app", false, false),
        ("guest_init", false, false),
    ] {
        for (what, wanted) in [("find", find), ("add", add)] {
            let asked = allows(&format!("u:r:{domain}:s0"), label, "service_manager", what);
            if asked.map_err(|e| e.to_string())? != wanted {
                return Err(format!("{domain} and {what}: not {wanted}"));
            }
        }
    }
    Ok(())
}

/// Who may call it: the kernel's Binder looks at each call.
fn callers(bed: &Bed, rc: &Path) -> Result<(), String> {
    let (mut started, _service) = bed.start(rc)?;
    for (domain, may) in [("guest_manager", true), ("untrusted_app", false), ("guest_init", false)]
    {
        denials();
        let (done, said) = visitor(domain, "info");
        let call = |d: &Denial| d.source == domain && d.target == "guestnetd" && d.what == "call";
        if done != may || denials().iter().any(call) == may {
            return Err(format!("{domain} calls: {said}"));
        }
    }
    // Whom the policy lets in and guestnetd does not: its log says what the driver says of them.
    let mut stranger = Command::new("runcon");
    stranger.args(["u:r:guest_manager:s0", "/system_ext/bin/guestnetctl", "info"]);
    let out = stranger.env("GUESTNET_URI", "binder://").uid(APP).gid(APP).output();
    let out = out.map_err(|e| e.to_string())?;
    let logged = format!("uid {APP} may not use guestnetd; start it with --allow-uid {APP} (it is");
    let log = started.said();
    if out.status.code() != Some(6) || !log.contains(&format!("{logged} u:r:guest_manager:s0)")) {
        return Err(format!("as uid {APP}: {}; its log: {log}", said(&out)));
    }
    started.end(libc::SIGTERM);
    Ok(())
}

/// Wi-Fi is lost and comes back with another address, and netd starts anew: a guest is on again, and
/// nothing of that is denied.
fn events(bed: &Bed, rc: &Path) -> Result<(), String> {
    let (mut started, service) = bed.start(rc)?;
    let guest = Guest::new();
    let attached = service.attach(&config("box"), &by_pid(guest.pid()), None);
    attached.map_err(|e| format!("attach: {e}"))?;
    denials();
    let seen_as = |address: &str| {
        let answer = || guest.udp(NetdDevice::UDP, "x").ok().filter(|got| got.starts_with(address));
        poll(BOUND, answer).map(drop).ok_or_else(|| format!("nobody answers {address}"))
    };
    seen_as("192.0.2.2")?;
    bed.device.wifi_lost();
    bed.device.wifi_back_at("192.0.2.9/24");
    seen_as("192.0.2.9")?;
    bed.device.netd_restarts(Duration::ZERO);
    seen_as("192.0.2.9")?;
    service.setDns("wlan0", &["192.0.2.53".to_owned()]).map_err(|e| format!("setDns: {e}"))?;
    bed.device.wifi_lost();
    bed.device.wifi_back();
    seen_as("192.0.2.2")?;
    service.detach("box").map_err(|e| format!("detach: {e}"))?;
    started.end(libc::SIGTERM);
    match denials().into_iter().find(|d| d.source == "guestnetd") {
        None => Ok(()),
        Some(denial) => Err(format!("denied: {denial}")),
    }
}

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

//! guestnetd's file: what it says of options and of guests, and what becomes of another one.

use std::fs::{self, Permissions};
use std::os::unix::fs::{chown, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use android_system_guestnet::aidl::android::system::guestnet::{
    Dhcp::Dhcp,
    GuestConfig::GuestConfig,
    GuestField::GuestField,
    IGuestNet::{ERROR_ADDRESS_OUTSIDE_SUBNET, ERROR_BAD_ENUM, ERROR_BAD_FILE, ERROR_TARGET_KIND},
};
use guestnet_tests::bed::{eventually, guests_table, Bed, BOUND};
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::program::binary;
use guestnet_tests::{said, Device, Guest, InNetns, Internet, Probe};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// A file in a directory of its own.
struct File(TempDir);

impl File {
    fn new(text: &str) -> Self {
        let file =
            Self(tempfile::Builder::new().prefix("gnt-file-").tempdir().expect("a directory"));
        file.put(text);
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("guestnetd.toml")
    }

    /// Another one in its place, as editors put it there.
    fn put(&self, text: &str) {
        let new = self.0.path().join("new");
        fs::write(&new, text).expect("a file");
        fs::rename(new, self.path()).expect("in its place");
    }

    fn args(&self) -> String {
        format!("--config {}", self.path().display())
    }

    fn bed(&self, more: &str) -> Bed {
        Bed::on(Device::new()).args(&format!("{} {more}", self.args())).build()
    }
}

/// What guestnetctl says of one guest.
fn shown(bed: &Bed, name: &str) -> Value {
    let out = bed.daemon.run_ctl(&["--json", "show", name]);
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(&out)))
}

#[track_caller]
fn ctl(bed: &Bed, words: &[&str]) -> String {
    let out = bed.daemon.run_ctl(words);
    assert!(out.status.success(), "{words:?}: {}", said(&out));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// What a reload that is refused says.
#[track_caller]
fn refused(bed: &Bed) -> String {
    let out = bed.daemon.run_ctl(&["reload"]);
    assert_eq!(out.status.code(), Some(9), "{}", said(&out));
    String::from_utf8_lossy(&out.stderr).into_owned()
}

const WEB: &str = "[guest.web]\ninterface = \"eth7\"\nmtu = 1300\ndhcp = \"off\"\n\
                   gateway = \"10.9.0.1\"\nprefix = 24\naddress = \"10.9.0.7\"\n";

/// The hooks, as their callers run them.
fn lxc_hook(bed: &Bed, pid: i32) -> Output {
    let mut hook = bed.daemon.ctl(&["lxc-hook"]);
    hook.env("LXC_HOOK_VERSION", "1").env("LXC_HOOK_SECTION", "lxc");
    hook.env("LXC_HOOK_TYPE", "start-host").env("LXC_NAME", "web").env("LXC_PID", pid.to_string());
    hook.output().expect("the hook")
}

fn oci_hook(bed: &Bed, pid: i32) -> Output {
    let state = bed.daemon.state_dir().join("../state.json");
    fs::write(&state, format!(r#"{{"id":"web","status":"creating","pid":{pid}}}"#))
        .expect("a state");
    let mut hook = bed.daemon.ctl(&["oci-hook"]);
    hook.stdin(Stdio::from(fs::File::open(&state).expect("a state"))).output().expect("the hook")
}

#[test]
fn a_guest_gets_what_its_section_says_whoever_attaches_it() {
    let file = File::new(WEB);
    let bed = file.bed("");
    let pid = bed.guest.pid();
    type Attach = fn(&Bed, i32) -> Output;
    let by_ctl: Attach =
        |bed, pid| bed.daemon.run_ctl(&["attach", "web", "--pid", &pid.to_string()]);
    for (who, attach) in [("ctl", by_ctl), ("lxc", lxc_hook), ("oci", oci_hook)] {
        let out = attach(&bed, pid);
        assert!(out.status.success(), "{who}: {}", said(&out));
        let guest = shown(&bed, "web");
        assert_eq!(guest["addresses"][0], "10.9.0.7/24", "{who}");
        assert_eq!(
            (&guest["gateway"], &guest["dhcp"]),
            (&"10.9.0.1".into(), &"off".into()),
            "{who}"
        );
        assert!(bed.guest.run("ip link show eth7").contains("mtu 1300"), "{who}");
        assert!(bed.guest.ping(Internet::ADDRESS), "{who}");
        bed.detach("web");
    }
    let by_contract = bed.attach("web", &bed.guest);
    assert_eq!((by_contract.mtu, by_contract.dhcp), (1300, Dhcp::OFF));
    bed.detach("web");
    // Nobody says anything of others.
    assert_eq!(bed.attach("other", &bed.guest).interfaceName, "wlan0");
}

#[test]
fn what_the_caller_says_wins_also_if_it_is_the_default() {
    let file = File::new(WEB);
    let bed = file.bed("");
    let pid = bed.guest.pid().to_string();
    ctl(&bed, &["attach", "web", "--pid", &pid, "--mtu", "1400", "--interface", "wlan0"]);
    let guest = shown(&bed, "web");
    assert_eq!(
        (&guest["configured_mtu"], &guest["interface_name"]),
        (&1400.into(), &"wlan0".into())
    );
    assert_eq!(guest["gateway"], "10.9.0.1");
    // An update says all that is not asked for as the guest has it.
    ctl(&bed, &["update", "web", "--dhcp", "auto"]);
    let guest = shown(&bed, "web");
    assert_eq!((&guest["configured_mtu"], &guest["dhcp"]), (&1400.into(), &"auto".into()));
    // And --section, what the file says.
    ctl(&bed, &["update", "web", "--section"]);
    let guest = shown(&bed, "web");
    assert_eq!((&guest["configured_mtu"], &guest["dhcp"]), (&1300.into(), &"off".into()));
    bed.detach("web");
    let given = vec![GuestField::MTU, GuestField::DHCP];
    let guest = bed.attach_as(&GuestConfig { given, ..config("web") }, &bed.target());
    assert_eq!(
        (guest.configuredMtu, guest.dhcp, guest.interfaceName.as_str()),
        (-1, Dhcp::AUTO, "eth7")
    );
    let unknown = GuestConfig { given: vec![GuestField(14)], ..config("x") };
    let refused = bed.service.plan(&unknown, &bed.target()).expect_err("an unknown field");
    assert_eq!(refused.service_specific_error(), ERROR_BAD_ENUM);
}

/// A caller who did not say it is told who did.
#[test]
fn what_does_not_fit_together_names_the_section() {
    let file = File::new(&format!("{WEB}[guest.vm]\nkind = \"tap\"\n"));
    let bed = file.bed("");
    let elsewhere = GuestConfig { gateway: "10.5.0.1".into(), ..config("web") };
    let e = bed.service.attach(&elsewhere, &bed.target(), None).expect_err("an address elsewhere");
    assert_eq!(e.service_specific_error(), ERROR_ADDRESS_OUTSIDE_SUBNET);
    let text = guestnet_platform::status_message(&e);
    let says = "[guest.web] of guestnetd's file says its interface, address, prefix, mtu, dhcp";
    assert!(text.ends_with(says), "{text}");
    let e =
        bed.service.attach(&config("vm"), &bed.target(), None).expect_err("a TAP has no target");
    assert_eq!(e.service_specific_error(), ERROR_TARGET_KIND);
    let text = guestnet_platform::status_message(&e);
    assert!(text.ends_with("[guest.vm] of guestnetd's file says its kind"), "{text}");
    assert_eq!(bed.names(), [""; 0]);
}

#[test]
fn a_reload_changes_what_can_change_and_names_what_cannot() {
    let file = File::new("uplink = \"eth9\"\n[guest.box]\nmtu = 1300\n");
    let bed = file.bed("--firewall nftables");
    bed.attach("box", &bed.guest);
    assert!(!bed.guest.ping(Internet::ADDRESS));
    assert!(ctl(&bed, &["reload"]).ends_with(": nothing has changed\n"));
    file.put("guest-connections = 640\nallow-uid = [7]\nfirewall = \"iptables\"\n[guest.box]\nmtu = 1200\n");
    let answer = ctl(&bed, &["reload"]);
    let expected = format!(
        "{}: changed: guest-connections, uplink, guest.box\n\
         needs a restart: allow-uid\n\
         box stays as it is until it is attached again, or: guestnetctl update box --section\n",
        file.path().display()
    );
    // The packet filter is the command line's to choose.
    assert_eq!(answer, expected);
    assert!(bed.guest.ping(Internet::ADDRESS), "{}", bed.daemon.log());
    let table = guests_table(&bed.device).expect("the table");
    assert!(table.contains("ct count over 480"), "{table}");
    assert_eq!(shown(&bed, "box")["mtu"], 1300);
    // What waits for a restart is named for as long as it waits.
    let again = ctl(&bed, &["reload"]);
    assert!(again.ends_with(": nothing has changed\nneeds a restart: allow-uid\n"), "{again}");
    ctl(&bed, &["update", "box", "--section"]);
    assert_eq!(shown(&bed, "box")["mtu"], 1200);
    // Back to the defaults.
    file.put("");
    assert!(ctl(&bed, &["reload"]).contains("changed: guest-connections, guest.box\nbox stays"));
    assert!(guests_table(&bed.device).expect("the table").contains("ct count over 3072"));
}

#[test]
fn forwarding_is_kept_or_not_as_the_file_says_now() {
    let file = File::new("");
    let bed = file.bed("");
    file.put("keep-forwarding = true\ndns = \"192.0.2.77\"\n");
    assert!(ctl(&bed, &["reload"]).contains("changed: dns, keep-forwarding\n"));
    bed.attach("box", &bed.guest);
    assert!(ctl(&bed, &["dns"]).contains("192.0.2.77"));
    bed.detach("box");
    assert!(bed.forwards());
    file.put("");
    ctl(&bed, &["reload"]);
    bed.attach("box", &bed.guest);
    bed.detach("box");
    eventually("forwarding is given back", || !bed.forwards());
}

#[test]
fn a_wrong_file_changes_nothing_and_says_where() {
    let file = File::new(WEB);
    let bed = Bed::on(Device::new()).args(&file.args()).neighbour(config("neighbour")).build();
    let path = file.path().display().to_string();
    let before = bed.before();
    for (text, expected) in [
        (
            "uplink = \"eth9\"\nguest-conections = 1\n",
            ":2: unknown key \"guest-conections\": the nearest is \"guest-connections\"",
        ),
        ("uplink = \"eth9\"\n[guest.web]\nmtu = 5\n", ":3: [guest.web] MTU 5 is not possible"),
        ("uplink = \"eth9\"\n[guest.web\n", ":2: "),
    ] {
        file.put(text);
        let said = refused(&bed);
        assert!(said.contains(&format!("{path}{expected}")), "{said}");
        assert!(said.contains("; all is as it was before"), "{said}");
        let e = bed.service.reload().expect_err("a wrong file");
        assert_eq!(e.service_specific_error(), ERROR_BAD_FILE);
        bed.assert_unchanged(&before, text);
    }
    assert_eq!(bed.service.info().expect("info").uplink, "wlan0");
    assert_eq!(bed.attach("web", &bed.guest).mtu, 1300);
}

#[test]
fn a_file_that_is_gone_or_cannot_be_read_is_said() {
    let file = File::new("");
    let bed = file.bed("");
    let path = file.path();
    fs::remove_file(&path).expect("removed");
    assert!(refused(&bed).contains("No such file or directory"));
    file.put("");
    chown(&path, Some(12345), Some(12345)).expect("chown");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("chmod");
    let said = refused(&bed);
    assert!(said.contains("Permission denied") && said.contains("CAP_DAC_OVERRIDE"), "{said}");
    fs::remove_file(&path).expect("removed");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    assert!(refused(&bed).contains("it is not a file"));
    fs::remove_file(&path).expect("removed");
    file.put(&"#".repeat(300_000));
    assert!(refused(&bed).contains("it has more than 262144 bytes"));
    file.put("# \u{e9}");
    ctl(&bed, &["reload"]);
}

/// guestnetd runs to its end, or is killed after ten seconds.
fn start(device: &Device, words: &[&str]) -> Output {
    let mut command = device.command("timeout");
    command.args(["-s", "KILL", "10"]).arg(binary("guestnetd")).args(words);
    command.output().expect("guestnetd")
}

#[test]
fn a_start_with_a_wrong_file_is_refused_in_the_same_words() {
    let (file, device) = (File::new("\ncheck-every = 0\n"), Device::new());
    let path = file.path().display().to_string();
    let expected = format!("error: {path}:2: check-every = \"0\": 0 is not in 1..=86400\n");
    for words in [
        &["--config", &path][..],
        &["--check-config", &path],
        &["--config", &path, "--check-config"],
    ] {
        let out = start(&device, words);
        assert_eq!(out.status.code(), Some(78), "{words:?}: {}", said(&out));
        assert_eq!(String::from_utf8_lossy(&out.stderr), expected, "{words:?}");
    }
    file.put(WEB);
    let out = start(&device, &["--check-config", &path]);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    assert_eq!(String::from_utf8_lossy(&out.stdout), format!("{path}: is right, with 1 guest\n"));
    let out = start(&device, &["--config", "/nonexistent/guestnetd.toml"]);
    assert_eq!(out.status.code(), Some(78), "{}", said(&out));
}

/// Nothing but the file says where it listens.
#[test]
fn a_file_is_all_that_a_start_needs() {
    let device = Device::new();
    let file = File::new("");
    let dir = file.0.path().join("run");
    let (socket, state) = (dir.join("x.sock"), dir.display());
    let text = format!(
        "listen = \"unix://{}\"\nstate-dir = \"{state}\"\nresolv-conf = \"/dev/null\"\nuplink = \"wlan*\"\n",
        socket.display()
    );
    file.put(&text);
    let mut command = device.command(binary("guestnetd"));
    let mut process = command.arg("--config").arg(file.path()).spawn().expect("guestnetd");
    let ask = |words: &[&str]| {
        let uri = format!("unix://{}", socket.display());
        Command::new(binary("guestnetctl")).args(["--connect", &uri]).args(words).output()
    };
    let answers = || ask(&["info"]).is_ok_and(|out| out.status.success());
    eventually("it answers where the file says", answers);
    let info = ask(&["--json", "info"]).expect("info").stdout;
    let info: Value = serde_json::from_slice(&info).expect("a document");
    assert_eq!((&info["uplink"], &info["state_dir"]), (&"wlan*".into(), &state.to_string().into()));
    kill(Pid::from_raw(process.id() as i32), Signal::SIGTERM).expect("SIGTERM");
    assert!(process.wait().expect("its end").success());
}

#[test]
fn sighup_reads_the_file_again_and_says_so_in_the_log() {
    let file = File::new("");
    let bed = file.bed("");
    let pid = Pid::from_raw(bed.daemon.pid());
    file.put("check-every = 5\n[guest.box]\nmtu = 1300\n");
    kill(pid, Signal::SIGHUP).expect("SIGHUP");
    assert!(bed.daemon.wait_log("changed: check-every, guest.box", BOUND), "{}", bed.daemon.log());
    file.put("check-every = 0\n");
    kill(pid, Signal::SIGHUP).expect("SIGHUP");
    assert!(bed.daemon.wait_log(":1: check-every", BOUND), "{}", bed.daemon.log());
    assert_eq!(bed.attach("box", &bed.guest).mtu, 1300);
}

/// What a guest gets is one file's or the other's, and nobody fails.
#[test]
fn files_change_while_guests_come_and_go() {
    let section = |mtu: i32| {
        format!("[guest.box]\nmtu = {mtu}\ngateway = \"10.9.{}.1\"\nprefix = 24\n", mtu / 100)
    };
    let file = File::new(&section(1300));
    let bed = file.bed("");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let swap = scope.spawn(|| {
            for mtu in [1300, 1400].into_iter().cycle() {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                file.put(&section(mtu));
            }
        });
        let reload = scope.spawn(|| {
            let service = bed.daemon.connect();
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                service.reload().expect("a whole file");
                count += 1;
            }
            count
        });
        let mut seen = [0; 2];
        for _ in 0..40 {
            let guest = Guest::new();
            let attached = bed.attach("box", &guest);
            let which = (attached.mtu - 1300) / 100;
            assert_eq!(attached.gateway, format!("10.9.{}.1", 13 + which));
            seen[which as usize] += 1;
            bed.detach("box");
        }
        done.store(true, Ordering::Relaxed);
        swap.join().expect("files");
        assert!(reload.join().expect("reloads") > 0);
        assert_eq!(seen[0] + seen[1], 40);
    });
}

/// The example that the package brings, as it stands there.
#[test]
fn the_shipped_file_starts_guestnetd() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/guestnetd.toml");
    let bed = Bed::on(Device::new()).args(&format!("--config {}", shipped.display())).build();
    assert_eq!(bed.service.info().expect("info").uplink, "default");
    bed.service.attach(&config("box"), &by_pid(bed.guest.pid()), None).expect("attach");
    assert!(bed.guest.ping(Internet::ADDRESS));
}

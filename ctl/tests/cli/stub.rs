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

//! The stub of guestnetd, and the way to run guestnetctl against it.

use android_system_guestnet::aidl::android::system::guestnet::{
    Cause::Cause,
    Change::Change,
    DeviceState::DeviceState,
    DiagnoseOptions::DiagnoseOptions,
    Diagnosis::Diagnosis,
    DnsMode::DnsMode,
    DnsState::DnsState,
    Guest::Guest,
    GuestConfig::GuestConfig,
    GuestDns::GuestDns,
    GuestEvent::GuestEvent,
    GuestState::GuestState,
    GuestStatus::GuestStatus,
    GuestTarget::GuestTarget,
    IGuestNet::{BnGuestNet, IGuestNet, ERROR_BAD_NAME, ERROR_NAME_IN_USE, ERROR_NO_SUCH_GUEST},
    IGuestNetListener::IGuestNetListener,
    LayerState::LayerState,
    LayerStatus::LayerStatus,
    NamedResolvers::NamedResolvers,
    Operation::Operation,
    Reloaded::Reloaded,
    ServiceInfo::ServiceInfo,
    Status::Status,
    TargetKind::TargetKind,
    TimelineStep::TimelineStep,
    Uplink::Uplink,
    UplinkInfo::UplinkInfo,
    Verdict::Verdict,
    VpnPolicy::VpnPolicy,
};
use binder::{BinderFeatures, ExceptionCode, Interface, IntoBinderResult, Strong};
use guestnet_platform::{Limits, Server};
use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// Longer than a pipe holds.
pub const DUMP_LINES: usize = 20_000;

/// A stub being served, on a socket of its own.
pub struct Stub {
    pub uri: String,
    pub server: Server,
    calls: Arc<Mutex<Vec<String>>>,
    _directory: TempDir,
}

/// How guestnetctl ended and what it said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// guestnetctl, with nothing of the tester's own environment that it would read. One that hangs
/// is ended, with exit code 124.
pub fn guestnetctl(args: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["30", env!("CARGO_BIN_EXE_guestnetctl")]);
    command.args(args.split_whitespace()).stdin(Stdio::null());
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("LXC_") {
            command.env_remove(key);
        }
    }
    command.env_remove("GUESTNET_URI").env_remove("COLUMNS").env("LC_ALL", "C.UTF-8");
    command
}

impl Stub {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/stub.sock");
        let uri = format!("unix://{}", path.display());
        let calls = Arc::<Mutex<Vec<String>>>::default();
        let service = Service { calls: calls.clone(), attached: Mutex::default() };
        let service = BnGuestNet::new_binder(service, BinderFeatures::default());
        let server = guestnet_platform::serve(
            &uri.parse().unwrap(),
            "android.system.guestnet.IGuestNet/default",
            service.as_binder(),
            &Limits::default(),
        )
        .unwrap();
        Self { uri, server, calls, _directory: directory }
    }

    pub fn command(&self, args: &str) -> Command {
        let mut command = guestnetctl(args);
        command.env("GUESTNET_URI", &self.uri);
        command
    }

    pub fn run(&self, args: &str) -> Said {
        self.command(args).output().unwrap().into()
    }

    /// What was called since the last time.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

struct Service {
    calls: Arc<Mutex<Vec<String>>>,
    attached: Mutex<HashSet<String>>,
}

impl Interface for Service {}

impl Service {
    fn called(&self, what: String) {
        self.calls.lock().unwrap().push(what);
    }

    fn refuse<T>(&self, name: &str) -> binder::Result<Option<T>> {
        let specific = |code, message: &str| {
            Err(()).or_service_specific_exception_with(code, |()| message.to_owned())
        };
        match name {
            "bad" => specific(ERROR_BAD_NAME, "bad is no name"),
            "taken" => specific(ERROR_NAME_IN_USE, "a guest named taken is attached"),
            "broken" => specific(400, "create the link: EPERM"),
            "strange" => specific(900, "something new"),
            "denied" => Err(()).or_binder_exception_with(ExceptionCode::SECURITY, |()| "uid 1"),
            "later" => {
                let unsupported = ExceptionCode::UNSUPPORTED_OPERATION;
                Err(()).or_binder_exception_with(unsupported, |()| "bridged: not yet")
            }
            _ => Ok(None),
        }
    }
}

fn guest(name: &str) -> Guest {
    let state = match name {
        "waiting" | "tunnelled" => GuestState::WAITING_FOR_UPLINK,
        _ => GuestState::ATTACHED,
    };
    let step = TimelineStep {
        operation: Operation::ADD_LINK,
        what: "create the link".into(),
        startMicros: 0,
        durationMicros: 900,
    };
    let tun = (name == "tunnelled").then(|| "tun0".to_owned());
    Guest {
        name: name.to_owned(),
        state,
        vpnPolicy: tun.as_ref().map_or(VpnPolicy::FOLLOW_UPLINK, |_| VpnPolicy::NAMED_TUN),
        uplink: tun,
        hostInterface: "vm_wlan".to_owned(),
        interfaceName: "wlan0".to_owned(),
        addresses: vec!["172.17.3.3/16".to_owned()],
        gateway: "172.17.3.2".to_owned(),
        timeline: vec![step],
        ..Guest::default()
    }
}

/// The layer that decides, and what it comes to.
fn layer(name: &str) -> (Verdict, LayerStatus) {
    let (verdict, state, cause, text, next_step) = match name {
        "waiting" => (
            Verdict::WAITING,
            LayerState::WAITING,
            Cause::UPLINK_MISSING,
            "no interface wlan0: the default route leaves via eth0",
            Some("start guestnetd with --uplink eth0"),
        ),
        "tunnelled" => {
            (Verdict::WAITING, LayerState::WAITING, Cause::TUN_MISSING, "no interface tun0", None)
        }
        "bad-layer" => (
            Verdict::NO_INTERNET,
            LayerState::BAD,
            Cause::LINK_DOWN,
            "vm_wlan is down",
            Some("ip link set vm_wlan up"),
        ),
        "unread" => {
            (Verdict::UNSURE, LayerState::UNKNOWN, Cause::UNREADABLE, "cannot be read: EPERM", None)
        }
        _ => (Verdict::INTERNET, LayerState::OK, Cause::HEALTHY, "as read", None),
    };
    let (text, next_step) = (text.to_owned(), next_step.map(str::to_owned));
    let layer = LayerStatus { state, cause, text, nextStep: next_step, ..LayerStatus::default() };
    (verdict, layer)
}

fn no_uplink() -> Uplink {
    Uplink {
        choice: "wlan0".to_owned(),
        interfaceName: "wlan0".to_owned(),
        defaultRouteInterface: "eth0".to_owned(),
        cause: Cause::UPLINK_MISSING,
        text: "no interface wlan0".to_owned(),
        ..Uplink::default()
    }
}

/// The target as guestnetd sees it: what the descriptor really is.
fn seen(target: &GuestTarget) -> String {
    let kind = match target.kind {
        TargetKind::NETNS => "netns",
        TargetKind::PIDFD => "pidfd",
        _ => return format!("pid {}", target.pid),
    };
    let fd = target.fd.as_ref().unwrap().as_raw_fd();
    let link = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")).unwrap_or("").trim();
    format!("{kind} {} {pid}", link.display()).trim_end().to_owned()
}

impl IGuestNet for Service {
    fn attach(
        &self,
        config: &GuestConfig,
        target: &GuestTarget,
        owner: Option<&binder::SpIBinder>,
    ) -> binder::Result<Guest> {
        assert!(owner.is_none());
        let name = config.name.as_str();
        let address = config.addresses.first().map_or("any", String::as_str);
        let way = config.uplink.as_ref().map(|tun| format!("by {tun} ")).unwrap_or_default();
        self.called(format!("attach {name} {address} {way}{}", seen(target)));
        self.refuse::<()>(name)?;
        if name == "stale" && self.attached.lock().unwrap().insert(name.to_owned()) {
            // Its last run is still attached.
            return self.refuse("taken").map(|_: Option<()>| guest(name));
        }
        Ok(guest(name))
    }

    fn update(&self, name: &str, config: &GuestConfig) -> binder::Result<Guest> {
        self.called(format!("update {name} {config:?}"));
        self.refuse::<()>(name)?;
        Ok(guest(name))
    }

    fn repair(&self, name: &str) -> binder::Result<Guest> {
        self.called(format!("repair {name}"));
        self.refuse::<()>(name)?;
        Ok(guest(name))
    }

    fn detach(&self, name: &str) -> binder::Result<()> {
        self.called(format!("detach {name}"));
        self.refuse::<()>(name)?;
        if name != "gone" {
            return Ok(());
        }
        Err(()).or_service_specific_exception_with(ERROR_NO_SUCH_GUEST, |()| {
            "no guest named gone is attached"
        })
    }

    fn detachAll(&self) -> binder::Result<i32> {
        self.called("detachAll".to_owned());
        Ok(3)
    }

    fn list(&self) -> binder::Result<Vec<Guest>> {
        Ok(vec![guest("a"), guest("waiting")])
    }

    fn get(&self, name: &str) -> binder::Result<Option<Guest>> {
        self.refuse::<()>(name)?;
        Ok((name != "gone").then(|| guest(name)))
    }

    fn plan(&self, config: &GuestConfig, target: &GuestTarget) -> binder::Result<Vec<Change>> {
        self.called(format!("plan {} {}", config.name, seen(target)));
        self.refuse::<()>(&config.name)?;
        let what = format!("{config:?}");
        Ok(vec![Change { what, command: "ip link add vm_wlan".to_owned(), ..Change::default() }])
    }

    fn check(&self, config: &GuestConfig, _: &GuestTarget) -> binder::Result<Vec<LayerStatus>> {
        self.refuse::<()>(&config.name)?;
        Ok(vec![layer(&config.name).1])
    }

    fn status(&self, name: Option<&str>) -> binder::Result<Status> {
        let name = name.unwrap_or("a");
        self.called(format!("status {name}"));
        self.refuse::<()>(name)?;
        let (verdict, decides) = layer(name);
        let guests = vec![GuestStatus {
            guest: guest(name),
            verdict,
            reason: (verdict != Verdict::INTERNET).then_some(decides),
            layers: vec![layer(name).1],
            ..GuestStatus::default()
        }];
        Ok(Status {
            uplink: no_uplink(),
            device: vec![layer("a").1],
            guests,
            droppedPackets: 7,
            ..Status::default()
        })
    }

    fn info(&self) -> binder::Result<ServiceInfo> {
        Ok(ServiceInfo { version: "9.9.9".to_owned(), ..ServiceInfo::default() })
    }

    fn diagnose(&self, name: Option<&str>, options: &DiagnoseOptions) -> binder::Result<Diagnosis> {
        let DiagnoseOptions { targets, url, name: asked, trace: _ } = options;
        self.called(format!(
            "diagnose {} {} {url} {asked}",
            name.unwrap_or("-"),
            targets.join(",")
        ));
        if name == Some("nobody") {
            return Err("no guest named nobody is attached")
                .or_service_specific_exception_with(ERROR_NO_SUCH_GUEST, |text| text);
        }
        Ok(Diagnosis {
            guest: name.unwrap_or_default().to_owned(),
            verdict: Verdict::NO_NAMES,
            cause: Cause::DNS_SILENT,
            text: "the resolver 192.0.2.53 does not answer".to_owned(),
            ..Diagnosis::default()
        })
    }

    fn getDns(&self) -> binder::Result<DnsState> {
        let servers = vec!["9.9.9.9".to_owned()];
        let named = NamedResolvers { interfaceName: "tun0".to_owned(), servers: servers.clone() };
        let guest = GuestDns { guest: "a".to_owned(), mode: DnsMode::DNAT, netd: false, servers };
        Ok(DnsState { named: vec![named], guests: vec![guest] })
    }

    fn reload(&self) -> binder::Result<Reloaded> {
        self.called("reload".to_owned());
        let path = "/etc/guestnet/guestnetd.toml".to_owned();
        Ok(Reloaded { path, changed: vec!["uplink".to_owned()], ..Reloaded::default() })
    }

    fn setUplinkInfo(&self, uplink: &str, info: &UplinkInfo) -> binder::Result<()> {
        let UplinkInfo { metered, captivePortalUrl: portal, validated } = info;
        self.called(format!("setUplinkInfo {uplink} {metered} {portal:?} {validated}"));
        self.refuse::<()>(uplink).map(|_| ())
    }

    fn setDeviceState(&self, state: &DeviceState) -> binder::Result<()> {
        self.called(format!("setDeviceState {}", state.idle));
        Ok(())
    }

    fn setDns(&self, uplink: &str, servers: &[String]) -> binder::Result<()> {
        self.called(format!("setDns {uplink} {servers:?}"));
        self.refuse::<()>(uplink).map(|_| ())
    }

    /// Three events: they come as soon as there is somebody to tell.
    fn registerListener(&self, listener: &Strong<dyn IGuestNetListener>) -> binder::Result<()> {
        self.called("registerListener".to_owned());
        let listener = listener.clone();
        std::thread::spawn(move || {
            listener.onGuest(GuestEvent::ATTACHED, &guest("a")).unwrap();
            listener.onUplink(&no_uplink(), &no_uplink(), 1500).unwrap();
            listener.onGuest(GuestEvent::LOST, &guest("a")).unwrap();
        });
        Ok(())
    }

    fn unregisterListener(&self, _: &Strong<dyn IGuestNetListener>) -> binder::Result<()> {
        self.called("unregisterListener".to_owned());
        Ok(())
    }

    fn dumpTo(&self, fd: &binder::ParcelFileDescriptor, _: &[String]) -> binder::Result<()> {
        let mut file = File::from(fd.as_ref().try_clone().unwrap());
        for i in 0..DUMP_LINES {
            writeln!(file, "line {i}").unwrap();
        }
        Ok(())
    }
}

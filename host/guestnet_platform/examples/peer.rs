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

//! The smallest whole service and its clients, each a process of its own: what the tests of this
//! crate run on both sides of the socket.
//!
//! ```text
//! peer serve ENDPOINT CONNECTIONS HANDSHAKE_MS REPLY_MS [UID...]   until a line, or the end, of its stdin
//! peer listen ENDPOINT                                    prints what it is told, until killed
//! peer crowd PATH COUNT silent|greeted                    holds connections, until its stdin ends
//! ```

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::{
    Change::Change,
    DeviceState::DeviceState,
    DiagnoseOptions::DiagnoseOptions,
    Diagnosis::Diagnosis,
    DnsState::DnsState,
    Guest::Guest,
    GuestConfig::GuestConfig,
    GuestEvent::GuestEvent,
    GuestTarget::GuestTarget,
    IGuestNet::{BnGuestNet, IGuestNet, ERROR_NO_SUCH_GUEST},
    IGuestNetListener::{BnGuestNetListener, IGuestNetListener},
    LayerStatus::LayerStatus,
    Reloaded::Reloaded,
    ServiceInfo::ServiceInfo,
    Status::Status,
    Uplink::Uplink,
    UplinkInfo::UplinkInfo,
};
use binder::{
    BinderFeatures, DeathRecipient, ExceptionCode, IBinder, Interface, IntoBinderResult,
    ParcelFileDescriptor, Strong, ThreadState,
};
use guestnet_platform::{connect, serve, Connection, Endpoint, Limits};

const NAME: &str = "android.system.guestnet.IGuestNet/default";

type Listener = Strong<dyn IGuestNetListener>;
type Listeners = Arc<Mutex<Vec<(Listener, DeathRecipient)>>>;

/// Answers with who asks, and tells every listener of every attach.
#[derive(Default)]
struct Stub {
    listeners: Listeners,
}

guestnet_platform::impl_interface!(Stub);

impl Stub {
    fn dump_text(&self, w: &mut dyn Write, args: &[&str]) -> io::Result<()> {
        writeln!(w, "dumped for uid {} with {args:?}", ThreadState::get_calling_uid())
    }
}

fn unsupported<T>() -> binder::Result<T> {
    Err("not in the stub").or_binder_exception_with(ExceptionCode::UNSUPPORTED_OPERATION, |e| e)
}

impl IGuestNet for Stub {
    fn info(&self) -> binder::Result<ServiceInfo> {
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).len();
        Ok(ServiceInfo {
            version: format!("uid {}", ThreadState::get_calling_uid()),
            pid: ThreadState::get_calling_pid(),
            guests: i32::try_from(listeners).unwrap_or(i32::MAX),
            ..ServiceInfo::default()
        })
    }

    fn attach(
        &self,
        config: &GuestConfig,
        _target: &GuestTarget,
        _owner: Option<&binder::SpIBinder>,
    ) -> binder::Result<Guest> {
        let guest = Guest { name: config.name.clone(), ..Guest::default() };
        let to_tell: Vec<Listener> = {
            let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
            listeners.iter().map(|(listener, _)| listener.clone()).collect()
        };
        for listener in to_tell {
            // A listener that cannot be told is dying; its death notice removes it.
            let _ = listener.onGuest(GuestEvent::ATTACHED, &guest);
        }
        Ok(guest)
    }

    fn detach(&self, name: &str) -> binder::Result<()> {
        Err(name).or_service_specific_exception_with(ERROR_NO_SUCH_GUEST, |name| {
            format!("no guest of that name: {name:?}")
        })
    }

    fn registerListener(&self, listener: &Listener) -> binder::Result<()> {
        let all = Arc::downgrade(&self.listeners);
        let dead = Strong::downgrade(listener);
        let mut death = DeathRecipient::new(move || {
            let (Some(all), Ok(dead)) = (all.upgrade(), dead.upgrade()) else { return };
            let gone: Vec<_> = {
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                let (gone, kept) = all.drain(..).partition(|(listener, _)| *listener == dead);
                *all = kept;
                gone
            };
            // Only here, without the lock: dropping a listener may call into Binder.
            drop(gone);
        });
        listener
            .as_binder()
            .link_to_death(&mut death)
            .or_binder_exception(ExceptionCode::ILLEGAL_STATE)?;
        let mut all = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((listener.clone(), death));
        Ok(())
    }

    fn dumpTo(&self, fd: &ParcelFileDescriptor, args: &[String]) -> binder::Result<()> {
        let fd: &OwnedFd = fd.as_ref();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        fd.try_clone()
            .map(File::from)
            .and_then(|mut file| self.dump_text(&mut file, &args))
            .or_binder_exception(ExceptionCode::ILLEGAL_ARGUMENT)
    }

    fn update(&self, _name: &str, _config: &GuestConfig) -> binder::Result<Guest> {
        unsupported()
    }

    fn repair(&self, _name: &str) -> binder::Result<Guest> {
        unsupported()
    }

    fn detachAll(&self) -> binder::Result<i32> {
        Ok(0)
    }

    fn list(&self) -> binder::Result<Vec<Guest>> {
        unsupported()
    }

    fn get(&self, _name: &str) -> binder::Result<Option<Guest>> {
        unsupported()
    }

    fn plan(&self, _config: &GuestConfig, _target: &GuestTarget) -> binder::Result<Vec<Change>> {
        unsupported()
    }

    fn check(
        &self,
        _config: &GuestConfig,
        _target: &GuestTarget,
    ) -> binder::Result<Vec<LayerStatus>> {
        unsupported()
    }

    fn status(&self, _name: Option<&str>) -> binder::Result<Status> {
        unsupported()
    }

    fn diagnose(
        &self,
        _name: Option<&str>,
        _options: &DiagnoseOptions,
    ) -> binder::Result<Diagnosis> {
        unsupported()
    }

    fn getDns(&self) -> binder::Result<DnsState> {
        unsupported()
    }

    fn reload(&self) -> binder::Result<Reloaded> {
        Ok(Reloaded::default())
    }

    fn setUplinkInfo(&self, _uplink: &str, _info: &UplinkInfo) -> binder::Result<()> {
        unsupported()
    }

    fn setDeviceState(&self, _state: &DeviceState) -> binder::Result<()> {
        unsupported()
    }

    fn setDns(&self, _uplink: &str, _servers: &[String]) -> binder::Result<()> {
        unsupported()
    }

    fn unregisterListener(&self, _listener: &Listener) -> binder::Result<()> {
        unsupported()
    }
}

/// Prints what it is told.
struct Printer;

impl Interface for Printer {}

impl IGuestNetListener for Printer {
    fn onGuest(&self, _event: GuestEvent, guest: &Guest) -> binder::Result<()> {
        println!("event {}", guest.name);
        Ok(())
    }

    fn onUplink(&self, _from: &Uplink, _to: &Uplink, _gap: i64) -> binder::Result<()> {
        Ok(())
    }
}

fn wait_for_end_of_input() -> io::Result<()> {
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

fn run_service(args: &[&str]) -> Result<(), Box<dyn Error>> {
    let [endpoint, connections, handshake, reply, callers @ ..] = args else {
        return Err("serve ENDPOINT CONNECTIONS HANDSHAKE_MS REPLY_MS [UID...]".into());
    };
    let callers: Result<BTreeSet<u32>, _> = callers.iter().map(|uid| uid.parse()).collect();
    let limits = Limits {
        callers: Some(callers?).filter(|callers| !callers.is_empty()),
        connections: connections.parse()?,
        handshake: Duration::from_millis(handshake.parse()?),
        reply: Duration::from_millis(reply.parse()?),
        ..Limits::default()
    };
    let service = BnGuestNet::new_binder(Stub::default(), BinderFeatures::default());
    let server = serve(&endpoint.parse()?, NAME, service.as_binder(), &limits)?;
    println!("serving");
    io::stdin().read_line(&mut String::new())?;
    server.stop();
    println!("stopped");
    Ok(wait_for_end_of_input()?)
}

fn run_listener(endpoint: &Endpoint) -> Result<(), Box<dyn Error>> {
    let service: Connection<dyn IGuestNet> = connect(endpoint, NAME)?;
    let printer = BnGuestNetListener::new_binder(Printer, BinderFeatures::default());
    service.registerListener(&printer)?;
    println!("listening as {}", service.info()?.version);
    loop {
        std::thread::park();
    }
}

/// Connections that say nothing, or that finish the handshake and say nothing more.
fn run_crowd(path: &str, count: usize, kind: &str) -> Result<(), Box<dyn Error>> {
    if kind == "silent" {
        let held: io::Result<Vec<_>> = (0..count).map(|_| UnixStream::connect(path)).collect();
        let held = held?;
        println!("holding {}", held.len());
        return Ok(wait_for_end_of_input()?);
    }
    let endpoint = Endpoint::Unix(path.into());
    let held: Vec<Connection<dyn IGuestNet>> =
        (0..count).map_while(|_| connect(&endpoint, NAME).ok()).collect();
    println!("holding {}", held.len());
    Ok(wait_for_end_of_input()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["serve", rest @ ..] => run_service(rest),
        ["listen", endpoint] => run_listener(&endpoint.parse()?),
        ["crowd", path, count, kind] => run_crowd(path, count.parse()?, kind),
        _ => Err("serve ENDPOINT ... | listen ENDPOINT | crowd PATH COUNT silent|greeted".into()),
    }
}

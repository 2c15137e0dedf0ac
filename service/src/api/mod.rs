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

//! The contract's face: who calls, what is asked for as types that cannot be wrong, and the
//! answer back on the wire. Decides nothing about networks: that is the owner's.

mod authorization;
mod dump;
pub mod error_codes;
mod facts;
pub(crate) mod from_wire;
mod listeners;
mod owners;
pub mod sections;
mod to_wire;

pub use authorization::{Allowed, AllowedUid};
pub use from_wire::section as check_section;
pub use listeners::Listeners;
pub use owners::Owners;

use crate::daemon::{AttachRequest, Attached, By, Handle, UpdateRequest, Whose};
use crate::effects::kernel::netns::initial::Initial;
use crate::effects::kernel::netns::target::Target;
use crate::effects::kernel::process;
use crate::error::Error;
use crate::memory;
use crate::spec::GuestName;
use android_system_guestnet::aidl::android::system::guestnet::{
    Change::Change,
    DeviceState::DeviceState,
    DiagnoseOptions::DiagnoseOptions,
    Diagnosis::Diagnosis,
    DnsState::DnsState,
    Guest::Guest,
    GuestConfig::GuestConfig,
    GuestTarget::GuestTarget,
    IGuestNet::{BnGuestNet, IGuestNet},
    IGuestNetListener::IGuestNetListener,
    LayerStatus::LayerStatus,
    Reloaded::Reloaded as WireReloaded,
    ServiceInfo::ServiceInfo,
    Status::Status,
    UplinkInfo::UplinkInfo,
};
use authorization::{Scope, OWN_GUESTS};
use binder::{
    BinderFeatures, ExceptionCode, IntoBinderResult, ParcelFileDescriptor, SpIBinder, Strong,
    ThreadState,
};
use owners::Owner;
use sections::{Completed, Sections};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// The name that the service is registered and looked up by.
pub const NAME: &str = "android.system.guestnet.IGuestNet/default";

/// What has come of reading guestnetd's file again.
#[derive(Debug)]
pub struct Reloaded {
    /// The file.
    pub path: PathBuf,
    /// Keys and sections that are others now.
    pub changed: Vec<String>,
    /// Keys whose new values count from the next start on.
    pub need_restart: Vec<String>,
    /// Attached guests whose sections are others now.
    pub unchanged_guests: Vec<GuestName>,
}

impl std::fmt::Display for Reloaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = |names: &[String]| match names.is_empty() {
            true => "nothing".to_owned(),
            false => names.join(", "),
        };
        write!(f, "changed: {}", all(&self.changed))?;
        if !self.need_restart.is_empty() {
            write!(f, "; needs a restart: {}", all(&self.need_restart))?;
        }
        let stay: Vec<_> = self.unchanged_guests.iter().map(ToString::to_string).collect();
        if !stay.is_empty() {
            write!(f, "; attached, and as before until update or the next attach: {}", all(&stay))?;
        }
        Ok(())
    }
}

/// Who reads guestnetd's file again.
pub trait Reload: Send + Sync {
    /// Reads it. After a failure all is as it was.
    fn reload(&self) -> Result<Reloaded, Error>;
}

/// What is from guestnetd's file.
#[derive(Clone, Default)]
pub struct OfFile {
    /// What guests get by their names.
    pub sections: Sections,
    /// Who reads it again; none: there is no such file.
    pub reload: Option<Arc<dyn Reload>>,
}

/// The service object.
pub struct GuestNet {
    owner: Handle,
    listeners: Listeners,
    owners: Owners,
    allowed: Allowed,
    listen: String,
    of_file: OfFile,
    initial: Initial,
}

guestnet_platform::impl_interface!(GuestNet);

impl GuestNet {
    /// The service as a Binder object. `listen` is where it is reached, for `info()`.
    pub fn new_binder(
        owner: Handle,
        (listeners, owners): (Listeners, Owners),
        allowed: Allowed,
        listen: String,
        of_file: OfFile,
    ) -> Strong<dyn IGuestNet> {
        let features = BinderFeatures { set_requesting_sid: true, ..BinderFeatures::default() };
        let initial = Initial::find();
        BnGuestNet::new_binder(
            Self { owner, listeners, owners, allowed, listen, of_file, initial },
            features,
        )
    }

    /// The caller, if it may call at all.
    fn caller(&self) -> binder::Result<Caller> {
        let uid = ThreadState::get_calling_uid();
        let by = |uid| By { uid, pid: ThreadState::get_calling_pid() };
        match self.allowed.scope(uid) {
            Ok(Scope::All) => Ok(Caller { by: by(uid), whose: Whose::Everyones }),
            Ok(Scope::Own) => Ok(Caller { by: by(uid), whose: Whose::Of(uid) }),
            Err(why) => {
                let context = ThreadState::with_calling_sid(|sid| {
                    sid.map(|sid| format!(" (it is {})", sid.to_string_lossy()))
                });
                log::warn!("{why}{}", context.unwrap_or_default());
                refused(why)
            }
        }
    }

    /// The caller, if it may do what is about all guests.
    fn administrator(&self) -> binder::Result<Caller> {
        let caller = self.caller()?;
        match caller.whose {
            Whose::Everyones => Ok(caller),
            Whose::Of(uid) => refused(authorization::own_guests_only(uid)),
        }
    }

    fn request(
        &self,
        config: &GuestConfig,
        target: &GuestTarget,
        caller: Caller,
    ) -> binder::Result<AttachRequest> {
        let arrived = Instant::now();
        let completed = Completed::by(&self.of_file.sections, config);
        let config = completed.config(config);
        if let Some(what) = from_wire::unsupported(config) {
            return unsupported(what);
        }
        let opened = || -> Result<AttachRequest, Error> {
            let spec = from_wire::spec(config, caller.by.uid)?;
            let named = from_wire::target(target, spec.kind)?;
            let target = named.map(|named| Target::open(named, &self.initial)).transpose()?;
            let most = match caller.whose {
                Whose::Everyones => None,
                Whose::Of(_) => Some(OWN_GUESTS),
            };
            Ok(AttachRequest { spec, target, uid: caller.by.uid, most, owner: None, arrived })
        };
        let request = answer(opened().map_err(|e| completed.explain(e)))?;
        let is_own = |uid| request.target.iter().all(|target| target.is_own_of(uid));
        match caller.whose {
            Whose::Of(uid) if !is_own(uid) => refused(format!(
                "uid {uid} may only name a process that runs as it, or a network namespace of its \
                 own; start guestnetd with --allow-uid {uid}"
            )),
            Whose::Of(uid) => match authorization::other_subnet(uid, &request.spec) {
                Some(why) => refused(why),
                None => Ok(request),
            },
            Whose::Everyones => Ok(request),
        }
    }

    /// attach(), of one whose caller may.
    fn attach_for(
        &self,
        caller: Caller,
        config: &GuestConfig,
        target: &GuestTarget,
        owner: Option<&SpIBinder>,
    ) -> binder::Result<Guest> {
        let owner = owner.map(|owner| Owner::link(owner, &self.owner)).transpose();
        let owner = owner.or_binder_exception_with(ExceptionCode::ILLEGAL_ARGUMENT, |e| {
            format!(
                "the owner's death would not be noticed ({e}): pass an object of a live process"
            )
        })?;
        let mut request = self.request(config, target, caller)?;
        let Some(owner) = owner else {
            return caller.answer(self.owner.attach(request)).map(to_wire::attached);
        };
        request.owner =
            process::open_and_know(caller.by.pid).ok().flatten().map(|(_, process)| process);
        if request.owner.is_none() {
            log::warn!("{}: its owner is not known after a restart", request.spec.name);
        }
        let (guest, tap) = caller.answer(self.owner.attach(request))?;
        match self.owners.own(guest.index, owner, &self.owner) {
            true => Ok(to_wire::attached((guest, tap))),
            false => answer(Err(Error::GuestGone(guest.name().clone()))),
        }
    }

    /// update(), of one whose caller may.
    fn update_for(
        &self,
        caller: Caller,
        name: &str,
        config: &GuestConfig,
    ) -> binder::Result<Guest> {
        let arrived = Instant::now();
        let completed = Completed::by(&self.of_file.sections, config);
        let config = completed.config(config);
        if let Some(what) = from_wire::unsupported(config) {
            return unsupported(what);
        }
        let asked = || -> Result<UpdateRequest, Error> {
            let spec = from_wire::spec(config, caller.by.uid)?;
            let (name, whose) = (from_wire::name(name)?, caller.whose);
            Ok(UpdateRequest { name, spec, whose, arrived })
        };
        let updated = asked().and_then(|request| self.owner.update(request));
        let updated = updated.map_err(|e| completed.explain(e));
        caller.answer(updated).map(|g| to_wire::guest(&g))
    }

    fn name(&self, name: &str) -> binder::Result<GuestName> {
        answer(from_wire::name(name).map_err(Error::from))
    }
}

/// Who calls, and whose guests it may see and change.
#[derive(Clone, Copy)]
struct Caller {
    by: By,
    whose: Whose,
}

impl Caller {
    /// [`answer`], without the names of guests that this caller does not see.
    fn answer<T>(self, result: Result<T, Error>) -> binder::Result<T> {
        if self.whose == Whose::Everyones {
            return answer(result);
        }
        match result {
            Err(e @ Error::AddressInUse { address, .. }) => {
                let text = format!("{address} is the address of another guest");
                Err(text).or_service_specific_exception_with(error_codes::code(&e), |text| text)
            }
            Err(Error::SubnetOverlap { subnet, what, free, .. }) => {
                answer(Err(Error::SubnetOverlap { subnet, what, guest: None, free }))
            }
            Err(Error::AttachedAlready { found, .. }) => answer(Err(*found)),
            other => answer(other),
        }
    }

    /// Logs a call that was to change something, and who made it: what was done, or why nothing was.
    fn log<T>(
        self,
        (call, subject): (&str, &str),
        result: &binder::Result<T>,
        done: impl FnOnce(&T) -> Option<String>,
    ) {
        let by = self.by;
        match result.as_ref().map(done) {
            Ok(Some(done)) => log::info!("{}: {done}", log_safe(subject, MOST_OF_A_NAME)),
            Ok(None) => {}
            Err(why) => {
                let why = guestnet_platform::status_message(why);
                let (subject, why) =
                    (log_safe(subject, MOST_OF_A_NAME), log_safe(&why, MOST_OF_A_CAUSE));
                log::info!("{call}({subject}), asked for by {by}, did nothing: {why}");
            }
        }
    }
}

/// How much of a caller's own words the log takes, in characters.
const MOST_OF_A_NAME: usize = 64;
const MOST_OF_A_CAUSE: usize = 512;

/// A caller's words as the log may have them: in one line, and no longer than that.
fn log_safe(text: &str, most: usize) -> String {
    let plain = |c: char| match c.is_control() {
        true => c.escape_default().collect(),
        false => String::from(c),
    };
    text.chars().take(most).map(plain).collect()
}

fn refused<T>(why: String) -> binder::Result<T> {
    Err(why).or_binder_exception_with(ExceptionCode::SECURITY, |why| why)
}

/// A result of ours as Binder has it: a code for each cause, and the message.
fn answer<T>(result: Result<T, Error>) -> binder::Result<T> {
    if let Err(Error::Unsupported(why)) = result {
        return Err(why).or_binder_exception_with(ExceptionCode::UNSUPPORTED_OPERATION, |why| why);
    }
    result
        .map_err(|e| (error_codes::code(&e), e))
        .or_else(|(code, e)| Err(e).or_service_specific_exception_with(code, |e| e.to_string()))
}

fn unsupported<T>(what: &str) -> binder::Result<T> {
    let text = from_wire::not_supported(what);
    Err(text).or_binder_exception_with(ExceptionCode::UNSUPPORTED_OPERATION, |text| text)
}

impl IGuestNet for GuestNet {
    fn attach(
        &self,
        config: &GuestConfig,
        target: &GuestTarget,
        owner: Option<&SpIBinder>,
    ) -> binder::Result<Guest> {
        let caller = self.caller()?;
        let arrived = Instant::now();
        let attached = self.attach_for(caller, config, target, owner);
        caller.log(("attach", &config.name), &attached, |guest| {
            let (link, address) = (&guest.hostInterface, guest.addresses.concat());
            let took = arrived.elapsed().as_micros();
            Some(format!("attached by {}: {link}, {address}, in {took} us", caller.by))
        });
        attached
    }

    fn update(&self, name: &str, config: &GuestConfig) -> binder::Result<Guest> {
        let caller = self.caller()?;
        let updated = self.update_for(caller, name, config);
        caller.log(("update", name), &updated, |guest| {
            let (address, mtu) = (guest.addresses.concat(), guest.mtu);
            Some(format!("updated by {}: {address}, MTU {mtu}", caller.by))
        });
        updated
    }

    fn repair(&self, name: &str) -> binder::Result<Guest> {
        let caller = self.caller()?;
        let arrived = Instant::now();
        let repaired = self.name(name).and_then(|name| {
            let repaired = self.owner.repair(&name, caller.whose, arrived);
            answer(repaired).map(|g| to_wire::guest(&g))
        });
        caller.log(("repair", name), &repaired, |_| Some(format!("repaired by {}", caller.by)));
        repaired
    }

    fn detach(&self, name: &str) -> binder::Result<()> {
        let caller = self.caller()?;
        let detached = self
            .name(name)
            .and_then(|name| answer(self.owner.detach(name, caller.whose, caller.by)));
        // The daemon says so of each guest that is gone.
        caller.log(("detach", name), &detached, |()| None);
        detached
    }

    fn detachAll(&self) -> binder::Result<i32> {
        let caller = self.caller()?;
        let guests = self.owner.detach_all(caller.whose, caller.by);
        memory::give_back();
        let guests = answer(guests).map(|guests| i32::try_from(guests).unwrap_or(i32::MAX));
        caller.log(("detachAll", ""), &guests, |_| None);
        guests
    }

    fn list(&self) -> binder::Result<Vec<Guest>> {
        let whose = self.caller()?.whose;
        let (guests, others) =
            answer(self.owner.list(whose).and_then(|all| Ok((all, self.owner.unadopted(whose)?))))?;
        let (traffic, drops) = (self.owner.traffic(), self.owner.drops());
        let counted = guests.iter().map(|guest| to_wire::counted(guest, &traffic, drops.as_ref()));
        Ok(counted.chain(others.iter().map(to_wire::unadopted)).collect())
    }

    fn get(&self, name: &str) -> binder::Result<Option<Guest>> {
        let caller = self.caller()?;
        let name = self.name(name)?;
        let guest = answer(self.owner.get(&name, caller.whose))?;
        let counted = |guest: Attached| {
            let (traffic, drops) = (self.owner.traffic(), self.owner.drops());
            to_wire::counted(&guest, &traffic, drops.as_ref())
        };
        Ok(guest.map(counted))
    }

    fn plan(&self, config: &GuestConfig, target: &GuestTarget) -> binder::Result<Vec<Change>> {
        let caller = self.caller()?;
        let request = self.request(config, target, caller)?;
        caller
            .answer(self.owner.plan(request))
            .map(|plan| plan.into_iter().map(to_wire::change).collect())
    }

    fn check(
        &self,
        config: &GuestConfig,
        target: &GuestTarget,
    ) -> binder::Result<Vec<LayerStatus>> {
        let caller = self.caller()?;
        let request = self.request(config, target, caller)?;
        caller
            .answer(self.owner.check(request))
            .map(|layers| layers.iter().map(to_wire::layer).collect())
    }

    fn status(&self, name: Option<&str>) -> binder::Result<Status> {
        let caller = self.caller()?;
        let name = name.map(|name| self.name(name)).transpose()?;
        answer(self.owner.status(name, caller.whose)).map(|s| to_wire::status(&s))
    }

    fn diagnose(&self, name: Option<&str>, options: &DiagnoseOptions) -> binder::Result<Diagnosis> {
        // It sends from the device, to where it is told.
        self.administrator()?;
        let name = name.map(|name| self.name(name)).transpose()?;
        let targets = answer(from_wire::targets(options).map_err(Error::from))?;
        answer(self.owner.diagnose(name, &targets)).map(|found| to_wire::diagnosis(&found))
    }

    fn info(&self) -> binder::Result<ServiceInfo> {
        let caller = self.caller()?;
        let mut info = answer(self.owner.info())?;
        if let Whose::Of(_) = caller.whose {
            info.guests = answer(self.owner.list(caller.whose))?.len();
        }
        Ok(to_wire::info(&info, &self.listen))
    }

    fn setDns(&self, uplink: &str, servers: &[String]) -> binder::Result<()> {
        let caller = self.administrator()?;
        let parsed = || -> Result<_, Error> {
            Ok((from_wire::uplink(uplink)?, from_wire::resolvers(servers)?))
        };
        let named =
            parsed().and_then(|(uplink, servers)| self.owner.set_resolvers(uplink, servers));
        let named = answer(named);
        caller.log(("setDns", uplink), &named, |()| match servers {
            [] => Some(format!("resolvers forgotten for {}", caller.by)),
            some => Some(format!("resolvers named by {}: {}", caller.by, some.join(", "))),
        });
        named
    }

    fn getDns(&self) -> binder::Result<DnsState> {
        let caller = self.caller()?;
        answer(self.owner.dns(caller.whose)).map(to_wire::dns)
    }

    fn setUplinkInfo(&self, uplink: &str, info: &UplinkInfo) -> binder::Result<()> {
        let caller = self.administrator()?;
        let parsed = || -> Result<_, Error> {
            Ok((from_wire::uplink(uplink)?, from_wire::uplink_info(info)?))
        };
        let told = parsed().and_then(|(uplink, info)| self.owner.set_uplink_info(uplink, info));
        let told = answer(told);
        caller.log(("setUplinkInfo", uplink), &told, |()| {
            let metered = if info.metered { "metered" } else { "not metered" };
            Some(format!("{metered}, as {} says", caller.by))
        });
        told
    }

    fn setDeviceState(&self, state: &DeviceState) -> binder::Result<()> {
        let caller = self.administrator()?;
        let set = answer(self.owner.set_device_state(from_wire::device_state(state)));
        caller.log(("setDeviceState", "the device"), &set, |()| {
            let how = if state.idle { "idle" } else { "in use" };
            Some(format!("{how}, as {} says", caller.by))
        });
        set
    }

    fn reload(&self) -> binder::Result<WireReloaded> {
        let caller = self.administrator()?;
        let none = || Error::Unsupported("this guestnetd has no configuration file".into());
        let reload = answer(self.of_file.reload.as_ref().ok_or_else(none))?;
        let reloaded = answer(reload.reload());
        caller.log(("reload", "guestnetd.toml"), &reloaded, |done| {
            Some(format!("{done}, as {} asked", caller.by))
        });
        reloaded.map(to_wire::reloaded)
    }

    fn registerListener(&self, listener: &Strong<dyn IGuestNetListener>) -> binder::Result<()> {
        let caller = self.caller()?;
        answer(self.listeners.add(listener, caller.whose))
    }

    fn unregisterListener(&self, listener: &Strong<dyn IGuestNetListener>) -> binder::Result<()> {
        self.caller()?;
        self.listeners.remove(&listener.as_binder());
        Ok(())
    }

    fn dumpTo(&self, fd: &ParcelFileDescriptor, _args: &[String]) -> binder::Result<()> {
        self.administrator()?;
        let written = dump::to_descriptor(&self.owner, &self.listen, fd);
        memory::give_back();
        written.or_binder_exception_with(ExceptionCode::ILLEGAL_ARGUMENT, |e| {
            format!("cannot write: {e}")
        })
    }
}

impl GuestNet {
    /// What `dumpsys` and `dumpTo()` print.
    pub fn dump_text(&self, out: &mut dyn std::io::Write, _args: &[&str]) -> std::io::Result<()> {
        if let Some(why) = self.allowed.refuse_dump(ThreadState::get_calling_uid()) {
            return writeln!(out, "{why}");
        }
        let written = out.write_all(dump::text(&self.owner, &self.listen).as_bytes());
        memory::give_back();
        written
    }
}

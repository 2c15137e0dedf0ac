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

//! What must survive a crash of guestnetd, and nothing more: one small file for each name seen,
//! one for the forwarding switch, one for the resolvers that were named. Written beside and renamed; no fsync, because it need not
//! survive a reboot: the directory is a tmpfs, and every file bears the kernel's boot id.
//!
//! Never fatal to read: what is torn, of another version or not ours is set aside and said.

use crate::alloc::slots;
use crate::error::Error;
use crate::model::forwarding::{Before, Switch};
use crate::model::guest_net::NetnsRef;
use crate::model::guest_table::Attached;
use crate::model::GuestNet;
use crate::spec::{GuestName, GuestSpec, IfName};
use nix::fcntl::{Flock, FlockArg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

/// Format of the files. A file of another version is set aside.
const VERSION: u32 = 1;

/// What is kept of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its slot, kept while the store lives.
    #[serde(deserialize_with = "slot")]
    pub slot: u32,
    /// Its network, while it is attached.
    pub attached: Option<AttachedRecord>,
}

/// What is kept of an attached guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedRecord {
    /// What was asked for.
    pub spec: GuestSpec,
    /// Its address.
    pub address: Ipv4Addr,
    /// MTU of its link in bytes.
    pub mtu: u32,
    /// Its network namespace; an earlier version kept none.
    #[serde(default)]
    pub netns: NetnsRef,
    /// Who attached it.
    pub owner_uid: u32,
    /// When: milliseconds since the epoch.
    pub attached_at: i64,
    /// An update that has begun and has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateRecord>,
}

impl AttachedRecord {
    /// What is kept of a guest.
    pub fn of(guest: &Attached) -> Self {
        Self {
            spec: guest.spec.clone(),
            address: guest.net.guest.address,
            mtu: guest.net.mtu,
            netns: guest.netns.clone(),
            owner_uid: guest.owner_uid,
            attached_at: guest.attached_at,
            update: None,
        }
    }

    /// The network that this describes.
    pub fn net(&self, slot: u32) -> GuestNet {
        GuestNet::new(&self.spec, slot, self.address, self.mtu)
    }

    /// The network that an update which was cut off was bringing about.
    pub fn interrupted(&self, slot: u32) -> Option<GuestNet> {
        let update = self.update.as_ref()?;
        Some(GuestNet::new(&update.spec, slot, update.address, update.mtu))
    }
}

/// What a live guest is about to become. Written before its ends are touched, and gone with the record
/// that says what it has become: a start that finds it brings the guest back to what it had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateRecord {
    /// What was asked for.
    pub spec: GuestSpec,
    /// Its address.
    pub address: Ipv4Addr,
    /// MTU of its link in bytes.
    pub mtu: u32,
}

/// What is kept of the forwarding switch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardingRecord {
    /// Whether guestnetd wrote the 1.
    pub ours: bool,
    /// Whether another change was announced since.
    pub contested: bool,
    /// What is to be put back with it.
    pub before: Before,
    /// Whether it was asked of netd, and not written.
    #[serde(default)]
    pub netd: bool,
}

impl ForwardingRecord {
    /// Of a switch that is used from now on.
    pub fn of(switch: &Switch) -> Self {
        let (before, netd) = match switch {
            Switch::Sysctl(before) => (before.clone(), false),
            Switch::Netd => (Before::default(), true),
        };
        Self { ours: true, contested: false, before, netd }
    }
}

/// What the caller has said of the resolvers behind each uplink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolversRecord {
    /// By the uplink's name.
    pub behind: BTreeMap<IfName, Vec<Ipv4Addr>>,
    /// Their names, the one named last at the end.
    #[serde(default)]
    order: Vec<IfName>,
}

impl ResolversRecord {
    /// As many as are kept. A phone has some ten; VPNs and modems may have a new name each time.
    pub const MOST: usize = 64;

    /// Keeps the resolvers behind an uplink, or forgets them if there are none. Of too many those go
    /// that were named first; those behind `in_use` stay.
    pub fn name(&mut self, uplink: IfName, servers: Vec<Ipv4Addr>, in_use: Option<&IfName>) {
        self.order.retain(|name| *name != uplink);
        if servers.is_empty() {
            self.behind.remove(&uplink);
            return;
        }
        self.behind.insert(uplink.clone(), servers);
        self.order.push(uplink.clone());
        while self.behind.len() > Self::MOST {
            let may_go = |name: &&IfName| **name != uplink && Some(*name) != in_use;
            let unordered = self.behind.keys().find(|name| !self.order.contains(name));
            let first = unordered.into_iter().chain(&self.order).find(may_go).cloned();
            let Some(first) = first else { return };
            log::info!(
                "the resolvers behind {first} are forgotten: more than {} uplinks",
                Self::MOST
            );
            self.behind.remove(&first);
            self.order.retain(|name| *name != first);
        }
    }
}

#[derive(Serialize, Deserialize)]
struct File<T> {
    version: u32,
    boot: String,
    #[serde(flatten)]
    content: T,
}

fn slot<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let slot = u32::deserialize(from)?;
    if slot < slots::SLOTS {
        return Ok(slot);
    }
    Err(serde::de::Error::custom(format!("there is no slot {slot}")))
}

/// Everything that was found at start-up.
#[derive(Debug, Default)]
pub struct Found {
    /// Names and what is kept of them.
    pub records: Vec<(GuestName, Record)>,
    /// The forwarding switch.
    pub forwarding: ForwardingRecord,
    /// The resolvers.
    pub resolvers: ResolversRecord,
}

/// The directory.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    boot: String,
    /// Held for as long as this is: one directory, one guestnetd.
    lock: Option<Flock<fs::File>>,
}

impl Store {
    /// Opens or makes the directory and reads it.
    pub fn open(dir: &Path) -> Result<(Self, Found), Error> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map(|id| id.trim().to_owned())
            .unwrap_or_default();
        let mut store = Self { dir: dir.to_owned(), boot, lock: None };
        let guests = store.guests();
        DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(&guests)
            .map_err(|e| store.failed(&guests, e))?;
        store.lock = Some(store.take_lock()?);
        let mut found = Found::default();
        for entry in fs::read_dir(&guests).map_err(|e| store.failed(&guests, e))?.flatten() {
            let file_name = entry.file_name();
            let Some(file_name) = file_name.to_str() else { continue };
            if let Some(name) = file_name.strip_suffix(".json").and_then(GuestName::new) {
                found.records.extend(store.read(&entry.path()).map(|record| (name, record)));
            } else if file_name.ends_with(TEMPORARY) {
                let _ = fs::remove_file(entry.path());
            }
        }
        found.forwarding = store.read(&store.forwarding()).unwrap_or_default();
        found.resolvers = store.read(&store.resolvers()).unwrap_or_default();
        Ok((store, found))
    }

    /// Where the files are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Keeps what is to be kept of a name.
    pub fn put(&self, name: &GuestName, record: &Record) -> Result<(), Error> {
        let path = self.record(name);
        let bytes = self.bytes(record).map_err(|e| self.failed(&path, e))?;
        overwrite(&path, bytes).map_err(|e| self.failed(&path, e))
    }

    /// Forgets a name.
    pub fn forget(&self, name: &GuestName) {
        let _ = fs::remove_file(self.record(name));
    }

    /// Keeps what is to be kept of the forwarding switch.
    pub fn put_forwarding(&self, record: &ForwardingRecord) -> Result<(), Error> {
        self.replace(&self.forwarding(), record)
    }

    /// Keeps what the caller has said of resolvers.
    pub fn put_resolvers(&self, record: &ResolversRecord) -> Result<(), Error> {
        self.replace(&self.resolvers(), record)
    }

    fn replace<T: Serialize>(&self, path: &Path, content: &T) -> Result<(), Error> {
        let replaced = || {
            let mut beside = path.as_os_str().to_owned();
            beside.push(TEMPORARY);
            fs::write(&beside, self.bytes(content)?)?;
            fs::rename(&beside, path)
        };
        replaced().map_err(|e| self.failed(path, e))
    }

    fn take_lock(&self) -> Result<Flock<fs::File>, Error> {
        let path = self.dir.join("lock");
        let file = fs::File::create(&path).map_err(|e| self.failed(&path, e))?;
        Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|_| Error::StateInUse(self.dir.display().to_string()))
    }

    fn guests(&self) -> PathBuf {
        self.dir.join("guests")
    }
    fn record(&self, name: &GuestName) -> PathBuf {
        self.guests().join(format!("{name}.json"))
    }
    fn forwarding(&self) -> PathBuf {
        self.dir.join("forwarding.json")
    }

    fn resolvers(&self) -> PathBuf {
        self.dir.join("resolvers.json")
    }

    fn failed(&self, path: &Path, cause: io::Error) -> Error {
        Error::Store { path: path.display().to_string(), cause }
    }

    fn bytes<T: Serialize>(&self, content: &T) -> io::Result<Vec<u8>> {
        let file = File { version: VERSION, boot: self.boot.clone(), content };
        Ok(serde_json::to_vec(&file)?)
    }

    fn read<T: DeserializeOwned>(&self, path: &Path) -> Option<T> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return None,
            Err(e) => {
                log::warn!("{} cannot be read ({e}): starting without it", path.display());
                return None;
            }
        };
        match serde_json::from_slice::<File<T>>(&bytes) {
            Ok(file) if file.version == VERSION && file.boot == self.boot => Some(file.content),
            Ok(file) if file.version == VERSION => {
                // The kernel forgot it all with the last boot, and so do we.
                log::info!("{} is of an earlier boot: removed", path.display());
                let _ = fs::remove_file(path);
                None
            }
            Ok(file) => self.set_aside(path, &format!("it is of version {}", file.version)),
            Err(e) => self.set_aside(path, &e.to_string()),
        }
    }

    fn set_aside<T>(&self, path: &Path, why: &str) -> Option<T> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".aside");
        log::warn!("{} is set aside as {}: {why}", path.display(), Path::new(&aside).display());
        let _ = fs::rename(path, aside);
        None
    }
}

/// Suffix of a file that is being written. No guest's file ends so.
const TEMPORARY: &str = ".tmp";

/// Length of a record's file in bytes: more than any record has, and less than a page.
const BLOCK: usize = 2048;

/// Writes a file by one call, filled up with blanks to the same length every time. The end of the
/// process finds it as it was or as it is to be, as with a file beside it that takes its name, for
/// a quarter of the time. The end of the machine may tear it, and is the end of all that it tells.
fn overwrite(path: &Path, mut bytes: Vec<u8>) -> io::Result<()> {
    bytes.resize(bytes.len().max(BLOCK), b' ');
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    let written = file.write_all_at(&bytes, 0);
    if written.is_err() && file.metadata().is_ok_and(|meta| meta.len() == 0) {
        let _ = fs::remove_file(path);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> GuestName {
        GuestName::new(text).unwrap()
    }

    fn record() -> Record {
        let wlan0 = IfName::new("wlan0").unwrap();
        let spec = GuestSpec::new(name("a"), wlan0, None, [172, 17, 3, 2].into(), 16, -1).unwrap();
        let address = [172, 17, 3, 3].into();
        let attached = AttachedRecord {
            spec,
            address,
            mtu: 1500,
            netns: NetnsRef { id: Some(0), handle: Some([255; 16]) },
            owner_uid: 0,
            attached_at: 1,
            update: None,
        };
        Record { slot: 0, attached: Some(attached) }
    }

    fn dir(test: &str) -> PathBuf {
        let dir =
            std::env::temp_dir().join(format!("guestnetd-store-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    #[test]
    fn what_is_put_is_found_again() {
        let dir = dir("found");
        let (store, found) = Store::open(&dir).unwrap();
        assert!(found.records.is_empty() && !found.forwarding.ours);
        store.put(&name("a"), &record()).unwrap();
        store.put(&name("b.json"), &Record { slot: 7, attached: None }).unwrap();
        store.put_forwarding(&ForwardingRecord { ours: true, ..Default::default() }).unwrap();
        fs::write(dir.join("guests/x.json.tmp"), "half").unwrap();
        assert!(matches!(Store::open(&dir), Err(Error::StateInUse(_))));
        drop(store);
        let (store, mut found) = Store::open(&dir).unwrap();
        found.records.sort_by_key(|(name, _)| name.clone());
        assert_eq!(found.records[0], (name("a"), record()));
        assert_eq!(found.records[1].1.slot, 7);
        assert!(found.forwarding.ours && !dir.join("guests/x.json.tmp").exists());
        store.forget(&name("a"));
        drop(store);
        assert_eq!(Store::open(&dir).unwrap().1.records.len(), 1);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn of_too_many_uplinks_those_named_first_are_forgotten() {
        let name = |n: usize| IfName::new(&format!("rmnet{n}")).unwrap();
        let server = || vec![Ipv4Addr::new(192, 0, 2, 53)];
        let mut record = ResolversRecord::default();
        let in_use = name(0);
        for n in 0..ResolversRecord::MOST {
            record.name(name(n), server(), Some(&in_use));
        }
        assert_eq!(record.behind.len(), ResolversRecord::MOST);
        // Named again, it is not the first any more.
        record.name(name(1), server(), Some(&in_use));
        record.name(name(100), server(), Some(&in_use));
        record.name(name(101), server(), Some(&in_use));
        let there = |n| record.behind.contains_key(&name(n));
        assert!(there(0) && there(1) && there(100) && there(101));
        assert!(!there(2) && !there(3) && there(4));
        assert_eq!((record.behind.len(), record.order.len()), (64, 64));
        record.name(name(4), Vec::new(), None);
        assert_eq!((record.behind.len(), record.order.len()), (63, 63));
    }

    #[test]
    fn torn_foreign_newer_and_old_files_are_not_fatal() {
        let dir = dir("torn");
        let (store, _) = Store::open(&dir).unwrap();
        store.put(&name("whole"), &record()).unwrap();
        let whole = fs::read_to_string(dir.join("guests/whole.json")).unwrap();
        let put = |file: &str, text: &str| fs::write(dir.join("guests").join(file), text).unwrap();
        put("torn.json", &whole[..40]);
        put("foreign.json", "[1, 2]");
        put("newer.json", &whole.replace("\"version\":1", "\"version\":2"));
        put("old.json", &whole.replace(&store.boot, "another-boot"));
        put("bad.json", &whole.replace("172.17.3.3", "nonsense"));
        put("prefix.json", &whole.replace("\"prefix\":16", "\"prefix\":99"));
        put("wide.json", &whole.replace("\"prefix\":16", "\"prefix\":31"));
        put("slot.json", &whole.replace("\"slot\":0", "\"slot\":100000000"));
        fs::write(dir.join("forwarding.json"), "{").unwrap();
        put("empty.json", "");
        drop(store);
        let (_, found) = Store::open(&dir).unwrap();
        assert_eq!(found.records.len(), 1, "{found:?}");
        for aside in ["torn", "empty", "foreign", "newer", "bad", "prefix", "wide", "slot"] {
            assert!(dir.join(format!("guests/{aside}.json.aside")).exists(), "{aside}");
        }
        assert!(
            !dir.join("guests/old.json").exists() && dir.join("forwarding.json.aside").exists()
        );
        fs::remove_dir_all(dir).unwrap();
    }
}

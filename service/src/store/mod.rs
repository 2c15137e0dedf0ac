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
//! one for the forwarding switch, one for the resolvers that were named, one for a lockdown. No fsync, because it need not
//! survive a reboot: the directory is a tmpfs, and every file bears the kernel's boot id.
//!
//! Never fatal to read: what is torn, of another version or not ours is set aside and said. Nothing is
//! deleted but what guestnetd itself has ended: what cannot be told stays, and the start is tried again.

mod dir;
pub(crate) mod file;
mod owed;
mod record;

pub use record::{
    AttachedRecord, ForwardingRecord, LockdownRecord, LoggerRecord, Record, ResolversRecord,
    UpdateRecord,
};

use crate::error::Error;
use crate::spec::GuestName;
use crate::write::{self, What};
use file::{Opened, TEMPORARY};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use owed::Owed;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Format of the files: sealed since 2. A file of a later version is set aside.
const VERSION: u32 = 2;
/// For guestnetd alone.
const DIRECTORY_MODE: u32 = 0o700;
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// How long a start waits for what cannot be opened or locked for now.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Serialize, Deserialize)]
struct File<T> {
    version: u32,
    boot: String,
    #[serde(flatten)]
    content: T,
}

/// Everything that was found at start-up.
#[derive(Debug, Default)]
pub struct Found {
    /// Names and what is kept of them.
    pub records: Vec<(GuestName, Record)>,
    /// The forwarding switch.
    pub forwarding: ForwardingRecord,
    /// Whether a lockdown was up.
    pub lockdown: LockdownRecord,
    /// The resolvers.
    pub resolvers: ResolversRecord,
    /// Who logged packets before a trace that has not come to its end.
    pub logger: Option<LoggerRecord>,
}

/// The directory.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    boot: String,
    /// Held for as long as this is: one directory, one guestnetd.
    lock: Option<Flock<fs::File>>,
    /// What could not be written.
    owed: Mutex<Owed>,
}

impl Store {
    /// Opens or makes the directory and reads it.
    pub fn open(dir: &Path) -> Result<(Self, Found), Error> {
        let boot = patiently(boot_id).map_err(Error::BootId)?;
        let mut store = Self { dir: dir.to_owned(), boot, lock: None, owed: Mutex::default() };
        let guests = store.guests();
        for dir in [dir, &guests] {
            let unfit = |cause| Error::StateDir { path: dir.display().to_string(), cause };
            dir::prepare(dir, DIRECTORY_MODE).map_err(unfit)?;
        }
        store.lock = Some(store.take_lock()?);
        let mut found = Found::default();
        let listed = patiently(|| fs::read_dir(&guests)).map_err(|e| unreadable(&guests, e))?;
        for entry in listed {
            let entry = entry.map_err(|e| unreadable(&guests, e))?;
            let file_name = entry.file_name();
            let Some(file_name) = file_name.to_str() else { continue };
            if let Some(name) = file_name.strip_suffix(".json").and_then(GuestName::new) {
                let check = |record: &Record| record.check(&name);
                let record = store.read(&entry.path(), check)?;
                found.records.extend(record.map(|record| (name, record)));
            } else if file_name.ends_with(TEMPORARY) {
                let _ = fs::remove_file(entry.path());
            }
        }
        for path in [store.forwarding(), store.resolvers(), store.logger(), store.lockdown()] {
            let _ = fs::remove_file(file::beside(&path));
        }
        found.forwarding = store.read(&store.forwarding(), |_| Ok(()))?.unwrap_or_default();
        found.lockdown = store.read(&store.lockdown(), |_| Ok(()))?.unwrap_or_default();
        found.resolvers = store.read(&store.resolvers(), |_| Ok(()))?.unwrap_or_default();
        found.logger = store.read(&store.logger(), LoggerRecord::check)?;
        Ok((store, found))
    }

    /// Where the files are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Keeps what is to be kept of a name, or nothing of it: what was owed before still is.
    pub fn put(&self, name: &GuestName, record: &Record) -> Result<(), Error> {
        let mut owed = self.owed();
        self.write(name, record)?;
        owed.records.remove(name);
        Ok(())
    }

    /// Keeps what has happened already: what cannot be written now is owed.
    pub fn put_or_owe(&self, name: &GuestName, record: Record) -> Result<(), Error> {
        let mut owed = self.owed();
        owed.records.insert(name.clone(), record);
        self.pay_record(&mut owed, name)
    }

    /// When what is owed is tried again; none: nothing is.
    pub fn pay_at(&self) -> Option<Instant> {
        self.owed().at()
    }

    /// Writes what is owed, up to what still cannot be.
    pub fn pay(&self) -> Result<(), Error> {
        let mut owed = self.owed();
        self.pay_forwarding(&mut owed)?;
        self.pay_lockdown(&mut owed)?;
        let next = |owed: &Owed| owed.records.keys().next().cloned();
        while let Some(name) = next(&owed) {
            self.pay_record(&mut owed, &name)?;
        }
        Ok(())
    }

    fn pay_record(&self, owed: &mut Owed, name: &GuestName) -> Result<(), Error> {
        let Some(record) = owed.records.get(name) else { return Ok(()) };
        self.write(name, record).inspect_err(|_| owed.failed())?;
        owed.records.remove(name);
        Ok(())
    }

    fn pay_forwarding(&self, owed: &mut Owed) -> Result<(), Error> {
        let Some(record) = &owed.forwarding else { return Ok(()) };
        self.replace(&self.forwarding(), record).inspect_err(|_| owed.failed())?;
        owed.forwarding = None;
        Ok(())
    }

    fn pay_lockdown(&self, owed: &mut Owed) -> Result<(), Error> {
        let Some(record) = &owed.lockdown else { return Ok(()) };
        self.replace(&self.lockdown(), record).inspect_err(|_| owed.failed())?;
        owed.lockdown = None;
        Ok(())
    }

    fn owed(&self) -> MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, name: &GuestName, record: &Record) -> Result<(), Error> {
        let path = self.record(name);
        let bytes = self.bytes(record).map_err(|e| self.failed(&path, e))?;
        file::overwrite(&path, bytes).map_err(|e| self.failed(&path, e))
    }

    /// Forgets a name.
    pub fn forget(&self, name: &GuestName) {
        self.owed().records.remove(name);
        let path = self.record(name);
        let _ = write::through(What::Removal(&path), || fs::remove_file(&path));
    }

    /// Keeps what is to be kept of the forwarding switch; or what was: `was` is owed where it cannot be.
    pub fn put_forwarding(
        &self,
        record: &ForwardingRecord,
        was: &ForwardingRecord,
    ) -> Result<(), Error> {
        let put = self.put_forwarding_or_owe(record.clone());
        if put.is_err() {
            // It may have been written for all that.
            let _ = self.put_forwarding_or_owe(was.clone());
        }
        put
    }

    /// The same where the switch was written already: what cannot be kept now is owed.
    pub fn put_forwarding_or_owe(&self, record: ForwardingRecord) -> Result<(), Error> {
        let mut owed = self.owed();
        owed.forwarding = Some(record);
        self.pay_forwarding(&mut owed)
    }

    /// Keeps whether a lockdown is up: what cannot be kept now is owed.
    pub fn put_lockdown_or_owe(&self, record: LockdownRecord) -> Result<(), Error> {
        let mut owed = self.owed();
        owed.lockdown = Some(record);
        self.pay_lockdown(&mut owed)
    }

    /// Keeps what the caller has said of resolvers.
    pub fn put_resolvers(&self, record: &ResolversRecord) -> Result<(), Error> {
        self.replace(&self.resolvers(), record)
    }

    /// Keeps who logged packets before a trace, until it is over.
    pub fn put_logger(&self, name: Option<&str>) -> Result<(), Error> {
        match name {
            Some(name) => self.replace(&self.logger(), &LoggerRecord { name: name.to_owned() }),
            None => match fs::remove_file(self.logger()) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    Err(self.failed(&self.logger(), e))
                }
                _ => Ok(()),
            },
        }
    }

    fn replace<T: Serialize>(&self, path: &Path, content: &T) -> Result<(), Error> {
        let bytes = self.bytes(content);
        bytes.and_then(|bytes| file::replace(path, &bytes)).map_err(|e| self.failed(path, e))
    }

    fn take_lock(&self) -> Result<Flock<fs::File>, Error> {
        let path = self.dir.join("lock");
        let mut file = file::lock(&path).map_err(|e| self.failed(&path, e))?;
        // A killed one's lock is its last child's until that child's exec (close-on-exec).
        let until = Instant::now() + PATIENCE;
        loop {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(lock),
                Err((same, Errno::EWOULDBLOCK | Errno::EINTR)) if Instant::now() < until => {
                    file = same
                }
                Err((_, Errno::EWOULDBLOCK)) => {
                    return Err(Error::StateInUse(self.dir.display().to_string()))
                }
                Err((_, e)) => return Err(self.failed(&path, e.into())),
            }
            std::thread::sleep(PAUSE);
        }
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

    fn lockdown(&self) -> PathBuf {
        self.dir.join("lockdown.json")
    }

    fn resolvers(&self) -> PathBuf {
        self.dir.join("resolvers.json")
    }

    fn logger(&self) -> PathBuf {
        self.dir.join("logger.json")
    }

    fn failed(&self, path: &Path, cause: io::Error) -> Error {
        Error::Store { path: path.display().to_string(), cause }
    }

    fn bytes<T: Serialize>(&self, content: &T) -> io::Result<Vec<u8>> {
        let file = File { version: VERSION, boot: self.boot.clone(), content };
        Ok(file::sealed(serde_json::to_vec(&file)?))
    }

    /// What is in a file; none if there is none, or if it had to be set aside. An error if that cannot be
    /// told now.
    fn read<T: DeserializeOwned>(
        &self,
        path: &Path,
        check: impl Fn(&T) -> Result<(), String>,
    ) -> Result<Option<T>, Error> {
        let bytes = match patiently(|| file::read(path)) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) if passes(&e) => return Err(unreadable(path, e)),
            Err(e) => return Ok(self.set_aside(path, &e.to_string())),
        };
        match content(bytes, &self.boot, check) {
            Ok(content) => Ok(Some(content)),
            Err(why) => Ok(self.set_aside(path, &why)),
        }
    }

    fn set_aside<T>(&self, path: &Path, why: &str) -> Option<T> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".aside");
        let text = format!("{} is set aside as {}", path.display(), Path::new(&aside).display());
        match fs::rename(path, aside) {
            Ok(()) => log::warn!("{text}: {why}"),
            Err(e) => log::error!("{text}: {why}; that failed: {e}"),
        }
        None
    }
}

fn unreadable(path: &Path, cause: io::Error) -> Error {
    Error::StateUnreadable { path: path.display().to_string(), cause }
}

/// What tells this boot from any other (proc_sys_kernel(5)).
fn boot_id() -> io::Result<String> {
    let id = fs::read_to_string(BOOT_ID)?.trim().to_owned();
    match id.len() {
        36 => Ok(id),
        _ => Err(io::Error::other(format!("{id:?} is not a boot id"))),
    }
}

/// What a file's bytes say, or why they are not believed. Pure.
pub(crate) fn content<T: DeserializeOwned>(
    bytes: Vec<u8>,
    boot: &str,
    check: impl Fn(&T) -> Result<(), String>,
) -> Result<T, String> {
    let (object, sealed) = match file::unsealed(&bytes) {
        Opened::Whole(object) => (object, true),
        // An earlier version's; or what somebody has written by hand.
        Opened::Unsealed => (bytes, false),
        Opened::Broken => return Err("its checksum is another one".to_owned()),
    };
    let file: File<T> = serde_json::from_slice(&object).map_err(|e| e.to_string())?;
    if file.version > VERSION {
        Err(format!("it is of version {}", file.version))
    } else if file.version == VERSION && !sealed {
        Err("it has no checksum".to_owned())
    } else if file.boot != boot {
        // The kernel forgot it all with the last boot.
        Err("it is of an earlier boot".to_owned())
    } else {
        check(&file.content).map(|()| file.content)
    }
}

/// Whether a failure is the moment's, and not the file's: no descriptor is free, or no memory.
fn passes(e: &io::Error) -> bool {
    let errno = e.raw_os_error().unwrap_or(0);
    [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::EAGAIN].contains(&errno)
}

/// How long a failure is taken for one of the moment. One of the disk's may be, and mostly is not.
fn patience(e: &io::Error) -> Duration {
    match e.raw_os_error() {
        _ if passes(e) => PATIENCE,
        Some(libc::EIO) => PAUSE,
        _ => Duration::ZERO,
    }
}

/// Tries again for a while where a failure may pass.
fn patiently<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let began = Instant::now();
    loop {
        match work() {
            Err(e) if began.elapsed() < patience(&e) => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::guest_net::NetnsRef;
    use crate::model::if_index::IfIndex;
    use crate::model::lifeline::Lifelines;
    use crate::spec::{GuestSpec, IfName, Mtu};

    fn name(text: &str) -> GuestName {
        GuestName::new(text).unwrap()
    }

    fn record() -> Record {
        record_of("a")
    }

    fn record_of(guest: &str) -> Record {
        let wlan0 = IfName::new("wlan0").unwrap();
        let spec =
            GuestSpec::new(name(guest), wlan0, None, [172, 17, 3, 2].into(), 16, -1).unwrap();
        let address = [172, 17, 3, 3].into();
        let attached = AttachedRecord {
            spec,
            address,
            mtu: Mtu::ETHERNET,
            index: IfIndex::new(7),
            netns: NetnsRef { id: Some(0), handle: Some([255; 16]) },
            lifelines: Lifelines::default(),
            owner_uid: 0,
            attached_at: 1,
            told: None,
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
        let ours = ForwardingRecord { ours: true, ..Default::default() };
        store.put_forwarding_or_owe(ours).unwrap();
        fs::write(dir.join("guests/x.json.tmp"), "half").unwrap();
        fs::write(dir.join("forwarding.json.tmp"), "half").unwrap();
        assert!(matches!(Store::open(&dir), Err(Error::StateInUse(_))));
        // One that is about to go is waited for.
        let going = std::thread::spawn(move || {
            std::thread::sleep(4 * PAUSE);
            drop(store);
        });
        let (store, mut found) = Store::open(&dir).unwrap();
        going.join().unwrap();
        found.records.sort_by_key(|(name, _)| name.clone());
        assert_eq!(found.records[0], (name("a"), record()));
        assert_eq!(found.records[1].1.slot, 7);
        assert!(found.forwarding.ours && !dir.join("guests/x.json.tmp").exists());
        assert!(!dir.join("forwarding.json.tmp").exists());
        store.forget(&name("a"));
        drop(store);
        assert_eq!(Store::open(&dir).unwrap().1.records.len(), 1);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_owed_until_it_is() {
        let dir = dir("owed");
        let (store, _) = Store::open(&dir).unwrap();
        let free = |slot| Record { slot, attached: None };
        let stored = || {
            let found = file::read(&store.record(&name("a"))).unwrap();
            content::<Record>(found, &store.boot, |_| Ok(())).unwrap()
        };
        store.put(&name("a"), &record()).unwrap();
        // Nothing can be opened there, not even by root.
        let (guests, away) = (dir.join("guests"), dir.join("away"));
        fs::rename(&guests, &away).unwrap();
        store.put_or_owe(&name("a"), free(1)).unwrap_err();
        store.put_or_owe(&name("a"), free(2)).unwrap_err();
        store.put(&name("a"), &free(3)).unwrap_err();
        store.put_or_owe(&name("b"), free(4)).unwrap_err();
        store.forget(&name("b"));
        store.pay().unwrap_err();
        fs::rename(&away, &guests).unwrap();
        assert_eq!(stored(), record());
        assert!(store.pay_at().is_some());
        store.pay().unwrap();
        assert_eq!((stored(), store.pay_at()), (free(2), None), "the last that had happened");
        assert!(!store.record(&name("b")).exists());
        // What is written meanwhile is later than what is owed.
        fs::rename(&guests, &away).unwrap();
        store.put_or_owe(&name("a"), free(5)).unwrap_err();
        fs::rename(&away, &guests).unwrap();
        store.put(&name("a"), &free(6)).unwrap();
        store.pay().unwrap();
        assert_eq!(stored(), free(6));
        drop(store);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn whose_the_switch_is_is_owed_too() {
        let dir = dir("switch");
        let (store, _) = Store::open(&dir).unwrap();
        let of = |ours| ForwardingRecord { ours, ..Default::default() };
        let stored = || {
            let found = file::read(&store.forwarding()).unwrap();
            content::<ForwardingRecord>(found, &store.boot, |_| Ok(())).unwrap().ours
        };
        store.put_forwarding(&of(true), &of(false)).unwrap();
        assert!(stored() && store.pay_at().is_none());
        // Its file can be made, and cannot take its name.
        let (path, away) = (store.forwarding(), dir.join("away"));
        fs::rename(&path, &away).unwrap();
        fs::create_dir(&path).unwrap();
        store.put_forwarding_or_owe(of(false)).unwrap_err();
        fs::remove_dir(&path).unwrap();
        fs::rename(&away, &path).unwrap();
        store.pay().unwrap();
        assert!(!stored() && store.pay_at().is_none());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        store.put_forwarding(&of(true), &of(false)).unwrap_err();
        fs::remove_dir(&path).unwrap();
        store.pay().unwrap();
        assert!(!stored(), "the call that wanted it has failed");
        drop(store);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn torn_foreign_newer_and_old_files_are_not_fatal() {
        let dir = dir("torn");
        let (store, _) = Store::open(&dir).unwrap();
        store.put(&name("whole"), &record_of("whole")).unwrap();
        let whole = fs::read_to_string(dir.join("guests/whole.json")).unwrap();
        let Opened::Whole(object) = file::unsealed(whole.as_bytes()) else { panic!("{whole}") };
        let object = String::from_utf8(object).unwrap();
        let put = |file: &str, text: &str| fs::write(dir.join("guests").join(file), text).unwrap();
        // With its checksum right.
        let changed = |from: &str, to: &str| {
            assert!(object.contains(from), "{from} is not in {object}");
            String::from_utf8(file::sealed(object.replace(from, to).into())).unwrap()
        };
        put("torn.json", &whole[..40]);
        put("foreign.json", "[1, 2]");
        put("flipped.json", &whole.replace("172.17.3.3", "172.17.3.1"));
        put("unsealed.json", &object);
        put("newer.json", &changed("\"version\":2", "\"version\":3"));
        put("old.json", &changed(&store.boot, "another-boot"));
        put("bad.json", &changed("172.17.3.3", "nonsense"));
        put("prefix.json", &changed("\"prefix\":16", "\"prefix\":99"));
        put("wide.json", &changed("\"prefix\":16", "\"prefix\":31"));
        put("slot.json", &changed("\"slot\":0", "\"slot\":100000000"));
        put("gateway.json", &changed("172.17.3.3", "172.17.3.2"));
        put("outside.json", &changed("172.17.3.3", "10.17.3.3"));
        put("mtu.json", &changed("\"mtu\":1500", "\"mtu\":15"));
        put("whose.json", &changed("\"mtu\":1500", "\"mtu\":1400"));
        std::os::unix::fs::symlink(dir.join("guests/whole.json"), dir.join("guests/link.json"))
            .unwrap();
        fs::write(dir.join("forwarding.json"), "{").unwrap();
        put("empty.json", "");
        // Of an earlier version of guestnetd, which had no checksum.
        put(
            "earlier.json",
            &object
                .replace("\"version\":2", "\"version\":1")
                .replace("\"name\":\"whole\"", "\"name\":\"earlier\""),
        );
        drop(store);
        let (_, found) = Store::open(&dir).unwrap();
        assert_eq!(found.records.len(), 2, "{found:?}");
        for aside in [
            "torn", "empty", "foreign", "newer", "bad", "prefix", "wide", "slot", "flipped",
            "unsealed", "old", "gateway", "outside", "mtu", "whose", "link",
        ] {
            assert!(dir.join(format!("guests/{aside}.json.aside")).exists(), "{aside}");
        }
        assert!(dir.join("forwarding.json.aside").exists());
        fs::remove_dir_all(dir).unwrap();
    }
}

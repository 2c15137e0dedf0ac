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

//! Tells that somebody may have changed x_tables. The kernel announces nothing of that; but each run of
//! iptables takes a lock, which is a file, and closes it at its end (iptables/xshared.c). Who has a lock
//! elsewhere, or takes none, is seen by the timer.
//!
//! Our own runs are seen, too: the look that follows runs no program, and so no other look follows it.

use super::inotify;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InotifyEvent, WatchDescriptor};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::time::{sleep_until, Instant};

/// `XT_LOCK_NAME`, where its variable of the environment does not name another file.
const LOCK: &str = "/run/xtables.lock";
const VARIABLE: &str = "XTABLES_LOCKFILE";
/// After one look so long until the next: there are programs that run iptables without an end.
const GAP: Duration = Duration::from_secs(1);

/// The variable that names another lock, and its value, where there is one. Every program that changes the tables has
/// to know of it: those that wait for different locks lose each other's changes.
pub(super) fn elsewhere() -> Option<(&'static str, OsString)> {
    Some((VARIABLE, std::env::var_os(VARIABLE).filter(|path| !path.is_empty())?))
}

/// The watched lock.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    inotify: AsyncFd<inotify::Fd>,
    /// The file, where there is one.
    file: Option<WatchDescriptor>,
    /// Its folder, while there is none.
    folder: Option<WatchDescriptor>,
    /// Whether it was taken, and nobody was told yet.
    taken: bool,
    /// Not before then is somebody told.
    quiet: Instant,
}

impl Watch {
    /// Watches from now on; not on Android, where netd's own start is announced by its rules, and another
    /// one would need leave to watch a file of the system's. The calling thread must be inside a tokio runtime.
    pub fn begin() -> io::Result<Option<Self>> {
        match cfg!(target_os = "android") {
            true => Ok(None),
            false => {
                let said = elsewhere().map(|(_, path)| path);
                Self::of(Path::new(&said.unwrap_or_else(|| LOCK.into()))).map(Some)
            }
        }
    }

    fn of(path: &Path) -> io::Result<Self> {
        let (inotify, path) = (inotify::open()?, path.to_owned());
        let quiet = Instant::now();
        let mut watch = Self { path, inotify, file: None, folder: None, taken: false, quiet };
        watch.follow()?;
        Ok(watch)
    }

    /// Watches the file, or its folder until somebody makes it there.
    fn follow(&mut self) -> io::Result<()> {
        let inotify = &self.inotify.get_ref().0;
        let add = || inotify.add_watch(&self.path, AddWatchFlags::IN_CLOSE);
        let mut added = add();
        if let (Err(Errno::ENOENT), None, Some(folder)) = (added, self.folder, self.path.parent()) {
            let made = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
            self.folder = Some(inotify.add_watch(folder, made | AddWatchFlags::IN_ONLYDIR)?);
            // It may have been made meanwhile.
            added = add();
        }
        match added {
            Ok(file) => {
                self.file = Some(file);
                // One that is gone is not watched either.
                self.folder.take().map(|folder| inotify.rm_watch(folder));
                Ok(())
            }
            Err(Errno::ENOENT) => {
                self.file = None;
                Ok(())
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Waits until a program may have changed the tables since this returned last; at most once in [`GAP`].
    pub async fn changed(&mut self) {
        // What is known outlives a wait that is given up.
        while !self.taken {
            // An error is of the runtime, which is about to end.
            let Ok(mut guard) = self.inotify.readable().await else {
                return std::future::pending().await;
            };
            guard.clear_ready();
            self.taken = self.reads_a_run();
        }
        sleep_until(self.quiet).await;
        // All that came until now is looked at.
        self.reads_a_run();
        self.taken = false;
        self.quiet = Instant::now() + GAP;
    }

    fn reads_a_run(&mut self) -> bool {
        let (mut taken, mut lost) = (false, false);
        while let Some(events) = self.events() {
            for InotifyEvent { wd, mask, name, .. } in events {
                // Else it is others' files in its folder, or the end of a watch that was given up.
                let of_file = Some(wd) == self.file;
                let made = name.is_some() && name.as_deref() == self.path.file_name();
                taken |= of_file && mask.intersects(AddWatchFlags::IN_CLOSE) || made;
                lost |= of_file && mask.contains(AddWatchFlags::IN_IGNORED) || made;
            }
        }
        if lost {
            if let Err(e) = self.follow() {
                log::info!("{} is not watched any more: {e}", self.path.display());
            }
            // Somebody has deleted it: the next run makes another one, or has, and may be over.
            taken |= self.file.is_some();
        }
        taken
    }

    /// What has come; none: nothing is left.
    fn events(&self) -> Option<Vec<InotifyEvent>> {
        loop {
            match self.inotify.get_ref().0.read_events() {
                Err(Errno::EINTR) => {}
                other => return other.ok(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn each_run_is_told_and_many_are_told_once() {
        let path = std::env::temp_dir().join(format!("guestnetd-lock-{}", std::process::id()));
        File::create(&path).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut watch = Watch::of(&path).unwrap();
            let soon = Duration::from_millis(300);
            let nothing = tokio::time::timeout(soon, watch.changed()).await;
            assert!(nothing.is_err(), "nobody has run");
            drop(File::open(&path).unwrap());
            tokio::time::timeout(soon, watch.changed()).await.expect("at once");
            for _ in 0..20 {
                drop(File::open(&path).unwrap());
            }
            // A wait that is given up loses nothing.
            assert!(tokio::time::timeout(soon, watch.changed()).await.is_err(), "not yet");
            tokio::time::timeout(GAP * 20, watch.changed()).await.expect("the last of them");
            let none = tokio::time::timeout(GAP + soon, watch.changed()).await;
            assert!(none.is_err(), "once for all");
            // Somebody deletes it, and the next run makes another one.
            std::fs::remove_file(&path).unwrap();
            for _ in 0..2 {
                let none = tokio::time::timeout(soon, watch.changed()).await;
                assert!(none.is_err(), "nobody has run");
            }
            drop(File::create(path.with_extension("other")).unwrap());
            assert!(tokio::time::timeout(soon, watch.changed()).await.is_err(), "another file");
            drop(File::create(&path).unwrap());
            tokio::time::timeout(GAP * 2, watch.changed()).await.expect("it is made");
            drop(File::open(&path).unwrap());
            tokio::time::timeout(GAP * 2, watch.changed()).await.expect("it is followed");
            assert!(watch.folder.is_none());
            assert!(Watch::of(Path::new("/nonexistent/xtables.lock")).is_err());
        });
        std::fs::remove_file(path.with_extension("other")).unwrap();
        std::fs::remove_file(path).unwrap();
    }
}

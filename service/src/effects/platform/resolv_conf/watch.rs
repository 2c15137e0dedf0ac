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

//! Tells when the file of the device's resolvers has changed. It is replaced by another that takes its
//! name, most often; it may be a symbolic link; and its folder may be made later, at boot. So every
//! folder on the way to it is watched for the name of the next one, as far as the way goes today, and
//! the same for the files behind stubs.

use super::BEHIND_STUBS;
use crate::effects::platform::inotify;
use crate::ordered::{IntoOrdered, OrderedSet};
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, WatchDescriptor};
use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};
use tokio::io::unix::AsyncFd;

/// As many symbolic links as the kernel follows (path_resolution(7)).
const LINKS: usize = 40;
/// So often a way is gone again that changes while it is gone.
const TRIES: usize = 8;

/// A watched file.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    inotify: AsyncFd<inotify::Fd>,
    /// The names that tell of a change, by the watch of their folder.
    names: HashMap<WatchDescriptor, OrderedSet<OsString>>,
}

impl Watch {
    /// Watches from now on. The calling thread must be inside a tokio runtime.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let inotify = inotify::open()?;
        let mut watch =
            Self { path: std::env::current_dir()?.join(path), inotify, names: HashMap::new() };
        watch.follow();
        Ok(watch)
    }

    /// Waits until the file may be another one, or has other lines.
    pub async fn changed(&mut self) {
        loop {
            // An error is of the runtime, which is about to end.
            let Ok(mut guard) = self.inotify.readable().await else {
                return std::future::pending().await;
            };
            guard.clear_ready();
            if self.reads_a_change() {
                self.follow();
                return;
            }
        }
    }

    fn reads_a_change(&self) -> bool {
        let mut changed = false;
        loop {
            match self.inotify.get_ref().0.read_events() {
                // Without a name: the folder itself has gone, or events were lost.
                Ok(events) => {
                    changed |= events.iter().any(|event| match &event.name {
                        Some(name) => {
                            self.names.get(&event.wd).is_some_and(|all| all.contains(name))
                        }
                        None => true,
                    })
                }
                Err(Errno::EINTR) => {}
                Err(_) => return changed,
            }
        }
    }

    /// Watches what is on the way now, and nothing else.
    fn follow(&mut self) {
        let mut way = self.way();
        for _ in 0..TRIES {
            self.watch(&way);
            // What came before it was watched was not announced.
            let now = self.way();
            if now == way {
                break;
            }
            way = now;
        }
    }

    fn way(&self) -> OrderedSet<(PathBuf, OsString)> {
        let stubs = BEHIND_STUBS.iter().map(|file| Path::new(*file));
        [self.path.as_path()].into_iter().chain(stubs).flat_map(way_to).into_set()
    }

    fn watch(&mut self, way: &OrderedSet<(PathBuf, OsString)>) {
        let what = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_ONLYDIR;
        let written = with_files(way);
        let inotify = &self.inotify.get_ref().0;
        let mut names: HashMap<_, OrderedSet<_>> = HashMap::new();
        for (folder, name) in way {
            let more = match written.contains(folder) {
                true => AddWatchFlags::IN_CLOSE_WRITE,
                false => AddWatchFlags::empty(),
            };
            // Again is fine: it is the same watch.
            match inotify.add_watch(folder, what | more) {
                Ok(watch) => drop(names.entry(watch).or_default().insert(name.clone())),
                Err(e) => log::debug!("{} is not watched: {e}", folder.display()),
            }
        }
        for old in self.names.keys().filter(|old| !names.contains_key(old)) {
            // It went with its folder, most often.
            let _ = inotify.rm_watch(*old);
        }
        self.names = names;
    }
}

/// The folders on a way that have a file itself. In the others, such as `/dev` or `/tmp`, it is nothing to anybody
/// that somebody has written to something.
fn with_files(way: &OrderedSet<(PathBuf, OsString)>) -> OrderedSet<PathBuf> {
    let is_file = |(folder, name): &&(PathBuf, OsString)| {
        std::fs::symlink_metadata(folder.join(name)).is_ok_and(|meta| meta.is_file())
    };
    way.iter().filter(is_file).map(|(folder, _)| folder.clone()).into_set()
}

/// The folders on the way to a file, each with the name that is looked up in it, as far as they are there.
fn way_to(file: &Path) -> Vec<(PathBuf, OsString)> {
    let mut left: VecDeque<OsString> = names_of(file);
    let (mut at, mut way, mut links) = (PathBuf::from("/"), Vec::new(), 0);
    while let Some(name) = left.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        way.push((at.clone(), name.clone()));
        let next = at.join(&name);
        match std::fs::symlink_metadata(&next) {
            Ok(meta) if meta.is_symlink() && links < LINKS => {
                links += 1;
                let Ok(to) = std::fs::read_link(&next) else { break };
                if to.is_absolute() {
                    at = PathBuf::from("/");
                }
                let mut all = names_of(&to);
                all.append(&mut left);
                left = all;
            }
            Ok(meta) if meta.is_dir() => at = next,
            _ => break,
        }
    }
    way
}

fn names_of(path: &Path) -> VecDeque<OsString> {
    let name = |component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    };
    path.components().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_way_goes_by_links_as_far_as_there_is_one() {
        let dir = std::env::temp_dir().join(format!("guestnetd-way-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("etc")).unwrap();
        let dir = dir.canonicalize().unwrap();
        symlink("../run/manager/resolv.conf", dir.join("etc/resolv.conf")).unwrap();
        let seen = || {
            let way = way_to(&dir.join("etc/resolv.conf"));
            let inside = way.iter().filter(|(at, _)| at.starts_with(&dir));
            let text = |(at, name): &(PathBuf, OsString)| {
                let at = at.strip_prefix(&dir).unwrap().display().to_string();
                format!("{at}:{}", name.to_string_lossy())
            };
            inside.map(text).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(seen(), ":etc etc:resolv.conf :run");
        let written = || {
            let way = way_to(&dir.join("etc/resolv.conf")).into_iter().collect();
            with_files(&way).into_iter().filter(|at| at.starts_with(&dir)).collect::<Vec<_>>()
        };
        assert!(written().is_empty());
        std::fs::create_dir_all(dir.join("elsewhere/manager")).unwrap();
        symlink(dir.join("elsewhere"), dir.join("run")).unwrap();
        assert!(seen().ends_with(":elsewhere elsewhere:manager elsewhere/manager:resolv.conf"));
        std::fs::write(dir.join("elsewhere/manager/resolv.conf"), "").unwrap();
        assert_eq!(written(), [dir.join("elsewhere/manager")]);
        // A link to itself comes to an end.
        symlink("loop", dir.join("loop")).unwrap();
        assert!(way_to(&dir.join("loop")).len() < 100);
        std::fs::remove_dir_all(dir).unwrap();
    }
}

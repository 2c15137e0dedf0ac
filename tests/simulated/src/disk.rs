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

//! The device's disk: guestnetd's state, and the programs that there are. It outlives a crash, and comes along
//! when a process is forked. Nobody makes links here, and all is root's.

use crate::calls::killed;
use crate::real::{call, fail};
use crate::schedule::{inside, is_simulated};
use crate::world::{world, File, Then, World};
use libc::{c_char, c_int, c_uint, c_void, off64_t, size_t, ssize_t};
use std::collections::BTreeMap;
use std::ffi::CStr;

/// The directory that has all of them. What is elsewhere is /proc, /sys or the real kernel's.
pub const ROOT: &str = "/device";
/// guestnetd's state.
pub const STATE: &str = "/device/state";

/// A file or a directory.
struct Node {
    is_directory: bool,
    mode: u32,
    bytes: Vec<u8>,
    /// Whether it has a name still.
    is_named: bool,
    /// How many descriptors it has.
    opened: usize,
    /// The one that has its lock.
    locked: Option<i32>,
}

/// All that is on it.
#[derive(Default)]
pub struct Disk {
    names: BTreeMap<String, u64>,
    nodes: BTreeMap<u64, Node>,
    made: u64,
}

/// What is told of one by stat().
pub struct Told {
    pub inode: u64,
    pub mode: u32,
    pub size: usize,
}

fn is_ours(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn above(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(above, _)| above)
}

impl Disk {
    /// With these programs, and nothing else.
    pub fn new(programs: impl Iterator<Item = String>) -> Self {
        let mut disk = Self::default();
        disk.add(ROOT, true, 0o755);
        programs.for_each(|path| disk.place(&path));
        disk
    }

    fn add(&mut self, path: &str, is_directory: bool, mode: u32) -> u64 {
        self.made += 1;
        let (bytes, opened, locked) = (Vec::new(), 0, None);
        self.nodes
            .insert(self.made, Node { is_directory, mode, bytes, is_named: true, opened, locked });
        self.names.insert(path.to_owned(), self.made);
        self.made
    }

    /// A program with the directories that it is in.
    fn place(&mut self, path: &str) {
        if !self.names.contains_key(above(path)) {
            self.place(above(path));
            self.node_mut(above(path)).into_iter().for_each(|node| node.is_directory = true);
        }
        self.add(path, false, 0o755);
    }

    fn node_mut(&mut self, path: &str) -> Option<&mut Node> {
        self.nodes.get_mut(self.names.get(path)?)
    }

    /// The names in a directory, and which of those are directories.
    pub fn list(&self, path: &str) -> Result<Vec<(String, bool)>, i32> {
        self.told(path)?;
        let within = |name: &String| Some(name.strip_prefix(path)?.strip_prefix('/')?.to_owned());
        let of = |(name, inode): (&String, &u64)| {
            let short = within(name).filter(|short| !short.contains('/'))?;
            Some((short, self.nodes.get(inode)?.is_directory))
        };
        Ok(self.names.iter().filter_map(of).collect())
    }

    fn told_of(&self, inode: u64) -> Option<Told> {
        let node = self.nodes.get(&inode)?;
        let kind = if node.is_directory { libc::S_IFDIR } else { libc::S_IFREG };
        Some(Told { inode, mode: kind | node.mode, size: node.bytes.len() })
    }

    fn told(&self, path: &str) -> Result<Told, i32> {
        self.names.get(path).and_then(|inode| self.told_of(*inode)).ok_or(libc::ENOENT)
    }

    fn is_directory(&self, path: &str) -> Result<bool, i32> {
        self.told(path).map(|told| told.mode & libc::S_IFMT == libc::S_IFDIR)
    }

    /// What a name is to be made in has to be there.
    fn room(&self, path: &str) -> Result<(), i32> {
        match self.is_directory(above(path))? {
            true => Ok(()),
            false => Err(libc::ENOTDIR),
        }
    }

    fn open(&mut self, path: &str, flags: c_int, mode: u32) -> Result<u64, i32> {
        let inode = match self.names.get(path).copied() {
            Some(_) if flags & libc::O_CREAT != 0 && flags & libc::O_EXCL != 0 => {
                return Err(libc::EEXIST)
            }
            Some(inode) => inode,
            None if flags & libc::O_CREAT != 0 => {
                self.room(path)?;
                self.add(path, false, mode & 0o7777)
            }
            None => return Err(libc::ENOENT),
        };
        let node = self.nodes.get_mut(&inode).ok_or(libc::ENOENT)?;
        let writes = flags & libc::O_ACCMODE != libc::O_RDONLY;
        if node.is_directory && writes {
            return Err(libc::EISDIR);
        }
        if writes && flags & libc::O_TRUNC != 0 {
            node.bytes.clear();
        }
        node.opened += 1;
        Ok(inode)
    }

    /// A descriptor of one is closed.
    pub fn close(&mut self, inode: u64, fd: i32) {
        let Some(node) = self.nodes.get_mut(&inode) else { return };
        node.opened -= 1;
        node.locked = node.locked.filter(|holder| *holder != fd);
        self.drop_unnamed(inode);
    }

    fn drop_unnamed(&mut self, inode: u64) {
        if self.nodes.get(&inode).is_some_and(|node| !node.is_named && node.opened == 0) {
            self.nodes.remove(&inode);
        }
    }

    fn make_directory(&mut self, path: &str, mode: u32) -> Result<(), i32> {
        if self.names.contains_key(path) {
            return Err(libc::EEXIST);
        }
        self.room(path)?;
        self.add(path, true, mode & 0o7777);
        Ok(())
    }

    fn unlink(&mut self, path: &str) -> Result<(), i32> {
        if self.is_directory(path)? {
            return Err(libc::EISDIR);
        }
        let inode = self.names.remove(path).ok_or(libc::ENOENT)?;
        self.nodes.get_mut(&inode).into_iter().for_each(|node| node.is_named = false);
        self.drop_unnamed(inode);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), i32> {
        if self.is_directory(from)? {
            panic!("nobody has renamed a directory before");
        }
        self.room(to)?;
        if from == to {
            return Ok(());
        }
        if self.names.contains_key(to) {
            self.unlink(to)?;
        }
        let inode = self.names.remove(from).ok_or(libc::ENOENT)?;
        self.names.insert(to.to_owned(), inode);
        Ok(())
    }

    fn lock(&mut self, inode: u64, fd: i32, operation: c_int) -> Result<(), i32> {
        let node = self.nodes.get_mut(&inode).ok_or(libc::EBADF)?;
        let mine = node.locked.is_none_or(|holder| holder == fd);
        match operation & !libc::LOCK_NB {
            libc::LOCK_UN if mine => node.locked = None,
            libc::LOCK_UN => {}
            _ if mine => node.locked = Some(fd),
            _ if operation & libc::LOCK_NB != 0 => return Err(libc::EWOULDBLOCK),
            _ => panic!("somebody waits for ever for a lock"),
        }
        Ok(())
    }

    /// Reads from a place on.
    pub fn read(&self, inode: u64, at: usize, room: usize) -> Result<&[u8], i32> {
        let node = self.nodes.get(&inode).ok_or(libc::EBADF)?;
        if node.is_directory {
            return Err(libc::EISDIR);
        }
        let rest = node.bytes.get(at..).unwrap_or_default();
        Ok(&rest[..rest.len().min(room)])
    }

    /// Writes from a place on.
    pub fn write(&mut self, inode: u64, at: usize, bytes: &[u8]) {
        let Some(node) = self.nodes.get_mut(&inode) else { return };
        let end = at + bytes.len();
        if node.bytes.len() < end {
            node.bytes.resize(end, 0);
        }
        node.bytes[at..end].copy_from_slice(bytes);
    }

    fn size(&self, inode: u64) -> usize {
        self.nodes.get(&inode).map_or(0, |node| node.bytes.len())
    }
}

impl World {
    /// Opens one; none: it is not the device's.
    pub fn open_on_disk(
        &mut self,
        path: &str,
        flags: c_int,
        mode: u32,
    ) -> Option<Result<i32, i32>> {
        let opened = is_ours(path).then(|| self.disk.open(path, flags, mode))?;
        Some(opened.map(|inode| self.made(File::OnDisk { inode, at: 0 })))
    }

    /// Whether to open it makes a file.
    pub fn makes_on_disk(&self, path: &str, flags: c_int) -> bool {
        flags & libc::O_CREAT != 0 && is_ours(path) && self.disk.told(path).is_err()
    }

    /// What is in a directory; none: it is not the device's.
    pub fn list_disk(&self, path: &str) -> Option<Result<Vec<(String, bool)>, i32>> {
        is_ours(path).then(|| self.disk.list(path))
    }

    /// What stat() tells of a path; none: it is not the device's.
    pub fn told_of_path(&self, path: &str) -> Option<Result<Told, i32>> {
        is_ours(path).then(|| self.disk.told(path))
    }

    /// The same of a descriptor; none: it is not one of a file's.
    pub fn told_of_file(&self, fd: i32) -> Option<Told> {
        match self.file(fd)? {
            File::OnDisk { inode, .. } => self.disk.told_of(*inode),
            _ => None,
        }
    }

    fn inode(&self, fd: i32) -> Option<u64> {
        match self.file(fd)? {
            File::OnDisk { inode, .. } => Some(*inode),
            _ => None,
        }
    }

    /// Reads from where it stands.
    pub fn read_on_disk(&mut self, fd: i32, room: usize) -> Result<&[u8], i32> {
        let Some(File::OnDisk { inode, at }) = self.files.get_mut(&fd) else {
            return Err(libc::EBADF);
        };
        let some = self.disk.read(*inode, *at, room)?;
        *at += some.len();
        Ok(some)
    }

    /// Writes there.
    pub fn write_on_disk(&mut self, fd: i32, bytes: &[u8]) {
        if let Some(File::OnDisk { inode, at }) = self.files.get_mut(&fd) {
            self.disk.write(*inode, *at, bytes);
            *at += bytes.len();
        }
    }

    /// Where the next read or write of one is to begin.
    pub fn seek_on_disk(&mut self, fd: i32, offset: i64, whence: c_int) -> i64 {
        let Some(File::OnDisk { inode, at }) = self.files.get_mut(&fd) else { return 0 };
        let from = match whence {
            libc::SEEK_SET => 0,
            libc::SEEK_CUR => *at as i64,
            _ => self.disk.size(*inode) as i64,
        };
        *at = (from + offset).max(0) as usize;
        *at as i64
    }
}

// ---- libc's functions ------------------------------------------------------------------------

/// A path of the device's, where a thread of the simulation names one.
///
/// # Safety
/// The path ends with NUL.
unsafe fn ours<'a>(path: *const c_char) -> Option<&'a str> {
    // SAFETY: as above.
    let name = unsafe { CStr::from_ptr(path) }.to_str().ok()?;
    (is_simulated() && is_ours(name)).then_some(name)
}

/// Writes to the disk, in the way that is planned for it.
pub fn written<T>(write: impl FnOnce() -> Result<T, i32>) -> Result<T, i32> {
    match inside(|| world().plan_on_disk()) {
        Then::Refuse(errno) => Err(errno),
        Then::DieFirst => killed(),
        then => {
            let result = inside(write);
            if then == Then::DieAfter {
                killed();
            }
            result
        }
    }
}

fn done(result: Result<(), i32>) -> c_int {
    result.map_or_else(|errno| fail(errno) as c_int, |()| 0)
}

#[no_mangle]
unsafe extern "C" fn mkdir(path: *const c_char, mode: libc::mode_t) -> c_int {
    // SAFETY: the caller's path ends with NUL.
    match unsafe { ours(path) } {
        Some(name) => done(written(|| world().disk.make_directory(name, mode))),
        None => call(libc::SYS_mkdirat, AT, path as usize, mode as usize, 0, 0, 0) as c_int,
    }
}

const AT: usize = libc::AT_FDCWD as usize;

#[no_mangle]
unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: as above.
    match unsafe { ours(path) } {
        Some(name) if inside(|| world().disk.told(name)).is_ok() => {
            done(written(|| world().disk.unlink(name)))
        }
        Some(_) => fail(libc::ENOENT) as c_int,
        None => call(libc::SYS_unlinkat, AT, path as usize, 0, 0, 0, 0) as c_int,
    }
}

#[no_mangle]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: as above.
    match unsafe { (ours(from), ours(to)) } {
        (Some(from), Some(to)) => done(written(|| world().disk.rename(from, to))),
        _ => call(libc::SYS_renameat2, AT, from as usize, AT, to as usize, 0, 0) as c_int,
    }
}

#[no_mangle]
unsafe extern "C" fn access(path: *const c_char, mode: c_int) -> c_int {
    // SAFETY: as above.
    match unsafe { ours(path) } {
        // Whoever asks is root.
        Some(name) => done(inside(|| world().disk.told(name)).map(|_| ())),
        None => call(libc::SYS_faccessat, AT, path as usize, mode as usize, 0, 0, 0) as c_int,
    }
}

#[no_mangle]
unsafe extern "C" fn realpath(path: *const c_char, to: *mut c_char) -> *mut c_char {
    // SAFETY: as above.
    let Some(name) = (unsafe { ours(path) }) else {
        type Real = unsafe extern "C" fn(*const c_char, *mut c_char) -> *mut c_char;
        // SAFETY: this is the type of libc's function, and the caller's own arguments.
        return unsafe {
            let real: Real =
                std::mem::transmute(libc::dlsym(libc::RTLD_NEXT, c"realpath".as_ptr()));
            real(path, to)
        };
    };
    assert!(to.is_null(), "nobody has asked for a path in a place of his own before");
    match inside(|| world().disk.told(name)) {
        // There are no links. SAFETY: the caller's path, and what is made is the caller's to free.
        Ok(_) => unsafe { libc::strdup(path) },
        Err(errno) => {
            fail(errno);
            std::ptr::null_mut()
        }
    }
}

#[no_mangle]
extern "C" fn flock(fd: c_int, operation: c_int) -> c_int {
    match file_of(fd) {
        Some(inode) => done(inside(|| world().disk.lock(inode, fd, operation))),
        None => call(libc::SYS_flock, fd as usize, operation as usize, 0, 0, 0, 0) as c_int,
    }
}

fn file_of(fd: c_int) -> Option<u64> {
    is_simulated().then(|| inside(|| world().inode(fd))).flatten()
}

#[no_mangle]
unsafe extern "C" fn pread64(fd: c_int, to: *mut c_void, room: size_t, offset: off64_t) -> ssize_t {
    let Some(inode) = file_of(fd) else {
        let (fd, to, offset) = (fd as usize, to as usize, offset as usize);
        return call(libc::SYS_pread64, fd, to, room, offset, 0, 0);
    };
    inside(|| match world().disk.read(inode, offset as usize, room) {
        Ok(some) => {
            // SAFETY: the caller has room for so many bytes.
            unsafe { std::ptr::copy_nonoverlapping(some.as_ptr(), to.cast(), some.len()) };
            some.len() as ssize_t
        }
        Err(errno) => fail(errno),
    })
}

#[no_mangle]
unsafe extern "C" fn pwrite64(
    fd: c_int,
    from: *const c_void,
    length: size_t,
    offset: off64_t,
) -> ssize_t {
    let Some(inode) = file_of(fd) else {
        let (fd, from, offset) = (fd as usize, from as usize, offset as usize);
        return call(libc::SYS_pwrite64, fd, from, length, offset, 0, 0);
    };
    // SAFETY: the caller has so many bytes there.
    let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), length) };
    let done = written(|| {
        world().disk.write(inode, offset as usize, bytes);
        Ok(length as ssize_t)
    });
    done.unwrap_or_else(fail)
}

#[no_mangle]
extern "C" fn fsync(fd: c_int) -> c_int {
    match file_of(fd) {
        Some(_) => done(written(|| Ok(()))),
        None => 0,
    }
}

#[no_mangle]
extern "C" fn fdatasync(fd: c_int) -> c_int {
    fsync(fd)
}

#[no_mangle]
extern "C" fn ftruncate64(fd: c_int, length: off64_t) -> c_int {
    let Some(inode) = file_of(fd) else {
        return call(libc::SYS_ftruncate, fd as usize, length as usize, 0, 0, 0, 0) as c_int;
    };
    inside(|| {
        if let Some(node) = world().disk.nodes.get_mut(&inode) {
            node.bytes.resize(length.max(0) as usize, 0);
        }
    });
    0
}

/// What a file of the device's is told to be.
///
/// # Safety
/// There is room for it.
pub unsafe fn tell(told: &Told, to: *mut libc::statx) {
    // SAFETY: zeros are one.
    let mut is: libc::statx = unsafe { std::mem::zeroed() };
    (is.stx_mask, is.stx_mode) = (libc::STATX_BASIC_STATS as c_uint, told.mode as u16);
    (is.stx_nlink, is.stx_dev_minor) = (1, 5);
    (is.stx_ino, is.stx_size) = (told.inode, told.size as u64);
    // SAFETY: as above.
    unsafe { to.write(is) };
}

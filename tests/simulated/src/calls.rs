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

//! The functions of libc that guestnetd, the library and the runtime call, in libc's place: the linker
//! takes them before it looks into a shared library. On threads of the simulation they are the
//! simulated kernel's; on others, and for what is not simulated, the real one's.

use crate::disk;
use crate::real::{self, call, fail};
use crate::schedule::{self, inside, is_simulated, own, schedule, Nanos, Wait};
use crate::world::{world, File};
use libc::{c_char, c_int, c_long, c_uint, c_void, size_t, sockaddr, socklen_t, ssize_t, timespec};
use std::ffi::CStr;

/// What a system call takes.
const CALL: Nanos = 500;
/// How long a netlink socket of guestnetd's waits for an answer.
const PATIENCE: Nanos = 10_000_000_000;

/// Each call is a moment at which others may go on.
pub fn step() {
    inside(|| {
        let schedule = schedule();
        schedule.pass(CALL);
        if schedule.seed.once_in(24) {
            schedule::yield_now();
        }
    });
}

fn after(time: Option<Nanos>) -> Option<Nanos> {
    time.map(|time| schedule().now() + time)
}

/// # Safety
/// The pointer is null or to a time.
unsafe fn nanos(time: *const timespec) -> Option<Nanos> {
    // SAFETY: as above.
    let time = unsafe { time.as_ref()? };
    Some(time.tv_sec as Nanos * 1_000_000_000 + time.tv_nsec as Nanos)
}

/// guestnetd is killed here and now.
pub fn killed() -> ! {
    inside(|| {
        let life = schedule().life();
        world().killed = true;
        schedule().kill(life);
    });
    schedule::die()
}

// ---- Netlink sockets -------------------------------------------------------------------------

#[no_mangle]
extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    if is_simulated() && domain == libc::AF_NETLINK {
        return inside(|| {
            let world = world();
            let netns = world.place(own());
            if let Some(errno) = world.unopened() {
                return fail(errno) as c_int;
            }
            world.socket(netns, protocol as u32, kind & libc::SOCK_NONBLOCK != 0)
        });
    }
    if is_simulated() && domain == libc::AF_PACKET {
        return inside(|| world().made(File::Deaf));
    }
    let is_ip = domain == libc::AF_INET || domain == libc::AF_INET6;
    if is_simulated() && is_ip {
        return inside(|| match world().unopened() {
            Some(errno) => fail(errno) as c_int,
            None => world().made(File::Deaf),
        });
    }
    let fd = call(libc::SYS_socket, domain as usize, kind as usize, protocol as usize, 0, 0, 0);
    opened(fd as c_int)
}

fn opened(fd: c_int) -> c_int {
    if is_simulated() {
        inside(|| world().opened(fd));
    }
    fd
}

fn simulated(fd: c_int) -> bool {
    is_simulated() && inside(|| world().file(fd).is_some())
}

fn is_netlink(fd: c_int) -> bool {
    is_simulated() && inside(|| matches!(world().file(fd), Some(File::Netlink(_))))
}

#[no_mangle]
extern "C" fn bind(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
    if simulated(fd) {
        return 0;
    }
    call(libc::SYS_bind, fd as usize, address as usize, length as usize, 0, 0, 0) as c_int
}

#[no_mangle]
unsafe extern "C" fn getsockname(fd: c_int, to: *mut sockaddr, length: *mut socklen_t) -> c_int {
    if is_netlink(fd) {
        // SAFETY: the caller's pointers, for an address of netlink's.
        unsafe { netlink_address(to, length, world().port(fd).unwrap_or(0)) };
        return 0;
    }
    call(libc::SYS_getsockname, fd as usize, to as usize, length as usize, 0, 0, 0) as c_int
}

/// # Safety
/// The pointers are null or to room for an address and to its length.
unsafe fn netlink_address(to: *mut sockaddr, length: *mut socklen_t, port: u32) {
    if to.is_null() || length.is_null() {
        return;
    }
    // SAFETY: zeros are an address.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as u16;
    address.nl_pid = port;
    let size = std::mem::size_of::<libc::sockaddr_nl>();
    // SAFETY: as above; no more is written than the caller has room for.
    unsafe {
        let room = (*length as usize).min(size);
        std::ptr::copy_nonoverlapping(std::ptr::from_ref(&address).cast::<u8>(), to.cast(), room);
        *length = size as socklen_t;
    }
}

#[no_mangle]
unsafe extern "C" fn setsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    value: *const c_void,
    length: socklen_t,
) -> c_int {
    if simulated(fd) {
        if level == libc::SOL_NETLINK && option == libc::NETLINK_ADD_MEMBERSHIP {
            // SAFETY: the value of this option is an int.
            let group = unsafe { value.cast::<u32>().read_unaligned() };
            inside(|| world().join(fd, group));
        }
        return 0;
    }
    let (level, option) = (level as usize, option as usize);
    call(libc::SYS_setsockopt, fd as usize, level, option, value as usize, length as usize, 0)
        as c_int
}

#[no_mangle]
unsafe extern "C" fn send(fd: c_int, from: *const c_void, length: size_t, flags: c_int) -> ssize_t {
    // SAFETY: the caller's own.
    unsafe { sendto(fd, from, length, flags, std::ptr::null(), 0) }
}

#[no_mangle]
unsafe extern "C" fn sendto(
    fd: c_int,
    from: *const c_void,
    length: size_t,
    flags: c_int,
    to: *const sockaddr,
    to_length: socklen_t,
) -> ssize_t {
    if is_netlink(fd) {
        step();
        // SAFETY: the caller has so many bytes there.
        let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), length) };
        return match inside(|| world().send(fd, bytes)) {
            Some(true) => killed(),
            _ => length as ssize_t,
        };
    }
    let (flags, to) = (flags as usize, to as usize);
    call(libc::SYS_sendto, fd as usize, from as usize, length, flags, to, to_length as usize)
}

#[no_mangle]
unsafe extern "C" fn recv(fd: c_int, to: *mut c_void, length: size_t, flags: c_int) -> ssize_t {
    // SAFETY: the caller's own.
    unsafe { recvfrom(fd, to, length, flags, std::ptr::null_mut(), std::ptr::null_mut()) }
}

#[no_mangle]
unsafe extern "C" fn recvfrom(
    fd: c_int,
    to: *mut c_void,
    length: size_t,
    flags: c_int,
    from: *mut sockaddr,
    from_length: *mut socklen_t,
) -> ssize_t {
    if is_netlink(fd) {
        return inside(|| match world().receive(fd) {
            Some(Ok(datagram)) => {
                let room = datagram.len().min(length);
                // SAFETY: the caller has room for `length` bytes there.
                unsafe {
                    std::ptr::copy_nonoverlapping(datagram.as_ptr(), to.cast(), room);
                    netlink_address(from, from_length, 0);
                }
                let told = if flags & libc::MSG_TRUNC != 0 { datagram.len() } else { room };
                if flags & libc::MSG_PEEK != 0 {
                    world().unreceive(fd, datagram);
                }
                told as ssize_t
            }
            Some(Err(errno)) => {
                let blocks = !is_impatient(fd);
                // Nothing comes to a socket that only asks.
                if errno == libc::EAGAIN && blocks && flags & libc::MSG_DONTWAIT == 0 {
                    schedule().pass(PATIENCE);
                }
                fail(errno)
            }
            None => fail(libc::EBADF),
        });
    }
    let (flags, from) = (flags as usize, from as usize);
    call(libc::SYS_recvfrom, fd as usize, to as usize, length, flags, from, from_length as usize)
}

fn is_impatient(fd: c_int) -> bool {
    matches!(world().file(fd), Some(File::Netlink(socket)) if socket.impatient)
}

// ---- Files and descriptors -------------------------------------------------------------------

/// # Safety
/// The path ends with NUL.
unsafe fn open_any(at: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    if is_simulated() {
        // SAFETY: as above.
        let name = unsafe { CStr::from_ptr(path) }.to_str().unwrap_or_default();
        let writes = flags & libc::O_ACCMODE != libc::O_RDONLY;
        if let Some(errno) = inside(|| world().unopened()) {
            return fail(errno) as c_int;
        }
        if inside(|| world().makes_on_disk(name, flags)) {
            let opened = disk::written(|| match world().open_on_disk(name, flags, mode) {
                Some(opened) => opened,
                None => Err(libc::ENOENT),
            });
            return opened.unwrap_or_else(|errno| fail(errno) as c_int);
        }
        let opened = inside(|| {
            let on_disk = world().open_on_disk(name, flags, mode);
            on_disk.or_else(|| world().open(own(), name, writes))
        });
        if let Some(result) = opened {
            return match result {
                Ok(fd) => fd,
                Err(errno) => fail(errno) as c_int,
            };
        }
    }
    let (flags, mode) = (flags as usize, mode as usize);
    opened(call(libc::SYS_openat, at as usize, path as usize, flags, mode, 0, 0) as c_int)
}

#[no_mangle]
unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: the caller's path.
    unsafe { open_any(libc::AT_FDCWD, path, flags, mode) }
}

#[no_mangle]
unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: the caller's path.
    unsafe { open_any(libc::AT_FDCWD, path, flags, mode) }
}

#[no_mangle]
unsafe extern "C" fn openat64(at: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: the caller's path.
    unsafe { open_any(at, path, flags, mode) }
}

#[no_mangle]
extern "C" fn close(fd: c_int) -> c_int {
    if is_simulated() {
        inside(|| world().close(fd));
        return 0;
    }
    call(libc::SYS_close, fd as usize, 0, 0, 0, 0, 0) as c_int
}

#[no_mangle]
unsafe extern "C" fn write(fd: c_int, from: *const c_void, length: size_t) -> ssize_t {
    if simulated(fd) {
        let setting = inside(|| match world().file_mut(fd) {
            Some(File::Setting(netns, path)) => Some((*netns, path.clone())),
            Some(File::Counter(count)) => {
                // SAFETY: what is written to one is a number.
                *count += unsafe { from.cast::<u64>().read_unaligned() };
                world().ring(fd);
                None
            }
            _ => None,
        });
        if inside(|| matches!(world().file(fd), Some(File::OnDisk { .. }))) {
            // SAFETY: the caller has so many bytes there.
            let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), length) };
            let done = disk::written(|| {
                world().write_on_disk(fd, bytes);
                Ok(length as ssize_t)
            });
            return done.unwrap_or_else(fail);
        }
        if let Some((netns, path)) = setting {
            step();
            // SAFETY: the caller has so many bytes there.
            let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), length) };
            return match inside(|| world().write(netns, &path, bytes)) {
                (_, true) => killed(),
                (Ok(()), _) => length as ssize_t,
                (Err(errno), _) => fail(errno),
            };
        }
        return length as ssize_t;
    }
    call(libc::SYS_write, fd as usize, from as usize, length, 0, 0, 0)
}

#[no_mangle]
unsafe extern "C" fn writev(fd: c_int, parts: *const libc::iovec, count: c_int) -> ssize_t {
    if is_netlink(fd) {
        // SAFETY: the caller has so many parts, each with its bytes.
        let bytes = inside(|| unsafe {
            let parts = std::slice::from_raw_parts(parts, count as usize);
            let part = |one: &libc::iovec| {
                std::slice::from_raw_parts(one.iov_base.cast::<u8>(), one.iov_len)
            };
            parts.iter().map(part).collect::<Vec<_>>().concat()
        });
        // SAFETY: as much as there is.
        let sent = unsafe { send(fd, bytes.as_ptr().cast(), bytes.len(), 0) };
        inside(|| drop(bytes));
        return sent;
    }
    call(libc::SYS_writev, fd as usize, parts as usize, count as usize, 0, 0, 0)
}

#[no_mangle]
unsafe extern "C" fn read(fd: c_int, to: *mut c_void, length: size_t) -> ssize_t {
    if !simulated(fd) {
        return call(libc::SYS_read, fd as usize, to as usize, length, 0, 0, 0);
    }
    inside(|| match world().file_mut(fd) {
        Some(File::Text(text, at)) => {
            let some = &text[(*at).min(text.len())..];
            let some = &some[..some.len().min(length)];
            // SAFETY: the caller has room for `length` bytes there.
            unsafe { std::ptr::copy_nonoverlapping(some.as_ptr(), to.cast(), some.len()) };
            *at += some.len();
            some.len() as ssize_t
        }
        Some(File::Counter(0)) => fail(libc::EAGAIN),
        Some(File::Counter(count)) => {
            // SAFETY: the caller has room for a number there.
            unsafe { to.cast::<u64>().write_unaligned(std::mem::take(count)) };
            8
        }
        Some(File::Program(source)) => match source.take(length) {
            Ok(some) => {
                // SAFETY: the caller has room for `length` bytes there.
                unsafe { std::ptr::copy_nonoverlapping(some.as_ptr(), to.cast(), some.len()) };
                some.len() as ssize_t
            }
            Err(errno) => fail(errno),
        },
        Some(File::OnDisk { .. }) => match world().read_on_disk(fd, length) {
            Ok(some) => {
                // SAFETY: as above.
                unsafe { std::ptr::copy_nonoverlapping(some.as_ptr(), to.cast(), some.len()) };
                some.len() as ssize_t
            }
            Err(errno) => fail(errno),
        },
        _ => fail(libc::EINVAL),
    })
}

#[no_mangle]
extern "C" fn lseek64(fd: c_int, offset: i64, whence: c_int) -> i64 {
    if !simulated(fd) {
        return call(libc::SYS_lseek, fd as usize, offset as usize, whence as usize, 0, 0, 0)
            as i64;
    }
    inside(|| match world().file_mut(fd) {
        Some(File::Text(_, at)) => {
            let from = if whence == libc::SEEK_CUR { *at as i64 } else { 0 };
            *at = (from + offset).max(0) as usize;
            *at as i64
        }
        Some(File::OnDisk { .. }) => world().seek_on_disk(fd, offset, whence),
        _ => fail(libc::ESPIPE) as i64,
    })
}

#[no_mangle]
extern "C" fn fcntl(fd: c_int, command: c_int, value: usize) -> c_int {
    if !simulated(fd) {
        let result = call(libc::SYS_fcntl, fd as usize, command as usize, value, 0, 0, 0) as c_int;
        let duplicates = command == libc::F_DUPFD_CLOEXEC || command == libc::F_DUPFD;
        return if duplicates { opened(result) } else { result };
    }
    inside(|| match (command, world().file_mut(fd)) {
        (libc::F_DUPFD_CLOEXEC | libc::F_DUPFD, _) => {
            world().duplicate(fd).unwrap_or_else(|| fail(libc::EMFILE) as c_int)
        }
        (libc::F_GETFL, _) if is_impatient(fd) => libc::O_RDWR | libc::O_NONBLOCK,
        (libc::F_GETFL, _) => libc::O_RDWR,
        (libc::F_SETFL, Some(File::Netlink(socket))) => {
            socket.impatient = value & libc::O_NONBLOCK as usize != 0;
            0
        }
        (libc::F_GETFD, _) => libc::FD_CLOEXEC,
        _ => 0,
    })
}

#[no_mangle]
extern "C" fn epoll_create1(flags: c_int) -> c_int {
    match is_simulated() {
        true => inside(|| world().made(File::Epoll(Vec::new()))),
        false => call(libc::SYS_epoll_create1, flags as usize, 0, 0, 0, 0, 0) as c_int,
    }
}

#[no_mangle]
unsafe extern "C" fn epoll_ctl(
    epoll: c_int,
    op: c_int,
    fd: c_int,
    event: *mut libc::epoll_event,
) -> c_int {
    if !simulated(epoll) {
        let (epoll, op) = (epoll as usize, op as usize);
        return call(libc::SYS_epoll_ctl, epoll, op, fd as usize, event as usize, 0, 0) as c_int;
    }
    // SAFETY: the caller's; there is none where nothing is told of one.
    let event = unsafe { event.as_ref() }.copied();
    match inside(|| world().interest(epoll, op, fd, event)) {
        0 => 0,
        errno => fail(errno) as c_int,
    }
}

#[no_mangle]
extern "C" fn eventfd(value: c_uint, flags: c_int) -> c_int {
    match is_simulated() {
        true => inside(|| world().made(File::Counter(value.into()))),
        false => call(libc::SYS_eventfd2, value as usize, flags as usize, 0, 0, 0, 0) as c_int,
    }
}

#[no_mangle]
unsafe extern "C" fn statx(
    at: c_int,
    path: *const c_char,
    flags: c_int,
    mask: c_uint,
    to: *mut c_void,
) -> c_int {
    if is_simulated() && !path.is_null() {
        // SAFETY: the caller's path ends with NUL.
        let name = unsafe { CStr::from_ptr(path) }.to_str().unwrap_or_default();
        let told = inside(|| match name.is_empty() {
            true => world().told_of_file(at).map(Ok),
            false => world().told_of_path(name),
        });
        match told {
            // SAFETY: the caller has room for it.
            Some(Ok(told)) => unsafe {
                disk::tell(&told, to.cast());
                return 0;
            },
            Some(Err(errno)) => return fail(errno) as c_int,
            None => {}
        }
        if let Some(opened) = inside(|| world().open(own(), name, false)) {
            let fd = match opened {
                Ok(fd) => fd,
                Err(errno) => return fail(errno) as c_int,
            };
            // SAFETY: the caller has room for it.
            unsafe { told_of(fd, to.cast()) };
            inside(|| world().close(fd));
            return 0;
        }
        if simulated(at) {
            // SAFETY: as above.
            unsafe { told_of(at, to.cast()) };
            return 0;
        }
    }
    let (path, flags) = (path as usize, flags as usize);
    call(libc::SYS_statx, at as usize, path, flags, mask as usize, to as usize, 0) as c_int
}

/// What is told of a simulated file: which one it is.
///
/// # Safety
/// There is room for it.
unsafe fn told_of(fd: c_int, to: *mut libc::statx) {
    // SAFETY: zeros are one.
    let mut told: libc::statx = unsafe { std::mem::zeroed() };
    (told.stx_mask, told.stx_mode) = (libc::STATX_BASIC_STATS, (libc::S_IFREG | 0o444) as u16);
    (told.stx_nlink, told.stx_dev_minor) = (1, 4);
    inside(|| {
        told.stx_ino = match world().file(fd) {
            Some(File::Netns(netns)) => world().kernel.inode(*netns),
            _ => fd as u64,
        };
    });
    // SAFETY: as above.
    unsafe { to.write(told) };
}

#[no_mangle]
unsafe extern "C" fn fstatfs(fd: c_int, to: *mut libc::statfs) -> c_int {
    if is_simulated() && inside(|| matches!(world().file(fd), Some(File::Netns(_)))) {
        // SAFETY: the caller has room for it, and zeros are one.
        unsafe {
            to.write(std::mem::zeroed());
            (*to).f_type = 0x6e73_6673;
        }
        return 0;
    }
    call(libc::SYS_fstatfs, fd as usize, to as usize, 0, 0, 0, 0) as c_int
}

#[no_mangle]
unsafe extern "C" fn fstatfs64(fd: c_int, to: *mut libc::statfs) -> c_int {
    // SAFETY: the caller's; the two are one here.
    unsafe { fstatfs(fd, to) }
}

#[no_mangle]
extern "C" fn ioctl(fd: c_int, request: usize, value: usize) -> c_int {
    const NS_GET_NSTYPE: usize = 0xb703;
    const NS_GET_OWNER_UID: usize = 0xb704;
    const FIONBIO: usize = 0x5421;
    if is_simulated() && inside(|| matches!(world().file(fd), Some(File::Netns(_)))) {
        match request & 0xffff {
            NS_GET_NSTYPE => return libc::CLONE_NEWNET,
            NS_GET_OWNER_UID => {
                // SAFETY: the caller has room for a uid there (ioctl_nsfs(2)).
                unsafe { *(value as *mut u32) = 0 };
                return 0;
            }
            _ => {}
        }
    }
    if is_simulated() && inside(|| matches!(world().file(fd), Some(File::Tap(_)))) {
        step();
        // SAFETY: the caller's value.
        return match inside(|| unsafe { world().tap(fd, request, value) }) {
            (_, true) => killed(),
            (Ok(()), _) => 0,
            (Err(errno), _) => fail(errno) as c_int,
        };
    }
    if simulated(fd) {
        return inside(|| match world().file_mut(fd) {
            Some(File::Netlink(socket)) if request & 0xffff == FIONBIO => {
                // SAFETY: the caller has an int there (ioctl(2)).
                socket.impatient = unsafe { *(value as *const c_int) } != 0;
                0
            }
            _ => fail(libc::ENOTTY) as c_int,
        });
    }
    call(libc::SYS_ioctl, fd as usize, request, value, 0, 0, 0) as c_int
}

/// libc's own function of a name.
fn libcs(name: &CStr) -> *mut c_void {
    // SAFETY: the name ends with NUL.
    unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) }
}

/// A simulated directory that is read.
pub struct Listed {
    /// Names, and which are directories'.
    names: Vec<(String, bool)>,
    at: usize,
    entry: libc::dirent64,
}

#[no_mangle]
unsafe extern "C" fn opendir(path: *const c_char) -> *mut libc::DIR {
    // SAFETY: this is the type of libc's opendir().
    let real: extern "C" fn(*const c_char) -> *mut libc::DIR =
        unsafe { std::mem::transmute(libcs(c"opendir")) };
    if !is_simulated() {
        return real(path);
    }
    // SAFETY: the caller's path ends with NUL.
    let name = unsafe { CStr::from_ptr(path) }.to_str().unwrap_or_default();
    inside(|| match world().list_disk(name).or_else(|| world().list(own(), name)) {
        None => real(path),
        Some(Err(errno)) => {
            fail(errno);
            std::ptr::null_mut()
        }
        Some(Ok(names)) => {
            // SAFETY: zeros are one.
            let entry = unsafe { std::mem::zeroed() };
            let listed = Box::into_raw(Box::new(Listed { names, at: 0, entry }));
            world().listed.insert(listed as usize);
            listed.cast()
        }
    })
}

fn is_listed(directory: *mut libc::DIR) -> bool {
    is_simulated() && inside(|| world().listed.contains(&(directory as usize)))
}

#[no_mangle]
unsafe extern "C" fn readdir64(directory: *mut libc::DIR) -> *mut libc::dirent64 {
    if !is_listed(directory) {
        // SAFETY: this is the type of libc's readdir64(), and the caller's own.
        return unsafe {
            let real: extern "C" fn(*mut libc::DIR) -> *mut libc::dirent64 =
                std::mem::transmute(libcs(c"readdir64"));
            real(directory)
        };
    }
    // SAFETY: made by `opendir()`, and the caller's alone.
    let listed = unsafe { &mut *directory.cast::<Listed>() };
    let Some((name, is_directory)) = listed.names.get(listed.at) else {
        return std::ptr::null_mut();
    };
    listed.at += 1;
    listed.entry.d_ino = listed.at as u64;
    listed.entry.d_type = if *is_directory { libc::DT_DIR } else { libc::DT_REG };
    listed.entry.d_name = [0; 256];
    for (to, from) in listed.entry.d_name[..255].iter_mut().zip(name.bytes()) {
        *to = from as c_char;
    }
    &raw mut listed.entry
}

#[no_mangle]
unsafe extern "C" fn closedir(directory: *mut libc::DIR) -> c_int {
    if is_listed(directory) {
        inside(|| {
            world().listed.remove(&(directory as usize));
            // SAFETY: made by `opendir()`, and nobody's any more.
            drop(unsafe { Box::from_raw(directory.cast::<Listed>()) });
        });
        return 0;
    }
    // SAFETY: this is the type of libc's closedir(), and the caller's own.
    unsafe {
        let real: extern "C" fn(*mut libc::DIR) -> c_int = std::mem::transmute(libcs(c"closedir"));
        real(directory)
    }
}

// ---- Namespaces and processes ----------------------------------------------------------------

#[no_mangle]
extern "C" fn setns(fd: c_int, _: c_int) -> c_int {
    if !is_simulated() {
        return fail(libc::EPERM) as c_int;
    }
    inside(|| match world().file(fd) {
        Some(File::Netns(netns)) => {
            let netns = *netns;
            world().put(own(), netns);
            0
        }
        _ => fail(libc::EINVAL) as c_int,
    })
}

#[no_mangle]
extern "C" fn unshare(flags: c_int) -> c_int {
    if !is_simulated() {
        return call(libc::SYS_unshare, flags as usize, 0, 0, 0, 0, 0) as c_int;
    }
    inside(|| {
        let netns = world().kernel.netns_add();
        world().put(own(), netns);
        0
    })
}

/// `struct file_handle` as `name_to_handle_at()` fills it in for nsfs.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    handle: [u8; 16],
}

fn named(fd: c_int, to: *mut Handle) -> c_long {
    inside(|| match world().file(fd) {
        Some(File::Netns(netns)) => {
            let mut handle = [0; 16];
            handle[..4].copy_from_slice(&netns.0.to_ne_bytes());
            // SAFETY: the caller has room for one of 16 bytes.
            unsafe { *to = Handle { bytes: 16, kind: 0xf1, handle } };
            0
        }
        _ => fail(libc::EOPNOTSUPP) as c_long,
    })
}

fn reopened(from: *const Handle) -> c_long {
    // SAFETY: the caller's handle.
    let handle = unsafe { (*from).handle };
    let netns =
        guestnet_simulator::Netns(u32::from_ne_bytes([handle[0], handle[1], handle[2], handle[3]]));
    inside(|| match world().open_netns(netns) {
        Ok(fd) => fd.into(),
        Err(_) => fail(libc::ESTALE) as c_long,
    })
}

#[no_mangle]
unsafe extern "C" fn syscall(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    if is_simulated() {
        match number {
            // SAFETY: the caller's futex.
            libc::SYS_futex => return unsafe { futex(a, b as c_int, c as u32, d, f as u32) },
            libc::SYS_pidfd_open => {
                return inside(|| match world().pidfd(a as i32) {
                    Ok(fd) => fd.into(),
                    Err(errno) => fail(errno) as c_long,
                })
            }
            libc::SYS_name_to_handle_at => return named(a as c_int, c as *mut Handle),
            libc::SYS_open_by_handle_at => return reopened(b as *const Handle),
            libc::SYS_gettid => return 500 + own() as c_long,
            // No packet is ever on its way. The real one waits for the whole machine, 10 ms and more.
            libc::SYS_membarrier => return 0,
            _ => {}
        }
    }
    if number == libc::SYS_getrandom {
        // SAFETY: the caller's buffer.
        return unsafe { getrandom(a as *mut c_void, b, 0) as c_long };
    }
    call(number, a, b, c, d, e, f) as c_long
}

#[no_mangle]
extern "C" fn gettid() -> c_int {
    match is_simulated() {
        true => 500 + own() as c_int,
        false => call(libc::SYS_gettid, 0, 0, 0, 0, 0, 0) as c_int,
    }
}

#[no_mangle]
extern "C" fn getpid() -> c_int {
    match is_simulated() {
        true => 500,
        false => call(libc::SYS_getpid, 0, 0, 0, 0, 0, 0) as c_int,
    }
}

/// Hash maps begin in the same way each time.
#[no_mangle]
unsafe extern "C" fn getrandom(to: *mut c_void, length: size_t, _: c_uint) -> ssize_t {
    for at in 0..length {
        // SAFETY: the caller has room for so many bytes.
        unsafe { *to.cast::<u8>().add(at) = (at as u8).wrapping_mul(37).wrapping_add(11) };
    }
    length as ssize_t
}

// ---- Threads and time ------------------------------------------------------------------------

/// # Safety
/// The pointers are a futex's.
unsafe fn futex(word: usize, op: c_int, value: u32, time: usize, bits: u32) -> c_long {
    let absolute = op & 0x7f == libc::FUTEX_WAIT_BITSET;
    match op & 0x7f {
        libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET => {
            // SAFETY: the caller's word.
            if unsafe { *(word as *const u32) } != value {
                return fail(libc::EAGAIN) as c_long;
            }
            // SAFETY: the caller's time.
            let time = unsafe { nanos(time as *const timespec) };
            let until = if absolute { time } else { after(time) };
            let mask = if absolute { bits } else { u32::MAX };
            match schedule::wait(Wait::Futex(word, mask), until) {
                true => 0,
                false => fail(libc::ETIMEDOUT) as c_long,
            }
        }
        libc::FUTEX_WAKE => inside(|| schedule().wake(word, value, u32::MAX)).into(),
        libc::FUTEX_WAKE_BITSET => inside(|| schedule().wake(word, value, bits)).into(),
        _ => fail(libc::ENOSYS) as c_long,
    }
}

type Start = extern "C" fn(*mut c_void) -> *mut c_void;

#[no_mangle]
unsafe extern "C" fn pthread_create(
    handle: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    type Create = unsafe extern "C" fn(
        *mut libc::pthread_t,
        *const libc::pthread_attr_t,
        Start,
        *mut c_void,
    ) -> c_int;
    if !is_simulated() {
        // SAFETY: this is the type of libc's pthread_create(), and the caller's own arguments.
        return unsafe {
            let real: Create = std::mem::transmute(libcs(c"pthread_create"));
            real(handle, attributes, start, argument)
        };
    }
    inside(|| {
        let argument = argument as usize;
        let work = move || {
            start(argument as *mut c_void);
        };
        let (number, named) = schedule().add(Box::new(work));
        let here = world().place(own());
        world().put(number, here);
        // SAFETY: the caller has room for it.
        unsafe { *handle = named };
        0
    })
}

#[no_mangle]
unsafe extern "C" fn pthread_join(handle: libc::pthread_t, to: *mut *mut c_void) -> c_int {
    type Join = unsafe extern "C" fn(libc::pthread_t, *mut *mut c_void) -> c_int;
    if is_simulated() {
        if let Some(number) = inside(|| schedule().find(handle)) {
            schedule::wait(Wait::End(number), None);
        }
        return 0;
    }
    // SAFETY: this is the type of libc's pthread_join(), and the caller's own arguments.
    unsafe { std::mem::transmute::<*mut c_void, Join>(libcs(c"pthread_join"))(handle, to) }
}

/// Nobody has to be told: what a thread has is taken by the next one.
#[no_mangle]
extern "C" fn pthread_detach(_: libc::pthread_t) -> c_int {
    0
}

#[no_mangle]
extern "C" fn pthread_setname_np(_: libc::pthread_t, _: *const c_char) -> c_int {
    0
}

/// A handler's stack is the kernel's thread's own, of which there is one.
#[no_mangle]
extern "C" fn pthread_getattr_np(_: libc::pthread_t, _: *mut libc::pthread_attr_t) -> c_int {
    libc::ENOSYS
}

#[no_mangle]
unsafe extern "C" fn __cxa_thread_atexit_impl(
    destructor: unsafe extern "C" fn(*mut c_void),
    object: *mut c_void,
    module: *mut c_void,
) -> c_int {
    type AtExit =
        unsafe extern "C" fn(unsafe extern "C" fn(*mut c_void), *mut c_void, *mut c_void) -> c_int;
    if schedule::has_place() {
        inside(|| schedule().at_end(destructor, object as usize));
        return 0;
    }
    // SAFETY: this is the type of libc's function, and the caller's own arguments.
    unsafe {
        let real: AtExit = std::mem::transmute(libcs(c"__cxa_thread_atexit_impl"));
        real(destructor, object, module)
    }
}

#[no_mangle]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, to: *mut timespec) -> c_int {
    if !is_simulated() {
        return call(libc::SYS_clock_gettime, clock as usize, to as usize, 0, 0, 0, 0) as c_int;
    }
    let now = inside(|| {
        schedule().pass(1);
        schedule().now()
    });
    // SAFETY: the caller has room for a time.
    unsafe {
        (*to).tv_sec = (now / 1_000_000_000) as _;
        (*to).tv_nsec = (now % 1_000_000_000) as _;
    }
    0
}

#[no_mangle]
unsafe extern "C" fn clock_nanosleep(
    clock: libc::clockid_t,
    flags: c_int,
    time: *const timespec,
    left: *mut timespec,
) -> c_int {
    if is_simulated() {
        // SAFETY: the caller's time.
        let time = unsafe { nanos(time) };
        let until = if flags & libc::TIMER_ABSTIME != 0 { time } else { after(time) };
        schedule::wait(Wait::Time, until);
        return 0;
    }
    let (clock, flags) = (clock as usize, flags as usize);
    -(real::raw(libc::SYS_clock_nanosleep, clock, flags, time as usize, left as usize, 0, 0)
        as c_int)
}

#[no_mangle]
unsafe extern "C" fn nanosleep(time: *const timespec, left: *mut timespec) -> c_int {
    if is_simulated() {
        // SAFETY: the caller's time.
        schedule::wait(Wait::Time, after(unsafe { nanos(time) }));
        return 0;
    }
    call(libc::SYS_nanosleep, time as usize, left as usize, 0, 0, 0, 0) as c_int
}

#[no_mangle]
extern "C" fn sched_yield() -> c_int {
    if is_simulated() {
        schedule::yield_now();
    }
    0
}

fn milliseconds(timeout: c_int) -> Option<Nanos> {
    u64::try_from(timeout).ok().map(|ms| ms * 1_000_000)
}

#[no_mangle]
unsafe extern "C" fn epoll_wait(
    epoll: c_int,
    events: *mut libc::epoll_event,
    most: c_int,
    timeout: c_int,
) -> c_int {
    if !simulated(epoll) {
        let (events, most, timeout) = (events as usize, most as usize, timeout as usize);
        return call(libc::SYS_epoll_pwait, epoll as usize, events, most, timeout, 0, 8) as c_int;
    }
    // SAFETY: the caller has room for so many there.
    let room = unsafe { std::slice::from_raw_parts_mut(events, most as usize) };
    let until = after(milliseconds(timeout));
    loop {
        let found = inside(|| world().events(epoll, room)).unwrap_or(0);
        if found != 0 || timeout == 0 {
            return found as c_int;
        }
        let fds = vec![libc::pollfd { fd: epoll, events: libc::POLLIN, revents: 0 }];
        if !schedule::wait(Wait::Ready(fds), until) {
            return inside(|| world().events(epoll, room)).unwrap_or(0) as c_int;
        }
    }
}

#[no_mangle]
unsafe extern "C" fn poll(fds: *mut libc::pollfd, count: libc::nfds_t, timeout: c_int) -> c_int {
    // SAFETY: the caller has so many there.
    let all = unsafe { std::slice::from_raw_parts_mut(fds, count as usize) };
    if !is_simulated() || !all.iter().any(|one| simulated(one.fd)) {
        let time = [i64::from(timeout) / 1000, i64::from(timeout) % 1000 * 1_000_000];
        let time = if timeout < 0 { 0 } else { time.as_ptr() as usize };
        return call(libc::SYS_ppoll, fds as usize, count as usize, time, 0, 8, 0) as c_int;
    }
    let until = after(milliseconds(timeout));
    loop {
        let found = inside(|| world().poll(all));
        if found != 0 || timeout == 0 {
            return found;
        }
        if !schedule::wait(Wait::Ready(all.to_vec()), until) {
            return inside(|| world().poll(all));
        }
    }
}

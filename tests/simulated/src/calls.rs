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
fn step() {
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

fn killed() -> ! {
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
            match world.socket(netns, protocol as u32) {
                Ok(fd) => fd,
                Err(errno) => fail(errno) as c_int,
            }
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
    if is_netlink(fd) {
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
    if is_netlink(fd) {
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
                let blocks =
                    real::raw(libc::SYS_fcntl, fd as usize, libc::F_GETFL as usize, 0, 0, 0, 0)
                        & libc::O_NONBLOCK as isize
                        == 0;
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

// ---- Files and descriptors -------------------------------------------------------------------

/// # Safety
/// The path ends with NUL.
unsafe fn open_any(at: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    if is_simulated() {
        // SAFETY: as above.
        let name = unsafe { CStr::from_ptr(path) }.to_str().unwrap_or_default();
        let writes = flags & libc::O_ACCMODE != libc::O_RDONLY;
        if let Some(result) = inside(|| world().open(own(), name, writes)) {
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
        let setting = inside(|| match world().file(fd) {
            Some(File::Setting(netns, path)) => Some((*netns, path.clone())),
            _ => None,
        });
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
extern "C" fn fcntl(fd: c_int, command: c_int, value: usize) -> c_int {
    let result = call(libc::SYS_fcntl, fd as usize, command as usize, value, 0, 0, 0) as c_int;
    let duplicates = command == libc::F_DUPFD_CLOEXEC || command == libc::F_DUPFD;
    if result >= 0 && duplicates && is_simulated() {
        inside(|| world().duplicated(fd, result));
    }
    result
}

#[no_mangle]
extern "C" fn epoll_create1(flags: c_int) -> c_int {
    opened(call(libc::SYS_epoll_create1, flags as usize, 0, 0, 0, 0, 0) as c_int)
}

#[no_mangle]
extern "C" fn eventfd(value: c_uint, flags: c_int) -> c_int {
    opened(call(libc::SYS_eventfd2, value as usize, flags as usize, 0, 0, 0, 0) as c_int)
}

#[no_mangle]
extern "C" fn inotify_init1(flags: c_int) -> c_int {
    opened(call(libc::SYS_inotify_init1, flags as usize, 0, 0, 0, 0, 0) as c_int)
}

#[no_mangle]
unsafe extern "C" fn pipe2(fds: *mut c_int, flags: c_int) -> c_int {
    let result = call(libc::SYS_pipe2, fds as usize, flags as usize, 0, 0, 0, 0) as c_int;
    if result == 0 {
        // SAFETY: the caller has room for two.
        unsafe { (opened(*fds), opened(*fds.add(1))) };
    }
    result
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
        if let Some(opened) = inside(|| world().open(own(), name, false)) {
            let fd = match opened {
                Ok(fd) => fd,
                Err(errno) => return fail(errno) as c_int,
            };
            let (empty, flags) = (c"".as_ptr() as usize, libc::AT_EMPTY_PATH as usize);
            let told = real::raw(
                libc::SYS_statx,
                fd as usize,
                empty,
                flags,
                mask as usize,
                to as usize,
                0,
            );
            inside(|| world().close(fd));
            return real::told(told) as c_int;
        }
    }
    let (path, flags) = (path as usize, flags as usize);
    call(libc::SYS_statx, at as usize, path, flags, mask as usize, to as usize, 0) as c_int
}

#[no_mangle]
unsafe extern "C" fn fstatfs(fd: c_int, to: *mut libc::statfs) -> c_int {
    let result = call(libc::SYS_fstatfs, fd as usize, to as usize, 0, 0, 0, 0) as c_int;
    if result == 0 && is_simulated() && inside(|| matches!(world().file(fd), Some(File::Netns(_))))
    {
        // SAFETY: the caller has room for it, and the kernel has just written it.
        unsafe { (*to).f_type = 0x6e73_6673 };
    }
    result
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
    call(libc::SYS_ioctl, fd as usize, request, value, 0, 0, 0) as c_int
}

#[no_mangle]
extern "C" fn fsync(_: c_int) -> c_int {
    0
}

#[no_mangle]
extern "C" fn fdatasync(_: c_int) -> c_int {
    0
}

/// libc's own function of a name.
fn libcs(name: &CStr) -> *mut c_void {
    // SAFETY: the name ends with NUL.
    unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) }
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
    inside(|| match world().list(own(), name) {
        None => real(path),
        Some(Err(errno)) => {
            fail(errno);
            std::ptr::null_mut()
        }
        Some(Ok(names)) => {
            let folder = format!("{}/listed", world().scratch);
            let _ = std::fs::remove_dir_all(&folder);
            let _ = std::fs::create_dir_all(&folder);
            names.iter().for_each(|name| drop(std::fs::write(format!("{folder}/{name}"), "")));
            let path = std::ffi::CString::new(folder).unwrap_or_default();
            real(path.as_ptr())
        }
    })
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

struct Begins {
    start: Start,
    argument: *mut c_void,
    number: usize,
    gate: &'static std::sync::atomic::AtomicU32,
}

extern "C" fn begins(begins: *mut c_void) -> *mut c_void {
    // SAFETY: made by `pthread_create()` below, for this thread alone.
    let begins = unsafe { Box::from_raw(begins.cast::<Begins>()) };
    schedule::enter(begins.number, begins.gate);
    let (start, argument) = (begins.start, begins.argument);
    inside(|| drop(begins));
    let result = start(argument);
    schedule::leave();
    result
}

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
    // SAFETY: this is the type of libc's pthread_create().
    let real: Create = unsafe { std::mem::transmute(libcs(c"pthread_create")) };
    if !is_simulated() {
        // SAFETY: the caller's own.
        return unsafe { real(handle, attributes, start, argument) };
    }
    inside(|| {
        let life = schedule().life();
        let number = schedule().add(life);
        let here = world().place(own());
        world().put(number, here);
        let gate = schedule::gate(number);
        let begin = Box::into_raw(Box::new(Begins { start, argument, number, gate }));
        // SAFETY: the caller's own, and what `begins()` takes.
        let result = unsafe { real(handle, attributes, begins, begin.cast()) };
        assert_eq!(result, 0, "a thread cannot be made");
        // SAFETY: pthread_create() has just written it.
        schedule().named(number, unsafe { *handle });
        result
    })
}

#[no_mangle]
unsafe extern "C" fn pthread_join(handle: libc::pthread_t, to: *mut *mut c_void) -> c_int {
    type Join = unsafe extern "C" fn(libc::pthread_t, *mut *mut c_void) -> c_int;
    if is_simulated() {
        if let Some(number) = inside(|| schedule().find(handle)) {
            schedule::wait(Wait::End(number), None);
        }
    }
    // SAFETY: this is the type of libc's pthread_join(), and the caller's own arguments.
    unsafe { std::mem::transmute::<*mut c_void, Join>(libcs(c"pthread_join"))(handle, to) }
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
    let look = |timeout: c_int| {
        let (events, most) = (events as usize, most as usize);
        call(libc::SYS_epoll_pwait, epoll as usize, events, most, timeout as usize, 0, 8) as c_int
    };
    if !is_simulated() {
        return look(timeout);
    }
    let until = after(milliseconds(timeout));
    loop {
        let found = look(0);
        if found != 0 || timeout == 0 {
            return found;
        }
        let fds = vec![libc::pollfd { fd: epoll, events: libc::POLLIN, revents: 0 }];
        if !schedule::wait(Wait::Ready(fds), until) {
            return look(0);
        }
    }
}

#[no_mangle]
unsafe extern "C" fn poll(fds: *mut libc::pollfd, count: libc::nfds_t, timeout: c_int) -> c_int {
    static ZERO: [i64; 2] = [0, 0];
    if !is_simulated() {
        let time = [i64::from(timeout) / 1000, i64::from(timeout) % 1000 * 1_000_000];
        let time = if timeout < 0 { 0 } else { time.as_ptr() as usize };
        return call(libc::SYS_ppoll, fds as usize, count as usize, time, 0, 8, 0) as c_int;
    }
    let look =
        || call(libc::SYS_ppoll, fds as usize, count as usize, ZERO.as_ptr() as usize, 0, 8, 0);
    let until = after(milliseconds(timeout));
    loop {
        let found = look() as c_int;
        if found != 0 || timeout == 0 {
            return found;
        }
        // SAFETY: the caller has so many there.
        let asked = unsafe { std::slice::from_raw_parts(fds, count as usize) }.to_vec();
        if !schedule::wait(Wait::Ready(asked), until) {
            return look() as c_int;
        }
    }
}

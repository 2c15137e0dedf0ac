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

//! The socket file: made so that no stranger can ever connect to it, and removed only if it is
//! still ours. It never removes anything but a socket that nobody listens on.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr};
use nix::sys::stat::{fchmod, Mode};

use crate::PlatformError;

const SOCKET_MODE: u32 = 0o660;
const DIRECTORY_MODE: u32 = 0o750;

/// Connections that the kernel keeps while we have not accepted them.
const BACKLOG: i32 = 128;

/// How long another guestnetd may take to make or remove its socket in the same directory.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// A listening socket's file; dropping it removes the file.
pub(crate) struct SocketFile {
    path: PathBuf,
    directory: PathBuf,
    identity: (u64, u64),
}

/// Makes the socket and listens on it.
pub(crate) fn listen(path: &Path) -> Result<(UnixListener, SocketFile), PlatformError> {
    let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
    prepare(&directory)?;
    let _lock = lock(&directory)?;
    clear(path)?;
    let fd = bind(path)?;
    match open_up(&fd, path) {
        Ok(identity) => {
            let file = SocketFile { path: path.to_owned(), directory, identity };
            Ok((UnixListener::from(fd), file))
        }
        Err(e) => {
            // Under the lock it is still ours.
            let _ = fs::remove_file(path);
            Err(e)
        }
    }
}

/// Makes the socket's file, to which the kernel refuses every connection yet.
fn bind(path: &Path) -> Result<OwnedFd, PlatformError> {
    let failed = |step| move |e: Errno| not_listening(step, path, e.into());
    let fd = stream_socket(SockFlag::empty()).map_err(failed("make the socket"))?;
    // The file gets the mode of the socket that it is made for; the umask can only narrow it.
    let mode = Mode::from_bits_truncate(SOCKET_MODE);
    fchmod(fd.as_raw_fd(), mode).map_err(failed("set the mode of"))?;
    let address = UnixAddr::new(path).map_err(failed("name"))?;
    socket::bind(fd.as_raw_fd(), &address).map_err(failed("bind"))?;
    Ok(fd)
}

/// Gives the file its full mode and lets clients in; answers with the file's identity.
fn open_up(fd: &OwnedFd, path: &Path) -> Result<(u64, u64), PlatformError> {
    let failed = |step| move |e: io::Error| not_listening(step, path, e);
    let identity = identity(path).map_err(failed("look at"))?;
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))
        .map_err(failed("set the mode of"))?;
    let backlog = Backlog::new(BACKLOG).unwrap_or(Backlog::MAXCONN);
    socket::listen(fd, backlog).map_err(|e| not_listening("listen on", path, e.into()))?;
    Ok(identity)
}

fn not_listening(step: &'static str, path: &Path, cause: io::Error) -> PlatformError {
    PlatformError::Listen { step, path: path.to_owned(), cause }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Without the lock, another guestnetd might put its socket there between look and removal.
        let Ok(_lock) = lock(&self.directory) else { return };
        if identity(&self.path).ok() == Some(self.identity) {
            if let Err(e) = fs::remove_file(&self.path) {
                log::warn!("cannot remove {}: {e}", self.path.display());
            }
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

fn stream_socket(flags: SockFlag) -> nix::Result<OwnedFd> {
    socket::socket(AddressFamily::Unix, SockType::Stream, flags | SockFlag::SOCK_CLOEXEC, None)
}

/// Makes the directory, or checks that nobody else can put a socket of that name there.
fn prepare(directory: &Path) -> Result<(), PlatformError> {
    let failed = |why: String| PlatformError::Directory { directory: directory.to_owned(), why };
    match fs::metadata(directory) {
        Ok(meta) if !meta.is_dir() => {
            Err(failed("it is not a directory; listen elsewhere".to_owned()))
        }
        Ok(meta) if meta.mode() & 0o002 != 0 => Err(failed(format!(
            "every user may write to it (mode {:04o}); chmod o-w it, or listen elsewhere",
            meta.mode() & 0o7777
        ))),
        Ok(meta) if !ours(meta.uid(), nix::unistd::geteuid().as_raw()) => Err(failed(format!(
            "uid {} owns it, and could put another socket there; chown it, or listen elsewhere",
            meta.uid()
        ))),
        Ok(meta)
            if meta.mode() & 0o020 != 0 && !ours(meta.gid(), nix::unistd::getegid().as_raw()) =>
        {
            Err(failed(format!(
                "gid {} may write to it (mode {:04o}); chmod g-w it, or listen elsewhere",
                meta.gid(),
                meta.mode() & 0o7777
            )))
        }
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let made = DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory);
            made.map_err(|e| failed(format!("it cannot be made: {e}")))?;
            fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE))
                .map_err(|e| failed(format!("its mode cannot be set: {e}")))
        }
        Err(e) => Err(failed(e.to_string())),
    }
}

/// Root may change anything.
fn ours(id: u32, own: u32) -> bool {
    id == 0 || id == own
}

/// Keeps another guestnetd from the directory's sockets until the lock is dropped.
fn lock(directory: &Path) -> Result<Flock<File>, PlatformError> {
    let failed = |why: String| PlatformError::Directory { directory: directory.to_owned(), why };
    let mut file = File::open(directory).map_err(|e| failed(e.to_string()))?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((back, Errno::EWOULDBLOCK)) if Instant::now() < deadline => file = back,
            Err((_, Errno::EWOULDBLOCK)) => {
                return Err(failed(
                    "another process holds its lock; let that guestnetd finish starting".to_owned(),
                ))
            }
            Err((_, e)) => return Err(failed(format!("it cannot be locked: {e}"))),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Makes sure that nothing has the socket's name; removes only a socket nobody listens on.
fn clear(path: &Path) -> Result<(), PlatformError> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => {}
        Ok(_) => return Err(PlatformError::NotASocket { path: path.to_owned() }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(not_listening("look at", path, e)),
    }
    match probe(path) {
        // EAGAIN: somebody listens, with a full queue.
        Ok(()) | Err(Errno::EAGAIN) => {
            Err(PlatformError::AlreadyListening { path: path.to_owned() })
        }
        Err(Errno::ECONNREFUSED) => {
            log::info!("removing {}: a guestnetd that was killed left it", path.display());
            fs::remove_file(path).map_err(|e| not_listening("remove", path, e))
        }
        Err(e) => Err(not_listening("probe", path, e.into())),
    }
}

fn probe(path: &Path) -> nix::Result<()> {
    let fd = stream_socket(SockFlag::SOCK_NONBLOCK)?;
    socket::connect(fd.as_raw_fd(), &UnixAddr::new(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The only moments at which a test from outside cannot look.
    #[test]
    fn before_its_mode_is_final_nobody_can_connect_nor_is_it_wider() {
        let directory = std::env::temp_dir().join(format!("gnp-unit-{}", std::process::id()));
        fs::create_dir(&directory).expect("a new directory");
        let path = directory.join("socket");
        let before = nix::sys::stat::umask(Mode::empty());
        let fd = bind(&path);
        nix::sys::stat::umask(before);
        let mode = fs::metadata(&path).map(|meta| meta.mode() & 0o7777);
        let refused = probe(&path);
        let opened = open_up(fd.as_ref().expect("bound"), &path);
        let connected = probe(&path);
        fs::remove_dir_all(&directory).expect("removed");
        assert_eq!(mode.expect("the file's mode"), SOCKET_MODE);
        assert_eq!(refused, Err(Errno::ECONNREFUSED));
        opened.expect("listening");
        assert_eq!(connected, Ok(()));
    }
}

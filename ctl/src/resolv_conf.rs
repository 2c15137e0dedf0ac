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

//! A guest's resolv.conf: says that its gateway answers for names. Only a file that is absent, empty or of
//! our own making is written, and that in its place, for it may be a bind mount. A guest makes its files
//! as it likes: nothing is followed out of its root, nothing but a regular file is opened, and the
//! device's own file is never touched.

use nix::errno::Errno;
use nix::libc;
use std::ffi::{CString, OsStr};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{fchown, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// The device's own, and where a guest has its own.
const DEVICES: &str = "/etc/resolv.conf";
/// How a file of ours begins.
const MARK: &str = "# Written by guestnetctl";
/// The permissions of a new one.
const MODE: libc::mode_t = 0o644;
/// More than a file of ours has, in bytes.
const MOST: u64 = 4096;

/// Which file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// /etc/resolv.conf in the guest's root.
    Auto,
    /// /etc/resolv.conf in this root, which no process has yet.
    In(PathBuf),
    /// This one, on the device.
    Path(PathBuf),
}

impl FromStr for Which {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match (text, Path::new(text)) {
            ("auto", _) => Ok(Self::Auto),
            (_, path) if path.is_absolute() && path.file_name().is_some() => {
                Ok(Self::Path(path.to_owned()))
            }
            _ => Err("use auto, or the absolute path of a file".to_owned()),
        }
    }
}

/// A file that is to be written when the guest is attached.
#[derive(Debug)]
pub struct Place {
    /// Where names begin: the guest's root, or the device's.
    root: File,
    path: PathBuf,
    /// Whether it is the guest's: links within its root are followed.
    of_guest: bool,
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Done {
    /// The file.
    pub path: PathBuf,
    /// Why it was left as it is; none: it says the gateway.
    pub left: Option<String>,
}

/// Opens what leads to the file: before the attach, which answers for it that `pid` is the same process
/// all the while.
pub fn place(which: &Which, pid: Option<i32>) -> Result<Place, String> {
    let open = |path: &str| {
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
        file.map_err(|e| format!("--resolv-conf: {path}: {e}"))
    };
    match (which, pid) {
        (Which::Path(path), _) => {
            Ok(Place { root: open("/")?, path: path.clone(), of_guest: false })
        }
        (Which::In(root), _) => {
            let root = open(&root.to_string_lossy())?;
            Ok(Place { root, path: PathBuf::from(DEVICES), of_guest: true })
        }
        (Which::Auto, Some(pid)) => {
            let (root, path) = (open(&format!("/proc/{pid}/root"))?, PathBuf::from(DEVICES));
            Ok(Place { root, path, of_guest: true })
        }
        (Which::Auto, None) => {
            Err("--resolv-conf auto needs --pid: a network namespace has no files; name the file"
                .into())
        }
    }
}

impl Place {
    /// Has the file say that `gateway` answers for names, if it may.
    pub fn write(self, guest: &str, gateway: &str) -> Done {
        let text = format!(
            "{MARK} for guest {guest}: its gateway answers for names.\nnameserver {gateway}\n"
        );
        let left = self.try_to(&text).err();
        Done { path: self.path, left }
    }

    fn try_to(&self, text: &str) -> Result<(), String> {
        let said = |e: io::Error| e.to_string();
        let (file, is_new) = match self.open(libc::O_PATH) {
            Ok(found) => (reopen(found)?, false),
            Err(e) if e.kind() == io::ErrorKind::NotFound => (self.create()?, true),
            Err(e) => return Err(explained(&e)),
        };
        if is_the_devices(&file) {
            return Err("it is the device's own".into());
        }
        let mut has = String::new();
        let length = file.metadata().map_err(said)?.len();
        let read = (&file).take(MOST).read_to_string(&mut has);
        let ours = read.is_ok() && length < MOST && (has.is_empty() || has.starts_with(MARK));
        if !is_new && !ours {
            return Err("it is not of guestnetctl's making".into());
        }
        file.write_all_at(text.as_bytes(), 0).map_err(said)?;
        file.set_len(text.len() as u64).map_err(said)
    }

    /// A new one, which belongs to whom the root belongs to: that is the guest's root user.
    fn create(&self) -> Result<File, String> {
        if self.of_guest && same(&self.root, "/") {
            return Err("the guest has the device's root, where there is none".into());
        }
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
        let file = self.open(flags).map(File::from).map_err(|e| match e.raw_os_error() {
            Some(libc::EEXIST) => "it is a link to a file that is not there (yet)".to_owned(),
            _ => explained(&e),
        })?;
        let owner = self.root.metadata().map_err(|e| e.to_string())?;
        if self.of_guest {
            fchown(&file, Some(owner.uid()), Some(owner.gid())).map_err(|e| e.to_string())?;
        }
        Ok(file)
    }

    /// Opens the file without leaving the root. By openat2(2), which Linux has since 5.6; else, and on the
    /// device, where a link may be a guest's, no link is followed.
    fn open(&self, flags: i32) -> io::Result<OwnedFd> {
        let flags = flags | libc::O_CLOEXEC;
        if self.of_guest {
            match openat2(self.root.as_fd(), &self.path, flags) {
                Err(e) if [Some(libc::ENOSYS), Some(libc::EPERM)].contains(&e.raw_os_error()) => {}
                opened => return opened,
            }
        }
        without_links(self.root.as_fd(), &self.path, flags)
    }
}

/// For reading and writing, if it is a regular file: to open another may do something.
fn reopen(found: OwnedFd) -> Result<File, String> {
    let file = File::from(found);
    if !file.metadata().map_err(|e| e.to_string())?.is_file() {
        return Err("it is not a regular file".into());
    }
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    OpenOptions::new().read(true).write(true).open(path).map_err(|e| e.to_string())
}

fn explained(e: &io::Error) -> String {
    match e.raw_os_error() {
        Some(libc::ELOOP) => "its path has a symbolic link, which is not followed".into(),
        _ => e.to_string(),
    }
}

fn is_the_devices(file: &File) -> bool {
    same(file, DEVICES)
}

/// Whether an open file is what the device has at a path.
fn same(file: &File, path: &str) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// `struct open_how` (linux/openat2.h).
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

fn openat2(root: BorrowedFd<'_>, path: &Path, flags: i32) -> io::Result<OwnedFd> {
    // linux/openat2.h
    const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
    const RESOLVE_IN_ROOT: u64 = 0x10;
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    let mode = if flags & libc::O_CREAT == 0 { 0 } else { MODE.into() };
    let how =
        OpenHow { flags: flags as u64, mode, resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
    // SAFETY: the descriptor is open, the path is a text with its NUL, and the kernel reads one `struct
    // open_how` of the size that it is told.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            root.as_raw_fd(),
            path.as_ptr(),
            &how as *const OpenHow,
            std::mem::size_of::<OpenHow>(),
        )
    };
    match i32::try_from(fd) {
        // SAFETY: the kernel has just given us this descriptor; nobody else has it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Not nix's: of one version it takes a number, of another a borrowed descriptor, and a tree of Android has
/// either.
fn openat(at: BorrowedFd<'_>, name: &OsStr, flags: i32) -> io::Result<OwnedFd> {
    let name = CString::new(name.as_encoded_bytes())?;
    // SAFETY: the descriptor is open, and the name is a text with its NUL.
    let fd =
        unsafe { libc::openat(at.as_raw_fd(), name.as_ptr(), flags, libc::c_uint::from(MODE)) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor; nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The same by each name of the path.
fn without_links(root: BorrowedFd<'_>, path: &Path, flags: i32) -> io::Result<OwnedFd> {
    let names: Vec<_> = path
        .components()
        .filter(|component| !matches!(component, Component::RootDir | Component::CurDir))
        .collect();
    let mut at = root.try_clone_to_owned()?;
    for (n, name) in names.iter().enumerate() {
        let Component::Normal(name) = name else { return Err(Errno::EINVAL.into()) };
        let flags = match n + 1 < names.len() {
            true => libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC,
            false => flags,
        };
        at = match openat(at.as_fd(), name, flags | libc::O_NOFOLLOW) {
            // What is no folder, for it is a link.
            Err(e) if e.raw_os_error() == Some(libc::ENOTDIR) => return Err(Errno::ELOOP.into()),
            opened => opened?,
        };
    }
    // By O_PATH a link itself is opened.
    let at = File::from(at);
    if at.metadata()?.is_symlink() {
        return Err(Errno::ELOOP.into());
    }
    Ok(at.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use std::os::unix::fs::symlink;

    /// A folder of a test's own.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("guestnetctl-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).unwrap();
            Self(path.canonicalize().unwrap())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// A guest's root in a folder of the test's own.
    fn rooted(of_guest: bool, root: &Path, path: &str) -> Place {
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        let at = if of_guest { root } else { Path::new("/") };
        let root_fd = OpenOptions::new().read(true).custom_flags(flags).open(at).unwrap();
        let path = if of_guest { PathBuf::from(path) } else { root.join(&path[1..]) };
        Place { root: root_fd, path, of_guest }
    }

    fn wrote(place: Place) -> Option<String> {
        place.write("demo", "172.17.3.2").left
    }

    const TEXT: &str = "# Written by guestnetctl for guest demo: its gateway answers for names.\n\
                        nameserver 172.17.3.2\n";

    #[test]
    fn what_is_absent_empty_or_ours_is_written_in_its_place() {
        for of_guest in [true, false] {
            let Folder(root) = &Folder::new("written");
            fs::create_dir(root.join("etc")).unwrap();
            let file = root.join("etc/resolv.conf");
            let write = || wrote(rooted(of_guest, root, DEVICES));
            for before in [None, Some(""), Some("# Written by guestnetctl for guest old: ...\nnameserver 10.0.0.1\nlonger\nlonger\n")] {
                if let Some(text) = before {
                    fs::write(&file, text).unwrap();
                }
                let inode = fs::metadata(&file).map(|meta| meta.ino()).ok();
                assert_eq!(write(), None);
                assert_eq!(fs::read_to_string(&file).unwrap(), TEXT);
                if let Some(inode) = inode {
                    assert_eq!(fs::metadata(&file).unwrap().ino(), inode);
                }
            }
            fs::write(&file, "nameserver 9.9.9.9\n").unwrap();
            assert!(write().unwrap().contains("not of guestnetctl's making"));
            assert_eq!(fs::read_to_string(&file).unwrap(), "nameserver 9.9.9.9\n");
        }
    }

    #[test]
    fn no_link_leads_out_of_the_guests_root() {
        let (Folder(root), Folder(outside)) = (&Folder::new("root"), &Folder::new("outside"));
        let victim = outside.join("resolv.conf");
        fs::write(&victim, "").unwrap();
        // A folder, and a file, that lead there.
        symlink(outside, root.join("etc")).unwrap();
        for of_guest in [true, false] {
            assert!(wrote(rooted(of_guest, root, DEVICES)).is_some());
        }
        fs::remove_file(root.join("etc")).unwrap();
        fs::create_dir(root.join("etc")).unwrap();
        for to in [victim.clone(), PathBuf::from("../../../../../../../..").join(&victim)] {
            let _ = fs::remove_file(root.join("etc/resolv.conf"));
            symlink(to, root.join("etc/resolv.conf")).unwrap();
            for of_guest in [true, false] {
                assert!(wrote(rooted(of_guest, root, DEVICES)).is_some());
            }
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "");
        // One that stays inside is followed, where the kernel can.
        fs::create_dir(root.join("run")).unwrap();
        fs::write(root.join("run/it"), "").unwrap();
        let _ = fs::remove_file(root.join("etc/resolv.conf"));
        symlink("/run/it", root.join("etc/resolv.conf")).unwrap();
        assert_eq!(wrote(rooted(true, root, DEVICES)), None);
        assert_eq!(fs::read_to_string(root.join("run/it")).unwrap(), TEXT);
        assert!(wrote(rooted(false, root, DEVICES)).unwrap().contains("symbolic link"));
    }

    #[test]
    fn what_is_no_file_and_what_is_the_devices_is_left() {
        let Folder(root) = &Folder::new("left");
        fs::create_dir(root.join("etc")).unwrap();
        nix::unistd::mkfifo(&root.join("etc/resolv.conf"), Mode::S_IRWXU).unwrap();
        assert_eq!(wrote(rooted(true, root, DEVICES)).unwrap(), "it is not a regular file");
        if Path::new(DEVICES).exists() {
            let before = fs::read(DEVICES).unwrap();
            assert!(wrote(rooted(true, Path::new("/"), DEVICES)).is_some());
            assert_eq!(fs::read(DEVICES).unwrap(), before);
        }
        assert!(wrote(rooted(true, Path::new("/"), "/nobody-has-this"))
            .unwrap()
            .contains("device's root"));
        assert!(place(&Which::Auto, None).unwrap_err().contains("--pid"));
        assert!("resolv.conf".parse::<Which>().is_err());
    }
}

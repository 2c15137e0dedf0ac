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

//! One file of the state: sealed with a checksum, read and written so that nobody else's file is taken
//! for it.
//!
//! A seal is the last field of the JSON object, `"crc32":"1c291ca3"`: the checksum of the text before it.
//! A digit that was flipped on a worn flash is a valid digit, and would become an address.

use crate::write::{self, What};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Length of a record's file in bytes: more than nearly any record has, and less than a page.
const BLOCK: usize = 2048;
/// The longest file that is read, in bytes. That of 64 uplinks with 16 resolvers each has a fifth.
const LONGEST: u64 = 64 << 10;
/// Suffix of a file that is being written. No guest's file ends so.
pub(super) const TEMPORARY: &str = ".tmp";

/// Reads a file: a regular one, of no more than [`LONGEST`] bytes, and not by a link.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Whatever it is, the open does not wait.
    let file = open(OpenOptions::new().read(true), libc::O_NONBLOCK | libc::O_NOCTTY, path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    // A start reads hundreds of them: two calls for each, and not one for every doubling.
    let length = metadata.len().min(LONGEST) as usize;
    let mut bytes = Vec::with_capacity(length + 1);
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::other(format!("it has more than {LONGEST} bytes")));
    }
    Ok(bytes)
}

/// Writes a file by one call, filled up with blanks to the same length every time, or to the length that it has. The end of the
/// process finds it as it was or as it is to be, as with a file beside it that takes its name, for
/// a quarter of the time. The end of the machine may tear it, and is the end of all that it tells.
pub(super) fn overwrite(path: &Path, mut bytes: Vec<u8>) -> io::Result<()> {
    let file = open(OpenOptions::new().write(true).create(true), libc::O_NONBLOCK, path)?;
    let has = file.metadata()?.len().min(LONGEST) as usize;
    bytes.resize(bytes.len().max(BLOCK).max(has), b' ');
    let written = write::bytes(What::State(path), &bytes, |bytes| file.write_all_at(bytes, 0));
    if written.is_err() && file.metadata().is_ok_and(|meta| meta.len() == 0) {
        let _ = fs::remove_file(path);
    }
    written
}

/// Writes a file beside this one, which then takes its name.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = beside(path);
    let replaced = || {
        // One that is there is half written, by a guestnetd that was killed.
        match fs::remove_file(&beside) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = open(OpenOptions::new().write(true).create_new(true), 0, &beside)?;
        write::bytes(What::State(path), bytes, |bytes| file.write_all(bytes))?;
        write::through(What::Rename(path), || fs::rename(&beside, path))
    };
    replaced().inspect_err(|_| drop(fs::remove_file(&beside)))
}

/// Takes an exclusive lock's file. It stays empty.
pub(super) fn lock(path: &Path) -> io::Result<File> {
    open(OpenOptions::new().write(true).create(true), libc::O_NONBLOCK, path)
}

/// Never by a link, and for nobody else to read.
fn open(options: &mut OpenOptions, flags: i32, path: &Path) -> io::Result<File> {
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW | flags).open(path)
}

/// Where a file is written before it takes its name.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(TEMPORARY);
    beside.into()
}

const SEAL: &str = ",\"crc32\":\"";

/// A JSON object with its seal.
pub(crate) fn sealed(object: Vec<u8>) -> Vec<u8> {
    let sum = crc32(&object);
    let mut sealed = object;
    sealed.pop(); // its closing brace
    sealed.extend(format!("{SEAL}{sum:08x}\"}}").bytes());
    sealed
}

/// What is left of an object when its seal is taken off.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// It is what was sealed.
    Whole(Vec<u8>),
    /// It has none.
    Unsealed,
    /// It is something else.
    Broken,
}

/// Takes the seal off.
pub(super) fn unsealed(bytes: &[u8]) -> Opened {
    let blank = |byte: &&u8| byte.is_ascii_whitespace();
    let end = bytes.len() - bytes.iter().rev().take_while(blank).count();
    let bytes = bytes.get(..end).unwrap_or_default();
    let sum_at = bytes.len().saturating_sub("12345678\"}".len());
    let (head, sum) = bytes.split_at(sum_at);
    let Some(head) = head.strip_suffix(SEAL.as_bytes()) else { return Opened::Unsealed };
    let sum = std::str::from_utf8(sum).ok().and_then(|sum| sum.strip_suffix("\"}"));
    let sum = sum.and_then(|sum| u32::from_str_radix(sum, 16).ok());
    let object = [head, b"}"].concat();
    match sum {
        Some(sum) if sum == crc32(&object) => Opened::Whole(object),
        _ => Opened::Broken,
    }
}

/// CRC-32 as in Ethernet and zlib.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    let step = |sum: u32, byte: &u8| {
        let at = (sum ^ u32::from(*byte)) & 0xff;
        TABLE.get(at as usize).copied().unwrap_or_default() ^ sum >> 8
    };
    !bytes.iter().fold(!0, step)
}

const fn table() -> [u32; 256] {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let (mut sum, mut bit) = (at as u32, 0);
        while bit < 8 {
            sum = if sum & 1 == 1 { POLYNOMIAL ^ sum >> 1 } else { sum >> 1 };
            bit += 1;
        }
        table[at] = sum;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{symlink, MetadataExt};

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn no_flipped_bit_and_no_end_gets_past_the_seal() {
        let object = br#"{"version":2,"address":"172.17.3.3"}"#.to_vec();
        let whole = sealed(object.clone());
        assert_eq!(unsealed(&whole), Opened::Whole(object.clone()));
        assert_eq!(unsealed(&[&whole[..], b"  \n "].concat()), Opened::Whole(object.clone()));
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bent = whole.clone();
                bent[at] ^= 1 << bit;
                assert!(!matches!(unsealed(&bent), Opened::Whole(o) if o != object), "{at}.{bit}");
            }
            assert!(!matches!(unsealed(&whole[..at]), Opened::Whole(_)), "{at}");
        }
        assert_eq!(unsealed(&object), Opened::Unsealed);
    }

    /// An update's record has two specs, the one behind it has one.
    #[test]
    fn of_a_longer_one_nothing_is_left_behind_a_shorter_one() {
        let path = std::env::temp_dir().join(format!("guestnetd-long-{}", std::process::id()));
        for length in [10, BLOCK + 97, 10, BLOCK, 3 * BLOCK, BLOCK + 1] {
            let object = format!(r#"{{"name":"{}"}}"#, "x".repeat(length)).into_bytes();
            overwrite(&path, sealed(object.clone())).unwrap();
            assert_eq!(unsealed(&read(&path).unwrap()), Opened::Whole(object), "{length}");
        }
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn only_a_regular_file_of_its_own_is_read_and_written() {
        let dir = std::env::temp_dir().join(format!("guestnetd-file-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let (victim, link) = (dir.join("victim"), dir.join("link"));
        fs::write(&victim, "mine").unwrap();
        symlink(&victim, &link).unwrap();
        symlink(&victim, beside(&dir.join("file"))).unwrap();
        assert!(read(&link).is_err() && overwrite(&link, b"x".into()).is_err());
        assert!(lock(&link).is_err());
        replace(&dir.join("file"), b"new").unwrap();
        assert_eq!(read(&dir.join("file")).unwrap(), b"new");
        assert_eq!(fs::read(&victim).unwrap(), b"mine");
        assert_eq!(fs::metadata(dir.join("file")).unwrap().mode() & 0o7777, 0o600);
        let fifo = dir.join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read(&fifo).is_err() && overwrite(&fifo, b"x".into()).is_err());
        assert!(read(&dir).is_err() && read(Path::new("/dev/zero")).is_err());
        let long = File::create(dir.join("long")).unwrap();
        long.set_len(LONGEST + 1).unwrap();
        assert!(read(&dir.join("long")).is_err());
        fs::remove_dir_all(dir).unwrap();
    }
}

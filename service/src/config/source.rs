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

//! Reads the file, whatever is in its place. The same at the start and when guestnetd has given up all that it
//! does not need: by its path, as the user that it runs as, without CAP_DAC_OVERRIDE.

use super::text::Wrong;
use super::FileError;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{Error, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The most that a file may have, in bytes: a thousand guests with all that can be said of them.
const MOST: u64 = 256 * 1024;
/// How often a file is read that is written meanwhile.
const TRIES: usize = 5;

/// What was in the file.
pub(super) struct Text(Vec<u8>);

impl Text {
    /// As text.
    pub(super) fn utf8(&self) -> Result<&str, Wrong> {
        std::str::from_utf8(&self.0).map_err(|e| {
            let before = self.0.get(..e.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            Wrong::on(line, "this is not text in UTF-8")
        })
    }
}

/// All of it, as it was at one moment: what is renamed into its place counts from the next time on.
pub(super) fn read(path: &Path) -> Result<Text, Error> {
    for _ in 0..TRIES {
        if let Some(text) = read_once(path)? {
            return Ok(text);
        }
    }
    Err(Error::other("it is being written: try again when that is done"))
}

/// None: it was written meanwhile.
fn read_once(path: &Path) -> Result<Option<Text>, Error> {
    let refuse = |why: String| Err(Error::new(ErrorKind::InvalidInput, why));
    // A FIFO without a writer would hold us for good.
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let before = file.metadata()?;
    if !before.is_file() {
        return refuse("it is not a file".into());
    }
    let mut bytes = Vec::new();
    Read::by_ref(&mut file).take(MOST + 1).read_to_end(&mut bytes)?;
    if before.len() > MOST || bytes.len() as u64 > MOST {
        return refuse(format!("it has more than {MOST} bytes, which no configuration needs"));
    }
    let same = is_as_it_was(&file, &before, bytes.len())?;
    Ok(same.then_some(Text(bytes)))
}

fn is_as_it_was(file: &File, before: &Metadata, read: usize) -> Result<bool, Error> {
    let now = file.metadata()?;
    let written = |m: &Metadata| (m.len(), m.mtime(), m.mtime_nsec());
    Ok(written(&now) == written(before) && now.len() == read as u64)
}

/// Why there is no text, and what to do.
pub(super) fn refused(path: &Path, error: &Error) -> FileError {
    let remedy = match error.kind() {
        ErrorKind::NotFound => "; make it, if only an empty one, or name another by --config".into(),
        ErrorKind::PermissionDenied => format!(
            "; guestnetd reads it as uid {} without CAP_DAC_OVERRIDE, also when it is a unit's: let that user \
             read it, and enter its directories",
            nix::unistd::geteuid()
        ),
        _ => String::new(),
    };
    let cause = format!("it cannot be read: {error}{remedy}");
    FileError { path: path.to_owned(), line: None, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_refused_and_does_not_hold_us() {
        let dir = std::env::temp_dir().join(format!("guestnet-source-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let fifo = dir.join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let why = |path: &Path| read(path).map(|_| ()).unwrap_err().to_string();
        assert_eq!(why(&fifo), "it is not a file");
        assert_eq!(why(&dir), "it is not a file");
        assert_eq!(why(Path::new("/dev/zero")), "it is not a file");
        let large = dir.join("large");
        std::fs::write(&large, vec![b'#'; MOST as usize + 1]).unwrap();
        assert!(why(&large).starts_with("it has more than 262144 bytes"));
        std::fs::write(&large, vec![b'#'; MOST as usize]).unwrap();
        assert!(read(&large).is_ok());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

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

//! The state's directory: guestnetd's alone. Whoever may write there could have it believe anything,
//! and write to files of root's by links with the names of its own.

use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

/// Makes a directory that is not there; refuses one that others own or may write to, or may put
/// another one in the place of. An error says which, and why.
pub(super) fn prepare(dir: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(dir)?;
    let real = fs::canonicalize(dir)?;
    let mut above = real.ancestors();
    if let Some(own) = above.next() {
        refuse(own, &fs::symlink_metadata(own)?, false)?;
    }
    // Android's init makes it for the user system, on a path of the platform's whose upper part not every
    // domain may look at.
    if nix::unistd::geteuid().is_root() {
        for one in above {
            refuse(one, &fs::symlink_metadata(one)?, true)?;
        }
    }
    Ok(())
}

/// In a sticky directory nobody can rename what is not his own.
fn refuse(dir: &Path, meta: &Metadata, sticky_will_do: bool) -> io::Result<()> {
    let ours = |id: u32, own: u32| id == 0 || id == own;
    let (user, group) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let why = if !ours(meta.uid(), user) {
        format!("uid {} owns", meta.uid())
    } else if sticky_will_do && meta.mode() & libc::S_ISVTX != 0 {
        return Ok(());
    } else if meta.mode() & 0o002 != 0 {
        "every user may write to".to_owned()
    } else if meta.mode() & 0o020 != 0 && !ours(meta.gid(), group) {
        format!("gid {} may write to", meta.gid())
    } else {
        return Ok(());
    };
    let text = format!("{why} {}, and could change the state", dir.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{chown, symlink, PermissionsExt};

    #[test]
    fn what_others_may_change_is_refused() {
        if !nix::unistd::geteuid().is_root() {
            return; // another owner is needed
        }
        let top = std::env::temp_dir().join(format!("guestnetd-dir-{}", std::process::id()));
        let dir = top.join("state");
        prepare(&dir, 0o700).unwrap();
        let mode = |dir: &Path, mode: u32| {
            fs::set_permissions(dir, Permissions::from_mode(mode)).unwrap();
        };
        for (path, bad, good) in [
            (&dir, (0, 0, 0o777), (0, 0, 0o750)),
            (&dir, (0, 0, 0o1777), (0, 0, 0o770)),
            (&dir, (0, 4242, 0o770), (0, 4242, 0o750)),
            (&dir, (4242, 0, 0o700), (0, 0, 0o700)),
            (&top, (4242, 0, 0o755), (0, 0, 0o755)),
            (&top, (0, 0, 0o777), (0, 0, 0o1777)),
        ] {
            let set = |(uid, gid, to)| {
                chown(path, Some(uid), Some(gid)).unwrap();
                mode(path, to);
                prepare(&dir, 0o700)
            };
            let refused = set(bad).unwrap_err().to_string();
            assert!(refused.contains("could change the state"), "{bad:?}: {refused}");
            assert!(refused.contains(&path.display().to_string()), "{refused}");
            set(good).unwrap_or_else(|e| panic!("{good:?}: {e}"));
        }
        // A link is as good as what it leads to.
        let link = std::env::temp_dir().join(format!("guestnetd-link-{}", std::process::id()));
        symlink(&top, &link).unwrap();
        prepare(&link.join("state"), 0o700).unwrap();
        mode(&top, 0o777);
        assert!(prepare(&link.join("state"), 0o700).is_err());
        fs::remove_file(link).unwrap();
        fs::remove_dir_all(top).unwrap();
    }
}

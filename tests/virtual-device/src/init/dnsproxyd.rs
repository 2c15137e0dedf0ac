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

//! netd's resolver where netd has it, open to whom it is open there.

use std::fs::{self, Permissions};
use std::os::unix::fs::{chown, PermissionsExt};
use std::path::Path;
use std::process::Command;

use guestnet_tests::netd::Dnsproxyd;

/// AID_INET
const INET: u32 = 3003;

/// As netd.rc says: `socket dnsproxyd stream 0660 root inet`. To SELinux the socket is netd's, and so who
/// connects to it meets netd's domain.
pub fn start() -> Dnsproxyd {
    let path = Path::new("/dev/socket/dnsproxyd");
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder for it");
    let selinux = Path::new("/sys/fs/selinux/enforce").exists();
    let sockets_are = |context: &str| {
        if selinux {
            fs::write("/proc/thread-self/attr/sockcreate", context).expect("a label for sockets");
        }
    };
    sockets_are("u:r:netd:s0");
    let resolver = Dnsproxyd::start(path);
    // As the process is, again.
    sockets_are("\n");
    if selinux {
        let label = Command::new("chcon").arg("u:object_r:dnsproxyd_socket:s0").arg(path).status();
        assert!(label.expect("chcon").success(), "a label for the file");
    }
    chown(path, Some(0), Some(INET)).expect("chown");
    fs::set_permissions(path, Permissions::from_mode(0o660)).expect("chmod");
    resolver
}

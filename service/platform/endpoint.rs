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

//! Where guestnetd is reached: one text form for the command lines, the log and ServiceInfo.
//! It only names a place; it never opens one.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::PlatformError;

/// The longest socket path that the kernel takes: `sun_path` without its NUL.
const SUN_PATH_MAX: usize = 107;

const UNIX: &str = "unix://";
const KERNEL: &str = "binder://";

/// Where guestnetd is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// RPC Binder on the Unix socket of this absolute path: `unix:///run/guestnet/guestnet.sock`.
    Unix(PathBuf),
    /// The kernel's Binder driver and its service manager: `binder://`.
    Kernel,
}

impl Endpoint {
    /// What is used when nothing is said: the driver on Android, a socket elsewhere.
    pub fn platform_default() -> Self {
        if cfg!(target_os = "android") {
            Self::Kernel
        } else {
            Self::Unix(PathBuf::from("/run/guestnet/guestnet.sock"))
        }
    }
}

impl FromStr for Endpoint {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let bad = |why| Err(PlatformError::BadEndpoint { text: text.to_owned(), why });
        if text == KERNEL {
            return Ok(Self::Kernel);
        }
        if text.starts_with(KERNEL) {
            return bad("binder:// takes nothing after it");
        }
        let Some(path) = text.strip_prefix(UNIX) else {
            return bad("it starts with neither unix:// nor binder://");
        };
        if path.is_empty() {
            return bad("the path is empty");
        }
        let path = Path::new(path);
        if !path.is_absolute() {
            return bad("the path does not start with /");
        }
        if path.as_os_str().as_bytes().contains(&0) {
            return bad("the path holds a NUL");
        }
        if path.as_os_str().len() > SUN_PATH_MAX {
            return bad("the path is longer than the 107 bytes that a socket's may have");
        }
        if path.file_name().is_none() || path.as_os_str().as_bytes().ends_with(b"/") {
            return bad("the path names a directory");
        }
        Ok(Self::Unix(path.to_owned()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
            Self::Kernel => f.write_str(KERNEL),
        }
    }
}

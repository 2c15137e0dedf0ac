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

//! Which programs `iptables` and `ip6tables` are. Never takes one whose rules could not be read back.

use super::programs::Programs;
use crate::effects::firewall::FirewallError;
use std::path::{Path, PathBuf};

/// Where they are on Linux, and how the ones are called that are taken before the plain ones.
const LINUX: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"];
const LEGACY: &str = "-legacy";
/// The same on Android: netd's helper runs iptables for those who may not.
const ANDROID: &str = "/system/bin";
const WRAPPER: &str = "-wrapper-1.0";

impl Programs {
    /// Finds them on Linux: the preferred ones, else `iptables` unless it says that it is the variant
    /// over nf_tables.
    pub fn find() -> Result<Self, FirewallError> {
        let find = |name: &str| {
            let found = |name: &str| {
                let paths = LINUX.map(|directory| Path::new(directory).join(name));
                paths.into_iter().find(|path| path.is_file())
            };
            if let Some(path) = found(&format!("{name}{LEGACY}")) {
                return Ok(path);
            }
            let path = found(name).ok_or_else(|| none(format!("there is no program {name}")))?;
            match Self::version(&path) {
                Ok(_) => readable(path),
                Err(e) if e.is_stuck() => Err(e),
                Err(e) => Err(none(format!("{} does not run: {e}", path.display()))),
            }
        };
        Ok(Self { v4: find("iptables")?, v6: find("ip6tables")? })
    }

    /// Those that are meant by the path of the one for IPv4: the other is beside it.
    pub fn at(v4: &Path) -> Result<Self, FirewallError> {
        let bad = |what: &str| none(format!("--iptables {}: {what}", v4.display()));
        let name = v4.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !v4.is_absolute() || !name.contains("iptables") {
            return Err(bad("give the absolute path of a program that is called iptables"));
        }
        let v6 = v4.with_file_name(name.replacen("iptables", "ip6tables", 1));
        for path in [v4, &v6] {
            if !path.is_file() {
                return Err(bad(&format!("there is no program {}", path.display())));
            }
        }
        Ok(Self { v4: readable(v4.to_owned())?, v6: readable(v6)? })
    }

    /// Those that may do, the preferred ones first. At least one.
    pub(super) fn candidates(asked_for: Option<&Path>) -> Result<Vec<Self>, FirewallError> {
        if let Some(path) = asked_for {
            return Ok(vec![Self::at(path)?]);
        }
        if !cfg!(target_os = "android") {
            return Ok(vec![Self::find()?]);
        }
        let path = |suffix| Path::new(ANDROID).join(format!("iptables{suffix}"));
        let paths = [path(WRAPPER), path("")];
        let there: Vec<_> = paths.iter().filter_map(|path| Self::at(path).ok()).collect();
        if there.is_empty() {
            let [helper, plain] = paths.map(|path| path.display().to_string());
            return Err(none(format!(
                "there is neither {helper} nor {plain}, each with its ip6tables: run where they are, \
                 or use --iptables PATH"
            )));
        }
        Ok(there)
    }
}

/// The program, unless it says that it writes to nf_tables: getsockopt does not read that. Netd's
/// helper is not asked: it would log that it refuses to say so.
fn readable(path: PathBuf) -> Result<PathBuf, FirewallError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.contains(WRAPPER) {
        return Ok(path);
    }
    match Programs::version(&path) {
        Ok(version) if version.contains("nf_tables") => {}
        // Which of both it is cannot be told now.
        Err(e) if e.is_stuck() => return Err(e),
        _ => return Ok(path),
    }
    let plain = name.split('-').next().unwrap_or_default();
    Err(none(format!(
        "{} writes to nf_tables: install {plain}-legacy, or use --firewall nftables",
        path.display()
    )))
}

fn none(why: String) -> FirewallError {
    FirewallError::Unavailable(why)
}

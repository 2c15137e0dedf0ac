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

//! What attach would do.

use super::table::{Align::Left, Align::Right, Table};
use crate::names::Name;
use android_system_guestnet::aidl::android::system::guestnet::Change::Change;

/// Numbered changes, each with the command that would do the same.
pub fn text(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "nothing to do\n".to_owned();
    }
    let mut table = Table::new([Right, Left, Left, Left]);
    for (i, change) in changes.iter().enumerate() {
        let number = (i + 1).to_string();
        table.row([number, change.place.name(), change.kind.name(), change.what.clone()]);
    }
    let indent = " ".repeat(changes.len().to_string().len() + 2);
    let commands = changes.iter().map(|change| match change.command.as_str() {
        "" => String::new(),
        command => format!("{indent}$ {command}\n"),
    });
    table.lines().iter().zip(commands).map(|(line, command)| format!("{line}\n{command}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn numbered_and_placed() {
        assert_eq!(
            text(&samples::changes()),
            "\
1  device  set  IPv4 forwarding
   $ sysctl -w net.ipv4.ip_forward=1
2  guest   add  default route via 172.17.3.2
   $ ip route add default via 172.17.3.2 dev wlan0
3  device  add  alias guestnet:demo
"
        );
        assert_eq!(text(&[]), "nothing to do\n");
    }
}

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

//! guestnetd's file once more: what has changed, what has not and why.

use crate::exit::Failure;
use crate::output::Output;
use android_system_guestnet::aidl::android::system::guestnet::{
    IGuestNet::IGuestNet, Reloaded::Reloaded,
};
use serde_json::{json, Value};

/// Asks, and says what came of it.
pub fn run(guestnet: &dyn IGuestNet, output: &Output) -> Result<(), Failure> {
    let reloaded = guestnet.reload()?;
    output.answer(|| document(&reloaded), || text(&reloaded))
}

fn document(reloaded: &Reloaded) -> Value {
    json!({
        "path": reloaded.path,
        "changed": reloaded.changed,
        "need_restart": reloaded.needRestart,
        "unchanged_guests": reloaded.unchangedGuests,
    })
}

fn text(reloaded: &Reloaded) -> String {
    let mut text = match reloaded.changed.as_slice() {
        [] => format!("{}: nothing has changed\n", reloaded.path),
        changed => format!("{}: changed: {}\n", reloaded.path, changed.join(", ")),
    };
    if !reloaded.needRestart.is_empty() {
        text += &format!("needs a restart: {}\n", reloaded.needRestart.join(", "));
    }
    for guest in &reloaded.unchangedGuests {
        text += &format!(
            "{guest} stays as it is until it is attached again, or: guestnetctl update {guest} --section\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_came_of_it_is_said() {
        let nothing = Reloaded { path: "/etc/x.toml".to_owned(), ..Reloaded::default() };
        assert_eq!(text(&nothing), "/etc/x.toml: nothing has changed\n");
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let all = Reloaded {
            changed: words("uplink guest.web"),
            needRestart: words("listen state-dir"),
            unchangedGuests: words("web"),
            ..nothing
        };
        let expected = "\
/etc/x.toml: changed: uplink, guest.web
needs a restart: listen, state-dir
web stays as it is until it is attached again, or: guestnetctl update web --section
";
        assert_eq!(text(&all), expected);
        assert_eq!(document(&all)["need_restart"], json!(["listen", "state-dir"]));
    }
}

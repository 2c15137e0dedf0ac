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

//! The resolvers of an uplink, for people.

/// What is used for it from now on.
pub fn text(uplink: &str, servers: &[String]) -> String {
    match servers {
        [] => format!("{uplink}: no resolvers are named; guestnetd uses what it finds\n"),
        [one] => format!("{uplink}: resolver {one}\n"),
        [first, rest @ ..] => {
            format!("{uplink}: resolver {first}; also named {}\n", rest.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn none_one_and_more() {
        let text = |servers: &str| {
            let servers: Vec<_> = servers.split_whitespace().map(str::to_owned).collect();
            super::text("wlan0", &servers)
        };
        assert_eq!(text(""), "wlan0: no resolvers are named; guestnetd uses what it finds\n");
        assert_eq!(text("9.9.9.9"), "wlan0: resolver 9.9.9.9\n");
        assert_eq!(
            text("9.9.9.9 1.1.1.1 8.8.8.8"),
            "wlan0: resolver 9.9.9.9; also named 1.1.1.1, 8.8.8.8\n"
        );
    }
}

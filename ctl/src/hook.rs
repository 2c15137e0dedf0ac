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

//! What LXC says to a hook, in both of its ways. Pure: `lxc.rs` does what is asked.
//!
//! lxc.hook.version 0 appends arguments: the container's name, the section "lxc", the hook's type
//! and, for some hooks, more. Version 1 sets LXC_HOOK_TYPE and LXC_HOOK_SECTION. LXC_NAME,
//! LXC_PID and LXC_HOOK_VERSION are there with both.

/// What is to be done.
#[derive(Debug, Eq, PartialEq)]
pub enum Hook {
    /// The container is set up and its init has not run yet.
    StartHost {
        /// The container.
        name: String,
        /// Its init.
        pid: i32,
    },
    /// The container has ended.
    PostStop {
        /// The container.
        name: String,
    },
}

/// Reads what LXC passed: `args` follow our own options, `env` looks a variable up.
pub fn parse(args: &[String], env: impl Fn(&str) -> Option<String>) -> Result<Hook, String> {
    // A variable of an outer container's hook may still be set: LXC_HOOK_VERSION decides, and
    // where an old LXC does not set it, arguments do.
    let by_arguments = match env("LXC_HOOK_VERSION").as_deref() {
        Some("1") => false,
        Some("0") => true,
        Some(other) => return Err(format!("lxc.hook.version {other} is not known; use 0 or 1")),
        None => !args.is_empty(),
    };
    let get = |key: &str| {
        env(key).filter(|value| !value.is_empty()).ok_or_else(|| {
            format!("{key} is not set: this command is for LXC to run, as --help shows")
        })
    };
    let (name, section, kind) = if by_arguments {
        match args {
            [name, section, kind, ..] => (name.clone(), section.clone(), kind.clone()),
            _ => return Err("LXC's arguments are missing: NAME lxc TYPE".to_owned()),
        }
    } else {
        (get("LXC_NAME")?, get("LXC_HOOK_SECTION")?, get("LXC_HOOK_TYPE")?)
    };
    if section != "lxc" {
        return Err(format!("use lxc.hook.*: this is a hook of section {section}"));
    }
    match kind.as_str() {
        "start-host" => {
            let pid = get("LXC_PID")?;
            let pid = pid.parse().map_err(|_| format!("LXC_PID is not a pid: {pid}"))?;
            Ok(Hook::StartHost { name, pid })
        }
        "post-stop" => Ok(Hook::PostStop { name }),
        _ => Err(format!("lxc.hook.{kind} is not for guestnetctl; use start-host and post-stop")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &str, env: &[(&str, &str)]) -> Result<Hook, String> {
        let args: Vec<_> = args.split_whitespace().map(str::to_owned).collect();
        parse(&args, |key| env.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned()))
    }

    fn start(name: &str, pid: i32) -> Result<Hook, String> {
        Ok(Hook::StartHost { name: name.to_owned(), pid })
    }

    fn stop(name: &str) -> Result<Hook, String> {
        Ok(Hook::PostStop { name: name.to_owned() })
    }

    #[test]
    fn version_0_is_arguments() {
        let env = [("LXC_HOOK_VERSION", "0"), ("LXC_NAME", "web"), ("LXC_PID", "42")];
        assert_eq!(run("web lxc start-host", &env), start("web", 42));
        assert_eq!(run("web lxc post-stop", &env), stop("web"));
        assert_eq!(run("web lxc start-host mnt:/proc/1/fd/3 extra", &env), start("web", 42));
        // An LXC that does not tell its version.
        assert_eq!(run("web lxc start-host", &[("LXC_PID", "42")]), start("web", 42));
    }

    #[test]
    fn version_1_is_the_environment() {
        let env = |kind| {
            [
                ("LXC_HOOK_VERSION", "1"),
                ("LXC_NAME", "web"),
                ("LXC_HOOK_SECTION", "lxc"),
                ("LXC_HOOK_TYPE", kind),
                ("LXC_PID", "42"),
            ]
        };
        assert_eq!(run("", &env("start-host")), start("web", 42));
        assert_eq!(run("", &env("post-stop")), stop("web"));
        assert_eq!(run("", &env("start-host")[1..]), start("web", 42));
    }

    #[test]
    fn a_hook_within_a_hook_is_not_mistaken() {
        let env = [
            ("LXC_HOOK_VERSION", "0"),
            ("LXC_HOOK_TYPE", "post-stop"),
            ("LXC_HOOK_SECTION", "lxc"),
            ("LXC_NAME", "web"),
            ("LXC_PID", "42"),
        ];
        assert_eq!(run("web lxc start-host", &env), start("web", 42));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let env = [("LXC_HOOK_VERSION", "1"), ("LXC_NAME", "web"), ("LXC_HOOK_SECTION", "lxc")];
        for (args, env, message) in [
            ("", &[][..], "LXC_NAME is not set: this command is for LXC to run, as --help shows"),
            ("", &env, "LXC_HOOK_TYPE is not set: this command is for LXC to run, as --help shows"),
            ("web lxc", &[], "LXC's arguments are missing: NAME lxc TYPE"),
            ("", &[("LXC_HOOK_VERSION", "0")], "LXC's arguments are missing: NAME lxc TYPE"),
            ("", &[("LXC_HOOK_VERSION", "2")], "lxc.hook.version 2 is not known; use 0 or 1"),
            ("web net up", &[], "use lxc.hook.*: this is a hook of section net"),
            (
                "web lxc start-host",
                &[],
                "LXC_PID is not set: this command is for LXC to run, as --help shows",
            ),
            ("web lxc start-host", &[("LXC_PID", "x")], "LXC_PID is not a pid: x"),
            (
                "web lxc mount",
                &[],
                "lxc.hook.mount is not for guestnetctl; use start-host and post-stop",
            ),
        ] {
            assert_eq!(run(args, env), Err(message.to_owned()));
        }
    }
}

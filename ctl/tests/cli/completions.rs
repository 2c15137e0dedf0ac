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

//! Completions in the shells themselves: what is offered is what is there now.

use crate::stub::{guestnetctl, Said, Stub};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The scripts where packages put them.
fn installed() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (shell, file) in
        [("bash", "guestnetctl"), ("zsh", "_guestnetctl"), ("fish", "guestnetctl.fish")]
    {
        let said: Said = guestnetctl(&format!("completions {shell}")).output().unwrap().into();
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
        std::fs::write(directory.path().join(file), said.out).unwrap();
    }
    directory
}

/// What a shell says: `$SCRIPTS` is where the scripts are, guestnetctl is in its path and talks to the stub.
fn shell(stub: &Stub, program: &[&str], text: &str) -> String {
    let scripts = installed();
    let programs = Path::new(env!("CARGO_BIN_EXE_guestnetctl")).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let mut command = Command::new("timeout");
    command.arg("30").args(program).arg(text).env("PATH", path).env("TERM", "dumb");
    command
        .env("HOME", scripts.path())
        .env("SCRIPTS", scripts.path())
        .env("GUESTNET_URI", &stub.uri);
    let out = command.output().unwrap();
    let said: Said = out.into();
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    said.out
}

/// A network namespace's name that `ip netns` lists, while this is there.
struct Namespace(String);

impl Namespace {
    fn new() -> Self {
        let name = format!("gnt-{}-completed", std::process::id());
        std::fs::create_dir_all("/run/netns").unwrap();
        std::fs::write(Path::new("/run/netns").join(&name), "").unwrap();
        Self(name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(Path::new("/run/netns").join(&self.0));
    }
}

#[test]
fn bash_completes_what_is_there() {
    let stub = Stub::start();
    let namespace = Namespace::new();
    let offered = |line: &str| {
        let text = format!(
            ". $SCRIPTS/guestnetctl
            COMP_LINE='{line}' COMP_POINT=${{#COMP_LINE}} COMP_TYPE=9
            COMP_WORDS=({line}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
            [[ $COMP_LINE != *' ' ]] || {{ COMP_WORDS+=(''); COMP_CWORD=$((COMP_CWORD + 1)); }}
            _clap_complete_guestnetctl guestnetctl \"${{COMP_WORDS[COMP_CWORD]}}\" \"\" || exit
            printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        shell(&stub, &["bash", "--norc", "-c"], &text)
    };
    for command in ["detach", "show", "status", "doctor", "update", "repair", "rm"] {
        let said = offered(&format!("guestnetctl {command} "));
        assert_eq!(words(&said), ["a", "waiting"], "{command}");
    }
    assert_eq!(words(&offered("guestnetctl show w")), ["waiting"]);
    assert_eq!(words(&offered("guestnetctl lis")), ["list"]);
    let spaces = offered("guestnetctl attach a --netns ");
    assert!(words(&spaces).contains(&namespace.0.as_str()), "{spaces}");
    // Every machine has some interface, or a container with lo alone.
    let uplinks = offered("guestnetctl dns ");
    assert_eq!(words(&uplinks), interfaces(), "{uplinks}");
    assert!(words(&offered("guestnetctl attach a --vpn ")).starts_with(&["block", "follow"]));
    assert_eq!(offered("guestnetctl attach a --li").trim(), "--lifeline");
    // Hidden ones are for who packs it.
    let commands = offered("guestnetctl ");
    assert!(words(&commands).contains(&"attach") && !words(&commands).contains(&"man"));
    // guestnetd is away: nothing is said, and what needs none is offered.
    let away =
        format!("guestnetctl --connect unix://{}/none detach ", std::env::temp_dir().display());
    let said = offered(&away);
    assert!(!said.contains("waiting") && !said.contains("cannot"), "{said}");
}

/// What is offered, but for options.
fn words(said: &str) -> Vec<&str> {
    said.lines().filter(|word| !word.is_empty() && !word.starts_with("--")).collect()
}

fn interfaces() -> Vec<String> {
    let files = std::fs::read_dir("/sys/class/net").unwrap().flatten();
    let mut names: Vec<_> = files.map(|file| file.file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "lo" && name != "bonding_masters");
    names.sort();
    names
}

#[test]
fn fish_completes_guests() {
    let stub = Stub::start();
    let text = ". $SCRIPTS/guestnetctl.fish; complete -C 'guestnetctl detach '";
    let said = shell(&stub, &["fish", "--no-config", "-c"], text);
    assert!(said.lines().any(|line| line == "a") && said.contains("waiting"), "{said}");
}

/// As a user has it: the file is found in fpath, and its first question is answered, too.
#[test]
fn zsh_completes_guests() {
    let stub = Stub::start();
    let text = r#"
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1=; fpath=($SCRIPTS $fpath); autoload -Uz compinit; compinit -u -D; print re""ady'
zpty -r shell said '*ready*'
zpty -w -n shell $'print guestnetctl detach d\C-a\C-[[3~	'
zpty -w -n shell $'\C-u'
zpty -w -n shell $'guestnetctl detach wai	'
zpty -r shell said '*waiting*'
zpty -d shell
print -r -- ${said[-30,-1]}
"#;
    let said = shell(&stub, &["zsh", "-f", "-c"], text);
    assert!(said.contains("waiting"), "{said:?}");
}

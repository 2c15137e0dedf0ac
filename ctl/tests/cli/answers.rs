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

//! What succeeds: text, documents, and what guestnetd was asked.

use crate::stub::{guestnetctl, Said, Stub, DUMP_LINES};
use std::process::Command;

const DEMO: &str = "demo: wlan0 172.17.3.3/16 behind vm_wlan, default via 172.17.3.2 (900 us)\n";

fn own_pid() -> u32 {
    std::process::id()
}

#[test]
fn attach_says_what_was_done_and_who_answers_for_names() {
    let stub = Stub::start();
    let said = stub.run(&format!("attach --name demo --pid {}", own_pid()));
    let text = format!("{DEMO}{NAMES}");
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (Some(0), text.as_str(), ""));
    let said = stub.run(&format!("attach --name demo --pid {} --timeline", own_pid()));
    assert_eq!(said.code, Some(0));
    let bar = "█".repeat(32);
    assert_eq!(said.out, format!("{DEMO}  0 us  +900 us  create the link  {bar}\n{NAMES}"));
}

/// What a guest has to do for names.
const NAMES: &str = "names: the guest's resolv.conf has to say: nameserver 172.17.3.2\n";

#[test]
fn a_guests_resolv_conf_is_written_where_it_may_be() {
    let stub = Stub::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().canonicalize().unwrap().join("resolv.conf");
    let attach = format!("attach --name demo --pid {} --resolv-conf {}", own_pid(), file.display());
    let said = stub.run(&attach);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert_eq!(said.out, format!("{DEMO}names: {} says nameserver 172.17.3.2\n", file.display()));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.ends_with("\nnameserver 172.17.3.2\n"), "{text}");
    let document = stub.run(&format!("{attach} --json")).json();
    assert_eq!(document["resolv_conf"]["written"], true);
    assert_eq!(document["nameserver"], "172.17.3.2");
    // Somebody else's stays; the guest is attached all the same.
    std::fs::write(&file, "nameserver 9.9.9.9\n").unwrap();
    let said = stub.run(&attach);
    assert_eq!((said.code, said.out.as_str()), (Some(0), DEMO));
    assert!(said.err.contains("is left as it is: it is not of guestnetctl's making"), "{said:?}");
    assert!(said.err.ends_with("nameserver 172.17.3.2\n"), "{said:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "nameserver 9.9.9.9\n");
    // This process has the device's own root.
    let said = stub.run(&format!("attach --name demo --pid {} --resolv-conf auto", own_pid()));
    assert_eq!(said.code, Some(0));
    assert!(said.err.contains("/etc/resolv.conf is left as it is"), "{said:?}");
    stub.calls();
    let said = stub.run("attach --name demo --netns /proc/self/ns/net --resolv-conf auto");
    assert_eq!(said.code, Some(3));
    assert_eq!(stub.calls(), [""; 0], "nothing is attached that cannot be done whole");
}

#[test]
fn a_pid_goes_as_a_pidfd_and_a_path_as_a_netns() {
    let stub = Stub::start();
    let pid = own_pid();
    stub.run(&format!("attach --name demo --pid {pid}"));
    let calls = stub.calls();
    assert_eq!(calls.len(), 1);
    assert!(calls[0].starts_with("attach demo any pidfd "), "{calls:?}");
    assert!(calls[0].ends_with(&format!(" {pid}")), "{calls:?}");
    stub.run("attach --name demo --netns /proc/self/ns/net --address 172.17.9.9");
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert_eq!(stub.calls(), [format!("attach demo 172.17.9.9 netns {}", own.display())]);
    // guestnetd has the words for these.
    stub.run("plan --name demo --pid 0");
    stub.run("plan --name demo --pid -7");
    assert_eq!(stub.calls(), ["plan demo pid 0", "plan demo pid -7"]);
}

#[test]
fn without_an_uplink_it_is_attached_and_told() {
    let stub = Stub::start();
    for json in ["", " --json"] {
        let said = stub.run(&format!("attach --name waiting --pid {}{json}", own_pid()));
        assert_eq!(said.code, Some(10));
        assert_eq!(
            said.err,
            "guestnetctl: no interface wlan0: the default route leaves via eth0; \
             start guestnetd with --uplink eth0\n"
        );
        if json.is_empty() {
            assert_eq!(said.out, DEMO.replace("demo", "waiting") + NAMES);
        } else {
            let document = said.json();
            assert_eq!(document["guest"]["state"], "waiting_for_uplink");
            assert_eq!(document["reason"]["cause"], "uplink_missing");
            assert_eq!(
                format!("guestnetctl: {}\n", document["advice"].as_str().unwrap()),
                said.err
            );
        }
    }
}

#[test]
fn every_command_has_a_document() {
    let stub = Stub::start();
    let target = "--name demo --netns /proc/self/ns/net";
    for (args, pointer, value) in [
        (format!("attach {target}"), "/guest/address", "172.17.3.3"),
        ("update demo --mtu 1400".to_owned(), "/guest/name", "demo"),
        ("repair demo".to_owned(), "/guest/name", "demo"),
        ("detach demo".to_owned(), "/name", "demo"),
        ("list".to_owned(), "/1/state", "waiting_for_uplink"),
        ("show demo".to_owned(), "/host_interface", "vm_wlan"),
        (format!("plan {target}"), "/0/command", "ip link add vm_wlan"),
        (format!("check {target}"), "/layers/0/state", "ok"),
        ("status".to_owned(), "/uplink/default_route_interface", "eth0"),
        ("status demo".to_owned(), "/guests/0/guest/name", "demo"),
        ("status demo".to_owned(), "/guests/0/internet", "yes"),
        ("dns wlan0 192.0.2.53".to_owned(), "/dns_servers/0", "192.0.2.53"),
        ("dns".to_owned(), "/uplink", "wlan0"),
        ("dns".to_owned(), "/guests/0/dns_mode", "dnat"),
        ("graph".to_owned(), "/format", "svg"),
        ("uplink-info wlan0 --metered".to_owned(), "/uplink", "wlan0"),
        ("info".to_owned(), "/version", "9.9.9"),
    ] {
        let said = stub.run(&format!("--json {args}"));
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{args}");
        assert_eq!(said.json().pointer(pointer).unwrap(), value, "{args}");
    }
    assert_eq!(stub.run("--json detach --all").json()["guests"], 3);
    let dump = stub.run("dump --json").json();
    assert_eq!(dump["dump"].as_str().unwrap().lines().count(), DUMP_LINES);
}

#[test]
fn an_update_asks_for_what_the_guest_has_but_for_what_is_given() {
    let stub = Stub::start();
    for (args, exit, asked) in [
        (
            "update tunnelled --mtu uplink",
            10,
            "mtu: -1, vpnPolicy: VpnPolicy(1), uplink: Some(\"tun0\")",
        ),
        ("update demo --mtu 1400", 0, "mtu: 1400, vpnPolicy: VpnPolicy(0), uplink: None"),
        ("update demo --vpn block", 0, "mtu: -1, vpnPolicy: VpnPolicy(2), uplink: None"),
        ("update demo --no-uplink", 0, "mtu: -1, vpnPolicy: VpnPolicy(3), uplink: None"),
        ("update demo --address 172.17.3.9", 0, "172.17.3.9"),
    ] {
        let said = stub.run(args);
        assert_eq!(said.code, Some(exit), "{said:?}");
        let calls = stub.calls();
        assert!(calls.iter().any(|c| c.starts_with("update ") && c.contains(asked)), "{calls:?}");
    }
    assert_eq!(stub.run("update gone --mtu 1400").code, Some(4));
    assert_eq!(stub.run("update demo").code, Some(2));
}

/// A status waits for resolvers that do not answer.
#[test]
fn a_list_asks_for_no_status() {
    let stub = Stub::start();
    for args in ["list", "--json list"] {
        assert_eq!(stub.run(args).code, Some(0));
        assert_eq!(stub.calls(), Vec::<String>::new(), "{args}");
    }
    assert_eq!(stub.run("status demo").code, Some(0));
    assert_eq!(stub.calls(), ["status demo"]);
}

#[test]
fn every_command_has_text_for_people() {
    let stub = Stub::start();
    let target = "--name demo --netns /proc/self/ns/net";
    for (args, part) in [
        ("detach demo".to_owned(), "demo: detached\n"),
        ("detach --all".to_owned(), "3 guests detached\n"),
        ("list".to_owned(), "waiting  waiting for uplink  wlan0"),
        ("status demo".to_owned(), "\nguestnetd's rules have dropped 7 packets of guests\n"),
        ("show demo".to_owned(), "address      172.17.3.3/16\n"),
        (format!("plan {target}"), "\n   $ ip link add vm_wlan\n"),
        (format!("check {target}"), "  ok    link        as read\n"),
        ("status".to_owned(), "a: internet via wlan0\n"),
        ("status".to_owned(), "\n  ok    link        as read\n"),
        ("dns wlan0 192.0.2.53".to_owned(), "wlan0: resolver 192.0.2.53\n"),
        (
            "dns".to_owned(),
            "wlan0: no resolver is known\nnamed for tun0: 9.9.9.9\na: 9.9.9.9, led there on the way (dnat)\n",
        ),
        ("uplink-info wlan0 --metered".to_owned(), "wlan0: metered, no captive portal, valid"),
        ("info".to_owned(), "guestnetd    9.9.9\n"),
        ("dump".to_owned(), "line 0\nline 1\n"),
        ("graph".to_owned(), "</svg>\n"),
        ("graph --svg".to_owned(), "waiting\n</text>"),
        ("graph --dot".to_owned(), "\n  \"guest a\" -> \"host vm_wlan\" "),
    ] {
        let said = stub.run(&args);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{args}");
        assert!(said.out.contains(part), "{args}: {}", said.out);
        assert!(!said.out.contains('\x1b'), "{args}: colour without a terminal");
    }
}

#[test]
fn forty_columns_are_enough_and_the_c_locale_has_ascii() {
    let stub = Stub::start();
    let target = format!("--pid {}", own_pid());
    for args in [
        format!("attach demo {target} --timeline"),
        format!("plan demo {target}"),
        format!("check waiting {target}"),
        "list".to_owned(),
        "show demo".to_owned(),
        "status waiting".to_owned(),
        "doctor demo".to_owned(),
        "dns".to_owned(),
        "info".to_owned(),
    ] {
        let mut command = stub.command(&args);
        let said: Said = command.env("COLUMNS", "40").env("LC_ALL", "C").output().unwrap().into();
        assert!(said.out.is_ascii(), "{args}: {said:?}");
        // A word that is wider stays whole: it is to be copied.
        let fits = |line: &str| line.chars().count() <= 40 || line.split_whitespace().count() == 1;
        assert!(said.out.lines().all(fits), "{args}:\n{}", said.out);
    }
    for command in ["attach", "status", "doctor", "lxc-hook"] {
        let mut help = guestnetctl(&format!("{command} --help"));
        let said: Said = help.env("COLUMNS", "80").output().unwrap().into();
        // But for the usage, which clap keeps in one, and a word that is wider.
        let mut lines = said.out.lines().filter(|line| !line.starts_with("Usage: "));
        let is_a_word = |line: &str| line.split_whitespace().count() == 1;
        let fits = lines.all(|line| line.chars().count() <= 80 || is_a_word(line));
        assert!(fits && said.out.lines().count() > 20, "{command}:\n{}", said.out);
    }
    // Who reads it by a program has all columns.
    assert!(stub.run("list").out.lines().next().unwrap().ends_with("  MAC"));
}

#[test]
fn what_is_asked_for_arrives() {
    let stub = Stub::start();
    let options = "--interface eth7 --address 10.9.0.7 --gateway 10.9.0.1 --prefix 24 --mtu 1400";
    let args = format!("--json plan --name demo --netns /proc/self/ns/net {options}");
    let asked = stub.run(&args).json()[0]["what"].as_str().unwrap().to_owned();
    for part in ["\"demo\"", "\"eth7\"", "[\"10.9.0.7\"]", "\"10.9.0.1\"", ": 24", ": 1400"] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
}

#[test]
fn check_tells_a_script() {
    let stub = Stub::start();
    for (name, code) in [("demo", 0), ("waiting", 10), ("bad-layer", 5)] {
        let said = stub.run(&format!("check --name {name} --netns /proc/self/ns/net"));
        assert_eq!(said.code, Some(code), "{said:?}");
    }
}

#[test]
fn status_tells_a_person_in_the_first_line_and_a_script_by_its_exit_code() {
    let stub = Stub::start();
    let waiting = "waiting: no internet: link: no interface wlan0: the default route leaves via";
    for (name, code, cause, verdict) in [
        ("demo", 0, None, "demo: internet via wlan0"),
        ("waiting", 10, Some("uplink_missing"), waiting),
        ("bad-layer", 5, Some("link_down"), "bad-layer: no internet: link: vm_wlan is down"),
        (
            "unread",
            0,
            Some("unreadable"),
            "unread: internet via wlan0 is unsure: link: cannot be read: EPERM",
        ),
        ("tunnelled", 10, Some("tun_missing"), "tunnelled: no internet: link: no interface tun0"),
    ] {
        let said = stub.run(&format!("status {name}"));
        assert_eq!((said.code, said.err.as_str()), (Some(code), ""), "{said:?}");
        assert_eq!(said.out.lines().next(), Some(verdict));
        let said = stub.run(&format!("status {name} --json"));
        assert_eq!(said.code, Some(code), "{said:?}");
        let guest = &said.json()["guests"][0];
        assert_eq!(guest["cause"].as_str(), cause.map(|_| "link"), "{said:?}");
        assert_eq!(guest["reason"]["cause"].as_str(), cause, "{said:?}");
    }
}

#[test]
fn resolvers_arrive_in_order_and_none_forgets_them() {
    let stub = Stub::start();
    for (args, call, text) in [
        ("dns lo 9.9.9.9 1.1.1.1", r#"setDns lo ["9.9.9.9", "1.1.1.1"]"#, "also named 1.1.1.1"),
        ("dns lo", "setDns lo []", "lo: no resolvers are named"),
    ] {
        let said = stub.run(args);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{args}");
        assert!(said.out.contains(text), "{said:?}");
        assert_eq!(stub.calls(), [call]);
    }
    // What is no address is for guestnetd to say.
    let said = stub.run("dns bad ::1 --json");
    assert_eq!(said.code, Some(3));
    assert_eq!(said.json()["error"]["code"], 100);
}

#[test]
fn what_is_known_of_an_uplink_arrives() {
    let stub = Stub::start();
    for (args, call) in [
        ("--metered", "true None true"),
        ("--captive-portal http://a.test/ --not-validated", "false Some(\"http://a.test/\") false"),
        ("", "false None true"),
    ] {
        let said = stub.run(&format!("uplink-info lo {args}"));
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{args}");
        assert_eq!(stub.calls(), [format!("setUplinkInfo lo {call}")]);
    }
    assert_eq!(stub.run("uplink-info bad").code, Some(3));
}

#[test]
fn what_is_known_of_the_device_arrives() {
    let stub = Stub::start();
    for (args, idle, text) in
        [("--idle", true, "the device is idle: "), ("", false, "the device is in use: ")]
    {
        let said = stub.run(&format!("device-state {args}"));
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{args}");
        assert!(said.out.starts_with(text), "{said:?}");
        assert_eq!(stub.calls(), [format!("setDeviceState {idle}")]);
        assert_eq!(stub.run(&format!("device-state {args} --json")).json()["idle"], idle);
        stub.calls();
    }
}

#[test]
fn an_uplink_that_is_not_there_is_done_and_doubted() {
    let stub = Stub::start();
    for args in ["dns wlna0 192.0.2.53", "uplink-info wlna0 --metered"] {
        let said = stub.run(args);
        assert_eq!(said.code, Some(0), "{said:?}");
        let doubt = "guestnetctl: there is no interface wlna0 now, and guests leave by wlan0";
        assert!(said.err.starts_with(doubt), "{said:?}");
        assert_eq!(stub.calls().len(), 2);
        // One that is there may become the uplink.
        let said = stub.run(&args.replace("wlna0", "lo"));
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
        stub.calls();
    }
}

#[test]
fn a_vpn_policy_arrives() {
    let stub = Stub::start();
    for (vpn, policy, tun) in [
        ("", "VpnPolicy(0)", "uplink: None"),
        ("--vpn follow", "VpnPolicy(0)", "uplink: None"),
        ("--vpn tun:tun0", "VpnPolicy(1)", "uplink: Some(\"tun0\")"),
        ("--vpn block", "VpnPolicy(2)", "uplink: None"),
        ("--no-uplink", "VpnPolicy(3)", "uplink: None"),
    ] {
        let said = stub.run(&format!("plan --json --name demo --netns /proc/self/ns/net {vpn}"));
        let asked = said.json()[0]["what"].as_str().unwrap().to_owned();
        assert!(asked.contains(policy) && asked.contains(tun), "{vpn}: {asked}");
    }
}

#[test]
fn a_guest_has_a_policy_for_its_uplink_or_no_uplink() {
    let stub = Stub::start();
    for words in [
        "plan --name demo --netns /proc/self/ns/net --vpn block --no-uplink",
        "update demo --no-uplink --vpn follow",
    ] {
        let said = stub.run(words);
        assert_eq!(said.code, Some(2), "{words}");
        assert!(said.err.contains("cannot be used with"), "{}", said.err);
    }
    let said = stub.run("update demo --vpn none");
    assert!(said.err.contains("use follow, tun:NAME"), "{}", said.err);
}

#[test]
fn a_guest_that_waits_for_its_own_way_out_is_told_so() {
    let said = Stub::start().run("attach --name tunnelled --netns /proc/self/ns/net");
    assert_eq!(said.code, Some(10));
    assert_eq!(said.err, "guestnetctl: no interface tun0\n");
}

#[test]
fn the_command_line_goes_before_the_environment() {
    let stub = Stub::start();
    let mut command = guestnetctl(&format!("info --connect {}", stub.uri));
    let said: Said = command.env("GUESTNET_URI", "unix:///nonexistent").output().unwrap().into();
    assert_eq!(said.code, Some(0), "{said:?}");
    // Set to nothing is not set: whoever is at the platform's default, it is no wrong endpoint.
    let said: Said = guestnetctl("info").env("GUESTNET_URI", "").output().unwrap().into();
    assert_ne!(said.code, Some(2), "{said:?}");
}

#[test]
fn a_fifo_does_not_hold_us() {
    let stub = Stub::start();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let said = stub.run(&format!("plan --name demo --netns {}", path.display()));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(stub.calls(), [format!("plan demo netns {}", path.display())]);
}

#[test]
fn completions_version_and_help_need_no_guestnetd() {
    for (shell, part) in [
        ("bash", "-F _clap_complete_guestnetctl guestnetctl"),
        ("zsh", "#compdef guestnetctl"),
        ("fish", "--command guestnetctl"),
    ] {
        let said: Said = guestnetctl(&format!("completions {shell}")).output().unwrap().into();
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
        assert!(said.out.contains(part), "{}", said.out);
        if shell == "bash" {
            let parsed = Command::new("bash").args(["-n", "-c", &said.out]).output().unwrap();
            assert!(parsed.status.success() && parsed.stderr.is_empty(), "{parsed:?}");
        }
    }
    let version: Said = guestnetctl("--version").output().unwrap().into();
    let expected = format!("guestnetctl {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((version.code, version.out), (Some(0), expected));
    let help: Said = guestnetctl("--help").output().unwrap().into();
    assert_eq!(help.code, Some(0));
    assert!(help.out.contains("\n  10  attached, but there is no uplink"), "{}", help.out);
}

#[test]
fn manual_pages_are_written_and_groff_has_nothing_to_say() {
    let dir = tempfile::tempdir().unwrap();
    let said: Said = guestnetctl(&format!("man {}", dir.path().display())).output().unwrap().into();
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let pages: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|page| page.unwrap().path()).collect();
    assert!(pages.len() > 15, "{pages:?}");
    let shown = |name: &str| {
        let mut man = Command::new("man");
        man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8"]).arg(dir.path().join(name));
        let said: Said =
            man.envs([("MANWIDTH", "80"), ("LC_ALL", "C.UTF-8")]).output().unwrap().into();
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{name}");
        said.out
    };
    for page in &pages {
        let name = page.file_name().unwrap().to_str().unwrap();
        // Without man and groff the pages are there all the same.
        if Command::new("man").arg("--version").output().is_ok() {
            assert!(!shown(name).is_empty(), "{name}");
        }
    }
    let text = std::fs::read_to_string(dir.path().join("guestnetctl-attach.1")).unwrap();
    for part in
        ["guestnetctl attach", "\\-\\-netns", "\\-\\-connect", "\n  guestnetctl attach demo"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert_eq!(guestnetctl("man /nonexistent").output().unwrap().status.code(), Some(1));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let stub = Stub::start();
    let mut dump = stub.command("dump").stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(dump.stdout.take());
    assert_eq!(dump.wait().unwrap().code(), Some(0));
}

#[test]
fn doctor_asks_for_a_guest_with_its_targets_and_tells_by_its_exit_code() {
    let stub = Stub::start();
    let said = stub.run(
        "doctor demo --probe-target 192.0.2.1 --probe-target 192.0.2.2 --probe-url http://a.test/ \
         --probe-name b.test",
    );
    assert_eq!(said.code, Some(11), "{said:?}");
    let text = "demo: internet, but no names: the resolver 192.0.2.53 does not answer";
    assert!(said.out.starts_with(text), "{said:?}");
    assert_eq!(stub.calls(), ["diagnose demo 192.0.2.1,192.0.2.2 http://a.test/ b.test"]);
    let document = stub.run("--json doctor demo").json();
    assert_eq!(document[0]["cause"], "dns_silent");
    assert_eq!(document[0]["verdict"], "no_names");
    assert_eq!(stub.calls(), ["diagnose demo   "], "the contract's defaults");
    assert_eq!(stub.run("doctor nobody").code, Some(4));
}

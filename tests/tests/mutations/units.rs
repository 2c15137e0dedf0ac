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

//! The reader of traces proves itself on lines that were recorded: it knows what it should know, and
//! what it does not know it never passes over.

use std::collections::BTreeMap;

use crate::catalogue::{complaints, disorder, rows, Row, TEXT};
use crate::changes::{self, Names};
use crate::files::Places;

const BEGIN: &str = r#"7 execve("/usr/bin/guestnetd", ["guestnetd"], 0x7ffe /* 3 vars */) = 0
7 socket(AF_NETLINK, SOCK_DGRAM|SOCK_CLOEXEC, NETLINK_ROUTE) = 8<NETLINK:[31]>
7 socket(AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, NETLINK_NETFILTER) = 9<NETLINK:[32]>
"#;

/// The keys of these lines, after a start of guestnetd.
fn keys(lines: &str) -> Vec<String> {
    let places = Places { state: "/run/guestnet".into(), socket: "/run/guestnet/s".into() };
    let device = "net:[40]".to_owned();
    let names = Names { device, places, guestnetd: "/usr/bin/guestnetd".into() };
    changes::of(&format!("{BEGIN}{lines}"), &names).order
}

/// A message as strace writes it that cannot decode it.
fn sent(fd: &str, bytes: &[u8]) -> String {
    let mut text = format!("7 sendto({fd}, [{{nlmsg_len=1}}, \"\"], 1, 0, NULL, 0) = 1\n");
    for (row, line) in bytes.chunks(16).enumerate() {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x} ")).collect::<String>();
        let (a, b) = line.split_at(line.len().min(8));
        let columns = format!("{:<24} {:<24}", hex(a), hex(b));
        text += &format!(" | {:05x}  {columns} {:<16} |\n", row * 16, "x");
    }
    text
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = 16 + body.len() as u32;
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend([5, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Of the tables of the `inet` family, about this table.
fn nf_tables(kind: u16, table: &str) -> Vec<u8> {
    let mut body = vec![1, 0, 0, 0];
    body.extend((4 + table.len() as u16 + 1).to_ne_bytes());
    body.extend([1, 0]);
    body.extend(table.bytes().chain([0]));
    message(10 << 8 | kind, &body)
}

#[test]
fn messages_of_the_device_and_of_a_guest() {
    let lines = r#"7 setns(20<net:[41]>, CLONE_NEWNET) = 0
7 socket(AF_NETLINK, SOCK_DGRAM|SOCK_CLOEXEC, NETLINK_ROUTE) = 21<NETLINK:[33]>
7 setns(3<net:[40]>, CLONE_NEWNET) = 0
7 sendto(21<NETLINK:[33]>, [{nlmsg_len=32, nlmsg_type=0x13 /* NLMSG_??? */, nlmsg_flags=NLM_F_REQUEST|NLM_F_ACK, nlmsg_seq=6, nlmsg_pid=0}, "\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00"], 32, 0, {sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}, 12) = 32
 | 00000  20 00 00 00 13 00 05 00  06 00 00 00 00 00 00 00   ............... |
 | 00010  00 00 00 00 01 00 00 00  01 00 00 00 01 00 00 00  ................ |
7 sendto(8<NETLINK:[ROUTE:304]>, [{nlmsg_len=32, nlmsg_type=RTM_SETLINK, nlmsg_flags=NLM_F_REQUEST|NLM_F_ACK, nlmsg_seq=14, nlmsg_pid=0}, {ifi_family=AF_UNSPEC, ifi_flags=IFF_UP, ifi_change=0x1}], 32, 0, NULL, 0 <unfinished ...>
8 write(6<anon_inode:[eventfd]>, "\1\0\0\0\0\0\0\0", 8) = 8
 | 00000  01 00 00 00 00 00 00 00                           ........         |
7 <... sendto resumed>)             = 32
 | 00000  20 00 00 00 13 00 05 00  0e 00 00 00 00 00 00 00   ............... |
 | 00010  00 00 00 00 04 00 00 00  01 00 00 00 01 00 00 00  ................ |
7 sendto(9<NETLINK:[NETFILTER:395]>, [{nlmsg_len=80, nlmsg_type=NFNL_SUBSYS_CTNETLINK<<8|IPCTNL_MSG_CT_DELETE}], 80, 0, NULL, 0) = 80
 | 00000  50 00 00 00 02 01 05 00  00 00 00 00 00 00 00 00  P............... |
 | 00010  02 00 00 00 34 00 01 80  14 00 01 80 08 00 01 00  ....4........... |
 | 00020  ac 11 03 03 08 00 02 00  c0 00 02 01 1c 00 02 80  ................ |
 | 00030  05 00 01 00 11 00 00 00  06 00 02 00 d5 7c 00 00  .............|.. |
 | 00040  06 00 03 00 00 07 00 00  08 00 0c 00 d9 cf d9 a3  ................ |
"#;
    let expected = [
        "setns guest",
        "setns device",
        "guest: RTM_SETLINK up lo",
        "RTM_SETLINK up",
        "IPCTNL_MSG_CT_DELETE CTA_TUPLE_ORIG",
    ];
    assert_eq!(keys(lines), expected);
}

#[test]
fn files_sysctls_and_programs() {
    let lines = r#"7 openat(AT_FDCWD</>, "/run/guestnet/guests/demo.json", O_WRONLY|O_CREAT|O_CLOEXEC, 0666) = 21</run/guestnet/guests/demo.json>
7 openat(AT_FDCWD</>, "/run/guestnet/forwarding.json.tmp", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 21</run/guestnet/forwarding.json.tmp>
7 rename("/run/guestnet/forwarding.json.tmp", "/run/guestnet/forwarding.json") = 0
7 openat(AT_FDCWD</>, "/etc/resolv.conf", O_RDONLY|O_CLOEXEC) = 22</etc/resolv.conf>
7 unlink("/run/guestnet/gone") = -1 ENOENT (No such file or directory)
7 write(22</proc/sys/net/ipv4/ip_forward>, "1", 1) = ? ERESTARTNOINTR (To be restarted)
 | 00000  31                                                1                |
7 write(22</proc/sys/net/ipv4/ip_forward>, "1", 1) = 1
 | 00000  31                                                1                |
7 write(12</memfd:iptables>(deleted), "*filter\n-N oem_guestnet_in\n-I INPUT 1 -j oem_guestnet_in\nCOMMIT\n", 65) = 65
 | 00000  2a 66 69 6c 74 65 72 0a  2d 4e 20 6f 65 6d 5f 67  *filter.-N oem_g |
 | 00010  75 65 73 74 6e 65 74 5f  69 6e 0a 2d 49 20 49 4e  uestnet_in.-I IN |
 | 00020  50 55 54 20 31 20 2d 6a  20 6f 65 6d 5f 67 75 65  PUT 1 -j oem_gue |
 | 00030  73 74 6e 65 74 5f 69 6e  0a 43 4f 4d 4d 49 54 0a  stnet_in.COMMIT. |
9 execve("/usr/sbin/ip6tables-legacy-restore", ["/usr/sbin/ip6tables-legacy-restore", "--noflush", "-w"], 0x56 /* 0 vars */ <unfinished ...>
9 <... execve resumed>)             = 0
9 openat(AT_FDCWD</>, "/run/xtables.lock", O_RDONLY|O_CREAT, 0600) = 3</run/xtables.lock>
9 setsockopt(4<RAWv6:[1]>, SOL_IPV6, IP6T_SO_SET_REPLACE, "filter\0\0", 2784) = 0
9 +++ exited with 0 +++
10 execve("/system/bin/ndc-wrapper-1.0", ["ndc-wrapper-1.0", "ipfwd", "enable", "guestnetd"], 0x56 /* 0 vars */) = 0
10 write(3</somewhere>, "netd's", 6) = 6
"#;
    let expected = [
        "write STATE/guests/*.json",
        "replace STATE/forwarding.json",
        "net.ipv4.ip_forward = 1",
        "ip6tables-restore --noflush -w",
        "iptables -N oem_guestnet_*",
        "ip6tables -t filter -I INPUT 1 -j oem_guestnet_*",
        "write xtables.lock",
        "setsockopt IP6T_SO_SET_REPLACE",
        "ndc ipfwd enable guestnetd",
    ];
    assert_eq!(keys(lines), expected);
}

#[test]
fn what_nobody_knows_has_a_key_and_no_row() {
    let [route, netfilter] = ["8<NETLINK:[ROUTE:1]>", "9<NETLINK:[NETFILTER:1]>"];
    let transaction = |tables: &[Vec<u8>]| {
        sent(
            netfilter,
            &[&[message(0x10, &[0; 4])], tables, &[message(0x11, &[0; 4])]].concat().concat(),
        )
    };
    let line = str::to_owned;
    let unknown = [
        // A neighbour, a queueing discipline, and what is to come.
        sent(route, &message(28, &[0; 12])),
        sent(route, &message(36, &[0; 20])),
        sent(route, &message(120, &[0; 4])),
        // A link has another queue; a route and a rule that are not ours.
        sent(route, &message(19, &[&[0; 16][..], &[8, 0, 13, 0, 1, 0, 0, 0]].concat())),
        sent(route, &message(24, &[2, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0])),
        sent(route, &message(32, &[2, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0])),
        // A link with a queue of another length; an address with a label.
        sent(route, &message(16, &[&[0; 16][..], &[8, 0, 27, 0, 0x74, 0x65, 0x6e, 0x67], &[12, 0, 18, 0, 8, 0, 1, 0, 0x76, 0x65, 0x74, 0x68], &[8, 0, 13, 0, 1, 0, 0, 0]].concat())),
        sent(route, &message(20, &[&[2, 16, 0, 0, 1, 0, 0, 0][..], &[5, 0, 3, 0, 0x61, 0, 0, 0]].concat())),
        // All connections; another part of netfilter; others' tables; ours, checked and left there.
        sent(netfilter, &message(0x102, &[2, 0, 0, 0])),
        sent(netfilter, &message(0x600, &[2, 0, 0, 0])),
        transaction(&[nf_tables(2, "filter")]),
        transaction(&[nf_tables(0, "guestnet-check")]),
        transaction(&[nf_tables(0, "guestnet-check"), nf_tables(2, "filter"), nf_tables(2, "guestnet-check")]),
        transaction(&[nf_tables(22, "guestnet")]),
        // Half a message, none, and one by a socket that nobody has seen being made.
        sent(route, &message(18, &[0; 16])[..20]),
        sent(route, &[]),
        sent("30<NETLINK:[34]>", &message(18, &[0; 16])),
        // Calls, files, sysctls, programs.
        line("7 mount(\"proc\", \"/mnt\", \"proc\", 0, NULL) = 0\n"),
        line("7 kill(1, SIGTERM) = 0\n"),
        line("7 ioctl(4<UDP:[5]>, SIOCSIFFLAGS, {ifr_name=\"wlan0\", ifr_flags=0}) = 0\n"),
        line("7 setsockopt(4<RAW:[5]>, SOL_IP, IPT_SO_SET_REPLACE, \"nat\", 3) = 0\n"),
        line("7 openat(AT_FDCWD</>, \"/etc/resolv.conf\", O_WRONLY|O_TRUNC) = 4</etc/resolv.conf>\n"),
        line("7 unlink(\"/etc/resolv.conf\") = 0\n"),
        line("7 write(4</proc/sys/net/ipv4/conf/all/rp_filter>, \"0\", 1) = 1\n | 00000  30                                                0                |\n"),
        line("7 unshare(CLONE_NEWNS) = 0\n"),
        line("9 execve(\"/bin/sh\", [\"sh\", \"-c\", \"true\"], 0x56 /* 0 vars */) = 0\n"),
        line("9 execve(\"/usr/sbin/iptables\", [\"iptables\", \"-w\", \"-t\", \"nat\", \"-F\", \"POSTROUTING\"], 0x56 /* 0 vars */) = 0\n"),
        line("9 execve(\"/usr/sbin/iptables\", [\"iptables\", \"-F\"], 0x56 /* 0 vars */) = 0\n"),
        line("9 execve(\"/sbin/modprobe\", [\"modprobe\", \"veth\"], 0x56 /* 0 vars */) = 0\n"),
        line("strace: something went wrong\n"),
    ];
    let rows = rows(TEXT);
    for lines in &unknown {
        let seen = keys(lines);
        let known = |key: &String| rows.iter().any(|row| row.key == *key);
        assert!(seen.iter().any(|key| !known(key)), "{lines}is taken for {seen:?}");
    }
    // What only asks has none, and what differs from kernel to kernel.
    let asked = [
        sent(route, &message(18, &[0; 16])),
        sent(netfilter, &message(0x101, &[2, 0, 0, 0])),
        sent(netfilter, &message(10 << 8 | 16, &[0; 4])),
        line("7 ioctl(14<net:[41]>, NS_GET_NSTYPE) = 1073741824\n"),
        line("7 setsockopt(8<NETLINK:[31]>, SOL_NETLINK, NETLINK_EXT_ACK, [1], 4) = 0\n"),
        line("9 execve(\"/sbin/modprobe\", [\"modprobe\", \"--quiet\", \"--all\", \"ip_tables\", \"ip6_tables\"], 0x56 /* 0 vars */) = 0\n9 finit_module(3, \"\", 0) = 0\n"),
    ];
    for lines in &asked {
        assert_eq!(keys(lines), [""; 0], "{lines}");
    }
}

#[test]
fn the_catalogue_is_whole_and_its_comparison_complains() {
    let rows = rows(TEXT);
    assert!(rows.iter().all(|row| row.columns == 5 && !row.section.is_empty()), "{rows:#?}");
    assert!(rows.iter().any(|row| row.section == "Start"));
    let seen = |keys: &[&str]| {
        keys.iter().map(|key| ((*key).to_owned(), "a line".to_owned())).collect::<BTreeMap<_, _>>()
    };
    let row = |key: &str, section: &str| Row {
        key: key.to_owned(),
        section: section.to_owned(),
        columns: 5,
    };
    let two = [row("a", "Start"), row("b", "Attach: the guest's side")];
    assert_eq!(complaints(&two, &seen(&["a", "b"])), [""; 0]);
    for (rows, keys, what) in [
        (&two[..1], &["a", "b"][..], "`b` has no row"),
        (&two, &["a"], "`b` has a row, but"),
        (&[two[0].clone(), two[0].clone()], &["a"], "`a` has two rows"),
    ] {
        let complaints = complaints(rows, &seen(keys));
        assert!(complaints[0].starts_with(what), "{complaints:?}");
    }
    let order = |keys: [&str; 3]| keys.map(str::to_owned);
    assert_eq!(disorder(&two, &order(["a", "other", "b"])), None);
    let wrong = Some(("b".to_owned(), "a".to_owned()));
    assert_eq!(disorder(&two, &order(["b", "other", "a"])), wrong);
}

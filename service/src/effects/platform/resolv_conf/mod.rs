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

//! The resolvers that the device itself uses, where they are in a file (resolv.conf(5)). Reads only, and
//! takes the file for what it may be: anything that somebody put there.

mod watch;

pub use watch::Watch;

use crate::effects::kernel::netns::proc_net;
use crate::spec::{asked, resolver, MOST_RESOLVERS};
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where a resolver on the device's own loopback (a stub) says whom it asks: systemd-resolved's and
/// NetworkManager's own files. A guest cannot reach the stub itself.
const BEHIND_STUBS: [&str; 2] =
    ["/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf"];
/// systemd-resolved's file for the device: the one for others is `resolv.conf` beside it.
const STUB: &str = "stub-resolv.conf";
/// As much of a file is read, in bytes. A sensible one has some hundred.
const MOST: u64 = 1 << 20;

/// What a file says of resolvers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Those that guests may ask, in the file's order.
    pub servers: Vec<Ipv4Addr>,
    /// Those that the device can ask itself, of either family, in the file's order. Where it names none but
    /// the device's own, on the loopback, that.
    pub all: Vec<IpAddr>,
    /// The file that they are in, where that is another one: the asked one names a stub alone.
    pub behind: Option<PathBuf>,
    /// IPv4 addresses that it names and that can be no guest's resolver, and why.
    pub refused: Vec<(Ipv4Addr, &'static str)>,
    /// Why it was not read, or not all of it.
    pub trouble: Option<String>,
}

/// When a file was written last; none when it is not there.
pub fn written(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

/// The resolvers that `path` names, or where those are stubs on the loopback alone, whom they ask.
pub fn read(path: &Path) -> Found {
    let found = one(path);
    let stub = found.refused.iter().any(|(server, _)| server.is_loopback());
    if found.all.iter().any(|server| !server.is_loopback()) || !stub {
        return found;
    }
    let beside = fs::canonicalize(path).ok().filter(|file| file.ends_with(STUB));
    let beside = beside.map(|file| file.with_file_name("resolv.conf"));
    for file in beside.into_iter().chain(BEHIND_STUBS.map(PathBuf::from)) {
        let Found { servers, all, .. } = one(&file);
        if all.iter().any(|server| !server.is_loopback()) {
            return Found { servers, all, behind: Some(file), ..found };
        }
    }
    found
}

fn one(path: &Path) -> Found {
    match text(path) {
        Ok((text, whole)) => {
            let more =
                || format!("{} is larger than {MOST} bytes; the rest is not read", path.display());
            Found { trouble: (!whole).then(more), ..parse(&text) }
        }
        Err(e) => Found { trouble: Some(format!("{}: {e}", path.display())), ..Found::default() },
    }
}

/// A regular file's first bytes as text, and whether that is all. What is no text in it is replaced. What
/// is not a regular file is not opened, as that may do something (a FIFO waits, a watchdog starts); one
/// that takes its place meanwhile does not wait, and is not read.
fn text(path: &Path) -> io::Result<(String, bool)> {
    let regular = |meta: fs::Metadata| match meta.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("it is not a regular file")),
    };
    regular(fs::metadata(path)?)?;
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    regular(file.metadata()?)?;
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes)?;
    let whole = bytes.len() as u64 <= MOST;
    bytes.truncate(MOST as usize);
    Ok((String::from_utf8_lossy(&bytes).into_owned(), whole))
}

/// The IPv4 addresses of `nameserver` lines. Guests have no IPv6: such lines are none.
pub(crate) fn parse(text: &str) -> Found {
    let (mut found, mut all) = (Found::default(), Vec::<IpAddr>::new());
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let server = (words.next() == Some("nameserver")).then(|| words.next()).flatten();
        // A link-local address of IPv6 has its link behind it, which is the uplink for us.
        let server = server.map(|text| text.split('%').next().unwrap_or(text).parse());
        let Some(Ok(server)) = server else { continue };
        if can_be_asked(server) && !all.contains(&server) && all.len() < MOST_RESOLVERS {
            all.push(server);
        }
        let IpAddr::V4(address) = server else { continue };
        match refuse(address) {
            None if found.servers.contains(&address) => {}
            None if found.servers.len() < MOST_RESOLVERS => found.servers.push(address),
            Some(why) if found.refused.len() < MOST_RESOLVERS => found.refused.push((address, why)),
            _ => {}
        }
    }
    if all.iter().any(|server| !server.is_loopback()) {
        all.retain(|server| !server.is_loopback());
    }
    Found { all, ..found }
}

/// Whether the device itself may reach a resolver there.
fn can_be_asked(server: IpAddr) -> bool {
    match server {
        IpAddr::V4(address) => address.is_loopback() || refuse(address).is_none(),
        IpAddr::V6(_) => asked(&server.to_string()).is_ok() || server.is_loopback(),
    }
}

/// Why an address of a file can be no guest's resolver. A link-local one (RFC 3927) is another host
/// on each link; who means it names it himself.
fn refuse(address: Ipv4Addr) -> Option<&'static str> {
    if address.is_link_local() {
        return Some("it is a link-local address");
    }
    resolver(&address.to_string()).err()
}

/// Whether a resolver of the device itself listens at one of these addresses, or at all.
pub fn is_served_here(gateway: impl Fn(Ipv4Addr) -> bool) -> bool {
    let sockets = fs::read_to_string(proc_net("udp")).unwrap_or_default();
    sockets.lines().filter_map(listens_for_names).any(|at| at.is_unspecified() || gateway(at))
}

/// `sl local_address ...`: an address as the kernel has it in memory and a port, both hexadecimal.
fn listens_for_names(line: &str) -> Option<Ipv4Addr> {
    let (address, port) = line.split_whitespace().nth(1)?.split_once(':')?;
    let address = u32::from_str_radix(address, 16).ok().filter(|_| port == "0035")?;
    Some(Ipv4Addr::from(address.to_ne_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use std::os::unix::fs::symlink;

    fn directory(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("guestnetd-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn only_servers_that_a_guest_can_reach_count() {
        let text = "# nameserver 9.9.9.9\nsearch example.org\nnameserver 127.0.0.53\n\
                    nameserver  192.0.2.53 \nnameserver fe80::1%wlan0\nnameserver\nnameserver x\n\
                    ; nameserver 1.1.1.1\n\tnameserver 192.0.2.54\nnameserver 0.0.0.0\n\
                    nameserver 224.0.0.251\nnameserver 255.255.255.255\nnameserver 169.254.1.1\n\
                    nameserver 192.0.2.53";
        let found = parse(text);
        assert_eq!(found.servers, [Ipv4Addr::new(192, 0, 2, 53), Ipv4Addr::new(192, 0, 2, 54)]);
        let why: Vec<_> =
            found.refused.iter().map(|(server, why)| format!("{server}: {why}")).collect();
        for (line, word) in
            why.iter().zip(["loopback", "0.0.0.0/8", "multicast", "240.0.0.0/4", "link-local"])
        {
            assert!(line.contains(word), "{line}: {word}");
        }
        assert_eq!(why.len(), 5);
        let many: String =
            (0..99).map(|n| format!("nameserver 10.0.0.{n}\nnameserver 127.0.0.{n}\n")).collect();
        let found = parse(&many);
        assert_eq!((found.servers.len(), found.refused.len()), (MOST_RESOLVERS, MOST_RESOLVERS));
    }

    #[test]
    fn a_socket_for_names_is_known_by_its_port() {
        let udp = |at: &str| listens_for_names(&format!("  1: {at} 00000000:0000 07 00000000"));
        assert_eq!(udp("00000000:0035"), Some(Ipv4Addr::UNSPECIFIED));
        let gateway = u32::from_ne_bytes([172, 17, 3, 2]);
        assert_eq!(udp(&format!("{gateway:08X}:0035")), Some(Ipv4Addr::new(172, 17, 3, 2)));
        assert_eq!((udp("0100007F:0036"), udp("local_address")), (None, None));
    }

    #[test]
    fn whom_a_stub_asks_is_in_the_file_beside_its_own() {
        let dir = directory("stub");
        let (link, stub) = (dir.join("link"), dir.join("stub-resolv.conf"));
        let _ = fs::remove_file(&link);
        symlink("stub-resolv.conf", &link).unwrap();
        fs::write(&stub, "nameserver 127.0.0.53\n").unwrap();
        fs::write(dir.join("resolv.conf"), "nameserver 192.0.2.53\n").unwrap();
        let found = read(&link);
        assert_eq!(found.servers, [Ipv4Addr::new(192, 0, 2, 53)]);
        assert!(found.behind.unwrap().ends_with("resolv.conf"));
        assert_eq!(found.refused[0].0, Ipv4Addr::new(127, 0, 0, 53));
        fs::write(&stub, "nameserver 127.0.0.53\nnameserver 192.0.2.1\n").unwrap();
        assert_eq!((read(&link).servers, read(&link).behind), (vec![[192, 0, 2, 1].into()], None));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_is_no_file_of_resolvers_is_not_waited_for_and_is_said() {
        let dir = directory("no-file");
        let fifo = dir.join("fifo");
        let _ = nix::unistd::mkfifo(&fifo, Mode::S_IRWXU);
        for path in [&fifo, &dir, Path::new("/dev/zero")] {
            let trouble = read(path).trouble.unwrap();
            assert!(trouble.contains("not a regular file"), "{trouble}");
        }
        let missing = read(Path::new("/nonexistent/resolv.conf"));
        assert!(missing.trouble.unwrap().contains("/nonexistent/resolv.conf: No such file"));
        let large = dir.join("large");
        let mut bytes = vec![0xfe; 300_000];
        bytes.extend(b"\nnameserver 192.0.2.53\n");
        fs::write(&large, &bytes).unwrap();
        assert_eq!(read(&large).servers, [Ipv4Addr::new(192, 0, 2, 53)], "it is not text before");
        bytes.resize(3 << 20, b'\n');
        fs::write(&large, &bytes).unwrap();
        let found = read(&large);
        assert_eq!(found.servers.len(), 1);
        assert!(found.trouble.unwrap().contains("larger"));
        fs::remove_dir_all(dir).unwrap();
    }
}

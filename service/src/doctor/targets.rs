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

//! Where probes go: what was asked for, or the defaults, in types that cannot be wrong. Pure.

use crate::spec::{self, SpecError};
use std::net::Ipv4Addr;

/// Most hosts.
pub const MOST_HOSTS: usize = 4;
/// Most bytes of a path.
const MOST_PATH: usize = 512;

/// The page of Android's own check (NetworkMonitor's default).
const PAGE: (&str, &str) = ("connectivitycheck.gstatic.com", "/generate_204");
/// Two resolvers that everybody may ask, and that answer TCP 443 and pings.
const HOSTS: [Ipv4Addr; 2] = [Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(8, 8, 8, 8)];

/// Where probes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// Hosts that answer TCP 443 or 80, and pings; at least one.
    pub hosts: Vec<Ipv4Addr>,
    /// The page that is answered with 204.
    pub page: Page,
    /// The name that resolvers are asked for.
    pub name: String,
    /// Whether a probe is traced hook by hook.
    pub trace: bool,
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its host, a name or an address.
    pub host: String,
    /// The address, where the host is one.
    pub address: Option<Ipv4Addr>,
    /// The port.
    pub port: u16,
    /// Its path, with the slash.
    pub path: String,
}

impl Targets {
    /// From what was asked for; what is empty has its default.
    pub fn new(hosts: &[String], url: &str, name: &str) -> Result<Self, SpecError> {
        let refuse =
            |text: &str, why| SpecError::ProbeTarget { text: text.chars().take(80).collect(), why };
        if let Some(text) = hosts.get(MOST_HOSTS) {
            return Err(refuse(text, "it is one target too many: four are the most"));
        }
        let host = |text: &String| spec::resolver(text).map_err(|why| refuse(text, why));
        let hosts: Vec<_> = hosts.iter().map(host).collect::<Result<_, _>>()?;
        let page = if url.is_empty() {
            Page { host: PAGE.0.into(), address: None, port: 80, path: PAGE.1.into() }
        } else {
            page(url).map_err(|why| refuse(url, why))?
        };
        let name = match (name, page.address) {
            ("", None) => page.host.clone(),
            ("", Some(_)) => PAGE.0.to_owned(),
            (name, _) if is_name(name) => name.to_owned(),
            (name, _) => return Err(refuse(name, "it is no name such as www.example.org")),
        };
        let hosts = if hosts.is_empty() { HOSTS.to_vec() } else { hosts };
        Ok(Self { hosts, page, name, trace: false })
    }
}

fn page(url: &str) -> Result<Page, &'static str> {
    const WHY: &str = "it is no http://HOST[:PORT]/PATH";
    let rest = url.strip_prefix("http://").ok_or(WHY)?;
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, format!("/{path}")),
        None => (rest, "/".to_owned()),
    };
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0).ok_or(WHY)?),
        None => (authority, 80),
    };
    if path.len() > MOST_PATH || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("its path is over 512 characters, or has others than printable ones");
    }
    if host.parse::<Ipv4Addr>().is_ok() {
        let address = Some(spec::resolver(host)?);
        return Ok(Page { host: host.to_owned(), address, port, path });
    }
    if !is_name(host) {
        return Err(WHY);
    }
    Ok(Page { host: host.to_owned(), address: None, port, path })
}

/// RFC 1035, with the underscore that is in use.
fn is_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(fits);
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_has_its_default() {
        let targets = Targets::new(&[], "", "").unwrap();
        assert_eq!(targets.hosts, HOSTS);
        assert_eq!((targets.page.host.as_str(), targets.name.as_str()), (PAGE.0, PAGE.0));
        let targets = Targets::new(&["192.0.2.9".into()], "http://192.0.2.7:8080", "").unwrap();
        assert_eq!(targets.hosts, [Ipv4Addr::new(192, 0, 2, 9)]);
        assert_eq!(targets.page.address, Some(Ipv4Addr::new(192, 0, 2, 7)));
        assert_eq!((targets.page.port, targets.page.path.as_str()), (8080, "/"));
        assert_eq!(targets.name, PAGE.0);
        let targets = Targets::new(&[], "http://a.test/b?c=d", "n.test.").unwrap();
        assert_eq!((targets.page.path.as_str(), targets.name.as_str()), ("/b?c=d", "n.test."));
    }

    #[test]
    fn what_is_no_target_is_refused_with_its_text() {
        let text_of = |refused| match refused {
            Err(SpecError::ProbeTarget { text, .. }) => text,
            other => panic!("{other:?}"),
        };
        let host = |text: &str| text_of(Targets::new(&[text.to_owned()], "", ""));
        for text in ["", "example.org", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::1"] {
            assert_eq!(host(text), text);
        }
        for url in [
            "https://a.test/",
            "a.test",
            "http:///x",
            "http://a.test:0/",
            "http://a.test:x/",
            "http://a..test/",
            "http://a.test/ b",
            "http://127.0.0.1/",
            "http://a\r\nb/",
            "http://[::1]/",
        ] {
            assert_eq!(text_of(Targets::new(&[], url, "")), url);
        }
        for name in ["a b", "-", "..", &"a".repeat(64), &"a.".repeat(130)] {
            let refused = Targets::new(&[], "", name);
            assert!(refused.is_err() || name == "-", "{name}");
        }
        let many = vec!["192.0.2.1".to_owned(); 5];
        assert!(Targets::new(&many, "", "").is_err());
    }
}

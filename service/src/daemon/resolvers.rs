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

//! Which resolvers are behind an uplink: those that were named for it, else those for any, else the
//! device's own.

use crate::error::Error;
use crate::kernel::netlink::Netlink;
use crate::kernel::route;
use crate::platform::resolv_conf;
use crate::spec::IfName;
use crate::store::{ResolversRecord, Store};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::SystemTime;

/// All that is known of resolvers.
#[derive(Debug)]
pub(in crate::daemon) struct Resolvers {
    /// What callers have named.
    named: ResolversRecord,
    /// Those behind any uplink that nothing was said of.
    fallback: Vec<Ipv4Addr>,
    /// The file of the device's own.
    file: Option<PathBuf>,
    /// When that was written, as it was read last.
    written: Option<SystemTime>,
}

/// Who said that a resolver is the one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) enum Source<'a> {
    /// A caller, for this uplink.
    Named,
    /// The command line.
    Fallback,
    /// The device's own file.
    File(&'a std::path::Path),
    /// A caller, who has taken it back since.
    Earlier,
}

impl Resolvers {
    pub(in crate::daemon) fn new(
        named: ResolversRecord,
        fallback: Vec<Ipv4Addr>,
        file: Option<PathBuf>,
    ) -> Self {
        Self { named, fallback, file, written: None }
    }

    /// Who said which are behind an uplink.
    pub(in crate::daemon) fn source(&self, uplink: Option<&IfName>) -> Source<'_> {
        let named = uplink.is_some_and(|name| self.named.behind.contains_key(name));
        match (named, &self.file) {
            (true, _) => Source::Named,
            _ if !self.fallback.is_empty() => Source::Fallback,
            (_, Some(file)) => Source::File(file),
            (_, None) => Source::Earlier,
        }
    }

    /// Those behind an uplink, the one to use first.
    pub(in crate::daemon) fn behind(
        &mut self,
        netlink: &Netlink,
        uplink: Option<&IfName>,
    ) -> Vec<Ipv4Addr> {
        self.written = self.file.as_deref().and_then(resolv_conf::written);
        let mut found = match self.source(uplink) {
            Source::Named => uplink.and_then(|name| self.named.behind.get(name)).cloned(),
            Source::Fallback => Some(self.fallback.clone()),
            Source::File(file) => Some(resolv_conf::servers(file)),
            Source::Earlier => None,
        }
        .unwrap_or_default();
        // What is for the device itself does not pass through it. Where that is not known, it is tried.
        let local = |server: &Ipv4Addr| {
            let way = route::towards(netlink, *server);
            matches!(way, Ok(Some(way)) if way.local)
        };
        found.retain(|server| !local(server));
        found
    }

    /// Whether the file was written since it was read.
    pub(in crate::daemon) fn has_changed(&self) -> bool {
        self.file.as_deref().and_then(resolv_conf::written) != self.written
    }

    /// Takes a caller's word for those behind an uplink; none: what is found counts again.
    pub(in crate::daemon) fn name(
        &mut self,
        store: &Store,
        uplink: IfName,
        servers: Vec<Ipv4Addr>,
        in_use: Option<&IfName>,
    ) -> Result<(), Error> {
        let mut record = self.named.clone();
        record.name(uplink, servers, in_use);
        if record != self.named {
            store.put_resolvers(&record)?;
            self.named = record;
        }
        Ok(())
    }
}

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

//! The owner's own thread: it enters the owner when the kernel announces something, when a delete
//! has come to its end, and when something that failed is due again; and it starts the thread that
//! brings guests to the uplink's MTU. It decides nothing.

use crate::daemon::{mtu, netd, Daemon, Handle};
use crate::kernel::link_deleter::Deleted;
use crate::kernel::netlink::monitor::Bell;
use crate::kernel::sysctl;
use crate::platform::resolv_conf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{oneshot, Notify};

/// How long an attach is left alone.
const BUSY: Duration = Duration::from_millis(1);
/// How often, as there may be no end of them.
const MOST: usize = 3;

/// What there is to follow.
pub(in crate::daemon) struct Sources {
    /// Rings when the kernel announces something.
    pub(in crate::daemon) bell: Bell,
    /// Deletes that have come to their end.
    pub(in crate::daemon) deleted: UnboundedReceiver<Deleted>,
    /// Told when guests have another MTU than the uplink.
    pub(in crate::daemon) mtu: Arc<Notify>,
    /// Told when netd is to be asked for forwarding.
    pub(in crate::daemon) netd: Arc<Notify>,
    /// Told when another thread has left something to do.
    pub(in crate::daemon) restless: Arc<Notify>,
    /// Tells when the device's own resolvers are others, where they are in a file.
    pub(in crate::daemon) resolv: Option<resolv_conf::Watch>,
    /// Closed when the owner is gone.
    pub(in crate::daemon) ended: oneshot::Receiver<()>,
}

/// Starts the thread. It ends with the owner.
pub(in crate::daemon) fn spawn(
    owner: Handle,
    runtime: Runtime,
    sources: Sources,
) -> std::io::Result<JoinHandle<()>> {
    let run = move || runtime.block_on(follow(owner, sources));
    std::thread::Builder::new().name("follow".into()).spawn(run)
}

/// When there is something to do though nothing is announced.
#[derive(Default)]
struct Alarms {
    /// When what failed is to be tried again.
    retry: Option<Instant>,
    /// The next pass.
    pass: Option<Instant>,
    /// The next comparison of everything.
    check: Option<Instant>,
    /// The next repair that waits.
    fight: Option<Instant>,
}

impl Daemon {
    fn alarms(&mut self) -> Alarms {
        let check = self.last_check + self.config.check_every;
        let fails = self.fails();
        if !fails {
            self.retry.over();
        }
        let retry = fails.then(|| self.retry.at(Instant::now()));
        Alarms {
            retry,
            pass: self.due.at(self.last_pass),
            // Without guests there is nothing that must work.
            check: (!self.guests.is_empty()).then_some(check),
            fight: self.fights.at(),
        }
    }

    /// Whether something is to be tried again.
    fn fails(&self) -> bool {
        self.firewall_error.is_some() || self.unforwarded || self.owes_netd()
    }

    /// Whether there are alarms that the thread may not know of.
    pub(in crate::daemon) fn is_restless(&self) -> bool {
        self.due.any() || self.fails() || self.fights.at().is_some()
    }

    fn try_again(&mut self) {
        self.retry.trying();
        if self.owes_netd() {
            self.give_forwarding_back();
        }
        if let Err(e) = self.refresh_firewall() {
            log::error!("the packet filter is still not set: {e}");
        }
        if self.unforwarded {
            if let Err(e) = self.mend_forwarding() {
                log::error!("{e}");
            }
        }
    }

    /// What others keep taking away is put back, where that has waited until now.
    fn fight(&mut self) {
        let now = Instant::now();
        self.due.rules |= self.fights.rules.is_due(now);
        self.due.firewall |= self.fights.firewall.is_due(now);
        self.due.forwarding |= self.fights.forwarding.is_due(now);
        self.due.guests.extend(self.fights.guests_due(now));
        self.due.announced(now);
        self.catch_up();
    }

    /// What the kernel does not announce: a rule of iptables, a sysctl.
    fn check_all(&mut self) {
        self.last_check = Instant::now();
        self.forwards = sysctl::forwarding().unwrap_or(false);
        self.due.forwarding |= !self.forwards;
        self.due.add_all(self.last_check);
        self.settle();
        self.mend_all();
    }
}

async fn until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at.into()).await;
    }
}

async fn changed(resolv: &mut Option<resolv_conf::Watch>) {
    match resolv {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

async fn follow(owner: Handle, sources: Sources) {
    let Sources { bell, mut deleted, mtu: due, netd: to_ask, restless, mut resolv, mut ended } =
        sources;
    loop {
        // Who makes them others on another thread rings.
        let Alarms { retry, pass, check, fight } =
            owner.enter(|owner| Ok(owner.alarms())).unwrap_or_default();
        // Nobody waits for an answer: what goes wrong is in the log.
        let _ = tokio::select! {
            _ = &mut ended => return,
            () = bell.rings() => {
                // It is the attach that caused it, most often. To wait for the lock would have
                // this thread woken, and run, before that one has sent its answer.
                for _ in 0..MOST {
                    if !owner.deleter.is_held() {
                        break;
                    }
                    // A detach waits for what is announced.
                    let _ = tokio::time::timeout(BUSY, owner.detaching.notified()).await;
                }
                owner.enter(|owner| {
                    owner.catch_up();
                    Ok(())
                })
            }
            Some(one) = deleted.recv() => owner.enter(|owner| {
                owner.deleted(one);
                Ok(())
            }),
            () = due.notified() => mtu::start(&owner),
            () = to_ask.notified() => netd::ask(&owner),
            () = until(pass), if pass.is_some() => owner.enter(|owner| {
                owner.catch_up();
                Ok(())
            }),
            () = until(check), if check.is_some() => owner.enter(|owner| {
                owner.check_all();
                Ok(())
            }),
            () = until(fight), if fight.is_some() => owner.enter(|owner| {
                owner.fight();
                Ok(())
            }),
            () = changed(&mut resolv) => owner.enter(|owner| {
                owner.due.uplink = true;
                owner.due.announced(Instant::now());
                owner.catch_up();
                Ok(())
            }),
            () = restless.notified() => Ok(()),
            () = until(retry), if retry.is_some() => owner.enter(|owner| {
                owner.try_again();
                Ok(())
            }),
        };
    }
}

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

//! The daemon's own thread: it enters the daemon when the kernel announces something, when a delete
//! has come to its end, and when something is due by the clock; and it starts the threads that bring
//! live guests to what they should be and ask netd. It decides nothing.

use crate::daemon::calls::repair;
use crate::daemon::guest::lifelines::Knell;
use crate::daemon::guest::worker;
use crate::daemon::reconcile::debounce::Due;
use crate::daemon::reconcile::netd;
use crate::daemon::{names, Daemon, Handle};
use crate::effects::executor::link_deleter::Deleted;
use crate::effects::kernel::monitor::Bell;
use crate::effects::kernel::told::Told;
use crate::effects::platform::{resolv_conf, xtables_lock};
use crate::model::ruleset::Limits;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{oneshot, Notify};

/// How long an attach is left alone.
const BUSY: Duration = Duration::from_millis(1);
/// How often, as there may be no end of them.
const MOST: usize = 3;
/// How often everything is compared while nobody uses the device: whoever says that it is idle may die before
/// it says that it is not.
const CHECK_WHEN_IDLE: Duration = Duration::from_secs(3600);

/// What there is to follow.
pub(in crate::daemon) struct Sources {
    /// Rings when the kernel announces something.
    pub(in crate::daemon) bell: Bell,
    /// Rings when guests have opened many connections, if the kernel can say so.
    pub(in crate::daemon) opened: Option<Told>,
    /// Deletes that have come to their end.
    pub(in crate::daemon) deleted: UnboundedReceiver<Deleted>,
    /// Rings when a process has ended that a guest lives by.
    pub(in crate::daemon) knell: Knell,
    /// Told when live guests' ends should change.
    pub(in crate::daemon) guests: Arc<Notify>,
    /// Told when netd is to be asked for forwarding.
    pub(in crate::daemon) netd: Arc<Notify>,
    /// Told when the resolvers are to be asked.
    pub(in crate::daemon) names: Arc<Notify>,
    /// Told when guests are to be looked at that are kept as they are.
    pub(in crate::daemon) keep: Arc<Notify>,
    /// Told when guests' leases by DHCP say something else than before.
    pub(in crate::daemon) leases: Arc<Notify>,
    /// Told when another thread has left something to do.
    pub(in crate::daemon) restless: Arc<Notify>,
    /// Tells when the device's own resolvers are others, where they are in a file.
    pub(in crate::daemon) resolv: Option<resolv_conf::Watch>,
    /// Tells when somebody may have changed the packet filter, where that is x_tables.
    pub(in crate::daemon) tables: Option<xtables_lock::Watch>,
    /// Closed when the daemon is gone.
    pub(in crate::daemon) ended: oneshot::Receiver<()>,
}

/// Told when somebody waits for what is announced, as a detach does.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Hurry {
    told: Mutex<bool>,
    changed: Condvar,
}

impl Hurry {
    /// Ends the wait, or the next one.
    pub(in crate::daemon) fn tell(&self) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Waits until it is told, and no longer than this.
    fn wait(&self, most: Duration) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(told, most, |told| !*told);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

/// Starts the thread. It ends with the daemon.
pub(in crate::daemon) fn spawn(
    handle: Handle,
    runtime: Runtime,
    sources: Sources,
) -> std::io::Result<JoinHandle<()>> {
    let run = move || runtime.block_on(follow(handle, sources));
    std::thread::Builder::new().name("follow".into()).spawn(run)
}

impl Daemon {
    /// When there is something to do though nothing is announced.
    fn alarm(&self) -> Option<Instant> {
        let times = [
            self.debounce.at(),
            self.debounce.retry_at(),
            self.store.pay_at(),
            self.next_check(),
            // A pass that is due tries it, too.
            self.retry_at().filter(|_| !self.debounce.due.any()),
            self.repair_at(),
            self.shared.packet_filter.leftovers_due(),
            self.lockdown_over_at(),
            self.names_at(),
            self.keep_at(),
            self.leases_at(),
            self.lifelines.next(),
            self.upkeep.half_made.at(),
        ];
        times.into_iter().flatten().min()
    }

    /// The next comparison of everything. Without guests there is nothing that must work.
    pub(in crate::daemon) fn next_check(&self) -> Option<Instant> {
        let every = self.config.check_every;
        let every = if self.world.device_state.idle { every.max(CHECK_WHEN_IDLE) } else { every };
        self.debounce.next_check(every).filter(|_| !self.world.guests.is_empty())
    }

    /// Whether there are alarms that the thread may not know of.
    pub(in crate::daemon) fn is_restless(&self) -> bool {
        let waits = [
            self.debounce.at(),
            self.debounce.retry_at(),
            self.store.pay_at(),
            self.retry_at(),
            self.repair_at(),
            self.shared.packet_filter.leftovers_due(),
            self.world.lockdown.over_at(),
            self.lifelines.next(),
            self.upkeep.half_made.at(),
        ];
        waits.iter().any(Option::is_some)
    }

    fn on_alarm(&mut self) {
        let now = Instant::now();
        if self.next_check().is_some_and(|at| at <= now) {
            self.check_all(now);
        }
        if self.store.pay_at().is_some_and(|at| at <= now) {
            if let Err(e) = self.store.pay() {
                log::error!("{e}: it is tried again");
            }
        }
        self.lifelines_ended();
        self.delete_half_made(now);
        self.trigger_what_waited(now);
        if self.keep_at().is_some_and(|at| at <= now) {
            self.mind_kept(now);
        }
        if self.names_at().is_some_and(|at| at <= now) {
            self.ask_names();
        }
        if self.leases_at().is_some_and(|at| at <= now) {
            self.keep_leases();
        }
        self.catch_up();
        self.shared.packet_filter.clear_leftovers(now);
    }

    /// Somebody has run iptables.
    fn tables_touched(&mut self) {
        // Without guests there is nothing that must work, an idle device is looked at when it wakes up; and where
        // programs are run to look, they would be heard again.
        let nobody = self.world.guests.is_empty() || self.world.device_state.idle;
        if nobody || self.shared.packet_filter.get().unseen().is_some() {
            return;
        }
        self.debounce.trigger(Due { filter: true, ..Due::default() }, Instant::now());
        self.catch_up();
    }

    /// Nothing of it is decided here: who has too many loses them.
    fn many_opened(&mut self) {
        if let Some(most) = self.world.platform.connections {
            // What may stay is the same wherever it is forgotten.
            self.shared.connections.many_opened(&self.world, &Limits::of(most, false));
        }
    }

    /// What nobody announces: a rule of iptables of who takes no lock, a sysctl.
    pub(in crate::daemon) fn check_all(&mut self, now: Instant) {
        self.debounce.check(now);
        self.pin_guests();
        self.shared.forwarding.get_mut().reread(false);
        let forwarding = !self.shared.forwarding.get().is_on();
        self.debounce.trigger(Due { forwarding, ..Due::shared() }, now);
        self.settle();
        self.repair_all();
        self.ask_names_for_choice();
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

async fn rings(told: &Option<Told>) {
    match told {
        Some(told) => told.rings().await,
        None => std::future::pending().await,
    }
}

async fn changed(resolv: &mut Option<resolv_conf::Watch>) {
    match resolv {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

async fn touched(tables: &mut Option<xtables_lock::Watch>) {
    match tables {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

async fn follow(handle: Handle, sources: Sources) {
    let Sources {
        bell,
        opened,
        knell,
        mut deleted,
        guests,
        netd: netd_due,
        names: asks,
        keep,
        leases,
        restless,
        mut resolv,
        mut tables,
        mut ended,
    } = sources;
    loop {
        // Whoever makes it another one on another thread rings.
        let alarm = handle.enter(|daemon| Ok(daemon.alarm())).unwrap_or_default();
        let with_daemon = |work: fn(&mut Daemon)| {
            handle.enter(|daemon| {
                work(daemon);
                Ok(())
            })
        };
        // Nobody waits for an answer: what goes wrong is in the log.
        let _ = tokio::select! {
            _ = &mut ended => return,
            () = bell.rings() => {
                // It is the attach that caused it, most often. To wait for the lock would have
                // this thread woken, and run, before that one has sent its answer.
                for _ in 0..MOST {
                    if !handle.deleter.is_held() {
                        break;
                    }
                    // Not by the runtime, which wakes up with everything that is announced.
                    handle.detaching.wait(BUSY);
                }
                with_daemon(Daemon::catch_up)
            }
            () = rings(&opened) => with_daemon(Daemon::many_opened),
            () = knell.rings() => with_daemon(Daemon::lifelines_ended),
            Some(one) = deleted.recv() => handle.enter(|daemon| {
                daemon.deleted(one);
                Ok(())
            }),
            () = guests.notified() => worker::start(&handle),
            () = netd_due.notified() => netd::ask(&handle),
            () = keep.notified() => repair::look_after(&handle),
            () = leases.notified() => with_daemon(Daemon::leases_changed),
            () = asks.notified() => {
                names::start(&handle);
                Ok(())
            }
            () = until(alarm) => with_daemon(Daemon::on_alarm),
            () = changed(&mut resolv) => with_daemon(|daemon| {
                let due = Due { uplink: true, ..Due::default() };
                daemon.debounce.trigger(due, Instant::now());
                daemon.catch_up();
            }),
            () = touched(&mut tables) => with_daemon(Daemon::tables_touched),
            () = restless.notified() => Ok(()),
        };
    }
}

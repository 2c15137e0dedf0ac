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

//! Who suffers from a hostile guest: all at once, each at a pace of its own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_tests::client::{by_netns, config};
use guestnet_tests::{Device, InNetns, Internet};
use nix::sys::socket::{setsockopt, sockopt};

use crate::error::{Doing, Error, Result};
use crate::measure::Samples;
use crate::service::Service;
use crate::settle::go;

/// How long a connection may take; that is then its time.
const LOST: Duration = Duration::from_secs(1);

/// They, and how many times as long as idle their p99 may take.
pub const VICTIMS: [(&str, f64); 4] = [
    ("a new connection of the device", 2.0),
    ("a new connection of another guest", 2.0),
    ("list()", 10.0),
    ("attach of another guest", 10.0),
];

/// What they see for a while, in the order of [`VICTIMS`].
pub fn suffer(
    device: &Device,
    other: &OwnedFd,
    third: &OwnedFd,
    service: &Service,
    time: Duration,
) -> Result<[Samples; 4]> {
    let listener = device.internet.enter(|| TcpListener::bind("0.0.0.0:0"))?;
    let port = listener.local_addr()?.port();
    let server = SocketAddr::new(Internet::ADDRESS.parse().doing("an address")?, port);
    let over = AtomicBool::new(false);
    let end = Instant::now() + time;
    let [list, come] = [service.connect()?, service.connect()?];
    let done = thread::scope(|scope| {
        // It ends with the connection that is made when all is over.
        scope.spawn(|| while listener.accept().is_ok() && !over.load(Ordering::Acquire) {});
        let connect = |from: OwnedFd| {
            move || -> Result<Samples> {
                go(&from)?;
                every(Duration::from_millis(5), end, || {
                    let began = Instant::now();
                    if let Ok(stream) = TcpStream::connect_timeout(&server, LOST) {
                        let took = began.elapsed();
                        // Its end is not waited for, by nobody.
                        let reset = libc::linger { l_onoff: 1, l_linger: 0 };
                        setsockopt(&stream, sockopt::Linger, &reset)?;
                        return Ok(took);
                    }
                    Ok(LOST)
                })
            }
        };
        let victims = [
            scope.spawn(connect(device.open_netns())),
            scope.spawn(connect(other.open_netns())),
            scope.spawn(move || {
                every(Duration::from_millis(5), end, || {
                    let began = Instant::now();
                    list.list()?;
                    Ok(began.elapsed())
                })
            }),
            scope.spawn(move || {
                every(Duration::from_millis(20), end, || {
                    let target = by_netns(third.try_clone()?);
                    let began = Instant::now();
                    come.attach(&config("third"), &target, None)?;
                    let took = began.elapsed();
                    come.detach("third")?;
                    Ok(took)
                })
            }),
        ];
        let seen: Vec<Result<Samples>> = victims
            .into_iter()
            .map(|victim| victim.join().map_err(|_| Error::new("a panic, told above"))?)
            .collect();
        over.store(true, Ordering::Release);
        let last = device.internet.enter(|| TcpStream::connect(("127.0.0.1", port)));
        last.doing("the server's end")?;
        seen.into_iter().collect::<Result<Vec<Samples>>>()
    })?;
    done.try_into().map_err(|_| Error::new("there are four victims"))
}

/// Does something at a pace until the end.
fn every(
    pace: Duration,
    end: Instant,
    mut act: impl FnMut() -> Result<Duration>,
) -> Result<Samples> {
    let mut samples = Samples::default();
    while Instant::now() < end {
        let began = Instant::now();
        samples.push(act()?);
        thread::sleep(pace.saturating_sub(began.elapsed()));
    }
    Ok(samples)
}

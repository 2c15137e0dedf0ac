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

//! Everything guestnetd knows, as text for people: `dumpsys`, bug reports, `guestnetctl dump`.

use super::to_wire;
use crate::daemon::{Handle, LayerReport, LayerState, Whose};
use crate::model::backoff::seconds;
use crate::model::dhcp::Counts;
use crate::model::dns;
use android_system_guestnet::aidl::android::system::guestnet::Uplink::Uplink;
use binder::ParcelFileDescriptor;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{send, MsgFlags};
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::time::{Duration, Instant};

/// The text. What cannot be had is said in its place.
pub fn text(owner: &Handle, listen: &str) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, owner, listen);
    out
}

fn write(out: &mut String, owner: &Handle, listen: &str) -> std::fmt::Result {
    match owner.info() {
        Ok(info) => {
            let asked = info.names;
            let info = to_wire::info(&info, listen);
            writeln!(out, "guestnetd {} pid {} on {}", info.version, info.pid, info.kernel)?;
            writeln!(
                out,
                "listen {}  uplink {}  routing {}  state {}",
                info.listen, info.uplink, info.routing, info.stateDir
            )?;
            writeln!(out, "owns forwarding: {}", if info.ownsForwarding { "yes" } else { "no" })?;
            writeln!(out, "forwarder: {}", names(&asked))?;
        }
        Err(e) => return writeln!(out, "{e}"),
    }
    match owner.status(None, Whose::Everyones) {
        Ok(report) => {
            uplink(out, &to_wire::uplink(&report.uplink))?;
            writeln!(out, "\ndevice")?;
            layers(out, &report.layers)?;
            match report.dropped {
                Some(packets) => writeln!(out, "dropped {packets} packets of guests")?,
                None => writeln!(out, "dropped packets cannot be read")?,
            }
            for guest in &report.guests {
                let net = &guest.guest.net;
                writeln!(
                    out,
                    "\nguest {} slot {} {} index {} uid {}: {} {}/{} via {} mtu {} mac {}",
                    net.name,
                    net.slot,
                    net.host.name,
                    guest.guest.index,
                    guest.guest.owner_uid,
                    net.guest.name,
                    net.guest.address,
                    net.guest.prefix,
                    net.guest.gateway,
                    net.mtu,
                    net.guest.mac,
                )?;
                layers(out, &guest.layers)?;
                writeln!(
                    out,
                    "  from it {} packets {} bytes, to it {} packets {} bytes",
                    guest.rx_packets, guest.rx_bytes, guest.tx_packets, guest.tx_bytes
                )?;
                if let Some(dropped) = guest.dropped {
                    writeln!(out, "  dropped {dropped} packets of it")?;
                }
                let Counts { offers, acks, naks, refused } = guest.guest.dhcp;
                writeln!(out, "  dhcp offers {offers} acks {acks} naks {naks} refused {refused}")?;
                writeln!(out, "  names {}", names(&guest.guest.names))?;
            }
        }
        Err(e) => writeln!(out, "{e}")?,
    }
    match owner.rules() {
        Ok(rules) => write!(out, "\nrules as set\n{rules}"),
        Err(e) => writeln!(out, "{e}"),
    }
}

fn names(counts: &dns::Counts) -> String {
    let dns::Counts { asked, answered, failed, refused, odd } = counts;
    format!("asked {asked} answered {answered} failed {failed} refused {refused} odd {odd}")
}

fn uplink(out: &mut String, uplink: &Uplink) -> std::fmt::Result {
    let dns = match uplink.dnsServers.as_slice() {
        [] => "none".to_owned(),
        servers => servers.join(" "),
    };
    writeln!(
        out,
        "uplink interface {:?} index {} up {} address {:?} table {} resolvers {dns}",
        uplink.interfaceName, uplink.interfaceIndex, uplink.up, uplink.address, uplink.routeTable,
    )
}

fn layers(out: &mut String, layers: &[LayerReport]) -> std::fmt::Result {
    for l in layers {
        let state = match l.state {
            LayerState::Ok => "ok",
            LayerState::Waiting => "wait",
            LayerState::Bad => "BAD",
            LayerState::Unknown => "?",
        };
        write!(out, "  {:<10} {state:<4} {}", format!("{:?}", l.layer).to_lowercase(), l.text)?;
        if let Some(step) = &l.next_step {
            write!(out, "; {step}")?;
        }
        if let Some(left) = l.retry_in {
            write!(out, "; tried again in {} s", seconds(left))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// How long a reader may take for all of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a file was opened: O_RDONLY, O_WRONLY or O_RDWR. (Not with nix: its fcntl takes a raw descriptor
/// in some releases and a borrowed one in others.)
fn access_mode(file: &File) -> io::Result<i32> {
    // SAFETY: the descriptor is open, and F_GETFL takes no argument and returns flags.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) } {
        -1 => Err(io::Error::last_os_error()),
        flags => Ok(flags & libc::O_ACCMODE),
    }
}

/// Writes the text to a caller's descriptor. A reader that does not read ends the dump.
pub fn to_descriptor(owner: &Handle, listen: &str, fd: &ParcelFileDescriptor) -> io::Result<()> {
    // SAFETY: the parcel owns the descriptor and outlives this borrow.
    let fd = unsafe { BorrowedFd::borrow_raw(fd.as_raw_fd()) }.try_clone_to_owned()?;
    let mut out = File::from(fd);
    if access_mode(&out)? == libc::O_RDONLY {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    if out.metadata()?.file_type().is_char_device() {
        // A terminal takes less than it is given, and then waits. Opened anew it does not; the
        // caller's own open file stays as it is.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let path = format!("/proc/self/fd/{}", out.as_raw_fd());
        out = OpenOptions::new().write(true).custom_flags(flags).open(path)?;
    }
    let text = text(owner, listen);
    let (mut rest, end) = (text.as_bytes(), Instant::now() + PATIENCE);
    while !rest.is_empty() {
        if !writable(&out, end)? {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "nobody reads"));
        }
        // A pipe that polls as writable has room for PIPE_BUF bytes (pipe(7)).
        let (chunk, _) = rest.split_at(rest.len().min(4096));
        match write_some(&mut out, chunk) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn write_some(out: &mut File, chunk: &[u8]) -> io::Result<usize> {
    if !out.metadata()?.file_type().is_socket() {
        return out.write(chunk);
    }
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    Ok(send(out.as_raw_fd(), chunk, flags)?)
}

fn writable(out: &File, end: Instant) -> io::Result<bool> {
    let left = end.saturating_duration_since(Instant::now()).as_millis();
    let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
    let mut fds = [PollFd::new(out.as_fd(), PollFlags::POLLOUT)];
    Ok(poll(&mut fds, left)? > 0)
}

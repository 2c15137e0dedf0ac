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

//! Calls, listeners and descriptors over the socket, between two processes.

mod common;

use std::fs::File;
use std::io::Read;
use std::sync::mpsc::{self, Sender};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::{
    Guest::Guest,
    GuestConfig::GuestConfig,
    GuestEvent::GuestEvent,
    GuestTarget::GuestTarget,
    IGuestNet::{IGuestNet, ERROR_NO_SUCH_GUEST},
    IGuestNetListener::{BnGuestNetListener, IGuestNetListener},
    Uplink::Uplink,
};
use binder::{
    BinderFeatures, DeathRecipient, ExceptionCode, IBinder, Interface, ParcelFileDescriptor, Strong,
};
use common::{client, eventually, is_root, Dir, Peer, BOUND, NAME};
use guestnet_platform::{connect_with_timeout, status_message, Connection, PlatformError};
use nix::sys::signal::Signal;

struct Heard(Mutex<Sender<String>>);

impl Interface for Heard {}

impl IGuestNetListener for Heard {
    fn onGuest(&self, _event: GuestEvent, guest: &Guest) -> binder::Result<()> {
        let _ = self.0.lock().expect("the sender").send(guest.name.clone());
        Ok(())
    }

    fn onUplink(&self, _from: &Uplink, _to: &Uplink, _gap: i64) -> binder::Result<()> {
        Ok(())
    }
}

fn listener(sender: Sender<String>) -> Strong<dyn IGuestNetListener> {
    BnGuestNetListener::new_binder(Heard(Mutex::new(sender)), BinderFeatures::default())
}

fn attach(service: &Connection<dyn IGuestNet>, name: &str) {
    let config = GuestConfig { name: name.to_owned(), ..GuestConfig::default() };
    let guest = service.attach(&config, &GuestTarget::default(), None).expect("attach");
    assert_eq!(guest.name, name);
}

#[test]
fn the_service_sees_the_callers_user_and_process() {
    let dir = Dir::new();
    let _server = Peer::server(&dir);
    let info = client(&dir).expect("a connection").info().expect("info");
    assert_eq!(info.version, format!("uid {}", nix::unistd::geteuid()));
    assert_eq!(info.pid, std::process::id() as i32);
}

#[test]
fn a_failure_keeps_its_code_and_its_words() {
    let dir = Dir::new();
    let _server = Peer::server(&dir);
    let service = client(&dir).expect("a connection");
    let failure = service.detach("box").expect_err("no such guest");
    assert_eq!(failure.exception_code(), ExceptionCode::SERVICE_SPECIFIC);
    assert_eq!(failure.service_specific_error(), ERROR_NO_SUCH_GUEST);
    assert_eq!(status_message(&failure), "no guest of that name: \"box\"");
    let failure = service.list().expect_err("not in the stub");
    assert_eq!(failure.exception_code(), ExceptionCode::UNSUPPORTED_OPERATION);
    assert_eq!(status_message(&failure), "not in the stub");
}

#[test]
fn a_listener_is_told_in_order_and_dies_with_its_connection() {
    let dir = Dir::new();
    let _server = Peer::server(&dir);
    let (sender, heard) = mpsc::channel();
    let listening = client(&dir).expect("a connection");
    listening.registerListener(&listener(sender)).expect("registered");
    let other = client(&dir).expect("a second connection");
    for i in 0..100 {
        attach(&other, &format!("guest{i}"));
    }
    for i in 0..100 {
        assert_eq!(heard.recv_timeout(BOUND).expect("an event"), format!("guest{i}"));
    }
    drop(listening);
    eventually("the listener is dropped", || other.info().expect("info").guests == 0);
}

#[test]
fn the_listener_of_a_killed_process_is_dropped() {
    let dir = Dir::new();
    let _server = Peer::server(&dir);
    let killed = Peer::start(&["listen", &dir.endpoint().to_string()]);
    killed.line();
    let service = client(&dir).expect("a connection");
    assert_eq!(service.info().expect("info").guests, 1);
    attach(&service, "before");
    killed.expect_line("event before");
    killed.signal(Signal::SIGKILL);
    eventually("the listener is dropped", || service.info().expect("info").guests == 0);
    attach(&service, "after");
}

#[test]
fn a_descriptor_arrives_and_can_be_written() {
    let dir = Dir::new();
    let server = Peer::server(&dir);
    let service = client(&dir).expect("a connection");
    service.info().expect("info");
    let before = server.usage().1;
    let (reader, writer) = nix::unistd::pipe().expect("a pipe");
    let args = vec!["-a".to_owned(), "b c".to_owned()];
    service.dumpTo(&ParcelFileDescriptor::new(writer), &args).expect("dumped");
    let mut text = String::new();
    File::from(reader).read_to_string(&mut text).expect("the server has closed its end");
    let uid = nix::unistd::geteuid();
    assert_eq!(text, format!("dumped for uid {uid} with [\"-a\", \"b c\"]\n"));
    eventually("no descriptor is left", || server.usage().1 == before);
}

#[test]
fn a_client_hears_of_the_servers_death() {
    let dir = Dir::new();
    let server = Peer::server(&dir);
    let service = client(&dir).expect("a connection");
    let (sender, died) = mpsc::channel();
    let sender = Mutex::new(sender);
    let mut death = DeathRecipient::new(move || {
        let _ = sender.lock().expect("the sender").send(());
    });
    service.as_binder().link_to_death(&mut death).expect("linked");
    server.signal(Signal::SIGKILL);
    died.recv_timeout(BOUND).expect("the notice");
    assert_eq!(
        service.info().expect_err("no server").exception_code(),
        ExceptionCode::TRANSACTION_FAILED
    );
}

#[test]
fn a_call_to_a_stopped_server_ends_after_the_timeout() {
    let dir = Dir::new();
    let server = Peer::server(&dir);
    let timeout = Duration::from_millis(500);
    let service: Connection<dyn IGuestNet> =
        connect_with_timeout(&dir.endpoint(), NAME, timeout).expect("a connection");
    server.freeze();
    let start = Instant::now();
    let failure = service.info().expect_err("no answer");
    let took = start.elapsed();
    assert_eq!(failure.transaction_error(), binder::StatusCode::TIMED_OUT);
    assert!(took >= timeout && took < timeout * 4, "it took {took:?}");
    server.signal(Signal::SIGCONT);
    client(&dir).expect("a new connection").info().expect("info");
}

#[test]
fn two_clients_are_served_at_once() {
    let dir = Dir::new();
    let _server = Peer::server(&dir);
    std::thread::scope(|scope| {
        for client_number in 0..8 {
            let dir = &dir;
            scope.spawn(move || {
                let service = client(dir).expect("a connection");
                for i in 0..200 {
                    attach(&service, &format!("{client_number}-{i}"));
                }
            });
        }
    });
}

#[test]
fn another_user_of_the_group_is_seen_as_such() {
    if !is_root("another_user_of_the_group_is_seen_as_such") {
        return;
    }
    let dir = Dir::new();
    let _server = Peer::server(&dir);
    let other = Peer::start_as(Some(12345), &["listen", &dir.endpoint().to_string()]);
    other.expect_line("listening as uid 12345");
}

#[test]
fn a_name_nobody_has_is_said_to_be_so() {
    let dir = Dir::new();
    let _server = Peer::server(&dir);
    let found: Result<Connection<dyn IGuestNet>, _> =
        guestnet_platform::connect(&dir.endpoint(), "no.such.IService/default");
    match found {
        Err(PlatformError::NotRegistered { name, .. }) => {
            assert_eq!(name, "no.such.IService/default");
        }
        Err(e) => panic!("another error: {e}"),
        Ok(_) => panic!("it was found"),
    }
}

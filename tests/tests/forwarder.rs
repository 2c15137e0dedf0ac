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

//! What guests ask their gateway, answered by guestnetd's own forwarder.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::{
    Cause::Cause, DnsMode::DnsMode, GuestConfig::GuestConfig, Layer::Layer, LayerState::LayerState,
    LayerStatus::LayerStatus, VpnPolicy::VpnPolicy,
};
use guestnet_tests::bed::{eventually, second_way, Bed, GATEWAY};
use guestnet_tests::client::{address, by_pid, config};
use guestnet_tests::resolver::{
    answer, listen, question, read_framed, resolve, resolve_by_tcp, write_framed, Resolver, Says,
};
use guestnet_tests::user::{as_user, STRANGER};
use guestnet_tests::{uninterrupted, Daemon, Device, Guest, InNetns, Internet, Probe};

guestnet_tests::with_both_backends!(
    a_guest_is_answered_by_udp_and_tcp,
    nobody_is_answered_but_a_guest_that_asks_its_gateway,
    an_auto_guest_is_forwarded_where_one_resolver_would_not_do,
    each_guest_has_its_own_mode,
    a_guest_that_comes_or_chooses_cuts_off_no_others_question,
    who_chooses_is_answered_at_the_port_that_it_asked_from_before,
    a_guest_by_a_tun_never_follows_the_uplinks_to_the_forwarder,
    a_question_that_finds_nobody_is_not_refused,
    a_stranger_at_the_forwarders_port_answers_nobody,
);

const FIRST: &str = "192.0.2.53";
const SECOND: &str = "192.0.2.54";
/// The forwarder's port, which no guest is told.
const PORT: u16 = 30_053;

fn by(mode: DnsMode, name: &str) -> GuestConfig {
    GuestConfig { dns: mode, ..config(name) }
}

fn by_servers(servers: &[&str], name: &str) -> GuestConfig {
    let servers = servers.iter().map(|server| (*server).to_owned()).collect();
    GuestConfig { dnsServers: servers, ..by(DnsMode::SERVERS, name) }
}

/// A bed whose guest is forwarded to these.
fn bed(firewall: &str, servers: &[&str]) -> Bed {
    let dns: String = servers.iter().map(|server| format!(" --dns {server}")).collect();
    let bed = Bed::on(Device::new()).args(&format!("--firewall {firewall}{dns}")).build();
    bed.attach_as(&by(DnsMode::FORWARD, "box"), &bed.target());
    bed
}

fn dns(bed: &Bed) -> LayerStatus {
    let status = bed.service.status(None).expect("status");
    status.device.into_iter().find(|layer| layer.layer == Layer::DNS).expect("the layer DNS")
}

/// Asks once, and waits as long as a resolver of a guest's own does.
fn code(from: &impl InNetns, message: &[u8]) -> Option<u8> {
    let socket = from.enter(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    socket.send_to(message, (GATEWAY, 53)).expect("sent");
    let mut buffer = [0; 4096];
    let length = uninterrupted(|| socket.recv(&mut buffer)).ok()?;
    buffer.get(..length)?.get(3).map(|flags| flags & 0x0f)
}

fn a_guest_is_answered_by_udp_and_tcp(firewall: &str) {
    let mut bed = bed(firewall, &[FIRST]);
    let first = bed.device.internet.resolver(FIRST, Says::All);
    eventually("UDP", || resolve(&bed.guest, GATEWAY).is_ok());
    assert_eq!(resolve(&bed.guest, GATEWAY).expect("UDP"), Resolver::ANSWER);
    assert_eq!(resolve_by_tcp(&bed.guest, GATEWAY).expect("TCP"), Resolver::ANSWER);
    // What is too long for a datagram: the guest is told so, and asks by TCP.
    first.says(Says::Short);
    assert_eq!(resolve(&bed.guest, GATEWAY).unwrap_err().to_string(), "cut short");
    assert_eq!(resolve_by_tcp(&bed.guest, GATEWAY).expect("TCP"), Resolver::ANSWER);
    first.says(Says::Failed);
    assert_eq!(code(&bed.guest, &question()), Some(2));
    let dump = String::from_utf8_lossy(&bed.daemon.run_ctl(&["dump"]).stdout).into_owned();
    let counted = dump.lines().find(|line| line.starts_with("forwarder: asked "));
    let numbers: Vec<u64> =
        counted.unwrap_or(&dump).split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(numbers.len() == 5 && numbers[0] >= 5 && numbers[1] >= 5, "{counted:?}");
    // It goes on after a restart of guestnetd, as nothing has happened.
    first.says(Says::All);
    bed.daemon.kill();
    bed.start();
    eventually("after a restart", || resolve(&bed.guest, GATEWAY).is_ok());
    // With the last guest it goes.
    bed.detach("box");
    let sockets = || bed.device.run("ss -Hlun") + &bed.device.run("ss -Hltn");
    eventually("no socket is left", || !sockets().contains(&PORT.to_string()));
}

#[test]
fn the_second_server_is_asked_when_the_first_is_silent() {
    let bed = bed("nftables", &[FIRST, SECOND]);
    let [first, second] = [(FIRST, Says::Nothing), (SECOND, Says::AllButRoot)]
        .map(|(at, says)| bed.device.internet.resolver(at, says));
    assert_eq!(code(&bed.guest, &question()), Some(0), "within a client's patience");
    assert!(first.asked() > 0 && second.asked() > 0);
    second.says(Says::All);
    let asked = first.asked();
    eventually("an answer", || resolve(&bed.guest, GATEWAY).is_ok());
    assert_eq!(first.asked(), asked, "for a while nobody waits for it again");
    // Who asks for it has them asked.
    eventually("it is known who answers", || dns(&bed).state == LayerState::OK);
    let layer = dns(&bed);
    assert!(layer.text.contains("forwarder") && layer.text.contains(SECOND), "{layer:?}");
    first.says(Says::Nothing);
    second.says(Says::Nothing);
    assert_eq!(code(&bed.guest, &question()), Some(2), "nobody");
}

fn an_auto_guest_is_forwarded_where_one_resolver_would_not_do(firewall: &str) {
    let bed = Bed::on(Device::options().ipv6().build())
        .args(&format!("--firewall {firewall}"))
        .attached("box")
        .build();
    let forwards = || dns(&bed).text.contains("forwarder");
    let answered = || resolve(&bed.guest, GATEWAY).is_ok_and(|at| at == Resolver::ANSWER);
    eventually("by DNAT", answered);
    assert!(!forwards(), "{:?}", dns(&bed));
    let write = |text: &str| {
        std::fs::write(bed.daemon.resolv_conf(), text).expect("resolv.conf");
    };
    let both = format!("nameserver {FIRST}\nnameserver {}\n", Internet::ADDRESS);
    let of_ipv6 = format!("nameserver {}\n", Internet::ADDRESS6);
    for (text, what) in [(both, "two"), (of_ipv6, "of IPv6")] {
        write(&text);
        eventually(what, || forwards() && answered());
    }
    // The device's own, on its loopback: the guest cannot reach it, and is answered by it.
    let stub = Resolver::start(&bed.device, "127.0.0.53".parse().expect("an address"), Says::All);
    write("nameserver 127.0.0.53\n");
    eventually("a stub", || forwards() && answered() && stub.asked() > 0);
    write(&format!("nameserver {}\n", Internet::ADDRESS));
    eventually("by DNAT again", || !forwards() && answered());
}

/// systemd-resolved's own file says whom its stub asks: who it is, is asked, and not the stub.
#[test]
fn behind_systemd_resolveds_stub_its_servers_are_asked() {
    let folder = tempfile::tempdir().expect("a directory");
    let program = folder.path().join("start");
    let script = format!(
        "#!/bin/sh\nset -e\nmount -t tmpfs none /run\nmkdir -p /run/systemd/resolve\n\
         echo nameserver {FIRST} >/run/systemd/resolve/resolv.conf\nexec \"$@\"\n"
    );
    fs::write(&program, script).expect("the script");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("chmod");
    let device = Device::new();
    let first = device.internet.resolver(FIRST, Says::All);
    let stub = Resolver::start(&device, "127.0.0.53".parse().expect("an address"), Says::All);
    let daemon = Daemon::new(&device).by(&format!("unshare -m {}", program.display()));
    fs::write(daemon.resolv_conf(), "nameserver 127.0.0.53\noptions edns0\n").expect("written");
    let bed = Bed::around(device, daemon).build();
    for mode in [DnsMode::AUTO, DnsMode::FORWARD] {
        bed.attach_as(&by(mode, "box"), &bed.target());
        let before = first.asked();
        eventually("an answer", || resolve(&bed.guest, GATEWAY).is_ok());
        assert!(first.asked() > before, "{mode:?}");
        let layer = dns(&bed);
        assert!(layer.text.contains(FIRST), "{layer:?}");
        assert_eq!(layer.state, LayerState::OK, "{layer:?}");
        bed.detach("box");
    }
    assert_eq!(stub.asked(), 0, "the stub");
}

#[test]
fn without_an_uplink_a_guest_is_told_at_once() {
    let device = Device::options().no_uplink().build();
    let bed = Bed::on(device).args(&format!("--dns {FIRST} --dns {SECOND}")).build();
    bed.attach("box", &bed.guest);
    let began = Instant::now();
    assert_eq!(code(&bed.guest, &question()), Some(2));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(dns(&bed).state, LayerState::WAITING, "{:?}", dns(&bed));
    bed.device.add_uplink("wlan0");
    let _resolver = bed.device.internet.resolver(SECOND, Says::All);
    eventually("with one", || resolve(&bed.guest, GATEWAY).is_ok());
}

/// Who answers each guest, as getDns() has it.
fn answered(bed: &Bed) -> Vec<(String, DnsMode, Vec<String>)> {
    let guests = bed.service.getDns().expect("getDns").guests;
    guests.into_iter().map(|of| (of.guest, of.mode, of.servers)).collect()
}

fn served(guest: &str, mode: DnsMode, servers: &[&str]) -> (String, DnsMode, Vec<String>) {
    (guest.to_owned(), mode, servers.iter().map(|server| (*server).to_owned()).collect())
}

fn each_guest_has_its_own_mode(firewall: &str) {
    let args = format!("--firewall {firewall} --dns {FIRST}");
    let bed = Bed::on(Device::options().ipv6().build()).args(&args).build();
    let first = bed.device.internet.resolver(FIRST, Says::Failed);
    let guests = [Guest::new(), Guest::new(), Guest::new()];
    let own = by_servers(&[Internet::ADDRESS6, SECOND], "own");
    for (guest, config) in guests.iter().zip([config("auto"), by(DnsMode::FORWARD, "forward"), own])
    {
        let attached = bed.attach_as(&config, &by_pid(guest.pid()));
        assert_eq!((attached.dns, attached.dnsServers), (config.dns, config.dnsServers));
    }
    let [auto, forward, own] = &guests;
    eventually("its own server", || resolve(own, GATEWAY).is_ok());
    assert_eq!([auto, forward].map(|guest| code(guest, &question())), [Some(2); 2]);
    first.says(Says::All);
    assert_eq!([auto, forward].map(|guest| code(guest, &question())), [Some(0); 2]);
    let of6 = Internet::ADDRESS6.to_string();
    assert_eq!(
        answered(&bed),
        [
            served("auto", DnsMode::DNAT, &[FIRST]),
            served("forward", DnsMode::FORWARD, &[FIRST]),
            served("own", DnsMode::SERVERS, &[&of6, SECOND]),
        ]
    );
    // A live guest gets another one.
    first.says(Says::Failed);
    bed.service.update("auto", &by_servers(&[Internet::ADDRESS], "auto")).expect("update");
    bed.service.update("own", &by(DnsMode::DNAT, "own")).expect("update");
    eventually("it is the other way round", || {
        resolve(auto, GATEWAY).is_ok() && code(own, &question()) == Some(2)
    });
    bed.service.update("own", &by(DnsMode::FORWARD, "own")).expect("update");
    eventually("forwarded again", || code(own, &question()) == Some(2));
    first.says(Says::All);
    eventually("as all", || resolve(own, GATEWAY).is_ok());
}

fn a_guest_that_comes_or_chooses_cuts_off_no_others_question(firewall: &str) {
    let bed = Bed::on(Device::new()).args(&format!("--firewall {firewall} --dns {FIRST}")).build();
    bed.attach_as(&by(DnsMode::DNAT, "box"), &bed.target());
    bed.device.internet.run(&format!("ip addr add {FIRST}/32 dev lo"));
    let (_udp, tcp) = listen(&bed.device.internet, FIRST.parse().expect("an address"));
    let connection = bed.guest.enter(|| TcpStream::connect((GATEWAY, 53)));
    let mut connection = connection.expect("a connection to the resolver");
    let (mut resolver, _) = tcp.accept().expect("a guest's connection");
    resolver.set_read_timeout(Some(Duration::from_secs(3))).expect("a timeout");
    let other = Guest::new();
    let comes = |mode| drop(bed.attach_as(&by(mode, "other"), &by_pid(other.pid())));
    let chooses = |mode| drop(bed.service.update("other", &by(mode, "other")).expect("update"));
    let doings: [(&str, &dyn Fn()); 5] = [
        ("comes", &|| comes(DnsMode::FORWARD)),
        ("chooses DNAT", &|| chooses(DnsMode::DNAT)),
        ("chooses the forwarder", &|| chooses(DnsMode::FORWARD)),
        ("goes", &|| bed.detach("other")),
        ("comes without the forwarder", &|| comes(DnsMode::DNAT)),
    ];
    for (what, done) in doings {
        done();
        // Connections are forgotten by a thread of guestnetd's, a little later.
        std::thread::sleep(Duration::from_millis(200));
        write_framed(&mut connection, &question()).expect("a question");
        let heard = read_framed(&mut resolver);
        assert_eq!(heard.ok(), Some(question()), "another guest {what}");
    }
}

/// As resolvers do that keep a socket: its connection was led where its questions went before.
fn who_chooses_is_answered_at_the_port_that_it_asked_from_before(firewall: &str) {
    let bed = bed(firewall, &[FIRST]);
    let _first = bed.device.internet.resolver(FIRST, Says::All);
    eventually("UDP", || resolve(&bed.guest, GATEWAY).is_ok());
    let socket = bed.guest.enter(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let answered = || {
        let mut buffer = [0; 512];
        socket.send_to(&question(), (GATEWAY, 53)).expect("sent");
        uninterrupted(|| socket.recv(&mut buffer)).is_ok()
    };
    assert!(answered(), "by the forwarder");
    for mode in [DnsMode::DNAT, DnsMode::FORWARD, DnsMode::DNAT] {
        bed.service.update("box", &by(mode, "box")).expect("update");
        eventually("an answer at the same port", answered);
    }
}

#[test]
fn status_says_what_becomes_of_a_guests_own_questions() {
    let bed = Bed::on(Device::options().ipv6().build()).args(&format!("--dns {FIRST}")).build();
    let _first = bed.device.internet.resolver(FIRST, Says::All);
    let second = bed.device.internet.resolver(SECOND, Says::Nothing);
    let of6 = ["2001:db8:0:1::53", SECOND];
    bed.device.internet.run(&format!("ip -6 addr add {}/128 dev device nodad", of6[0]));
    let third =
        Resolver::start(&bed.device.internet, of6[0].parse().expect("an address"), Says::All);
    let guests = [Guest::new(), Guest::new(), Guest::new(), Guest::new()];
    let configs = [
        config("auto"),
        by(DnsMode::FORWARD, "forward"),
        by_servers(&[SECOND], "silent"),
        by_servers(&of6[..1], "six"),
    ];
    for (guest, config) in guests.iter().zip(configs) {
        bed.attach_as(&config, &by_pid(guest.pid()));
    }
    let layer = |name: &str| {
        let dns = dns_of(&bed, name);
        (dns.state, dns.cause, dns.text.clone() + &dns.nextStep.unwrap_or_default())
    };
    let is = |name: &str, state, cause, words: &[&str]| {
        let found = layer(name);
        assert_eq!((found.0, found.1), (state, cause), "{name}: {found:?}");
        words.iter().for_each(|word| assert!(found.2.contains(word), "{word}: {found:?}"));
    };
    eventually("auto", || layer("auto").0 == LayerState::OK);
    assert!(!layer("auto").2.contains("forwarder"), "{:?}", layer("auto"));
    is("forward", LayerState::OK, Cause::HEALTHY, &["forwarder", FIRST, "from --dns"]);
    let own = [SECOND, "the guest's own", "guestnetctl update silent --dns-mode"];
    is("silent", LayerState::BAD, Cause::DNS_SILENT, &own);
    // Of IPv6 it is not asked but by guests: their own questions tell.
    is("six", LayerState::UNKNOWN, Cause::UNREADABLE, &["not answered yet", of6[0]]);
    eventually("six", || resolve(&guests[3], GATEWAY).is_ok());
    is("six", LayerState::OK, Cause::HEALTHY, &["which answers", of6[0], "the guest's own"]);
    third.says(Says::Refused);
    for _ in 0..3 {
        assert_eq!(code(&guests[3], &question()), Some(5));
    }
    is("six", LayerState::BAD, Cause::DNS_REFUSED, &["refused the last 3 questions", of6[0]]);
    third.says(Says::Nothing);
    for _ in 0..3 {
        assert_eq!(code(&guests[3], &question()), Some(2));
    }
    is("six", LayerState::BAD, Cause::DNS_SILENT, &["not answered the last 3 questions"]);
    // Whom it asks is another one: what was, says nothing any more.
    bed.service.update("six", &by_servers(&[of6[0], SECOND], "six")).expect("update");
    is("six", LayerState::UNKNOWN, Cause::UNREADABLE, &["not answered yet"]);
    let six = bed.service.get("six").expect("get").expect("a guest").dnsCounters;
    assert!(six.answered >= 4 && six.failed == 3 && six.asked >= 7, "{six:?}");
    second.says(Says::All);
    eventually("silent no more", || layer("silent").0 == LayerState::OK);
}

#[test]
fn a_port_that_somebody_has_is_named_and_taken_once_it_is_free() {
    let bed = Bed::on(Device::new()).args(&format!("--dns {FIRST}")).build();
    let _first = bed.device.internet.resolver(FIRST, Says::All);
    let taken = bed.device.enter(|| UdpSocket::bind(("0.0.0.0", PORT))).expect("the port");
    let attached = bed.attach_as(&by(DnsMode::FORWARD, "box"), &bed.target());
    eventually("it is said", || dns_of(&bed, "box").cause == Cause::DNS_PORT_TAKEN);
    let layer = dns_of(&bed, "box");
    assert_eq!(layer.state, LayerState::BAD, "{layer:?}");
    let words = [&PORT.to_string(), GATEWAY, "Address already in use"];
    words.into_iter().for_each(|word| assert!(layer.text.contains(word), "{word}: {layer:?}"));
    assert!(layer.nextStep.is_some_and(|step| step.contains("ss -lnp")), "what to do");
    // All else of the guest's goes on.
    assert!(bed.guest.udp(Internet::UDP, "x").is_ok() && attached.name == "box");
    drop(taken);
    eventually("it is free", || resolve(&bed.guest, GATEWAY).is_ok());
    eventually("it is said", || dns_of(&bed, "box").state == LayerState::OK);
}

/// Any program may take a port that guestnetd has not taken yet, or not again.
fn a_stranger_at_the_forwarders_port_answers_nobody(firewall: &str) {
    let args = format!("--firewall {firewall} --dns {FIRST}");
    let bed = Bed::on(Device::new()).args(&args).build();
    let _first = bed.device.internet.resolver(FIRST, Says::All);
    let open = || {
        as_user(STRANGER, || {
            (UdpSocket::bind(("0.0.0.0", PORT)), TcpListener::bind(("0.0.0.0", PORT)))
        })
    };
    let (udp, tcp) = bed.device.enter(open);
    let (udp, tcp) = (udp.expect("the port"), tcp.expect("the port"));
    bed.attach_as(&by(DnsMode::FORWARD, "box"), &bed.target());
    let (asked, over) = (AtomicU32::new(0), AtomicBool::new(false));
    udp.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 512];
            while !over.load(Ordering::Relaxed) {
                let Ok((length, from)) = udp.recv_from(&mut buffer) else { continue };
                asked.fetch_add(1, Ordering::Relaxed);
                let answer = answer(&buffer[..length], Says::All).expect("an answer");
                // To it, it looks sent, or is refused.
                let _ = udp.send_to(&answer, from);
            }
        });
        for _ in 0..3 {
            let answered = resolve(&bed.guest, GATEWAY);
            assert!(answered.is_err(), "{answered:?}");
        }
        assert!(!connects(&bed.guest, GATEWAY, 53), "by TCP");
        over.store(true, Ordering::Relaxed);
    });
    assert!(asked.into_inner() >= 3, "it would have answered");
    eventually("it is said", || dns_of(&bed, "box").cause == Cause::DNS_PORT_TAKEN);
    drop((udp, tcp));
    eventually("it is free", || resolve(&bed.guest, GATEWAY).is_ok());
    assert_eq!(resolve_by_tcp(&bed.guest, GATEWAY).expect("TCP"), Resolver::ANSWER);
}

fn dns_of(bed: &Bed, guest: &str) -> LayerStatus {
    let mut status = bed.service.status(Some(guest)).expect("status");
    let layers = status.guests.remove(0).layers;
    layers.into_iter().find(|layer| layer.layer == Layer::DNS).expect("the layer DNS")
}

fn connects(from: &impl InNetns, at: &str, port: u16) -> bool {
    let to = SocketAddr::new(at.parse().expect("an address"), port);
    from.enter(|| TcpStream::connect_timeout(&to, Duration::from_millis(300))).is_ok()
}

fn nobody_is_answered_but_a_guest_that_asks_its_gateway(firewall: &str) {
    let bed = bed(firewall, &[FIRST]);
    let _first = bed.device.internet.resolver(FIRST, Says::All);
    let other = Guest::new();
    let attached = bed.attach_as(&by(DnsMode::FORWARD, "other"), &by_pid(other.pid()));
    let boxes = bed.service.get("box").expect("get").expect("a guest");
    eventually("both ask", || {
        resolve(&bed.guest, GATEWAY).is_ok() && resolve(&other, GATEWAY).is_ok()
    });
    // By its port: from a guest, from the device's network, and by another of the device's addresses.
    let refused = |from: &dyn Fn(&str) -> bool, at: &str| assert!(!from(at), "{at}");
    let by_port = |from: &Guest, at: &str| {
        let socket = from.enter(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
        let sent = socket.send_to(&question(), (at, PORT));
        let to = SocketAddr::new(at.parse().expect("an address"), PORT);
        let tcp = from.enter(|| TcpStream::connect_timeout(&to, Duration::from_millis(300)));
        sent.is_ok() && uninterrupted(|| socket.recv(&mut [0; 512])).is_ok() || tcp.is_ok()
    };
    refused(&|at| by_port(&other, at), GATEWAY);
    refused(&|at| by_port(&other, at), Device::ADDRESS);
    let internet = &bed.device.internet;
    internet.run(&format!("ip route add 172.17.0.0/16 via {}", Device::ADDRESS));
    let from_beyond = |at: &str| {
        let socket = internet.enter(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
        let asked = |port| {
            let _ = socket.send_to(&question(), (at, port));
            uninterrupted(|| socket.recv(&mut [0; 512])).is_ok()
        };
        asked(PORT) || asked(53)
    };
    refused(&from_beyond, GATEWAY);
    refused(&from_beyond, Device::ADDRESS);
    // By TCP from the device's network, and at the gateway of a guest that has another one.
    let distant = Guest::new();
    let its = GuestConfig {
        gateway: "10.77.0.1".to_owned(),
        prefixLength: 24,
        ..by(DnsMode::FORWARD, "distant")
    };
    bed.attach_as(&its, &by_pid(distant.pid()));
    assert_eq!(resolve_by_tcp(&distant, &its.gateway).expect("its own"), Resolver::ANSWER);
    for (at, port) in [(&*its.gateway, 53), (&*its.gateway, PORT), (Device::ADDRESS, 53)] {
        assert!(!connects(&other, at, port), "{at} {port}");
    }
    for at in [GATEWAY, Device::ADDRESS] {
        assert!([53, PORT].iter().all(|port| !connects(&internet.netns, at, *port)), "{at}");
    }
    // In another's name: it gets no answer, and neither does that one.
    let victim = address(&boxes);
    let heard = bed.guest.enter(|| UdpSocket::bind((victim, 4053))).expect("a socket");
    heard.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    other.run(&format!("ip addr add {victim}/32 dev lo"));
    let forged = other.enter(|| UdpSocket::bind((victim, 4053))).expect("a socket");
    forged.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    let unheard = |what: &str, before: &dyn Fn()| {
        for _ in 0..20 {
            before();
            let _ = forged.send_to(&question(), (GATEWAY, 53));
        }
        let told = uninterrupted(|| heard.recv(&mut [0; 512]));
        assert!(told.is_err(), "an answer to what another has asked: {what}");
        let answer = uninterrupted(|| forged.recv(&mut [0; 512]));
        assert!(answer.is_err(), "{what}");
    };
    unheard("as the kernel is set", &|| {});
    // The kernel does not look at where it comes from any more. guestnetd puts that back a moment later.
    unheard("without rp_filter", &|| {
        for link in ["all", attached.hostInterface.as_str()] {
            bed.device.set_sysctl(&format!("net/ipv4/conf/{link}/rp_filter"), "0");
        }
    });
    let odd = || bed.service.get("other").expect("get").expect("a guest").dnsCounters.odd;
    // With nftables a rule has thrown it away before.
    assert_eq!(odd() > 0, firewall == "iptables", "{}", odd());
    assert_eq!(bed.service.get("box").expect("get").expect("a guest").dnsCounters.odd, 0);
    other.run(&format!("ip addr del {victim}/32 dev lo"));
    assert_eq!(resolve(&other, GATEWAY).expect("in its own name"), Resolver::ANSWER);
    assert_eq!(address(&attached).rsplit_once('.').map(|(net, _)| net), Some("172.17.3"));
}

#[test]
fn whatever_a_guest_sends_others_are_answered() {
    let bed = bed("nftables", &[FIRST]);
    let _first = bed.device.internet.resolver(FIRST, Says::All);
    let root = Guest::new();
    bed.attach_as(&by(DnsMode::FORWARD, "root"), &by_pid(root.pid()));
    eventually("answers", || resolve(&bed.guest, GATEWAY).is_ok());
    let socket = root.enter(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    let good = question();
    let mut messages = vec![vec![], vec![0], vec![0xff; 12], vec![0; 5000], vec![0xc0; 60_000]];
    messages.extend((0..good.len()).map(|end| good[..end].to_vec()));
    messages.extend((0..good.len() * 8).map(|bit| {
        let mut message = good.clone();
        message[bit / 8] ^= 1 << (bit % 8);
        message
    }));
    messages.push([&good[..12], &[0xc0, 12, 0, 1, 0, 1]].concat());
    for message in &messages {
        let _ = socket.send_to(message, (GATEWAY, 53));
    }
    assert_eq!(code(&root, &[&good[..], &[0; 4000]].concat()), Some(1), "oversized");
    // The first five are no questions, nor is what is cut off; of the others some are.
    let odd = |name: &str| bed.service.get(name).expect("get").expect("a guest").dnsCounters.odd;
    let (least, all) = (5 + good.len() as i64, messages.len() as i64);
    assert!((least..all).contains(&odd("root")), "{} of {least} to {all}", odd("root"));
    assert_eq!(odd("box"), 0);
    // By TCP: half a message, one that says more than may be, and connections that say nothing.
    let connect = || root.enter(|| TcpStream::connect((GATEWAY, 53))).expect("TCP");
    let idle: Vec<_> = (0..16).map(|_| connect()).collect();
    for bytes in [&[0_u8, 29, 1, 2][..], &[0xff, 0xff], &[0, 0, 0, 0]] {
        let mut stream = connect();
        let _ = stream.write_all(bytes);
    }
    assert_eq!(resolve(&bed.guest, GATEWAY).expect("the other"), Resolver::ANSWER);
    assert_eq!(resolve_by_tcp(&bed.guest, GATEWAY).expect("TCP"), Resolver::ANSWER);
    drop(idle);
    eventually("itself", || resolve_by_tcp(&root, GATEWAY).is_ok());
}

#[test]
fn a_storm_of_one_guest_leaves_others_their_answers() {
    a_storm_of(&question());
}

/// guestnetd answers it by itself, at once.
#[test]
fn a_storm_about_the_zone_leaves_others_their_answers() {
    let header = &question()[..12];
    a_storm_of(&[header, b"\x08_gateway\x05guest\0\0\x01\0\x01"].concat());
}

/// By TCP, as many in a segment as it takes.
#[test]
fn a_storm_by_tcp_leaves_others_their_answers() {
    let bed = bed("nftables", &[FIRST]);
    let _first = bed.device.internet.resolver(FIRST, Says::All);
    let storm = Guest::new();
    bed.attach_as(&by(DnsMode::FORWARD, "storm"), &by_pid(storm.pid()));
    eventually("answers", || resolve(&bed.guest, GATEWAY).is_ok());
    let median = |n| {
        let ask = |_| {
            let began = Instant::now();
            (resolve(&bed.guest, GATEWAY).is_ok(), began.elapsed())
        };
        let mut all: Vec<_> = (0..n).map(ask).collect();
        assert!(all.iter().filter(|(answered, _)| *answered).count() * 20 >= all.len() * 19);
        all.sort_by_key(|(_, took)| *took);
        all[all.len() / 2].1
    };
    let idle = median(200);
    let message = [&question()[..12], b"\x08_gateway\x05guest\0\0\x01\0\x01"].concat();
    let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat().repeat(100);
    let (over, sent) = (AtomicBool::new(false), AtomicU32::new(0));
    let busy = std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let gateway = SocketAddr::new(GATEWAY.parse().expect("an address"), 53);
                    let stream = storm
                        .enter(|| TcpStream::connect_timeout(&gateway, Duration::from_secs(1)));
                    let Ok(mut stream) = stream else { continue };
                    let mut answers = stream.try_clone().expect("dup");
                    scope.spawn(move || std::io::copy(&mut answers, &mut std::io::sink()));
                    while !over.load(Ordering::Relaxed) && stream.write_all(&framed).is_ok() {
                        sent.fetch_add(100, Ordering::Relaxed);
                    }
                }
            });
        }
        let busy = median(200);
        over.store(true, Ordering::Relaxed);
        busy
    });
    eprintln!("idle {idle:?}, under the storm {busy:?}, {sent:?} sent");
    assert!(sent.into_inner() > 2_000);
    assert!(busy < 20 * idle + Duration::from_millis(10), "{idle:?}, then {busy:?}");
}

fn a_storm_of(question: &[u8]) {
    let bed = bed("nftables", &[FIRST]);
    let first = bed.device.internet.resolver(FIRST, Says::All);
    let storm = Guest::new();
    bed.attach_as(&by_servers(&[SECOND], "storm"), &by_pid(storm.pid()));
    // It asks one that is silent, so that what it asks stays.
    let _silent = bed.device.internet.resolver(SECOND, Says::Nothing);
    eventually("answers", || resolve(&bed.guest, GATEWAY).is_ok());
    let sockets: Vec<_> =
        (0..100).map(|_| storm.enter(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket")).collect();
    let until = Instant::now() + Duration::from_secs(4);
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sent = 0_u64;
            while Instant::now() < until {
                for socket in &sockets {
                    sent += u64::from(socket.send_to(question, (GATEWAY, 53)).is_ok());
                }
            }
            sent
        });
        let (mut answered, mut lost) = (0, 0);
        while Instant::now() < until {
            // A guest's own resolver asks again, too.
            match resolve(&bed.guest, GATEWAY) {
                Ok(_) => answered += 1,
                Err(_) => lost += 1,
            }
        }
        assert!(answered > 100 && lost <= 3 + answered / 50, "{answered}, and {lost} were lost");
        sender.join().expect("the storm")
    });
    assert!(sent > 10_000, "{sent}");
    assert!(first.asked() > 10);
}

#[test]
fn a_question_on_its_way_goes_to_the_next_uplink_at_once() {
    let device = Device::new();
    let beyond = second_way(&device, "eth0");
    let bed = Bed::on(device).args("--uplink wlan0,eth0 --resolv-conf /nonexistent").build();
    let silent = bed.device.internet.resolver(FIRST, Says::Nothing);
    bed.service.setDns("wlan0", &[FIRST.to_owned()]).expect("setDns");
    bed.service.setDns("eth0", &["198.51.100.1".to_owned()]).expect("setDns");
    bed.attach_as(&by(DnsMode::FORWARD, "box"), &bed.target());
    let asked = silent.asked();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| code(&bed.guest, &question()));
        eventually("it is on its way", || silent.asked() > asked + 1);
        let began = Instant::now();
        bed.device.run("ip route add default via 198.51.100.1 dev eth0 metric 9999");
        bed.device.remove_uplink("wlan0");
        assert_eq!(waits.join().expect("a thread"), Some(0));
        assert!(began.elapsed() < Duration::from_millis(1900), "{:?}", began.elapsed());
    });
    drop(beyond);
}

/// What a resolver that the test itself is has received next from guestnetd for a guest, and from where.
fn received(resolver: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 512];
    loop {
        let (length, from) = uninterrupted(|| resolver.recv_from(&mut buffer)).expect("a question");
        // guestnetd itself asks for the root.
        if buffer[..length].ends_with(&question()[12..]) {
            return (buffer[..length].to_vec(), from);
        }
    }
}

/// An answer with an address of which the resolvers here know nothing.
fn other_answer(query: &[u8]) -> Vec<u8> {
    let mut message = answer(query, Says::All).expect("an answer");
    message.truncate(message.len() - OTHER.len());
    message.extend(OTHER);
    message
}

const OTHER: [u8; 4] = [203, 0, 113, 66];

#[test]
fn an_answer_by_the_uplink_before_is_nobodys() {
    let device = Device::new();
    let beyond = second_way(&device, "eth0");
    let bed = Bed::on(device).args("--uplink wlan0,eth0 --resolv-conf /nonexistent").build();
    bed.device.internet.run(&format!("ip addr add {FIRST}/32 dev lo"));
    let at = |address: &str| address.parse().expect("an address");
    let (old, _) = listen(&bed.device.internet, at(FIRST));
    let (new, _) = listen(&beyond, at("198.51.100.1"));
    let wait = Some(Duration::from_secs(10));
    for resolver in [&old, &new] {
        resolver.set_read_timeout(wait).expect("a timeout");
    }
    bed.service.setDns("wlan0", &[FIRST.to_owned()]).expect("setDns");
    bed.service.setDns("eth0", &["198.51.100.1".to_owned()]).expect("setDns");
    bed.attach_as(&by(DnsMode::FORWARD, "box"), &bed.target());
    let client = bed.guest.enter(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    client.set_read_timeout(wait).expect("a timeout");
    client.send_to(&question(), (GATEWAY, 53)).expect("sent");
    let (before, of_before) = received(&old);
    // The link of the one before stays up, and what comes by it still arrives.
    bed.device.run("ip route del default");
    bed.device.run("ip route add default via 198.51.100.1 dev eth0");
    let (query, from) = received(&new);
    assert_ne!(before[..2], query[..2], "its id was known to the one before");
    assert_eq!(before[2..], query[2..]);
    for id in [&before[..2], &query[..2]] {
        let late = other_answer(&[id, &before[2..]].concat());
        for to in [of_before, SocketAddr::new(of_before.ip(), from.port())] {
            old.send_to(&late, to).expect("sent");
        }
    }
    std::thread::sleep(Duration::from_millis(300));
    new.send_to(&answer(&query, Says::All).expect("an answer"), from).expect("sent");
    let mut buffer = [0; 512];
    let length = uninterrupted(|| client.recv(&mut buffer)).expect("an answer");
    assert!(buffer[..length].ends_with(&Resolver::ANSWER), "{:?}", &buffer[..length]);
    assert_eq!(buffer[..2], question()[..2]);
    client.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    assert!(uninterrupted(|| client.recv(&mut buffer)).is_err(), "another answer");
}

#[test]
fn who_forges_an_answer_has_to_know_the_id_the_port_and_the_question() {
    let bed = bed("nftables", &[FIRST]);
    bed.device.internet.run(&format!("ip addr add {FIRST}/32 dev lo"));
    let (first, _) = listen(&bed.device.internet, FIRST.parse().expect("an address"));
    first.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let client = bed.guest.enter(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    client.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let mut asked = Vec::new();
    for n in 0..64 {
        client.send_to(&question(), (GATEWAY, 53)).expect("sent");
        let (query, from) = received(&first);
        let forged = other_answer(&query);
        let (mut id, mut name, mut kind) = (forged.clone(), forged.clone(), forged);
        id[n % 2] ^= 1 << (n % 8);
        name[13] ^= 1;
        kind[query.len() - 3] = AAAA;
        for forged in [&id, &name, &kind] {
            first.send_to(forged, from).expect("sent");
        }
        first.send_to(&answer(&query, Says::All).expect("an answer"), from).expect("sent");
        let mut buffer = [0; 512];
        let length = uninterrupted(|| client.recv(&mut buffer)).expect("an answer");
        assert!(buffer[..length].ends_with(&Resolver::ANSWER), "{:?}", &buffer[..length]);
        asked.push((u16::from_be_bytes([query[0], query[1]]), from.port()));
    }
    let different =
        |ids: &mut dyn Iterator<Item = u16>| ids.collect::<std::collections::BTreeSet<_>>().len();
    // Of 64 that are drawn two may well be the same; not four.
    assert!(different(&mut asked.iter().map(|(id, _)| *id)) > 60, "{asked:?}");
    let steps = asked.windows(2).map(|two| two[1].0.wrapping_sub(two[0].0));
    assert!(different(&mut steps.into_iter()) > 59, "{asked:?}");
    for nine in asked.windows(9) {
        assert!(nine.iter().any(|(_, port)| *port != nine[0].1), "{asked:?}");
    }
}

#[test]
fn a_guest_beyond_its_share_is_told_so_at_once_and_so_is_one_beyond_that_of_all() {
    const SHARE: u16 = 64;
    let bed = bed("nftables", &[FIRST]);
    let _silent = bed.device.internet.resolver(FIRST, Says::Nothing);
    let others: Vec<_> = (0..16).map(|_| Guest::new()).collect();
    for (n, guest) in others.iter().enumerate() {
        bed.attach_as(&by(DnsMode::FORWARD, &format!("other{n}")), &by_pid(guest.pid()));
    }
    let socket = |guest: &Guest| guest.enter(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    let ask = |socket: &UdpSocket, id: u16| {
        let message = [&id.to_be_bytes(), &question()[2..]].concat();
        socket.send_to(&message, (GATEWAY, 53)).expect("sent");
    };
    // The ids and codes of what has come.
    let told = |socket: &UdpSocket| {
        let (mut buffer, mut patience) = ([0; 512], Duration::from_millis(1500));
        let next = || {
            socket.set_read_timeout(Some(patience)).expect("a timeout");
            patience = Duration::from_millis(300);
            uninterrupted(|| socket.recv(&mut buffer)).ok().map(|_| (buffer[1], buffer[3] & 15))
        };
        std::iter::from_fn(next).collect::<Vec<_>>()
    };
    let counted = |name: &str| {
        let counters = bed.service.get(name).expect("get").expect("a guest").dnsCounters;
        (counters.asked, counters.refused, counters.failed)
    };
    let began = Instant::now();
    let of_box = socket(&bed.guest);
    (0..=SHARE).for_each(|id| ask(&of_box, id));
    assert_eq!(told(&of_box), [(SHARE as u8, 2)]);
    assert_eq!(counted("box"), (65, 1, 0));
    // Fifteen more have theirs, and all is taken.
    let [others @ .., last] = &others[..] else { unreachable!() };
    let sockets: Vec<_> = others.iter().map(socket).collect();
    sockets.iter().for_each(|socket| (0..SHARE).for_each(|id| ask(socket, id)));
    let of_last = socket(last);
    ask(&of_last, 7);
    let told = told(&of_last);
    let counted = ["other0", "other14", "other15"].map(counted);
    assert!(began.elapsed() < Duration::from_secs(4), "too slow a machine: what was asked is over");
    assert_eq!(told, [(7, 2)]);
    assert_eq!(counted, [(64, 0, 0), (64, 0, 0), (1, 1, 0)]);
}

#[test]
fn a_guest_by_a_tun_asks_the_tuns_resolver_only() {
    let device = Device::new();
    let beyond = second_way(&device, "tun0");
    let bed = Bed::on(device).args("--resolv-conf /nonexistent").build();
    let uplinks = bed.device.internet.resolver(FIRST, Says::All);
    bed.service.setDns("wlan0", &[FIRST.to_owned()]).expect("setDns");
    let tun = GuestConfig {
        vpnPolicy: VpnPolicy::NAMED_TUN,
        uplink: Some("tun0".to_owned()),
        ..by(DnsMode::FORWARD, "vpn")
    };
    bed.attach_as(&tun, &bed.target());
    let before = uplinks.asked();
    assert_eq!(code(&bed.guest, &question()), Some(2), "none is known there");
    bed.service.setDns("tun0", &["198.51.100.1".to_owned()]).expect("setDns");
    eventually("the tun's", || resolve(&bed.guest, GATEWAY).is_ok());
    let named = bed.service.getDns().expect("getDns").named;
    let named: Vec<_> = named.into_iter().map(|of| (of.interfaceName, of.servers)).collect();
    let one = |name: &str, server: &str| (name.to_owned(), vec![server.to_owned()]);
    assert_eq!(named, [one("tun0", "198.51.100.1"), one("wlan0", FIRST)]);
    assert_eq!(answered(&bed), [served("vpn", DnsMode::FORWARD, &["198.51.100.1"])]);
    bed.device.run("ip link set tun0 down");
    eventually("it is down", || code(&bed.guest, &question()) == Some(2));
    assert_eq!(answered(&bed), [served("vpn", DnsMode::FORWARD, &[])]);
    assert_eq!(uplinks.asked(), before, "the uplink's is never asked");
    drop(beyond);
}

/// Several resolvers behind the uplink lead all guests to the forwarder, but for one by a tun: that has the
/// tun's, by DNAT where it is one, by the forwarder where there are more.
fn a_guest_by_a_tun_never_follows_the_uplinks_to_the_forwarder(firewall: &str) {
    let device = Device::new();
    let beyond = second_way(&device, "tun0");
    let args = format!("--firewall {firewall} --resolv-conf /nonexistent");
    let bed = Bed::on(device).args(&args).build();
    let uplinks = bed.device.internet.resolver(FIRST, Says::All);
    let name = |link: &str, servers: &[&str]| {
        let servers: Vec<_> = servers.iter().map(|server| (*server).to_owned()).collect();
        bed.service.setDns(link, &servers).expect("setDns");
    };
    name("wlan0", &[FIRST, SECOND]);
    let tun = GuestConfig {
        vpnPolicy: VpnPolicy::NAMED_TUN,
        uplink: Some("tun0".to_owned()),
        ..config("vpn")
    };
    bed.attach_as(&tun, &bed.target());
    let (before, answered) = (uplinks.asked(), || resolve(&bed.guest, GATEWAY).is_ok());
    assert!(!answered(), "none is known there");
    name("tun0", &["198.51.100.1"]);
    eventually("by DNAT", answered);
    let forwarded = || {
        let dump = String::from_utf8_lossy(&bed.daemon.run_ctl(&["dump"]).stdout).into_owned();
        let asked = dump.lines().find_map(|line| line.strip_prefix("forwarder: asked "));
        !asked.expect("what the forwarder was asked").starts_with("0 ")
    };
    assert!(!forwarded());
    name("tun0", &["198.51.100.9", "198.51.100.1"]);
    eventually("by the forwarder", || answered() && forwarded());
    name("tun0", &[]);
    eventually("none again", || !answered());
    assert_eq!(uplinks.asked(), before, "the uplink's is never asked");
    let other = Guest::new();
    bed.attach("box", &other);
    eventually("all others", || resolve(&other, GATEWAY).is_ok());
    assert!(uplinks.asked() > before);
    drop(beyond);
}

/// A question for a name, by type; the code, and what ends the answer.
fn asked_for(from: &impl InNetns, name: &str, kind: u8) -> Option<(u8, Vec<u8>)> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, kind, 0, 1]);
    let socket = from.enter(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    socket.send_to(&message, (GATEWAY, 53)).expect("sent");
    let mut buffer = [0; 512];
    let length = uninterrupted(|| socket.recv(&mut buffer)).ok()?;
    let answer = buffer.get(..length)?;
    Some((answer.get(3)? & 0x0f, answer.get(message.len()..)?.get(12..).unwrap_or(&[]).to_vec()))
}

/// Types.
const A: u8 = 1;
const PTR: u8 = 12;
const AAAA: u8 = 28;

#[test]
fn a_guest_has_a_name_of_which_nobody_else_is_asked() {
    let bed = bed("nftables", &[FIRST]);
    let first = bed.device.internet.resolver(FIRST, Says::All);
    let other = Guest::new();
    let others = bed.attach_as(&by(DnsMode::FORWARD, "Other"), &by_pid(other.pid()));
    eventually("answers", || resolve(&bed.guest, GATEWAY).is_ok());
    // It is asked by guestnetd itself now and then, too; for the root.
    let before = first.asked();
    let is = |name: &str, kind| asked_for(&bed.guest, name, kind).expect("an answer");
    assert_eq!(is("box.guest", A), (0, vec![172, 17, 3, 3]));
    assert_eq!(is("box.guest", AAAA), (0, vec![]));
    assert_eq!(is("_gateway.guest", A), (0, vec![172, 17, 3, 2]));
    assert_eq!(is("3.3.17.172.in-addr.arpa", PTR), (0, b"\x03box\x05guest\0".to_vec()));
    // Guests do not reach each other, and do not learn of each other.
    assert_eq!(is("other.guest", A), (3, vec![]));
    let octets: std::net::Ipv4Addr = address(&others).parse().expect("an address");
    let [a, b, c, d] = octets.octets();
    assert_eq!(is(&format!("{d}.{c}.{b}.{a}.in-addr.arpa"), PTR), (3, vec![]));
    let its = asked_for(&other, "other.guest", A).expect("an answer");
    assert_eq!(its, (0, octets.octets().to_vec()));
    for n in 0..50 {
        is(&format!("n{n}.guest"), A);
    }
    let own = first.asked() - before;
    assert!(own < 20, "{own} questions went on");
    bed.device.run("ip link set wlan0 down");
    eventually("the uplink is away", || code(&bed.guest, &question()) == Some(2));
    assert_eq!(asked_for(&bed.guest, "box.guest", A), Some((0, vec![172, 17, 3, 3])));
}

#[test]
fn the_zone_is_another_one_or_none_where_that_is_asked_for() {
    for (zone, known, asked) in
        [("Home.Arpa", "box.home.arpa", "box.guest"), ("none", "", "box.guest")]
    {
        let words = format!("--dns {FIRST} --guest-zone {zone}");
        let bed = Bed::on(Device::new()).args(&words).build();
        let _first = bed.device.internet.resolver(FIRST, Says::All);
        bed.attach_as(&by(DnsMode::FORWARD, "box"), &bed.target());
        eventually("it is asked of the resolver", || {
            asked_for(&bed.guest, asked, A) == Some((0, Resolver::ANSWER.to_vec()))
        });
        if !known.is_empty() {
            assert_eq!(asked_for(&bed.guest, known, A), Some((0, vec![172, 17, 3, 3])));
        }
    }
}

/// As resolvers of guests do: a socket for each question, which is sent again each second.
#[test]
fn a_client_that_is_asking_notices_no_restart() {
    let mut bed = bed("nftables", &[FIRST]);
    let _first = bed.device.internet.resolver(FIRST, Says::All);
    eventually("answers", || resolve(&bed.guest, GATEWAY).is_ok());
    let (stop, answered) = (AtomicBool::new(false), AtomicU32::new(0));
    let asks = || {
        let socket = bed.guest.enter(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
        let mut buffer = [0; 512];
        (0..10).any(|_| {
            let _ = socket.send_to(&question(), (GATEWAY, 53));
            let length = uninterrupted(|| socket.recv(&mut buffer)).unwrap_or(0);
            buffer.get(3).is_some_and(|flags| length > 12 && flags & 0x0f == 0)
        })
    };
    let daemon = &mut bed.daemon;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                assert!(asks(), "a question was answered by nobody");
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
        for _ in 0..5 {
            daemon.kill();
            // All is read that this one said.
            assert!(!daemon.wait_log("(never said)", Duration::from_secs(20)));
            let before = answered.load(Ordering::Relaxed);
            daemon.start();
            eventually("an answer again", || answered.load(Ordering::Relaxed) > before);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// A client that is connected gives up at once when it is refused (ECONNREFUSED), and asks again when it hears
/// nothing.
fn a_question_that_finds_nobody_is_not_refused(firewall: &str) {
    let mut bed = bed(firewall, &[FIRST]);
    let _first = bed.device.internet.resolver(FIRST, Says::All);
    eventually("answers", || resolve(&bed.guest, GATEWAY).is_ok());
    let connected = |to: &str| {
        let socket = bed.guest.enter(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
        socket.connect((to, 53)).expect("connected");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        socket
    };
    let asks = |socket: &UdpSocket| {
        socket.send(&question())?;
        uninterrupted(|| socket.recv(&mut [0; 512]))
    };
    let (before, after) = (connected(GATEWAY), connected(GATEWAY));
    assert!(asks(&before).expect("an answer") > 12);
    if firewall == "iptables" {
        // Of what the device itself sends others may be the first to decide.
        bed.device.run("iptables-legacy -w -I OUTPUT 1 -p tcp --dport 7 -j ACCEPT");
        std::thread::sleep(Duration::from_secs(2));
        let rules = bed.device.run("iptables-legacy -w -S OUTPUT");
        let at = |text: &str| rules.lines().position(|line| line.contains(text));
        assert!(at("--dport 7") < at("oem_guestnet_out"), "{rules}");
    }
    bed.daemon.kill();
    for client in [&before, &after] {
        for _ in 0..2 {
            assert_eq!(asks(client).unwrap_err().kind(), ErrorKind::WouldBlock);
        }
    }
    // Nobody else's refusal is kept from a guest.
    let internet = &bed.device.internet.netns;
    internet.run("ip addr add 192.0.2.77/32 dev lo");
    internet.run("iptables-legacy -w -A INPUT -d 192.0.2.77 -p udp --dport 53 -j REJECT");
    let elsewhere = connected("192.0.2.77");
    assert_eq!(asks(&elsewhere).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    bed.start();
    for client in [&before, &after] {
        eventually("the same client is answered", || asks(client).is_ok());
    }
}

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

//! A real VM: QEMU without KVM boots Debian's kernel, which asks for its lease, resolves a name and reaches the
//! internet, by the words that guestnetctl's help has. It reboots, and is killed.

use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::{
    EndCause::EndCause, IGuestNet::IGuestNet,
};
use guestnet_tests::bed::{Bed, Listener};
use guestnet_tests::resolver::Resolver;
use guestnet_tests::{said, Probe};

use super::ends::next_lost;

/// Longer than it takes to boot where nothing is fast.
const BOOT: Duration = Duration::from_secs(400);

/// Ends with the test, however that ends.
struct Machine {
    process: Child,
    console: Receiver<String>,
}

impl Machine {
    fn on(command: &mut Command) -> Self {
        let mut process = command.spawn().expect("guestnetctl");
        let lines = BufReader::new(process.stdout.take().expect("its console")).lines();
        let (tell, console) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|l| tell.send(l)));
        Self { process, console }
    }

    /// What it says up to that, with it.
    #[track_caller]
    fn says(&self, last: &str, bed: &Bed) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        while !lines.last().is_some_and(|line| line.contains(last)) {
            match self.console.recv_timeout(BOOT) {
                Ok(line) => lines.push(line.trim().to_owned()),
                Err(e) => panic!("{e}: {}\n{}", lines.join("\n"), bed.daemon.log()),
            }
        }
        lines
    }

    fn told(&mut self, word: &str) {
        let console = self.process.stdin.as_mut().expect("its console");
        writeln!(console, "{word}").expect("its console is read");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_real_vm_boots_gets_its_lease_and_reaches_the_internet() {
    let folder = tempfile::tempdir().expect("a folder");
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    let mut image = Command::new("bash");
    image.arg("tests/lib/vm/image.sh").arg(folder.path()).current_dir(repository);
    let made = image.output().expect("bash");
    assert!(made.status.success(), "{}", said(&made));
    let bed = Bed::new("auto");
    let listener = Listener::on(&**bed.service);
    // As guestnetctl's help has it, with a script that has QEMU's other words.
    let line = format!(
        "attach vm --tap --exec {}/tests/lib/vm/boot {} ro \
         -netdev tap,id=net,fd={{fd}},vhost=off -device virtio-net-pci,netdev=net,mac={{mac}}",
        repository.display(),
        folder.path().display(),
    );
    let mut running = bed.daemon.ctl(&line.split(' ').collect::<Vec<_>>());
    let mut vm = Machine::on(running.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let lines = vm.says("VM has done its work", &bed);
    let all = lines.join("\n");
    let lease = "VM has 172.17.3.3/16 via 172.17.3.2, names by 172.17.3.2, MTU 1500";
    for line in [
        lease,
        "VM pings the internet",
        &format!("VM resolves a name: Address: {}", Ipv4Addr::from(Resolver::ANSWER)),
    ] {
        assert!(lines.iter().any(|found| found == line), "{line}: {all}");
    }
    let seen = lines.iter().find(|line| line.starts_with("VM fetches a page"));
    assert!(seen.is_some_and(|line| line.contains("192.0.2.2")), "{all}");
    let index = || bed.device.link("vm_wlan").map(|link| link["ifindex"].to_string());
    let before = index();
    let guest = bed.service.get("vm").expect("get").expect("it is attached");
    assert!(guest.dhcpCounters.acks == 1 && guest.rxBytes > 0, "{guest:?}");
    vm.told("reboot");
    let again = vm.says("VM has done its work", &bed);
    assert!(again.iter().any(|line| line == lease), "another lease: {}", again.join("\n"));
    assert!(before.is_some() && index() == before, "another link: {before:?}, {:?}", index());
    vm.process.kill().expect("killed");
    assert_eq!(next_lost(&listener), ("vm".to_owned(), EndCause::TAP_CLOSED));
    assert!(bed.device.link("vm_wlan").is_none());
}

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

//! Files and words: guestnetd's own that may have been damaged, and others'.

use crate::effects::firewall::iptables::runner::is_refusal;
use crate::effects::kernel::netns::target::is_kernel_thread;
use crate::effects::kernel::process::started_in;
use crate::effects::platform::{ndc, resolv_conf as resolvers};
use crate::model::lifeline::ProcessRef;
use crate::spec::GuestName;
use crate::store::{content, file::sealed};
use crate::store::{ForwardingRecord, LoggerRecord, Record, ResolversRecord};

/// The boot that the seeds are of.
const BOOT: &str = "boot";

/// A file of the state: as it is, and as if its checksum were right. What is believed of a guest makes a
/// network, and is the same when it is written and read again.
pub fn store(bytes: &[u8]) {
    let name = GuestName::new("box").expect("a name");
    for bytes in [bytes.to_vec(), sealed(bytes.to_vec())] {
        let check = |record: &Record| record.check(&name);
        if let Ok(record) = content::<Record>(bytes.clone(), BOOT, check) {
            if let Some(attached) = &record.attached {
                let _ = (attached.net(record.slot), attached.interrupted(record.slot));
            }
            let again = serde_json::to_vec(&record).expect("JSON");
            assert_eq!(serde_json::from_slice::<Record>(&again).expect("a record"), record);
        }
        let _ = content::<ForwardingRecord>(bytes.clone(), BOOT, |_| Ok(()));
        if let Ok(mut record) = content::<ResolversRecord>(bytes.clone(), BOOT, |_| Ok(())) {
            if let Some(first) = record.behind.keys().next().cloned() {
                record.name(first.clone(), vec![[192, 0, 2, 1].into()], Some(&first));
            }
        }
        let _ = content::<LoggerRecord>(bytes, BOOT, LoggerRecord::check);
    }
}

/// The configuration file: what is wrong is on a line that is there.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    #[cfg(not(target_os = "android"))]
    if let Err(e) = crate::config::try_text(text) {
        let lines = text.lines().count() + 1;
        assert!(e.line.map_or(1, |line| line) <= lines, "{e} of {lines}: {text:?}");
        assert!(!e.cause.is_empty());
    }
}

/// resolv.conf.
pub fn resolv_conf(bytes: &[u8]) {
    let found = resolvers::parse(&String::from_utf8_lossy(bytes));
    assert!(found.servers.len() <= bytes.len() / 8 && found.all.len() <= bytes.len() / 8);
}

/// What `ndc`, its wrapper and iptables' wrapper say.
pub fn netd_words(bytes: &[u8]) {
    let said = String::from_utf8_lossy(bytes);
    let understood = ndc::understood(&said).is_ok();
    assert!(!understood || said.contains("200 "));
    assert!(!said.trim().is_empty() || is_refusal(&said));
}

/// `/proc/PID/stat` of a process that a guest has named as it liked.
pub fn process(bytes: &[u8]) {
    let stat = String::from_utf8_lossy(bytes);
    let _ = is_kernel_thread(&stat);
    if let Some(started) = started_in(&stat) {
        let process = ProcessRef { pid: 1, started };
        assert_eq!(process, ProcessRef { pid: 1, started: started_in(&stat).unwrap_or(0) });
    }
}

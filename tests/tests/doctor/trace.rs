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
//! A trace: each hook of one probe's way with the rule that decided, by the kernel's own word, and nothing
//! left behind, whoever ends meanwhile.

use std::thread;

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::DiagnoseOptions::DiagnoseOptions;
use android_system_guestnet::aidl::android::system::guestnet::Diagnosis::Diagnosis;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::{
    ERROR_GUEST_GONE, ERROR_NO_SUCH_GUEST,
};
use android_system_guestnet::aidl::android::system::guestnet::Trace::Trace;
use android_system_guestnet::aidl::android::system::guestnet::TraceGap::TraceGap;
use android_system_guestnet::aidl::android::system::guestnet::TraceStep::TraceStep;
use guestnet_tests::bed::eventually;
use guestnet_tests::snapshot::Snapshot;
use guestnet_tests::{said, with_both_backends, InNetns, NetdDevice};

use crate::broken::hook;
use crate::{options, shown, Ward};

/// Who logs traced packets of x_tables.
const LOGGER: &str = "cat /proc/sys/net/netfilter/nf_log/2";

fn traced() -> DiagnoseOptions {
    DiagnoseOptions { trace: true, ..options() }
}

#[track_caller]
fn diagnosis<D: InNetns>(ward: &Ward<D>) -> (Diagnosis, Trace) {
    let mut found = ward.bed.service.diagnose(Some("demo"), &traced()).expect("diagnose");
    let trace = found.trace.take().expect("a trace");
    (found, trace)
}

fn told(trace: &Trace) -> String {
    let step = |step: &TraceStep| {
        let TraceStep { answer, hook, table, chain, rule, verdict, .. } = step;
        format!("\n  {answer} {hook} | {table} {chain} | {rule} | {verdict}")
    };
    let steps = trace.steps.iter().map(step).collect::<String>();
    format!("{} {:?} {}{steps}", trace.probe, trace.gap, trace.text)
}

/// The last thing that became of the packet, or of its answer.
#[track_caller]
fn end(trace: &Trace, answer: bool) -> &TraceStep {
    let mut steps = trace.steps.iter().rev();
    steps.find(|step| step.answer == answer).unwrap_or_else(|| panic!("{}", told(trace)))
}

/// What a trace may not leave: packet filters and the logger.
fn left(at: &impl InNetns) -> (Snapshot, String, String) {
    (Snapshot::of(at), tables(at), at.run(LOGGER))
}

/// Of nf_tables. A kernel without them has none.
fn tables(at: &impl InNetns) -> String {
    let there = at.try_run("nft list tables");
    let none = said(&there).contains("cache initialization failed: Invalid argument");
    assert!(there.status.success() || none, "{}", said(&there));
    String::from_utf8_lossy(&there.stdout).into_owned()
}

with_both_backends!(
    a_healthy_guests_trace_ends_in_accept_and_shows_our_chains,
    a_foreign_drop_is_named_with_its_chain_and_rule,
    an_answer_that_is_dropped_is_followed_there,
    a_drop_of_x_tables_is_named_with_its_rule,
);

fn a_healthy_guests_trace_ends_in_accept_and_shows_our_chains(firewall: &str) {
    let ward = Ward::new(firewall);
    ward.is_healthy();
    let before = left(&ward.bed.device);
    let (found, trace) = diagnosis(&ward);
    assert_eq!(found.cause, Cause::HEALTHY, "{}", shown(&found));
    assert_eq!(trace.gap, TraceGap::NONE, "{}", told(&trace));
    for answer in [false, true] {
        let end = end(&trace, answer);
        // x_tables translates last, in the chain of nat.
        let passes = ["accept", "ACCEPT", "MASQUERADE"].contains(&end.verdict.as_str());
        assert!(passes && (!answer || end.verdict != "MASQUERADE"), "{}", told(&trace));
    }
    let ours = |step: &&TraceStep| {
        step.table == "inet guestnet" || step.chain.starts_with("oem_guestnet_")
    };
    let rules: Vec<_> = trace.steps.iter().filter(ours).collect();
    assert!(rules.iter().any(|step| step.hook == "forward"), "{}", told(&trace));
    assert!(rules.iter().any(|step| !step.rule.is_empty()), "{}", told(&trace));
    assert!(trace.steps.iter().all(|step| !step.table.contains("trace")), "{}", told(&trace));
    before.0.assert_same(&left(&ward.bed.device).0);
    assert_eq!(before, left(&ward.bed.device));
}

fn a_foreign_drop_is_named_with_its_chain_and_rule(firewall: &str) {
    let ward = Ward::new(firewall);
    hook(&ward.bed.device, "filter", "forward", 10, "iifname vm_wlan* counter drop");
    let (found, trace) = diagnosis(&ward);
    assert_eq!(found.cause, Cause::FORWARD_DROPPED, "{}", shown(&found));
    let end = end(&trace, false);
    let place = (end.hook.as_str(), end.table.as_str(), end.chain.as_str());
    assert_eq!(place, ("forward", "ip others", "filter_forward"), "{}", told(&trace));
    assert_eq!(end.verdict, "drop", "{}", told(&trace));
    assert!(end.handle > 0, "{}", told(&trace));
    assert!(end.rule.starts_with("iifname \"vm_wlan*\""), "{}", told(&trace));
    assert_eq!(end.inputInterface, "vm_wlan", "{}", told(&trace));
    assert!(trace.steps.iter().all(|step| !step.answer), "{}", told(&trace));
}

fn an_answer_that_is_dropped_is_followed_there(firewall: &str) {
    let ward = Ward::new(firewall);
    hook(&ward.bed.device, "filter", "forward", 10, "oifname vm_wlan* drop");
    let (_, trace) = diagnosis(&ward);
    let passes = ["accept", "MASQUERADE"].contains(&end(&trace, false).verdict.as_str());
    assert!(passes, "{}", told(&trace));
    let end = end(&trace, true);
    assert_eq!((end.chain.as_str(), end.verdict.as_str()), ("filter_forward", "drop"));
}

fn a_drop_of_x_tables_is_named_with_its_rule(firewall: &str) {
    let ward = Ward::new(firewall);
    let device = &ward.bed.device;
    device.run("iptables-legacy -t mangle -N theirs");
    device.run("iptables-legacy -t mangle -A theirs -p icmp -j ACCEPT");
    device.run("iptables-legacy -t mangle -A theirs -s 172.16.0.0/12 -j DROP");
    device.run("iptables-legacy -t mangle -A FORWARD -i vm_wlan+ -j theirs");
    let before = left(device);
    let (_, trace) = diagnosis(&ward);
    assert_eq!(trace.gap, TraceGap::NONE, "{}", told(&trace));
    let end = end(&trace, false);
    let place = (end.hook.as_str(), end.table.as_str(), end.chain.as_str(), end.number);
    assert_eq!(place, ("forward", "mangle", "theirs", 2), "{}", told(&trace));
    assert_eq!(
        (end.rule.as_str(), end.verdict.as_str()),
        ("-A theirs -s 172.16.0.0/12 -j DROP", "DROP")
    );
    assert_eq!(before, left(device));
}

#[test]
fn a_device_that_netd_shapes_is_traced() {
    let ward = Ward::on_netd(NetdDevice::new(), "");
    ward.is_healthy();
    let before = left(&ward.bed.device);
    let (_, trace) = diagnosis(&ward);
    assert_eq!(trace.gap, TraceGap::NONE, "{}", told(&trace));
    assert_eq!(end(&trace, true).verdict.to_lowercase(), "accept", "{}", told(&trace));
    assert!(trace.steps.iter().any(|s| s.chain.starts_with("oem_guestnet_")), "{}", told(&trace));
    assert_eq!(before, left(&ward.bed.device));
    ward.bed.device.run("iptables-legacy -I FORWARD 1 -i vm_wlan+ -j DROP");
    // It may have been put behind guestnetd's jump by then.
    eventually("the rule is named", || {
        let (_, trace) = diagnosis(&ward);
        let end = end(&trace, false);
        (end.chain.as_str(), end.verdict.as_str()) == ("FORWARD", "DROP")
            && end.rule == "-A FORWARD -i vm_wlan+ -j DROP"
            || ["accept", "masquerade"].contains(&end.verdict.to_lowercase().as_str())
    });
}

#[test]
fn of_two_traces_at_once_one_says_what_the_rules_say() {
    let ward = Ward::new("iptables");
    hook(&ward.bed.device, "filter", "forward", 10, "iifname vm_wlan* drop");
    let before = left(&ward.bed.device);
    let gaps: Vec<_> = thread::scope(|scope| {
        let trace = || {
            let service = ward.bed.daemon.connect();
            let found = service.diagnose(Some("demo"), &traced()).expect("diagnose");
            found.trace.expect("a trace")
        };
        let running: Vec<_> = (0..3).map(|_| scope.spawn(trace)).collect();
        running.into_iter().map(|one| one.join().expect("a diagnosis")).collect()
    });
    assert!(gaps.iter().any(|trace| trace.gap == TraceGap::NONE));
    assert!(gaps.iter().any(|trace| trace.gap == TraceGap::BUSY));
    for trace in &gaps {
        let end = end(trace, false);
        assert_eq!(
            (end.chain.as_str(), end.verdict.as_str()),
            ("filter_forward", "drop"),
            "{}",
            told(trace)
        );
    }
    assert_eq!(before, left(&ward.bed.device));
}

#[test]
fn somebody_who_listens_to_x_tables_already_is_left_alone() {
    let ward = Ward::new("iptables");
    ward.bed.device.set_sysctl("net/netfilter/nf_log/2", "nfnetlink_log");
    let before = left(&ward.bed.device);
    let (_, trace) = diagnosis(&ward);
    assert_eq!(trace.gap, TraceGap::NONE, "{}", told(&trace));
    assert_eq!(before, left(&ward.bed.device));
}

/// A trace takes half a second where nothing is answered: long enough to be met.
fn while_it_traces(ward: &Ward, then: impl FnOnce()) {
    eventually("it traces", || ward.bed.device.run("nft list tables").contains("guestnet-trace"));
    then();
}

#[test]
fn a_guestnetd_that_is_killed_leaves_no_table_and_its_next_start_puts_the_logger_back() {
    let mut ward = Ward::new("iptables");
    hook(&ward.bed.device, "filter", "forward", 10, "iifname vm_wlan* drop");
    let before = left(&ward.bed.device);
    let (tables, logger) = (before.1, before.2);
    thread::scope(|scope| {
        let call = scope.spawn(|| ward.bed.service.diagnose(Some("demo"), &traced()));
        let pid = ward.bed.daemon.pid();
        while_it_traces(&ward, || drop(ward.bed.device.run(&format!("kill -KILL {pid}"))));
        assert!(call.join().expect("the call").is_err());
    });
    eventually("the table is gone", || ward.bed.device.run("nft list tables") == tables);
    assert_eq!(ward.bed.device.run(LOGGER).trim(), "nfnetlink_log");
    ward.bed.daemon.kill();
    ward.bed.start();
    assert_eq!(ward.bed.device.run(LOGGER), logger);
}

#[test]
fn a_guest_that_ends_meanwhile_is_said_and_leaves_nothing() {
    let mut ward = Ward::new("nftables");
    hook(&ward.bed.device, "filter", "forward", 10, "iifname vm_wlan* drop");
    let tables = ward.bed.device.run("nft list tables");
    let guest = std::mem::replace(&mut ward.guest, guestnet_tests::Guest::new());
    let e = thread::scope(|scope| {
        let call = scope.spawn(|| ward.bed.service.diagnose(Some("demo"), &traced()));
        while_it_traces(&ward, || drop(guest));
        call.join().expect("the call").expect_err("it is gone")
    });
    assert!([ERROR_GUEST_GONE, ERROR_NO_SUCH_GUEST].contains(&e.service_specific_error()), "{e}");
    assert_eq!(ward.bed.device.run("nft list tables"), tables);
    eventually("it is detached", || ward.bed.names().is_empty());
}

/// The device of guests whose packets x_tables alone decides about, as on Android.
fn without_nftables() -> Ward {
    let ward = Ward::new("iptables");
    // In use from here on: netd has chains there.
    ward.bed.device.run("iptables-legacy -t raw -L");
    ward
}

const RAW: &str = "iptables-legacy -w -t raw -S";

#[test]
fn x_tables_alone_traces_a_probe_and_its_answer() {
    let ward = without_nftables();
    ward.is_healthy();
    let before = left(&ward.bed.device);
    let (found, trace) = diagnosis(&ward);
    assert_eq!(found.cause, Cause::HEALTHY, "{}", shown(&found));
    assert_eq!(trace.gap, TraceGap::NONE, "{}", told(&trace));
    assert_eq!(end(&trace, false).verdict, "MASQUERADE", "{}", told(&trace));
    assert_eq!(end(&trace, true).verdict.to_lowercase(), "accept", "{}", told(&trace));
    let hooks = |answer| {
        let of = trace.steps.iter().filter(move |step| step.answer == answer);
        of.map(|step| step.hook.as_str()).collect::<Vec<_>>()
    };
    assert!(hooks(false).contains(&"prerouting"), "{}", told(&trace));
    assert!(hooks(true).contains(&"forward"), "{}", told(&trace));
    let own = |step: &TraceStep| step.chain.contains("trace") || step.verdict.contains("trace");
    assert!(!trace.steps.iter().any(own), "{}", told(&trace));
    assert_eq!(before, left(&ward.bed.device));
}

#[test]
fn x_tables_alone_names_the_rule_that_drops() {
    let ward = without_nftables();
    let device = &ward.bed.device;
    device.run("iptables-legacy -t mangle -N theirs");
    device.run("iptables-legacy -t mangle -A theirs -s 172.16.0.0/12 -j DROP");
    device.run("iptables-legacy -t mangle -A FORWARD -i vm_wlan+ -j theirs");
    let before = left(device);
    let (_, trace) = diagnosis(&ward);
    assert_eq!(trace.gap, TraceGap::NONE, "{}", told(&trace));
    let end = end(&trace, false);
    let place = (end.table.as_str(), end.chain.as_str(), end.number, end.verdict.as_str());
    assert_eq!(place, ("mangle", "theirs", 1, "DROP"), "{}", told(&trace));
    assert_eq!(before, left(device));
}

#[test]
fn a_chain_that_traces_goes_with_the_next_start() {
    let mut ward = without_nftables();
    ward.bed.device.run("iptables-legacy -t mangle -I FORWARD -i vm_wlan+ -j DROP");
    let before = ward.bed.device.run(RAW);
    let (_, _, logger) = left(&ward.bed.device);
    thread::scope(|scope| {
        let call = scope.spawn(|| ward.bed.service.diagnose(Some("demo"), &traced()));
        let pid = ward.bed.daemon.pid();
        eventually("it traces", || ward.bed.device.run(RAW).contains("TRACE"));
        ward.bed.device.run(&format!("kill -KILL {pid}"));
        assert!(call.join().expect("the call").is_err());
    });
    let traces = ward.bed.device.run(RAW);
    assert!(traces.contains("-A PREROUTING -j oem_guestnet_trace"), "{traces}");
    assert!(!tables(&ward.bed.device).contains("trace"));
    ward.bed.daemon.kill();
    ward.bed.start();
    assert_eq!(ward.bed.device.run(RAW), before);
    assert_eq!(ward.bed.device.run(LOGGER), logger);
}

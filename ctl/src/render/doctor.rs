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

//! What probes found out: the verdict, the next step, and the probes beside each other.

use super::look::Look;
use super::table::{Align, Table};
use super::units;
use super::wrap::width;
use crate::names::Name;
use crate::verdict;
use android_system_guestnet::aidl::android::system::guestnet::{
    Cause::Cause, Diagnosis::Diagnosis, ProbeOutcome::ProbeOutcome, ProbeReport::ProbeReport,
    Trace::Trace, TraceGap::TraceGap, TraceStep::TraceStep,
};

/// One guest, or the device alone. What a probe that was not answered has to tell is below it.
pub fn text(found: &Diagnosis, look: Look) -> String {
    let guest = !found.guest.is_empty();
    let who = if guest { found.guest.as_str() } else { "device" };
    let mut shown = look.wrap(&format!("{who}: "), 4, &sentence(found));
    if let Some(step) = &found.nextStep {
        shown += &look.wrap("  next  ", 8, step);
    }
    let mut table = Table::new([Align::Left, Align::Left, Align::Left]);
    let head = ["  probe", if guest { "guest" } else { "" }, "device"];
    table.row(head.map(str::to_owned));
    for probe in &found.probes {
        let theirs = if guest { cell(probe.guest, probe.guestMicros) } else { String::new() };
        table.row([format!("  {}", probe.name), theirs, cell(probe.device, probe.deviceMicros)]);
    }
    let lines = table.lines();
    // There is no room for two columns.
    let narrow = lines.iter().any(|line| width(line) > look.columns);
    let mut lines = lines.into_iter();
    let head = lines.next().unwrap_or_default();
    if !narrow {
        shown += &format!("{head}\n");
    }
    for (line, probe) in lines.zip(&found.probes) {
        shown += &if narrow { stacked(probe, guest, look) } else { format!("{line}\n") };
        if is_of_interest(probe, guest) {
            shown += &look.wrap("      ", 6, &probe.detail);
        }
    }
    if found.droppedPackets > 0 {
        let packets = units::packets(found.droppedPackets);
        shown += &format!("  guestnetd's rules have dropped {packets} of guests meanwhile\n");
    }
    shown + &found.trace.as_ref().map(|of| trace(of, look)).unwrap_or_default()
}

/// A probe's line where the terminal is too narrow for columns.
fn stacked(probe: &ProbeReport, guest: bool, look: Look) -> String {
    let device = cell(probe.device, probe.deviceMicros);
    let both = match guest {
        true => format!("guest {}, device {device}", cell(probe.guest, probe.guestMicros)),
        false => format!("device {device}"),
    };
    look.wrap("  ", 4, &probe.name) + &look.wrap("    ", 6, &both)
}

/// One probe, hook by hook; a rule stands below the chain that has it.
fn trace(trace: &Trace, look: Look) -> String {
    let head = match trace.gap {
        TraceGap::NONE => format!("{}, hook by hook:", trace.probe),
        gap if trace.steps.is_empty() => {
            format!("{} is not traced: {} ({})", trace.probe, trace.text, gap.name())
        }
        gap => format!(
            "{}, as the rules say; the kernel does not: {} ({})",
            trace.probe,
            trace.text,
            gap.name()
        ),
    };
    let mut shown = look.wrap("  trace  ", 9, &head);
    let mut table = Table::new([Align::Left; 4]);
    for step in &trace.steps {
        let answer = if step.answer { "answer, " } else { "" };
        let place = format!("{} {}", step.table, step.chain);
        let hook = format!("    {answer}{}", step.hook);
        table.row([hook, links(step), place, step.verdict.clone()]);
    }
    for (line, step) in table.lines().into_iter().zip(&trace.steps) {
        shown += &format!("{line}\n");
        let rule = match (step.handle, step.number) {
            (handle, _) if handle >= 0 => format!("{} # handle {handle}", step.rule),
            (_, number) if number >= 0 => format!("{} # rule {number}", step.rule),
            _ => continue,
        };
        shown += &look.wrap("      ", 8, rule.trim_start());
    }
    let drops =
        |step: &&TraceStep| ["drop", "reject"].contains(&step.verdict.to_lowercase().as_str());
    if let Some(step) = trace.steps.last().filter(drops) {
        let end = if step.answer { "the answer" } else { "it" };
        let text = format!("{end} ends in the chain {} of {}", step.chain, step.table);
        shown += &look.wrap("    ", 6, &text);
    }
    shown
}

fn links(step: &TraceStep) -> String {
    match (step.inputInterface.as_str(), step.outputInterface.as_str()) {
        ("", "") => String::new(),
        (input, "") => format!("in {input}"),
        ("", output) => format!("out {output}"),
        (input, output) => format!("{input} to {output}"),
    }
}

fn sentence(found: &Diagnosis) -> String {
    let words = verdict::found(found.verdict);
    match found.cause {
        Cause::HEALTHY => format!("{words}: {}", found.text),
        cause => format!("{words}: {} ({})", found.text, cause.name()),
    }
}

fn is_of_interest(probe: &ProbeReport, guest: bool) -> bool {
    let outcome = if guest { probe.guest } else { probe.device };
    !probe.detail.is_empty() && ![ProbeOutcome::OK, ProbeOutcome::NOT_MADE].contains(&outcome)
}

fn cell(outcome: ProbeOutcome, micros: i64) -> String {
    match outcome {
        ProbeOutcome::NOT_MADE => "-".to_owned(),
        _ if micros >= 0 => format!("{} {}", outcome.words(), units::micros(micros)),
        _ => outcome.words(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_cause_comes_first_and_what_failed_has_its_detail() {
        assert_eq!(
            text(&samples::diagnosis(), Look::PLAIN),
            "\
demo: no internet: answers to demo are sent to tun0 and not to vm_wlan
    (answers_elsewhere)
  next  ip route get 172.17.3.3 and ip rule show why
  probe            guest      device
  ping 172.17.3.2  ok 120 us  ok 80 us
  tcp 1.1.1.1:443  silent     ok 9.0 ms
      sent, in by vm_wlan, out by wlan0 as 192.0.2.2, answer in by wlan0, answer
      out by tun0
  guestnetd's rules have dropped 3 packets of guests meanwhile
"
        );
    }

    #[test]
    fn what_is_too_wide_stands_below_itself() {
        let shown = text(&samples::diagnosis(), Look::PLAIN.on_terminal(36));
        let at = shown.find("  ping").unwrap();
        let lines = "  ping 172.17.3.2\n    guest ok 120 us, device ok 80 us\n  tcp 1.1.1.1:443\n    guest silent, device ok 9.0 ms\n";
        assert!(shown[at..].starts_with(lines), "{shown}");
    }

    #[test]
    fn a_trace_has_each_rule_below_its_chain_and_says_where_it_ends() {
        let mut found = samples::diagnosis();
        found.probes.clear();
        found.trace = Some(samples::trace());
        let shown = text(&found, Look::PLAIN);
        let at = shown.find("trace  ").unwrap();
        assert_eq!(
            &shown[at..],
            "\
trace  tcp 1.1.1.1:443, hook by hook:
    prerouting  in vm_wlan        inet guestnet ingress  accept
    forward     vm_wlan to wlan0  inet guestnet forward  accept
      ct state new accept # handle 21
    forward     vm_wlan to wlan0  inet fw forward        drop
      iifname \"vm_wlan*\" drop # handle 4
    it ends in the chain forward of inet fw
"
        );
        found.trace.as_mut().unwrap().gap = TraceGap::NOT_SUPPORTED;
        found.trace.as_mut().unwrap().text = "no nf_tables".to_owned();
        let shown = text(&found, Look::PLAIN);
        assert!(shown.contains("as the rules say; the kernel does not: no nf_tables"), "{shown}");
    }

    #[test]
    fn a_device_alone_has_one_column() {
        let mut found = samples::diagnosis();
        found.guest.clear();
        found.droppedPackets = 0;
        found.cause = Cause::HEALTHY;
        found.nextStep = None;
        found.text = "hosts are answered".to_owned();
        found.verdict =
            android_system_guestnet::aidl::android::system::guestnet::Verdict::Verdict::INTERNET;
        let shown = text(&found, Look::PLAIN);
        assert!(shown.starts_with("device: internet: hosts are answered\n"), "{shown}");
        assert!(!shown.contains("guest") && !shown.contains("sent"), "{shown}");
    }
}

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

//! The picture in DOT, Graphviz's language (graphviz.org/doc/info/lang.html).

use super::{Graph, Node, Way};

/// The whole.
pub fn draw(graph: &Graph) -> String {
    let mut text = String::from(
        "digraph guestnet {\n\
         \x20 rankdir=LR;\n\
         \x20 node [shape=box, style=rounded, fontname=\"sans-serif\"];\n\
         \x20 edge [fontname=\"sans-serif\", fontsize=10];\n\
         \x20 internet [shape=ellipse];\n\
         \x20 subgraph cluster_device {\n\
         \x20   label=\"device\";\n",
    );
    for way in &graph.ways {
        text += &node("    ", &way_id(way), &[way.title(), way.kind(), &way.address]);
        for guest in &way.nodes {
            text += &node("    ", &host_id(&guest.host), &[&guest.host, &guest.gateway]);
        }
    }
    for stray in &graph.strays {
        text += &node("    ", &host_id(stray), &[stray, "of no guest"]);
    }
    text += "  }\n";
    for way in &graph.ways {
        for guest in &way.nodes {
            text += &node("  ", &guest_id(guest), &[&guest.name, &guest.inside]);
            let label = guest.traffic.map(|traffic| traffic.words().join("\n")).unwrap_or_default();
            text += &edge(&guest_id(guest), &host_id(&guest.host), true, &label);
            text += &edge(&host_id(&guest.host), &way_id(way), guest.open, "");
        }
        let label = way.traffic().map(|traffic| traffic.words().join("\n")).unwrap_or_default();
        if !way.is_none {
            text += &edge(&way_id(way), "internet", way.open, &label);
        }
    }
    text + "}\n"
}

fn way_id(way: &Way) -> String {
    format!("way {}", way.title())
}

fn host_id(host: &str) -> String {
    format!("host {host}")
}

fn guest_id(guest: &Node) -> String {
    format!("guest {}", guest.name)
}

fn node(indent: &str, id: &str, lines: &[&str]) -> String {
    let lines: Vec<_> = lines.iter().copied().filter(|line| !line.is_empty()).collect();
    format!("{indent}{} [label={}];\n", quoted(id), quoted(&lines.join("\n")))
}

fn edge(from: &str, to: &str, open: bool, label: &str) -> String {
    let style = if open { "" } else { ", style=dashed" };
    format!("  {} -> {} [label={}{style}];\n", quoted(from), quoted(to), quoted(label))
}

/// Only a quote ends such a string; a line's end is said by an escape of the language's own.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_guest_has_its_way() {
        let text = draw(&super::super::recorded::graph());
        for line in [
            r#"  "guest demo" [label="demo\nwlan0 172.17.3.3/16"];"#,
            r#"  "guest demo" -> "host vm_wlan" [label="sent 1.4 MiB\nreceived 57.2 MiB"];"#,
            r#"  "host vm_wlan" -> "way wlan0" [label=""];"#,
            r#"  "host vm_wlan2" -> "way tun0" [label=""];"#,
            r#"    "way wlan0" [label="wlan0\nuplink\n192.168.1.20"];"#,
        ] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
    }

    #[test]
    fn what_waits_is_dashed() {
        let mut graph = super::super::recorded::graph();
        graph.ways[0].open = false;
        assert_eq!(draw(&graph).matches("style=dashed").count(), 1);
        graph.ways[0].nodes[1].open = false;
        assert_eq!(draw(&graph).matches("style=dashed").count(), 2);
    }
}

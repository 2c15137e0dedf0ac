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

//! The picture as SVG: four columns from guests to the internet, rows of guests, one below another. Colours
//! follow the viewer's scheme, dark or light.

use super::{Graph, Node, Way};
use svg::node::element::path::Data;
use svg::node::element::{Circle, Group, Path, Rectangle, Style, Text};
use svg::Document;

/// Pixels. A row is a guest's, with what is above and below it.
const ROW: i32 = 96;
const CARD: i32 = 64;
const MARGIN: i32 = 24;
/// The top of the first row, below the columns' titles.
const TOP: i32 = 52;
/// Where columns begin, and how wide their cards are.
const GUEST: (i32, i32) = (MARGIN, 210);
const HOST: (i32, i32) = (384, 150);
const WAY: (i32, i32) = (630, 150);
const INTERNET: (i32, i32) = (940, 120);
const WIDTH: i32 = INTERNET.0 + INTERNET.1 + MARGIN;
/// The device's frame around host ends and ways.
const FRAME: (i32, i32) = (HOST.0 - 24, WAY.0 + WAY.1 + 24);
/// Letters that fit into a card, of a title and of what is below it.
const TITLE: usize = 20;
const LINE: usize = 28;

const STYLE: &str = "\
text { font-family: system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; font-size: 12px; fill: #57606a; }
.title { font-size: 15px; font-weight: 600; fill: #1f2328; }
.column { font-size: 12px; letter-spacing: 1px; }
.middle { text-anchor: middle; }
.paper { fill: #ffffff; }
.device { fill: #f6f8fa; stroke: #d0d7de; }
.card { fill: #ffffff; stroke: #8c959f; stroke-width: 1.2; }
.guest { fill: #ddf4ff; stroke: #54aeff; }
.uplink { fill: #dafbe1; stroke: #4ac26b; }
.tun { fill: #fbefff; stroke: #c297ff; }
.shut { stroke-dasharray: 5 4; }
.link { fill: none; stroke: #57606a; stroke-width: 1.6; }
.end { fill: #57606a; }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1; }
  .title { fill: #f0f6fc; }
  .paper { fill: #0d1117; }
  .device { fill: #151b23; stroke: #3d444d; }
  .card { fill: #0d1117; stroke: #656c76; }
  .guest { fill: #0c2d4d; stroke: #388bfd; }
  .uplink { fill: #0f2f1b; stroke: #3fb950; }
  .tun { fill: #2a1b47; stroke: #ab7df8; }
  .link { stroke: #9198a1; }
  .end { fill: #9198a1; }
}";

/// The whole.
pub fn draw(graph: &Graph) -> String {
    let rows = graph.nodes().count() + graph.strays.len();
    // A way has a row of its own, however few leave by it.
    let rows = rows.max(graph.ways.len()).max(1) as i32;
    let bottom = TOP + rows * ROW;
    let height = bottom + MARGIN;
    let mut picture = Document::new()
        .set("viewBox", (0, 0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .set("role", "img")
        .add(svg::node::element::Title::new("Guests, their links and their ways out"))
        .add(Style::new(STYLE))
        .add(
            Rectangle::new()
                .set("class", "paper")
                .set("width", WIDTH)
                .set("height", height)
                .set("rx", 8),
        )
        .add(
            Rectangle::new()
                .set("class", "device")
                .set("x", FRAME.0)
                .set("y", 48)
                .set("width", FRAME.1 - FRAME.0)
                .set("height", bottom - 48)
                .set("rx", 10),
        )
        .add(heading("guests", GUEST.0 + GUEST.1 / 2))
        .add(heading("device", (FRAME.0 + FRAME.1) / 2))
        .add(heading("beyond", INTERNET.0 + INTERNET.1 / 2));

    let middle = TOP + rows * ROW / 2;
    let mut row = 0;
    for way in &graph.ways {
        let first = row;
        let span = way.nodes.len().max(usize::from(way.nodes.is_empty() && graph.strays.is_empty()))
            as i32;
        let at = TOP + first * ROW + span.max(1) * ROW / 2;
        for node in &way.nodes {
            let y = TOP + row * ROW + ROW / 2;
            picture = picture.add(guest(node, y)).add(curve(
                (HOST.0 + HOST.1, y),
                (WAY.0, at),
                node.open,
            ));
            row += 1;
        }
        picture = picture.add(out(way, at, middle));
        row = row.max(first + span);
    }
    for stray in &graph.strays {
        let y = TOP + row * ROW + ROW / 2;
        picture = picture.add(card(HOST, y, "card shut", stray, &["of no guest"]));
        row += 1;
    }
    let picture = picture.add(card(INTERNET, middle, "card", "internet", &[]));
    format!("{picture}\n")
}

fn heading(text: &str, x: i32) -> Text {
    label(text, x, 34).set("class", "column middle")
}

fn label(text: &str, x: i32, y: i32) -> Text {
    Text::new(text).set("x", x).set("y", y).set("class", "middle")
}

/// A guest, its host end, and the link between.
fn guest(node: &Node, y: i32) -> Group {
    let (from, to) = (GUEST.0 + GUEST.1, HOST.0);
    let link =
        Path::new().set("class", "link").set("d", Data::new().move_to((from, y)).line_to((to, y)));
    // Both ends of one pair.
    let end = |x| Circle::new().set("class", "end").set("cx", x).set("cy", y).set("r", 3.5);
    let mut group = Group::new()
        .add(link)
        .add(card(GUEST, y, "card guest", &node.name, &[node.kind(), &node.inside]))
        .add(card(HOST, y, "card", &node.host, &[&node.gateway]))
        .add(end(from))
        .add(end(to));
    if let Some(traffic) = node.traffic {
        let x = (from + FRAME.0) / 2;
        let [sent, received] = traffic.words();
        group = group.add(label(&sent, x, y - 9)).add(label(&received, x, y + 18));
    }
    group
}

/// A way, and what leads on to the internet.
fn out(way: &Way, y: i32, internet: i32) -> Group {
    let class = match (way.is_tun, &way.interface) {
        (true, _) => "card tun",
        (false, Some(_)) => "card uplink",
        (false, None) => "card shut",
    };
    let mut group = Group::new().add(card(WAY, y, class, way.title(), &[way.kind(), &way.address]));
    if way.is_none {
        return group;
    }
    group = group.add(curve((WAY.0 + WAY.1, y), (INTERNET.0, internet), way.open));
    if let Some(traffic) = way.traffic() {
        let x = (FRAME.1 + INTERNET.0) / 2;
        // Beside the curve, which leaves a card level.
        let [sent, received] = traffic.words();
        let away = if y > internet { [24, 40] } else { [-28, -12] };
        group = group.add(label(&sent, x, y + away[0])).add(label(&received, x, y + away[1]));
    }
    group
}

/// A box with a title and lines below it, its middle at `y`.
fn card((x, width): (i32, i32), y: i32, class: &str, title: &str, lines: &[&str]) -> Group {
    let lines: Vec<_> = lines.iter().filter(|line| !line.is_empty()).collect();
    let centre = x + width / 2;
    let first = y + 5 - 8 * lines.len() as i32;
    let mut group = Group::new()
        .add(
            Rectangle::new()
                .set("class", class)
                .set("x", x)
                .set("y", y - CARD / 2)
                .set("width", width)
                .set("height", CARD)
                .set("rx", 8),
        )
        .add(
            Text::new(cut(title, TITLE))
                .set("class", "title middle")
                .set("x", centre)
                .set("y", first),
        );
    for (at, line) in lines.iter().enumerate() {
        group = group.add(label(&cut(line, LINE), centre, first + 18 + 15 * at as i32));
    }
    group
}

/// From one card's side to another's, with a head; dashed where nothing passes.
fn curve(from: (i32, i32), to: (i32, i32), open: bool) -> Group {
    let class = if open { "link" } else { "link shut" };
    let (tip, middle) = (to.0 - 2, (from.0 + to.0) / 2);
    let data = Data::new().move_to(from).cubic_curve_to((
        (middle, from.1),
        (middle, to.1),
        (tip - 6, to.1),
    ));
    let head = Data::new()
        .move_to((tip - 9, to.1 - 5))
        .line_to((tip, to.1))
        .line_to((tip - 9, to.1 + 5))
        .close();
    Group::new()
        .add(Path::new().set("class", class).set("d", data))
        .add(Path::new().set("class", "end").set("d", head))
}

/// As much as fits.
fn cut(text: &str, most: usize) -> String {
    match text.chars().count() {
        ..=0 => String::new(),
        length if length <= most => text.to_owned(),
        _ => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut() {
        assert_eq!((cut("demo", 4), cut("demo5", 4)), ("demo".to_owned(), "dem…".to_owned()));
    }

    #[test]
    fn what_is_there_is_in_it_and_what_waits_is_dashed() {
        let mut graph = super::super::recorded::graph();
        let text = draw(&graph);
        for word in
            ["demo", "vm_wlan2", "wlan0 172.17.3.5/16", "tun0", "192.168.1.20", "received 57.2 MiB"]
        {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert_eq!(text.matches("link shut").count(), 0);
        graph.ways[0].nodes[0].open = false;
        graph.ways[0].open = false;
        assert_eq!(draw(&graph).matches("link shut").count(), 2);
    }
}

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

//! Writes guestnetd's manual page to standard output: `cargo run --example guestnetd-man`.

use clap::CommandFactory;
use guestnetd::cli::Args;
use std::io::{self, Write};

/// What clap does not know.
const MORE: &str = r".SH FILES
.TP
.I /etc/guestnet/guestnetd.toml
The options as keys, without dashes in front, and sections [guest.NAME] for what guests get by their names. The
command line counts before the file, and what the caller of attach says before a section. Without the file all
has its default.
.SH SIGNALS
.TP
SIGTERM, SIGINT
End it. Guests keep their network, and the next start takes them over.
.TP
SIGHUP
Reads the file again, as
.B guestnetctl reload
does: sections, uplink, dns, guest\-connections, keep\-forwarding and check\-every change at once.
.SH EXIT STATUS
0: ended by a signal. 1: it cannot run, and says why. 2: wrong command line. 78: wrong configuration file.
.SH SEE ALSO
.BR guestnetctl (1)
";

fn main() -> io::Result<()> {
    let version = concat!("guestnetd ", env!("CARGO_PKG_VERSION"));
    let page = clap_mangen::Man::new(Args::command()).section("8").source(version);
    let mut out = io::stdout();
    page.manual("guestnetd").render(&mut out)?;
    out.write_all(MORE.as_bytes())
}

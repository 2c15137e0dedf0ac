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

//! The command line: what clap parses, and the texts of `--help`. Nothing is done here.

#[cfg(not(target_os = "android"))]
use crate::complete;
use crate::dns_mode::Dns;
use crate::render::plain::plain;
use crate::resolv_conf::Which;
use crate::vpn::Vpn;
use android_system_guestnet::aidl::android::system::guestnet::{
    Dhcp::Dhcp, IGuestNet::MTU_FOLLOW_UPLINK, Lifeline::Lifeline,
};
use clap::{Args, Parser, Subcommand};

/// What every `--help` of the program as a whole ends with.
pub const EXIT_CODES: &str = "\
Exit codes:
  0   done
  1   any other failure
  2   wrong command line
  3   bad input: the configuration or the target is wrong
  4   conflict: it collides with what is there, or no such guest
  5   the system could not do it; nothing was changed
      check, status: a layer is BAD; doctor: a cause was found
  6   not allowed
  7   guestnetd cannot be reached
  8   not supported by this guestnetd
  9   reload: guestnetd's file is wrong; all is as it was before
  10  attached, but there is no uplink: traffic waits (stderr says why)
      check, status: a layer waits; doctor: traffic waits
  11  check, status, doctor: internet, but no names
  12  status: a rule of others may keep guests from the internet

Environment:
  GUESTNET_URI  where guestnetd is, when --connect is not given
  NO_COLOR      no colour, even on a terminal
  COLUMNS       how wide lines and tables may be [default: as the terminal is]
  LC_ALL, LANG  without UTF-8 nothing but ASCII is drawn";

const GLOBAL: &str = "For every command";

const EXAMPLES: &str = "\
Examples:
  guestnetctl attach demo --pid 4242
  guestnetctl list
  guestnetctl status demo
  guestnetctl detach demo

";

const ATTACH_EXAMPLES: &str = "\
Examples:
  guestnetctl attach demo --pid \"$(lxc-info -n demo -pH)\"
  guestnetctl attach demo --netns demo --timeline
  guestnetctl attach cam --pid 4242 --gateway 10.9.0.1 --prefix 24 --address 10.9.0.7
  guestnetctl attach work --pid 4242 --vpn tun:tun0 --resolv-conf auto
  guestnetctl attach private --pid 4242 --dns-mode 9.9.9.9,2620:fe::fe
  guestnetctl attach once --pid 4242 --hold
  guestnetctl attach left --pid 4242 --segment cockpit

A VM has no namespace. Its VMM gets the descriptor of a TAP device, and the guest is gone when
that has ended. In CMD stand {mac} for the MAC that its network card is to have, {fd} for the
descriptor's number, with commas between several, and {fds} with colons, as QEMU has them:
  guestnetctl attach vm --tap --exec crosvm run --net tap-fd={fd},mac={mac} ...
  guestnetctl attach vm --tap --exec qemu-system-x86_64 \\
    -netdev tap,id=net,fd={fd},vhost=off -device virtio-net-pci,netdev=net,mac={mac} ...
  guestnetctl attach vm --tap --queues 4 --exec qemu-system-x86_64 \\
    -netdev tap,id=net,fds={fds},vhost=off \\
    -device virtio-net-pci,netdev=net,mac={mac},mq=on,vectors=10 ...
It has its address by DHCP.

The gateway answers for names. Without --resolv-conf it is for the guest to know:
nameserver 172.17.3.2.

Exit code 10: attached, but there is no uplink; stderr says what to do.";

const UPDATE_EXAMPLES: &str = "\
Examples:
  guestnetctl update demo --mtu 1400
  guestnetctl update demo --address 172.17.3.9 --mtu uplink
  guestnetctl update demo --vpn tun:tun0

A new address ends the guest's connections; nothing else that changes ends one, unless the guest
leaves by another way from now on. All of it is done, or nothing.

Exit code 10: updated, but there is no uplink; stderr says what to do.";

const REPAIR_HELP: &str = "\
Nothing else of the guest's is touched: a default route of its own that is in the way has to be
removed there. `guestnetctl status NAME` tells what is lost. guestnetd does this by itself, within
some seconds, only for guests that were attached with --keep.

Examples:
  guestnetctl repair demo";

const HOOK_HELP: &str = "\
In the container's configuration:
  lxc.net.0.type = empty
  lxc.hook.start-host = /usr/bin/guestnetctl lxc-hook
  lxc.hook.post-stop = /usr/bin/guestnetctl lxc-hook

start-host attaches LXC_PID under the container's name before its init runs; when it cannot, the
container does not start. A missing uplink does not stop it. A guest of that name that is still
attached is a leftover of the container's last run and is replaced: container names are unique
among all guests. post-stop detaches by name; a guest that is gone already is no error.

lxc.hook.version 0 and 1 both work. LXC writes what a hook prints to the container's log, at
level DEBUG: lxc-start --logfile FILE --logpriority DEBUG. Options go after lxc-hook:
  lxc.hook.start-host = /usr/bin/guestnetctl lxc-hook --address 172.17.3.9 --vpn tun:tun0";

const OCI_HELP: &str = "\
In the container's config.json, with a network namespace of its own and nothing in it:
  \"hooks\": {
    \"createRuntime\": [{\"path\": \"/usr/bin/guestnetctl\", \"args\": [\"guestnetctl\", \"oci-hook\"]}],
    \"poststop\": [{\"path\": \"/usr/bin/guestnetctl\", \"args\": [\"guestnetctl\", \"oci-hook\"]}]
  }

createRuntime attaches the container before its first process runs; when it cannot, the container does
not start. A missing uplink does not stop it. poststop detaches it; a guest that is gone already is no
error. The guest's name is the annotation guestnet.name, else the container's id: of 64 digits the
first 12, as podman and docker show it. --resolv-conf auto writes the file that the container will have,
as its config.json says.";

const DNS_HELP: &str = "\
What guests ask their gateway goes to the first server, at once if UPLINK is the uplink, and
whenever it is again. Without a SERVER, those named before are forgotten, and guestnetd uses what
it finds: its --dns, or on Linux resolv.conf. Without an UPLINK it shows those in use, those named
for other interfaces, and who answers each guest.

Examples:
  guestnetctl dns
  guestnetctl dns wlan0 192.0.2.53 198.51.100.53
  guestnetctl dns wlan0";

const UPLINK_HELP: &str = "\
Guests that ask by DHCP are told whether their uplink is metered, and of its captive portal. One that
has a lease asks again when that changes. It holds while guestnetd runs.

Examples:
  guestnetctl uplink-info rmnet0 --metered --not-validated
  guestnetctl uplink-info wlan0 --captive-portal https://portal.example/api
  guestnetctl uplink-info wlan0";

const DEVICE_HELP: &str = "\
While the device is idle guestnetd acts on what the kernel announces, as ever; what nobody announces
it looks for once in an hour, not each --check-every, and at once when the device is in use again. It
holds while guestnetd runs.

Examples:
  guestnetctl device-state --idle
  guestnetctl device-state";

const RELOAD_HELP: &str = "\
The file is /etc/guestnet/guestnetd.toml, or what guestnetd's --config names. When anything in it is
wrong, the file, the line and the cause are said, and nothing changes (exit code 9). Attached guests
stay as they are until they are attached again, or are told to take what the file says of them.

Examples:
  guestnetctl reload
  guestnetctl update demo --section";

const STATUS_HELP: &str = "\
The first line is the verdict. No internet: the lowest layer that is BAD is to blame; where none is,
a lockdown VPN, then the uplink, then the lowest layer that waits. Unsure: nothing is known to be
wrong, but a layer could not be judged. Behind what is wrong is its cause, a word that does not change.

  ok    as it should be
  wait  nothing is wrong here, but traffic waits for something to appear
  BAD   not as it should be
  ?     it could not be read or judged
  next  what to do about it

Examples:
  guestnetctl status
  guestnetctl status demo --json

Exit codes: 0 no layer is BAD and none waits (also where one could not be read), 5 a layer is BAD,
10 a layer waits, 11 internet, but no names, 12 a rule of others may keep guests from it.";

const DOCTOR_HELP: &str = "\
Sends packets, from the guest and for comparison from the device: pings of the gateway and of the
uplink's router, TCP to ports 443 and 80 of the targets, questions to the resolver over UDP and TCP,
the page that tells a sign-in, pings of 1280 to 1500 bytes. What becomes of them makes one cause;
each takes less than three seconds. No other command sends any of these.

With --trace, the first probe that fails, or a question for a name where none does, is sent once more.
The kernel tells each rule that its packet meets, and its answer; what it takes for that is removed at
once. Where the kernel cannot, the rules are gone through as they are read.

  ok         answered                 not sent   no route, or the sender's own rules
  silent     not answered in time     too large  the sender was told so
  refused    a reset, an ICMP error   portal     a sign-in page answered

Examples:
  guestnetctl doctor demo
  guestnetctl doctor demo --trace
  guestnetctl doctor demo --probe-target 192.0.2.1 --probe-url http://192.0.2.1/generate_204

Exit codes: 0 healthy, 5 a cause was found, 10 traffic waits for the uplink, 11 internet, but no names.";

/// What was typed; ends the program where it cannot be understood, or asks for help. AOSP's clap breaks
/// no lines.
#[cfg(target_os = "android")]
pub fn parse() -> Cli {
    Parser::try_parse().unwrap_or_else(|e| refuse(&e))
}

/// What was typed; ends the program where it cannot be understood, or asks for help, whose paragraphs are
/// as wide as the terminal.
#[cfg(not(target_os = "android"))]
pub fn parse() -> Cli {
    let parsed = command().try_get_matches().and_then(|typed| {
        let parsed: Result<Cli, clap::Error> = clap::FromArgMatches::from_arg_matches(&typed);
        parsed.map_err(|e| e.format(&mut command()))
    });
    parsed.unwrap_or_else(|e| refuse(&e))
}

/// A program may have typed what others gave it, which is named as it is.
fn refuse(e: &clap::Error) -> ! {
    let odd = |arg: std::ffi::OsString| {
        let arg = arg.to_string_lossy();
        plain(&arg, false) != arg
    };
    if !std::env::args_os().any(odd) {
        e.exit();
    }
    eprint!("{}", plain(&e.to_string(), true));
    std::process::exit(e.exit_code())
}

#[cfg(not(target_os = "android"))]
fn command() -> clap::Command {
    let command = <Cli as clap::CommandFactory>::command();
    command.mut_subcommands(|one| match one.get_after_help().map(|help| flow(&help.to_string())) {
        Some(help) => one.after_help(help),
        None => one,
    })
}

/// Each paragraph in one line; what is indented keeps its lines.
#[cfg(not(target_os = "android"))]
fn flow(text: &str) -> String {
    let mut flowing = String::new();
    for line in text.lines() {
        let last = flowing.lines().next_back().unwrap_or_default();
        let goes_on = !last.is_empty() && !last.starts_with(' ') && !flowing.ends_with("\n\n");
        let joined = goes_on && !line.is_empty() && !line.starts_with(' ');
        if joined {
            flowing.truncate(flowing.trim_end_matches('\n').len());
            flowing.push(' ');
        }
        flowing.push_str(line);
        flowing.push('\n');
    }
    flowing.truncate(flowing.trim_end().len());
    flowing
}

/// Gives guests, containers and virtual machines, their network, through guestnetd
#[derive(Debug, Parser)]
#[command(name = "guestnetctl", version, max_term_width = 100)]
#[command(after_help = format!("{EXAMPLES}{EXIT_CODES}"))]
pub struct Cli {
    /// Where guestnetd is: unix://PATH or binder:// [default: GUESTNET_URI or the platform's]
    #[arg(long, global = true, value_name = "URI", help_heading = GLOBAL)]
    pub connect: Option<String>,

    /// Print one JSON document (watch: one line for each event)
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub json: bool,

    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Give a guest its network
    #[command(visible_alias = "add", after_help = ATTACH_EXAMPLES)]
    Attach {
        #[command(flatten)]
        guest: GuestArgs,
        #[command(flatten)]
        names: NamesArgs,
        /// Show what the time was spent on
        #[arg(long)]
        timeline: bool,
        /// Stay, as the guest's owner: it is detached when this command ends, however it ends
        #[arg(long, conflicts_with = "tap")]
        hold: bool,
        /// With --tap: become this program, the VM, which has the descriptor under the number {fd}. Last of
        /// all options
        #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true, conflicts_with_all = ["pid", "netns"])]
        exec: Vec<String>,
    },
    /// Change a live guest; what is not given stays
    #[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
    #[command(after_help = UPDATE_EXAMPLES)]
    Update {
        /// The guest
        #[cfg_attr(not(target_os = "android"), arg(add = complete::guests()))]
        name: String,
        /// Another IPv4 address in its subnet
        #[arg(long, value_name = "ADDRESS", group = "what")]
        address: Option<String>,
        /// MTU in bytes, 68 to 65535, or uplink: the uplink's
        #[arg(long, value_name = "BYTES", group = "what", allow_negative_numbers = true, value_parser = mtu)]
        mtu: Option<i32>,
        /// Under a VPN: leave via the uplink (follow), via this tun only (tun:NAME), or via the uplink but
        /// not while a lockdown VPN is up (block)
        #[arg(long, value_name = "HOW", group = "what")]
        #[cfg_attr(not(target_os = "android"), arg(add = complete::vpns()))]
        vpn: Option<Vpn>,
        /// From now on without an uplink: it has its gateway and its segment, and leaves by nothing. --vpn gives
        /// it one again
        #[arg(long, group = "what", conflicts_with = "vpn")]
        no_uplink: bool,
        /// Who answers its questions for names: auto, dnat, forward or ADDRESS,...
        #[arg(long, value_name = "HOW", group = "what")]
        #[cfg_attr(not(target_os = "android"), arg(add = complete::dns_modes()))]
        dns_mode: Option<Dns>,
        /// A lease of so many seconds that begins now; 0: none from now on. Any update begins a lease again
        #[arg(long, value_name = "SECONDS", group = "what", allow_negative_numbers = true)]
        lease: Option<i64>,
        /// Answer the guest's DHCP clients (auto), or do not (off)
        #[arg(long, value_name = "HOW", group = "what", hide_possible_values = true)]
        dhcp: Option<Answers>,
        /// What guestnetd's file says of it now, where nothing else is given
        #[arg(long, group = "what")]
        section: bool,
        /// Show what the time was spent on
        #[arg(long)]
        timeline: bool,
    },
    /// Put back what a guest has lost of its own side: its link, its address, its default route
    #[command(after_help = REPAIR_HELP)]
    Repair {
        /// The guest
        #[cfg_attr(not(target_os = "android"), arg(add = complete::guests()))]
        name: String,
        /// Show what the time was spent on
        #[arg(long)]
        timeline: bool,
    },
    /// Detach a guest: remove its network
    #[command(visible_aliases = ["rm", "del"], after_help = "\
Examples:
  guestnetctl detach demo
  guestnetctl detach --all")]
    #[command(group = clap::ArgGroup::new("whom").required(true))]
    Detach {
        /// The guest
        #[arg(group = "whom")]
        #[cfg_attr(not(target_os = "android"), arg(add = complete::guests()))]
        name: Option<String>,
        /// All guests, at once
        #[arg(long, group = "whom")]
        all: bool,
    },
    /// List the attached guests
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  guestnetctl list
  guestnetctl list --json | jq -r '.[].name'"
    )]
    List,
    /// Show one guest
    #[command(after_help = "\
Examples:
  guestnetctl show demo")]
    Show {
        /// The guest
        #[cfg_attr(not(target_os = "android"), arg(add = complete::guests()))]
        name: String,
    },
    /// Print what happens to guests and the uplink, until Ctrl-C
    #[command(after_help = "\
Each line has a time, what happened, and why: who detached a guest, or what it lived by that has ended.

Examples:
  guestnetctl watch
  guestnetctl watch --json --count 1")]
    Watch {
        /// End after N events
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        count: Option<u64>,
    },
    /// Show what attach would change; nothing is done
    #[command(after_help = "\
Examples:
  guestnetctl plan demo --pid 4242
  guestnetctl plan demo --netns demo --vpn tun:tun0")]
    Plan {
        #[command(flatten)]
        guest: GuestArgs,
    },
    /// Tell whether attach would succeed and the guest have internet; nothing is done
    #[command(after_help = "\
Examples:
  guestnetctl check demo --pid 4242

Exit codes: 0 all layers are ok, 5 a layer is BAD or cannot be read, 10 a layer waits, 11 internet,
but no names.")]
    Check {
        #[command(flatten)]
        guest: GuestArgs,
    },
    /// Show, layer by layer, whether guests have internet, and why not
    #[command(after_help = STATUS_HELP)]
    Status {
        /// Only this guest
        #[cfg_attr(not(target_os = "android"), arg(add = complete::guests()))]
        name: Option<String>,
    },
    /// Send packets to find out why a guest has no internet
    #[command(after_help = DOCTOR_HELP)]
    Doctor {
        /// The guest [default: each; the device, if there is none]
        #[cfg_attr(not(target_os = "android"), arg(add = complete::guests()))]
        guest: Option<String>,
        /// Follow one probe through the packet filters: each hook, with the rule that decided
        #[arg(long)]
        trace: bool,
        #[command(flatten)]
        targets: ProbeArgs,
    },
    /// Show the resolvers in use; name those behind an uplink, or, without a server, forget them
    #[command(after_help = DNS_HELP)]
    Dns {
        /// The uplink's interface; it need not be there [default: show what guests ask now]
        #[cfg_attr(not(target_os = "android"), arg(add = complete::uplinks()))]
        uplink: Option<String>,
        /// IPv4 addresses of at most 8 resolvers; the first is the one in use
        #[arg(value_name = "SERVER")]
        servers: Vec<String>,
    },
    /// Say what the platform knows of an uplink; what is not given is not so
    #[command(after_help = UPLINK_HELP)]
    UplinkInfo(UplinkArgs),
    /// Say what the platform knows of the device; what is not given is not so
    #[command(after_help = DEVICE_HELP)]
    DeviceState {
        /// Nobody uses it: guestnetd looks once in an hour for what others have changed
        #[arg(long)]
        idle: bool,
    },
    /// Have guestnetd read its file again: what can change at once does, and what cannot is named
    #[command(after_help = RELOAD_HELP)]
    Reload,
    /// Show what this guestnetd is and how it runs
    #[command(after_help = "\
Examples:
  guestnetctl info")]
    Info,
    /// Draw guests, their links, their ways out, and what went through
    #[cfg(not(target_os = "android"))]
    #[command(after_help = "\
Examples:
  guestnetctl graph > guests.svg
  guestnetctl graph --dot | dot -Tpdf > guests.pdf")]
    Graph {
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Print everything guestnetd knows, for a bug report
    #[command(after_help = "\
Examples:
  guestnetctl dump > guestnetd.txt")]
    Dump,
    /// Print a shell's completion script, which knows guests, interfaces and namespaces by name
    #[cfg(not(target_os = "android"))]
    #[command(after_help = "\
Examples:
  guestnetctl completions bash > /etc/bash_completion.d/guestnetctl
  guestnetctl completions zsh > /usr/share/zsh/vendor-completions/_guestnetctl
  guestnetctl completions fish > /etc/fish/completions/guestnetctl.fish")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    #[cfg(not(target_os = "android"))]
    #[command(hide = true)]
    Man {
        /// Where to
        directory: std::path::PathBuf,
    },
    /// Be an OCI runtime's createRuntime and poststop: runc, crun, podman, docker, containerd
    #[command(after_help = OCI_HELP)]
    OciHook {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(flatten)]
        names: NamesArgs,
    },
    /// Be LXC's lxc.hook.start-host and lxc.hook.post-stop
    #[command(after_help = HOOK_HELP)]
    LxcHook {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(flatten)]
        names: NamesArgs,
        /// What LXC appends with lxc.hook.version 0: NAME lxc TYPE
        #[arg(trailing_var_arg = true, value_name = "LXC")]
        lxc: Vec<String>,
    },
}

/// What `--mtu` takes; guestnetd judges the number.
fn mtu(text: &str) -> Result<i32, String> {
    match text {
        "uplink" => Ok(MTU_FOLLOW_UPLINK),
        number => number.parse().map_err(|_| "use a number of bytes, or uplink".to_owned()),
    }
}

/// A guest to be: its name, where it is and what it gets.
#[derive(Debug, Default, Args)]
pub struct GuestArgs {
    #[command(flatten)]
    pub name: NameArgs,
    #[command(flatten)]
    pub target: TargetArgs,
    /// How many queues the TAP device has, 1 to 16 [default: 1]
    #[arg(long, value_name = "N", conflicts_with_all = ["pid", "netns"], allow_negative_numbers = true)]
    pub queues: Option<i32>,
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// What the guest is called: one of the two.
#[derive(Debug, Default, Args)]
#[group(required = true, multiple = false)]
pub struct NameArgs {
    /// The guest's name: letters, digits, '.', '_' and '-', at most 63
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The same, as an option
    #[arg(id = "named", long = "name", value_name = "NAME")]
    option: Option<String>,
}

impl NameArgs {
    /// The name; clap sees to it that it is given once.
    pub fn get(&self) -> &str {
        self.name.as_ref().or(self.option.as_ref()).map_or("", String::as_str)
    }
}

/// What a picture is written in.
#[cfg(not(target_os = "android"))]
#[derive(Debug, Default, Args)]
#[group(multiple = false)]
pub struct FormatArgs {
    /// As SVG, for browsers and documents [default]
    #[arg(long)]
    svg: bool,
    /// As DOT, for Graphviz
    #[arg(long)]
    dot: bool,
}

/// What a picture is written in.
#[cfg(not(target_os = "android"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Scalable Vector Graphics.
    Svg,
    /// Graphviz's language.
    Dot,
}

#[cfg(not(target_os = "android"))]
impl FormatArgs {
    /// The one that is asked for.
    pub fn get(&self) -> Format {
        if self.dot {
            Format::Dot
        } else {
            Format::Svg
        }
    }
}

/// What is known of an uplink.
#[derive(Debug, Args)]
pub struct UplinkArgs {
    /// The uplink's interface; it need not be there
    #[cfg_attr(not(target_os = "android"), arg(add = complete::uplinks()))]
    pub uplink: String,
    /// Its traffic costs money
    #[arg(long)]
    pub metered: bool,
    /// Its captive portal's API (RFC 8908), http or https
    #[arg(long, value_name = "URL")]
    pub captive_portal: Option<String>,
    /// The internet was not reached by it
    #[arg(long)]
    pub not_validated: bool,
}

/// Where the guest is: one of these.
#[derive(Debug, Default, Args)]
#[group(required = true, multiple = false)]
pub struct TargetArgs {
    /// A process in the guest
    #[arg(long, value_name = "PID", allow_negative_numbers = true)]
    pub pid: Option<i32>,
    /// The guest's network namespace: a name that `ip netns` lists, or a file as /proc/PID/ns/net
    #[arg(long, value_name = "NAME|PATH")]
    #[cfg_attr(not(target_os = "android"), arg(add = complete::namespaces()))]
    pub netns: Option<std::path::PathBuf>,
    /// Nowhere yet: a TAP device for a VM, which goes with its descriptor
    #[arg(long)]
    pub tap: bool,
}

/// How the guest learns who answers for names.
#[derive(Clone, Debug, Default, Args)]
pub struct NamesArgs {
    /// Write the guest's gateway as its nameserver: auto, into its own /etc/resolv.conf, or a file of the
    /// device's; only where there is none, or one of guestnetctl's making
    #[arg(long, value_name = "PATH|auto")]
    pub resolv_conf: Option<Which>,
}

/// What the guest gets; what is not given has the contract's default.
#[derive(Debug, Default, Args)]
pub struct ConfigArgs {
    /// Interface's name inside the guest [default: wlan0]
    #[arg(long, value_name = "NAME")]
    pub interface: Option<String>,
    /// The guest's IPv4 address [default: the next free one after the gateway]
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<String>,
    /// The device's IPv4 address on the link, the guest's default route [default: 172.17.3.2]
    #[arg(long, value_name = "ADDRESS")]
    pub gateway: Option<String>,
    /// Length of the subnet's prefix in bits, 1 to 30 [default: 16]
    #[arg(long, value_name = "BITS", allow_negative_numbers = true)]
    pub prefix: Option<i32>,
    /// MTU in bytes, 68 to 65535, or uplink: the uplink's [default: uplink]
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, value_parser = mtu)]
    pub mtu: Option<i32>,
    /// Under a VPN: leave via the uplink (follow), via this tun only (tun:NAME), or via the uplink but
    /// not while a lockdown VPN is up (block) [default: follow]
    #[arg(long, value_name = "HOW")]
    #[cfg_attr(not(target_os = "android"), arg(add = complete::vpns()))]
    pub vpn: Option<Vpn>,
    /// Without an uplink: it has its gateway and its segment, and leaves by nothing
    #[arg(long, conflicts_with = "vpn")]
    pub no_uplink: bool,
    /// Who answers its questions for names: the resolver behind the uplink (dnat), guestnetd's forwarder
    /// (forward), the forwarder with these servers (ADDRESS,...), or what does here (auto) [default: auto]
    #[arg(long, value_name = "HOW")]
    #[cfg_attr(not(target_os = "android"), arg(add = complete::dns_modes()))]
    pub dns_mode: Option<Dns>,
    /// Put back, without being asked, what the guest loses: its link, its address, its default route
    #[arg(long)]
    pub keep: bool,
    /// Detach it when the process that names it ends, even if others are left there (target), or with
    /// the last process in its namespace (namespace) [default: target]
    #[arg(long, value_name = "WHAT", hide_possible_values = true)]
    pub lifeline: Option<LivesBy>,
    /// Detach it after so many seconds without an update
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub lease: Option<i64>,
    /// Answer the guest's DHCP clients with what it has (auto), or do not (off) [default: auto]
    #[arg(long, value_name = "HOW", hide_possible_values = true)]
    pub dhcp: Option<Answers>,
    /// Put it on this segment, whose guests see each other: a name as a guest's
    #[arg(long, value_name = "NAME")]
    pub segment: Option<String>,
}

/// What `--dhcp` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Answers {
    /// They are answered.
    Auto,
    /// They are not.
    Off,
}

impl Answers {
    /// The same in the contract.
    pub fn wire(self) -> Dhcp {
        match self {
            Self::Auto => Dhcp::AUTO,
            Self::Off => Dhcp::OFF,
        }
    }
}

/// What `--lifeline` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LivesBy {
    /// What names it: a process, or a namespace.
    Target,
    /// Its namespace.
    Namespace,
}

impl LivesBy {
    /// The same in the contract.
    pub fn wire(self) -> Lifeline {
        match self {
            Self::Target => Lifeline::TARGET,
            Self::Namespace => Lifeline::NAMESPACE,
        }
    }
}

/// Where doctor's probes go; what is not given has the contract's default.
#[derive(Debug, Default, Args)]
pub struct ProbeArgs {
    /// A host that answers TCP 443 or 80; may be given again, up to 4 times [default: 1.1.1.1, 8.8.8.8]
    #[arg(long = "probe-target", value_name = "ADDRESS")]
    pub targets: Vec<String>,
    /// A page that is answered with status 204 [default:
    /// http://connectivitycheck.gstatic.com/generate_204]
    #[arg(long = "probe-url", value_name = "URL")]
    pub url: Option<String>,
    /// The name that resolvers are asked for [default: the URL's host]
    #[arg(long = "probe-name", value_name = "NAME")]
    pub name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn clap_finds_no_mistake() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_defaults_in_help_are_the_contracts() {
        let config = crate::target::config("demo", &ConfigArgs::default());
        let help = Cli::command().find_subcommand_mut("attach").unwrap().render_help().to_string();
        let prefix = config.prefixLength.to_string();
        assert_eq!((config.vpnPolicy, config.uplink), Vpn::Follow.wire());
        for default in [config.interfaceName, config.gateway, prefix, "follow".to_owned()] {
            assert!(help.contains(&format!("[default: {default}]")), "{default}\n{help}");
        }
        assert_eq!(
            config.mtu,
            android_system_guestnet::aidl::android::system::guestnet::IGuestNet::MTU_FOLLOW_UPLINK
        );
    }

    #[test]
    fn a_target_is_named_once() {
        let parse = |args: &str| Cli::try_parse_from(args.split(' ')).map_err(|e| e.kind());
        assert!(parse("guestnetctl attach --name a --pid -3").is_ok());
        assert!(parse("guestnetctl attach --name a --netns /proc/1/ns/net --mtu -1").is_ok());
        use clap::error::ErrorKind::{ArgumentConflict, MissingRequiredArgument, ValueValidation};
        assert_eq!(parse("guestnetctl plan --name a").unwrap_err(), MissingRequiredArgument);
        assert_eq!(parse("guestnetctl check --pid 3").unwrap_err(), MissingRequiredArgument);
        assert_eq!(
            parse("guestnetctl check --name a --pid 3 --netns x").unwrap_err(),
            ArgumentConflict
        );
        assert_eq!(
            parse("guestnetctl attach --name a --pid 99999999999").unwrap_err(),
            ValueValidation
        );
        assert_eq!(parse("guestnetctl watch --count 0").unwrap_err(), ValueValidation);
    }

    #[test]
    fn a_guest_is_named_as_for_every_other_command_or_by_an_option() {
        let name = |line: &str| match Cli::try_parse_from(line.split(' ')).map(|cli| cli.command) {
            Ok(
                Command::Attach { guest, .. } | Command::Plan { guest } | Command::Check { guest },
            ) => Ok(guest.name.get().to_owned()),
            Ok(other) => panic!("{other:?}"),
            Err(e) => Err(e.kind()),
        };
        for line in [
            "guestnetctl attach demo --pid 3",
            "guestnetctl attach --name demo --pid 3",
            "guestnetctl attach --pid 3 demo",
            "guestnetctl add demo --pid 3",
            "guestnetctl plan demo --netns /run/netns/demo",
            "guestnetctl check --netns /run/netns/demo --name demo",
        ] {
            assert_eq!(name(line).as_deref(), Ok("demo"), "{line}");
        }
        use clap::error::ErrorKind::{ArgumentConflict, MissingRequiredArgument};
        assert_eq!(name("guestnetctl attach a --name b --pid 3"), Err(ArgumentConflict));
        assert_eq!(name("guestnetctl attach --pid 3"), Err(MissingRequiredArgument));
    }

    #[test]
    fn the_words_of_other_tools_are_understood() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.command);
        assert!(matches!(parse("guestnetctl ls"), Ok(Command::List)));
        for word in ["rm", "del"] {
            let line = format!("guestnetctl {word} demo");
            assert!(matches!(parse(&line), Ok(Command::Detach { name: Some(_), .. })), "{line}");
        }
    }

    /// Hooks show the configuration that runs them.
    #[cfg(not(target_os = "android"))]
    #[test]
    fn a_paragraph_flows_and_a_list_does_not() {
        let text = "One line\nand one.\n\nExit:\n  0  well\n  1  not\nEnd\nof it.";
        assert_eq!(flow(text), "One line and one.\n\nExit:\n  0  well\n  1  not\nEnd of it.");
    }

    #[test]
    fn every_command_has_an_example_with_words_that_it_knows() {
        let mut cli = Cli::command();
        cli.build();
        let commands = cli.get_subcommands_mut().filter(|one| !one.is_hide_set());
        for command in commands.filter(|one| one.get_name() != "help") {
            let name = command.get_name().to_owned();
            let help = command.render_help().to_string();
            if name.ends_with("-hook") {
                assert!(help.contains("/usr/bin/guestnetctl"), "{help}");
                continue;
            }
            let (_, examples) = help.split_once("Examples:\n").unwrap_or_else(|| panic!("{help}"));
            let line = examples.lines().next().unwrap_or_default().trim();
            assert!(line.starts_with(&format!("guestnetctl {name}")), "{line}");
            // Up to what a shell does with it.
            let words = line.split([' ', '\"']).take_while(|word| !["|", ">"].contains(word));
            let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
            if !line.contains("$(") {
                Cli::try_parse_from(words).unwrap_or_else(|e| panic!("{line}: {e}"));
            }
        }
    }

    /// Where clap can: AOSP's is built without.
    #[cfg(not(target_os = "android"))]
    #[test]
    fn an_unknown_word_is_answered_with_the_nearest() {
        for (line, nearest) in [
            ("guestnetctl atach demo --pid 3", "attach"),
            ("guestnetctl stauts", "status"),
            ("guestnetctl attach demo --pid 3 --gatway 10.0.0.1", "--gateway"),
            ("guestnetctl attach demo --pid 3 --dhcp of", "off"),
        ] {
            let said = Cli::try_parse_from(line.split(' ')).unwrap_err().to_string();
            assert!(said.contains(&format!("'{nearest}'")), "{line}: {said}");
        }
    }

    #[test]
    fn an_update_changes_something() {
        let parse = |args: &str| Cli::try_parse_from(args.split(' ')).map(|cli| cli.command);
        let mtu = |args| match parse(args) {
            Ok(Command::Update { mtu, .. }) => mtu,
            other => panic!("{other:?}"),
        };
        assert_eq!(mtu("guestnetctl update a --mtu uplink"), Some(-1));
        assert_eq!(mtu("guestnetctl update a --mtu 1400 --vpn block"), Some(1400));
        assert_eq!(mtu("guestnetctl update a --address 172.17.3.9"), None);
        // As when it is attached.
        let attached = parse("guestnetctl attach a --pid 3 --mtu uplink");
        assert!(
            matches!(&attached, Ok(Command::Attach { guest, .. }) if guest.config.mtu == Some(-1)),
            "{attached:?}"
        );
        for bad in ["update a", "update --mtu 1400", "update a --mtu most", "update a --timeline"] {
            assert!(parse(&format!("guestnetctl {bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_hook_takes_options_before_what_lxc_appends() {
        let line =
            "guestnetctl lxc-hook --address 10.0.0.3 web lxc start-host --odd mnt:/proc/1/fd/3";
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let Command::LxcHook { config, lxc, .. } = cli.command else { panic!("{:?}", cli.command) };
        assert_eq!(config.address.as_deref(), Some("10.0.0.3"));
        assert_eq!(lxc, ["web", "lxc", "start-host", "--odd", "mnt:/proc/1/fd/3"]);
    }
}

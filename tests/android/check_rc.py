#!/usr/bin/env python3
# Copyright (C) 2026 The Android Open Source Project
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Checks init's .rc files: usage: check_rc.py ROOT FILE...

Sections, keywords, numbers of arguments, users and groups, capabilities and modes as init's parser knows
them; and that what a service names exists in the product: its program, the AIDL interface it is started
for, the directories it is told to use.
"""

import re
import sys
from pathlib import Path

# Options of a service: the least and the most arguments (None: any number).
SERVICE = {
    "capabilities": (0, None), "class": (1, None), "console": (0, 1), "critical": (0, 2),
    "disabled": (0, 0), "enter_namespace": (2, 2), "file": (2, 2), "gentle_kill": (0, 0),
    "group": (1, None), "interface": (2, 2), "ioprio": (2, 2), "keycodes": (1, None),
    "memcg.limit_in_bytes": (1, 1), "namespace": (1, 2), "oneshot": (0, 0), "onrestart": (1, None),
    "oom_score_adjust": (1, 1), "override": (0, 0), "priority": (1, 1), "reboot_on_failure": (1, 1),
    "restart_period": (1, 1), "rlimit": (3, 3), "seclabel": (1, 1), "setenv": (2, 2),
    "shutdown": (1, 1), "sigstop": (0, 0), "socket": (3, 6), "stdio_to_kmsg": (0, 0),
    "task_profiles": (1, None), "timeout_period": (1, 1), "updatable": (0, 0), "user": (1, 1),
    "writepid": (1, None),
}
# Commands of an action: those that a service's own .rc has any use for.
COMMANDS = {
    "chmod": (2, 2), "chown": (2, 3), "copy": (2, 2), "exec": (1, None), "export": (2, 2),
    "mkdir": (1, 6), "restart": (1, 2), "restorecon": (1, None), "restorecon_recursive": (1, None),
    "rm": (1, 1), "rmdir": (1, 1), "setprop": (2, 2), "start": (1, 1), "stop": (1, 1),
    "symlink": (2, 2), "trigger": (1, 1), "wait": (1, 2), "write": (2, 2),
}
EVENTS = {
    "boot", "charger", "early-boot", "early-fs", "early-init", "fs", "init", "late-fs", "late-init",
    "nonencrypted", "post-fs", "post-fs-data", "zygote-start",
}
# Android's fixed users (android_filesystem_config.h) of which one may run, or own, such a service.
IDS = {
    "root", "system", "radio", "bluetooth", "inet", "log", "net_admin", "net_bt", "net_bt_admin",
    "net_bw_acct", "net_bw_stats", "net_raw", "network_stack", "readproc", "shell", "uhid", "vpn", "wifi",
}
CAPABILITIES = {
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
    "SETPCAP", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "SYS_ADMIN",
    "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "WAKE_ALARM", "BLOCK_SUSPEND", "BPF", "PERFMON",
}
# task_profiles.json
PROFILES = {
    "HighEnergySaving", "HighIoPriority", "LowIoPriority", "MaxIoPriority", "MaxPerformance",
    "NormalPerformance", "ProcessCapacityHigh", "ProcessCapacityLow", "ProcessCapacityNormal",
    "ServiceCapacityLow", "ServicePerformance", "TimerSlackHigh", "TimerSlackNormal",
}


class Checker:
    """One file."""

    def __init__(self, root, path):
        self.root, self.path = root, path
        self.errors = []
        self.line = 0
        self.section = None  # the table of the section's keywords
        self.service = {}  # option -> arguments, of the service being read
        self.directories = set()

    def error(self, what):
        self.errors.append(f"{self.path.relative_to(self.root)}:{self.line}: {what}")

    def check(self):
        lines = self.path.read_text().replace("\\\n", " ").split("\n")
        for self.line, text in enumerate(lines, 1):
            words = text.split("#", 1)[0].split()
            if not words:
                continue
            if not text[0].isspace():
                self.end_service()
                self.begin(words)
            elif self.section is None:
                self.error(f"{words[0]} is in no section")
            else:
                self.keyword(words)
        self.end_service()
        return self.errors

    def begin(self, words):
        self.section = None
        if words[0] == "service":
            self.section = SERVICE
            if len(words) < 3:
                self.error("a service needs a name and a program")
                return
            if not re.fullmatch(r"[A-Za-z0-9_.@-]+", words[1]):
                self.error(f"bad name of a service: {words[1]}")
            self.service = {"": words[1:]}
            self.program(words[1], words[2], words[3:])
        elif words[0] == "on":
            self.section = COMMANDS
            for trigger in words[1:]:
                if trigger not in EVENTS | {"&&"} and not trigger.startswith("property:"):
                    self.error(f"unknown trigger {trigger}")
            if len(words) < 2:
                self.error("an action needs a trigger")
        elif words[0] == "import":
            self.error("a service's .rc imports nothing")
        else:
            self.error(f"unknown section {words[0]}")

    def program(self, name, path, arguments):
        if not path.startswith("/system_ext/bin/"):
            self.error(f"{path} is not on system_ext, where the product is installed")
        binary = rf'rust_binary \{{[^}}]*name: "{re.escape(Path(path).name)}"'
        if not any(re.search(binary, p.read_text()) for p in self.root.rglob("Android.bp")
                   if "target" not in p.parts):
            self.error(f"{name}: no rust_binary {Path(path).name} in an Android.bp")
        for argument in arguments:
            if argument.startswith("/data/") and argument not in self.directories:
                self.error(f"{name}: nobody makes {argument}")

    def keyword(self, words):
        name, arguments = words[0], words[1:]
        if name not in self.section:
            self.error(f"unknown keyword {name}")
            return
        least, most = self.section[name]
        if len(arguments) < least or (most is not None and len(arguments) > most):
            self.error(f"{name} takes {least} to {'any number of' if most is None else most} arguments")
            return
        if self.section is SERVICE and name in self.service:
            self.error(f"{name} twice")
        self.service[name] = arguments
        check = getattr(self, "check_" + name, None)
        if check:
            check(*arguments)

    def check_user(self, user):
        self.ids(user)

    def check_group(self, *groups):
        self.ids(*groups)

    def ids(self, *ids):
        for name in ids:
            if name not in IDS:
                self.error(f"unknown user or group {name}")

    def check_mkdir(self, path, mode="0755", *owners):
        if not re.fullmatch(r"0[0-7]{3}", mode):
            self.error(f"bad mode {mode}")
        self.ids(*owners[:2])
        self.directories.add(path)

    def check_capabilities(self, *names):
        for name in names:
            if name not in CAPABILITIES:
                self.error(f"unknown capability {name}")

    def check_task_profiles(self, *names):
        for name in names:
            if name not in PROFILES:
                self.error(f"unknown task profile {name}")

    def check_interface(self, kind, instance):
        if kind != "aidl":
            self.error(f"an interface of kind {kind}")
        interface = instance.split("/")[0]
        if not (self.root / "aidl" / (interface.replace(".", "/") + ".aidl")).is_file():
            self.error(f"no interface {interface} in aidl/")
        contexts = (self.root / "sepolicy/private/service_contexts").read_text()
        if not re.search(rf"^{re.escape(instance)}\s", contexts, re.M):
            self.error(f"sepolicy's service_contexts has no {instance}")

    def end_service(self):
        service, self.service = self.service, {}
        if self.section is SERVICE and service:
            for option in ("class", "user", "group"):
                if option not in service:
                    self.error(f"service {service[''][0]} has no {option}")


def main():
    root = Path(sys.argv[1]).resolve()
    errors = [e for f in sys.argv[2:] for e in Checker(root, Path(f).resolve()).check()]
    print("\n".join(errors), end="\n" if errors else "")
    return 1 if errors else 0


sys.exit(main())

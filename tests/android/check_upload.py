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
"""Checks OWNERS, METADATA and PREUPLOAD.cfg: usage: check_upload.py ROOT.

OWNERS as Gerrit's code-owners reads it (its find-owners backend), METADATA as the text of AOSP's
MetaData message, PREUPLOAD.cfg as repo's hooks do. That the owners exist only Gerrit knows.
"""

import configparser
import re
import sys
from pathlib import Path

ADDRESS = r"[^\s@,:]+@[^\s@,:]+\.[^\s@,:]+|\*"
FILE = r"([^\s:]+:)?([^\s:]+:)?[^\s:]*[^\s:/]"
OWNER = re.compile(rf"(?P<who>{ADDRESS}|(include|file:) ?{FILE}|per-file \S+ *= *({ADDRESS}|file: ?{FILE}))"
                   r"|set noparent|per-file \S+ *= *set noparent")

# The fields of METADATA that the product may use: of which type, or which words.
FIELDS = {
    "name": "text", "description": "text",
    "third_party": {
        "homepage": "text", "version": "text",
        "license_type": {
            "BY_EXCEPTION_ONLY", "NOTICE", "PERMISSIVE", "RECIPROCAL", "RESTRICTED", "UNENCUMBERED",
        },
    },
}
FIELD_TOKEN = re.compile(r'\s+|#[^\n]*|(?P<token>"[^"\n]*"|[\w.]+|[{}:])')

# platform/tools/repohooks
SECTIONS = {"Builtin Hooks", "Builtin Hooks Options", "Builtin Hooks Exclude Paths", "Hook Scripts",
            "Ignore Merged Commits", "Options", "Tool Paths"}
HOOKS = {
    "aidl_format", "android_test_mapping_format", "aosp_license", "black", "bpfmt", "checkpatch",
    "clang_format", "commit_msg_bug_field", "commit_msg_changeid_field", "commit_msg_prebuilt_apk_fields",
    "commit_msg_relnote_field_format", "commit_msg_relnote_for_current_txt", "commit_msg_test_field",
    "cpplint", "gofmt", "google_java_format", "jsonlint", "ktfmt", "pylint", "pylint2", "pylint3",
    "rustfmt", "xmllint",
}
# Those that look at what this repository is made of.
WANTED = {"aidl_format", "android_test_mapping_format", "bpfmt", "rustfmt", "xmllint"}


def owners_errors(text):
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    matches = [(line, OWNER.fullmatch(line)) for line in lines if line]
    for line, match in matches:
        if not match:
            yield f"{line!r} is neither an address nor what Gerrit knows beside them"
    if not any(match and match["who"] and not line.startswith("per-file") for line, match in matches):
        yield "it names nobody"


def metadata_errors(text):
    tokens, at = [], 0
    while at < len(text):
        match = FIELD_TOKEN.match(text, at)
        if not match:
            yield f"cannot read {text[at:at + 20]!r}"
            return
        if match["token"]:
            tokens.append(match["token"])
        at = match.end()
    tokens.reverse()
    yield from message_errors(tokens, FIELDS)
    if tokens:
        yield f"{tokens[-1]} stands alone"


def message_errors(tokens, fields):
    while tokens and tokens[-1] != "}":
        name = tokens.pop()
        known = fields.get(name)
        if known is None:
            yield f"no field {name}"
            return
        opened = tokens.pop() if tokens else ""
        if isinstance(known, dict):
            if opened != "{":
                yield f"{name}: a {{ expected"
                return
            yield from message_errors(tokens, known)
            if not tokens or tokens.pop() != "}":
                yield f"{name}: a }} expected"
                return
            continue
        value = tokens.pop() if opened == ":" and tokens else ""
        if not (value.startswith('"') if known == "text" else value in known):
            yield f"{name}: {value}"


def hooks_errors(root):
    config = configparser.ConfigParser()
    config.read(root / "PREUPLOAD.cfg")
    for section in set(config.sections()) - SECTIONS:
        yield f"no section {section}"
    hooks = dict(config["Builtin Hooks"]) if config.has_section("Builtin Hooks") else {}
    for hook, value in hooks.items():
        if hook not in HOOKS:
            yield f"no hook {hook}"
        if value not in ("true", "false"):
            yield f"{hook}: {value} is neither true nor false"
    running = {hook for hook, value in hooks.items() if value == "true"}
    for hook in sorted(WANTED - running):
        yield f"no {hook}, and there are files for it"
    options = dict(config["Builtin Hooks Options"]) if config.has_section("Builtin Hooks Options") else {}
    for hook, words in options.items():
        if hook not in running:
            yield f"options of {hook}, which does not run"
        for file in re.findall(r"--config-path=(\S+)", words):
            if not (root / file).is_file():
                yield f"{hook}: no file {file}"


def main():
    root = Path(sys.argv[1]).resolve()
    missing = [n for n in ("OWNERS", "METADATA", "PREUPLOAD.cfg") if not (root / n).is_file()]
    if missing:
        print(f"there is no {', '.join(missing)}")
        return 1
    errors = [f"OWNERS: {e}" for e in owners_errors((root / "OWNERS").read_text())]
    errors += [f"METADATA: {e}" for e in metadata_errors((root / "METADATA").read_text())]
    errors += [f"PREUPLOAD.cfg: {e}" for e in hooks_errors(root)]
    print("\n".join(errors), end="\n" if errors else "")
    return 1 if errors else 0


sys.exit(main())
